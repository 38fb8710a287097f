/*
 * Confirming an intent: the flow of an authorization, with its crash points.
 *
 *   payments_authorize_begin     wallets: limits reserved, where there are wallets
 *     refused                    documents: as declined, at once
 *   reserved                     documents: intent processing, attempt started     (1)
 *   ask_rail                     rail: authorize                                   (2)
 *     declined                   documents: charge failed, attempt closed
 *     unknown                    documents: due again; payments_authorize_resume asks for a report
 *   post                         books: payment, or hold                           (3)
 *     refused                    documents: attempt reversing; rail: void; then as declined.
 *                                A wallet's payment has no rail to reverse: declined at once
 *   finish                       documents: charge, transaction, events, key       (4)
 *
 * Whoever finds the attempt open at (1) to (4) calls payments_authorize_resume, which asks the
 * rail what it knows and goes on from there.
 */
#include "flow.h"

#include "base/assert.h"
#include "os/fault.h"
#include "json/json.h"

#include <string.h>

static void reverse(struct payments_flow *flow);

/* --------------------------------------------------------------------------- ways to answer --- */

void
payments_answer_intent(struct payments_flow *flow)
{
    resource_answer_object(flow->op, &payments_intent_type, flow->intent);
}

void
payments_answer_unknown(struct payments_flow *flow)
{
    struct payments_intent *intent = flow->intent;
    intent->attempt.tries++;
    intent->due =
        (int64_t)resource_now_s(flow->op) + payments_attempt_backoff_s(intent->attempt.tries - 1);
    err_t error = resource_save(flow->op, &payments_intent_type, intent);
    if (error != ERR_OK) {
        resource_internal(flow->op, error, "intent");
        return;
    }
    payments_answer_intent(flow);
}

void
payments_fail_state(struct payments_flow *flow, const char *verb)
{
    struct span message = arena_format(
        resource_op_arena(flow->op),
        "You cannot %s this PaymentIntent because it has a status of %.*s.",
        verb,
        SPAN_PRINTF(flow->intent->status));
    struct resource_error error = {
        .status = 400,
        .type = "invalid_request_error",
        .code = "payment_intent_unexpected_state",
        .message = message,
        .payment_intent_json = resource_render_text(flow->op, &payments_intent_type, flow->intent),
    };
    resource_fail(flow->op, &error);
}

/* ------------------------------------------------------------------------------ (4) the end --- */

/* A payment method has no lock: whoever pays with it at the same time, or detaches it, may have
 * written it since it was read. That must not stop a payment, and their word is as good. */
static err_t
save_checks(struct payments_flow *flow)
{
    err_t error = resource_save(flow->op, &payments_method_type, flow->method);
    return error == ERR_STALE ? ERR_OK : error;
}

static err_t
save_approved(struct payments_flow *flow)
{
    struct payments_intent *intent = flow->intent;
    struct payments_charge *charge = flow->charge;
    struct resource_op *op = flow->op;
    bool captured = !span_equal_cstr(intent->capture_method, "manual");
    int64_t amount = intent->attempt.amount;
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
            .amount = amount,
            .fee = intent->attempt.fee,
            .release_due = payments_release_at(flow),
        };
        TRY(payments_balance_transaction_add(flow, &entry, &charge->balance_transaction));
        TRY(payments_destination_transaction_add(flow, amount));
    } else {
        intent->amount_capturable = amount;
    }
    intent->status = span_from_cstr(payments_intent_status_name(status));
    intent->payment_method = flow->method->header.id;
    intent->latest_charge = charge->header.id;
    intent->last_payment_error = SPAN_EMPTY;
    intent->due = captured ? 0 : intent->capture_before;
    payments_attempt_close(&intent->attempt);
    TRY(save_checks(flow));
    TRY(resource_save(op, &payments_charge_type, charge));
    TRY(resource_save(op, &payments_intent_type, intent));
    TRY(resource_emit(op, "charge.succeeded", &payments_charge_type, charge, SPAN_EMPTY));
    return resource_emit(
        op,
        captured ? "payment_intent.succeeded" : "payment_intent.amount_capturable_updated",
        &payments_intent_type,
        intent,
        SPAN_EMPTY);
}

static void
finish_approved(struct payments_flow *flow)
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
    payments_answer_intent(flow);
}

