/* What protects a back end and its callers from one another. Invariants: README.md. */
#include "balance/guard.h"

#include "base/assert.h"

#include <stddef.h>

#define NS_PER_MS UINT64_C(1000000)

const struct balance_outlier_settings balance_outlier_default = {
    .failures = 5,
    .base_ms = 30000,
    .max_ms = 300000,
    .share_percent = 50,
};

const struct balance_breaker_settings balance_breaker_default = {
    .failure_percent = 80,
    .results_min = 20,
    .window_ms = 10000,
    .open_ms = 5000,
    .probes = 3,
};

/* ------------------------------------------------------------------------------------ health */

bool
balance_health_result(struct balance_health *health, uint32_t up, uint32_t down, bool well)
{
    ASSERT(up > 0);
    ASSERT(down > 0);
    if (well != health->unhealthy) {
        health->run = 0;
        return false;
    }
    health->run++;
    if (health->run < (health->unhealthy ? up : down)) {
        return false;
    }
    health->unhealthy = !health->unhealthy;
    health->run = 0;
    return true;
}

/* ---------------------------------------------------------------------------------- outliers */

bool
balance_outlier_result(
    struct balance_outlier *outlier, const struct balance_outlier_settings *settings, bool failed)
{
    if (outlier->ejected || settings->failures == 0) {
        return false;
    }
    if (!failed) {
        outlier->run = 0;
        return false;
    }
    outlier->run += outlier->run < settings->failures ? 1 : 0;
    return outlier->run == settings->failures;
}

uint64_t
balance_outlier_eject(
    struct balance_outlier *outlier,
    const struct balance_outlier_settings *settings,
    uint64_t now_ns)
{
    ASSERT(!outlier->ejected);
    ASSERT(settings->base_ms > 0);
    uint64_t base_ns = settings->base_ms * NS_PER_MS;
    uint64_t well_ns = now_ns > outlier->until_ns ? now_ns - outlier->until_ns : 0;
    uint64_t forgotten = well_ns / base_ns;
    outlier->times -= forgotten < outlier->times ? (uint32_t)forgotten : outlier->times;
    outlier->times += outlier->times < UINT32_MAX ? 1 : 0;
    uint64_t length_ns = base_ns * outlier->times;
    uint64_t max_ns = settings->max_ms * NS_PER_MS;
    outlier->ejected = true;
    outlier->run = 0;
    outlier->until_ns = now_ns + (length_ns < max_ns ? length_ns : max_ns);
    return outlier->until_ns;
}

bool
balance_outlier_return(struct balance_outlier *outlier, uint64_t now_ns)
{
    if (!outlier->ejected || now_ns < outlier->until_ns) {
        return false;
    }
    outlier->ejected = false;
    outlier->run = 0;
    return true;
}

/* ----------------------------------------------------------------------------------- breaker */

static void
window_clear(struct balance_breaker *breaker)
{
    for (size_t i = 0; i < BALANCE_BREAKER_BUCKETS; i++) {
        breaker->results[i] = 0;
        breaker->failures[i] = 0;
    }
}

/* Buckets that are older than the window are emptied. */
static void
window_move(
    struct balance_breaker *breaker,
    const struct balance_breaker_settings *settings,
    uint64_t now_ns)
{
    uint64_t width_ns = settings->window_ms * NS_PER_MS / BALANCE_BREAKER_BUCKETS;
    ASSERT(width_ns > 0);
    uint64_t bucket = now_ns / width_ns;
    if (bucket >= breaker->bucket + BALANCE_BREAKER_BUCKETS) {
        window_clear(breaker);
        breaker->bucket = bucket;
    }
    while (breaker->bucket < bucket) {
        breaker->bucket++;
        breaker->results[breaker->bucket % BALANCE_BREAKER_BUCKETS] = 0;
        breaker->failures[breaker->bucket % BALANCE_BREAKER_BUCKETS] = 0;
    }
}

static void
breaker_enter(struct balance_breaker *breaker, enum balance_breaker_state state)
{
    breaker->state = state;
    breaker->generation++;
    breaker->probing = 0;
    breaker->succeeded = 0;
    window_clear(breaker);
}

static void
breaker_open(
    struct balance_breaker *breaker,
    const struct balance_breaker_settings *settings,
    uint64_t now_ns)
{
    breaker_enter(breaker, BALANCE_BREAKER_OPEN);
    breaker->until_ns = now_ns + settings->open_ms * NS_PER_MS;
}

