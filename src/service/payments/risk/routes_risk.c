/* Value lists, their values and rules, as a table. */
#include "risk.h"

#include "resource/pages.h"
#include "route_params.h"
#include "routes.h"

#define NEEDS(param_name, size)                                                                    \
    {                                                                                              \
        .name = (param_name), .kind = RESOURCE_PARAM_TEXT, .required = true, .maximum = (size)     \
    }

static const struct resource_param expand_only_params[] = {RESOURCE_EXPAND_PARAM};

static const struct resource_param list_create_params[] = {
    NEEDS("alias", 200),
    NEEDS("name", 200),
    ONE_OF("item_type", payments_risk_item_names),
    METADATA,
    RESOURCE_EXPAND_PARAM,
};

static const struct resource_param list_update_params[] = {
    TEXT("alias", 200),
    TEXT("name", 200),
    METADATA,
    RESOURCE_EXPAND_PARAM,
};

static const struct resource_param list_list_params[] = {
    TEXT("alias", 200),
    RESOURCE_LIST_PARAMS,
};

static const struct resource_param item_create_params[] = {
    NEEDS("value_list", PAYMENTS_RISK_ALIAS_MAX),
    NEEDS("value", PAYMENTS_RISK_VALUE_MAX),
    RESOURCE_EXPAND_PARAM,
};

static const struct resource_param item_list_params[] = {
    NEEDS("value_list", PAYMENTS_RISK_ALIAS_MAX),
    TEXT("value", PAYMENTS_RISK_VALUE_MAX),
    RESOURCE_LIST_PARAMS,
};

static const struct resource_param rule_create_params[] = {
    NEEDS("predicate", RULE_SIZE_MAX),
    TEXT("name", 200),
    BOOLEAN("enabled"),
    METADATA,
    RESOURCE_EXPAND_PARAM,
};

static const struct resource_param rule_update_params[] = {
    TEXT("predicate", RULE_SIZE_MAX),
    TEXT("name", 200),
    BOOLEAN("enabled"),
    METADATA,
    RESOURCE_EXPAND_PARAM,
};

static const struct resource_param rule_list_params[] = {RESOURCE_LIST_PARAMS};

#define RADAR(verb, path, function, table, what)                                                   \
    ROUTE(verb, "/v1/radar/" path, function, table, "radar", 0, what)
#define LIST(verb, path, function, table)                                                          \
    RADAR(verb, path, function, table, ONE_OBJECT(&payments_value_list_type))
#define ITEM(verb, path, function, table)                                                          \
    RADAR(verb, path, function, table, ONE_OBJECT(&payments_value_item_type))
#define RULE(verb, path, function, table)                                                          \
    RADAR(verb, path, function, table, ONE_OBJECT(&payments_risk_rule_type))

const struct resource_route payments_risk_route_table[] = {
    LIST("POST", "value_lists", payments_value_list_create, list_create_params),
    ROUTE(
        "GET",
        "/v1/radar/value_lists",
        payments_value_list_list,
        list_list_params,
        "radar",
        0,
        LIST_OF(&payments_value_list_type)),
    LIST("GET", "value_lists/:id", payments_value_list_retrieve, expand_only_params),
    LIST("POST", "value_lists/:id", payments_value_list_update, list_update_params),
    LIST("DELETE", "value_lists/:id", payments_value_list_delete, expand_only_params),
    ITEM("POST", "value_list_items", payments_value_item_create, item_create_params),
    ROUTE(
        "GET",
        "/v1/radar/value_list_items",
        payments_value_item_list,
        item_list_params,
        "radar",
        0,
        LIST_OF(&payments_value_item_type)),
    ITEM("GET", "value_list_items/:id", payments_value_item_retrieve, expand_only_params),
    ITEM("DELETE", "value_list_items/:id", payments_value_item_delete, expand_only_params),
    RULE("POST", "rules", payments_risk_rule_create, rule_create_params),
    ROUTE(
        "GET",
        "/v1/radar/rules",
        payments_risk_rule_list,
        rule_list_params,
        "radar",
        0,
        LIST_OF(&payments_risk_rule_type)),
    RULE("GET", "rules/:id", payments_risk_rule_retrieve, expand_only_params),
    RULE("POST", "rules/:id", payments_risk_rule_update, rule_update_params),
    RULE("DELETE", "rules/:id", payments_risk_rule_delete, expand_only_params),
};
const uint32_t payments_risk_route_count =
    sizeof(payments_risk_route_table) / sizeof(payments_risk_route_table[0]);
