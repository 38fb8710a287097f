/* Copies of rows that several servers on one database share: the way to Redis. */
#include "roles.h"

#include "redis/redis.h"

#include <string.h>

#define IN_MEMORY    "memory"
#define CACHE_PREFIX "tael:"
#define TIMEOUT_MS   250
#define RETRY_MS     1000
#define WAITING_MAX  16384

/* Before the documents, whose runtime uses it. */
static err_t
cache_role_open(struct node *node)
{
    const struct node_settings *settings = &node->settings;
    if (settings->cache[0] == '\0') {
        return ERR_OK;
    }
    if (settings->documents[0] == '\0') {
        return node_misuse(
            node, "cache: only with --documents=postgres://...; else they are in this process");
    }
    if (strcmp(settings->cache, IN_MEMORY) == 0) {
        return ERR_OK;
    }
    char message[REDIS_MESSAGE_SIZE] = "";
    const struct redis_parts parts = {
        .loop = node->net_loop,
        .entropy = node->entropy,
        .log = &node->log,
        .url = settings->cache,
        .prefix = CACHE_PREFIX,
        .timeout_ms = TIMEOUT_MS,
        .retry_ms = RETRY_MS,
        .waiting_max = WAITING_MAX,
    };
    err_t result = redis_create(&parts, &node->redis, message);
    if (result != ERR_OK) {
        node_explain(node, "cache: %s", message[0] == '\0' ? err_text(result) : message);
    }
    return result;
}

static void
cache_role_start(struct node *node)
{
    if (node->redis != NULL) {
        redis_start(node->redis);
    }
}

static void
cache_role_drain(struct node *node)
{
    if (node->redis != NULL) {
        redis_stop(node->redis);
    }
}

static void
cache_role_close(struct node *node)
{
    redis_destroy(&node->redis);
}

static void
cache_role_metrics(const struct node *node, struct buf *out)
{
    if (node->redis != NULL) {
        redis_metrics_render(out);
    }
}

const struct role role_cache = {
    .name = "cache",
    .parts = NODE_DOCUMENTS,
    .open = cache_role_open,
    .start = cache_role_start,
    .drain = cache_role_drain,
    .close = cache_role_close,
    .metrics = cache_role_metrics,
};
