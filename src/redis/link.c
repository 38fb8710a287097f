#include "link.h"

#include "base/assert.h"
#include "base/list.h"
#include "os/clock.h"

#include <stdio.h>
#include <string.h>

/* ---------------------------------------------------------------------------- hiredis and loop */

static void
on_ready(void *context, unsigned events)
{
    struct redis_link *link = context;
    if ((events & NET_WATCH_READ) != 0 && link->context != NULL) {
        redisAsyncHandleRead(link->context);
    }
    if ((events & NET_WATCH_WRITE) != 0 && link->context != NULL && link->watch != NULL) {
        redisAsyncHandleWrite(link->context);
    }
}

static void
watch_change(struct redis_link *link, unsigned set, unsigned clear)
{
    link->events = (link->events | set) & ~clear;
    if (link->watch != NULL) {
        net_watch_set(link->watch, link->events);
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
    struct redis_link *link = data;
    net_watch_destroy(&link->watch);
    link->events = 0;
}

/* ------------------------------------------------------------------------------------- the end */

static void
arm(struct redis_link *link, uint32_t after_ms)
{
    err_t result = net_timer_arm(link->loop, &link->timer, net_now_ns() + after_ms * OS_NS_PER_MS);
    (void)result; /* without memory for a pointer there is no next attempt until somebody asks */
}

static void
say_why(struct redis_link *link, const char *why)
{
    (void)snprintf(link->why, sizeof(link->why), "%s", why);
}

/* Frees the context: hiredis calls back for each question, without an answer. */
static void
end(struct redis_link *link)
{
    redisAsyncContext *context = link->context;
    link->context = NULL;
    if (link->lookup != NULL) {
        net_resolve_forget(link->lookup);
        link->lookup = NULL;
    }
    if (context != NULL) {
        redisAsyncFree(context);
    }
}

void
redis_link_lose(struct redis_link *link, const char *why)
{
    if (link->state == REDIS_LINK_STOPPED || link->state == REDIS_LINK_IDLE) {
        return;
    }
    link->state = REDIS_LINK_IDLE;
    say_why(link, why);
    end(link);
    arm(link, link->retry_ms);
    link->lost(link, link->why);
}

void
redis_link_stop(struct redis_link *link)
{
    link->state = REDIS_LINK_STOPPED;
    end(link);
    net_timer_cancel(link->loop, &link->timer);
}

/* hiredis ends it, and frees the context. */
static void
on_disconnect(const redisAsyncContext *context, int status)
{
    struct redis_link *link = context->data;
    (void)status;
    if (context != link->context) {
        return;
    }
    link->context = NULL;
    redis_link_lose(link, context->err != 0 ? context->errstr : "closed");
}

/* --------------------------------------------------------------------------------- the beginning
 */

static void
on_signed_in(redisAsyncContext *context, void *reply_data, void *data)
{
    struct redis_link *link = data;
    const redisReply *reply = reply_data;
    if (context != link->context || link->state != REDIS_LINK_CONNECTING) {
        return;
    }
    if (reply == NULL || reply->type == REDIS_REPLY_ERROR) {
        say_why(link, reply == NULL || reply->str == NULL ? "no answer" : reply->str);
        redisAsyncDisconnect(context);
        return;
    }
    net_timer_cancel(link->loop, &link->timer);
    link->state = REDIS_LINK_READY;
    link->ready(link);
}

/* An error of AUTH makes what follows fail, too, and is named by that. */
static void
on_connect(const redisAsyncContext *context, int status)
{
    struct redis_link *link = context->data;
    if (context != link->context) {
        return;
    }
    if (status != REDIS_OK) {
        link->context = NULL; /* hiredis frees it */
        redis_link_lose(link, context->errstr);
        return;
    }
    const struct redis_url *url = link->url;
    if (url->user[0] != '\0') {
        (void)redisAsyncCommand(link->context, NULL, NULL, "AUTH %s %s", url->user, url->password);
    } else if (url->password[0] != '\0') {
        (void)redisAsyncCommand(link->context, NULL, NULL, "AUTH %s", url->password);
    }
    if (redisAsyncCommand(link->context, on_signed_in, link, "SELECT %u", url->database) !=
        REDIS_OK) {
        redisAsyncDisconnect(link->context);
    }
}

static err_t
context_open(struct redis_link *link, const char *address)
{
    redisAsyncContext *context = redisAsyncConnect(address, link->url->port);
    if (context == NULL) {
        return ERR_MEMORY;
    }
    if (context->err != 0) {
        redisAsyncFree(context);
        return ERR_CLOSED;
    }
    err_t result = net_watch_create(link->loop, context->c.fd, on_ready, link, &link->watch);
    if (result != ERR_OK) {
        redisAsyncFree(context);
        return result;
    }
    link->context = context;
    link->events = 0;
    context->data = link;
    context->ev.data = link;
    context->ev.addRead = add_read;
    context->ev.delRead = delete_read;
    context->ev.addWrite = add_write;
    context->ev.delWrite = delete_write;
    context->ev.cleanup = clean_up;
    (void)redisAsyncSetConnectCallback(context, on_connect);
    (void)redisAsyncSetDisconnectCallback(context, on_disconnect);
    return ERR_OK;
}

static void
on_resolved(void *data, const struct net_resolution *resolution)
{
    struct redis_link *link = data;
    link->lookup = NULL;
    if (resolution->result != ERR_OK) {
        redis_link_lose(link, "the host is not found");
        return;
    }
    link->state = REDIS_LINK_CONNECTING;
    const char *address = resolution->addresses[link->attempts++ % resolution->count];
    if (context_open(link, address) != ERR_OK) {
        redis_link_lose(link, "no connection");
    }
}

static void
on_timer(struct net_timer *timer)
{
    struct redis_link *link = CONTAINER_OF(timer, struct redis_link, timer);
    if (link->state == REDIS_LINK_IDLE) {
        redis_link_start(link);
    } else if (link->state != REDIS_LINK_READY) {
        redis_link_lose(link, "no connection in time");
    }
}

void
redis_link_start(struct redis_link *link)
{
    ASSERT(link->state == REDIS_LINK_IDLE);
    link->timer.fire = on_timer;
    link->state = REDIS_LINK_LOOKING;
    arm(link, link->timeout_ms);
    if (net_resolve(link->loop, link->url->host, on_resolved, link, &link->lookup) != ERR_OK) {
        redis_link_lose(link, "no memory to look the host up");
    }
}
