/*
 * The operators' listener: health, metrics, states; reload and drain. Plain HTTP on an address of
 * its own, without keys: who reaches it is an operator.
 *
 *     GET  /livez /readyz /startupz    200, or 503 with a reason
 *     GET  /metrics                    Prometheus text
 *     GET  /api/v2/trace...            traces that were kept, as Zipkin answers them
 *     GET  /upstreams                  upstreams, endpoints, breakers
 *     GET  /routes                     in the order in which they are tried
 *     POST /reload                     200, or 422 with the reason
 *     POST /drain                      as SIGTERM
 */
#include "gateway_private.h"

#include "base/assert.h"
#include "json/json.h"

#define ANSWER_MAX (8U << 20)

static void
answer(struct net_exchange *exchange, unsigned status, struct span content_type)
{
    exchange->answer.status = status;
    exchange->answer.content_type = content_type;
    buf_init(&exchange->answer.body, ANSWER_MAX);
}

static void
answer_text(struct net_exchange *exchange, unsigned status, const char *text)
{
    answer(exchange, status, SPAN("text/plain; charset=utf-8"));
    buf_append_cstr(&exchange->answer.body, text);
    buf_append_byte(&exchange->answer.body, '\n');
}

static void
show_live(struct gateway *gateway, struct net_exchange *exchange)
{
    (void)gateway;
    answer_text(exchange, 200, "ok");
}

static void
show_started(struct gateway *gateway, struct net_exchange *exchange)
{
    answer_text(exchange, gateway->current != NULL ? 200 : 503, "ok");
}

static bool
any_usable(const struct gateway_generation *generation)
{
    for (size_t i = 0; i < generation->config->upstream_count; i++) {
        struct upstream_counters counters;
        upstream_count(generation->targets[i]->upstream, &counters);
        if (counters.usable > 0) {
            return true;
        }
    }
    return false;
}

/* One service that is down is no reason to send the others' requests elsewhere. */
const char *
gateway_not_ready(const struct gateway *gateway)
{
    if (gateway->draining) {
        return "draining";
    }
    return any_usable(gateway->current) ? NULL : "no upstream has an endpoint that is well";
}

static void
show_ready(struct gateway *gateway, struct net_exchange *exchange)
{
    const char *reason = gateway_not_ready(gateway);
    answer_text(exchange, reason == NULL ? 200 : 503, reason == NULL ? "ok" : reason);
}

static void
show_metrics(struct gateway *gateway, struct net_exchange *exchange)
{
    answer(exchange, 200, SPAN("text/plain; version=0.0.4; charset=utf-8"));
    gateway_counters_render(gateway, &exchange->answer.body);
    if (gateway->parts.metrics != NULL) {
        gateway->parts.metrics(gateway->parts.context, &exchange->answer.body);
    }
}

static void
write_endpoint(struct json_writer *json, const struct upstream_endpoint_counters *endpoint)
{
    json_object_begin(json);
    json_member_cstr(json, "address", endpoint->name);
    json_member_cstr(json, "state", balance_state_name((enum balance_state)endpoint->state));
    json_member_i64(json, "weight", (int64_t)endpoint->weight);
    json_member_i64(json, "in_flight", (int64_t)endpoint->in_flight);
    json_member_i64(json, "requests", (int64_t)endpoint->requests);
    json_member_i64(json, "errors", (int64_t)endpoint->errors);
    json_member_i64(json, "connections", (int64_t)endpoint->connections);
    json_member_i64(json, "connect_failed", (int64_t)endpoint->connect_failed);
    json_member_i64(json, "ejections", (int64_t)endpoint->ejections);
    json_member_i64(json, "checks", (int64_t)endpoint->checks);
    json_member_i64(json, "checks_failed", (int64_t)endpoint->checks_failed);
    json_member_i64(json, "latency_us", (int64_t)(endpoint->latency_ns / OS_NS_PER_US));
    json_object_end(json);
}

