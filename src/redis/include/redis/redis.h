/*
 * port/cache.h by a Redis (redis.io): hiredis on a loop of sockets, which it never
 * blocks.
 *
 *     redis_create(&parts, &redis, message);      before the loops run
 *     redis_start(redis);                         when they do
 *     ... redis_port(redis) ...
 *     redis_stop(redis);                          while they still do
 *     redis_destroy(&redis);
 *
 * Two connections: one for commands, one that listens to the channel on which all processes tell
 * what they changed. Each process says something twice a second; who hears nothing for two seconds
 * takes the connection for lost. While it does not hear, `hears(false)` holds.
 *
 * What is in Redis: PREFIX + "r:" + 32 hex digits is a text, "V" + 20 digits of the version + the
 * value, or "F" + 20 digits + (16 hex digits of a lease, or nothing). PREFIX + "told" is the
 * channel. Everything expires. Whatever else is found there is taken for nothing, and overwritten.
 *
 * REDIS-1  A question is answered once, and within `timeout_ms` of its arrival on the loop.
 * REDIS-2  A value is stored only by who has the lease, and not below a version that was told of:
 *          each step is one script, which Redis runs alone.
 * REDIS-3  What is told while the connection is gone, or beyond `waiting_max`, is lost and counted.
 * REDIS-4  After any gap in what was heard, `hears` is called before anything heard after it.
 */
#ifndef REDIS_REDIS_H
#define REDIS_REDIS_H

#include "base/buf.h"
#include "net/loop.h"
#include "os/entropy.h"
#include "port/cache.h"
#include "trace/log.h"

#define REDIS_MESSAGE_SIZE 256

struct redis;

struct redis_parts {
    struct net_loop *loop;
    struct os_entropy *entropy;
    struct trace_log *log; /* NULL: nowhere */
    const char *url;      /* redis://[USER[:PASSWORD]@]HOST:PORT[/DATABASE]; `:PASSWORD@` is fine */
    const char *prefix;   /* of keys and channel; at most 63 characters */
    uint32_t timeout_ms;  /* for an answer; also until a connection is there */
    uint32_t retry_ms;    /* between attempts to connect */
    uint32_t waiting_max; /* commands and messages under way */
};

/* ERR_INVALID: the URL, with a message; ERR_MEMORY. */
MUST_USE err_t redis_create(
    const struct redis_parts *parts, struct redis **ret_redis, char message[REDIS_MESSAGE_SIZE]);
void redis_start(struct redis *redis);
/* While the loop runs; questions under way are answered (lost). Nothing may be asked any more. */
void redis_stop(struct redis *redis);
/* Accepts NULL inside. After the loops have ended. */
void redis_destroy(struct redis **redis);
struct port_cache *redis_port(struct redis *redis);
/* Whether commands get through. Any thread. */
bool redis_connected(const struct redis *redis);
/* Prometheus text. Any thread. */
void redis_metrics_render(struct buf *out);

#endif
