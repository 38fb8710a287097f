/*
 * Holds whose payee is in another slot, and the second phases of all holds of a batch that is
 * planned.
 *
 * Such a hold is the payer's slot's (commit/records.h): it is made, voided and expires there, and
 * what posts it is a transaction. So a second phase can only be sent when it is known what it ends,
 * which is looked up for the whole batch, before it is planned:
 *
 *     pending ids --> transfers, wherever they are --> on a HELD account? whom for: the markers
 *
 * Neither ever changes, so it does not matter when they are read. A hold that is not there yet may
 * be one that the same batch makes.
 */
#include "cross_private.h"

#include "base/assert.h"
#include "base/hash.h"

#include <stdlib.h>
#include <string.h>

static uint16_t
slot_of(const struct cross_hold *hold)
{
    return shard_slot_of_id(hold->transfer.debit_account_id);
}

u128
shards_cross_hold_marker_id(const struct shards_cross *cross, u128 id, uint16_t slot)
{
    return commit_marker_id(commit_name(shards_cross_name(cross, id, CROSS_ATTEMPT_HOLD)), slot);
}

const struct cross_hold *
shards_cross_hold_of(const struct cross_job *job, uint32_t event)
{
    uint32_t low = 0;
    uint32_t high = job->hold_count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        bool before = job->holds[middle].event < event;
        low = before ? middle + 1 : low;
        high = before ? high : middle;
    }
    return low < job->hold_count && job->holds[low].event == event ? &job->holds[low] : NULL;
}

/* ------------------------------------------------------------------------------- looking up --- */

static int
transfer_compare(const void *left, const void *right)
{
    u128 a = ((const struct ledger_transfer *)left)->id;
    u128 b = ((const struct ledger_transfer *)right)->id;
    return a < b ? -1 : a > b;
}

/* What was found, sorted by its id. */
static const struct ledger_transfer *
find(const struct cross_message *message, u128 id)
{
    struct ledger_transfer key = {.id = id};
    return bsearch(
        &key, message->port.out.transfers, message->port.out_count, sizeof(key), transfer_compare);
}

/* Sorts what was found; false: nothing was told, and nothing was done. */
static bool
arrived(struct cross_message *message)
{
    struct cross_job *job = message->job;
    job->holds_out--;
    if (message->port.error != ERR_OK) {
        job->error = ERR_BUSY;
        return false;
    }
    qsort(
        message->port.out.transfers,
        message->port.out_count,
        sizeof(message->port.out.transfers[0]),
        transfer_compare);
    return true;
}

/* What the batch itself makes, of what is not there yet. */
struct made {
    struct ledger_transfer transfer;
    uint32_t event;
};

/* What becomes of it is known when it is asked for: levels keep their order. */
static void
hold_of_made(const struct cross_job *job, const struct made *made, struct cross_hold *hold)
{
    const struct shard_map *map = shards_router_map(job->cross->parts.router);
    bool crosses = shards_cross_crosses(map, &made->transfer);
    bool pending = (made->transfer.flags & LEDGER_TRANSFER_PENDING) != 0;
    bool slots_hold =
        shards_cross_is_slots_hold(&made->transfer) && !shards_cross_is_chained(job, made->event);
    hold->transfer = made->transfer;
    hold->maker = made->event + 1;
    hold->is_held = slots_hold || (crosses && pending);
    if (crosses && !pending) { /* the leg that it will be */
        hold->transfer.credit_account_id =
            commit_account_id(COMMIT_ACCOUNT_IN_TRANSIT, hold->transfer.ledger, slot_of(hold));
    }
}

static bool
makes_the_same(const struct ledger_transfer *a, const struct ledger_transfer *b)
{
    return a->debit_account_id == b->debit_account_id &&
           a->credit_account_id == b->credit_account_id && a->amount == b->amount &&
           a->user_data_128 == b->user_data_128 && a->user_data_64 == b->user_data_64 &&
           a->user_data_32 == b->user_data_32 && a->timeout == b->timeout &&
           a->ledger == b->ledger && a->code == b->code && a->flags == b->flags;
}

static int
made_compare(const void *left, const void *right)
{
    const struct made *a = left;
    const struct made *b = right;
    int order = transfer_compare(&a->transfer, &b->transfer);
    return order != 0 ? order : a->event < b->event ? -1 : a->event > b->event;
}

