/*
 * The parts of an upstream. Everything here runs on the loop's thread, but where it says otherwise.
 *
 *     upstream.c   life, settings, counters
 *     call.c       calls: attempts, retries, how they end
 *     set.c        from a wanted set to slots
 *     slot.c       one endpoint: its clients, states, ejection, draining
 *     check.c      its active health checks
 *     source.c     sets that come from a name or a file
 *     file.c       the text of such a file (pure)
 *
 * A slot:
 *
 *             slot_open                  upstream_slot_leave            nothing in flight, or too
 * late unused -----------> in the set -----------------------> leaving ------------------> closing
 *        ^                     ^   upstream_slot_stay              |                         |
 *        |                     `-----------------------------------'                         |
 *        `-----------------------------------------------------------------------------------'
 *                                    its clients are closed
 */
#ifndef UPSTREAM_PRIVATE_H
#define UPSTREAM_PRIVATE_H

#include "net/job.h"
#include "net/resolve.h"
#include "os/prng.h"
#include "trace/log.h"
#include "upstream/call.h"

#include <stdatomic.h>

#define UPSTREAM_NS_PER_MS   UINT64_C(1000000)
#define UPSTREAM_HOST_SIZE   254
#define UPSTREAM_PATH_SIZE   256
#define UPSTREAM_SOURCE_SIZE 1024
#define UPSTREAM_POINTS      16384

/* ---- a wanted set ---------------------------------------------------------------------------- */

struct upstream_target {
    char host[UPSTREAM_HOST_SIZE];
    uint16_t port;
    struct balance_share share;
};

struct upstream_plan {
    size_t count;
    struct upstream_target targets[UPSTREAM_ENDPOINTS_MAX];
};

/* file.c: any thread. Fills an empty plan; a mistake gives its line (from 1) and a sentence about
 * it, and ERR_INVALID, or ERR_FULL for too many endpoints. */
MUST_USE err_t upstream_file_parse(
    struct span text, struct upstream_plan *plan, uint32_t *ret_line, const char **ret_reason);
/* Adds a copy of one endpoint. ERR_INVALID: host, port, weight or priority; ERR_EXISTS: the same
 * host and port; ERR_FULL. */
MUST_USE err_t upstream_plan_add(
    struct upstream_plan *plan, struct span host, uint16_t port, const struct balance_share *share);

/* ---- slots ------------------------------------------------------------------------------------
 */

#define UPSTREAM_SLOT_COUNTER_COUNT                                                                \
    ((sizeof(struct upstream_endpoint_counters) -                                                  \
      offsetof(struct upstream_endpoint_counters, state)) /                                        \
     sizeof(uint64_t))
#define UPSTREAM_NAME_WORDS (UPSTREAM_ENDPOINT_SIZE / sizeof(uint64_t))

struct upstream_slot {
    struct upstream *upstream;
    uint32_t index;
    bool used;
    bool leaving;
    bool closing;
    uint32_t clients_open;
    struct upstream_target target;
    char name[UPSTREAM_ENDPOINT_SIZE];
    size_t name_size; /* with its zero */
    struct net_client *client;
    struct net_client *checker; /* NULL without active checks */
    struct os_task client_closed;
    struct os_task checker_closed;
    struct balance_health health;
    struct balance_outlier outlier;
    struct net_timer return_timer; /* an ejection ends */
    struct net_timer drain_timer;
    struct net_timer check_timer;
    struct net_call check;
    bool checking;

    /* For readers on other threads: odd while the name is being written; empty when unused. */
    _Atomic uint64_t version;
    _Atomic uint64_t name_words[UPSTREAM_NAME_WORDS];
    _Atomic uint64_t counters[UPSTREAM_SLOT_COUNTER_COUNT];
};

/* ---- the upstream -----------------------------------------------------------------------------
 */

#define UPSTREAM_COUNTER_COUNT (sizeof(struct upstream_counters) / sizeof(uint64_t))

enum upstream_source_kind {
    UPSTREAM_SOURCE_NONE,
    UPSTREAM_SOURCE_NAME,
    UPSTREAM_SOURCE_FILE,
};

struct upstream_file_job;

struct upstream_source {
    _Atomic int kind;                /* enum upstream_source_kind; set once, by any thread */
    char text[UPSTREAM_SOURCE_SIZE]; /* host or path */
    uint16_t port;
    uint64_t interval_ns;
    struct os_task begin;
    struct net_timer timer;
    struct net_lookup *lookup;     /* under way */
    struct upstream_file_job *job; /* under way */
    uint64_t content;              /* hash of what was applied */
    bool begun;                    /* text may be read on the loop's thread */
    bool applied;
    bool failing;
};

