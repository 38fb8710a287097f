/*
 * Payouts to a bank account of the merchant's.
 *
 *   payments_payout_create   documents: attempt "hold"                                       (1)
 *   place                    books: merchant available => bank clearing, pending             (2)
 *   held                     documents: pending, its line in the balance; answered           (3)
 *   submit_to_bank           documents: in_transit, attempt "pay"; after payout_delay_s      (4)
 *   ask_bank                 bank: pay, repeated under its id until it is final              (5)
 *   bank_answered            books: posted when the bank has paid, else voided               (6)
 *   paid, not_paid           documents: paid and watched for a while, or failed              (7)
 *   watch                    bank: report; what it sends back is the merchant's again        (8)
 *
 *   payments_payout_cancel   documents: attempt "cancel", while it is pending                (4')
 *   void_hold                books: voided                                                   (5')
 *   canceled                 documents: canceled                                             (6')
 *
 * Until (3) nobody is shown it, unless the outcome of (2) was unknown and the client was told so:
 * what the books refuse is removed, as if it had never been, or fails.
 */
#include "payout.h"

#include "base/assert.h"
#include "base/list.h"
#include "os/fault.h"
#include "resource/bank_account.h"

#include <string.h>

#define DAY_S INT64_C(86400)

static void
save_and_answer(struct payments_payout_flow *flow, const char *event)
{
    resource_answer_saved(flow->op, &payments_payout_type, flow->payout, "payout", event);
}

static int64_t
now_of(const struct payments_payout_flow *flow)
{
    return (int64_t)resource_now_s(flow->op);
}

int64_t
payments_payout_arrival(int64_t now_s)
{
    return (now_s / DAY_S + 1) * DAY_S;
}

static void
attempt_open(struct payments_payout_flow *flow, const char *kind)
{
    struct payments_payout *payout = flow->payout;
    ASSERT(!payments_attempt_is_open(&payout->attempt));
    payout->attempt.kind = span_from_cstr(kind);
    payout->attempt.key = resource_op_idempotency_key(flow->op);
    payout->attempt.began = now_of(flow);
    payout->due = now_of(flow) + flow->payments->parts.settings.lease_s;
    payout->trace = resource_trace_parent(flow->op);
    resource_trace_about(flow->op, "tael.payout", payout->header.id);
}

static void
answer_unknown(struct payments_payout_flow *flow)
{
    struct payments_attempt *attempt = &flow->payout->attempt;
    flow->payout->due = payments_attempt_again(flow->op, attempt);
    attempt->key = SPAN_EMPTY; /* the answer that leaves now is the key's last word */
    save_and_answer(flow, NULL);
}

static void
move(struct payments_payout *payout, enum payments_payout_move by)
{
    bool legal = payments_payout_move(&payout->status, by);
    ASSERT(legal);
}

/* A line of the merchant's balance. */
static err_t
line_add(struct payments_payout_flow *flow, const char *type, int64_t amount, struct span *ret_id)
{
    struct payments_balance_transaction *line =
        resource_new(flow->op, &payments_balance_transaction_type);
    if (line == NULL) {
        return ERR_FULL;
    }
    line->amount = amount;
    line->currency = flow->payout->currency;
    line->type = span_from_cstr(type);
    line->source = flow->payout->header.id;
    line->description = flow->payout->description;
    line->available_on = now_of(flow);
    TRY(resource_save(flow->op, &payments_balance_transaction_type, line));
    *ret_id = line->header.id;
    return ERR_OK;
}

err_t
payments_payout_line_of_hold(struct payments_payout_flow *flow)
{
    struct payments_payout *payout = flow->payout;
    payout->due = now_of(flow) + flow->payments->parts.settings.payout_delay_s;
    return line_add(flow, "payout", -payout->amount, &payout->balance_transaction);
}

/* The money is the merchant's again, with a line of this type; then save_and_answer. */
static void
save_undone(struct payments_payout_flow *flow, const char *type, const char *event)
{
    struct payments_payout *payout = flow->payout;
    payout->due = 0;
    err_t error = line_add(flow, type, payout->amount, &payout->failure_balance_transaction);
    if (error != ERR_OK) {
        resource_internal(flow->op, error, "payout");
        return;
    }
    save_and_answer(flow, event);
}

/* What the bank says, in the words of Stripe's failure codes. */
static void
explain(struct payments *payments, struct payments_payout *payout, const char *code)
{
    static const struct {
        const char *code;
        const char *text;
    } reasons[] = {
        {"account_closed", "The bank account has been closed."},
        {"account_frozen", "The bank account has been frozen."},
        {"invalid_currency", "The bank account cannot take this currency."},
        {"no_account", "The bank account could not be found."},
    };

    atomic_fetch_add(&payments->payouts_failed, 1);
    payout->failure_code = span_from_cstr(code);
    payout->failure_message = SPAN("The bank could not process this payout.");
    for (size_t i = 0; i < sizeof(reasons) / sizeof(reasons[0]); i++) {
        if (strcmp(code, reasons[i].code) == 0) {
            payout->failure_message = span_from_cstr(reasons[i].text);
        }
    }
}

