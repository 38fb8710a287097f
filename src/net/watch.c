#include "net/watch.h"

#include "base/assert.h"
#include "base/list.h"

#include "loop_private.h"

#include <stdlib.h>

struct net_watch {
    uv_poll_t poll;
    void (*on_ready)(void *context, unsigned events);
    void *context;
    unsigned events;
    bool closing;
};

static void
on_closed(uv_handle_t *handle)
{
    free(CONTAINER_OF(handle, struct net_watch, poll));
}

static void
on_poll(uv_poll_t *handle, int status, int events)
{
    struct net_watch *watch = CONTAINER_OF(handle, struct net_watch, poll);
    if (watch->closing) {
        return;
    }
    unsigned ready = ((events & UV_READABLE) != 0 ? NET_WATCH_READ : 0) |
                     ((events & UV_WRITABLE) != 0 ? NET_WATCH_WRITE : 0);
    if (status < 0) {
        watch->events = 0; /* libuv has stopped watching */
        ready = NET_WATCH_READ | NET_WATCH_WRITE;
    }
    watch->on_ready(watch->context, ready);
}

err_t
net_watch_create(
    struct net_loop *loop,
    int fd,
    void (*on_ready)(void *context, unsigned events),
    void *context,
    struct net_watch **ret_watch)
{
    struct net_watch *watch = calloc(1, sizeof(*watch));
    if (watch == NULL) {
        return ERR_MEMORY;
    }
    if (uv_poll_init(net_loop_uv(loop), &watch->poll, fd) != 0) {
        free(watch);
        return ERR_IO;
    }
    watch->on_ready = on_ready;
    watch->context = context;
    *ret_watch = watch;
    return ERR_OK;
}

void
net_watch_set(struct net_watch *watch, unsigned events)
{
    ASSERT(!watch->closing);
    if (events == watch->events) {
        return;
    }
    watch->events = events;
    int wanted = ((events & NET_WATCH_READ) != 0 ? UV_READABLE : 0) |
                 ((events & NET_WATCH_WRITE) != 0 ? UV_WRITABLE : 0);
    int result =
        wanted == 0 ? uv_poll_stop(&watch->poll) : uv_poll_start(&watch->poll, wanted, on_poll);
    ASSERT(result == 0);
}

void
net_watch_destroy(struct net_watch **watch)
{
    if (*watch == NULL) {
        return;
    }
    (*watch)->closing = true;
    uv_close((uv_handle_t *)&(*watch)->poll, on_closed);
    *watch = NULL;
}
