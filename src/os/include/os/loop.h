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
#include <stddef.h>
#include <stdint.h>

/* Hooks run at least once for so many tasks, so that a long queue cannot hold back answers. */
#define OS_GROUP_TASKS_MAX 1024
/* So many groups a stopping loop runs at most, against tasks that post themselves for ever. */
#define OS_DRAIN_GROUPS_MAX 65536
/* And none begins later than this behind the stop, against tasks that take long. */
#define OS_DRAIN_NS_MAX (UINT64_C(5) * 1000000000)

struct os_task {
    struct os_task *next;              /* the queue's, while it waits */
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

/* A `post` for an executor without a loop: runs the tasks at once, on the thread that posts. */
void os_post_now(struct os_executor *executor, struct os_task *first, struct os_task *last);

struct os_loop;

/* A hook after each group, on the loop's thread, in the order of registration. A group that only
 * fired timers is a group too. Tasks that a task or a hook posts belong to a later group. */
struct os_group_hook {
    struct os_group_hook *next;
    void (*group_end)(struct os_group_hook *hook);
};

/* A one-shot timer of a loop; fires on the loop's thread, at the start of a group, in the order of
 * deadlines and then of arming. A zeroed timer with `fire` set is ready to be armed. The links make
 * arming free of allocation, so that it cannot fail. */
struct os_timer {
    void (*fire)(struct os_timer *timer);
    uint64_t deadline_ns; /* monotonic; 0 when not armed */
    /* the loop's */
    uint64_t sequence;
    struct os_timer *child;
    struct os_timer *sibling;
    struct os_timer *prev;
};

struct os_loop_ops {
    struct os_executor *(*executor)(struct os_loop *loop);
    void (*add_group_hook)(struct os_loop *loop, struct os_group_hook *hook);
    /* On the loop's thread, or before it runs. Arming an armed timer moves it. */
    void (*timer_arm)(struct os_loop *loop, struct os_timer *timer, uint64_t deadline_ns);
    void (*timer_cancel)(struct os_loop *loop, struct os_timer *timer);
    /* Runs until stop: on a thread of its own (real), or by the scheduler (simulated). Once. */
    err_t (*start)(struct os_loop *loop);
    /* Before start. NULL where loops have no threads of their own. */
    void (*give_way)(struct os_loop *loop);
    /* Runs what waits and what that posts here (at most OS_DRAIN_GROUPS_MAX groups, for
     * OS_DRAIN_NS_MAX), then ends and waits for the end. Timers do not fire any more, and none is
     * armed behind it: so their owners are closed in any order. What is posted later never runs.
     * Not from the loop's own thread. If it was not started or is stopped, no task runs. */
    void (*stop)(struct os_loop *loop);
    /* Of a stopped or never started loop, when nobody can be inside a post to it any more: stop
     * every loop before destroying any of them. Tasks that wait are dropped; they are their
     * owners'. */
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

/* Before start, or on the loop's thread. The hook lives as long as the loop. */
static inline void
os_loop_add_group_hook(struct os_loop *loop, struct os_group_hook *hook)
{
    loop->ops->add_group_hook(loop, hook);
}

static inline void
os_timer_arm(struct os_loop *loop, struct os_timer *timer, uint64_t deadline_ns)
{
    loop->ops->timer_arm(loop, timer, deadline_ns);
}

/* Nothing if it is not armed. */
static inline void
os_timer_cancel(struct os_loop *loop, struct os_timer *timer)
{
    loop->ops->timer_cancel(loop, timer);
}

static inline bool
os_timer_is_armed(const struct os_timer *timer)
{
    return timer->deadline_ns != 0;
}

/* Before start: the loop's thread gives way to the process's others where they want the processor
 * at the same time (OS_LOOP_NICENESS in os/loop_real.h). For work that nobody waits for, and that
 * is bounded by how far it may fall behind. */
static inline void
os_loop_give_way(struct os_loop *loop)
{
    if (loop->ops->give_way != NULL) {
        loop->ops->give_way(loop);
    }
}

MUST_USE static inline err_t
os_loop_start(struct os_loop *loop)
{
    return loop->ops->start(loop);
}

/* NULL is fine. */
static inline void
os_loop_stop(struct os_loop *loop)
{
    if (loop != NULL) {
        loop->ops->stop(loop);
    }
}

/* NULL is fine. */
static inline void
os_loop_destroy(struct os_loop *loop)
{
    if (loop != NULL) {
        loop->ops->destroy(loop);
    }
}

#endif
