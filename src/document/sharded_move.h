/* What moving rows offline (sharded_move.c) and beside servers (sharded_online.c) share. */
#ifndef DOCUMENT_SHARDED_MOVE_H
#define DOCUMENT_SHARDED_MOVE_H

#include "sharded_plain.h"

#include "document/shards.h"

#define DOCUMENT_MOVE_SQL_SIZE 4096
/* Of a move beside servers, while there is one: sharded_capture.c. */
#define DOCUMENT_MOVE_TABLE "tael_move"

/* A database of either map. */
struct document_move_side {
    const struct shard_node *node;
    uint32_t place;               /* in the next map; SHARD_SHARDS_MAX: it leaves */
    uint32_t was;                 /* in the present map; SHARD_SHARDS_MAX: it comes */
    struct document_store *store; /* offline: holds the lock */
    PGconn *conn;
    PGconn *bell;  /* online: calls servers while `conn` waits for them */
    bool has_lock; /* online: the shard's, alone */
};

struct document_moving {
    struct document_shards_move *move;
    const struct document_kind *kinds[DOCUMENT_SHARDED_KINDS_MAX];
    uint32_t kind_count;
    struct shard_map *map, *next;
    uint32_t table, next_table;
    struct document_sharded_groups groups; /* of the next map */
    struct document_move_side sides[2 * SHARD_SHARDS_MAX];
    uint32_t side_count;
    uint32_t here; /* whose scopes are looked at */
    char *message;
};

/* How many rows, and the sum of hashes of what they are. */
struct document_move_sum {
    int64_t rows;
    int64_t hash;
};

/* --- sharded_move.c --- */
/* Both maps, checked; and that the next one follows, or is the same. */
MUST_USE err_t document_move_maps_load(struct document_moving *moving);
/* Those of the next map first, in its order; then those that leave. */
void document_move_sides_name(struct document_moving *moving);
/* Opens a shard as its owner, which makes or migrates it; `next`: alone, to that epoch; 0: beside
 * others that have it open. */
MUST_USE err_t
document_move_side_open(struct document_moving *moving, uint32_t side, uint64_t next);
/* The file of the map becomes that of the next one; `suffix` "": itself. */
MUST_USE err_t document_move_map_save(
    struct document_moving *moving, const struct shard_map *map, const char *suffix);
/* Prepares and releases a move; `run` does it. */
MUST_USE err_t document_move_run(
    struct document_shards_move *move,
    err_t (*run)(struct document_moving *moving),
    char message[DOCUMENT_MESSAGE_SIZE]);
err_t document_move_explain(struct document_moving *moving, err_t error, const char *what);

/* --- sharded_copy.c --- */
/* "scope, id, version, body, COLUMNS", with the table's letter before each. */
void document_move_sql_columns(
    struct buf *sql, const struct document_kind *kind, const char *prefix);
/* What `from` yields by one COPY goes into `to` by another. */
MUST_USE err_t document_move_copy(
    struct document_moving *moving,
    PGconn *from,
    const char *out_sql,
    PGconn *to,
    const char *in_sql);
/* All rows of a scope, over what is there, in one transaction. */
MUST_USE err_t document_move_copy_scope(
    struct document_moving *moving,
    const struct document_move_side *from,
    const struct document_move_side *to,
    uint64_t scope);
/* Of the rows t (scope, id, version, body) that `rows` selects. */
MUST_USE err_t document_move_sum_rows(
    struct document_moving *moving, PGconn *conn, const char *rows, struct document_move_sum *sum);
MUST_USE err_t document_move_delete_scope(
    struct document_moving *moving, const struct document_move_side *side, uint64_t scope);

#endif