static void
fail_by_bank(struct payments_payout_flow *flow, enum payments_payout_move by)
{
    move(flow->payout, by);
    explain(flow->payments, flow->payout, flow->rail.answer.error_code);
    err_t error = payments_bank_account_failed(flow->op, flow->payout->destination);
    if (error != ERR_OK) {
        resource_internal(flow->op, error, "external account");
        return;
    }
    save_undone(flow, "payout_failure", "payout.failed");
}

/* ----------------------------------------------------------------- (8) what comes back later -- */

static void
look_again(struct payments_payout_flow *flow, bool kept)
{
    struct payments_payout *payout = flow->payout;
    payout->due = resource_bank_next_look(
        now_of(flow), payout->paid_at, flow->payments->parts.settings.return_window_s, kept);
    save_and_answer(flow, NULL);
}

static void
returned(struct payments_payout_flow *flow, enum payments_payout_posting posting)
{
    FAULT_POINT("payout-before-returned");
    if (posting != PAYMENTS_PAYOUT_POSTED) {
        look_again(flow, false);
        return;
    }
    fail_by_bank(flow, PAYMENTS_PAYOUT_RETURN);
}

static void
reported(struct payments_payout_flow *flow)
{
    FAULT_POINT("payout-before-return");
    switch (resource_bank_word_of(&flow->rail)) {
    case RESOURCE_BANK_NOT_PAID:
        payments_payout_post_return(flow, returned);
        return;
    case RESOURCE_BANK_PAID:
    case RESOURCE_BANK_UNHEARD: /* it has forgotten it: that will be no other answer next time */
        look_again(flow, true);
        return;
    case RESOURCE_BANK_UNDECIDED:
        look_again(flow, false);
        return;
    }
    UNREACHABLE();
}

/* ------------------------------------------------------------------------ (7), (6) the books -- */

static void
paid(struct payments_payout_flow *flow, enum payments_payout_posting posting)
{
    FAULT_POINT("payout-before-paid");
    struct payments_payout *payout = flow->payout;
    if (posting != PAYMENTS_PAYOUT_POSTED) {
        /* The bank has paid: books that refuse it are asked again until they take it. */
        answer_unknown(flow);
        return;
    }
    payments_attempt_close(&payout->attempt);
    move(payout, PAYMENTS_PAYOUT_PAY);
    atomic_fetch_add(&flow->payments->payouts_paid, 1);
    payout->asked_at = 0;
    payout->paid_at = now_of(flow);
    payout->due = resource_bank_next_look(
        payout->paid_at, payout->paid_at, flow->payments->parts.settings.return_window_s, true);
    save_and_answer(flow, "payout.paid");
}

static void
not_paid(struct payments_payout_flow *flow, enum payments_payout_posting posting)
{
    FAULT_POINT("payout-before-failed");
    if (posting == PAYMENTS_PAYOUT_NOT_HELD) {
        /* An earlier run, which was cut off, saw it paid and posted it; now it has come back. */
        paid(flow, PAYMENTS_PAYOUT_POSTED);
        return;
    }
    if (posting != PAYMENTS_PAYOUT_POSTED) {
        answer_unknown(flow);
        return;
    }
    payments_attempt_close(&flow->payout->attempt);
    flow->payout->asked_at = 0;
    fail_by_bank(flow, PAYMENTS_PAYOUT_REFUSE);
}

static void
bank_answered(struct payments_payout_flow *flow)
{
    FAULT_POINT("payout-before-end");
    switch (resource_bank_word_of(&flow->rail)) {
    case RESOURCE_BANK_PAID:
        payments_payout_post_end(flow, PAYMENTS_PAYOUT_PAID, LEDGER_TRANSFER_POST_PENDING, paid);
        return;
    case RESOURCE_BANK_NOT_PAID:
        payments_payout_post_end(
            flow, PAYMENTS_PAYOUT_NOT_PAID, LEDGER_TRANSFER_VOID_PENDING, not_paid);
        return;
    case RESOURCE_BANK_UNHEARD:
    case RESOURCE_BANK_UNDECIDED:
        answer_unknown(flow);
        return;
    }
    UNREACHABLE();
}

/* ----------------------------------------------------------------------- (5), (4) the bank --- */

