/*
 * Cross-slot transactions in a world where everything goes wrong: coordinators (nodes), ledger
 * shards, clients, and a network between them. One seed, one history.
 *
 * What is real: core/commit and core/ledger. What is simulated: time in milliseconds; a network
 * that delays, reorders, loses, doubles and parts; shards that crash and lose what was not synced;
 * nodes that crash, forget everything, and hang.
 */
#ifndef COMMIT_WORLD_H
#define COMMIT_WORLD_H

#include "commit_shard.h"
#include "os/prng.h"

#define WORLD_SHARDS    4
#define WORLD_NODES     3
#define WORLD_TXNS      10
#define WORLD_USERS     3 /* accounts with a limit in each slot */
#define WORLD_BATCH_MAX 32
#define WORLD_ITEMS_MAX 4
#define WORLD_RUNS_MAX  3 /* attempts of a client under one id */
#define WORLD_LEDGER    7
#define NODE_RUNS_MAX   32
#define WAITING_MAX     512

/* Mistakes that somebody could make around or in the protocol. Each must be found. */
enum mutation {
    MUTATION_NONE = 0,
    MUTATION_VOTE_EARLY,      /* a shard answers before it has synced (COMMIT-2) */
    MUTATION_TELL_EARLY,      /* the client is told when everybody has prepared (COMMIT-1) */
    MUTATION_DECIDE_EARLY,    /* one yes is taken for all */
    MUTATION_ABORT_UNWRITTEN, /* an inquiry that finds nothing writes no tombstone (COMMIT-3) */
    MUTATION_ABORT_ALONE,     /* a coordinator that has waited enough aborts by itself */
    MUTATION_POST_EARLY,      /* posts go out beside the decision */
    MUTATION_PRESUME,         /* a resolver takes what is old for aborted, and does not ask */
    MUTATION_NO_RESOLVER,     /* nobody looks for what is in doubt */
    MUTATION_FRESH_IDS,       /* what is sent again has another id */
    MUTATION_FORGET_VALUE,    /* 3PC: a terminator ignores what was accepted (COMMIT-7) */
    MUTATION_FORGET_BALLOT,   /* 3PC: lower ballots are not refused */
    MUTATION_MINORITY,        /* 3PC: one member is taken for a majority */
    MUTATION_OTHERS_PROMISE,  /* 3PC: somebody else's promise counts as ours */
    MUTATION_LATE_PRECOMMIT,  /* 3PC: ballot 0 goes on after a promise */
    MUTATIONS,
};

enum packet_kind {
    PACKET_REQUEST = 0, /* node to shard: a vector of asks */
    PACKET_ANSWER,
    PACKET_DOUBT, /* node to shard: what is in doubt? */
    PACKET_DOUBT_ANSWER,
    PACKET_LOOKUP, /* node to shard: is there a transfer with the client's id? */
    PACKET_LOOKUP_ANSWER,
    PACKET_ASK,  /* client to node */
    PACKET_TOLD, /* node to client */
    PACKET_SYNC, /* a shard's disk */
    PACKET_TICK, /* a node's timer */
    PACKET_CLIENT,
    PACKET_FAULT,
};

struct item {
    uint32_t serial; /* of the node's run */
    struct commit_ask ask;
    uint16_t first; /* of the packet's transfers */
    uint16_t count;
};

struct packet {
    uint64_t at;
    uint64_t order;
    enum packet_kind kind;
    uint8_t node;
    uint8_t shard;
    uint8_t txn;
    uint8_t run_number;
    uint32_t incarnation; /* of the node, or of the shard for PACKET_SYNC */
    enum commit_outcome outcome;
    uint32_t serial;
    uint32_t item_count;
    uint32_t transfer_count;
    struct shard_doubt *doubts; /* owned */
    uint32_t doubt_count;
    struct item items[WORLD_ITEMS_MAX];
    struct ledger_transfer transfers[WORLD_BATCH_MAX];
    struct ledger_result results[WORLD_BATCH_MAX];
};

