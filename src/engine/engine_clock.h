/*
 * The ledger's time on a server: the wall clock, never back, forward at a bounded rate.
 *
 * While the wall clock is ahead of the ledger's by more than the time that really passed, the
 * ledger's clock runs at twice the speed of the monotonic clock until it has caught up. While the
 * wall clock is behind, the ledger's clock moves only by what the events need. Either is an alarm
 * once it exceeds a second.
 */
#ifndef ENGINE_ENGINE_CLOCK_H
#define ENGINE_ENGINE_CLOCK_H

#include "os/clock.h"

#include <stdbool.h>

struct engine_clock {
    struct os_clock *clock;
    bool started;
    uint64_t last_monotonic;
    uint64_t last; /* what was answered at last_monotonic */
    bool ahead;    /* the wall clock is ahead by more than ENGINE_CLOCK_JUMP_NS */
    bool behind;   /* or behind */
    uint64_t alarms;
};

#define ENGINE_CLOCK_JUMP_NS OS_NS_PER_S

/* What the ledger's clock, now at `ledger_clock`, should be. */
uint64_t engine_clock_now(struct engine_clock *clock, uint64_t ledger_clock);

#endif
