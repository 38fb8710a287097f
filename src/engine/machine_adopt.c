/*
 * What comes from another ledger, and what is another's. An adoption that this ledger has already
 * is known: an account's events come in the order of time, so whatever is not newer than its newest
 * here is here (MACHINE-4). So a move that was cut off anywhere begins again from the start.
 */
#include "machine.h"

#include <string.h>

/* ---- the guard ---- */

void
engine_machine_settle(struct engine_machine *machine)
{
    if (machine->guard != NULL) {
        ledger_watch_pendings(machine->ledger, machine->guard->has, machine->guard->context);
    }
}

bool
engine_machine_shows(
    const struct engine_machine *machine,
    const struct port_ledger_request *request,
    u128 account_id)
{
    return machine->guard == NULL || request->epoch == PORT_LEDGER_EPOCH_MOVER ||
           machine->guard->has(machine->guard->context, account_id);
}

/* One that names no accounts is where its pending is. Of what is here in halves the end is known
 * here if an account of it is, and at another ledger if none is. */
static bool
ends_strange_pending(const struct engine_machine *machine, const struct ledger_transfer *transfer)
{
    const unsigned ends = LEDGER_TRANSFER_POST_PENDING | LEDGER_TRANSFER_VOID_PENDING;
    if ((transfer->flags & ends) == 0) {
        return false;
    }
    const struct ledger_transfer *pending =
        ledger_find_pending(machine->ledger, transfer->pending_id);
    const struct port_ledger_guard *guard = machine->guard;
    if (pending != NULL) {
        return !guard->has(guard->context, pending->debit_account_id);
    }
    const struct ledger_transfer *half =
        ledger_find_pending_on(machine->ledger, transfer->pending_id, UINT32_MAX, UINT32_MAX);
    return half != NULL && !guard->has(guard->context, half->debit_account_id) &&
           !guard->has(guard->context, half->credit_account_id);
}

err_t
engine_machine_admit(struct engine_machine *machine, struct port_ledger_request *request)
{
    if (machine->guard == NULL) {
        return ERR_OK;
    }
    TRY(machine->guard->admit(machine->guard->context, request));
    if (request->operation != PORT_LEDGER_CREATE_TRANSFERS) {
        return ERR_OK;
    }
    for (uint32_t i = 0; i < request->count; i++) {
        if (ends_strange_pending(machine, &request->in.transfers[i])) {
            return machine->guard->refuse(machine->guard->context, request);
        }
    }
    return ERR_OK;
}

/* ---- adopting ---- */

struct adopting {
    struct engine_machine *machine;
    uint64_t clock;                      /* the last that was given to a stand-in */
    const struct ledger_past *next_past; /* of the next failed id */
};

static enum port_ledger_adopted_status
adopt_account(struct adopting *adopting, const struct ledger_account *account)
{
    struct engine_machine *machine = adopting->machine;
    const struct ledger_account *old = ledger_find_account(machine->ledger, account->id);
    if (old != NULL) {
        bool same = old->timestamp == account->timestamp && old->ledger == account->ledger &&
                    old->code == account->code && old->user_data_128 == account->user_data_128 &&
                    old->user_data_64 == account->user_data_64 &&
                    old->user_data_32 == account->user_data_32 &&
                    ((old->flags ^ account->flags) & ~(unsigned)LEDGER_ACCOUNT_CLOSED) == 0;
        return same ? PORT_LEDGER_ADOPTED_KNOWN : PORT_LEDGER_ADOPTED_REFUSED;
    }
    return ledger_adopt_account(machine->ledger, account, &machine->delta) == ERR_OK
               ? PORT_LEDGER_ADOPTED
               : PORT_LEDGER_ADOPTED_REFUSED;
}

/* What the store has of all failed ids of the request, in their order: asked once, since a store
 * may have to ask somebody else. */
static err_t
look_up_failed(struct adopting *adopting, const struct port_ledger_request *request)
{
    struct engine_machine *machine = adopting->machine;
    uint32_t count = 0;
    for (uint32_t i = 0; i < request->count; i++) {
        if (request->in.adoptions[i].kind == PORT_LEDGER_ADOPT_FAILED_ID) {
            machine->ids[count++] = request->in.adoptions[i].of.failed_id;
        }
    }
    adopting->next_past = machine->pasts;
    return count == 0 ? ERR_OK
                      : machine->store->ops->look_up(
                            machine->store, machine->ids, count, machine->pasts, &machine->error);
}

