/*
 * A loop that is a thread.
 *
 * Posting is a lock-free push onto a stack; the thread takes the whole stack with one exchange and
 * turns it around. The head has three states:
 *
 *   NULL       nothing waits, the thread is awake and will look again before it sleeps
 *   a task     tasks wait, newest first; the thread is awake or being woken
 *   &asleep    nothing waits, the thread sleeps or is about to; who replaces it wakes the thread
 *
 * so only the post that finds &asleep pays for a system call. A post makes the tasks' contents
 * visible to the thread (release on the push, acquire on the exchange).
 */
#include "os/loop_real.h"

#include "base/assert.h"
#include "base/list.h"
#include "loop_core.h"
#include "os/thread.h"

#include <errno.h>
#include <linux/futex.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

/* A timer far away must not overflow the arithmetic of a wait. */
#define SLEEP_MAX_NS (3600 * OS_NS_PER_S)

enum real_state {
    REAL_CREATED,
    REAL_RUNNING,
    REAL_STOPPED,
};

struct loop_real {
    struct os_loop_core core;
    struct os_clock *clock;
    pthread_t thread;
    enum real_state state;    /* of the owner's thread: start, stop, destroy */
    bool gives_way;           /* set before start */
    bool stopping;            /* of the loop's thread */
    struct os_task stop_task; /* sets `stopping`, behind everything posted before */
    struct os_task asleep;    /* only its address is used */
    _Alignas(64) _Atomic(struct os_task *) head;
    _Atomic uint32_t wake; /* the futex: 1 asks the thread to look at the head */
};

static struct loop_real *
real_of(struct os_loop *loop)
{
    return CONTAINER_OF(loop, struct loop_real, core.loop);
}

static void
futex_wake(_Atomic uint32_t *word)
{
    (void)syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}

/* Returns early for any reason; the caller looks again. */
static void
futex_wait(_Atomic uint32_t *word, uint32_t while_value, uint64_t timeout_ns)
{
    struct timespec timeout = {
        .tv_sec = (time_t)(timeout_ns / OS_NS_PER_S),
        .tv_nsec = (long)(timeout_ns % OS_NS_PER_S),
    };
    long result = syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, while_value, &timeout, NULL, 0);
    ASSERT(result == 0 || errno == EAGAIN || errno == EINTR || errno == ETIMEDOUT);
}

static void
real_post(struct os_executor *executor, struct os_task *first, struct os_task *last)
{
    struct loop_real *real = CONTAINER_OF(executor, struct loop_real, core.executor);
    struct os_task *top = NULL;
    for (struct os_task *task = first;;) {
        ASSERT(task != NULL);
        ASSERT(task->run != NULL);
        struct os_task *next = task->next;
        task->next = top;
        top = task;
        if (task == last) {
            break;
        }
        task = next;
    }
    struct os_task *old = atomic_load_explicit(&real->head, memory_order_relaxed);
    do {
        first->next = old == &real->asleep ? NULL : old;
    } while (!atomic_compare_exchange_weak_explicit(
        &real->head, &old, top, memory_order_release, memory_order_relaxed));
    if (old == &real->asleep) {
        atomic_store_explicit(&real->wake, 1, memory_order_release);
        futex_wake(&real->wake);
    }
}

/* Moves everything that was posted to the core, oldest first. */
static void
take_posted(struct loop_real *real)
{
    struct os_task *task = atomic_exchange_explicit(&real->head, NULL, memory_order_acquire);
    if (task == NULL || task == &real->asleep) {
        return;
    }
    struct os_task *last = task;
    struct os_task *first = NULL;
    while (task != NULL) {
        struct os_task *next = task->next;
        task->next = first;
        first = task;
        task = next;
    }
    os_loop_core_take(&real->core, first, last);
}

/* Until somebody posts or the next timer is due; or shorter. */
static void
sleep_until_work(struct loop_real *real)
{
    uint64_t timeout_ns = SLEEP_MAX_NS;
    uint64_t next_ns = os_timers_next_ns(&real->core.timers);
    if (next_ns != 0) {
        uint64_t now_ns = os_monotonic_ns(real->clock);
        if (next_ns <= now_ns) {
            return;
        }
        timeout_ns = next_ns - now_ns < SLEEP_MAX_NS ? next_ns - now_ns : SLEEP_MAX_NS;
    }
    atomic_store_explicit(&real->wake, 0, memory_order_relaxed);
    struct os_task *expected = NULL;
    if (!atomic_compare_exchange_strong_explicit(
            &real->head, &expected, &real->asleep, memory_order_acq_rel, memory_order_relaxed)) {
        return;
    }
    futex_wait(&real->wake, 0, timeout_ns);
    /* Take back the mark, unless a post did. A late store to `wake` by that post only makes one
     * later sleep return early. */
    expected = &real->asleep;
    (void)atomic_compare_exchange_strong_explicit(
        &real->head, &expected, NULL, memory_order_acq_rel, memory_order_relaxed);
}

