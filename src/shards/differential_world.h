/*
 * Four ledgers behind a router beside one ledger: the world of differential_test.c.
 *
 *     differential_world.c    the ledgers; both sides are asked
 *     differential_load.c     random requests
 *     differential_compare.c  what both sides must have in common
 *     differential_move.c     slots that move meanwhile
 */
#ifndef SHARDS_DIFFERENTIAL_WORLD_H
#define SHARDS_DIFFERENTIAL_WORLD_H

#include "engine/ledger_engine.h"
#include "shards/move.h"

#include "os/prng.h"
#include "os/sim.h"
#include "os/sim_disk.h"

#define SHARDS   4
#define GROUPS   6 /* accounts of one group are in one slot */
#define MEMBERS  4
#define ACCOUNTS (GROUPS * MEMBERS)
#define BATCH    12
#define BATCHES  12
#define ID_COUNT 40 /* of transfers, for each group */

struct t_world;

/* A shard's port, whichever owner it has at the moment. */
struct t_port {
    struct port_ledger port;
    struct t_world *world;
    uint32_t shard;
};

struct t_world {
    struct t_port ports[SHARDS];
    struct os_sim *sim;
    struct os_sim_disk *disk;
    struct os_executor executor;
    struct ledger_engine *one;
    struct ledger_engine *engines[SHARDS];
    struct shards_owner *owners[SHARDS];
    struct shards_router *router;
    struct os_prng prng;
    u128 accounts[ACCOUNTS];
    uint32_t answers;
    uint32_t crossed;
    uint64_t fenced;  /* the epoch under which a fence is up */
    uint32_t stop_at; /* at which call of go_on the move stops; 0: never */
    uint32_t steps;   /* calls of it */
    uint32_t moves, stopped, cancelled, restarts, joined, denied;
    u128 hold;                       /* a live pending between two groups; 0: none */
    enum shards_move_step step;      /* of the move */
    enum shards_move_step lost_from; /* from this step on */
    uint32_t lost;                   /* this shard does not answer a move; SHARDS: all do */
};

/* What all processes would read: one for the world that is open. */
extern struct shard_map t_map;

/* ---- differential_world.c */
void t_open(struct t_world *t, uint64_t seed);
void t_close(struct t_world *t);
void t_restart(struct t_world *t, uint32_t shard);
/* Of a group's accounts. */
uint16_t t_slot(uint32_t group);
/* Both are asked; what both must have done in the same way is compared by the caller. */
void t_ask(struct t_world *t, struct port_ledger_request *one, struct port_ledger_request *many);
void t_count_answer(struct port_ledger_request *request);

/* ---- differential_load.c */
void t_accounts(struct t_world *t);
/* Chains stay within a group; what is not linked goes from group to group. */
void t_transfers(struct t_world *t);
/* Two groups that are on one shard now and perhaps not later: a transfer, or a hold that may live
 * for a while. */
void t_join(struct t_world *t);
void t_hold_end(struct t_world *t);
/* Two groups of different shards in one chain: refused, and nothing was done (SHARDS-2). */
void t_crossing(struct t_world *t);

/* ---- differential_compare.c */
u128 t_transfer_id(uint32_t group, uint64_t number);
void t_compare_results(
    const struct ledger_result *one, const struct ledger_result *many, uint32_t count);
void t_compare_all(struct t_world *t);

/* ---- differential_move.c */
/* Some of a shard's slots to another one: stopped anywhere, with or without a restart of either, it
 * is done again until it is through, or cancelled. */
void t_move(struct t_world *t);
/* All slots of the first group's shard to the next one, as the test's world is. */
struct shards_move_parts t_whole_shard(struct t_world *t, struct shard_map *now);
uint64_t t_move_now(void *context);

#endif