static void
write_upstream(struct json_writer *json, const struct gateway_target *target)
{
    struct upstream_counters counters;
    upstream_count(target->upstream, &counters);
    json_object_begin(json);
    json_member_cstr(json, "name", target->name);
    json_member_cstr(json, "breaker", gateway_breaker_names[counters.breaker_state % 3]);
    json_member_i64(json, "active", (int64_t)counters.active);
    json_member_i64(json, "pending", (int64_t)counters.pending);
    json_member_i64(json, "requests", (int64_t)counters.requests);
    json_member_i64(json, "retries", (int64_t)counters.retries);
    json_member_i64(json, "load_per_mille", (int64_t)target->shed.load);
    json_member_i64(json, "latency_us", (int64_t)(target->shed.latency_ns / OS_NS_PER_US));
    json_key(json, "endpoints");
    json_array_begin(json);
    for (uint32_t slot = 0; slot < UPSTREAM_ENDPOINTS_MAX; slot++) {
        struct upstream_endpoint_counters endpoint;
        if (upstream_endpoint_count(target->upstream, slot, &endpoint)) {
            write_endpoint(json, &endpoint);
        }
    }
    json_array_end(json);
    json_object_end(json);
}

static void
show_upstreams(struct gateway *gateway, struct net_exchange *exchange)
{
    const struct gateway_generation *generation = gateway->current;
    struct json_writer json;
    answer(exchange, 200, SPAN("application/json"));
    json_begin(&json, &exchange->answer.body);
    json_object_begin(&json);
    json_key(&json, "upstreams");
    json_array_begin(&json);
    for (size_t i = 0; i < generation->config->upstream_count; i++) {
        write_upstream(&json, generation->targets[i]);
    }
    json_array_end(&json);
    json_object_end(&json);
}

static void
write_route(
    struct json_writer *json,
    const struct gateway_generation *generation,
    const struct gateway_route *route)
{
    json_object_begin(json);
    json_member_cstr(json, "name", route->name);
    json_member_text_or_null(json, "host", span_from_cstr(route->host));
    json_member_text(json, route->path_exact ? "path" : "path_prefix", route->path_span);
    json_member_cstr(json, "mode", route->mode_name);
    json_member_cstr(json, "class", route->class_name);
    json_member_bool(json, "public", route->public);
    json_key(json, "split");
    json_array_begin(json);
    for (size_t i = 0; i < route->split_count; i++) {
        json_object_begin(json);
        json_member_cstr(
            json, "upstream", generation->targets[route->splits[i].upstream_index]->name);
        json_member_i64(json, "weight", route->splits[i].weight);
        json_object_end(json);
    }
    json_array_end(json);
    json_object_end(json);
}

static void
show_routes(struct gateway *gateway, struct net_exchange *exchange)
{
    const struct gateway_generation *generation = gateway->current;
    struct json_writer json;
    answer(exchange, 200, SPAN("application/json"));
    json_begin(&json, &exchange->answer.body);
    json_object_begin(&json);
    json_member_i64(&json, "configuration", (int64_t)generation->number);
    json_key(&json, "routes");
    json_array_begin(&json);
    for (size_t i = 0; i < generation->config->route_count; i++) {
        write_route(&json, generation, &generation->config->routes[i]);
    }
    json_array_end(&json);
    json_object_end(&json);
}

/* ------------------------------------------------------------------------------------- changes */

struct reload {
    struct os_task task;
    struct gateway *gateway;
    struct net_exchange *exchange;
};

static void
on_reload(struct os_task *task)
{
    struct reload *reload = CONTAINER_OF(task, struct reload, task);
    struct net_exchange *exchange = reload->exchange;
    char reason[GATEWAY_REASON_SIZE];
    bool good = gateway_reload_now(reload->gateway, reason) == ERR_OK;
    struct json_writer json;
    answer(exchange, good ? 200 : 422, SPAN("application/json"));
    json_begin(&json, &exchange->answer.body);
    json_object_begin(&json);
    json_member_bool(&json, "reloaded", good);
    if (!good) {
        json_member_cstr(&json, "reason", reason);
    }
    json_object_end(&json);
    buf_append_byte(&exchange->answer.body, '\n');
    net_answer(exchange);
}

