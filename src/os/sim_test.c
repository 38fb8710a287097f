#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/list.h"
#include "os/sim.h"

#include <string.h>

#define T_LOOPS 4
#define T_LOG   4096

struct t_log {
    uint8_t entries[T_LOG];
    size_t size;
};

struct t_hop {
    struct os_task task;
    struct os_loop **loops;
    struct t_log *log;
    uint8_t id;
    uint32_t left;
};

static void
hop_run(struct os_task *task)
{
    struct t_hop *hop = CONTAINER_OF(task, struct t_hop, task);
    assert_true(hop->log->size < T_LOG);
    hop->log->entries[hop->log->size++] = hop->id;
    if (hop->left > 0) {
        hop->left--;
        os_post(os_loop_executor(hop->loops[(hop->id + hop->left) % T_LOOPS]), task);
    }
}

static void
t_history(uint64_t seed, struct t_log *log)
{
    struct os_sim *sim;
    struct os_loop *loops[T_LOOPS];
    struct t_hop hops[8];
    *log = (struct t_log){0};
    assert_int_equal(os_sim_create(seed, &sim), ERR_OK);
    for (size_t i = 0; i < T_LOOPS; i++) {
        assert_int_equal(os_loops_create(os_sim_loops(sim), "sim", &loops[i]), ERR_OK);
        assert_int_equal(os_loop_start(loops[i]), ERR_OK);
    }
    for (uint8_t i = 0; i < 8; i++) {
        hops[i] = (struct t_hop){
            .task = {.run = hop_run}, .loops = loops, .log = log, .id = i, .left = 20};
        os_post(os_loop_executor(loops[i % T_LOOPS]), &hops[i].task);
    }
    assert_true(os_sim_run_until_idle(sim, 10000));
    for (size_t i = 0; i < T_LOOPS; i++) {
        os_loop_stop(loops[i]);
        os_loop_destroy(loops[i]);
    }
    os_sim_destroy(&sim);
    assert_null(sim);
}

/* OS-8 */
static void
one_seed_is_one_history(void **state)
{
    (void)state;
    struct t_log a;
    struct t_log b;
    struct t_log c;
    t_history(1, &a);
    t_history(1, &b);
    t_history(2, &c);
    assert_int_equal(a.size, 8 * 21);
    assert_int_equal(c.size, 8 * 21);
    assert_memory_equal(a.entries, b.entries, a.size);
    assert_memory_not_equal(a.entries, c.entries, a.size);
}

static void
entropy_follows_the_seed(void **state)
{
    (void)state;
    struct os_sim *a;
    struct os_sim *b;
    struct os_sim *c;
    assert_int_equal(os_sim_create(7, &a), ERR_OK);
    assert_int_equal(os_sim_create(7, &b), ERR_OK);
    assert_int_equal(os_sim_create(8, &c), ERR_OK);
    u128 first = os_random_u128(os_sim_entropy(a));
    assert_true(first == os_random_u128(os_sim_entropy(b)));
    assert_true(first != os_random_u128(os_sim_entropy(c)));
    assert_true(first != os_random_u128(os_sim_entropy(a)));
    os_sim_destroy(&a);
    os_sim_destroy(&b);
    os_sim_destroy(&c);
}

struct t_tick {
    struct os_timer timer;
    struct os_sim *sim;
    struct os_loop *loop;
    uint64_t period_ns;
    uint32_t fired;
    uint64_t last_ns;
};

static void
tick_fire(struct os_timer *timer)
{
    struct t_tick *tick = CONTAINER_OF(timer, struct t_tick, timer);
    tick->fired++;
    tick->last_ns = os_monotonic_ns(os_sim_clock(tick->sim));
    if (tick->period_ns != 0) {
        os_timer_arm(tick->loop, timer, tick->last_ns + tick->period_ns);
    }
}

/* OS-7 */
static void
time_moves_only_when_told(void **state)
{
    (void)state;
    struct os_sim *sim;
    struct os_loop *loop;
    assert_int_equal(os_sim_create(1, &sim), ERR_OK);
    assert_int_equal(os_loops_create(os_sim_loops(sim), "time", &loop), ERR_OK);
    assert_int_equal(os_loop_start(loop), ERR_OK);
    struct os_clock *clock = os_sim_clock(sim);
    uint64_t start_ns = os_monotonic_ns(clock);
    struct t_tick tick = {.timer = {.fire = tick_fire}, .sim = sim, .loop = loop};
    os_timer_arm(loop, &tick.timer, start_ns + 100);
    assert_int_equal(os_sim_next_timer_ns(sim), start_ns + 100);
    assert_false(os_sim_step(sim));
    os_sim_advance(sim, 99);
    assert_true(os_sim_run_until_idle(sim, 10));
    assert_int_equal(tick.fired, 0);
    os_sim_advance(sim, 1);
    assert_int_equal(tick.fired, 0);
    assert_true(os_sim_step(sim));
    assert_int_equal(tick.fired, 1);
    assert_int_equal(os_monotonic_ns(clock), start_ns + 100);
    assert_int_equal(os_wall_ns(clock), OS_SIM_START_WALL_NS + 100);
    os_sim_jump_wall(sim, -50);
    assert_int_equal(os_wall_ns(clock), OS_SIM_START_WALL_NS + 50);
    assert_int_equal(os_monotonic_ns(clock), start_ns + 100);
    os_loop_stop(loop);
    os_loop_destroy(loop);
    os_sim_destroy(&sim);
}

