/*
 * The mobile port: whose wallet is behind the code that a payer shows? Asking uses the code up:
 * it is good for one payment, and dead even if that fails.
 *
 * Asking again for the same payment, or until the code ends by the same request, answers the same
 * (M3): a request that is repeated while nobody knows of its first try makes another payment, and
 * the key lets one of the two be. Answers are posted to the requester's executor, always later,
 * when they are durable.
 */
#ifndef PORT_MOBILE_H
#define PORT_MOBILE_H

#include "base/err.h"
#include "base/id.h"
#include "os/loop.h"
#include "tracecontext/tracecontext.h"

#define PORT_MOBILE_CODE_DIGITS 18
#define PORT_MOBILE_KEY_SIZE    256

enum port_mobile_outcome {
    PORT_MOBILE_OK,
    PORT_MOBILE_INVALID, /* no such code was ever issued here */
    PORT_MOBILE_EXPIRED,
    PORT_MOBILE_USED,    /* for another payment */
    PORT_MOBILE_LIMITED, /* too many codes that never were: nobody is told anything for a while */
};

struct port_mobile_request {
    struct os_task task;
    struct os_executor *reply_to;
    void (*done)(struct port_mobile_request *request);
    struct trace_context trace; /* whose work it is; zero: nobody follows it */
    uint64_t trace_began_ns;    /* the callee's, for its spans */
    void *mobile;               /* the service's, while the request is under way */

    uint64_t scope;
    char code[PORT_MOBILE_CODE_DIGITS + 1]; /* digits */
    char payment[ID_TEXT_SIZE];             /* what it is to pay: pi_... */
    char key[PORT_MOBILE_KEY_SIZE];         /* the idempotency key of the request; empty: none */

    err_t error; /* not ERR_OK: nothing is known; ask again */
    enum port_mobile_outcome outcome;
    char wallet[ID_TEXT_SIZE]; /* OK: wal_... */
};

struct port_mobile {
    /* From any thread. Takes the request until its `done` was posted. */
    void (*use_code)(struct port_mobile *mobile, struct port_mobile_request *request);
};

#endif
