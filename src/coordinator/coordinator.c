#include "private.h"

#include "base/assert.h"

#include <stdlib.h>

struct coordinator_settings
coordinator_settings_default(void)
{
    return (struct coordinator_settings){
        .timeout_ms = 5000,
        .prepare_for_ms = 15000,
        .retry_first_ms = 1000,
        .retry_max_ms = INT64_C(300) * 1000,
        .retry_for_ms = INT64_C(24) * 3600 * 1000,
        .sweep_interval_ms = 1000,
        .in_flight_max = 512,
        .test_reach = PORT_HTTP_LOCAL,
        .live_reach = PORT_HTTP_PUBLIC,
    };
}

static err_t
routes_bind(struct coordinator *coordinator)
{
    coordinator->routes = calloc(coordinator_route_count, sizeof(*coordinator->routes));
    if (coordinator->routes == NULL) {
        return ERR_MEMORY;
    }
    for (uint32_t i = 0; i < coordinator_route_count; i++) {
        coordinator->routes[i] = coordinator_route_table[i];
        coordinator->routes[i].service_context = coordinator;
    }
    return ERR_OK;
}

err_t
coordinator_create(const struct coordinator_parts *parts, struct coordinator **ret_coordinator)
{
    ASSERT(parts->http != NULL);
    ASSERT(parts->settings.timeout_ms > 0);
    ASSERT(parts->settings.in_flight_max > 0);
    ASSERT(parts->settings.retry_first_ms > 0);
    struct coordinator *coordinator = calloc(1, sizeof(*coordinator));
    if (coordinator == NULL) {
        return ERR_MEMORY;
    }
    coordinator->parts = *parts;
    uint64_t seed;
    parts->entropy->fill(parts->entropy, &seed, sizeof(seed));
    os_prng_seed(&coordinator->prng, seed);
    err_t result = routes_bind(coordinator);
    if (result == ERR_OK) {
        result = coordinator_sweep_create(coordinator);
    }
    if (result != ERR_OK) {
        coordinator_destroy(&coordinator);
        return result;
    }
    *ret_coordinator = coordinator;
    return ERR_OK;
}

void
coordinator_destroy(struct coordinator **coordinator)
{
    struct coordinator *gone = *coordinator;
    if (gone == NULL) {
        return;
    }
    *coordinator = NULL;
    free(gone->sweep);
    free(gone->routes);
    free(gone);
}

void
coordinator_start(struct coordinator *coordinator)
{
    coordinator_sweep_soon(coordinator);
}

const struct resource_route *
coordinator_routes(const struct coordinator *coordinator, uint32_t *ret_count)
{
    *ret_count = coordinator_route_count;
    return coordinator == NULL ? coordinator_route_table : coordinator->routes;
}

struct coordinator_health
coordinator_health(const struct coordinator *coordinator)
{
    struct coordinator_health health = {
        .open = atomic_load(&coordinator->open),
        .oldest_s = atomic_load(&coordinator->oldest_s),
        .stuck = atomic_load(&coordinator->stuck),
        .committed = atomic_load(&coordinator->committed),
        .aborted = atomic_load(&coordinator->aborted),
    };
    for (uint32_t i = 0; i < COORDINATOR_OUTCOME_COUNT; i++) {
        health.requests[i] = atomic_load(&coordinator->requests[i]);
    }
    return health;
}
