#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "limits.h"

#include <string.h>

#define DAY INT64_C(86400)
/* 2026-01-31T12:00:00Z */
#define LAST_OF_JANUARY INT64_C(1769860800)

static const struct currency *
t_currency(const char *code)
{
    const struct currency *currency = currency_find(span_from_cstr(code));
    assert_non_null(currency);
    return currency;
}

static void
t_parse(const char *text, struct wallets_limits *limits)
{
    struct span wrong;
    assert_int_equal(wallets_limits_parse(span_from_cstr(text), limits, &wrong), ERR_OK);
}

static void
tiers_have_their_limits(void **state)
{
    (void)state;
    struct wallets_limits limits;
    t_parse("a.out=1/2/3  a.in=4/5/6 b.out=10/20/30 b.in=40/50/60 b.jpy.out=7/8/9", &limits);
    assert_true(wallets_limits_has_tier(&limits, SPAN("a")));
    assert_true(wallets_limits_has_tier(&limits, SPAN("b")));
    assert_false(wallets_limits_has_tier(&limits, SPAN("c")));
    const struct currency *usd = t_currency("usd");
    struct wallets_limit limit = wallets_limits_find(&limits, SPAN("a"), PORT_WALLET_OUT, usd);
    assert_int_equal(limit.transaction, 100);
    assert_int_equal(limit.day, 200);
    assert_int_equal(limit.month, 300);
    limit = wallets_limits_find(&limits, SPAN("b"), PORT_WALLET_IN, usd);
    assert_int_equal(limit.transaction, 4000);
    /* A tier that the settings know no more. */
    limit = wallets_limits_find(&limits, SPAN("gone"), PORT_WALLET_IN, usd);
    assert_int_equal(limit.month, 600);
}

static void
currencies_have_their_own_units(void **state)
{
    (void)state;
    struct wallets_limits limits;
    t_parse("a.out=1/2/3 a.in=4/5/6 a.jpy.out=7/8/9", &limits);
    struct wallets_limit limit =
        wallets_limits_find(&limits, SPAN("a"), PORT_WALLET_OUT, t_currency("jpy"));
    assert_int_equal(limit.transaction, 7); /* as it was written; yen have no cents */
    limit = wallets_limits_find(&limits, SPAN("a"), PORT_WALLET_IN, t_currency("jpy"));
    assert_int_equal(limit.transaction, 4 * 150); /* dollars, roughly */
    limit = wallets_limits_find(&limits, SPAN("a"), PORT_WALLET_OUT, t_currency("kwd"));
    assert_int_equal(limit.day, 2000); /* three decimals */
    limit = wallets_limits_find(&limits, SPAN("a"), PORT_WALLET_OUT, t_currency("eur"));
    assert_int_equal(limit.day, 200);
    t_parse("a.out=1000000000000/1000000000000/1000000000000 a.in=1/1/1", &limits);
    limit = wallets_limits_find(&limits, SPAN("a"), PORT_WALLET_OUT, t_currency("vnd"));
    assert_int_equal(limit.day, INT64_C(25000000000000000));
}

static void
wrong_texts_are_refused(void **state)
{
    (void)state;
    static const char *const wrong_texts[] = {
        "",
        "   ",
        "a.out=1/2/3",              /* no a.in */
        "a.out=1/2/3 b.in=1/2/3",   /* neither is whole */
        "a.out=1/2 a.in=1/2/3",     /* two amounts */
        "a.out=1/2/3/4 a.in=1/2/3", /* four */
        "a.out=1/2/x a.in=1/2/3",
        "a.out=-1/2/3 a.in=1/2/3",
        "a.out=1/2/1000000000001 a.in=1/2/3", /* more than fits */
        "A.out=1/2/3 A.in=1/2/3",
        "a.up=1/2/3 a.in=1/2/3",
        "a.xxq.out=1/2/3 a.out=1/2/3 a.in=1/2/3",
        "a.usd.out=1/2/3 a.usd.in=1/2/3", /* no general ones */
        "a a.in=1/2/3",
        ".out=1/2/3 .in=1/2/3",
        "a_name_that_is_much_too_long.out=1/2/3 a.in=1/2/3",
    };
    struct wallets_limits limits;
    struct span wrong;
    for (size_t i = 0; i < sizeof(wrong_texts) / sizeof(wrong_texts[0]); i++) {
        err_t error = wallets_limits_parse(span_from_cstr(wrong_texts[i]), &limits, &wrong);
        if (error != ERR_INVALID) {
            fail_msg("taken: %s", wrong_texts[i]);
        }
    }
    assert_int_equal(
        wallets_limits_parse(SPAN("a.out=1/2/3 nonsense a.in=1/2/3"), &limits, &wrong),
        ERR_INVALID);
    assert_true(span_equal_cstr(wrong, "nonsense"));
}

