/*
 * The commit of a group on shards (sharded.h). Cold parts first, then the platform's shard, then
 * the others at once: each is sent its transaction before the first of them is waited for.
 *
 *     known to have lost --> taken out everywhere        (a claim, SHARDED-3)
 *     the shards with cold parts commit, if any were written
 *     failed there --> taken out everywhere              (SHARDED-7)
 *     the platform's shard commits
 *     lost or failed there --> taken out everywhere      (SHARDED-2)
 *     the others commit; each says who lost there, or fails for all who took part there
 */
#include "sharded.h"

#include "base/assert.h"

static bool
has_begun(const struct document_sharded *sharded, uint32_t shard)
{
    return (sharded->begun & document_sharded_bit(shard)) != 0;
}

/* SHARDED-3 */
static void
find_circles(struct document_sharded *sharded)
{
    for (struct document_sharded_owner *at = sharded->first_owner; at != NULL; at = at->next) {
        if (at->owner == NULL || at->home == DOCUMENT_SHARDED_HOME_NONE) {
            continue;
        }
        /* Who read an open cold part has read the row that names it. */
        uint64_t in_order = document_sharded_bit(at->home) |
                            document_sharded_bit(sharded->platform) | sharded->groups.shards;
        if ((at->saw_dirty & ~in_order) != 0) {
            at->outcome = ERR_STALE;
        }
    }
}

/* What a shard says of who lost; true if somebody was not known to. */
static bool
take_losers(struct document_sharded *sharded, const struct document_pg *pg)
{
    bool any = false;
    for (uint32_t i = 0; i < pg->lost_count; i++) {
        struct document_sharded_owner *owner = document_sharded_owner_find(sharded, pg->lost[i]);
        /* NULL: it read before the transaction began, and has no part in it. */
        if (owner != NULL && owner->outcome == ERR_OK) {
            owner->outcome = ERR_STALE;
            any = true;
        }
    }
    return any;
}

/* Whoever is not committed is taken out of every shard that has not committed yet, with whoever
 * built on it there, until nobody else is found. `bits`: the shards. */
static void
take_out(struct document_sharded *sharded, uint64_t bits)
{
    for (bool again = true; again;) {
        again = false;
        for (uint32_t i = 0; i < sharded->count; i++) {
            struct document_pg *pg = sharded->shards[i];
            if ((bits & document_sharded_bit(i)) == 0) {
                continue;
            }
            for (struct document_sharded_owner *at = sharded->first_owner; at != NULL;
                 at = at->next) {
                if (at->outcome != ERR_OK) {
                    document_pg_lose(pg, at->owner);
                }
            }
            again = take_losers(sharded, pg) || again;
        }
    }
}

struct total {
    bool any_committed;
    bool any_lost;
    err_t failure; /* the first */
};

static void
shard_commit(struct document_sharded *sharded, uint32_t shard, struct total *total)
{
    struct document_pg *pg = sharded->shards[shard];
    bool has_rows = pg->dirty_count > 0;
    err_t result = document_pg_commit(&pg->store);
    if (result == ERR_OUTCOME_UNKNOWN &&
        (sharded->groups.shards & document_sharded_bit(shard)) != 0) {
        result = ERR_CLOSED; /* nothing names these parts: the owners are not committed, surely */
    }
    if (result != ERR_OK && result != ERR_STALE) {
        total->failure = total->failure == ERR_OK ? result : total->failure;
        for (struct document_sharded_owner *at = sharded->first_owner; at != NULL; at = at->next) {
            if (at->outcome == ERR_OK && (at->touched & document_sharded_bit(shard)) != 0) {
                at->outcome = result;
            }
        }
        return;
    }
    (void)take_losers(sharded, pg);
    total->any_lost = total->any_lost || pg->lost_count > 0;
    total->any_committed = total->any_committed || (result == ERR_OK && has_rows);
}

static err_t
total_outcome(const struct total *total)
{
    if (total->any_committed) {
        return ERR_OK; /* and each owner's outcome */
    }
    if (total->failure != ERR_OK) {
        return total->failure;
    }
    return total->any_lost ? ERR_STALE : ERR_OK;
}

/* `bits`: the shards, all at once. */
static void
shards_commit(struct document_sharded *sharded, uint64_t bits, struct total *total)
{
    for (uint32_t i = 0; i < sharded->count; i++) {
        if ((bits & document_sharded_bit(i)) != 0) {
            document_pg_commit_send(sharded->shards[i]);
        }
    }
    for (uint32_t i = 0; i < sharded->count; i++) {
        if ((bits & document_sharded_bit(i)) != 0) {
            shard_commit(sharded, i, total);
        }
    }
}

/* SHARDED-7. A part alone is nothing: that it is durable is no commit of anybody. */
static void
parts_commit(struct document_sharded *sharded, struct total *total)
{
    uint64_t cold = sharded->begun & sharded->groups.shards;
    if (cold != 0) {
        shards_commit(sharded, cold, total);
        total->any_committed = false;
        take_out(sharded, sharded->begun & ~cold);
    }
}

err_t
document_sharded_commit(struct document_store *store)
{
    struct document_sharded *sharded = document_sharded_of(store);
    struct total total = {.failure = ERR_OK};
    uint64_t others =
        sharded->begun & ~document_sharded_bit(sharded->platform) & ~sharded->groups.shards;
    ASSERT(sharded->in_transaction);
    find_circles(sharded);
    take_out(sharded, sharded->begun);
    parts_commit(sharded, &total);
    if (has_begun(sharded, sharded->platform)) {
        shard_commit(sharded, sharded->platform, &total);
        take_out(sharded, others);
    }
    shards_commit(sharded, others, &total);
    for (uint32_t i = 0; i < sharded->count; i++) {
        if (!has_begun(sharded, i)) {
            document_pg_forget(sharded->shards[i]);
        }
    }
    sharded->in_transaction = false;
    sharded->begun = 0;
    sharded->owner = NULL;
    return total_outcome(&total);
}