static void
running_for_a_while_fires_each_timer_at_its_time(void **state)
{
    (void)state;
    struct os_sim *sim;
    struct os_loop *loop;
    assert_int_equal(os_sim_create(1, &sim), ERR_OK);
    assert_int_equal(os_loops_create(os_sim_loops(sim), "time", &loop), ERR_OK);
    assert_int_equal(os_loop_start(loop), ERR_OK);
    uint64_t start_ns = os_monotonic_ns(os_sim_clock(sim));
    struct t_tick tick = {
        .timer = {.fire = tick_fire}, .sim = sim, .loop = loop, .period_ns = OS_NS_PER_S};
    os_timer_arm(loop, &tick.timer, start_ns + OS_NS_PER_S);
    assert_true(os_sim_run_for(sim, 10 * OS_NS_PER_S + 5, 100));
    assert_int_equal(tick.fired, 10);
    assert_int_equal(tick.last_ns, start_ns + 10 * OS_NS_PER_S);
    assert_int_equal(os_monotonic_ns(os_sim_clock(sim)), start_ns + 10 * OS_NS_PER_S + 5);
    assert_false(os_sim_run_for(sim, 10 * OS_NS_PER_S, 3));
    os_sim_pause(sim, loop, true);
    assert_int_equal(os_sim_next_timer_ns(sim), 0);
    uint32_t fired = tick.fired;
    assert_true(os_sim_run_for(sim, 10 * OS_NS_PER_S, 3));
    assert_int_equal(tick.fired, fired);
    os_sim_pause(sim, loop, false);
    assert_true(os_sim_run_until_idle(sim, 10));
    assert_int_equal(tick.fired, fired + 1);
    assert_true(os_timer_is_armed(&tick.timer));
    os_loop_stop(loop);
    assert_false(os_timer_is_armed(&tick.timer));
    os_loop_destroy(loop);
    os_sim_destroy(&sim);
}

struct t_group {
    struct os_group_hook hook;
    uint32_t groups;
};

static void
group_end(struct os_group_hook *hook)
{
    CONTAINER_OF(hook, struct t_group, hook)->groups++;
}

static void
stop_drains_and_hooks_see_every_group(void **state)
{
    (void)state;
    struct os_sim *sim;
    struct os_loop *loops[T_LOOPS];
    struct t_log log = {0};
    struct t_group group = {.hook = {.group_end = group_end}};
    assert_int_equal(os_sim_create(1, &sim), ERR_OK);
    assert_int_equal(os_loops_create(os_sim_loops(sim), "stop", &loops[0]), ERR_OK);
    for (size_t i = 1; i < T_LOOPS; i++) {
        loops[i] = loops[0];
    }
    os_loop_add_group_hook(loops[0], &group.hook);
    struct t_hop hop = {.task = {.run = hop_run}, .loops = loops, .log = &log, .left = 9};
    os_post(os_loop_executor(loops[0]), &hop.task);
    assert_false(os_sim_step(sim)); /* not started */
    assert_int_equal(os_loop_start(loops[0]), ERR_OK);
    assert_true(os_sim_step(sim));
    assert_int_equal(log.size, 1);
    struct t_tick tick = {.timer = {.fire = tick_fire}, .sim = sim, .loop = loops[0]};
    os_timer_arm(loops[0], &tick.timer, 1);
    os_loop_stop(loops[0]);
    assert_int_equal(tick.fired, 0);
    assert_int_equal(log.size, 10);
    assert_int_equal(group.groups, 10);
    os_post(os_loop_executor(loops[0]), &hop.task);
    assert_false(os_sim_step(sim)); /* stopped */
    os_loop_destroy(loops[0]);
    os_sim_destroy(&sim);
}

static void
a_livelock_is_told(void **state)
{
    (void)state;
    struct os_sim *sim;
    struct os_loop *loop;
    assert_int_equal(os_sim_create(3, &sim), ERR_OK);
    assert_int_equal(os_loops_create(os_sim_loops(sim), "busy", &loop), ERR_OK);
    assert_int_equal(os_loop_start(loop), ERR_OK);
    struct os_loop *loops[T_LOOPS] = {loop, loop, loop, loop};
    struct t_log log = {0};
    struct t_hop hop = {.task = {.run = hop_run}, .loops = loops, .log = &log, .left = 2000};
    os_post(os_loop_executor(loop), &hop.task);
    assert_false(os_sim_run_until_idle(sim, 100));
    assert_int_equal(log.size, 100);
    os_loop_stop(loop);
    os_loop_destroy(loop);
    os_sim_destroy(&sim);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_seed_is_one_history),
        cmocka_unit_test(entropy_follows_the_seed),
        cmocka_unit_test(time_moves_only_when_told),
        cmocka_unit_test(running_for_a_while_fires_each_timer_at_its_time),
        cmocka_unit_test(stop_drains_and_hooks_see_every_group),
        cmocka_unit_test(a_livelock_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
