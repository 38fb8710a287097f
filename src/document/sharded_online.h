/* Moving merchants beside servers (document/shards.h): noting changes and following them. */
#ifndef DOCUMENT_SHARDED_ONLINE_H
#define DOCUMENT_SHARDED_ONLINE_H

#include "sharded_move.h"

#include "os/fault.h"

static inline bool
document_move_is_cold(const struct document_moving *moving, const struct document_move_side *side)
{
    return side->place != SHARD_SHARDS_MAX &&
           (moving->groups.shards & document_sharded_bit(side->place)) != 0;
}

/* Whether rows may leave it. */
bool document_move_loses(
    const struct document_moving *moving, const struct document_move_side *side);

/* --- sharded_capture.c: in each database --- */
/* Which move a database takes part in: its map as a number, 0: in none. */
MUST_USE err_t document_capture_read(
    struct document_moving *moving, const struct document_move_side *side, int64_t *ret_map);
/* Notes that it does; where rows may leave, every change is noted from now on. May be repeated. */
MUST_USE err_t document_capture_begin(
    struct document_moving *moving, const struct document_move_side *side, int64_t map);
/* Copies the scope if no attempt before has. */
MUST_USE err_t document_capture_copy(struct document_moving *moving, uint32_t from, uint64_t scope);
/* The changes that were noted at a side, oldest first, up to `limit`; answers how many. With
 * `verify` all of them, and then everything that moves from there is compared with what has
 * arrived, as of one moment. ERR_CORRUPT. */
MUST_USE err_t document_capture_follow(
    struct document_moving *moving,
    uint32_t from,
    uint32_t limit,
    bool verify,
    uint64_t *ret_count);
/* No change is noted any more. */
MUST_USE err_t
document_capture_stop(struct document_moving *moving, const struct document_move_side *side);
/* And of the move nothing is known. */
MUST_USE err_t
document_capture_end(struct document_moving *moving, const struct document_move_side *side);

#endif
