/* Maps: that every key has one owner, however they are changed. */
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
static struct shard_map next;

static uint32_t
t_add(const char *name)
{
    uint32_t shard = UINT32_MAX;
    assert_int_equal(shard_map_add(&map, span_from_cstr(name), SPAN("here:1"), &shard), ERR_OK);
    return shard;
}

static void
t_three(void)
{
    shard_map_init(&map);
    (void)t_add("a");
    (void)t_add("b");
    (void)t_add("c");
    shard_map_share(&map);
}

static uint32_t
t_table(const char *name, enum shard_strategy strategy)
{
    uint32_t table = UINT32_MAX;
    assert_int_equal(shard_table_add(&map, span_from_cstr(name), strategy), ERR_OK);
    assert_int_equal(shard_table_find(&map, span_from_cstr(name), &table), ERR_OK);
    return table;
}

static uint32_t
t_route(uint32_t table, const char *key, const char *column)
{
    struct shard_route route;
    assert_int_equal(
        shard_route(&map, table, span_from_cstr(key), span_from_cstr(column), &route), ERR_OK);
    assert_int_equal(route.epoch, map.epoch);
    return route.shard;
}

static void
test_names(void **state)
{
    (void)state;
    uint32_t shard;
    shard_map_init(&map);
    assert_int_equal(shard_table_add(&map, SPAN("t"), SHARD_HASH), ERR_NOT_FOUND);
    assert_int_equal(t_add("a"), 0);
    assert_int_equal(shard_map_add(&map, SPAN("a"), SPAN("x"), &shard), ERR_EXISTS);
    assert_int_equal(shard_map_add(&map, SPAN(""), SPAN("x"), &shard), ERR_INVALID);
    assert_int_equal(shard_map_add(&map, SPAN("A"), SPAN("x"), &shard), ERR_INVALID);
    assert_int_equal(shard_map_add(&map, SPAN("b"), SPAN(""), &shard), ERR_INVALID);
    assert_int_equal(shard_map_add(&map, SPAN("b"), SPAN("x y"), &shard), ERR_INVALID);
    struct span longest = SPAN("0123456789012345678901234567890");
    struct span longer = SPAN("01234567890123456789012345678901");
    assert_int_equal(shard_map_add(&map, longest, SPAN("x"), &shard), ERR_OK);
    assert_int_equal(shard_map_add(&map, longer, SPAN("x"), &shard), ERR_INVALID);
    assert_int_equal(shard_map_find(&map, longest, &shard), ERR_OK);
    assert_int_equal(shard, 1);
    char name[2] = "a";
    while (map.shard_count < SHARD_SHARDS_MAX) {
        char text[8] = {
            's', (char)('0' + map.shard_count / 10), (char)('0' + map.shard_count % 10)};
        (void)t_add(text);
    }
    name[0] = 'z';
    assert_int_equal(shard_map_add(&map, span_from_cstr(name), SPAN("x"), &shard), ERR_FULL);
}

static void
test_hash(void **state)
{
    (void)state;
    t_three();
    uint32_t table = t_table("ledger", SHARD_HASH);
    assert_int_equal(t_route(table, "{m}1", ""), t_route(table, "{m}2", ""));
    struct shard_route route;
    assert_int_equal(shard_route(&map, table, SPAN("foo"), SPAN_EMPTY, &route), ERR_OK);
    assert_int_equal(route.slot, 12182);
    assert_int_equal(route.shard, map.owners[12182]);
    assert_int_equal(map.owners[0], 0);
    assert_int_equal(map.owners[SHARD_SLOTS - 1], 2);
}

static void
test_range(void **state)
{
    (void)state;
    t_three();
    (void)t_table("before", SHARD_RANGE);
    uint32_t table = t_table("orders", SHARD_RANGE);
    (void)t_table("after", SHARD_RANGE);
    assert_int_equal(t_route(table, "anything", ""), 0);
    assert_int_equal(shard_range_split(&map, table, SPAN("m"), 1), ERR_OK);
    assert_int_equal(shard_range_split(&map, table, SPAN("t"), 2), ERR_OK);
    assert_int_equal(t_route(table, "", ""), 0);
    assert_int_equal(t_route(table, "lzzz", ""), 0);
    assert_int_equal(t_route(table, "m", ""), 1);
    assert_int_equal(t_route(table, "s~", ""), 1);
    assert_int_equal(t_route(table, "t", ""), 2);
    assert_int_equal(t_route(table, "t0", ""), 2);
    assert_int_equal(shard_range_merge(&map, table, SPAN("n")), ERR_NOT_FOUND);
    assert_int_equal(shard_range_merge(&map, table, SPAN_EMPTY), ERR_INVALID);
    assert_int_equal(shard_range_merge(&map, table, SPAN("m")), ERR_OK);
    assert_int_equal(t_route(table, "m", ""), 0);
    assert_int_equal(t_route(table, "t", ""), 2);
    assert_int_equal(shard_range_split(&map, table, SPAN("a b"), 2), ERR_INVALID);
    uint32_t hash = t_table("hash", SHARD_HASH);
    assert_int_equal(shard_range_split(&map, hash, SPAN("m"), 1), ERR_INVALID);
    assert_int_equal(shard_range_merge(&map, hash, SPAN("m")), ERR_INVALID);
}

