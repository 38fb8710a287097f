#include "balance_test_world.h"

#include "base/hash.h"

#include <string.h>

void
t_world_init(struct t_world *world, const struct balance_settings *settings, uint64_t seed)
{
    memset(world, 0, sizeof(*world));
    print_message("seed %llu\n", (unsigned long long)seed);
    os_prng_seed(&world->prng, seed);
    world->now_ns = T_SECOND;
    world->avoid = BALANCE_NOBODY;
    balance_init(
        &world->balance,
        settings,
        &(struct balance_memory){
            .endpoints = world->endpoints,
            .candidates = world->candidates,
            .capacity = T_ENDPOINTS_MAX,
            .points = world->points,
            .point_capacity = T_POINTS_MAX});
}

void
t_add(struct t_world *world, uint32_t index, uint32_t weight)
{
    struct balance_share share = {.weight = weight};
    balance_add(&world->balance, index, hash_u64(index + 1), &share, UINT64_MAX);
}

uint32_t
t_pick_key(struct t_world *world, uint64_t key)
{
    struct balance_request request = {
        .now_ns = world->now_ns,
        .random = os_prng_next(&world->prng),
        .key = key,
        .avoid = world->avoid,
    };
    uint32_t index = BALANCE_NOBODY;
    assert_int_not_equal(balance_pick(&world->balance, &request, &index), BALANCE_NONE);
    return index;
}

uint32_t
t_pick(struct t_world *world)
{
    return t_pick_key(world, os_prng_next(&world->prng));
}

void
t_pick_many(struct t_world *world, uint32_t count, uint32_t counts[T_ENDPOINTS_MAX])
{
    memset(counts, 0, T_ENDPOINTS_MAX * sizeof(counts[0]));
    for (uint32_t i = 0; i < count; i++) {
        counts[t_pick(world)]++;
    }
}

uint64_t
t_chi_square(
    const uint32_t *counts, const uint32_t *weights, uint32_t endpoint_count, uint64_t total)
{
    uint64_t weight_sum = 0;
    for (uint32_t i = 0; i < endpoint_count; i++) {
        weight_sum += weights[i];
    }
    uint64_t sum = 0;
    for (uint32_t i = 0; i < endpoint_count; i++) {
        uint64_t expected = total * weights[i] / weight_sum;
        assert_true(expected >= 5);
        int64_t off = (int64_t)counts[i] - (int64_t)expected;
        sum += (uint64_t)(off * off) * 1000 / expected;
    }
    return sum;
}

uint64_t
t_chi_limit(uint32_t degrees)
{
    static const uint64_t limits[] = {
        0, 10828, 13816, 16266, 18467, 20515, 22458, 24322, 26124, 27877};
    assert_in_range(degrees, 1, 9);
    return limits[degrees];
}
