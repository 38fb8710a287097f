/* The public API of wallets, as tables. */
#include "routes.h"

#include "flow.h"

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

#define PARAMS(table) .params = (table), .param_count = sizeof(table) / sizeof((table)[0])
#define ROUTE(route_method, route_pattern, function, table, type, ...)                             \
    {                                                                                              \
        .method = (route_method), .pattern = (route_pattern), .handler = (function),               \
        PARAMS(table), .permission = "wallets", .answers = (type), __VA_ARGS__                     \
    }
#define WALLET   &wallets_wallet_type
#define TRANSFER &wallets_transfer_type
/* With effects on the books. */
#define MOVES .flags = RESOURCE_OUTSIDE_EFFECTS
#define READS .flags = 0
#define LISTS .answers_list = true

const struct resource_route wallets_route_table[] = {
    ROUTE("POST", "/v1/wallets", wallets_wallet_create, wallet_create_params, WALLET, MOVES),
    ROUTE("GET", "/v1/wallets", wallets_wallet_list, wallet_list_params, WALLET, LISTS),
    ROUTE("GET", "/v1/wallets/:id", wallets_wallet_retrieve, expand_only_params, WALLET, READS),
    ROUTE("POST", "/v1/wallets/:id", wallets_wallet_update, wallet_update_params, WALLET, READS),
    ROUTE(
        "POST", "/v1/wallets/:id/freeze", wallets_wallet_freeze, expand_only_params, WALLET, READS),
    ROUTE(
        "POST",
        "/v1/wallets/:id/unfreeze",
        wallets_wallet_unfreeze,
        expand_only_params,
        WALLET,
        READS),
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
        READS),
};
const uint32_t wallets_route_count = sizeof(wallets_route_table) / sizeof(wallets_route_table[0]);
