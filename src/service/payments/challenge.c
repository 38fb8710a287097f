/*
 * Challenges (3-D Secure): the customer proves who they are on a page of ours (page.c), which
 * stands for the issuer's.
 *
 *   rail: challenge  ->  payments_challenge_open      documents: requires_action, `open`
 *                              |
 *       the page: yes          |  payments_challenge_answer    documents: `passed`, and the next
 *                              |                      attempt with the proof; only then the rail
 *       the page: no           |                      documents: `failed`, requires_payment_method
 *       nobody came            |  payments_challenge_expire    the same with `expired`
 *       confirmed again        |  payments_challenge_reset     `replaced`: a new one may follow
 *       canceled, changed      +  payments_challenge_drop
 *
 * PAYMENTS-8  What the customer answered is durable before the rail is asked again, and a challenge
 *             is answered once: the first answer counts.
 */
#include "checkout/checkout.h"
#include "flow.h"
#include "method.h"
#include "url.h"

#include "base/assert.h"

/* ------------------------------------------------------------------------------- their life --- */

bool
payments_wants_proof(struct span requested)
{
    return span_equal_cstr(requested, "any") || span_equal_cstr(requested, "challenge");
}

bool
payments_challenge_reset(struct payments_flow *flow, struct payments_challenge *challenge)
{
    struct span return_url = SPAN_EMPTY;
    if (resource_text(flow->op, "return_url", &return_url) && return_url.size != 0 &&
        !payments_url_is_sound(return_url)) {
        resource_invalid(
            flow->op,
            "url_invalid",
            "return_url",
            "Not a valid URL. It begins with a scheme (https://), and has no spaces.");
        return false;
    }
    if (flow->checkout != NULL) {
        return_url = flow->checkout->url;
    }
    *challenge = (struct payments_challenge){.return_url = return_url};
    return true;
}

bool
payments_challenge_open(
    struct payments_flow *flow, struct payments_challenge *challenge, struct span id)
{
    struct resource_op *op = flow->op;
    const struct resource_caller *caller = resource_op_caller(op);
    const struct payments_parts *parts = &flow->payments->parts;
    challenge->secret = resource_new_secret(op, PAYMENTS_CHALLENGE_SECRET);
    challenge->state = SPAN("open");
    challenge->authorization = payments_hex(op, resource_derived_id(flow->attempt_id, "authorize"));
    challenge->expires = (int64_t)resource_now_s(op) + parts->settings.authentication_timeout_s;
    challenge->url = arena_format(
        resource_op_arena(op),
        "%s/authenticate/%llu/%.*s_%.*s",
        parts->public_url,
        (unsigned long long)caller->scope,
        SPAN_PRINTF(id),
        SPAN_PRINTF(challenge->secret));
    if (challenge->secret.size == 0 || challenge->url.size == 0) {
        resource_internal(op, ERR_FULL, "request memory");
        return false;
    }
    return true;
}

bool
payments_challenge_is_open(const struct payments_challenge *challenge, int64_t now)
{
    return span_equal_cstr(challenge->state, "open") && challenge->expires > now;
}

void
payments_challenge_drop(struct payments_challenge *challenge, const char *state)
{
    if (span_equal_cstr(challenge->state, "open") || span_equal_cstr(challenge->state, "passed")) {
        challenge->state = span_from_cstr(state);
    }
}

/* ----------------------------------------------------------------------- of payment intents --- */

static err_t
save_failed(struct payments_flow *flow, bool expired)
{
    struct payments_intent *intent = flow->intent;
    enum payments_intent_status status = PAYMENTS_REQUIRES_ACTION;
    bool legal = payments_intent_move(
        payments_intent_status_parse(intent->status), PAYMENTS_MOVE_FAILED, &status);
    ASSERT(legal);
    intent->status = span_from_cstr(payments_intent_status_name(status));
    intent->challenge.state = expired ? SPAN("expired") : SPAN("failed");
    intent->last_payment_error = payments_authentication_error(flow, expired);
    intent->payment_method = SPAN_EMPTY;
    intent->due = 0;
    TRY(resource_save(flow->op, &payments_intent_type, intent));
    return resource_emit(
        flow->op, "payment_intent.payment_failed", &payments_intent_type, intent, SPAN_EMPTY);
}

static void
end_failed(struct payments_flow *flow, bool expired)
{
    err_t error = save_failed(flow, expired);
    if (error != ERR_OK) {
        resource_internal(flow->op, error, "challenge");
        return;
    }
    payments_answer_intent(flow);
}

static void
end_expired(struct payments_flow *flow)
{
    end_failed(flow, true);
}

static void
end_rejected(struct payments_flow *flow)
{
    end_failed(flow, false);
}

static void
intent_failed(struct payments_flow *flow, bool expired)
{
    if (payments_method_load(flow, flow->intent->payment_method)) {
        payments_split_let_go(flow, expired ? end_expired : end_rejected);
    }
}

/* The merchant's server confirms once more, with the proof at hand. */
static void
intent_proven(struct payments_flow *flow)
{
    struct payments_intent *intent = flow->intent;
    enum payments_intent_status status = PAYMENTS_REQUIRES_ACTION;
    bool legal = payments_intent_move(
        payments_intent_status_parse(intent->status), PAYMENTS_MOVE_PROVEN, &status);
    ASSERT(legal);
    intent->status = span_from_cstr(payments_intent_status_name(status));
    intent->challenge.state = SPAN("passed");
    intent->due = 0;
    err_t error = resource_save(flow->op, &payments_intent_type, intent);
    if (error != ERR_OK) {
        resource_internal(flow->op, error, "challenge");
        return;
    }
    payments_answer_intent(flow);
}

void
payments_challenge_expire(struct payments_flow *flow)
{
    intent_failed(flow, true);
}

void
payments_challenge_answer(struct payments_flow *flow, bool passed)
{
    if (!passed) {
        intent_failed(flow, false);
        return;
    }
    if (span_equal_cstr(flow->intent->confirmation_method, "manual")) {
        intent_proven(flow);
        return;
    }
    if (payments_method_load(flow, flow->intent->payment_method)) {
        flow->intent->challenge.state = SPAN("passed");
        payments_authorize_proven(flow);
    }
}