static void
rail_done(struct port_rail_request *request)
{
    struct payments_payout_flow *flow = CONTAINER_OF(request, struct payments_payout_flow, rail);
    flow->bank_step(flow);
}

static void
call_bank(
    struct payments_payout_flow *flow,
    enum port_rail_operation operation,
    void (*step)(struct payments_payout_flow *flow))
{
    const struct payments_parts *parts = &flow->payments->parts;
    const struct resource_bank_order order = {
        .id = resource_derived_id(payments_payout_number(flow->payout), "pay"),
        .number = flow->payout->number,
        .amount = payments_payout_money(flow->payout),
        .statement_descriptor = flow->payout->statement_descriptor,
        .timeout_ms = parts->settings.rail_timeout_ms,
    };
    flow->bank_step = step;
    resource_bank_ask(flow->op, parts->bank_rail, &order, operation, &flow->rail, rail_done);
}

static void
ask_bank(struct resource_op *op)
{
    FAULT_POINT("payout-before-pay");
    call_bank(resource_op_state(op), PORT_RAIL_PAY, bank_answered);
}

static void
submit_to_bank(struct payments_payout_flow *flow)
{
    struct payments_payout *payout = flow->payout;
    attempt_open(flow, "pay");
    payout->asked_at = now_of(flow);
    move(payout, PAYMENTS_PAYOUT_SUBMIT);
    err_t error = resource_save(flow->op, &payments_payout_type, payout);
    if (error == ERR_OK) {
        error =
            resource_emit(flow->op, "payout.updated", &payments_payout_type, payout, SPAN_EMPTY);
    }
    if (error != ERR_OK) {
        resource_internal(flow->op, error, "payout");
        return;
    }
    resource_after_commit(flow->op, ask_bank);
}

/* ----------------------------------------------------------------------------- (2), (3) hold -- */

static void
answer_too_much(struct payments_payout_flow *flow)
{
    char amount[MONEY_TEXT_SIZE];
    money_format(payments_payout_available(flow), amount);
    const struct resource_error refusal = {
        .status = 400,
        .type = "invalid_request_error",
        .code = "balance_insufficient",
        .param = SPAN("amount"),
        .message = arena_format(
            resource_op_arena(flow->op),
            "You have insufficient funds in your balance for this payout: %s is available.",
            amount),
        .executed = true,
    };
    resource_fail(flow->op, &refusal);
}

/* Whoever was told that it is pending is told that it failed. */
static err_t
save_refused(struct payments_payout_flow *flow)
{
    struct payments_payout *payout = flow->payout;
    bool told = payout->attempt.tries != 0;
    if (!told) {
        return resource_remove(flow->op, &payments_payout_type, payout);
    }
    payments_attempt_close(&payout->attempt);
    move(payout, PAYMENTS_PAYOUT_LACK);
    payout->failure_code = SPAN("insufficient_funds");
    payout->failure_message = SPAN("The balance was not enough for this payout.");
    payout->due = 0;
    TRY(resource_save(flow->op, &payments_payout_type, payout));
    TRY(resource_emit(flow->op, "payout.created", &payments_payout_type, payout, SPAN_EMPTY));
    return resource_emit(flow->op, "payout.failed", &payments_payout_type, payout, SPAN_EMPTY);
}

static void
held(struct payments_payout_flow *flow, enum payments_payout_posting posting)
{
    FAULT_POINT("payout-before-created");
    struct payments_payout *payout = flow->payout;
    if (posting == PAYMENTS_PAYOUT_TOO_MUCH) {
        err_t error = save_refused(flow);
        if (error != ERR_OK) {
            resource_internal(flow->op, error, "payout");
            return;
        }
        answer_too_much(flow);
        return;
    }
    if (posting != PAYMENTS_PAYOUT_POSTED) {
        answer_unknown(flow);
        return;
    }
    err_t error = payments_payout_line_of_hold(flow);
    if (error != ERR_OK) {
        resource_internal(flow->op, error, "payout");
        return;
    }
    payments_attempt_close(&payout->attempt);
    save_and_answer(flow, "payout.created");
}

static void
place(struct resource_op *op)
{
    FAULT_POINT("payout-before-hold");
    payments_payout_post_hold(resource_op_state(op), held);
}

/* -------------------------------------------------------------------------- (1) the beginning --
 */

static struct payments_payout_flow *
flow_create(struct resource_op *op)
{
    struct payments_payout_flow *flow =
        ARENA_NEW(resource_op_arena(op), struct payments_payout_flow);
    if (flow == NULL) {
        resource_internal(op, ERR_FULL, "request memory");
        return NULL;
    }
    flow->payments = resource_op_service(op);
    flow->op = op;
    resource_op_set_state(op, flow);
    return flow;
}

