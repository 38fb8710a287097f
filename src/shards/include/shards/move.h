/*
 * Moves slots from one shard to another while both work. A move is a sequence of steps each of
 * which may be done again, so one that was cut off anywhere is finished by doing it again from the
 * start, or undone by shards_move_cancel as long as the map has not changed
 * (docs/internals/shards.md):
 *
 *     arrive    the target writes down that the slots come
 *     copy      accounts, failed ids and events of the source, in their order, are adopted
 *     catch up  the same of what was added meanwhile, until little is left
 *     fence     the source applies nothing for the slots any more; what is left is adopted
 *     verify    counts, sums and a hash of every side booked are the same in source and target
 *     flip      the map of the next epoch, by compare-and-set: the one moment that decides
 *     clean up  every shard reads the map
 *
 * Nothing is kept outside the shards and the map. What accounts of the slots did with others of the
 * source stays whole on both (ledger/ledger.h, "adopting").
 */
#ifndef SHARDS_MOVE_H
#define SHARDS_MOVE_H

#include "shards/shards.h"

enum shards_move_step {
    SHARDS_MOVE_ARRIVE,
    SHARDS_MOVE_COPY,
    SHARDS_MOVE_CATCH_UP,
    SHARDS_MOVE_FENCE,
    SHARDS_MOVE_VERIFY,
    SHARDS_MOVE_FLIP,
    SHARDS_MOVE_CLEAN_UP,
};

#define SHARDS_MOVE_STEPS 7

/* "arrive", "copy", "catch-up", "fence", "verify", "flip", "clean-up". Static. */
const char *shards_move_step_name(enum shards_move_step step);

/* What one shard has of the slots. Equal if and only if the history is, but for hashes that meet.
 */
struct shards_move_sums {
    uint64_t accounts;
    uint64_t sides; /* of events, expiries too: each is booked on one or two accounts that move */
    u128 debits;    /* amounts on debit sides, modulo 2^128 */
    u128 credits;
    u128 hash; /* of every side with its balances after it */
};

struct shards_move_report {
    enum shards_move_step step; /* the last that began */
    struct shards_move_sums source;
    struct shards_move_sums target;
    uint64_t failed_ids;
    uint64_t adopted;  /* that the target had not yet */
    uint64_t pause_ns; /* from the order to fence until the target had the new map */
    uint64_t epoch;    /* of the map afterwards */
};

struct shards_move_parts {
    const struct shard_map *map; /* as it is now; borrowed */
    uint64_t slots[PORT_LEDGER_SLOT_WORDS];
    uint32_t from, to; /* shards of the map */
    /* Asks a shard and waits for the answer; the result is the request's error too. */
    err_t (*ask)(void *context, uint32_t shard, struct port_ledger_request *request);
    /* Between two tries; also tells the time, monotonic. */
    void (*pause)(void *context);
    uint64_t (*now_ns)(void *context);
    /* Replaces the map by `next` if its epoch is still `expected`. ERR_STALE if not. */
    err_t (*replace)(void *context, uint64_t expected, const struct shard_map *next);
    /* Before each step, and from time to time within one; false: stop here. */
    bool (*go_on)(void *context, const struct shards_move_report *report);
    void *context;
};

/*
 * Moves them, or finishes a move of the same slots that was cut off; slots that are the target's
 * already are only cleaned up. `message` says what is wrong. ERR_CLOSED: it was told to stop.
 * ERR_INVALID: the slots are neither all the source's nor all the target's. ERR_EXISTS: some of
 * them arrive by a move of other slots, which must be finished. ERR_STALE: the map was changed.
 * ERR_DENIED: a live pending transfer joins an account of the slots with one of another slot.
 * ERR_CORRUPT: source and target differ. ERR_BUSY, ERR_OUTCOME_UNKNOWN: a shard did not answer for
 * half a minute. Before the map was replaced, any error but ERR_CLOSED and that of the replacing
 * leaves no fence. Blocks.
 */
MUST_USE err_t shards_move(
    const struct shards_move_parts *parts,
    struct shards_move_report *ret_report,
    char message[SHARDS_MESSAGE_SIZE]);

/* Ends every fence: the next epoch, with the same owners. What was copied stays where it is,
 * unseen, and is used by the next try. Blocks. */
MUST_USE err_t
shards_move_cancel(const struct shards_move_parts *parts, char message[SHARDS_MESSAGE_SIZE]);

#endif
