#include "requests_internal.h"

static const char *const methods[] = {"GET", "POST", "DELETE", NULL};

static const struct resource_param list_params[] = {
    {.name = "limit", .kind = RESOURCE_PARAM_INTEGER, .minimum = 1, .maximum = 100},
    {.name = "starting_after", .kind = RESOURCE_PARAM_TEXT, .maximum = 64},
    {.name = "ending_before", .kind = RESOURCE_PARAM_TEXT, .maximum = 64},
    {.name = "created", .kind = RESOURCE_PARAM_RANGE},
    {.name = "status", .kind = RESOURCE_PARAM_TEXT, .maximum = 16},
    {.name = "method", .kind = RESOURCE_PARAM_ENUM, .values = methods},
    {.name = "path", .kind = RESOURCE_PARAM_TEXT, .maximum = 255},
    {.name = "object", .kind = RESOURCE_PARAM_TEXT, .maximum = 64},
    {.name = "idempotency_key", .kind = RESOURCE_PARAM_TEXT, .maximum = 255},
};

const struct resource_route requests_route_table[] = {
    {.method = "GET",
     .pattern = "/v1/request_logs",
     .handler = requests_list,
     .params = list_params,
     .param_count = sizeof(list_params) / sizeof(list_params[0]),
     .permission = "request_logs"},
    {.method = "GET",
     .pattern = "/v1/request_logs/:id",
     .handler = requests_retrieve,
     .permission = "request_logs"},
};
const uint32_t requests_route_count =
    sizeof(requests_route_table) / sizeof(requests_route_table[0]);
