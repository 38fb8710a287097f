#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/assert.h"
#include "base/list.h"
#include "os/loop_real.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* On the loops' threads the checks are ASSERTs: cmocka's jump back to the test's own thread. */
#define T_PRODUCERS          4
#define T_TASKS_PER_PRODUCER 20000

static struct os_loop *
t_loop(const char *name)
{
    struct os_loop *loop = NULL;
    assert_int_equal(os_loop_create(name, os_clock_real(), &loop), ERR_OK);
    return loop;
}

static void
t_sleep_ms(long ms)
{
    struct timespec time = {.tv_nsec = ms * 1000000};
    (void)nanosleep(&time, NULL);
}

/* A loop's thread, on a machine that stands still now and then. */
static void
t_wait_for(const atomic_uint *count, unsigned at_least)
{
    for (int i = 0; i < 60000 && atomic_load(count) < at_least; i++) {
        t_sleep_ms(1);
    }
    assert_true(atomic_load(count) >= at_least);
}

struct t_producer {
    struct os_loop *loop;
    struct t_count *tasks;
    uint32_t next_expected; /* the loop's thread */
};

struct t_count {
    struct os_task task;
    struct t_producer *producer;
    uint32_t index;
};

static void
count_run(struct os_task *task)
{
    struct t_count *count = CONTAINER_OF(task, struct t_count, task);
    ASSERT(count->index == count->producer->next_expected);
    count->producer->next_expected++;
}

/* Chains of one to seven tasks. */
static void *
producer_main(void *argument)
{
    struct t_producer *producer = argument;
    uint32_t at = 0;
    uint32_t length = 1;
    while (at < T_TASKS_PER_PRODUCER) {
        uint32_t end = at + length < T_TASKS_PER_PRODUCER ? at + length : T_TASKS_PER_PRODUCER;
        for (uint32_t i = at; i + 1 < end; i++) {
            producer->tasks[i].task.next = &producer->tasks[i + 1].task;
        }
        producer->tasks[end - 1].task.next = NULL;
        struct os_executor *executor = os_loop_executor(producer->loop);
        executor->post(executor, &producer->tasks[at].task, &producer->tasks[end - 1].task);
        at = end;
        length = length % 7 + 1;
        if (at % 500 < 7) {
            t_sleep_ms(0); /* lets the loop fall asleep now and then */
        }
    }
    return NULL;
}

/* OS-1, OS-2 */
static void
every_task_of_many_producers_runs_once_and_in_order(void **state)
{
    (void)state;
    struct os_loop *loop = t_loop("many");
    struct t_producer producers[T_PRODUCERS];
    pthread_t threads[T_PRODUCERS];
    assert_int_equal(os_loop_start(loop), ERR_OK);
    for (size_t i = 0; i < T_PRODUCERS; i++) {
        struct t_count *tasks = calloc(T_TASKS_PER_PRODUCER, sizeof(*tasks));
        assert_non_null(tasks);
        producers[i] = (struct t_producer){.loop = loop, .tasks = tasks};
        for (uint32_t k = 0; k < T_TASKS_PER_PRODUCER; k++) {
            tasks[k] =
                (struct t_count){.task = {.run = count_run}, .producer = &producers[i], .index = k};
        }
    }
    for (size_t i = 0; i < T_PRODUCERS; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, producer_main, &producers[i]), 0);
    }
    for (size_t i = 0; i < T_PRODUCERS; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    }
    os_loop_stop(loop);
    for (size_t i = 0; i < T_PRODUCERS; i++) {
        assert_int_equal(producers[i].next_expected, T_TASKS_PER_PRODUCER);
        free(producers[i].tasks);
    }
    os_loop_destroy(loop);
}

struct t_groups {
    struct os_group_hook first;
    struct os_group_hook second;
    struct os_loop *loop;
    uint32_t in_group;
    uint32_t sizes[8];
    uint32_t group_count;
    bool first_ran;
};

