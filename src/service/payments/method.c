/* Payment methods: what is said of one, and their routes. */
#include "method.h"

#include "flow.h"
#include "handlers.h"

#include "base/list.h"
#include "resource/pages.h"

const char *
payments_method_type_name(const struct payments_method *method)
{
    /* A payer's code is used up last: until then there is no wallet yet. */
    bool is_wallet = method->of_code || method->wallet.size != 0;
    return method->shows_qr ? "mobile_qr" : is_wallet ? "wallet" : "card";
}

struct span
payments_method_redisplay(const struct payments_method *method)
{
    return method->allow_redisplay.size != 0 ? method->allow_redisplay : SPAN("unspecified");
}

bool
payments_method_is_reusable(struct payments_flow *flow)
{
    if (!flow->method->of_code && !flow->method->detached) {
        return true;
    }
    resource_invalid(
        flow->op,
        "payment_method_not_reusable",
        "payment_method",
        "The payment method supplied (%.*s) %s. It may not be used again.",
        SPAN_PRINTF(flow->method->header.id),
        flow->method->detached ? "was detached from its customer"
                               : "came from a code, which pays once");
    return false;
}

/* Whether a JSON array of plain words has this one. */
static bool
array_has(struct span array, const char *word)
{
    struct span rest = span_slice(array, 1, array.size - 1);
    while (rest.size > 0) {
        struct span item = span_trim(span_cut(&rest, ','));
        if (span_equal_cstr(span_slice(item, 1, item.size - 1), word)) {
            return true;
        }
    }
    return false;
}

bool
payments_method_is_of(const struct payments_method *method, struct span types)
{
    return array_has(types, payments_method_type_name(method));
}

/* ----------------------------------------------------------------------------------- routes --- */

static void
save_and_answer(struct payments_flow *flow, const char *event)
{
    resource_answer_saved(flow->op, &payments_method_type, flow->method, "payment method", event);
}

static void
method_chosen(struct payments_flow *flow)
{
    save_and_answer(flow, NULL);
}

static void
created_from_token(struct payments_flow *flow)
{
    if (payments_method_read_given(flow->op, &payments_method_own_params, flow->method)) {
        method_chosen(flow);
    }
}

void
payments_method_create(struct resource_op *op)
{
    struct payments_flow *flow = payments_flow_create(op);
    if (flow == NULL) {
        return;
    }
    const struct port_vault_card *card = resource_card(op);
    struct span token;
    if (payments_method_type_is(op, "type", "wallet")) {
        flow->method_step = method_chosen;
        payments_method_of_wallet(flow, "wallet[id]", &payments_method_own_params);
    } else if (payments_method_type_is(op, "type", "mobile_qr")) {
        flow->method = payments_method_of_qr(op, &payments_method_own_params);
        if (flow->method != NULL) {
            method_chosen(flow);
        }
    } else if (card != NULL) {
        flow->method = payments_method_of_card(op, card, &payments_method_own_params);
        if (flow->method != NULL) {
            method_chosen(flow);
        }
    } else if (resource_text(op, "card[token]", &token) && token.size != 0) {
        flow->method_step = created_from_token;
        payments_method_of_test_token(flow, "card[token]", token);
    } else {
        resource_invalid(
            op, "parameter_missing", "card[number]", "Missing required param: card[number].");
    }
}

/* The method of the path, in a flow; NULL: answered. */
static struct payments_flow *
load_of_path(struct resource_op *op)
{
    struct payments_flow *flow = payments_flow_create(op);
    return flow != NULL && payments_method_load(flow, resource_op_capture(op, 0)) ? flow : NULL;
}

void
payments_method_retrieve(struct resource_op *op)
{
    const struct payments_flow *flow = load_of_path(op);
    if (flow != NULL) {
        resource_answer_object(op, &payments_method_type, flow->method);
    }
}

static bool
is_asked_for(struct resource_op *op, const void *document)
{
    const struct payments_method *method = document;
    struct span type = SPAN_EMPTY;
    struct span redisplay = SPAN_EMPTY;
    bool of_type = !resource_text(op, "type", &type) ||
                   span_equal_cstr(type, payments_method_type_name(method));
    return of_type && (!resource_text(op, "allow_redisplay", &redisplay) ||
                       span_equal(redisplay, payments_method_redisplay(method)));
}

void
payments_method_list_of(struct resource_op *op, struct span customer, struct span url)
{
    const struct document_filter only = {
        .column = PAYMENTS_METHOD_CUSTOMER,
        .value = {.text = customer},
    };
    const struct resource_list_choice choice = {
        .filters = &only,
        .filter_count = customer.size != 0 ? 1 : 0,
        .takes = is_asked_for,
    };
    if (resource_present(op, "type") || resource_present(op, "allow_redisplay")) {
        resource_answer_list_chosen(op, &payments_method_type, url, &choice);
    } else {
        resource_answer_list_where(
            op, &payments_method_type, url, choice.filters, choice.filter_count);
    }
}

void
payments_method_list(struct resource_op *op)
{
    struct span customer = SPAN_EMPTY;
    (void)resource_text(op, "customer", &customer);
    payments_method_list_of(op, customer, SPAN("/v1/payment_methods"));
}

