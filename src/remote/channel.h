/*
 * The seam to the network: a service at one or several endpoints, to which requests are sent. All
 * that the bindings of the ports know of connections is here.
 *
 * What an end means: ANSWERED is a complete answer, any status; NOT_SENT: not one byte of any
 * attempt left this machine; UNKNOWN: anything else. A call that was not sent is tried at each
 * other endpoint while its time lasts; one that is repeatable and got no answer, once more.
 */
#ifndef REMOTE_CHANNEL_H
#define REMOTE_CHANNEL_H

#include "endpoints.h"

#include "upstream/call.h"

#define REMOTE_HEADERS_MAX 6

struct remote_channel;

enum remote_outcome {
    REMOTE_ANSWERED,
    REMOTE_NOT_SENT,
    REMOTE_UNKNOWN,
};

/* One request and its end. The caller's until `remote_channel_send`, then the channel's until
 * `done`, which runs on the loop exactly once, never from inside the call. What it points to stays
 * as it is until then. */
struct remote_call {
    enum http_method method;
    struct span target;
    struct span content_type;
    struct http_header headers[REMOTE_HEADERS_MAX];
    size_t header_count;
    struct span body;
    uint64_t deadline_ns; /* monotonic */
    bool repeatable;      /* doing it twice is as doing it once */
    void (*done)(struct remote_call *call);

    enum remote_outcome outcome;
    err_t cause;            /* ERR_OK if answered */
    bool may_have_happened; /* ANSWERED: an attempt before the last one may have been done too */
    unsigned status;
    struct span content_type_answered;
    struct span answer;

    /* Private. */
    struct upstream_call upstream;
    struct os_task task; /* of a call that ends before it begins */
    struct remote_channel *channel;
};

struct remote_channel_settings {
    const char *name;         /* for metrics; copied */
    uint32_t connections_max; /* per endpoint */
    uint32_t waiting_max;     /* per endpoint: for a connection */
    uint32_t answer_max;      /* bytes of an answer's body; a longer one is an unknown outcome */
    uint32_t connect_timeout_ms;
    struct net_tls *tls;  /* NULL: plain */
    const char *tls_name; /* whom the certificate must name; copied */
};

MUST_USE err_t remote_channel_create(
    struct net_loop *loop,
    const struct remote_channel_settings *settings,
    struct remote_channel **ret_channel);

/* Replaces the endpoints. Any thread. Those that stay keep their connections. */
MUST_USE err_t
remote_channel_set(struct remote_channel *channel, const struct remote_endpoints *endpoints);

/* On the loop. */
void remote_channel_send(struct remote_channel *channel, struct remote_call *call);
/* On the loop, from `done` of a call that was answered: nothing of it was done, and it is sent
 * again to another endpoint; `done` runs again. False: there is none, or no time. */
bool remote_call_again(struct remote_call *call);
/* On the loop. */
bool remote_channel_is_stopping(const struct remote_channel *channel);
/* Frees what the answer holds. */
void remote_call_release(struct remote_call *call);

/* Ends all calls, and every later one with NOT_SENT. When it returns, every `done` has run. Not
 * from the loop's thread; the loop runs. */
void remote_channel_stop(struct remote_channel *channel);
/* After the stop, or if the loop never ran. Accepts NULL. */
void remote_channel_destroy(struct remote_channel **channel);

#endif
