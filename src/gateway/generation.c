/* A configuration that counts, with the upstreams that it names. */
#include "gateway_private.h"

#include "base/assert.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NS_PER_MS UINT64_C(1000000)

__attribute__((format(printf, 2, 3))) static void
explain(char reason[GATEWAY_REASON_SIZE], const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(reason, GATEWAY_REASON_SIZE, format, arguments);
    va_end(arguments);
}

/* ------------------------------------------------------------------------------------ targets */

static void
target_destroy(struct gateway *gateway, struct gateway_target *target)
{
    struct gateway_target **place = &gateway->targets;
    while (*place != NULL && *place != target) {
        place = &(*place)->next;
    }
    if (*place == target) {
        *place = target->next;
    }
    if (target->upstream != NULL) {
        if (gateway->started) {
            upstream_stop(target->upstream, 0); /* nobody has a request on it any more */
        }
        upstream_destroy(&target->upstream);
    }
    net_tls_destroy(&target->tls);
    free(target);
}

static enum balance_policy
policy_of(const char *name)
{
    for (int policy = 0; policy < BALANCE_POLICY_COUNT; policy++) {
        if (strcmp(name, balance_policy_name((enum balance_policy)policy)) == 0) {
            return (enum balance_policy)policy;
        }
    }
    UNREACHABLE(); /* the configuration was checked */
}

static void
settings_of(const struct gateway_upstream_config *config, struct upstream_settings *ret_settings)
{
    struct upstream_settings *settings = ret_settings;
    *settings = upstream_settings_default;
    settings->policy = policy_of(config->policy);
    settings->slow_start_ms = (uint32_t)config->slow_start;
    settings->panic_percent = (uint32_t)config->panic_percent;
    settings->connections_max = (uint32_t)config->connections_max;
    settings->pending_max = (uint32_t)config->pending_max;
    settings->requests_max = (uint32_t)config->requests_max;
    settings->attempts_max = (uint32_t)config->attempts_max;
    settings->answer_max = (uint32_t)config->answer_max;
    settings->timeout_ms = (uint32_t)config->timeout;
    settings->try_timeout_ms = (uint32_t)config->try_timeout;
    settings->connect_timeout_ms = (uint32_t)config->connect_timeout;
    settings->idle_timeout_ms = (uint32_t)config->idle_timeout;
    settings->drain_timeout_ms = (uint32_t)config->drain_timeout;
    settings->backoff_base_ms = (uint32_t)config->backoff_base;
    settings->backoff_max_ms = (uint32_t)config->backoff_max;
    settings->retry_budget_percent = (uint32_t)config->retry_percent;
    settings->retry_budget_min = (uint32_t)config->retry_min;
    settings->health.path = config->health_path[0] == '\0' ? NULL : config->health_path;
    settings->health.interval_ms = (uint32_t)config->health_interval;
    settings->health.timeout_ms = (uint32_t)config->health_timeout;
    settings->health.up = (uint32_t)config->health_up;
    settings->health.down = (uint32_t)config->health_down;
    settings->outlier.failures = (uint32_t)config->outlier_failures;
    settings->outlier.base_ms = (uint32_t)config->outlier_base;
    settings->outlier.max_ms = (uint32_t)config->outlier_max;
    settings->outlier.share_percent = (uint32_t)config->outlier_percent;
    settings->breaker.failure_percent = (uint32_t)config->breaker_percent;
    settings->breaker.results_min = (uint32_t)config->breaker_results;
    settings->breaker.window_ms = (uint32_t)config->breaker_window;
    settings->breaker.open_ms = (uint32_t)config->breaker_open;
    settings->breaker.probes = (uint32_t)config->breaker_probes;
    settings->server_name = config->server_name[0] == '\0' ? NULL : config->server_name;
}

struct endpoint_host {
    char text[GATEWAY_HOST_SIZE + 8];
};

