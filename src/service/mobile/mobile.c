#include "mobile/mobile.h"

#include "mobile_internal.h"

#include "resource/fields.h"

#include <stdlib.h>
#include <string.h>

static const struct resource_field code_fields[] = {
    RESOURCE_TEXT_COLUMN(mobile_code, wallet, MOBILE_CODE_WALLET),
    RESOURCE_TEXT_COLUMN(mobile_code, hash, MOBILE_CODE_HASH),
    RESOURCE_TEXT(mobile_code, payment),
    RESOURCE_TEXT(mobile_code, key),
    RESOURCE_INTEGER(mobile_code, expires),
    RESOURCE_INTEGER_COLUMN(mobile_code, purge, MOBILE_CODE_PURGE),
};

static const struct document_kind code_kind = {
    .name = "payer_code",
    .columns =
        {
            [MOBILE_CODE_WALLET] = RESOURCE_INDEXED("wallet"),
            [MOBILE_CODE_HASH] = RESOURCE_INDEXED("hash"),
            [MOBILE_CODE_PURGE] = RESOURCE_SWEPT("purge"),
        },
    .column_count = 3,
};

const struct resource_type mobile_code_type = {
    .object = "payer_code",
    .prefix = "pcd_",
    .kind = &code_kind,
    RESOURCE_FIELDS(code_fields),
    .struct_size = sizeof(struct mobile_code),
    .render = mobile_code_render,
};

const struct document_kind *const mobile_kinds[] = {&code_kind};
const uint32_t mobile_kind_count = 1;

struct span
mobile_code_hash(struct resource_op *op, struct span code)
{
    char step[PORT_MOBILE_CODE_DIGITS + 1] = "";
    memcpy(step, code.data, code.size);
    u128 hash = resource_derived_id(resource_op_caller(op)->scope, step);
    return arena_format(
        resource_op_arena(op),
        "%016llx%016llx",
        (unsigned long long)u128_high(hash),
        (unsigned long long)u128_low(hash));
}

struct mobile_settings
mobile_settings_default(void)
{
    return (struct mobile_settings){
        .code_lifetime_s = 60,
        .code_keep_s = INT64_C(24) * 3600,
        .wrong_per_minute = 30,
        .codes_alive_max = 3,
        .sweep_interval_ms = 10000,
    };
}

err_t
mobile_create(const struct mobile_parts *parts, struct mobile **ret_mobile)
{
    struct mobile *mobile = calloc(1, sizeof(*mobile));
    if (mobile == NULL) {
        return ERR_MEMORY;
    }
    mobile->parts = *parts;
    mobile->port.use_code = mobile_use_code;
    mobile->routes = calloc(mobile_route_count, sizeof(*mobile->routes));
    if (mobile->routes == NULL) {
        free(mobile);
        return ERR_MEMORY;
    }
    memcpy(mobile->routes, mobile_route_table, mobile_route_count * sizeof(*mobile->routes));
    for (uint32_t i = 0; i < mobile_route_count; i++) {
        mobile->routes[i].service_context = mobile;
    }
    *ret_mobile = mobile;
    return ERR_OK;
}

void
mobile_destroy(struct mobile **mobile_at)
{
    struct mobile *mobile = *mobile_at;
    if (mobile != NULL) {
        *mobile_at = NULL;
        free(mobile->routes);
        free(mobile);
    }
}

void
mobile_start(struct mobile *mobile)
{
    mobile_sweeper_start(mobile);
}

struct port_mobile *
mobile_port(struct mobile *mobile)
{
    return &mobile->port;
}

const struct resource_route *
mobile_routes(const struct mobile *mobile, uint32_t *ret_count)
{
    *ret_count = mobile_route_count;
    return mobile == NULL ? mobile_route_table : mobile->routes;
}
