/*
 * An HTTP/1.1 client on a net loop. One `struct net_client` is the pool of connections to one
 * origin (host, port, TLS or not).
 *
 *     net_client_create(loop, &(struct net_origin){.host = "127.0.0.1", .port = 8080},
 *                       &net_client_settings_default, &client);
 *     net_loop_start(loop);
 *     struct net_call call = {.method = HTTP_METHOD_GET, .target = SPAN("/livez"), ...};
 *     net_client_start(client, &call);         ... done(&call) runs on reply_to ...
 *     net_call_release(&call);
 *
 * What a result means (DESIGN.md: an unknown outcome is never a failure):
 *     ERR_OK               a complete answer: status, headers and body are there
 *     ERR_OUTCOME_UNKNOWN  bytes of the request left, a complete answer did not come: it may or
 *                          may not have happened. `cause` says why
 *     anything else        no byte of the request left this machine: ERR_TIMEOUT, ERR_CLOSED
 *                          (cannot connect), ERR_CRYPTO (TLS: not whom we want), ERR_FULL (too many
 *                          calls wait), ERR_NOT_FOUND (no such host), ERR_DENIED (no address of the
 *                          host is within settings.reach), ERR_INVALID (a header or target cannot
 *                          be written), ERR_MEMORY
 *
 * A call that met a pooled connection which the server had just closed, so that no byte of an
 * answer came, is sent once more on a new connection if that is safe: GET, HEAD, or with an
 * Idempotency-Key; or only if none of it had left, see net_call.repeat. There are no other retries
 * here: those are upstream's.
 */
#ifndef NET_CLIENT_H
#define NET_CLIENT_H

#include "base/buf.h"
#include "http/parser.h"
#include "net/loop.h"
#include "net/tls.h"

struct net_client;
struct net_client_connection;

/* Copied by net_client_create. */
struct net_origin {
    const char *host; /* a name or a numeric address, at most 253 bytes */
    uint16_t port;
    struct net_tls *tls; /* NULL: plain. Borrowed until the client is destroyed */
    /* Who it is, for the Host header and for TLS, if `host` is only where it is. NULL: host. */
    const char *name;
};

/* Where a client may connect to. It counts what a name resolves to, each time it does: a name that
 * pointed outside when it was looked at cannot lead inside later. */
enum net_reach {
    NET_REACH_ANY,
    NET_REACH_LOCAL,  /* not where clouds keep their machines' credentials: link-local and such */
    NET_REACH_PUBLIC, /* nothing that IANA's special-purpose registries do not call global */
};

struct net_client_settings {
    uint32_t connections_max;    /* to the origin */
    uint32_t waiting_max;        /* calls that wait for a connection; one more is ERR_FULL */
    uint32_t connect_timeout_ms; /* resolving, connecting and the TLS handshake */
    uint32_t idle_timeout_ms;    /* a connection kept without use; below the server's own */
    struct http_limits limits;   /* of the answers; body is the largest answer taken */
    /* Unless 0: a longer answer is cut there, which ends the call well and the connection too. */
    uint32_t answer_cut_bytes;
    enum net_reach reach;
    /* Whose it is, of those whose clients share the loop: they share its look-ups of names too, so
     * that names which hang hold up nobody else's. 0: whoever runs the process. */
    uint64_t owner;
};

/* 64 connections, 4,096 waiting, 5 s to connect, 20 s idle, answers up to 16 MiB. */
extern const struct net_client_settings net_client_settings_default;

/* What is sent once more, after a pooled connection failed without a byte of an answer. */
enum net_repeat {
    NET_REPEAT_SAFE, /* what is safe by its method or its Idempotency-Key, and what was not sent */
    NET_REPEAT_UNSENT, /* only what was not sent: whoever calls counts what the server may see */
};

/* One request and its answer. Zero it, fill the first part. Everything that it points to stays
 * as it is until `done` runs. */
struct net_call {
    struct net_call *next; /* the chain's */

