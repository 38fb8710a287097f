#include "os/thread.h"

#include "base/assert.h"

#include <signal.h>

err_t
os_thread_start(pthread_t *ret_thread, void *(*run)(void *argument), void *argument)
{
    sigset_t all;
    sigset_t before;
    (void)sigfillset(&all);
    int result = pthread_sigmask(SIG_SETMASK, &all, &before);
    ASSERT(result == 0);
    int created = pthread_create(ret_thread, NULL, run, argument);
    result = pthread_sigmask(SIG_SETMASK, &before, NULL);
    ASSERT(result == 0);
    return created == 0 ? ERR_OK : err_from_errno(created);
}
