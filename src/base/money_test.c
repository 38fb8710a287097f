#include "base/money.h"

#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static struct money
t_money(int64_t amount, const char *code)
{
    const struct currency *currency = currency_find(span_from_cstr(code));
    assert_non_null(currency);
    return (struct money){.amount = amount, .currency = currency};
}

static void
t_table_is_sound(void **state)
{
    (void)state;
    assert_true(currency_count() > 150);
    for (size_t i = 0; i < currency_count(); i++) {
        const struct currency *currency = currency_at(i);
        assert_int_equal(strlen(currency->code), 3);
        assert_true(i == 0 || strcmp(currency_at(i - 1)->code, currency->code) < 0);
        assert_true(
            span_equal_nocase(span_from_cstr(currency->code), span_from_cstr(currency->api_code)));
        for (int j = 0; j < 3; j++) {
            assert_in_range(currency->code[j], 'A', 'Z');
            assert_in_range(currency->api_code[j], 'a', 'z');
        }
        assert_ptr_equal(currency_find(span_from_cstr(currency->code)), currency);
        assert_ptr_equal(currency_find(span_from_cstr(currency->api_code)), currency);
        assert_ptr_equal(currency_by_number(currency->number), currency);
        assert_true(currency->api_minimum > 0);
        /* What the public API asks for at least must exist in ISO's units too. */
        struct money minimum;
        assert_int_equal(money_from_api(currency->api_minimum, currency, &minimum), ERR_OK);
    }
}

static void
t_iso_4217_numbers_and_exponents(void **state)
{
    (void)state;
    const char *const none = "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF";
    const char *const three = "BHD IQD JOD KWD LYD OMR TND";
    const char *const four = "CLF UYW";
    size_t special = 0;
    for (size_t i = 0; i < currency_count(); i++) {
        const struct currency *currency = currency_at(i);
        int expected = strstr(none, currency->code) != NULL    ? 0
                       : strstr(three, currency->code) != NULL ? 3
                       : strstr(four, currency->code) != NULL  ? 4
                                                               : 2;
        assert_int_equal(currency->exponent, expected);
        special += expected != 2;
    }
    assert_int_equal(special, 17 + 7 + 2);
    assert_int_equal(currency_find(SPAN("USD"))->number, 840);
    assert_int_equal(currency_find(SPAN("eur"))->number, 978);
    assert_int_equal(currency_find(SPAN("Jpy"))->number, 392);
    assert_int_equal(currency_find(SPAN("ALL"))->number, 8);
    assert_int_equal(currency_find(SPAN("DZD"))->number, 12);
}

static void
t_unknown_currencies(void **state)
{
    (void)state;
    const struct span unknown[] = {
        SPAN(""),
        SPAN("US"),
        SPAN("USDT"),
        SPAN("XXX"),
        SPAN("US\0"),
        SPAN("AAA"),
        SPAN("ZZZ"),
        SPAN("usd ")};
    for (size_t i = 0; i < sizeof(unknown) / sizeof(unknown[0]); i++) {
        assert_null(currency_find(unknown[i]));
    }
    assert_null(currency_by_number(0));
    assert_null(currency_by_number(999));
    assert_null(currency_by_number(1000));
    assert_null(currency_by_number(UINT16_MAX));
}

static void
t_api_exponents(void **state)
{
    (void)state;
    const char *const none = "BIF CLP DJF GNF JPY KMF KRW MGA PYG RWF UYI VND VUV XAF XOF XPF";
    for (size_t i = 0; i < currency_count(); i++) {
        const struct currency *currency = currency_at(i);
        if (strstr(none, currency->code) != NULL) {
            assert_int_equal(currency->api_exponent, 0);
        } else if (currency->exponent < 3) {
            assert_int_equal(currency->api_exponent, 2);
        } else {
            assert_int_equal(currency->api_exponent, currency->exponent);
        }
    }
    assert_int_equal(currency_find(SPAN("USD"))->api_minimum, 50);
    assert_int_equal(currency_find(SPAN("GBP"))->api_minimum, 30);
    assert_int_equal(currency_find(SPAN("JPY"))->api_minimum, 50);
    assert_int_equal(currency_find(SPAN("HUF"))->api_minimum, 17500);
}

static void
t_api_conversion(void **state)
{
    (void)state;
    struct money money;
    const struct currency *isk = currency_find(SPAN("ISK"));
    assert_int_equal(money_from_api(500, isk, &money), ERR_OK);
    assert_int_equal(money.amount, 5);
    assert_int_equal(money_to_api(money), 500);
    assert_int_equal(money_from_api(-500, isk, &money), ERR_OK);
    assert_int_equal(money.amount, -5);
    assert_int_equal(money_from_api(501, isk, &money), ERR_INVALID);
    assert_int_equal(money_from_api(-1, isk, &money), ERR_INVALID);
    assert_int_equal(money.amount, -5);
    assert_true(money_to_api(t_money(INT64_MAX / 100 + 1, "ISK")) == INT64_MAX);
    assert_true(money_to_api(t_money(INT64_MIN / 100 - 1, "UGX")) == INT64_MIN);
    assert_true(money_to_api(t_money(INT64_MAX / 100, "UGX")) == INT64_MAX / 100 * 100);

    const struct currency *mga = currency_find(SPAN("MGA"));
    assert_int_equal(money_from_api(7, mga, &money), ERR_OK);
    assert_int_equal(money.amount, 700);
    assert_int_equal(money_to_api(money), 7);
    assert_int_equal(money_from_api(INT64_MAX / 100 + 1, mga, &money), ERR_RANGE);
    assert_int_equal(money_from_api(INT64_MIN / 100 - 1, mga, &money), ERR_RANGE);
    assert_int_equal(money_to_api(t_money(149, "MGA")), 1);
    assert_int_equal(money_to_api(t_money(150, "MGA")), 2);
    assert_int_equal(money_to_api(t_money(-150, "MGA")), -2);

    const struct currency *usd = currency_find(SPAN("USD"));
    assert_int_equal(money_from_api(INT64_MIN, usd, &money), ERR_OK);
    assert_true(money.amount == INT64_MIN);
    assert_true(money_to_api(money) == INT64_MIN);
}

