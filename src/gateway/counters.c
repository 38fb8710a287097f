/* Metrics: rate, errors and duration of every route; state and outcomes of every upstream. */
#include "gateway_private.h"

#include "base/assert.h"
#include "trace/exposition.h"

#include <stdio.h>
#include <string.h>

/* Microseconds. */
static const uint64_t bounds_us[GATEWAY_BUCKETS] = {
    500,
    1000,
    2500,
    5000,
    10000,
    25000,
    50000,
    100000,
    250000,
    500000,
    1000000,
    2500000,
    5000000,
    10000000};

static const char *const bounds_text[GATEWAY_BUCKETS] = {
    "0.0005",
    "0.001",
    "0.0025",
    "0.005",
    "0.01",
    "0.025",
    "0.05",
    "0.1",
    "0.25",
    "0.5",
    "1",
    "2.5",
    "5",
    "10"};

const char *const gateway_breaker_names[3] = {"closed", "open", "half_open"};

void
gateway_count_request(struct gateway_request *request)
{
    struct gateway_generation *generation = request->generation;
    size_t route = request->route == NULL ? generation->config->route_count : request->route->index;
    struct gateway_route_counters *counters = generation->counters[route];
    uint64_t duration_ns = net_now_ns() - request->exchange->arrived_ns;
    size_t bucket = 0;
    while (bucket < GATEWAY_BUCKETS && duration_ns > bounds_us[bucket] * OS_NS_PER_US) {
        bucket++;
    }
    unsigned class = request->exchange->answer.status / 100 - 1;
    ASSERT(class < GATEWAY_STATUS_CLASSES);
    counters->by_class[class]++;
    counters->buckets[bucket]++;
    counters->duration_ns += duration_ns;
    request->gateway->verdicts[request->verdict]++;
}

static const char *
route_name(const struct gateway_generation *generation, size_t index)
{
    const struct gateway_config *config = generation->config;
    return index == config->route_count ? "none" : config->routes[index].name;
}

static void
render_routes(const struct gateway_generation *generation, struct buf *out)
{
    static const char *const classes[] = {"1xx", "2xx", "3xx", "4xx", "5xx"};
    size_t count = generation->config->route_count + 1;
    trace_exposition_head(
        out, "tael_gateway_requests_total", "counter", "Answers, by route and class of status.");
    for (size_t i = 0; i < count; i++) {
        for (size_t class = 1; class < GATEWAY_STATUS_CLASSES; class ++) {
            trace_exposition_value(
                out,
                "tael_gateway_requests_total",
                TRACE_LABELS("route", route_name(generation, i), "status", classes[class]),
                generation->counters[i]->by_class[class]);
        }
    }
    trace_exposition_head(
        out,
        "tael_gateway_request_duration_seconds",
        "histogram",
        "From the first byte of a request to its answer, by route.");
    for (size_t i = 0; i < count; i++) {
        const struct gateway_route_counters *counters = generation->counters[i];
        const char *name = route_name(generation, i);
        uint64_t sum = 0;
        for (size_t bucket = 0; bucket <= GATEWAY_BUCKETS; bucket++) {
            sum += counters->buckets[bucket];
            trace_exposition_value(
                out,
                "tael_gateway_request_duration_seconds_bucket",
                TRACE_LABELS(
                    "route", name, "le", bucket == GATEWAY_BUCKETS ? "+Inf" : bounds_text[bucket]),
                sum);
        }
        trace_exposition_seconds(
            out,
            "tael_gateway_request_duration_seconds_sum",
            TRACE_LABELS("route", name),
            counters->duration_ns);
        trace_exposition_value(
            out, "tael_gateway_request_duration_seconds_count", TRACE_LABELS("route", name), sum);
    }
}

/* One number of every upstream of the generation. */
static void
each_upstream(
    const struct gateway_generation *generation,
    struct buf *out,
    const char *name,
    const char *kind,
    const char *help,
    uint64_t (*number)(const struct gateway_target *, const struct upstream_counters *))
{
    trace_exposition_head(out, name, kind, help);
    for (size_t i = 0; i < generation->config->upstream_count; i++) {
        const struct gateway_target *target = generation->targets[i];
        struct upstream_counters counters;
        upstream_count(target->upstream, &counters);
        trace_exposition_value(
            out, name, TRACE_LABELS("upstream", target->name), number(target, &counters));
    }
}

#define NUMBER(function, expression)                                                               \
    static uint64_t function(                                                                      \
        const struct gateway_target *target, const struct upstream_counters *c)                    \
    {                                                                                              \
        (void)target;                                                                              \
        (void)c;                                                                                   \
        return expression;                                                                         \
    }
