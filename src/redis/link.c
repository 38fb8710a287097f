#include "link.h"

#include "base/assert.h"
#include "base/list.h"
#include "os/clock.h"

#include <stdio.h>
#include <string.h>

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
    redisAsyncContext *context = link->async.context;
    link->async.context = NULL;
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
    if (context != link->async.context) {
        return;
    }
    link->async.context = NULL;
    redis_link_lose(link, context->err != 0 ? context->errstr : "closed");
}

/* --------------------------------------------------------------------------------- the beginning
 */

static void
on_signed_in(redisAsyncContext *context, void *reply_data, void *data)
{
    struct redis_link *link = data;
    const redisReply *reply = reply_data;
    if (context != link->async.context || link->state != REDIS_LINK_CONNECTING) {
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
    if (context != link->async.context) {
        return;
    }
    if (status != REDIS_OK) {
        link->async.context = NULL; /* hiredis frees it */
        redis_link_lose(link, context->errstr);
        return;
    }
    const struct redis_url *url = link->url;
    if (url->user[0] != '\0') {
        (void)redisAsyncCommand(
            link->async.context, NULL, NULL, "AUTH %s %s", url->user, url->password);
    } else if (url->password[0] != '\0') {
        (void)redisAsyncCommand(link->async.context, NULL, NULL, "AUTH %s", url->password);
    }
    if (redisAsyncCommand(link->async.context, on_signed_in, link, "SELECT %u", url->database) !=
        REDIS_OK) {
        redisAsyncDisconnect(link->async.context);
    }
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
    err_t result = redis_async_connect(&link->async, link->loop, address, link->url->port);
    if (result != ERR_OK) {
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
    link->async.owner = link;
    link->async.on_connect = on_connect;
    link->async.on_disconnect = on_disconnect;
    link->state = REDIS_LINK_LOOKING;
    arm(link, link->timeout_ms);
    err_t result = net_resolve(
        link->loop, link->url->host, link->timeout_ms, on_resolved, link, &link->lookup);
    if (result != ERR_OK) {
        redis_link_lose(link, "no memory to look the host up");
    }
}
