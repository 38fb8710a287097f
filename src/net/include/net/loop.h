/*
 * The loop of sockets: one thread that owns servers, clients and timers (libuv underneath).
 *
 *     net_loop_create("net", &loop);
 *     ... create servers and clients on it, listen ...
 *     net_loop_start(loop);
 *     ...
 *     ... stop servers and clients ...
 *     net_loop_stop(loop);
 *     net_loop_destroy(&loop);
 *
 * The thread blocks every signal, so that a write to a closed socket never raises SIGPIPE there.
 */
#ifndef NET_LOOP_H
#define NET_LOOP_H

#include "base/err.h"
#include "os/loop.h"

#include <stdbool.h>
#include <stdint.h>

struct net_loop;

/* `name` (at most 15 bytes are shown by the system) must outlive the loop. ERR_MEMORY,
 * or what the system says: ERR_FULL, say, if it has no more files. */
MUST_USE err_t net_loop_create(const char *name, struct net_loop **ret_loop);
/* Starts the thread; once. ERR_IO if the system has no thread for us. */
MUST_USE err_t net_loop_start(struct net_loop *loop);
/* Runs the tasks that wait now, then ends the thread and waits for it. Every server and client on
 * it was stopped before. Not from the loop's thread. NULL and a loop that never started are fine.
 */
void net_loop_stop(struct net_loop *loop);
/* Accepts NULL and a loop that never started; not a running one. */
void net_loop_destroy(struct net_loop **loop);

/* Posts tasks to the loop's thread: a whole chain costs one wake-up at most. Usable from create
 * on; tasks run in the order of posting once the loop runs. */
struct os_executor *net_loop_executor(struct net_loop *loop);
/* Whether the caller runs on the loop's thread. */
bool net_loop_is_current(const struct net_loop *loop);
/* The monotonic clock in nanoseconds, the same as os_monotonic_ns of the real clock. Any thread. */
uint64_t net_now_ns(void);

/* A one-shot timer. Zeroed: not armed. The owner keeps it until it fired or was cancelled. */
struct net_timer {
    void (*fire)(struct net_timer *timer); /* on the loop's thread; may arm it again */
    uint64_t deadline_ns;                  /* monotonic */
    uint32_t position;                     /* the loop's: 1 + index in its heap, 0 not armed */
};

/* On the loop's thread. Arming an armed timer moves it. Fires at the deadline or up to about a
 * millisecond later, never before. ERR_MEMORY or ERR_FULL (1,048,576 timers): not armed. */
MUST_USE err_t net_timer_arm(struct net_loop *loop, struct net_timer *timer, uint64_t deadline_ns);
void net_timer_cancel(struct net_loop *loop, struct net_timer *timer);

/* Runs `task` on the loop's thread each time the process gets the signal (SIGTERM, SIGINT, SIGHUP):
 * the task must be ready for another run before it returns. At most 4 a loop; before the loop
 * starts. Some thread of the process must not block the signal. */
MUST_USE err_t net_loop_on_signal(struct net_loop *loop, int signal_number, struct os_task *task);

#endif
