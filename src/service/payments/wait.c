/*
 * Intents that wait for a payer who is not a card holder: for somebody to scan a code, or for the
 * owner of a wallet to agree. They use the intent's challenge (documents.h), whose `kind` says what
 * is waited for; nothing was reserved and no rail was asked.
 *
 *   payments_wait_begin    documents: requires_action, `open`, until `expires`
 *   payments_authorize_proven      the payer came
 *   payments_challenge_answer      the payer said no
 *   payments_challenge_expire      nobody came
 */
#include "flow.h"

#include "base/assert.h"

static err_t
save(struct payments_flow *flow)
{
    struct payments_intent *intent = flow->intent;
    bool is_new = intent->header.version == 0;
    TRY(payments_checkout_confirmed(flow));
    if (flow->method->header.version == 0) {
        TRY(resource_save(flow->op, &payments_method_type, flow->method));
    }
    TRY(resource_save(flow->op, &payments_intent_type, intent));
    if (is_new) {
        TRY(resource_emit(
            flow->op, "payment_intent.created", &payments_intent_type, intent, SPAN_EMPTY));
    }
    return resource_emit(
        flow->op, "payment_intent.requires_action", &payments_intent_type, intent, SPAN_EMPTY);
}

bool
payments_wait_is_welcome(struct payments_flow *flow)
{
    bool refused = false;
    (void)resource_boolean(flow->op, "error_on_requires_action", &refused);
    if (refused) {
        resource_invalid(
            flow->op,
            "payment_intent_action_required",
            "error_on_requires_action",
            "This payment needs an action of the payer, which `error_on_requires_action` rules "
            "out.");
    }
    return !refused;
}

void
payments_wait_begin(struct payments_flow *flow, const char *kind, int64_t seconds)
{
    struct payments_intent *intent = flow->intent;
    struct payments_challenge *challenge = &intent->challenge;
    enum payments_intent_status status = payments_intent_status_parse(intent->status);
    bool legal = payments_intent_move(status, PAYMENTS_MOVE_ATTACH, &status) &&
                 payments_intent_move(status, PAYMENTS_MOVE_CONFIRM, &status) &&
                 payments_intent_move(status, PAYMENTS_MOVE_CHALLENGED, &status);
    ASSERT(legal);
    challenge->kind = span_from_cstr(kind);
    challenge->state = SPAN("open");
    challenge->expires = (int64_t)resource_now_s(flow->op) + seconds;
    intent->status = span_from_cstr(payments_intent_status_name(status));
    intent->payment_method = flow->method->header.id;
    intent->last_payment_error = SPAN_EMPTY;
    intent->due = challenge->expires;
    err_t error = save(flow);
    if (error != ERR_OK) {
        resource_internal(flow->op, error, "intent");
        return;
    }
    payments_answer_intent(flow);
}

bool
payments_waits_for(struct payments_flow *flow, const char *kind)
{
    const struct payments_intent *intent = flow->intent;
    return span_equal_cstr(intent->status, payments_intent_status_name(PAYMENTS_REQUIRES_ACTION)) &&
           !payments_attempt_is_open(&intent->attempt) &&
           span_equal_cstr(intent->challenge.kind, kind) &&
           payments_challenge_is_open(&intent->challenge, (int64_t)resource_now_s(flow->op));
}
