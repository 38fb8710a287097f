/*
 * Where loops come from: whoever needs a thread of its own asks this factory for a loop, and so
 * runs unchanged on threads (os/loop_real.h) and in the simulation (os/sim.h).
 */
#ifndef OS_LOOPS_H
#define OS_LOOPS_H

#include "os/crew.h"
#include "os/loop.h"

struct os_loops {
    /* A loop that is not started. `name` is copied. The caller stops and destroys it. */
    err_t (*create)(struct os_loops *loops, const char *name, struct os_loop **ret_loop);
    /* NULL where loops are no threads. */
    err_t (*crew)(const char *name, uint32_t size, struct os_crew **ret_crew);
};

MUST_USE static inline err_t
os_loops_create(struct os_loops *loops, const char *name, struct os_loop **ret_loop)
{
    return loops->create(loops, name, ret_loop);
}

/* A crew of `size` threads; none (NULL) in the simulation, where everything is done by its owner.
 */
MUST_USE static inline err_t
os_loops_crew(struct os_loops *loops, const char *name, uint32_t size, struct os_crew **ret_crew)
{
    *ret_crew = NULL;
    return loops->crew == NULL ? ERR_OK : loops->crew(name, size, ret_crew);
}

#endif
