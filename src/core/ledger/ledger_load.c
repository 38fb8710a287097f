/* Rebuilding the state from a snapshot or a journal. What comes in was written by this ledger and
 * checksummed by the store; here it is checked against the rules. */
#include "ledger_internal.h"

err_t
ledger_load_account(struct ledger *ledger, const struct ledger_account *account)
{
    TRY(ledger_reserve(ledger, 1, 0));
    if (ledger_account_search(ledger, account->id, ledger_hash(account->id)) != LEDGER_NONE) {
        return ERR_CORRUPT;
    }
    if (account->timestamp == 0 || account->timestamp > LEDGER_TIMESTAMP_MAX) {
        return ERR_CORRUPT;
    }
    ledger_account_append(ledger, account);
    ledger->version++;
    return ERR_OK;
}

/* Makes a pending transfer live and queues it. */
static err_t
revive(
    struct ledger *ledger,
    const struct ledger_transfer *transfer,
    uint32_t debit_slot,
    uint32_t credit_slot,
    bool watch,
    uint32_t *ret_slot)
{
    if (ledger_pending_search_on(ledger, transfer->id, debit_slot, credit_slot) != LEDGER_NONE) {
        return ERR_CORRUPT;
    }
    if (transfer->timestamp == 0 || transfer->timestamp > LEDGER_TIMESTAMP_MAX ||
        transfer->timeout * LEDGER_SECOND_NS > LEDGER_TIMESTAMP_MAX - transfer->timestamp) {
        return ERR_CORRUPT;
    }
    TRY(ledger_reserve(ledger, 0, 1));
    uint32_t slot = ledger_pending_insert(ledger, transfer, debit_slot, credit_slot);
    if (watch && transfer->timeout != 0 && !ledger_pending_in(ledger, slot)->half) {
        ledger_expiry_insert(ledger, slot);
    }
    *ret_slot = slot;
    return ERR_OK;
}

/* Is the side's account the transfer's, or the stand-in for one that did not come along? */
static bool
side_is_sane(const struct ledger *ledger, uint32_t slot, u128 account_id, bool adopted)
{
    return ledger_account_in(ledger, slot)->id == account_id ||
           (adopted && ledger_is_stand_in(ledger_account_in(ledger, slot)->id));
}

err_t
ledger_load_pending_on(
    struct ledger *ledger,
    const struct ledger_transfer *transfer,
    uint32_t debit_slot,
    uint32_t credit_slot)
{
    if (debit_slot >= ledger->account_count || credit_slot >= ledger->account_count ||
        debit_slot == credit_slot || (transfer->flags & LEDGER_TRANSFER_PENDING) == 0 ||
        !side_is_sane(ledger, debit_slot, transfer->debit_account_id, true) ||
        !side_is_sane(ledger, credit_slot, transfer->credit_account_id, true)) {
        return ERR_CORRUPT;
    }
    uint32_t slot = LEDGER_NONE;
    TRY(revive(ledger, transfer, debit_slot, credit_slot, true, &slot));
    ledger->version++;
    return ERR_OK;
}

err_t
ledger_load_pending(struct ledger *ledger, const struct ledger_transfer *transfer)
{
    uint32_t debit_slot = ledger_account_slot(ledger, transfer->debit_account_id);
    uint32_t credit_slot = ledger_account_slot(ledger, transfer->credit_account_id);
    if (debit_slot == LEDGER_NONE || credit_slot == LEDGER_NONE || debit_slot == credit_slot) {
        return ERR_CORRUPT;
    }
    if ((transfer->flags & LEDGER_TRANSFER_PENDING) == 0) {
        return ERR_CORRUPT;
    }
    uint32_t slot = LEDGER_NONE;
    TRY(revive(ledger, transfer, debit_slot, credit_slot, true, &slot));
    ledger->version++;
    return ERR_OK;
}

void
ledger_load_clock(
    struct ledger *ledger, uint64_t clock, uint64_t transfer_timestamp, uint64_t account_timestamp)
{
    ledger_set_clock(ledger, clock);
    if (transfer_timestamp > ledger->transfer_timestamp) {
        ledger->transfer_timestamp = transfer_timestamp;
    }
    /* The accounts themselves say which is the newest. */
    ASSERT(
        account_timestamp == 0 ||
        (ledger->account_count > 0 && ledger->account_timestamp >= account_timestamp));
    ledger->version++;
}

static bool
add(u128 *balance, u128 amount)
{
    return !__builtin_add_overflow(*balance, amount, balance);
}

