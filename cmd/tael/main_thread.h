/* The main thread of a command that serves: it sleeps until the end is asked for, by SIGTERM, by
 * SIGINT, or by whoever posts `wake`. A second signal ends the process at once. */
#ifndef TAEL_MAIN_THREAD_H
#define TAEL_MAIN_THREAD_H

#include "os/process.h"

#include <semaphore.h>

struct main_thread {
    sem_t wake;
    struct os_executor executor; /* what the signals are posted to */
    struct os_task end;
    struct os_signals *signals;
};

/* ERR_IO: the system has no signals for us. */
MUST_USE err_t main_thread_open(struct main_thread *thread);
void main_thread_wait(struct main_thread *thread);
void main_thread_close(struct main_thread *thread);

#endif
