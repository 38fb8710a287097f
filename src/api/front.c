/*
 * From a group of exchanges to operations, and back.
 *
 *     net loop     on_requests --> match --> read --> resource_submit
 *     its loop                                            the operation runs
 *     net loop     on_done  <-- one wake-up for a whole group of answers
 *                  api_answer_outcome --> net_answer
 */
#include "front.h"

#include "openapi.h"

#include "base/assert.h"
#include "base/ip.h"
#include "base/list.h"
#include "form/form.h"
#include "os/entropy.h"

#include <stdlib.h>
#include <string.h>

#define PATH_SHOWN_MAX 200

u128
api_random(struct api *api)
{
    u128 random;
    if (api->random_used + sizeof(random) > sizeof(api->random)) {
        api->parts.entropy->fill(api->parts.entropy, api->random, sizeof(api->random));
        api->random_used = 0;
    }
    memcpy(&random, api->random + api->random_used, sizeof(random));
    api->random_used += sizeof(random);
    return random;
}

void
api_request_id(struct api *api, char out[RESOURCE_REQUEST_ID_SIZE])
{
    uint64_t unix_ms = os_wall_ns(api->parts.clock) / OS_NS_PER_MS;
    (void)id_format("req_", id_next(&api->request_ids, unix_ms, api_random(api)), out);
}

struct span
api_peer_address(const struct net_exchange *exchange, char text[NET_HOST_TEXT_SIZE])
{
    net_address_format_host(&exchange->peer, text);
    return span_from_cstr(text);
}

/* ---------------------------------------------------------------------------------- answers */

/* No path and no query: they may hold secrets. What failed on our side is told where it failed. */
static void
tell(const struct api_request *request)
{
    const struct net_exchange *exchange = request->exchange;
    const struct resource_route *route = request->resource.route;
    TRACE_LOG(
        request->api->parts.log,
        TRACE_DEBUG,
        "api",
        span_from_cstr(request->trace_id),
        "request answered",
        trace_cstr("request", request->resource.request_id),
        trace_text("method", http_method_text(exchange->method)),
        trace_cstr("route", route == NULL ? "none" : route->pattern),
        trace_u64("status", exchange->answer.status),
        trace_u64("duration_us", (net_now_ns() - exchange->arrived_ns) / OS_NS_PER_US));
}

/* Its answer is there. */
static void
count(struct api_request *request)
{
    const struct net_exchange *exchange = request->exchange;
    tell(request);
    api_trace_end(request);
    api_metrics_count(
        request->api->metrics,
        request->route_index,
        (int)exchange->answer.status,
        net_now_ns() - exchange->arrived_ns);
}

static void
on_done(struct resource_request *resource)
{
    struct api_request *request = CONTAINER_OF(resource, struct api_request, resource);
    api_answer_outcome(request);
    count(request);
    net_answer(request->exchange);
}

static void
explain_path(struct api_request *request, enum api_match_outcome outcome)
{
    struct net_exchange *exchange = request->exchange;
    struct span method = http_head_text(exchange->head, exchange->head->method_text);
    struct span path = span_slice(exchange->path, 0, PATH_SHOWN_MAX);
    struct resource_error error = {.status = 404, .type = "invalid_request_error"};
    const char *hint = outcome == API_NO_METHOD
                           ? "The path exists, but not with this method."
                           : "If you meant to retrieve an object, check that its id is not empty.";
    if (outcome == API_BAD_PATH) {
        hint = "The path has an empty segment, a dot segment or an encoding that is not allowed.";
    }
    error.message = arena_format(
        exchange->arena,
        "Unrecognized request URL (%.*s: %.*s). %s",
        SPAN_PRINTF(method),
        SPAN_PRINTF(path),
        hint);
    api_answer_error(request, &error);
}

/* --------------------------------------------------------------------------------- requests */

/* Anybody may read what the API is: no key is asked. */
static bool
asks_description(const struct net_exchange *exchange)
{
    return (exchange->method == HTTP_METHOD_GET || exchange->method == HTTP_METHOD_HEAD) &&
           span_equal(exchange->path, SPAN("/v1/openapi.json"));
}

/* True if it went on its way; false if its answer is there. */
static bool
begin(struct api *api, struct net_exchange *exchange)
{
    struct api_request *request = ARENA_NEW(exchange->arena, struct api_request);
    if (request == NULL) {
        exchange->answer.status = 503;
        api_answer_refusal(api, exchange, "the server is out of memory for requests");
        return false;
    }
    request->api = api;
    request->exchange = exchange;
    request->route_index = UINT32_MAX;
    api_request_id(api, request->resource.request_id);
    api_trace_begin(request);
    if (asks_description(exchange)) {
        api_answer_description(request);
        count(request);
        return false;
    }
    struct api_match match;
    enum api_match_outcome outcome = api_router_find(
        &api->router,
        http_head_text(exchange->head, exchange->head->method_text),
        exchange->path,
        exchange->arena,
        &match);
    if (outcome != API_MATCHED) {
        explain_path(request, outcome);
        count(request);
        return false;
    }
    request->route_index = match.index;
    request->resource.route = match.route;
    memcpy(request->resource.captures, match.captures, sizeof(request->resource.captures));
    api_trace_route(request);
    struct resource_error error = {.status = 400, .type = "invalid_request_error"};
    if (!api_request_read(request, &error)) {
        api_answer_error(request, &error);
        count(request);
        return false;
    }
    request->resource.reply_to = net_loop_executor(api->parts.net);
    request->resource.done = on_done;
    request->resource.arena = exchange->arena;
    request->resource.user = request;
    resource_submit(api->parts.runtime, &request->resource);
    return true;
}