static void
first_hook(struct os_group_hook *hook)
{
    struct t_groups *groups = CONTAINER_OF(hook, struct t_groups, first);
    ASSERT(!groups->first_ran);
    groups->first_ran = true;
}

static void
second_hook(struct os_group_hook *hook)
{
    struct t_groups *groups = CONTAINER_OF(hook, struct t_groups, second);
    ASSERT(groups->first_ran);
    groups->first_ran = false;
    ASSERT(groups->group_count < 8);
    groups->sizes[groups->group_count++] = groups->in_group;
    groups->in_group = 0;
}

struct t_member {
    struct os_task task;
    struct t_groups *groups;
    struct t_member *then; /* posted from inside the group */
};

static void
member_run(struct os_task *task)
{
    struct t_member *member = CONTAINER_OF(task, struct t_member, task);
    member->groups->in_group++;
    if (member->then != NULL) {
        os_post(os_loop_executor(member->groups->loop), &member->then->task);
    }
}

static void
t_groups_init(struct t_groups *groups, struct os_loop *loop)
{
    *groups = (struct t_groups){
        .first = {.group_end = first_hook}, .second = {.group_end = second_hook}, .loop = loop};
    os_loop_add_group_hook(loop, &groups->first);
    os_loop_add_group_hook(loop, &groups->second);
}

/* OS-3 */
static void
what_a_group_posts_belongs_to_the_next_group(void **state)
{
    (void)state;
    struct os_loop *loop = t_loop("groups");
    struct t_groups groups;
    t_groups_init(&groups, loop);
    struct t_member later = {.task = {.run = member_run}, .groups = &groups};
    struct t_member a = {.task = {.run = member_run}, .groups = &groups, .then = &later};
    struct t_member b = {.task = {.run = member_run}, .groups = &groups};
    os_post(os_loop_executor(loop), &a.task);
    os_post(os_loop_executor(loop), &b.task);
    assert_int_equal(os_loop_start(loop), ERR_OK);
    os_loop_stop(loop);
    assert_true(groups.group_count >= 2);
    assert_int_equal(groups.sizes[0], 2);
    assert_int_equal(groups.sizes[1], 1);
    os_loop_destroy(loop);
}

/* OS-4 */
static void
hooks_run_within_a_long_queue(void **state)
{
    (void)state;
    struct os_loop *loop = t_loop("long");
    struct t_groups groups;
    t_groups_init(&groups, loop);
    uint32_t count = 2 * OS_GROUP_TASKS_MAX + 5;
    struct t_member *members = calloc(count, sizeof(*members));
    assert_non_null(members);
    for (uint32_t i = 0; i < count; i++) {
        members[i] = (struct t_member){.task = {.run = member_run}, .groups = &groups};
        os_post(os_loop_executor(loop), &members[i].task);
    }
    assert_int_equal(os_loop_start(loop), ERR_OK);
    os_loop_stop(loop);
    assert_true(groups.group_count >= 3);
    assert_int_equal(groups.sizes[0], OS_GROUP_TASKS_MAX);
    assert_int_equal(groups.sizes[1], OS_GROUP_TASKS_MAX);
    assert_int_equal(groups.sizes[2], 5);
    os_loop_destroy(loop);
    free(members);
}

struct t_timer {
    struct os_timer timer;
    struct os_loop *loop;
    atomic_uint fired;
    atomic_ullong fired_ns;
    bool rearm;
};

static void
timer_fire(struct os_timer *timer)
{
    struct t_timer *mine = CONTAINER_OF(timer, struct t_timer, timer);
    ASSERT(!os_timer_is_armed(timer));
    atomic_store(&mine->fired_ns, os_monotonic_ns(os_clock_real()));
    if (mine->rearm) {
        os_timer_arm(mine->loop, timer, os_monotonic_ns(os_clock_real()) + OS_NS_PER_MS);
    }
    atomic_fetch_add(&mine->fired, 1);
}

