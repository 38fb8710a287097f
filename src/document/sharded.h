/*
 * One store over several databases: documents in shards. A merchant's rows, of both modes, are
 * together in one of them; the platform's (scopes 0 and 1: merchants, API keys, types of events)
 * are in the one that has merchant 0. The table `documents` of a map (shard/shard.h) says which has
 * which, by hash or by range of the merchant's number.
 *
 *     owner ------> writes rows of one shard, its home: one transaction of that database
 *          \------> and facts: platform rows `unless_there`, which are true by themselves
 *
 * A commit of a group is one transaction in each database that it writes:
 *
 *     facts and platform rows   the platform's shard; whoever lost there is taken out of the others
 *     the other shards          all at once, each for itself
 *
 * SHARDED-1  What an owner writes is on one shard, but for facts: ERR_CROSSES_SHARDS. So what has
 *            to happen together is one commit of one database, and there is no protocol.
 * SHARDED-2  Facts are durable before what they are needed for. One whose owner's home fails then
 *            stays, and says nothing wrong.
 * SHARDED-3  Whoever built on rows that were not committed is not committed. Between two homes that
 *            could be a circle: an owner who read, on another shard than its own and the
 *            platform's, what the same transaction wrote there, has lost, and tries again.
 * SHARDED-4  A shard that fails fails its own owners: shared->outcome.
 * SHARDED-5  A database is opened by one map: it has the shard's name and the map's epoch
 *            (postgres_shard.c).
 * SHARDED-6  A value of a column that is unique across scopes is claimed by a row of the platform's
 *            shard before the row that has it is there. A claim stays.
 *
 * SHARDED-7  A cold part (sharded_cold.c) is durable before the hot row that names it, and is there
 *            as long as a row names it. The hot row decides: a part that none names does not exist.
 * SHARDED-8  A part's name has the version at which the hot row may name it first. So once the row
 *            has that version, or a later one, and does not name it, it never will.
 * SHARDED-9  A shard with cold parts has nothing else. Without it goes on whatever reads hot
 *            members only or has no cold ones; what needs a part is refused: ERR_CLOSED.
 *
 * Nobody in particular (owner NULL) may write everywhere, and each of these rows stands alone.
 */
#ifndef DOCUMENT_SHARDED_H
#define DOCUMENT_SHARDED_H

#include "postgres.h"

#include "shard/shard.h"

#include <assert.h>

/* A merchant's number, so wide that texts are in the order of numbers. */
#define DOCUMENT_SHARDED_KEY_SIZE  21
#define DOCUMENT_SHARDED_HOME_NONE UINT32_MAX
#define DOCUMENT_SHARDED_TABLE     "documents"
#define DOCUMENT_SHARDED_PATH_SIZE 1024
#define DOCUMENT_SHARDED_KINDS_MAX 128
/* Of objects, by this process. */
#define DOCUMENT_SHARDED_HELD_MAX (1U << 20)

/* Somebody who read or wrote in the open transaction, or in the last one. */
struct document_sharded_owner {
    struct map_link link;
    struct document_sharded_owner *next;
    const void *owner;
    uint64_t touched;   /* bits of shards that it read or wrote */
    uint64_t saw_dirty; /* bits of shards where it read what the transaction wrote */
    uint32_t home;      /* where it writes, or DOCUMENT_SHARDED_HOME_NONE */
    err_t outcome;
};

/* The cold parts of a kind's rows. */
struct document_sharded_group {
    const struct document_kind *kind;
    char name[SHARD_NAME_SIZE + 8];
    struct document_kind cold; /* its table; without columns */
    uint32_t shard;
};

struct document_sharded_groups {
    struct document_sharded_group groups[SHARD_TABLES_MAX];
    uint32_t count;
    uint64_t shards; /* bits of shards that have cold parts */
};

/* A lock of an object that this process has, in its scope's shard. */
struct document_sharded_held {
    struct map_link link;
    uint64_t scope;
    struct span id; /* behind the struct */
};

struct document_sharded {
    struct document_store store;                                   /* first */
    char path[DOCUMENT_SHARDED_PATH_SIZE];                         /* of the map */
    const struct document_kind *kinds[DOCUMENT_SHARDED_KINDS_MAX]; /* and that of claims */
    uint32_t kind_count;
    struct shard_map *map;
    uint32_t table;
    uint32_t count;
    uint32_t platform;
    /* For other threads: that shard, and all in their order; NULL behind the last. */
    _Atomic(struct document_pg *) platform_pg;
    _Atomic(struct document_pg *) seen[SHARD_SHARDS_MAX];
    struct document_sharded_groups groups;
    struct document_pg *shards[SHARD_SHARDS_MAX];
    /* That are in the map no more. Without a connection; another thread may have had its eyes on
     * one. */
    struct document_pg *retired[SHARD_SHARDS_MAX];
    uint32_t retired_count;

    /* Following the map: sharded_follow.c. */
    struct map held;
    bool gave_up; /* it waited for a map in vain, and looks now and then */
    uint64_t look_ms;

    bool in_transaction;
    uint64_t begun; /* bits of shards that have an open transaction */
    const void *owner;
    struct arena arena; /* of the owners */
    struct map owners;
    struct document_sharded_owner *first_owner;
};

