#include "redis/async.h"

static void
on_ready(void *context, unsigned events)
{
    struct redis_async *async = context;
    if ((events & NET_WATCH_READ) != 0 && async->context != NULL) {
        redisAsyncHandleRead(async->context);
    }
    if ((events & NET_WATCH_WRITE) != 0 && async->context != NULL && async->watch != NULL) {
        redisAsyncHandleWrite(async->context);
    }
}

static void
watch_change(struct redis_async *async, unsigned set, unsigned clear)
{
    async->events = (async->events | set) & ~clear;
    if (async->watch != NULL) {
        net_watch_set(async->watch, async->events);
    }
}

static void
add_read(void *data)
{
    watch_change(data, NET_WATCH_READ, 0);
}

static void
delete_read(void *data)
{
    watch_change(data, 0, NET_WATCH_READ);
}

static void
add_write(void *data)
{
    watch_change(data, NET_WATCH_WRITE, 0);
}

static void
delete_write(void *data)
{
    watch_change(data, 0, NET_WATCH_WRITE);
}

static void
clean_up(void *data)
{
    struct redis_async *async = data;
    net_watch_destroy(&async->watch);
    async->events = 0;
}

err_t
redis_async_connect(
    struct redis_async *async, struct net_loop *loop, const char *address, uint16_t port)
{
    redisAsyncContext *context = redisAsyncConnect(address, port);
    if (context == NULL) {
        return ERR_MEMORY;
    }
    if (context->err != 0) {
        redisAsyncFree(context);
        return ERR_CLOSED;
    }
    err_t result = net_watch_create(loop, context->c.fd, on_ready, async, &async->watch);
    if (result != ERR_OK) {
        redisAsyncFree(context);
        return result;
    }
    async->context = context;
    async->events = 0;
    context->data = async->owner;
    context->ev.data = async;
    context->ev.addRead = add_read;
    context->ev.delRead = delete_read;
    context->ev.addWrite = add_write;
    context->ev.delWrite = delete_write;
    context->ev.cleanup = clean_up;
    (void)redisAsyncSetConnectCallback(context, async->on_connect);
    (void)redisAsyncSetDisconnectCallback(context, async->on_disconnect);
    return ERR_OK;
}
