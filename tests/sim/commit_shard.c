#include "commit_shard.h"

#include "base/hash.h"
#include "commit_world.h"

#include <stdlib.h>
#include <string.h>

static void *
room(size_t count, size_t size)
{
    void *memory = malloc(count * size);
    ASSERT(memory != NULL);
    return memory;
}

static void
load(struct shard *shard)
{
    const struct ledger_limits limits = {
        .account_count_max = SHARD_ACCOUNTS_MAX,
        .pending_count_max = 512,
        .expiry_batch_max = 1,
    };
    ASSERT(ledger_create(&limits, &shard->ledger) == ERR_OK);
    for (uint32_t i = 0; i < shard->account_count; i++) {
        ASSERT(ledger_load_account(shard->ledger, &shard->accounts[i]) == ERR_OK);
    }
    ledger_load_clock(shard->ledger, shard->account_count, 0, shard->account_count);
}

void
shard_create(
    struct shard *shard, uint16_t slot, const struct ledger_account *accounts, uint32_t count)
{
    ASSERT(count <= SHARD_ACCOUNTS_MAX);
    *shard = (struct shard){
        .slot = slot,
        .account_count = count,
        .entries = room(SHARD_ENTRIES_MAX, sizeof(struct shard_entry)),
        .pasts = room(SHARD_ENTRIES_MAX, sizeof(struct ledger_past)),
        .index = room(SHARD_INDEX, sizeof(uint32_t)),
        .answers = room(2 * WORLD_BATCH_MAX, sizeof(struct ledger_past)),
        .events = room(WORLD_BATCH_MAX, sizeof(struct ledger_event)),
    };
    memset(shard->index, 0, SHARD_INDEX * sizeof(uint32_t));
    for (uint32_t i = 0; i < count; i++) {
        shard->accounts[i] = accounts[i];
        shard->accounts[i].timestamp = i + 1;
    }
    load(shard);
}

void
shard_destroy(struct shard *shard)
{
    ledger_destroy(&shard->ledger);
    free(shard->entries);
    free(shard->pasts);
    free(shard->index);
    free(shard->answers);
    free(shard->events);
}

static uint32_t *
position(const struct shard *shard, u128 id)
{
    uint32_t at = (uint32_t)hash_u128(id) & (SHARD_INDEX - 1);
    while (shard->index[at] != 0 && shard->pasts[shard->index[at] - 1].id != id) {
        at = (at + 1) & (SHARD_INDEX - 1);
    }
    return &shard->index[at];
}

const struct ledger_past *
shard_find(const struct shard *shard, u128 id)
{
    uint32_t found = *position(shard, id);
    return found == 0 ? NULL : &shard->pasts[found - 1];
}

static void
remember(struct shard *shard, const struct ledger_past *past)
{
    ASSERT(shard->past_count < SHARD_ENTRIES_MAX);
    uint32_t *at = position(shard, past->id);
    ASSERT(*at == 0);
    shard->pasts[shard->past_count++] = *past;
    *at = shard->past_count;
}

static void
remember_entry(struct shard *shard, const struct shard_entry *entry)
{
    if (entry->failed) {
        remember(shard, &(struct ledger_past){.id = entry->failed_id, .kind = LEDGER_PAST_FAILED});
        return;
    }
    const struct ledger_transfer *transfer = &entry->event.transfer;
    bool posted = entry->event.kind == LEDGER_EVENT_TWO_PHASE_POSTED;
    if (posted || entry->event.kind == LEDGER_EVENT_TWO_PHASE_VOIDED) {
        uint32_t found = *position(shard, transfer->pending_id);
        ASSERT(found != 0);
        shard->pasts[found - 1].fate = posted ? LEDGER_FATE_POSTED : LEDGER_FATE_VOIDED;
    }
    bool pending = entry->event.kind == LEDGER_EVENT_TWO_PHASE_PENDING;
    remember(
        shard,
        &(struct ledger_past){
            .id = transfer->id,
            .kind = LEDGER_PAST_TRANSFER,
            .fate = pending ? LEDGER_FATE_PENDING : LEDGER_FATE_NONE,
            .transfer = *transfer,
        });
}

static void
append(struct shard *shard, const struct shard_entry *entry)
{
    ASSERT(shard->entry_count < SHARD_ENTRIES_MAX);
    shard->entries[shard->entry_count++] = *entry;
    remember_entry(shard, entry);
}

