/*
 * Transfers between shards: a ledger's port over a router, which books what the router refuses with
 * ERR_CROSSES_SHARDS by atomic commit (core/commit), and a resolver that finishes what others left.
 *
 *     services --> cross --> router --> shards
 *                    |  what one shard can do goes through as it is; of the rest, the votes and
 *                    |  decisions of a batch's transactions for one shard are one batch of that
 * shard
 *
 * README.md numbers what holds (CROSS-1 ...); docs/internals/commit.md has the protocols.
 *
 *     shards_cross_create(&parts, &cross);
 *     port = shards_cross_port(cross);             any thread
 *     shards_cross_tick(cross);                    every CROSS_TICK_MS or so, on the executor
 */
#ifndef SHARDS_CROSS_H
#define SHARDS_CROSS_H

#include "commit/commit.h"
#include "os/clock.h"
#include "shards/shards.h"

#define SHARDS_CROSS_TICK_MS 20
/* Transactions in doubt that are remembered of each shard, and that are resolved at one time. */
#define SHARDS_DOUBTS_MAX    512
#define SHARDS_RESOLVING_MAX 64
/* Attempts under one id, of which all but the last were aborted. */
#define SHARDS_ATTEMPTS_MAX 8
/* How often a consistent read is begun again while money moves. */
#define SHARDS_READ_TRIES_MAX 64

struct shards_cross;

/* Something that an operator should read: a transaction was left, resolved, or cannot be finished.
 * On the executor's thread; `what` is static. */
typedef void (*shards_cross_log)(
    void *context,
    bool is_warning,
    const char *what,
    u128 name,
    const char *state,
    const struct trace_context *trace);

struct shards_cross_parts {
    struct os_executor *executor; /* the router's; everything happens there */
    struct shards_router *router;
    struct os_clock *clock;
    void (*sha256)(struct span bytes, uint8_t out[32]);
    enum commit_protocol protocol; /* of new transactions */
    uint32_t jobs_max;             /* batches that cross, and consistent reads; beyond: ERR_BUSY */
    uint64_t memory_max;           /* bytes of transactions and messages; beyond it ERR_BUSY */
    uint32_t deadline_ms;          /* a transaction without outcome is concluded after it */
    uint32_t give_up_ms;           /* and left to the resolver after this; above deadline_ms */
    uint32_t check_ms;             /* so long a chain's slots may take to say what is against it */
    uint32_t resend_ms;            /* between tries at a shard that did not answer */
    uint32_t sweep_ms;             /* between looks for what is in doubt */
    uint64_t seed;                 /* of the waits of those who were outbid */
    shards_cross_log log;          /* may be NULL */
    void *context;
};

/* Times of a server; the rest is left to the caller. */
struct shards_cross_parts shards_cross_parts_default(void);

/* ERR_MEMORY. */
MUST_USE err_t
shards_cross_create(const struct shards_cross_parts *parts, struct shards_cross **ret_cross);
/* After the executor has stopped: requests that it still has are dropped. Accepts NULL. */
void shards_cross_destroy(struct shards_cross **cross);

/* Lives as long as the cross; any thread. As the router's port, but for:
 *   - a transfer between accounts of two shards is booked atomically, and so is the posting of a
 *     hold between two slots, which is its payer's slot's (CROSS-10). ERR_BUSY: nothing was done,
 * ERR_OUTCOME_UNKNOWN: send the same ids again;
 *   - so is a linked chain, of plain transfers and, if they are all within one slot, of what makes
 *     and ends holds: 31 legs (one for an event within the slot that decides, else two), 8 slots;
 *   - ERR_CROSSES_SHARDS only for what cannot cross: other chains, balancing, closing and imported
 *     transfers, ids of the protocol, and what ends a hold that the same batch makes in several
 *     ways; out_count is the event's place;
 *   - PORT_LEDGER_LOOKUP_TRANSFERS shows the payer's leg of a transfer that crossed: linked, and
 *     while nobody knows its outcome (3PC) pending; if it was aborted, not at all;
 *   - PORT_LEDGER_LOOKUP_CONSISTENT. ERR_BUSY: money kept moving between the shards for
 *     SHARDS_READ_TRIES_MAX tries. */
struct port_ledger *shards_cross_port(struct shards_cross *cross);

/* Deadlines, repeats, the resolver. On the executor's thread. */
void shards_cross_tick(struct shards_cross *cross);

/* Counters since creation, except the gauges. Any thread. */
struct shards_cross_counters {
    uint64_t committed;
    uint64_t aborted;
    uint64_t left;               /* no outcome until give_up_ms: the resolver's */
    uint64_t resolved_committed; /* by the resolver, which may be another process's work */
    uint64_t resolved_aborted;
    uint64_t busy;
    uint64_t reads_repeated;  /* consistent reads that began again */
    uint64_t sweeps_failed;   /* a shard did not say what it has in doubt */
    uint64_t in_doubt;        /* gauge: transactions that are older than deadline_ms */
    uint64_t oldest_doubt_ms; /* gauge: since when the oldest of them has been known here */
    uint64_t jobs;            /* gauge */
    uint64_t memory;          /* gauge */
};

void shards_cross_count(
    const struct shards_cross *cross, struct shards_cross_counters *ret_counters);

/* A part of a transaction that waits for its decision, as a slot's ledger has it. */
struct shards_doubt {
    u128 name;      /* of the transaction (commit/records.h) */
    uint16_t slot;  /* where money is set aside */
    uint32_t shard; /* whose slot it is */
    uint32_t pending_count;
    uint64_t since_ns; /* the ledger's time of the oldest pending transfer */
    uint64_t known_ms; /* how long this process has known of it */
    bool has_header;   /* the marker was read: */
    struct commit_header header;
    bool resolving;
    const char *state;          /* of the run that resolves it, or "waiting" */
    struct trace_context trace; /* if this process has the run that began it; else zero */
};

/* What the last sweeps found, at most `room`; returns how many. On the executor's thread. */
uint32_t shards_cross_doubts(
    struct shards_cross *cross, struct shards_doubt *ret_doubts, uint32_t room);
/* Concludes a transaction now, whatever its age, through the slot that decides (2PC), or by a
 * majority (3PC): nobody can choose the outcome. ERR_NOT_FOUND: it is not in doubt, as far as is
 * known here. On the executor's thread. */
MUST_USE err_t shards_cross_conclude(struct shards_cross *cross, u128 name);

#endif
