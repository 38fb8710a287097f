/*
 * A socket that another library owns, watched by a net loop: for clients of databases and caches
 * that tell when they want to read or write (hiredis, libpq).
 *
 *     net_watch_create(loop, fd, on_ready, context, &watch);
 *     net_watch_set(watch, NET_WATCH_READ);
 *     ...
 *     net_watch_destroy(&watch);     ... before the library closes the socket ...
 *
 * Everything on the loop's thread.
 */
#ifndef NET_WATCH_H
#define NET_WATCH_H

#include "net/loop.h"

struct net_watch;

#define NET_WATCH_READ  1U
#define NET_WATCH_WRITE 2U

/* `events` are those of NET_WATCH_* that came; both after an error of the socket. It may destroy
 * the watch. ERR_MEMORY, ERR_IO. */
MUST_USE err_t net_watch_create(
    struct net_loop *loop,
    int fd,
    void (*on_ready)(void *context, unsigned events),
    void *context,
    struct net_watch **ret_watch);
/* What is waited for from now on; 0: nothing. */
void net_watch_set(struct net_watch *watch, unsigned events);
/* Its memory goes when the loop has let go of it: before the loop stops there must be one more
 * turn, which net_loop_stop makes. Accepts NULL inside. */
void net_watch_destroy(struct net_watch **watch);

#endif
