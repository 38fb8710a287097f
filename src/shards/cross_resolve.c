/*
 * What is in doubt, and who finishes it: every cross, of every process, always.
 *
 *     every sweep_ms, each shard by itself: what is pending on its in-transit accounts?
 *         |  known for deadline_ms by now: whoever began it has had its time
 *         v
 *     the marker of it, in the same slot --> commit_resume --> posted or voided
 *         |  a chain's note --> the chain's marker, in the same slot --> commit_resume_chained
 *
 * A doubt is a transaction in one slot. Several processes that resolve the same one do the same.
 */
#include "cross_private.h"

#include "base/assert.h"

#include <stdlib.h>
#include <string.h>

/* What one sweep reads: the oldest. */
#define SWEEP_MAX 2048
/* Before a doubt is tried again that could not be finished; and if an operator must look. */
#define AGAIN_MS  1000
#define FAULTY_MS 10000

/* The map may get more shards; it never loses one. */
static uint32_t
shard_count(const struct shards_cross *cross)
{
    return shards_router_map(cross->parts.router)->shard_count;
}

static struct shards_doubt_entry *
entries_of(struct shards_cross *cross, uint32_t shard)
{
    return cross->sweeps[shard].doubts;
}

static bool
is_used(const struct shards_doubt_entry *entry)
{
    return entry->doubt.name != 0;
}

static bool
is_old(const struct shards_cross *cross, const struct shards_doubt_entry *entry, uint64_t now)
{
    return now - entry->known_ns >= cross_ms(cross->parts.deadline_ms);
}

static void
tell(
    const struct shards_cross *cross,
    struct shards_doubt_entry *entry,
    const char *what,
    const char *state)
{
    if (!entry->told && cross->parts.log != NULL) {
        cross->parts.log(
            cross->parts.context, true, what, entry->doubt.name, state, &entry->doubt.trace);
    }
    entry->told = true;
    entry->next_ns = cross_now(cross) + cross_ms(FAULTY_MS);
}

/* -------------------------------------------------------------------------------- resolving --- */

/* Of the transaction as it is, with all of its legs: as large as they come. */
struct resolving {
    struct cross_tx tx;
    struct commit_transaction transaction;
};

static err_t
job_begin(
    struct shards_cross *cross,
    struct shards_doubt_entry *entry,
    const struct ledger_transfer *marker)
{
    struct cross_job *job = shards_cross_job_new(cross);
    if (job == NULL) {
        return ERR_BUSY;
    }
    job->memory_size = sizeof(struct resolving);
    struct resolving *resolving = shards_cross_memory_take(cross, job->memory_size);
    if (resolving == NULL) {
        job->memory_size = 0;
        shards_cross_job_free(job);
        return ERR_BUSY;
    }
    job->memory = resolving;
    struct cross_tx *tx = &resolving->tx;
    tx->job = job;
    tx->stage = CROSS_RESOLVING;
    tx->transaction = &resolving->transaction;
    tx->began_ns = cross_now(cross);
    err_t result =
        entry->chained
            ? commit_resume_chained(
                  &tx->run, tx->transaction, marker, &entry->note, &entry->pendings[0])
            : commit_resume(
                  &tx->run, tx->transaction, marker, entry->pendings, entry->doubt.pending_count);
    if (result != ERR_OK) {
        shards_cross_job_free(job);
        return result;
    }
    entry->doubt.header = tx->transaction->header;
    entry->doubt.has_header = true;
    entry->job = job;
    job->doubt = entry;
    job->txs = tx;
    job->tx_count = 1;
    job->tx_open = 1;
    cross->resolving++;
    shards_cross_job_tick(job, tx->began_ns);
    return ERR_OK;
}

static void resolve(struct shards_cross *cross, struct shards_doubt_entry *entry);

static void
take_marker(struct cross_message *message)
{
    struct shards_doubt_entry *entry = message->doubt;
    struct shards_cross *cross = message->cross;
    entry->asked = false;
    cross->resolving--;
    entry->next_ns = cross_now(cross) + cross_ms(AGAIN_MS);
    if (message->port.error != ERR_OK || !is_used(entry) || entry->job != NULL) {
        return;
    }
    if (message->port.out_count == 0) {
        tell(cross, entry, "what is in transit has no marker: an operator must look", "unmarked");
        return;
    }
    struct ledger_transfer marker = message->port.out.transfers[0];
    shards_cross_unplace_transfer(&marker);
    if (!entry->chained && marker.code == COMMIT_KIND_CHAIN) {
        entry->chained = true; /* neither the note ever changes, nor what it is of */
        entry->note = marker;
        resolve(cross, entry);
        return;
    }
    err_t result = job_begin(cross, entry, &marker);
    if (result == ERR_CORRUPT) {
        tell(cross, entry, "a transaction's records are wrong: an operator must look", "corrupt");
    }
}