NUMBER(n_requests, c->requests)
NUMBER(n_active, c->active)
NUMBER(n_pending, c->pending)
NUMBER(n_attempts, c->attempts)
NUMBER(n_retries, c->retries)
NUMBER(n_budget, c->budget_exhausted)
NUMBER(n_breaker, c->breaker_state)
NUMBER(n_opened, c->breaker_opened)
NUMBER(n_endpoints, c->endpoints)
NUMBER(n_usable, c->usable)
NUMBER(n_panics, c->panics)
NUMBER(n_source_errors, c->source_errors)
NUMBER(n_load, target->shed.load)

static void
render_upstreams(const struct gateway_generation *generation, struct buf *out)
{
    static const struct {
        const char *name, *kind, *help;
        uint64_t (*number)(const struct gateway_target *, const struct upstream_counters *);
    } all[] = {
        {"tael_gateway_upstream_requests_total", "counter", "Requests forwarded.", n_requests},
        {"tael_gateway_upstream_active", "gauge", "Requests under way.", n_active},
        {"tael_gateway_upstream_pending", "gauge", "Waiting for a connection.", n_pending},
        {"tael_gateway_upstream_attempts_total", "counter", "Attempts.", n_attempts},
        {"tael_gateway_upstream_retries_total", "counter", "Attempts after the first.", n_retries},
        {"tael_gateway_upstream_retries_denied_total", "counter", "No budget left.", n_budget},
        {"tael_gateway_upstream_breaker_state", "gauge", "0 closed, 1 open, 2 half.", n_breaker},
        {"tael_gateway_upstream_breaker_opened_total", "counter", "Times.", n_opened},
        {"tael_gateway_upstream_endpoints", "gauge", "Configured.", n_endpoints},
        {"tael_gateway_upstream_endpoints_usable", "gauge", "Of them well.", n_usable},
        {"tael_gateway_upstream_panics_total", "counter", "Picks with too few well.", n_panics},
        {"tael_gateway_upstream_source_errors_total", "counter", "dns or file.", n_source_errors},
        {"tael_gateway_upstream_load_per_mille", "gauge", "What shedding goes by.", n_load},
    };

    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
        each_upstream(generation, out, all[i].name, all[i].kind, all[i].help, all[i].number);
    }
    trace_exposition_head(
        out, "tael_gateway_upstream_outcomes_total", "counter", "How forwarded requests ended.");
    for (size_t i = 0; i < generation->config->upstream_count; i++) {
        const struct gateway_target *target = generation->targets[i];
        for (int outcome = UPSTREAM_ANSWERED; outcome <= UPSTREAM_CANCELLED; outcome++) {
            trace_exposition_value(
                out,
                "tael_gateway_upstream_outcomes_total",
                TRACE_LABELS(
                    "upstream",
                    target->name,
                    "outcome",
                    upstream_outcome_name((enum upstream_outcome)outcome)),
                target->outcomes[outcome]);
        }
    }
    trace_exposition_head(
        out, "tael_gateway_shed_total", "counter", "Requests refused under load, by class.");
    for (size_t i = 0; i < generation->config->upstream_count; i++) {
        const struct gateway_target *target = generation->targets[i];
        for (size_t class = 0; class < GATEWAY_CLASS_COUNT; class ++) {
            trace_exposition_value(
                out,
                "tael_gateway_shed_total",
                TRACE_LABELS("upstream", target->name, "class", gateway_class_names[class]),
                target->shed_count[class]);
        }
    }
}

static void
render_redis(const struct gateway_redis *redis, struct buf *out)
{
    struct gateway_redis_counters counters;
    if (redis == NULL) {
        return;
    }
    gateway_redis_count(redis, &counters);
    trace_exposition_single(
        out, "tael_gateway_redis_connected", "gauge", "1 if it is.", counters.connected ? 1 : 0);
    trace_exposition_single(
        out, "tael_gateway_redis_asked_total", "counter", "Requests asked for.", counters.asked);
    trace_exposition_single(
        out, "tael_gateway_redis_answered_total", "counter", "Of them.", counters.answered);
    trace_exposition_single(
        out,
        "tael_gateway_redis_fallbacks_total",
        "counter",
        "Requests that local limits decided because Redis was dead or slow.",
        counters.fell_back);
    trace_exposition_single(
        out, "tael_gateway_redis_connects_total", "counter", "Attempts.", counters.connects);
    trace_exposition_single(
        out, "tael_gateway_redis_errors_total", "counter", "Lost or refused.", counters.errors);
}

