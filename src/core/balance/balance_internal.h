/*
 * The parts of the balance:
 *
 *     balance.c        who is there, in which state
 *     balance_pick.c   candidates and policies
 *     balance_ring.c   the consistent hash
 */
#ifndef BALANCE_INTERNAL_H
#define BALANCE_INTERNAL_H

#include "balance/balance.h"

/* An effective weight is the weight in so many parts, so that a slow start has steps. */
#define BALANCE_PARTS 256u

/* The effective weight of a candidate that does not ramp. */
uint32_t balance_full(const struct balance *balance, const struct balance_endpoint *endpoint);

/* The candidate for the request's key. There is one that is not `avoid`. */
uint32_t balance_ring_find(struct balance *balance, const struct balance_request *request);

#endif
