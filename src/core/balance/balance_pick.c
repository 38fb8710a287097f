/*
 * Candidates and policies. The candidates, their effective weights and the sums of those are found
 * anew when somebody came, went or changed (`stale`), and in 128 steps while somebody ramps.
 */
#include "base/assert.h"
#include "base/hash.h"

#include "balance_internal.h"

#define LEVEL_COUNT (BALANCE_PRIORITY_MAX + 1)
#define RAMP_STEPS  128
/* The least that a slow start gives, as a part of its weight: with less it would see nothing. */
#define RAMP_FLOOR 10

/* -------------------------------------------------------------------------------- candidates */

uint32_t
balance_full(const struct balance *balance, const struct balance_endpoint *endpoint)
{
    switch (balance->settings.policy) {
    case BALANCE_ROUND_ROBIN:
    case BALANCE_RANDOM:
        return BALANCE_PARTS;
    case BALANCE_SMOOTH:
    case BALANCE_WEIGHTED_RANDOM:
    case BALANCE_LEAST_OF_TWO:
    case BALANCE_LEAST_REQUESTS:
    case BALANCE_HASH:
        return endpoint->share.weight * BALANCE_PARTS;
    }
    UNREACHABLE();
}

/* BALANCE-5. `full` is at most 2^18 and the time at most 2^42 ns: the product fits. */
static uint32_t
effective(const struct balance *balance, struct balance_endpoint *endpoint, uint64_t now_ns)
{
    uint32_t full = balance_full(balance, endpoint);
    if (endpoint->ramp_from_ns == UINT64_MAX) {
        return full;
    }
    uint64_t slow_ns = balance->settings.slow_start_ns;
    uint64_t passed_ns = now_ns > endpoint->ramp_from_ns ? now_ns - endpoint->ramp_from_ns : 0;
    if (passed_ns >= slow_ns) {
        endpoint->ramp_from_ns = UINT64_MAX;
        return full;
    }
    uint32_t ramped = (uint32_t)(full * passed_ns / slow_ns);
    uint32_t floor = full / RAMP_FLOOR;
    return ramped > floor ? ramped : floor;
}

static bool
is_present(const struct balance_endpoint *endpoint)
{
    return endpoint->state != BALANCE_ABSENT && endpoint->state != BALANCE_DRAINING;
}

/* The most preferred level with enough active endpoints, or LEVEL_COUNT. BALANCE-4 */
static uint32_t
level_choose(const struct balance *balance)
{
    uint32_t present[LEVEL_COUNT] = {0};
    uint32_t active[LEVEL_COUNT] = {0};
    for (uint32_t i = 0; i < balance->memory.capacity; i++) {
        const struct balance_endpoint *endpoint = &balance->memory.endpoints[i];
        present[endpoint->share.priority] += is_present(endpoint);
        active[endpoint->share.priority] += endpoint->state == BALANCE_ACTIVE;
    }
    for (uint32_t level = 0; level < LEVEL_COUNT; level++) {
        if (active[level] > 0 &&
            active[level] * 100 >= present[level] * balance->settings.panic_percent) {
            return level;
        }
    }
    return LEVEL_COUNT;
}

static void
candidate_add(struct balance *balance, uint32_t index, uint64_t now_ns)
{
    struct balance_endpoint *endpoint = &balance->memory.endpoints[index];
    endpoint->effective = effective(balance, endpoint, now_ns);
    ASSERT(endpoint->effective > 0);
    endpoint->before = balance->total;
    balance->total += endpoint->effective;
    if (endpoint->ramp_from_ns != UINT64_MAX) {
        balance->refresh_ns = now_ns + balance->settings.slow_start_ns / RAMP_STEPS;
    }
    balance->memory.candidates[balance->candidate_count++] = (uint16_t)index;
}

/* Where the turn goes on: behind who had it last. */
static uint32_t
turn_find(const struct balance *balance)
{
    for (uint32_t i = 0; i < balance->candidate_count; i++) {
        if (balance->memory.candidates[i] > balance->cursor) {
            return i;
        }
    }
    return 0;
}