static void
update_checked(struct payments_flow *flow)
{
    if (payments_method_read_given(flow->op, &payments_method_own_params, flow->method)) {
        save_and_answer(flow, "payment_method.updated");
    }
}

static void
renewed(struct port_vault_tokenize *request)
{
    struct payments_flow *flow = CONTAINER_OF(request, struct payments_flow, tokenize);
    bool known = request->outcome != PORT_VAULT_UNKNOWN_TOKEN;
    if (request->error != ERR_OK || !known) {
        resource_internal(flow->op, known ? request->error : ERR_NOT_FOUND, "vault");
    } else if (resource_card_accept(flow->op, request->outcome)) {
        flow->method->token =
            arena_copy(resource_op_arena(flow->op), span_from_cstr(request->card.token));
        flow->method->exp_month = request->card.exp_month;
        flow->method->exp_year = request->card.exp_year;
        update_checked(flow);
    }
}

/* The network is told what the vault has: a card with another expiry is another one there. */
static void
renew(struct payments_flow *flow)
{
    struct port_vault *vault = flow->payments->parts.vault;
    struct resource_op *op = flow->op;
    flow->tokenize.reply_to = resource_op_executor(op);
    flow->tokenize.done = renewed;
    flow->tokenize.trace = resource_op_trace(op);
    flow->tokenize.scope = resource_op_caller(op)->scope;
    flow->tokenize.token = flow->method->token;
    flow->tokenize.exp_month = flow->method->exp_month;
    flow->tokenize.exp_year = flow->method->exp_year;
    (void)resource_integer(op, "card[exp_month]", &flow->tokenize.exp_month);
    (void)resource_integer(op, "card[exp_year]", &flow->tokenize.exp_year);
    vault->tokenize(vault, &flow->tokenize);
}

static void
update_locked(struct resource_op *op)
{
    struct payments_flow *flow = load_of_path(op);
    if (flow == NULL) {
        return;
    }
    if (!resource_present(op, "card[exp_month]") && !resource_present(op, "card[exp_year]")) {
        update_checked(flow);
    } else if (flow->method->token.size != 0) {
        renew(flow);
    } else {
        resource_invalid(
            op,
            "parameter_unknown",
            "card",
            "This PaymentMethod is of the type %s, and has no card.",
            payments_method_type_name(flow->method));
    }
}

void
payments_method_update(struct resource_op *op)
{
    resource_lock(op, resource_op_capture(op, 0), update_locked);
}

/* --- attach: the issuer is asked whether the card is good --- */

/* The customer may have been deleted while the issuer was asked. */
static void
attach_verified(struct payments_flow *flow)
{
    struct span customer = SPAN_EMPTY;
    (void)resource_text(flow->op, "customer", &customer);
    if (!payments_customer_check(flow->op, customer)) {
        return;
    }
    flow->method->customer = customer;
    save_and_answer(flow, "payment_method.attached");
}

static void
attach_chosen(struct payments_flow *flow)
{
    struct resource_op *op = flow->op;
    struct span customer = SPAN_EMPTY;
    (void)resource_text(op, "customer", &customer);
    if (!payments_customer_check(op, customer)) {
        return;
    }
    if (flow->method->customer.size != 0 && !span_equal(flow->method->customer, customer)) {
        resource_invalid(
            op,
            NULL,
            "payment_method",
            "The payment method you provided has already been attached to a customer.");
        return;
    }
    payments_method_verify(flow, attach_verified);
}

static void
attach_locked(struct resource_op *op)
{
    struct payments_flow *flow = load_of_path(op);
    if (flow != NULL) {
        attach_chosen(flow);
    }
}

void
payments_method_attach(struct resource_op *op)
{
    struct span id = resource_op_capture(op, 0);
    if (payments_is_test_token(id)) {
        struct payments_flow *flow = payments_flow_create(op);
        if (flow != NULL) {
            flow->method_step = attach_chosen;
            payments_method_of_test_token(flow, "payment_method", id);
        }
        return;
    }
    resource_lock(op, id, attach_locked);
}

void
payments_method_detached(struct payments_method *method)
{
    method->customer = SPAN_EMPTY;
    method->agreement = SPAN_EMPTY;
    method->detached = true;
}

static void
detach_locked(struct resource_op *op)
{
    struct payments_flow *flow = load_of_path(op);
    if (flow == NULL) {
        return;
    }
    if (flow->method->customer.size == 0) {
        resource_invalid(
            op,
            NULL,
            "payment_method",
            "The payment method you provided is not attached to a customer so detachment is "
            "impossible.");
        return;
    }
    err_t error =
        payments_customer_lose_method(op, flow->method->customer, flow->method->header.id);
    if (error != ERR_OK) {
        resource_internal(op, error, "customer");
        return;
    }
    payments_method_detached(flow->method);
    save_and_answer(flow, "payment_method.detached");
}

void
payments_method_detach(struct resource_op *op)
{
    resource_lock(op, resource_op_capture(op, 0), detach_locked);
}
