/* Payment methods: made from card data or test tokens, chosen by intents, kept for customers. */
#include "flow.h"

#include "base/assert.h"
#include "base/list.h"
#include "resource/pages.h"
#include "json/json.h"
#include "json/json_in.h"

#include <string.h>

#define BILLING_SIZE_MAX   8192
#define BILLING_VALUES_MAX 32
#define ALL_TYPES          "[\"card\",\"wallet\",\"mobile_qr\"]"

/* ------------------------------------------------------------------------- billing details --- */

/* What a method is given, by the names of its parameters. */
struct payments_method_params {
    const char *billing;
    const char *allow_redisplay;
    const char *metadata;
};

static const struct payments_method_params own_params = {
    .billing = "billing_details",
    .allow_redisplay = "allow_redisplay",
    .metadata = "metadata",
};
static const struct payments_method_params data_params = {
    .billing = "payment_method_data[billing_details]",
    .allow_redisplay = "payment_method_data[allow_redisplay]",
    .metadata = "payment_method_data[metadata]",
};

/* Billing details as they are to be: a parameter that is not given leaves its member. */
struct billing {
    struct resource_op *op;
    const char *prefix;
    const struct json_value *present; /* NULL: there are none, or they are unset */
    struct json_writer json;
};

static const char *
param_name(const struct billing *billing, const char *group, const char *name)
{
    struct arena *arena = resource_op_arena(billing->op);
    struct span text = group != NULL
                           ? arena_format(arena, "%s[%s][%s]", billing->prefix, group, name)
                           : arena_format(arena, "%s[%s]", billing->prefix, name);
    const char *param = arena_cstr(arena, text);
    ASSERT(param != NULL);
    return param;
}

static struct span
billing_text(const struct billing *billing, const char *group, const char *name)
{
    struct span text = SPAN_EMPTY;
    if (resource_text(billing->op, param_name(billing, group, name), &text)) {
        return text;
    }
    const struct json_value *present = billing->present;
    if (group != NULL) {
        const struct form_node *node = resource_node(billing->op, param_name(billing, NULL, group));
        present = node != NULL && node->kind == FORM_TEXT
                      ? NULL
                      : json_value_member(present, span_from_cstr(group));
    }
    err_t error = json_value_text(json_value_member(present, span_from_cstr(name)), &text);
    return error == ERR_OK ? text : SPAN_EMPTY;
}

static void
write_billing(struct billing *billing)
{
    const char *const *members = payments_address_members;
    struct json_writer *json = &billing->json;
    json_object_begin(json);
    json_key(json, "address");
    json_object_begin(json);
    for (; *members != NULL; members++) {
        json_member_text_or_null(json, *members, billing_text(billing, "address", *members));
    }
    json_object_end(json);
    json_member_text_or_null(json, "email", billing_text(billing, NULL, "email"));
    json_member_text_or_null(json, "name", billing_text(billing, NULL, "name"));
    json_member_text_or_null(json, "phone", billing_text(billing, NULL, "phone"));
    json_member_null(json, "tax_id");
    json_object_end(json);
}

/* Fills the method's billing details from the parameters under `prefix`; false if answered. */
static bool
read_billing(struct resource_op *op, const char *prefix, struct payments_method *method)
{
    struct billing billing = {.op = op, .prefix = prefix};
    const struct form_node *node = resource_node(op, prefix);
    if (node == NULL) {
        return true;
    }
    if (method->billing_details.size != 0 && node->kind != FORM_TEXT) {
        struct json_value *root = NULL;
        struct json_problem problem;
        err_t error = json_read(
            method->billing_details, resource_op_arena(op), BILLING_VALUES_MAX, &root, &problem);
        if (error != ERR_OK) {
            resource_internal(op, error, "billing details");
            return false;
        }
        billing.present = root;
    }
    void *memory = arena_alloc(resource_op_arena(op), BILLING_SIZE_MAX);
    struct buf buf;
    buf_init_fixed(&buf, memory, memory == NULL ? 0 : BILLING_SIZE_MAX);
    json_begin(&billing.json, &buf);
    write_billing(&billing);
    if (buf_failed(&buf)) {
        resource_invalid(op, "parameter_invalid_string", prefix, "Billing details are too long.");
        return false;
    }
    method->address_line1 = billing_text(&billing, "address", "line1");
    method->postal_code = billing_text(&billing, "address", "postal_code");
    method->billing_details = buf_span(&buf);
    return true;
}

