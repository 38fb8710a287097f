/*
 * Random histories. A naive table (an array in the order of use) must give every answer that the
 * real one gives; and a judge that never forgets anything checks what is found against CACHE-1.
 */
#include "cache/cache.h"

#include "os/prng.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#define KEYS     24
#define READERS  6
#define STEPS    20000
#define SEEDS    20
#define ENTRIES  12
#define EMPTY    4
#define BYTES    160
#define LIFE_MAX 60

struct naive_entry {
    uint32_t key;
    uint64_t size; /* 0: no value */
    uint64_t version;
    uint64_t learned;
    uint64_t expires;
    bool absent;
};

/* Oldest use first, those with and those without a value in one row. */
struct naive {
    struct naive_entry row[ENTRIES + 2];
    uint32_t count;
    uint64_t learned;
    uint64_t lost;
};

/* Somebody who reads for a while, and then puts. */
struct reader {
    bool reads;
    uint32_t key;
    uint64_t ticket;
    uint64_t version;
    uint64_t began; /* step */
};

struct world {
    struct os_prng prng;
    struct cache *cache;
    uint32_t alive;
    struct naive naive;
    struct reader readers[READERS];
    uint64_t stored[KEYS];    /* the version in the database */
    uint64_t told[KEYS];      /* the newest version that was told of, */
    uint64_t told_step[KEYS]; /* and when */
    uint64_t since[KEYS];     /* when the reader began whose value is there */
    uint64_t step;
    uint64_t now;
};

static void
release(void *context, void *value)
{
    struct world *world = context;
    assert_true(world->alive > 0);
    world->alive--;
    free(value);
}

/* --------------------------------------------------------------------------------------- naive */

static void
naive_lose(struct naive *naive, uint32_t at)
{
    if (naive->row[at].learned > naive->lost) {
        naive->lost = naive->row[at].learned;
    }
    memmove(&naive->row[at], &naive->row[at + 1], (naive->count - at - 1) * sizeof(naive->row[0]));
    naive->count--;
}

static uint32_t
naive_count(const struct naive *naive, bool with_value)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < naive->count; i++) {
        count += (naive->row[i].size > 0) == with_value ? 1 : 0;
    }
    return count;
}

static uint64_t
naive_bytes(const struct naive *naive)
{
    uint64_t bytes = 0;
    for (uint32_t i = 0; i < naive->count; i++) {
        bytes += naive->row[i].size;
    }
    return bytes;
}

static void
naive_lose_oldest(struct naive *naive, bool with_value)
{
    for (uint32_t i = 0; i < naive->count; i++) {
        if ((naive->row[i].size > 0) == with_value) {
            naive_lose(naive, i);
            return;
        }
    }
    fail();
}

/* ENTRIES: not there. What has expired goes. */
static uint32_t
naive_find(struct naive *naive, uint32_t key, uint64_t now)
{
    for (uint32_t i = 0; i < naive->count; i++) {
        if (naive->row[i].key == key) {
            if (naive->row[i].expires <= now) {
                naive_lose(naive, i);
                return ENTRIES;
            }
            return i;
        }
    }
    return ENTRIES;
}

static void
naive_learn(struct naive *naive, uint32_t at, struct naive_entry entry)
{
    bool is_empty = entry.size == 0;
    if (at != ENTRIES) {
        uint64_t lost = naive->lost;
        naive_lose(naive, at);
        naive->lost = lost; /* it is replaced, not lost */
    } else if (naive->count == ENTRIES) {
        bool has_share = is_empty && naive_count(naive, false) >= EMPTY;
        naive_lose_oldest(naive, !(has_share || naive_count(naive, true) == 0));
    }
    entry.learned = ++naive->learned;
    naive->row[naive->count++] = entry;
    while (naive_count(naive, false) > EMPTY) {
        naive_lose_oldest(naive, false);
    }
    while (naive_bytes(naive) > BYTES) {
        naive_lose_oldest(naive, true);
    }
}

static enum cache_put
naive_put(
    struct naive *naive,
    uint32_t key,
    uint64_t ticket,
    uint64_t now,
    const struct cache_value *value)
{
    uint32_t at = naive_find(naive, key, now);
    if (value->size > BYTES / 8) {
        return CACHE_TOO_LARGE;
    }
    if (at != ENTRIES && value->version < naive->row[at].version) {
        return CACHE_OLDER;
    }
    if (ticket < naive->lost || value->expires_ns <= now) {
        return CACHE_LATE;
    }
    naive_learn(
        naive,
        at,
        (struct naive_entry){
            .key = key,
            .size = value->size,
            .version = value->version,
            .expires = value->expires_ns,
            .absent = value->size == 0,
        });
    return CACHE_STORED;
}

static void
naive_forget(struct naive *naive, uint32_t key, uint64_t version, uint64_t now, uint64_t until)
{
    uint32_t at = naive_find(naive, key, now);
    if (at == ENTRIES || naive->row[at].version < version) {
        struct naive_entry entry = {
            .key = key,
            .version = version,
            .expires = until,
            .absent = version == CACHE_VERSION_GONE,
        };
        naive_learn(naive, at, entry);
    }
}

static void
naive_drop(struct naive *naive, uint32_t key)
{
    for (uint32_t i = 0; i < naive->count; i++) {
        if (naive->row[i].key == key) {
            naive_lose(naive, i);
            break;
        }
    }
    naive->lost = ++naive->learned;
}

