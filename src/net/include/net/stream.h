/*
 * A connection of bytes without a protocol, plain or TLS: for whoever frames messages of their own
 * (ISO 8583). Everything on the loop's thread.
 *
 *     net_stream_connect(loop, &(struct net_stream_target){...}, &hooks, context, &stream);
 *     ... hooks.on_open(context) ...
 *     net_stream_send(stream, bytes);
 *     ... hooks.on_data(context, what has come), hooks.on_closed(context, why) ...
 *     net_stream_close(&stream);
 *
 * What was read and what was sent is overwritten as soon as it is used (NET-7): its buffers are
 * made once and never grow.
 */
#ifndef NET_STREAM_H
#define NET_STREAM_H

#include "base/span.h"
#include "net/loop.h"
#include "net/tls.h"

struct net_stream;
struct net_stream_listener;

/* Any of them may close the stream. */
struct net_stream_hooks {
    /* It is connected, and TLS has shaken hands. */
    void (*on_open)(void *context);
    /* All that came and was not used yet; answers how much of it is used. Called again while some
     * of it is; with `input_max` bytes of which nothing is used the stream ends (ERR_RANGE). */
    size_t (*on_data)(void *context, struct span input);
    /* It has ended, and is gone when this returns; not after net_stream_close. ERR_CLOSED,
     * ERR_TIMEOUT and ERR_NOT_FOUND (of connecting), ERR_CRYPTO, ERR_RANGE. */
    void (*on_closed)(void *context, err_t cause);
};

struct net_stream_limits {
    uint32_t input_max;          /* bytes that wait to be used */
    uint32_t output_max;         /* bytes that wait to be sent */
    uint32_t connect_timeout_ms; /* or to accept: the TLS handshake */
};

struct net_stream_target {
    const char *host; /* a name or a numeric address; copied */
    uint16_t port;
    struct net_tls *tls; /* NULL: plain */
    struct net_stream_limits limits;
};

/* Begins to connect. An error leaves nothing: ERR_INVALID, ERR_MEMORY, ERR_FULL. */
MUST_USE err_t net_stream_connect(
    struct net_loop *loop,
    const struct net_stream_target *target,
    const struct net_stream_hooks *hooks,
    void *context,
    struct net_stream **ret_stream);
/* The bytes are copied. ERR_FULL: more than output_max would wait; nothing was taken. ERR_CLOSED:
 * it is not open, or will be told closed. */
MUST_USE err_t net_stream_send(struct net_stream *stream, struct span bytes);
/* What could not be sent yet is dropped. Accepts NULL inside; sets NULL. */
void net_stream_close(struct net_stream **stream);

struct net_stream_listen {
    const char *address; /* numeric; NULL: all */
    uint16_t port;       /* 0: a free one */
    struct net_tls *tls;
    struct net_stream_limits limits;
    /* A connection came; false: it is closed again. What the hooks get is `*ret_context`. */
    bool (*on_accept)(void *context, struct net_stream *stream, void **ret_context);
    const struct net_stream_hooks *hooks;
    void *context;
};

/* Before the loop starts, or on its thread. ERR_EXISTS, ERR_NOT_FOUND, ERR_DENIED, ERR_INVALID,
 * ERR_IO. */
MUST_USE err_t net_stream_listener_create(
    struct net_loop *loop,
    const struct net_stream_listen *listen,
    struct net_stream_listener **ret_listener,
    uint16_t *ret_port);
/* On the loop's thread; its streams stay. Accepts NULL inside. */
void net_stream_listener_destroy(struct net_stream_listener **listener);

#endif
