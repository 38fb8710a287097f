/*
 * The HTTP front: turns requests of a net server into operations of a resource runtime, and their
 * outcomes into answers, in the wire format of Stripe's API.
 *
 *     api_create(&parts, &api);
 *     struct net_server_hooks hooks = api_hooks(api);
 *     net_server_create(loop, &settings, &hooks, &server);
 *     ...
 *     net_server_stop(server, drain_ms);        every exchange was answered
 *     ... stop the loops ...
 *     api_destroy(&api);
 *
 * Threads: the hooks run on the net loop; everything else of the front too. Bodies of the ledger's
 * routes are read and written on a loop of the front's own, so that a batch of 8,190 transfers
 * holds up neither sockets nor payments.
 *
 * README.md numbers the invariants.
 */
#ifndef API_API_H
#define API_API_H

#include "net/server.h"
#include "port/ledger.h"
#include "resource/resource.h"
#include "trace/log.h"

struct api;
struct trace_recorder;
struct trace_metric;

/* The routes of one service; borrowed, constant. */
struct api_routes {
    const struct resource_route *routes;
    uint32_t count;
};

#define API_ROUTE_TABLES_MAX 16
#define API_ROUTES_MAX       256 /* of all tables together */

/* What became of a request that may be an operator's. */
enum api_operated {
    API_NOT_OPERATED, /* it is none */
    API_OPERATED,     /* exchange->answer is filled */
    API_OPERATES,     /* somebody else answers it by net_answer */
    API_SHOWN,        /* it is a page for people: filled, but for the Request-Id of every answer */
};

/* /livez, /metrics and their like on the public listener, which come before all routes. */
struct api_operators {
    void *context;
    /* On the net loop; may not block. NULL: there are none. */
    enum api_operated (*ask)(void *context, struct net_exchange *exchange);
};

/* How requests get to know the address of whoever sends them. */
enum api_addresses {
    API_ADDRESS_NONE,      /* not at all */
    API_ADDRESS_PEER,      /* of the connection */
    API_ADDRESS_FORWARDED, /* the first of X-Forwarded-For, which the gateway before this sets */
};

struct api_parts {
    struct resource_runtime *runtime;
    struct net_loop *net;
    struct os_loop *ledger_loop; /* the front's own: reads and writes bodies of ledger routes */
    struct port_ledger *ledger;
    struct os_clock *clock;
    struct os_entropy *entropy;
    struct trace_log *log;
    struct trace_recorder *recorder; /* of spans; NULL: nothing is recorded */
    bool trace_trust;                /* traces that clients began go on here */
    enum api_addresses addresses;
    const struct api_routes *tables; /* of the services; the front adds its own */
    uint32_t table_count;
    struct api_operators operators;
    /* The mode whose keys may use the ledger's routes: one ledger holds one mode. */
    bool ledger_live;
    /* Whether the books with this ledger number are kept by a service: the ledger's routes show
     * them, and do not write into them. Any thread. */
    bool (*ledger_is_reserved)(uint32_t ledger);
    /* Whether the ledger keeps an id for itself: events may not name it. NULL: there are none. */
    bool (*ledger_id_is_reserved)(u128 id);
    /* Bodies of routes that are no ledger routes; larger ones are refused with 413. */
    uint64_t form_bytes_max;
};

/* ERR_MEMORY; ERR_FULL: more routes than API_ROUTES_MAX. Two routes that no request could tell
 * apart are a bug. */
MUST_USE err_t api_create(const struct api_parts *parts, struct api **ret_api);
/* The description of these routes and the front's own as an OpenAPI 3.1 document, without a server:
 * the one that GET /v1/openapi.json answers. Appends JSON; check `out` with buf_failed. ERR_FULL:
 * more routes than API_ROUTES_MAX. Any thread. */
MUST_USE err_t api_describe(const struct api_routes *tables, uint32_t table_count, struct buf *out);

/* After the net server and the loops have stopped. Accepts NULL; sets the pointer to NULL. */
void api_destroy(struct api **api);

/* Of the public listener. */
struct net_server_hooks api_hooks(struct api *api);
/* The front's own metrics, as Prometheus text. Any thread. */
void api_metrics_append(const struct api *api, struct buf *out);

#endif