enum lookup {
    LOOKUP_NONE = 0,
    LOOKUP_DONE_ABSENT,
    LOOKUP_DONE_BOOKED,
};

/* A run on a node, for a client or, if `resolves`, for what it found in doubt. */
struct node_run {
    bool used;
    bool resolves;
    bool told;
    uint8_t txn;
    uint8_t run_number;
    uint8_t member; /* that it finishes, if it resolves */
    enum lookup lookup;
    uint32_t serial;
    uint64_t began;
    uint64_t wake; /* when an outbid run tries again */
    uint64_t lookup_at;
    struct commit_transaction transaction;
    struct commit_run run;
    struct commit_ask asked[COMMIT_MEMBERS_MAX];
    uint64_t asked_at[COMMIT_MEMBERS_MAX];
};

struct node {
    bool up;
    uint32_t incarnation;
    uint32_t serial;
    uint64_t paused_until;
    struct node_run runs[NODE_RUNS_MAX];
};

struct txn {
    u128 id;
    enum commit_protocol protocol;
    uint8_t slot_count;
    uint16_t slots[COMMIT_MEMBERS_MAX];
    uint8_t leg_count;
    struct commit_leg legs[COMMIT_MEMBERS_MAX];
    uint8_t run_number;
    bool finished;
    bool told_committed;
    bool told_aborted[WORLD_RUNS_MAX];
};

struct world_shard {
    struct shard shard;
    bool up;
    bool sync_is_due;
    uint32_t incarnation;
    uint64_t paused_until;
    struct packet *waiting[WAITING_MAX];
    uint32_t waiting_count;
};

struct world_counts {
    uint64_t committed, aborted, crashes, resumed, outbid, lost, rerun;
};

struct world {
    struct os_prng prng;
    uint64_t seed;
    enum mutation mutation;
    enum commit_protocol protocol;
    uint64_t now;
    uint64_t order;
    uint64_t healed_at; /* from then on nothing goes wrong */
    uint64_t history;
    uint32_t kill_step; /* 0 for never: the step after which the node that makes it dies */
    uint32_t steps;
    bool quiet; /* no faults from the start */
    bool failed;
    char failure[160];
    struct world_shard shards[WORLD_SHARDS];
    struct node nodes[WORLD_NODES];
    struct txn txns[WORLD_TXNS];
    uint8_t txn_count;
    bool cut[WORLD_NODES][WORLD_SHARDS];
    struct packet **queue; /* a heap */
    uint32_t queue_count;
    struct world_counts counts;
};

struct world *world_create(
    uint64_t seed, enum commit_protocol protocol, enum mutation mutation, bool quiet);
void world_destroy(struct world **world);
/* All of it, with the checks; `failed` and `failure` tell. */
void world_run(struct world *world);

/* What stands for a digest. */
u128 world_digest(u128 id, uint32_t run_number);
u128 world_user(uint16_t slot, uint32_t number);
__attribute__((format(printf, 2, 3))) void world_fail(struct world *world, const char *format, ...);

/* commit_packets.c */
#define WORLD_QUEUE_MAX 16384
struct packet *packet_create(enum packet_kind kind);
struct packet *packet_copy(const struct packet *packet);
void packet_destroy(struct packet *packet);
/* Through the network between its node and its shard. */
void world_send(struct world *world, struct packet *packet);
/* By itself, after so long. */
void world_schedule(struct world *world, struct packet *packet, uint64_t delay);
/* The first of those under way, which are some. */
struct packet *world_next(struct world *world);
/* Nothing goes wrong any more. */
bool world_is_healed(const struct world *world);

/* commit_node.c */
void node_handle(struct world *world, struct packet *packet);
void node_crash(struct world *world, uint8_t number);

/* commit_world_check.c */
void world_check(struct world *world);
bool world_is_at_rest(const struct world *world);

#endif
