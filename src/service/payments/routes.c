/* The public API of payments, as tables. */
#include "routes.h"

#include "flow.h"
#include "handlers.h"
#include "resource/pages.h"
#include "route_params.h"

/* Large enough for the limit's own error to say what the limit is. */
#define AMOUNT_HIGH INT64_C(999999999999)

const char *const payments_card_only[] = {"card", NULL};
const char *const payments_payable_types[] = {"card", "wallet", "mobile_qr", "payer_code", NULL};
static const char *const method_types[] = {"card", "wallet", "mobile_qr", NULL};
static const char *const capture_methods[] = {"automatic", "automatic_async", "manual", NULL};
static const char *const confirmation_methods[] = {"automatic", "manual", NULL};
static const char *const future_usages[] = {"", "off_session", "on_session", NULL};
static const char *const off_session_values[] = {"true", "false", "one_off", "recurring", NULL};
const char *const payments_redisplays[] = {"always", "limited", "unspecified", NULL};
const char *const payments_if_available[] = {"if_available", "never", NULL};
const char *const payments_manual_only[] = {"manual", NULL};
const char *const payments_card_usages[] = {"", "none", "off_session", "on_session", NULL};
static const char *const redirects[] = {"always", "never", NULL};
static const char *const cancel_reasons[] = {
    "duplicate", "fraudulent", "requested_by_customer", "abandoned", NULL};
static const char *const refund_reasons[] = {
    "duplicate", "fraudulent", "requested_by_customer", NULL};

#define INTENT_COMMON                                                                              \
    ID("customer"), TEXT("description", 1000), ID("payment_method"),                               \
        METHOD_DATA(payments_payable_types), ONE_OF("capture_method", capture_methods), METADATA,  \
        TEXT("receipt_email", 512), ONE_OF("setup_future_usage", future_usages), SHIPPING,         \
        TEXT("statement_descriptor", 22), TEXT("statement_descriptor_suffix", 22),                 \
        TEXT("transfer_group", 200), METHOD_OPTIONS, SPLIT, COORDINATOR_PARAM,                     \
        {.name = "payment_method_types", .kind = RESOURCE_PARAM_TEXT_LIST, .maximum = 40},         \
        RESOURCE_EXPAND_PARAM

/* A wallet pays a part beside the payment method (split.c). */
#define SPLIT HASH("split"), ID("split[wallet]"), INTEGER("split[amount]", 1, AMOUNT_HIGH)

static const struct resource_param intent_create_params[] = {
    {.name = "amount",
     .kind = RESOURCE_PARAM_INTEGER,
     .required = true,
     .minimum = 0,
     .maximum = AMOUNT_HIGH},
    {.name = "currency", .kind = RESOURCE_PARAM_CURRENCY, .required = true},
    INTENT_COMMON,
    HASH("automatic_payment_methods"),
    BOOLEAN("automatic_payment_methods[enabled]"),
    ONE_OF("automatic_payment_methods[allow_redirects]", redirects),
    BOOLEAN("confirm"),
    ONE_OF("confirmation_method", confirmation_methods),
    HASH("transfer_data"),
    ID("transfer_data[destination]"),
    BOOLEAN("error_on_requires_action"),
    ONE_OF("off_session", off_session_values),
    BOOLEAN("use_stripe_sdk"),
    ANY_HASH("mandate_data"),
    ANY_HASH("radar_options"),
    TEXT("return_url", 2048),
};

static const struct resource_param intent_update_params[] = {
    INTEGER("amount", 0, AMOUNT_HIGH),
    {.name = "currency", .kind = RESOURCE_PARAM_CURRENCY},
    INTENT_COMMON,
    TEXT("client_secret", 200),
};

static const struct resource_param intent_retrieve_params[] = {
    TEXT("client_secret", 200),
    RESOURCE_EXPAND_PARAM,
};

static const struct resource_param intent_list_params[] = {
    ID("customer"),
    RESOURCE_LIST_PARAMS,
};

static const struct resource_param search_params[] = {RESOURCE_SEARCH_PARAMS};