/* Of what is sorted, the first that has the id; NULL: none. */
static const struct made *
makers_of(const struct made *made, uint32_t count, u128 id)
{
    uint32_t low = 0;
    uint32_t high = count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        bool before = made[middle].transfer.id < id;
        low = before ? middle + 1 : low;
        high = before ? high : middle;
    }
    return low < count && made[low].transfer.id == id ? &made[low] : NULL;
}

/* What ends another hold will have the id, and is no hold itself. If nobody has what it would end,
 * nothing will. */
static void
hold_of_end(const struct cross_job *job, const struct made *made, struct cross_hold *hold)
{
    const struct cross_hold *ended = shards_cross_hold_of(job, made->event);
    if (ended == NULL || ended->transfer.id == 0) {
        return;
    }
    hold->maker = made->event + 1;
    hold->transfer = ended->transfer;
    hold->transfer.id = made->transfer.id;
    hold->transfer.flags = made->transfer.flags;
    if (ended->is_held) {
        hold->transfer.credit_account_id =
            commit_account_id(COMMIT_ACCOUNT_HELD, hold->transfer.ledger, slot_of(ended));
    }
}

/* Who of the batch makes what a second phase is about. */
struct makers {
    const struct made *first; /* before it; NULL: nobody */
    const struct made *end;   /* before it, and an end itself */
    const struct made *later;
    /* Which of several is made nobody knows before, and each would have to be ended in its own way.
     * One shard needs not know. */
    bool differ, crosses;
};

static struct makers
makers_find(const struct cross_job *job, const struct made *made, uint32_t count, uint32_t event)
{
    const struct shard_map *map = shards_router_map(job->cross->parts.router);
    u128 id = job->request->in.transfers[event].pending_id;
    const struct made *one = makers_of(made, count, id);
    struct makers makers = {0};
    for (; one != NULL && one < made + count && one->transfer.id == id; one++) {
        bool is_before = one->event < event;
        if (cross_is_second_phase(&one->transfer)) {
            makers.end = is_before && makers.end == NULL ? one : makers.end;
        } else if (is_before) {
            makers.first = makers.first == NULL ? one : makers.first;
            makers.differ =
                makers.differ || !makes_the_same(&one->transfer, &makers.first->transfer);
            makers.crosses = makers.crosses || shards_cross_crosses(map, &one->transfer) ||
                             shards_cross_is_slots_hold(&one->transfer);
        } else {
            makers.later = makers.later == NULL ? one : makers.later;
        }
    }
    return makers;
}

/* A batch is done in its order: what a later event makes is not there. But whose slot remembers
 * that is that event's payer's, where the second phase is looked for when it comes again. */
static void
find_maker(
    const struct cross_job *job, const struct made *made, uint32_t count, struct cross_hold *hold)
{
    const struct ledger_transfer *event = &job->request->in.transfers[hold->event];
    const struct makers makers = makers_find(job, made, count, hold->event);
    if (makers.first != NULL) {
        hold_of_made(job, makers.first, hold);
        hold->doubtful = !job->again && makers.differ && makers.crosses;
    } else if (makers.end != NULL) {
        hold_of_end(job, makers.end, hold);
    } else if (
        makers.later != NULL && event->debit_account_id == 0 && event->credit_account_id == 0) {
        hold->transfer.debit_account_id = makers.later->transfer.debit_account_id;
    }
}

static err_t
find_within(struct cross_job *job)
{
    const struct ledger_transfer *events = job->request->in.transfers;
    uint64_t size = (uint64_t)job->request->count * sizeof(struct made);
    struct made *made = shards_cross_memory_take_unset(job->cross, size);
    if (made == NULL) {
        return ERR_BUSY;
    }
    uint32_t count = 0;
    for (uint32_t i = 0; i < job->request->count; i++) {
        bool ends = cross_is_second_phase(&events[i]);
        if (ends || (events[i].ledger != 0 && events[i].code != 0)) {
            made[count++] = (struct made){.transfer = events[i], .event = i};
        }
    }
    qsort(made, count, sizeof(made[0]), made_compare);
    for (uint32_t i = 0; i < job->hold_count; i++) {
        struct cross_hold *hold = &job->holds[i];
        if (hold->transfer.id == 0) {
            find_maker(job, made, count, hold);
        }
    }
    shards_cross_memory_give(job->cross, made, size);
    return ERR_OK;
}

