/*
 * One turn of the loop, in libuv's order:
 *
 *     timers -> [turn_run] -> sleep in epoll, sockets -> [turn_run] -> close callbacks
 *
 * turn_run takes over every task that was posted, runs them, then the hooks, and begins again if
 * that posted more. It stands on both sides of the sleep, so that what a timer or a close callback
 * produced does not wait for the next event.
 *
 * Posting is a lock-free stack (a chain is reversed before it is pushed, and the whole stack when
 * it is taken, which gives the order of posting). Only the push onto an empty stack wakes the
 * thread, and none from the thread itself: turn_run comes before it sleeps.
 */
#include "net/loop.h"

#include "base/assert.h"
#include "base/list.h"
#include "os/thread.h"

#include "lookup.h"
#include "loop_private.h"
#include "timers.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>

#define LOOP_SIGNALS_MAX 4
/* After so many rounds in one turn, sockets come first again. */
#define TURN_ROUNDS_MAX 64
#define TIMERS_PER_TURN 4096
#define NAME_SIZE       16

struct loop_signal {
    uv_signal_t handle;
    struct os_task *task;
    int number;
};

struct net_loop {
    uv_loop_t uv;
    struct os_executor executor;
    _Atomic(struct os_task *) posted; /* newest first; any thread pushes */
    uv_async_t wake;
    uv_prepare_t prepare;
    uv_check_t check;
    uv_timer_t clock;     /* stands at or before the first deadline of `timers` */
    uint64_t clock_at_ms; /* in uv_now's time; UINT64_MAX: not started */
    struct net_timers timers;
    struct net_lookups *lookups;
    struct net_loop_hook *hooks;
    struct loop_signal signals[LOOP_SIGNALS_MAX];
    uint32_t signal_count;
    struct os_task stop_task;
    bool stopping;
    bool started;
    bool running; /* the thread exists */
    pthread_t thread;
    char name[NAME_SIZE];
    char scratch[NET_LOOP_SCRATCH_SIZE];
};

static _Thread_local struct net_loop *current_loop;

uint64_t
net_now_ns(void)
{
    struct timespec now;
    int result = clock_gettime(CLOCK_MONOTONIC, &now);
    ASSERT(result == 0);
    return (uint64_t)now.tv_sec * UINT64_C(1000000000) + (uint64_t)now.tv_nsec;
}

/* ----------------------------------------------------------------------------------- posting */

/* Reverses first ... NULL and returns the new first; *ret_last is the old first. */
static struct os_task *
chain_reverse(struct os_task *first)
{
    struct os_task *reversed = NULL;
    while (first != NULL) {
        struct os_task *next = first->next;
        first->next = reversed;
        reversed = first;
        first = next;
    }
    return reversed;
}

static void
loop_post(struct os_executor *executor, struct os_task *first, struct os_task *last)
{
    struct net_loop *loop = CONTAINER_OF(executor, struct net_loop, executor);
    last->next = NULL;
    struct os_task *newest = chain_reverse(first);
    struct os_task *head = atomic_load_explicit(&loop->posted, memory_order_relaxed);
    do {
        first->next = head; /* `first` is the oldest, now at the end */
    } while (!atomic_compare_exchange_weak_explicit(
        &loop->posted, &head, newest, memory_order_release, memory_order_relaxed));
    if (head == NULL && current_loop != loop) {
        int result = uv_async_send(&loop->wake);
        ASSERT(result == 0);
    }
}

/* Runs everything that was posted; false if there was nothing. */
static bool
tasks_run(struct net_loop *loop)
{
    if (atomic_load_explicit(&loop->posted, memory_order_relaxed) == NULL) {
        return false;
    }
    struct os_task *task =
        chain_reverse(atomic_exchange_explicit(&loop->posted, NULL, memory_order_acquire));
    while (task != NULL) {
        struct os_task *next = task->next;
        task->next = NULL;
        task->run(task);
        task = next;
    }
    return true;
}

