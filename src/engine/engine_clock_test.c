#include "engine_clock.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <setjmp.h>

#include <cmocka.h>

#define START (1000 * OS_NS_PER_S)

struct t_clock {
    struct os_clock clock;
    uint64_t wall;
    uint64_t monotonic;
};

static uint64_t
t_wall(struct os_clock *clock)
{
    return ((struct t_clock *)(void *)clock)->wall;
}

static uint64_t
t_monotonic(struct os_clock *clock)
{
    return ((struct t_clock *)(void *)clock)->monotonic;
}

static void
t_init(struct t_clock *t, struct engine_clock *clock)
{
    *t = (struct t_clock){
        .clock = {.wall_ns = t_wall, .monotonic_ns = t_monotonic}, .wall = START, .monotonic = 5};
    *clock = (struct engine_clock){.clock = &t->clock};
}

static void
t_pass(struct t_clock *t, uint64_t ns)
{
    t->wall += ns;
    t->monotonic += ns;
}

static void
follows_the_wall_clock(void **state)
{
    (void)state;
    struct t_clock t;
    struct engine_clock clock;
    t_init(&t, &clock);
    assert_int_equal(engine_clock_now(&clock, 7), START);
    t_pass(&t, OS_NS_PER_S);
    assert_int_equal(engine_clock_now(&clock, START), START + OS_NS_PER_S);
    assert_int_equal(clock.alarms, 0);
}

static void
never_goes_back(void **state)
{
    (void)state;
    struct t_clock t;
    struct engine_clock clock;
    t_init(&t, &clock);
    uint64_t now = engine_clock_now(&clock, 0);
    t.wall -= 10 * OS_NS_PER_S;
    t_pass(&t, OS_NS_PER_MS);
    assert_int_equal(engine_clock_now(&clock, now), now);
    assert_int_equal(clock.alarms, 1);
    t_pass(&t, OS_NS_PER_MS);
    assert_int_equal(engine_clock_now(&clock, now + 9), now + 9);
    assert_int_equal(clock.alarms, 1);
    assert_true(clock.behind);
}

/* An hour too much is caught up with at twice the speed of time, and no faster. */
static void
jumps_at_a_bounded_rate(void **state)
{
    (void)state;
    struct t_clock t;
    struct engine_clock clock;
    t_init(&t, &clock);
    uint64_t now = engine_clock_now(&clock, 0);
    t.wall += 3600 * OS_NS_PER_S;
    t_pass(&t, OS_NS_PER_S);
    assert_int_equal(engine_clock_now(&clock, now), now + 2 * OS_NS_PER_S);
    assert_int_equal(clock.alarms, 1);
    t_pass(&t, OS_NS_PER_S);
    assert_int_equal(engine_clock_now(&clock, now), now + 4 * OS_NS_PER_S);
    assert_int_equal(clock.alarms, 1);
    t_pass(&t, 3700 * OS_NS_PER_S);
    assert_int_equal(engine_clock_now(&clock, now), t.wall);
    assert_false(clock.ahead);
}

/* A start may come years after the last commit. */
static void
starts_now(void **state)
{
    (void)state;
    struct t_clock t;
    struct engine_clock clock;
    t_init(&t, &clock);
    t.wall += 365 * 86400 * OS_NS_PER_S;
    assert_int_equal(engine_clock_now(&clock, 12), t.wall);
    assert_int_equal(clock.alarms, 0);
    t_init(&t, &clock);
    assert_int_equal(engine_clock_now(&clock, START + 1), START + 1);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(follows_the_wall_clock),
        cmocka_unit_test(never_goes_back),
        cmocka_unit_test(jumps_at_a_bounded_rate),
        cmocka_unit_test(starts_now),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
