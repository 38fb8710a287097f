/*
 * The ends of an authorization, each one commit: the documents, their events, and the attempt
 * closed.
 */
#include "authorize.h"

#include "method.h"
#include "risk/risk.h"

#include "base/assert.h"
#include "os/fault.h"

/* A payment that went well leaves the card with its customer, if that was agreed. */
static err_t
keep_method(struct payments_flow *flow)
{
    struct span usage = payments_agreed_usage(flow->intent);
    bool off_session = span_equal_cstr(usage, "off_session");
    bool on_session = span_equal_cstr(usage, "on_session");
    const struct payments_method_news news = {
        .customer = off_session || on_session ? flow->intent->customer : SPAN_EMPTY,
        .agreement = off_session ? flow->charge->authorization : SPAN_EMPTY,
    };
    return payments_method_learn(flow, &news);
}

static err_t
keep_checks(struct payments_flow *flow)
{
    const struct payments_method_news nothing = {.customer = SPAN_EMPTY};
    return payments_method_learn(flow, &nothing);
}

static err_t
save_approved(struct payments_flow *flow)
{
    struct payments_intent *intent = flow->intent;
    struct payments_charge *charge = flow->charge;
    struct resource_op *op = flow->op;
    bool captured = intent->capture_before == 0;
    int64_t amount = intent->attempt.amount;
    int64_t card_part = payments_split_rest(flow);
    enum payments_intent_status status = PAYMENTS_PROCESSING;
    bool legal = payments_intent_move(
        payments_intent_status_parse(intent->status),
        captured ? PAYMENTS_MOVE_CAPTURED : PAYMENTS_MOVE_AUTHORIZED,
        &status);
    ASSERT(legal);
    if (captured) {
        charge->captured = true;
        charge->amount_captured = amount;
        charge->booked_by = payments_hex(op, resource_derived_id(flow->attempt_id, "payment"));
        intent->amount_received = amount;
        const struct payments_balance_transaction entry = {
            .type = SPAN("charge"),
            .source = charge->header.id,
            .amount = card_part,
            .fee = intent->attempt.fee,
            .release_due = payments_release_at(flow),
        };
        TRY(payments_balance_transaction_add(flow, &entry, &charge->balance_transaction));
        TRY(payments_charge_split_captured(flow, amount - card_part, "wallet payment"));
        TRY(payments_destination_transaction_add(flow, amount));
    } else {
        intent->amount_capturable = amount;
    }
    intent->status = span_from_cstr(payments_intent_status_name(status));
    intent->payment_method = flow->method->header.id;
    intent->latest_charge = charge->header.id;
    intent->last_payment_error = SPAN_EMPTY;
    intent->due = captured ? 0 : intent->capture_before;
    payments_risk_ended(flow, true);
    payments_attempt_close(&intent->attempt);
    if (captured) {
        TRY(payments_participants_commit(flow, amount));
    }
    TRY(keep_method(flow));
    TRY(resource_save(op, &payments_charge_type, charge));
    TRY(resource_save(op, &payments_intent_type, intent));
    TRY(resource_emit(op, "charge.succeeded", &payments_charge_type, charge, SPAN_EMPTY));
    TRY(resource_emit(
        op,
        captured ? "payment_intent.succeeded" : "payment_intent.amount_capturable_updated",
        &payments_intent_type,
        intent,
        SPAN_EMPTY));
    return payments_checkout_follow(flow);
}

void
payments_authorize_approved(struct payments_flow *flow)
{
    FAULT_POINT("authorize-before-finish");
    if (!payments_charge_build(flow)) {
        return;
    }
    err_t error = save_approved(flow);
    if (error != ERR_OK) {
        resource_internal(flow->op, error, "payment");
        return;
    }
    if (flow->page) {
        payments_page_answer(flow);
        return;
    }
    resource_answer_emitted(flow->op, &payments_intent_type, flow->intent);
}

static err_t
save_declined(struct payments_flow *flow, struct span message)
{
    struct payments_intent *intent = flow->intent;
    struct resource_op *op = flow->op;
    enum payments_intent_status status = PAYMENTS_PROCESSING;
    bool legal = payments_intent_move(
        payments_intent_status_parse(intent->status), PAYMENTS_MOVE_DECLINED, &status);
    ASSERT(legal);
    flow->charge->failure_message = message;
    intent->status = span_from_cstr(payments_intent_status_name(status));
    intent->latest_charge = flow->charge->header.id;
    intent->last_payment_error = payments_card_error(flow, message);
    intent->payment_method = SPAN_EMPTY;
    intent->capture_before = 0;
    intent->due = 0;
    payments_risk_ended(flow, false);
    payments_attempt_close(&intent->attempt);
    if (flow->void_refused) {
        TRY(payments_suspense_add_void(flow));
    }
    TRY(payments_participants_abort(flow));
    TRY(keep_checks(flow));
    TRY(resource_save(op, &payments_charge_type, flow->charge));
    TRY(resource_save(op, &payments_intent_type, intent));
    TRY(resource_emit(op, "charge.failed", &payments_charge_type, flow->charge, SPAN_EMPTY));
    return resource_emit(
        op, "payment_intent.payment_failed", &payments_intent_type, intent, SPAN_EMPTY);
}

void
payments_authorize_declined(struct payments_flow *flow)
{
    FAULT_POINT("authorize-before-decline");
    const struct port_rail_answer *answer = &flow->rail.answer;
    struct span message =
        flow->decline_message.size != 0 ? flow->decline_message : payments_decline_message(answer);
    if (!payments_charge_build(flow)) {
        return;
    }
    err_t failure = save_declined(flow, message);
    if (failure != ERR_OK) {
        resource_internal(flow->op, failure, "payment");
        return;
    }
    payments_wallet_release(flow);
    if (flow->page) {
        payments_page_answer(flow);
        return;
    }
    struct resource_error error = payments_declined_error(answer, message);
    error.charge = flow->charge->header.id;
    error.payment_intent_json =
        resource_render_shown(flow->op, &payments_intent_type, flow->intent);
    error.payment_method_json =
        resource_render_shown(flow->op, &payments_method_type, flow->method);
    resource_fail(flow->op, &error);
}

static err_t
save_challenged(struct payments_flow *flow)
{
    struct payments_intent *intent = flow->intent;
    enum payments_intent_status status = PAYMENTS_PROCESSING;
    bool legal = payments_intent_move(
        payments_intent_status_parse(intent->status), PAYMENTS_MOVE_CHALLENGED, &status);
    ASSERT(legal);
    intent->status = span_from_cstr(payments_intent_status_name(status));
    intent->payment_method = flow->method->header.id;
    intent->last_payment_error = SPAN_EMPTY;
    intent->capture_before = 0;
    intent->due = intent->challenge.expires;
    payments_attempt_close(&intent->attempt);
    TRY(payments_participants_abort(flow));
    TRY(keep_checks(flow));
    TRY(resource_save(flow->op, &payments_intent_type, intent));
    return resource_emit(
        flow->op, "payment_intent.requires_action", &payments_intent_type, intent, SPAN_EMPTY);
}

void
payments_authorize_challenged(struct payments_flow *flow)
{
    FAULT_POINT("authorize-before-challenge");
    if (!payments_challenge_open(flow, &flow->intent->challenge, flow->intent->header.id)) {
        return;
    }
    payments_charge_checks(flow);
    err_t error = save_challenged(flow);
    if (error != ERR_OK) {
        resource_internal(flow->op, error, "challenge");
        return;
    }
    payments_wallet_release(flow);
    payments_answer_intent(flow);
}
