/*
 * Points where a test can make the process die, wait or fail. They exist only in builds with
 * -Dfault_points=true; elsewhere they compile to nothing.
 *
 *     FAULT_POINT("payments.authorized");
 *     if (FAULT_ERROR("cards.wipe")) {
 *         return ERR_IO;
 *     }
 *
 * The environment variable TAEL_FAULT arms them: NAME:ACTION, several separated by commas, where
 * ACTION is `crash` (as kill -9), `error` (FAULT_ERROR answers true) or `delay=MILLISECONDS`.
 * NAME@3:ACTION acts on the third time only. A text that does not parse stops the process, so that
 * no test passes because its fault was misspelt. Thread-safe.
 */
#ifndef OS_FAULT_H
#define OS_FAULT_H

#include <stdbool.h>

/* FAULT_POINTS: whether the build has them, which `tael version --json` tells. */
#ifdef TAEL_FAULT_POINTS

#    define FAULT_POINTS      true
#    define FAULT_POINT(name) ((void)os_fault_hit(name))
#    define FAULT_ERROR(name) os_fault_hit(name)

#else

#    define FAULT_POINTS      false
#    define FAULT_POINT(name) ((void)0)
#    define FAULT_ERROR(name) false

#endif

/* Counts the hit and acts; true if the caller shall fail. Called through the macros only. */
bool os_fault_hit(const char *name);

#endif