/* False if answered. */
static bool
read_given(
    struct resource_op *op,
    const struct payments_method_params *params,
    struct payments_method *method)
{
    (void)resource_text(op, params->allow_redisplay, &method->allow_redisplay);
    return resource_metadata_of(op, params->metadata, method->metadata, &method->metadata) ==
               ERR_OK &&
           read_billing(op, params->billing, method);
}

/* ------------------------------------------------------------------------------ from a card --- */

static struct span
copy_text(struct resource_op *op, const char *text)
{
    return arena_copy(resource_op_arena(op), span_from_cstr(text));
}

/* NULL: the operation was answered. */
static struct payments_method *
method_from_card(
    struct resource_op *op,
    const struct port_vault_card *card,
    const struct payments_method_params *params)
{
    struct payments_method *method = resource_new(op, &payments_method_type);
    if (method == NULL) {
        resource_internal(op, ERR_FULL, "request memory");
        return NULL;
    }
    method->token = copy_text(op, card->token);
    method->fingerprint = copy_text(op, card->fingerprint);
    method->bin = copy_text(op, card->bin);
    method->brand = copy_text(op, card->brand);
    method->network = copy_text(op, card->network);
    method->funding = copy_text(op, card->funding);
    method->country = copy_text(op, card->country);
    method->last4 = copy_text(op, card->last4);
    method->exp_month = card->exp_month;
    method->exp_year = card->exp_year;
    method->cvc_check = card->cvc_provided ? SPAN("unchecked") : SPAN_EMPTY;
    return read_given(op, params, method) ? method : NULL;
}

static void
test_token_done(struct port_vault_tokenize *request)
{
    struct payments_flow *flow = CONTAINER_OF(request, struct payments_flow, tokenize);
    if (request->error != ERR_OK) {
        resource_internal(flow->op, request->error, "vault");
        return;
    }
    if (request->outcome != PORT_VAULT_OK) {
        const char *param = flow->token_param;
        const char *object = strcmp(param, "payment_method") == 0 ? "PaymentMethod" : "token";
        resource_missing(flow->op, object, param, request->test_token);
        return;
    }
    flow->method = method_from_card(flow->op, &request->card, &data_params);
    if (flow->method != NULL) {
        flow->method_step(flow);
    }
}

static void
method_from_test_token(struct payments_flow *flow, const char *param, struct span token)
{
    struct port_vault *vault = flow->payments->parts.vault;
    flow->tokenize.reply_to = resource_op_executor(flow->op);
    flow->tokenize.done = test_token_done;
    flow->tokenize.trace = resource_op_trace(flow->op);
    flow->tokenize.scope = resource_op_caller(flow->op)->scope;
    flow->tokenize.test_token = token;
    flow->token_param = param;
    vault->tokenize(vault, &flow->tokenize);
}

/* ---------------------------------------------------------------------------- from a wallet --- */

static void
wallet_found(struct payments_flow *flow)
{
    struct payments_method *method = resource_new(flow->op, &payments_method_type);
    if (method == NULL) {
        resource_internal(flow->op, ERR_FULL, "request memory");
        return;
    }
    method->wallet =
        arena_copy(resource_op_arena(flow->op), span_from_cstr(flow->wallet.movement.wallet));
    flow->method = method;
    if (read_given(flow->op, flow->method_params, method)) {
        flow->method_step(flow);
    }
}

/* flow->method_step is set. */
static void
method_from_wallet(
    struct payments_flow *flow, const char *param, const struct payments_method_params *params)
{
    struct span id = SPAN_EMPTY;
    if (!resource_text(flow->op, param, &id) || id.size == 0) {
        resource_invalid(
            flow->op, "parameter_missing", param, "Missing required param: %s.", param);
        return;
    }
    flow->method_params = params;
    payments_wallet_lookup(flow, id, param, wallet_found);
}

static bool
is_type(struct resource_op *op, const char *param, const char *wanted)
{
    struct span type = SPAN_EMPTY;
    return resource_text(op, param, &type) && span_equal_cstr(type, wanted);
}

/* NULL: answered. */
static struct payments_method *
method_of_qr(struct resource_op *op, const struct payments_method_params *params)
{
    struct payments_method *method = resource_new(op, &payments_method_type);
    if (method == NULL) {
        resource_internal(op, ERR_FULL, "request memory");
        return NULL;
    }
    method->shows_qr = true;
    return read_given(op, params, method) ? method : NULL;
}

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

/* ------------------------------------------------------------------------ choosing for a flow ---
 */

