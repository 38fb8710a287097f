#include "base/buf.h"

#include "base/u128.h"

#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void
t_grows_to_its_limit_and_no_further(void **state)
{
    (void)state;
    struct buf buf;
    buf_init(&buf, 100);
    for (int i = 0; i < 100; i++) {
        buf_append_byte(&buf, (char)i);
    }
    assert_false(buf_failed(&buf));
    assert_int_equal(buf.size, 100);
    assert_true(buf.capacity <= 100);
    for (int i = 0; i < 100; i++) {
        assert_int_equal(buf.data[i], i);
    }
    buf_append_byte(&buf, 'x');
    assert_true(buf_failed(&buf));
    assert_int_equal(buf.size, 100);
    buf_release(&buf);
}

static void
t_failure_sticks_until_clear(void **state)
{
    (void)state;
    char memory[4];
    struct buf buf;
    buf_init_fixed(&buf, memory, sizeof(memory));
    buf_append_cstr(&buf, "abc");
    buf_append_cstr(&buf, "de");
    assert_true(buf_failed(&buf));
    buf_append_byte(&buf, 'd'); /* would have fitted */
    assert_true(span_equal_cstr(buf_span(&buf), "abc"));
    assert_null(buf_reserve(&buf, 1));
    buf_append_hex(&buf, "x", 1);
    buf_append_format(&buf, "%d", 1);
    assert_int_equal(buf.size, 3);
    buf_clear(&buf);
    assert_false(buf_failed(&buf));
    buf_append_cstr(&buf, "wxyz");
    assert_false(buf_failed(&buf));
    assert_true(span_equal_cstr(buf_span(&buf), "wxyz"));
    buf_release(&buf);
}

static void
t_reserve(void **state)
{
    (void)state;
    struct buf buf;
    buf_init(&buf, 10);
    assert_non_null(buf_reserve(&buf, 0));
    char *room = buf_reserve(&buf, 10);
    assert_non_null(room);
    memcpy(room, "0123", 4);
    buf_added(&buf, 4);
    assert_null(buf_reserve(&buf, 7));
    assert_true(buf_failed(&buf));
    assert_int_equal(buf.size, 4);
    buf_clear(&buf);
    assert_null(buf_reserve(&buf, SIZE_MAX));
    buf_release(&buf);
    buf_init(&buf, 0);
    buf_append(&buf, NULL, 0);
    assert_false(buf_failed(&buf));
    buf_append_byte(&buf, 'x');
    assert_true(buf_failed(&buf));
    buf_release(&buf);
}

static void
t_numbers(void **state)
{
    (void)state;
    struct buf buf;
    buf_init(&buf, 1000);
    buf_append_u64(&buf, 0);
    buf_append_byte(&buf, ' ');
    buf_append_u64(&buf, UINT64_MAX);
    buf_append_byte(&buf, ' ');
    buf_append_i64(&buf, INT64_MIN);
    buf_append_byte(&buf, ' ');
    buf_append_i64(&buf, INT64_MAX);
    buf_append_byte(&buf, ' ');
    buf_append_i64(&buf, -1);
    buf_append_byte(&buf, ' ');
    buf_append_u128(&buf, U128_MAX);
    buf_append_byte(&buf, ' ');
    buf_append_hex(&buf, "\x00\xff\x1a", 3);
    assert_true(span_equal_cstr(
        buf_span(&buf),
        "0 18446744073709551615 -9223372036854775808 9223372036854775807 -1 "
        "340282366920938463463374607431768211455 00ff1a"));
    buf_release(&buf);
}

static void
t_format(void **state)
{
    (void)state;
    char long_text[1001];
    memset(long_text, 'x', 1000);
    long_text[1000] = '\0';
    struct buf buf;
    buf_init(&buf, 1003);
    buf_append_format(&buf, "%s=%d", "a", 1);
    assert_true(span_equal_cstr(buf_span(&buf), "a=1"));
    buf_append_format(&buf, "%s", long_text); /* exactly full, and longer than the stack buffer */
    assert_false(buf_failed(&buf));
    assert_int_equal(buf.size, 1003);
    assert_memory_equal(buf.data + 3, long_text, 1000);
    buf_append_format(&buf, "%s", "");
    assert_false(buf_failed(&buf));
    buf_append_format(&buf, "%d", 1);
    assert_true(buf_failed(&buf));
    assert_int_equal(buf.size, 1003);
    buf_release(&buf);

    char memory[3];
    buf_init_fixed(&buf, memory, sizeof(memory));
    buf_append_format(&buf, "%d", 123);
    assert_false(buf_failed(&buf));
    assert_true(span_equal_cstr(buf_span(&buf), "123"));
}

static void
t_consume(void **state)
{
    (void)state;
    struct buf buf;
    buf_init(&buf, 100);
    buf_consume(&buf, 0);
    buf_append_cstr(&buf, "hello world");
    buf_consume(&buf, 6);
    assert_true(span_equal_cstr(buf_span(&buf), "world"));
    buf_consume(&buf, 5);
    assert_int_equal(buf.size, 0);
    buf_release(&buf);
}

static void
t_wipe_covers_what_was_consumed(void **state)
{
    (void)state;
    char memory[16];
    struct buf buf;
    buf_init_fixed(&buf, memory, sizeof(memory));
    buf_append_cstr(&buf, "4242424242424242");
    buf_consume(&buf, 12);
    buf_wipe(&buf);
    assert_int_equal(buf.size, 0);
    for (size_t i = 0; i < sizeof(memory); i++) {
        assert_int_equal(memory[i], 0);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(t_grows_to_its_limit_and_no_further),
        cmocka_unit_test(t_failure_sticks_until_clear),
        cmocka_unit_test(t_reserve),
        cmocka_unit_test(t_numbers),
        cmocka_unit_test(t_format),
        cmocka_unit_test(t_consume),
        cmocka_unit_test(t_wipe_covers_what_was_consumed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
