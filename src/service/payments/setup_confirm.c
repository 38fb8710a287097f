/*
 * Confirming a setup: the issuer says whether the card is good to be charged later.
 *
 *   payments_setup_begin    documents: setup processing, attempt started           (1)
 *     blocked               the same as declined: by a list of the merchant's (risk/)
 *   ask_rail                rail: authorize of nothing, repeated under its id until it answers (2)
 *     challenged            documents: requires_action, attempt closed; once the customer has
 *                           passed (challenge.c), (1) again, with the proof
 *   finish                  documents: setup, its attempt, the method and whose it is, events,
 *                           key                                                    (3)
 *
 * No money moves, so there is nothing to reverse: whoever finds the attempt open asks again. A card
 * that the vault cannot read is declined after some tries (PAYMENTS-14).
 */
#include "flow.h"
#include "method.h"
#include "risk/risk.h"
#include "setup_machine.h"

#include "base/assert.h"
#include "os/fault.h"
#include "json/json.h"

#define DETAILS_SIZE_MAX 4096

void
payments_setup_answer(struct payments_flow *flow)
{
    if (flow->page) {
        payments_page_answer(flow);
        return;
    }
    resource_answer_object(flow->op, &payments_setup_type, flow->setup);
}

static void
move(struct payments_setup *setup, enum payments_setup_move move)
{
    bool legal = payments_setup_move(&setup->status, move);
    ASSERT(legal);
}

/* ------------------------------------------------------------------------------ (3) the end --- */

static void
write_details(const struct payments_flow *flow, struct json_writer *json)
{
    const struct payments_method *method = flow->method;
    json_object_begin(json);
    json_key(json, "card");
    json_object_begin(json);
    json_member_text(json, "brand", method->brand);
    json_key(json, "checks");
    json_object_begin(json);
    json_member_text_or_null(json, "address_line1_check", method->address_check);
    json_member_text_or_null(json, "address_postal_code_check", method->postal_code_check);
    json_member_text_or_null(json, "cvc_check", method->cvc_check);
    json_object_end(json);
    json_member_text_or_null(json, "country", method->country);
    json_member_i64(json, "exp_month", method->exp_month);
    json_member_i64(json, "exp_year", method->exp_year);
    json_member_text_or_null(json, "fingerprint", method->fingerprint);
    json_member_text(json, "funding", method->funding);
    json_member_text(json, "last4", method->last4);
    json_member_text_or_null(json, "network", method->network);
    payments_proof_write(flow, json, false);
    json_member_null(json, "wallet");
    json_object_end(json);
    json_member_cstr(json, "type", "card");
    json_object_end(json);
}

/* The end of a confirmation, or the wait for the customer; `error` may be empty. */
static err_t
save_setup_attempt(struct payments_flow *flow, const char *status, struct span error)
{
    struct payments_setup_attempt *attempt = flow->setup_attempt;
    void *memory = arena_alloc(resource_op_arena(flow->op), DETAILS_SIZE_MAX);
    struct buf buf;
    struct json_writer json;
    buf_init_fixed(&buf, memory, memory == NULL ? 0 : DETAILS_SIZE_MAX);
    json_begin(&json, &buf);
    write_details(flow, &json);
    if (buf_failed(&buf)) {
        return ERR_FULL;
    }
    attempt->payment_method_details = buf_span(&buf);
    attempt->status = span_from_cstr(status);
    attempt->setup_error = error;
    return resource_save(flow->op, &payments_setup_attempt_type, attempt);
}

static err_t
save_verified(struct payments_flow *flow)
{
    struct payments_setup *setup = flow->setup;
    bool off_session = span_equal_cstr(setup->usage, "off_session");
    const struct payments_method_news news = {
        .customer = setup->customer,
        .agreement = off_session ? flow->setup_attempt->verification : SPAN_EMPTY,
    };
    TRY(save_setup_attempt(flow, "succeeded", SPAN_EMPTY));
    move(setup, PAYMENTS_SETUP_VERIFIED);
    setup->payment_method = flow->method->header.id;
    setup->last_setup_error = SPAN_EMPTY;
    setup->due = 0;
    payments_attempt_close(&setup->attempt);
    TRY(payments_method_learn(flow, &news));
    TRY(resource_save(flow->op, &payments_setup_type, setup));
    return resource_emit(
        flow->op, "setup_intent.succeeded", &payments_setup_type, setup, SPAN_EMPTY);
}

static err_t
save_challenged(struct payments_flow *flow)
{
    static const struct payments_method_news nothing;
    struct payments_setup *setup = flow->setup;
    TRY(save_setup_attempt(flow, "requires_action", SPAN_EMPTY));
    move(setup, PAYMENTS_SETUP_CHALLENGED);
    setup->payment_method = flow->method->header.id;
    setup->due = setup->challenge.expires;
    payments_attempt_close(&setup->attempt);
    TRY(payments_method_learn(flow, &nothing));
    TRY(resource_save(flow->op, &payments_setup_type, setup));
    return resource_emit(
        flow->op, "setup_intent.requires_action", &payments_setup_type, setup, SPAN_EMPTY);
}

