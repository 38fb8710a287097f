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
 *   the end (authorize_end.c)    documents: charge, transaction, events, key       (4)
 *
 * Whoever finds the attempt open at (1) to (4) calls payments_authorize_resume, which asks the
 * rail what it knows and goes on from there.
 */
#include "authorize.h"

#include "descriptor.h"
#include "method.h"
#include "risk/risk.h"

#include "base/assert.h"
#include "os/fault.h"

#include <string.h>

static void reverse(struct payments_flow *flow);

/* --------------------------------------------------------------------------------- reversal --- */

static void
reversed(struct payments_flow *flow)
{
    switch (flow->rail.answer.outcome) {
    case PORT_RAIL_APPROVED:
    case PORT_RAIL_NOT_FOUND:
        payments_decline_processing_error(flow);
        payments_split_abort(flow, payments_authorize_declined);
        return;
    case PORT_RAIL_DECLINED:
    case PORT_RAIL_FAILED:
        /* For a person to settle with the network: save_declined says so. */
        flow->void_refused = true;
        payments_decline_processing_error(flow);
        payments_split_abort(flow, payments_authorize_declined);
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
        payments_authorize_approved(flow);
        return;
    case PAYMENTS_POSTING_REFUSED:
        if (payments_by_wallet(flow)) {
            payments_wallet_decline_of_books(flow);
            payments_authorize_declined(flow);
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
        payments_split_abort(flow, payments_authorize_declined);
        return;
    case PORT_RAIL_CHALLENGE:
        payments_split_keep(flow, payments_authorize_challenged);
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

/* Asked when an attempt begins; from then on `capture_before` says it, whatever is changed. */
bool
payments_captures_later(const struct payments_flow *flow)
{
    const struct payments_intent *intent = flow->intent;
    return span_equal_cstr(intent->capture_method, "manual") ||
           (span_equal_cstr(intent->card_capture_method, "manual") &&
            strcmp(payments_method_type_name(flow->method), "card") == 0);
}

struct span
payments_agreed_usage(const struct payments_intent *intent)
{
    return intent->card_setup_future_usage.size != 0 ? intent->card_setup_future_usage
                                                     : intent->setup_future_usage;
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
        payments_split_abort(flow, payments_authorize_declined); /* a participant has refused */
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
    flow->rail.sets_up = span_equal_cstr(payments_agreed_usage(intent), "off_session");
    flow->rail.statement_descriptor = payments_descriptor(
        resource_op_arena(op), intent->statement_descriptor, intent->statement_descriptor_suffix);
    payments_rail_call(flow, answered);
}

static void
ask_participants(struct payments_flow *flow)
{
    if (flow->rail.answer.outcome == PORT_RAIL_DECLINED) {
        payments_authorize_declined(flow); /* the wallet has refused its part: SPLIT-3 */
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
        payments_authorize_declined(flow);
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
        payments_authorize_declined(flow);
        return;
    }
    flow->rail.operation = PORT_RAIL_REPORT;
    flow->rail.original_id = resource_derived_id(flow->attempt_id, "authorize");
    payments_rail_call(flow, answered);
}
