/*
 * The gateway's parts and how they call one another.
 *
 *     generation.c   a configuration that counts: its upstreams, counters of its routes
 *     listeners.c    servers for the listeners of a configuration
 *     gateway.c      life, reload, drain
 *     request.c      a request's way: who, which route, whether it may
 *     limits.c       what a request is counted against, here or in Redis
 *     forward.c      the request made anew, and its answer
 *     headers.c      which headers pass, in both directions
 *     answer.c       what the gateway answers by itself
 *     access.c       the access log
 *     counters.c     metrics
 *     admin.c        the operators' listener
 *     redis.c        limits that gateways share
 *     trace.c        where traces begin or go on, and their spans
 *
 * Two threads: the net loop's, on which every request lives and everything marked "loop" belongs,
 * and the operations loop's, which reads files, builds generations, and waits for what ends.
 *
 * A generation counts its requests. When a newer one is in its place and the last request is
 * answered, the operations loop takes it apart.
 */
#ifndef GATEWAY_PRIVATE_H
#define GATEWAY_PRIVATE_H

#include "config.h"
#include "forwarded.h"
#include "gateway/gateway.h"
#include "limit.h"
#include "shed.h"

#include "base/hash.h"
#include "base/id.h"
#include "net/server.h"
#include "trace/span.h"
#include "upstream/call.h"

#include <semaphore.h>

#define GATEWAY_REQUEST_ID_SIZE 72
#define GATEWAY_REQUESTS_KEPT   512
#define GATEWAY_ERROR_MAX       4096
#define GATEWAY_ANSWER_HEADERS  (HTTP_FIELDS_MAX + GATEWAY_HEADERS_MAX + 8)
#define GATEWAY_FORWARD_HEADERS (HTTP_FIELDS_MAX + GATEWAY_HEADERS_MAX + 8)
#define GATEWAY_BUCKETS         14
#define GATEWAY_STATUS_CLASSES  5 /* 1xx (never) to 5xx */

/* What happened to a request, beside its status. */
enum gateway_verdict {
    GATEWAY_FORWARDED,
    GATEWAY_UNAUTHENTICATED,
    GATEWAY_DENIED, /* network, kind of key */
    GATEWAY_BAD_REQUEST,
    GATEWAY_NO_ROUTE,
    GATEWAY_LIMITED_RATE,
    GATEWAY_LIMITED_CONCURRENCY,
    GATEWAY_SHED,
    GATEWAY_PREFLIGHT,
    GATEWAY_UNAVAILABLE, /* no endpoint, breaker, maximum */
    GATEWAY_FAILED,      /* not sent, unknown, timeout */
    GATEWAY_REFUSED,     /* by the codec */
    GATEWAY_CLIENT_GONE, /* before its answer, and nobody waits for that */
};

#define GATEWAY_VERDICT_COUNT 13
extern const char *const gateway_verdict_names[GATEWAY_VERDICT_COUNT];

/* Of a route, by name: they go on through reloads. */
struct gateway_route_counters {
    struct gateway_route_counters *next; /* all of them, operations loop */
    uint32_t generations;                /* that want them; operations loop */
    char name[GATEWAY_NAME_SIZE];

    /* Loop. */
    uint64_t by_class[GATEWAY_STATUS_CLASSES];
    uint64_t buckets[GATEWAY_BUCKETS + 1];
    uint64_t duration_ns;
    uint64_t turn; /* of the split */
};

/* An upstream that lives as long as a generation wants it. */
struct gateway_target {
    struct gateway_target *next; /* all of them, operations loop */
    char name[GATEWAY_NAME_SIZE];
    uint64_t fingerprint;
    uint32_t generations; /* that want it; operations loop */
    struct upstream *upstream;
    struct net_tls *tls;
    bool by_key; /* policy hash */

    /* Loop. */
    struct gateway_shed shed;
    struct gateway_shed_target shed_target;
    uint32_t under_way;
    uint64_t shed_count[GATEWAY_CLASS_COUNT];
    uint64_t outcomes[8]; /* by enum upstream_outcome */
};