static void
create_locked(struct resource_op *op)
{
    struct payments_payout_flow *flow = resource_op_state(op);
    attempt_open(flow, "hold");
    resource_save_then(op, &payments_payout_type, flow->payout, "payout", place);
}

void
payments_payout_create(struct resource_op *op)
{
    struct payments_payout_flow *flow = flow_create(op);
    if (flow == NULL) {
        return;
    }
    if (flow->payments->parts.bank_rail == NULL) {
        resource_invalid(op, "payouts_not_allowed", NULL, "There is no bank that pays out here.");
        return;
    }
    struct payments_payout *payout = resource_new(op, &payments_payout_type);
    if (payout == NULL) {
        resource_internal(op, ERR_FULL, "request memory");
        return;
    }
    flow->payout = payout;
    payout->status = SPAN("pending");
    payout->arrival_date = payments_payout_arrival(now_of(flow));
    if (payments_payout_read(op, payout)) {
        resource_lock(op, payout->header.id, create_locked); /* against the sweeper */
    }
}

/* ----------------------------------------------------------------------------- (4') to (6') --- */

static void
canceled(struct payments_payout_flow *flow, enum payments_payout_posting posting)
{
    FAULT_POINT("payout-before-canceled");
    if (posting != PAYMENTS_PAYOUT_POSTED) {
        answer_unknown(flow);
        return;
    }
    payments_attempt_close(&flow->payout->attempt);
    move(flow->payout, PAYMENTS_PAYOUT_CANCEL);
    save_undone(flow, "payout_cancel", "payout.canceled");
}

static void
void_hold(struct resource_op *op)
{
    FAULT_POINT("payout-before-void");
    payments_payout_post_end(
        resource_op_state(op), PAYMENTS_PAYOUT_CANCELED, LEDGER_TRANSFER_VOID_PENDING, canceled);
}

static void
cancel_locked(struct resource_op *op)
{
    struct payments_payout_flow *flow = flow_create(op);
    if (flow == NULL) {
        return;
    }
    flow->payout = payments_payout_require(op);
    if (flow->payout == NULL) {
        return;
    }
    if (!span_equal_cstr(flow->payout->status, "pending") ||
        payments_attempt_is_open(&flow->payout->attempt)) {
        payments_payout_refuse_state(op, flow->payout, "canceled");
        return;
    }
    attempt_open(flow, "cancel");
    resource_save_then(op, &payments_payout_type, flow->payout, "payout", void_hold);
}

void
payments_payout_cancel(struct resource_op *op)
{
    resource_lock(op, resource_op_capture(op, 0), cancel_locked);
}

/* ------------------------------------------------------------------------------- the sweeper -- */

static void
resume(struct payments_payout_flow *flow)
{
    const struct payments_attempt *attempt = &flow->payout->attempt;
    if (attempt->key.size != 0) {
        resource_adopt_key(flow->op, attempt->key);
    }
    if (span_equal_cstr(attempt->kind, "hold")) {
        place(flow->op);
    } else if (span_equal_cstr(attempt->kind, "pay")) {
        ask_bank(flow->op);
    } else {
        ASSERT(span_equal_cstr(attempt->kind, "cancel"));
        void_hold(flow->op);
    }
}

static void
drive_locked(struct resource_op *op)
{
    struct payments_payout_flow *flow = resource_op_state(op);
    void *document = NULL;
    err_t error = resource_load(op, &payments_payout_type, flow->wanted, &document);
    if (error == ERR_NOT_FOUND) {
        resource_finish(op); /* refused meanwhile, and removed */
        return;
    }
    if (error != ERR_OK) {
        resource_internal(op, error, "payout to drive");
        return;
    }
    struct payments_payout *payout = document;
    flow->payout = payout;
    bool open = payments_attempt_is_open(&payout->attempt);
    /* A lease of a process that is gone counts no more, if there is no other process; what waits
     * for its own time waits in any case. */
    bool early =
        payout->due > now_of(flow) && (!open || resource_is_shared(flow->payments->parts.runtime));
    if (payout->due == 0 || early) {
        resource_finish(op);
        return;
    }
    resource_trace_begin(op, "resume payout", payout->trace);
    resource_trace_about(op, "tael.payout", payout->header.id);
    if (open) {
        resume(flow);
    } else if (payout->paid_at != 0) {
        call_bank(flow, PORT_RAIL_REPORT, reported);
    } else {
        submit_to_bank(flow);
    }
}

void
payments_payout_drive(struct resource_op *op, struct span id)
{
    struct payments_payout_flow *flow = flow_create(op);
    if (flow != NULL) {
        flow->wanted = id;
        resource_lock(op, id, drive_locked);
    }
}
