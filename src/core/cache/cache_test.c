/* Each rule of the table, and the race that it is about, step by step. */
#include "cache/cache.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define LIFE UINT64_C(1000)

struct world {
    struct cache *cache;
    void *memory;
    uint32_t alive; /* values that are not released */
};

static void
release(void *context, void *value)
{
    struct world *world = context;
    assert_true(world->alive > 0);
    world->alive--;
    free(value);
}

static void
world_begin(struct world *world, uint32_t entries_max, uint32_t empty_max, uint64_t bytes_max)
{
    *world = (struct world){.cache = NULL};
    struct cache_settings settings = {
        .entries_max = entries_max,
        .empty_max = empty_max,
        .bytes_max = bytes_max,
        .release = release,
        .context = world,
    };
    world->memory = malloc(cache_memory_size(&settings));
    assert_non_null(world->memory);
    world->cache = cache_init(world->memory, &settings);
}

static void
world_end(struct world *world)
{
    struct cache_counts counts;
    cache_count(world->cache, &counts);
    assert_int_equal(counts.entries - counts.empty, world->alive);
    cache_clear(world->cache);
    assert_int_equal(world->alive, 0);
    free(world->memory);
}

static struct cache_key
key_of(uint32_t number)
{
    struct cache_key key = {{0}};
    memcpy(key.bytes, &number, sizeof(number));
    return key;
}

static enum cache_put
put_sized(
    struct world *world,
    uint32_t number,
    uint64_t ticket,
    uint64_t now,
    uint64_t version,
    size_t size)
{
    struct cache_key key = key_of(number);
    struct cache_value value = {.version = version, .expires_ns = now + LIFE};
    if (version != CACHE_VERSION_NONE) {
        value.value = malloc(size);
        value.size = size;
        assert_non_null(value.value);
        world->alive++;
    }
    return cache_put(world->cache, &key, ticket, now, &value);
}

static enum cache_put
put(struct world *world, uint32_t number, uint64_t now, uint64_t version)
{
    return put_sized(world, number, cache_ticket(world->cache), now, version, 1);
}

/* The version that is found; 0: a miss, UINT64_MAX: known to be absent. */
static uint64_t
get(struct world *world, uint32_t number, uint64_t now)
{
    struct cache_key key = key_of(number);
    struct cache_value value = {.value = NULL};
    switch (cache_get(world->cache, &key, now, &value)) {
    case CACHE_MISS:
        return 0;
    case CACHE_ABSENT:
        return UINT64_MAX;
    case CACHE_HIT:
        break;
    }
    assert_non_null(value.value);
    return value.version;
}

static void
forget(struct world *world, uint32_t number, uint64_t version, uint64_t now)
{
    struct cache_key key = key_of(number);
    cache_forget(world->cache, &key, version, now, now + LIFE);
}

static void
test_a_reader_that_was_overtaken_stores_nothing(void **state)
{
    (void)state;
    struct world world;
    world_begin(&world, 8, 4, 1000);
    uint64_t ticket = cache_ticket(world.cache);
    /* The reader has found version 1; before it comes, the writer stores version 2. */
    forget(&world, 1, 2, 10);
    assert_int_equal(put_sized(&world, 1, ticket, 10, 1, 1), CACHE_OLDER);
    assert_int_equal(get(&world, 1, 10), 0);
    /* Who reads now finds version 2, and may keep it; the one from before stays out. */
    assert_int_equal(put(&world, 1, 10, 2), CACHE_STORED);
    assert_int_equal(put_sized(&world, 1, ticket, 10, 1, 1), CACHE_OLDER);
    assert_int_equal(get(&world, 1, 10), 2);
    world_end(&world);
}

static void
test_the_same_without_the_writer_stores_it(void **state)
{
    (void)state;
    struct world world;
    world_begin(&world, 8, 4, 1000);
    uint64_t ticket = cache_ticket(world.cache);
    assert_int_equal(put_sized(&world, 1, ticket, 10, 1, 1), CACHE_STORED);
    assert_int_equal(get(&world, 1, 10), 1);
    world_end(&world);
}

static void
test_overtaken_and_evicted_is_late(void **state)
{
    (void)state;
    struct world world;
    world_begin(&world, 8, 1, 1000);
    uint64_t ticket = cache_ticket(world.cache);
    forget(&world, 1, 2, 10);
    forget(&world, 2, 2, 10); /* only one of these has room */
    assert_int_equal(put_sized(&world, 1, ticket, 10, 1, 1), CACHE_LATE);
    assert_int_equal(get(&world, 1, 10), 0);
    assert_int_equal(put(&world, 1, 10, 2), CACHE_STORED);
    world_end(&world);
}

static void
test_overtaken_and_expired_is_late(void **state)
{
    (void)state;
    struct world world;
    world_begin(&world, 8, 4, 1000);
    uint64_t ticket = cache_ticket(world.cache);
    forget(&world, 1, 2, 10);
    assert_int_equal(get(&world, 1, 10 + LIFE), 0);
    assert_int_equal(put_sized(&world, 1, ticket, 10 + LIFE, 1, 1), CACHE_LATE);
    world_end(&world);
}

static void
test_removed_is_absent_for_good(void **state)
{
    (void)state;
    struct world world;
    world_begin(&world, 8, 4, 1000);
    uint64_t ticket = cache_ticket(world.cache);
    assert_int_equal(put(&world, 1, 10, 7), CACHE_STORED);
    forget(&world, 1, CACHE_VERSION_GONE, 10);
    assert_true(get(&world, 1, 10) == UINT64_MAX);
    assert_int_equal(put_sized(&world, 1, ticket, 10, 7, 1), CACHE_OLDER);
    assert_true(get(&world, 1, 10) == UINT64_MAX);
    world_end(&world);
}

