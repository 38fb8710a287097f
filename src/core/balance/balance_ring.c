/*
 * Consistent hashing on a ring, with bounded loads (Mirrokni, Thorup, Zadimoghaddam, 2018).
 *
 * A ring and not a Maglev table: when an endpoint leaves, the keys of a ring that move are exactly
 * its own, and one that is ejected for a time, or full, is passed over without building anything
 * anew. Its price is that shares are even to about 3 % only (1 / sqrt(BALANCE_POINTS)), and a
 * binary search for each pick.
 */
#include "base/assert.h"
#include "base/hash.h"

#include "balance_internal.h"

static bool
point_before(const struct balance_point *a, const struct balance_point *b)
{
    return a->at != b->at ? a->at < b->at : a->index < b->index;
}

static void
point_sift(struct balance_point *points, uint32_t root, uint32_t count)
{
    struct balance_point moved = points[root];
    for (;;) {
        uint32_t child = 2 * root + 1;
        if (child >= count) {
            break;
        }
        if (child + 1 < count && point_before(&points[child], &points[child + 1])) {
            child++;
        }
        if (!point_before(&moved, &points[child])) {
            break;
        }
        points[root] = points[child];
        root = child;
    }
    points[root] = moved;
}

/* In place and without recursion: heap sort. */
static void
points_sort(struct balance_point *points, uint32_t count)
{
    for (uint32_t root = count / 2; root > 0; root--) {
        point_sift(points, root - 1, count);
    }
    for (uint32_t end = count; end > 1; end--) {
        struct balance_point greatest = points[0];
        points[0] = points[end - 1];
        points[end - 1] = greatest;
        point_sift(points, 0, end - 1);
    }
}

static uint32_t
point_count(const struct balance_endpoint *endpoint, uint32_t shift)
{
    if (endpoint->state == BALANCE_ABSENT || endpoint->state == BALANCE_DRAINING) {
        return 0;
    }
    uint32_t count = (endpoint->share.weight * BALANCE_POINTS) >> shift;
    return count > 0 ? count : 1;
}

/* Halved until they fit. Only a set that doubles changes it, so that the points of those who stay
 * stay as they are (BALANCE-6). */
static uint32_t
shift_choose(const struct balance *balance)
{
    for (uint32_t shift = 0;; shift++) {
        uint64_t sum = 0;
        for (uint32_t i = 0; i < balance->memory.capacity; i++) {
            sum += point_count(&balance->memory.endpoints[i], shift);
        }
        if (sum <= balance->memory.point_capacity) {
            return shift;
        }
        ASSERT(shift < 32);
    }
}

static void
ring_build(struct balance *balance)
{
    uint32_t shift = shift_choose(balance);
    uint32_t total = 0;
    for (uint32_t i = 0; i < balance->memory.capacity; i++) {
        const struct balance_endpoint *endpoint = &balance->memory.endpoints[i];
        uint32_t count = point_count(endpoint, shift);
        for (uint32_t j = 0; j < count; j++) {
            balance->memory.points[total++] = (struct balance_point){
                .at = hash_u64(endpoint->identity ^ hash_u64(j + 1)), .index = i};
        }
    }
    ASSERT(total <= balance->memory.point_capacity);
    points_sort(balance->memory.points, total);
    balance->point_count = total;
    balance->ring_stale = false;
}

/* The first point at or behind `at`, around the end. */
static uint32_t
point_find(const struct balance *balance, uint64_t at)
{
    uint32_t low = 0;
    uint32_t high = balance->point_count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (balance->memory.points[middle].at < at) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low < balance->point_count ? low : 0;
}

/* One that ramps takes a growing part of its keys, and keeps those that it took. */
static bool
takes_key(const struct balance *balance, const struct balance_endpoint *endpoint, uint64_t key)
{
    uint64_t draw = hash_u64(key ^ endpoint->identity) >> 40;
    return draw * balance_full(balance, endpoint) < (uint64_t)endpoint->effective << 24;
}

/* One more request leaves it within its bound: its part of all requests, this one included, times
 * hash_load_percent, rounded up. The parts sum up to at least all, so that somebody has room. */
static bool
has_room(const struct balance *balance, const struct balance_endpoint *endpoint, uint64_t in_flight)
{
    unsigned __int128 load = (unsigned __int128)endpoint->in_flight * 100 * balance->total;
    unsigned __int128 bound = (unsigned __int128)(in_flight + 1) * endpoint->effective *
                              balance->settings.hash_load_percent;
    return load < bound;
}

static uint64_t
in_flight_sum(const struct balance *balance)
{
    uint64_t sum = 0;
    for (uint32_t i = 0; i < balance->candidate_count; i++) {
        sum += balance->memory.endpoints[balance->memory.candidates[i]].in_flight;
    }
    return sum;
}

uint32_t
balance_ring_find(struct balance *balance, const struct balance_request *request)
{
    if (balance->ring_stale) {
        ring_build(balance);
    }
    ASSERT(balance->point_count > 0);
    bool bounded = balance->settings.hash_load_percent > 0;
    uint64_t in_flight = bounded ? in_flight_sum(balance) : 0;
    uint64_t key = hash_u64(request->key);
    uint32_t start = point_find(balance, key);
    uint32_t fallback = BALANCE_NOBODY;
    for (uint32_t i = 0; i < balance->point_count; i++) {
        uint32_t position = start + i;
        position -= position >= balance->point_count ? balance->point_count : 0;
        uint32_t index = balance->memory.points[position].index;
        const struct balance_endpoint *endpoint = &balance->memory.endpoints[index];
        if (endpoint->effective == 0 || index == request->avoid) {
            continue;
        }
        fallback = fallback == BALANCE_NOBODY ? index : fallback;
        if (takes_key(balance, endpoint, key) &&
            (!bounded || has_room(balance, endpoint, in_flight))) {
            return index;
        }
    }
    ASSERT(fallback != BALANCE_NOBODY); /* all ramp, or all but `avoid` are full */
    return fallback;
}