static void
looked_up(struct cross_job *job)
{
    bool all = true;
    for (uint32_t i = 0; i < job->hold_count; i++) {
        all = all && job->holds[i].transfer.id != 0;
    }
    err_t result = all ? ERR_OK : find_within(job);
    job->error = job->error == ERR_OK ? result : job->error;
}

/* A hold without its marker: no ledger makes that. */
static void
take_markers(struct cross_message *message)
{
    struct cross_job *job = message->job;
    if (!arrived(message)) {
        return;
    }
    for (uint32_t i = 0; i < job->hold_count; i++) {
        struct cross_hold *hold = &job->holds[i];
        if (!hold->is_held) {
            continue;
        }
        const struct ledger_transfer *marker = find(
            message, shards_cross_hold_marker_id(job->cross, hold->transfer.id, slot_of(hold)));
        if (marker == NULL || marker->code != COMMIT_KIND_HOLD) {
            job->error = ERR_CORRUPT;
            return;
        }
        hold->transfer.credit_account_id = marker->user_data_128;
    }
    looked_up(job);
}

static void
ask_markers(struct cross_job *job, uint32_t held_count)
{
    struct cross_message *message =
        shards_cross_message_new(job->cross, job, PORT_LEDGER_LOOKUP_TRANSFERS, held_count, 1);
    if (message == NULL) {
        job->error = ERR_BUSY;
        return;
    }
    for (uint32_t i = 0; i < job->hold_count; i++) {
        const struct cross_hold *hold = &job->holds[i];
        if (hold->is_held) {
            message->in.ids[message->port.count++] =
                shards_cross_hold_marker_id(job->cross, hold->transfer.id, slot_of(hold));
        }
    }
    message->take = take_markers;
    job->holds_out++;
    shards_cross_message_send(message);
}

static void
take_transfers(struct cross_message *message)
{
    struct cross_job *job = message->job;
    uint32_t held_count = 0;
    if (!arrived(message)) {
        return;
    }
    for (uint32_t i = 0; i < job->hold_count; i++) {
        struct cross_hold *hold = &job->holds[i];
        u128 id = job->request->in.transfers[hold->event].pending_id;
        const struct ledger_transfer *found = find(message, id);
        if (found != NULL) {
            hold->transfer = *found;
            hold->is_held = commit_account_is(found->credit_account_id, COMMIT_ACCOUNT_HELD) &&
                            (found->flags & LEDGER_TRANSFER_PENDING) != 0;
            held_count += hold->is_held ? 1 : 0;
        }
    }
    if (held_count > 0) {
        ask_markers(job, held_count);
    } else {
        looked_up(job);
    }
}

static bool
is_wanted(const struct cross_job *job, uint32_t event)
{
    const struct ledger_transfer *transfer = &job->request->in.transfers[event];
    bool doubtful = shards_cross_end_is_doubtful(transfer, job->request->out.results[event].status);
    return cross_is_second_phase(transfer) && (!job->again || doubtful);
}

err_t
shards_cross_holds_begin(struct cross_job *job)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < job->request->count; i++) {
        count += is_wanted(job, i) ? 1 : 0;
    }
    if (count == 0) {
        return ERR_OK;
    }
    job->holds = shards_cross_memory_take(job->cross, count * sizeof(*job->holds));
    if (job->holds == NULL) {
        return ERR_BUSY;
    }
    job->hold_count = count;
    struct cross_message *message =
        shards_cross_message_new(job->cross, job, PORT_LEDGER_LOOKUP_TRANSFERS, count, 1);
    if (message == NULL) {
        return ERR_BUSY;
    }
    for (uint32_t i = 0; i < job->request->count; i++) {
        if (is_wanted(job, i)) {
            job->holds[message->port.count].event = i;
            message->in.ids[message->port.count++] = job->request->in.transfers[i].pending_id;
        }
    }
    message->take = take_transfers;
    job->holds_out++;
    shards_cross_message_send(message);
    return ERR_OK;
}

/* ----------------------------------------------------------------------------- second phases ---
 */

