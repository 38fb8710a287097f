/* The constant route tables; payments.c binds a copy of them to an instance. */
#ifndef PAYMENTS_ROUTES_H
#define PAYMENTS_ROUTES_H

#include "resource/resource.h"

extern const struct resource_route payments_route_table[];
extern const uint32_t payments_route_count;
extern const struct resource_route payments_setup_route_table[];
extern const uint32_t payments_setup_route_count;
extern const struct resource_route payments_qr_route_table[];
extern const uint32_t payments_qr_route_count;
extern const struct resource_route payments_checkout_route_table[];
extern const uint32_t payments_checkout_route_count;
extern const struct resource_route payments_suspense_route_table[];
extern const uint32_t payments_suspense_route_count;
extern const struct resource_route payments_payout_route_table[];
extern const uint32_t payments_payout_route_count;
extern const struct resource_route payments_dispute_route_table[];
extern const uint32_t payments_dispute_route_count;
extern const struct resource_route payments_risk_route_table[];
extern const uint32_t payments_risk_route_count;

#endif
