/*
 * Capturing an authorized intent.
 *
 *   payments_intent_capture    documents: attempt "capture" started            (1)
 *   ask_rail                   rail: capture, repeated under its id until it answers  (2)
 *   post                       books: the hold is posted, the fee taken        (3)
 *   finish                     documents: charge, transaction, events, key     (4)
 *
 * A capture is never given up: once the attempt is durable it is repeated until the rail has
 * answered. A rail that refuses it leaves the intent as it was, and so does one that does not know
 * the authorization any more.
 *
 * Of a split payment the rail captures the card's part first, and its yes is the decision; then the
 * books take both parts in one chain. If they refuse the wallet's, suspense stands for it
 * (SPLIT-5). If the wallet that the money was to go on to was closed meanwhile, the money stays
 * with the merchant, and the charge names no destination.
 */
#include "flow.h"
#include "handlers.h"

#include "base/assert.h"
#include "os/fault.h"

static err_t
save_captured(struct payments_flow *flow)
{
    struct payments_intent *intent = flow->intent;
    struct payments_charge *charge = flow->charge;
    int64_t amount = intent->attempt.amount;
    enum payments_intent_status status = PAYMENTS_REQUIRES_CAPTURE;
    bool legal = payments_intent_move(
        payments_intent_status_parse(intent->status), PAYMENTS_MOVE_CAPTURED, &status);
    ASSERT(legal);
    charge->captured = true;
    charge->amount_captured = amount;
    payments_charge_describe(charge, intent);
    charge->booked_by =
        payments_hex(flow->op, resource_derived_id(flow->attempt_id, payments_capture_step(flow)));
    int64_t card_part = payments_split_rest_captured(flow);
    const struct payments_balance_transaction entry = {
        .type = SPAN("charge"),
        .source = charge->header.id,
        .amount = card_part,
        .fee = intent->attempt.fee,
        .release_due = payments_release_at(flow),
    };
    TRY(payments_balance_transaction_add(flow, &entry, &charge->balance_transaction));
    TRY(payments_charge_split_captured(
        flow, amount - card_part, flow->in_suspense ? "wallet suspense" : "wallet capture"));
    TRY(payments_destination_transaction_add(flow, amount));
    intent->status = span_from_cstr(payments_intent_status_name(status));
    intent->amount_capturable = 0;
    intent->amount_received = amount;
    intent->transfer_destination = charge->transfer_destination; /* empty: the books refused it */
    intent->capture_before = 0;
    intent->due = 0;
    payments_attempt_close(&intent->attempt);
    TRY(payments_participants_commit(flow, amount));
    TRY(resource_save(flow->op, &payments_charge_type, charge));
    TRY(resource_save(flow->op, &payments_intent_type, intent));
    TRY(resource_emit(flow->op, "charge.captured", &payments_charge_type, charge, SPAN_EMPTY));
    TRY(resource_emit(
        flow->op, "payment_intent.succeeded", &payments_intent_type, intent, SPAN_EMPTY));
    return payments_checkout_follow(flow);
}

static void
posted(struct payments_flow *flow, enum payments_posting posting)
{
    FAULT_POINT("capture-before-finish");
    bool has_other_way =
        flow->charge->split_wallet.size != 0 || flow->charge->transfer_destination.size != 0;
    if (posting == PAYMENTS_POSTING_REFUSED && has_other_way && !flow->in_suspense) {
        flow->in_suspense = true;
        flow->charge->transfer_destination = SPAN_EMPTY;
        payments_post_capture(flow, posted);
        return;
    }
    /* The rail has taken the money: books that refuse it wait for the sweeper, with an alarm by
     * the age of the attempt, rather than lose it. */
    if (posting != PAYMENTS_POSTED) {
        payments_answer_unknown(flow);
        return;
    }
    err_t error = save_captured(flow);
    if (error != ERR_OK) {
        resource_internal(flow->op, error, "capture");
        return;
    }
    payments_split_uncount(flow, flow->charge->split_amount - flow->charge->split_captured);
    payments_answer_intent(flow);
}

