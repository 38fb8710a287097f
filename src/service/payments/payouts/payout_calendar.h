/*
 * When the merchant is paid out by itself: at the beginning of a day, in UTC. Pure.
 *
 * Days are numbered from 1970-01-01, a Thursday. How long one is, is a parameter, because tests
 * cannot wait for days.
 */
#ifndef PAYMENTS_PAYOUT_CALENDAR_H
#define PAYMENTS_PAYOUT_CALENDAR_H

#include <stdbool.h>
#include <stdint.h>

#define PAYMENTS_CALENDAR_WEEKDAYS  7
#define PAYMENTS_CALENDAR_MONTHDAYS 31

struct payments_calendar {
    enum {
        PAYMENTS_CALENDAR_DAILY,
        PAYMENTS_CALENDAR_WEEKLY,
        PAYMENTS_CALENDAR_MONTHLY,
    } interval;

    uint32_t days; /* weekly: bit 0 is Monday; monthly: bit 0 is the first. Else ignored */
};

/* The first moment after `now` of a day that the calendar has; in a month that is too short its
 * last day stands for those that are missing. `days` is not empty. */
int64_t payments_calendar_next(
    const struct payments_calendar *calendar, int64_t now, int64_t day_s);

#endif
