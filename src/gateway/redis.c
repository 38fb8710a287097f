/*
 * Limits that gateways share: token buckets in a Redis, one Lua script, so that each decision is
 * one atomic step there, by Redis's own clock. hiredis on the net loop; requests of one turn leave
 * in one write.
 *
 * REDIS-1  A request that was asked for goes on exactly once: by the answer, or by falling back to
 *          the local limits, whichever comes first.
 * REDIS-2  No request waits for Redis longer than `timeout`. After a failure none waits at all for
 *          `retry_after`.
 */
#include "gateway_private.h"

#include "base/assert.h"
#include "redis/async.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NS_PER_MS          UINT64_C(1000000)
#define PASSWORD_MAX       512
#define COMMAND_ARGS       (3 + 3 * GATEWAY_LIMIT_CHECKS_MAX)
#define CONNECT_TIMEOUT_MS 1000

/*
 * KEYS: one bucket a rule. ARGV: of each the interval in nanoseconds and the burst. All or none are
 * taken (LIMIT-2). The same algorithm as limit.c; times are microseconds of Redis's clock, modulo
 * 115 days so that a double holds thousandths of them. A time that cannot be, such as one from
 * before the clock went back or around, is no debt. Answers 0, or the microseconds to wait.
 */
static const char script[] =
    "local t = redis.call('TIME')\n"
    "local now = (tonumber(t[1]) % 10000000) * 1000000 + tonumber(t[2])\n"
    "local full = {}\n"
    "local wait = 0\n"
    "for i = 1, #KEYS do\n"
    "  local interval = tonumber(ARGV[2 * i - 1]) / 1000\n"
    "  local tolerance = interval * (tonumber(ARGV[2 * i]) - 1)\n"
    "  local at = tonumber(redis.call('GET', KEYS[i]) or now)\n"
    "  if at < now or at > now + tolerance + 2 * interval + 1000000 then at = now end\n"
    "  local ahead = at - now - tolerance\n"
    "  if ahead > wait then wait = ahead end\n"
    "  full[i] = at + interval\n"
    "end\n"
    "if wait > 0 then return math.ceil(wait) end\n"
    "for i = 1, #KEYS do\n"
    "  redis.call('SET', KEYS[i], string.format('%.3f', full[i]), 'PX',\n"
    "             math.ceil((full[i] - now) / 1000) + 1000)\n"
    "end\n"
    "return 0\n";

enum state {
    STATE_IDLE, /* not connected; tried again at retry_ns */
    STATE_CONNECTING,
    STATE_LOADING, /* the script is on its way */
    STATE_READY,
    STATE_STOPPED,
};

struct gateway_redis {
    struct gateway *gateway;
    struct gateway_redis_config config;
    uint32_t generations; /* that want it; operations loop */
    char host[GATEWAY_HOST_SIZE + 8];
    uint16_t port;
    char password[PASSWORD_MAX];

    /* Loop. */
    enum state state;
    struct redis_async async;
    char sha[41];
    uint64_t retry_ns; /* not before */
    /* Asked and not answered, oldest first: Redis answers in order. */
    struct ask *first;
    struct ask *last;
    uint32_t ask_count;
    struct net_timer timer; /* the oldest's deadline, or the connection's */
    struct os_task stop_task;
    sem_t stopped;
    struct gateway_redis_counters counters;
};

/* One question. It outlives its request, which may fall back before the answer comes. */
struct ask {
    struct ask *next;
    struct gateway_redis *redis;
    struct gateway_request *request; /* NULL: it went on already */
    uint64_t deadline_ns;
};

static void lost(struct gateway_redis *redis);

/* -------------------------------------------------------------------------------------- asking */

static void
timer_set(struct gateway_redis *redis)
{
    if (redis->first == NULL) {
        if (redis->state != STATE_CONNECTING && redis->state != STATE_LOADING) {
            net_timer_cancel(redis->gateway->parts.loop, &redis->timer);
        }
        return;
    }
    err_t result =
        net_timer_arm(redis->gateway->parts.loop, &redis->timer, redis->first->deadline_ns);
    (void)result; /* without memory for a pointer the answer has to do */
}