/* The issuer's no, or the customer's. */
static err_t
save_failed(struct payments_flow *flow, enum payments_setup_move how, struct span error)
{
    struct payments_setup *setup = flow->setup;
    TRY(save_setup_attempt(flow, "failed", error));
    move(setup, how);
    setup->last_setup_error = error;
    setup->payment_method = SPAN_EMPTY;
    setup->due = 0;
    if (payments_attempt_is_open(&setup->attempt)) {
        payments_attempt_close(&setup->attempt);
    }
    TRY(resource_save(flow->op, &payments_setup_type, setup));
    return resource_emit(
        flow->op, "setup_intent.setup_failed", &payments_setup_type, setup, SPAN_EMPTY);
}

static void
end(struct payments_flow *flow, err_t error)
{
    if (error != ERR_OK) {
        resource_internal(flow->op, error, "setup");
        return;
    }
    payments_setup_answer(flow);
}

static void
finish_declined(struct payments_flow *flow)
{
    const struct port_rail_answer *answer = &flow->rail.answer;
    struct span message = payments_decline_message(answer);
    payments_charge_checks(flow);
    err_t failure = save_failed(flow, PAYMENTS_SETUP_DECLINED, payments_card_error(flow, message));
    if (failure != ERR_OK || flow->page) {
        end(flow, failure);
        return;
    }
    struct resource_error error = payments_declined_error(answer, message);
    error.setup_intent_json = resource_render_shown(flow->op, &payments_setup_type, flow->setup);
    error.payment_method_json =
        resource_render_shown(flow->op, &payments_method_type, flow->method);
    resource_fail(flow->op, &error);
}

static void
answer_unknown(struct payments_flow *flow)
{
    struct payments_setup *setup = flow->setup;
    setup->due = payments_attempt_again(flow->op, &setup->attempt);
    end(flow, resource_save(flow->op, &payments_setup_type, setup));
}

/* ----------------------------------------------------------------------------- (2) the rail --- */

static void
answered(struct payments_flow *flow)
{
    FAULT_POINT("setup-before-finish");
    switch (flow->rail.answer.outcome) {
    case PORT_RAIL_APPROVED:
        payments_charge_checks(flow);
        end(flow, save_verified(flow));
        return;
    case PORT_RAIL_DECLINED:
    case PORT_RAIL_FAILED:
        finish_declined(flow);
        return;
    case PORT_RAIL_CHALLENGE:
        payments_charge_checks(flow);
        if (payments_challenge_open(flow, &flow->setup->challenge, flow->setup->header.id)) {
            end(flow, save_challenged(flow));
        }
        return;
    case PORT_RAIL_PENDING:
    case PORT_RAIL_NOT_FOUND:
    case PORT_RAIL_UNKNOWN:
        if (payments_rail_gives_up(flow, &flow->setup->attempt)) {
            payments_decline_processing_error(flow);
            finish_declined(flow);
            return;
        }
        answer_unknown(flow);
        return;
    }
    UNREACHABLE();
}

static void
attempt_is_durable(struct resource_op *op)
{
    struct payments_flow *flow = payments_flow_of(op);
    const struct payments_setup *setup = flow->setup;
    FAULT_POINT("setup-before-rail");
    payments_rail_fill_card(flow, &setup->attempt);
    flow->rail.amount = (struct money){.amount = 0, .currency = currency_find(SPAN("usd"))};
    flow->rail.may_challenge = true;
    flow->rail.wants_proof = payments_wants_proof(setup->request_three_d_secure);
    flow->rail.sets_up = span_equal_cstr(setup->usage, "off_session");
    payments_rail_call(flow, answered);
}

/* -------------------------------------------------------------------------- (1) the beginning ---
 */

static err_t
save_attempt(struct payments_flow *flow)
{
    struct payments_setup *setup = flow->setup;
    struct resource_op *op = flow->op;
    bool is_new = setup->header.version == 0;
    setup->payment_method = flow->method->header.id;
    setup->attempt.payment_method = flow->method->header.id;
    setup->latest_attempt = flow->setup_attempt->header.id;
    setup->due = (int64_t)resource_now_s(op) + flow->payments->parts.settings.lease_s;
    flow->setup_attempt->status = SPAN("processing");
    flow->setup_attempt->verification =
        payments_hex(op, resource_derived_id(flow->attempt_id, "authorize"));
    if (flow->method->header.version == 0) {
        TRY(resource_save(op, &payments_method_type, flow->method));
    }
    TRY(save_setup_attempt(flow, "processing", SPAN_EMPTY));
    TRY(resource_save(op, &payments_setup_type, setup));
    if (is_new) {
        TRY(resource_emit(op, "setup_intent.created", &payments_setup_type, setup, SPAN_EMPTY));
    }
    return ERR_OK;
}

