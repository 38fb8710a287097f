/*
 * What of a batch crosses, and in which order its parts are done.
 *
 * Units are transfers that cross, and chains (or single events) that do not. A unit has a level:
 * the levels are done one after the other, everything of one level at once. Two units that name the
 * same account, transfer or pending keep their order:
 *
 *     both local          the same level at least: a level's local events are one batch, in order
 *     local, then crosses a later level: the decision must see what was booked before
 *     crosses, then local a later level: the event must see the decision
 *     both cross          the same level at least: they do not see each other's money
 *
 * What ends a pending that it names by id alone may be about any account: it comes behind
 * everything that crosses before it, and before everything that crosses behind it.
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

static bool
crosses(const struct plan *plan, const struct ledger_transfer *transfer)
{
    return is_account(transfer->debit_account_id) && is_account(transfer->credit_account_id) &&
           shard_map_of_id(plan->map, transfer->debit_account_id) !=
               shard_map_of_id(plan->map, transfer->credit_account_id);
}

/* Refused by any ledger for what it says itself, whatever the accounts are. */
static bool
is_faulty(const struct ledger_transfer *transfer)
{
    return transfer->timestamp != 0 || (transfer->flags & ~LEDGER_TRANSFER_FLAGS) != 0 ||
           transfer->id == 0 || transfer->id == U128_MAX || transfer->pending_id != 0 ||
           transfer->timeout != 0 || transfer->ledger == 0 || transfer->code == 0;
}

/* CROSS-6: a plain transfer, and nothing that is the protocol's. */
static bool
may_cross(const struct ledger_transfer *transfer)
{
    return (transfer->flags & LEDGER_TRANSFER_FLAGS) == 0 && !commit_id_is_reserved(transfer->id) &&
           !commit_id_is_reserved(transfer->debit_account_id) &&
           !commit_id_is_reserved(transfer->credit_account_id) && transfer->ledger != COMMIT_LEDGER;
}

/* The whole chain that begins at `start`: its end, and whether it is on more than one shard. */
static err_t
unit_find(const struct plan *plan, uint32_t start, struct cross_unit *ret_unit)
{
    struct port_ledger_request *request = plan->job->request;
    const struct ledger_transfer *events = request->in.transfers;
    uint32_t owner = SHARD_SHARDS_MAX;
    bool several = false;
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
        linked = (events[end].flags & LEDGER_TRANSFER_LINKED) != 0;
    }
    *ret_unit = (struct cross_unit){.start = start, .count = end - start};
    if (!several) {
        return ERR_OK;
    }
    bool single = end == start + 1 && crosses(plan, &events[start]);
    if (!single || !may_cross(&events[start])) {
        request->out_count = start;
        return ERR_CROSSES_SHARDS;
    }
    ret_unit->faulty = is_faulty(&events[start]);
    ret_unit->crosses = !ret_unit->faulty;
    return ERR_OK;
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

/* Calls nothing for ids that nobody can have. */
static uint32_t
keys_of(const struct ledger_transfer *transfer, u128 keys[4])
{
    const u128 ids[4] = {
        transfer->id,
        transfer->debit_account_id,
        transfer->credit_account_id,
        transfer->pending_id};
    uint32_t count = 0;
    for (int i = 0; i < 4; i++) {
        if (ids[i] != 0) {
            keys[count++] = ids[i];
        }
    }
    return count;
}

static bool
is_open(const struct ledger_transfer *transfer)
{
    return transfer->pending_id != 0 &&
           (!is_account(transfer->debit_account_id) || !is_account(transfer->credit_account_id));
}

static void
unit_level(struct plan *plan, struct cross_unit *unit)
{
    const struct ledger_transfer *events = &plan->job->request->in.transfers[unit->start];
    uint32_t level = unit->crosses ? plan->floor_crossing : plan->floor_local;
    bool open = false;
    u128 keys[4];
    for (uint32_t i = 0; i < unit->count; i++) {
        uint32_t count = keys_of(&events[i], keys);
        open = open || is_open(&events[i]);
        for (uint32_t j = 0; j < count; j++) {
            const struct key *key = key_of(plan, keys[j]);
            level = max(level, unit->crosses ? key->local + 1 : key->local);
            level = max(level, unit->crosses ? key->crossing : key->crossing + 1);
        }
    }
    if (open) {
        level = max(level, plan->highest_crossing + 1);
        plan->floor_crossing = max(plan->floor_crossing, level + 1);
        plan->floor_local = max(plan->floor_local, level);
    }
    for (uint32_t i = 0; i < unit->count; i++) {
        uint32_t count = keys_of(&events[i], keys);
        for (uint32_t j = 0; j < count; j++) {
            struct key *key = key_of(plan, keys[j]);
            key->crossing = unit->crosses ? level : key->crossing;
            key->local = unit->crosses ? key->local : level;
        }
    }
    plan->highest_crossing =
        unit->crosses ? max(plan->highest_crossing, level) : plan->highest_crossing;
    plan->highest = max(plan->highest, level);
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

static err_t
units_make(struct plan *plan)
{
    struct cross_job *job = plan->job;
    for (uint32_t at = 0; at < job->request->count;) {
        struct cross_unit *unit = &job->units[job->unit_count++];
        TRY(unit_find(plan, at, unit));
        unit_level(plan, unit);
        job->crossing += unit->crosses ? 1 : 0;
        at += unit->count;
    }
    if (plan->highest > 1) {
        qsort(job->units, job->unit_count, sizeof(job->units[0]), unit_compare);
    }
    return ERR_OK;
}

err_t
shards_cross_plan(struct cross_job *job)
{
    struct shards_cross *cross = job->cross;
    uint32_t count = job->request->count;
    ASSERT(count > 0);
    struct plan plan = {
        .job = job,
        .map = shards_router_map(cross->parts.router),
        .mask = 15,
        .floor_local = 1,
        .floor_crossing = 1,
    };
    while (plan.mask < 8 * count) { /* four keys an event, and at most half full */
        plan.mask = plan.mask * 2 + 1;
    }
    uint64_t keys_size = (plan.mask + UINT64_C(1)) * sizeof(struct key);
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
    plan.keys = shards_cross_memory_take(cross, keys_size);
    if (plan.keys == NULL) {
        return ERR_BUSY;
    }
    err_t result = units_make(&plan);
    shards_cross_memory_give(cross, plan.keys, keys_size);
    return result;
}