static void
ask_fall_back(struct ask *ask)
{
    struct gateway_request *request = ask->request;
    if (request == NULL) {
        return;
    }
    ask->request = NULL;
    ask->redis->counters.fell_back++;
    gateway_limits_fall_back(request);
}

/* hiredis answers in order, so the question is the oldest. */
static void
on_answer(redisAsyncContext *context, void *reply_data, void *data)
{
    struct ask *ask = data;
    struct gateway_redis *redis = ask->redis;
    const redisReply *reply = reply_data;
    (void)context;
    ASSERT(redis->first == ask);
    redis->first = ask->next;
    if (redis->first == NULL) {
        redis->last = NULL;
    }
    redis->ask_count--;
    struct gateway_request *request = ask->request;
    bool good = reply != NULL && reply->type == REDIS_REPLY_INTEGER;
    if (!good) {
        redis->counters.errors++;
        ask_fall_back(ask);
    } else {
        redis->counters.answered++;
        if (request != NULL) {
            uint64_t wait_us = (uint64_t)reply->integer;
            gateway_limits_decided(request, wait_us == 0, wait_us * OS_NS_PER_US);
        }
    }
    free(ask);
    timer_set(redis);
    if (reply != NULL && !good && redis->state == STATE_READY) {
        lost(redis); /* the script is gone, or it is no Redis: from the beginning */
    }
}

/* What a bucket is called there: no key is in it, only its hash. */
static int
bucket_name(const struct gateway_redis *redis, uint64_t subject, char out[128])
{
    return snprintf(out, 128, "%s%016" PRIx64, redis->config.prefix, subject);
}

struct hash_key
gateway_redis_hash_key(const struct gateway_redis *redis)
{
    static const struct hash_key fixed = {5, 6};
    return (struct hash_key){
        .k0 = hash_keyed(fixed, span_from_cstr(redis->config.prefix)),
        .k1 = hash_keyed(fixed, span_from_cstr(redis->password)),
    };
}

bool
gateway_redis_ask(struct gateway_redis *redis, struct gateway_request *request)
{
    uint64_t now_ns = net_now_ns();
    redis->counters.asked++;
    if (redis->state == STATE_IDLE && now_ns >= redis->retry_ns) {
        gateway_redis_connect(redis);
    }
    struct ask *ask = NULL;
    if (redis->state == STATE_READY && redis->ask_count < (uint32_t)redis->config.in_flight_max) {
        ask = calloc(1, sizeof(*ask));
    }
    if (ask == NULL) {
        redis->counters.fell_back++;
        return false;
    }
    char names[GATEWAY_LIMIT_CHECKS_MAX][128];
    char numbers[2 * GATEWAY_LIMIT_CHECKS_MAX][24];
    const char *arguments[COMMAND_ARGS] = {"EVALSHA", redis->sha};
    char key_count[12];
    int count = 3;
    int keys = 0;
    for (uint32_t i = 0; i < request->check_count; i++) {
        if (request->checks[i].rule.interval_ns != 0) {
            (void)bucket_name(redis, request->shared[i], names[keys]);
            arguments[count++] = names[keys++];
        }
    }
    keys = 0;
    for (uint32_t i = 0; i < request->check_count; i++) {
        const struct gateway_limit_rule *rule = &request->checks[i].rule;
        if (rule->interval_ns != 0) {
            (void)snprintf(numbers[keys], 24, "%" PRIu64, rule->interval_ns);
            arguments[count++] = numbers[keys++];
            (void)snprintf(numbers[keys], 24, "%" PRIu32, rule->burst);
            arguments[count++] = numbers[keys++];
        }
    }
    (void)snprintf(key_count, sizeof(key_count), "%d", keys / 2);
    arguments[2] = key_count;
    *ask = (struct ask){
        .redis = redis,
        .request = request,
        .deadline_ns = now_ns + (uint64_t)redis->config.timeout * NS_PER_MS,
    };
    if (redisAsyncCommandArgv(redis->async.context, on_answer, ask, count, arguments, NULL) !=
        REDIS_OK) {
        free(ask);
        redis->counters.fell_back++;
        return false;
    }
    if (redis->last == NULL) {
        redis->first = ask;
    } else {
        redis->last->next = ask;
    }
    redis->last = ask;
    redis->ask_count++;
    timer_set(redis);
    return true;
}

