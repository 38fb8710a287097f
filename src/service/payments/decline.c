/* What a "no" looks like: to whoever asked, and on the intent afterwards. */
#include "flow.h"

#include "json/json.h"

#include <string.h>

#define ERROR_SIZE_MAX 16384

struct span
payments_decline_message(const struct port_rail_answer *answer)
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

void
payments_decline_processing_error(struct payments_flow *flow)
{
    flow->rail.answer = (struct port_rail_answer){
        .outcome = PORT_RAIL_DECLINED,
        .error_code = "processing_error",
        .decline_code = "processing_error",
        .advice_code = "try_again_later",
    };
}

static void
error_begin(struct payments_flow *flow, struct buf *buf, struct json_writer *json)
{
    void *memory = arena_alloc(resource_op_arena(flow->op), ERROR_SIZE_MAX);
    buf_init_fixed(buf, memory, memory == NULL ? 0 : ERROR_SIZE_MAX);
    json_begin(json, buf);
    json_object_begin(json);
}

static struct span
error_end(
    struct payments_flow *flow, struct buf *buf, struct json_writer *json, const char *error_type)
{
    json_member_raw(
        json,
        "payment_method",
        resource_render_text(flow->op, &payments_method_type, flow->method));
    json_member_cstr(json, "type", error_type);
    json_object_end(json);
    return buf_failed(buf) ? SPAN_EMPTY : buf_span(buf);
}

struct resource_error
payments_declined_error(const struct port_rail_answer *answer, struct span message)
{
    return (struct resource_error){
        .status = 402,
        .type = "card_error",
        .code = answer->error_code,
        .decline_code = answer->decline_code,
        .advice_code = answer->advice_code,
        .network_code = answer->network_code,
        .message = message,
        .executed = true,
    };
}

struct span
payments_card_error(struct payments_flow *flow, struct span message)
{
    const struct port_rail_answer *answer = &flow->rail.answer;
    struct buf buf;
    struct json_writer json;
    error_begin(flow, &buf, &json);
    if (answer->advice_code[0] != '\0') {
        json_member_cstr(&json, "advice_code", answer->advice_code);
    }
    if (flow->intent != NULL) {
        json_member_text(&json, "charge", flow->charge->header.id);
    }
    json_member_cstr(&json, "code", answer->error_code);
    if (answer->decline_code[0] != '\0') {
        json_member_cstr(&json, "decline_code", answer->decline_code);
    }
    json_member_text(&json, "message", message);
    if (answer->network_code[0] != '\0') {
        json_member_cstr(&json, "network_decline_code", answer->network_code);
    }
    return error_end(flow, &buf, &json, "card_error");
}

/* Whoever was to come did not, or said no. */
static void
write_absence(struct payments_flow *flow, struct json_writer *json, bool expired)
{
    const struct payments_challenge *challenge = &flow->intent->challenge;
    bool payer = span_equal_cstr(challenge->kind, PAYMENTS_WAITS_FOR_PAYER);
    json_member_cstr(
        json,
        "code",
        expired ? "payment_intent_payment_attempt_expired"
                : "payment_intent_payment_attempt_failed");
    json_member_cstr(
        json,
        "message",
        !expired ? "The payer has rejected the payment."
        : payer  ? "The payer did not answer in time."
                 : "The code was not paid in time. Confirm again to show a new one.");
}

struct span
payments_authentication_error(struct payments_flow *flow, bool expired)
{
    bool setup = flow->setup != NULL;
    struct buf buf;
    struct json_writer json;
    error_begin(flow, &buf, &json);
    if (!setup && flow->intent->challenge.kind.size != 0) {
        write_absence(flow, &json, expired);
        return error_end(flow, &buf, &json, "invalid_request_error");
    }
    json_member_cstr(
        &json,
        "code",
        setup ? "setup_intent_authentication_failure" : "payment_intent_authentication_failure");
    json_member_cstr(
        &json,
        "message",
        expired ? "The customer did not authenticate in time. Confirm again to let them try once "
                  "more."
                : "The provided PaymentMethod has failed authentication. You can provide "
                  "payment_method_data or a new PaymentMethod to attempt again.");
    return error_end(flow, &buf, &json, "invalid_request_error");
}
