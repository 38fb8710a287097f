#include "schedule.h"

#include "base/assert.h"

#define PAUSE_FIRST_MS 100

/* base * 2^doublings, at most `maximum`. */
static int64_t
doubled(int64_t base, int64_t doublings, int64_t maximum)
{
    int64_t value = base;
    for (int64_t i = 0; i < doublings && value < maximum; i++) {
        value *= 2;
    }
    return value < maximum ? value : maximum;
}

int64_t
events_schedule_delay_ms(const struct events_schedule *schedule, int64_t tries, uint64_t random)
{
    ASSERT(schedule->first_ms > 0);
    ASSERT(schedule->max_ms <= INT64_MAX / 2);
    ASSERT(tries >= 1);
    int64_t ceiling = doubled(schedule->first_ms, tries - 1, schedule->max_ms);
    return 1 + (int64_t)(random % (uint64_t)ceiling);
}

int64_t
events_schedule_pause_ms(const struct events_schedule *schedule, uint32_t failures)
{
    if (failures < EVENTS_SERIES_MIN) {
        return 0;
    }
    int64_t longest =
        schedule->first_ms < EVENTS_PAUSE_MAX_MS ? schedule->first_ms : EVENTS_PAUSE_MAX_MS;
    return doubled(PAUSE_FIRST_MS, failures - EVENTS_SERIES_MIN, longest);
}

uint32_t
events_schedule_window(uint32_t window, uint32_t window_max, bool succeeded)
{
    ASSERT(window >= 1);
    if (!succeeded) {
        return window > 1 ? window / 2 : 1;
    }
    return window < window_max / 2 ? window * 2 : window_max;
}
