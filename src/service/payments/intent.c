/* Payment intents: create, retrieve, list, and the door to confirmation. */
#include "intent.h"

#include "handlers.h"
#include "method.h"

#include "base/assert.h"
#include "resource/pages.h"

/* ---------------------------------------------------------------------------------- loading --- */

bool
payments_intent_load(struct payments_flow *flow, struct span id)
{
    return payments_intent_load_of(flow, "intent", id);
}

bool
payments_intent_load_of(struct payments_flow *flow, const char *param, struct span id)
{
    void *found;
    struct payments_intent *intent = resource_require(flow->op, &payments_intent_type, param, id);
    if (intent == NULL) {
        return false;
    }
    flow->intent = intent;
    if (flow->intent->latest_charge.size == 0) {
        return true;
    }
    err_t error =
        resource_load(flow->op, &payments_charge_type, flow->intent->latest_charge, &found);
    if (error != ERR_OK) {
        resource_internal(flow->op, error, "charge of an intent");
        return false;
    }
    flow->charge = found;
    return true;
}

bool
payments_may_touch(struct payments_flow *flow, struct span client_secret, const char *object)
{
    struct span secret = SPAN_EMPTY;
    bool given = resource_text(flow->op, "client_secret", &secret);
    bool publishable = resource_op_caller(flow->op)->key_kind == RESOURCE_KEY_PUBLISHABLE;
    if (!publishable && !given) {
        return true;
    }
    if (span_equal_secret(secret, client_secret)) {
        return true;
    }
    if (given) {
        resource_invalid(
            flow->op,
            flow->setup != NULL ? "setup_intent_invalid_parameter"
                                : "payment_intent_invalid_parameter",
            "client_secret",
            "The client_secret provided does not match the client_secret associated with the %s.",
            object);
    } else {
        resource_invalid(
            flow->op,
            "parameter_missing",
            "client_secret",
            "Missing required param: client_secret.");
    }
    return false;
}

