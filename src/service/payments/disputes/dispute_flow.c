/*
 * What disputes do to the merchant's money.
 *
 *   the feed               documents: the dispute, its amount in the charge, the attempt     (1)
 *   post_withdrawal        books: merchant -> card clearing, and the fee                     (2)
 *   save_withdrawn         documents: the balance transaction, events                        (3)
 *
 *   the feed               documents: what was decided                                       (4)
 *   payments_dispute_decide  lost, closed: the status, events. That is all; or
 *                          won: the attempt                                                  (5)
 *   post_reversal          books: card clearing -> merchant                                  (6)
 *   save_reinstated        documents: the status, the amount in the charge, the balance
 *                          transaction, events                                               (7)
 *
 * The network has moved the money already: books that refuse it are asked again until they take it.
 * It is taken from where the payment's money was in (1), and goes back there.
 */
#include "dispute.h"
#include "posting.h"

#include "base/assert.h"
#include "os/fault.h"

/* In the public API's units and whole coins. */
static int64_t
fee_of(const struct payments *payments, const struct currency *currency)
{
    enum {
        USD_MINIMUM = 50 /* the smallest payments of currencies are worth about the same */
    };

    int64_t fee = payments->parts.settings.dispute_fee * currency->api_minimum / USD_MINIMUM;
    struct money coins;
    return money_from_api(fee, currency, &coins) == ERR_OK ? fee : fee - fee % 100;
}

bool
payments_dispute_load_charge(struct payments_flow *flow, struct span charge)
{
    void *found;
    err_t error = resource_load(flow->op, &payments_charge_type, charge, &found);
    if (error != ERR_OK) {
        resource_internal(flow->op, error, "charge of a dispute");
        return false;
    }
    flow->charge = found;
    return true;
}

static void
schedule(struct payments_flow *flow, int64_t after_s)
{
    flow->dispute->due = (int64_t)resource_now_s(flow->op) + after_s;
}

static void
finish(struct payments_flow *flow, err_t error)
{
    if (error != ERR_OK) {
        resource_internal(flow->op, error, "dispute");
        return;
    }
    resource_finish(flow->op);
}

/* The same step once more, by the sweeper. */
static void
try_again(struct payments_flow *flow)
{
    struct payments_dispute *dispute = flow->dispute;
    dispute->due = payments_attempt_again(flow->op, &dispute->attempt);
    finish(flow, resource_save(flow->op, &payments_dispute_type, dispute));
}

void
payments_dispute_attempt_close(struct payments_flow *flow)
{
    payments_attempt_close(&flow->dispute->attempt);
    flow->dispute->due = flow->dispute->decided.size != 0 ? (int64_t)resource_now_s(flow->op) : 0;
}

static err_t
load_line(struct payments_flow *flow, struct payments_balance_transaction **ret_line)
{
    void *found;
    TRY(resource_load(
        flow->op, &payments_balance_transaction_type, flow->charge->balance_transaction, &found));
    *ret_line = found;
    return ERR_OK;
}

/* A line of the merchant's balance, settled together with the charge's. */
static err_t
add_line(struct payments_flow *flow, int64_t amount, int64_t fee, struct span *ret_id)
{
    struct payments_balance_transaction entry = {
        .type = SPAN("adjustment"),
        .source = flow->dispute->header.id,
        .amount = amount,
        .fee = fee,
    };
    if (!flow->dispute->from_available) {
        struct payments_balance_transaction *line;
        TRY(load_line(flow, &line));
        entry.release_due = line->available_on;
    }
    return payments_balance_transaction_add(flow, &entry, ret_id);
}

static u128
merchant_account(const struct payments_flow *flow)
{
    return payments_books_account(
        flow, flow->dispute->from_available ? BOOKS_MERCHANT_AVAILABLE : BOOKS_MERCHANT_PENDING);
}

/* ---------------------------------------------------------------------------- the withdrawal ---
 */

/* Which account pays, as of now: of a charge that is being captured, once it is. */
static err_t
choose_account(struct payments_flow *flow)
{
    struct payments_balance_transaction *line;
    if (flow->charge->balance_transaction.size == 0) {
        flow->dispute->attempt.state = SPAN("waiting");
        return ERR_OK;
    }
    TRY(load_line(flow, &line));
    flow->dispute->from_available = line->release_due == 0;
    flow->dispute->attempt.state = SPAN("started");
    return ERR_OK;
}

