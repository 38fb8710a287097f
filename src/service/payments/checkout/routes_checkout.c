/* The public API of checkout sessions, and their page, as a table. */
#include "checkout.h"
#include "checkout_page.h"
#include "resource/pages.h"
#include "route_params.h"
#include "routes.h"

#define QUANTITY_MAX 999999

static const char *const modes[] = {"payment", "setup", "subscription", NULL};
static const char *const submit_types[] = {"auto", "book", "donate", "pay", NULL};
static const char *const ui_modes[] = {"hosted", "hosted_page", NULL};
static const char *const capture_methods[] = {"automatic", "automatic_async", "manual", NULL};
static const char *const usages[] = {"off_session", "on_session", NULL};
static const char *const codes_only[] = {"mobile_qr", NULL};

#define ITEM  "line_items[]"
#define PRICE ITEM "[price_data]"
#define GOODS PRICE "[product_data]"

static const struct resource_param create_params[] = {
    {.name = "mode", .kind = RESOURCE_PARAM_ENUM, .required = true, .values = modes},
    {.name = "line_items",
     .kind = RESOURCE_PARAM_HASH_LIST,
     .required = true,
     .maximum = PAYMENTS_CHECKOUT_ITEMS_MAX},
    INTEGER(ITEM "[quantity]", 1, QUANTITY_MAX),
    TEXT(ITEM "[price]", 64),
    HASH(PRICE),
    {.name = PRICE "[currency]", .kind = RESOURCE_PARAM_CURRENCY, .required = true},
    {.name = PRICE "[unit_amount]",
     .kind = RESOURCE_PARAM_INTEGER,
     .required = true,
     .minimum = 0,
     .maximum = INT64_C(999999999999)},
    TEXT(PRICE "[product]", 64),
    ANY_HASH(PRICE "[recurring]"),
    {.name = GOODS, .kind = RESOURCE_PARAM_HASH, .required = true},
    {.name = GOODS "[name]", .kind = RESOURCE_PARAM_TEXT, .required = true, .maximum = 500},
    TEXT(GOODS "[description]", 1000),
    {.name = "success_url", .kind = RESOURCE_PARAM_TEXT, .required = true, .maximum = 2048},
    TEXT("cancel_url", 2048),
    ID("customer"),
    TEXT("customer_email", 254),
    TEXT("client_reference_id", 200),
    {.name = "expires_at", .kind = RESOURCE_PARAM_TIMESTAMP},
    {.name = "payment_method_types", .kind = RESOURCE_PARAM_TEXT_LIST, .maximum = 10},
    HASH("payment_method_options"),
    HASH("payment_method_options[card]"),
    CARD_OPTION("request_three_d_secure", payments_three_d_secure_values),
    HASH("payment_intent_data"),
    ONE_OF("payment_intent_data[capture_method]", capture_methods),
    TEXT("payment_intent_data[description]", 1000),
    {.name = "payment_intent_data[metadata]", .kind = RESOURCE_PARAM_METADATA},
    TEXT("payment_intent_data[receipt_email]", 512),
    ONE_OF("payment_intent_data[setup_future_usage]", usages),
    TEXT("payment_intent_data[statement_descriptor]", 22),
    TEXT("payment_intent_data[statement_descriptor_suffix]", 22),
    TEXT("payment_intent_data[transfer_group]", 200),
    ONE_OF("submit_type", submit_types),
    ONE_OF("ui_mode", ui_modes),
    TEXT("locale", 16),
    METADATA,
    RESOURCE_EXPAND_PARAM,
};

static const struct resource_param update_params[] = {METADATA, RESOURCE_EXPAND_PARAM};
static const struct resource_param object_params[] = {RESOURCE_EXPAND_PARAM};
static const struct resource_param list_params[] = {
    RESOURCE_LIST_PARAMS,
    ID("payment_intent"),
    ID("customer"),
    ONE_OF("status", payments_checkout_statuses),
};
static const struct resource_param item_list_params[] = {
    INTEGER("limit", 1, 100),
    ID("starting_after"),
    ID("ending_before"),
};

static const struct resource_param page_params[] = {ONE_OF("by", payments_card_only)};
static const struct resource_param submit_params[] = {
    ONE_OF("by", payments_card_only),
    HASH("card"),
    TEXT("card[expiry]", 10),
    TEXT("name", 200),
    TEXT("email", 254),
    HASH("payment_method_data"),
    ONE_OF("payment_method_data[type]", codes_only),
};

const struct resource_route payments_checkout_route_table[] = {
    ROUTE(
        "POST",
        "/v1/checkout/sessions",
        payments_checkout_create,
        create_params,
        "checkout_sessions",
        0,
        ONE_OBJECT(&payments_checkout_type)),
    ROUTE(
        "GET",
        "/v1/checkout/sessions",
        payments_checkout_list,
        list_params,
        "checkout_sessions",
        0,
        LIST_OF(&payments_checkout_type)),
    ROUTE(
        "GET",
        "/v1/checkout/sessions/:id",
        payments_checkout_retrieve,
        object_params,
        "checkout_sessions",
        0,
        ONE_OBJECT(&payments_checkout_type)),
    ROUTE(
        "POST",
        "/v1/checkout/sessions/:id",
        payments_checkout_update,
        update_params,
        "checkout_sessions",
        0,
        ONE_OBJECT(&payments_checkout_type)),
    ROUTE(
        "POST",
        "/v1/checkout/sessions/:id/expire",
        payments_checkout_expire,
        object_params,
        "checkout_sessions",
        0,
        ONE_OBJECT(&payments_checkout_type)),
    {
        .method = "GET",
        .pattern = "/v1/checkout/sessions/:id/line_items",
        .handler = payments_checkout_item_list,
        PARAMS(item_list_params),
        .permission = "checkout_sessions",
    },
    {
        .method = "GET",
        .pattern = "/checkout/:scope/:secret",
        .handler = payments_checkout_page_show,
        PARAMS(page_params),
        .flags = RESOURCE_PUBLIC,
        .refusal_page = payments_checkout_refusal_write,
    },
    {
        .method = "POST",
        .pattern = "/checkout/:scope/:secret",
        .handler = payments_checkout_page_submit,
        PARAMS(submit_params),
        .flags = RESOURCE_PUBLIC | RESOURCE_OUTSIDE_EFFECTS | RESOURCE_CARD_DATA,
        .card_parameter = "card",
        .refusal_page = payments_checkout_refusal_write,
    },
};
const uint32_t payments_checkout_route_count =
    sizeof(payments_checkout_route_table) / sizeof(payments_checkout_route_table[0]);