struct gateway_generation {
    struct gateway *gateway;
    struct gateway_config *config;
    struct gateway_target **targets;          /* by index of config->upstreams */
    struct gateway_route_counters **counters; /* by index of config->routes, and one more: none */
    uint64_t number;
    struct gateway_redis *redis; /* NULL: limits are this process's own */
    uint32_t references;         /* loop: one while it is current, one for each request */
    struct os_task retire;
};

struct gateway_listener {
    struct gateway_listener_config config;
    struct gateway *gateway;
    struct net_server *server;
    struct net_tls *tls; /* NULL: plain */
    uint16_t port;
};

struct gateway_redis;
struct gateway_access;

struct gateway {
    struct gateway_parts parts;
    struct os_loop *operations;

    /* Operations loop (before it starts: whoever creates). */
    struct gateway_target *targets;
    struct gateway_route_counters *counters;
    struct gateway_redis *redis; /* the newest generation's; others may have older ones */
    struct gateway_listener *listeners[GATEWAY_LISTENERS_MAX];
    size_t listener_count;
    struct os_task reload_task;
    _Atomic bool reload_waits;
    _Atomic uint64_t reload_count, reload_failed_count;
    _Atomic bool reload_refused; /* the last one was */

    /* Loop. */
    struct gateway_generation *current;
    struct gateway_listener *serving[GATEWAY_LISTENERS_MAX]; /* the listeners, for who counts */
    size_t serving_count;
    struct gateway_limit_table *limits;
    struct hash_key hash_key;
    struct gateway_access *access;
    struct gateway_request *kept; /* unused requests */
    uint32_t kept_count;
    uint32_t under_way;
    struct id_generator ids;
    uint8_t random[1024];
    size_t random_used;
    uint64_t verdicts[GATEWAY_VERDICT_COUNT];

    struct net_server *admin;
    struct net_server_hooks hooks;
    uint16_t admin_port;

    _Atomic bool draining;
    _Atomic bool started;
    sem_t switched;
    char description[2048]; /* where it listens, as it began */
};

/* Of a request; trace.c. */
struct gateway_trace {
    struct trace_span span;       /* the request's */
    struct trace_span attempt;    /* of the try that is under way */
    struct trace_context context; /* what tries are below; unset: the service is told of no trace */
    struct span state;            /* tracestate that goes on with it, in the exchange's arena */
    char id[TRACECONTEXT_TRACE_ID_SIZE + 1];
    char parent[TRACECONTEXT_PARENT_SIZE + 1]; /* the value of traceparent, of the try under way */
};

struct gateway_request {
    struct gateway_request *next; /* kept ones, and those that wait for Redis */
    struct gateway *gateway;
    struct gateway_generation *generation;
    struct net_exchange *exchange;
    const struct gateway_route *route; /* NULL: none */
    struct gateway_target *target;     /* NULL: not forwarded */
    struct span path;                  /* normalised; empty: it has more than one reading */
    struct gateway_key key;
    const struct gateway_key_rule *key_rule;
    bool key_is_wrong;
    struct gateway_trace trace;
    struct gateway_forwarded forwarded;
    char id[GATEWAY_REQUEST_ID_SIZE];
    enum gateway_verdict verdict;
    struct gateway_limit_check checks[GATEWAY_LIMIT_CHECKS_MAX];
    uint64_t shared[GATEWAY_LIMIT_CHECKS_MAX]; /* the same subjects, as all gateways call them */
    uint32_t check_count;
    bool has_places;       /* of the limit table, to be given back */
    uint64_t forwarded_ns; /* when it was handed on */
    struct upstream_call call;
    struct http_header headers[GATEWAY_FORWARD_HEADERS];
};

/* ---- generation.c (operations loop, but for the last two) */
MUST_USE err_t gateway_generation_create(
    struct gateway *gateway,
    struct gateway_config *take_config,
    struct gateway_generation **ret_generation,
    char reason[GATEWAY_REASON_SIZE]);