static bool
is_test_token(struct span text)
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
        if (is_test_token(id)) {
            method_from_test_token(flow, "payment_method", id);
        } else {
            method_stored(flow, id);
        }
        return;
    }
    if (is_type(op, "payment_method_data[type]", "wallet")) {
        method_from_wallet(flow, "payment_method_data[wallet][id]", &data_params);
        return;
    }
    if (is_type(op, "payment_method_data[type]", "payer_code")) {
        payments_payer_choose(flow);
        return;
    }
    if (is_type(op, "payment_method_data[type]", "mobile_qr")) {
        flow->method = method_of_qr(op, &data_params);
        if (flow->method != NULL) {
            step(flow);
        }
        return;
    }
    const struct port_vault_card *card = resource_card(op);
    if (card != NULL) {
        flow->method = method_from_card(op, card, &data_params);
        if (flow->method != NULL) {
            step(flow);
        }
        return;
    }
    if (resource_text(op, "payment_method_data[card][token]", &id) && id.size != 0) {
        method_from_test_token(flow, "payment_method_data[card][token]", id);
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

/* ----------------------------------------------------------------------------------- routes --- */

static void
save_and_answer(struct payments_flow *flow, const char *event)
{
    err_t error = resource_save(flow->op, &payments_method_type, flow->method);
    if (error == ERR_OK && event != NULL) {
        error = resource_emit(flow->op, event, &payments_method_type, flow->method, SPAN_EMPTY);
    }
    if (error != ERR_OK) {
        resource_internal(flow->op, error, "payment method");
        return;
    }
    resource_answer_object(flow->op, &payments_method_type, flow->method);
}

static void
method_chosen(struct payments_flow *flow)
{
    save_and_answer(flow, NULL);
}

static void
created_from_token(struct payments_flow *flow)
{
    if (read_given(flow->op, &own_params, flow->method)) {
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
    if (is_type(op, "type", "wallet")) {
        flow->method_step = method_chosen;
        method_from_wallet(flow, "wallet[id]", &own_params);
    } else if (is_type(op, "type", "mobile_qr")) {
        flow->method = method_of_qr(op, &own_params);
        if (flow->method != NULL) {
            method_chosen(flow);
        }
    } else if (card != NULL) {
        flow->method = method_from_card(op, card, &own_params);
        if (flow->method != NULL) {
            method_chosen(flow);
        }
    } else if (resource_text(op, "card[token]", &token) && token.size != 0) {
        flow->method_step = created_from_token;
        method_from_test_token(flow, "card[token]", token);
    } else {
        resource_invalid(
            op, "parameter_missing", "card[number]", "Missing required param: card[number].");
    }
}

void
payments_method_retrieve(struct resource_op *op)
{
    struct span id = resource_op_capture(op, 0);
    void *found;
    err_t error = resource_load(op, &payments_method_type, id, &found);
    if (error == ERR_NOT_FOUND) {
        resource_missing(op, "PaymentMethod", "payment_method", id);
    } else if (error != ERR_OK) {
        resource_internal(op, error, "payment method");
    } else {
        resource_answer_object(op, &payments_method_type, found);
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

/* Loads the method of the path under its lock, into a flow; NULL: answered. */
static struct payments_flow *
load_captured(struct resource_op *op, uint32_t capture)
{
    struct payments_flow *flow = payments_flow_create(op);
    if (flow == NULL) {
        return NULL;
    }
    struct span id = resource_op_capture(op, capture);
    void *found;
    err_t error = resource_load(op, &payments_method_type, id, &found);
    if (error == ERR_NOT_FOUND) {
        resource_missing(op, "PaymentMethod", "payment_method", id);
        return NULL;
    }
    if (error != ERR_OK) {
        resource_internal(op, error, "payment method");
        return NULL;
    }
    flow->method = found;
    return flow;
}

static void
update_checked(struct payments_flow *flow)
{
    if (read_given(flow->op, &own_params, flow->method)) {
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
        flow->method->token = copy_text(flow->op, request->card.token);
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
    struct payments_flow *flow = load_captured(op, 0);
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
    struct payments_flow *flow = load_captured(op, 0);
    if (flow != NULL) {
        attach_chosen(flow);
    }
}

void
payments_method_attach(struct resource_op *op)
{
    struct span id = resource_op_capture(op, 0);
    if (is_test_token(id)) {
        struct payments_flow *flow = payments_flow_create(op);
        if (flow != NULL) {
            flow->method_step = attach_chosen;
            method_from_test_token(flow, "payment_method", id);
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
    struct payments_flow *flow = load_captured(op, 0);
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
