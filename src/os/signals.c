/*
 * Signals as a task: both signals are blocked everywhere, and one thread waits for them on a
 * descriptor, next to one that tells it to end. Nothing runs in a signal handler.
 */
#include "base/assert.h"
#include "os/process.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <unistd.h>

struct os_signals {
    struct os_executor *executor;
    struct os_task *task; /* NULL after it was posted */
    pthread_t thread;
    int signal_fd;
    int end_fd;
    sigset_t mask_before;
};

static void
handle(struct os_signals *signals, int number)
{
    if (signals->task == NULL) {
        _exit(128 + number);
    }
    os_post(signals->executor, signals->task);
    signals->task = NULL;
}

static void *
signals_main(void *argument)
{
    struct os_signals *signals = argument;
    (void)pthread_setname_np(pthread_self(), "signals");
    struct pollfd fds[2] = {
        {.fd = signals->signal_fd, .events = POLLIN},
        {.fd = signals->end_fd, .events = POLLIN},
    };
    for (;;) {
        if (poll(fds, 2, -1) < 0) {
            ASSERT(errno == EINTR);
            continue;
        }
        if (fds[1].revents != 0) {
            return NULL;
        }
        struct signalfd_siginfo info;
        ssize_t got = read(signals->signal_fd, &info, sizeof(info));
        if (got == (ssize_t)sizeof(info)) {
            handle(signals, (int)info.ssi_signo);
        }
    }
}

static void
close_fds(struct os_signals *signals)
{
    if (signals->signal_fd >= 0) {
        (void)close(signals->signal_fd);
    }
    if (signals->end_fd >= 0) {
        (void)close(signals->end_fd);
    }
}

static err_t
start(struct os_signals *signals)
{
    sigset_t mask;
    (void)sigemptyset(&mask);
    (void)sigaddset(&mask, SIGTERM);
    (void)sigaddset(&mask, SIGINT);
    int result = pthread_sigmask(SIG_BLOCK, &mask, &signals->mask_before);
    ASSERT(result == 0);
    signals->signal_fd = signalfd(-1, &mask, SFD_CLOEXEC | SFD_NONBLOCK);
    signals->end_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    int failed = signals->signal_fd < 0 || signals->end_fd < 0 ? errno : 0;
    if (failed == 0) {
        failed = pthread_create(&signals->thread, NULL, signals_main, signals);
    }
    if (failed != 0) {
        close_fds(signals);
        (void)pthread_sigmask(SIG_SETMASK, &signals->mask_before, NULL);
        return err_from_errno(failed);
    }
    return ERR_OK;
}

err_t
os_signals_create(
    struct os_executor *executor, struct os_task *task, struct os_signals **ret_signals)
{
    ASSERT(executor != NULL);
    ASSERT(task != NULL && task->run != NULL);
    struct os_signals *signals = calloc(1, sizeof(*signals));
    if (signals == NULL) {
        return ERR_MEMORY;
    }
    signals->executor = executor;
    signals->task = task;
    err_t result = start(signals);
    if (result != ERR_OK) {
        free(signals);
        return result;
    }
    *ret_signals = signals;
    return ERR_OK;
}

void
os_signals_destroy(struct os_signals **signals)
{
    struct os_signals *mine = *signals;
    if (mine == NULL) {
        return;
    }
    uint64_t one = 1;
    ssize_t put = write(mine->end_fd, &one, sizeof(one));
    ASSERT(put == (ssize_t)sizeof(one));
    int result = pthread_join(mine->thread, NULL);
    ASSERT(result == 0);
    close_fds(mine);
    result = pthread_sigmask(SIG_SETMASK, &mine->mask_before, NULL);
    ASSERT(result == 0);
    free(mine);
    *signals = NULL;
}
