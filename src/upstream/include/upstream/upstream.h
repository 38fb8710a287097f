/*
 * An upstream: a named set of endpoints that serve the same, and all that stands between a caller
 * and the one that answers: balancing, pools of connections, health checks, ejection of outliers, a
 * circuit breaker, retries under a budget, deadlines. For the gateway and for calls from one
 * service to another. It lives on a net loop.
 *
 *     struct upstream_settings settings = upstream_settings_default;
 *     settings.policy = BALANCE_LEAST_OF_TWO;
 *     upstream_create(loop, "api", &settings, &upstream);
 *     upstream_set(upstream, (struct upstream_endpoint[]){{.host = "10.0.0.1", .port = 8080}}, 1);
 *     net_loop_start(loop);
 *
 *     call->method = HTTP_METHOD_POST;
 *     call->target = SPAN("/v1/transfers");
 *     call->body = body;
 *     call->repeatable = true;                 ... has an Idempotency-Key ...
 *     call->done = on_done;
 *     upstream_send(upstream, call);           ... on_done(call) runs later, once ...
 *     upstream_call_release(call);
 *
 *     upstream_stop(upstream, 5000);
 *     net_loop_stop(loop);
 *     upstream_destroy(&upstream);
 *
 * What the end of a call means is its outcome (upstream/call.h), never a guess: NOT_SENT is said
 * only if not one byte of any attempt left this machine.
 *
 * What is tried again, on another endpoint where there is one: what certainly was not sent
 * (whatever the request), and, if the request is `repeatable`, what has an unknown outcome or was
 * answered 429, 502, 503 or 504. Every further try costs a token of the retry budget, so that a
 * back end that fails gets at most 1.2 times the requests; but with `unsent_elsewhere` what did not
 * reach an endpoint is tried at the others for nothing. Nobody above should retry as well.
 */
#ifndef UPSTREAM_UPSTREAM_H
#define UPSTREAM_UPSTREAM_H

#include "balance/balance.h"
#include "balance/guard.h"
#include "net/client.h"
#include "net/loop.h"
#include "net/tls.h"

struct trace_log;
struct upstream;

/* Endpoints of an upstream, those that drain included. */
#define UPSTREAM_ENDPOINTS_MAX 128
/* Bytes of an upstream's name, and of "host:port", with a zero. */
#define UPSTREAM_NAME_SIZE     64
#define UPSTREAM_ENDPOINT_SIZE 264

/* How an endpoint is found out to be well or not without waiting for requests to fail. */
struct upstream_health_settings {
    const char *path;     /* GET; 2xx is well. NULL: no active checks. Copied, at most 255 bytes */
    uint32_t interval_ms; /* between the checks of one endpoint */
    uint32_t jitter_percent; /* each interval is so much shorter at most, by chance */
    uint32_t timeout_ms;
    uint32_t up;   /* successes in a row until an unhealthy one is used */
    uint32_t down; /* failures in a row until it is not */
};

/* Settings of what is watched and limited; the rules are in core/balance. Times in ms. */
struct upstream_settings {
    enum balance_policy policy;
    uint32_t slow_start_ms;     /* of one that was added or came back; 0: none */
    uint32_t panic_percent;     /* below this share of usable endpoints, all are used; 0: never */
    uint32_t hash_load_percent; /* BALANCE_HASH: of the mean load, at least 100; 0: no bound */

    uint32_t connections_max; /* per endpoint */
    uint32_t pending_max;     /* per endpoint: waiting for a connection */
    uint32_t requests_max;    /* of the upstream, from send to the end */
    uint32_t attempts_max;    /* of one request */
    uint32_t answer_max;      /* bytes of an answer's body; a longer one is an unknown outcome */

    uint32_t timeout_ms;         /* of a call that does not say */
    uint32_t try_timeout_ms;     /* of one attempt, if the call does not say; 0: the total */
    uint32_t connect_timeout_ms; /* resolving, connecting, TLS */
    uint32_t idle_timeout_ms;    /* of a pooled connection; below the servers' own */
    uint32_t drain_timeout_ms;   /* a removed endpoint's requests end within this, or are cut */

    uint32_t backoff_base_ms; /* the n-th retry waits rand(0, min(max, base x 2^(n-1))) */
    uint32_t backoff_max_ms;
    uint32_t retry_after_max_ms;   /* a longer Retry-After is not waited for: its answer is given */
    uint32_t retry_budget_percent; /* retries per request, and of those active now */
    uint32_t retry_budget_min;     /* but so many always; see balance/guard.h */
    bool unsent_elsewhere; /* whom a request does not reach costs it nothing: it goes to each other
                              endpoint, at once, beyond attempts_max and the budget */

    struct upstream_health_settings health;
    struct balance_outlier_settings outlier;
    struct balance_breaker_settings breaker;

    struct net_tls *tls;     /* of every endpoint; NULL: plain. Borrowed */
    const char *server_name; /* Host header and TLS name; NULL: the endpoint's, for
                                upstream_follow_name that name. Copied, at most 253 bytes */
    enum net_reach reach;
    struct trace_log *log; /* changes of states are told there; NULL: nowhere. Borrowed */
};

/* Least of two by weight, 10 s slow start, panic below 50 %, hash bound 125 %; 64 connections and
 * 1,024 pending an endpoint, 8,192 requests, 3 attempts, answers up to 1 MiB; 30 s total, 2 s to
 * connect, 20 s idle, 30 s drain; back-off 25 ms to 1 s, Retry-After up to 10 s, budget 20 % and 3;
 * no active checks (10 s, 20 % jitter, 2 s timeout, 2 up, 3 down); outlier and breaker defaults. */
