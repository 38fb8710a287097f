/* The channel on which processes tell what they changed: it is heard here, and whether it is. */
#include "redis_private.h"

#include "base/assert.h"
#include "base/list.h"
#include "os/clock.h"

#include <stdlib.h>
#include <string.h>

#define ALIVE_MS   500
#define SILENCE_NS (2 * OS_NS_PER_S)

/* Something that was heard, on its way to the user's loop. */
struct heard {
    struct os_task task;
    struct redis *redis;
    struct cache_key key;
    uint64_t version;
};

/* ------------------------------------------------------------------------------------ hearing */

/* On the user's loop. */
static void
state_run(struct os_task *task)
{
    struct redis *redis = CONTAINER_OF(task, struct redis, state_task);
    atomic_store(&redis->state_posted, false);
    redis->user->hears(redis->user, atomic_load(&redis->hears));
}

/* Also when it is as it was: something may have been missed. */
static void
state_tell(struct redis *redis, bool hears)
{
    atomic_store(&redis->hears, hears);
    if (!atomic_exchange(&redis->state_posted, true)) {
        redis->state_task.run = state_run;
        os_post(redis->user->executor, &redis->state_task);
    }
}

static void
heard_run(struct os_task *task)
{
    struct heard *heard = CONTAINER_OF(task, struct heard, task);
    struct redis *redis = heard->redis;
    redis->user->forget(redis->user, &heard->key, heard->version);
    atomic_fetch_sub_explicit(&redis->waiting, 1, memory_order_relaxed);
    free(heard);
}

static void
heard_post(struct redis *redis, const struct cache_key *key, uint64_t version)
{
    struct heard *heard = NULL;
    if (atomic_fetch_add_explicit(&redis->waiting, 1, memory_order_relaxed) <
        redis->parts.waiting_max) {
        heard = malloc(sizeof(*heard));
    }
    if (heard == NULL) {
        atomic_fetch_sub_explicit(&redis->waiting, 1, memory_order_relaxed);
        state_tell(redis, true); /* what it was about is not known any more: all of it */
        return;
    }
    *heard = (struct heard){.redis = redis, .key = *key, .version = version};
    heard->task.run = heard_run;
    os_post(redis->user->executor, &heard->task);
}

static void
on_told(redisAsyncContext *context, void *reply_data, void *data)
{
    struct redis *redis = data;
    const redisReply *reply = reply_data;
    if (reply == NULL || context != redis->ears.async.context) {
        return;
    }
    if (reply->type != REDIS_REPLY_ARRAY || reply->elements != 3 ||
        reply->element[0]->type != REDIS_REPLY_STRING) {
        redis_link_lose(&redis->ears, reply->str == NULL ? "not understood" : reply->str);
        return;
    }
    redis->heard_ns = net_now_ns();
    if (strcmp(reply->element[0]->str, "subscribe") == 0) {
        state_tell(redis, true);
        return;
    }
    const redisReply *text = reply->element[2];
    struct cache_key key;
    uint64_t version;
    if (text->type == REDIS_REPLY_STRING &&
        redis_told_decode(span_of(text->str, text->len), &key, &version) == REDIS_TOLD_FORGET) {
        redis_measure_heard();
        heard_post(redis, &key, version);
    }
}

static void
on_beat(struct net_timer *timer)
{
    struct redis *redis = CONTAINER_OF(timer, struct redis, beat);
    uint64_t now_ns = net_now_ns();
    if (redis_commands_ready(redis)) {
        (void)redisAsyncCommand(
            redis->commands.async.context, NULL, NULL, "PUBLISH %s alive", redis->channel);
    }
    if (redis->ears.state == REDIS_LINK_READY && now_ns - redis->heard_ns > SILENCE_NS) {
        redis_link_lose(&redis->ears, "silence");
    }
    err_t result = net_timer_arm(redis->parts.loop, timer, now_ns + ALIVE_MS * OS_NS_PER_MS);
    (void)result; /* then the silence is noticed by the user's lifetimes only */
}

static void
ears_ready(struct redis_link *link)
{
    struct redis *redis = CONTAINER_OF(link, struct redis, ears);
    redis->heard_ns = net_now_ns();
    if (redisAsyncCommand(link->async.context, on_told, redis, "SUBSCRIBE %s", redis->channel) !=
        REDIS_OK) {
        redis_link_lose(link, "no memory");
    }
}

static void
ears_lost(struct redis_link *link, const char *why)
{
    struct redis *redis = CONTAINER_OF(link, struct redis, ears);
    (void)why; /* the other connection says it, or it is silence */
    redis_measure_error();
    state_tell(redis, false);
}

void
redis_hearing_beat(struct redis *redis)
{
    on_beat(&redis->beat);
}

void
redis_hearing_init(struct redis *redis)
{
    redis->ears.ready = ears_ready;
    redis->ears.lost = ears_lost;
    redis->beat.fire = on_beat;
}
