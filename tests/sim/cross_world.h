/*
 * Transfers between the shards of a ledger in a world where everything goes wrong. One seed, one
 * history.
 *
 * What is real: the cross and its resolver, the router, the owners, and ledgers with their engines
 * and journals. What is simulated: time; disks that lose what was not synced; a network that
 * delays, reorders, loses, doubles and parts; shards and coordinators that are killed and come
 * again, and that hang. Clients send batches, and send them again by the same ids until they are
 * told.
 */
#ifndef CROSS_WORLD_H
#define CROSS_WORLD_H

#include "cross_mistakes.h"

#include "engine/ledger_engine.h"
#include "os/prng.h"
#include "os/sim.h"
#include "os/sim_disk.h"
#include "shards/cross.h"
#include "shards/move.h"

#define WORLD_SHARDS       4
#define WORLD_COORDINATORS 3
#define WORLD_GROUPS       6 /* accounts of one group are in one slot */
#define WORLD_MEMBERS      3 /* the first of a group has no limit: money comes from there */
#define WORLD_ACCOUNTS     (WORLD_GROUPS * WORLD_MEMBERS)
#define WORLD_CLIENTS      4
#define WORLD_BATCH        4
#define WORLD_TRANSFERS    256
#define WORLD_LEDGER       7

struct world;

struct world_shard {
    struct world *world;
    struct os_sim_disk *disk;
    struct ledger_engine *engine; /* NULL: it is down */
    struct shards_owner *owner;
    uint64_t paused_until_ns;
};

struct world_link {
    struct port_ledger port;
    struct world *world;
    uint32_t coordinator, shard;
    bool parted; /* nothing gets through */
};

struct world_coordinator {
    struct world *world;
    uint32_t number;
    uint32_t incarnation;
    struct os_loop *loop; /* NULL: it is down */
    struct os_timer tick;
    struct shards_router *router;
    struct shards_cross *cross;
    struct world_link links[WORLD_SHARDS];
    uint64_t paused_until_ns;
};

struct world_transfer {
    struct ledger_transfer transfer;
    bool told;
    uint32_t status; /* if it was told */
};

struct world_client {
    struct world *world;
    struct port_ledger_request request;
    struct ledger_transfer events[WORLD_BATCH];
    struct ledger_result results[WORLD_BATCH];
    uint32_t first; /* of its transfers in the world's */
    uint32_t coordinator, incarnation;
    uint64_t sent_ns;
    bool asks;  /* it has a batch, and was not told */
    bool waits; /* for the answer to the last time it asked */
};

struct world_counts {
    uint64_t told, booked, refused, repeated, killed, resolved, reads, lost, doubled, posted,
        chains;
};

struct world {
    uint64_t seed;
    struct os_sim *sim;
    struct os_prng prng;
    enum commit_protocol protocol;
    enum cross_mistake mistake; /* that is made, from here on */
    struct shard_map map;
    struct os_loop *net;
    struct os_executor here; /* runs what is posted at once */
    struct world_shard shards[WORLD_SHARDS];
    struct world_coordinator coordinators[WORLD_COORDINATORS];
    struct world_client clients[WORLD_CLIENTS];
    struct world_transfer transfers[WORLD_TRANSFERS];
    uint32_t transfer_count;
    u128 accounts[WORLD_ACCOUNTS];
    uint32_t faults;     /* how often something goes wrong, of 1,000; 0: never */
    uint32_t calls;      /* of the network, under way */
    uint32_t move_until; /* a step */
    struct world_counts counts;
};

struct world *world_create(uint64_t seed, enum commit_protocol protocol);
void world_destroy(struct world **world);
uint64_t world_now(const struct world *world);
uint16_t world_slot(uint32_t group);
/* Of the transaction that a cross makes of an event, in its so many-th attempt. */
u128 world_commit_name(u128 id, uint32_t attempt);
void world_run_ms(struct world *world, uint32_t ms);

void world_shard_kill(struct world *world, uint32_t number);
void world_shard_start(struct world *world, uint32_t number);
void world_coordinator_kill(struct world *world, uint32_t number);
void world_coordinator_start(struct world *world, uint32_t number);
/* Everything is up, connected and fast from here on. */
void world_heal(struct world *world);

/* Asks and waits, of a coordinator that works. */
err_t world_ask(struct world *world, uint32_t coordinator, struct port_ledger_request *request);

/* Moves slots of one shard while everything goes on, past the network; shards_move. */
err_t world_move(struct world *world, const uint16_t *slots, uint32_t count, uint32_t to);
/* A move of one slot that is cut off before a step; ERR_CLOSED. SHARDS_MOVE_STEPS: it is not. */
err_t world_move_until(struct world *world, uint16_t slot, uint32_t to, uint32_t step);

#endif
