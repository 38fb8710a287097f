#include "text.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <setjmp.h>
#include <string.h>

#include <cmocka.h>

#define NOW_NS UINT64_C(1795437244000000000) /* 2026-11-23 12:34:04 */

static err_t
t_amount(const char *text, const char *code, int64_t *amount)
{
    const struct currency *currency = currency_find(span_from_cstr(code));
    assert_non_null(currency);
    return text_amount_parse(span_from_cstr(text), currency, amount);
}

static void
amounts_are_read_exactly(void **state)
{
    (void)state;
    int64_t amount = -1;
    assert_int_equal(t_amount("2000", "USD", &amount), ERR_OK);
    assert_int_equal(amount, 2000);
    assert_int_equal(t_amount("20.00", "usd", &amount), ERR_OK);
    assert_int_equal(amount, 2000);
    assert_int_equal(t_amount("0.05", "USD", &amount), ERR_OK);
    assert_int_equal(amount, 5);
    assert_int_equal(t_amount("1.234", "KWD", &amount), ERR_OK);
    assert_int_equal(amount, 1234);
    assert_int_equal(t_amount("500", "JPY", &amount), ERR_OK);
    assert_int_equal(amount, 500);
    assert_int_equal(t_amount("9223372036854775807", "USD", &amount), ERR_OK);
    assert_true(amount == INT64_MAX);
}

/* Whoever writes the currency writes an amount of it, not of its smallest unit. */
static void
amounts_with_their_currency(void **state)
{
    (void)state;

    static const struct {
        const char *text, *code;
        int64_t amount;
    } all[] = {
        {"20.00 USD", "USD", 2000},
        {"20 USD", "USD", 2000},
        {"20 usd", "USD", 2000},
        {"USD 20.00", "USD", 2000},
        {"USD 20", "USD", 2000},
        {"0.20 USD", "USD", 20},
        {"0 USD", "USD", 0},
        {"500 JPY", "JPY", 500},
        {"JPY 500", "JPY", 500},
        {"1.234 KWD", "KWD", 1234},
        {"1 KWD", "KWD", 1000},
        {"92233720368547758.07 USD", "USD", INT64_MAX},
    };

    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
        int64_t amount = -1;
        assert_int_equal(t_amount(all[i].text, all[i].code, &amount), ERR_OK);
        assert_true(amount == all[i].amount);
    }
    int64_t amount = 7;
    static const char *const malformed[] = {
        "20 EUR",
        "EUR 20.00",
        "USD",
        " USD",
        "USD ",
        "20  USD",
        "20.0 USD",
        "USD 20 USD",
        "20USD",
        "20 USDX",
        "20 US",
        "-20 USD",
        " 20",
        "20 "};
    for (size_t i = 0; i < sizeof(malformed) / sizeof(malformed[0]); i++) {
        assert_int_equal(t_amount(malformed[i], "USD", &amount), ERR_INVALID);
    }
    assert_int_equal(t_amount("9223372036854775807 USD", "USD", &amount), ERR_RANGE);
    assert_int_equal(t_amount("92233720368547758.08 USD", "USD", &amount), ERR_RANGE);
    assert_int_equal(amount, 7);
}

static void
other_amounts_are_refused(void **state)
{
    (void)state;
    int64_t amount = 7;
    static const char *const malformed[] = {
        "", ".", "20.0", "20.000", "20.", ".50", "-5", "+5", "1e3", "1,00", "2 0", "0x10", "1.2.3"};
    for (size_t i = 0; i < sizeof(malformed) / sizeof(malformed[0]); i++) {
        assert_int_equal(t_amount(malformed[i], "USD", &amount), ERR_INVALID);
    }
    assert_int_equal(t_amount("5.00", "JPY", &amount), ERR_INVALID);
    assert_int_equal(t_amount("5.", "JPY", &amount), ERR_INVALID);
    assert_int_equal(t_amount("9223372036854775808", "USD", &amount), ERR_RANGE);
    assert_int_equal(t_amount("92233720368547758.08", "USD", &amount), ERR_RANGE);
    assert_int_equal(
        t_amount("11111111111111111111111111111111111111111111111", "USD", &amount), ERR_RANGE);
    assert_int_equal(amount, 7);
}

static struct buf out;
static char memory[128];

static const char *
t_shown(void)
{
    assert_false(buf_failed(&out));
    buf_append_byte(&out, '\0');
    return memory;
}

static void
t_begin(void)
{
    buf_init_fixed(&out, memory, sizeof(memory));
}

static void
t_expect_amount(int64_t amount, const char *code, const char *expected)
{
    t_begin();
    text_amount_append(&out, amount, span_from_cstr(code));
    assert_string_equal(t_shown(), expected);
}

static void
amounts_are_shown(void **state)
{
    (void)state;
    t_expect_amount(2000, "usd", "20.00 USD");
    t_expect_amount(5, "usd", "0.05 USD");
    t_expect_amount(0, "usd", "0.00 USD");
    t_expect_amount(-1234, "usd", "-12.34 USD");
    t_expect_amount(500, "jpy", "500 JPY");
    t_expect_amount(1, "kwd", "0.001 KWD");
    t_expect_amount(INT64_MIN, "usd", "-92233720368547758.08 USD");
    t_expect_amount(12, "xxq", "12 xxq");
}

