#include "pulse.h"

#include "base/list.h"

static void
pulse_run(struct os_task *task)
{
    struct pulse *pulse = CONTAINER_OF(task, struct pulse, task);
    atomic_store(&pulse->delay_ns, os_monotonic_ns(pulse->clock) - atomic_load(&pulse->asked_ns));
    atomic_store(&pulse->under_way, false);
}

void
pulse_init(struct pulse *pulse, const char *name, struct os_executor *loop, struct os_clock *clock)
{
    pulse->task.run = pulse_run;
    pulse->name = name;
    pulse->loop = loop;
    pulse->clock = clock;
}

uint64_t
pulse_delay_ns(struct pulse *pulse)
{
    uint64_t now_ns = os_monotonic_ns(pulse->clock);
    uint64_t delay_ns = atomic_load(&pulse->delay_ns);
    if (atomic_exchange(&pulse->under_way, true)) {
        uint64_t asked_ns = atomic_load(&pulse->asked_ns);
        uint64_t age_ns = now_ns > asked_ns ? now_ns - asked_ns : 0;
        return age_ns > delay_ns ? age_ns : delay_ns;
    }
    atomic_store(&pulse->asked_ns, now_ns);
    os_post(pulse->loop, &pulse->task);
    return delay_ns;
}