enum balance_admission
balance_breaker_admit(
    struct balance_breaker *breaker,
    const struct balance_breaker_settings *settings,
    uint64_t now_ns,
    uint32_t *ret_ticket)
{
    if (breaker->state == BALANCE_BREAKER_OPEN && now_ns >= breaker->until_ns) {
        breaker_enter(breaker, BALANCE_BREAKER_HALF_OPEN);
    }
    switch (breaker->state) {
    case BALANCE_BREAKER_CLOSED:
        *ret_ticket = breaker->generation;
        return BALANCE_ADMITTED;
    case BALANCE_BREAKER_OPEN:
        return BALANCE_REFUSED;
    case BALANCE_BREAKER_HALF_OPEN:
        break;
    }
    if (breaker->probing + breaker->succeeded >= settings->probes) {
        return BALANCE_REFUSED;
    }
    breaker->probing++;
    *ret_ticket = breaker->generation;
    return BALANCE_PROBE;
}

static void
closed_result(
    struct balance_breaker *breaker,
    const struct balance_breaker_settings *settings,
    uint64_t now_ns,
    bool failed)
{
    if (settings->failure_percent == 0) {
        return;
    }
    window_move(breaker, settings, now_ns);
    breaker->results[breaker->bucket % BALANCE_BREAKER_BUCKETS]++;
    if (!failed) {
        return;
    }
    breaker->failures[breaker->bucket % BALANCE_BREAKER_BUCKETS]++;
    uint64_t results = 0;
    uint64_t failures = 0;
    for (size_t i = 0; i < BALANCE_BREAKER_BUCKETS; i++) {
        results += breaker->results[i];
        failures += breaker->failures[i];
    }
    if (results >= settings->results_min && failures * 100 >= results * settings->failure_percent) {
        breaker_open(breaker, settings, now_ns);
    }
}

void
balance_breaker_result(
    struct balance_breaker *breaker,
    const struct balance_breaker_settings *settings,
    uint64_t now_ns,
    uint32_t ticket,
    enum balance_result result)
{
    if (ticket != breaker->generation) {
        return; /* of another time: says nothing about this one */
    }
    if (breaker->state == BALANCE_BREAKER_CLOSED) {
        if (result != BALANCE_NO_RESULT) {
            closed_result(breaker, settings, now_ns, result == BALANCE_FAILED);
        }
        return;
    }
    ASSERT(breaker->state == BALANCE_BREAKER_HALF_OPEN); /* an open one admits nothing */
    ASSERT(breaker->probing > 0);
    breaker->probing--;
    if (result == BALANCE_FAILED) {
        breaker_open(breaker, settings, now_ns);
    } else if (result == BALANCE_SUCCEEDED) {
        breaker->succeeded++;
        if (breaker->succeeded >= settings->probes) {
            breaker_enter(breaker, BALANCE_BREAKER_CLOSED);
        }
    }
}

/* ----------------------------------------------------------------------------------- retries */

#define TOKEN 100

void
balance_budget_init(struct balance_budget *budget, const struct balance_budget_settings *settings)
{
    ASSERT(settings->percent <= TOKEN);
    ASSERT(settings->min <= BALANCE_BUDGET_TOKENS_MAX);
    budget->advance = (int64_t)settings->min * TOKEN;
    budget->tokens = budget->advance;
}

void
balance_budget_request(
    struct balance_budget *budget, const struct balance_budget_settings *settings)
{
    int64_t brought = settings->percent;
    /* The advance is paid back first. */
    int64_t paid = brought < budget->advance ? brought : budget->advance;
    budget->advance -= paid;
    budget->tokens += brought - paid;
    const int64_t max = (int64_t)BALANCE_BUDGET_TOKENS_MAX * TOKEN;
    budget->tokens = budget->tokens < max ? budget->tokens : max;
}

bool
balance_budget_take(
    struct balance_budget *budget,
    const struct balance_budget_settings *settings,
    uint32_t active,
    uint32_t retrying)
{
    uint64_t at_once = (uint64_t)active * settings->percent / 100;
    at_once = at_once > settings->min ? at_once : settings->min;
    if (budget->tokens < TOKEN || retrying >= at_once) {
        return false;
    }
    budget->tokens -= TOKEN;
    return true;
}

uint64_t
balance_backoff_ns(uint32_t base_ms, uint32_t max_ms, uint32_t retry, uint64_t random)
{
    ASSERT(retry >= 1);
    uint32_t doublings = retry - 1 < 32 ? retry - 1 : 32;
    uint64_t bound_ms = (uint64_t)base_ms << doublings;
    bound_ms = bound_ms < max_ms ? bound_ms : max_ms;
    unsigned __int128 product = (unsigned __int128)random * (bound_ms * NS_PER_MS + 1);
    return (uint64_t)(product >> 64);
}
