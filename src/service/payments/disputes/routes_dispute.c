/* The public API of disputes, as a table. */
#include "routes.h"

#include "dispute.h"
#include "resource/pages.h"
#include "route_params.h"

static const struct resource_param list_params[] = {
    ID("charge"),
    ID("payment_intent"),
    RESOURCE_LIST_PARAMS,
};

static const struct resource_param retrieve_params[] = {RESOURCE_EXPAND_PARAM};

#define EVIDENCE_TEXT(name, maximum) TEXT("evidence[" #name "]", maximum),
#define EVIDENCE_FILE(name)          TEXT("evidence[" #name "]", 5000),

static const struct resource_param update_params[] = {
    HASH("evidence"),
    PAYMENTS_EVIDENCE_TEXTS(EVIDENCE_TEXT) PAYMENTS_EVIDENCE_FILES(EVIDENCE_FILE) METADATA,
    BOOLEAN("submit"),
    RESOURCE_EXPAND_PARAM,
};

static const struct resource_param close_params[] = {RESOURCE_EXPAND_PARAM};

const struct resource_route payments_dispute_route_table[] = {
    ROUTE(
        "GET",
        "/v1/disputes",
        payments_dispute_list,
        list_params,
        "disputes",
        0,
        LIST_OF(&payments_dispute_type)),
    ROUTE(
        "GET",
        "/v1/disputes/:id",
        payments_dispute_retrieve,
        retrieve_params,
        "disputes",
        0,
        ONE_OBJECT(&payments_dispute_type)),
    ROUTE(
        "POST",
        "/v1/disputes/:id",
        payments_dispute_update,
        update_params,
        "disputes",
        RESOURCE_OUTSIDE_EFFECTS,
        ONE_OBJECT(&payments_dispute_type)),
    ROUTE(
        "POST",
        "/v1/disputes/:id/close",
        payments_dispute_close,
        close_params,
        "disputes",
        RESOURCE_OUTSIDE_EFFECTS,
        ONE_OBJECT(&payments_dispute_type)),
};
const uint32_t payments_dispute_route_count =
    sizeof(payments_dispute_route_table) / sizeof(payments_dispute_route_table[0]);
