/*
 * A request's way through the gateway, on the loop:
 *
 *     on_requests -> identify -> decide --refusal--------------------------> finish
 *                                  | gateway_limits_apply --refusal----------> |
 *                                  v      (Redis: later)                       |
 *                       gateway_request_admitted --shed----------------------> |
 *                                  v                                           |
 *                          gateway_forward ... the service's answer ---------> |
 *
 * GATEWAY-1  Who sends no API key gets 401 and nothing else, whatever the path, the method and the
 *            body, unless the route that the request takes is public or answers a preflight.
 * GATEWAY-2  Each exchange is finished exactly once.
 * GATEWAY-3  A request keeps the generation that it began with.
 * GATEWAY-5  When a client goes, what it asked for is given up if that cannot make an outcome
 *            unknown: GET and HEAD, and what no byte of was sent. Everything else goes on.
 */
#include "gateway_private.h"
#include "match.h"
#include "path.h"

#include "base/assert.h"

#include <stdlib.h>
#include <string.h>

#define PATH_SHOWN_MAX 200

const char *const gateway_verdict_names[GATEWAY_VERDICT_COUNT] = {
    [GATEWAY_FORWARDED] = "forwarded",
    [GATEWAY_UNAUTHENTICATED] = "unauthenticated",
    [GATEWAY_DENIED] = "denied",
    [GATEWAY_BAD_REQUEST] = "bad_request",
    [GATEWAY_NO_ROUTE] = "no_route",
    [GATEWAY_LIMITED_RATE] = "limited_rate",
    [GATEWAY_LIMITED_CONCURRENCY] = "limited_concurrency",
    [GATEWAY_SHED] = "shed",
    [GATEWAY_PREFLIGHT] = "preflight",
    [GATEWAY_UNAVAILABLE] = "unavailable",
    [GATEWAY_FAILED] = "failed",
    [GATEWAY_REFUSED] = "refused",
    [GATEWAY_CLIENT_GONE] = "client_gone",
};

/* ----------------------------------------------------------------------------------- lifetime */

static struct gateway_request *
request_get(struct gateway *gateway, struct net_exchange *exchange)
{
    struct gateway_request *request = gateway->kept;
    if (request != NULL) {
        gateway->kept = request->next;
        gateway->kept_count--;
    } else {
        request = calloc(1, sizeof(*request));
        if (request == NULL) {
            return NULL;
        }
    }
    request->next = NULL;
    request->gateway = gateway;
    request->generation = gateway->current;
    request->generation->references++;
    request->exchange = exchange;
    exchange->user = request;
    request->route = NULL;
    request->target = NULL;
    request->path = SPAN_EMPTY;
    request->key = (struct gateway_key){.kind = GATEWAY_KEY_NONE};
    request->key_rule = NULL;
    request->key_is_wrong = false;
    request->verdict = GATEWAY_FORWARDED;
    request->check_count = 0;
    request->has_places = false;
    request->forwarded_ns = 0;
    gateway->under_way++;
    return request;
}

static void
request_put(struct gateway_request *request)
{
    struct gateway *gateway = request->gateway;
    gateway_generation_unref(request->generation);
    request->generation = NULL;
    request->exchange = NULL;
    ASSERT(gateway->under_way > 0);
    gateway->under_way--;
    if (gateway->kept_count < GATEWAY_REQUESTS_KEPT) {
        request->next = gateway->kept;
        gateway->kept = request;
        gateway->kept_count++;
        return;
    }
    upstream_call_release(&request->call);
    free(request);
}

void
gateway_requests_release(struct gateway *gateway)
{
    while (gateway->kept != NULL) {
        struct gateway_request *request = gateway->kept;
        gateway->kept = request->next;
        upstream_call_release(&request->call);
        free(request);
    }
    gateway->kept_count = 0;
}

void
gateway_request_finish(struct gateway_request *request)
{
    struct net_exchange *exchange = request->exchange;
    ASSERT(exchange->answer.status >= 200);
    gateway_limits_release(request);
    exchange->answer.close = exchange->answer.close || request->gateway->draining;
    gateway_count_request(request);
    gateway_trace_end(request);
    gateway_access_write(request);
    request_put(request);
    exchange->user = NULL;
    net_answer(exchange);
}