static void
resolve(struct shards_cross *cross, struct shards_doubt_entry *entry)
{
    struct cross_message *message =
        shards_cross_message_new(cross, NULL, PORT_LEDGER_LOOKUP_TRANSFERS, 1, 1);
    if (message == NULL) {
        return; /* after the next sweep */
    }
    struct commit_chain_note chain = {.name = entry->doubt.name};
    if (entry->chained && commit_chain_note_decode(&entry->note, &chain) != ERR_OK) {
        tell(cross, entry, "a chain's note is wrong: an operator must look", "corrupt");
        shards_cross_message_free(message);
        return;
    }
    message->in.ids[0] = commit_marker_id(chain.name, entry->doubt.slot);
    message->port.count = 1;
    message->port.near = shards_cross_near(entry->doubt.slot);
    message->doubt = entry;
    message->take = take_marker;
    entry->asked = true;
    cross->resolving++;
    shards_cross_message_send(message);
}

/* The sweep decides whether it is still in doubt; who has finished it knows. */
static void
entry_free(struct shards_cross *cross, struct shards_doubt_entry *entry)
{
    ASSERT(entry->job == NULL);
    struct cross_sweep *sweep = &cross->sweeps[entry->doubt.shard];
    sweep->used--;
    sweep->keys[entry - sweep->doubts] = 0;
    entry->doubt.name = 0;
}

void
shards_cross_resolve_ended(struct cross_job *job)
{
    struct shards_cross *cross = job->cross;
    struct shards_doubt_entry *entry = job->doubt;
    if (entry == NULL) {
        return;
    }
    const struct commit_run *run = &job->txs[0].run;
    cross->resolving--;
    entry->job = NULL;
    entry->next_ns = cross_now(cross) + cross_ms(AGAIN_MS);
    enum commit_outcome outcome = commit_outcome(run);
    if (run->faulty != 0) {
        tell(
            cross,
            entry,
            "a shard answers what no ledger may: an operator must look",
            commit_state_name(run->state));
        return;
    }
    if (outcome == COMMIT_OUTCOME_UNKNOWN || !commit_ended(run)) {
        return;
    }
    bool committed = outcome == COMMIT_OUTCOME_COMMITTED;
    CROSS_COUNT(cross, resolved_committed, committed ? 1 : 0);
    CROSS_COUNT(cross, resolved_aborted, committed ? 0 : 1);
    if (cross->parts.log != NULL) {
        cross->parts.log(
            cross->parts.context,
            false,
            "a transaction that was in doubt is finished",
            entry->doubt.name,
            commit_state_name(run->state),
            &entry->doubt.trace);
    }
    entry_free(cross, entry);
}

/* ------------------------------------------------------------------------------------- sweeps ---
 */

/* The trace of a transaction that this process began and still has. */
static struct trace_context
trace_of(const struct shards_cross *cross, u128 name)
{
    LIST_FOREACH_SAFE ((struct list *)(uintptr_t)&cross->jobs, link) {
        const struct cross_job *job = CONTAINER_OF(link, struct cross_job, link);
        for (uint32_t i = 0; job->doubt == NULL && i < job->tx_count; i++) {
            const struct commit_transaction *transaction = job->txs[i].transaction;
            if (transaction != NULL && transaction->header.name == name) {
                return job->trace;
            }
        }
    }
    return (struct trace_context){0};
}

static struct shards_doubt_entry *
entry_of(struct shards_cross *cross, uint32_t shard, u128 marker_id, uint64_t now)
{
    struct shards_doubt_entry *entries = entries_of(cross, shard);
    struct shards_doubt_entry *empty = NULL;
    uint16_t slot = (uint16_t)marker_id;
    u128 name = commit_name_of(marker_id);
    u128 *keys = cross->sweeps[shard].keys;
    for (uint32_t i = 0; i < SHARDS_DOUBTS_MAX; i++) {
        if (keys[i] == (name | slot)) {
            return &entries[i];
        }
        if (keys[i] == 0 && empty == NULL && !entries[i].asked) {
            empty = &entries[i];
        }
    }
    if (empty != NULL) {
        keys[empty - entries] = name | slot;
        *empty = (struct shards_doubt_entry){.known_ns = now}; /* of no chain, as far as is known */
        empty->doubt.name = name;
        empty->doubt.slot = slot;
        empty->doubt.shard = shard;
        cross->sweeps[shard].used++;
    }
    return empty;
}