static struct span
decline_message(const struct payments_flow *flow)
{
    static const struct {
        const char *code;
        const char *message;
    } messages[] = {
        {"expired_card", "Your card has expired."},
        {"incorrect_cvc", "Your card's security code is incorrect."},
        {"incorrect_number", "Your card number is incorrect."},
        {"processing_error",
         "An error occurred while processing your card. Try again in a little bit."},
        {"authentication_required",
         "Your card was declined. This transaction requires authentication."},
    };

    const struct port_rail_answer *answer = &flow->rail.answer;
    if (flow->decline_message.size != 0) {
        return flow->decline_message;
    }
    for (size_t i = 0; i < sizeof(messages) / sizeof(messages[0]); i++) {
        if (strcmp(answer->error_code, messages[i].code) == 0) {
            return span_from_cstr(messages[i].message);
        }
    }
    if (strcmp(answer->decline_code, "insufficient_funds") == 0) {
        return SPAN("Your card has insufficient funds.");
    }
    return SPAN("Your card was declined.");
}

/* The error as it stays on the intent: last_payment_error. */
static struct span
payment_error_json(struct payments_flow *flow, struct span message)
{
    enum {
        ERROR_SIZE_MAX = 16384
    };
    const struct port_rail_answer *answer = &flow->rail.answer;
    void *memory = arena_alloc(resource_op_arena(flow->op), ERROR_SIZE_MAX);
    struct buf buf;
    buf_init_fixed(&buf, memory, memory == NULL ? 0 : ERROR_SIZE_MAX);
    struct json_writer json;
    json_begin(&json, &buf);
    json_object_begin(&json);
    if (answer->advice_code[0] != '\0') {
        json_member_cstr(&json, "advice_code", answer->advice_code);
    }
    json_member_text(&json, "charge", flow->charge->header.id);
    json_member_cstr(&json, "code", answer->error_code);
    if (answer->decline_code[0] != '\0') {
        json_member_cstr(&json, "decline_code", answer->decline_code);
    }
    json_member_text(&json, "message", message);
    if (answer->network_code[0] != '\0') {
        json_member_cstr(&json, "network_decline_code", answer->network_code);
    }
    json_member_raw(
        &json,
        "payment_method",
        resource_render_text(flow->op, &payments_method_type, flow->method));
    json_member_cstr(&json, "type", "card_error");
    json_object_end(&json);
    return buf_failed(&buf) ? SPAN_EMPTY : buf_span(&buf);
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
    intent->last_payment_error = payment_error_json(flow, message);
    intent->payment_method = SPAN_EMPTY;
    intent->capture_before = 0;
    intent->due = 0;
    payments_attempt_close(&intent->attempt);
    TRY(save_checks(flow));
    TRY(resource_save(op, &payments_charge_type, flow->charge));
    TRY(resource_save(op, &payments_intent_type, intent));
    TRY(resource_emit(op, "charge.failed", &payments_charge_type, flow->charge, SPAN_EMPTY));
    return resource_emit(
        op, "payment_intent.payment_failed", &payments_intent_type, intent, SPAN_EMPTY);
}

static void
finish_declined(struct payments_flow *flow)
{
    FAULT_POINT("authorize-before-decline");
    const struct port_rail_answer *answer = &flow->rail.answer;
    struct span message = decline_message(flow);
    if (!payments_charge_build(flow)) {
        return;
    }
    err_t failure = save_declined(flow, message);
    if (failure != ERR_OK) {
        resource_internal(flow->op, failure, "payment");
        return;
    }
    payments_wallet_release(flow);
    struct resource_error error = {
        .status = 402,
        .type = "card_error",
        .code = answer->error_code,
        .decline_code = answer->decline_code,
        .advice_code = answer->advice_code,
        .network_code = answer->network_code,
        .message = message,
        .charge = flow->charge->header.id,
        .payment_intent_json = resource_render_text(flow->op, &payments_intent_type, flow->intent),
        .payment_method_json = resource_render_text(flow->op, &payments_method_type, flow->method),
        .executed = true,
    };
    resource_fail(flow->op, &error);
}

/* --------------------------------------------------------------------------------- reversal --- */

