#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "payout_calendar.h"

#include <time.h>

#define DAY INT64_C(86400)

/* By the C library's calendar, which is another one than ours. */
static struct tm
date_of(int64_t moment)
{
    time_t seconds = (time_t)moment;
    struct tm date;
    assert_non_null(gmtime_r(&seconds, &date));
    return date;
}

static int64_t
moment_of(int year, int month, int day)
{
    struct tm date = {.tm_year = year - 1900, .tm_mon = month - 1, .tm_mday = day};
    return (int64_t)timegm(&date);
}

static void
assert_next(const struct payments_calendar *calendar, int64_t now, int64_t expected)
{
    assert_int_equal(payments_calendar_next(calendar, now, DAY), expected);
}

static void
test_daily(void **state)
{
    (void)state;
    const struct payments_calendar daily = {.interval = PAYMENTS_CALENDAR_DAILY};
    assert_next(&daily, 0, DAY);
    assert_next(&daily, DAY - 1, DAY);
    assert_next(&daily, DAY, 2 * DAY);
    assert_int_equal(payments_calendar_next(&daily, 7, 2), 8);
}

static void
test_weekly(void **state)
{
    (void)state;
    for (uint32_t mask = 1; mask < 1U << PAYMENTS_CALENDAR_WEEKDAYS; mask++) {
        const struct payments_calendar weekly = {PAYMENTS_CALENDAR_WEEKLY, mask};
        for (int64_t now = moment_of(2026, 2, 20); now < moment_of(2026, 3, 10); now += DAY) {
            int64_t expected = now;
            do {
                expected += DAY;
            } while ((mask >> (date_of(expected).tm_wday + 6) % 7 & 1) == 0);
            assert_next(&weekly, now, expected);
            assert_next(&weekly, now + DAY - 1, expected);
        }
    }
}

/* Two leap years, one that is none, and a turn of a century that is none. */
static void
test_monthly(void **state)
{
    (void)state;
    static const int years[] = {2024, 2026, 2000, 2100};
    for (size_t i = 0; i < sizeof(years) / sizeof(years[0]); i++) {
        for (uint32_t day = 1; day <= PAYMENTS_CALENDAR_MONTHDAYS; day++) {
            const struct payments_calendar monthly = {PAYMENTS_CALENDAR_MONTHLY, 1U << (day - 1)};
            for (int month = 1; month <= 12; month++) {
                int64_t first = moment_of(years[i], month, 1);
                int64_t last = moment_of(years[i], month + 1, 1) - DAY;
                int64_t named = first + (day - 1) * DAY;
                assert_next(&monthly, first - 1, named < last ? named : last);
            }
        }
    }
}

static void
test_days_of_a_month(void **state)
{
    (void)state;
    const struct payments_calendar both = {
        PAYMENTS_CALENDAR_MONTHLY, 1U << 30 | 1U << 28 | 1U << 4};
    assert_next(&both, moment_of(2026, 2, 1), moment_of(2026, 2, 5));
    assert_next(&both, moment_of(2026, 2, 5), moment_of(2026, 2, 28));
    assert_next(&both, moment_of(2026, 2, 28), moment_of(2026, 3, 5));
    assert_next(&both, moment_of(2026, 3, 5), moment_of(2026, 3, 29));
    assert_next(&both, moment_of(2026, 3, 29), moment_of(2026, 3, 31));
    assert_next(&both, moment_of(2028, 2, 5), moment_of(2028, 2, 29));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_daily),
        cmocka_unit_test(test_weekly),
        cmocka_unit_test(test_monthly),
        cmocka_unit_test(test_days_of_a_month),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