/* ------------------------------------------------------------------------------------ who is it */

static bool
id_is_valid(struct span id)
{
    if (id.size < 8 || id.size >= GATEWAY_REQUEST_ID_SIZE) {
        return false;
    }
    for (size_t i = 0; i < id.size; i++) {
        char byte = id.data[i];
        bool good = (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') ||
                    (byte >= '0' && byte <= '9') || byte == '-' || byte == '_' || byte == '.';
        if (!good) {
            return false;
        }
    }
    return true;
}

static void
id_make(struct gateway *gateway, char out[GATEWAY_REQUEST_ID_SIZE])
{
    uint64_t unix_ms = os_wall_ns(gateway->parts.clock) / OS_NS_PER_MS;
    (void)id_format("req_", id_next(&gateway->ids, unix_ms, gateway_random(gateway)), out);
}

/* A trusted proxy may have given it an id; from anybody else it would be a claim. */
static void
identify_request(struct gateway_request *request)
{
    const struct http_head *head = request->exchange->head;
    const struct gateway_config *config = request->generation->config;
    struct span given = http_head_value(head, HTTP_FIELD_X_REQUEST_ID);
    if (id_is_valid(given) &&
        gateway_cidr_any(config->trusted, config->trusted_count, request->exchange->peer.ip)) {
        ASSERT(given.data != NULL);
        memcpy(request->id, given.data, given.size);
        request->id[given.size] = '\0';
        return;
    }
    id_make(request->gateway, request->id);
}

static bool
key_rule_matches(const struct gateway_key_rule *rule, struct span key)
{
    struct span match = span_from_cstr(rule->match);
    return span_starts_with(key, span_slice(match, 0, 8)) &&
           span_ends_with(key, span_slice(match, 11, match.size));
}

static void
identify_key(struct gateway_request *request)
{
    const struct gateway_config *config = request->generation->config;
    struct span value = http_head_value(request->exchange->head, HTTP_FIELD_AUTHORIZATION);
    char *memory = NULL;
    if (value.size > 0) {
        memory = arena_alloc(request->exchange->arena, GATEWAY_KEY_SIZE_MAX + 1);
    }
    if (value.size > 0 &&
        (memory == NULL || gateway_key_read(value, memory, &request->key) != ERR_OK)) {
        request->key = (struct gateway_key){.kind = GATEWAY_KEY_NONE};
        request->key_is_wrong = true;
        return;
    }
    for (size_t i = 0; i < config->key_count && request->key.kind != GATEWAY_KEY_NONE; i++) {
        if (key_rule_matches(&config->keys[i], request->key.text)) {
            request->key_rule = &config->keys[i];
            return;
        }
    }
}

static struct span
host_of(const struct gateway_request *request)
{
    struct span host = request->forwarded.host;
    if (host.size > 0 && host.data[0] == '[') {
        return span_slice(host, 0, span_find(host, ']', 0) + 1);
    }
    return span_slice(host, 0, span_find(host, ':', 0));
}

static bool
is_preflight(const struct net_exchange *exchange)
{
    struct span method;
    return exchange->method == HTTP_METHOD_OPTIONS &&
           http_head_has(exchange->head, HTTP_FIELD_ORIGIN) &&
           http_head_find(exchange->head, SPAN("access-control-request-method"), &method);
}

/* The route that the request behind a preflight would take, whatever its key will be. */
static void
match_preflight(struct gateway_request *request, struct gateway_match_request match)
{
    struct span wanted;
    if (!http_head_find(request->exchange->head, SPAN("access-control-request-method"), &wanted)) {
        return;
    }
    uint32_t method = HTTP_METHOD_GET;
    while (method < HTTP_METHOD_TRACE &&
           !span_equal(http_method_text((enum http_method)method), wanted)) {
        method++;
    }
    match.method = (enum http_method)method;
    match.kind = GATEWAY_KEY_PUBLISHABLE;
    for (int live = 0; live < 2; live++) {
        bool other_method;
        match.live = live == 1;
        const struct gateway_route *route =
            gateway_match(request->generation->config, &match, &other_method);
        if (route != NULL && route->cors != NULL) {
            request->route = route;
        }
    }
}

static void
find_route(struct gateway_request *request)
{
    const struct net_exchange *exchange = request->exchange;
    char *memory = arena_alloc(exchange->arena, exchange->path.size + 1);
    if (memory == NULL ||
        gateway_path_normalize(exchange->path, memory, &request->path) != ERR_OK) {
        request->path = SPAN_EMPTY;
        return;
    }
    struct gateway_match_request match = {
        .host = host_of(request),
        .path = request->path,
        .method = exchange->method,
        .kind = request->key.kind,
        .live = request->key.live,
        .head = exchange->head,
    };
    if (is_preflight(exchange)) {
        match_preflight(request, match);
        if (request->route != NULL) {
            return;
        }
    }
    bool other_method;
    request->route = gateway_match(request->generation->config, &match, &other_method);
}

/* ----------------------------------------------------------------------------------- may it go */

static bool
networks_admit(const struct gateway_networks *networks, const uint8_t ip[16])
{
    if (gateway_cidr_any(networks->deny, networks->deny_count, ip)) {
        return false;
    }
    return networks->allow_count == 0 ||
           gateway_cidr_any(networks->allow, networks->allow_count, ip);
}

static void
refuse(
    struct gateway_request *request,
    enum gateway_verdict verdict,
    unsigned status,
    struct span message)
{
    request->verdict = verdict;
    gateway_answer_error(request, status, "invalid_request_error", NULL, message);
}

static bool
decide_route(struct gateway_request *request)
{
    if (request->path.size == 0) {
        struct span message = arena_format(
            request->exchange->arena,
            "Unrecognized request URL (%.*s: %.*s). Its path has more than one reading: //, dot "
            "segments, backslashes and encoded slashes are not accepted.",
            SPAN_PRINTF(http_method_text(request->exchange->method)),
            SPAN_PRINTF(span_slice(request->exchange->path, 0, PATH_SHOWN_MAX)));
        refuse(request, GATEWAY_BAD_REQUEST, 404, message);
        return false;
    }
    if (request->route == NULL) {
        struct span path = span_slice(request->path, 0, PATH_SHOWN_MAX);
        struct span message = arena_format(
            request->exchange->arena,
            "Unrecognized request URL (%.*s: %.*s).",
            SPAN_PRINTF(http_method_text(request->exchange->method)),
            SPAN_PRINTF(path));
        refuse(request, GATEWAY_NO_ROUTE, 404, message);
        return false;
    }
    enum http_method method = request->exchange->method;
    if (method == HTTP_METHOD_OTHER || method == HTTP_METHOD_TRACE) {
        refuse(request, GATEWAY_BAD_REQUEST, 405, SPAN("This method is not supported."));
        return false;
    }
    return true;
}

static bool
decide_rights(struct gateway_request *request)
{
    const struct gateway_route *route = request->route;
    const uint8_t *client = request->forwarded.hops[0];
    bool key_admits =
        request->key_rule == NULL || networks_admit(&request->key_rule->networks, client);
    if (!networks_admit(&route->networks, client) || !key_admits) {
        refuse(
            request,
            GATEWAY_DENIED,
            403,
            SPAN("Requests from this address are not permitted here."));
        return false;
    }
    if (!route->public && (route->kinds >> request->key.kind & 1) == 0) {
        refuse(
            request,
            GATEWAY_DENIED,
            403,
            SPAN("This kind of API key may not be used for this request."));
        return false;
    }
    if (route->body_max > 0 && request->exchange->body.size > (uint64_t)route->body_max) {
        refuse(request, GATEWAY_BAD_REQUEST, 413, SPAN("The body of the request is too large."));
        return false;
    }
    return true;
}

/* False: the answer is there. */
static bool
decide(struct gateway_request *request)
{
    bool public = request->route != NULL && request->route->public;
    if (request->route != NULL && request->route->cors != NULL && is_preflight(request->exchange)) {
        request->verdict = GATEWAY_PREFLIGHT;
        gateway_answer_preflight(request);
        return false;
    }
    if (!public && request->key.kind == GATEWAY_KEY_NONE) { /* GATEWAY-1 */
        request->route = NULL;
        request->verdict = GATEWAY_UNAUTHENTICATED;
        gateway_answer_unauthenticated(request);
        return false;
    }
    return decide_route(request) && decide_rights(request);
}

static void
handle(struct gateway *gateway, struct net_exchange *exchange)
{
    struct gateway_request *request = request_get(gateway, exchange);
    if (request == NULL) {
        exchange->answer.status = 503;
        exchange->answer.close = true;
        net_answer(exchange);
        return;
    }
    const struct gateway_config *config = request->generation->config;
    gateway_forwarded_read(
        exchange->head,
        exchange->peer.ip,
        exchange->tls,
        config->trusted,
        config->trusted_count,
        &request->forwarded);
    identify_request(request);
    gateway_trace_begin(request);
    identify_key(request);
    find_route(request);
    if (!decide(request)) {
        gateway_request_finish(request);
        return;
    }
    gateway_limits_apply(request);
}

void
gateway_on_requests(void *context, struct net_exchange *first)
{
    struct gateway *gateway = context;
    while (first != NULL) {
        struct net_exchange *next = first->next;
        first->next = NULL;
        handle(gateway, first);
        first = next;
    }
}

/* ------------------------------------------------------------------------------------ admitted */

static uint64_t
sticky_hash(const struct gateway_request *request)
{
    const struct gateway_route *route = request->route;
    struct span value = SPAN_EMPTY;
    switch (route->sticky) {
    case GATEWAY_STICKY_NONE:
        break;
    case GATEWAY_STICKY_KEY:
        value = request->key.text;
        break;
    case GATEWAY_STICKY_ADDRESS:
        value = span_of(request->forwarded.hops[0], 16);
        break;
    case GATEWAY_STICKY_HEADER:
        (void)http_head_find(request->exchange->head, route->sticky_header, &value);
        break;
    }
    /* The same on every gateway: one customer has one version of the service. */
    static const struct hash_key key = {1, 2};
    return hash_keyed(key, value);
}

static struct gateway_target *
target_choose(struct gateway_request *request)
{
    const struct gateway_route *route = request->route;
    struct gateway_route_counters *counters = request->generation->counters[route->index];
    uint32_t index = gateway_split_choose(
        route, route->sticky == GATEWAY_STICKY_NONE ? 0 : sticky_hash(request), counters->turn);
    counters->turn++;
    return request->generation->targets[index];
}

/* Without a user it is not known yet, or answered. Before it was forwarded, its place among those
 * that wait for Redis is its own: whoever admits it looks. */
void
gateway_on_gone(void *context, struct net_exchange *exchange)
{
    struct gateway_request *request = exchange->user;
    (void)context;
    if (request != NULL && request->target != NULL) {
        gateway_forward_leave(request);
    }
}

void
gateway_request_admitted(struct gateway_request *request)
{
    if (request->exchange->gone) {
        gateway_answer_gone(request);
        gateway_request_finish(request);
        return;
    }
    struct gateway_target *target = target_choose(request);
    enum gateway_class class = request->route->class;
    gateway_shed_update(&target->shed, &target->shed_target, target->under_way);
    if (gateway_shed_decide(&target->shed, class)) {
        target->shed_count[class]++;
        request->verdict = GATEWAY_SHED;
        gateway_answer_error(
            request,
            503,
            "api_error",
            NULL,
            SPAN("The service is busy with more important requests. Try again later."));
        gateway_answer_header(request, SPAN("Retry-After"), SPAN("1"));
        gateway_answer_header(request, SPAN("Stripe-Should-Retry"), SPAN("true"));
        gateway_request_finish(request);
        return;
    }
    request->target = target;
    gateway_forward(request);
}

/* ------------------------------------------------------------------------ refused by the codec */

void
gateway_on_refused(void *context, struct net_exchange *exchange, const char *reason)
{
    struct gateway *gateway = context;
    gateway->verdicts[GATEWAY_REFUSED]++;
    struct gateway_request request = {.gateway = gateway, .exchange = exchange};
    request.generation = gateway->current;
    request.verdict = GATEWAY_REFUSED;
    id_make(gateway, request.id);
    gateway_trace_begin(&request);
    struct span message = arena_format(exchange->arena, "The request was refused: %.200s.", reason);
    unsigned status = exchange->answer.status;
    gateway_answer_error(
        &request, status, status >= 500 ? "api_error" : "invalid_request_error", NULL, message);
    gateway_trace_end(&request);
}
