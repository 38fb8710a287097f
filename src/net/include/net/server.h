/*
 * An HTTP server on a net loop: TCP and TLS listeners, HTTP/1.1 with pipelining and HTTP/2 where
 * the listener's net_tls offers it, deadlines, limits, drain. A handler sees no difference.
 *
 *     net_server_create(loop, &net_server_settings_default, &hooks, &server);
 *     net_server_listen(server, &(struct net_listen){.address = "127.0.0.1"}, &port);
 *     net_loop_start(loop);
 *     net_server_start(server);
 *     ...
 *     net_server_stop(server, 5000);
 *     net_loop_stop(loop);
 *     net_server_destroy(&server);
 *
 * Groups. All requests that became complete in one turn of the loop reach the handler as one
 * chain. The handler hands them to whoever answers; answers come back by net_answer, as a chain
 * too, from any thread, in any order. A connection's answers leave in the order of its requests,
 * and those that are ready in one turn leave in one write.
 *
 * Ownership. From on_requests until net_answer an exchange belongs to the handler: it answers each
 * one exactly once, also when it is shutting down. The client may vanish meanwhile; the exchange
 * does not, and its answer is dropped silently. From net_answer on it belongs to the server.
 */
#ifndef NET_SERVER_H
#define NET_SERVER_H

#include "base/arena.h"
#include "base/buf.h"
#include "http/parser.h"
#include "net/loop.h"
#include "net/resolve.h"
#include "net/tls.h"

struct net_server;

/* An address and port. IPv4 is held as ::ffff:a.b.c.d. */
struct net_address {
    uint8_t ip[16];
    uint16_t port;
};

/* "203.0.113.7:5000" or "[2001:db8::1]:5000" and a zero. */
#define NET_ADDRESS_TEXT_SIZE 56
void net_address_format(const struct net_address *address, char out[NET_ADDRESS_TEXT_SIZE]);
/* The numeric address alone, without brackets. */
void net_address_format_host(const struct net_address *address, char out[NET_HOST_TEXT_SIZE]);

/* What the handler answers. Zeroed when it gets the exchange. */
struct net_answer {
    unsigned status;                   /* 200 to 599 */
    bool close;                        /* the connection closes after this answer */
    struct span content_type;          /* empty: none */
    const struct http_header *headers; /* not those that the writer decides, see http/writer.h */
    size_t header_count;
    struct buf body; /* moved: the server releases it. A HEAD request's is measured, not sent */
    /* The body instead, if `body` is empty: borrowed, the same until the server is destroyed. For
     * what is large and the same for everybody, so that slow readers cost no memory. */
    struct span lent;
    /* Of a HEAD request's answer without a body here, as a gateway has it: its Content-Length, or
     * HTTP_LENGTH_UNKNOWN. */
    uint64_t head_length;
};

/* One request and its answer. */
struct net_exchange {
    struct net_exchange *next; /* the chain's */

    /* The request. Read-only; valid until net_answer. */
    enum http_method method;
    struct span path;             /* as sent, begins with '/'; see http_path_check */
    struct span query;            /* without '?', may be empty */
    const struct http_head *head; /* http_head_value(head, HTTP_FIELD_AUTHORIZATION) */
    struct span body;             /* decoded; its memory is wiped after the answer */
    struct net_address peer;
    bool tls;
    uint64_t arrived_ns; /* monotonic: when its first byte was read */
    /* Its client closed the connection, or its side of it, or reset the stream: hardly anybody
     * waits for the answer (NET-15). On the loop's thread. */
    bool gone;

    /* The handler's. Everything that the answer points to may live in the arena, which is wiped
     * when the answer has been written. Its limit is settings.arena_max. */
    struct arena *arena;
    void *user;
    struct net_answer answer;
};

/* Whether the client presented a certificate, verified by net_tls_require_client's authorities,
 * with this DNS name. On the loop's thread, from on_requests, before net_answer. */
bool net_exchange_peer_is(struct net_exchange *exchange, const char *name);

/* Posts the answers of a chain back, from any thread, with one wake-up. status must be set.
 * The chain may mix exchanges of several servers. */
void net_answer(struct net_exchange *first);

/* On the loop's thread. Neither may block. */
struct net_server_hooks {
    void *context;
    /* All requests completed in this turn of the loop, in order of completion. */
    void (*on_requests)(void *context, struct net_exchange *first);
    /* exchange->gone was set, once, while it is handed out: also before on_requests got it (in the
     * same turn: `user` is NULL then) and after net_answer, before the loop took the answer. The
     * handler still has to answer. NULL: nobody asks. */
    void (*on_gone)(void *context, struct net_exchange *exchange);
    /* The server itself answers `exchange` (answer.status is set: 400 ... 505 refused by the codec,
     * 408 too slow, 503 too busy) and asks for content_type, headers and body, at most 16 KiB.
     * `reason` is a sentence without a full stop. The request part is filled only if its head was
     * complete: path may be empty, head may be NULL. Must not call net_answer, must not keep the
     * exchange. NULL: a small JSON object with the reason. */
    void (*on_refused)(void *context, struct net_exchange *exchange, const char *reason);
};