static void
render_listeners(const struct gateway *gateway, struct buf *out)
{
    static const struct {
        const char *name, *kind, *help;
        size_t offset;
    } all[] = {

#define MEMBER(member) offsetof(struct net_server_counters, member)
        {"tael_gateway_connections", "gauge", "Open.", MEMBER(connections)},
        {"tael_gateway_accepted_total", "counter", "Connections.", MEMBER(accepted)},
        {"tael_gateway_over_limit_total", "counter", "Closed at once.", MEMBER(over_limit)},
        {"tael_gateway_handshakes_failed_total", "counter", "TLS.", MEMBER(handshake_failed)},
        {"tael_gateway_in_flight", "gauge", "Requests.", MEMBER(in_flight)},
        {"tael_gateway_orphaned_total", "counter", "Client had gone.", MEMBER(orphaned)},
        {"tael_gateway_busy_requests_total",
         "counter",
         "503: requests_max.",
         MEMBER(shed_requests)},
        {"tael_gateway_busy_memory_total", "counter", "503: memory_max.", MEMBER(shed_memory)},
        {"tael_gateway_gave_way_total", "counter", "Slow ones, for others.", MEMBER(gave_way)},
        {"tael_gateway_timeout_head_total", "counter", "Slow heads.", MEMBER(timeout_head)},
        {"tael_gateway_timeout_body_total", "counter", "Slow bodies.", MEMBER(timeout_body)},
        {"tael_gateway_timeout_write_total", "counter", "Slow readers.", MEMBER(timeout_write)},
        {"tael_gateway_bytes_in_total", "counter", "Received.", MEMBER(bytes_in)},
        {"tael_gateway_bytes_out_total", "counter", "Sent.", MEMBER(bytes_out)},
        {"tael_gateway_http2_connections_total", "counter", "HTTP/2.", MEMBER(http2_connections)},
        {"tael_gateway_http2_floods_total", "counter", "Ended for it.", MEMBER(http2_floods)},
        {"tael_gateway_memory_bytes", "gauge", "In buffers.", MEMBER(memory)},
#undef MEMBER
    };
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
        uint64_t sum = 0;
        for (size_t j = 0; j < gateway->serving_count; j++) {
            struct net_server_counters counters;
            net_server_count(gateway->serving[j]->server, &counters);
            sum += *(const uint64_t *)(const void *)((const char *)&counters + all[i].offset);
        }
        trace_exposition_single(out, all[i].name, all[i].kind, all[i].help, sum);
    }
}

/* Listeners without TLS have none. */
static void
render_certificates(const struct gateway *gateway, struct buf *out)
{
    static const char name[] = "tael_gateway_certificate_expires_timestamp_seconds";
    trace_exposition_head(out, name, "gauge", "When it ends, unix time.");
    for (size_t i = 0; i < gateway->serving_count; i++) {
        const struct gateway_listener *listener = gateway->serving[i];
        if (listener->tls != NULL) {
            const char *address = listener->config.address;
            char label[sizeof(listener->config.address) + 8];
            (void)snprintf(
                label,
                sizeof(label),
                "%.*s:%u",
                (int)(strrchr(address, ':') - address),
                address,
                (unsigned)listener->port);
            trace_exposition_value(
                out,
                name,
                TRACE_LABELS("listener", label),
                (uint64_t)net_tls_expires_s(listener->tls));
        }
    }
}

static void
render_state(const struct gateway *gateway, struct buf *out)
{
    trace_exposition_single(
        out,
        "tael_gateway_ready",
        "gauge",
        "What /readyz says.",
        gateway_not_ready(gateway) == NULL ? 1 : 0);
    trace_exposition_single(
        out, "tael_gateway_configuration", "gauge", "Its number.", gateway->current->number);
    trace_exposition_single(
        out, "tael_gateway_reloads_total", "counter", "Taken.", gateway->reload_count);
    trace_exposition_single(
        out,
        "tael_gateway_reloads_failed_total",
        "counter",
        "Refused; the old configuration stayed.",
        gateway->reload_failed_count);
    trace_exposition_single(
        out,
        "tael_gateway_last_reload_successful",
        "gauge",
        "0 if the last one was refused.",
        gateway->reload_refused ? 0 : 1);
    trace_exposition_single(
        out, "tael_gateway_draining", "gauge", "1 if it is.", gateway->draining ? 1 : 0);
}

void
gateway_counters_render(const struct gateway *gateway, struct buf *out)
{
    const struct gateway_generation *generation = gateway->current;
    render_routes(generation, out);
    trace_exposition_head(
        out, "tael_gateway_verdicts_total", "counter", "What became of requests.");
    for (size_t i = 0; i < GATEWAY_VERDICT_COUNT; i++) {
        trace_exposition_value(
            out,
            "tael_gateway_verdicts_total",
            TRACE_LABELS("verdict", gateway_verdict_names[i]),
            gateway->verdicts[i]);
    }
    render_upstreams(generation, out);
    render_redis(generation->redis, out);
    struct gateway_limit_counters limits;
    gateway_limit_count(gateway->limits, &limits);
    trace_exposition_single(
        out, "tael_gateway_limit_subjects", "gauge", "Keys, addresses, routes.", limits.subjects);
    trace_exposition_single(
        out,
        "tael_gateway_limit_forgotten_total",
        "counter",
        "Subjects that made room although their bucket was not full.",
        limits.forgotten);
    render_listeners(gateway, out);
    render_certificates(gateway, out);
    render_state(gateway, out);
    trace_exposition_single(
        out,
        "tael_gateway_log_lines_dropped_total",
        "counter",
        "Of the access log.",
        gateway_access_dropped(gateway->access));
}
