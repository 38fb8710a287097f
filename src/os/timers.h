/*
 * The timers of one loop: a pairing heap whose links live in the timers. Not thread-safe.
 * Inserting is O(1); taking the first out is O(log n) amortized. No recursion.
 */
#ifndef OS_TIMERS_H
#define OS_TIMERS_H

#include "os/loop.h"

struct os_timers {
    struct os_timer *root; /* the next to fire, or NULL */
    uint64_t sequence;     /* of the last armed; breaks ties */
};

/* Moves an armed timer. A deadline of 0 means at once. */
void os_timers_arm(struct os_timers *timers, struct os_timer *timer, uint64_t deadline_ns);
/* Nothing if it is not armed. */
void os_timers_cancel(struct os_timers *timers, struct os_timer *timer);
/* Takes out the first whose deadline has come, or returns NULL. */
struct os_timer *os_timers_pop_due(struct os_timers *timers, uint64_t now_ns);
/* 0 if none is armed. */
uint64_t os_timers_next_ns(const struct os_timers *timers);

#endif
