/*
 * Cancelling an intent. Without an authorization it is one write of documents; with one:
 *
 *   payments_intent_cancel     documents: attempt "void" started               (1)
 *   ask_rail                   rail: void, repeated under its id until it answers     (2)
 *     declined                 documents: attempt "refused"; then as below, but the card's hold
 *                              stays in the books, and an item says so (suspense.c)
 *   post                       books: the hold is voided                       (3)
 *   finish                     documents: intent canceled, events, key         (4)
 */
#include "flow.h"
#include "handlers.h"

#include "base/assert.h"
#include "os/fault.h"

/* The rail has said no to the void: what the card holds is for a person to settle with it. */
static bool
is_refused(const struct payments_flow *flow)
{
    return span_equal_cstr(flow->intent->attempt.state, "refused");
}

static err_t
save_refusal(struct payments_flow *flow)
{
    TRY(payments_suspense_add_void(flow));
    return resource_save(flow->op, &payments_charge_type, flow->charge);
}

static void
save_canceled(struct payments_flow *flow)
{
    struct payments_intent *intent = flow->intent;
    enum payments_intent_status status = PAYMENTS_REQUIRES_CAPTURE;
    bool legal = payments_intent_move(
        payments_intent_status_parse(intent->status), PAYMENTS_MOVE_CANCEL, &status);
    ASSERT(legal);
    intent->status = span_from_cstr(payments_intent_status_name(status));
    intent->amount_capturable = 0;
    intent->canceled_at = (int64_t)resource_now_s(flow->op);
    intent->capture_before = 0;
    intent->due = 0;
    payments_challenge_drop(&intent->challenge, "canceled");
    err_t error = is_refused(flow) ? save_refusal(flow) : ERR_OK;
    if (payments_attempt_is_open(&intent->attempt)) {
        payments_attempt_close(&intent->attempt);
    }
    if (error == ERR_OK) {
        error = payments_participants_abort(flow);
    }
    if (error == ERR_OK) {
        error = resource_save(flow->op, &payments_intent_type, intent);
    }
    if (error == ERR_OK && flow->charge != NULL) {
        error = resource_emit(
            flow->op, "charge.expired", &payments_charge_type, flow->charge, SPAN_EMPTY);
    }
    if (error == ERR_OK) {
        error = resource_emit(
            flow->op, "payment_intent.canceled", &payments_intent_type, intent, SPAN_EMPTY);
    }
    if (error == ERR_OK) {
        error = payments_checkout_follow(flow);
    }
    if (error != ERR_OK) {
        resource_internal(flow->op, error, "intent");
        return;
    }
    if (flow->charge != NULL) {
        payments_split_uncount(flow, flow->charge->split_amount);
    }
    payments_answer_intent(flow);
}

static void
posted(struct payments_flow *flow, enum payments_posting posting)
{
    FAULT_POINT("void-before-finish");
    if (posting != PAYMENTS_POSTED) {
        payments_answer_unknown(flow);
        return;
    }
    save_canceled(flow);
}

static void
refusal_is_durable(struct resource_op *op)
{
    FAULT_POINT("void-before-let-go");
    payments_post_split_void(payments_flow_of(op), posted);
}

static void
answered(struct payments_flow *flow)
{
    switch (flow->rail.answer.outcome) {
    case PORT_RAIL_APPROVED:
    case PORT_RAIL_NOT_FOUND:
        FAULT_POINT("void-before-post");
        payments_post_void(flow, posted);
        return;
    case PORT_RAIL_DECLINED:
    case PORT_RAIL_FAILED:
        /* Asked again it would say the same. What the books let go of next depends on it. */
        flow->intent->attempt.state = SPAN("refused");
        resource_save_then(
            flow->op, &payments_intent_type, flow->intent, "intent", refusal_is_durable);
        return;
    case PORT_RAIL_PENDING:
    case PORT_RAIL_UNKNOWN:
    case PORT_RAIL_CHALLENGE:
        payments_answer_unknown(flow);
        return;
    }
    UNREACHABLE();
}

static void
attempt_is_durable(struct resource_op *op)
{
    struct payments_flow *flow = payments_flow_of(op);
    FAULT_POINT("void-before-rail");
    payments_rail_follow(flow, PORT_RAIL_VOID, "void", answered);
}

static void
begin_void(struct payments_flow *flow)
{
    payments_attempt_begin(flow, "void", flow->intent->amount_capturable, attempt_is_durable);
}

void
payments_cancel_unpaid(struct payments_flow *flow)
{
    flow->charge = NULL; /* a failed one: nothing of it expires */
    payments_split_let_go(flow, save_canceled);
}

static void
cancel_locked(struct resource_op *op)
{
    struct payments_flow *flow = payments_flow_of(op);
    struct payments_intent *intent = flow->intent;
    enum payments_intent_status status;
    enum payments_intent_status from = payments_intent_status_parse(intent->status);
    if (!payments_intent_move(from, PAYMENTS_MOVE_CANCEL, &status) ||
        payments_attempt_is_open(&intent->attempt)) {
        payments_fail_state(flow, "cancel", NULL);
        return;
    }
    (void)resource_text(op, "cancellation_reason", &intent->cancellation_reason);
    if (from == PAYMENTS_REQUIRES_CAPTURE) {
        begin_void(flow);
    } else {
        payments_cancel_unpaid(flow);
    }
}

void
payments_intent_cancel(struct resource_op *op)
{
    payments_intent_with_charge(op, cancel_locked);
}

void
payments_void_resume(struct payments_flow *flow)
{
    payments_attempt_resume(flow, &flow->intent->attempt);
    if (is_refused(flow)) {
        refusal_is_durable(flow->op);
        return;
    }
    attempt_is_durable(flow->op);
}

void
payments_void_expired(struct payments_flow *flow)
{
    ASSERT(span_equal_cstr(
        flow->intent->status, payments_intent_status_name(PAYMENTS_REQUIRES_CAPTURE)));
    flow->intent->cancellation_reason = SPAN("automatic");
    begin_void(flow);
}
