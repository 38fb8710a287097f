#include "payments/payments.h"

#include "flow.h"
#include "routes.h"

#include <stdlib.h>
#include <string.h>

struct payments_settings
payments_settings_default(void)
{
    return (struct payments_settings){
        .fee_basis_points = 290,
        .fee_fixed = 30,
        .settlement_delay_s = INT64_C(2) * 24 * 3600,
        .authorization_hold_s = INT64_C(7) * 24 * 3600,
        .authentication_timeout_s = 3600,
        .lease_s = 30,
        .rail_timeout_ms = 10000,
        .sweep_interval_ms = 1000,
        .reconcile_interval_ms = 1000,
    };
}

err_t
payments_create(const struct payments_parts *parts, struct payments **ret_payments)
{
    struct payments *payments = calloc(1, sizeof(*payments));
    if (payments == NULL) {
        return ERR_MEMORY;
    }
    payments->parts = *parts;
    uint32_t count = payments_route_count + payments_setup_route_count;
    payments->routes = calloc(count, sizeof(*payments->routes));
    if (payments->routes == NULL) {
        free(payments);
        return ERR_MEMORY;
    }
    memcpy(
        payments->routes, payments_route_table, payments_route_count * sizeof(*payments->routes));
    memcpy(
        payments->routes + payments_route_count,
        payments_setup_route_table,
        payments_setup_route_count * sizeof(*payments->routes));
    for (uint32_t i = 0; i < count; i++) {
        payments->routes[i].service_context = payments;
    }
    *ret_payments = payments;
    return ERR_OK;
}

void
payments_destroy(struct payments **payments)
{
    struct payments *gone = *payments;
    if (gone == NULL) {
        return;
    }
    *payments = NULL;
    payments_sweeper_destroy(gone);
    payments_reconciler_destroy(gone);
    payments_known_accounts_destroy(gone);
    free(gone->routes);
    free(gone);
}

void
payments_start(struct payments *payments)
{
    payments_sweeper_start(payments);
    payments_reconciler_start(payments);
}

const struct resource_route *
payments_routes(const struct payments *payments, uint32_t *ret_count)
{
    *ret_count = payments_route_count;
    return payments == NULL ? payments_route_table : payments->routes;
}

const struct resource_route *
payments_setup_routes(const struct payments *payments, uint32_t *ret_count)
{
    *ret_count = payments_setup_route_count;
    return payments == NULL ? payments_setup_route_table : payments->routes + payments_route_count;
}

struct payments_health
payments_health(const struct payments *payments)
{
    return (struct payments_health){
        .attempts_open = atomic_load(&payments->attempts_open),
        .attempt_oldest_s = atomic_load(&payments->attempt_oldest_s),
        .reconcile_runs = atomic_load(&payments->reconcile_runs),
        .differences = atomic_load(&payments->differences),
    };
}
