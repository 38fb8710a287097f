/*
 * What the real and the simulated loop share, so that both have one meaning of a group: the queue
 * of tasks taken over, the timers, the hooks. Only the loop's thread touches it once it runs.
 */
#ifndef OS_LOOP_CORE_H
#define OS_LOOP_CORE_H

#include "os/loop.h"
#include "os/loop_real.h"
#include "timers.h"

struct os_loop_core {
    struct os_loop loop; /* first: the core is an os_loop */
    struct os_executor executor;
    struct os_timers timers;
    struct os_group_hook *hooks; /* in the order of registration */
    struct os_task *waiting;     /* taken over and not yet run, oldest first */
    struct os_task *waiting_last;
    char name[OS_LOOP_NAME_SIZE];
};

void os_loop_core_init(struct os_loop_core *core, const struct os_loop_ops *ops, const char *name);
void os_loop_core_add_group_hook(struct os_loop *loop, struct os_group_hook *hook);
void os_loop_core_timer_arm(struct os_loop *loop, struct os_timer *timer, uint64_t deadline_ns);
void os_loop_core_timer_cancel(struct os_loop *loop, struct os_timer *timer);
struct os_executor *os_loop_core_executor(struct os_loop *loop);
/* Appends a chain that ends with NULL at `last`. */
void os_loop_core_take(struct os_loop_core *core, struct os_task *first, struct os_task *last);
/* Fires what is due at `now_ns` (0: nothing), runs at most `tasks_max` waiting tasks, then the
 * hooks. False if there was nothing to do, and then no hook ran. */
bool os_loop_core_run_group(struct os_loop_core *core, uint64_t now_ns, uint32_t tasks_max);
/* Behind the last group: no timer is armed any more. */
void os_loop_core_disarm_all(struct os_loop_core *core);

#endif
