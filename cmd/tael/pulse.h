/*
 * Whether a loop turns: a task is posted to it, and the time until it runs is how long everything
 * else that is posted there waits. Asked for whenever somebody looks at the health or the metrics
 * of the process; nothing happens in between.
 */
#ifndef TAEL_PULSE_H
#define TAEL_PULSE_H

#include "os/clock.h"
#include "os/loop.h"

#include <stdatomic.h>

/* In the owner's memory, as long as the loop; the members are private. */
struct pulse {
    struct os_task task;
    struct os_executor *loop;
    const char *name;
    struct os_clock *clock;
    atomic_bool under_way;
    _Atomic uint64_t asked_ns;
    _Atomic uint64_t delay_ns; /* of the last one that came back */
};

/* Before the loop runs. `name`, for people, is kept. */
void pulse_init(
    struct pulse *pulse, const char *name, struct os_executor *loop, struct os_clock *clock);

/* Nanoseconds that a task waits: as long as the one that has not come back, or what the last one
 * took, whichever is more; and asks for the next. Any thread, while the loop is there. */
uint64_t pulse_delay_ns(struct pulse *pulse);

#endif
