/*
 * Incremental authorization: more is held for an intent that waits for its capture.
 *
 *   payments_intent_increment  documents: attempt "increment" started            (1)
 *   ask_rail                   rail: increment by the difference, repeated under its id until it
 *                              answers                                           (2)
 *     declined                 documents: attempt closed; the old authorization stands
 *   post                       books: a larger hold takes the place of the old   (3)
 *   finish                     documents: intent, charge, events, key            (4)
 *
 * An increment is never given up: once the attempt is durable it is repeated until the rail has
 * answered, and then the books are asked until they take it. A rail that does not know the
 * authorization any more has answered no.
 */
#include "flow.h"
#include "handlers.h"

#include "base/assert.h"
#include "os/fault.h"

/* Stripe's limit; declines count. */
#define INCREMENTS_MAX 10

static void
keep(struct span *member, struct span *change)
{
    if (change->size != 0) {
        *member = *change;
    }
    *change = SPAN_EMPTY;
}

static err_t
save_incremented(struct payments_flow *flow)
{
    struct payments_intent *intent = flow->intent;
    int64_t amount = intent->attempt.amount;
    keep(&intent->description, &intent->changes.description);
    keep(&intent->statement_descriptor, &intent->changes.statement_descriptor);
    keep(&intent->metadata, &intent->changes.metadata);
    payments_charge_describe(flow->charge, intent);
    intent->amount = amount;
    intent->amount_capturable = amount;
    intent->due = intent->capture_before;
    flow->charge->hold = payments_hex(flow->op, resource_derived_id(flow->attempt_id, "hold"));
    payments_charge_authorized(flow, amount);
    payments_attempt_close(&intent->attempt);
    TRY(resource_save(flow->op, &payments_charge_type, flow->charge));
    TRY(resource_save(flow->op, &payments_intent_type, intent));
    TRY(resource_emit(flow->op, "charge.updated", &payments_charge_type, flow->charge, SPAN_EMPTY));
    return resource_emit(
        flow->op,
        "payment_intent.amount_capturable_updated",
        &payments_intent_type,
        intent,
        SPAN_EMPTY);
}

static void
posted(struct payments_flow *flow, enum payments_posting posting)
{
    FAULT_POINT("increment-before-finish");
    if (posting != PAYMENTS_POSTED) {
        payments_answer_unknown(flow);
        return;
    }
    err_t error = save_incremented(flow);
    if (error != ERR_OK) {
        resource_internal(flow->op, error, "increment");
        return;
    }
    payments_answer_intent(flow);
}

static void
declined(struct payments_flow *flow)
{
    const struct port_rail_answer *answer = &flow->rail.answer;
    payments_attempt_close(&flow->intent->attempt);
    flow->intent->changes = (struct payments_changes){.description = SPAN_EMPTY};
    flow->intent->due = flow->intent->capture_before;
    err_t failure = resource_save(flow->op, &payments_intent_type, flow->intent);
    if (failure != ERR_OK) {
        resource_internal(flow->op, failure, "intent");
        return;
    }
    struct resource_error error = payments_declined_error(answer, payments_decline_message(answer));
    error.code = "card_declined";
    error.charge = flow->charge->header.id;
    error.payment_intent_json =
        resource_render_shown(flow->op, &payments_intent_type, flow->intent);
    resource_fail(flow->op, &error);
}

/* The rail has lost the authorization. */
static void
not_found(struct payments_flow *flow, enum payments_posting booked)
{
    switch (booked) {
    case PAYMENTS_POSTED:
        payments_post_increment(flow, posted);
        return;
    case PAYMENTS_POSTING_REFUSED:
        declined(flow);
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
        FAULT_POINT("increment-before-post");
        payments_post_increment(flow, posted);
        return;
    case PORT_RAIL_DECLINED:
    case PORT_RAIL_FAILED:
        declined(flow);
        return;
    case PORT_RAIL_NOT_FOUND:
        payments_booked_before(flow, "hold", "increment void", not_found);
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
    FAULT_POINT("increment-before-rail");
    int64_t more = flow->intent->attempt.amount - flow->intent->amount_capturable;
    err_t error = money_from_api(more, payments_flow_currency(flow), &flow->rail.amount);
    ASSERT(error == ERR_OK);
    payments_rail_follow(flow, PORT_RAIL_INCREMENT, "increment", answered);
}

/* ------------------------------------------------------------------------- (1) the beginning ---
 */

static bool
check_amount(struct payments_flow *flow, int64_t amount)
{
    const struct payments_intent *intent = flow->intent;
    if (amount <= intent->amount_capturable) {
        resource_invalid(
            flow->op,
            "amount_too_small",
            "amount",
            "The amount is the new total: it must be more than the %lld that is authorized "
            "already.",
            (long long)intent->amount_capturable);
        return false;
    }
    if (amount > PAYMENTS_AMOUNT_MAX) {
        resource_invalid(
            flow->op, "amount_too_large", "amount", "Amount must be no more than 99999999.");
        return false;
    }
    return resource_coins_check(flow->op, "amount", amount, payments_flow_currency(flow));
}

static bool
check_support(struct payments_flow *flow)
{
    if (!flow->charge->incrementable) {
        resource_invalid(
            flow->op,
            "payment_intent_incompatible_payment_method",
            NULL,
            "The authorization of this PaymentIntent cannot be incremented. Confirm it with "
            "payment_method_options[card][request_incremental_authorization]=if_available, and "
            "look whether the charge says that it is available.");
        return false;
    }
    if (flow->intent->increments >= INCREMENTS_MAX) {
        resource_invalid(
            flow->op,
            "payment_intent_unexpected_state",
            NULL,
            "An authorization can be incremented %d times at most, declines included.",
            INCREMENTS_MAX);
        return false;
    }
    return true;
}

static void
increment_locked(struct resource_op *op)
{
    struct payments_flow *flow = payments_flow_of(op);
    struct payments_intent *intent = flow->intent;
    enum payments_intent_status status;
    int64_t amount = 0;
    if (!payments_intent_move(
            payments_intent_status_parse(intent->status), PAYMENTS_MOVE_INCREMENT, &status) ||
        payments_attempt_is_open(&intent->attempt)) {
        payments_fail_state(flow, "increment the authorization of", NULL);
        return;
    }
    (void)resource_integer(op, "amount", &amount);
    if (!check_support(flow) || !check_amount(flow, amount) ||
        resource_metadata(op, intent->metadata, &intent->changes.metadata) != ERR_OK) {
        return;
    }
    if (intent->changes.metadata.size == 0 && resource_present(op, "metadata")) {
        intent->changes.metadata = SPAN("{}");
    }
    (void)resource_text(op, "description", &intent->changes.description);
    (void)resource_text(op, "statement_descriptor", &intent->changes.statement_descriptor);
    intent->increments++;
    payments_attempt_begin(flow, "increment", amount, attempt_is_durable);
}

void
payments_intent_increment(struct resource_op *op)
{
    payments_intent_with_charge(op, increment_locked);
}

void
payments_increment_resume(struct payments_flow *flow)
{
    payments_attempt_resume(flow, &flow->intent->attempt);
    attempt_is_durable(flow->op);
}
