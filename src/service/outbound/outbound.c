#include "outbound/outbound.h"

#include "base/assert.h"
#include "base/hash.h"
#include "base/list.h"
#include "base/map.h"
#include "net/client.h"
#include "net/job.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#define CONNECT_TIMEOUT_MS 10000
#define IDLE_TIMEOUT_MS    30000
#define HEAD_BYTES_MAX     32768
/* Connections are counted, and closed if there are too many, once in so many requests. */
#define TRIM_EVERY 64

struct origin {
    struct list_link link;   /* in outbound->origins, the latest used in front */
    struct map_link by_name; /* in outbound->by_name */
    char host[PORT_HTTP_HOST_MAX + 1];
    uint16_t port;
    bool tls;
    enum port_http_reach reach;
    uint64_t scope;
    struct net_client *client;
    uint32_t call_count; /* under way */
};

struct call {
    struct net_call net; /* first */
    struct list_link free;
    struct outbound *outbound;
    struct origin *origin;
    struct port_http_request *request;
    struct http_header headers[PORT_HTTP_HEADERS_MAX];
};

struct outbound {
    struct port_http port; /* first */
    struct outbound_parts parts;
    struct net_tls *tls;
    struct list origins;
    struct map by_name;
    uint32_t origin_count;
    uint64_t sent_count;
    struct call *calls; /* settings.requests_max of them */
    struct list free;

    bool stopped; /* the clients are: nothing may begin there */
    struct os_task stop_task;
    struct net_latch *stop_latch; /* opened when stop_task has run */

    struct os_task look_task; /* at the pools; posted while looking is set */
    atomic_bool looking;
    _Atomic uint64_t origins_seen;
    _Atomic uint64_t connections_seen;
    _Atomic uint64_t waiting_seen;
};

struct outbound_settings
outbound_settings_default(void)
{
    return (struct outbound_settings){
        .requests_max = 1024,
        .origins_max = 1024,
        .connections_max = 4096,
        .answer_bytes_max = 16384,
    };
}

/* -------------------------------------------------------------------------------------- origins */

static uint64_t
origin_hash(const struct port_http_request *request)
{
    static const struct hash_key key = {1, 2};
    return hash_keyed(key, request->host) ^ request->port ^ hash_u64(request->scope);
}

static bool
origin_is(const struct origin *origin, const struct port_http_request *request)
{
    return origin->port == request->port && origin->tls == request->tls &&
           origin->reach == request->reach && origin->scope == request->scope &&
           span_equal_cstr(request->host, origin->host);
}

static void
origin_destroy(struct outbound *outbound, struct origin *origin)
{
    list_remove(&origin->link);
    map_remove(&outbound->by_name, &origin->by_name);
    outbound->origin_count--;
    net_client_destroy(&origin->client);
    free(origin);
}

/* The one that rested longest goes. Waiting for its sockets takes a turn of the net loop, but that
 * happens only beyond the maxima. */
static bool
make_room(struct outbound *outbound)
{
    for (struct list_link *link = outbound->origins.head.prev; link != &outbound->origins.head;
         link = link->prev) {
        struct origin *origin = CONTAINER_OF(link, struct origin, link);
        if (origin->call_count == 0) {
            net_client_stop(origin->client);
            origin_destroy(outbound, origin);
            return true;
        }
    }
    return false;
}

static enum net_reach
reach_of(enum port_http_reach reach)
{
    switch (reach) {
    case PORT_HTTP_ANYWHERE:
        return NET_REACH_ANY;
    case PORT_HTTP_LOCAL:
        return NET_REACH_LOCAL;
    case PORT_HTTP_PUBLIC:
        return NET_REACH_PUBLIC;
    }
    UNREACHABLE();
}

static err_t
client_create(struct outbound *outbound, struct origin *origin)
{
    const struct outbound_settings *settings = &outbound->parts.settings;
    struct net_client_settings net = net_client_settings_default;
    /* Whoever hangs at the same origin must not hold up others there: as many as requests. */
    net.connections_max = settings->requests_max;
    net.waiting_max = settings->requests_max;
    net.connect_timeout_ms = CONNECT_TIMEOUT_MS;
    net.idle_timeout_ms = IDLE_TIMEOUT_MS;
    net.limits.head = HEAD_BYTES_MAX;
    net.limits.body = UINT64_MAX >> 1; /* however much it says it will send: it is cut */
    net.answer_cut_bytes = settings->answer_bytes_max;
    net.reach = reach_of(origin->reach);
    net.owner = origin->scope;
    const struct net_origin at = {
        .host = origin->host,
        .port = origin->port,
        .tls = origin->tls ? outbound->tls : NULL,
    };
    return net_client_create(outbound->parts.net, &at, &net, &origin->client);
}

