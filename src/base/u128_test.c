#include "base/u128.h"

#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void
t_known_values(void **state)
{
    (void)state;

    const struct {
        u128 value;
        const char *text;
    } cases[] = {
        {0, "0"},
        {9, "9"},
        {10, "10"},
        {UINT64_C(9999999999999999999), "9999999999999999999"},
        {UINT64_C(10000000000000000000), "10000000000000000000"},
        {UINT64_MAX, "18446744073709551615"},
        {u128_make(1, 0), "18446744073709551616"},
        {(u128)UINT64_C(10000000000000000000) * UINT64_C(10000000000000000000),
         "100000000000000000000000000000000000000"},
        {U128_MAX, "340282366920938463463374607431768211455"},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char text[U128_DECIMAL_SIZE];
        assert_int_equal(u128_format(cases[i].value, text), strlen(cases[i].text));
        assert_string_equal(text, cases[i].text);
        u128 value = 5;
        assert_true(u128_parse(span_from_cstr(cases[i].text), &value));
        assert_true(value == cases[i].value);
    }
}

static void
t_round_trip(void **state)
{
    (void)state;
    u128 value = 1;
    for (int i = 0; i < 1000; i++) {
        char text[U128_DECIMAL_SIZE];
        u128 back = 0;
        size_t size = u128_format(value, text);
        assert_true(u128_parse(span_of(text, size), &back));
        assert_true(back == value);
        value = value * 3 + 1;
    }
}

static void
t_parse_refuses(void **state)
{
    (void)state;
    u128 value = 7;
    const char *const refused[] = {
        "",
        "-1",
        "+1",
        " 1",
        "1a",
        "340282366920938463463374607431768211456",
        "1000000000000000000000000000000000000000",
    };
    for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
        assert_false(u128_parse(span_from_cstr(refused[i]), &value));
        assert_true(value == 7);
    }
    assert_true(u128_parse(SPAN("0000000000000000000000000000000000000000000000012"), &value));
    assert_true(value == 12);
}

static void
t_halves(void **state)
{
    (void)state;
    u128 value = u128_make(3, 4);
    assert_int_equal(u128_high(value), 3);
    assert_int_equal(u128_low(value), 4);
    assert_true(u128_make(UINT64_MAX, UINT64_MAX) == U128_MAX);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(t_known_values),
        cmocka_unit_test(t_round_trip),
        cmocka_unit_test(t_parse_refuses),
        cmocka_unit_test(t_halves),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