static void
test_absent_gives_way_to_what_is_made(void **state)
{
    (void)state;
    struct world world;
    world_begin(&world, 8, 4, 1000);
    uint64_t ticket = cache_ticket(world.cache);
    assert_int_equal(put(&world, 1, 10, CACHE_VERSION_NONE), CACHE_STORED);
    assert_true(get(&world, 1, 10) == UINT64_MAX);
    forget(&world, 1, 1, 10);
    assert_int_equal(get(&world, 1, 10), 0);
    assert_int_equal(put_sized(&world, 1, ticket, 10, CACHE_VERSION_NONE, 0), CACHE_OLDER);
    assert_int_equal(put(&world, 1, 10, 1), CACHE_STORED);
    assert_int_equal(get(&world, 1, 10), 1);
    world_end(&world);
}

static void
test_a_dropped_key_takes_any_version_again(void **state)
{
    (void)state;
    struct world world;
    world_begin(&world, 8, 4, 1000);
    assert_int_equal(put(&world, 1, 10, 9), CACHE_STORED);
    uint64_t ticket = cache_ticket(world.cache);
    struct cache_key key = key_of(1);
    cache_drop(world.cache, &key);
    assert_int_equal(get(&world, 1, 10), 0);
    assert_int_equal(put_sized(&world, 1, ticket, 10, 9, 1), CACHE_LATE);
    assert_int_equal(put(&world, 1, 10, 3), CACHE_STORED);
    assert_int_equal(get(&world, 1, 10), 3);
    world_end(&world);
}

static void
test_a_lifetime_ends(void **state)
{
    (void)state;
    struct world world;
    world_begin(&world, 8, 4, 1000);
    assert_int_equal(put(&world, 1, 10, 1), CACHE_STORED);
    assert_int_equal(get(&world, 1, 10 + LIFE - 1), 1);
    assert_int_equal(get(&world, 1, 10 + LIFE), 0);
    assert_int_equal(world.alive, 0);
    struct cache_key key = key_of(1);
    struct cache_value over = {.version = 1, .expires_ns = 5000};
    assert_int_equal(
        cache_put(world.cache, &key, cache_ticket(world.cache), 5000, &over), CACHE_LATE);
    world_end(&world);
}

/* CACHE-3. */
static void
test_the_least_recently_used_gives_way(void **state)
{
    (void)state;
    struct world world;
    struct cache_counts counts;
    world_begin(&world, 3, 3, 1000);
    for (uint32_t i = 1; i <= 3; i++) {
        assert_int_equal(put(&world, i, 10, i), CACHE_STORED);
    }
    assert_int_equal(get(&world, 1, 10), 1);
    assert_int_equal(put(&world, 4, 10, 4), CACHE_STORED);
    assert_int_equal(get(&world, 2, 10), 0);
    assert_int_equal(get(&world, 1, 10), 1);
    assert_int_equal(get(&world, 3, 10), 3);
    cache_count(world.cache, &counts);
    assert_int_equal(counts.entries, 3);
    assert_int_equal(counts.evictions, 1);
    world_end(&world);
}

/* CACHE-2. */
static void
test_bytes_are_bounded(void **state)
{
    (void)state;
    struct world world;
    struct cache_counts counts;
    world_begin(&world, 100, 10, 80);
    uint64_t ticket = cache_ticket(world.cache);
    assert_int_equal(put_sized(&world, 0, ticket, 10, 1, 11), CACHE_TOO_LARGE);
    for (uint32_t i = 1; i <= 9; i++) {
        assert_int_equal(put_sized(&world, i, cache_ticket(world.cache), 10, 1, 10), CACHE_STORED);
    }
    cache_count(world.cache, &counts);
    assert_int_equal(counts.bytes, 80);
    assert_int_equal(counts.entries, 8);
    assert_int_equal(get(&world, 1, 10), 0);
    assert_int_equal(get(&world, 2, 10), 1);
    world_end(&world);
}

/* CACHE-2, CACHE-3: a flood of ids that do not exist must not cost the values their place. */
static void
test_absent_ones_have_a_share_of_their_own(void **state)
{
    (void)state;
    struct world world;
    world_begin(&world, 10, 2, 1000);
    for (uint32_t i = 1; i <= 8; i++) {
        assert_int_equal(put(&world, i, 10, i), CACHE_STORED);
    }
    for (uint32_t i = 100; i < 1000; i++) {
        assert_int_equal(put(&world, i, 10, CACHE_VERSION_NONE), CACHE_STORED);
    }
    uint32_t kept = 0;
    for (uint32_t i = 1; i <= 8; i++) {
        kept += get(&world, i, 10) == i ? 1 : 0;
    }
    assert_int_equal(kept, 8);
    world_end(&world);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_reader_that_was_overtaken_stores_nothing),
        cmocka_unit_test(test_the_same_without_the_writer_stores_it),
        cmocka_unit_test(test_overtaken_and_evicted_is_late),
        cmocka_unit_test(test_overtaken_and_expired_is_late),
        cmocka_unit_test(test_removed_is_absent_for_good),
        cmocka_unit_test(test_absent_gives_way_to_what_is_made),
        cmocka_unit_test(test_a_dropped_key_takes_any_version_again),
        cmocka_unit_test(test_a_lifetime_ends),
        cmocka_unit_test(test_the_least_recently_used_gives_way),
        cmocka_unit_test(test_bytes_are_bounded),
        cmocka_unit_test(test_absent_ones_have_a_share_of_their_own),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
