/*
 * What an owner knows, as a value.
 *
 *     owner.c        the port, how values are replaced, life
 *     owner_state.c  values: what maps, fences and arrivals make of them, and their text
 *     owner_guard.c  which requests a value lets through
 */
#ifndef SHARDS_OWNER_PRIVATE_H
#define SHARDS_OWNER_PRIVATE_H

#include "shards/shards.h"

#include "base/buf.h"

/* Of a slot. */
enum {
    OWNER_OWN = 1,    /* the map gives it to us */
    OWNER_FENCED = 2, /* nothing of it is applied while the map is the fence's */
    OWNER_LEFT = 4,   /* what is here of it is frozen */
    OWNER_MARKS = 7,
};

/* How many moves may have begun to bring slots here without an end. */
#define OWNER_ARRIVALS_MAX UINT8_MAX
#define OWNER_TEXT_MAX     (UINT32_C(1) << 20)

struct owner_state {
    struct shard_map map;
    uint32_t shard;
    uint64_t fence_epoch; /* of the map under which OWNER_FENCED counts; 0: there is no fence */
    uint8_t marks[SHARD_SLOTS];
    uint8_t arrivals[SHARD_SLOTS]; /* which arrival brings it; 0: none */
    struct owner_state *older;     /* replaced, and perhaps still looked at */
};

static inline bool
owner_is_open(const struct owner_state *state, u128 id)
{
    uint8_t marks = state->marks[shard_slot_of_id(id)];
    return (marks & (OWNER_OWN | OWNER_FENCED)) == OWNER_OWN;
}

/* By the map alone. ERR_NOT_FOUND: it does not name the shard. */
MUST_USE err_t
shards_owner_state_init(struct owner_state *state, const struct shard_map *map, const char *name);
/* The state under another map. What a slot that is lost leaves behind is expected only if it was
 * fenced under the map before. ERR_NOT_FOUND; ERR_STALE: it is an older map. ERR_INVALID, if
 * `strict`: a slot is lost that was not fenced, or gained that did not arrive. */
MUST_USE err_t shards_owner_state_follow(
    struct owner_state *state, const struct shard_map *map, const char *name, bool strict);
/* ERR_MOVED: a slot is not ours, or the map is another. ERR_EXISTS: other slots are fenced. */
MUST_USE err_t
shards_owner_state_fence(struct owner_state *state, const struct port_ledger_shard_order *order);
/* ERR_MOVED: a slot is ours, or the map is another. ERR_EXISTS: some of them arrive by another move
 * (those must arrive together). ERR_FULL. */
MUST_USE err_t
shards_owner_state_arrive(struct owner_state *state, const struct port_ledger_shard_order *order);
void shards_owner_state_tell(const struct owner_state *state, struct port_ledger_shard *ret_shard);

void shards_owner_state_write(const struct owner_state *state, struct buf *out);
/* Everything but the map, of which it reads the epoch. ERR_CORRUPT. */
MUST_USE err_t
shards_owner_state_read(struct span text, struct owner_state *state, uint64_t *ret_epoch);

/* Of a request when it is applied. ERR_MOVED: by another epoch than the map's, or about accounts of
 * another shard, or fenced ones. ERR_DENIED: who moves slots may not do that. */
MUST_USE err_t shards_owner_state_admit(
    const struct owner_state *state, const struct port_ledger_request *request);

static inline bool
shards_slot_in(const uint64_t *slots, uint32_t slot)
{
    return (slots[slot / 64] >> (slot % 64) & 1) != 0;
}

#endif
