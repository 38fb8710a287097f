/*
 * Inside the coordinator:
 *
 *     participant.c   the resource: a URL, a name, a secret
 *     transaction.c   what owners call: begin, decide; reading
 *     prepare.c       a vote: rounds of requests until all have said yes, or one no
 *     tell.c          one round of telling a decision to those who have not confirmed it
 *     sweep.c         finds what is due, and counts
 *     resolve.c       what a person does with a transaction that is stuck
 *     exchange.c      requests to several members at once, signed; their answers
 *     machine.h       which state follows which
 */
#ifndef COORDINATOR_PRIVATE_H
#define COORDINATOR_PRIVATE_H

#include "callback/secret.h"
#include "documents.h"
#include "machine.h"
#include "os/prng.h"
#include "trace/span.h"

#include <stdatomic.h>

struct coordinator_sweep;

#define COORDINATOR_SHARES 4096

struct coordinator {
    struct coordinator_parts parts;
    struct resource_route *routes; /* the constant table, bound to this instance */
    struct coordinator_sweep *sweep;
    struct os_timer sweep_timer;
    struct os_prng prng; /* of delays, which need to differ */
    bool sweeping;       /* a sweep is under way */
    bool again;          /* something became due meanwhile */

    uint32_t in_flight; /* requests to participants */
    /* Of them, by scope; scopes that meet in one have it together. */
    uint32_t shares[COORDINATOR_SHARES];

    _Atomic uint64_t open;
    _Atomic int64_t oldest_s;
    _Atomic uint64_t stuck;
    _Atomic uint64_t committed;
    _Atomic uint64_t aborted;
    _Atomic uint64_t requests[COORDINATOR_OUTCOME_COUNT];
};

static inline void
coordinator_count(_Atomic uint64_t *counter)
{
    atomic_fetch_add_explicit(counter, 1, memory_order_relaxed);
}

/* Loads it; an id that there is none of is answered as missing. NULL: answered. */
struct coordinator_transaction *coordinator_transaction_load(
    struct resource_op *op, struct span id);
/* A legal move; false if it is not. Keeps `open`, `open_since` and `stuck_since`. */
bool coordinator_transaction_move(
    struct resource_op *op,
    struct coordinator_transaction *transaction,
    enum coordinator_move move);

/* --- exchange.c --- */

enum coordinator_action {
    COORDINATOR_ASK_PREPARE,
    COORDINATOR_ASK_COMMIT,
    COORDINATOR_ASK_ABORT,
    COORDINATOR_ASK_STATUS,
};

/* What a participant said that its state of the transaction is. */
enum coordinator_said {
    COORDINATOR_SAID_NOTHING, /* no answer, or none that makes sense */
    COORDINATOR_SAID_UNKNOWN, /* it does not know the transaction */
    COORDINATOR_SAID_PREPARED,
    COORDINATOR_SAID_COMMITTED,
    COORDINATOR_SAID_ABORTED, /* or "refused", or the status 409 */
};

#define COORDINATOR_SIGNATURE_SIZE 256
#define COORDINATOR_HEADER_COUNT   5

struct coordinator_exchange;

struct coordinator_call {
    struct port_http_request http;
    struct port_http_header headers[COORDINATOR_HEADER_COUNT];
    struct coordinator_exchange *exchange;
    bool used;
    bool sent;
    enum coordinator_action action;
    struct buf signature;
    char signature_text[COORDINATOR_SIGNATURE_SIZE];
    struct trace_span span; /* of which the participant's own are part */
    char trace_parent[TRACECONTEXT_PARENT_SIZE + 1];
    enum coordinator_said said;
    struct span reason; /* in words; empty: none */
};

/* Requests to members of one transaction, all at once; in the operation's arena. Zeroed but for
 * the first four; may be used again once `done` has run. */
struct coordinator_exchange {
    struct coordinator *coordinator;
    struct resource_op *op;
    struct coordinator_transaction *transaction;
    void (*done)(struct coordinator_exchange *exchange); /* all have an end */
    struct coordinator_call calls[COORDINATOR_MEMBERS_MAX];
    uint32_t waiting;
};

/* The member is to be asked this, with the next coordinator_exchange_send. */
void coordinator_exchange_add(
    struct coordinator_exchange *exchange, uint32_t member, enum coordinator_action action);
/* Sends what was added, none of which is answered after `timeout_ms`; then `done`. */
void coordinator_exchange_send(struct coordinator_exchange *exchange, int64_t timeout_ms);

/* --- tell.c --- */

/* One round for this transaction, in an operation of its own, if it is due. */
void coordinator_tell(struct resource_op *op, struct coordinator *coordinator, struct span id);

/* --- sweep.c --- */

/* Looks for what is due now, not only at the next interval. */
void coordinator_sweep_soon(struct coordinator *coordinator);
MUST_USE err_t coordinator_sweep_create(struct coordinator *coordinator);

/* --- the routes' handlers --- */
void coordinator_participant_create(struct resource_op *op);
void coordinator_participant_retrieve(struct resource_op *op);
void coordinator_participant_update(struct resource_op *op);
void coordinator_participant_list(struct resource_op *op);
void coordinator_participant_roll(struct resource_op *op);
void coordinator_transaction_retrieve(struct resource_op *op);
void coordinator_transaction_list(struct resource_op *op);
void coordinator_transaction_resolve(struct resource_op *op);

/* --- routes.c --- */
extern const struct resource_route coordinator_route_table[];
extern const uint32_t coordinator_route_count;

#endif
