/* The timers of one loop: a binary heap of pointers. Not thread-safe. */
#ifndef NET_TIMERS_H
#define NET_TIMERS_H

#include "net/loop.h"

#define NET_TIMERS_MAX 1048576

struct net_timers {
    struct net_timer **heap; /* heap[0] fires next */
    uint32_t count;
    uint32_t capacity;
};

void net_timers_release(struct net_timers *timers);
/* Moves an armed timer. ERR_FULL, ERR_MEMORY: it is as it was. */
MUST_USE err_t
net_timers_arm(struct net_timers *timers, struct net_timer *timer, uint64_t deadline_ns);
void net_timers_cancel(struct net_timers *timers, struct net_timer *timer);
/* Takes out the first whose deadline has come, or returns NULL. */
struct net_timer *net_timers_pop_due(struct net_timers *timers, uint64_t now_ns);
/* UINT64_MAX if none is armed. */
uint64_t net_timers_next_ns(const struct net_timers *timers);

#endif
