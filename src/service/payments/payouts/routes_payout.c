/* Payouts, and the accounts at banks that they go to, as a table. */
#include "routes.h"

#include "payout.h"
#include "payout_calendar.h"
#include "resource/pages.h"
#include "route_params.h"

#define AMOUNT_HIGH INT64_C(999999999999)

static const char *const methods[] = {"standard", "instant", NULL};
static const char *const source_types[] = {"card", NULL};
static const char *const bank_account_only[] = {"bank_account", NULL};
static const char *const holder_types[] = {"", "company", "individual", NULL};
static const char *const account_types[] = {"checking", "savings", "futsu", "toza", NULL};

static const struct resource_param expand_only_params[] = {RESOURCE_EXPAND_PARAM};

static const struct resource_param payout_create_params[] = {
    {.name = "amount",
     .kind = RESOURCE_PARAM_INTEGER,
     .required = true,
     .minimum = 1,
     .maximum = AMOUNT_HIGH},
    {.name = "currency", .kind = RESOURCE_PARAM_CURRENCY, .required = true},
    ID("destination"),
    TEXT("description", 1000),
    METADATA,
    ONE_OF("method", methods),
    ONE_OF("source_type", source_types),
    TEXT("statement_descriptor", 22),
    RESOURCE_EXPAND_PARAM,
};

static const struct resource_param metadata_params[] = {METADATA, RESOURCE_EXPAND_PARAM};

static const struct resource_param payout_list_params[] = {
    {.name = "arrival_date", .kind = RESOURCE_PARAM_RANGE},
    ID("destination"),
    {.name = "status", .kind = RESOURCE_PARAM_ENUM, .values = payments_payout_statuses},
    RESOURCE_LIST_PARAMS,
};

static const struct resource_param account_create_params[] = {
    {.name = "external_account", .kind = RESOURCE_PARAM_HASH, .required = true},
    ONE_OF("external_account[object]", bank_account_only),
    {.name = "external_account[account_number]",
     .kind = RESOURCE_PARAM_TEXT,
     .required = true,
     .maximum = 64},
    TEXT("external_account[routing_number]", 64),
    {.name = "external_account[country]",
     .kind = RESOURCE_PARAM_TEXT,
     .required = true,
     .maximum = 2},
    {.name = "external_account[currency]", .kind = RESOURCE_PARAM_CURRENCY, .required = true},
    TEXT("external_account[account_holder_name]", 200),
    ONE_OF("external_account[account_holder_type]", holder_types),
    ONE_OF("external_account[account_type]", account_types),
    BOOLEAN("default_for_currency"),
    METADATA,
    RESOURCE_EXPAND_PARAM,
};

static const struct resource_param account_update_params[] = {
    TEXT("account_holder_name", 200),
    ONE_OF("account_holder_type", holder_types),
    BOOLEAN("default_for_currency"),
    METADATA,
    RESOURCE_EXPAND_PARAM,
};

static const char *const intervals[] = {"manual", "daily", "weekly", "monthly", NULL};

#define SCHEDULE(own) "settings[payouts][schedule][" own "]"

static const struct resource_param own_account_params[] = {
    HASH("settings"),
    HASH("settings[payouts]"),
    HASH("settings[payouts][schedule]"),
    TEXT(SCHEDULE("delay_days"), 16),
    ONE_OF(SCHEDULE("interval"), intervals),
    TEXT(SCHEDULE("monthly_anchor"), 2),
    {.name = SCHEDULE("monthly_payout_days"),
     .kind = RESOURCE_PARAM_TEXT_LIST,
     .maximum = PAYMENTS_CALENDAR_MONTHDAYS},
    ONE_OF(SCHEDULE("weekly_anchor"), payments_weekdays),
    {.name = SCHEDULE("weekly_payout_days"),
     .kind = RESOURCE_PARAM_TEXT_LIST,
     .maximum = PAYMENTS_CALENDAR_WEEKDAYS},
    RESOURCE_EXPAND_PARAM,
};

static const struct resource_param account_list_params[] = {
    ONE_OF("object", bank_account_only),
    RESOURCE_LIST_PARAMS,
};

#define PAYOUT_ROUTE(verb, path, function, table, effects)                                         \
    ROUTE(verb, path, function, table, "payouts", effects, ONE_OBJECT(&payments_payout_type))
#define EXTERNAL_ROUTE(verb, path, function, table)                                                \
    ROUTE(                                                                                         \
        verb,                                                                                      \
        "/v1/accounts/:id/external_accounts" path,                                                 \
        function,                                                                                  \
        table,                                                                                     \
        "external_accounts",                                                                       \
        0,                                                                                         \
        ONE_OBJECT(&payments_bank_account_type))
#define ACCOUNT_ROUTE(path)                                                                        \
    ROUTE(                                                                                         \
        "GET",                                                                                     \
        path,                                                                                      \
        payments_account_retrieve,                                                                 \
        expand_only_params,                                                                        \
        "external_accounts",                                                                       \
        0,                                                                                         \
        ONE_OBJECT(&payments_account_type))

const struct resource_route payments_payout_route_table[] = {
    PAYOUT_ROUTE(
        "POST",
        "/v1/payouts",
        payments_payout_create,
        payout_create_params,
        RESOURCE_OUTSIDE_EFFECTS),
    ROUTE(
        "GET",
        "/v1/payouts",
        payments_payout_list,
        payout_list_params,
        "payouts",
        0,
        LIST_OF(&payments_payout_type)),
    PAYOUT_ROUTE("GET", "/v1/payouts/:id", payments_payout_retrieve, expand_only_params, 0),
    PAYOUT_ROUTE("POST", "/v1/payouts/:id", payments_payout_update, metadata_params, 0),
    PAYOUT_ROUTE(
        "POST",
        "/v1/payouts/:id/cancel",
        payments_payout_cancel,
        expand_only_params,
        RESOURCE_OUTSIDE_EFFECTS),
    PAYOUT_ROUTE("POST", "/v1/payouts/:id/reverse", payments_payout_reverse, metadata_params, 0),
    ACCOUNT_ROUTE("/v1/account"),
    ACCOUNT_ROUTE("/v1/accounts/:id"),
    ROUTE(
        "POST",
        "/v1/accounts/:id",
        payments_account_update,
        own_account_params,
        "external_accounts",
        0,
        ONE_OBJECT(&payments_account_type)),
    EXTERNAL_ROUTE("POST", "", payments_external_account_create, account_create_params),
    ROUTE(
        "GET",
        "/v1/accounts/:id/external_accounts",
        payments_external_account_list,
        account_list_params,
        "external_accounts",
        0,
        LIST_OF(&payments_bank_account_type)),
    EXTERNAL_ROUTE("GET", "/:id", payments_external_account_retrieve, expand_only_params),
    EXTERNAL_ROUTE("POST", "/:id", payments_external_account_update, account_update_params),
    EXTERNAL_ROUTE("DELETE", "/:id", payments_external_account_delete, expand_only_params),
};
const uint32_t payments_payout_route_count =
    sizeof(payments_payout_route_table) / sizeof(payments_payout_route_table[0]);
