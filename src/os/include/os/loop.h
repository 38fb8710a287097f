/*
 * Loops and tasks: how threads meet. A loop is one thread that owns its data; others reach it only
 * by posting tasks, which hand over ownership of what the task carries. There are no other locks
 * above os/.
 *
 * A loop runs tasks in groups: it takes everything that waits, runs each task, and then calls the
 * group hooks, which is where a service commits once for the whole group. What a task wants to
 * happen only after that commit it keeps until its hook.
 *
 * `struct os_executor` is the part that a callee needs to answer: "post my done task there". A
 * net loop offers the same interface. A callee that answers always posts, never calls back.
 *
 * The real implementation is a thread per loop; the simulated one runs all loops on the caller's
 * thread, in an order drawn from a seed.
 */
#ifndef OS_LOOP_H
#define OS_LOOP_H

#include "base/err.h"

#include <stdbool.h>
#include <stdint.h>

struct os_task {
    struct os_task *next; /* the queue's, while it waits */
    void (*run)(struct os_task *task); /* on the executor's thread; may free or reuse the task */
};

struct os_executor {
    /* From any thread. Takes the chain first ... last (linked by next). Never fails: the number
     * of tasks is bounded by whoever created them. */
    void (*post)(struct os_executor *executor, struct os_task *first, struct os_task *last);
};

static inline void
os_post(struct os_executor *executor, struct os_task *task)
{
    task->next = NULL;
    executor->post(executor, task, task);
}

struct os_loop;

/* A hook after each group, on the loop's thread, in the order of registration. */
struct os_group_hook {
    struct os_group_hook *next;
    void (*group_end)(struct os_group_hook *hook);
};

/* A one-shot timer of a loop; runs on the loop's thread, within a group. */
struct os_timer {
    struct os_loop *loop;
    void (*fire)(struct os_timer *timer);
    uint64_t deadline_ns; /* monotonic; 0 when not armed */
    uint32_t heap_index;  /* the loop's */
};

struct os_loop_ops {
    struct os_executor *(*executor)(struct os_loop *loop);
    void (*add_group_hook)(struct os_loop *loop, struct os_group_hook *hook);
    /* On the loop's thread, or before it runs. Arming an armed timer moves it. */
    void (*timer_arm)(struct os_loop *loop, struct os_timer *timer, uint64_t deadline_ns);
    void (*timer_cancel)(struct os_loop *loop, struct os_timer *timer);
    /* Runs until os_loop_stop: on a thread of its own (real), or by the scheduler (simulated). */
    err_t (*start)(struct os_loop *loop);
    /* Asks it to stop after the tasks that wait now, and waits for its end. Not from its thread. */
    void (*stop)(struct os_loop *loop);
    void (*destroy)(struct os_loop *loop);
};

/* Implementations embed this as their first member. */
struct os_loop {
    const struct os_loop_ops *ops;
    const char *name;
};

static inline struct os_executor *
os_loop_executor(struct os_loop *loop)
{
    return loop->ops->executor(loop);
}

#endif
