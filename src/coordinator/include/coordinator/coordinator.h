/*
 * Transactions with participants that are no ledger: any HTTP service that can prepare, commit and
 * abort (docs/participants.md is its protocol). An owner, which is a service that keeps documents,
 * has them take part in what it does:
 *
 *     coordinator_begin         in the owner's first write: the list of members is durable before
 *                               any of them is asked (COORDINATOR-1)
 *     coordinator_prepare       after its commit: all are asked at once, and all must say yes; that
 *                               they did is durable before the owner goes on
 *     ... the owner asks its last agent, whose word is the decision ...
 *     coordinator_decide        in the owner's last write: the decision and what the owner says of
 *                               it are one transaction of documents (COORDINATOR-2)
 *
 * From then on a worker of the coordinator tells the members, until each has confirmed or a person
 * is asked. An owner that dies in between finds its own attempt open when it comes back, and ends
 * it with coordinator_decide, so no transaction stays undecided.
 *
 * COORDINATOR-1  Members, with what each is to do, are durable before the first is asked.
 * COORDINATOR-2  A transaction is decided once, in the commit that shows what came of its owner.
 * COORDINATOR-3  Nobody is told to commit unless all have durably said yes.
 * COORDINATOR-4  Who may have been asked is told the decision until it confirms, at most for
 *                retry_for_ms; then a person is asked, and never is it forgotten.
 *
 * All calls are for the runtime's loop, but coordinator_health.
 */
#ifndef COORDINATOR_COORDINATOR_H
#define COORDINATOR_COORDINATOR_H

#include "port/http.h"
#include "resource/object.h"

struct coordinator;
struct callback_keys;
struct recipient;

#define COORDINATOR_MEMBERS_MAX 4    /* of one transaction */
#define COORDINATOR_DATA_MAX    2000 /* bytes that a member is given */

struct coordinator_settings {
    int64_t timeout_ms;     /* for a participant to answer one request */
    int64_t prepare_for_ms; /* for all votes, repeated requests included */
    /* A decision that was not confirmed is told again after this, then after twice as much ... */
    int64_t retry_first_ms;
    int64_t retry_max_ms; /* ... but never later than that */
    int64_t retry_for_ms; /* after the decision; then a person is asked */
    int64_t sweep_interval_ms;
    uint32_t in_flight_max; /* requests to participants at a time; the port has room for them */
    enum port_http_reach test_reach, live_reach;
};

/* 5 s, 15 s, 1 s, 5 min, 24 h, 1 s, 512; addresses as webhooks have them. */
struct coordinator_settings coordinator_settings_default(void);

struct coordinator_parts {
    struct resource_runtime *runtime;
    struct os_loop *loop; /* the runtime's */
    struct os_clock *clock;
    struct os_entropy *entropy;
    const struct callback_keys *keys; /* of the secrets; borrowed as long as it lives */
    struct port_http *http;
    struct coordinator_settings settings;
};

/* Before the loop runs. ERR_MEMORY. */
MUST_USE err_t
coordinator_create(const struct coordinator_parts *parts, struct coordinator **ret_coordinator);
/* After the loop has stopped and the runtime was destroyed. Accepts NULL; sets NULL. */
void coordinator_destroy(struct coordinator **coordinator);
/* Begins to tell what is decided. On the loop, or before it runs. */
void coordinator_start(struct coordinator *coordinator);

/* The routes, bound to this instance; valid as long as it. NULL: bound to nothing. */
const struct resource_route *coordinator_routes(
    const struct coordinator *coordinator, uint32_t *ret_count);

/* Participants have secrets, for whoever rotates their keys. */
extern const struct resource_type coordinator_participant_type;
struct recipient *coordinator_participant_recipient(void *document);

/* The document kinds, for document_store_open. */
extern const struct document_kind *const coordinator_kinds[];
extern const uint32_t coordinator_kind_count;

/* ---------------------------------------------------------------------------------- an owner ---
 */

/* The parameter in an owner's table; its handler reads it with coordinator_read. */
#define COORDINATOR_PARAM                                                                          \
    {                                                                                              \
        .name = "participants", .kind = RESOURCE_PARAM_ANY_HASH                                    \
    }

/*
 * Reads `participants[part_...]=data` of the request: a JSON object of the data by participant,
 * empty if the parameter is. Without the parameter *members stays. Each must be there and enabled.
 * False: the operation was answered.
 */
bool coordinator_read(struct resource_op *op, struct span *members);

struct coordinator_new {
    struct span owner;   /* its id, by which the transaction is found */
    struct span members; /* of coordinator_read; not empty */
    int64_t amount;      /* what members are told it is about */
    struct span currency;
};

/* Writes a new transaction, with a new id. ERR_CORRUPT: the members are none; ERR_FULL; of the
 * documents. */
MUST_USE err_t coordinator_begin(
    struct resource_op *op, const struct coordinator_new *wanted, struct span *ret_transaction);

enum coordinator_vote {
    COORDINATOR_YES,     /* of all, durably */
    COORDINATOR_NO,      /* one refused */
    COORDINATOR_UNKNOWN, /* one did not say yes in time */
};

/* A vote under way; zeroed but for the first three. Lives as long as the operation. */
struct coordinator_ballot {
    struct coordinator *coordinator;
    struct span transaction;
    resource_step step;
    enum coordinator_vote vote;
    struct span message; /* for the customer: who refused, and its reason; not of YES */
};

/* Asks all members, and runs ballot->step when the vote is known; or answers the operation with an
 * error. A transaction that all have said yes to already is a YES at once. */
void coordinator_prepare(struct resource_op *op, struct coordinator_ballot *ballot);

/* Whether all have said yes, durably, and nothing is decided yet. */
MUST_USE err_t
coordinator_is_prepared(struct resource_op *op, struct span transaction, bool *ret_prepared);

enum coordinator_decision {
    COORDINATOR_ABORT,
    COORDINATOR_COMMIT,
};

/* Writes the decision; members are told of it once it is durable. `amount` is what is committed,
 * which may be less than what was prepared. Again with the same decision: nothing. ERR_INVALID: the
 * other one was taken, or not all have said yes to what is to be committed; a bug. */
MUST_USE err_t coordinator_decide(
    struct resource_op *op,
    struct coordinator *coordinator,
    struct span transaction,
    enum coordinator_decision decision,
    int64_t amount);

/* ------------------------------------------------------------------------------------ watching */

enum coordinator_outcome {
    COORDINATOR_CONFIRMED, /* the state that was asked for */
    COORDINATOR_REFUSED,   /* a participant's no, or a state that contradicts the decision */
    COORDINATOR_FAILED,    /* no answer, or none that makes sense */
    COORDINATOR_OUTCOME_COUNT,
};

struct coordinator_health {
    uint64_t open;      /* without an end, found by the last sweep; 100 or more count as 100 */
    int64_t oldest_s;   /* age of the oldest of them */
    uint64_t stuck;     /* wait for a person; counted likewise */
    uint64_t committed; /* decisions, since the start, as are the following */
    uint64_t aborted;
    uint64_t requests[COORDINATOR_OUTCOME_COUNT];
};

/* Any thread. */
struct coordinator_health coordinator_health(const struct coordinator *coordinator);

#endif
