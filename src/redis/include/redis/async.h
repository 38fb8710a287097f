/*
 * hiredis on a loop of sockets: one connection's descriptor is watched as hiredis asks for it.
 * Everything on the loop's thread. What is said over the connection, and what becomes of it when it
 * is lost, is its owner's.
 */
#ifndef REDIS_ASYNC_H
#define REDIS_ASYNC_H

#include "net/loop.h"
#include "net/watch.h"

#include <hiredis/async.h>

/* In the owner's memory, zeroed before its first connection but for what the owner says. */
struct redis_async {
    void *owner; /* what hiredis calls `data`: for callbacks of the connection */
    redisConnectCallback *on_connect;
    redisDisconnectCallback *on_disconnect;
    redisAsyncContext *context; /* NULL: none. The owner clears it before hiredis frees it */
    struct net_watch *watch;
    unsigned events;
};

/* Begins to connect to a numeric address. ERR_CLOSED: the system refuses at once; ERR_MEMORY and
 * net_watch_create's: there is no context. */
MUST_USE err_t redis_async_connect(
    struct redis_async *async, struct net_loop *loop, const char *address, uint16_t port);

#endif