static void
refresh(struct balance *balance, uint64_t now_ns)
{
    if (!balance->stale && now_ns < balance->refresh_ns) {
        return;
    }
    uint32_t level = level_choose(balance);
    balance->panic = level == LEVEL_COUNT && balance->settings.panic_percent > 0;
    balance->candidate_count = 0;
    balance->total = 0;
    balance->refresh_ns = UINT64_MAX;
    for (uint32_t i = 0; i < balance->memory.capacity; i++) {
        struct balance_endpoint *endpoint = &balance->memory.endpoints[i];
        bool chosen = endpoint->state == BALANCE_ACTIVE && endpoint->share.priority == level;
        if (chosen || (balance->panic && is_present(endpoint))) {
            candidate_add(balance, i, now_ns);
        } else {
            endpoint->effective = 0;
            endpoint->current = 0;
        }
    }
    balance->turn = balance->cursor == BALANCE_NOBODY ? 0 : turn_find(balance);
    balance->stale = false;
}

static struct balance_endpoint *
candidate(const struct balance *balance, uint32_t position)
{
    ASSERT(position < balance->candidate_count);
    return &balance->memory.endpoints[balance->memory.candidates[position]];
}

/* ---------------------------------------------------------------------------------- policies */

/* One that ramps takes its turn as often as its weight says. */
static bool
takes_turn(const struct balance_endpoint *endpoint, uint64_t random)
{
    return (random & 0xffff) * BALANCE_PARTS < (uint64_t)endpoint->effective << 16;
}

static uint32_t
pick_turn(struct balance *balance, const struct balance_request *request)
{
    uint32_t count = balance->candidate_count;
    uint32_t chosen = count;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t position = (balance->turn + i) % count;
        if (balance->memory.candidates[position] == request->avoid) {
            continue;
        }
        if (takes_turn(candidate(balance, position), hash_u64(request->random + i))) {
            chosen = position;
            break;
        }
        chosen = chosen == count ? position : chosen; /* if nobody else does */
    }
    ASSERT(chosen < count);
    balance->turn = (chosen + 1) % count;
    balance->cursor = balance->memory.candidates[chosen];
    return balance->cursor;
}

/* a has fewer requests for its weight than b. At most 2^32 x 2^18. */
static bool
is_less_loaded(const struct balance_endpoint *a, const struct balance_endpoint *b)
{
    return (uint64_t)a->in_flight * b->effective < (uint64_t)b->in_flight * a->effective;
}

/* Smooth weighted round robin (nginx, 2012), among all candidates or, with `least`, those that are
 * as little loaded as it. BALANCE-2 */
static uint32_t
pick_smooth(
    struct balance *balance,
    const struct balance_request *request,
    const struct balance_endpoint *least)
{
    uint32_t best = BALANCE_NOBODY;
    int64_t total = 0;
    for (uint32_t i = 0; i < balance->candidate_count; i++) {
        uint32_t index = balance->memory.candidates[i];
        struct balance_endpoint *endpoint = &balance->memory.endpoints[index];
        if (index == request->avoid || (least != NULL && is_less_loaded(least, endpoint))) {
            continue;
        }
        endpoint->current += endpoint->effective;
        total += endpoint->effective;
        if (best == BALANCE_NOBODY || endpoint->current > balance->memory.endpoints[best].current) {
            best = index;
        }
    }
    ASSERT(best != BALANCE_NOBODY);
    balance->memory.endpoints[best].current -= total;
    return best;
}

static uint32_t
pick_least(struct balance *balance, const struct balance_request *request)
{
    const struct balance_endpoint *least = NULL;
    for (uint32_t i = 0; i < balance->candidate_count; i++) {
        const struct balance_endpoint *endpoint = candidate(balance, i);
        if (balance->memory.candidates[i] != request->avoid &&
            (least == NULL || is_less_loaded(endpoint, least))) {
            least = endpoint;
        }
    }
    ASSERT(least != NULL);
    return pick_smooth(balance, request, least);
}