static err_t
origin_create(
    struct outbound *outbound, const struct port_http_request *request, struct origin **ret_origin)
{
    if (request->host.size == 0 || request->host.size > PORT_HTTP_HOST_MAX) {
        return ERR_NOT_FOUND;
    }
    if (outbound->origin_count >= outbound->parts.settings.origins_max && !make_room(outbound)) {
        return ERR_BUSY;
    }
    struct origin *origin = calloc(1, sizeof(*origin));
    if (origin == NULL) {
        return ERR_MEMORY;
    }
    memcpy(origin->host, request->host.data, request->host.size);
    origin->port = request->port;
    origin->tls = request->tls;
    origin->reach = request->reach;
    origin->scope = request->scope;
    err_t result = client_create(outbound, origin);
    if (result == ERR_OK) {
        result = map_insert(&outbound->by_name, origin_hash(request), &origin->by_name);
    }
    if (result != ERR_OK) {
        net_client_destroy(&origin->client);
        free(origin);
        return result;
    }
    list_push_front(&outbound->origins, &origin->link);
    outbound->origin_count++;
    *ret_origin = origin;
    return ERR_OK;
}

static err_t
origin_for(
    struct outbound *outbound, const struct port_http_request *request, struct origin **ret_origin)
{
    for (struct map_link *link = map_find(&outbound->by_name, origin_hash(request)); link != NULL;
         link = map_next(link)) {
        struct origin *origin = CONTAINER_OF(link, struct origin, by_name);
        if (origin_is(origin, request)) {
            list_remove(&origin->link);
            list_push_front(&outbound->origins, &origin->link);
            *ret_origin = origin;
            return ERR_OK;
        }
    }
    return origin_create(outbound, request, ret_origin);
}

static void
pools_add(struct outbound *outbound, struct outbound_pools *pools)
{
    *pools = (struct outbound_pools){.origins = outbound->origin_count};
    LIST_FOREACH_SAFE (&outbound->origins, link) {
        struct net_client_counters counters;
        net_client_count(CONTAINER_OF(link, struct origin, link)->client, &counters);
        pools->connections += counters.connections;
        pools->waiting += counters.waiting;
    }
}

/* Connections that rest take up descriptors, which the whole process shares. */
static void
trim(struct outbound *outbound)
{
    struct outbound_pools pools;
    pools_add(outbound, &pools);
    if (pools.connections > outbound->parts.settings.connections_max) {
        (void)make_room(outbound);
    }
}

/* On the owner's thread, whose list it is. */
static void
look_run(struct os_task *task)
{
    struct outbound *outbound = CONTAINER_OF(task, struct outbound, look_task);
    struct outbound_pools pools;
    pools_add(outbound, &pools);
    atomic_store(&outbound->origins_seen, pools.origins);
    atomic_store(&outbound->connections_seen, pools.connections);
    atomic_store(&outbound->waiting_seen, pools.waiting);
    atomic_store(&outbound->looking, false);
}

void
outbound_count(struct outbound *outbound, struct outbound_pools *ret_pools)
{
    *ret_pools = (struct outbound_pools){
        .origins = atomic_load(&outbound->origins_seen),
        .connections = atomic_load(&outbound->connections_seen),
        .waiting = atomic_load(&outbound->waiting_seen),
    };
    if (!atomic_exchange(&outbound->looking, true)) {
        os_post(outbound->parts.owner, &outbound->look_task);
    }
}

/* ---------------------------------------------------------------------------------------- calls */

static void
refused_run(struct os_task *task)
{
    struct port_http_request *request = CONTAINER_OF(task, struct port_http_request, task);
    request->done(request);
}

/* PORT-2: not from within the call. */
static void
refuse(struct outbound *outbound, struct port_http_request *request, err_t error)
{
    request->error = error;
    request->task.run = refused_run;
    os_post(outbound->parts.owner, &request->task);
}

static void
call_done(struct net_call *net)
{
    struct call *call = CONTAINER_OF(net, struct call, net);
    struct outbound *outbound = call->outbound;
    struct port_http_request *request = call->request;
    ASSERT(call->origin->call_count > 0);
    call->origin->call_count--;
    request->error = net->result;
    request->cause = net->cause;
    request->status = net->result == ERR_OK ? net->status : 0;
    request->answer = net->result == ERR_OK ? buf_span(&net->answer) : SPAN_EMPTY;
    request->cut = net->cut;
    request->duration_ns = net->ended_ns - net->started_ns;
    request->done(request);
    net_call_release(net);
    list_push_front(&outbound->free, &call->free);
}

