#include "trace/redact.h"

#include <stdio.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void
t_expect(struct span text, const char *expected)
{
    struct buf out;
    buf_init(&out, 4096);
    trace_redact(text, &out);
    assert_false(buf_failed(&out));
    buf_append_byte(&out, '\0');
    assert_string_equal(out.data, expected);
    buf_release(&out);
}

static void
t_test_cards(void **state)
{
    (void)state;

    const struct {
        const char *number;
        const char *masked;
    } cases[] = {
        {"4242424242424242", "424242******4242"},
        {"4000056655665556", "400005******5556"},
        {"5555555555554444", "555555******4444"},
        {"2223003122003222", "222300******3222"},
        {"5200828282828210", "520082******8210"},
        {"378282246310005", "378282*****0005"},
        {"371449635398431", "371449*****8431"},
        {"6011111111111117", "601111******1117"},
        {"3056930009020004", "305693******0004"},
        {"36227206271667", "362272****1667"},
        {"6555900000604105", "655590******4105"},
        {"3566002020360505", "356600******0505"},
        {"6200000000000005", "620000******0005"},
        {"6205500000000000004", "620550*********0004"},
        {"4222222222222", "422222***2222"},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        t_expect(span_from_cstr(cases[i].number), cases[i].masked);
        char text[64];
        char expected[64];
        (void)snprintf(text, sizeof(text), "card=%s!", cases[i].number);
        (void)snprintf(expected, sizeof(expected), "card=%s!", cases[i].masked);
        t_expect(span_from_cstr(text), expected);
    }
}

static void
t_grouped(void **state)
{
    (void)state;
    t_expect(SPAN("4242 4242 4242 4242"), "424242******4242");
    t_expect(SPAN("4242-4242-4242-4242"), "424242******4242");
    t_expect(SPAN("4242+4242+4242+4242"), "424242******4242");
    t_expect(SPAN("3782 822463 10005"), "378282*****0005");
    t_expect(SPAN("4 2 4 2 4 2 4 2 4 2 4 2 4 2 4 2"), "424242******4242");
    /* Not one number: two separators, another separator, a line end. */
    t_expect(SPAN("4242  4242 4242 4242"), "4242  4242 4242 4242");
    t_expect(SPAN("4242 -4242 4242 4242"), "4242 -4242 4242 4242");
    t_expect(SPAN("4242/4242/4242/4242"), "4242/4242/4242/4242");
    t_expect(SPAN("4242\n4242 4242 4242"), "4242\n4242 4242 4242");
}

static void
t_untouched(void **state)
{
    (void)state;
    const char *const texts[] = {
        "",
        "no digits",
        "4242424242424241", /* fails Luhn */
        "4242424242424243",
        "1234567890123456",
        "424242424242", /* 12 digits that pass Luhn */
        "000000000000",
        "00000000000000000000", /* 20 digits that pass Luhn */
        "42424242424242424242",
        "2026-01-02 03:04:05",
        "-",
        " 1 2 3 ",
        "12345-",
    };
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        t_expect(span_from_cstr(texts[i]), texts[i]);
    }
}

static void
t_lengths(void **state)
{
    (void)state;
    /* Zeros pass Luhn at every length. */
    for (size_t length = 1; length <= 40; length++) {
        char zeros[41];
        memset(zeros, '0', length);
        zeros[length] = '\0';
        char expected[41];
        memcpy(expected, zeros, length + 1);
        if (length >= 13 && length <= 19) {
            memset(expected + 6, '*', length - 10);
        }
        t_expect(span_of(zeros, length), expected);
    }
}

static void
t_neighbours_do_not_hide_it(void **state)
{
    (void)state;
    t_expect(SPAN("12 4242 4242 4242 4242"), "12 424242******4242");
    t_expect(SPAN("4242 4242 4242 4242 12/30"), "424242******4242 12/30");
    t_expect(SPAN("2026-11-23 4242424242424242 1000"), "2026-11-23 424242******4242 1000");
    t_expect(SPAN("x4242424242424242y"), "x424242******4242y");
    t_expect(SPAN("4242424242424242,378282246310005"), "424242******4242,378282*****0005");
    t_expect(
        SPAN("99999999999999999999 4242424242424242"), "99999999999999999999 424242******4242");
}

/* Five groups: the first four are a card number, and the last four are one too. */
static void
t_overlapping_numbers_are_one(void **state)
{
    (void)state;
    t_expect(SPAN("4242 4242 4242 4242 4242"), "424242**********4242");
    char row[400];
    for (size_t i = 0; i < sizeof(row); i++) {
        row[i] = i % 5 == 4 ? ' ' : '0';
    }
    t_expect(span_of(row, sizeof(row) - 1), "000000********************************0000");
}

static void
t_secret_names(void **state)
{
    (void)state;
    const char *const secret[] = {
        "cvc",
        "CVC",
        "number",
        "card[number]",
        "client_secret",
        "Authorization",
        "api-key",
        "key",
        "Stripe.Secret.Value",
    };
    for (size_t i = 0; i < sizeof(secret) / sizeof(secret[0]); i++) {
        assert_true(trace_name_is_secret(span_from_cstr(secret[i])));
    }
    const char *const open[] = {
        "", "_", "numbers", "monkey", "keys", "shard", "secretary", "panel"};
    for (size_t i = 0; i < sizeof(open) / sizeof(open[0]); i++) {
        assert_false(trace_name_is_secret(span_from_cstr(open[i])));
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(t_test_cards),
        cmocka_unit_test(t_grouped),
        cmocka_unit_test(t_untouched),
        cmocka_unit_test(t_lengths),
        cmocka_unit_test(t_neighbours_do_not_hide_it),
        cmocka_unit_test(t_overlapping_numbers_are_one),
        cmocka_unit_test(t_secret_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
