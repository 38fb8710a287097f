/*
 * The way out: HTTP requests to addresses that somebody else chose (webhook endpoints). Whoever
 * answers the port sees to connections, TLS, deadlines, and to where a request may go at all.
 *
 * Redirects are answers like any other: nobody follows them.
 */
#ifndef PORT_HTTP_H
#define PORT_HTTP_H

#include "base/err.h"
#include "base/span.h"
#include "os/loop.h"
#include "tracecontext/tracecontext.h"

#define PORT_HTTP_HOST_MAX    253
#define PORT_HTTP_HEADERS_MAX 8

/* Which addresses count, whatever name they hide behind. */
enum port_http_reach {
    PORT_HTTP_ANYWHERE,
    PORT_HTTP_LOCAL,  /* not where clouds keep their machines' credentials: link-local and such */
    PORT_HTTP_PUBLIC, /* only those that are reachable from everywhere */
};

struct port_http_header {
    struct span name;
    struct span value;
};

/* A POST. What it points to stays as it is until `done` runs. */
struct port_http_request {
    struct os_task task;
    struct os_executor *reply_to;
    void (*done)(struct port_http_request *request);
    struct trace_context trace; /* whose work it is; zero: nobody follows it */
    uint64_t trace_began_ns;    /* the callee's, for its spans */

    struct span
        host; /* a name or a numeric address, without brackets; at most PORT_HTTP_HOST_MAX */
    uint16_t port;
    bool tls;
    struct span target; /* path and query */
    struct span content_type;
    const struct port_http_header *headers; /* PORT_HTTP_HEADERS_MAX at most */
    uint32_t header_count;
    struct span body;
    uint32_t timeout_ms; /* from `send` to the end of the answer */
    enum port_http_reach reach;
    uint64_t scope; /* whose it is, not 0: nobody's requests hold up another's */
    void *outbound; /* the callee's, while the request is under way */

    /* ERR_OK: `status`, `answer` and `cut` are there. ERR_OUTCOME_UNKNOWN: it was sent, and a
     * complete answer did not come; `cause` says why. Anything else: nothing was sent. ERR_DENIED:
     * the address is out of reach; ERR_NOT_FOUND: there is no such host; ERR_CLOSED: nobody
     * listens, or this side has stopped; ERR_CRYPTO: it is not who the name says; ERR_TIMEOUT;
     * ERR_BUSY: too many are under way here. */
    err_t error;
    err_t cause;
    unsigned status;
    struct span answer; /* the body's beginning, until `done` returns */
    bool cut;           /* there was more of it */
    uint64_t duration_ns;
};

struct port_http {
    /* From the thread that the implementation names. Takes the request until its `done` was
     * posted. */
    void (*send)(struct port_http *http, struct port_http_request *request);
};

#endif