    enum http_method method; /* not HTTP_METHOD_OTHER */
    struct span target;      /* "/v1/charges?limit=3" */
    struct span content_type;
    struct span host; /* the Host header, empty: the origin's */
    const struct http_header *headers;
    size_t header_count;
    struct span body;
    enum net_repeat repeat;
    uint32_t timeout_ms; /* total, from net_client_start; 0: 30 s */
    struct os_executor *reply_to;
    void (*done)(struct net_call *call); /* posted to reply_to, exactly once */
    void *user;

    /* The answer, valid from `done` until net_call_release or the next start. */
    err_t result;
    err_t cause; /* why, if result is ERR_OUTCOME_UNKNOWN */
    unsigned status;
    struct buf answer; /* the decoded body; the call's until released */
    bool stale;        /* a connection that had served before failed without a byte of an answer */
    bool cut;          /* there was more of it than settings.answer_cut_bytes */
    uint64_t started_ns; /* monotonic */
    uint64_t ended_ns;

    /* Private. */
    struct os_task task;
    struct net_client *client;
    struct net_client_connection *connection;
    struct net_timer timer;
    struct http_parser parser; /* its head is the answer's */
    struct buf head_text;
    struct net_call *previous;
    uint32_t state;
    bool cancelled; /* before it had started */
    bool sent;      /* bytes of it may have left */
    bool repeated;  /* the one repeat was used */
    bool safe;      /* may be repeated */
};

/* The value of the answer's first header with that name; SPAN_EMPTY without one. */
struct span net_call_header(const struct net_call *call, enum http_field field);
/* Any name, any case. */
bool net_call_header_find(const struct net_call *call, struct span name, struct span *ret_value);
/* Frees what the answer holds; the call can be started again, also without it. */
void net_call_release(struct net_call *call);

/* ERR_RANGE, ERR_MEMORY, ERR_INVALID (host). Any thread. */
MUST_USE err_t net_client_create(
    struct net_loop *loop,
    const struct net_origin *origin,
    const struct net_client_settings *settings,
    struct net_client **ret_client);

/* From any thread: starts the calls of a chain (linked by next), with one wake-up. Failures too
 * come through `done`. */
void net_client_start(struct net_client *client, struct net_call *first);

/* On the loop's thread, between net_client_start and `done`: ends the call, and the connection that
 * carries it. `done` comes as always, with ERR_CLOSED or ERR_OUTCOME_UNKNOWN, unless it had ended
 * already. */
void net_client_cancel(struct net_call *call);

/* Starts the call and waits for its end. `reply_to` and `done` are set by it. Not from the loop's
 * thread; the loop must be running. Returns call->result. */
MUST_USE err_t net_client_call_blocking(struct net_client *client, struct net_call *call);

/* Ends every call (unknown if it had been sent, ERR_CLOSED if not), closes all connections and
 * waits for that. Nothing is started on it any more. Not from the loop's thread; the loop must be
 * running. */
void net_client_stop(struct net_client *client);
/* The same from the loop's thread, without waiting: `closed` is run there when it is done. */
void net_client_close(struct net_client *client, struct os_task *closed);
/* After net_client_stop or net_client_close, or if the loop never ran. Accepts NULL. */
void net_client_destroy(struct net_client **client);

/* Counters since creation, except the gauges. */
struct net_client_counters {
    uint64_t connections; /* gauge */
    uint64_t connected;   /* connections made */
    uint64_t connect_failed;
    uint64_t calls;
    uint64_t answers;
    uint64_t unknown;  /* ended ERR_OUTCOME_UNKNOWN */
    uint64_t failed;   /* ended with another error */
    uint64_t repeated; /* sent again after a stale connection */
    uint64_t timeouts;
    uint64_t waiting; /* gauge */
    uint64_t bytes_in;
    uint64_t bytes_out;
};

/* From any thread. */
void net_client_count(const struct net_client *client, struct net_client_counters *ret_counters);

#endif
