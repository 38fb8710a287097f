/*
 * What of a batch crosses, and in which order its parts are done.
 *
 * Units are transfers, holds and chains that cross, and chains (or single events) that do not. A
 * unit has a level: the levels are done one after the other, everything of one level at once. Two
 * units that name the same account, transfer or pending keep their order:
 *
 *     both local          the same level at least: a level's local events are one batch, in order
 *     local, then crosses a later level: the decision must see what was booked before
 *     crosses, then local a later level: the event must see the decision
 *     both cross          the same level at least: they do not see each other's money; a later one
 *                         if they name the same transfer, as a hold and what posts it do
 *
 * What ends a pending that nobody has yet may be about any account: it comes behind everything that
 * crosses before it, and before everything that crosses behind it.
 */
#include "cross_private.h"

#include "base/assert.h"
#include "base/hash.h"

#include <stdlib.h>
#include <string.h>

/* What is remembered of an account, a transfer, a pending. Levels are counted from 1. */
struct key {
    u128 id; /* 0: free */
    uint32_t local, crossing;
};

struct plan {
    struct cross_job *job;
    const struct shard_map *map;
    struct key *keys;
    uint32_t mask;
    bool mixed;                           /* some unit is local */
    bool ids_only;                        /* accounts are not looked at */
    uint32_t floor_local, floor_crossing; /* no lower level from here on */
    uint32_t highest_crossing;
    uint32_t highest;
};

static bool
is_account(u128 id)
{
    return id != 0 && id != U128_MAX;
}

/* ----------------------------------------------------------------------------- what crosses --- */

bool
shards_cross_crosses(const struct shard_map *map, const struct ledger_transfer *transfer)
{
    return is_account(transfer->debit_account_id) && is_account(transfer->credit_account_id) &&
           shard_map_of_id(map, transfer->debit_account_id) !=
               shard_map_of_id(map, transfer->credit_account_id);
}

bool
shards_cross_joins_slots(const struct ledger_transfer *transfer)
{
    return is_account(transfer->debit_account_id) && is_account(transfer->credit_account_id) &&
           shard_slot_of_id(transfer->debit_account_id) !=
               shard_slot_of_id(transfer->credit_account_id);
}

bool
shards_cross_is_slots_hold(const struct ledger_transfer *transfer)
{
    return transfer->flags == LEDGER_TRANSFER_PENDING && shards_cross_joins_slots(transfer) &&
           !shards_cross_is_ours(transfer) && !shards_cross_is_faulty(transfer);
}

bool
shards_cross_is_faulty(const struct ledger_transfer *transfer)
{
    bool pending = (transfer->flags & LEDGER_TRANSFER_PENDING) != 0;
    return transfer->timestamp != 0 || (transfer->flags & ~LEDGER_TRANSFER_FLAGS) != 0 ||
           transfer->id == 0 || transfer->id == U128_MAX || transfer->pending_id != 0 ||
           (transfer->timeout != 0 && !pending) || transfer->ledger == 0 || transfer->code == 0;
}

bool
shards_cross_is_ours(const struct ledger_transfer *transfer)
{
    return commit_id_is_reserved(transfer->id) ||
           commit_id_is_reserved(transfer->debit_account_id) ||
           commit_id_is_reserved(transfer->credit_account_id) || transfer->ledger == COMMIT_LEDGER;
}

/* CROSS-6: plain transfers, holds, and what ends a hold. */
static bool
may_cross(const struct ledger_transfer *transfer)
{
    unsigned flags = transfer->flags & LEDGER_TRANSFER_FLAGS;
    return !shards_cross_is_ours(transfer) && (flags == 0 || flags == LEDGER_TRANSFER_PENDING);
}

/* Of a single event: how, or ERR_CROSSES_SHARDS. */
static err_t
way_find(const struct plan *plan, uint32_t event, enum cross_way *ret_way)
{
    const struct ledger_transfer *transfer = &plan->job->request->in.transfers[event];
    const struct cross_hold *hold = shards_cross_hold_of(plan->job, event);
    bool crosses = shards_cross_crosses(plan->map, transfer);
    if (hold != NULL && hold->doubtful) {
        return ERR_CROSSES_SHARDS;
    }
    if (hold != NULL) {
        *ret_way = shards_cross_hold_way(plan->job, hold);
        bool ours = shards_cross_is_ours(transfer) && *ret_way != CROSS_WAY_LOCAL;
        return ours ? ERR_CROSSES_SHARDS : ERR_OK;
    }
    if (!crosses) {
        *ret_way = shards_cross_is_slots_hold(transfer) ? CROSS_WAY_HOLD : CROSS_WAY_LOCAL;
        return ERR_OK;
    }
    if (cross_is_second_phase(transfer) && !shards_cross_is_ours(transfer)) {
        *ret_way = CROSS_WAY_END; /* of nothing: its pending_id is zero */
        return ERR_OK;
    }
    if (!may_cross(transfer)) {
        return ERR_CROSSES_SHARDS;
    }
    *ret_way = shards_cross_is_faulty(transfer)                   ? CROSS_WAY_FAULTY
               : (transfer->flags & LEDGER_TRANSFER_PENDING) != 0 ? CROSS_WAY_HOLD
                                                                  : CROSS_WAY_TRANSFER;
    return ERR_OK;
}