/* Whether its files can be read, as above; any thread. */
MUST_USE err_t gateway_target_check(
    const struct gateway_upstream_config *config, char reason[GATEWAY_REASON_SIZE]);
/* The endpoints of upstreams that live on from an older generation may be others now. */
void gateway_generation_refresh(struct gateway_generation *generation);
/* Its targets end unless another generation wants them. */
void gateway_generation_destroy(struct gateway_generation **generation);
/* Whether a name or a file that one of its targets follows has not been looked at yet. */
bool gateway_generation_is_unknown(const struct gateway_generation *generation);
/* The first of its targets that no other generation has and that has no endpoint, though the
 * upstream of that name in `before` has one. NULL if there is none. */
const struct gateway_target *gateway_generation_lacks(
    const struct gateway_generation *generation, const struct gateway_generation *before);
/* Loop: in place of the current one. */
void gateway_generation_switch(struct gateway_generation *generation);
void gateway_generation_unref(struct gateway_generation *generation);

/* ---- listeners.c (operations loop) */
struct gateway_listeners {
    struct gateway_listener *listeners[GATEWAY_LISTENERS_MAX];
    struct net_tls *renewed[GATEWAY_LISTENERS_MAX]; /* for one that stays; NULL: none */
    size_t count;
};

/* Those of the configuration: old ones where nothing changed, new ones bound, not started. */
MUST_USE err_t gateway_listeners_prepare(
    struct gateway *gateway,
    const struct gateway_config *config,
    struct gateway_listeners *ret_listeners,
    char reason[GATEWAY_REASON_SIZE]);
/* What prepare made is given up. */
void gateway_listeners_abandon(struct gateway *gateway, struct gateway_listeners *listeners);
/* They are the gateway's from now on; those that it had and that are not among them are stopped.
 * With `started`, new ones begin to accept. */
void gateway_listeners_adopt(
    struct gateway *gateway, struct gateway_listeners *listeners, bool started, uint32_t drain_ms);
/* Whether its files can be read: the words of a start otherwise. */
MUST_USE err_t gateway_listener_check(
    const struct gateway_listener_config *config, char reason[GATEWAY_REASON_SIZE]);
void gateway_listener_destroy(struct gateway_listener **listener);
MUST_USE err_t
gateway_address_split(const char *text, char ret_host[GATEWAY_HOST_SIZE + 8], uint16_t *ret_port);

/* ---- request.c (loop) */
void gateway_on_gone(void *context, struct net_exchange *exchange);
void gateway_on_requests(void *context, struct net_exchange *first);
void gateway_on_refused(void *context, struct net_exchange *exchange, const char *reason);
/* It passed its limits: sheds or forwards it. */
void gateway_request_admitted(struct gateway_request *request);
/* exchange->answer is filled: counts, logs, answers, and forgets the request. */
void gateway_request_finish(struct gateway_request *request);
/* Those that were kept. */
void gateway_requests_release(struct gateway *gateway);

/* ---- limits.c (loop) */
/* Goes on by gateway_request_admitted or with a refusal, at once or later. */
void gateway_limits_apply(struct gateway_request *request);
void gateway_limits_release(struct gateway_request *request);
/* Redis answered (or not: local): the rates of this request. */
void gateway_limits_decided(struct gateway_request *request, bool allowed, uint64_t retry_ns);
void gateway_limits_fall_back(struct gateway_request *request);

/* ---- forward.c (loop) */
/* GATEWAY-5. The client of a request that was forwarded has gone. */
void gateway_forward_leave(struct gateway_request *request);
/* The answer of one that is not carried out because its client has gone. */
void gateway_answer_gone(struct gateway_request *request);
void gateway_forward(struct gateway_request *request);

/* ---- headers.c (loop; pure) */
/* Writes the headers for the service to request->headers; returns how many. */
size_t gateway_headers_for_service(struct gateway_request *request);
/* Those of the service's answer for the client; `head` is in memory of the exchange. */
size_t gateway_headers_for_client(
    struct gateway_request *request,
    const struct http_head *head,
    struct http_header headers[GATEWAY_ANSWER_HEADERS]);
