#include "base/arena.h"

#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void
t_zeroed_aligned_and_distinct(void **state)
{
    (void)state;
    struct arena arena;
    arena_init(&arena, 1 << 20);
    for (int round = 0; round < 3; round++) {
        char *last = NULL;
        for (size_t size = 0; size < 600; size++) {
            char *memory = arena_alloc(&arena, size);
            assert_non_null(memory);
            assert_int_equal((uintptr_t)memory % _Alignof(max_align_t), 0);
            assert_ptr_not_equal(memory, last);
            for (size_t i = 0; i < size; i++) {
                assert_int_equal(memory[i], 0);
            }
            memset(memory, 0xff, size);
            last = memory;
        }
        arena_clear(&arena);
        assert_int_equal(arena.used, 0);
    }
    arena_release(&arena);
}

static void
t_limit(void **state)
{
    (void)state;
    struct arena arena;
    arena_init(&arena, 100);
    assert_non_null(arena_alloc(&arena, 60));
    assert_null(arena_alloc(&arena, 41));
    assert_non_null(arena_alloc(&arena, 40));
    assert_null(arena_alloc(&arena, 1));
    arena_clear(&arena);
    assert_non_null(arena_alloc(&arena, 100));
    arena_release(&arena);
    arena_init(&arena, SIZE_MAX);
    assert_null(arena_alloc(&arena, SIZE_MAX));
    assert_null(ARENA_ARRAY(&arena, uint64_t, SIZE_MAX / 4));
    assert_non_null(ARENA_ARRAY(&arena, uint64_t, 4));
    arena_release(&arena);
}

static void
t_larger_than_a_block(void **state)
{
    (void)state;
    struct arena arena;
    arena_init(&arena, 1 << 22);
    char *small = arena_alloc(&arena, 10);
    memset(small, 'a', 10);
    char *large = arena_alloc(&arena, 1 << 20);
    assert_non_null(large);
    memset(large, 'b', 1 << 20);
    assert_int_equal(small[9], 'a');
    arena_clear(&arena);
    assert_non_null(arena_alloc(&arena, 1 << 22));
    arena_release(&arena);
}

static void
t_texts(void **state)
{
    (void)state;
    struct arena arena;
    arena_init(&arena, 64);
    struct span copy = arena_copy(&arena, SPAN("a\0b"));
    assert_true(span_equal(copy, SPAN("a\0b")));
    assert_non_null(arena_copy(&arena, SPAN_EMPTY).data);
    char *text = arena_cstr(&arena, SPAN("hello"));
    assert_string_equal(text, "hello");
    assert_string_equal(arena_cstr(&arena, SPAN_EMPTY), "");
    assert_true(span_equal_cstr(arena_format(&arena, "%s-%d", "x", 7), "x-7"));
    struct span too_long = arena_format(&arena, "%080d", 7);
    assert_null(too_long.data);
    assert_int_equal(too_long.size, 0);
    char long_text[65] = {0};
    assert_null(arena_copy(&arena, span_of(long_text, 65)).data);
    assert_null(arena_cstr(&arena, span_of(long_text, 64)));
    assert_null(arena_cstr(&arena, span_of(long_text, SIZE_MAX)));
    arena_release(&arena);
}

static void
t_wipe(void **state)
{
    (void)state;
    struct arena arena;
    arena_init(&arena, 1000);
    char *secret = arena_alloc(&arena, 16);
    memcpy(secret, "4242424242424242", 16);
    arena_wipe(&arena);
    /* The kept block is still the arena's memory. */
    for (size_t i = 0; i < 16; i++) {
        assert_int_equal(secret[i], 0);
    }
    assert_int_equal(arena.used, 0);
    arena_release(&arena);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(t_zeroed_aligned_and_distinct),
        cmocka_unit_test(t_limit),
        cmocka_unit_test(t_larger_than_a_block),
        cmocka_unit_test(t_texts),
        cmocka_unit_test(t_wipe),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