/* The candidate at `place` of all effective weights laid end to end. */
static uint32_t
candidate_at(const struct balance *balance, uint32_t place)
{
    uint32_t low = 0;
    uint32_t high = balance->candidate_count;
    while (high - low > 1) {
        uint32_t middle = low + (high - low) / 2;
        if (candidate(balance, middle)->before <= place) {
            low = middle;
        } else {
            high = middle;
        }
    }
    return balance->memory.candidates[low];
}

/* By weight, but none of `left_out`; BALANCE_NOBODY in it stands for nothing. */
static uint32_t
sample(const struct balance *balance, uint32_t random, uint32_t left_out, uint32_t left_out_too)
{
    const struct balance_endpoint *out[2] = {NULL, NULL};
    uint32_t out_count = 0;
    uint32_t total = balance->total;
    const uint32_t indexes[2] = {left_out, left_out_too};
    for (uint32_t i = 0; i < 2; i++) {
        if (indexes[i] == BALANCE_NOBODY) {
            continue;
        }
        const struct balance_endpoint *endpoint = &balance->memory.endpoints[indexes[i]];
        total -= endpoint->effective;
        bool first = out_count == 1 && endpoint->before < out[0]->before;
        out[out_count] = first ? out[0] : endpoint;
        out[0] = first ? endpoint : out[0];
        out_count++;
    }
    ASSERT(total > 0);
    uint32_t place = (uint32_t)(((uint64_t)random * total) >> 32);
    for (uint32_t i = 0; i < out_count; i++) {
        place += place >= out[i]->before ? out[i]->effective : 0;
    }
    return candidate_at(balance, place);
}

static uint32_t
pick_two(struct balance *balance, const struct balance_request *request)
{
    uint32_t first = sample(balance, (uint32_t)request->random, request->avoid, BALANCE_NOBODY);
    uint32_t left = balance->candidate_count - (request->avoid == BALANCE_NOBODY ? 0 : 1);
    if (left == 1) {
        return first;
    }
    uint32_t second = sample(balance, (uint32_t)(request->random >> 32), request->avoid, first);
    ASSERT(first != second);
    bool better =
        is_less_loaded(&balance->memory.endpoints[second], &balance->memory.endpoints[first]);
    return better ? second : first;
}

static uint32_t
pick_by_policy(struct balance *balance, const struct balance_request *request)
{
    switch (balance->settings.policy) {
    case BALANCE_ROUND_ROBIN:
        return pick_turn(balance, request);
    case BALANCE_SMOOTH:
        return pick_smooth(balance, request, NULL);
    case BALANCE_RANDOM:
    case BALANCE_WEIGHTED_RANDOM:
        return sample(balance, (uint32_t)request->random, request->avoid, BALANCE_NOBODY);
    case BALANCE_LEAST_OF_TWO:
        return pick_two(balance, request);
    case BALANCE_LEAST_REQUESTS:
        return pick_least(balance, request);
    case BALANCE_HASH:
        return balance_ring_find(balance, request);
    }
    UNREACHABLE();
}

enum balance_picked
balance_pick(struct balance *balance, const struct balance_request *request, uint32_t *ret_index)
{
    refresh(balance, request->now_ns);
    if (balance->candidate_count == 0) {
        return BALANCE_NONE;
    }
    struct balance_request asked = *request;
    bool others = balance->candidate_count > 1;
    if (asked.avoid >= balance->memory.capacity || !others ||
        balance->memory.endpoints[asked.avoid].effective == 0) {
        asked.avoid = BALANCE_NOBODY;
    }
    uint32_t index = others ? pick_by_policy(balance, &asked) : balance->memory.candidates[0];
    ASSERT(balance->memory.endpoints[index].effective > 0); /* BALANCE-1 */
    *ret_index = index;
    return balance->panic ? BALANCE_PANIC : BALANCE_PICKED;
}
