/* The public API of setups, and the page on which customers authenticate, as tables. */
#include "routes.h"

#include "flow.h"
#include "handlers.h"
#include "page.h"
#include "resource/pages.h"
#include "route_params.h"

static const char *const usages[] = {"off_session", "on_session", NULL};
static const char *const redirects[] = {"always", "never", NULL};
static const char *const cancel_reasons[] = {
    "abandoned", "requested_by_customer", "duplicate", NULL};
static const char *const page_answers[] = {"complete", "fail", NULL};

#define SETUP_COMMON                                                                               \
    ID("customer"), TEXT("description", 1000), ID("payment_method"),                               \
        METHOD_DATA(payments_card_only), METADATA, SETUP_METHOD_OPTIONS,                           \
        {.name = "payment_method_types", .kind = RESOURCE_PARAM_TEXT_LIST, .maximum = 40},         \
        RESOURCE_EXPAND_PARAM

static const struct resource_param create_params[] = {
    SETUP_COMMON,
    HASH("automatic_payment_methods"),
    BOOLEAN("automatic_payment_methods[enabled]"),
    ONE_OF("automatic_payment_methods[allow_redirects]", redirects),
    BOOLEAN("confirm"),
    ANY_HASH("mandate_data"),
    TEXT("return_url", 2048),
    ONE_OF("usage", usages),
    BOOLEAN("use_stripe_sdk"),
};

static const struct resource_param update_params[] = {SETUP_COMMON};

static const struct resource_param retrieve_params[] = {
    TEXT("client_secret", 200),
    RESOURCE_EXPAND_PARAM,
};

static const struct resource_param list_params[] = {
    ID("customer"),
    ID("payment_method"),
    RESOURCE_LIST_PARAMS,
};

static const struct resource_param confirm_params[] = {
    ID("payment_method"),
    METHOD_DATA(payments_card_only),
    SETUP_METHOD_OPTIONS,
    ANY_HASH("mandate_data"),
    TEXT("return_url", 2048),
    BOOLEAN("use_stripe_sdk"),
    TEXT("client_secret", 200),
    RESOURCE_EXPAND_PARAM,
};

static const struct resource_param cancel_params[] = {
    ONE_OF("cancellation_reason", cancel_reasons),
    RESOURCE_EXPAND_PARAM,
};

static const struct resource_param attempt_list_params[] = {
    {.name = "setup_intent", .kind = RESOURCE_PARAM_TEXT, .required = true, .maximum = 64},
    RESOURCE_LIST_PARAMS,
};

static const struct resource_param page_params[] = {
    {.name = "answer", .kind = RESOURCE_PARAM_ENUM, .required = true, .values = page_answers},
};

const struct resource_route payments_setup_route_table[] = {
    ROUTE(
        "POST",
        "/v1/setup_intents",
        payments_setup_create,
        create_params,
        "setup_intents",
        CONFIRMS,
        ONE_OBJECT(&payments_setup_type)),
    ROUTE(
        "GET",
        "/v1/setup_intents",
        payments_setup_list,
        list_params,
        "setup_intents",
        0,
        LIST_OF(&payments_setup_type)),
    ROUTE(
        "GET",
        "/v1/setup_intents/:id",
        payments_setup_retrieve,
        retrieve_params,
        "setup_intents",
        RESOURCE_PUBLISHABLE,
        ONE_OBJECT(&payments_setup_type)),
    ROUTE(
        "POST",
        "/v1/setup_intents/:id",
        payments_setup_update,
        update_params,
        "setup_intents",
        RESOURCE_CARD_DATA,
        ONE_OBJECT(&payments_setup_type)),
    ROUTE(
        "POST",
        "/v1/setup_intents/:id/confirm",
        payments_setup_confirm,
        confirm_params,
        "setup_intents",
        CONFIRMS | RESOURCE_PUBLISHABLE,
        ONE_OBJECT(&payments_setup_type)),
    ROUTE(
        "POST",
        "/v1/setup_intents/:id/cancel",
        payments_setup_cancel,
        cancel_params,
        "setup_intents",
        0,
        ONE_OBJECT(&payments_setup_type)),
    ROUTE(
        "GET",
        "/v1/setup_attempts",
        payments_setup_attempt_list,
        attempt_list_params,
        "setup_intents",
        0,
        LIST_OF(&payments_setup_attempt_type)),
    {
        .method = "GET",
        .pattern = "/authenticate/:scope/:secret",
        .handler = payments_page_show,
        .flags = RESOURCE_PUBLIC,
        .refusal_page = payments_page_refusal_write,
    },
    {
        .method = "POST",
        .pattern = "/authenticate/:scope/:secret",
        .handler = payments_page_submit,
        PARAMS(page_params),
        .flags = RESOURCE_PUBLIC | RESOURCE_OUTSIDE_EFFECTS,
        .refusal_page = payments_page_refusal_write,
    },
};
const uint32_t payments_setup_route_count =
    sizeof(payments_setup_route_table) / sizeof(payments_setup_route_table[0]);
