/*
 * One run of a payment, a capture, a cancellation or a refund through the outside world:
 * documents, rail, books, documents. What a flow needs to be picked up by another process is in
 * the document's attempt (documents.h); this struct is only what the present run holds in memory.
 *
 * PAYMENTS-1  The attempt is durable before the rail is asked, and open until the documents that
 *             tell its outcome are durable.
 * PAYMENTS-2  Every rail and ledger id derives from the attempt's id and the step, so any step may
 *             be done again by anybody.
 * PAYMENTS-3  What must not stand is durable as `reversing` before it is reversed.
 * PAYMENTS-4  Money is in the books before a document says that it moved.
 * PAYMENTS-5  amount_refunded, refunds under way included, never exceeds amount_captured.
 */
#ifndef PAYMENTS_FLOW_H
#define PAYMENTS_FLOW_H

#include "documents.h"
#include "intent_machine.h"
#include "payments/payments.h"

#include <stdatomic.h>

#define PAYMENTS_TRANSFERS_MAX 2
#define PAYMENTS_ACCOUNTS_MAX  5

/* A merchant's accounts in a currency that are known to exist in the ledger. */
struct payments_known_accounts;

struct payments {
    struct payments_parts parts;
    struct resource_route *routes; /* the constant table, bound to this instance */
    struct payments_known_accounts *known;
    struct os_timer sweep_timer;
    struct os_timer reconcile_timer;
    struct payments_sweeper *sweeper;
    struct payments_reconciler *reconciler;
    _Atomic uint64_t attempts_open;
    _Atomic int64_t attempt_oldest_s;
    _Atomic uint64_t reconcile_runs;
    _Atomic uint64_t differences;
};

enum payments_posting {
    PAYMENTS_POSTED,          /* it is in the books, now or from an earlier try */
    PAYMENTS_POSTING_REFUSED, /* it is not, and never will be under these ids */
    PAYMENTS_POSTING_UNKNOWN, /* ask again later under the same ids */
};

struct payments_flow {
    struct payments *payments;
    struct resource_op *op;
    struct payments_intent *intent;
    struct payments_charge *charge;
    struct payments_method *method;
    struct payments_refund *refund;
    u128 attempt_id;
    struct span wanted_intent; /* what to lock and load */
    struct span wanted_refund;
    resource_step locked_step; /* what runs once the intent is locked and loaded */

    /* Rail. */
    struct port_rail_request rail;
    void (*rail_step)(struct payments_flow *flow);

    /* Books. */
    struct port_ledger_request ledger;
    struct ledger_account accounts[PAYMENTS_ACCOUNTS_MAX];
    struct ledger_transfer transfers[PAYMENTS_TRANSFERS_MAX];
    struct ledger_result results[PAYMENTS_ACCOUNTS_MAX];
    uint32_t transfer_count;
    void (*posted_step)(struct payments_flow *flow, enum payments_posting posting);

    /* Choosing a payment method. */
    struct port_vault_tokenize tokenize;
    void (*method_step)(struct payments_flow *flow);
};

/* A flow in the operation's arena, set as its state. NULL: the operation was answered. */
struct payments_flow *payments_flow_create(struct resource_op *op);

static inline struct payments_flow *
payments_flow_of(struct resource_op *op)
{
    return (struct payments_flow *)resource_op_state(op);
}

const struct currency *payments_flow_currency(const struct payments_flow *flow);

/* --- attempt.c: the attempt inside a document --- */

/* Opens one with a new id; false if the operation was answered. */
bool payments_attempt_open(
    struct payments_flow *flow, struct payments_attempt *attempt, const char *kind, int64_t amount);
/* Opens one on an authorized intent, leased to this process, and runs `step` when it is durable; or
 * answers. */
void payments_attempt_begin(
    struct payments_flow *flow, const char *kind, int64_t amount, resource_step step);
/* Reads the id of a stored one. */
void payments_attempt_resume(struct payments_flow *flow, const struct payments_attempt *attempt);
void payments_attempt_close(struct payments_attempt *attempt);

static inline bool
payments_attempt_is_open(const struct payments_attempt *attempt)
{
    return attempt->kind.size != 0;
}

/* Seconds to wait before try number `tries`: 1, 2, 4 ... 300. */
int64_t payments_attempt_backoff_s(int64_t tries);
/* 32 hex digits and back. */
struct span payments_hex(struct resource_op *op, u128 id);
u128 payments_unhex(struct span text);

/* --- rail.c --- */

/* Sends flow->rail, of which the caller filled operation, id, original_id and amount; `step` finds
 * the answer in flow->rail.answer. A rail that could not be reached at all answers UNKNOWN. */
void payments_rail_call(struct payments_flow *flow, void (*step)(struct payments_flow *flow));

/* --- posting.c: the books (docs/accounting.md) --- */

typedef void (*payments_posted_step)(struct payments_flow *flow, enum payments_posting posting);