static err_t
endpoints_set(struct gateway_target *target, const struct gateway_upstream_config *config)
{
    size_t count = config->endpoint_count;
    ASSERT(count <= GATEWAY_ENDPOINTS_MAX);
    struct upstream_endpoint endpoints[GATEWAY_ENDPOINTS_MAX];
    struct endpoint_host *hosts = calloc(count, sizeof(*hosts));
    err_t result = hosts == NULL ? ERR_MEMORY : ERR_OK;
    for (size_t i = 0; i < count && result == ERR_OK; i++) {
        const struct gateway_endpoint_config *from = &config->endpoints[i];
        endpoints[i] = (struct upstream_endpoint){
            .host = hosts[i].text,
            .weight = (uint32_t)from->weight,
            .priority = (uint32_t)from->priority,
        };
        result = gateway_address_split(from->address, hosts[i].text, &endpoints[i].port);
    }
    if (result == ERR_OK) {
        result = upstream_set(target->upstream, endpoints, count);
    }
    free(hosts);
    return result;
}

static err_t
source_set(struct gateway_target *target, const struct gateway_upstream_config *config)
{
    uint32_t interval_ms = (uint32_t)config->source_interval;
    if (config->dns[0] != '\0') {
        char host[GATEWAY_HOST_SIZE + 8];
        uint16_t port;
        TRY(gateway_address_split(config->dns, host, &port));
        return upstream_follow_name(target->upstream, host, port, interval_ms);
    }
    if (config->file[0] != '\0') {
        return upstream_follow_file(target->upstream, config->file, interval_ms);
    }
    return endpoints_set(target, config);
}

static err_t
tls_open(
    const struct gateway_upstream_config *config,
    struct net_tls **ret_tls,
    char reason[GATEWAY_REASON_SIZE])
{
    *ret_tls = NULL;
    if (!config->tls) {
        return ERR_OK;
    }
    err_t result = net_tls_create_client(
        config->tls_ca[0] == '\0' ? NULL : config->tls_ca, config->tls_verify, ret_tls);
    if (result != ERR_OK) {
        explain(
            reason,
            "upstreams.%s.tls_ca: %.200s: %s",
            config->name,
            config->tls_ca,
            err_text(result));
    }
    return result;
}

err_t
gateway_target_check(const struct gateway_upstream_config *config, char reason[GATEWAY_REASON_SIZE])
{
    struct net_tls *tls;
    TRY(tls_open(config, &tls, reason));
    net_tls_destroy(&tls);
    return ERR_OK;
}

static err_t
target_open(
    struct gateway *gateway,
    const struct gateway_upstream_config *config,
    struct gateway_target *target,
    char reason[GATEWAY_REASON_SIZE])
{
    struct upstream_settings settings;
    settings_of(config, &settings);
    settings.log = gateway->parts.log;
    TRY(tls_open(config, &target->tls, reason));
    settings.tls = target->tls;
    err_t result = upstream_create(gateway->parts.loop, config->name, &settings, &target->upstream);
    if (result == ERR_OK) {
        result = source_set(target, config);
    }
    if (result != ERR_OK) {
        explain(reason, "upstreams.%s: %s", config->name, err_text(result));
    }
    return result;
}

static err_t
target_create(
    struct gateway *gateway,
    const struct gateway_upstream_config *config,
    struct gateway_target **ret_target,
    char reason[GATEWAY_REASON_SIZE])
{
    struct gateway_target *target = calloc(1, sizeof(*target));
    if (target == NULL) {
        explain(reason, "%s", err_text(ERR_MEMORY));
        return ERR_MEMORY;
    }
    memcpy(target->name, config->name, sizeof(target->name));
    target->fingerprint = config->fingerprint;
    target->by_key = policy_of(config->policy) == BALANCE_HASH;
    target->shed_target = (struct gateway_shed_target){
        .latency_ns = (uint64_t)config->shed_latency * NS_PER_MS,
        .queue = (uint32_t)config->shed_queue,
    };
    err_t result = target_open(gateway, config, target, reason);
    if (result != ERR_OK) {
        target_destroy(gateway, target);
        return result;
    }
    target->next = gateway->targets;
    gateway->targets = target;
    *ret_target = target;
    return ERR_OK;
}