/* Maxima and deadlines. Times in milliseconds. */
struct net_server_settings {
    uint32_t connections_max; /* one more is accepted and closed at once, if none gives way */
    uint32_t requests_max;    /* handed out and not answered; one more is answered 503 */
    uint32_t pipeline_max;    /* unanswered requests of one connection; then it is not read */
    uint64_t memory_max;      /* bytes in buffers of all connections; then 503 */
    uint64_t arena_max;       /* bytes of one exchange's arena */
    struct http_limits limits;
    uint32_t handshake_timeout_ms; /* absolute, from accept to the end of the TLS handshake */
    uint32_t head_timeout_ms;      /* absolute, from the first byte of a head to its last */
    uint32_t body_timeout_ms;      /* absolute, from the end of the head to the last body byte */
    uint32_t idle_timeout_ms;      /* without a byte of a next request */
    uint32_t write_timeout_ms;     /* for the client to take one whole answer */
    uint32_t linger_timeout_ms;    /* for the client to close after a closing answer */
    /* When it stops: so long connections without a request stay, which may be about to send one;
     * its answer closes. 0: they are closed at once. */
    uint32_t drain_idle_ms;
    /* Without memory or connections left: so long a client may take for its request, for its answer
     * or between two requests before it may be ended for another. */
    uint32_t shortage_grace_ms;
};

/* 16,384 connections, 8,192 requests, 32 pipelined, 256 MiB, 4 MiB arena, http_limits_default;
 * 10 s handshake, 10 s head, 30 s body, 75 s idle, 30 s write, 2 s linger, 1 s under a shortage. */
extern const struct net_server_settings net_server_settings_default;

/* Settings are copied, hooks too. ERR_RANGE: a maximum is zero or absurd; ERR_MEMORY. */
MUST_USE err_t net_server_create(
    struct net_loop *loop,
    const struct net_server_settings *settings,
    const struct net_server_hooks *hooks,
    struct net_server **ret_server);

struct net_listen {
    const char *address; /* numeric IPv4 or IPv6; NULL: every address */
    uint16_t port;       /* 0: a free one */
    struct net_tls *tls; /* NULL: plain. Borrowed until the server is destroyed */
};

/* Binds and listens; connections wait in the backlog until net_server_start. At most 8 a server.
 * Before net_server_start. ERR_INVALID: not an address; ERR_EXISTS: in use; ERR_NOT_FOUND: not one
 * of this machine; ERR_DENIED; ERR_FULL; ERR_IO. */
MUST_USE err_t
net_server_listen(struct net_server *server, const struct net_listen *listen, uint16_t *ret_port);

/* The same for people. Static. */
const char *net_listen_text(err_t error);

/* Listens where a listener of another server does, on the same socket: connections go to either,
 * and none is lost when the other stops. `index` counts the other's net_server_listen. Before
 * net_server_start of this one, while the other is not being stopped. ERR_FULL, ERR_IO. */
MUST_USE err_t net_server_listen_beside(
    struct net_server *server, const struct net_server *other, uint32_t index, struct net_tls *tls);

/* Begins to accept. Any thread, once. */
void net_server_start(struct net_server *server);

/*
 * Drains: closes the listeners and (after drain_idle_ms) idle connections, lets requests under way
 * finish with "Connection: close", closes after drain_ms whatever is still open, and returns when
 * the handler has answered every exchange. Not from the loop's thread. The loop must be running.
 */
void net_server_stop(struct net_server *server, uint32_t drain_ms);
/* After net_server_stop, or if it never started. Accepts NULL. */
void net_server_destroy(struct net_server **server);

/* Counters since creation, except the gauges. */
struct net_server_counters {
    uint64_t connections;      /* gauge: open now */
    uint64_t accepted;         /* including those closed at once */
    uint64_t over_limit;       /* closed at once: connections_max, or no file descriptor left */
    uint64_t handshake_failed; /* TLS */
    uint64_t requests;         /* complete requests, shed ones included */
    uint64_t in_flight;        /* gauge: handed out, not answered */
    uint64_t answers;          /* written completely */
    uint64_t orphaned;         /* answered after the client had gone */
    uint64_t shed_requests;    /* 503: requests_max */
    uint64_t shed_memory;      /* 503: memory_max */
    uint64_t gave_way;         /* slow ones, ended for others under a shortage */
    uint64_t timeout_handshake;
    uint64_t timeout_head;
    uint64_t timeout_body;
    uint64_t timeout_idle;
    uint64_t timeout_write;
    uint64_t bytes_in;                            /* as received; after TLS decryption */
    uint64_t bytes_out;                           /* before TLS encryption */
    uint64_t memory;                              /* gauge: what memory_max bounds */
    uint64_t memory_peak;                         /* the largest it was */
    uint64_t http2_connections;                   /* since the beginning */
    uint64_t http2_floods;                        /* connections ended for too many frames */
    uint64_t refused[HTTP_REFUSAL_TRUNCATED + 1]; /* by enum http_refusal */
};

/* From any thread: each number is exact, together they are not one instant. */
void net_server_count(const struct net_server *server, struct net_server_counters *ret_counters);

#endif
