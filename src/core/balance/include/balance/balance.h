/*
 * Load balancing: which endpoint of an upstream gets the next request. Pure: the caller's memory,
 * time and random numbers are arguments, no floating point; the same calls give the same picks on
 * every machine.
 *
 *     balance_init(&balance, &settings, &memory);
 *     balance_add(&balance, 0, hash_of("10.0.0.1:80"), &(struct balance_share){.weight = 5}, 0);
 *     ...
 *     if (balance_pick(&balance, &request, &index) != BALANCE_NONE) {
 *         balance_begin(&balance, index);   ... the request is under way ...
 *         balance_end(&balance, index);
 *     }
 *
 * One owner at a time. Invariants: README.md.
 */
#ifndef BALANCE_BALANCE_H
#define BALANCE_BALANCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum balance_policy {
    BALANCE_ROUND_ROBIN,     /* in turn; weights do not count */
    BALANCE_SMOOTH,          /* in turn by weight, spread evenly (nginx's smooth weighted) */
    BALANCE_RANDOM,          /* weights do not count */
    BALANCE_WEIGHTED_RANDOM, /* by weight */
    BALANCE_LEAST_OF_TWO, /* two by chance, by weight; the one with fewer requests for its weight */
    BALANCE_LEAST_REQUESTS, /* of all, the fewest requests for its weight; smooth among equals */
    BALANCE_HASH,           /* by the request's key: consistent, on a ring */
};

#define BALANCE_POLICY_COUNT 7
/* "round_robin", "smooth", "random", "weighted_random", "least_of_two", "least_requests", "hash".
 */
const char *balance_policy_name(enum balance_policy policy);

enum balance_state {
    BALANCE_ABSENT,    /* no endpoint has this index */
    BALANCE_ACTIVE,    /* gets requests */
    BALANCE_UNHEALTHY, /* active checks say so */
    BALANCE_EJECTED,   /* for a time, because requests failed */
    BALANCE_DRAINING,  /* gets none, not even in panic */
};

/* "absent", "active", ... */
const char *balance_state_name(enum balance_state state);

#define BALANCE_WEIGHT_MAX    1000
#define BALANCE_PRIORITY_MAX  7
#define BALANCE_ENDPOINTS_MAX 1024
/* The longest slow start: an hour. */
#define BALANCE_SLOW_START_NS_MAX UINT64_C(3600000000000)
/* An endpoint of weight 1 has so many points on the ring, or half, a quarter ... as room allows. */
#define BALANCE_POINTS 1024

struct balance_settings {
    enum balance_policy policy;
    uint64_t slow_start_ns;     /* 0: none */
    uint32_t panic_percent;     /* 0 to 100 */
    uint32_t hash_load_percent; /* at least 100, or 0: no bound */
};

/* What an endpoint may get: weight 1 to BALANCE_WEIGHT_MAX, priority 0 (preferred) to
 * BALANCE_PRIORITY_MAX. */
struct balance_share {
    uint32_t weight;
    uint32_t priority;
};

/* Read by anybody, written by the functions below. */
struct balance_endpoint {
    uint64_t identity; /* where it is on the ring: equal in every process that should agree */
    struct balance_share share;
    enum balance_state state;
    uint32_t in_flight;
    uint64_t ramp_from_ns; /* slow start began; UINT64_MAX: none */
    /* Private. */
    int64_t current;    /* smooth: what it is owed */
    uint32_t effective; /* weight now, in 1/256; 0: not a candidate */
    uint32_t before;    /* effective weights of the candidates before it */
};

struct balance_point {
    uint64_t at;
    uint32_t index;
};

/* Lives as long as the balance. `points` only for BALANCE_HASH, at least `capacity` of them;
 * BALANCE_POINTS for each unit of weight is best, more are not used. */
struct balance_memory {
    struct balance_endpoint *endpoints;
    uint16_t *candidates; /* as many as endpoints */
    uint32_t capacity;    /* 1 to BALANCE_ENDPOINTS_MAX */
    struct balance_point *points;
    uint32_t point_capacity;
};

struct balance {
    struct balance_settings settings;
    struct balance_memory memory;
    /* Private. */
    uint32_t candidate_count;
    uint32_t total;  /* effective weights of the candidates */
    uint32_t turn;   /* round robin: the next candidate's position */
    uint32_t cursor; /* and who it was last */
    uint32_t point_count;
    uint64_t refresh_ns; /* weights change again then; UINT64_MAX: nobody ramps */
    bool stale;          /* candidates are to be found anew */
    bool ring_stale;
    bool panic;
};

/* Nobody is there. */
void balance_init(
    struct balance *balance,
    const struct balance_settings *settings,
    const struct balance_memory *memory);

/* The index was absent. `now_ns`: its slow start begins; UINT64_MAX: at full weight at once. */
void balance_add(
    struct balance *balance,
    uint32_t index,
    uint64_t identity,
    const struct balance_share *share,
    uint64_t now_ns);
/* Nothing of it is in flight. */
void balance_remove(struct balance *balance, uint32_t index);
void balance_set_share(struct balance *balance, uint32_t index, const struct balance_share *share);
/* To another state than BALANCE_ABSENT. One that becomes active starts slowly. */
void balance_set_state(
    struct balance *balance, uint32_t index, enum balance_state state, uint64_t now_ns);

#define BALANCE_NOBODY UINT32_MAX

struct balance_request {
    uint64_t now_ns; /* does not go back */
    uint64_t random; /* 64 even bits; not used by BALANCE_SMOOTH, BALANCE_LEAST_REQUESTS, _HASH */
    uint64_t key;    /* BALANCE_HASH; any value, it is mixed here */
    uint32_t avoid;  /* an index that is taken only if there is no other; or BALANCE_NOBODY */
};

enum balance_picked {
    BALANCE_NONE, /* there is no endpoint that could be used */
    BALANCE_PICKED,
    BALANCE_PANIC, /* picked among all, because too few are active */
};

enum balance_picked balance_pick(
    struct balance *balance, const struct balance_request *request, uint32_t *ret_index);

/* A request to it begins, and ends: what least-of-two, least-requests and the hash's bound count.
 */
void balance_begin(struct balance *balance, uint32_t index);
void balance_end(struct balance *balance, uint32_t index);

/* Endpoints that are neither absent nor draining, and how many of them are active. */
uint32_t balance_count(const struct balance *balance, uint32_t *ret_active);
/* One more may leave the active ones without more than `share_percent` of the endpoints being
 * ejected. */
bool balance_may_eject(const struct balance *balance, uint32_t share_percent);

#endif
