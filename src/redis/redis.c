/* The client's life: made, started, stopped, freed. */
#include "redis_private.h"

#include "base/assert.h"
#include "base/list.h"
#include "os/clock.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void
start_run(struct os_task *task)
{
    struct redis *redis = CONTAINER_OF(task, struct redis, start_task);
    redis_link_start(&redis->commands);
    redis_link_start(&redis->ears);
    redis_hearing_beat(redis);
}

static void
stop_run(struct os_task *task)
{
    struct redis *redis = CONTAINER_OF(task, struct redis, stop_task);
    redis_link_stop(&redis->commands);
    redis_link_stop(&redis->ears);
    net_timer_cancel(redis->parts.loop, &redis->beat);
    net_timer_cancel(redis->parts.loop, &redis->deadline);
    atomic_store(&redis->connected, false);
    redis_measure_connected(false);
    (void)sem_post(&redis->stopped);
}

void
redis_start(struct redis *redis)
{
    ASSERT(redis->user != NULL);
    redis->started = true;
    redis->start_task.run = start_run;
    os_post(net_loop_executor(redis->parts.loop), &redis->start_task);
}

void
redis_stop(struct redis *redis)
{
    if (!redis->started) {
        return;
    }
    redis->started = false;
    atomic_store(&redis->ended, true);
    redis->stop_task.run = stop_run;
    os_post(net_loop_executor(redis->parts.loop), &redis->stop_task);
    while (sem_wait(&redis->stopped) != 0) {
    }
}

static void
port_use(struct port_cache *port, struct port_cache_user *user)
{
    struct redis *redis = CONTAINER_OF(port, struct redis, port);
    ASSERT(redis->user == NULL);
    redis->user = user;
}

static void
link_init(struct redis *redis, struct redis_link *link)
{
    *link = (struct redis_link){
        .loop = redis->parts.loop,
        .url = &redis->url,
        .timeout_ms = redis->parts.timeout_ms,
        .retry_ms = redis->parts.retry_ms,
    };
}

err_t
redis_create(
    const struct redis_parts *parts, struct redis **ret_redis, char message[REDIS_MESSAGE_SIZE])
{
    ASSERT(strlen(parts->prefix) < REDIS_PREFIX_SIZE);
    struct redis_url url;
    if (!redis_url_parse(span_from_cstr(parts->url), &url, message)) {
        return ERR_INVALID;
    }
    struct redis *redis = calloc(1, sizeof(*redis));
    if (redis == NULL || sem_init(&redis->stopped, 0, 0) != 0) {
        free(redis);
        return ERR_MEMORY;
    }
    redis->port.use = port_use;
    redis->parts = *parts;
    redis->url = url;
    (void)snprintf(redis->prefix, sizeof(redis->prefix), "%s", parts->prefix);
    (void)snprintf(redis->channel, sizeof(redis->channel), "%stold", redis->prefix);
    link_init(redis, &redis->commands);
    link_init(redis, &redis->ears);
    redis_commands_init(redis);
    redis_hearing_init(redis);
    explicit_bzero(&url, sizeof(url));
    *ret_redis = redis;
    return ERR_OK;
}

void
redis_destroy(struct redis **redis_at)
{
    struct redis *redis = *redis_at;
    if (redis == NULL) {
        return;
    }
    ASSERT(!redis->started);
    explicit_bzero(&redis->url, sizeof(redis->url));
    (void)sem_destroy(&redis->stopped);
    free(redis);
    *redis_at = NULL;
}

struct port_cache *
redis_port(struct redis *redis)
{
    return &redis->port;
}

bool
redis_connected(const struct redis *redis)
{
    return atomic_load(&redis->connected);
}