static void
call_fill(struct call *call, struct port_http_request *request)
{
    ASSERT(request->header_count <= PORT_HTTP_HEADERS_MAX);
    for (uint32_t i = 0; i < request->header_count; i++) {
        call->headers[i] = (struct http_header){
            .name = request->headers[i].name, .value = request->headers[i].value};
    }
    call->request = request;
    call->net.next = NULL;
    call->net.method = HTTP_METHOD_POST;
    call->net.target = request->target;
    call->net.content_type = request->content_type;
    call->net.headers = call->headers;
    call->net.header_count = request->header_count;
    call->net.body = request->body;
    call->net.timeout_ms = request->timeout_ms;
    call->net.reply_to = call->outbound->parts.owner;
    call->net.done = call_done;
}

static void
send(struct port_http *port, struct port_http_request *request)
{
    struct outbound *outbound = CONTAINER_OF(port, struct outbound, port);
    ASSERT(request->scope != 0);
    request->error = ERR_OK;
    request->cause = ERR_OK;
    request->status = 0;
    request->answer = SPAN_EMPTY;
    request->cut = false;
    request->duration_ns = 0;
    struct origin *origin = NULL;
    if (outbound->stopped) {
        refuse(outbound, request, ERR_CLOSED);
        return;
    }
    if (++outbound->sent_count % TRIM_EVERY == 0) {
        trim(outbound);
    }
    err_t result = list_is_empty(&outbound->free) ? ERR_BUSY : ERR_OK;
    if (result == ERR_OK) {
        result = origin_for(outbound, request, &origin);
    }
    if (result != ERR_OK) {
        refuse(outbound, request, result);
        return;
    }
    struct call *call = CONTAINER_OF(list_pop_front(&outbound->free), struct call, free);
    call->origin = origin;
    origin->call_count++;
    call_fill(call, request);
    net_client_start(origin->client, &call->net);
}

/* ----------------------------------------------------------------------------------------- life */

static bool
settings_are_sane(const struct outbound_settings *settings)
{
    return settings->requests_max > 0 && settings->origins_max > 0 &&
           settings->connections_max > 0 && settings->answer_bytes_max > 0;
}

/* On the owner's thread, which goes on sending and moves origins as it does. */
static void
stop_run(struct os_task *task)
{
    struct outbound *outbound = CONTAINER_OF(task, struct outbound, stop_task);
    outbound->stopped = true;
    LIST_FOREACH_SAFE (&outbound->origins, link) {
        net_client_stop(CONTAINER_OF(link, struct origin, link)->client);
    }
    net_latch_open(outbound->stop_latch);
}

err_t
outbound_create(const struct outbound_parts *parts, struct outbound **ret_outbound)
{
    ASSERT(settings_are_sane(&parts->settings));
    struct outbound *outbound = calloc(1, sizeof(*outbound));
    if (outbound == NULL) {
        return ERR_MEMORY;
    }
    outbound->port.send = send;
    outbound->stop_task.run = stop_run;
    outbound->look_task.run = look_run;
    outbound->parts = *parts;
    list_init(&outbound->origins);
    map_init(&outbound->by_name, parts->settings.origins_max);
    list_init(&outbound->free);
    err_t result = net_tls_create_client(parts->ca_file, true, &outbound->tls);
    if (result == ERR_OK) {
        result = net_latch_create(&outbound->stop_latch);
    }
    outbound->calls = calloc(parts->settings.requests_max, sizeof(*outbound->calls));
    if (result == ERR_OK && outbound->calls == NULL) {
        result = ERR_MEMORY;
    }
    if (result != ERR_OK) {
        outbound_destroy(&outbound);
        return result;
    }
    for (uint32_t i = 0; i < parts->settings.requests_max; i++) {
        outbound->calls[i].outbound = outbound;
        list_push_back(&outbound->free, &outbound->calls[i].free);
    }
    *ret_outbound = outbound;
    return ERR_OK;
}

void
outbound_stop(struct outbound *outbound)
{
    os_post(outbound->parts.owner, &outbound->stop_task);
    net_latch_wait(outbound->stop_latch);
}

void
outbound_destroy(struct outbound **outbound)
{
    struct outbound *gone = *outbound;
    if (gone == NULL) {
        return;
    }
    *outbound = NULL;
    LIST_FOREACH_SAFE (&gone->origins, link) {
        origin_destroy(gone, CONTAINER_OF(link, struct origin, link));
    }
    for (uint32_t i = 0; gone->calls != NULL && i < gone->parts.settings.requests_max; i++) {
        net_call_release(&gone->calls[i].net);
    }
    map_release(&gone->by_name);
    free(gone->calls);
    net_latch_destroy(&gone->stop_latch);
    net_tls_destroy(&gone->tls);
    free(gone);
}

struct port_http *
outbound_port(struct outbound *outbound)
{
    return &outbound->port;
}
