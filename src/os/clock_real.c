#include "base/assert.h"
#include "os/clock.h"

#include <time.h>

static uint64_t
read_clock(clockid_t id)
{
    struct timespec now;
    int result = clock_gettime(id, &now);
    ASSERT(result == 0);
    return (uint64_t)now.tv_sec * OS_NS_PER_S + (uint64_t)now.tv_nsec;
}

static uint64_t
wall_ns(struct os_clock *clock)
{
    (void)clock;
    return read_clock(CLOCK_REALTIME);
}

static uint64_t
monotonic_ns(struct os_clock *clock)
{
    (void)clock;
    return read_clock(CLOCK_MONOTONIC);
}

struct os_clock *
os_clock_real(void)
{
    static struct os_clock clock = {.wall_ns = wall_ns, .monotonic_ns = monotonic_ns};
    return &clock;
}
