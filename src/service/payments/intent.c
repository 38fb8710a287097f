/* Payment intents: create, retrieve, update, list, and the door to confirmation. */
#include "flow.h"

#include "base/assert.h"

#define AMOUNT_MAX INT64_C(99999999)

/* ---------------------------------------------------------------------------------- loading --- */

bool
payments_intent_load(struct payments_flow *flow, struct span id)
{
    void *found;
    err_t error = resource_load(flow->op, &payments_intent_type, id, &found);
    if (error == ERR_NOT_FOUND) {
        resource_missing(flow->op, "payment_intent", "intent", id);
        return false;
    }
    if (error != ERR_OK) {
        resource_internal(flow->op, error, "intent");
        return false;
    }
    flow->intent = found;
    if (flow->intent->latest_charge.size == 0) {
        return true;
    }
    error = resource_load(flow->op, &payments_charge_type, flow->intent->latest_charge, &found);
    if (error != ERR_OK) {
        resource_internal(flow->op, error, "charge of an intent");
        return false;
    }
    flow->charge = found;
    return true;
}

/* A publishable key proves that it knows the intent by its client secret. */
static bool
may_touch(struct payments_flow *flow)
{
    struct span secret = SPAN_EMPTY;
    bool given = resource_text(flow->op, "client_secret", &secret);
    bool publishable = resource_op_caller(flow->op)->key_kind == RESOURCE_KEY_PUBLISHABLE;
    if (!publishable && !given) {
        return true;
    }
    if (span_equal_secret(secret, flow->intent->client_secret)) {
        return true;
    }
    resource_invalid(
        flow->op,
        given ? "payment_intent_invalid_parameter" : "parameter_missing",
        "client_secret",
        given ? "The client_secret provided does not match the client_secret associated with "
                "the PaymentIntent."
              : "Missing required param: client_secret.");
    return false;
}

static void
load_locked(struct resource_op *op)
{
    struct payments_flow *flow = payments_flow_of(op);
    if (payments_intent_load(flow, resource_op_capture(op, 0)) && may_touch(flow)) {
        flow->locked_step(op);
    }
}

void
payments_intent_with_charge(struct resource_op *op, resource_step step)
{
    struct payments_flow *flow = payments_flow_create(op);
    if (flow != NULL) {
        flow->locked_step = step;
        resource_lock(op, resource_op_capture(op, 0), load_locked);
    }
}

/* ------------------------------------------------------------------------- reading parameters ---
 */

static bool
check_amount(struct resource_op *op, int64_t amount, struct span currency_code)
{
    const struct currency *currency = currency_find(currency_code);
    ASSERT(currency != NULL);
    struct money money;
    if (amount < currency->api_minimum) {
        char text[MONEY_TEXT_SIZE];
        struct money minimum;
        err_t error = money_from_api(currency->api_minimum, currency, &minimum);
        ASSERT(error == ERR_OK);
        money_format(minimum, text);
        resource_invalid(op, "amount_too_small", "amount", "Amount must be at least %s.", text);
        return false;
    }
    if (amount > AMOUNT_MAX) {
        resource_invalid(op, "amount_too_large", "amount", "Amount must be no more than 99999999.");
        return false;
    }
    if (money_from_api(amount, currency, &money) != ERR_OK) {
        resource_invalid(
            op,
            "parameter_invalid_integer",
            "amount",
            "Amounts in %s must be whole in its smallest unit.",
            currency->api_code);
        return false;
    }
    return true;
}

static bool
check_customer(struct resource_op *op, struct span customer)
{
    void *found;
    err_t error = resource_load(op, &payments_customer_type, customer, &found);
    if (error == ERR_NOT_FOUND) {
        resource_missing(op, "customer", "customer", customer);
        return false;
    }
    if (error != ERR_OK) {
        resource_internal(op, error, "customer");
        return false;
    }
    return true;
}

static bool
check_method_types(struct payments_flow *flow)
{
    const struct form_node *types = resource_node(flow->op, "payment_method_types");
    if (types == NULL) {
        return true;
    }
    for (const struct form_node *item = types->first_child; item != NULL; item = item->next) {
        if (!span_equal_cstr(item->text, "card") && !span_equal_cstr(item->text, "wallet")) {
            resource_invalid(
                flow->op,
                "payment_intent_invalid_parameter",
                "payment_method_types",
                "The payment method type \"%.*s\" is invalid. This server takes: card, wallet.",
                SPAN_PRINTF(item->text));
            return false;
        }
    }
    flow->intent->payment_method_types = resource_json(flow->op, "payment_method_types");
    return true;
}