/* What the customer is told of a payment that we had to take back. */
static void
set_processing_error(struct payments_flow *flow)
{
    flow->rail.answer = (struct port_rail_answer){
        .outcome = PORT_RAIL_DECLINED,
        .error_code = "processing_error",
        .decline_code = "processing_error",
        .advice_code = "try_again_later",
    };
}

static void
reversed(struct payments_flow *flow)
{
    switch (flow->rail.answer.outcome) {
    case PORT_RAIL_APPROVED:
    case PORT_RAIL_NOT_FOUND:
        set_processing_error(flow);
        finish_declined(flow);
        return;
    case PORT_RAIL_DECLINED:
    case PORT_RAIL_FAILED:
    case PORT_RAIL_PENDING:
    case PORT_RAIL_UNKNOWN:
        /* It stands as long as the rail has not said that it does not. */
        payments_answer_unknown(flow);
        return;
    }
    UNREACHABLE();
}

static void
reversal_is_durable(struct resource_op *op)
{
    struct payments_flow *flow = payments_flow_of(op);
    FAULT_POINT("authorize-before-reverse");
    flow->rail.operation = PORT_RAIL_VOID;
    flow->rail.id = resource_derived_id(flow->attempt_id, "reverse");
    flow->rail.original_id = resource_derived_id(flow->attempt_id, "authorize");
    payments_rail_call(flow, reversed);
}

/* PAYMENTS-3: first the word, then the deed. */
static void
reverse(struct payments_flow *flow)
{
    flow->intent->attempt.state = SPAN("reversing");
    err_t error = resource_save(flow->op, &payments_intent_type, flow->intent);
    if (error != ERR_OK) {
        resource_internal(flow->op, error, "intent");
        return;
    }
    resource_after_commit(flow->op, reversal_is_durable);
}

/* ---------------------------------------------------------------------------- (3) the books --- */

static void
posted(struct payments_flow *flow, enum payments_posting posting)
{
    switch (posting) {
    case PAYMENTS_POSTED:
        finish_approved(flow);
        return;
    case PAYMENTS_POSTING_REFUSED:
        if (payments_by_wallet(flow)) {
            payments_wallet_decline_of_books(flow);
            finish_declined(flow);
        } else {
            reverse(flow);
        }
        return;
    case PAYMENTS_POSTING_UNKNOWN:
        payments_answer_unknown(flow);
        return;
    }
    UNREACHABLE();
}

static void
post(struct payments_flow *flow)
{
    FAULT_POINT("authorize-before-post");
    if (FAULT_ERROR("books-refuse")) {
        posted(flow, PAYMENTS_POSTING_REFUSED);
        return;
    }
    if (span_equal_cstr(flow->intent->capture_method, "manual")) {
        payments_post_hold(flow, posted);
    } else {
        payments_post_payment(flow, posted);
    }
}

/* ----------------------------------------------------------------------------- (2) the rail --- */

static void
answered(struct payments_flow *flow)
{
    switch (flow->rail.answer.outcome) {
    case PORT_RAIL_APPROVED:
        post(flow);
        return;
    case PORT_RAIL_DECLINED:
    case PORT_RAIL_FAILED:
        flow->rail.answer.outcome = PORT_RAIL_DECLINED;
        finish_declined(flow);
        return;
    case PORT_RAIL_PENDING:
    case PORT_RAIL_UNKNOWN:
        payments_answer_unknown(flow);
        return;
    case PORT_RAIL_NOT_FOUND:
        /* It may still be on its way: only a reversal makes sure that it never counts. */
        reverse(flow);
        return;
    }
    UNREACHABLE();
}

static void
attempt_is_durable(struct resource_op *op)
{
    struct payments_flow *flow = payments_flow_of(op);
    const struct payments_method *method = flow->method;
    bool off_session = false;
    (void)resource_boolean(op, "off_session", &off_session);
    FAULT_POINT("authorize-before-rail");
    struct money amount;
    err_t error =
        money_from_api(flow->intent->attempt.amount, payments_flow_currency(flow), &amount);
    ASSERT(error == ERR_OK);
    flow->rail.operation = PORT_RAIL_AUTHORIZE;
    flow->rail.id = resource_derived_id(flow->attempt_id, "authorize");
    flow->rail.amount = amount;
    flow->rail.capture = !span_equal_cstr(flow->intent->capture_method, "manual");
    flow->rail.off_session = off_session;
    flow->rail.postal_code = method->postal_code;
    flow->rail.address_line1 = method->address_line1;
    flow->rail.statement_descriptor = flow->intent->statement_descriptor;
    ASSERT(method->token.size < sizeof(flow->rail.token));
    memset(flow->rail.token, 0, sizeof(flow->rail.token));
    if (method->token.size != 0) { /* a wallet has none */
        memcpy(flow->rail.token, method->token.data, method->token.size);
    }
    payments_rail_call(flow, answered);
}

