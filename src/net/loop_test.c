/* The loop: posting, timers, signals. */
#include "testing.h"

#include "base/assert.h"
#include "base/list.h"

#include "loop_private.h"
#include "timers.h"

#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

/* On the loop's thread the checks are ASSERTs: cmocka's jump belongs to the test's thread. */

static struct net_loop *loop;

static int
setup(void **state)
{
    (void)state;
    assert_int_equal(net_loop_create("t-loop-with-a-long-name", &loop), ERR_OK);
    return 0;
}

static int
teardown(void **state)
{
    (void)state;
    net_loop_stop(loop);
    net_loop_destroy(&loop);
    return 0;
}

#define T_PRODUCERS 4
#define T_TASKS     20000
#define T_CHAIN     5

struct numbered {
    struct os_task task;
    uint32_t producer;
    uint32_t number;
};

static uint32_t next_number[T_PRODUCERS]; /* the loop's thread only */
static _Atomic uint32_t ran;

static void
numbered_run(struct os_task *task)
{
    struct numbered *numbered = CONTAINER_OF(task, struct numbered, task);
    ASSERT(net_loop_is_current(loop));
    ASSERT(task->next == NULL);
    ASSERT(next_number[numbered->producer] == numbered->number);
    next_number[numbered->producer]++;
    atomic_fetch_add(&ran, 1);
}

static void *
produce(void *context)
{
    struct numbered *tasks = context;
    struct os_executor *executor = net_loop_executor(loop);
    for (uint32_t i = 0; i < T_TASKS; i += T_CHAIN) {
        for (uint32_t j = i; j + 1 < i + T_CHAIN; j++) {
            tasks[j].task.next = &tasks[j + 1].task;
        }
        executor->post(executor, &tasks[i].task, &tasks[i + T_CHAIN - 1].task);
    }
    return NULL;
}

/* Everything arrives, once, in each producer's order, and none is lost at the stop. */
static void
test_posting(void **state)
{
    (void)state;
    struct numbered *tasks[T_PRODUCERS];
    pthread_t threads[T_PRODUCERS];
    atomic_store(&ran, 0);
    for (uint32_t p = 0; p < T_PRODUCERS; p++) {
        next_number[p] = 0;
        tasks[p] = calloc(T_TASKS, sizeof(*tasks[p]));
        assert_non_null(tasks[p]);
        for (uint32_t i = 0; i < T_TASKS; i++) {
            tasks[p][i] =
                (struct numbered){.task = {.run = numbered_run}, .producer = p, .number = i};
        }
        assert_int_equal(pthread_create(&threads[p], NULL, produce, tasks[p]), 0);
        if (p == 0) {
            t_sleep_ms(1); /* some are posted before the loop runs */
            assert_int_equal(net_loop_start(loop), ERR_OK);
        }
    }
    for (uint32_t p = 0; p < T_PRODUCERS; p++) {
        assert_int_equal(pthread_join(threads[p], NULL), 0);
    }
    net_loop_stop(loop);
    assert_int_equal(atomic_load(&ran), T_PRODUCERS * T_TASKS);
    for (uint32_t p = 0; p < T_PRODUCERS; p++) {
        free(tasks[p]);
    }
}

#define T_ROUNDS 10

/* A task that posts itself runs again although nobody wakes the loop, and timers still fire. */
struct self {
    struct os_task task;
    struct net_timer timer;
    uint64_t due_ns;
    uint32_t rounds;
    bool fired;
    uv_sem_t done;
};

static void
self_run(struct os_task *task)
{
    struct self *self = CONTAINER_OF(task, struct self, task);
    self->rounds++;
    if (self->fired && self->rounds > T_ROUNDS) {
        uv_sem_post(&self->done);
        return;
    }
    os_post(net_loop_executor(loop), task);
}

static void
self_fire(struct net_timer *timer)
{
    struct self *self = CONTAINER_OF(timer, struct self, timer);
    ASSERT(net_now_ns() >= self->due_ns);
    self->fired = true;
}

static void
self_begin(struct os_task *task)
{
    struct self *self = CONTAINER_OF(task, struct self, task);
    self->due_ns = net_now_ns() + 50000000;
    err_t result = net_timer_arm(loop, &self->timer, self->due_ns);
    ASSERT(result == ERR_OK);
    task->run = self_run;
    os_post(net_loop_executor(loop), task);
}

static void
test_posting_to_itself(void **state)
{
    (void)state;
    struct self self = {.task = {.run = self_begin}, .timer = {.fire = self_fire}};
    assert_int_equal(uv_sem_init(&self.done, 0), 0);
    assert_int_equal(net_loop_start(loop), ERR_OK);
    os_post(net_loop_executor(loop), &self.task);
    uv_sem_wait(&self.done);
    uv_sem_destroy(&self.done);
    net_loop_stop(loop);
}

static void
hooked_turn_end(struct net_loop_hook *hook)
{
    (void)hook;
}

static struct net_loop_hook hooked = {.turn_end = hooked_turn_end};

static void
hooked_run(struct os_task *task)
{
    (void)task;
    net_loop_add_hook(loop, &hooked);
    net_loop_remove_hook(loop, &hooked);
    atomic_fetch_add(&ran, 1);
}

/* What waits runs while the start is still under way (for ThreadSanitizer). */
static void
test_posted_before_the_start(void **state)
{
    (void)state;
    struct os_task task = {.run = hooked_run};
    atomic_store(&ran, 0);
    os_post(net_loop_executor(loop), &task);
    assert_int_equal(net_loop_start(loop), ERR_OK);
    net_loop_stop(loop);
    assert_int_equal(atomic_load(&ran), 1);
}

