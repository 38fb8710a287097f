#include "base/span.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void
t_compare(void **state)
{
    (void)state;
    assert_true(span_equal(SPAN("a\0b"), span_of("a\0b", 3)));
    assert_false(span_equal(SPAN("a\0b"), SPAN("a\0c")));
    assert_true(span_equal(SPAN_EMPTY, SPAN("")));
    assert_true(span_equal(span_from_cstr(NULL), SPAN_EMPTY));
    assert_true(span_equal_nocase(SPAN("Content-LENGTH"), SPAN("content-length")));
    assert_false(span_equal_nocase(SPAN("a["), SPAN("A{")));
    assert_false(span_equal_nocase(SPAN("\xc4"), SPAN("\xe4")));
    assert_true(span_equal_secret(SPAN("secret"), SPAN("secret")));
    assert_false(span_equal_secret(SPAN("secret"), SPAN("secreT")));
    assert_false(span_equal_secret(SPAN("secret"), SPAN("secre")));
    assert_true(span_equal_secret(SPAN_EMPTY, SPAN("")));
    assert_true(span_compare(SPAN("ab"), SPAN("abc")) < 0);
    assert_true(span_compare(SPAN("b"), SPAN("abc")) > 0);
    assert_true(span_compare(SPAN("\x80"), SPAN("\x7f")) > 0);
    assert_int_equal(span_compare(SPAN_EMPTY, SPAN("")), 0);
    assert_true(span_starts_with(SPAN("abc"), SPAN("ab")));
    assert_true(span_starts_with(SPAN("abc"), SPAN_EMPTY));
    assert_false(span_starts_with(SPAN("ab"), SPAN("abc")));
    assert_true(span_ends_with(SPAN("abc"), SPAN("bc")));
    assert_false(span_ends_with(SPAN("bc"), SPAN("abc")));
}

static void
t_slice(void **state)
{
    (void)state;
    assert_true(span_equal_cstr(span_slice(SPAN("hello"), 1, 3), "el"));
    assert_true(span_equal_cstr(span_slice(SPAN("hello"), 3, SIZE_MAX), "lo"));
    assert_int_equal(span_slice(SPAN("hello"), 9, SIZE_MAX).size, 0);
    assert_int_equal(span_slice(SPAN("hello"), 3, 1).size, 0);
    assert_int_equal(span_slice(SPAN_EMPTY, 0, 1).size, 0);
    assert_int_equal(span_find(SPAN("hello"), 'l', 0), 2);
    assert_int_equal(span_find(SPAN("hello"), 'l', 3), 3);
    assert_int_equal(span_find(SPAN("hello"), 'l', 4), 5);
    assert_int_equal(span_find(SPAN("hello"), 'l', 99), 5);
    assert_int_equal(span_find(SPAN_EMPTY, 'l', 0), 0);
    assert_true(span_equal_cstr(span_trim(SPAN(" \t a b\t ")), "a b"));
    assert_int_equal(span_trim(SPAN(" \t ")).size, 0);
}

static void
t_cut(void **state)
{
    (void)state;
    struct span rest = SPAN("a,,b");
    assert_true(span_equal_cstr(span_cut(&rest, ','), "a"));
    assert_true(span_equal_cstr(span_cut(&rest, ','), ""));
    assert_true(span_equal_cstr(rest, "b"));
    assert_true(span_equal_cstr(span_cut(&rest, ','), "b"));
    assert_int_equal(rest.size, 0);
    assert_int_equal(span_cut(&rest, ',').size, 0);
}

