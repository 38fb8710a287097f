/* The public API of wallets, as tables. */
#include "routes.h"

#include "flow.h"
#include "resource/pages.h"

#define TEXT(param_name, size)                                                                     \
    {                                                                                              \
        .name = (param_name), .kind = RESOURCE_PARAM_TEXT, .maximum = (size)                       \
    }
#define REQUIRED_TEXT(param_name, size)                                                            \
    {                                                                                              \
        .name = (param_name), .kind = RESOURCE_PARAM_TEXT, .required = true, .maximum = (size)     \
    }
#define METADATA                                                                                   \
    {                                                                                              \
        .name = "metadata", .kind = RESOURCE_PARAM_METADATA                                        \
    }
#define AMOUNT                                                                                     \
    {                                                                                              \
        .name = "amount", .kind = RESOURCE_PARAM_INTEGER, .required = true, .minimum = 1,          \
        .maximum = AMOUNT_MAX                                                                      \
    }
#define CURRENCY                                                                                   \
    {                                                                                              \
        .name = "currency", .kind = RESOURCE_PARAM_CURRENCY, .required = true                      \
    }
#define ID(param_name) TEXT(param_name, 64)

/* The public API's units. */
#define AMOUNT_MAX INT64_C(99999999999)

/* Ninety days. */
#define HOLD_EXPIRES_MAX_S (INT64_C(90) * 24 * 3600)

#define ONE_OF(param_name, names)                                                                  \
    {                                                                                              \
        .name = (param_name), .kind = RESOURCE_PARAM_ENUM, .values = (names)                       \
    }
/* An id or an alias. */
#define NAMED_WALLET(param_name) REQUIRED_TEXT(param_name, 300)
#define WALLET_MEMBERS                                                                             \
    TEXT("email", 300), TEXT("phone", 40), TEXT("handle", 40), TEXT("tier", 40), METADATA,         \
        RESOURCE_EXPAND_PARAM

static const struct resource_param expand_only_params[] = {RESOURCE_EXPAND_PARAM};

static const struct resource_param wallet_create_params[] = {
    REQUIRED_TEXT("customer", 64),
    CURRENCY,
    WALLET_MEMBERS,
};

static const struct resource_param wallet_update_params[] = {WALLET_MEMBERS};

static const struct resource_param wallet_list_params[] = {ID("customer"), RESOURCE_LIST_PARAMS};

static const struct resource_param transfer_create_params[] = {
    AMOUNT,
    CURRENCY,
    NAMED_WALLET("from"),
    NAMED_WALLET("to"),
    TEXT("description", 1000),
    METADATA,
    RESOURCE_EXPAND_PARAM,
};

static const struct resource_param description_params[] = {
    TEXT("description", 1000),
    METADATA,
    RESOURCE_EXPAND_PARAM,
};

static const struct resource_param of_wallet_list_params[] = {ID("wallet"), RESOURCE_LIST_PARAMS};

static const struct resource_param fund_params[] = {
    AMOUNT,
    CURRENCY,
    TEXT("description", 1000),
    METADATA,
    RESOURCE_EXPAND_PARAM,
};

static const struct resource_param request_create_params[] = {
    AMOUNT,
    CURRENCY,
    NAMED_WALLET("from"),
    NAMED_WALLET("to"),
    {.name = "expires_at", .kind = RESOURCE_PARAM_TIMESTAMP},
    TEXT("description", 1000),
    METADATA,
    RESOURCE_EXPAND_PARAM,
};

static const char *const request_states[] = {
    "open", "paid", "declined", "canceled", "expired", NULL};
static const char *const hold_states[] = {
    "pending", "active", "captured", "released", "expired", "failed", NULL};

static const struct resource_param request_list_params[] = {
    ID("wallet"),
    ONE_OF("status", request_states),
    RESOURCE_LIST_PARAMS,
};

static const struct resource_param hold_create_params[] = {
    AMOUNT,
    NAMED_WALLET("to"),
    {.name = "expires_in",
     .kind = RESOURCE_PARAM_INTEGER,
     .minimum = 1,
     .maximum = HOLD_EXPIRES_MAX_S},
    TEXT("description", 1000),
    METADATA,
    RESOURCE_EXPAND_PARAM,
};

