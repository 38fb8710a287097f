/* What http2.c (frames to requests) and http2_write.c (answers to frames) share. */
#ifndef NET_HTTP2_PRIVATE_H
#define NET_HTTP2_PRIVATE_H

#include "server_private.h"

#include <nghttp2/nghttp2.h>

/* Bytes of frames on their way. */
#define NET_HTTP2_OUT_MAX (64U << 10)

struct net_http2 {
    nghttp2_session *session;
    struct net_connection *connection;
    struct buf out; /* frames on their way */
    size_t sent;    /* of them */
    /* The head that is being received: header blocks do not interleave. */
    struct buf method;
    struct buf path;
    struct buf authority;
    struct buf fields;
    size_t head_size;               /* what it unfolds to */
    size_t charged;                 /* bytes of server memory counted for these buffers */
    struct net_timer streams_timer; /* the earliest deadline of a stream */
    bool bad_field;
    bool shutting_down; /* GOAWAY was submitted */
    uint64_t second;    /* the counters' */
    uint32_t resets;
    uint32_t settings;
    uint32_t pings;
    uint32_t empties;
    uint32_t others;
};

/* ---- http2.c */
/* After every change of its streams. */
void net_http2_streams_arm(struct net_http2 *http2);
/* NET-6. Without a stream it keeps none of its buffers; those that it has are counted. */
void net_http2_buffers_settle(struct net_http2 *http2);

#endif
