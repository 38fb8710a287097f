/*
 * Confirming an intent: the flow of an authorization, with its crash points.
 *
 *   payments_authorize_begin     the merchant's lists and rules (risk/), and
 *                                wallets: limits reserved, where there are wallets
 *     refused                    documents: as declined, at once
 *   reserved                     documents: intent processing, attempt started     (1)
 *   payments_split_prepare       books: the wallet's part is held, if it is split (split.c)
 *   payments_participants_prepare  HTTP: those who take part prepare (participants.c)
 *   ask_rail                     rail: authorize                                   (2)
 *     declined                   documents: charge failed, attempt closed
 *     challenged                 documents: intent requires_action, attempt closed; once the
 *                                customer has passed (challenge.c), (1) again, with the proof
 *     unknown                    documents: due again; payments_authorize_resume asks for a report
 *     not found                  attempt reversing, unless the books have it: then post
 *     the card cannot be read    the same, and the last time: attempt reversing; rail: void; then
 *                                as declined (PAYMENTS-14)
 *   post                         books: payment, or hold                           (3)
 *     refused                    documents: attempt reversing; rail: void; then as declined.
 *                                A wallet's payment has no rail to reverse: declined at once.
 *                                A void that the rail declines leaves an item (suspense.c)
 *   finish                       documents: charge, transaction, events, key       (4)
 *
 * Whoever finds the attempt open at (1) to (4) calls payments_authorize_resume, which asks the
 * rail what it knows and goes on from there.
 */
#include "descriptor.h"
#include "flow.h"
#include "method.h"
#include "risk/risk.h"

#include "base/assert.h"
#include "os/fault.h"

#include <string.h>

static void reverse(struct payments_flow *flow);

/* --------------------------------------------------------------------------- ways to answer --- */

void
payments_answer_intent(struct payments_flow *flow)
{
    if (flow->page) {
        payments_page_answer(flow);
        return;
    }
    resource_answer_object(flow->op, &payments_intent_type, flow->intent);
}

void
payments_answer_unknown(struct payments_flow *flow)
{
    struct payments_intent *intent = flow->intent;
    intent->due = payments_attempt_again(flow->op, &intent->attempt);
    err_t error = resource_save(flow->op, &payments_intent_type, intent);
    if (error != ERR_OK) {
        resource_internal(flow->op, error, "intent");
        return;
    }
    payments_answer_intent(flow);
}

void
payments_fail_state(struct payments_flow *flow, const char *verb, const char *param)
{
    struct span message = arena_format(
        resource_op_arena(flow->op),
        "You cannot %s%s%s%s this PaymentIntent because it has a status of %.*s.",
        verb,
        param != NULL ? " the " : "",
        param != NULL ? param : "",
        param != NULL ? " of" : "",
        SPAN_PRINTF(payments_intent_shown_status(flow->intent)));
    struct resource_error error = {
        .status = 400,
        .type = "invalid_request_error",
        .code = "payment_intent_unexpected_state",
        .param = param != NULL ? span_from_cstr(param) : SPAN_EMPTY,
        .message = message,
        .payment_intent_json = resource_render_shown(flow->op, &payments_intent_type, flow->intent),
    };
    resource_fail(flow->op, &error);
}

/* ------------------------------------------------------------------------------ (4) the end --- */

/* Asked when an attempt begins; from then on `capture_before` says it, whatever is changed. */
bool
payments_captures_later(const struct payments_flow *flow)
{
    const struct payments_intent *intent = flow->intent;
    return span_equal_cstr(intent->capture_method, "manual") ||
           (span_equal_cstr(intent->card_capture_method, "manual") &&
            strcmp(payments_method_type_name(flow->method), "card") == 0);
}

/* What is agreed about the card: the option of the card goes before that of the intent. */
static struct span
agreed_usage(const struct payments_intent *intent)
{
    return intent->card_setup_future_usage.size != 0 ? intent->card_setup_future_usage
                                                     : intent->setup_future_usage;
}

/* A payment that went well leaves the card with its customer, if that was agreed. */
static err_t
keep_method(struct payments_flow *flow)
{
    struct span usage = agreed_usage(flow->intent);
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

static void
finish_declined(struct payments_flow *flow)
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
    struct resource_error error = {
        .status = 402,
        .type = "card_error",
        .code = answer->error_code,
        .decline_code = answer->decline_code,
        .advice_code = answer->advice_code,
        .network_code = answer->network_code,
        .message = message,
        .charge = flow->charge->header.id,
        .payment_intent_json = resource_render_shown(flow->op, &payments_intent_type, flow->intent),
        .payment_method_json = resource_render_shown(flow->op, &payments_method_type, flow->method),
        .executed = true,
    };
    resource_fail(flow->op, &error);
}