bool
payments_dispute_withdraw_open(struct payments_flow *flow)
{
    struct payments_dispute *dispute = flow->dispute;
    if (!payments_attempt_open(flow, &dispute->attempt, "withdraw", 0)) {
        return false;
    }
    err_t error = choose_account(flow);
    if (error != ERR_OK) {
        resource_internal(flow->op, error, "charge of a dispute");
        return false;
    }
    dispute->fee = fee_of(flow->payments, payments_flow_currency(flow));
    flow->charge->disputed_amount += dispute->amount;
    bool waits = span_equal_cstr(dispute->attempt.state, "waiting");
    schedule(flow, waits ? 1 : flow->payments->parts.settings.lease_s);
    return true;
}

static err_t
save_withdrawn(struct payments_flow *flow)
{
    struct payments_dispute *dispute = flow->dispute;
    TRY(add_line(flow, -dispute->amount, dispute->fee, &dispute->withdrawal));
    payments_dispute_attempt_close(flow);
    TRY(resource_save(flow->op, &payments_dispute_type, dispute));
    return resource_emit(
        flow->op, "charge.dispute.funds_withdrawn", &payments_dispute_type, dispute, SPAN_EMPTY);
}

static void
withdrawal_posted(struct payments_flow *flow, enum payments_posting posting)
{
    FAULT_POINT("dispute-before-withdrawn");
    if (posting != PAYMENTS_POSTED) {
        try_again(flow);
        return;
    }
    finish(flow, save_withdrawn(flow));
}

static void
post_withdrawal(struct payments_flow *flow)
{
    const struct payments_dispute *dispute = flow->dispute;
    u128 number = payments_dispute_number(dispute);
    payments_posting_begin(flow);
    struct ledger_transfer *taken =
        payments_transfer_add(flow, number, PAYMENTS_DISPUTE_TAKEN, BOOKS_DISPUTE);
    taken->debit_account_id = merchant_account(flow);
    taken->credit_account_id = payments_books_account(flow, BOOKS_CARD_CLEARING);
    taken->amount = payments_ledger_amount(flow, dispute->amount);
    if (dispute->fee != 0) {
        struct ledger_transfer *fee =
            payments_transfer_add(flow, number, PAYMENTS_DISPUTE_FEE, BOOKS_DISPUTE_FEE);
        fee->debit_account_id = merchant_account(flow);
        fee->credit_account_id = payments_books_account(flow, BOOKS_FEE_REVENUE);
        fee->amount = payments_ledger_amount(flow, dispute->fee);
    }
    payments_posting_submit(flow, withdrawal_posted);
}

void
payments_dispute_withdraw(struct resource_op *op)
{
    struct payments_flow *flow = payments_flow_of(op);
    FAULT_POINT("dispute-before-withdrawal");
    if (span_equal_cstr(flow->dispute->attempt.state, "waiting")) {
        resource_finish(op); /* the sweeper's, when the charge is captured */
        return;
    }
    post_withdrawal(flow);
}

static void
resume_withdrawal(struct payments_flow *flow)
{
    if (!span_equal_cstr(flow->dispute->attempt.state, "waiting")) {
        post_withdrawal(flow);
        return;
    }
    err_t error = choose_account(flow);
    if (error != ERR_OK) {
        resource_internal(flow->op, error, "charge of a dispute");
    } else if (span_equal_cstr(flow->dispute->attempt.state, "waiting")) {
        try_again(flow);
    } else {
        /* The account that was chosen is durable before the books know it. */
        schedule(flow, flow->payments->parts.settings.lease_s);
        resource_save_then(
            flow->op, &payments_dispute_type, flow->dispute, "dispute", payments_dispute_withdraw);
    }
}

/* -------------------------------------------------------------------------------- the reversal ---
 */

static err_t
save_reinstated(struct payments_flow *flow)
{
    struct payments_dispute *dispute = flow->dispute;
    TRY(add_line(flow, dispute->amount, 0, &dispute->reinstation));
    payments_dispute_goes(dispute, PAYMENTS_DISPUTE_WIN);
    dispute->decided = SPAN_EMPTY;
    payments_dispute_attempt_close(flow);
    flow->charge->reinstated_amount += dispute->amount;
    TRY(resource_save(flow->op, &payments_charge_type, flow->charge));
    TRY(resource_save(flow->op, &payments_dispute_type, dispute));
    TRY(resource_emit(
        flow->op, "charge.dispute.funds_reinstated", &payments_dispute_type, dispute, SPAN_EMPTY));
    return resource_emit(
        flow->op, "charge.dispute.closed", &payments_dispute_type, dispute, SPAN_EMPTY);
}