static u128
marker_of(const struct shards_cross *cross, const struct ledger_transfer *pending)
{
    if (commit_id_is_reserved(pending->id)) {
        return commit_marker_of(pending->id);
    }
    uint16_t slot = (uint16_t)pending->credit_account_id; /* 3PC: the payer's leg */
    return commit_marker_id(commit_name(shards_cross_name(cross, pending->id, 0)), slot);
}

static void
take_pending(
    struct shards_cross *cross, uint32_t shard, const struct ledger_transfer *placed, uint64_t now)
{
    struct ledger_transfer pending = *placed;
    shards_cross_unplace_transfer(&pending);
    struct shards_doubt_entry *entry = entry_of(cross, shard, marker_of(cross, &pending), now);
    if (entry == NULL || entry->job != NULL) {
        if (entry != NULL) {
            entry->seen = true;
        }
        return;
    }
    if (!entry->seen) {
        entry->seen = true;
        entry->doubt.pending_count = 0;
        entry->doubt.since_ns = pending.timestamp;
    }
    if (entry->doubt.pending_count < COMMIT_LEGS_MAX) {
        entry->pendings[entry->doubt.pending_count++] = pending;
    }
}

static void
see_none(struct shards_cross *cross, uint32_t shard)
{
    struct shards_doubt_entry *entries = entries_of(cross, shard);
    for (uint32_t i = 0; i < SHARDS_DOUBTS_MAX; i++) {
        entries[i].seen = false;
    }
}

/* Those that the sweep did not see are finished, or have left with their slot. */
static void
forget_unseen(struct shards_cross *cross, uint32_t shard)
{
    struct shards_doubt_entry *entries = entries_of(cross, shard);
    for (uint32_t i = 0; i < SHARDS_DOUBTS_MAX; i++) {
        if (is_used(&entries[i]) && !entries[i].seen && entries[i].job == NULL) {
            entry_free(cross, &entries[i]);
        }
    }
}

static void
resolve_old(struct shards_cross *cross, uint32_t shard, uint64_t now)
{
    struct shards_doubt_entry *entries = entries_of(cross, shard);
    uint32_t left = cross->sweeps[shard].used;
    for (uint32_t i = 0; i < SHARDS_DOUBTS_MAX && left > 0; i++) {
        struct shards_doubt_entry *entry = &entries[i];
        if (!is_used(entry)) {
            continue;
        }
        left--;
        if (!is_old(cross, entry, now)) {
            continue;
        }
        if (!trace_context_is_set(&entry->doubt.trace)) {
            entry->doubt.trace = trace_of(cross, entry->doubt.name);
        }
        bool due = entry->job == NULL && !entry->asked && now >= entry->next_ns;
        if (due && cross->resolving < SHARDS_RESOLVING_MAX) {
            resolve(cross, entry);
        }
    }
}

static void
take_sweep(struct cross_message *message)
{
    struct shards_cross *cross = message->cross;
    uint32_t shard = message->shard;
    uint64_t now = cross_now(cross);
    cross->sweeps[shard].under_way = false;
    if (message->port.error != ERR_OK) {
        CROSS_COUNT(cross, sweeps_failed, 1);
    } else {
        see_none(cross, shard);
        for (uint32_t i = 0; i < message->port.out_count; i++) {
            take_pending(cross, shard, &message->port.out.transfers[i], now);
        }
        forget_unseen(cross, shard);
    }
    resolve_old(cross, shard, now);
}

/* An account where the shard is asked; false: it has no slot. */
static bool
near_of(const struct shard_map *map, uint32_t shard, u128 *ret_near)
{
    for (uint32_t slot = 0; slot < SHARD_SLOTS; slot++) {
        if (map->owners[slot] == shard) {
            *ret_near = shards_cross_near((uint16_t)slot);
            return true;
        }
    }
    return false;
}