static const struct resource_param intent_confirm_params[] = {
    ID("payment_method"),
    METHOD_DATA(payments_payable_types),
    ONE_OF("capture_method", capture_methods),
    TEXT("receipt_email", 512),
    ONE_OF("setup_future_usage", future_usages),
    SHIPPING,
    METHOD_OPTIONS,
    SPLIT,
    ANY_HASH("mandate_data"),
    ANY_HASH("radar_options"),
    {.name = "payment_method_types", .kind = RESOURCE_PARAM_TEXT_LIST, .maximum = 40},
    BOOLEAN("error_on_requires_action"),
    ONE_OF("off_session", off_session_values),
    BOOLEAN("use_stripe_sdk"),
    TEXT("return_url", 2048),
    TEXT("client_secret", 200),
    RESOURCE_EXPAND_PARAM,
};

static const struct resource_param intent_capture_params[] = {
    INTEGER("amount_to_capture", 1, AMOUNT_HIGH),
    BOOLEAN("final_capture"),
    METADATA,
    TEXT("statement_descriptor", 22),
    TEXT("statement_descriptor_suffix", 22),
    RESOURCE_EXPAND_PARAM,
};

static const struct resource_param intent_increment_params[] = {
    {.name = "amount",
     .kind = RESOURCE_PARAM_INTEGER,
     .required = true,
     .minimum = 0,
     .maximum = AMOUNT_HIGH},
    TEXT("description", 1000),
    METADATA,
    TEXT("statement_descriptor", 22),
    RESOURCE_EXPAND_PARAM,
};

static const struct resource_param intent_cancel_params[] = {
    ONE_OF("cancellation_reason", cancel_reasons),
    RESOURCE_EXPAND_PARAM,
};

static const struct resource_param method_create_params[] = {
    {.name = "type", .kind = RESOURCE_PARAM_ENUM, .required = true, .values = method_types},
    CARD("card"),
    ANY_HASH("mobile_qr"),
    HASH("wallet"),
    ID("wallet[id]"),
    BILLING("billing_details"),
    ONE_OF("allow_redisplay", payments_redisplays),
    METADATA,
    RESOURCE_EXPAND_PARAM,
};

static const struct resource_param method_update_params[] = {
    HASH("card"),
    INTEGER("card[exp_month]", INT64_MIN, INT64_MAX), /* the vault says what is wrong with them */
    INTEGER("card[exp_year]", INT64_MIN, INT64_MAX),
    BILLING("billing_details"),
    ONE_OF("allow_redisplay", payments_redisplays),
    METADATA,
    RESOURCE_EXPAND_PARAM,
};

static const struct resource_param method_list_params[] = {
    ID("customer"),
    ONE_OF("type", method_types),
    ONE_OF("allow_redisplay", payments_redisplays),
    RESOURCE_LIST_PARAMS,
};

static const struct resource_param method_attach_params[] = {
    {.name = "customer", .kind = RESOURCE_PARAM_TEXT, .required = true, .maximum = 64},
    RESOURCE_EXPAND_PARAM,
};

static const struct resource_param expand_only_params[] = {RESOURCE_EXPAND_PARAM};

static const struct resource_param customer_params[] = {
    TEXT("name", 256),
    TEXT("email", 512),
    TEXT("phone", 20),
    TEXT("description", 1000),
    ADDRESS("address"),
    SHIPPING,
    METADATA,
    ID("payment_method"),
    HASH("invoice_settings"),
    ID("invoice_settings[default_payment_method]"),
    {.name = "preferred_locales", .kind = RESOURCE_PARAM_TEXT_LIST, .maximum = 20},
    RESOURCE_EXPAND_PARAM,
};

static const struct resource_param customer_list_params[] = {
    TEXT("email", 512),
    RESOURCE_LIST_PARAMS,
};

static const struct resource_param charge_update_params[] = {
    TEXT("description", 1000),
    TEXT("receipt_email", 512),
    TEXT("transfer_group", 200),
    SHIPPING,
    ANY_HASH("fraud_details"),
    METADATA,
    RESOURCE_EXPAND_PARAM,
};

static const struct resource_param charge_list_params[] = {
    ID("payment_intent"),
    ID("customer"),
    RESOURCE_LIST_PARAMS,
};

static const struct resource_param refund_create_params[] = {
    ID("charge"),
    ID("payment_intent"),
    INTEGER("amount", 1, AMOUNT_HIGH),
    ONE_OF("reason", refund_reasons),
    METADATA,
    RESOURCE_EXPAND_PARAM,
};