static struct gateway_target *
target_find(struct gateway *gateway, const struct gateway_upstream_config *config)
{
    for (struct gateway_target *target = gateway->targets; target != NULL; target = target->next) {
        if (target->fingerprint == config->fingerprint && strcmp(target->name, config->name) == 0) {
            return target;
        }
    }
    return NULL;
}

/* -------------------------------------------------------------------------------- generations */

static void
on_retire(struct os_task *task)
{
    struct gateway_generation *generation = CONTAINER_OF(task, struct gateway_generation, retire);
    gateway_generation_destroy(&generation);
}

static err_t
targets_open(struct gateway_generation *generation, char reason[GATEWAY_REASON_SIZE])
{
    struct gateway *gateway = generation->gateway;
    const struct gateway_config *config = generation->config;
    for (size_t i = 0; i < config->upstream_count; i++) {
        struct gateway_target *target = target_find(gateway, &config->upstreams[i]);
        if (target == NULL) {
            TRY(target_create(gateway, &config->upstreams[i], &target, reason));
        }
        target->generations++;
        generation->targets[i] = target;
    }
    return ERR_OK;
}

/* ----------------------------------------------------------------------------------- counters */

static struct gateway_route_counters *
counters_get(struct gateway *gateway, const char *name)
{
    struct gateway_route_counters *counters = gateway->counters;
    while (counters != NULL && strcmp(counters->name, name) != 0) {
        counters = counters->next;
    }
    if (counters == NULL) {
        counters = calloc(1, sizeof(*counters));
        if (counters == NULL) {
            return NULL;
        }
        (void)snprintf(counters->name, sizeof(counters->name), "%s", name);
        counters->next = gateway->counters;
        gateway->counters = counters;
    }
    counters->generations++;
    return counters;
}

/* Those that no generation wants any more. */
static void
counters_sweep(struct gateway *gateway)
{
    struct gateway_route_counters **place = &gateway->counters;
    while (*place != NULL) {
        struct gateway_route_counters *counters = *place;
        if (counters->generations > 0) {
            place = &counters->next;
            continue;
        }
        *place = counters->next;
        free(counters);
    }
}

static err_t
counters_open(struct gateway_generation *generation, char reason[GATEWAY_REASON_SIZE])
{
    const struct gateway_config *config = generation->config;
    for (size_t i = 0; i <= config->route_count; i++) {
        /* No route can be called like that. */
        const char *name = i == config->route_count ? "" : config->routes[i].name;
        generation->counters[i] = counters_get(generation->gateway, name);
        if (generation->counters[i] == NULL) {
            explain(reason, "%s", err_text(ERR_MEMORY));
            return ERR_MEMORY;
        }
    }
    return ERR_OK;
}

err_t
gateway_generation_create(
    struct gateway *gateway,
    struct gateway_config *take_config,
    struct gateway_generation **ret_generation,
    char reason[GATEWAY_REASON_SIZE])
{
    struct gateway_generation *generation = calloc(1, sizeof(*generation));
    if (generation == NULL) {
        gateway_config_destroy(&take_config);
        explain(reason, "%s", err_text(ERR_MEMORY));
        return ERR_MEMORY;
    }
    generation->gateway = gateway;
    generation->config = take_config;
    generation->retire.run = on_retire;
    generation->references = 1;
    generation->targets = calloc(take_config->upstream_count, sizeof(struct gateway_target *));
    generation->counters =
        calloc(take_config->route_count + 1, sizeof(struct gateway_route_counters *));
    err_t result = ERR_MEMORY;
    if (generation->targets != NULL && generation->counters != NULL) {
        result = counters_open(generation, reason);
    } else {
        explain(reason, "%s", err_text(result));
    }
    if (result == ERR_OK) {
        result = targets_open(generation, reason);
    }
    if (result == ERR_OK) {
        result = gateway_redis_share(generation, reason);
    }
    if (result != ERR_OK) {
        gateway_generation_destroy(&generation);
        return result;
    }
    *ret_generation = generation;
    return ERR_OK;
}