static inline struct document_sharded *
document_sharded_of(struct document_store *store)
{
    return (struct document_sharded *)(void *)store;
}

static inline uint64_t
document_sharded_bit(uint32_t shard)
{
    return UINT64_C(1) << shard;
}

static_assert(SHARD_SHARDS_MAX <= 64, "a bit for each shard");

extern const struct document_kind document_sharded_claim_kind;

/* sharded.c: to other threads, the shards as they are now. */
void document_sharded_show(struct document_sharded *sharded);

/* sharded_open.c: document_store_open of shards:FILE. */
MUST_USE err_t document_sharded_open(
    const char *path,
    const struct document_kind *const *kinds,
    uint32_t kind_count,
    struct document_store **ret_store,
    char message[DOCUMENT_MESSAGE_SIZE]);
/* One of a map's shards, with the kinds that `sharded` has. `groups` are the map's; if the shard
 * has cold parts they are where they will be as long as it is open. */
MUST_USE err_t document_sharded_shard_open(
    const struct document_sharded *sharded,
    const struct document_sharded_groups *groups,
    const struct shard_map *map,
    uint32_t shard,
    struct document_pg **ret_pg,
    char message[DOCUMENT_MESSAGE_SIZE]);
/* Which shard of the map has a scope's rows. */
uint32_t document_sharded_place(const struct shard_map *map, uint32_t table, uint64_t scope);

/* sharded.c */
extern const struct document_store_ops document_sharded_ops;
extern const struct document_shared_ops document_sharded_shared_ops;
void document_sharded_close(struct document_store *store);

static inline uint32_t
document_sharded_route(const struct document_sharded *sharded, uint64_t scope)
{
    return document_sharded_place(sharded->map, sharded->table, scope);
}

/* The same before a write, in a transaction. SHARDED-1. A fact is written where it belongs,
 * whatever the owner's home. */
MUST_USE err_t
document_sharded_write_enter(struct document_sharded *sharded, uint32_t shard, bool is_fact);
/* On behalf of the owner, before and after a read of the shard. */
MUST_USE err_t document_sharded_enter(struct document_sharded *sharded, uint32_t shard);
void document_sharded_leave(struct document_sharded *sharded, uint32_t shard);
/* NULL: it has not taken part. */
struct document_sharded_owner *document_sharded_owner_find(
    const struct document_sharded *sharded, const void *owner);

/* sharded_cold.c */
/* The column tables of a map that was loaded. ERR_INVALID, with the message. The groups are where
 * they are: their kinds point to their names. */
MUST_USE err_t document_sharded_groups_read(
    const struct shard_map *map,
    const struct document_kind *const *kinds,
    uint32_t kind_count,
    struct document_sharded_groups *ret_groups,
    char message[DOCUMENT_MESSAGE_SIZE]);
/* The tables of cold parts that a shard has. */
uint32_t document_sharded_groups_on(
    const struct document_sharded_groups *groups,
    uint32_t shard,
    const struct document_kind *ret_kinds[SHARD_TABLES_MAX]);
/* NULL: the kind's rows are whole. */
const struct document_sharded_group *document_sharded_group_of(
    const struct document_sharded *sharded, const struct document_kind *kind);
/* A row as its shard has it becomes whole, or hot only. */
MUST_USE err_t document_sharded_join(
    struct document_sharded *sharded,
    const struct document_kind *kind,
    bool hot_only,
    struct arena *arena,
    struct document_row *row);
/* Asks for the cold parts of rows as their shards have them, in one round trip. */
MUST_USE err_t document_sharded_parts_ahead(
    struct document_sharded *sharded,
    const struct document_sharded_group *group,
    const struct document_row *rows,
    size_t count,
    struct arena *arena);
/* A row that is about to be written becomes its hot part; the cold one is written. `stored`: the
 * row at this version, as its shard has it; NULL: it is inserted. */
MUST_USE err_t document_sharded_part(
    struct document_sharded *sharded,
    const struct document_sharded_group *group,
    const struct document_row *stored,
    struct arena *arena,
    struct document_row *row);

/* sharded_follow.c */
/* Between transactions: if a shard calls, lets go of all of them, waits for the map by which they
 * may be worked with again, which may be the same, and goes on by that. Blocks for
 * DOCUMENT_SHARDED_FOLLOW_MS_MAX at most; what has no shard then is refused (ERR_CLOSED). */
#define DOCUMENT_SHARDED_FOLLOW_MS_MAX 3000
void document_sharded_follow(struct document_sharded *sharded);
/* Locks that were granted, and given back: they go along with their rows. */
void document_sharded_hold(struct document_sharded *sharded, uint64_t scope, struct span id);
void document_sharded_let_go(struct document_sharded *sharded, uint64_t scope, struct span id);
void document_sharded_held_release(struct document_sharded *sharded);

/* sharded_commit.c */
err_t document_sharded_commit(struct document_store *store);

/* sharded_list.c */
err_t document_sharded_list(
    struct document_store *store,
    const struct document_kind *kind,
    const struct document_query *query,
    document_each each,
    void *context);
err_t document_sharded_prefetch(
    struct document_store *store, const struct document_wish *wishes, uint32_t count);
err_t document_sharded_lock(
    struct document_store *store, struct document_lock *locks, uint32_t count);

#endif