static void
days_and_months(void **state)
{
    (void)state;
    struct wallets_date date = wallets_date_of(0);
    assert_int_equal(date.year, 1970);
    assert_int_equal(date.month, 1);
    assert_int_equal(date.day, 1);
    date = wallets_date_of(INT64_C(951782400)); /* 2000-02-29 */
    assert_int_equal(date.year, 2000);
    assert_int_equal(date.month, 2);
    assert_int_equal(date.day, 29);
    date = wallets_date_of(INT64_C(4107542399)); /* 2100-02-28T23:59:59Z: no leap year */
    assert_int_equal(date.month, 2);
    assert_int_equal(date.day, 28);
    date = wallets_date_of(INT64_C(4107542400));
    assert_int_equal(date.month, 3);
    assert_int_equal(date.day, 1);
    assert_int_equal(wallets_day_of(DAY - 1), 0);
    assert_int_equal(wallets_day_of(DAY), 1);
    assert_int_equal(
        wallets_month_of(LAST_OF_JANUARY + DAY), wallets_month_of(LAST_OF_JANUARY) + 1);
    /* December and January are neighbours. */
    assert_int_equal(
        wallets_month_of(LAST_OF_JANUARY), wallets_month_of(LAST_OF_JANUARY - 31 * DAY) + 1);
}

static void
each_limit_is_named(void **state)
{
    (void)state;
    const struct wallets_limit limit = {.transaction = 100, .day = 150, .month = 220};
    struct wallets_usage usage = {.day = 0};
    int64_t now = LAST_OF_JANUARY - 3 * DAY;
    int64_t left = -1;
    assert_int_equal(wallets_limit_check(&limit, &usage, 100, now, &left), WALLETS_LIMIT_NONE);
    assert_int_equal(
        wallets_limit_check(&limit, &usage, 101, now, &left), WALLETS_LIMIT_TRANSACTION);
    assert_int_equal(left, 100);
    wallets_usage_add(&usage, 100, now);
    assert_int_equal(wallets_limit_check(&limit, &usage, 50, now, &left), WALLETS_LIMIT_NONE);
    assert_int_equal(wallets_limit_check(&limit, &usage, 51, now, &left), WALLETS_LIMIT_DAY);
    assert_int_equal(left, 50);
    /* The next day, the month goes on. */
    now += DAY;
    wallets_usage_add(&usage, 100, now);
    assert_int_equal(wallets_limit_check(&limit, &usage, 20, now, &left), WALLETS_LIMIT_NONE);
    assert_int_equal(wallets_limit_check(&limit, &usage, 21, now, &left), WALLETS_LIMIT_MONTH);
    assert_int_equal(left, 20);
    /* The next month. */
    now += 4 * DAY;
    assert_int_equal(wallets_limit_check(&limit, &usage, 100, now, &left), WALLETS_LIMIT_NONE);
}

/* A tier was lowered below what is used. */
static void
nothing_is_left_of_a_lowered_limit(void **state)
{
    (void)state;
    const struct wallets_limit limit = {.transaction = 100, .day = 50, .month = 60};
    struct wallets_usage usage = {.day = 0};
    int64_t left = -1;
    wallets_usage_add(&usage, 100, LAST_OF_JANUARY);
    assert_int_equal(
        wallets_limit_check(&limit, &usage, 1, LAST_OF_JANUARY, &left), WALLETS_LIMIT_DAY);
    assert_int_equal(left, 0);
}

static void
what_did_not_move_is_taken_back(void **state)
{
    (void)state;
    struct wallets_usage usage = {.day = 0};
    int64_t then = LAST_OF_JANUARY;
    wallets_usage_add(&usage, 70, then);
    wallets_usage_add(&usage, 30, then + DAY);
    assert_int_equal(usage.day_amount, 30);
    assert_int_equal(usage.month_amount, 30);
    /* Of a day and a month that are over. */
    wallets_usage_take(&usage, 70, then);
    assert_int_equal(usage.day_amount, 30);
    assert_int_equal(usage.month_amount, 30);
    wallets_usage_add(&usage, 5, then + 2 * DAY);
    /* Of yesterday, but of this month. */
    wallets_usage_take(&usage, 30, then + DAY);
    assert_int_equal(usage.day_amount, 5);
    assert_int_equal(usage.month_amount, 5);
    wallets_usage_take(&usage, 6, then + 2 * DAY);
    assert_int_equal(usage.day_amount, 0);
    assert_int_equal(usage.month_amount, 0);
}

/* Somebody sets the clock back: what was counted stays counted. */
static void
a_clock_that_goes_back_frees_nothing(void **state)
{
    (void)state;
    const struct wallets_limit limit = {.transaction = 100, .day = 100, .month = 100};
    struct wallets_usage usage = {.day = 0};
    int64_t left;
    wallets_usage_add(&usage, 100, LAST_OF_JANUARY + DAY);
    assert_int_equal(
        wallets_limit_check(&limit, &usage, 1, LAST_OF_JANUARY, &left), WALLETS_LIMIT_DAY);
    wallets_usage_add(&usage, 0, LAST_OF_JANUARY);
    assert_int_equal(usage.day, wallets_day_of(LAST_OF_JANUARY + DAY));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tiers_have_their_limits),
        cmocka_unit_test(currencies_have_their_own_units),
        cmocka_unit_test(wrong_texts_are_refused),
        cmocka_unit_test(days_and_months),
        cmocka_unit_test(each_limit_is_named),
        cmocka_unit_test(nothing_is_left_of_a_lowered_limit),
        cmocka_unit_test(what_did_not_move_is_taken_back),
        cmocka_unit_test(a_clock_that_goes_back_frees_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