static const struct resource_param hold_capture_params[] = {
    {.name = "amount", .kind = RESOURCE_PARAM_INTEGER, .minimum = 1, .maximum = AMOUNT_MAX},
    RESOURCE_EXPAND_PARAM,
};

static const struct resource_param hold_list_params[] = {
    ID("wallet"),
    ONE_OF("status", hold_states),
    RESOURCE_LIST_PARAMS,
};

static const char *const withdrawal_states[] = {"pending", "paid", "failed", "returned", NULL};

static const struct resource_param withdrawal_create_params[] = {
    AMOUNT,
    {.name = "bank_account", .kind = RESOURCE_PARAM_HASH, .required = true},
    REQUIRED_TEXT("bank_account[account_number]", 64),
    TEXT("bank_account[routing_number]", 64),
    TEXT("bank_account[country]", 2),
    TEXT("bank_account[account_holder_name]", 200),
    TEXT("statement_descriptor", 22),
    TEXT("description", 1000),
    METADATA,
    RESOURCE_EXPAND_PARAM,
};

static const struct resource_param withdrawal_list_params[] = {
    ID("wallet"),
    ONE_OF("status", withdrawal_states),
    RESOURCE_LIST_PARAMS,
};

static const struct resource_param withdrawal_give_params[] = {
    REQUIRED_TEXT("wallet", 300),
    RESOURCE_EXPAND_PARAM,
};

static const char *const statement_formats[] = {"json", "csv", NULL};

static const struct resource_param statement_params[] = {
    {.name = "limit", .kind = RESOURCE_PARAM_INTEGER, .minimum = 1, .maximum = 100},
    TEXT("starting_after", 64),
    TEXT("ending_before", 64),
    {.name = "created", .kind = RESOURCE_PARAM_RANGE},
    ONE_OF("format", statement_formats),
};

static const struct resource_param list_params[] = {RESOURCE_LIST_PARAMS};

#define PARAMS(table) .params = (table), .param_count = sizeof(table) / sizeof((table)[0])
#define ROUTE(route_method, route_pattern, function, table, type, ...)                             \
    {                                                                                              \
        .method = (route_method), .pattern = (route_pattern), .handler = (function),               \
        PARAMS(table), .permission = "wallets", .answers = (type), __VA_ARGS__                     \
    }
#define WALLET     &wallets_wallet_type
#define TRANSFER   &wallets_transfer_type
#define REQUEST    &wallets_request_type
#define HOLD       &wallets_hold_type
#define WITHDRAWAL &wallets_withdrawal_type
/* With effects on the books. */
#define MOVES  .flags = RESOURCE_OUTSIDE_EFFECTS
#define READS  .flags = 0
#define WRITES .flags = 0
#define LISTS  .answers_list = true

