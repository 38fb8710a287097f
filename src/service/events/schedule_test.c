#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "schedule.h"

#include "os/prng.h"

static const struct events_schedule schedule = {
    .first_ms = 1000, .max_ms = 60000, .for_ms = 3600000};

static void
test_delay_is_below_a_ceiling_that_doubles(void **state)
{
    (void)state;
    static const int64_t ceilings[] = {1000, 2000, 4000, 8000, 16000, 32000, 60000, 60000, 60000};
    struct os_prng prng;
    os_prng_seed(&prng, 1);
    for (size_t i = 0; i < sizeof(ceilings) / sizeof(ceilings[0]); i++) {
        int64_t least = INT64_MAX;
        int64_t most = 0;
        int64_t sum = 0;
        for (int n = 0; n < 2000; n++) {
            int64_t delay =
                events_schedule_delay_ms(&schedule, (int64_t)i + 1, os_prng_next(&prng));
            least = delay < least ? delay : least;
            most = delay > most ? delay : most;
            sum += delay;
        }
        assert_in_range(least, 1, ceilings[i] / 100);
        assert_in_range(most, ceilings[i] * 99 / 100, ceilings[i]);
        assert_in_range(sum / 2000, ceilings[i] * 45 / 100, ceilings[i] * 55 / 100);
    }
}

static void
test_delay_at_the_ends(void **state)
{
    (void)state;
    assert_int_equal(events_schedule_delay_ms(&schedule, 1, 0), 1);
    assert_int_equal(events_schedule_delay_ms(&schedule, 1, 999), 1000);
    assert_int_equal(events_schedule_delay_ms(&schedule, 1, 1000), 1);
    assert_int_equal(events_schedule_delay_ms(&schedule, INT64_MAX, 59999), 60000);
    const struct events_schedule huge = {.first_ms = INT64_MAX / 4, .max_ms = INT64_MAX / 2};
    assert_true(events_schedule_delay_ms(&huge, 70, UINT64_MAX) > 0);
}

static void
test_pause(void **state)
{
    (void)state;
    assert_int_equal(events_schedule_pause_ms(&schedule, 0), 0);
    assert_int_equal(events_schedule_pause_ms(&schedule, EVENTS_SERIES_MIN - 1), 0);
    assert_int_equal(events_schedule_pause_ms(&schedule, EVENTS_SERIES_MIN), 100);
    assert_int_equal(events_schedule_pause_ms(&schedule, EVENTS_SERIES_MIN + 1), 200);
    assert_int_equal(events_schedule_pause_ms(&schedule, EVENTS_SERIES_MIN + 4), 1000);
    assert_int_equal(events_schedule_pause_ms(&schedule, UINT32_MAX), 1000);
    const struct events_schedule slow = {.first_ms = 3600000, .max_ms = 3600000};
    assert_int_equal(events_schedule_pause_ms(&slow, UINT32_MAX), EVENTS_PAUSE_MAX_MS);
}

static void
test_window(void **state)
{
    (void)state;
    uint32_t window = 1;
    for (int i = 0; i < 3; i++) {
        window = events_schedule_window(window, 20, true);
    }
    assert_int_equal(window, 8);
    assert_int_equal(events_schedule_window(window, 20, true), 16);
    assert_int_equal(events_schedule_window(16, 20, true), 20);
    assert_int_equal(events_schedule_window(20, 20, true), 20);
    assert_int_equal(events_schedule_window(64, 20, true), 20);
    assert_int_equal(events_schedule_window(20, 20, false), 10);
    assert_int_equal(events_schedule_window(1, 20, false), 1);
    assert_int_equal(events_schedule_window(1, 1, true), 1);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_delay_is_below_a_ceiling_that_doubles),
        cmocka_unit_test(test_delay_at_the_ends),
        cmocka_unit_test(test_pause),
        cmocka_unit_test(test_window),
    };
    return cmocka_run_group_tests_name("schedule", tests, NULL, NULL);
}