/* An id that is a transfer here stays one. */
static err_t
adopt_failed(struct adopting *adopting, u128 id, uint32_t *ret_status)
{
    struct engine_machine *machine = adopting->machine;
    struct ledger_delta *delta = &machine->delta;
    const struct ledger_past *past = adopting->next_past++;
    ASSERT(past->id == id);
    bool known = past->kind != LEDGER_PAST_NONE;
    for (uint32_t i = 0; i < delta->event_count && !known; i++) {
        known = delta->events[i].transfer.id == id;
    }
    for (uint32_t i = 0; i < delta->failed_count && !known; i++) {
        known = delta->failed_ids[i] == id;
    }
    *ret_status = known ? PORT_LEDGER_ADOPTED_KNOWN : PORT_LEDGER_ADOPTED;
    if (!known) {
        delta->failed_ids[delta->failed_count++] = id;
    }
    return ERR_OK;
}

static bool
note_newest(void *context, const struct ledger_event *event)
{
    *(uint64_t *)context = event->timestamp;
    return false;
}

/* Of the account's newest event here; expiries do not count. */
static err_t
newest_of(struct engine_machine *machine, uint32_t slot, uint64_t *ret_newest)
{
    const struct ledger_delta *delta = &machine->delta;
    for (uint32_t i = delta->event_count; i > 0; i--) {
        const struct ledger_event *event = &delta->events[i - 1];
        bool of_it = event->debit_slot == slot || event->credit_slot == slot;
        if (of_it && event->kind != LEDGER_EVENT_TWO_PHASE_EXPIRED) {
            *ret_newest = event->timestamp;
            return ERR_OK;
        }
    }
    *ret_newest = 0;
    for (uint32_t i = delta->account_count; i > 0; i--) {
        if (delta->accounts[i - 1].id == ledger_account_at(machine->ledger, slot)->id) {
            return ERR_OK; /* the store does not know it yet */
        }
    }
    const struct store_ops *ops = machine->store->ops;
    if (ops->newest_transfer != NULL) {
        *ret_newest = ops->newest_transfer(machine->store, slot);
        return ERR_OK;
    }
    struct store_query query = {
        .account_slot = slot,
        .sides = STORE_SIDE_DEBITS | STORE_SIDE_CREDITS,
        .reversed = true,
        .limit = 1,
    };
    return ops->account_events(machine->store, &query, note_newest, ret_newest, &machine->error);
}

/* Does the side have to be booked? A stand-in never by itself; an account that is not here cannot
 * be, which the core will find. */
static err_t
side_is_new(
    struct engine_machine *machine,
    const struct ledger_event *event,
    u128 id,
    bool is_debit,
    bool *ret_new)
{
    uint32_t slot = ledger_account_slot(machine->ledger, id);
    uint64_t newest = 0;
    *ret_new = !ledger_is_stand_in(id);
    if (!*ret_new || slot == UINT32_MAX) {
        return ERR_OK;
    }
    if (event->kind == LEDGER_EVENT_TWO_PHASE_EXPIRED) {
        *ret_new = ledger_find_pending_on(
                       machine->ledger,
                       event->transfer.id,
                       is_debit ? slot : UINT32_MAX,
                       is_debit ? UINT32_MAX : slot) != NULL;
        return ERR_OK;
    }
    TRY(newest_of(machine, slot, &newest));
    *ret_new = event->timestamp > newest;
    return ERR_OK;
}

/* Makes the stand-in if it is not there. */
static bool
stand_in_ready(struct adopting *adopting, u128 id, uint32_t ledger_number)
{
    struct engine_machine *machine = adopting->machine;
    if (!ledger_is_stand_in(id) || ledger_find_account(machine->ledger, id) != NULL) {
        return true;
    }
    const struct ledger_account account = {
        .id = id,
        .ledger = ledger_number,
        .code = UINT16_MAX,
        .timestamp = ++adopting->clock,
    };
    return ledger_adopt_account(machine->ledger, &account, &machine->delta) == ERR_OK;
}