/* The slot of the live pending transfer that the event finishes, or LEDGER_NONE. */
static uint32_t
finished_slot(const struct ledger *ledger, const struct ledger_event *event)
{
    bool expired = event->kind == LEDGER_EVENT_TWO_PHASE_EXPIRED;
    u128 id = expired ? event->transfer.id : event->transfer.pending_id;
    uint32_t slot = ledger_pending_search_on(ledger, id, event->debit_slot, event->credit_slot);
    if (slot == LEDGER_NONE) {
        return LEDGER_NONE;
    }
    const struct ledger_transfer *pending = ledger_pending_transfer(ledger, slot);
    if (expired && (pending->timeout == 0 || ledger_expires_at(pending) > event->timestamp)) {
        return LEDGER_NONE;
    }
    return event->transfer.amount <= pending->amount ? slot : LEDGER_NONE;
}

static bool
same_balances(const struct ledger_account *account, const struct ledger_balances *balances)
{
    return account->debits_pending == balances->debits_pending &&
           account->debits_posted == balances->debits_posted &&
           account->credits_pending == balances->credits_pending &&
           account->credits_posted == balances->credits_posted;
}

/* Does the event to copies of its two accounts; false if it cannot follow from the state. */
static bool
redo_on_copies(
    const struct ledger *ledger,
    const struct ledger_event *event,
    uint32_t pending_slot,
    struct ledger_account *debit,
    struct ledger_account *credit)
{
    const struct ledger_transfer *transfer = &event->transfer;
    switch ((enum ledger_event_kind)event->kind) {
    case LEDGER_EVENT_SINGLE_PHASE:
        return add(&debit->debits_posted, transfer->amount) &&
               add(&credit->credits_posted, transfer->amount);
    case LEDGER_EVENT_TWO_PHASE_PENDING:
        ledger_move_pending(debit, credit, transfer);
        return debit->debits_pending >= transfer->amount &&
               credit->credits_pending >= transfer->amount;
    case LEDGER_EVENT_TWO_PHASE_POSTED:
    case LEDGER_EVENT_TWO_PHASE_VOIDED:
    case LEDGER_EVENT_TWO_PHASE_EXPIRED: {
        const struct ledger_transfer *pending = ledger_pending_transfer(ledger, pending_slot);
        bool posted = event->kind == LEDGER_EVENT_TWO_PHASE_POSTED;
        if (debit->debits_pending < pending->amount || credit->credits_pending < pending->amount) {
            return false;
        }
        ledger_move_finish(
            debit,
            credit,
            pending,
            posted ? LEDGER_FATE_POSTED : LEDGER_FATE_VOIDED,
            transfer->amount);
        return true;
    }
    }
    return false;
}

/* Names the event accounts that are there, and is its timestamp possible? */
static bool
event_is_sane(const struct ledger *ledger, const struct ledger_event *event)
{
    bool adopted = event->adopted != 0;
    if (event->debit_slot >= ledger->account_count || event->credit_slot >= ledger->account_count ||
        event->debit_slot == event->credit_slot) {
        return false;
    }
    if (!side_is_sane(ledger, event->debit_slot, event->transfer.debit_account_id, adopted) ||
        !side_is_sane(ledger, event->credit_slot, event->transfer.credit_account_id, adopted)) {
        return false;
    }
    if (event->timestamp == 0 || event->timestamp > LEDGER_TIMESTAMP_MAX) {
        return false;
    }
    return event->kind == LEDGER_EVENT_TWO_PHASE_EXPIRED ||
           (event->transfer.timestamp == event->timestamp &&
            (adopted || event->timestamp > ledger->transfer_timestamp));
}

static bool
finishes(const struct ledger_event *event)
{
    return event->kind == LEDGER_EVENT_TWO_PHASE_POSTED ||
           event->kind == LEDGER_EVENT_TWO_PHASE_VOIDED ||
           event->kind == LEDGER_EVENT_TWO_PHASE_EXPIRED;
}

static bool
same_outcome(
    const struct ledger_account *account, const struct ledger_balances *balances, uint16_t flags)
{
    return same_balances(account, balances) && account->flags == flags;
}

/* What came out on a side that is not compared is told. */
static void
tell_sides(
    struct ledger_event *event,
    const struct ledger_redo_how *how,
    const struct ledger_account *debit,
    const struct ledger_account *credit)
{
    if (!how->compare_debit) {
        ledger_balances_copy(&event->debit, debit);
        event->debit_flags = debit->flags;
    }
    if (!how->compare_credit) {
        ledger_balances_copy(&event->credit, credit);
        event->credit_flags = credit->flags;
    }
}

/* What an event does beside the two accounts. *pending_slot is that of the pending transfer which
 * it finishes, or LEDGER_NONE, and becomes that of one which it makes. */
