#include "payout_calendar.h"

#include "base/assert.h"

#define THURSDAY        3      /* 1970-01-01; Monday is 0 */
#define ERA_DAYS        146097 /* 400 years */
#define ERA_BEFORE_1970 719468 /* days from 0000-03-01 */
#define LOOK_DAYS       62

/* Which day of its month it is, from 0. Years begin in March here, so that the leap day is a last
 * one. */
static uint32_t
month_day_of(int64_t number)
{
    int64_t of_era = (number + ERA_BEFORE_1970) % ERA_DAYS;
    int64_t year = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
    int64_t of_year = of_era - (365 * year + year / 4 - year / 100);
    int64_t month = (5 * of_year + 2) / 153;
    return (uint32_t)(of_year - (153 * month + 2) / 5);
}

static bool
has_day(const struct payments_calendar *calendar, int64_t number)
{
    if (calendar->interval == PAYMENTS_CALENDAR_DAILY) {
        return true;
    }
    if (calendar->interval == PAYMENTS_CALENDAR_WEEKLY) {
        int64_t weekday = (number + THURSDAY) % PAYMENTS_CALENDAR_WEEKDAYS;
        return (calendar->days >> weekday & 1) != 0;
    }
    bool is_last = month_day_of(number + 1) == 0;
    uint32_t wanted = calendar->days >> month_day_of(number); /* this one and later ones */
    return (wanted & 1) != 0 || (is_last && wanted != 0);
}

int64_t
payments_calendar_next(const struct payments_calendar *calendar, int64_t now, int64_t day_s)
{
    ASSERT(now >= 0);
    ASSERT(day_s > 0);
    ASSERT(calendar->interval == PAYMENTS_CALENDAR_DAILY || calendar->days != 0);
    int64_t today = now / day_s;
    for (int64_t number = today + 1; number <= today + LOOK_DAYS; number++) {
        if (has_day(calendar, number)) {
            return number * day_s;
        }
    }
    UNREACHABLE();
}