static void
begin(struct payments_flow *flow, struct span proof)
{
    if (!payments_attempt_open(flow, &flow->setup->attempt, "verify", 0)) {
        return;
    }
    flow->setup->attempt.proof = proof;
    if (!payments_risk_judge(flow)) {
        return;
    }
    err_t error = save_attempt(flow);
    if (error != ERR_OK) {
        resource_internal(flow->op, error, "setup");
        return;
    }
    if (flow->risk.kind == PAYMENTS_RISK_BLOCKED) {
        payments_risk_ended(flow, false);
        finish_declined(flow);
        return;
    }
    resource_after_commit(flow->op, attempt_is_durable);
}

/* The confirmation before this one, if it still waits for the customer. */
static err_t
abandon_former(struct payments_flow *flow)
{
    if (flow->setup_attempt == NULL ||
        !span_equal_cstr(flow->setup_attempt->status, "requires_action")) {
        return ERR_OK;
    }
    flow->setup_attempt->status = SPAN("abandoned");
    return resource_save(flow->op, &payments_setup_attempt_type, flow->setup_attempt);
}

static bool
new_setup_attempt(struct payments_flow *flow)
{
    const struct payments_setup *setup = flow->setup;
    struct payments_setup_attempt *attempt = resource_new(flow->op, &payments_setup_attempt_type);
    err_t error = attempt == NULL ? ERR_FULL : abandon_former(flow);
    if (error != ERR_OK) {
        resource_internal(flow->op, error, "setup attempt");
        return false;
    }
    attempt->setup_intent = setup->header.id;
    attempt->usage = setup->usage;
    attempt->customer = setup->customer;
    attempt->payment_method = flow->method->header.id;
    flow->setup_attempt = attempt;
    return true;
}

void
payments_setup_begin(struct payments_flow *flow)
{
    struct payments_setup *setup = flow->setup;
    if (flow->method == NULL) {
        resource_invalid(
            flow->op,
            "setup_intent_unexpected_state",
            "payment_method",
            "You cannot confirm this SetupIntent because it's missing a payment method. Update "
            "the SetupIntent with a payment method and then confirm it again, or confirm it "
            "directly with a payment method.");
        return;
    }
    if (flow->method->token.size == 0) {
        resource_invalid(
            flow->op,
            "setup_intent_invalid_parameter",
            "payment_method",
            "Only cards are set up: a wallet's owner can pay with it at any time.");
        return;
    }
    if (flow->method->wallet.size != 0 || flow->method->shows_qr) {
        resource_invalid(
            flow->op,
            "payment_intent_incompatible_payment_method",
            "payment_method",
            "Only cards can be set up. A wallet is attached to a customer without it.");
        return;
    }
    struct span status = setup->status;
    if (payments_attempt_is_open(&setup->attempt) ||
        !payments_setup_move(&status, PAYMENTS_SETUP_ATTACH) ||
        !payments_setup_move(&status, PAYMENTS_SETUP_CONFIRM)) {
        payments_setup_fail_state(flow, "confirm", NULL);
        return;
    }
    if (payments_challenge_reset(flow, &setup->challenge) && new_setup_attempt(flow)) {
        setup->status = status;
        begin(flow, SPAN_EMPTY);
    }
}

/* ------------------------------------------------------------------- challenges, resuming --- */

static void
fail_challenge(struct payments_flow *flow, bool expired)
{
    if (!payments_method_load(flow, flow->setup->payment_method)) {
        return;
    }
    flow->setup->challenge.state = expired ? SPAN("expired") : SPAN("failed");
    struct span error = payments_authentication_error(flow, expired);
    end(flow, save_failed(flow, PAYMENTS_SETUP_FAILED, error));
}

void
payments_setup_expire(struct payments_flow *flow)
{
    fail_challenge(flow, true);
}

void
payments_setup_answer_challenge(struct payments_flow *flow, bool passed)
{
    struct payments_setup *setup = flow->setup;
    if (!passed) {
        fail_challenge(flow, false);
        return;
    }
    if (payments_method_load(flow, setup->payment_method)) {
        setup->challenge.state = SPAN("passed");
        move(setup, PAYMENTS_SETUP_PASSED);
        begin(flow, setup->challenge.authorization);
    }
}

void
payments_setup_resume(struct payments_flow *flow)
{
    payments_attempt_resume(flow, &flow->setup->attempt);
    if (payments_method_load(flow, flow->setup->attempt.payment_method)) {
        attempt_is_durable(flow->op);
    }
}