static void
refused(struct payments_flow *flow)
{
    payments_attempt_close(&flow->intent->attempt);
    flow->intent->due = flow->intent->capture_before;
    err_t failure = resource_save(flow->op, &payments_intent_type, flow->intent);
    if (failure != ERR_OK) {
        resource_internal(flow->op, failure, "intent");
        return;
    }
    struct resource_error error = {
        .status = 402,
        .type = "card_error",
        .code = "charge_expired_for_capture",
        .message = SPAN("The card network refused to capture this authorization."),
        .charge = flow->charge->header.id,
        .payment_intent_json = resource_render_shown(flow->op, &payments_intent_type, flow->intent),
        .executed = true,
    };
    resource_fail(flow->op, &error);
}

/* The rail has lost the authorization. */
static void
not_found(struct payments_flow *flow, enum payments_posting booked)
{
    switch (booked) {
    case PAYMENTS_POSTED:
        payments_post_capture(flow, posted);
        return;
    case PAYMENTS_POSTING_REFUSED:
        refused(flow);
        return;
    case PAYMENTS_POSTING_UNKNOWN:
        payments_answer_unknown(flow);
        return;
    }
    UNREACHABLE();
}

static void
answered(struct payments_flow *flow)
{
    switch (flow->rail.answer.outcome) {
    case PORT_RAIL_APPROVED:
        FAULT_POINT("capture-before-post");
        if (FAULT_ERROR("split-capture-refused")) {
            posted(flow, PAYMENTS_POSTING_REFUSED);
            return;
        }
        payments_post_capture(flow, posted);
        return;
    case PORT_RAIL_DECLINED:
    case PORT_RAIL_FAILED:
        refused(flow);
        return;
    case PORT_RAIL_NOT_FOUND:
        payments_booked_before(flow, "capture", "capture again", not_found);
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
    FAULT_POINT("capture-before-rail");
    err_t error = money_from_api(
        payments_split_rest_captured(flow), payments_flow_currency(flow), &flow->rail.amount);
    ASSERT(error == ERR_OK);
    payments_rail_follow(flow, PORT_RAIL_CAPTURE, "capture", answered);
}

/* The rail releases what a capture leaves. */
static bool
is_final(struct resource_op *op)
{
    bool final = true;
    if (!resource_boolean(op, "final_capture", &final) || final) {
        return true;
    }
    resource_invalid(
        op,
        "payment_intent_invalid_parameter",
        "final_capture",
        "This server captures an authorization once, and releases the rest: final_capture cannot "
        "be false.");
    return false;
}

static void
capture_locked(struct resource_op *op)
{
    struct payments_flow *flow = payments_flow_of(op);
    struct payments_intent *intent = flow->intent;
    enum payments_intent_status status;
    if (!payments_intent_move(
            payments_intent_status_parse(intent->status), PAYMENTS_MOVE_CAPTURE, &status) ||
        payments_attempt_is_open(&intent->attempt)) {
        payments_fail_state(flow, "capture", NULL);
        return;
    }
    if (!is_final(op)) {
        return;
    }
    int64_t amount = intent->amount_capturable;
    (void)resource_integer(op, "amount_to_capture", &amount);
    if (amount > intent->amount_capturable) {
        resource_invalid(
            op,
            "amount_too_large",
            "amount_to_capture",
            "The requested capture amount is greater than the amount you can capture for this "
            "charge.");
        return;
    }
    if (!resource_coins_check(op, "amount_to_capture", amount, payments_flow_currency(flow)) ||
        resource_metadata(op, intent->metadata, &intent->metadata) != ERR_OK) {
        return;
    }
    (void)resource_text(op, "statement_descriptor", &intent->statement_descriptor);
    (void)resource_text(op, "statement_descriptor_suffix", &intent->statement_descriptor_suffix);
    payments_attempt_begin(flow, "capture", amount, attempt_is_durable);
}

void
payments_intent_capture(struct resource_op *op)
{
    payments_intent_with_charge(op, capture_locked);
}

void
payments_capture_resume(struct payments_flow *flow)
{
    payments_attempt_resume(flow, &flow->intent->attempt);
    attempt_is_durable(flow->op);
}
