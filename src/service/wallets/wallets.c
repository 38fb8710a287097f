#include "wallets/wallets.h"

#include "flow.h"
#include "resource/sweeper.h"
#include "routes.h"

#include <stdlib.h>
#include <string.h>

struct wallets_settings
wallets_settings_default(void)
{
    return (struct wallets_settings){
        .limits = WALLETS_LIMITS_DEFAULT,
        .return_window_s = INT64_C(5) * 24 * 3600,
        .lease_s = 30,
        .rail_timeout_ms = 10000,
        .sweep_interval_ms = 1000,
        .reconcile_interval_ms = 1000,
    };
}

static err_t
read_limits(struct wallets *wallets, char message[WALLETS_MESSAGE_SIZE])
{
    struct span wrong;
    struct span text = span_from_cstr(wallets->parts.settings.limits);
    err_t error = wallets_limits_parse(text, &wallets->limits, &wrong);
    if (error != ERR_OK) {
        enum {
            SHOWN_MAX = 80
        };

        struct buf out;
        buf_init_fixed(&out, message, WALLETS_MESSAGE_SIZE);
        buf_append_cstr(&out, "wallet-limits: wrong at '");
        buf_append_span(&out, span_slice(wrong, 0, SHOWN_MAX));
        buf_append(&out, "'", 2);
    }
    /* The texts behind it are the caller's. */
    wallets->parts.settings.limits = NULL;
    return error;
}

static err_t
bind_routes(struct wallets *wallets)
{
    wallets->routes = calloc(wallets_route_count, sizeof(*wallets->routes));
    if (wallets->routes == NULL) {
        return ERR_MEMORY;
    }
    memcpy(wallets->routes, wallets_route_table, wallets_route_count * sizeof(*wallets->routes));
    for (uint32_t i = 0; i < wallets_route_count; i++) {
        wallets->routes[i].service_context = wallets;
    }
    return ERR_OK;
}

err_t
wallets_create(
    const struct wallets_parts *parts,
    struct wallets **ret_wallets,
    char message[WALLETS_MESSAGE_SIZE])
{
    message[0] = '\0';
    struct wallets *wallets = calloc(1, sizeof(*wallets));
    if (wallets == NULL) {
        return ERR_MEMORY;
    }
    wallets->parts = *parts;
    wallets_port_init(wallets);
    err_t error = read_limits(wallets, message);
    if (error == ERR_OK) {
        error = bind_routes(wallets);
    }
    if (error != ERR_OK) {
        wallets_destroy(&wallets);
        return error;
    }
    *ret_wallets = wallets;
    return ERR_OK;
}

void
wallets_destroy(struct wallets **wallets)
{
    struct wallets *gone = *wallets;
    if (gone == NULL) {
        return;
    }
    *wallets = NULL;
    resource_sweeper_destroy(&gone->sweeper);
    wallets_reconciler_destroy(gone);
    wallets_port_destroy(gone);
    free(gone->routes);
    free(gone);
}

void
wallets_start(struct wallets *wallets)
{
    wallets_sweeper_start(wallets);
    wallets_reconciler_start(wallets);
}

const struct resource_route *
wallets_routes(const struct wallets *wallets, uint32_t *ret_count)
{
    *ret_count = wallets_route_count;
    return wallets == NULL ? wallets_route_table : wallets->routes;
}

struct port_wallet *
wallets_port(struct wallets *wallets)
{
    return &wallets->port;
}

struct wallets_health
wallets_health(const struct wallets *wallets)
{
    return (struct wallets_health){
        .attempts_open = atomic_load(&wallets->attempts_open),
        .attempt_oldest_s = atomic_load(&wallets->attempt_oldest_s),
        .withdrawal_oldest_s = atomic_load(&wallets->withdrawal_oldest_s),
        .reconcile_runs = atomic_load(&wallets->reconcile_runs),
        .differences = atomic_load(&wallets->differences),
        .suspense_open = atomic_load(&wallets->suspense_open),
    };
}
