/* How the flows of an intent answer while it goes on, and when its status forbids what was asked.
 */
#include "flow.h"

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