extern const struct upstream_settings upstream_settings_default;

/* Name and settings are copied. ERR_RANGE: a setting is zero or absurd; ERR_INVALID: the name is
 * not 1 to 63 letters, digits, '-', '_' or '.'; ERR_MEMORY. Any thread. */
MUST_USE err_t upstream_create(
    struct net_loop *loop,
    const char *name,
    const struct upstream_settings *settings,
    struct upstream **ret_upstream);

/* Ends what goes on: no new call is taken (NO_ENDPOINT), calls under way may finish for drain_ms,
 * then they end as their state demands; returns when every `done` was posted and all connections
 * are closed. Not from the loop's thread; the loop must be running. */
void upstream_stop(struct upstream *upstream, uint32_t drain_ms);
/* After upstream_stop, or if the loop never ran. Accepts NULL. */
void upstream_destroy(struct upstream **upstream);

/* ---- the set of endpoints ----------------------------------------------------------------- */

struct upstream_endpoint {
    const char *host;  /* name or numeric address, at most 253 bytes; copied */
    uint16_t port;     /* with host: its identity */
    uint32_t weight;   /* 1 to BALANCE_WEIGHT_MAX; 0 means 1 */
    uint32_t priority; /* 0 is preferred; others are used when too few of it are well */
};

/* Replaces the set, from any thread; takes effect on the loop in order of the calls. Those of the
 * same host and port keep their connections, state and counters; new ones start slowly (not those
 * of the first set); those left out get no new request, finish theirs, and go. ERR_INVALID: a host,
 * weight or priority that cannot be, or the same host and port twice; ERR_FULL: more than
 * UPSTREAM_ENDPOINTS_MAX; ERR_MEMORY. An endpoint for which there is no room while others drain is
 * added when they are gone. */
MUST_USE err_t upstream_set(
    struct upstream *upstream, const struct upstream_endpoint *endpoints, size_t endpoint_count);

/* Each address that `host` resolves to is an endpoint. Looked up now and every interval_ms; a
 * look-up that fails, or finds nothing, changes nothing and is counted. One source an upstream.
 * ERR_INVALID, ERR_EXISTS, ERR_MEMORY. Any thread. */
MUST_USE err_t upstream_follow_name(
    struct upstream *upstream, const char *host, uint16_t port, uint32_t interval_ms);

/* The endpoints are the lines of a file, "host:port", with optional "weight=N" and "priority=N"
 * behind; '#' begins a comment. It is read now and every interval_ms (off the loop's thread), and
 * applied when its content changed; one that cannot be read, is empty or has a mistake changes
 * nothing and is counted. At most UPSTREAM_FILE_MAX bytes. Errors as above. */
#define UPSTREAM_FILE_MAX 65536
MUST_USE err_t
upstream_follow_file(struct upstream *upstream, const char *path, uint32_t interval_ms);

/* ---- what goes on ------------------------------------------------------------------------- */

/* Counters since creation, except the gauges. */
struct upstream_counters {
    uint64_t requests;    /* taken */
    uint64_t active;      /* gauge: not ended */
    uint64_t pending;     /* gauge, a second old at most: waiting for a connection */
    uint64_t backing_off; /* gauge: waiting for a retry */
    uint64_t answered;    /* the outcomes: */
    uint64_t not_sent;
    uint64_t unknown;
    uint64_t timeouts;
    uint64_t no_endpoint;
    uint64_t overloaded;
    uint64_t cancelled;
    uint64_t attempts;
    uint64_t retries;
    uint64_t budget_exhausted; /* retries that were not made */
    uint64_t breaker_state;    /* gauge: enum balance_breaker_state */
    uint64_t breaker_opened;
    uint64_t breaker_refused;
    uint64_t panics;    /* picks while too few were well */
    uint64_t endpoints; /* gauge: configured, without those that drain */
    uint64_t usable;    /* gauge: of them active */
    uint64_t set_changes;
    uint64_t source_errors; /* look-ups or readings that failed */
};

/* From any thread: each number is exact, together they are not one instant. */
void upstream_count(const struct upstream *upstream, struct upstream_counters *ret_counters);
const char *upstream_name(const struct upstream *upstream);

struct upstream_endpoint_counters {
    char name[UPSTREAM_ENDPOINT_SIZE]; /* "host:port" */
    uint64_t state;                    /* gauge: enum balance_state */
    uint64_t weight;                   /* gauge: configured */
    uint64_t in_flight;                /* gauge */
    uint64_t requests;                 /* attempts */
    uint64_t errors;                   /* attempts not answered, and 5xx */
    uint64_t connect_failed;           /* a second old at most */
    uint64_t ejections;
    uint64_t checks; /* active */
    uint64_t checks_failed;
    uint64_t connections; /* gauge, a second old at most */
    uint64_t answers;     /* with the next: the mean latency */
    uint64_t latency_total_ns;
    uint64_t latency_ns; /* gauge: smoothed over about the last eight answers */
};

/* Slot 0 to UPSTREAM_ENDPOINTS_MAX - 1; false if nothing is in it. From any thread. */
bool upstream_endpoint_count(
    const struct upstream *upstream,
    uint32_t slot,
    struct upstream_endpoint_counters *ret_counters);

#endif
