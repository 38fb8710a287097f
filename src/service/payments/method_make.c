/* New payment methods: of card data, a test token, a wallet or a code, with what else is given. */
#include "flow.h"
#include "method.h"

#include "base/assert.h"
#include "base/list.h"
#include "json/json.h"
#include "json/json_in.h"

#include <string.h>

#define BILLING_SIZE_MAX   8192 /* each byte of the texts may take six */
#define BILLING_VALUES_MAX 32

const struct payments_method_params payments_method_own_params = {
    .billing = "billing_details",
    .allow_redisplay = "allow_redisplay",
    .metadata = "metadata",
};
const struct payments_method_params payments_method_data_params = {
    .billing = "payment_method_data[billing_details]",
    .allow_redisplay = "payment_method_data[allow_redisplay]",
    .metadata = "payment_method_data[metadata]",
};

bool
payments_method_type_is(struct resource_op *op, const char *param, const char *wanted)
{
    struct span type = SPAN_EMPTY;
    return resource_text(op, param, &type) && span_equal_cstr(type, wanted);
}

/* ------------------------------------------------------------------------- billing details --- */

#define ADDRESS_MEMBERS 6

struct billing {
    struct span address[ADDRESS_MEMBERS]; /* by payments_address_members */
    struct span email, name, phone;
};

/* As they are shown; empty: they are too long, or memory is out. */
static struct span
write_billing(struct resource_op *op, const struct billing *billing)
{
    void *memory = arena_alloc(resource_op_arena(op), BILLING_SIZE_MAX);
    struct buf buf;
    struct json_writer json;
    buf_init_fixed(&buf, memory, memory == NULL ? 0 : BILLING_SIZE_MAX);
    json_begin(&json, &buf);
    json_object_begin(&json);
    json_key(&json, "address");
    json_object_begin(&json);
    for (size_t i = 0; payments_address_members[i] != NULL; i++) {
        ASSERT(i < ADDRESS_MEMBERS);
        json_member_text_or_null(&json, payments_address_members[i], billing->address[i]);
    }
    json_object_end(&json);
    json_member_text_or_null(&json, "email", billing->email);
    json_member_text_or_null(&json, "name", billing->name);
    json_member_text_or_null(&json, "phone", billing->phone);
    json_member_null(&json, "tax_id");
    json_object_end(&json);
    return buf_failed(&buf) ? SPAN_EMPTY : buf_span(&buf);
}

struct span
payments_billing_of_payer(struct resource_op *op, struct span name, struct span email)
{
    const struct billing billing = {.name = name, .email = email};
    return write_billing(op, &billing);
}

/* Where a text comes from: a parameter that is not given leaves what is there. */
struct given {
    struct resource_op *op;
    const char *prefix;
    const struct json_value *present; /* NULL: there are none, or they are unset */
};

static const char *
param_name(const struct given *given, const char *group, const char *name)
{
    struct arena *arena = resource_op_arena(given->op);
    struct span text = group != NULL ? arena_format(arena, "%s[%s][%s]", given->prefix, group, name)
                                     : arena_format(arena, "%s[%s]", given->prefix, name);
    const char *param = arena_cstr(arena, text);
    ASSERT(param != NULL);
    return param;
}

static struct span
text_of(const struct given *given, const char *group, const char *name)
{
    struct span text = SPAN_EMPTY;
    if (resource_text(given->op, param_name(given, group, name), &text)) {
        return text;
    }
    const struct json_value *present = given->present;
    if (group != NULL) {
        const struct form_node *node = resource_node(given->op, param_name(given, NULL, group));
        present = node != NULL && node->kind == FORM_TEXT
                      ? NULL
                      : json_value_member(present, span_from_cstr(group));
    }
    err_t error = json_value_text(json_value_member(present, span_from_cstr(name)), &text);
    return error == ERR_OK ? text : SPAN_EMPTY;
}

/* Fills the method's billing details from the parameters under `prefix`; false if answered. */
static bool
read_billing(struct resource_op *op, const char *prefix, struct payments_method *method)
{
    struct given given = {.op = op, .prefix = prefix};
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
        given.present = root;
    }
    struct billing billing = {
        .email = text_of(&given, NULL, "email"),
        .name = text_of(&given, NULL, "name"),
        .phone = text_of(&given, NULL, "phone"),
    };
    for (size_t i = 0; i < ADDRESS_MEMBERS; i++) {
        billing.address[i] = text_of(&given, "address", payments_address_members[i]);
    }
    struct span written = write_billing(op, &billing);
    if (written.size == 0) {
        resource_invalid(op, "parameter_invalid_string", prefix, "Billing details are too long.");
        return false;
    }
    method->address_line1 = text_of(&given, "address", "line1");
    method->postal_code = text_of(&given, "address", "postal_code");
    method->billing_details = written;
    return true;
}

bool
payments_method_read_given(
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

struct payments_method *
payments_method_of_card(
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
    return payments_method_read_given(op, params, method) ? method : NULL;
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
    flow->method = payments_method_of_card(flow->op, &request->card, &payments_method_data_params);
    if (flow->method != NULL) {
        flow->method_step(flow);
    }
}

void
payments_method_of_test_token(struct payments_flow *flow, const char *param, struct span token)
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
    if (payments_method_read_given(flow->op, flow->method_params, method)) {
        flow->method_step(flow);
    }
}

void
payments_method_of_wallet(
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

struct payments_method *
payments_method_of_qr(struct resource_op *op, const struct payments_method_params *params)
{
    struct payments_method *method = resource_new(op, &payments_method_type);
    if (method == NULL) {
        resource_internal(op, ERR_FULL, "request memory");
        return NULL;
    }
    method->shows_qr = true;
    return payments_method_read_given(op, params, method) ? method : NULL;
}