/* Adds what a browser needs to be told, to `headers`; returns how many. */
size_t gateway_headers_cors(const struct gateway_request *request, struct http_header headers[4]);

/* Reads the configuration again, and answers what came of it. Operations loop. */
err_t gateway_reload_now(struct gateway *gateway, char reason[GATEWAY_REASON_SIZE]);

/* ---- answer.c (loop) */
/* Fills the exchange's answer with an error in Stripe's shape. `type`, `code` (or NULL) and
 * `message` are text without what JSON would escape, but for `message`. */
void gateway_answer_error(
    struct gateway_request *request,
    unsigned status,
    const char *type,
    const char *code,
    struct span message);
/* Adds a header to that answer. */
void gateway_answer_header(struct gateway_request *request, struct span name, struct span value);
void gateway_answer_unauthenticated(struct gateway_request *request);
void gateway_answer_limited(
    struct gateway_request *request, enum gateway_limit_reason reason, uint64_t retry_ns);
void gateway_answer_preflight(struct gateway_request *request);

/* ---- access.c (loop) */
MUST_USE err_t gateway_access_create(struct gateway *gateway, struct gateway_access **ret_access);
/* To another file, from the next line on; opened by the operations loop. */
MUST_USE err_t gateway_access_open(struct gateway *gateway, const char *file);
void gateway_access_write(const struct gateway_request *request);
/* What waits is written. Not from the loop, which runs; nobody has a request any more. */
void gateway_access_stop(struct gateway_access *access);
void gateway_access_destroy(struct gateway_access **access);
uint64_t gateway_access_dropped(const struct gateway_access *access);

/* ---- counters.c (loop) */
extern const char *const gateway_breaker_names[3];
void gateway_count_request(struct gateway_request *request);
void gateway_counters_render(const struct gateway *gateway, struct buf *out);

/* ---- admin.c (loop) */
/* NULL: it is ready. */
const char *gateway_not_ready(const struct gateway *gateway);
extern const struct net_server_hooks gateway_admin_hooks;

/* ---- redis.c (loop, but for create and destroy) */
/* Operations loop: generation->redis becomes the gateway's if that is configured the same, or a new
 * one; NULL without an address. */
MUST_USE err_t
gateway_redis_share(struct gateway_generation *generation, char reason[GATEWAY_REASON_SIZE]);
/* Whether the password can be read; any thread. */
MUST_USE err_t gateway_redis_check(
    struct os_disk *disk,
    const struct gateway_redis_config *config,
    char reason[GATEWAY_REASON_SIZE]);
/* The last generation's: waits for its connection to close. */
void gateway_redis_unshare(struct gateway_generation *generation);
/* Asks for the rates of a request, which goes on by gateway_limits_decided or _fall_back, later.
 * False: not now, it has to fall back at once. */
bool gateway_redis_ask(struct gateway_redis *redis, struct gateway_request *request);
/* It is idle, and may be tried again. */
void gateway_redis_connect(struct gateway_redis *redis);

/* Of subjects' names there: the same for all gateways of a Redis, and secret if its password is. */
struct hash_key gateway_redis_hash_key(const struct gateway_redis *redis);

struct gateway_redis_counters {
    uint64_t asked, answered, fell_back, connects, errors;
    bool connected;
};

void gateway_redis_count(
    const struct gateway_redis *redis, struct gateway_redis_counters *ret_counters);

/* ---- trace.c (loop): the one place where a trace begins or goes on */
void gateway_trace_begin(struct gateway_request *request);
/* The answer is there. */
void gateway_trace_end(struct gateway_request *request);
/* Of request->call: a span for each try. */
extern const struct upstream_attempt_hooks gateway_trace_attempts;

/* ---- gateway.c (loop): 16 random bytes */
u128 gateway_random(struct gateway *gateway);

#endif
