/*
 * Plans, over many random maps: even, and no move too many. The least number of moves is computed
 * here from counts alone: whoever has more than its share keeps its share, and of the shares one
 * is larger for those who can use it.
 */
#include "shard/shard.h"

#include "os/prng.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct shard_map map;
static struct shard_map before;
static struct shard_plan plan;
static bool leaves[SHARD_SHARDS_MAX];

static void
t_map(struct os_prng *prng, uint32_t count, uint32_t owners)
{
    uint32_t shard;
    shard_map_init(&map);
    memset(leaves, 0, sizeof(leaves));
    for (uint32_t i = 0; i < count; i++) {
        char name[3] = {(char)('a' + i / 26), (char)('a' + i % 26), '\0'};
        assert_int_equal(shard_map_add(&map, span_from_cstr(name), SPAN("x:1"), &shard), ERR_OK);
    }
    uint32_t run = 0;
    for (uint32_t i = 0; i < SHARD_SLOTS; i++) {
        if (run == 0) {
            run = (uint32_t)os_prng_below(prng, 2000) + 1;
            shard = (uint32_t)os_prng_below(prng, owners);
        }
        map.owners[i] = (uint8_t)shard;
        run--;
    }
}

static void
t_count(uint32_t counts[SHARD_SHARDS_MAX])
{
    memset(counts, 0, SHARD_SHARDS_MAX * sizeof(counts[0]));
    for (uint32_t i = 0; i < SHARD_SLOTS; i++) {
        counts[map.owners[i]]++;
    }
}

static uint32_t
t_least(void)
{
    uint32_t counts[SHARD_SHARDS_MAX];
    uint32_t stay = 0;
    uint32_t kept = 0;
    uint32_t could_keep_more = 0;
    t_count(counts);
    for (uint32_t i = 0; i < map.shard_count; i++) {
        stay += leaves[i] ? 0 : 1;
    }
    stay = stay == 0 ? 1 : stay; /* nobody stays: a test of its own */
    uint32_t share = SHARD_SLOTS / stay;
    uint32_t larger = SHARD_SLOTS % stay;
    for (uint32_t i = 0; i < map.shard_count; i++) {
        if (!leaves[i]) {
            kept += counts[i] < share ? counts[i] : share;
            could_keep_more += counts[i] > share ? 1 : 0;
        }
    }
    return SHARD_SLOTS - kept - (could_keep_more < larger ? could_keep_more : larger);
}

/* SHARD-5 */
static void
t_check_plan(void)
{
    uint32_t counts[SHARD_SHARDS_MAX];
    uint32_t moved = 0;
    uint32_t least = UINT32_MAX;
    uint32_t most = 0;
    memcpy(&before, &map, sizeof(map));
    uint32_t expected = t_least();
    assert_int_equal(shard_plan_make(&map, leaves, &plan), ERR_OK);
    assert_int_equal(shard_plan_apply(&plan, &map), ERR_OK);
    assert_int_equal(map.epoch, before.epoch + 1);
    assert_int_equal(shard_plan_apply(&plan, &map), ERR_STALE);
    for (uint32_t i = 0; i < SHARD_SLOTS; i++) {
        moved += map.owners[i] != before.owners[i] ? 1 : 0;
    }
    assert_int_equal(moved, plan.slot_count);
    assert_int_equal(moved, expected);
    t_count(counts);
    for (uint32_t i = 0; i < map.shard_count; i++) {
        if (leaves[i]) {
            assert_int_equal(counts[i], 0);
            continue;
        }
        least = counts[i] < least ? counts[i] : least;
        most = counts[i] > most ? counts[i] : most;
    }
    assert_true(most - least <= 1);
}

static void
test_random(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 1000; seed++) {
        struct os_prng prng;
        os_prng_seed(&prng, seed);
        uint32_t count = (uint32_t)os_prng_below(&prng, SHARD_SHARDS_MAX) + 1;
        t_map(&prng, count, (uint32_t)os_prng_below(&prng, count) + 1);
        for (uint32_t i = 1; i < count; i++) {
            leaves[i] = os_prng_chance(&prng, 1, 4);
        }
        t_check_plan();
        /* What is even needs nothing more. */
        assert_int_equal(shard_plan_make(&map, leaves, &plan), ERR_OK);
        assert_int_equal(plan.slot_count, 0);
        assert_int_equal(plan.move_count, 0);
    }
}

/* One more: it gets its share, and the others give to nobody else. */
static void
test_one_more(void **state)
{
    (void)state;
    struct os_prng prng;
    os_prng_seed(&prng, 1);
    t_map(&prng, 5, 4);
    map.shard_count = 4;
    shard_map_share(&map);
    map.shard_count = 5;
    assert_int_equal(shard_plan_make(&map, leaves, &plan), ERR_OK);
    assert_int_equal(plan.slot_count, SHARD_SLOTS / 5);
    assert_int_equal(plan.move_count, 4);
    for (uint32_t i = 0; i < plan.move_count; i++) {
        assert_int_equal(plan.moves[i].to, 4);
    }
}

static void
test_nobody_stays(void **state)
{
    (void)state;
    struct os_prng prng;
    os_prng_seed(&prng, 1);
    t_map(&prng, 2, 2);
    leaves[0] = leaves[1] = true;
    assert_int_equal(shard_plan_make(&map, leaves, &plan), ERR_INVALID);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random),
        cmocka_unit_test(test_one_more),
        cmocka_unit_test(test_nobody_stays),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