static void
sweep(struct shards_cross *cross, uint32_t shard)
{
    u128 near;
    struct cross_sweep *state = &cross->sweeps[shard];
    if (!near_of(shards_router_map(cross->parts.router), shard, &near)) {
        if (state->doubts != NULL) {
            see_none(cross, shard); /* what was here has left with its slots */
            forget_unseen(cross, shard);
        }
        return;
    }
    if (state->keys == NULL) {
        state->keys = calloc(SHARDS_DOUBTS_MAX, sizeof(*state->keys));
    }
    if (state->keys != NULL && state->doubts == NULL) {
        state->doubts = calloc(SHARDS_DOUBTS_MAX, sizeof(*state->doubts));
    }
    struct cross_message *message =
        state->doubts == NULL
            ? NULL
            : shards_cross_message_new(cross, NULL, PORT_LEDGER_QUERY_IN_TRANSIT, SWEEP_MAX, 1);
    if (message == NULL) {
        CROSS_COUNT(cross, sweeps_failed, 1);
        return;
    }
    message->filter = (struct port_ledger_filter){.limit = SWEEP_MAX};
    message->port.near = near;
    message->shard = shard;
    message->take = take_sweep;
    state->under_way = true;
    shards_cross_message_send(message);
}

static void
show_doubts(struct shards_cross *cross, uint64_t now)
{
    uint64_t count = 0;
    uint64_t oldest = 0;
    for (uint32_t shard = 0; shard < shard_count(cross); shard++) {
        const struct shards_doubt_entry *entries = entries_of(cross, shard);
        for (uint32_t i = 0; cross->sweeps[shard].used > 0 && i < SHARDS_DOUBTS_MAX; i++) {
            if (is_used(&entries[i]) && is_old(cross, &entries[i], now)) {
                uint64_t age = now - entries[i].known_ns;
                count++;
                oldest = age > oldest ? age : oldest;
            }
        }
    }
    CROSS_SHOW(cross, in_doubt, count);
    CROSS_SHOW(cross, oldest_doubt_ms, oldest / OS_NS_PER_MS);
}

void
shards_cross_resolve_tick(struct shards_cross *cross, uint64_t now)
{
    bool any = false;
    for (uint32_t shard = 0; shard < shard_count(cross); shard++) {
        struct cross_sweep *state = &cross->sweeps[shard];
        if (!state->under_way && now >= state->next_ns) {
            any = true;
            state->next_ns = now + cross_ms(cross->parts.sweep_ms);
            sweep(cross, shard);
        }
    }
    if (any) {
        show_doubts(cross, now);
    }
}

/* ---------------------------------------------------------------------------------- operators ---
 */

/* Of all places of all shards; NULL: there is nothing. */
static struct shards_doubt_entry *
entry_at(struct shards_cross *cross, uint32_t place)
{
    struct shards_doubt_entry *entries = entries_of(cross, place / SHARDS_DOUBTS_MAX);
    struct shards_doubt_entry *entry = entries == NULL ? NULL : &entries[place % SHARDS_DOUBTS_MAX];
    return entry != NULL && is_used(entry) ? entry : NULL;
}

uint32_t
shards_cross_doubts(struct shards_cross *cross, struct shards_doubt *ret_doubts, uint32_t room)
{
    uint32_t count = 0;
    uint64_t now = cross_now(cross);
    uint32_t places = shard_count(cross) * SHARDS_DOUBTS_MAX;
    for (uint32_t i = 0; i < places && count < room; i++) {
        const struct shards_doubt_entry *entry = entry_at(cross, i);
        if (entry == NULL || !is_old(cross, entry, now)) {
            continue;
        }
        struct shards_doubt *doubt = &ret_doubts[count++];
        *doubt = entry->doubt;
        doubt->known_ms = (now - entry->known_ns) / OS_NS_PER_MS;
        doubt->resolving = entry->job != NULL;
        doubt->state =
            entry->job != NULL ? commit_state_name(entry->job->txs[0].run.state) : "waiting";
    }
    return count;
}

err_t
shards_cross_conclude(struct shards_cross *cross, u128 name)
{
    err_t result = ERR_NOT_FOUND;
    for (uint32_t i = 0; i < shard_count(cross) * SHARDS_DOUBTS_MAX; i++) {
        struct shards_doubt_entry *entry = entry_at(cross, i);
        if (entry != NULL && entry->doubt.name == name) {
            result = ERR_OK;
            entry->next_ns = 0;
            if (entry->job == NULL && !entry->asked) {
                resolve(cross, entry);
            }
        }
    }
    return result;
}
