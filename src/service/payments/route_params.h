/* Words for the tables of routes.c and routes_setup.c. */
#ifndef PAYMENTS_ROUTE_PARAMS_H
#define PAYMENTS_ROUTE_PARAMS_H

#include "resource/resource.h"

extern const char *const payments_card_only[];
extern const char *const payments_payable_types[];
extern const char *const payments_if_available[];
extern const char *const payments_manual_only[];
extern const char *const payments_card_usages[];
extern const char *const payments_redisplays[];

#define TEXT(param_name, size)                                                                     \
    {                                                                                              \
        .name = (param_name), .kind = RESOURCE_PARAM_TEXT, .maximum = (size)                       \
    }
#define HASH(param_name)                                                                           \
    {                                                                                              \
        .name = (param_name), .kind = RESOURCE_PARAM_HASH                                          \
    }
#define ANY_HASH(param_name)                                                                       \
    {                                                                                              \
        .name = (param_name), .kind = RESOURCE_PARAM_ANY_HASH                                      \
    }
#define BOOLEAN(param_name)                                                                        \
    {                                                                                              \
        .name = (param_name), .kind = RESOURCE_PARAM_BOOLEAN                                       \
    }
#define METADATA                                                                                   \
    {                                                                                              \
        .name = "metadata", .kind = RESOURCE_PARAM_METADATA                                        \
    }
#define INTEGER(param_name, low, high)                                                             \
    {                                                                                              \
        .name = (param_name), .kind = RESOURCE_PARAM_INTEGER, .minimum = (low), .maximum = (high)  \
    }
#define ONE_OF(param_name, names)                                                                  \
    {                                                                                              \
        .name = (param_name), .kind = RESOURCE_PARAM_ENUM, .values = (names)                       \
    }
#define ID(param_name) TEXT(param_name, 64)

#define BILLING(prefix)                                                                            \
    HASH(prefix), ADDRESS(prefix "[address]"), TEXT(prefix "[email]", 512),                        \
        TEXT(prefix "[name]", 200), TEXT(prefix "[phone]", 40)

/* As it is shown: a name that Stripe's objects do not have is refused, not shown later. */
#define ADDRESS(prefix)                                                                            \
    HASH(prefix), TEXT(prefix "[city]", 200), TEXT(prefix "[country]", 2),                         \
        TEXT(prefix "[line1]", 200), TEXT(prefix "[line2]", 200),                                  \
        TEXT(prefix "[postal_code]", 20), TEXT(prefix "[state]", 200)
#define SHIPPING                                                                                   \
    HASH("shipping"), ADDRESS("shipping[address]"), TEXT("shipping[carrier]", 200),                \
        TEXT("shipping[name]", 200), TEXT("shipping[phone]", 40),                                  \
        TEXT("shipping[tracking_number]", 500)

/* What is kept as given, and shown. */
#define CARD_OPTION(param_name, names) ONE_OF("payment_method_options[card][" param_name "]", names)
#define SETUP_METHOD_OPTIONS                                                                       \
    HASH("payment_method_options"), HASH("payment_method_options[card]"),                          \
        CARD_OPTION("request_three_d_secure", payments_three_d_secure_values)
#define METHOD_OPTIONS                                                                             \
    SETUP_METHOD_OPTIONS, CARD_OPTION("capture_method", payments_manual_only),                     \
        CARD_OPTION("request_extended_authorization", payments_if_available),                      \
        CARD_OPTION("request_incremental_authorization", payments_if_available),                   \
        CARD_OPTION("request_multicapture", payments_if_available),                                \
        CARD_OPTION("request_overcapture", payments_if_available),                                 \
        CARD_OPTION("setup_future_usage", payments_card_usages)

/* The number and the CVC never get here: the runtime hands them to the vault first. */
#define CARD(prefix)                                                                               \
    HASH(prefix), TEXT(prefix "[number]", 32), TEXT(prefix "[cvc]", 8),                            \
        INTEGER(prefix "[exp_month]", INT64_MIN, INT64_MAX),                                       \
        INTEGER(prefix "[exp_year]", INT64_MIN, INT64_MAX), TEXT(prefix "[token]", 64)

/* `types`: what may be paid or set up with. */
#define METHOD_DATA(types)                                                                         \
    HASH("payment_method_data"),                                                                   \
        {.name = "payment_method_data[type]", .kind = RESOURCE_PARAM_ENUM, .values = (types)},     \
        CARD("payment_method_data[card]"), HASH("payment_method_data[wallet]"),                    \
        ID("payment_method_data[wallet][id]"), ANY_HASH("payment_method_data[mobile_qr]"),         \
        HASH("payment_method_data[payer_code]"),                                                   \
        TEXT("payment_method_data[payer_code][code]", 64),                                         \
        BILLING("payment_method_data[billing_details]"),                                           \
        {.name = "payment_method_data[metadata]", .kind = RESOURCE_PARAM_METADATA},                \
        ONE_OF("payment_method_data[allow_redisplay]", payments_redisplays)

#define PARAMS(table) .params = (table), .param_count = sizeof(table) / sizeof((table)[0])
/* What a route answers. */
#define ONE_OBJECT(type) .answers = (type)
#define LIST_OF(type)    .answers = (type), .answers_list = true
#define ROUTE(route_method, route_pattern, function, table, rights, route_flags, ...)              \
    {                                                                                              \
        .method = (route_method), .pattern = (route_pattern), .handler = (function),               \
        PARAMS(table), .permission = (rights), .flags = (route_flags),                             \
        .card_parameter =                                                                          \
            ((route_flags)&RESOURCE_CARD_DATA) != 0 ? "payment_method_data[card]" : NULL,          \
        __VA_ARGS__                                                                                \
    }

#define CONFIRMS (RESOURCE_OUTSIDE_EFFECTS | RESOURCE_CARD_DATA)

#endif
