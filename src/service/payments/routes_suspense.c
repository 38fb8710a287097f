/* What operators see of money that is in suspense, as a table. */
#include "routes.h"

#include "flow.h"
#include "resource/pages.h"
#include "route_params.h"

static const char *const statuses[] = {"open", "resolved", NULL};
static const char *const resolutions[] = {"wallet", "merchant", "released", NULL};

static const struct resource_param list_params[] = {
    ONE_OF("status", statuses),
    RESOURCE_LIST_PARAMS,
};

static const struct resource_param retrieve_params[] = {RESOURCE_EXPAND_PARAM};

static const struct resource_param resolve_params[] = {
    {.name = "resolution", .kind = RESOURCE_PARAM_ENUM, .required = true, .values = resolutions},
    TEXT("note", 1000),
    RESOURCE_EXPAND_PARAM,
};

const struct resource_route payments_suspense_route_table[] = {
    ROUTE(
        "GET",
        "/v1/tael/suspense_items",
        payments_suspense_list,
        list_params,
        "suspense_items",
        0,
        LIST_OF(&payments_suspense_type)),
    ROUTE(
        "GET",
        "/v1/tael/suspense_items/:id",
        payments_suspense_retrieve,
        retrieve_params,
        "suspense_items",
        0,
        ONE_OBJECT(&payments_suspense_type)),
    ROUTE(
        "POST",
        "/v1/tael/suspense_items/:id/resolve",
        payments_suspense_resolve,
        resolve_params,
        "suspense_items",
        RESOURCE_OUTSIDE_EFFECTS,
        ONE_OBJECT(&payments_suspense_type)),
};
const uint32_t payments_suspense_route_count =
    sizeof(payments_suspense_route_table) / sizeof(payments_suspense_route_table[0]);