static void
do_reload(struct gateway *gateway, struct net_exchange *exchange)
{
    struct reload *reload = ARENA_NEW(exchange->arena, struct reload);
    if (reload == NULL) {
        answer_text(exchange, 503, "out of memory");
        net_answer(exchange);
        return;
    }
    *reload = (struct reload){.task.run = on_reload, .gateway = gateway, .exchange = exchange};
    os_post(os_loop_executor(gateway->operations), &reload->task);
}

static void
do_drain(struct gateway *gateway, struct net_exchange *exchange)
{
    if (gateway->parts.on_drain == NULL) {
        answer_text(exchange, 503, "nobody listens");
        return;
    }
    gateway->parts.on_drain(gateway->parts.context);
    answer_text(exchange, 202, "draining");
}

/* --------------------------------------------------------------------------------------- routes */

static const struct {
    const char *path;
    enum http_method method;
    void (*run)(struct gateway *gateway, struct net_exchange *exchange);
    bool answers_later; /* by itself, perhaps before `run` is back */
} admin_routes[] = {
    {"/livez", HTTP_METHOD_GET, show_live, false},
    {"/readyz", HTTP_METHOD_GET, show_ready, false},
    {"/startupz", HTTP_METHOD_GET, show_started, false},
    {"/metrics", HTTP_METHOD_GET, show_metrics, false},
    {"/upstreams", HTTP_METHOD_GET, show_upstreams, false},
    {"/routes", HTTP_METHOD_GET, show_routes, false},
    {"/reload", HTTP_METHOD_POST, do_reload, true},
    {"/drain", HTTP_METHOD_POST, do_drain, false},
};

/* What a Tael sends to where a merchant said is signed. It comes from this machine or its network,
 * and the merchant is shown what was answered. */
static bool
is_callback(const struct net_exchange *exchange)
{
    struct span signature;
    return http_head_find(exchange->head, SPAN("Stripe-Signature"), &signature);
}

static void
handle(struct gateway *gateway, struct net_exchange *exchange)
{
    bool known = false;
    if (is_callback(exchange)) {
        answer_text(exchange, 403, "this is not for webhooks and participants");
        net_answer(exchange);
        return;
    }
    for (size_t i = 0; i < sizeof(admin_routes) / sizeof(admin_routes[0]); i++) {
        if (!span_equal_cstr(exchange->path, admin_routes[i].path)) {
            continue;
        }
        known = true;
        bool head =
            exchange->method == HTTP_METHOD_HEAD && admin_routes[i].method == HTTP_METHOD_GET;
        /* A page in an operator's browser can send a POST to here; browsers say which. */
        if (exchange->method == HTTP_METHOD_POST &&
            http_head_has(exchange->head, HTTP_FIELD_ORIGIN)) {
            answer_text(exchange, 403, "this is not for pages in browsers");
            net_answer(exchange);
            return;
        }
        if (head || exchange->method == admin_routes[i].method) {
            admin_routes[i].run(gateway, exchange);
            if (!admin_routes[i].answers_later) {
                net_answer(exchange);
            }
            return;
        }
    }
    if (!known && gateway->parts.operate != NULL &&
        gateway->parts.operate(gateway->parts.context, exchange)) {
        return;
    }
    answer_text(exchange, known ? 405 : 404, known ? "another method" : "no such page");
    net_answer(exchange);
}

static void
on_requests(void *context, struct net_exchange *first)
{
    while (first != NULL) {
        struct net_exchange *next = first->next;
        first->next = NULL;
        handle(context, first);
        first = next;
    }
}

const struct net_server_hooks gateway_admin_hooks = {.on_requests = on_requests};
