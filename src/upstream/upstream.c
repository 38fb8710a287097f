/* Life, settings, counters. */
#include "upstream/upstream.h"

#include "base/assert.h"
#include "os/entropy.h"

#include "upstream_private.h"

#include <stdlib.h>
#include <string.h>

const struct upstream_settings upstream_settings_default = {
    .policy = BALANCE_LEAST_OF_TWO,
    .slow_start_ms = 10000,
    .panic_percent = 50,
    .hash_load_percent = 125,
    .connections_max = 64,
    .pending_max = 1024,
    .requests_max = 8192,
    .attempts_max = 3,
    .answer_max = 1 << 20,
    .timeout_ms = 30000,
    .connect_timeout_ms = 2000,
    .idle_timeout_ms = 20000,
    .drain_timeout_ms = 30000,
    .backoff_base_ms = 25,
    .backoff_max_ms = 1000,
    .retry_after_max_ms = 10000,
    .retry_budget_percent = 20,
    .retry_budget_min = 3,
    .health =
        {
            .interval_ms = 10000,
            .jitter_percent = 20,
            .timeout_ms = 2000,
            .up = 2,
            .down = 3,
        },
    .outlier = {.failures = 5, .base_ms = 30000, .max_ms = 300000, .share_percent = 50},
    .breaker =
        {
            .failure_percent = 80,
            .results_min = 20,
            .window_ms = 10000,
            .open_ms = 5000,
            .probes = 3,
        },
};

/* The longest time that any setting may name: an hour. */
#define TIME_MAX_MS 3600000

static bool
is_time(uint32_t ms)
{
    return ms > 0 && ms <= TIME_MAX_MS;
}

static bool
guards_are_sane(const struct upstream_settings *settings)
{
    const struct upstream_health_settings *health = &settings->health;
    if (health->path != NULL) {
        size_t size = strnlen(health->path, UPSTREAM_PATH_SIZE);
        if (size == 0 || size == UPSTREAM_PATH_SIZE || !is_time(health->interval_ms) ||
            !is_time(health->timeout_ms) || health->jitter_percent > 100 || health->up == 0 ||
            health->down == 0) {
            return false;
        }
    }
    const struct balance_outlier_settings *outlier = &settings->outlier;
    if (outlier->failures > 0 &&
        (!is_time(outlier->base_ms) || !is_time(outlier->max_ms) || outlier->share_percent > 100)) {
        return false;
    }
    const struct balance_breaker_settings *breaker = &settings->breaker;
    return breaker->failure_percent == 0 ||
           (breaker->failure_percent <= 100 && breaker->results_min > 0 &&
            is_time(breaker->window_ms) && breaker->window_ms >= BALANCE_BREAKER_BUCKETS &&
            is_time(breaker->open_ms) && breaker->probes > 0);
}

static bool
limits_are_sane(const struct upstream_settings *settings)
{
    return settings->connections_max > 0 && settings->pending_max > 0 &&
           settings->requests_max > 0 && settings->attempts_max > 0 && settings->answer_max > 0 &&
           is_time(settings->timeout_ms) && settings->try_timeout_ms <= TIME_MAX_MS &&
           is_time(settings->connect_timeout_ms) && is_time(settings->idle_timeout_ms) &&
           is_time(settings->drain_timeout_ms) && settings->backoff_base_ms <= TIME_MAX_MS &&
           settings->backoff_max_ms <= TIME_MAX_MS && settings->retry_after_max_ms <= TIME_MAX_MS &&
           settings->retry_budget_percent <= 100 &&
           settings->retry_budget_min <= BALANCE_BUDGET_TOKENS_MAX;
}

static bool
settings_are_sane(const struct upstream_settings *settings)
{
    return (uint32_t)settings->policy < BALANCE_POLICY_COUNT &&
           settings->slow_start_ms <= TIME_MAX_MS && settings->panic_percent <= 100 &&
           (settings->hash_load_percent == 0 ||
            (settings->hash_load_percent >= 100 && settings->hash_load_percent <= 10000)) &&
           (settings->server_name == NULL ||
            (settings->server_name[0] != '\0' &&
             strnlen(settings->server_name, UPSTREAM_HOST_SIZE) < UPSTREAM_HOST_SIZE)) &&
           limits_are_sane(settings) && guards_are_sane(settings);
}