static enum api_operated
operate(struct api *api, struct net_exchange *exchange)
{
    const struct api_operators *operators = &api->parts.operators;
    return operators->ask == NULL ? API_NOT_OPERATED : operators->ask(operators->context, exchange);
}

/* A page that is the same for everybody has a Request-Id of its own all the same (API-1). */
static void
name_answer(struct api *api, struct net_exchange *exchange)
{
    struct net_answer *answer = &exchange->answer;
    char id[RESOURCE_REQUEST_ID_SIZE];
    struct http_header *headers =
        ARENA_ARRAY(exchange->arena, struct http_header, answer->header_count + 1);
    api_request_id(api, id);
    struct span text = arena_copy(exchange->arena, span_from_cstr(id));
    if (headers == NULL || text.data == NULL) {
        return;
    }
    if (answer->header_count > 0) {
        memcpy(headers, answer->headers, answer->header_count * sizeof(*headers));
    }
    headers[answer->header_count++] =
        (struct http_header){.name = SPAN("Request-Id"), .value = text};
    answer->headers = headers;
}

static void
on_requests(void *context, struct net_exchange *first)
{
    struct api *api = context;
    struct net_exchange *answered = NULL;
    struct net_exchange **end = &answered;
    while (first != NULL) {
        struct net_exchange *exchange = first;
        first = first->next;
        exchange->next = NULL;
        enum api_operated operated = operate(api, exchange);
        if (operated == API_SHOWN) {
            name_answer(api, exchange);
            operated = API_OPERATED;
        }
        if (operated == API_OPERATED || (operated == API_NOT_OPERATED && !begin(api, exchange))) {
            *end = exchange;
            end = &exchange->next;
        }
    }
    if (answered != NULL) {
        net_answer(answered);
    }
}

static void
on_refused(void *context, struct net_exchange *exchange, const char *reason)
{
    struct api *api = context;
    api_answer_refusal(api, exchange, reason);
    api_metrics_count(api->metrics, UINT32_MAX, (int)exchange->answer.status, 0);
}

/* -------------------------------------------------------------------------- create, destroy */

#define TABLES_MAX (API_ROUTE_TABLES_MAX + 2)

/* The services' tables and the front's own. `ledger` may be NULL: bound to nothing. */
static uint32_t
tables_gather(
    const struct api_routes *services,
    uint32_t service_count,
    const struct api_ledger *ledger,
    struct api_routes tables[TABLES_MAX])
{
    ASSERT(service_count <= API_ROUTE_TABLES_MAX);
    uint32_t count_all = 0;
    for (uint32_t i = 0; i < service_count; i++) {
        tables[count_all++] = services[i];
    }
    tables[count_all].routes = api_key_routes(&tables[count_all].count);
    count_all++;
    tables[count_all].routes = api_ledger_routes(ledger, &tables[count_all].count);
    return count_all + 1;
}

err_t
api_describe(const struct api_routes *tables, uint32_t table_count, struct buf *out)
{
    struct api_routes all[TABLES_MAX];
    struct api_openapi_routes routes = {.count = 0};
    uint32_t count_all = tables_gather(tables, table_count, NULL, all);
    for (uint32_t table = 0; table < count_all; table++) {
        for (uint32_t i = 0; i < all[table].count; i++) {
            if (routes.count == API_ROUTES_MAX) {
                return ERR_FULL;
            }
            routes.routes[routes.count++] = &all[table].routes[i];
        }
    }
    api_openapi_write(&routes, out);
    return ERR_OK;
}

static err_t
routes_open(struct api *api)
{
    struct api_routes tables[TABLES_MAX];
    uint32_t count_all =
        tables_gather(api->parts.tables, api->parts.table_count, api->ledger, tables);
    TRY(api_router_init(&api->router, tables, count_all));
    TRY(api_describe(api->parts.tables, api->parts.table_count, &api->description));
    return buf_failed(&api->description) ? ERR_MEMORY : ERR_OK;
}

err_t
api_create(const struct api_parts *parts, struct api **ret_api)
{
    struct api *api = calloc(1, sizeof(*api));
    if (api == NULL) {
        return ERR_MEMORY;
    }
    api->parts = *parts;
    buf_init(&api->description, API_DESCRIPTION_MAX);
    api->random_used = sizeof(api->random);
    err_t result = api_ledger_create(api, &api->ledger);
    if (result == ERR_OK) {
        result = routes_open(api);
    }
    if (result == ERR_OK) {
        result = api_metrics_create(&api->router, &api->metrics);
    }
    api->parts.tables = NULL; /* borrowed only until here */
    if (result != ERR_OK) {
        api_destroy(&api);
        return result;
    }
    *ret_api = api;
    return ERR_OK;
}

void
api_destroy(struct api **api_at)
{
    struct api *api = *api_at;
    if (api == NULL) {
        return;
    }
    *api_at = NULL;
    api_metrics_destroy(&api->metrics);
    api_ledger_destroy(&api->ledger);
    buf_release(&api->description);
    free(api);
}

struct net_server_hooks
api_hooks(struct api *api)
{
    return (struct net_server_hooks){
        .context = api, .on_requests = on_requests, .on_refused = on_refused};
}

void
api_metrics_append(const struct api *api, struct buf *out)
{
    api_metrics_render(api->metrics, out);
}