/* The whole chain that begins at `start`: its end, and whether it is on more than one shard. */
static err_t
unit_find(const struct plan *plan, uint32_t start, struct cross_unit *ret_unit)
{
    struct port_ledger_request *request = plan->job->request;
    const struct ledger_transfer *events = request->in.transfers;
    uint32_t owner = SHARD_SHARDS_MAX;
    bool several = false;
    uint32_t held = request->count; /* an event that ends what is held for another slot */
    uint32_t end = start;
    bool linked = true;
    for (; linked && end < request->count; end++) {
        const u128 accounts[2] = {events[end].debit_account_id, events[end].credit_account_id};
        for (int i = 0; i < 2; i++) {
            if (is_account(accounts[i])) {
                uint32_t other = shard_map_of_id(plan->map, accounts[i]);
                several = several || (owner != SHARD_SHARDS_MAX && other != owner);
                owner = other;
            }
        }
        const struct cross_hold *hold = shards_cross_hold_of(plan->job, end);
        bool ends_held = hold != NULL && (hold->is_held || hold->doubtful);
        held = ends_held && held == request->count ? end : held;
        linked = (events[end].flags & LEDGER_TRANSFER_LINKED) != 0;
    }
    *ret_unit = (struct cross_unit){.start = start, .count = end - start};
    err_t result = ERR_CROSSES_SHARDS;
    uint32_t place = start;
    if (end == start + 1) {
        result = way_find(plan, start, &ret_unit->way);
    } else if (several) {
        result = shards_cross_chain_check(plan->job, ret_unit, &place);
        ret_unit->way = CROSS_WAY_CHAIN;
    } else if (held == request->count) {
        result = ERR_OK;
    } else {
        place = held;
    }
    request->out_count = result == ERR_OK ? request->out_count : place;
    return result;
}

/* ----------------------------------------------------------------------------------- levels --- */

static struct key *
key_of(struct plan *plan, u128 id)
{
    uint32_t at = (uint32_t)hash_u128(id) & plan->mask;
    while (plan->keys[at].id != 0 && plan->keys[at].id != id) {
        at = (at + 1) & plan->mask;
    }
    plan->keys[at].id = id;
    return &plan->keys[at];
}

static uint32_t
max(uint32_t a, uint32_t b)
{
    return a > b ? a : b;
}

/* Zeros are what nobody can have. The first two are of accounts, a second phase's those of its
 * hold.
 */
static void
keys_of(const struct plan *plan, uint32_t event, u128 keys[4])
{
    const struct ledger_transfer *transfer = &plan->job->request->in.transfers[event];
    const struct cross_hold *hold = shards_cross_hold_of(plan->job, event);
    const struct ledger_transfer *about =
        hold != NULL && hold->transfer.id != 0 ? &hold->transfer : transfer;
    const u128 ids[4] = {
        plan->ids_only ? 0 : about->debit_account_id,
        plan->ids_only ? 0 : about->credit_account_id,
        transfer->id,
        transfer->pending_id,
    };
    memcpy(keys, ids, sizeof(ids));
}

/* Nobody has its pending, as far as is known. */
static bool
is_open(const struct plan *plan, uint32_t event)
{
    const struct ledger_transfer *transfer = &plan->job->request->in.transfers[event];
    const struct cross_hold *hold = shards_cross_hold_of(plan->job, event);
    bool known = hold != NULL && hold->transfer.id != 0;
    return transfer->pending_id != 0 && !known &&
           (!is_account(transfer->debit_account_id) || !is_account(transfer->credit_account_id));
}

/* The least that the unit's keys allow: behind what came before with the same key, or together with
 * it where that is as good. */
static uint32_t
least_level(struct plan *plan, const struct cross_unit *unit, bool crosses)
{
    uint32_t level = crosses ? plan->floor_crossing : plan->floor_local;
    u128 keys[4];
    for (uint32_t i = 0; i < unit->count; i++) {
        keys_of(plan, unit->start + i, keys);
        for (uint32_t j = 0; j < 4; j++) {
            if (keys[j] == 0) {
                continue;
            }
            const struct key *key = key_of(plan, keys[j]);
            bool together = crosses && (j < 2 || key->crossing == 0);
            level = max(level, crosses ? key->local + 1 : key->local);
            level = max(level, together ? key->crossing : key->crossing + 1);
        }
    }
    return level;
}

static bool
has_open(const struct plan *plan, const struct cross_unit *unit)
{
    for (uint32_t i = 0; i < unit->count; i++) {
        if (is_open(plan, unit->start + i)) {
            return true;
        }
    }
    return false;
}