static void
turn_run(struct net_loop *loop)
{
    uint32_t rounds = 0;
    do {
        (void)tasks_run(loop);
        struct net_loop_hook *hook = loop->hooks;
        while (hook != NULL) {
            struct net_loop_hook *next = hook->next; /* it may be gone afterwards */
            hook->turn_end(hook);
            hook = next;
        }
        rounds++;
        if (rounds == TURN_ROUNDS_MAX) {
            (void)uv_async_send(&loop->wake);
            break;
        }
    } while (atomic_load_explicit(&loop->posted, memory_order_relaxed) != NULL);
    if (loop->stopping) {
        uv_stop(&loop->uv);
    }
}

static void
on_wake(uv_async_t *handle)
{
    (void)handle; /* turn_run follows in the same turn */
}

static void
on_prepare(uv_prepare_t *handle)
{
    turn_run(handle->data);
}

static void
on_check(uv_check_t *handle)
{
    turn_run(handle->data);
}

/* ------------------------------------------------------------------------------------ timers */

static void on_clock(uv_timer_t *handle);

static void
clock_set(struct net_loop *loop)
{
    uint64_t next_ns = net_timers_next_ns(&loop->timers);
    if (next_ns == UINT64_MAX) {
        return;
    }
    uint64_t at_ms = next_ns / 1000000 + 1;
    if (at_ms >= loop->clock_at_ms) {
        return;
    }
    uint64_t now_ms = uv_now(&loop->uv);
    loop->clock_at_ms = at_ms;
    int result = uv_timer_start(&loop->clock, on_clock, at_ms > now_ms ? at_ms - now_ms : 0, 0);
    ASSERT(result == 0);
}

static void
on_clock(uv_timer_t *handle)
{
    struct net_loop *loop = handle->data;
    loop->clock_at_ms = UINT64_MAX;
    uint64_t now_ns = net_now_ns();
    for (uint32_t fired = 0; fired < TIMERS_PER_TURN; fired++) {
        struct net_timer *timer = net_timers_pop_due(&loop->timers, now_ns);
        if (timer == NULL) {
            break;
        }
        timer->fire(timer);
    }
    clock_set(loop);
}

err_t
net_timer_arm(struct net_loop *loop, struct net_timer *timer, uint64_t deadline_ns)
{
    TRY(net_timers_arm(&loop->timers, timer, deadline_ns));
    clock_set(loop);
    return ERR_OK;
}

void
net_timer_cancel(struct net_loop *loop, struct net_timer *timer)
{
    net_timers_cancel(&loop->timers, timer);
}

/* ------------------------------------------------------------------------------------ signals */

static void
on_signal(uv_signal_t *handle, int number)
{
    struct loop_signal *signal = CONTAINER_OF(handle, struct loop_signal, handle);
    ASSERT(number == signal->number);
    signal->task->run(signal->task);
}

err_t
net_loop_on_signal(struct net_loop *loop, int signal_number, struct os_task *task)
{
    ASSERT(!loop->started);
    ASSERT(task->run != NULL);
    if (loop->signal_count == LOOP_SIGNALS_MAX) {
        return ERR_FULL;
    }
    struct loop_signal *signal = &loop->signals[loop->signal_count];
    signal->task = task;
    signal->number = signal_number;
    if (uv_signal_init(&loop->uv, &signal->handle) != 0) {
        return ERR_IO;
    }
    loop->signal_count++;
    return uv_signal_start(&signal->handle, on_signal, signal_number) == 0 ? ERR_OK : ERR_IO;
}

/* ---------------------------------------------------------------------------------- life time */

static void
on_stop(struct os_task *task)
{
    CONTAINER_OF(task, struct net_loop, stop_task)->stopping = true;
}

static err_t
handles_open(struct net_loop *loop)
{
    int result = uv_async_init(&loop->uv, &loop->wake, on_wake);
    if (result != 0) {
        return err_from_errno(-result);
    }
    result = uv_prepare_init(&loop->uv, &loop->prepare);
    result |= uv_check_init(&loop->uv, &loop->check);
    result |= uv_timer_init(&loop->uv, &loop->clock);
    ASSERT(result == 0);
    loop->prepare.data = loop;
    loop->check.data = loop;
    loop->clock.data = loop;
    result |= uv_prepare_start(&loop->prepare, on_prepare);
    result |= uv_check_start(&loop->check, on_check);
    ASSERT(result == 0);
    return ERR_OK;
}

