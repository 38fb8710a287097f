#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "timers.h"

#include "os/prng.h"

#include <string.h>

#define T_COUNT 500

static void
nothing(struct os_timer *timer)
{
    (void)timer;
}

static void
fires_in_order_of_deadlines_then_of_arming(void **state)
{
    (void)state;
    struct os_timers timers = {0};
    struct os_timer t[4] = {
        {.fire = nothing}, {.fire = nothing}, {.fire = nothing}, {.fire = nothing}};
    os_timers_arm(&timers, &t[0], 30);
    os_timers_arm(&timers, &t[1], 10);
    os_timers_arm(&timers, &t[2], 10);
    os_timers_arm(&timers, &t[3], 0);
    assert_int_equal(os_timers_next_ns(&timers), 1);
    assert_ptr_equal(os_timers_pop_due(&timers, 1), &t[3]);
    assert_null(os_timers_pop_due(&timers, 9));
    assert_ptr_equal(os_timers_pop_due(&timers, 10), &t[1]);
    assert_ptr_equal(os_timers_pop_due(&timers, 10), &t[2]);
    assert_null(os_timers_pop_due(&timers, 29));
    assert_ptr_equal(os_timers_pop_due(&timers, UINT64_MAX), &t[0]);
    assert_null(os_timers_pop_due(&timers, UINT64_MAX));
    assert_int_equal(os_timers_next_ns(&timers), 0);
}

static void
a_cancelled_timer_does_not_fire_and_can_be_armed_again(void **state)
{
    (void)state;
    struct os_timers timers = {0};
    struct os_timer a = {.fire = nothing};
    struct os_timer b = {.fire = nothing};
    os_timers_arm(&timers, &a, 5);
    os_timers_arm(&timers, &b, 6);
    os_timers_cancel(&timers, &a);
    os_timers_cancel(&timers, &a);
    assert_false(os_timer_is_armed(&a));
    assert_ptr_equal(os_timers_pop_due(&timers, 100), &b);
    os_timers_arm(&timers, &a, 7);
    assert_ptr_equal(os_timers_pop_due(&timers, 100), &a);
}

/* The model: look at every timer. */
static struct os_timer *
t_first_of_all(struct os_timer *timers, size_t count)
{
    struct os_timer *first = NULL;
    for (size_t i = 0; i < count; i++) {
        struct os_timer *timer = &timers[i];
        if (!os_timer_is_armed(timer)) {
            continue;
        }
        if (first == NULL || timer->deadline_ns < first->deadline_ns ||
            (timer->deadline_ns == first->deadline_ns && timer->sequence < first->sequence)) {
            first = timer;
        }
    }
    return first;
}

static void
random_arming_moving_and_cancelling_agrees_with_a_scan(void **state)
{
    (void)state;
    struct os_prng prng;
    os_prng_seed(&prng, 42);
    struct os_timers timers = {0};
    static struct os_timer t[T_COUNT];
    memset(t, 0, sizeof(t));
    for (size_t i = 0; i < T_COUNT; i++) {
        t[i].fire = nothing;
    }
    size_t popped = 0;
    for (int round = 0; round < 40000; round++) {
        struct os_timer *timer = &t[os_prng_below(&prng, T_COUNT)];
        uint64_t what = os_prng_below(&prng, 10);
        if (what < 6) {
            os_timers_arm(&timers, timer, 1 + os_prng_below(&prng, 1000));
        } else if (what < 7) {
            os_timers_cancel(&timers, timer);
        } else {
            struct os_timer *expected = t_first_of_all(t, T_COUNT);
            assert_ptr_equal(os_timers_pop_due(&timers, UINT64_MAX), expected);
            popped += expected != NULL;
        }
    }
    assert_true(popped > 1000);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fires_in_order_of_deadlines_then_of_arming),
        cmocka_unit_test(a_cancelled_timer_does_not_fire_and_can_be_armed_again),
        cmocka_unit_test(random_arming_moving_and_cancelling_agrees_with_a_scan),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