const struct resource_route wallets_route_table[] = {
    ROUTE("POST", "/v1/wallets", wallets_wallet_create, wallet_create_params, WALLET, MOVES),
    ROUTE("GET", "/v1/wallets", wallets_wallet_list, wallet_list_params, WALLET, LISTS),
    ROUTE("GET", "/v1/wallets/:id", wallets_wallet_retrieve, expand_only_params, WALLET, READS),
    ROUTE("POST", "/v1/wallets/:id", wallets_wallet_update, wallet_update_params, WALLET, WRITES),
    ROUTE(
        "POST",
        "/v1/wallets/:id/freeze",
        wallets_wallet_freeze,
        expand_only_params,
        WALLET,
        WRITES),
    ROUTE(
        "POST",
        "/v1/wallets/:id/unfreeze",
        wallets_wallet_unfreeze,
        expand_only_params,
        WALLET,
        WRITES),
    ROUTE("POST", "/v1/wallets/:id/close", wallets_wallet_close, expand_only_params, WALLET, MOVES),
    ROUTE("POST", "/v1/wallets/:id/holds", wallets_hold_create, hold_create_params, HOLD, MOVES),
    ROUTE("GET", "/v1/wallets/:id/holds", wallets_hold_list_of_wallet, list_params, HOLD, LISTS),
    ROUTE(
        "POST",
        "/v1/test_helpers/wallets/:id/fund_balance",
        wallets_wallet_fund,
        fund_params,
        TRANSFER,
        MOVES),
    ROUTE(
        "POST",
        "/v1/wallet_transfers",
        wallets_transfer_create,
        transfer_create_params,
        TRANSFER,
        MOVES),
    ROUTE(
        "GET",
        "/v1/wallet_transfers",
        wallets_transfer_list,
        of_wallet_list_params,
        TRANSFER,
        LISTS),
    ROUTE(
        "GET",
        "/v1/wallet_transfers/:id",
        wallets_transfer_retrieve,
        expand_only_params,
        TRANSFER,
        READS),
    ROUTE(
        "POST",
        "/v1/wallet_transfers/:id",
        wallets_transfer_update,
        description_params,
        TRANSFER,
        WRITES),
    ROUTE(
        "POST",
        "/v1/wallet_requests",
        wallets_request_create,
        request_create_params,
        REQUEST,
        WRITES),
    ROUTE("GET", "/v1/wallet_requests", wallets_request_list, request_list_params, REQUEST, LISTS),
    ROUTE(
        "GET",
        "/v1/wallet_requests/:id",
        wallets_request_retrieve,
        expand_only_params,
        REQUEST,
        READS),
    ROUTE(
        "POST",
        "/v1/wallet_requests/:id",
        wallets_request_update,
        description_params,
        REQUEST,
        WRITES),
    ROUTE("GET", "/v1/wallet_holds", wallets_hold_list, hold_list_params, HOLD, LISTS),
    ROUTE("GET", "/v1/wallet_holds/:id", wallets_hold_retrieve, expand_only_params, HOLD, READS),
    ROUTE("POST", "/v1/wallet_holds/:id", wallets_hold_update, description_params, HOLD, WRITES),
    ROUTE(
        "POST",
        "/v1/wallet_requests/:id/pay",
        wallets_request_pay,
        expand_only_params,
        REQUEST,
        MOVES),
    ROUTE(
        "POST",
        "/v1/wallet_requests/:id/decline",
        wallets_request_decline,
        expand_only_params,
        REQUEST,
        WRITES),
    ROUTE(
        "POST",
        "/v1/wallet_requests/:id/cancel",
        wallets_request_cancel,
        expand_only_params,
        REQUEST,
        WRITES),
    ROUTE(
        "POST",
        "/v1/wallet_holds/:id/capture",
        wallets_hold_capture,
        hold_capture_params,
        HOLD,
        MOVES),
    ROUTE(
        "POST",
        "/v1/wallet_holds/:id/release",
        wallets_hold_release,
        expand_only_params,
        HOLD,
        MOVES),
    ROUTE(
        "POST",
        "/v1/wallets/:id/withdrawals",
        wallets_withdrawal_create,
        withdrawal_create_params,
        WITHDRAWAL,
        MOVES),
    ROUTE(
        "GET",
        "/v1/wallets/:id/withdrawals",
        wallets_withdrawal_list_of_wallet,
        list_params,
        WITHDRAWAL,
        LISTS),
    ROUTE(
        "GET",
        "/v1/wallet_withdrawals",
        wallets_withdrawal_list,
        withdrawal_list_params,
        WITHDRAWAL,
        LISTS),
    ROUTE(
        "GET",
        "/v1/wallet_withdrawals/:id",
        wallets_withdrawal_retrieve,
        expand_only_params,
        WITHDRAWAL,
        READS),
    ROUTE(
        "POST",
        "/v1/wallet_withdrawals/:id",
        wallets_withdrawal_update,
        description_params,
        WITHDRAWAL,
        WRITES),
    ROUTE(
        "POST",
        "/v1/wallet_withdrawals/:id/give",
        wallets_withdrawal_give,
        withdrawal_give_params,
        WITHDRAWAL,
        MOVES),
    ROUTE(
        "GET",
        "/v1/wallets/:id/statement",
        wallets_statement_retrieve,
        statement_params,
        NULL,
        READS),
};
const uint32_t wallets_route_count = sizeof(wallets_route_table) / sizeof(wallets_route_table[0]);
