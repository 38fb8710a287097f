/* The public API of codes, as a table. */
#include "routes.h"

#include "emvqr/emvqr.h"
#include "flow.h"
#include "handlers.h"
#include "page.h"
#include "resource/pages.h"
#include "route_params.h"

static const struct resource_param code_create_params[] = {
    {.name = "currency", .kind = RESOURCE_PARAM_CURRENCY, .required = true},
    INTEGER("amount", 0, INT64_C(999999999999)),
    TEXT("description", 1000),
    METADATA,
    RESOURCE_EXPAND_PARAM,
};

static const struct resource_param code_update_params[] = {
    BOOLEAN("active"),
    TEXT("description", 1000),
    METADATA,
    RESOURCE_EXPAND_PARAM,
};

static const struct resource_param list_params[] = {RESOURCE_LIST_PARAMS};
static const struct resource_param retrieve_params[] = {RESOURCE_EXPAND_PARAM};

#define DATA                                                                                       \
    {                                                                                              \
        .name = "data", .kind = RESOURCE_PARAM_TEXT, .required = true, .maximum = EMVQR_BYTES_MAX  \
    }
#define WALLET                                                                                     \
    {                                                                                              \
        .name = "wallet", .kind = RESOURCE_PARAM_TEXT, .required = true, .maximum = 64             \
    }

static const struct resource_param decode_params[] = {DATA, RESOURCE_EXPAND_PARAM};

static const struct resource_param pay_params[] = {
    DATA,
    WALLET,
    INTEGER("amount", 0, INT64_C(999999999999)),
    TEXT("description", 1000),
    METADATA,
    RESOURCE_EXPAND_PARAM,
};

static const struct resource_param payer_params[] = {WALLET, RESOURCE_EXPAND_PARAM};

const struct resource_route payments_qr_route_table[] = {
    ROUTE(
        "POST",
        "/v1/qr_codes",
        payments_qr_code_create,
        code_create_params,
        "qr_codes",
        0,
        ONE_OBJECT(&payments_qr_code_type)),
    ROUTE(
        "GET",
        "/v1/qr_codes",
        payments_qr_code_list,
        list_params,
        "qr_codes",
        0,
        LIST_OF(&payments_qr_code_type)),
    ROUTE(
        "GET",
        "/v1/qr_codes/:id",
        payments_qr_code_retrieve,
        retrieve_params,
        "qr_codes",
        0,
        ONE_OBJECT(&payments_qr_code_type)),
    ROUTE(
        "POST",
        "/v1/qr_codes/:id",
        payments_qr_code_update,
        code_update_params,
        "qr_codes",
        0,
        ONE_OBJECT(&payments_qr_code_type)),
    {
        .method = "POST",
        .pattern = "/v1/qr_codes/decode",
        .handler = payments_qr_decode,
        PARAMS(decode_params),
        .permission = "qr_codes",
    },
    ROUTE(
        "POST",
        "/v1/qr_payments",
        payments_qr_pay,
        pay_params,
        "qr_payments",
        RESOURCE_OUTSIDE_EFFECTS,
        ONE_OBJECT(&payments_intent_type)),
    ROUTE(
        "POST",
        "/v1/payment_intents/:id/approve",
        payments_payer_approve,
        payer_params,
        "qr_payments",
        RESOURCE_OUTSIDE_EFFECTS,
        ONE_OBJECT(&payments_intent_type)),
    ROUTE(
        "POST",
        "/v1/payment_intents/:id/reject",
        payments_payer_reject,
        payer_params,
        "qr_payments",
        0,
        ONE_OBJECT(&payments_intent_type)),
    {
        .method = "GET",
        .pattern = "/qr/:scope/:secret",
        .handler = payments_qr_page_show,
        .flags = RESOURCE_PUBLIC,
        .refusal_page = payments_page_refusal_write,
    },
};
const uint32_t payments_qr_route_count =
    sizeof(payments_qr_route_table) / sizeof(payments_qr_route_table[0]);
