/* The route table, before it is bound to an instance. */
#ifndef WALLETS_ROUTES_H
#define WALLETS_ROUTES_H

#include "resource/resource.h"

extern const struct resource_route wallets_route_table[];
extern const uint32_t wallets_route_count;

#endif