/* A publishable key proves that it knows the intent by its client secret. */
static bool
may_touch(struct payments_flow *flow)
{
    return payments_may_touch(flow, flow->intent->client_secret, "PaymentIntent");
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

const char *
payments_first_given(struct resource_op *op, const char *const *names)
{
    while (*names != NULL && !resource_present(op, *names)) {
        names++;
    }
    return *names;
}

bool
payments_amount_check(struct resource_op *op, int64_t amount, struct span currency_code)
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
    if (amount > PAYMENTS_AMOUNT_MAX) {
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

bool
payments_method_types(struct resource_op *op, struct span *ret_types)
{
    const struct form_node *types = resource_node(op, "payment_method_types");
    if (types == NULL) {
        return true;
    }
    for (const struct form_node *item = types->first_child; item != NULL; item = item->next) {
        if (!span_equal_cstr(item->text, "card") && !span_equal_cstr(item->text, "wallet") &&
            !span_equal_cstr(item->text, "mobile_qr")) {
            resource_invalid(
                op,
                "payment_intent_invalid_parameter",
                "payment_method_types",
                "The payment method type \"%.*s\" is invalid. This server takes: card, "
                "wallet, mobile_qr.",
                SPAN_PRINTF(item->text));
            return false;
        }
    }
    *ret_types = resource_json(op, "payment_method_types");
    return true;
}

const char *const payments_three_d_secure_values[] = {"automatic", "any", "challenge", NULL};

bool
payments_card_option(
    struct resource_op *op, const char *name, const char *const *values, struct span *ret_value)
{
    struct span value = SPAN_EMPTY;
    if (!resource_present(op, "payment_method_options")) {
        return true; /* they are replaced together */
    }
    struct span full =
        arena_format(resource_op_arena(op), "payment_method_options[card][%s]", name);
    const char *param = arena_cstr(resource_op_arena(op), full);
    ASSERT(param != NULL);
    bool known = !resource_text(op, param, &value) || value.size == 0;
    for (size_t i = 0; !known && values[i] != NULL; i++) {
        known = span_equal_cstr(value, values[i]);
    }
    if (!known) {
        resource_invalid(op, NULL, param, "Invalid %s: %.*s", param, SPAN_PRINTF(value));
        return false;
    }
    *ret_value = value;
    return true;
}

static bool
read_card_options(struct payments_flow *flow)
{
    static const char *const increments[] = {"if_available", "never", NULL};
    static const char *const usages[] = {"none", "off_session", "on_session", NULL};
    static const char *const captures[] = {"manual", NULL};
    struct payments_intent *intent = flow->intent;
    struct resource_op *op = flow->op;
    if (resource_present(op, "payment_method_options")) {
        intent->payment_method_options = resource_json(op, "payment_method_options");
    }
    return payments_card_option(
               op,
               "request_three_d_secure",
               payments_three_d_secure_values,
               &intent->request_three_d_secure) &&
           payments_card_option(
               op,
               "request_incremental_authorization",
               increments,
               &intent->request_incremental_authorization) &&
           payments_card_option(op, "capture_method", captures, &intent->card_capture_method) &&
           payments_card_option(op, "setup_future_usage", usages, &intent->card_setup_future_usage);
}

bool
payments_intent_read(struct payments_flow *flow)
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
    payments_shipping_read(op, &intent->shipping);
    if (resource_text(op, "customer", &intent->customer) && intent->customer.size != 0 &&
        !payments_customer_check(op, intent->customer)) {
        return false;
    }
    return payments_participants_read(flow) && read_card_options(flow) &&
           payments_method_types(op, &intent->payment_method_types) &&
           resource_metadata(op, intent->metadata, &intent->metadata) == ERR_OK;
}

bool
payments_automatic_methods(struct resource_op *op, struct span *ret_methods)
{
    bool enabled = false;
    if (!resource_boolean(op, "automatic_payment_methods[enabled]", &enabled)) {
        return true;
    }
    if (enabled && resource_present(op, "payment_method_types")) {
        resource_invalid(
            op,
            "parameter_invalid_empty",
            "payment_method_types",
            "You may only specify one of these parameters: automatic_payment_methods, "
            "payment_method_types.");
        return false;
    }
    struct span redirects = SPAN_EMPTY;
    (void)resource_text(op, "automatic_payment_methods[allow_redirects]", &redirects);
    redirects = redirects.size == 0 ? SPAN("always") : redirects;
    *ret_methods = arena_format(
        resource_op_arena(op),
        "{\"allow_redirects\":\"%.*s\",\"enabled\":%s}",
        SPAN_PRINTF(redirects),
        enabled ? "true" : "false");
    return true;
}

/* ------------------------------------------------------------------------------------ create ---
 */

void
payments_intent_save_unconfirmed(struct payments_flow *flow, const char *event)
{
    struct resource_op *op = flow->op;
    struct payments_intent *intent = flow->intent;
    err_t error = ERR_OK;
    if (flow->method != NULL) {
        enum payments_intent_status status;
        if (!payments_intent_move(
                payments_intent_status_parse(intent->status), PAYMENTS_MOVE_ATTACH, &status)) {
            payments_fail_state(flow, "update", "payment_method");
            return;
        }
        intent->status = span_from_cstr(payments_intent_status_name(status));
        intent->payment_method = flow->method->header.id;
        payments_challenge_drop(&intent->challenge, "replaced");
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
    if (!flow->confirms && payments_is_off_session(flow->op)) {
        resource_invalid(
            flow->op,
            "parameter_missing",
            "confirm",
            "`off_session` can only be used with `confirm=true`.");
    } else if (flow->confirms) {
        payments_authorize_begin(flow);
    } else {
        payments_intent_save_unconfirmed(flow, "payment_intent.created");
    }
}

static void
create_split(struct payments_flow *flow)
{
    (void)resource_boolean(flow->op, "confirm", &flow->confirms);
    payments_method_choose(flow, create_chosen);
}

static void
create_destined(struct payments_flow *flow)
{
    payments_split_read(flow, create_split);
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

bool
payments_intent_new(struct payments_flow *flow, int64_t amount, struct span currency)
{
    struct resource_op *op = flow->op;
    struct payments_intent *intent = resource_new(op, &payments_intent_type);
    if (intent == NULL) {
        resource_internal(op, ERR_FULL, "request memory");
        return false;
    }
    flow->intent = intent;
    intent->amount = amount;
    intent->currency = span_from_cstr(currency_find(currency)->api_code);
    intent->status = span_from_cstr(payments_intent_status_name(PAYMENTS_REQUIRES_PAYMENT_METHOD));
    intent->capture_method = SPAN("automatic");
    intent->confirmation_method = SPAN("automatic");
    struct span secret = resource_new_secret(op, 25);
    intent->client_secret = arena_format(
        resource_op_arena(op),
        "%.*s_secret_%.*s",
        SPAN_PRINTF(intent->header.id),
        SPAN_PRINTF(secret));
    return true;
}

void
payments_intent_create(struct resource_op *op)
{
    struct payments_flow *flow = payments_flow_create(op);
    if (flow == NULL) {
        return;
    }
    int64_t amount;
    struct span currency_code;
    bool present =
        resource_integer(op, "amount", &amount) && resource_text(op, "currency", &currency_code);
    ASSERT(present); /* both are required in the table */
    if (!payments_intent_new(flow, amount, currency_code)) {
        return;
    }
    struct payments_intent *intent = flow->intent;
    (void)resource_text(op, "confirmation_method", &intent->confirmation_method);
    if (payments_amount_check(op, intent->amount, intent->currency) && payments_intent_read(flow) &&
        payments_automatic_methods(op, &intent->automatic_payment_methods)) {
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
    payments_shipping_read(flow->op, &flow->intent->shipping);
    if (payments_method_types(flow->op, &flow->intent->payment_method_types) &&
        read_card_options(flow)) {
        payments_split_read(flow, payments_authorize_begin);
    }
}

static void
confirm_let_go(struct payments_flow *flow)
{
    payments_method_choose(flow, confirm_chosen);
}

/* What a payer must not choose: to be asked nothing, as if the merchant paid while they are away,
 * or because the options in which the merchant asked for a proof are replaced; when the money is
 * taken; and which ways to pay the merchant takes. False: answered. */
static bool
confirms_as_a_payer_may(struct resource_op *op)
{
    static const char *const names[] = {
        "off_session", "capture_method", "payment_method_options", "payment_method_types"};
    if (resource_op_caller(op)->key_kind != RESOURCE_KEY_PUBLISHABLE) {
        return true;
    }
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (resource_node(op, names[i]) != NULL) {
            resource_invalid(
                op,
                "secret_key_required",
                names[i],
                "Only a secret key may give %s when it confirms a PaymentIntent.",
                names[i]);
            return false;
        }
    }
    return true;
}

static void
confirm_locked(struct resource_op *op)
{
    struct payments_flow *flow = payments_flow_of(op);
    enum payments_intent_status status = payments_intent_status_parse(flow->intent->status);
    if (payments_attempt_is_open(&flow->intent->attempt) ||
        !payments_intent_move(status, PAYMENTS_MOVE_ATTACH, &status)) {
        payments_fail_state(flow, "confirm", NULL);
        return;
    }
    if (payments_checkout_owns(flow, "confirm")) {
        return;
    }
    if (resource_op_caller(op)->key_kind == RESOURCE_KEY_PUBLISHABLE &&
        span_equal_cstr(flow->intent->confirmation_method, "manual")) {
        resource_invalid(
            op,
            "payment_intent_invalid_parameter",
            NULL,
            "This PaymentIntent has a confirmation_method of manual: only a secret key may confirm "
            "it.");
        return;
    }
    if (!confirms_as_a_payer_may(op)) {
        return;
    }
    flow->confirms = true;
    payments_split_let_go(flow, confirm_let_go);
}

void
payments_intent_confirm(struct resource_op *op)
{
    payments_intent_with_charge(op, confirm_locked);
}

/* ------------------------------------------------------------------------- retrieve and list ---
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
