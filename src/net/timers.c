#include "timers.h"

#include "base/assert.h"

#include <stdlib.h>

#define TIMERS_CAPACITY_FIRST 64

static void
place(struct net_timers *timers, uint32_t index, struct net_timer *timer)
{
    timers->heap[index] = timer;
    timer->position = index + 1;
}

static void
sift_up(struct net_timers *timers, uint32_t index, struct net_timer *timer)
{
    while (index > 0) {
        uint32_t parent = (index - 1) / 2;
        if (timers->heap[parent]->deadline_ns <= timer->deadline_ns) {
            break;
        }
        place(timers, index, timers->heap[parent]);
        index = parent;
    }
    place(timers, index, timer);
}

static void
sift_down(struct net_timers *timers, uint32_t index, struct net_timer *timer)
{
    for (;;) {
        uint32_t child = index * 2 + 1;
        if (child >= timers->count) {
            break;
        }
        if (child + 1 < timers->count &&
            timers->heap[child + 1]->deadline_ns < timers->heap[child]->deadline_ns) {
            child++;
        }
        if (timer->deadline_ns <= timers->heap[child]->deadline_ns) {
            break;
        }
        place(timers, index, timers->heap[child]);
        index = child;
    }
    place(timers, index, timer);
}

static err_t
grow(struct net_timers *timers)
{
    if (timers->count == NET_TIMERS_MAX) {
        return ERR_FULL;
    }
    uint32_t capacity = timers->capacity == 0 ? TIMERS_CAPACITY_FIRST : timers->capacity * 2;
    struct net_timer **heap = realloc(timers->heap, sizeof(struct net_timer *) * capacity);
    if (heap == NULL) {
        return ERR_MEMORY;
    }
    timers->heap = heap;
    timers->capacity = capacity;
    return ERR_OK;
}

void
net_timers_release(struct net_timers *timers)
{
    free(timers->heap);
    *timers = (struct net_timers){0};
}

err_t
net_timers_arm(struct net_timers *timers, struct net_timer *timer, uint64_t deadline_ns)
{
    ASSERT(timer->fire != NULL);
    if (timer->position == 0) {
        if (timers->count == timers->capacity) {
            TRY(grow(timers));
        }
        timer->deadline_ns = deadline_ns;
        timers->count++;
        sift_up(timers, timers->count - 1, timer);
        return ERR_OK;
    }
    uint32_t index = timer->position - 1;
    ASSERT(index < timers->count);
    ASSERT(timers->heap[index] == timer);
    bool earlier = deadline_ns < timer->deadline_ns;
    timer->deadline_ns = deadline_ns;
    if (earlier) {
        sift_up(timers, index, timer);
    } else {
        sift_down(timers, index, timer);
    }
    return ERR_OK;
}

void
net_timers_cancel(struct net_timers *timers, struct net_timer *timer)
{
    if (timer->position == 0) {
        return;
    }
    uint32_t index = timer->position - 1;
    ASSERT(index < timers->count);
    ASSERT(timers->heap[index] == timer);
    timer->position = 0;
    timers->count--;
    if (index == timers->count) {
        return;
    }
    struct net_timer *last = timers->heap[timers->count];
    if (last->deadline_ns < timer->deadline_ns) {
        sift_up(timers, index, last);
    } else {
        sift_down(timers, index, last);
    }
}

struct net_timer *
net_timers_pop_due(struct net_timers *timers, uint64_t now_ns)
{
    if (timers->count == 0 || timers->heap[0]->deadline_ns > now_ns) {
        return NULL;
    }
    struct net_timer *timer = timers->heap[0];
    net_timers_cancel(timers, timer);
    return timer;
}

uint64_t
net_timers_next_ns(const struct net_timers *timers)
{
    return timers->count == 0 ? UINT64_MAX : timers->heap[0]->deadline_ns;
}
