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
    /* A shard has told of a newer map, or that one of `epoch` is to come within moments: read it
     * until it has that epoch, or for as long as requests may wait, and call
     * shards_router_reloaded. On the executor's thread; may not block. One at a time. NULL: the map
     * never changes. */
    void (*reload)(void *context, uint64_t epoch);
    /* A shard refuses what the map gives it, and has no newer one: `epoch` is the shard's, ours if
     * the maps differ, or an older one. The request ends with ERR_MOVED. On the executor's thread;
     * may not block; NULL: nobody is told. */
    void (*disagree)(void *context, uint64_t epoch);
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
 * its first shards are those of the map in use, at the same places; `ports` has one for each of its
 * shards, copied. Any thread, once for each `reload`. */
void shards_router_reloaded(
    struct shards_router *router, const struct shard_map *map, struct port_ledger *const *ports);

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

/* ---- owner --------------------------------------------------------------------------------
 *
 * Who a shard's slots are, and what of it may be done now. It is a guard, asked by the ledger at
 * the moment a batch is applied, and a port before the ledger, which takes orders of whoever moves
 * slots. What it knows beside the map is in one file: which slots are fenced, which left, and which
 * began to arrive (docs/internals/shards.md).
 *
 *     shards_owner_create(&parts, &owner, message);
 *     settings.guard = shards_owner_guard(owner);
 *     ledger_engine_open(&settings, &engine, ...);
 *     shards_owner_attach(owner, ledger_engine_port(engine));
 *     port = shards_owner_port(owner);
 */

#define SHARDS_MESSAGE_SIZE 512

struct shards_owner;

struct shards_owner_parts {
    const struct shard_map *map; /* copied */
    const char *name;            /* the shard's, in every map */
    struct os_disk *disk;
    const char *folder; /* exists; its file "shard" is the owner's, unless `noted` */
    /* What it knows is kept with the ledger, as its note: so it is the same for whoever holds the
     * ledger next. For a store that several processes can reach; `disk` and `folder` are unused. */
    bool noted;
    /* Where orders are carried out and files are read; may be blocked. */
    struct os_executor *files;
    /* The map as it is now. On `files`; of one that is `noted` on the ledger's thread, too. */
    err_t (*read)(void *context, struct shard_map *ret_map);
    void *context;
};

/* `message` says what is wrong: ERR_NOT_FOUND (the map does not name it), ERR_STALE (the map is
 * older than the one that it served by), ERR_CORRUPT (its file), ERR_MEMORY, and errors of disks.
 */
MUST_USE err_t shards_owner_create(
    const struct shards_owner_parts *parts,
    struct shards_owner **ret_owner,
    char message[SHARDS_MESSAGE_SIZE]);
/* After the last request, and after `files` has stopped. Accepts NULL. */
void shards_owner_destroy(struct shards_owner **owner);

/* Lives as long as the owner. */
const struct port_ledger_guard *shards_owner_guard(struct shards_owner *owner);
/* The shard's ledger, whose guard it is. Once, before the port is used. */
void shards_owner_attach(struct shards_owner *owner, struct port_ledger *ledger);
/* May there be such an account here? It is of its own slots, or of slots that left or arrive.
 * Before the port is used. */
bool shards_owner_expects(const struct shards_owner *owner, u128 account_id);
/* Lives as long as the owner; any thread. What the guard refuses is ERR_MOVED, with the epoch by
 * which it may be asked again. A request by a higher epoch waits until the map was read again. */
struct port_ledger *shards_owner_port(struct shards_owner *owner);
uint64_t shards_owner_epoch(const struct shards_owner *owner);
/* Requests answered ERR_MOVED. Any thread. */
uint64_t shards_owner_moved(const struct shards_owner *owner);

#endif