/* No hold but the first leg of a transfer that crossed, or what ended a hold. */
static bool
is_leg(const struct cross_hold *hold)
{
    return !hold->is_held && commit_id_is_reserved(hold->transfer.credit_account_id);
}

/* Zero leaves it to the hold. */
static bool
agrees(u128 said, u128 held)
{
    return said == 0 || said == held;
}

/* Nothing that it says itself makes a ledger refuse it: then it is worth a transaction. */
static bool
can_post(const struct cross_hold *hold, const struct ledger_transfer *event)
{
    const struct ledger_transfer *held = &hold->transfer;
    return (event->flags & LEDGER_TRANSFER_FLAGS) == LEDGER_TRANSFER_POST_PENDING &&
           event->flags == LEDGER_TRANSFER_POST_PENDING && event->timestamp == 0 &&
           event->timeout == 0 && event->id != 0 && event->id != U128_MAX &&
           !commit_id_is_reserved(event->id) && event->id != event->pending_id &&
           agrees(event->debit_account_id, held->debit_account_id) &&
           agrees(event->credit_account_id, held->credit_account_id) &&
           agrees(event->ledger, held->ledger) && agrees(event->code, held->code) &&
           (event->amount == U128_MAX || event->amount <= held->amount);
}

enum cross_way
shards_cross_hold_way(const struct cross_job *job, const struct cross_hold *hold)
{
    const struct ledger_transfer *event = &job->request->in.transfers[hold->event];
    const struct shard_map *map = shards_router_map(job->cross->parts.router);
    bool placed = hold->transfer.id == 0 && hold->transfer.debit_account_id != 0;
    if (!hold->is_held && !is_leg(hold) && !placed && !shards_cross_crosses(map, event)) {
        return CROSS_WAY_LOCAL;
    }
    return hold->is_held && can_post(hold, event) ? CROSS_WAY_POST : CROSS_WAY_END;
}

struct ledger_transfer
shards_cross_hold_paid(const struct cross_hold *hold, const struct ledger_transfer *event)
{
    struct ledger_transfer paid = hold->transfer;
    paid.amount = event->amount == U128_MAX ? paid.amount : event->amount;
    paid.user_data_128 = event->user_data_128 != 0 ? event->user_data_128 : paid.user_data_128;
    paid.user_data_64 = event->user_data_64 != 0 ? event->user_data_64 : paid.user_data_64;
    paid.user_data_32 = event->user_data_32 != 0 ? event->user_data_32 : paid.user_data_32;
    return paid;
}

static u128
account_in(enum commit_account kind, uint32_t ledger, uint16_t slot)
{
    return shards_cross_place(commit_account_id(kind, ledger, slot), slot);
}

/* What is no hold to clients is pending in the payer's slot by 3PC, and in a chain where nothing is
 * decided, and must not be ended. Instead of it something is named that is not pending either; or
 * not there, if that was never booked. */
static u128
pending_of_leg(const struct cross_job *job, const struct cross_hold *hold)
{
    u128 id = hold->transfer.id;
    bool pending = hold->maker != 0 ? job->cross->parts.protocol == COMMIT_3PC ||
                                          shards_cross_is_chained(job, hold->maker - 1)
                                    : (hold->transfer.flags & LEDGER_TRANSFER_PENDING) != 0;
    if (!pending || cross_is_second_phase(&hold->transfer)) {
        return id;
    }
    u128 name = commit_name(shards_cross_name(job->cross, id, 0));
    if (hold->maker == 0) {
        return commit_end_id(name, slot_of(hold), 0, true);
    }
    uint32_t status = job->request->out.results[hold->maker - 1].status;
    bool booked = status == LEDGER_TRANSFER_created || status == LEDGER_TRANSFER_exists;
    return booked ? commit_marker_id(name, slot_of(hold))
                  : commit_end_id(name, slot_of(hold), 0, false);
}

/* Both accounts are named then, so that nobody has to look for them again, and what is another's
 * stays another's: the ledger says which of its rules is the first that it breaks. */
