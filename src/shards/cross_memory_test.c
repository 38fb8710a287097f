/* What batches take and give back: bounded, and kept only while it is needed. */
#include "cross_private.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define MAX   (UINT64_C(8) << 20)
#define LARGE (UINT64_C(1) << 20)

static struct shards_cross cross;

static uint64_t
counted(void)
{
    return atomic_load(&cross.counters[CROSS_COUNTER(memory)]);
}

static int
set_up(void **state)
{
    (void)state;
    memset(&cross, 0, sizeof(cross));
    cross.parts.memory_max = MAX;
    return 0;
}

static int
tear_down(void **state)
{
    (void)state;
    assert_int_equal(counted(), 0);
    shards_cross_memory_release(&cross);
    assert_null(cross.spares);
    assert_int_equal(cross.spares_size, 0);
    return 0;
}

/* Of what is in use, whatever is kept beside it. */
static void
test_bound(void **state)
{
    (void)state;
    char *first = shards_cross_memory_take(&cross, MAX - LARGE);
    char *second = shards_cross_memory_take_unset(&cross, LARGE);
    assert_non_null(first);
    assert_non_null(second);
    assert_int_equal(counted(), MAX);
    assert_null(shards_cross_memory_take(&cross, 1));
    assert_null(shards_cross_memory_take_unset(&cross, LARGE));
    shards_cross_memory_give(&cross, second, LARGE);
    second = shards_cross_memory_take_unset(&cross, LARGE);
    assert_non_null(second);
    shards_cross_memory_give(&cross, second, LARGE);
    shards_cross_memory_give(&cross, first, MAX - LARGE);
    shards_cross_memory_give(&cross, NULL, LARGE);
}

/* One batch's block is the next one's, also if that is of a slightly other size; and zeroed, if
 * that is asked for, as far as it is the next one's. */
static void
test_kept(void **state)
{
    (void)state;
    uint64_t less = LARGE - 1000;
    char *first = shards_cross_memory_take_unset(&cross, LARGE);
    assert_non_null(first);
    memset(first, 0xff, LARGE);
    shards_cross_memory_give(&cross, first, LARGE);
    assert_int_equal(cross.spares_size, LARGE);
    char *second = shards_cross_memory_take(&cross, less);
    assert_ptr_equal(second, first);
    assert_int_equal(cross.spares_size, 0);
    for (uint64_t i = 0; i < less; i++) {
        assert_int_equal(second[i], 0);
    }
    char *other = shards_cross_memory_take_unset(&cross, 2 * LARGE);
    assert_non_null(other);
    shards_cross_memory_give(&cross, second, less);
    shards_cross_memory_give(&cross, other, 2 * LARGE);
    second = shards_cross_memory_take_unset(&cross, LARGE / 2);
    assert_ptr_not_equal(second, first);
    shards_cross_memory_give(&cross, second, LARGE / 2);
}

/* Every size has the whole of it: the sanitizer looks. */
static void
test_sizes(void **state)
{
    (void)state;
    for (uint64_t size = 1; size < MAX; size = size * 9 / 8 + 1) {
        for (int turn = 0; turn < 2; turn++) {
            char *memory = shards_cross_memory_take_unset(&cross, size);
            assert_non_null(memory);
            memset(memory, turn, size);
            shards_cross_memory_give(&cross, memory, size);
        }
    }
}

/* A quarter of what may be in use. */
static void
test_kept_is_bounded(void **state)
{
    (void)state;
    char *blocks[MAX / LARGE];
    for (size_t i = 0; i < MAX / LARGE; i++) {
        blocks[i] = shards_cross_memory_take_unset(&cross, LARGE);
        assert_non_null(blocks[i]);
    }
    for (size_t i = 0; i < MAX / LARGE; i++) {
        shards_cross_memory_give(&cross, blocks[i], LARGE);
    }
    assert_int_equal(cross.spares_size, MAX / 4);
}

static void
test_idle(void **state)
{
    (void)state;
    uint64_t now = OS_NS_PER_S;
    shards_cross_memory_give(&cross, shards_cross_memory_take(&cross, LARGE), LARGE);
    shards_cross_memory_tick(&cross, now);
    shards_cross_memory_tick(&cross, now + OS_NS_PER_S / 2);
    assert_int_equal(cross.spares_size, LARGE);
    /* Used since then: it stays for another while. */
    shards_cross_memory_give(&cross, shards_cross_memory_take(&cross, LARGE), LARGE);
    shards_cross_memory_tick(&cross, now + OS_NS_PER_S);
    assert_int_equal(cross.spares_size, LARGE);
    shards_cross_memory_tick(&cross, now + 2 * OS_NS_PER_S);
    assert_int_equal(cross.spares_size, 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_bound, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_kept, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_sizes, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_kept_is_bounded, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_idle, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
