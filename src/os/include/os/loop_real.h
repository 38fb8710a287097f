/* Loops that are threads. */
#ifndef OS_LOOP_REAL_H
#define OS_LOOP_REAL_H

#include "os/clock.h"
#include "os/loops.h"

/* Bytes of a loop's name, the zero included; what is longer is cut (Linux thread names). */
#define OS_LOOP_NAME_SIZE 16
/* How much nicer a thread that gives way is than the process: it has a quarter of a processor that
 * another thread wants all of. */
#define OS_LOOP_NICENESS 5

/* `clock` gives the time of the timers; it is borrowed and moves like the machine's. */
MUST_USE err_t os_loop_create(const char *name, struct os_clock *clock, struct os_loop **ret_loop);

/* A factory of threads with the machine's clock. Static, thread-safe. */
struct os_loops *os_loops_real(void);

#endif