/* What create and update have in common; false if answered. */
static bool
read_common(struct payments_flow *flow)
{
    struct payments_intent *intent = flow->intent;
    struct resource_op *op = flow->op;
    (void)resource_text(op, "description", &intent->description);
    (void)resource_text(op, "receipt_email", &intent->receipt_email);
    (void)resource_text(op, "statement_descriptor", &intent->statement_descriptor);
    (void)resource_text(op, "statement_descriptor_suffix", &intent->statement_descriptor_suffix);
    (void)resource_text(op, "setup_future_usage", &intent->setup_future_usage);
    (void)resource_text(op, "transfer_group", &intent->transfer_group);
    (void)resource_text(op, "capture_method", &intent->capture_method);
    if (resource_present(op, "shipping")) {
        intent->shipping = resource_json(op, "shipping");
    }
    if (resource_present(op, "payment_method_options")) {
        intent->payment_method_options = resource_json(op, "payment_method_options");
    }
    if (resource_text(op, "customer", &intent->customer) && intent->customer.size != 0 &&
        !check_customer(op, intent->customer)) {
        return false;
    }
    return check_method_types(flow) &&
           resource_metadata(op, intent->metadata, &intent->metadata) == ERR_OK;
}

static bool
read_automatic_methods(struct payments_flow *flow)
{
    bool enabled = false;
    if (!resource_boolean(flow->op, "automatic_payment_methods[enabled]", &enabled)) {
        return true;
    }
    if (enabled && resource_present(flow->op, "payment_method_types")) {
        resource_invalid(
            flow->op,
            "parameter_invalid_empty",
            "payment_method_types",
            "You may only specify one of these parameters: automatic_payment_methods, "
            "payment_method_types.");
        return false;
    }
    struct span redirects = SPAN_EMPTY;
    (void)resource_text(flow->op, "automatic_payment_methods[allow_redirects]", &redirects);
    redirects = redirects.size == 0 ? SPAN("always") : redirects;
    flow->intent->automatic_payment_methods = arena_format(
        resource_op_arena(flow->op),
        "{\"allow_redirects\":\"%.*s\",\"enabled\":%s}",
        SPAN_PRINTF(redirects),
        enabled ? "true" : "false");
    return true;
}

/* ------------------------------------------------------------------------------------ create ---
 */

/* The public event list has none for an update: `event` is NULL then. */
static void
save_without_confirming(struct payments_flow *flow, const char *event)
{
    struct resource_op *op = flow->op;
    struct payments_intent *intent = flow->intent;
    err_t error = ERR_OK;
    if (flow->method != NULL) {
        enum payments_intent_status status;
        if (!payments_intent_move(
                payments_intent_status_parse(intent->status), PAYMENTS_MOVE_ATTACH, &status)) {
            payments_fail_state(flow, "update");
            return;
        }
        intent->status = span_from_cstr(payments_intent_status_name(status));
        intent->payment_method = flow->method->header.id;
        if (flow->method->header.version == 0) {
            error = resource_save(op, &payments_method_type, flow->method);
        }
    }
    if (error == ERR_OK) {
        error = resource_save(op, &payments_intent_type, intent);
    }
    if (error == ERR_OK && event != NULL) {
        error = resource_emit(op, event, &payments_intent_type, intent, SPAN_EMPTY);
    }
    if (error != ERR_OK) {
        resource_internal(op, error, "intent");
        return;
    }
    payments_answer_intent(flow);
}

static void
create_chosen(struct payments_flow *flow)
{
    bool confirm = false;
    (void)resource_boolean(flow->op, "confirm", &confirm);
    if (confirm) {
        payments_authorize_begin(flow);
    } else {
        save_without_confirming(flow, "payment_intent.created");
    }
}

static void
create_destined(struct payments_flow *flow)
{
    payments_method_choose(flow, create_chosen);
}

static void
destination_found(struct payments_flow *flow)
{
    const struct currency *currency = flow->wallet.currency;
    if (currency == payments_flow_currency(flow)) {
        create_destined(flow);
        return;
    }
    resource_invalid(
        flow->op,
        "parameter_invalid_string",
        "transfer_data[destination]",
        "The wallet holds %s, and this payment is in %.*s.",
        currency->api_code,
        SPAN_PRINTF(flow->intent->currency));
}

static void
create_locked(struct resource_op *op)
{
    struct payments_flow *flow = payments_flow_of(op);
    struct span destination;
    if (resource_text(op, "transfer_data[destination]", &destination) && destination.size != 0) {
        flow->intent->transfer_destination = destination;
        payments_wallet_lookup(flow, destination, "transfer_data[destination]", destination_found);
    } else {
        create_destined(flow);
    }
}