/* OS-5 */
static void
timers_fire_not_before_their_deadline_and_end_a_group(void **state)
{
    (void)state;
    struct os_loop *loop = t_loop("timers");
    struct t_groups groups;
    t_groups_init(&groups, loop);
    uint64_t start_ns = os_monotonic_ns(os_clock_real());
    struct t_timer due = {.timer = {.fire = timer_fire}, .loop = loop};
    struct t_timer cancelled = {.timer = {.fire = timer_fire}, .loop = loop};
    struct t_timer far = {.timer = {.fire = timer_fire}, .loop = loop};
    os_timer_arm(loop, &due.timer, start_ns + 20 * OS_NS_PER_MS);
    os_timer_arm(loop, &cancelled.timer, start_ns + 10 * OS_NS_PER_MS);
    os_timer_arm(loop, &far.timer, UINT64_MAX);
    os_timer_cancel(loop, &cancelled.timer);
    assert_int_equal(os_loop_start(loop), ERR_OK);
    t_wait_for(&due.fired, 1);
    os_loop_stop(loop);
    assert_int_equal(atomic_load(&due.fired), 1);
    assert_true(atomic_load(&due.fired_ns) >= start_ns + 20 * OS_NS_PER_MS);
    assert_int_equal(atomic_load(&cancelled.fired), 0);
    assert_int_equal(atomic_load(&far.fired), 0);
    assert_false(os_timer_is_armed(&far.timer));
    assert_int_equal(groups.group_count, 2);
    os_loop_destroy(loop);
}

static void
a_timer_that_arms_itself_repeats_until_the_stop(void **state)
{
    (void)state;
    struct os_loop *loop = t_loop("repeat");
    struct t_timer timer = {.timer = {.fire = timer_fire}, .loop = loop, .rearm = true};
    os_timer_arm(loop, &timer.timer, 1);
    assert_int_equal(os_loop_start(loop), ERR_OK);
    t_wait_for(&timer.fired, 5);
    os_loop_stop(loop);
    unsigned fired = atomic_load(&timer.fired);
    t_sleep_ms(5);
    assert_int_equal(atomic_load(&timer.fired), fired);
    os_loop_destroy(loop);
}

struct t_chain {
    struct os_task task;
    struct os_loop *loop;
    uint32_t left;
    uint32_t sleep_ms;
};

static void
chain_run(struct os_task *task)
{
    struct t_chain *chain = CONTAINER_OF(task, struct t_chain, task);
    if (chain->sleep_ms > 0) {
        t_sleep_ms(chain->sleep_ms);
    }
    if (chain->left > 0) {
        chain->left--;
        os_post(os_loop_executor(chain->loop), task);
    }
}

/* OS-6 */
static void
stop_drains_what_the_drained_tasks_post(void **state)
{
    (void)state;
    struct os_loop *loop = t_loop("drain");
    struct t_chain chain = {.task = {.run = chain_run}, .loop = loop, .left = 1000};
    assert_int_equal(os_loop_start(loop), ERR_OK);
    os_post(os_loop_executor(loop), &chain.task);
    os_loop_stop(loop);
    assert_int_equal(chain.left, 0);
    os_loop_stop(loop);
    os_loop_destroy(loop);
}

static void
stop_ends_although_a_task_posts_itself_for_ever(void **state)
{
    (void)state;
    struct os_loop *loop = t_loop("for ever");
    struct t_chain chain = {.task = {.run = chain_run}, .loop = loop, .left = UINT32_MAX};
    os_post(os_loop_executor(loop), &chain.task);
    assert_int_equal(os_loop_start(loop), ERR_OK);
    os_loop_stop(loop);
    assert_true(chain.left > 0);
    os_loop_destroy(loop);
}

static void
stop_ends_although_such_a_task_takes_long(void **state)
{
    enum {
        SLEEP_MS = 100,
        RUNS_MAX = OS_DRAIN_NS_MAX / OS_NS_PER_MS / SLEEP_MS
    };

    (void)state;
    struct os_loop *loop = t_loop("for long");
    struct t_chain chain = {
        .task = {.run = chain_run}, .loop = loop, .left = UINT32_MAX, .sleep_ms = SLEEP_MS};
    os_post(os_loop_executor(loop), &chain.task);
    assert_int_equal(os_loop_start(loop), ERR_OK);
    os_loop_stop(loop);
    assert_true(UINT32_MAX - chain.left < 2 * RUNS_MAX);
    os_loop_destroy(loop);
}