/* ---------------------------------------------------------------------------------- connection */

/* Frees the context: hiredis calls on_answer for each question, without an answer. */
static void
lost(struct gateway_redis *redis)
{
    redisAsyncContext *context = redis->async.context;
    redis->async.context = NULL;
    if (redis->state != STATE_STOPPED) {
        redis->state = STATE_IDLE;
    }
    redis->counters.connected = false;
    redis->retry_ns = net_now_ns() + (uint64_t)redis->config.retry_after * NS_PER_MS;
    if (context != NULL) {
        redisAsyncFree(context);
    }
    timer_set(redis);
}

/* The oldest question, or the connection, took too long: all fall back, and it begins anew. */
static void
on_timer(struct net_timer *timer)
{
    struct gateway_redis *redis = CONTAINER_OF(timer, struct gateway_redis, timer);
    redis->counters.errors++;
    lost(redis);
}

static void
on_loaded(redisAsyncContext *context, void *reply_data, void *data)
{
    struct gateway_redis *redis = data;
    const redisReply *reply = reply_data;
    if (context != redis->async.context) {
        return; /* it is being freed */
    }
    if (reply == NULL || reply->type != REDIS_REPLY_STRING || reply->len != 40) {
        redis->counters.errors++;
        redis->state = STATE_CONNECTING; /* the disconnect that follows ends it */
        redisAsyncDisconnect(redis->async.context);
        return;
    }
    memcpy(redis->sha, reply->str, 40);
    redis->state = STATE_READY;
    redis->counters.connected = true;
    timer_set(redis);
}

static void
on_connect(const redisAsyncContext *context, int status)
{
    struct gateway_redis *redis = context->data;
    if (context != redis->async.context) {
        return;
    }
    if (status != REDIS_OK) {
        redis->counters.errors++;
        redis->async.context = NULL; /* hiredis frees it */
        lost(redis);
        return;
    }
    redis->state = STATE_LOADING;
    if (redis->password[0] != '\0') {
        (void)redisAsyncCommand(redis->async.context, NULL, NULL, "AUTH %s", redis->password);
    }
    if (redisAsyncCommand(redis->async.context, on_loaded, redis, "SCRIPT LOAD %s", script) !=
        REDIS_OK) {
        redisAsyncDisconnect(redis->async.context);
    }
}

static void
on_disconnect(const redisAsyncContext *context, int status)
{
    struct gateway_redis *redis = context->data;
    if (context != redis->async.context) {
        return; /* lost() did it */
    }
    redis->counters.errors += status == REDIS_OK ? 0 : 1;
    redis->async.context = NULL; /* hiredis frees it */
    lost(redis);
}

void
gateway_redis_connect(struct gateway_redis *redis)
{
    ASSERT(redis->state == STATE_IDLE);
    redis->counters.connects++;
    redis->state = STATE_CONNECTING;
    struct net_loop *loop = redis->gateway->parts.loop;
    err_t result = redis_async_connect(&redis->async, loop, redis->host, redis->port);
    if (result != ERR_OK) {
        redis->counters.errors++;
        lost(redis);
        return;
    }
    result = net_timer_arm(loop, &redis->timer, net_now_ns() + CONNECT_TIMEOUT_MS * NS_PER_MS);
    (void)result;
}

/* ---------------------------------------------------------------------------------------- life */

static void
on_stop(struct os_task *task)
{
    struct gateway_redis *redis = CONTAINER_OF(task, struct gateway_redis, stop_task);
    redis->state = STATE_STOPPED;
    lost(redis);
    net_timer_cancel(redis->gateway->parts.loop, &redis->timer);
    (void)sem_post(&redis->stopped);
}