static void
t_expect_ledger_amount(u128 amount, bool negative, uint32_t ledger, const char *expected)
{
    t_begin();
    text_ledger_amount_append(&out, amount, negative, ledger);
    assert_string_equal(t_shown(), expected);
}

static void
t_expect_ledger(uint32_t ledger, const char *expected)
{
    t_begin();
    text_ledger_append(&out, ledger);
    assert_string_equal(t_shown(), expected);
}

static void
ledgers_have_currencies(void **state)
{
    (void)state;
    t_expect_ledger(840, "USD live");
    t_expect_ledger(1840, "USD test");
    t_expect_ledger(1999, "1999");
    t_expect_ledger(2840, "2840"); /* somebody else's books */
    t_expect_ledger_amount(1912, false, 1840, "19.12");
    t_expect_ledger_amount(1912, true, 840, "-19.12");
    t_expect_ledger_amount(0, true, 840, "0.00");
    t_expect_ledger_amount(1912, false, 1392, "1912");
    t_expect_ledger_amount(1912, false, 2840, "1912");
    t_expect_ledger_amount(U128_MAX, false, 840, "3402823669209384634633746074317682114.55");
}

static void
t_expect_moment(int64_t seconds, const char *expected)
{
    t_begin();
    text_moment_append(&out, seconds);
    assert_string_equal(t_shown(), expected);
}

static void
moments_are_shown(void **state)
{
    (void)state;
    t_expect_moment(0, "1970-01-01 00:00:00");
    t_expect_moment(951782399, "2000-02-28 23:59:59");
    t_expect_moment(951782400, "2000-02-29 00:00:00");
    t_expect_moment(1795437244, "2026-11-23 12:34:04");
    t_expect_moment(4107542400, "2100-03-01 00:00:00");
    t_expect_moment(-1, "-1");
}

static uint64_t
t_moment(const char *text)
{
    uint64_t ns = 0;
    assert_int_equal(text_moment_parse(span_from_cstr(text), NOW_NS, &ns), ERR_OK);
    assert_int_equal(ns % 1000000000, 0);
    return ns / 1000000000;
}

static void
moments_are_read(void **state)
{
    (void)state;
    assert_int_equal(t_moment("1795437244"), 1795437244);
    assert_int_equal(t_moment("2026-11-23T12:34:04Z"), 1795437244);
    assert_int_equal(t_moment("2000-02-29"), 951782400);
    assert_int_equal(t_moment("90s"), 1795437244 - 90);
    assert_int_equal(t_moment("15m"), 1795437244 - 15 * 60);
    assert_int_equal(t_moment("2h"), 1795437244 - 2 * 3600);
    assert_int_equal(t_moment("7d"), 1795437244 - 7 * 86400);
    assert_int_equal(t_moment("2026-11-23T14:34:04+02:00"), 1795437244);
    assert_int_equal(t_moment("2026-11-23T07:04:04-05:30"), 1795437244);
    assert_int_equal(t_moment("2026-11-24T00:00:04+11:26"), 1795437244);
}

/* What separates a mistake from what was right may be less than a second. */
static void
fractions_are_read(void **state)
{
    (void)state;

    static const struct {
        const char *text;
        uint64_t ns;
    } cases[] = {
        {"2026-11-23T12:34:04.123456789Z", 123456789},
        {"2026-11-23T12:34:04.5Z", 500000000},
        {"2026-11-23T12:34:04.000000001Z", 1},
        {"2026-11-23T14:34:04.000000001+02:00", 1},
        {"1795437244.123456789", 123456789},
        {"1795437244.05", 50000000},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        uint64_t ns = 0;
        struct span text = span_from_cstr(cases[i].text);
        assert_int_equal(text_moment_parse(text, NOW_NS, &ns), ERR_OK);
        assert_int_equal(ns, UINT64_C(1795437244000000000) + cases[i].ns);
    }
}

