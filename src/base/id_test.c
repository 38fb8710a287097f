#include "base/id.h"

#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define RANDOM_MASK (((u128)1 << 80) - 1)

static void
t_takes_time_and_random(void **state)
{
    (void)state;
    struct id_generator generator = {0};
    u128 id = id_next(&generator, 1700000000123, U128_MAX);
    assert_int_equal(id_unix_ms(id), 1700000000123);
    assert_true((id & RANDOM_MASK) == RANDOM_MASK);
    id = id_next(&generator, 1700000000124, 5);
    assert_true(id == (id_floor(1700000000124) | 5));
}

static void
t_counts_up_within_a_millisecond(void **state)
{
    (void)state;
    struct id_generator generator = {0};
    u128 first = id_next(&generator, 1000, 500);
    for (unsigned i = 1; i < 100; i++) {
        assert_true(id_next(&generator, 1000, 9999) == first + i);
    }
}

static void
t_increases_when_the_clock_goes_back(void **state)
{
    (void)state;
    struct id_generator generator = {0};
    u128 last = id_next(&generator, 5000, 77);
    for (uint64_t ms = 5000; ms > 4000; ms -= 10) {
        u128 id = id_next(&generator, ms, U128_MAX);
        assert_true(id == last + 1);
        last = id;
    }
    assert_true(id_next(&generator, 5001, 3) == (id_floor(5001) | 3));
}

static void
t_carries_when_the_random_bits_overflow(void **state)
{
    (void)state;
    struct id_generator generator = {0};
    u128 last = id_next(&generator, 1000, RANDOM_MASK);
    u128 carried = id_next(&generator, 1000, 1);
    assert_true(carried == last + 1);
    assert_true(carried == id_floor(1001));
    /* The clock arrives in the millisecond that the carry has begun. */
    assert_true(id_next(&generator, 1001, 12345) == carried + 1);
    assert_true(id_next(&generator, 1002, 12345) == (id_floor(1002) | 12345));
}

static void
t_never_zero(void **state)
{
    (void)state;
    struct id_generator generator = {0};
    assert_true(id_next(&generator, 0, 0) == 1);
    struct id_generator other = {0};
    assert_true(id_next(&other, 0, 9) == 9);
    assert_true(id_next(&other, 0, 0) == 10);
}

static void
t_time_beyond_48_bits_stays_at_the_last(void **state)
{
    (void)state;
    assert_true(id_unix_ms(id_floor(UINT64_MAX)) == (UINT64_C(1) << 48) - 1);
    struct id_generator generator = {0};
    u128 a = id_next(&generator, UINT64_MAX, 4);
    assert_true(id_next(&generator, UINT64_MAX, 1) == a + 1);
}

static void
t_floor_bounds_a_millisecond(void **state)
{
    (void)state;
    struct id_generator generator = {0};
    u128 id = id_next(&generator, 777, 0);
    assert_true(id >= id_floor(777));
    assert_true(id < id_floor(778));
}

static void
t_text_round_trip_in_order(void **state)
{
    (void)state;
    u128 seed = 1;
    static char texts[400][ID_TEXT_SIZE];
    static u128 ids[400];
    for (size_t i = 0; i < 400; i++) {
        ids[i] = i < 128 ? (u128)1 << i : seed;
        ids[i] = i == 128 ? 0 : i == 129 ? U128_MAX : ids[i];
        seed = seed * u128_make(0x2360ed051fc65da4, 0x4385df649fccf645) + 0x5851f42d4c957f2d;
        assert_int_equal(id_format("pi_", ids[i], texts[i]), 25);
        assert_int_equal(strlen(texts[i]), 25);
        u128 back = 12;
        assert_true(id_parse("pi_", span_from_cstr(texts[i]), &back));
        assert_true(back == ids[i]);
    }
    for (size_t i = 0; i < 400; i++) {
        for (size_t j = 0; j < 400; j++) {
            int id_order = (ids[i] > ids[j]) - (ids[i] < ids[j]);
            int text_order = strcmp(texts[i], texts[j]);
            assert_int_equal(id_order, (text_order > 0) - (text_order < 0));
        }
    }
}

static void
t_text_known_values(void **state)
{
    (void)state;
    char text[ID_TEXT_SIZE];
    id_format("evt_", 0, text);
    assert_string_equal(text, "evt_0000000000000000000000");
    id_format("", 61, text);
    assert_string_equal(text, "000000000000000000000z");
    id_format("12345678", 62, text);
    assert_string_equal(text, "123456780000000000000000000010");
    id_format("", U128_MAX, text);
    assert_string_equal(text, "7n42DGM5Tflk9n8mt7Fhc7");
}

static void
t_parse_refuses(void **state)
{
    (void)state;
    u128 id = 42;
    const struct span refused[] = {
        SPAN(""),
        SPAN("pi_"),
        SPAN("pi_000000000000000000000"),   /* short */
        SPAN("pi_00000000000000000000000"), /* long */
        SPAN("ch_0000000000000000000000"),  /* another type */
        SPAN("PI_0000000000000000000000"),
        SPAN("pi_000000000000000000000-"),
        SPAN("pi_ 000000000000000000000"),
        SPAN("pi_000000000000000000000\0"),
        SPAN("pi_000000000000000000000\xc3"),
        SPAN("pi_7n42DGM5Tflk9n8mt7Fhc8"), /* 2^128 */
        SPAN("pi_zzzzzzzzzzzzzzzzzzzzzz"),
    };
    for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
        assert_false(id_parse("pi_", refused[i], &id));
        assert_true(id == 42);
    }
    assert_true(id_parse("pi_", SPAN("pi_7n42DGM5Tflk9n8mt7Fhc7"), &id));
    assert_true(id == U128_MAX);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(t_takes_time_and_random),
        cmocka_unit_test(t_counts_up_within_a_millisecond),
        cmocka_unit_test(t_increases_when_the_clock_goes_back),
        cmocka_unit_test(t_carries_when_the_random_bits_overflow),
        cmocka_unit_test(t_never_zero),
        cmocka_unit_test(t_time_beyond_48_bits_stays_at_the_last),
        cmocka_unit_test(t_floor_bounds_a_millisecond),
        cmocka_unit_test(t_text_round_trip_in_order),
        cmocka_unit_test(t_text_known_values),
        cmocka_unit_test(t_parse_refuses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
