/*
 * Starting threads of the process's own: loops, and the crews that help them.
 */
#ifndef OS_THREAD_H
#define OS_THREAD_H

#include "base/err.h"

#include <pthread.h>

/* As pthread_create, with every signal blocked in the new thread: signals are for os/process.h
 * alone. What the system answered if there is none. */
MUST_USE err_t os_thread_start(pthread_t *ret_thread, void *(*run)(void *argument), void *argument);

#endif
