/*
 * Placement: which shard has the row of a table with a given key. Three strategies behind one call:
 *
 *     hash    a slot of 16,384 (CRC16 of the key, or of its {tag}), and the map says whose it is
 *     range   ordered split points
 *     column  groups of one logical row's columns, each in a store of its own, joined by the key
 *
 * The map is a value with a version, its epoch. Pure: the caller's memory, no clock, no I/O.
 *
 *     shard_map_init(&map);
 *     shard_map_add(&map, SPAN("a"), SPAN("10.0.0.1:8190"), &index);
 *     shard_map_add(&map, SPAN("b"), SPAN("10.0.0.2:8190"), &index);
 *     shard_map_share(&map);
 *     shard = shard_map_of_id(&map, account_id);
 *
 * Invariants: README.md. Slots, CRC and tags are those of the Redis Cluster specification, "Key
 * distribution model".
 */
#ifndef SHARD_SHARD_H
#define SHARD_SHARD_H

#include "base/buf.h"
#include "base/err.h"
#include "base/u128.h"

#define SHARD_SLOTS       16384
#define SHARD_SLOT_NONE   UINT16_MAX
#define SHARD_SHARDS_MAX  64
#define SHARD_EPOCH_MAX   INT64_MAX
#define SHARD_TABLES_MAX  16
#define SHARD_POINTS_MAX  256 /* split points of all range tables */
#define SHARD_COLUMNS_MAX 256 /* columns of all column tables */
#define SHARD_NAME_SIZE   32  /* 1 to 31 of a-z 0-9 _ - */
#define SHARD_AT_SIZE     256
#define SHARD_KEY_SIZE    64 /* of a split point: up to 63 visible ASCII characters */
/* Of a map's text: the most that shard_map_write can need, and the most that is read. */
#define SHARD_TEXT_MAX (UINT32_C(1) << 20)

/* ---- keys and slots ----------------------------------------------------------------------- */

/* CRC-16/XMODEM: polynomial 0x1021, from 0, not reflected. */
uint16_t shard_crc16(struct span bytes);
/* Of the key; if it has a "{" with a "}" behind it and something between the first such two, of
 * that alone. */
uint16_t shard_slot(struct span key);
/* Of a ledger's id: its 16 bytes, the highest first. */
uint16_t shard_slot_of_id(u128 id);
/* The id with other lowest 16 bits, such that it is in the slot. What a tag is for texts: ids that
 * must be together are put into the slot of what they have in common. Two ids that differ above
 * the lowest 16 bits stay different. `slot` < SHARD_SLOTS. */
u128 shard_id_place(u128 id, uint16_t slot);

/* ---- the map ------------------------------------------------------------------------------ */

enum shard_strategy {
    SHARD_HASH,
    SHARD_RANGE,
    SHARD_COLUMN,
};

struct shard_node {
    char name[SHARD_NAME_SIZE];
    char at[SHARD_AT_SIZE]; /* where it is, as the caller understands it; no spaces */
};

struct shard_table {
    char name[SHARD_NAME_SIZE];
    enum shard_strategy strategy;
};

/* The first key of a range. Sorted by table, then key; the first of a table is the empty key. */
struct shard_point {
    uint8_t table;
    uint8_t shard;
    char key[SHARD_KEY_SIZE];
};

/* In the order in which they were given, by table. "*": every column that has no line. */
struct shard_column {
    uint8_t table;
    uint8_t shard;
    char name[SHARD_NAME_SIZE];
};

/* Unused places and bytes are zero, so that equal maps are equal bytes. Read freely; change it with
 * the calls below. */
struct shard_map {
    uint64_t epoch; /* 1 to SHARD_EPOCH_MAX */
    uint32_t shard_count;
    uint32_t table_count;
    uint32_t point_count;
    uint32_t column_count;
    uint8_t owners[SHARD_SLOTS];
    struct shard_node shards[SHARD_SHARDS_MAX];
    struct shard_table tables[SHARD_TABLES_MAX];
    struct shard_point points[SHARD_POINTS_MAX];
    struct shard_column columns[SHARD_COLUMNS_MAX];
};