void
shard_apply(
    struct shard *shard,
    uint64_t at,
    const struct ledger_transfer *batch,
    uint32_t count,
    struct ledger_result *results)
{
    ASSERT(count <= WORLD_BATCH_MAX);
    u128 ids[2 * WORLD_BATCH_MAX];
    struct ledger_past *pasts = shard->answers;
    struct ledger_event *events = shard->events;
    u128 failed_ids[WORLD_BATCH_MAX];
    struct ledger_delta delta = {
        .events = events,
        .event_capacity = WORLD_BATCH_MAX,
        .failed_ids = failed_ids,
        .failed_capacity = WORLD_BATCH_MAX,
    };
    uint32_t named = ledger_prepare_transfers(shard->ledger, batch, count, ids);
    for (uint32_t i = 0; i < named; i++) {
        const struct ledger_past *found = shard_find(shard, ids[i]);
        pasts[i] = found != NULL ? *found : (struct ledger_past){.id = ids[i]};
    }
    ASSERT(ledger_reserve(shard->ledger, 0, count) == ERR_OK);
    ledger_set_clock(shard->ledger, ledger_clock(shard->ledger) + 1 + count);
    ledger_create_transfers(shard->ledger, batch, count, pasts, named, results, &delta);
    uint64_t clock = ledger_clock(shard->ledger);
    for (uint32_t i = 0; i < delta.event_count; i++) {
        append(shard, &(struct shard_entry){.event = events[i], .clock = clock, .at = at});
    }
    for (uint32_t i = 0; i < delta.failed_count; i++) {
        struct shard_entry entry = {
            .failed = true, .failed_id = failed_ids[i], .clock = clock, .at = at};
        append(shard, &entry);
    }
    if (shard->entry_count > 0) {
        shard->entries[shard->entry_count - 1].ends_batch = true;
    }
}

void
shard_sync(struct shard *shard)
{
    shard->synced_count = shard->entry_count;
}

void
shard_crash(struct shard *shard, uint32_t lucky_batches)
{
    uint32_t kept = shard->synced_count;
    while (lucky_batches > 0 && kept < shard->entry_count) {
        lucky_batches -= shard->entries[kept].ends_batch;
        kept++;
    }
    while (kept > shard->synced_count && !shard->entries[kept - 1].ends_batch) {
        kept--;
    }
    ledger_destroy(&shard->ledger);
    memset(shard->index, 0, SHARD_INDEX * sizeof(uint32_t));
    shard->past_count = 0;
    shard->entry_count = kept;
    shard->synced_count = kept;
    load(shard);
    for (uint32_t i = 0; i < kept; i++) {
        const struct shard_entry *entry = &shard->entries[i];
        if (!entry->failed) {
            ASSERT(ledger_redo(shard->ledger, &entry->event) == ERR_OK);
        }
        remember_entry(shard, entry);
        ledger_load_clock(shard->ledger, entry->clock, 0, 0);
    }
}

static void
add_doubt(
    const struct shard *shard,
    const struct ledger_transfer *pending,
    struct shard_doubt *doubts,
    uint32_t *count)
{
    u128 marker_id = commit_id_is_reserved(pending->id)
                         ? commit_marker_of(pending->id)
                         : commit_marker_id(commit_name(world_digest(pending->id, 0)), shard->slot);
    const struct ledger_past *marker = shard_find(shard, marker_id);
    if (marker == NULL || marker->kind != LEDGER_PAST_TRANSFER) {
        return; /* a hold */
    }
    uint32_t at = 0;
    while (at < *count && doubts[at].marker.id != marker_id) {
        at++;
    }
    if (at == SHARD_DOUBTS_MAX) {
        return;
    }
    if (at == *count) {
        doubts[at] = (struct shard_doubt){.marker = marker->transfer};
        *count = at + 1;
    }
    doubts[at].pendings[doubts[at].count++] = *pending;
}

uint32_t
shard_doubts(const struct shard *shard, uint64_t until, struct shard_doubt *doubts)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < shard->entry_count; i++) {
        const struct shard_entry *entry = &shard->entries[i];
        if (entry->failed || entry->at > until ||
            entry->event.kind != LEDGER_EVENT_TWO_PHASE_PENDING) {
            continue;
        }
        const struct ledger_past *past = shard_find(shard, entry->event.transfer.id);
        if (past->fate == LEDGER_FATE_PENDING) {
            add_doubt(shard, &past->transfer, doubts, &count);
        }
    }
    return count;
}
