/*
 * What a checkout session and its intent do to one another, in the commits of the intent's flows:
 *
 *   payments_checkout_confirmed   an attempt, or a wait for a wallet, begins from the page: the
 *                                 session names its intent, and counts the card
 *   payments_checkout_follow      the intent is authorized, paid, captured or canceled: the session
 *                                 is complete, or expired, with its event
 *   payments_checkout_end         the session is over before it was paid: the intent is canceled,
 *                                 and the session follows it
 *
 * A payment under way is waited for: what it comes to decides, also after the session's time.
 */
#include "checkout.h"
#include "method.h"

#include "base/assert.h"

#include <string.h>

#define WAIT_S 5 /* for the end of a payment that is under way when the session's time is over */

/* ------------------------------------------------------------------------- from the intent --- */

/* Moves it, and saves it with the event of what it has become, if that is new. */
static err_t
move(struct payments_flow *flow, enum payments_checkout_move by)
{
    struct payments_checkout *checkout = flow->checkout;
    bool was_open = payments_checkout_is_open(checkout);
    bool legal = payments_checkout_move(&checkout->status, by);
    ASSERT(legal);
    bool is_open = payments_checkout_is_open(checkout);
    checkout->due = is_open ? checkout->expires_at : 0;
    TRY(resource_save(flow->op, &payments_checkout_type, checkout));
    if (is_open == was_open) {
        return ERR_OK;
    }
    return resource_emit(
        flow->op,
        span_equal_cstr(checkout->status, "complete") ? "checkout.session.completed"
                                                      : "checkout.session.expired",
        &payments_checkout_type,
        checkout,
        SPAN_EMPTY);
}

err_t
payments_checkout_confirmed(struct payments_flow *flow)
{
    struct payments_checkout *checkout = flow->checkout;
    if (checkout == NULL) {
        return ERR_OK;
    }
    checkout->payment_intent = flow->intent->header.id;
    checkout->cards += strcmp(payments_method_type_name(flow->method), "card") == 0;
    return move(flow, PAYMENTS_CHECKOUT_CONFIRM);
}

/* What the intent's new status is to its session. */
static enum payments_checkout_move
move_of(const struct payments_flow *flow)
{
    switch (payments_intent_status_parse(flow->intent->status)) {
    case PAYMENTS_CANCELED:
        return PAYMENTS_CHECKOUT_DROP;
    case PAYMENTS_SUCCEEDED:
        return payments_checkout_is_open(flow->checkout) ? PAYMENTS_CHECKOUT_PAY
                                                         : PAYMENTS_CHECKOUT_CAPTURE;
    case PAYMENTS_REQUIRES_CAPTURE:
        return PAYMENTS_CHECKOUT_PAY;
    case PAYMENTS_REQUIRES_PAYMENT_METHOD:
    case PAYMENTS_REQUIRES_CONFIRMATION:
    case PAYMENTS_REQUIRES_ACTION:
    case PAYMENTS_PROCESSING:
    case PAYMENTS_INTENT_STATUS_COUNT:
        break;
    }
    UNREACHABLE();
}

err_t
payments_checkout_follow(struct payments_flow *flow)
{
    struct span id = flow->intent->checkout_session;
    void *found;
    if (id.size == 0) {
        return ERR_OK;
    }
    if (flow->checkout == NULL) {
        TRY(resource_load(flow->op, &payments_checkout_type, id, &found));
        flow->checkout = found;
    }
    enum payments_checkout_move by = move_of(flow);
    if (span_equal_cstr(flow->intent->status, "succeeded")) {
        flow->checkout->payment_status = SPAN("paid");
    }
    return move(flow, by);
}

bool
payments_checkout_owns(struct payments_flow *flow, const char *verb)
{
    if (flow->intent->checkout_session.size == 0) {
        return false;
    }
    resource_invalid(
        flow->op,
        "payment_intent_unexpected_state",
        NULL,
        "You cannot %s this PaymentIntent because it belongs to a Checkout Session (%.*s). To give "
        "it up, cancel it, or expire the session.",
        verb,
        SPAN_PRINTF(flow->intent->checkout_session));
    return true;
}