static void
test_column(void **state)
{
    (void)state;
    t_three();
    uint32_t cards = t_table("cards", SHARD_COLUMN);
    uint32_t others = t_table("others", SHARD_COLUMN);
    struct shard_route route;
    assert_int_equal(shard_column_add(&map, others, SPAN("number"), 2), ERR_OK);
    assert_int_equal(shard_column_add(&map, cards, SPAN("number"), 1), ERR_OK);
    assert_int_equal(shard_column_add(&map, cards, SPAN("number"), 0), ERR_EXISTS);
    assert_int_equal(shard_column_add(&map, cards, SPAN("Not"), 0), ERR_INVALID);
    assert_int_equal(t_route(cards, "card_1", "number"), 1);
    assert_int_equal(t_route(others, "card_1", "number"), 2);
    assert_int_equal(
        shard_route(&map, cards, SPAN("card_1"), SPAN("expiry"), &route), ERR_NOT_FOUND);
    assert_int_equal(shard_column_add(&map, cards, SPAN("*"), 2), ERR_OK);
    assert_int_equal(t_route(cards, "card_1", "expiry"), 2);
    assert_int_equal(t_route(cards, "card_1", "number"), 1);
}

/* SHARD-4 */
static void
test_replace(void **state)
{
    (void)state;
    t_three();
    memcpy(&next, &map, sizeof(map));
    assert_int_equal(shard_map_replace(&map, 1, &next), ERR_INVALID);
    next.epoch = 3;
    assert_int_equal(shard_map_replace(&map, 1, &next), ERR_INVALID);
    next.epoch = 2;
    next.owners[5] = 2;
    assert_int_equal(shard_map_replace(&map, 2, &next), ERR_STALE);
    assert_int_equal(shard_map_replace(&map, 1, &next), ERR_OK);
    assert_true(shard_map_equal(&map, &next));
    assert_int_equal(shard_map_replace(&map, 1, &next), ERR_STALE);
}

static void
test_remove(void **state)
{
    (void)state;
    t_three();
    uint32_t table = t_table("orders", SHARD_RANGE);
    assert_int_equal(shard_range_split(&map, table, SPAN("m"), 2), ERR_OK);
    assert_int_equal(shard_map_remove(&map, 1), ERR_EXISTS);
    for (uint32_t i = 0; i < SHARD_SLOTS; i++) {
        map.owners[i] = map.owners[i] == 1 ? 0 : map.owners[i];
    }
    assert_int_equal(shard_map_remove(&map, 1), ERR_OK);
    assert_int_equal(map.shard_count, 2);
    assert_string_equal(map.shards[1].name, "c");
    assert_int_equal(map.owners[SHARD_SLOTS - 1], 1);
    assert_int_equal(t_route(table, "z", ""), 1);
    assert_int_equal(shard_map_remove(&map, 1), ERR_EXISTS);
}

/* SHARD-1: random splits and merges, beside an array that says whose each of 26 letters is. */
static void
test_ranges_model(void **state)
{
    (void)state;

    enum {
        LETTERS = 26,
        SEEDS = 200,
        STEPS = 100
    };

    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        struct os_prng prng;
        uint32_t owners[LETTERS] = {0};
        bool points[LETTERS] = {true};
        os_prng_seed(&prng, seed);
        t_three();
        uint32_t table = t_table("t", SHARD_RANGE);
        for (int step = 0; step < STEPS; step++) {
            uint32_t at = (uint32_t)os_prng_below(&prng, LETTERS - 1) + 1;
            uint32_t shard = (uint32_t)os_prng_below(&prng, 3);
            char key = (char)('a' + at);
            bool split = os_prng_chance(&prng, 1, 2);
            err_t result = split ? shard_range_split(&map, table, span_of(&key, 1), shard)
                                 : shard_range_merge(&map, table, span_of(&key, 1));
            assert_int_equal(result, split || points[at] ? ERR_OK : ERR_NOT_FOUND);
            if (result == ERR_OK) {
                uint32_t owner = split ? shard : owners[at - 1];
                points[at] = split;
                do {
                    owners[at++] = owner;
                } while (at < LETTERS && !points[at]);
            }
            for (uint32_t i = 0; i < LETTERS; i++) {
                char probe[3] = {(char)('a' + i), (char)('a' + i), '\0'};
                assert_int_equal(t_route(table, probe, ""), owners[i]);
            }
        }
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_hash),
        cmocka_unit_test(test_range),
        cmocka_unit_test(test_column),
        cmocka_unit_test(test_replace),
        cmocka_unit_test(test_remove),
        cmocka_unit_test(test_ranges_model),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
