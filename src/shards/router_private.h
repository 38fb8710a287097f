/*
 * The router's parts.
 *
 *     router.c  life, rounds: parts go out, come back, and what was moved goes out again
 *     split.c   whose each event is, and the parts of a batch
 *     merge.c   what every shard found, as one answer
 *
 * Everything runs on the executor's thread but submit, shards_router_reloaded and the counters.
 */
#ifndef SHARDS_ROUTER_PRIVATE_H
#define SHARDS_ROUTER_PRIVATE_H

#include "shards/shards.h"

#include "base/list.h"

#include <stdatomic.h>

/* What one shard is asked in a round. */
struct shards_part {
    struct port_ledger_request port;
    struct shards_job *job;
    bool used;
    bool direct;         /* the requester's own arrays */
    uint32_t *positions; /* of its events in the requester's arrays; NULL: the same ones */
    void *memory;        /* of in, positions, out and pairs */
    uint64_t memory_size;
    uint32_t cursor; /* merging: the next of what it found */
};

enum shards_phase {
    SHARDS_RESOLVING, /* looks where the pendings are that events name without accounts */
    SHARDS_RUNNING,
};

struct shards_job {
    struct list_link link; /* router->free, router->waiting, or none */
    struct list_link all;  /* router->all */
    struct shards_router *router;
    struct port_ledger_request *request;
    enum shards_phase phase;
    uint32_t tries;
    uint64_t epoch; /* of the map by which the parts were sent */
    uint32_t out;   /* parts under way, and 1 while they are sent */
    /* Of a batch that is split. */
    uint8_t *owners; /* of each event */
    bool *settled;   /* each event that has its result */
    u128 *accounts;  /* of events without accounts: one of their pending's, or 0; NULL: no such */
    u128 *pendings;  /* SHARDS_RESOLVING: ids that are looked for */
    uint32_t pending_count;
    uint32_t settled_count;
    void *memory; /* of the four */
    uint64_t memory_size;
    struct shards_part parts[SHARD_SHARDS_MAX]; /* by the map's numbers, which only grow */
};

#define SHARDS_COUNTER_COUNT (sizeof(struct shards_router_counters) / sizeof(uint64_t))

struct shards_router {
    struct port_ledger port;
    struct shards_router_parts parts;
    struct port_ledger *ports[SHARD_SHARDS_MAX];
    struct list free;
    struct list all;
    struct list waiting; /* for a newer map */
    uint32_t job_count;
    bool reloading;
    bool next_read; /* written by who reloads, before the task is posted */
    struct os_task reload_task;
    _Atomic uint64_t counters[SHARDS_COUNTER_COUNT];
    struct shard_map map;
    bool has_slots[SHARD_SHARDS_MAX]; /* by the map */
    struct shard_map next;
    struct port_ledger *next_ports[SHARD_SHARDS_MAX];
};

#define SHARDS_COUNT(router, name, n)                                                              \
    atomic_fetch_add_explicit(                                                                     \
        &(router)->counters[offsetof(struct shards_router_counters, name) / sizeof(uint64_t)],     \
        (uint64_t)(n),                                                                             \
        memory_order_relaxed)

/* Bytes of one event or id; 0: a filter. And of one record of the answer. */
size_t shards_in_size(enum port_ledger_operation operation);
size_t shards_out_size(enum port_ledger_operation operation);

/* Zeroed and counted, or NULL: no memory, or not within memory_max. */
void *shards_memory_take(struct shards_router *router, uint64_t size);
void shards_memory_give(struct shards_router *router, void *memory, uint64_t size);

/* ---- split.c: batches, and look-ups of accounts */

/* Before the first round of a batch. *ret_resolve: pendings must be looked for first; they are in
 * job->pendings then. ERR_BUSY: no memory. */
MUST_USE err_t shards_split_begin(struct shards_job *job, bool *ret_resolve);
/* What was found of the pendings, in the parts; the others may be of the batch itself. ERR_BUSY. */
MUST_USE err_t shards_split_resolved(struct shards_job *job);
/* The parts of a round: every event that is not settled. ERR_CROSSES_SHARDS; ERR_BUSY: no memory.
 */
MUST_USE err_t shards_split(struct shards_job *job);
/* The part that is the whole request, of one shard. */
void shards_ask_one(struct shards_job *job, uint32_t shard);
/* Takes over the results of a part that has answered. */
void shards_split_settle(struct shards_part *part);

/* ---- merge.c */

/* The parts of a round: every shard is asked the same, and has room for what it finds. */
MUST_USE err_t shards_ask_all(
    struct shards_job *job, enum port_ledger_operation operation, const u128 *ids, uint32_t count);
/* Joins what look-ups and queries found, in the requester's array. */
void shards_merge(struct shards_job *job);

#endif