bool
payments_checkout_intent_new(struct payments_flow *flow)
{
    const struct payments_checkout *checkout = flow->checkout;
    if (!payments_intent_new(flow, checkout->amount, checkout->currency)) {
        return false;
    }
    struct payments_intent *intent = flow->intent;
    intent->checkout_session = checkout->header.id;
    intent->customer = checkout->customer;
    intent->description = checkout->description;
    intent->metadata = checkout->intent_metadata;
    intent->receipt_email = checkout->receipt_email;
    intent->payment_method_types = checkout->payment_method_types;
    intent->payment_method_options = checkout->payment_method_options;
    intent->request_three_d_secure = checkout->request_three_d_secure;
    intent->setup_future_usage = checkout->setup_future_usage;
    intent->statement_descriptor = checkout->statement_descriptor;
    intent->statement_descriptor_suffix = checkout->statement_descriptor_suffix;
    intent->transfer_group = checkout->transfer_group;
    if (checkout->capture_method.size != 0) {
        intent->capture_method = checkout->capture_method;
    }
    return true;
}

/* ------------------------------------------------------------------------------ over early --- */

void
payments_checkout_answers(struct payments_flow *flow, void (*answer)(struct payments_flow *flow))
{
    flow->page = true;
    flow->answer_step = answer;
}

void
payments_checkout_end(struct payments_flow *flow, void (*answer)(struct payments_flow *flow))
{
    payments_checkout_answers(flow, answer);
    if (flow->intent != NULL) {
        flow->intent->cancellation_reason = SPAN("expired");
        payments_cancel_unpaid(flow);
        return;
    }
    err_t error = move(flow, PAYMENTS_CHECKOUT_EXPIRE);
    if (error != ERR_OK) {
        resource_internal(flow->op, error, "checkout session");
        return;
    }
    answer(flow);
}

/* ----------------------------------------------------------------------------- the sweeper --- */

static void
driven(struct payments_flow *flow)
{
    resource_finish(flow->op);
}

static bool
is_due(const struct payments_flow *flow)
{
    const struct payments_checkout *checkout = flow->checkout;
    return checkout->due != 0 && checkout->due <= (int64_t)resource_now_s(flow->op);
}

/* False: the operation has ended. */
static bool
load_due(struct payments_flow *flow)
{
    void *found;
    err_t error = resource_load(flow->op, &payments_checkout_type, flow->wanted_checkout, &found);
    if (error != ERR_OK) {
        resource_internal(flow->op, error, "checkout session to expire");
        return false;
    }
    flow->checkout = found;
    if (!is_due(flow)) {
        resource_finish(flow->op);
        return false;
    }
    return true;
}

static void
drive_locked(struct resource_op *op)
{
    struct payments_flow *flow = payments_flow_of(op);
    if (!load_due(flow) || !payments_intent_load(flow, flow->checkout->payment_intent)) {
        return;
    }
    if (!payments_attempt_is_open(&flow->intent->attempt)) {
        payments_checkout_end(flow, driven);
        return;
    }
    flow->checkout->due = (int64_t)resource_now_s(op) + WAIT_S;
    err_t error = resource_save(op, &payments_checkout_type, flow->checkout);
    if (error != ERR_OK) {
        resource_internal(op, error, "checkout session");
        return;
    }
    resource_finish(op);
}

void
payments_checkout_drive(
    struct resource_op *op,
    const struct resource_sweep_kind *kind,
    struct span id,
    struct span lock)
{
    (void)kind;
    (void)lock;
    struct payments_flow *flow = payments_flow_create(op);
    if (flow == NULL) {
        return;
    }
    flow->wanted_checkout = id;
    if (!load_due(flow)) {
        return;
    }
    if (flow->checkout->payment_intent.size != 0) {
        resource_lock(op, flow->checkout->payment_intent, drive_locked);
    } else {
        payments_checkout_end(flow, driven);
    }
}