static void
t_parse_numbers(void **state)
{
    (void)state;
    uint64_t u = 7;
    assert_true(span_parse_u64(SPAN("18446744073709551615"), &u));
    assert_true(u == UINT64_MAX);
    assert_false(span_parse_u64(SPAN("18446744073709551616"), &u));
    assert_false(span_parse_u64(SPAN("28446744073709551616"), &u));
    assert_true(u == UINT64_MAX);
    assert_true(span_parse_u64(SPAN("007"), &u));
    assert_int_equal(u, 7);
    const char *const refused[] = {"", "-", "+1", " 1", "1 ", "1.0", "0x1", "--1", "-+1"};
    int64_t i = 7;
    for (size_t n = 0; n < sizeof(refused) / sizeof(refused[0]); n++) {
        assert_false(span_parse_u64(span_from_cstr(refused[n]), &u));
        assert_false(span_parse_i64(span_from_cstr(refused[n]), &i));
    }
    assert_false(span_parse_u64(SPAN("-1"), &u));
    assert_false(span_parse_u64(SPAN("1\0"), &u));
    assert_true(span_parse_i64(SPAN("9223372036854775807"), &i));
    assert_true(i == INT64_MAX);
    assert_false(span_parse_i64(SPAN("9223372036854775808"), &i));
    assert_true(span_parse_i64(SPAN("-9223372036854775808"), &i));
    assert_true(i == INT64_MIN);
    assert_false(span_parse_i64(SPAN("-9223372036854775809"), &i));
    assert_true(span_parse_i64(SPAN("-0"), &i));
    assert_int_equal(i, 0);
}

static void
t_parse_hex(void **state)
{
    (void)state;
    uint8_t bytes[3] = {0};
    static const uint8_t right[] = {0x00, 0x9a, 0xff};
    assert_true(span_parse_hex(SPAN("009aff"), bytes, 3));
    assert_memory_equal(bytes, right, 3);
    assert_true(span_parse_hex(SPAN(""), bytes, 0));
    static const char *const refused[] = {"009af", "009aff0", "009aFf", "009ag0", " 09aff", ""};
    for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
        assert_false(span_parse_hex(span_from_cstr(refused[i]), bytes, 3));
    }
    assert_int_equal(span_hex_digit('F'), 15);
    assert_int_equal(span_hex_digit('f'), 15);
    assert_int_equal(span_hex_digit('g'), -1);
    assert_int_equal(span_hex_digit('/'), -1);
    assert_int_equal(span_hex_digit(':'), -1);
}

static void
t_utf8(void **state)
{
    (void)state;
    const struct span valid[] = {
        SPAN(""),
        SPAN("plain\0zero"),
        SPAN("\xc2\x80 \xdf\xbf"),
        SPAN("\xe0\xa0\x80 \xed\x9f\xbf \xee\x80\x80 \xef\xbf\xbf"),
        SPAN("\xf0\x90\x80\x80 \xf4\x8f\xbf\xbf"),
    };
    for (size_t n = 0; n < sizeof(valid) / sizeof(valid[0]); n++) {
        assert_true(span_is_utf8(valid[n]));
    }
    const struct span malformed[] = {
        SPAN("\x80"), /* a lone continuation */
        SPAN("\xc0\x80"),
        SPAN("\xc1\xbf"), /* overlong */
        SPAN("\xe0\x9f\xbf"),
        SPAN("\xf0\x8f\xbf\xbf"),
        SPAN("\xed\xa0\x80"), /* a surrogate */
        SPAN("\xed\xbf\xbf"),
        SPAN("\xf4\x90\x80\x80"), /* above U+10FFFF */
        SPAN("\xf5\x80\x80\x80"),
        SPAN("\xff"),
        SPAN("\xc2"), /* cut short */
        SPAN("\xe2\x82"),
        SPAN("\xf0\x9f\x98"),
        SPAN("\xe2\x82x"),
        SPAN("\xc2\xc2"),
    };
    for (size_t n = 0; n < sizeof(malformed) / sizeof(malformed[0]); n++) {
        assert_false(span_is_utf8(malformed[n]));
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(t_compare),
        cmocka_unit_test(t_slice),
        cmocka_unit_test(t_cut),
        cmocka_unit_test(t_parse_numbers),
        cmocka_unit_test(t_parse_hex),
        cmocka_unit_test(t_utf8),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