/* Gross into the merchant's pending balance, fee out of it. */
void payments_post_payment(struct payments_flow *flow, payments_posted_step step);
/* A hold of the authorized amount. */
void payments_post_hold(struct payments_flow *flow, payments_posted_step step);
/* Part or all of a hold becomes a payment; the fee is taken. */
void payments_post_capture(struct payments_flow *flow, payments_posted_step step);
void payments_post_void(struct payments_flow *flow, payments_posted_step step);
void payments_post_refund(struct payments_flow *flow, payments_posted_step step);
/* A booked refund failed after all: the money comes back. */
void payments_post_refund_failure(struct payments_flow *flow, payments_posted_step step);
/* The fee on a captured amount, in the public API's units. */
int64_t payments_fee(
    const struct payments *payments, int64_t api_amount, const struct currency *currency);
void payments_known_accounts_destroy(struct payments *payments);

/* --- method.c --- */

/* Finds or makes flow->method from payment_method, payment_method_data or the intent, then runs
 * `step`. flow->method stays NULL if none was named. Answers the operation on errors. */
void payments_method_choose(struct payments_flow *flow, void (*step)(struct payments_flow *flow));

/* --- charge.c --- */

/* A charge for the open attempt, approved or declined, not saved yet; false if answered. */
bool payments_charge_build(struct payments_flow *flow);
/* Saves a balance transaction about flow->charge; of `entry` the type, source, amounts and
 * release_due count. Its id goes to *ret_id. */
MUST_USE err_t payments_balance_transaction_add(
    struct payments_flow *flow,
    const struct payments_balance_transaction *entry,
    struct span *ret_id);
/* When what flow->charge earns now becomes available: unix seconds. */
int64_t payments_release_at(const struct payments_flow *flow);

/* --- authorize.c, capture.c, cancel.c, refund.c: the four flows --- */

/* flow->intent is loaded or new, flow->method chosen; begins the authorization and ends the
 * operation in the end. */
void payments_authorize_begin(struct payments_flow *flow);
/* The sweeper's entries: drive an open attempt to its end. */
void payments_authorize_resume(struct payments_flow *flow);
void payments_capture_resume(struct payments_flow *flow);
void payments_void_resume(struct payments_flow *flow);
void payments_refund_resume(struct payments_flow *flow);
/* Cancels an authorization that nobody captured in time. */
void payments_void_expired(struct payments_flow *flow);
/* Asks the rail what became of an accepted refund. */
void payments_refund_check(struct payments_flow *flow);

/* Takes the lock of the path's intent, loads it and its latest charge into a flow, checks a
 * publishable caller's client secret, and runs `step`; or answers. */
void payments_intent_with_charge(struct resource_op *op, resource_step step);
/* The same for an intent known by id (internal operations). */
bool payments_intent_load(struct payments_flow *flow, struct span id);

/* Saves the intent and schedules the sweeper, because the outcome is unknown; then answers with
 * the intent, whose status shows as processing. */
void payments_answer_unknown(struct payments_flow *flow);
/* Answers with the intent as it is. */
void payments_answer_intent(struct payments_flow *flow);
/* payment_intent_unexpected_state, 400, with the intent. */
void payments_fail_state(struct payments_flow *flow, const char *verb);

/* --- sweeper.c, settle.c, reconcile.c: internal workers --- */

void payments_sweeper_start(struct payments *payments);
void payments_sweeper_destroy(struct payments *payments);
void payments_settle_sweep(struct payments *payments);
void payments_reconciler_start(struct payments *payments);
void payments_reconciler_destroy(struct payments *payments);

/* --- handlers, named in routes.c --- */

void payments_intent_create(struct resource_op *op);
void payments_intent_retrieve(struct resource_op *op);
void payments_intent_update(struct resource_op *op);
void payments_intent_list(struct resource_op *op);
void payments_intent_search(struct resource_op *op);
void payments_intent_confirm(struct resource_op *op);
void payments_intent_capture(struct resource_op *op);
void payments_intent_cancel(struct resource_op *op);
void payments_method_create(struct resource_op *op);
void payments_method_retrieve(struct resource_op *op);
void payments_method_update(struct resource_op *op);
void payments_method_list(struct resource_op *op);
void payments_method_attach(struct resource_op *op);
void payments_method_detach(struct resource_op *op);
void payments_customer_create(struct resource_op *op);
void payments_customer_retrieve(struct resource_op *op);
void payments_customer_update(struct resource_op *op);
void payments_customer_delete(struct resource_op *op);
void payments_customer_list(struct resource_op *op);
void payments_customer_search(struct resource_op *op);
void payments_customer_method_list(struct resource_op *op);
void payments_customer_method_retrieve(struct resource_op *op);
void payments_charge_retrieve(struct resource_op *op);
void payments_charge_update(struct resource_op *op);
void payments_charge_list(struct resource_op *op);
void payments_charge_search(struct resource_op *op);
void payments_refund_create(struct resource_op *op);
void payments_refund_retrieve(struct resource_op *op);
void payments_refund_update(struct resource_op *op);
void payments_refund_list(struct resource_op *op);
void payments_balance_retrieve(struct resource_op *op);
void payments_balance_transaction_retrieve(struct resource_op *op);
void payments_balance_transaction_list(struct resource_op *op);

#endif
