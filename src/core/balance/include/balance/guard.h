/*
 * What protects a back end and its callers from one another: health thresholds, ejection of
 * outliers, a circuit breaker, a retry budget, back-off. Pure: time and random numbers are
 * arguments. One owner at a time. Invariants: README.md.
 */
#ifndef BALANCE_GUARD_H
#define BALANCE_GUARD_H

#include <stdbool.h>
#include <stdint.h>

/* ---- health: the results of active checks --------------------------------------------------- */

struct balance_health {
    bool unhealthy;
    uint32_t run; /* results in a row that contradict it */
};

/* `up` successes make an unhealthy one healthy, `down` failures the reverse. True: it changed. */
bool balance_health_result(struct balance_health *health, uint32_t up, uint32_t down, bool well);

/* ---- outliers: the results of requests ------------------------------------------------------ */

struct balance_outlier_settings {
    uint32_t failures;      /* in a row; 0: nobody is ejected */
    uint32_t base_ms;       /* an ejection lasts base x ejections, */
    uint32_t max_ms;        /* at most so long */
    uint32_t share_percent; /* of the endpoints that may be ejected at once */
};

/* 5 failures, 30 s, 300 s, 50 %. */
extern const struct balance_outlier_settings balance_outlier_default;

struct balance_outlier {
    uint32_t run;      /* failures in a row */
    uint32_t times;    /* ejections; forgotten one by one, each after base_ms without one */
    uint64_t until_ns; /* the last ejection ends */
    bool ejected;
};

/* The result of a request. True: it is to be ejected, if the share allows (balance_may_eject); if
 * not, the next failure says so again. Results of an ejected one do not count: they are late. */
bool balance_outlier_result(
    struct balance_outlier *outlier, const struct balance_outlier_settings *settings, bool failed);
/* Ejects it; returns when that ends. */
uint64_t balance_outlier_eject(
    struct balance_outlier *outlier,
    const struct balance_outlier_settings *settings,
    uint64_t now_ns);
/* True: its ejection is over, from now on. */
bool balance_outlier_return(struct balance_outlier *outlier, uint64_t now_ns);

/* ---- breaker: the results of a whole upstream ----------------------------------------------- */

/*
 *            too many failed                    open_ms passed
 *     CLOSED ---------------> OPEN -----------------------------> HALF_OPEN
 *        ^                     ^           a probe failed             |
 *        |                     `--------------------------------------+
 *        `------------------------------------------------------------'
 *                              `probes` succeeded
 */
enum balance_breaker_state {
    BALANCE_BREAKER_CLOSED,
    BALANCE_BREAKER_OPEN,
    BALANCE_BREAKER_HALF_OPEN,
};

struct balance_breaker_settings {
    uint32_t failure_percent; /* of the window's results; 0: no breaker */
    uint32_t results_min;     /* in the window, else it stays closed */
    uint32_t window_ms;
    uint32_t open_ms;
    uint32_t probes; /* at once while half open, and successes that close it */
};

/* 80 %, 20 results, 10 s, 5 s, 3 probes. */
extern const struct balance_breaker_settings balance_breaker_default;

#define BALANCE_BREAKER_BUCKETS 10

struct balance_breaker {
    enum balance_breaker_state state;
    uint64_t until_ns; /* open until then */
    uint32_t probing;  /* probes under way */
    uint32_t succeeded;
    uint32_t generation; /* of states: a probe's result counts in its own half-open time only */
    uint64_t bucket;     /* number of the newest since time 0 */
    uint32_t results[BALANCE_BREAKER_BUCKETS];
    uint32_t failures[BALANCE_BREAKER_BUCKETS];
};

enum balance_admission {
    BALANCE_REFUSED,
    BALANCE_ADMITTED,
    BALANCE_PROBE, /* admitted to see whether it works again */
};

/* *ret_ticket goes to the result of what was admitted. */
enum balance_admission balance_breaker_admit(
    struct balance_breaker *breaker,
    const struct balance_breaker_settings *settings,
    uint64_t now_ns,
    uint32_t *ret_ticket);

enum balance_result {
    BALANCE_SUCCEEDED,
    BALANCE_FAILED,
    BALANCE_NO_RESULT, /* cancelled, or never tried: says nothing */
};

/* The result of what was admitted, once each. */
void balance_breaker_result(
    struct balance_breaker *breaker,
    const struct balance_breaker_settings *settings,
    uint64_t now_ns,
    uint32_t ticket,
    enum balance_result result);

/* ---- retries -------------------------------------------------------------------------------- */

struct balance_budget_settings {
    uint32_t percent; /* retries for each 100 requests, and of those active */
    uint32_t min;     /* but so many at once, and so many in advance */
};

/* Tokens: each request brings percent/100, each retry takes one; `min` are there from the start, on
 * account of the first requests. So all retries ever are at most max(min, percent of all requests),
 * and after a quiet time at most BALANCE_BUDGET_TOKENS_MAX in a burst. */
#define BALANCE_BUDGET_TOKENS_MAX 100

struct balance_budget {
    int64_t tokens; /* in 1/100 */
    int64_t advance;
};

void balance_budget_init(
    struct balance_budget *budget, const struct balance_budget_settings *settings);
void balance_budget_request(
    struct balance_budget *budget, const struct balance_budget_settings *settings);
/* `active`: requests not ended, `retrying`: of them retried now, this one not counted. False: there
 * is no retry to be made. */
bool balance_budget_take(
    struct balance_budget *budget,
    const struct balance_budget_settings *settings,
    uint32_t active,
    uint32_t retrying);

/* Full jitter: evenly in [0, min(max, base x 2^(retry - 1))], in nanoseconds; retry counts from 1.
 */
uint64_t balance_backoff_ns(uint32_t base_ms, uint32_t max_ms, uint32_t retry, uint64_t random);

#endif