void
gateway_generation_refresh(struct gateway_generation *generation)
{
    const struct gateway_config *config = generation->config;
    for (size_t i = 0; i < config->upstream_count; i++) {
        if (config->upstreams[i].endpoint_count > 0 &&
            endpoints_set(generation->targets[i], &config->upstreams[i]) != ERR_OK) {
            TRACE_LOG(
                generation->gateway->parts.log,
                TRACE_ERROR,
                "gateway",
                SPAN_EMPTY,
                "the endpoints of an upstream stay as they were",
                trace_cstr("upstream", config->upstreams[i].name));
        }
    }
}

static bool
has_endpoints(const struct gateway_target *target)
{
    struct upstream_counters counters;
    upstream_count(target->upstream, &counters);
    return counters.endpoints > 0;
}

static bool
has_endpoints_for(const struct gateway_generation *generation, const char *name)
{
    for (size_t i = 0; i < generation->config->upstream_count; i++) {
        const struct gateway_target *target = generation->targets[i];
        if (strcmp(target->name, name) == 0) {
            return has_endpoints(target);
        }
    }
    return false;
}

bool
gateway_generation_is_unknown(const struct gateway_generation *generation)
{
    for (size_t i = 0; i < generation->config->upstream_count; i++) {
        struct upstream_counters counters;
        upstream_count(generation->targets[i]->upstream, &counters);
        if (counters.set_changes == 0 && counters.source_errors == 0) {
            return true;
        }
    }
    return false;
}

const struct gateway_target *
gateway_generation_lacks(
    const struct gateway_generation *generation, const struct gateway_generation *before)
{
    for (size_t i = 0; i < generation->config->upstream_count; i++) {
        const struct gateway_target *target = generation->targets[i];
        if (target->generations == 1 && !has_endpoints(target) &&
            has_endpoints_for(before, target->name)) {
            return target;
        }
    }
    return NULL;
}

void
gateway_generation_destroy(struct gateway_generation **generation_pointer)
{
    struct gateway_generation *generation = *generation_pointer;
    if (generation == NULL) {
        return;
    }
    for (size_t i = 0; generation->targets != NULL && i < generation->config->upstream_count; i++) {
        struct gateway_target *target = generation->targets[i];
        if (target == NULL) {
            break;
        }
        ASSERT(target->generations > 0);
        target->generations--;
        if (target->generations == 0) {
            target_destroy(generation->gateway, target);
        }
    }
    for (size_t i = 0; generation->counters != NULL && i <= generation->config->route_count; i++) {
        if (generation->counters[i] != NULL) {
            ASSERT(generation->counters[i]->generations > 0);
            generation->counters[i]->generations--;
        }
    }
    counters_sweep(generation->gateway);
    gateway_redis_unshare(generation);
    gateway_config_destroy(&generation->config);
    free(generation->targets);
    free(generation->counters);
    free(generation);
    *generation_pointer = NULL;
}

void
gateway_generation_switch(struct gateway_generation *generation)
{
    struct gateway *gateway = generation->gateway;
    struct gateway_generation *old = gateway->current;
    generation->number = old == NULL ? 1 : old->number + 1;
    gateway->current = generation;
    if (old != NULL) {
        gateway_generation_unref(old);
    }
}

void
gateway_generation_unref(struct gateway_generation *generation)
{
    ASSERT(generation->references > 0);
    generation->references--;
    if (generation->references == 0) {
        ASSERT(generation != generation->gateway->current);
        os_post(os_loop_executor(generation->gateway->operations), &generation->retire);
    }
}
