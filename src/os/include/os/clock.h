/* Time, as an ops struct: real, or simulated and moved only by the test. */
#ifndef OS_CLOCK_H
#define OS_CLOCK_H

#include <stdint.h>

struct os_clock {
    /* Nanoseconds since the unix epoch; may jump. */
    uint64_t (*wall_ns)(struct os_clock *clock);
    /* Never goes back; for deadlines and durations only. */
    uint64_t (*monotonic_ns)(struct os_clock *clock);
};

static inline uint64_t
os_wall_ns(struct os_clock *clock)
{
    return clock->wall_ns(clock);
}

static inline uint64_t
os_monotonic_ns(struct os_clock *clock)
{
    return clock->monotonic_ns(clock);
}

/* The machine's clock. Static, thread-safe. */
struct os_clock *os_clock_real(void);

#define OS_NS_PER_US UINT64_C(1000)
#define OS_NS_PER_MS UINT64_C(1000000)
#define OS_NS_PER_S  UINT64_C(1000000000)

#endif