/* ------------------------------------------------------------------------------------- timers */

#define T_TIMERS 200

static struct net_timer timers[T_TIMERS];
static uint64_t last_deadline_ns;
static uint32_t fired;
static uv_sem_t timers_done;

static void
timer_fire(struct net_timer *timer)
{
    ASSERT(timer->position == 0);
    ASSERT(net_now_ns() >= timer->deadline_ns);
    ASSERT(net_now_ns() < timer->deadline_ns + T_WAIT_MS * UINT64_C(1000000));
    ASSERT(timer->deadline_ns >= last_deadline_ns);
    ASSERT((timer - timers) % 4 != 3); /* that one was cancelled */
    last_deadline_ns = timer->deadline_ns;
    fired++;
    if (fired == T_TIMERS / 4 * 3) {
        uv_sem_post(&timers_done);
    }
}

static void
timers_arm(struct os_task *task)
{
    (void)task;
    uint64_t begin_ns = net_now_ns();
    for (uint32_t i = 0; i < T_TIMERS; i++) {
        timers[i] = (struct net_timer){.fire = timer_fire};
        uint64_t delay_ns = (uint64_t)(i * 7919 % T_TIMERS) * 300000;
        err_t result = net_timer_arm(loop, &timers[i], begin_ns + delay_ns);
        ASSERT(result == ERR_OK);
        if (i % 5 == 0) { /* moved */
            result = net_timer_arm(loop, &timers[i], begin_ns + 70000000 - delay_ns);
            ASSERT(result == ERR_OK);
        }
    }
    for (uint32_t i = 3; i < T_TIMERS; i += 4) {
        net_timer_cancel(loop, &timers[i]);
        net_timer_cancel(loop, &timers[i]);
    }
}

static void
test_timers(void **state)
{
    (void)state;
    struct os_task task = {.run = timers_arm};
    fired = 0;
    last_deadline_ns = 0;
    assert_int_equal(uv_sem_init(&timers_done, 0), 0);
    assert_int_equal(net_loop_start(loop), ERR_OK);
    os_post(net_loop_executor(loop), &task);
    uv_sem_wait(&timers_done);
    net_loop_stop(loop);
    uv_sem_destroy(&timers_done);
    assert_int_equal(fired, T_TIMERS / 4 * 3);
}

static void
heap_fire(struct net_timer *timer)
{
    (void)timer;
}

/* The heap against a naive search, with random operations. */
static void
test_heap(void **state)
{
    (void)state;
    struct net_timers heap = {0};
    static struct net_timer many[64];
    uint32_t seed = 12345;
    for (uint32_t i = 0; i < 64; i++) {
        many[i] = (struct net_timer){.fire = heap_fire};
    }
    for (uint32_t step = 0; step < 20000; step++) {
        seed = seed * 1664525 + 1013904223;
        struct net_timer *timer = &many[seed >> 26];
        if ((seed >> 8) % 3 != 0) {
            assert_int_equal(net_timers_arm(&heap, timer, (seed >> 4) % 1000), ERR_OK);
        } else if ((seed >> 8) % 2 == 0) {
            net_timers_cancel(&heap, timer);
        } else {
            (void)net_timers_pop_due(&heap, (seed >> 4) % 1000);
        }
        uint64_t least = UINT64_MAX;
        uint32_t armed = 0;
        for (uint32_t i = 0; i < 64; i++) {
            if (many[i].position != 0) {
                armed++;
                least = many[i].deadline_ns < least ? many[i].deadline_ns : least;
            }
        }
        assert_int_equal(heap.count, armed);
        assert_true(net_timers_next_ns(&heap) == least);
    }
    net_timers_release(&heap);
}

/* ------------------------------------------------------------------------------------ signals */

static _Atomic uint32_t signals_seen;

static void
signal_run(struct os_task *task)
{
    (void)task;
    ASSERT(net_loop_is_current(loop));
    atomic_fetch_add(&signals_seen, 1);
}

static void
test_signals(void **state)
{
    (void)state;
    struct os_task task = {.run = signal_run};
    atomic_store(&signals_seen, 0);
    assert_int_equal(net_loop_on_signal(loop, SIGUSR1, &task), ERR_OK);
    assert_int_equal(net_loop_start(loop), ERR_OK);
    for (uint32_t i = 1; i <= 3; i++) {
        assert_int_equal(kill(getpid(), SIGUSR1), 0);
        uint64_t end_ms = t_now_ms() + T_WAIT_MS;
        while (atomic_load(&signals_seen) < i) {
            assert_true(t_now_ms() < end_ms);
            t_sleep_ms(1);
        }
    }
    net_loop_stop(loop);
}

static void
test_never_started(void **state)
{
    (void)state;
    struct os_task task = {.run = signal_run};
    os_post(net_loop_executor(loop), &task); /* never runs, and is nobody's leak */
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_posting, setup, teardown),
        cmocka_unit_test_setup_teardown(test_posting_to_itself, setup, teardown),
        cmocka_unit_test_setup_teardown(test_posted_before_the_start, setup, teardown),
        cmocka_unit_test_setup_teardown(test_timers, setup, teardown),
        cmocka_unit_test(test_heap),
        cmocka_unit_test_setup_teardown(test_signals, setup, teardown),
        cmocka_unit_test_setup_teardown(test_never_started, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