void
payments_intent_create(struct resource_op *op)
{
    struct payments_flow *flow = payments_flow_create(op);
    if (flow == NULL) {
        return;
    }
    struct payments_intent *intent = resource_new(op, &payments_intent_type);
    if (intent == NULL) {
        resource_internal(op, ERR_FULL, "request memory");
        return;
    }
    flow->intent = intent;
    struct span currency_code;
    bool present = resource_integer(op, "amount", &intent->amount) &&
                   resource_text(op, "currency", &currency_code);
    ASSERT(present); /* both are required in the table */
    const struct currency *currency = currency_find(currency_code);
    ASSERT(currency != NULL);
    intent->currency = span_from_cstr(currency->api_code);
    intent->status = span_from_cstr(payments_intent_status_name(PAYMENTS_REQUIRES_PAYMENT_METHOD));
    intent->capture_method = SPAN("automatic");
    intent->confirmation_method = SPAN("automatic");
    (void)resource_text(op, "confirmation_method", &intent->confirmation_method);
    struct span secret = resource_new_secret(op, 25);
    intent->client_secret = arena_format(
        resource_op_arena(op),
        "%.*s_secret_%.*s",
        SPAN_PRINTF(intent->header.id),
        SPAN_PRINTF(secret));
    if (check_amount(op, intent->amount, intent->currency) && read_common(flow) &&
        read_automatic_methods(flow)) {
        /* Nobody knows it yet but the sweeper, as soon as its attempt is written: PAYMENTS-6. */
        resource_lock(op, intent->header.id, create_locked);
    }
}

/* ----------------------------------------------------------------------------------- confirm ---
 */

static void
confirm_chosen(struct payments_flow *flow)
{
    (void)resource_text(flow->op, "receipt_email", &flow->intent->receipt_email);
    (void)resource_text(flow->op, "setup_future_usage", &flow->intent->setup_future_usage);
    (void)resource_text(flow->op, "capture_method", &flow->intent->capture_method);
    if (resource_present(flow->op, "shipping")) {
        flow->intent->shipping = resource_json(flow->op, "shipping");
    }
    payments_authorize_begin(flow);
}

static void
confirm_locked(struct resource_op *op)
{
    struct payments_flow *flow = payments_flow_of(op);
    enum payments_intent_status status = payments_intent_status_parse(flow->intent->status);
    if (payments_attempt_is_open(&flow->intent->attempt) ||
        !payments_intent_move(status, PAYMENTS_MOVE_ATTACH, &status)) {
        payments_fail_state(flow, "confirm");
        return;
    }
    payments_method_choose(flow, confirm_chosen);
}

void
payments_intent_confirm(struct resource_op *op)
{
    payments_intent_with_charge(op, confirm_locked);
}

/* ------------------------------------------------------------------ retrieve, update and list ---
 */

void
payments_intent_retrieve(struct resource_op *op)
{
    struct payments_flow *flow = payments_flow_create(op);
    if (flow != NULL && payments_intent_load(flow, resource_op_capture(op, 0)) && may_touch(flow)) {
        payments_answer_intent(flow);
    }
}

void
payments_intent_list(struct resource_op *op)
{
    static const struct resource_list_filter filters[] = {{"customer", PAYMENTS_INTENT_CUSTOMER}};
    resource_answer_list(op, &payments_intent_type, "/v1/payment_intents", filters, 1);
}

/* Metadata and description may change at any time, money only before it moves. */
static bool
read_money_change(struct payments_flow *flow)
{
    struct payments_intent *intent = flow->intent;
    struct resource_op *op = flow->op;
    enum payments_intent_status status;
    bool changes = resource_present(op, "amount") || resource_present(op, "currency") ||
                   resource_present(op, "payment_method") ||
                   resource_present(op, "payment_method_data") ||
                   resource_present(op, "capture_method");
    if (!changes) {
        return true;
    }
    if (payments_attempt_is_open(&intent->attempt) ||
        !payments_intent_move(
            payments_intent_status_parse(intent->status), PAYMENTS_MOVE_UPDATE, &status)) {
        payments_fail_state(flow, "update");
        return false;
    }
    struct span code;
    if (resource_text(op, "currency", &code) && code.size != 0) {
        intent->currency = span_from_cstr(currency_find(code)->api_code);
    }
    (void)resource_integer(op, "amount", &intent->amount);
    return check_amount(op, intent->amount, intent->currency);
}

static void
update_chosen(struct payments_flow *flow)
{
    save_without_confirming(flow, NULL);
}

static void
update_locked(struct resource_op *op)
{
    struct payments_flow *flow = payments_flow_of(op);
    if (!read_money_change(flow) || !read_common(flow)) {
        return;
    }
    if (resource_present(op, "payment_method") || resource_present(op, "payment_method_data")) {
        payments_method_choose(flow, update_chosen);
    } else {
        update_chosen(flow);
    }
}

void
payments_intent_update(struct resource_op *op)
{
    payments_intent_with_charge(op, update_locked);
}
