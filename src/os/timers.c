#include "timers.h"

#include "base/assert.h"

static bool
fires_before(const struct os_timer *a, const struct os_timer *b)
{
    if (a->deadline_ns != b->deadline_ns) {
        return a->deadline_ns < b->deadline_ns;
    }
    return a->sequence < b->sequence;
}

/* Two roots become one; either may be NULL. */
static struct os_timer *
meld(struct os_timer *a, struct os_timer *b)
{
    if (a == NULL || b == NULL) {
        return a != NULL ? a : b;
    }
    struct os_timer *first = fires_before(b, a) ? b : a;
    struct os_timer *second = first == a ? b : a;
    second->prev = first;
    second->sibling = first->child;
    if (first->child != NULL) {
        first->child->prev = second;
    }
    first->child = second;
    first->prev = NULL;
    first->sibling = NULL;
    return first;
}

/* Siblings become one root: in pairs from the left, then the pairs from the right. */
static struct os_timer *
meld_siblings(struct os_timer *first)
{
    struct os_timer *pairs = NULL; /* a stack through `sibling` */
    while (first != NULL) {
        struct os_timer *second = first->sibling;
        struct os_timer *rest = second != NULL ? second->sibling : NULL;
        first->sibling = NULL;
        first->prev = NULL;
        if (second != NULL) {
            second->sibling = NULL;
            second->prev = NULL;
        }
        struct os_timer *pair = meld(first, second);
        pair->sibling = pairs;
        pairs = pair;
        first = rest;
    }
    struct os_timer *root = NULL;
    while (pairs != NULL) {
        struct os_timer *rest = pairs->sibling;
        pairs->sibling = NULL;
        root = meld(root, pairs);
        pairs = rest;
    }
    return root;
}

static void
take_out(struct os_timers *timers, struct os_timer *timer)
{
    ASSERT(timers->root != NULL);
    if (timer == timers->root) {
        timers->root = meld_siblings(timer->child);
    } else {
        struct os_timer *prev = timer->prev;
        ASSERT(prev != NULL);
        if (prev->child == timer) {
            prev->child = timer->sibling;
        } else {
            ASSERT(prev->sibling == timer);
            prev->sibling = timer->sibling;
        }
        if (timer->sibling != NULL) {
            timer->sibling->prev = prev;
        }
        timers->root = meld(timers->root, meld_siblings(timer->child));
    }
    timer->deadline_ns = 0;
    timer->child = NULL;
    timer->sibling = NULL;
    timer->prev = NULL;
}

void
os_timers_arm(struct os_timers *timers, struct os_timer *timer, uint64_t deadline_ns)
{
    ASSERT(timer->fire != NULL);
    if (os_timer_is_armed(timer)) {
        take_out(timers, timer);
    }
    timer->deadline_ns = deadline_ns != 0 ? deadline_ns : 1;
    timer->sequence = ++timers->sequence;
    timer->child = NULL;
    timer->sibling = NULL;
    timer->prev = NULL;
    timers->root = meld(timers->root, timer);
}

void
os_timers_cancel(struct os_timers *timers, struct os_timer *timer)
{
    if (os_timer_is_armed(timer)) {
        take_out(timers, timer);
    }
}

struct os_timer *
os_timers_pop_due(struct os_timers *timers, uint64_t now_ns)
{
    struct os_timer *timer = timers->root;
    if (timer == NULL || timer->deadline_ns > now_ns) {
        return NULL;
    }
    take_out(timers, timer);
    return timer;
}

uint64_t
os_timers_next_ns(const struct os_timers *timers)
{
    return timers->root != NULL ? timers->root->deadline_ns : 0;
}