static void
reversal_posted(struct payments_flow *flow, enum payments_posting posting)
{
    FAULT_POINT("dispute-before-reinstated");
    if (posting != PAYMENTS_POSTED) {
        try_again(flow);
        return;
    }
    finish(flow, save_reinstated(flow));
}

static void
post_reversal(struct resource_op *op)
{
    struct payments_flow *flow = payments_flow_of(op);
    FAULT_POINT("dispute-before-reversal");
    payments_posting_begin(flow);
    struct ledger_transfer *back = payments_transfer_add(
        flow,
        payments_dispute_number(flow->dispute),
        PAYMENTS_DISPUTE_REVERSED,
        BOOKS_DISPUTE_REVERSAL);
    back->debit_account_id = payments_books_account(flow, BOOKS_CARD_CLEARING);
    back->credit_account_id = merchant_account(flow);
    back->amount = payments_ledger_amount(flow, flow->dispute->amount);
    payments_posting_submit(flow, reversal_posted);
}

static void
reinstate(struct payments_flow *flow)
{
    if (payments_attempt_open(flow, &flow->dispute->attempt, "reinstate", 0)) {
        schedule(flow, flow->payments->parts.settings.lease_s);
        resource_save_then(
            flow->op, &payments_dispute_type, flow->dispute, "dispute", post_reversal);
    }
}

/* ------------------------------------------------------------------------- what was decided --- */

static err_t
save_closed(struct payments_flow *flow, enum payments_dispute_move move)
{
    struct payments_dispute *dispute = flow->dispute;
    payments_dispute_goes(dispute, move);
    dispute->decided = SPAN_EMPTY;
    dispute->due = 0;
    TRY(resource_save(flow->op, &payments_dispute_type, dispute));
    return resource_emit(
        flow->op, "charge.dispute.closed", &payments_dispute_type, dispute, SPAN_EMPTY);
}

/* The network has taken the money of what was an inquiry. */
static err_t
save_escalated(struct payments_flow *flow)
{
    struct payments_dispute *dispute = flow->dispute;
    TRY(resource_save(flow->op, &payments_charge_type, flow->charge));
    TRY(resource_save(flow->op, &payments_dispute_type, dispute));
    return resource_emit(
        flow->op, "charge.dispute.updated", &payments_dispute_type, dispute, SPAN_EMPTY);
}

static void
escalate(struct payments_flow *flow)
{
    struct payments_dispute *dispute = flow->dispute;
    dispute->amount = dispute->decided_amount;
    dispute->due_by = dispute->decided_due_by;
    dispute->decided = SPAN_EMPTY;
    payments_dispute_goes(dispute, PAYMENTS_DISPUTE_ESCALATE);
    if (!payments_dispute_withdraw_open(flow)) {
        return;
    }
    err_t error = save_escalated(flow);
    if (error != ERR_OK) {
        resource_internal(flow->op, error, "dispute");
        return;
    }
    resource_after_commit(flow->op, payments_dispute_withdraw);
}

void
payments_dispute_decide(struct payments_flow *flow)
{
    struct span decided = flow->dispute->decided;
    if (span_equal_cstr(decided, "escalated")) {
        escalate(flow);
    } else if (span_equal_cstr(decided, "won")) {
        reinstate(flow);
    } else if (span_equal_cstr(decided, "lost")) {
        finish(flow, save_closed(flow, PAYMENTS_DISPUTE_LOSE));
    } else {
        finish(flow, save_closed(flow, PAYMENTS_DISPUTE_CLOSE));
    }
}

void
payments_dispute_resume(struct payments_flow *flow)
{
    const struct payments_attempt *attempt = &flow->dispute->attempt;
    if (!payments_dispute_load_charge(flow, flow->dispute->charge)) {
        return;
    }
    if (!payments_attempt_is_open(attempt)) {
        if (flow->dispute->decided.size != 0) {
            payments_dispute_decide(flow);
        } else {
            resource_finish(flow->op);
        }
        return;
    }
    payments_attempt_resume(flow, attempt);
    if (span_equal_cstr(attempt->kind, "withdraw")) {
        resume_withdrawal(flow);
    } else if (span_equal_cstr(attempt->kind, "reinstate")) {
        post_reversal(flow->op);
    } else {
        payments_dispute_contest(flow);
    }
}