struct upstream {
    struct net_loop *loop;
    char name[UPSTREAM_NAME_SIZE];
    struct upstream_settings settings;
    char health_path[UPSTREAM_PATH_SIZE];
    char server_name[UPSTREAM_HOST_SIZE];
    struct balance_budget_settings budget_settings;
    struct net_client_settings client_settings;

    struct balance balance;
    struct balance_endpoint endpoints[UPSTREAM_ENDPOINTS_MAX];
    uint16_t candidates[UPSTREAM_ENDPOINTS_MAX];
    struct balance_point *points; /* BALANCE_HASH */
    struct balance_budget budget;
    struct balance_breaker breaker;
    struct os_prng prng;

    struct list calls; /* not ended */
    uint32_t active;
    uint32_t retrying;
    struct os_task *ended; /* their `done` is still to be run or posted */
    struct os_task *ended_last;
    struct os_task flush_task;
    bool flushing;

    _Atomic(struct upstream_plan *) wanted; /* of upstream_set, on its way to the loop */
    struct os_task set_task;
    struct upstream_plan *plan; /* what is applied; NULL before the first */
    bool plan_pending;          /* there was no room for all of it */
    uint32_t slots_used;
    struct upstream_source source;

    bool stopping;
    bool closed; /* every slot was told to close */
    uint32_t drain_ms;
    struct os_task begin_task;
    struct os_task stop_task;
    struct net_timer stop_timer;
    struct net_timer gauge_timer; /* what clients know is copied every second */
    struct net_latch *stopped;

    _Atomic uint64_t counters[UPSTREAM_COUNTER_COUNT];
    struct upstream_slot slots[UPSTREAM_ENDPOINTS_MAX];
};

/* Counters have one writer, the loop's thread. */
static inline void
upstream_counter_add(_Atomic uint64_t *counter, uint64_t value)
{
    atomic_store_explicit(
        counter, atomic_load_explicit(counter, memory_order_relaxed) + value, memory_order_relaxed);
}

static inline void
upstream_counter_set(_Atomic uint64_t *counter, uint64_t value)
{
    atomic_store_explicit(counter, value, memory_order_relaxed);
}

#define UPSTREAM_COUNTER(upstream_, name_)                                                         \
    (&(upstream_)->counters[offsetof(struct upstream_counters, name_) / sizeof(uint64_t)])
#define UPSTREAM_SLOT_COUNTER(slot_, name_)                                                        \
    (&(slot_)->counters                                                                            \
          [(offsetof(struct upstream_endpoint_counters, name_) -                                   \
            offsetof(struct upstream_endpoint_counters, state)) /                                  \
           sizeof(uint64_t)])

/* ---- upstream.c */
/* A step of stopping, if it stops. The upstream may be gone when this returns: call it last. */
void upstream_stop_step(struct upstream *upstream);

/* ---- call.c */
/* Ends every call that waits for a retry; with `all`, every call. */
void upstream_calls_end(struct upstream *upstream, bool all);
void upstream_calls_init(struct upstream *upstream);

/* ---- set.c */
/* Takes the plan. */
void upstream_plan_apply(struct upstream *upstream, struct upstream_plan *plan);
void upstream_plan_init(struct upstream *upstream);
bool upstream_plan_equal(const struct upstream_plan *a, const struct upstream_plan *b);
/* There may be room now for what is missing. */
void upstream_plan_resume(struct upstream *upstream);

/* ---- slot.c */
MUST_USE err_t upstream_slot_open(
    struct upstream_slot *slot, const struct upstream_target *target, uint64_t ramp_from_ns);
void upstream_slot_leave(struct upstream_slot *slot);
void upstream_slot_stay(struct upstream_slot *slot);
void upstream_slot_close(struct upstream_slot *slot);
/* An attempt begins; it ended. */
void upstream_slot_begin(struct upstream_slot *slot);
void upstream_slot_end(struct upstream_slot *slot);
/* What a request to it came to. */
void upstream_slot_result(struct upstream_slot *slot, bool failed, uint64_t now_ns);
/* Health, ejection or leaving changed. */
void upstream_slot_state(struct upstream_slot *slot);
void upstream_slots_counted(struct upstream *upstream);
/* Connections, pending calls and failed connects, from the clients. */
void upstream_gauges_copy(struct upstream *upstream);

/* ---- check.c */
void upstream_check_begin(struct upstream_slot *slot);
/* Nothing is checked any more; a check that is under way ends with its client. */
void upstream_check_end(struct upstream_slot *slot);

/* ---- source.c */
void upstream_source_end(struct upstream *upstream);

#endif