err_t
net_loop_create(const char *name, struct net_loop **ret_loop)
{
    struct net_loop *loop = calloc(1, sizeof(*loop));
    if (loop == NULL) {
        return ERR_MEMORY;
    }
    for (size_t i = 0; i < NAME_SIZE - 1 && name[i] != '\0'; i++) {
        loop->name[i] = name[i];
    }
    loop->executor.post = loop_post;
    loop->stop_task.run = on_stop;
    loop->clock_at_ms = UINT64_MAX;
    err_t result = net_lookups_create(loop, &loop->lookups);
    if (result == ERR_OK) {
        int opened = uv_loop_init(&loop->uv);
        result = opened == 0 ? ERR_OK : err_from_errno(-opened);
    }
    if (result != ERR_OK) {
        net_lookups_destroy(&loop->lookups);
        free(loop);
        return result;
    }
    result = handles_open(loop);
    if (result != ERR_OK) {
        (void)uv_loop_close(&loop->uv);
        net_lookups_destroy(&loop->lookups);
        free(loop);
        return result;
    }
    *ret_loop = loop;
    return ERR_OK;
}

static void *
loop_main(void *context)
{
    struct net_loop *loop = context;
    current_loop = loop;
    (void)pthread_setname_np(pthread_self(), loop->name);
    (void)uv_run(&loop->uv, UV_RUN_DEFAULT);
    ASSERT(loop->stopping);
    current_loop = NULL;
    return NULL;
}

err_t
net_loop_start(struct net_loop *loop)
{
    ASSERT(!loop->started);
    /* Before the thread is there: what waits looks at them. */
    loop->started = true;
    loop->running = true;
    if (os_thread_start(&loop->thread, loop_main, loop) != ERR_OK) {
        loop->started = false;
        loop->running = false;
        return ERR_IO;
    }
    return ERR_OK;
}

void
net_loop_stop(struct net_loop *loop)
{
    if (loop == NULL || !loop->running) {
        return;
    }
    ASSERT(current_loop != loop);
    os_post(&loop->executor, &loop->stop_task);
    int result = pthread_join(loop->thread, NULL);
    ASSERT(result == 0);
    loop->running = false;
}

static void
close_own(uv_handle_t *handle, void *context)
{
    (void)context;
    if (!uv_is_closing(handle)) {
        uv_close(handle, NULL);
    }
}

void
net_loop_destroy(struct net_loop **loop_pointer)
{
    struct net_loop *loop = *loop_pointer;
    if (loop == NULL) {
        return;
    }
    ASSERT(!loop->running);
    ASSERT(loop->hooks == NULL);
    net_lookups_destroy(&loop->lookups); /* from here on none of its threads wakes the loop */
    uv_walk(&loop->uv, close_own, NULL);
    (void)uv_run(&loop->uv, UV_RUN_DEFAULT);
    int result = uv_loop_close(&loop->uv);
    ASSERT(result == 0);
    net_timers_release(&loop->timers);
    free(loop);
    *loop_pointer = NULL;
}

/* ------------------------------------------------------------------------------------ access */

struct os_executor *
net_loop_executor(struct net_loop *loop)
{
    return &loop->executor;
}

bool
net_loop_is_current(const struct net_loop *loop)
{
    return current_loop == loop;
}

struct net_lookups *
net_loop_lookups(struct net_loop *loop)
{
    return loop->lookups;
}

uv_loop_t *
net_loop_uv(struct net_loop *loop)
{
    return &loop->uv;
}

void
net_loop_add_hook(struct net_loop *loop, struct net_loop_hook *hook)
{
    ASSERT(hook->turn_end != NULL);
    ASSERT(!loop->running || net_loop_is_current(loop));
    hook->next = loop->hooks;
    loop->hooks = hook;
}

void
net_loop_remove_hook(struct net_loop *loop, struct net_loop_hook *hook)
{
    ASSERT(!loop->running || net_loop_is_current(loop));
    struct net_loop_hook **place = &loop->hooks;
    while (*place != hook) {
        ASSERT(*place != NULL);
        place = &(*place)->next;
    }
    *place = hook->next;
}

void
net_loop_wake(struct net_loop *loop)
{
    int result = uv_async_send(&loop->wake);
    ASSERT(result == 0);
}

char *
net_loop_scratch(struct net_loop *loop)
{
    return loop->scratch;
}
