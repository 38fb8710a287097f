#include "engine_clock.h"

#include "base/assert.h"

/* An alarm begins when the difference exceeds a second, and ends when it does not. */
static void
watch(struct engine_clock *clock, uint64_t wall, uint64_t allowed, uint64_t ledger_clock)
{
    bool ahead = wall > allowed && wall - allowed > ENGINE_CLOCK_JUMP_NS;
    bool behind = wall < ledger_clock && ledger_clock - wall > ENGINE_CLOCK_JUMP_NS;
    if ((ahead && !clock->ahead) || (behind && !clock->behind)) {
        clock->alarms++;
    }
    clock->ahead = ahead;
    clock->behind = behind;
}

uint64_t
engine_clock_now(struct engine_clock *clock, uint64_t ledger_clock)
{
    uint64_t wall = os_wall_ns(clock->clock);
    uint64_t monotonic = os_monotonic_ns(clock->clock);
    if (!clock->started) {
        /* However long the ledger was down, the time now is the time now. */
        clock->started = true;
        clock->last_monotonic = monotonic;
        clock->last = wall > ledger_clock ? wall : ledger_clock;
        watch(clock, wall, wall, ledger_clock);
        return clock->last;
    }
    ASSERT(monotonic >= clock->last_monotonic);
    uint64_t base = clock->last > ledger_clock ? clock->last : ledger_clock;
    uint64_t allowed = base + 2 * (monotonic - clock->last_monotonic);
    watch(clock, wall, allowed, ledger_clock);
    uint64_t now = wall < allowed ? wall : allowed;
    clock->last_monotonic = monotonic;
    clock->last = now > base ? now : base;
    return clock->last;
}