static const struct resource_param metadata_params[] = {METADATA, RESOURCE_EXPAND_PARAM};

static const struct resource_param refund_list_params[] = {
    ID("charge"),
    ID("payment_intent"),
    RESOURCE_LIST_PARAMS,
};

static const struct resource_param transaction_list_params[] = {
    ID("source"),
    ID("payout"),
    TEXT("type", 40),
    {.name = "currency", .kind = RESOURCE_PARAM_CURRENCY},
    RESOURCE_LIST_PARAMS,
};

#define SEARCH(route_pattern, function, rights, type)                                              \
    {                                                                                              \
        .method = "GET", .pattern = (route_pattern), .handler = (function), PARAMS(search_params), \
        .permission = (rights), .answers = (type), .answers_search = true                          \
    }

const struct resource_route payments_route_table[] = {
    {
        .method = "GET",
        .pattern = "/v1/tael/payment_intents/:id/trace",
        .handler = payments_intent_trace,
        .permission = "payment_intents",
    },
    ROUTE(
        "POST",
        "/v1/payment_intents",
        payments_intent_create,
        intent_create_params,
        "payment_intents",
        CONFIRMS,
        ONE_OBJECT(&payments_intent_type)),
    ROUTE(
        "GET",
        "/v1/payment_intents",
        payments_intent_list,
        intent_list_params,
        "payment_intents",
        0,
        LIST_OF(&payments_intent_type)),
    SEARCH(
        "/v1/payment_intents/search",
        payments_intent_search,
        "payment_intents",
        &payments_intent_type),
    ROUTE(
        "GET",
        "/v1/payment_intents/:id",
        payments_intent_retrieve,
        intent_retrieve_params,
        "payment_intents",
        RESOURCE_PUBLISHABLE,
        ONE_OBJECT(&payments_intent_type)),
    ROUTE(
        "POST",
        "/v1/payment_intents/:id",
        payments_intent_update,
        intent_update_params,
        "payment_intents",
        RESOURCE_CARD_DATA,
        ONE_OBJECT(&payments_intent_type)),
    ROUTE(
        "POST",
        "/v1/payment_intents/:id/confirm",
        payments_intent_confirm,
        intent_confirm_params,
        "payment_intents",
        CONFIRMS | RESOURCE_PUBLISHABLE,
        ONE_OBJECT(&payments_intent_type)),
    ROUTE(
        "POST",
        "/v1/payment_intents/:id/capture",
        payments_intent_capture,
        intent_capture_params,
        "payment_intents",
        RESOURCE_OUTSIDE_EFFECTS,
        ONE_OBJECT(&payments_intent_type)),
    ROUTE(
        "POST",
        "/v1/payment_intents/:id/increment_authorization",
        payments_intent_increment,
        intent_increment_params,
        "payment_intents",
        RESOURCE_OUTSIDE_EFFECTS,
        ONE_OBJECT(&payments_intent_type)),
    ROUTE(
        "POST",
        "/v1/payment_intents/:id/cancel",
        payments_intent_cancel,
        intent_cancel_params,
        "payment_intents",
        RESOURCE_OUTSIDE_EFFECTS,
        ONE_OBJECT(&payments_intent_type)),
    {
        .method = "POST",
        .pattern = "/v1/payment_methods",
        .handler = payments_method_create,
        PARAMS(method_create_params),
        .permission = "payment_methods",
        .flags = RESOURCE_CARD_DATA | RESOURCE_PUBLISHABLE,
        .card_parameter = "card",
        .answers = &payments_method_type,
    },
    ROUTE(
        "GET",
        "/v1/payment_methods",
        payments_method_list,
        method_list_params,
        "payment_methods",
        0,
        LIST_OF(&payments_method_type)),
    ROUTE(
        "GET",
        "/v1/payment_methods/:id",
        payments_method_retrieve,
        expand_only_params,
        "payment_methods",
        0,
        ONE_OBJECT(&payments_method_type)),
    ROUTE(
        "POST",
        "/v1/payment_methods/:id",
        payments_method_update,
        method_update_params,
        "payment_methods",
        0,
        ONE_OBJECT(&payments_method_type)),
    ROUTE(
        "POST",
        "/v1/payment_methods/:id/attach",
        payments_method_attach,
        method_attach_params,
        "payment_methods",
        0,
        ONE_OBJECT(&payments_method_type)),
    ROUTE(
        "POST",
        "/v1/payment_methods/:id/detach",
        payments_method_detach,
        expand_only_params,
        "payment_methods",
        0,
        ONE_OBJECT(&payments_method_type)),
    ROUTE(
        "POST",
        "/v1/customers",
        payments_customer_create,
        customer_params,
        "customers",
        0,
        ONE_OBJECT(&payments_customer_type)),
    ROUTE(
        "GET",
        "/v1/customers",
        payments_customer_list,
        customer_list_params,
        "customers",
        0,
        LIST_OF(&payments_customer_type)),
    SEARCH("/v1/customers/search", payments_customer_search, "customers", &payments_customer_type),
    ROUTE(
        "GET",
        "/v1/customers/:id",
        payments_customer_retrieve,
        expand_only_params,
        "customers",
        0,
        ONE_OBJECT(&payments_customer_type)),
    ROUTE(
        "POST",
        "/v1/customers/:id",
        payments_customer_update,
        customer_params,
        "customers",
        0,
        ONE_OBJECT(&payments_customer_type)),
    ROUTE(
        "DELETE",
        "/v1/customers/:id",
        payments_customer_delete,
        expand_only_params,
        "customers",
        0,
        ONE_OBJECT(&payments_customer_type)),
    ROUTE(
        "GET",
        "/v1/customers/:id/payment_methods",
        payments_customer_method_list,
        method_list_params,
        "customers",
        0,
        LIST_OF(&payments_method_type)),
    ROUTE(
        "GET",
        "/v1/customers/:id/payment_methods/:id",
        payments_customer_method_retrieve,
        expand_only_params,
        "customers",
        0,
        ONE_OBJECT(&payments_method_type)),
    ROUTE(
        "GET",
        "/v1/charges",
        payments_charge_list,
        charge_list_params,
        "charges",
        0,
        LIST_OF(&payments_charge_type)),
    SEARCH("/v1/charges/search", payments_charge_search, "charges", &payments_charge_type),
    ROUTE(
        "GET",
        "/v1/charges/:id",
        payments_charge_retrieve,
        expand_only_params,
        "charges",
        0,
        ONE_OBJECT(&payments_charge_type)),
    ROUTE(
        "POST",
        "/v1/charges/:id",
        payments_charge_update,
        charge_update_params,
        "charges",
        0,
        ONE_OBJECT(&payments_charge_type)),
    ROUTE(
        "POST",
        "/v1/refunds",
        payments_refund_create,
        refund_create_params,
        "refunds",
        RESOURCE_OUTSIDE_EFFECTS,
        ONE_OBJECT(&payments_refund_type)),
    ROUTE(
        "GET",
        "/v1/refunds",
        payments_refund_list,
        refund_list_params,
        "refunds",
        0,
        LIST_OF(&payments_refund_type)),
    ROUTE(
        "GET",
        "/v1/refunds/:id",
        payments_refund_retrieve,
        expand_only_params,
        "refunds",
        0,
        ONE_OBJECT(&payments_refund_type)),
    ROUTE(
        "POST",
        "/v1/refunds/:id",
        payments_refund_update,
        metadata_params,
        "refunds",
        0,
        ONE_OBJECT(&payments_refund_type)),
    ROUTE(
        "GET",
        "/v1/balance",
        payments_balance_retrieve,
        expand_only_params,
        "balance",
        0,
        ONE_OBJECT(NULL)),
    ROUTE(
        "GET",
        "/v1/balance_transactions",
        payments_balance_transaction_list,
        transaction_list_params,
        "balance",
        0,
        LIST_OF(&payments_balance_transaction_type)),
    ROUTE(
        "GET",
        "/v1/balance_transactions/:id",
        payments_balance_transaction_retrieve,
        expand_only_params,
        "balance",
        0,
        ONE_OBJECT(&payments_balance_transaction_type)),
    ROUTE(
        "GET",
        "/v1/balance/history",
        payments_balance_transaction_list,
        transaction_list_params,
        "balance",
        0,
        LIST_OF(&payments_balance_transaction_type)),
};
const uint32_t payments_route_count =
    sizeof(payments_route_table) / sizeof(payments_route_table[0]);