static bool
name_is_valid(const char *name)
{
    size_t size = strnlen(name, UPSTREAM_NAME_SIZE);
    if (size == 0 || size == UPSTREAM_NAME_SIZE) {
        return false;
    }
    for (size_t i = 0; i < size; i++) {
        char byte = name[i];
        bool letter = (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z');
        bool digit = byte >= '0' && byte <= '9';
        if (!letter && !digit && byte != '-' && byte != '_' && byte != '.') {
            return false;
        }
    }
    return true;
}

/* -------------------------------------------------------------------------------------- life */

static void
settings_take(struct upstream *upstream, const struct upstream_settings *settings)
{
    upstream->settings = *settings;
    if (settings->health.path != NULL) {
        memcpy(upstream->health_path, settings->health.path, strlen(settings->health.path));
        upstream->settings.health.path = upstream->health_path;
    }
    if (settings->server_name != NULL) {
        memcpy(upstream->server_name, settings->server_name, strlen(settings->server_name));
        upstream->settings.server_name = upstream->server_name;
    }
    upstream->budget_settings = (struct balance_budget_settings){
        .percent = settings->retry_budget_percent, .min = settings->retry_budget_min};
    upstream->client_settings = net_client_settings_default;
    upstream->client_settings.connections_max = settings->connections_max;
    upstream->client_settings.waiting_max = settings->pending_max;
    upstream->client_settings.connect_timeout_ms = settings->connect_timeout_ms;
    upstream->client_settings.idle_timeout_ms = settings->idle_timeout_ms;
    upstream->client_settings.limits.body = settings->answer_max;
    upstream->client_settings.reach = settings->reach;
}

static void
balance_make(struct upstream *upstream)
{
    const struct balance_settings settings = {
        .policy = upstream->settings.policy,
        .slow_start_ns = upstream->settings.slow_start_ms * UPSTREAM_NS_PER_MS,
        .panic_percent = upstream->settings.panic_percent,
        .hash_load_percent = upstream->settings.hash_load_percent,
    };
    const struct balance_memory memory = {
        .endpoints = upstream->endpoints,
        .candidates = upstream->candidates,
        .capacity = UPSTREAM_ENDPOINTS_MAX,
        .points = upstream->points,
        .point_capacity = upstream->points == NULL ? 0 : UPSTREAM_POINTS,
    };
    balance_init(&upstream->balance, &settings, &memory);
    balance_budget_init(&upstream->budget, &upstream->budget_settings);
    uint64_t seed;
    struct os_entropy *entropy = os_entropy_real();
    entropy->fill(entropy, &seed, sizeof(seed));
    os_prng_seed(&upstream->prng, seed);
}

#define GAUGE_INTERVAL_NS (1000 * UPSTREAM_NS_PER_MS)

static void
on_gauge_timer(struct net_timer *timer)
{
    struct upstream *upstream = CONTAINER_OF(timer, struct upstream, gauge_timer);
    upstream_gauges_copy(upstream);
    /* Without memory for the timer the gauges stand still, and nothing else does. */
    err_t result = net_timer_arm(upstream->loop, timer, net_now_ns() + GAUGE_INTERVAL_NS);
    (void)result;
}

static void
on_begin(struct os_task *task)
{
    struct upstream *upstream = CONTAINER_OF(task, struct upstream, begin_task);
    on_gauge_timer(&upstream->gauge_timer);
}

static void on_stop(struct os_task *task);
static void on_stop_timer(struct net_timer *timer);

err_t
upstream_create(
    struct net_loop *loop,
    const char *name,
    const struct upstream_settings *settings,
    struct upstream **ret_upstream)
{
    if (!settings_are_sane(settings)) {
        return ERR_RANGE;
    }
    if (!name_is_valid(name)) {
        return ERR_INVALID;
    }
    struct upstream *upstream = calloc(1, sizeof(*upstream));
    if (upstream == NULL) {
        return ERR_MEMORY;
    }
    err_t result = net_latch_create(&upstream->stopped);
    if (result == ERR_OK && settings->policy == BALANCE_HASH) {
        upstream->points = calloc(UPSTREAM_POINTS, sizeof(upstream->points[0]));
        result = upstream->points == NULL ? ERR_MEMORY : ERR_OK;
    }
    if (result != ERR_OK) {
        upstream_destroy(&upstream);
        return result;
    }
    upstream->loop = loop;
    memcpy(upstream->name, name, strlen(name));
    settings_take(upstream, settings);
    balance_make(upstream);
    upstream_calls_init(upstream);
    upstream_plan_init(upstream);
    upstream->begin_task.run = on_begin;
    upstream->gauge_timer.fire = on_gauge_timer;
    upstream->stop_task.run = on_stop;
    upstream->stop_timer.fire = on_stop_timer;
    for (uint32_t i = 0; i < UPSTREAM_ENDPOINTS_MAX; i++) {
        upstream->slots[i].upstream = upstream;
        upstream->slots[i].index = i;
    }
    os_post(net_loop_executor(loop), &upstream->begin_task);
    *ret_upstream = upstream;
    return ERR_OK;
}

void
upstream_stop_step(struct upstream *upstream)
{
    if (!upstream->stopping || upstream->active > 0 || upstream->flushing) {
        return;
    }
    if (!upstream->closed) {
        upstream->closed = true;
        net_timer_cancel(upstream->loop, &upstream->stop_timer);
        net_timer_cancel(upstream->loop, &upstream->gauge_timer);
        for (uint32_t i = 0; i < UPSTREAM_ENDPOINTS_MAX; i++) {
            if (upstream->slots[i].used) {
                upstream_slot_close(&upstream->slots[i]);
            }
        }
    }
    if (upstream->slots_used == 0) {
        net_latch_open(upstream->stopped); /* the upstream may be gone from here on */
    }
}

static void
on_stop_timer(struct net_timer *timer)
{
    upstream_calls_end(CONTAINER_OF(timer, struct upstream, stop_timer), true);
}

static void
on_stop(struct os_task *task)
{
    struct upstream *upstream = CONTAINER_OF(task, struct upstream, stop_task);
    ASSERT(!upstream->stopping);
    upstream->stopping = true;
    upstream_source_end(upstream);
    upstream_calls_end(upstream, false);
    uint64_t end_ns = net_now_ns() + upstream->drain_ms * UPSTREAM_NS_PER_MS;
    if (upstream->active > 0 &&
        net_timer_arm(upstream->loop, &upstream->stop_timer, end_ns) != ERR_OK) {
        upstream_calls_end(upstream, true);
    }
    upstream_stop_step(upstream);
}

void
upstream_stop(struct upstream *upstream, uint32_t drain_ms)
{
    ASSERT(!net_loop_is_current(upstream->loop));
    upstream->drain_ms = drain_ms;
    os_post(net_loop_executor(upstream->loop), &upstream->stop_task);
    net_latch_wait(upstream->stopped);
}

void
upstream_destroy(struct upstream **upstream_pointer)
{
    struct upstream *upstream = *upstream_pointer;
    if (upstream == NULL) {
        return;
    }
    ASSERT(upstream->active == 0);
    ASSERT(upstream->slots_used == 0);
    net_latch_destroy(&upstream->stopped);
    free(atomic_load(&upstream->wanted));
    free(upstream->plan);
    free(upstream->points);
    free(upstream);
    *upstream_pointer = NULL;
}

/* ------------------------------------------------------------------------------------- access */

const char *
upstream_name(const struct upstream *upstream)
{
    return upstream->name;
}

void
upstream_count(const struct upstream *upstream, struct upstream_counters *ret_counters)
{
    uint64_t values[UPSTREAM_COUNTER_COUNT];
    for (size_t i = 0; i < UPSTREAM_COUNTER_COUNT; i++) {
        values[i] = atomic_load_explicit(&upstream->counters[i], memory_order_relaxed);
    }
    static_assert(sizeof(values) == sizeof(*ret_counters), "every counter is one uint64_t");
    memcpy(ret_counters, values, sizeof(values));
}