static err_t
redo_rest(
    struct ledger *ledger, const struct ledger_event *event, uint32_t *pending_slot, bool watch)
{
    const uint32_t debit_slot = event->debit_slot;
    const uint32_t credit_slot = event->credit_slot;
    if (*pending_slot != LEDGER_NONE) {
        ledger_pending_remove(ledger, *pending_slot);
    } else if (event->kind == LEDGER_EVENT_TWO_PHASE_PENDING) {
        TRY(revive(ledger, &event->transfer, debit_slot, credit_slot, watch, pending_slot));
    }
    if (event->kind != LEDGER_EVENT_TWO_PHASE_EXPIRED &&
        event->timestamp > ledger->transfer_timestamp) {
        ledger->transfer_timestamp = event->timestamp;
    }
    ledger_set_clock(ledger, event->timestamp);
    ledger->version++;
    return ERR_OK;
}

err_t
ledger_redo_event(
    struct ledger *ledger, struct ledger_event *event, const struct ledger_redo_how *how)
{
    if (!event_is_sane(ledger, event)) {
        return ERR_CORRUPT;
    }
    uint32_t pending_slot = LEDGER_NONE;
    if (finishes(event)) {
        pending_slot = finished_slot(ledger, event);
        if (pending_slot == LEDGER_NONE) {
            return ERR_CORRUPT;
        }
    }
    struct ledger_account debit = *ledger_account_in(ledger, event->debit_slot);
    struct ledger_account credit = *ledger_account_in(ledger, event->credit_slot);
    if (!redo_on_copies(ledger, event, pending_slot, &debit, &credit) ||
        (how->compare_debit && !same_outcome(&debit, &event->debit, event->debit_flags)) ||
        (how->compare_credit && !same_outcome(&credit, &event->credit, event->credit_flags))) {
        return ERR_CORRUPT;
    }
    TRY(redo_rest(ledger, event, &pending_slot, how->watch));
    event->pending_place = pending_slot == LEDGER_NONE ? 0 : pending_slot + 1;
    tell_sides(event, how, &debit, &credit);
    *ledger_account_in(ledger, event->debit_slot) = debit;
    *ledger_account_in(ledger, event->credit_slot) = credit;
    return ERR_OK;
}

err_t
ledger_redo(struct ledger *ledger, const struct ledger_event *event)
{
    const struct ledger_redo_how how = {true, true, true};
    struct ledger_event copy = *event;
    return ledger_redo_event(ledger, &copy, &how);
}

static void
set_balances(struct ledger_account *account, const struct ledger_balances *balances, uint16_t flags)
{
    account->debits_pending = balances->debits_pending;
    account->debits_posted = balances->debits_posted;
    account->credits_pending = balances->credits_pending;
    account->credits_posted = balances->credits_posted;
    account->flags = flags;
}

/* Only closing and opening again changes the flags of an account. */
static bool
flags_can_follow(const struct ledger_account *account, uint16_t flags)
{
    return ((account->flags ^ flags) & ~(unsigned)LEDGER_ACCOUNT_CLOSED) == 0;
}

err_t
ledger_redo_fuzzy(struct ledger *ledger, const struct ledger_event *event)
{
    if (!event_is_sane(ledger, event)) {
        return ERR_CORRUPT;
    }
    struct ledger_account *debit = ledger_account_in(ledger, event->debit_slot);
    struct ledger_account *credit = ledger_account_in(ledger, event->credit_slot);
    if (!flags_can_follow(debit, event->debit_flags) ||
        !flags_can_follow(credit, event->credit_flags)) {
        return ERR_CORRUPT;
    }
    uint32_t pending_slot = finishes(event) ? finished_slot(ledger, event) : LEDGER_NONE;
    TRY(redo_rest(ledger, event, &pending_slot, true));
    set_balances(debit, &event->debit, event->debit_flags);
    set_balances(credit, &event->credit, event->credit_flags);
    return ERR_OK;
}

void
ledger_load_clear(struct ledger *ledger)
{
    ledger_accounts_clear(ledger);
    for (uint32_t slot = 0; slot < ledger->pending_slots_top; slot++) {
        if (ledger_pending_in(ledger, slot)->fate != LEDGER_FATE_NONE) {
            ledger_pending_remove(ledger, slot);
        }
    }
    ASSERT(ledger->pending_count == 0);
    ASSERT(ledger->heap_count == 0);
    ledger->pending_slots_top = 0;
    ledger->pending_free = 0;
    ledger->clock = 0;
    ledger->transfer_timestamp = 0;
    ledger->version++;
}
