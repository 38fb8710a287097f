/* Who is there, in which state. Invariants: README.md. */
#include "balance/balance.h"

#include "base/assert.h"

#include "balance_internal.h"

#include <string.h>

static struct balance_endpoint *
endpoint_at(struct balance *balance, uint32_t index)
{
    ASSERT(index < balance->memory.capacity);
    return &balance->memory.endpoints[index];
}

static struct balance_endpoint *
present_at(struct balance *balance, uint32_t index)
{
    struct balance_endpoint *endpoint = endpoint_at(balance, index);
    ASSERT(endpoint->state != BALANCE_ABSENT);
    return endpoint;
}

static void
share_check(const struct balance_share *share)
{
    ASSERT(share->weight >= 1);
    ASSERT(share->weight <= BALANCE_WEIGHT_MAX);
    ASSERT(share->priority <= BALANCE_PRIORITY_MAX);
}

const char *
balance_policy_name(enum balance_policy policy)
{
    static const char *const names[BALANCE_POLICY_COUNT] = {
        [BALANCE_ROUND_ROBIN] = "round_robin",
        [BALANCE_SMOOTH] = "smooth",
        [BALANCE_RANDOM] = "random",
        [BALANCE_WEIGHTED_RANDOM] = "weighted_random",
        [BALANCE_LEAST_OF_TWO] = "least_of_two",
        [BALANCE_LEAST_REQUESTS] = "least_requests",
        [BALANCE_HASH] = "hash",
    };
    ASSERT((uint32_t)policy < BALANCE_POLICY_COUNT);
    return names[policy];
}

const char *
balance_state_name(enum balance_state state)
{
    switch (state) {
    case BALANCE_ABSENT:
        return "absent";
    case BALANCE_ACTIVE:
        return "active";
    case BALANCE_UNHEALTHY:
        return "unhealthy";
    case BALANCE_EJECTED:
        return "ejected";
    case BALANCE_DRAINING:
        return "draining";
    }
    UNREACHABLE();
}

void
balance_init(
    struct balance *balance,
    const struct balance_settings *settings,
    const struct balance_memory *memory)
{
    ASSERT((uint32_t)settings->policy < BALANCE_POLICY_COUNT);
    ASSERT(settings->slow_start_ns <= BALANCE_SLOW_START_NS_MAX);
    ASSERT(settings->panic_percent <= 100);
    ASSERT(settings->hash_load_percent == 0 || settings->hash_load_percent >= 100);
    ASSERT(memory->capacity >= 1);
    ASSERT(memory->capacity <= BALANCE_ENDPOINTS_MAX);
    ASSERT(settings->policy != BALANCE_HASH || memory->point_capacity >= memory->capacity);
    memset(balance, 0, sizeof(*balance));
    balance->settings = *settings;
    balance->memory = *memory;
    balance->cursor = BALANCE_NOBODY;
    balance->stale = true;
    balance->ring_stale = true;
    memset(memory->endpoints, 0, memory->capacity * sizeof(memory->endpoints[0]));
}

static void
ramp_begin(struct balance *balance, struct balance_endpoint *endpoint, uint64_t now_ns)
{
    endpoint->ramp_from_ns = balance->settings.slow_start_ns == 0 ? UINT64_MAX : now_ns;
}

void
balance_add(
    struct balance *balance,
    uint32_t index,
    uint64_t identity,
    const struct balance_share *share,
    uint64_t now_ns)
{
    struct balance_endpoint *endpoint = endpoint_at(balance, index);
    ASSERT(endpoint->state == BALANCE_ABSENT);
    share_check(share);
    *endpoint = (struct balance_endpoint){
        .identity = identity,
        .share = *share,
        .state = BALANCE_ACTIVE,
    };
    ramp_begin(balance, endpoint, now_ns);
    balance->stale = true;
    balance->ring_stale = true;
}

void
balance_remove(struct balance *balance, uint32_t index)
{
    struct balance_endpoint *endpoint = present_at(balance, index);
    ASSERT(endpoint->in_flight == 0);
    *endpoint = (struct balance_endpoint){0};
    balance->stale = true;
    balance->ring_stale = true;
}

void
balance_set_share(struct balance *balance, uint32_t index, const struct balance_share *share)
{
    struct balance_endpoint *endpoint = present_at(balance, index);
    share_check(share);
    balance->stale = true;
    balance->ring_stale = balance->ring_stale || endpoint->share.weight != share->weight;
    endpoint->share = *share;
}

void
balance_set_state(
    struct balance *balance, uint32_t index, enum balance_state state, uint64_t now_ns)
{
    struct balance_endpoint *endpoint = present_at(balance, index);
    ASSERT(state != BALANCE_ABSENT);
    if (endpoint->state == state) {
        return;
    }
    /* Draining ones are not on the ring: they will be gone. Ejected ones stay, or every ejection
     * would cost a new ring (BALANCE-6). */
    balance->ring_stale =
        balance->ring_stale || state == BALANCE_DRAINING || endpoint->state == BALANCE_DRAINING;
    balance->stale = true;
    endpoint->state = state;
    if (state == BALANCE_ACTIVE) {
        ramp_begin(balance, endpoint, now_ns);
    }
}

void
balance_begin(struct balance *balance, uint32_t index)
{
    struct balance_endpoint *endpoint = present_at(balance, index);
    ASSERT(endpoint->in_flight < UINT32_MAX);
    endpoint->in_flight++;
}

void
balance_end(struct balance *balance, uint32_t index)
{
    struct balance_endpoint *endpoint = present_at(balance, index);
    ASSERT(endpoint->in_flight > 0);
    endpoint->in_flight--;
}

uint32_t
balance_count(const struct balance *balance, uint32_t *ret_active)
{
    uint32_t count = 0;
    uint32_t active = 0;
    for (uint32_t i = 0; i < balance->memory.capacity; i++) {
        enum balance_state state = balance->memory.endpoints[i].state;
        count += state != BALANCE_ABSENT && state != BALANCE_DRAINING;
        active += state == BALANCE_ACTIVE;
    }
    *ret_active = active;
    return count;
}

bool
balance_may_eject(const struct balance *balance, uint32_t share_percent)
{
    uint32_t count = 0;
    uint32_t ejected = 0;
    for (uint32_t i = 0; i < balance->memory.capacity; i++) {
        enum balance_state state = balance->memory.endpoints[i].state;
        count += state != BALANCE_ABSENT && state != BALANCE_DRAINING;
        ejected += state == BALANCE_EJECTED;
    }
    return (ejected + 1) * 100 <= count * share_percent;
}