/* --------------------------------------------------------------------------------- reversal --- */

static void
reversed(struct payments_flow *flow)
{
    switch (flow->rail.answer.outcome) {
    case PORT_RAIL_APPROVED:
    case PORT_RAIL_NOT_FOUND:
        payments_decline_processing_error(flow);
        payments_split_abort(flow, finish_declined);
        return;
    case PORT_RAIL_DECLINED:
    case PORT_RAIL_FAILED:
        /* For a person to settle with the network: save_declined says so. */
        flow->void_refused = true;
        payments_decline_processing_error(flow);
        payments_split_abort(flow, finish_declined);
        return;
    case PORT_RAIL_PENDING:
    case PORT_RAIL_UNKNOWN:
    case PORT_RAIL_CHALLENGE:
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
    resource_save_then(
        flow->op, &payments_intent_type, flow->intent, "intent", reversal_is_durable);
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
    if (flow->intent->capture_before != 0) {
        payments_post_hold(flow, posted);
    } else {
        payments_post_payment(flow, posted);
    }
}

/* ----------------------------------------------------------------------------- (2) the rail --- */

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

static void
finish_challenged(struct payments_flow *flow)
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

static void attempt_is_durable(struct resource_op *op);

/* The rail knows nothing of it. It may still be on its way: only a reversal makes sure that it
 * never counts. What is booked had the rail's yes, and stands (PAYMENTS-15). */
static void
not_found(struct payments_flow *flow, enum payments_posting booked)
{
    switch (booked) {
    case PAYMENTS_POSTED:
        flow->rail.answer.outcome = PORT_RAIL_APPROVED;
        post(flow);
        return;
    case PAYMENTS_POSTING_REFUSED:
        reverse(flow);
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
        post(flow);
        return;
    case PORT_RAIL_DECLINED:
    case PORT_RAIL_FAILED:
        flow->rail.answer.outcome = PORT_RAIL_DECLINED;
        payments_split_abort(flow, finish_declined);
        return;
    case PORT_RAIL_CHALLENGE:
        payments_split_keep(flow, finish_challenged);
        return;
    case PORT_RAIL_PENDING:
    case PORT_RAIL_UNKNOWN:
        if (payments_rail_gives_up(flow, &flow->intent->attempt)) {
            /* An earlier try may have reached the network when the card could still be read. */
            reverse(flow);
            return;
        }
        payments_answer_unknown(flow);
        return;
    case PORT_RAIL_NOT_FOUND:
        if (flow->intent->attempt.proof.size != 0) {
            /* The customer has done their part and is gone; all that is asked is in documents. */
            attempt_is_durable(flow->op);
            return;
        }
        payments_authorization_booked_before(flow, not_found);
        return;
    }
    UNREACHABLE();
}

bool
payments_is_off_session(struct resource_op *op)
{
    struct span value = SPAN_EMPTY;
    return resource_text(op, "off_session", &value) && value.size != 0 &&
           !span_equal_cstr(value, "false");
}

void
payments_rail_fill_card(struct payments_flow *flow, const struct payments_attempt *attempt)
{
    const struct payments_method *method = flow->method;
    struct port_rail_request *rail = &flow->rail;
    rail->operation = PORT_RAIL_AUTHORIZE;
    rail->id = resource_derived_id(flow->attempt_id, "authorize");
    rail->reference = flow->attempt_id; /* the number of the charge that it will make */
    rail->original_id = attempt->proof.size != 0 ? payments_unhex(attempt->proof) : 0;
    rail->agreement_id = method->agreement.size != 0 ? payments_unhex(method->agreement) : 0;
    rail->postal_code = method->postal_code;
    rail->address_line1 = method->address_line1;
    ASSERT(method->token.size < sizeof(rail->token));
    memset(rail->token, 0, sizeof(rail->token));
    if (method->token.size != 0) { /* a wallet has none */
        memcpy(rail->token, method->token.data, method->token.size);
    }
}

static void
ask_rail(struct payments_flow *flow)
{
    struct resource_op *op = flow->op;
    const struct payments_intent *intent = flow->intent;
    if (flow->rail.answer.outcome == PORT_RAIL_DECLINED) {
        payments_split_abort(flow, finish_declined); /* a participant has refused */
        return;
    }
    bool refuses_action = false;
    (void)resource_boolean(op, "error_on_requires_action", &refuses_action);
    FAULT_POINT("authorize-before-rail");
    struct money amount;
    err_t error = money_from_api(payments_split_rest(flow), payments_flow_currency(flow), &amount);
    ASSERT(error == ERR_OK);
    payments_rail_fill_card(flow, &intent->attempt);
    flow->rail.amount = amount;
    flow->rail.capture = intent->capture_before == 0;
    flow->rail.off_session = payments_is_off_session(op);
    flow->rail.may_challenge = !flow->rail.off_session && !refuses_action;
    /* A rule asks of holders who are there: the others agreed to it before. */
    flow->rail.wants_proof = payments_wants_proof(intent->request_three_d_secure) ||
                             (flow->risk.wants_proof && flow->rail.may_challenge);
    flow->rail.sets_up = span_equal_cstr(agreed_usage(intent), "off_session");
    flow->rail.statement_descriptor = payments_descriptor(
        resource_op_arena(op), intent->statement_descriptor, intent->statement_descriptor_suffix);
    payments_rail_call(flow, answered);
}

static void
ask_participants(struct payments_flow *flow)
{
    if (flow->rail.answer.outcome == PORT_RAIL_DECLINED) {
        finish_declined(flow); /* the wallet has refused its part: SPLIT-3 */
        return;
    }
    payments_participants_prepare(flow, ask_rail);
}

static void
attempt_is_durable(struct resource_op *op)
{
    payments_split_prepare(payments_flow_of(op), ask_participants);
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
    intent->capture_before =
        payments_captures_later(flow) ? now + settings->authorization_hold_s : 0;
    intent->due = now + settings->lease_s;
    TRY(payments_participants_begin(flow));
    TRY(payments_checkout_confirmed(flow));
    if (flow->method->header.version == 0) {
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

static void
begin(struct payments_flow *flow, struct span proof)
{
    struct payments_intent *intent = flow->intent;
    if (!payments_attempt_open(flow, &intent->attempt, "authorize", intent->amount)) {
        return;
    }
    intent->attempt.proof = proof;
    flow->reserved_amount = payments_wallet_part(flow);
    if (!payments_risk_judge(flow)) {
        return;
    }
    if (flow->risk.kind == PAYMENTS_RISK_BLOCKED) {
        reserved(flow);
    } else {
        payments_wallet_reserve(flow, reserved);
    }
}

/* Some payers must come first. */
static void
choose_way(struct payments_flow *flow)
{
    if (!payments_method_may_pay(flow)) {
        return;
    }
    if (flow->method->shows_qr) {
        if (payments_wait_is_welcome(flow)) {
            payments_qr_show(flow);
        }
    } else if (flow->payer_confirms) {
        payments_payer_ask(flow);
    } else {
        begin(flow, SPAN_EMPTY);
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
        payments_fail_state(flow, "confirm", NULL);
        return;
    }
    if (!payments_split_check_method(flow)) {
        return;
    }
    /* With confirmation_method=manual the customer has proven themselves before this. */
    bool proven = span_equal_cstr(intent->challenge.state, "passed") &&
                  span_equal(flow->method->header.id, intent->payment_method);
    if (proven) {
        if (payments_method_may_pay(flow)) {
            begin(flow, intent->challenge.authorization);
        }
    } else if (payments_challenge_reset(flow, &intent->challenge)) {
        choose_way(flow);
    }
}

void
payments_authorize_proven(struct payments_flow *flow)
{
    enum payments_intent_status status;
    bool legal = payments_intent_move(
        payments_intent_status_parse(flow->intent->status), PAYMENTS_MOVE_PASSED, &status);
    ASSERT(legal);
    begin(flow, flow->intent->challenge.authorization);
}

/* ---------------------------------------------------------------------------------- resuming ---
 */

void
payments_authorize_resume(struct payments_flow *flow)
{
    struct payments_attempt *attempt = &flow->intent->attempt;
    payments_attempt_resume(flow, attempt);
    if (!payments_method_load(flow, attempt->payment_method)) {
        return;
    }
    payments_wallet_resume(flow);
    if (span_equal_cstr(attempt->state, "reversing")) {
        reversal_is_durable(flow->op);
        return;
    }
    bool may_go_on;
    err_t error = payments_participants_resume(flow, &may_go_on);
    if (error != ERR_OK) {
        resource_internal(flow->op, error, "participants");
        return;
    }
    if (!may_go_on) {
        finish_declined(flow);
        return;
    }
    flow->rail.operation = PORT_RAIL_REPORT;
    flow->rail.original_id = resource_derived_id(flow->attempt_id, "authorize");
    payments_rail_call(flow, answered);
}