void
shards_cross_hold_translate(
    const struct cross_job *job,
    const struct cross_hold *hold,
    const struct ledger_transfer *event,
    struct ledger_transfer *ret_event)
{
    const struct ledger_transfer *found = hold == NULL ? NULL : &hold->transfer;
    const struct shard_map *map = shards_router_map(job->cross->parts.router);
    *ret_event = *event;
    if (found == NULL || found->id == 0) {
        uint16_t slot = shard_slot_of_id(event->debit_account_id);
        if (shards_cross_crosses(map, event)) {
            ret_event->credit_account_id = account_in(COMMIT_ACCOUNT_NOBODY, event->ledger, slot);
        } else if (found != NULL && found->debit_account_id != 0) {
            ret_event->debit_account_id = found->debit_account_id;
        }
        return;
    }
    uint16_t slot = slot_of(hold);
    u128 nobody = account_in(COMMIT_ACCOUNT_NOBODY, found->ledger, slot);
    if (is_leg(hold)) {
        ret_event->pending_id = pending_of_leg(job, hold);
        ret_event->debit_account_id = found->debit_account_id;
        ret_event->credit_account_id = nobody;
        return;
    }
    bool payer = agrees(event->debit_account_id, found->debit_account_id);
    bool payee = agrees(event->credit_account_id, found->credit_account_id);
    ret_event->debit_account_id = payer ? found->debit_account_id : nobody;
    if (hold->is_held) {
        u128 held = account_in(COMMIT_ACCOUNT_HELD, found->ledger, slot);
        ret_event->credit_account_id = payee ? held : nobody;
    } else if (!payee) {
        ret_event->credit_account_id = nobody;
    } else if (shards_cross_crosses(map, found)) {
        ret_event->credit_account_id = 0; /* of a chain, when both slots were on one shard */
    } else {
        ret_event->credit_account_id = found->credit_account_id;
    }
}

/* Ids of a batch, as a set: half of it stays free. */
struct ids {
    u128 *ids; /* 0: free */
    uint32_t mask;
};

/* Was it there? */
static bool
ids_add(const struct ids *ids, u128 id)
{
    uint32_t at = (uint32_t)hash_u128(id) & ids->mask;
    while (ids->ids[at] != 0 && ids->ids[at] != id) {
        at = (at + 1) & ids->mask;
    }
    bool there = ids->ids[at] != 0;
    ids->ids[at] = id;
    return there;
}

err_t
shards_cross_is_planned(
    struct shards_cross *cross, const struct port_ledger_request *request, bool *ret_planned)
{
    bool ends = false;
    bool joins = false;
    for (uint32_t i = 0; i < request->count && !joins; i++) {
        const struct ledger_transfer *event = &request->in.transfers[i];
        bool is_end = cross_is_second_phase(event);
        ends = ends || is_end;
        joins = (is_end && shards_cross_joins_slots(event)) || shards_cross_is_slots_hold(event);
    }
    *ret_planned = joins;
    if (joins || !ends || request->count == 1) {
        return ERR_OK;
    }
    struct ids ids = {.mask = 15};
    while (ids.mask < 2 * request->count) {
        ids.mask = ids.mask * 2 + 1;
    }
    uint64_t size = (ids.mask + UINT64_C(1)) * sizeof(u128);
    ids.ids = shards_cross_memory_take(cross, size);
    if (ids.ids == NULL) {
        return ERR_BUSY;
    }
    for (uint32_t i = 0; i < request->count; i++) {
        u128 id = request->in.transfers[i].id;
        *ret_planned = *ret_planned || (id != 0 && ids_add(&ids, id));
    }
    shards_cross_memory_give(cross, ids.ids, size);
    return ERR_OK;
}

bool
shards_cross_is_chained(const struct cross_job *job, uint32_t event)
{
    const struct ledger_transfer *events = job->request->in.transfers;
    return (events[event].flags & LEDGER_TRANSFER_LINKED) != 0 ||
           (event > 0 && (events[event - 1].flags & LEDGER_TRANSFER_LINKED) != 0);
}

bool
shards_cross_end_is_doubtful(const struct ledger_transfer *event, uint32_t status)
{
    bool linked = (event->flags & LEDGER_TRANSFER_LINKED) != 0;
    bool payee = status == LEDGER_TRANSFER_pending_transfer_has_different_credit_account_id;
    bool other = status == LEDGER_TRANSFER_exists_with_different_flags ||
                 status == LEDGER_TRANSFER_exists_with_different_credit_account_id ||
                 status == LEDGER_TRANSFER_pending_transfer_has_different_debit_account_id;
    return (payee || (other && !linked)) && cross_is_second_phase(event);
}
