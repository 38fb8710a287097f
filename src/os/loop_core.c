#include "loop_core.h"

#include "base/assert.h"
#include "base/list.h"

#include <string.h>

static struct os_loop_core *
core_of(struct os_loop *loop)
{
    return CONTAINER_OF(loop, struct os_loop_core, loop);
}

void
os_post_now(struct os_executor *executor, struct os_task *first, struct os_task *last)
{
    (void)executor;
    last->next = NULL;
    while (first != NULL) {
        struct os_task *next = first->next; /* it may be freed by its run */
        first->run(first);
        first = next;
    }
}

void
os_loop_core_init(struct os_loop_core *core, const struct os_loop_ops *ops, const char *name)
{
    *core = (struct os_loop_core){.loop = {.ops = ops}};
    size_t size = strnlen(name, sizeof(core->name) - 1);
    memcpy(core->name, name, size);
    core->name[size] = '\0';
    core->loop.name = core->name;
}

void
os_loop_core_add_group_hook(struct os_loop *loop, struct os_group_hook *hook)
{
    ASSERT(hook->group_end != NULL);
    struct os_group_hook **end = &core_of(loop)->hooks;
    while (*end != NULL) {
        ASSERT(*end != hook);
        end = &(*end)->next;
    }
    hook->next = NULL;
    *end = hook;
}

void
os_loop_core_timer_arm(struct os_loop *loop, struct os_timer *timer, uint64_t deadline_ns)
{
    os_timers_arm(&core_of(loop)->timers, timer, deadline_ns);
}

void
os_loop_core_timer_cancel(struct os_loop *loop, struct os_timer *timer)
{
    os_timers_cancel(&core_of(loop)->timers, timer);
}

struct os_executor *
os_loop_core_executor(struct os_loop *loop)
{
    return &core_of(loop)->executor;
}

void
os_loop_core_take(struct os_loop_core *core, struct os_task *first, struct os_task *last)
{
    ASSERT(first != NULL);
    ASSERT(last->next == NULL);
    if (core->waiting == NULL) {
        core->waiting = first;
    } else {
        core->waiting_last->next = first;
    }
    core->waiting_last = last;
}

bool
os_loop_core_run_group(struct os_loop_core *core, uint64_t now_ns, uint32_t tasks_max)
{
    ASSERT(tasks_max <= OS_GROUP_TASKS_MAX);
    /* The bound matters for a timer that arms itself for the past. */
    uint32_t fired = 0;
    while (fired < OS_GROUP_TASKS_MAX) {
        struct os_timer *timer = os_timers_pop_due(&core->timers, now_ns);
        if (timer == NULL) {
            break;
        }
        fired++;
        timer->fire(timer);
    }
    uint32_t ran = 0;
    while (core->waiting != NULL && ran < tasks_max) {
        struct os_task *task = core->waiting;
        core->waiting = task->next;
        task->next = NULL;
        ran++;
        task->run(task);
    }
    if (fired + ran == 0) {
        return false;
    }
    for (struct os_group_hook *hook = core->hooks; hook != NULL; hook = hook->next) {
        hook->group_end(hook);
    }
    return true;
}

void
os_loop_core_disarm_all(struct os_loop_core *core)
{
    while (os_timers_pop_due(&core->timers, UINT64_MAX) != NULL) {
    }
}