/* Epoch 1, nothing in it; every slot is the first shard's, once there is one. */
void shard_map_init(struct shard_map *map);
/* Without slots. ERR_INVALID (a name or place that cannot be), ERR_EXISTS, ERR_FULL. */
MUST_USE err_t
shard_map_add(struct shard_map *map, struct span name, struct span at, uint32_t *ret_shard);
/* Takes the last position of the shards: the others' move up. ERR_EXISTS: it still owns something.
 */
MUST_USE err_t shard_map_remove(struct shard_map *map, uint32_t shard);
/* All slots anew, in as many runs as there are shards, as even as can be. For a map of nothing. */
void shard_map_share(struct shard_map *map);
/* ERR_NOT_FOUND. */
MUST_USE err_t shard_map_find(const struct shard_map *map, struct span name, uint32_t *ret_shard);
bool shard_map_equal(const struct shard_map *a, const struct shard_map *b);

/* `next` becomes the map if its epoch is one more than `expected`, which is the map's now.
 * ERR_STALE: the map is another by now. ERR_INVALID: `next` does not follow. */
MUST_USE err_t
shard_map_replace(struct shard_map *map, uint64_t expected, const struct shard_map *next);

/* ---- tables ------------------------------------------------------------------------------- */

/* A range table is the first shard's from the empty key on; a column table has no column yet.
 * ERR_INVALID, ERR_EXISTS, ERR_FULL; or ERR_NOT_FOUND: there is no shard. */
MUST_USE err_t
shard_table_add(struct shard_map *map, struct span name, enum shard_strategy strategy);
/* ERR_NOT_FOUND. */
MUST_USE err_t shard_table_find(const struct shard_map *map, struct span name, uint32_t *ret_table);
/* From `key` to the next point is the shard's from now on: a new point, or that point's new owner.
 * ERR_INVALID: no such key can be, or the table is none of ranges. ERR_FULL. */
MUST_USE err_t
shard_range_split(struct shard_map *map, uint32_t table, struct span key, uint32_t shard);
/* The range that begins at `key` becomes part of the one before it. ERR_NOT_FOUND: there is no such
 * point; ERR_INVALID: the first range has none before it, or the table is none of ranges. */
MUST_USE err_t shard_range_merge(struct shard_map *map, uint32_t table, struct span key);
/* ERR_INVALID, ERR_EXISTS, ERR_FULL. */
MUST_USE err_t
shard_column_add(struct shard_map *map, uint32_t table, struct span column, uint32_t shard);

/* ---- routes ------------------------------------------------------------------------------- */

struct shard_route {
    uint32_t shard;
    uint16_t slot; /* SHARD_SLOT_NONE: the table has none */
    uint64_t epoch;
};

/* Who has it. `column` counts for column tables only. ERR_NOT_FOUND: no such column. */
MUST_USE err_t shard_route(
    const struct shard_map *map,
    uint32_t table,
    struct span key,
    struct span column,
    struct shard_route *ret_route);

static inline uint32_t
shard_map_of_id(const struct shard_map *map, u128 id)
{
    return map->owners[shard_slot_of_id(id)];
}

/* ---- text --------------------------------------------------------------------------------- */

struct shard_problem {
    uint32_t line; /* from 1 */
    const char *reason;
};

/* Reads what README.md describes. ERR_INVALID or ERR_FULL, with the first problem; what the map is
 * then means nothing. */
MUST_USE err_t
shard_map_read(struct span text, struct shard_map *ret_map, struct shard_problem *ret_problem);
/* The same map, always in the same bytes. */
void shard_map_write(const struct shard_map *map, struct buf *out);

/* ---- plans -------------------------------------------------------------------------------- */

struct shard_move {
    uint16_t first, last; /* slots, both included */
    uint8_t from, to;
};

struct shard_plan {
    uint64_t epoch;      /* of the map that it was made for */
    uint32_t slot_count; /* that move, in all */
    uint32_t move_count;
    struct shard_move moves[SHARD_SLOTS];
};

/* What has to move until every shard that stays has as many slots as the others, give or take one,
 * and those that leave have none. No plan moves fewer. ERR_INVALID: nobody stays. */
MUST_USE err_t shard_plan_make(
    const struct shard_map *map, const bool leaves[SHARD_SHARDS_MAX], struct shard_plan *ret_plan);
/* The map of the next epoch, with every move done. ERR_STALE: the plan is for another epoch. */
MUST_USE err_t shard_plan_apply(const struct shard_plan *plan, struct shard_map *map);

#endif
