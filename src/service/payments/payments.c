#include "payments/payments.h"

#include "base/assert.h"
#include "disputes/dispute.h"
#include "flow.h"
#include "resource/sweeper.h"
#include "risk/risk.h"
#include "routes.h"

#include <stdlib.h>
#include <string.h>

struct payments_settings
payments_settings_default(void)
{
    return (struct payments_settings){
        .fee_basis_points = 290,
        .fee_fixed = 30,
        .dispute_fee = 1500,
        .settlement_delay_s = INT64_C(2) * 24 * 3600,
        .authorization_hold_s = INT64_C(7) * 24 * 3600,
        .authentication_timeout_s = 3600,
        .lease_s = 30,
        .rail_timeout_ms = 10000,
        .sweep_interval_ms = 1000,
        .reconcile_interval_ms = 1000,
        .qr_lifetime_s = 900,
        .payer_confirm_above = 5000,
        .payer_wait_s = 45,
        .payout_delay_s = 60,
        .payout_day_s = INT64_C(24) * 3600,
        .return_window_s = INT64_C(5) * 24 * 3600,
    };
}

/* The parts of the API. */
static const struct {
    const struct resource_route *routes;
    const uint32_t *count;
} tables[PAYMENTS_ROUTE_TABLES] = {
    {payments_route_table, &payments_route_count},
    {payments_setup_route_table, &payments_setup_route_count},
    {payments_qr_route_table, &payments_qr_route_count},
    {payments_suspense_route_table, &payments_suspense_route_count},
    {payments_payout_route_table, &payments_payout_route_count},
    {payments_dispute_route_table, &payments_dispute_route_count},
    {payments_checkout_route_table, &payments_checkout_route_count},
    {payments_risk_route_table, &payments_risk_route_count},
};

static err_t
routes_bind(struct payments *payments)
{
    for (uint32_t i = 0; i < PAYMENTS_ROUTE_TABLES; i++) {
        uint32_t count = *tables[i].count;
        struct resource_route *routes = calloc(count, sizeof(*routes));
        if (routes == NULL) {
            return ERR_MEMORY;
        }
        memcpy(routes, tables[i].routes, count * sizeof(*routes));
        for (uint32_t j = 0; j < count; j++) {
            routes[j].service_context = payments;
        }
        payments->routes[i] = routes;
    }
    return ERR_OK;
}

err_t
payments_create(const struct payments_parts *parts, struct payments **ret_payments)
{
    if (!payments_presentation_is_sound(&parts->presentation)) {
        return ERR_INVALID;
    }
    struct payments *payments = calloc(1, sizeof(*payments));
    if (payments == NULL) {
        return ERR_MEMORY;
    }
    payments->parts = *parts;
    payments->memo = calloc(1, sizeof(*payments->memo));
    err_t error = payments->memo == NULL ? ERR_MEMORY : routes_bind(payments);
    if (error == ERR_OK) {
        error = payments_risk_books_create(&payments->risk_books);
    }
    if (error != ERR_OK) {
        payments_destroy(&payments);
        return error;
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
    resource_sweeper_destroy(&gone->sweeper);
    payments_reconciler_destroy(gone);
    payments_known_accounts_destroy(gone);
    for (uint32_t i = 0; i < PAYMENTS_ROUTE_TABLES; i++) {
        free(gone->routes[i]);
    }
    free(gone->memo);
    payments_risk_books_destroy(&gone->risk_books);
    payments_feed_destroy(gone);
    free(gone);
}

void
payments_start(struct payments *payments)
{
    payments_feed_create(payments);
    payments_sweeper_start(payments);
    payments_reconciler_start(payments);
}

const struct resource_route *
payments_routes(const struct payments *payments, uint32_t table, uint32_t *ret_count)
{
    ASSERT(table < PAYMENTS_ROUTE_TABLES);
    *ret_count = *tables[table].count;
    return payments == NULL ? tables[table].routes : payments->routes[table];
}

struct payments_health
payments_health(const struct payments *payments)
{
    return (struct payments_health){
        .attempts_open = atomic_load(&payments->attempts_open),
        .attempt_oldest_s = atomic_load(&payments->attempt_oldest_s),
        .reconcile_runs = atomic_load(&payments->reconcile_runs),
        .differences = atomic_load(&payments->differences),
        .suspense_open = atomic_load(&payments->suspense_open),
        .payouts_in_transit = atomic_load(&payments->payouts_in_transit),
        .payout_oldest_s = atomic_load(&payments->payout_oldest_s),
        .refund_oldest_s = atomic_load(&payments->refund_oldest_s),
        .payouts_paid = atomic_load(&payments->payouts_paid),
        .payouts_failed = atomic_load(&payments->payouts_failed),
        .disputes_due_soon = atomic_load(&payments->disputes_due_soon),
        .disputes_unplaced = atomic_load(&payments->disputes_unplaced),
        .blocked_by_list = atomic_load(&payments->blocked_by_list),
        .blocked_by_rule = atomic_load(&payments->blocked_by_rule),
        .blocked_by_network = atomic_load(&payments->blocked_by_network),
    };
}