static void
t_add_subtract(void **state)
{
    (void)state;
    struct money result = t_money(1, "EUR");
    assert_int_equal(money_add(t_money(2, "USD"), t_money(-5, "USD"), &result), ERR_OK);
    assert_int_equal(result.amount, -3);
    assert_ptr_equal(result.currency, currency_find(SPAN("USD")));
    assert_int_equal(money_add(t_money(INT64_MAX, "USD"), t_money(1, "USD"), &result), ERR_RANGE);
    assert_int_equal(money_add(t_money(INT64_MIN, "USD"), t_money(-1, "USD"), &result), ERR_RANGE);
    assert_int_equal(result.amount, -3);
    assert_int_equal(
        money_add(t_money(INT64_MAX, "USD"), t_money(INT64_MIN, "USD"), &result), ERR_OK);
    assert_int_equal(result.amount, -1);
    assert_int_equal(
        money_subtract(t_money(0, "USD"), t_money(INT64_MIN, "USD"), &result), ERR_RANGE);
    assert_int_equal(result.amount, -1);
    assert_int_equal(
        money_subtract(t_money(-1, "USD"), t_money(INT64_MIN, "USD"), &result), ERR_OK);
    assert_true(result.amount == INT64_MAX);
}

/* Runs in a child: mixing currencies is a bug and must stop the process. */
static void
t_mixed_currencies_abort(void **state)
{
    (void)state;
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        (void)signal(SIGABRT, SIG_DFL);
        (void)close(STDERR_FILENO);
        struct money result;
        err_t error = money_add(t_money(1, "USD"), t_money(1, "EUR"), &result);
        _exit(error == ERR_OK ? 0 : 1);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGABRT);
}

static void
t_share_rounds_half_away_from_zero(void **state)
{
    (void)state;

    const struct {
        int64_t amount;
        int32_t basis_points;
        int64_t share;
    } cases[] = {
        {10000, 290, 290},
        {1000, 290, 29},
        {50, 290, 1},   /* 1.45 */
        {52, 290, 2},   /* 1.508 */
        {1, 5000, 1},   /* 0.5 */
        {-1, 5000, -1}, /* -0.5 */
        {1, 4999, 0},
        {-1, 4999, 0},
        {3, 5000, 2}, /* 1.5 */
        {-3, 5000, -2},
        {1, -5000, -1},
        {-1, -5000, 1},
        {5, 1000, 1}, /* 0.5 */
        {4, 1000, 0},
        {0, 290, 0},
        {123, 0, 0},
        {INT64_MAX, 10000, INT64_MAX},
        {INT64_MIN, 10000, INT64_MIN},
        {INT64_MAX, 5000, INT64_MAX / 2 + 1},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct money share;
        assert_int_equal(
            money_share(t_money(cases[i].amount, "USD"), cases[i].basis_points, &share), ERR_OK);
        assert_true(share.amount == cases[i].share);
    }
    struct money share = t_money(9, "USD");
    assert_int_equal(money_share(t_money(INT64_MAX, "USD"), 10001, &share), ERR_RANGE);
    assert_int_equal(money_share(t_money(INT64_MIN, "USD"), -10000, &share), ERR_RANGE);
    assert_int_equal(money_share(t_money(INT64_MIN, "USD"), INT32_MIN, &share), ERR_RANGE);
    assert_int_equal(share.amount, 9);
}

static void
t_format(void **state)
{
    (void)state;

    const struct {
        int64_t amount;
        const char *code;
        const char *text;
    } cases[] = {
        {1234, "USD", "12.34 USD"},
        {5, "USD", "0.05 USD"},
        {-5, "USD", "-0.05 USD"},
        {0, "USD", "0.00 USD"},
        {1234, "JPY", "1234 JPY"},
        {1234, "KWD", "1.234 KWD"},
        {-12, "KWD", "-0.012 KWD"},
        {10001, "CLF", "1.0001 CLF"},
        {INT64_MIN, "CLF", "-922337203685477.5808 CLF"},
        {INT64_MIN, "JPY", "-9223372036854775808 JPY"},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char text[MONEY_TEXT_SIZE];
        money_format(t_money(cases[i].amount, cases[i].code), text);
        assert_string_equal(text, cases[i].text);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(t_table_is_sound),
        cmocka_unit_test(t_iso_4217_numbers_and_exponents),
        cmocka_unit_test(t_unknown_currencies),
        cmocka_unit_test(t_api_exponents),
        cmocka_unit_test(t_api_conversion),
        cmocka_unit_test(t_add_subtract),
        cmocka_unit_test(t_mixed_currencies_abort),
        cmocka_unit_test(t_share_rounds_half_away_from_zero),
        cmocka_unit_test(t_format),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
