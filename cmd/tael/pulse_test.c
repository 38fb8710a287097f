#include "pulse.h"

#include "base/list.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/* A loop that runs what was posted when the test says so, and a clock that the test moves. */
struct t_world {
    struct os_executor executor;
    struct os_clock clock;
    struct os_task *posted;
    uint32_t post_count;
    uint64_t now_ns;
    struct pulse pulse;
};

static void
t_post(struct os_executor *executor, struct os_task *first, struct os_task *last)
{
    struct t_world *world = CONTAINER_OF(executor, struct t_world, executor);
    assert_ptr_equal(first, last);
    assert_null(world->posted);
    world->posted = first;
    world->post_count++;
}

static uint64_t
t_now(struct os_clock *clock)
{
    return CONTAINER_OF(clock, struct t_world, clock)->now_ns;
}

static void
t_turn(struct t_world *world)
{
    struct os_task *task = world->posted;
    assert_non_null(task);
    world->posted = NULL;
    task->run(task);
}

static void
t_init(struct t_world *world)
{
    *world = (struct t_world){
        .executor = {.post = t_post},
        .clock = {.monotonic_ns = t_now},
        .now_ns = 1000,
    };
    pulse_init(&world->pulse, "t", &world->executor, &world->clock);
}

/* A loop that turns at once shows no delay; one that was late shows by how much, once it is back.
 */
static void
t_turning(void **state)
{
    (void)state;
    struct t_world world;
    t_init(&world);
    assert_int_equal(pulse_delay_ns(&world.pulse), 0);
    t_turn(&world);
    assert_int_equal(pulse_delay_ns(&world.pulse), 0);
    world.now_ns += 700;
    t_turn(&world);
    assert_int_equal(pulse_delay_ns(&world.pulse), 700);
    t_turn(&world);
    assert_int_equal(pulse_delay_ns(&world.pulse), 0);
}

/* One that hangs shows for how long, and is asked once only. */
static void
t_hanging(void **state)
{
    (void)state;
    struct t_world world;
    t_init(&world);
    assert_int_equal(pulse_delay_ns(&world.pulse), 0);
    for (uint64_t waited = 1; waited <= 5; waited++) {
        world.now_ns += 100;
        assert_int_equal(pulse_delay_ns(&world.pulse), waited * 100);
    }
    assert_int_equal(world.post_count, 1);
    t_turn(&world);
    assert_int_equal(pulse_delay_ns(&world.pulse), 500);
    assert_int_equal(world.post_count, 2);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(t_turning),
        cmocka_unit_test(t_hanging),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