/* -------------------------------------------------------------------------- (1) the beginning ---
 */

static err_t
save_attempt(struct payments_flow *flow)
{
    struct payments_intent *intent = flow->intent;
    struct resource_op *op = flow->op;
    const struct payments_settings *settings = &flow->payments->parts.settings;
    int64_t now = (int64_t)resource_now_s(op);
    bool is_new = intent->header.version == 0;
    intent->status = span_from_cstr(payments_intent_status_name(PAYMENTS_PROCESSING));
    intent->payment_method = flow->method->header.id;
    intent->attempt.payment_method = flow->method->header.id;
    intent->attempt.charge = payments_charge_id(flow);
    intent->capture_before = span_equal_cstr(intent->capture_method, "manual")
                                 ? now + settings->authorization_hold_s
                                 : 0;
    intent->due = now + settings->lease_s;
    if (flow->method->header.version == 0) {
        if (span_equal_cstr(intent->setup_future_usage, "off_session") ||
            span_equal_cstr(intent->setup_future_usage, "on_session")) {
            flow->method->customer = intent->customer;
        }
        TRY(resource_save(op, &payments_method_type, flow->method));
    }
    TRY(resource_save(op, &payments_intent_type, intent));
    if (is_new) {
        TRY(resource_emit(op, "payment_intent.created", &payments_intent_type, intent, SPAN_EMPTY));
    }
    return ERR_OK;
}

static void
reserved(struct payments_flow *flow)
{
    err_t error = save_attempt(flow);
    if (error != ERR_OK) {
        resource_internal(flow->op, error, "intent");
    } else if (flow->rail.answer.outcome == PORT_RAIL_DECLINED) {
        finish_declined(flow);
    } else {
        resource_after_commit(flow->op, attempt_is_durable);
    }
}

void
payments_authorize_begin(struct payments_flow *flow)
{
    struct payments_intent *intent = flow->intent;
    enum payments_intent_status status = payments_intent_status_parse(intent->status);
    if (flow->method == NULL) {
        resource_invalid(
            flow->op,
            "payment_intent_unexpected_state",
            "payment_method",
            "You cannot confirm this PaymentIntent because it's missing a payment method. You can "
            "either update the PaymentIntent with a payment method and then confirm it again, or "
            "confirm it again directly with a payment method or ConfirmationToken.");
        return;
    }
    if (!payments_intent_move(status, PAYMENTS_MOVE_ATTACH, &status) ||
        !payments_intent_move(status, PAYMENTS_MOVE_CONFIRM, &status) ||
        payments_attempt_is_open(&intent->attempt)) {
        payments_fail_state(flow, "confirm");
        return;
    }
    if (payments_method_may_pay(flow) &&
        payments_attempt_open(flow, &intent->attempt, "authorize", intent->amount)) {
        payments_wallet_reserve(flow, reserved);
    }
}

/* ---------------------------------------------------------------------------------- resuming ---
 */

void
payments_authorize_resume(struct payments_flow *flow)
{
    struct payments_attempt *attempt = &flow->intent->attempt;
    void *found;
    payments_attempt_resume(flow, attempt);
    err_t error = resource_load(flow->op, &payments_method_type, attempt->payment_method, &found);
    if (error != ERR_OK) {
        resource_internal(flow->op, error, "payment method of an attempt");
        return;
    }
    flow->method = found;
    payments_wallet_resume(flow);
    if (span_equal_cstr(attempt->state, "reversing")) {
        reversal_is_durable(flow->op);
        return;
    }
    flow->rail.operation = PORT_RAIL_REPORT;
    flow->rail.original_id = resource_derived_id(flow->attempt_id, "authorize");
    payments_rail_call(flow, answered);
}
