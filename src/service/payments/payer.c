/*
 * Codes that a payer shows: the merchant charges one in a single call.
 *
 *   payments_payer_choose    mobile: the code is used up, for this intent    -> the wallet
 *     up to a set amount     the intent is authorized as with any wallet
 *     above it               documents: requires_action; the payer's app is told by an event
 *   payments_payer_approve   the wallet's owner agrees: the intent is authorized
 *   payments_payer_reject    or does not
 *
 * A code is dead once it was used, however the payment ends.
 */
#include "flow.h"
#include "handlers.h"
#include "method.h"

#include "base/assert.h"
#include "base/list.h"
#include "os/fault.h"

#include <stdio.h>
#include <string.h>

#define CODE_PARAM "payment_method_data[payer_code][code]"

static void
refuse(struct payments_flow *flow, enum port_mobile_outcome outcome)
{
    switch (outcome) {
    case PORT_MOBILE_INVALID:
        resource_invalid(
            flow->op, "payer_code_invalid", CODE_PARAM, "There is no such code. Scan it again.");
        return;
    case PORT_MOBILE_EXPIRED:
        resource_invalid(
            flow->op,
            "payer_code_expired",
            CODE_PARAM,
            "This code has expired. Ask the payer to show a new one.");
        return;
    case PORT_MOBILE_USED:
        resource_invalid(
            flow->op,
            "payer_code_used",
            CODE_PARAM,
            "This code was used for another payment. Ask the payer to show a new one.");
        return;
    case PORT_MOBILE_LIMITED: {
        const struct resource_error error = {
            .status = 429,
            .type = "invalid_request_error",
            .code = "rate_limit",
            .param = SPAN(CODE_PARAM),
            .message = SPAN("Too many codes that do not exist were tried. Wait a minute."),
        };
        resource_fail(flow->op, &error);
        return;
    }
    case PORT_MOBILE_OK:
        break;
    }
    UNREACHABLE();
}

/* The smallest payment of a currency is worth about as much as that of US dollars, 50 cents. */
static bool
is_above(const struct payments_flow *flow)
{
    enum {
        USD_MINIMUM = 50
    };

    int64_t above = flow->payments->parts.settings.payer_confirm_above;
    const struct currency *currency = payments_flow_currency(flow);
    return flow->intent->amount * USD_MINIMUM > above * currency->api_minimum;
}

static void
code_used(struct port_mobile_request *request)
{
    struct payments_flow *flow = CONTAINER_OF(request, struct payments_flow, mobile);
    explicit_bzero(request->code, sizeof(request->code));
    if (request->error != ERR_OK) {
        resource_internal(flow->op, request->error, "payer code");
        return;
    }
    if (request->outcome != PORT_MOBILE_OK) {
        refuse(flow, request->outcome);
        return;
    }
    FAULT_POINT("payer-code-used");
    flow->method->wallet = arena_copy(resource_op_arena(flow->op), span_from_cstr(request->wallet));
    flow->method_step(flow);
}

/* Whatever else is wrong is said before the code is used up. False: answered. */
static bool
may_use(struct payments_flow *flow)
{
    struct resource_op *op = flow->op;
    if (!flow->confirms) {
        resource_invalid(
            op,
            "parameter_missing",
            "confirm",
            "A payer's code lives for a minute: it goes with `confirm=true`.");
        return false;
    }
    if (resource_op_caller(op)->key_kind == RESOURCE_KEY_PUBLISHABLE) {
        /* Or whoever visits the shop could try codes. */
        resource_invalid(op, NULL, CODE_PARAM, "Only a secret key may charge a payer's code.");
        return false;
    }
    flow->payer_confirms = is_above(flow);
    return payments_method_may_pay(flow) &&
           (!flow->payer_confirms || payments_wait_is_welcome(flow));
}

void
payments_payer_choose(struct payments_flow *flow)
{
    struct port_mobile *mobile = flow->payments->parts.mobile;
    struct span code = SPAN_EMPTY;
    if (!resource_text(flow->op, CODE_PARAM, &code) || code.size == 0) {
        resource_invalid(
            flow->op, "parameter_missing", CODE_PARAM, "Missing required param: " CODE_PARAM ".");
        return;
    }
    flow->method = resource_new(flow->op, &payments_method_type);
    if (flow->method == NULL) {
        resource_internal(flow->op, ERR_FULL, "request memory");
        return;
    }
    flow->method->of_code = true;
    if (!may_use(flow)) {
        return;
    }
    if (mobile == NULL || code.size != PORT_MOBILE_CODE_DIGITS) {
        refuse(flow, PORT_MOBILE_INVALID);
        return;
    }
    flow->mobile = (struct port_mobile_request){
        .reply_to = resource_op_executor(flow->op),
        .done = code_used,
        .trace = resource_op_trace(flow->op),
        .scope = resource_op_caller(flow->op)->scope,
    };
    memcpy(flow->mobile.code, code.data, code.size);
    ASSERT(flow->intent->header.id.size < sizeof(flow->mobile.payment));
    memcpy(flow->mobile.payment, flow->intent->header.id.data, flow->intent->header.id.size);
    struct span key = resource_op_idempotency_key(flow->op);
    ASSERT(key.size < sizeof(flow->mobile.key));
    (void)snprintf(flow->mobile.key, sizeof(flow->mobile.key), "%.*s", SPAN_PRINTF(key));
    mobile->use_code(mobile, &flow->mobile);
}

void
payments_payer_ask(struct payments_flow *flow)
{
    flow->intent->challenge.data = flow->method->wallet;
    payments_wait_begin(
        flow, PAYMENTS_WAITS_FOR_PAYER, flow->payments->parts.settings.payer_wait_s);
}

/* ------------------------------------------------------------------------- the payer's word --- */

/* The wallet's app proves nothing but which wallet it is for: a secret key stands behind it. */
static bool
is_asked(struct payments_flow *flow, const char *verb)
{
    struct span wallet = SPAN_EMPTY;
    if (!payments_waits_for(flow, PAYMENTS_WAITS_FOR_PAYER)) {
        payments_fail_state(flow, verb, NULL);
        return false;
    }
    (void)resource_text(flow->op, "wallet", &wallet);
    if (!span_equal(wallet, flow->intent->challenge.data)) {
        resource_invalid(
            flow->op,
            "payment_intent_invalid_parameter",
            "wallet",
            "This payment does not wait for that wallet.");
        return false;
    }
    return true;
}

static void
approve_locked(struct resource_op *op)
{
    struct payments_flow *flow = payments_flow_of(op);
    if (is_asked(flow, "approve") && payments_method_load(flow, flow->intent->payment_method)) {
        flow->intent->challenge.state = SPAN("passed");
        payments_authorize_proven(flow);
    }
}

static void
reject_locked(struct resource_op *op)
{
    struct payments_flow *flow = payments_flow_of(op);
    if (is_asked(flow, "reject")) {
        payments_challenge_answer(flow, false);
    }
}

void
payments_payer_approve(struct resource_op *op)
{
    payments_intent_with_charge(op, approve_locked);
}

void
payments_payer_reject(struct resource_op *op)
{
    payments_intent_with_charge(op, reject_locked);
}
