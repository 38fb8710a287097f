/* Which payment method a flow takes: a new one, a stored one, or the one that is there. */
#include "flow.h"
#include "method.h"

#include <string.h>

#define ALL_TYPES "[\"card\",\"wallet\",\"mobile_qr\"]"

bool
payments_is_test_token(struct span text)
{
    return span_starts_with(text, SPAN("pm_card_")) || span_starts_with(text, SPAN("tok_"));
}

bool
payments_method_load(struct payments_flow *flow, struct span id)
{
    void *found;
    err_t error = resource_load(flow->op, &payments_method_type, id, &found);
    if (error == ERR_NOT_FOUND) {
        resource_missing(flow->op, "PaymentMethod", "payment_method", id);
        return false;
    }
    if (error != ERR_OK) {
        resource_internal(flow->op, error, "payment method");
        return false;
    }
    flow->method = found;
    return true;
}

static bool
is_for_customer(const struct payments_flow *flow, struct span customer)
{
    if (flow->method->customer.size == 0 || (flow->intent == NULL && flow->setup == NULL)) {
        return true;
    }
    return span_equal(
        customer, flow->intent != NULL ? flow->intent->customer : flow->setup->customer);
}

static void
method_stored(struct payments_flow *flow, struct span id)
{
    if (!payments_method_load(flow, id) || !payments_method_is_reusable(flow)) {
        return;
    }
    if (!is_for_customer(flow, flow->method->customer)) {
        resource_invalid(
            flow->op,
            NULL,
            "payment_method",
            "The payment method supplied (%.*s) belongs to a customer. Include the customer in "
            "the `customer` parameter of the %s.",
            SPAN_PRINTF(id),
            flow->intent != NULL ? "PaymentIntent" : "SetupIntent");
        return;
    }
    flow->method_step(flow);
}

/* The one that is on the intent or the setup already. */
static struct span
present_method(const struct payments_flow *flow)
{
    return flow->intent != NULL  ? flow->intent->payment_method
           : flow->setup != NULL ? flow->setup->payment_method
                                 : SPAN_EMPTY;
}

bool
payments_method_is_unset(struct resource_op *op)
{
    struct span id;
    return resource_text(op, "payment_method", &id) && id.size == 0 &&
           !resource_present(op, "payment_method_data");
}

/* Beside `payment_method`; true: answered. */
static bool
named_twice(struct resource_op *op)
{
    const struct form_node *data = resource_node(op, "payment_method_data");
    if (data == NULL || data->kind == FORM_TEXT) {
        return false;
    }
    resource_invalid(
        op,
        "parameters_exclusive",
        "payment_method_data",
        "You may only specify one of these parameters: payment_method, payment_method_data.");
    return true;
}

void
payments_method_choose(struct payments_flow *flow, void (*step)(struct payments_flow *flow))
{
    struct resource_op *op = flow->op;
    struct span id;
    flow->method_step = step;
    if (resource_text(op, "payment_method", &id) && id.size != 0) {
        if (named_twice(op)) {
            return;
        }
        if (payments_is_test_token(id)) {
            payments_method_of_test_token(flow, "payment_method", id);
        } else {
            method_stored(flow, id);
        }
        return;
    }
    if (payments_method_type_is(op, "payment_method_data[type]", "wallet")) {
        payments_method_of_wallet(
            flow, "payment_method_data[wallet][id]", &payments_method_data_params);
        return;
    }
    if (payments_method_type_is(op, "payment_method_data[type]", "payer_code")) {
        payments_payer_choose(flow);
        return;
    }
    if (payments_method_type_is(op, "payment_method_data[type]", "mobile_qr")) {
        flow->method = payments_method_of_qr(op, &payments_method_data_params);
        if (flow->method != NULL) {
            step(flow);
        }
        return;
    }
    const struct port_vault_card *card = resource_card(op);
    if (card != NULL) {
        flow->method = payments_method_of_card(op, card, &payments_method_data_params);
        if (flow->method != NULL) {
            step(flow);
        }
        return;
    }
    if (resource_text(op, "payment_method_data[card][token]", &id) && id.size != 0) {
        payments_method_of_test_token(flow, "payment_method_data[card][token]", id);
        return;
    }
    if (resource_present(op, "payment_method_data")) {
        resource_invalid(
            op,
            "parameter_missing",
            "payment_method_data[card][number]",
            "Missing required param: payment_method_data[card][number].");
        return;
    }
    id = present_method(flow);
    if (id.size != 0) {
        method_stored(flow, id);
        return;
    }
    step(flow);
}

/* ---------------------------------------------------------------------------- may it pay --- */

bool
payments_method_may_pay(struct payments_flow *flow)
{
    struct payments_intent *intent = flow->intent;
    const char *type = payments_method_type_name(flow->method);
    struct span types = intent->payment_method_types;
    if (flow->method->wallet.size != 0 &&
        resource_op_caller(flow->op)->key_kind == RESOURCE_KEY_PUBLISHABLE) {
        /* PAYMENTS-10: who knows a wallet's id is not its owner. */
        resource_invalid(
            flow->op,
            "secret_key_required",
            "payment_method",
            "A wallet pays when the server says so: please use a secret API key.");
        return false;
    }
    if (types.size == 0) {
        /* Nobody said which; what it shows from now on has to be true. */
        intent->payment_method_types = strcmp(type, "card") == 0 ? SPAN_EMPTY : SPAN(ALL_TYPES);
        return true;
    }
    if (payments_method_is_of(flow->method, types)) {
        return true;
    }
    resource_invalid(
        flow->op,
        "payment_intent_incompatible_payment_method",
        "payment_method",
        "The PaymentMethod provided (%s) is not allowed for this PaymentIntent. Please attach a "
        "PaymentMethod of one of the following types: %.*s.",
        type,
        SPAN_PRINTF(types));
    return false;
}
