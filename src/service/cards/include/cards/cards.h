/*
 * The card rail: authorizes, captures, voids and refunds over a card network, whose connection the
 * vault owns. It adds what a network does not give: a bound on what is under way, refusals of
 * requests that could never be right, and counters.
 */
#ifndef CARDS_CARDS_H
#define CARDS_CARDS_H

#include "os/loop.h"
#include "port/network.h"
#include "port/rail.h"

struct cards;

struct cards_settings {
    uint32_t in_flight_max; /* requests on their way to the network */
};

struct cards_counters {
    uint64_t sent, approved, declined, unknown, busy;
    uint64_t in_flight;
};

struct cards_parts {
    struct os_loop *loop;
    struct port_network *network; /* the vault's */
    struct cards_settings settings;
};

struct cards_settings cards_settings_default(void);

MUST_USE err_t cards_create(const struct cards_parts *parts, struct cards **ret_cards);
/* After the loop has stopped. Accepts NULL; sets the pointer to NULL. */
void cards_destroy(struct cards **cards);

struct port_rail *cards_rail(struct cards *cards);

/* Any thread. */
struct cards_counters cards_counters(const struct cards *cards);

#endif