static void
note_level(struct plan *plan, const struct cross_unit *unit, bool crosses, uint32_t level)
{
    u128 keys[4];
    for (uint32_t i = 0; i < unit->count; i++) {
        keys_of(plan, unit->start + i, keys);
        for (uint32_t j = 0; j < 4; j++) {
            if (keys[j] != 0) {
                struct key *key = key_of(plan, keys[j]);
                key->crossing = crosses ? level : key->crossing;
                key->local = crosses ? key->local : level;
            }
        }
    }
    plan->highest_crossing = crosses ? max(plan->highest_crossing, level) : plan->highest_crossing;
    plan->highest = max(plan->highest, level);
}

static void
unit_level(struct plan *plan, struct cross_unit *unit)
{
    bool crosses = cross_way_crosses(unit->way);
    uint32_t level = least_level(plan, unit, crosses);
    if (has_open(plan, unit)) {
        level = max(level, plan->highest_crossing + 1);
        plan->floor_crossing = max(plan->floor_crossing, level + 1);
        plan->floor_local = max(plan->floor_local, level);
    }
    note_level(plan, unit, crosses, level);
    unit->level = level;
}

static int
unit_compare(const void *left, const void *right)
{
    const struct cross_unit *a = left;
    const struct cross_unit *b = right;
    if (a->level != b->level) {
        return a->level < b->level ? -1 : 1;
    }
    return a->start < b->start ? -1 : a->start > b->start;
}

/* Of a batch that one shard has answered: is the event left as it is? Of a chain it is, as it names
 * no payee of another slot: that would have been planned at once. So nothing is refused here of
 * which something was done. */
static bool
is_left(const struct cross_job *job, uint32_t event)
{
    return job->again &&
           (shards_cross_hold_of(job, event) == NULL || shards_cross_is_chained(job, event) ||
            shards_cross_is_ours(&job->request->in.transfers[event]));
}

static err_t
units_make(struct plan *plan)
{
    struct cross_job *job = plan->job;
    for (uint32_t at = 0; at < job->request->count;) {
        struct cross_unit *unit = &job->units[job->unit_count];
        if (is_left(job, at)) {
            at++;
            continue;
        }
        TRY(unit_find(plan, at, unit));
        job->unit_count++;
        plan->mixed = plan->mixed || !cross_way_crosses(unit->way);
        job->crossing += cross_way_crosses(unit->way) ? unit->count : 0;
        at += unit->count;
    }
    return ERR_OK;
}

/* Of a table of so many keys an event, which is at most half full. */
static uint32_t
mask_for(uint32_t count, uint32_t keys_each)
{
    uint32_t mask = 15;
    while (mask < 2 * keys_each * count) {
        mask = mask * 2 + 1;
    }
    return mask;
}

static void
levels_make(struct plan *plan, bool ids_only)
{
    struct cross_job *job = plan->job;
    plan->ids_only = ids_only;
    plan->mask = mask_for(job->request->count, ids_only ? 2 : 4);
    memset(plan->keys, 0, (plan->mask + UINT64_C(1)) * sizeof(plan->keys[0]));
    plan->floor_local = 1;
    plan->floor_crossing = 1;
    plan->highest_crossing = 0;
    plan->highest = 0;
    for (uint32_t i = 0; i < job->unit_count; i++) {
        unit_level(plan, &job->units[i]);
    }
}

/* Of units that all cross an account only keeps behind one another those that a transfer's id has
 * put into several levels. Most batches have no id twice, and their accounts are never looked at.
 */
static void
units_sort(struct plan *plan)
{
    struct cross_job *job = plan->job;
    bool alone = !plan->mixed;
    if (alone) {
        levels_make(plan, true);
    }
    if (!alone || plan->highest > 1) {
        levels_make(plan, false);
    }
    if (plan->highest > 1) {
        qsort(job->units, job->unit_count, sizeof(job->units[0]), unit_compare);
    }
}

err_t
shards_cross_plan(struct cross_job *job)
{
    struct shards_cross *cross = job->cross;
    uint32_t count = job->request->count;
    ASSERT(count > 0);
    struct plan plan = {.job = job, .map = shards_router_map(cross->parts.router)};
    uint64_t each = sizeof(struct cross_tx) + CROSS_TRANSACTION_SIZE + sizeof(struct cross_unit);
    job->memory_size = each * count;
    job->memory = shards_cross_memory_take_unset(cross, job->memory_size);
    if (job->memory == NULL) {
        job->memory_size = 0;
        return ERR_BUSY;
    }
    static_assert(sizeof(struct cross_tx) % 16 == 0, "transactions may follow");
    job->txs = job->memory;
    job->transactions = (char *)(job->txs + count);
    job->units = (void *)(job->transactions + (uint64_t)count * CROSS_TRANSACTION_SIZE);
    TRY(units_make(&plan));
    uint64_t keys_size = (mask_for(count, 4) + UINT64_C(1)) * sizeof(struct key);
    plan.keys = shards_cross_memory_take_unset(cross, keys_size);
    if (plan.keys == NULL) {
        return ERR_BUSY;
    }
    units_sort(&plan);
    shards_cross_memory_give(cross, plan.keys, keys_size);
    return ERR_OK;
}