static enum cache_found
naive_get(struct naive *naive, uint32_t key, uint64_t now, uint64_t *ret_version)
{
    uint32_t at = naive_find(naive, key, now);
    if (at == ENTRIES || (naive->row[at].size == 0 && !naive->row[at].absent)) {
        return CACHE_MISS;
    }
    struct naive_entry entry = naive->row[at];
    memmove(&naive->row[at], &naive->row[at + 1], (naive->count - at - 1) * sizeof(naive->row[0]));
    naive->row[naive->count - 1] = entry;
    *ret_version = entry.version;
    return entry.size == 0 ? CACHE_ABSENT : CACHE_HIT;
}

/* --------------------------------------------------------------------------------------- steps */

static struct cache_key
key_of(uint32_t number)
{
    struct cache_key key = {{0}};
    memcpy(key.bytes, &number, sizeof(number));
    return key;
}

static void
step_read(struct world *world, struct reader *reader)
{
    reader->reads = true;
    reader->key = (uint32_t)os_prng_below(&world->prng, KEYS);
    reader->ticket = cache_ticket(world->cache);
    reader->version = world->stored[reader->key];
    reader->began = world->step;
    assert_true(reader->ticket == world->naive.learned);
}

static void
step_put(struct world *world, struct reader *reader)
{
    struct cache_key key = key_of(reader->key);
    struct cache_value value = {
        .version = reader->version,
        .expires_ns = world->now + os_prng_below(&world->prng, LIFE_MAX),
    };
    if (reader->version > 0) {
        value.size = (size_t)os_prng_below(&world->prng, BYTES / 8 + 2) + 1;
        value.value = malloc(value.size);
        assert_non_null(value.value);
        world->alive++;
    }
    enum cache_put expected =
        naive_put(&world->naive, reader->key, reader->ticket, world->now, &value);
    enum cache_put outcome = cache_put(world->cache, &key, reader->ticket, world->now, &value);
    assert_int_equal(outcome, expected);
    if (outcome == CACHE_STORED) {
        world->since[reader->key] = reader->began;
    }
    reader->reads = false;
}

static void
step_write(struct world *world)
{
    uint32_t number = (uint32_t)os_prng_below(&world->prng, KEYS);
    struct cache_key key = key_of(number);
    uint64_t until = world->now + LIFE_MAX;
    world->told[number] = ++world->stored[number];
    world->told_step[number] = world->step;
    naive_forget(&world->naive, number, world->stored[number], world->now, until);
    cache_forget(world->cache, &key, world->stored[number], world->now, until);
}

static void
step_get(struct world *world)
{
    uint32_t number = (uint32_t)os_prng_below(&world->prng, KEYS);
    struct cache_key key = key_of(number);
    struct cache_value value = {.value = NULL};
    uint64_t version = 0;
    enum cache_found expected = naive_get(&world->naive, number, world->now, &version);
    enum cache_found found = cache_get(world->cache, &key, world->now, &value);
    assert_int_equal(found, expected);
    if (found == CACHE_MISS) {
        return;
    }
    if (found == CACHE_HIT) {
        assert_true(value.version == version);
        assert_true(value.expires_ns > world->now);
    }
    /* CACHE-1: not older than what was told since its reader began. */
    if (world->told_step[number] >= world->since[number]) {
        assert_true(version >= world->told[number]);
    }
}

static void
step(struct world *world)
{
    struct reader *reader = &world->readers[os_prng_below(&world->prng, READERS)];
    switch (os_prng_below(&world->prng, 8)) {
    case 0:
        step_write(world);
        break;
    case 1:
    case 2:
    case 3:
        if (reader->reads) {
            step_put(world, reader);
        } else {
            step_read(world, reader);
        }
        break;
    case 4:
        if (os_prng_chance(&world->prng, 1, 20)) {
            uint32_t number = (uint32_t)os_prng_below(&world->prng, KEYS);
            struct cache_key key = key_of(number);
            naive_drop(&world->naive, number);
            cache_drop(world->cache, &key);
        }
        world->now += os_prng_below(&world->prng, 3);
        break;
    default:
        step_get(world);
        break;
    }
}

static void
check(const struct world *world)
{
    struct cache_counts counts;
    cache_count(world->cache, &counts);
    assert_int_equal(counts.entries, world->naive.count);
    assert_int_equal(counts.empty, naive_count(&world->naive, false));
    assert_true(counts.bytes == naive_bytes(&world->naive));
    assert_true(counts.bytes <= BYTES);
    assert_true(counts.entries <= ENTRIES);
    assert_true(counts.empty <= EMPTY);
    assert_int_equal(world->alive, counts.entries - counts.empty);
}

static void
history(uint64_t seed)
{
    static struct world world;
    struct cache_settings settings = {
        .entries_max = ENTRIES,
        .empty_max = EMPTY,
        .bytes_max = BYTES,
        .release = release,
        .context = &world,
    };
    memset(&world, 0, sizeof(world));
    os_prng_seed(&world.prng, seed);
    void *memory = malloc(cache_memory_size(&settings));
    assert_non_null(memory);
    world.cache = cache_init(memory, &settings);
    for (world.step = 1; world.step <= STEPS; world.step++) {
        step(&world);
        check(&world);
    }
    cache_clear(world.cache);
    assert_int_equal(world.alive, 0);
    free(memory);
}

/* CACHE-4. */
static void
test_histories(void **state)
{
    (void)state;
    uint64_t seed = (uint64_t)time(NULL);
    print_message("seed %llu\n", (unsigned long long)seed);
    for (uint64_t i = 0; i < SEEDS; i++) {
        history(seed + i);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_histories)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
