#include "resource/pages.h"
#include "service.h"

#define ROLL_MAX_S INT64_C(604800)

static const char *const statuses[] = {"pending", "succeeded", "failed", "canceled", NULL};

#define MEMBERS                                                                                    \
    {.name = "description", .kind = RESOURCE_PARAM_TEXT, .maximum = 5000},                         \
        {.name = "metadata", .kind = RESOURCE_PARAM_METADATA}, RESOURCE_EXPAND_PARAM

static const struct resource_param create_params[] = {
    {.name = "url", .kind = RESOURCE_PARAM_TEXT, .required = true, .maximum = 5000},
    {.name = "enabled_events",
     .kind = RESOURCE_PARAM_TEXT_LIST,
     .required = true,
     .maximum = FORM_CHILDREN_MAX},
    {.name = "api_version", .kind = RESOURCE_PARAM_TEXT, .maximum = 5000},
    {.name = "connect", .kind = RESOURCE_PARAM_BOOLEAN},
    MEMBERS,
};
static const struct resource_param update_params[] = {
    {.name = "url", .kind = RESOURCE_PARAM_TEXT, .maximum = 5000},
    {.name = "enabled_events", .kind = RESOURCE_PARAM_TEXT_LIST, .maximum = FORM_CHILDREN_MAX},
    {.name = "disabled", .kind = RESOURCE_PARAM_BOOLEAN},
    MEMBERS,
};
static const struct resource_param roll_params[] = {
    {.name = "expires_in", .kind = RESOURCE_PARAM_INTEGER, .minimum = 0, .maximum = ROLL_MAX_S},
    RESOURCE_EXPAND_PARAM,
};
static const struct resource_param retrieve_params[] = {RESOURCE_EXPAND_PARAM};
static const struct resource_param list_params[] = {RESOURCE_LIST_PARAMS};
static const struct resource_param delivery_list_params[] = {
    {.name = "status", .kind = RESOURCE_PARAM_ENUM, .values = statuses},
    RESOURCE_LIST_PARAMS,
};
static const struct resource_param resend_params[] = {
    {.name = "webhook_endpoint", .kind = RESOURCE_PARAM_TEXT, .required = true, .maximum = 64},
    RESOURCE_EXPAND_PARAM,
};

#define PARAMS(table) .params = (table), .param_count = sizeof(table) / sizeof((table)[0])
#define ENDPOINTS     .permission = "webhook_endpoints", .answers = &events_endpoint_type
#define DELIVERIES    .permission = "webhook_endpoints", .answers = &events_delivery_type

const struct resource_route events_route_table[] = {
    {.method = "POST",
     .pattern = "/v1/webhook_endpoints",
     .handler = events_endpoint_create,
     PARAMS(create_params),
     .flags = RESOURCE_NOT_KEPT,
     ENDPOINTS},
    {.method = "GET",
     .pattern = "/v1/webhook_endpoints",
     .handler = events_endpoint_list,
     PARAMS(list_params),
     ENDPOINTS,
     .answers_list = true},
    {.method = "GET",
     .pattern = "/v1/webhook_endpoints/:id",
     .handler = events_endpoint_retrieve,
     PARAMS(retrieve_params),
     ENDPOINTS},
    {.method = "POST",
     .pattern = "/v1/webhook_endpoints/:id",
     .handler = events_endpoint_update,
     PARAMS(update_params),
     ENDPOINTS},
    {.method = "DELETE",
     .pattern = "/v1/webhook_endpoints/:id",
     .handler = events_endpoint_delete,
     .permission = "webhook_endpoints"},
    {.method = "POST",
     .pattern = "/v1/webhook_endpoints/:id/roll_secret",
     .handler = events_endpoint_roll,
     PARAMS(roll_params),
     .flags = RESOURCE_NOT_KEPT,
     ENDPOINTS},
    {.method = "GET",
     .pattern = "/v1/webhook_endpoints/:id/deliveries",
     .handler = events_delivery_list_of_endpoint,
     PARAMS(delivery_list_params),
     DELIVERIES,
     .answers_list = true},
    {.method = "GET",
     .pattern = "/v1/webhook_endpoints/:id/deliveries/:delivery",
     .handler = events_delivery_retrieve,
     PARAMS(retrieve_params),
     DELIVERIES},
    {.method = "GET",
     .pattern = "/v1/events/:id/deliveries",
     .handler = events_delivery_list_of_event,
     .permission = "webhook_endpoints"},
    {.method = "POST",
     .pattern = "/v1/events/:id/resend",
     .handler = events_delivery_resend,
     PARAMS(resend_params),
     DELIVERIES},
    /* What Stripe's command line calls for the same. */
    {.method = "POST",
     .pattern = "/v1/events/:id/retry",
     .handler = events_delivery_resend,
     PARAMS(resend_params),
     DELIVERIES},
};
const uint32_t events_route_count = sizeof(events_route_table) / sizeof(events_route_table[0]);
