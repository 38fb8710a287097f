/*
 * A ledger shard of the simulation: the real core, a memory of its past, and a log of which only
 * what was synced survives a crash. One slot to a shard.
 */
#ifndef COMMIT_SHARD_H
#define COMMIT_SHARD_H

#include "commit/commit.h"
#include "ledger/ledger.h"

#define SHARD_ENTRIES_MAX  2048
#define SHARD_ACCOUNTS_MAX 16
#define SHARD_INDEX        4096 /* a power of two */
#define SHARD_DOUBTS_MAX   8

/* One event of the log, or an id that failed for ever. */
struct shard_entry {
    bool failed;
    bool ends_batch;
    u128 failed_id;
    uint64_t clock;
    uint64_t at; /* the simulation's time */
    struct ledger_event event;
};

struct shard {
    uint16_t slot;
    struct ledger *ledger;
    struct ledger_account accounts[SHARD_ACCOUNTS_MAX];
    uint32_t account_count;
    struct shard_entry *entries;
    uint32_t entry_count;
    uint32_t synced_count;
    struct ledger_past *pasts;
    uint32_t past_count;
    uint32_t *index;             /* of pasts, plus 1 */
    struct ledger_past *answers; /* of the batch under way */
    struct ledger_event *events;
};

/* What one transaction left pending on the in-transit accounts. */
struct shard_doubt {
    struct ledger_transfer marker;
    struct ledger_transfer pendings[COMMIT_LEGS_MAX];
    uint32_t count;
};

void shard_create(
    struct shard *shard, uint16_t slot, const struct ledger_account *accounts, uint32_t count);
void shard_destroy(struct shard *shard);
/* One batch at one time. */
void shard_apply(
    struct shard *shard,
    uint64_t at,
    const struct ledger_transfer *batch,
    uint32_t count,
    struct ledger_result *results);
void shard_sync(struct shard *shard);
/* Loses what was not synced, but for so many batches that happened to reach the disk. */
void shard_crash(struct shard *shard, uint32_t lucky_batches);
/* NULL if there is none. Valid until the next change. */
const struct ledger_past *shard_find(const struct shard *shard, u128 id);
/* What has been in doubt since `until` or before; at most SHARD_DOUBTS_MAX. */
uint32_t shard_doubts(const struct shard *shard, uint64_t until, struct shard_doubt *doubts);

#endif
