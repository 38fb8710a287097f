/*
 * Calls: one request to whichever endpoint of an upstream, and what became of it. How the set of
 * endpoints and the limits come about is in upstream/upstream.h, with an example.
 */
#ifndef UPSTREAM_CALL_H
#define UPSTREAM_CALL_H

#include "base/buf.h"
#include "base/list.h"
#include "net/client.h"
#include "upstream/upstream.h"

struct upstream_call;

enum upstream_outcome {
    UPSTREAM_ANSWERED,    /* status, headers and body are there; any status */
    UPSTREAM_NOT_SENT,    /* certainly nothing happened; `cause` says why (ERR_INVALID: a target or
                             header cannot be written) */
    UPSTREAM_UNKNOWN,     /* bytes left and no usable answer came: it may have happened */
    UPSTREAM_TIMEOUT,     /* the total deadline passed; may_have_happened says what that means */
    UPSTREAM_NO_ENDPOINT, /* there is none, or it stops; nothing was sent */
    UPSTREAM_OVERLOADED,  /* a maximum, or the breaker is open; nothing was sent. `cause`: ERR_FULL
                             or ERR_BUSY (breaker) */
    UPSTREAM_CANCELLED,   /* may_have_happened says what that means */
};

/* "answered", "not_sent", ... Static. */
const char *upstream_outcome_name(enum upstream_outcome outcome);

/* How one attempt of a call ended. */
struct upstream_attempt {
    err_t result;    /* ERR_OK: it was answered */
    unsigned status; /* 0 if not answered */
    uint64_t ended_ns;
};

/* Who follows each attempt of a call (a span, a header that says which attempt it is). On the
 * loop's thread; must not send, cancel or release the call. */
struct upstream_attempt_hooks {
    /* Before anything of it is sent: `endpoint` and `attempts` of the call are its own, and the
     * values of the call's headers may be written anew until it is back. */
    void (*begins)(struct upstream_call *call);
    /* Once for each begins, before the next one or `done`. */
    void (*ended)(struct upstream_call *call, const struct upstream_attempt *attempt);
};

/* One request and its answer. Zero it once, fill the first part. What it points to stays as it is
 * until `done` runs. Large (about 2 KiB): part of a pooled or heap object, not of a stack frame. */
struct upstream_call {
    struct upstream_call *next; /* the chain's */

    enum http_method method; /* not HTTP_METHOD_OTHER */
    struct span target;
    struct span content_type;
    const struct http_header *headers; /* not those that the writer decides, see http/writer.h */
    size_t header_count;
    struct span body;
    struct span host;             /* the Host header; empty: as settings.server_name says */
    uint64_t key;                 /* BALANCE_HASH: equal keys go to the same endpoint */
    bool repeatable;              /* doing it twice is as doing it once */
    uint32_t timeout_ms;          /* total, from send; 0: settings.timeout_ms */
    uint32_t try_timeout_ms;      /* of one attempt; 0: settings.try_timeout_ms */
    struct os_executor *reply_to; /* NULL: on the loop's thread */
    void (*done)(struct upstream_call *call);   /* exactly once, never from inside upstream_send */
    const struct upstream_attempt_hooks *hooks; /* NULL: nobody follows. Not copied */
    void *user;

    /* The end, valid from `done` until upstream_call_release or the next send. */
    enum upstream_outcome outcome;
    bool may_have_happened; /* bytes of some attempt left. With UPSTREAM_ANSWERED: true */
    err_t cause;            /* ERR_OK if answered */
    unsigned status;        /* 200 to 599, 0 if not answered */
    struct span answer;     /* the decoded body, in memory of the call */
    uint32_t attempts;      /* that were started */
    uint32_t sent;          /* of them: bytes of it left */
    uint64_t started_ns;    /* monotonic */
    uint64_t ended_ns;
    char endpoint[UPSTREAM_ENDPOINT_SIZE]; /* the last one tried, "host:port"; "" if none */

    /* Private. */
    struct net_call attempt;
    struct upstream *upstream;
    struct net_timer timer; /* of the back-off */
    struct os_task task;
    struct list_link link; /* all that have not ended */
    uint64_t deadline_ns;
    uint32_t state;
    uint32_t slot;
    uint32_t ticket;    /* the breaker's */
    uint32_t elsewhere; /* attempts for which another endpoint was not reached */
    uint64_t unreached[UPSTREAM_ENDPOINTS_MAX / 64]; /* slots, a bit each; and who refused */
    bool has_answer;                                 /* the last attempt was answered */
    bool retrying;
    bool cancelled;
    bool continues; /* the next send knows whom it needs not ask */
};

/* Sends the calls of a chain (linked by next), from any thread, with one wake-up at most; on the
 * loop's thread at once. Each ends by its `done`, later. */
void upstream_send(struct upstream *upstream, struct upstream_call *first);

/* On the loop's thread, between send and done: ends the call as soon as can be, by `done`. A
 * connection that carries it is closed. Nothing if it has ended. */
void upstream_cancel(struct upstream_call *call);
/* On the loop's thread, between send and done: no byte of any attempt has left, so that it did not
 * happen, and will not if it is cancelled now. */
bool upstream_call_is_unsent(const struct upstream_call *call);

/* The answer's headers. */
const struct http_head *upstream_call_head(const struct upstream_call *call);
struct span upstream_call_header(const struct upstream_call *call, enum http_field field);
/* On the loop's thread, after an end with attempts: whoever was asked is not the one. True: there
 * is an endpoint that this call was neither refused by so nor failed to reach, and the next send
 * goes there. */
bool upstream_call_elsewhere(struct upstream_call *call);
/* Moves the body out, for who passes it on: the caller releases it. `answer` is empty then. */
struct buf upstream_call_take_answer(struct upstream_call *call);
/* Frees what the answer holds; the call can be sent again, also without it. */
void upstream_call_release(struct upstream_call *call);

#endif