static void
redis_destroy(struct gateway_redis *redis)
{
    if (redis->gateway->started) {
        redis->stop_task.run = on_stop;
        os_post(net_loop_executor(redis->gateway->parts.loop), &redis->stop_task);
        while (sem_wait(&redis->stopped) != 0) {
        }
    }
    ASSERT(redis->first == NULL);
    ASSERT(redis->async.context == NULL);
    explicit_bzero(redis->password, sizeof(redis->password));
    (void)sem_destroy(&redis->stopped);
    free(redis);
}

/* The file's first line; `password` was zeroed. */
static err_t
password_load(
    struct os_disk *disk,
    const struct gateway_redis_config *config,
    char password[PASSWORD_MAX],
    char reason[GATEWAY_REASON_SIZE])
{
    if (config->password_file[0] == '\0') {
        return ERR_OK;
    }
    char *text = NULL;
    size_t size = 0;
    err_t result = os_file_load(disk, config->password_file, PASSWORD_MAX - 1, &text, &size);
    if (result != ERR_OK) {
        (void)snprintf(
            reason,
            GATEWAY_REASON_SIZE,
            "redis.password_file: %.512s: %s",
            config->password_file,
            err_text(result));
        return result;
    }
    struct span rest = span_of(text, size);
    struct span line = span_trim(span_cut(&rest, '\n'));
    memcpy(password, line.data, line.size);
    explicit_bzero(text, size);
    free(text);
    return ERR_OK;
}

err_t
gateway_redis_check(
    struct os_disk *disk,
    const struct gateway_redis_config *config,
    char reason[GATEWAY_REASON_SIZE])
{
    char password[PASSWORD_MAX] = {0};
    err_t result = password_load(disk, config, password, reason);
    explicit_bzero(password, sizeof(password));
    return result;
}

static err_t
redis_create(
    struct gateway *gateway,
    const struct gateway_redis_config *config,
    struct gateway_redis **ret_redis,
    char reason[GATEWAY_REASON_SIZE])
{
    struct gateway_redis *redis = calloc(1, sizeof(*redis));
    if (redis == NULL || sem_init(&redis->stopped, 0, 0) != 0) {
        free(redis);
        (void)snprintf(reason, GATEWAY_REASON_SIZE, "redis: %s", err_text(ERR_MEMORY));
        return ERR_MEMORY;
    }
    redis->gateway = gateway;
    redis->config = *config;
    redis->timer.fire = on_timer;
    redis->async.owner = redis;
    redis->async.on_connect = on_connect;
    redis->async.on_disconnect = on_disconnect;
    err_t result = gateway_address_split(config->address, redis->host, &redis->port);
    if (result == ERR_OK) {
        result = password_load(gateway->parts.disk, config, redis->password, reason);
    }
    if (result != ERR_OK) {
        (void)sem_destroy(&redis->stopped);
        free(redis);
        return result;
    }
    *ret_redis = redis;
    return ERR_OK;
}

err_t
gateway_redis_share(struct gateway_generation *generation, char reason[GATEWAY_REASON_SIZE])
{
    struct gateway *gateway = generation->gateway;
    const struct gateway_redis_config *config = &generation->config->redis;
    if (config->address[0] == '\0') {
        gateway->redis = NULL;
        return ERR_OK;
    }
    if (gateway->redis == NULL ||
        !gateway_table_equal(&gateway_table_redis, &gateway->redis->config, config, NULL)) {
        struct gateway_redis *redis;
        TRY(redis_create(gateway, config, &redis, reason));
        gateway->redis = redis;
    }
    gateway->redis->generations++;
    generation->redis = gateway->redis;
    return ERR_OK;
}

void
gateway_redis_unshare(struct gateway_generation *generation)
{
    struct gateway_redis *redis = generation->redis;
    if (redis == NULL) {
        return;
    }
    ASSERT(redis->generations > 0);
    redis->generations--;
    generation->redis = NULL;
    if (redis->generations > 0) {
        return;
    }
    if (generation->gateway->redis == redis) {
        generation->gateway->redis = NULL;
    }
    redis_destroy(redis);
}

void
gateway_redis_count(const struct gateway_redis *redis, struct gateway_redis_counters *ret_counters)
{
    *ret_counters = redis->counters;
}