static err_t
adopt_event(
    struct adopting *adopting, const struct port_ledger_adoption *adoption, uint32_t *ret_status)
{
    struct engine_machine *machine = adopting->machine;
    struct ledger_adopted adopted = adoption->of.event;
    bool new_debit = false;
    bool new_credit = false;
    TRY(side_is_new(machine, &adopted.event, adopted.debit_account_id, true, &new_debit));
    TRY(side_is_new(machine, &adopted.event, adopted.credit_account_id, false, &new_credit));
    *ret_status = PORT_LEDGER_ADOPTED_KNOWN;
    if (!new_debit && !new_credit) {
        return ERR_OK;
    }
    if (!new_debit) {
        adopted.debit_account_id = adoption->debit_stand_in;
    }
    if (!new_credit) {
        adopted.credit_account_id = adoption->credit_stand_in;
    }
    uint32_t ledger_number = adopted.event.transfer.ledger;
    bool done = stand_in_ready(adopting, adopted.debit_account_id, ledger_number) &&
                stand_in_ready(adopting, adopted.credit_account_id, ledger_number) &&
                ledger_adopt_event(machine->ledger, &adopted, &machine->delta) == ERR_OK;
    *ret_status = done ? PORT_LEDGER_ADOPTED : PORT_LEDGER_ADOPTED_REFUSED;
    return ERR_OK;
}

static err_t
adopt_one(
    struct adopting *adopting, const struct port_ledger_adoption *adoption, uint32_t *ret_status)
{
    switch (adoption->kind) {
    case PORT_LEDGER_ADOPT_ACCOUNT:
        *ret_status = adopt_account(adopting, &adoption->of.account);
        return ERR_OK;
    case PORT_LEDGER_ADOPT_EVENT:
        return adopt_event(adopting, adoption, ret_status);
    case PORT_LEDGER_ADOPT_FAILED_ID:
        return adopt_failed(adopting, adoption->of.failed_id, ret_status);
    default:
        *ret_status = PORT_LEDGER_ADOPTED_REFUSED;
        return ERR_OK;
    }
}

/* What was adopted before a failed read stays adopted, and is known when it comes again. */
static err_t
adopt_all(struct adopting *adopting, struct port_ledger_request *request)
{
    bool refused = false;
    TRY(look_up_failed(adopting, request));
    for (uint32_t i = 0; i < request->count; i++) {
        uint32_t status = PORT_LEDGER_ADOPTED_REFUSED;
        if (!refused) {
            TRY(adopt_one(adopting, &request->in.adoptions[i], &status));
        }
        refused = status == PORT_LEDGER_ADOPTED_REFUSED;
        request->out.results[i] = (struct ledger_result){.status = status};
    }
    return ERR_OK;
}

err_t
engine_machine_adopt(struct engine_machine *machine, struct port_ledger_request *request)
{
    const uint32_t count = request->count;
    if (machine->store->ops->failed_ids == NULL) {
        return ERR_UNSUPPORTED;
    }
    if (count > PORT_LEDGER_ADOPTIONS_MAX) {
        return ERR_RANGE;
    }
    static_assert(3 * PORT_LEDGER_ADOPTIONS_MAX <= LEDGER_BATCH_MAX, "with two stand-ins each");
    TRY(ledger_reserve(machine->ledger, 3 * count, count));
    TRY(machine->store->ops->admit(machine->store, count, 3 * count));
    uint64_t before = ledger_clock(machine->ledger);
    if (before + 2 * (uint64_t)count + 1 > LEDGER_TIMESTAMP_MAX) {
        return ERR_RANGE;
    }
    machine->delta.account_count = 0;
    machine->delta.event_count = 0;
    machine->delta.failed_count = 0;
    ledger_set_clock(machine->ledger, before + 2 * (uint64_t)count + 1);
    struct adopting adopting = {.machine = machine, .clock = before};
    err_t result = adopt_all(&adopting, request);
    TRY(engine_machine_hand_over(machine));
    request->out_count = result == ERR_OK ? count : 0;
    return result;
}
