/*
 * Several ledgers as one: the router is a ledger's port over as many ports as a map (core/shard)
 * has shards, and the owner is the port of one shard, which takes only what the map gives it.
 *
 *     services --> router --> owner --> ledger a       (the arrow in the middle may be remote/)
 *                         \-> owner --> ledger b
 *
 * An account is on the shard of its id's slot, a transfer on that of its two accounts. What is
 * asked for by account goes to the owner; what is asked for by a transfer's id, or by no account,
 * to all.
 *
 * README.md numbers what holds (SHARDS-1 ...), and says how several ledgers differ from one.
 */
#ifndef SHARDS_SHARDS_H
#define SHARDS_SHARDS_H

#include "port/ledger.h"
#include "shard/shard.h"

/* ---- router ------------------------------------------------------------------------------- */

/* A request is routed so often, at most: once, and again after a newer map was read. */
#define SHARDS_TRIES_MAX 4

struct shards_router;

struct shards_router_parts {
    struct os_executor *executor;     /* where requests are split and answers joined */
    const struct shard_map *map;      /* copied */
    struct port_ledger *const *ports; /* by the map's numbers; the array is copied */
    uint32_t requests_max;            /* under way; one more is ERR_BUSY */
    uint64_t memory_max;              /* bytes of parts of requests; beyond it ERR_BUSY */
    /* A shard has told of a newer map: read it, and call shards_router_reloaded. On the executor's
     * thread; may not block. One at a time. NULL: the map never changes. */
    void (*reload)(void *context);
    void *context;
};

MUST_USE err_t
shards_router_create(const struct shards_router_parts *parts, struct shards_router **ret_router);
/* After everything that the ports were asked has been answered, and the executor has stopped.
 * Accepts NULL. */
void shards_router_destroy(struct shards_router **router);

/* Lives as long as the router; any thread. */
struct port_ledger *shards_router_port(struct shards_router *router);

/* The map in use; on the executor's thread, until its next task. */
const struct shard_map *shards_router_map(const struct shards_router *router);

/* What came of a `reload`; NULL: it could not be read. A map is taken if its epoch is higher and
 * its shards are the same, at the same places. Any thread, once for each `reload`. */
void shards_router_reloaded(struct shards_router *router, const struct shard_map *map);

/* Counters since creation, except the gauges. Any thread. */
struct shards_router_counters {
    uint64_t requests;
    uint64_t split;     /* went to more than one shard */
    uint64_t all;       /* went to every shard */
    uint64_t crossed;   /* refused: ERR_CROSSES_SHARDS */
    uint64_t moved;     /* answers ERR_MOVED of shards */
    uint64_t busy;      /* refused here: requests_max, memory_max */
    uint64_t epoch;     /* gauge: of the map in use */
    uint64_t under_way; /* gauge */
    uint64_t memory;    /* gauge: bytes of parts */
};

void shards_router_count(
    const struct shards_router *router, struct shards_router_counters *ret_counters);

/* ---- owner -------------------------------------------------------------------------------- */

struct shards_owner;

/* `ledger` is the shard's own; `shard` its number in the map, which is copied. */
MUST_USE err_t shards_owner_create(
    struct port_ledger *ledger,
    const struct shard_map *map,
    uint32_t shard,
    struct shards_owner **ret_owner);
/* After the last request. Accepts NULL. */
void shards_owner_destroy(struct shards_owner **owner);

/* Lives as long as the owner; any thread. A request by another epoch, by none, or for an account of
 * another shard is ERR_MOVED, with the epoch of the owner's map. */
struct port_ledger *shards_owner_port(struct shards_owner *owner);
uint64_t shards_owner_epoch(const struct shards_owner *owner);
/* Requests answered ERR_MOVED. Any thread. */
uint64_t shards_owner_moved(const struct shards_owner *owner);

#endif