struct t_pong {
    struct os_task task;
    struct os_loop *here;
    struct os_loop *there;
    uint32_t left;
    atomic_uint *done;
};

static void
pong_run(struct os_task *task)
{
    struct t_pong *pong = CONTAINER_OF(task, struct t_pong, task);
    if (pong->left == 0) {
        atomic_store(pong->done, 1);
        return;
    }
    pong->left--;
    struct os_loop *next = pong->there;
    pong->there = pong->here;
    pong->here = next;
    os_post(os_loop_executor(next), task);
}

/* Each side sleeps and is woken again and again: a lost wake-up would hang here. */
static void
two_loops_wake_each_other(void **state)
{
    (void)state;
    struct os_loop *a = t_loop("ping");
    struct os_loop *b = t_loop("pong");
    atomic_uint done = 0;
    struct t_pong pong = {
        .task = {.run = pong_run}, .here = a, .there = b, .left = 20000, .done = &done};
    assert_int_equal(os_loop_start(a), ERR_OK);
    assert_int_equal(os_loop_start(b), ERR_OK);
    os_post(os_loop_executor(a), &pong.task);
    t_wait_for(&done, 1);
    os_loop_stop(a);
    os_loop_stop(b);
    os_loop_destroy(a);
    os_loop_destroy(b);
}

struct t_name {
    struct os_task task;
    char name[OS_LOOP_NAME_SIZE];
};

static void
name_run(struct os_task *task)
{
    struct t_name *name = CONTAINER_OF(task, struct t_name, task);
    (void)pthread_getname_np(pthread_self(), name->name, sizeof(name->name));
}

static void
the_thread_carries_the_name_cut_to_what_fits(void **state)
{
    (void)state;
    struct os_loop *loop = NULL;
    assert_int_equal(os_loops_create(os_loops_real(), "ledger-shard-00000042", &loop), ERR_OK);
    struct t_name name = {.task = {.run = name_run}};
    os_post(os_loop_executor(loop), &name.task);
    assert_int_equal(os_loop_start(loop), ERR_OK);
    os_loop_stop(loop);
    assert_string_equal(name.name, "ledger-shard-00");
    assert_string_equal(loop->name, "ledger-shard-00");
    os_loop_destroy(loop);
}

static void
a_loop_that_never_started_stops_and_goes(void **state)
{
    (void)state;
    struct os_loop *loop = t_loop("idle");
    struct t_name name = {.task = {.run = name_run}};
    struct t_timer timer = {.timer = {.fire = timer_fire}, .loop = loop};
    os_post(os_loop_executor(loop), &name.task);
    os_timer_arm(loop, &timer.timer, UINT64_MAX);
    os_loop_stop(loop);
    assert_false(os_timer_is_armed(&timer.timer));
    os_loop_destroy(loop);
    os_loop_destroy(NULL);
    assert_string_equal(name.name, "");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_task_of_many_producers_runs_once_and_in_order),
        cmocka_unit_test(what_a_group_posts_belongs_to_the_next_group),
        cmocka_unit_test(hooks_run_within_a_long_queue),
        cmocka_unit_test(timers_fire_not_before_their_deadline_and_end_a_group),
        cmocka_unit_test(a_timer_that_arms_itself_repeats_until_the_stop),
        cmocka_unit_test(stop_drains_what_the_drained_tasks_post),
        cmocka_unit_test(stop_ends_although_a_task_posts_itself_for_ever),
        cmocka_unit_test(stop_ends_although_such_a_task_takes_long),
        cmocka_unit_test(two_loops_wake_each_other),
        cmocka_unit_test(the_thread_carries_the_name_cut_to_what_fits),
        cmocka_unit_test(a_loop_that_never_started_stops_and_goes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