static bool
run_one_group(struct loop_real *real, bool with_timers)
{
    if (real->core.waiting == NULL) {
        take_posted(real);
    }
    uint64_t now_ns = 0;
    if (with_timers && os_timers_next_ns(&real->core.timers) != 0) {
        now_ns = os_monotonic_ns(real->clock);
    }
    return os_loop_core_run_group(&real->core, now_ns, OS_GROUP_TASKS_MAX);
}

/* Of this thread alone, as Linux has it. Who may not is as urgent as the rest. */
static void
become_nicer(void)
{
    errno = 0;
    int niceness = getpriority(PRIO_PROCESS, 0);
    if (niceness != -1 || errno == 0) {
        (void)setpriority(PRIO_PROCESS, 0, niceness + OS_LOOP_NICENESS);
    }
}

static void *
real_main(void *argument)
{
    struct loop_real *real = argument;
    (void)pthread_setname_np(pthread_self(), real->core.name);
    if (real->gives_way) {
        become_nicer();
    }
    while (!real->stopping) {
        if (!run_one_group(real, true)) {
            sleep_until_work(real);
        }
    }
    const uint64_t until_ns = os_monotonic_ns(real->clock) + OS_DRAIN_NS_MAX;
    uint32_t groups = 0;
    while (groups < OS_DRAIN_GROUPS_MAX && os_monotonic_ns(real->clock) < until_ns &&
           run_one_group(real, false)) {
        groups++;
    }
    os_loop_core_disarm_all(&real->core);
    return NULL;
}

static void
real_give_way(struct os_loop *loop)
{
    struct loop_real *real = real_of(loop);
    ASSERT(real->state == REAL_CREATED);
    real->gives_way = true;
}

static void
stop_task_run(struct os_task *task)
{
    CONTAINER_OF(task, struct loop_real, stop_task)->stopping = true;
}

static err_t
real_start(struct os_loop *loop)
{
    struct loop_real *real = real_of(loop);
    ASSERT(real->state == REAL_CREATED);
    TRY(os_thread_start(&real->thread, real_main, real));
    real->state = REAL_RUNNING;
    return ERR_OK;
}

static void
real_stop(struct os_loop *loop)
{
    struct loop_real *real = real_of(loop);
    if (real->state != REAL_RUNNING) {
        os_loop_core_disarm_all(&real->core); /* what was armed before a start that never came */
        return;
    }
    ASSERT(!pthread_equal(pthread_self(), real->thread));
    os_post(&real->core.executor, &real->stop_task);
    int result = pthread_join(real->thread, NULL);
    ASSERT(result == 0);
    real->state = REAL_STOPPED;
}

static void
real_destroy(struct os_loop *loop)
{
    struct loop_real *real = real_of(loop);
    ASSERT(real->state != REAL_RUNNING);
    free(real);
}

static const struct os_loop_ops real_ops = {
    .executor = os_loop_core_executor,
    .add_group_hook = os_loop_core_add_group_hook,
    .timer_arm = os_loop_core_timer_arm,
    .timer_cancel = os_loop_core_timer_cancel,
    .start = real_start,
    .give_way = real_give_way,
    .stop = real_stop,
    .destroy = real_destroy,
};

err_t
os_loop_create(const char *name, struct os_clock *clock, struct os_loop **ret_loop)
{
    ASSERT(name != NULL);
    ASSERT(clock != NULL);
    struct loop_real *real = aligned_alloc(_Alignof(struct loop_real), sizeof(*real));
    if (real == NULL) {
        return ERR_MEMORY;
    }
    *real = (struct loop_real){.clock = clock, .state = REAL_CREATED};
    os_loop_core_init(&real->core, &real_ops, name);
    real->core.executor.post = real_post;
    real->stop_task.run = stop_task_run;
    atomic_init(&real->head, NULL);
    atomic_init(&real->wake, 0);
    *ret_loop = &real->core.loop;
    return ERR_OK;
}

static err_t
factory_create(struct os_loops *loops, const char *name, struct os_loop **ret_loop)
{
    (void)loops;
    return os_loop_create(name, os_clock_real(), ret_loop);
}

struct os_loops *
os_loops_real(void)
{
    static struct os_loops factory = {.create = factory_create, .crew = os_crew_create};
    return &factory;
}