static void
other_moments_are_refused(void **state)
{
    (void)state;
    uint64_t ns = 5;
    static const char *const malformed[] = {
        "",
        "h",
        "2w",
        "-2h",
        "yesterday",
        "2026-11",
        "2026-11-23 12:34:04",
        "2026-11-23T12:34Z",
        "2026-11-23T12:34:04",
        "2026-11-23T12:34:04.Z",
        "2026-11-23T12:34:04.1234567891Z",
        "2026-11-23T12:34:04.5",
        "2026-11-23T12:34:04.5ZZ",
        "2026-11-23T12:34:04+0200",
        "2026-11-23.5",
        "1795437244.",
        "1795437244.1234567891",
        "1795437244.5s",
        ".5",
        "1.5h"};
    static const char *const outside[] = {
        "2026-02-29",
        "2026-13-01",
        "2026-00-10",
        "2026-04-31",
        "2026-01-00",
        "2026-01-01T24:00:00Z",
        "1969-12-31",
        "1970-01-01T00:30:00+01:00",
        "2026-01-01T00:00:00+24:00",
        "2026-01-01T00:00:00+01:60",
        "9223372036.854775808",
        "9999-12-31",
        "99999999999999",
        "999999999d",
        "18446744073709551615d"};
    for (size_t i = 0; i < sizeof(malformed) / sizeof(malformed[0]); i++) {
        struct span text = span_from_cstr(malformed[i]);
        assert_int_equal(text_moment_parse(text, NOW_NS, &ns), ERR_INVALID);
    }
    for (size_t i = 0; i < sizeof(outside) / sizeof(outside[0]); i++) {
        struct span text = span_from_cstr(outside[i]);
        assert_int_equal(text_moment_parse(text, NOW_NS, &ns), ERR_RANGE);
    }
    assert_int_equal(ns, 5);
}

static void
t_expect_url(const char *text, const char *host, uint16_t port, bool tls)
{
    struct text_url url;
    assert_int_equal(text_url_parse(span_from_cstr(text), &url), ERR_OK);
    assert_string_equal(url.host, host);
    assert_int_equal(url.port, port);
    assert_int_equal(url.tls, tls);
}

static void
urls_are_read(void **state)
{
    (void)state;
    t_expect_url(TEXT_DEFAULT_URL, "127.0.0.1", 8080, false);
    t_expect_url("http://localhost", "localhost", 80, false);
    t_expect_url("https://pay.example.com/", "pay.example.com", 443, true);
    t_expect_url("http://[::1]:65535/", "::1", 65535, false);
    t_expect_url("https://[fe80::1%eth0]", "fe80::1%eth0", 443, true);
}

static void
other_urls_are_refused(void **state)
{
    (void)state;
    static const char *const malformed[] = {
        "",
        "localhost:8080",
        "ftp://localhost",
        "http://",
        "http:///",
        "http://a:",
        "http://a:0",
        "http://a:65536",
        "http://a:80x",
        "http://a/v1",
        "http://a?b",
        "http://user@a",
        "http://a b",
        "http://a\r\nX: y",
        "http://[::1",
        "http://[]",
        "http://[::1]80",
        "http://::1"};
    struct text_url url;
    for (size_t i = 0; i < sizeof(malformed) / sizeof(malformed[0]); i++) {
        assert_int_equal(text_url_parse(span_from_cstr(malformed[i]), &url), ERR_INVALID);
    }
    char text[300] = "http://";
    memset(text + strlen(text), 'a', TEXT_HOST_SIZE);
    assert_int_equal(text_url_parse(span_from_cstr(text), &url), ERR_INVALID);
    text[strlen("http://") + TEXT_HOST_SIZE - 1] = '\0';
    assert_int_equal(text_url_parse(span_from_cstr(text), &url), ERR_OK);
}

static void
ids_go_into_paths(void **state)
{
    (void)state;
    assert_true(text_is_id(SPAN("pi_0352a71xQEoAMJ5bHtIH5L")));
    assert_false(text_is_id(SPAN_EMPTY));
    assert_false(text_is_id(SPAN("pi/../x")));
    assert_false(text_is_id(SPAN("pi?x")));
    assert_false(text_is_id(SPAN("pi%20")));
    char text[66];
    memset(text, 'a', sizeof(text));
    assert_true(text_is_id(span_of(text, 64)));
    assert_false(text_is_id(span_of(text, 65)));
}

static void
expiries_are_read(void **state)
{
    (void)state;
    int64_t month = 0;
    int64_t year = 0;
    assert_int_equal(text_expiry_parse(SPAN("12/34"), &month, &year), ERR_OK);
    assert_int_equal(month, 12);
    assert_int_equal(year, 2034);
    assert_int_equal(text_expiry_parse(SPAN("01/2030"), &month, &year), ERR_OK);
    assert_int_equal(month, 1);
    assert_int_equal(year, 2030);
    assert_int_equal(text_expiry_parse(SPAN("1/30"), &month, &year), ERR_INVALID);
    assert_int_equal(text_expiry_parse(SPAN("01-30"), &month, &year), ERR_INVALID);
    assert_int_equal(text_expiry_parse(SPAN(""), &month, &year), ERR_INVALID);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(amounts_are_read_exactly),
        cmocka_unit_test(amounts_with_their_currency),
        cmocka_unit_test(other_amounts_are_refused),
        cmocka_unit_test(amounts_are_shown),
        cmocka_unit_test(ledgers_have_currencies),
        cmocka_unit_test(moments_are_shown),
        cmocka_unit_test(moments_are_read),
        cmocka_unit_test(fractions_are_read),
        cmocka_unit_test(other_moments_are_refused),
        cmocka_unit_test(urls_are_read),
        cmocka_unit_test(other_urls_are_refused),
        cmocka_unit_test(ids_go_into_paths),
        cmocka_unit_test(expiries_are_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
