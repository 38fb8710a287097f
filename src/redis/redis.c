/*
 * The port on two connections. Calls come from the user's loop and are posted to the loop of
 * sockets; what comes back is posted the other way.
 */
#include "redis/redis.h"

#include "link.h"
#include "script.h"

#include "base/assert.h"
#include "base/list.h"
#include "os/clock.h"
#include "trace/metrics.h"

#include <semaphore.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PREFIX_SIZE  64
#define NAME_SIZE    (PREFIX_SIZE + 2 + REDIS_KEY_TEXT_SIZE)
#define ALIVE_MS     500
#define SILENCE_NS   (2 * OS_NS_PER_S)
#define SCRIPT_COUNT 3

static_assert(PORT_CACHE_VALUE_MAX + 1 + REDIS_VERSION_SIZE == 16405, "the size in the scripts");

enum command {
    COMMAND_ASK,
    COMMAND_STORE,
    COMMAND_FORGET,
};

static const char *const script_texts[SCRIPT_COUNT] = {
    [COMMAND_ASK] = REDIS_SCRIPT_ASK,
    [COMMAND_STORE] = REDIS_SCRIPT_STORE,
    [COMMAND_FORGET] = REDIS_SCRIPT_FORGET,
};

struct redis {
    struct port_cache port;
    struct port_cache_user *user;
    struct redis_parts parts;
    struct redis_url url;
    char prefix[PREFIX_SIZE];
    char channel[PREFIX_SIZE + 8];
    struct os_task start_task;
    struct os_task stop_task;
    sem_t stopped;
    bool started;
    _Atomic bool ended;           /* nothing is posted to the loop of sockets any more */
    atomic_uint_fast32_t waiting; /* notes and things heard, on their way */
    _Atomic bool connected;

    /* Loop of sockets. */
    struct redis_link commands;
    struct redis_link ears;
    char scripts[SCRIPT_COUNT][41];
    uint32_t loaded;
    bool was_lost; /* and that was logged */
    struct question *first;
    struct question *last;
    struct net_timer deadline; /* of the oldest question */
    struct net_timer beat;
    uint64_t heard_ns;

    /* To the user's loop. */
    _Atomic bool hears;
    _Atomic bool state_posted;
    struct os_task state_task;
};

/* A question that Redis was asked; hiredis calls back in order. */
struct question {
    struct question *next;
    struct redis *redis;
    struct port_cache_ask *ask;
    uint64_t deadline_ns;
};

/* Something to store or to forget, on its way to the loop. */
struct note {
    struct os_task task;
    struct redis *redis;
    enum command command;
    struct cache_key key;
    uint64_t lease;
    uint64_t version;
    uint64_t life_ms;
    size_t size;
    char value[];
};

struct heard {
    struct os_task task;
    struct redis *redis;
    struct cache_key key;
    uint64_t version;
};

/* ------------------------------------------------------------------------------------ metrics */

static const char *const answers[] = {"found", "leased", "taken", "lost"};
TRACE_COUNTER_BY(
    asked, "tael_redis_asked_total", "Rows that Redis was asked for.", "answer", answers);
static const char *const stores[] = {"stored", "refused"};
TRACE_COUNTER_BY(
    stored,
    "tael_redis_stored_total",
    "Rows brought to Redis; refused are those that another process had overtaken.",
    "result",
    stores);
TRACE_COUNTER(told, "tael_redis_told_total", "Changes that others were told of.");
TRACE_COUNTER(heard_count, "tael_redis_heard_total", "Changes that others told of.");
TRACE_COUNTER(
    dropped, "tael_redis_dropped_total", "Changes that could not be told, and rows not brought.");
TRACE_COUNTER(
    errors, "tael_redis_errors_total", "Connections lost or not made, and answers not understood.");
TRACE_GAUGE(connected_gauge, "tael_redis_connected", "Whether Redis can be asked.");
static const struct trace_metric *const all[] = {
    &asked, &stored, &told, &heard_count, &dropped, &errors, &connected_gauge};

void
redis_metrics_render(struct buf *out)
{
    trace_metrics_render(all, TRACE_COUNT(all), out);
}

/* --------------------------------------------------------------------------------- questions */

static void
ask_done(struct os_task *task)
{
    struct port_cache_ask *ask = CONTAINER_OF(task, struct port_cache_ask, task);
    ask->done(ask);
}

static void
answer(struct redis *redis, struct port_cache_ask *ask, enum port_cache_answer what)
{
    trace_counter_add(&asked, what, 1);
    ask->answer = what;
    ask->task.run = ask_done;
    os_post(redis->user->executor, &ask->task);
}

static void
deadline_set(struct redis *redis)
{
    if (redis->first == NULL) {
        net_timer_cancel(redis->parts.loop, &redis->deadline);
        return;
    }
    err_t result = net_timer_arm(redis->parts.loop, &redis->deadline, redis->first->deadline_ns);
    (void)result; /* without memory for a pointer the answer has to do */
}

static void
on_deadline(struct net_timer *timer)
{
    struct redis *redis = CONTAINER_OF(timer, struct redis, deadline);
    redis_link_lose(&redis->commands, "no answer in time");
}

/* Whether it is an answer; the value is copied to the ask. */
static bool
answer_read(const redisReply *reply, struct port_cache_ask *ask, enum port_cache_answer *ret_answer)
{
    if (reply == NULL || reply->type != REDIS_REPLY_STRING || reply->str == NULL) {
        return false;
    }
    struct span text = span_of(reply->str, reply->len);
    struct span value;
    if (span_equal(text, SPAN("L"))) {
        *ret_answer = PORT_CACHE_LEASED;
    } else if (span_equal(text, SPAN("T"))) {
        *ret_answer = PORT_CACHE_TAKEN;
    } else if (redis_value_decode(text, &ask->version, &value)) {
        ask->size = value.size;
        if (value.size > 0) {
            memcpy(ask->value, value.data, value.size);
        }
        *ret_answer = PORT_CACHE_FOUND;
    } else {
        return false;
    }
    return true;
}

static void
on_answer(redisAsyncContext *context, void *reply_data, void *data)
{
    struct question *question = data;
    struct redis *redis = question->redis;
    const redisReply *reply = reply_data;
    (void)context;
    ASSERT(redis->first == question);
    redis->first = question->next;
    redis->last = redis->first == NULL ? NULL : redis->last;
    enum port_cache_answer what = PORT_CACHE_LOST;
    bool good = answer_read(reply, question->ask, &what);
    answer(redis, question->ask, what);
    free(question);
    deadline_set(redis);
    if (reply != NULL && !good) {
        /* The script is gone, or it is no Redis: from the beginning. */
        redis_link_lose(&redis->commands, reply->str == NULL ? "not understood" : reply->str);
    }
}

static void
name_of(const struct redis *redis, const struct cache_key *key, char out[NAME_SIZE])
{
    char text[REDIS_KEY_TEXT_SIZE + 1];
    redis_key_text(key, text);
    (void)snprintf(out, NAME_SIZE, "%sr:%s", redis->prefix, text);
}

static bool
send_ask(struct redis *redis, struct question *question)
{
    const struct port_cache_ask *ask = question->ask;
    char name[NAME_SIZE];
    char lease[REDIS_LEASE_SIZE + 1];
    char life[24];
    name_of(redis, &ask->key, name);
    redis_lease_text(ask->lease, lease);
    (void)snprintf(life, sizeof(life), "%llu", (unsigned long long)ask->life_ms);
    const char *words[] = {"EVALSHA", redis->scripts[COMMAND_ASK], "1", name, lease, life};
    return redisAsyncCommandArgv(redis->commands.context, on_answer, question, 6, words, NULL) ==
           REDIS_OK;
}

static bool
is_ready(const struct redis *redis)
{
    return redis->commands.state == REDIS_LINK_READY && redis->loaded == SCRIPT_COUNT;
}

/* On the loop of sockets. */
static void
ask_arrived(struct os_task *task)
{
    struct port_cache_ask *ask = CONTAINER_OF(task, struct port_cache_ask, task);
    struct redis *redis = CONTAINER_OF(ask->cache, struct redis, port);
    struct question *question = NULL;
    if (is_ready(redis)) {
        question = calloc(1, sizeof(*question));
    }
    if (question == NULL) {
        answer(redis, ask, PORT_CACHE_LOST);
        return;
    }
    ask->lease = (uint64_t)os_random_u128(redis->parts.entropy);
    *question = (struct question){
        .redis = redis,
        .ask = ask,
        .deadline_ns = net_now_ns() + redis->parts.timeout_ms * OS_NS_PER_MS,
    };
    if (!send_ask(redis, question)) {
        free(question);
        answer(redis, ask, PORT_CACHE_LOST);
        return;
    }
    if (redis->first == NULL) {
        redis->first = question;
    } else {
        redis->last->next = question;
    }
    redis->last = question;
    deadline_set(redis);
}

static void
redis_ask(struct port_cache *port, struct port_cache_ask *ask)
{
    struct redis *redis = CONTAINER_OF(port, struct redis, port);
    if (atomic_load(&redis->ended)) {
        answer(redis, ask, PORT_CACHE_LOST);
        return;
    }
    ask->cache = port;
    ask->task.run = ask_arrived;
    os_post(net_loop_executor(redis->parts.loop), &ask->task);
}

/* --------------------------------------------------------------------------- storing, telling */

static void
note_free(struct note *note)
{
    atomic_fetch_sub_explicit(&note->redis->waiting, 1, memory_order_relaxed);
    free(note);
}

static void
on_noted(redisAsyncContext *context, void *reply_data, void *data)
{
    struct note *note = data;
    struct redis *redis = note->redis;
    const redisReply *reply = reply_data;
    enum command command = note->command;
    (void)context;
    note_free(note);
    if (reply == NULL) {
        trace_counter_add(&dropped, 0, 1);
        return;
    }
    if (reply->type != REDIS_REPLY_INTEGER) {
        trace_counter_add(&dropped, 0, 1);
        redis_link_lose(&redis->commands, reply->str == NULL ? "not understood" : reply->str);
        return;
    }
    if (command == COMMAND_FORGET) {
        trace_counter_add(&told, 0, 1);
    } else {
        trace_counter_add(&stored, reply->integer == 1 ? 0 : 1, 1);
    }
}

static bool
send_note(struct redis *redis, struct note *note)
{
    char name[NAME_SIZE];
    char lease[REDIS_LEASE_SIZE + 1];
    char version[REDIS_VERSION_SIZE + 1];
    char message[REDIS_TOLD_SIZE + 1];
    char life[24];
    name_of(redis, &note->key, name);
    redis_lease_text(note->lease, lease);
    redis_version_text(note->version, version);
    redis_told_encode(&note->key, note->version, message);
    (void)snprintf(life, sizeof(life), "%llu", (unsigned long long)note->life_ms);
    const char *store[] = {
        "EVALSHA", redis->scripts[COMMAND_STORE], "1", name, lease, version, note->value, life};
    const size_t store_sizes[] = {
        7, 40, 1, strlen(name), REDIS_LEASE_SIZE, REDIS_VERSION_SIZE, note->size, strlen(life)};
    const char *forget[] = {
        "EVALSHA",
        redis->scripts[COMMAND_FORGET],
        "1",
        name,
        version,
        life,
        redis->channel,
        message};
    bool is_store = note->command == COMMAND_STORE;
    return redisAsyncCommandArgv(
               redis->commands.context,
               on_noted,
               note,
               8,
               is_store ? store : forget,
               is_store ? store_sizes : NULL) == REDIS_OK;
}

static void
note_arrived(struct os_task *task)
{
    struct note *note = CONTAINER_OF(task, struct note, task);
    struct redis *redis = note->redis;
    if (!is_ready(redis) || !send_note(redis, note)) {
        trace_counter_add(&dropped, 0, 1);
        note_free(note);
    }
}

static void
note_post(struct redis *redis, const struct note *head, struct span value)
{
    struct note *note = NULL;
    if (atomic_fetch_add_explicit(&redis->waiting, 1, memory_order_relaxed) <
            redis->parts.waiting_max &&
        !atomic_load(&redis->ended)) {
        note = malloc(sizeof(*note) + value.size);
    }
    if (note == NULL) {
        atomic_fetch_sub_explicit(&redis->waiting, 1, memory_order_relaxed);
        trace_counter_add(&dropped, 0, 1);
        return;
    }
    *note = *head;
    note->redis = redis;
    note->task.run = note_arrived;
    note->size = value.size;
    if (value.size > 0) {
        memcpy(note->value, value.data, value.size);
    }
    os_post(net_loop_executor(redis->parts.loop), &note->task);
}

static void
redis_store(
    struct port_cache *port,
    const struct cache_key *key,
    uint64_t lease,
    uint64_t version,
    struct span value,
    uint64_t life_ms)
{
    ASSERT(value.size <= PORT_CACHE_VALUE_MAX);
    ASSERT(life_ms > 0);
    const struct note head = {
        .command = COMMAND_STORE,
        .key = *key,
        .lease = lease,
        .version = version,
        .life_ms = life_ms,
    };
    note_post(CONTAINER_OF(port, struct redis, port), &head, value);
}

static void
redis_forget(
    struct port_cache *port, const struct cache_key *key, uint64_t version, uint64_t life_ms)
{
    ASSERT(life_ms > 0);
    const struct note head = {
        .command = COMMAND_FORGET, .key = *key, .version = version, .life_ms = life_ms};
    note_post(CONTAINER_OF(port, struct redis, port), &head, SPAN_EMPTY);
}

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
    if (reply == NULL || context != redis->ears.context) {
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
        trace_counter_add(&heard_count, 0, 1);
        heard_post(redis, &key, version);
    }
}

static void
on_beat(struct net_timer *timer)
{
    struct redis *redis = CONTAINER_OF(timer, struct redis, beat);
    uint64_t now_ns = net_now_ns();
    if (is_ready(redis)) {
        (void)redisAsyncCommand(
            redis->commands.context, NULL, NULL, "PUBLISH %s alive", redis->channel);
    }
    if (redis->ears.state == REDIS_LINK_READY && now_ns - redis->heard_ns > SILENCE_NS) {
        redis_link_lose(&redis->ears, "silence");
    }
    err_t result = net_timer_arm(redis->parts.loop, timer, now_ns + ALIVE_MS * OS_NS_PER_MS);
    (void)result; /* then the silence is noticed by the user's lifetimes only */
}

/* ------------------------------------------------------------------------------------ the links */

static void
say(struct redis *redis, bool is_back, const char *why)
{
    if (redis->parts.log == NULL) {
        return;
    }
    if (is_back) {
        TRACE_LOG(
            redis->parts.log,
            TRACE_INFO,
            "redis",
            SPAN_EMPTY,
            "Redis is back",
            trace_cstr("host", redis->url.host));
        return;
    }
    TRACE_LOG(
        redis->parts.log,
        TRACE_WARNING,
        "redis",
        SPAN_EMPTY,
        "Redis is lost, the database is asked instead",
        trace_cstr("host", redis->url.host),
        trace_cstr("why", why));
}

static void
on_loaded(redisAsyncContext *context, void *reply_data, void *data)
{
    struct redis *redis = data;
    const redisReply *reply = reply_data;
    if (context != redis->commands.context) {
        return;
    }
    if (reply == NULL || reply->type != REDIS_REPLY_STRING || reply->len != 40) {
        redis_link_lose(
            &redis->commands, reply == NULL || reply->str == NULL ? "no scripts" : reply->str);
        return;
    }
    memcpy(redis->scripts[redis->loaded++], reply->str, 40);
    if (redis->loaded == SCRIPT_COUNT) {
        atomic_store(&redis->connected, true);
        trace_gauge_set(&connected_gauge, 0, 1);
        if (redis->was_lost) {
            redis->was_lost = false;
            say(redis, true, "");
        }
    }
}

static void
commands_ready(struct redis_link *link)
{
    struct redis *redis = CONTAINER_OF(link, struct redis, commands);
    redis->loaded = 0;
    for (uint32_t i = 0; i < SCRIPT_COUNT; i++) {
        if (redisAsyncCommand(link->context, on_loaded, redis, "SCRIPT LOAD %s", script_texts[i]) !=
            REDIS_OK) {
            redis_link_lose(link, "no memory");
            return;
        }
    }
}

static void
commands_lost(struct redis_link *link, const char *why)
{
    struct redis *redis = CONTAINER_OF(link, struct redis, commands);
    redis->loaded = 0;
    trace_counter_add(&errors, 0, 1);
    trace_gauge_set(&connected_gauge, 0, 0);
    atomic_store(&redis->connected, false);
    if (!redis->was_lost) {
        redis->was_lost = true;
        say(redis, false, why);
    }
}

static void
ears_ready(struct redis_link *link)
{
    struct redis *redis = CONTAINER_OF(link, struct redis, ears);
    redis->heard_ns = net_now_ns();
    if (redisAsyncCommand(link->context, on_told, redis, "SUBSCRIBE %s", redis->channel) !=
        REDIS_OK) {
        redis_link_lose(link, "no memory");
    }
}

static void
ears_lost(struct redis_link *link, const char *why)
{
    struct redis *redis = CONTAINER_OF(link, struct redis, ears);
    (void)why; /* the other connection says it, or it is silence */
    trace_counter_add(&errors, 0, 1);
    state_tell(redis, false);
}

/* ---------------------------------------------------------------------------------------- life */

static void
start_run(struct os_task *task)
{
    struct redis *redis = CONTAINER_OF(task, struct redis, start_task);
    redis_link_start(&redis->commands);
    redis_link_start(&redis->ears);
    on_beat(&redis->beat);
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
    trace_gauge_set(&connected_gauge, 0, 0);
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
redis_use(struct port_cache *port, struct port_cache_user *user)
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
    ASSERT(strlen(parts->prefix) < PREFIX_SIZE);
    struct redis_url url;
    if (!redis_url_parse(span_from_cstr(parts->url), &url, message)) {
        return ERR_INVALID;
    }
    struct redis *redis = calloc(1, sizeof(*redis));
    if (redis == NULL || sem_init(&redis->stopped, 0, 0) != 0) {
        free(redis);
        return ERR_MEMORY;
    }
    redis->port = (struct port_cache){
        .use = redis_use, .ask = redis_ask, .store = redis_store, .forget = redis_forget};
    redis->parts = *parts;
    redis->url = url;
    (void)snprintf(redis->prefix, sizeof(redis->prefix), "%s", parts->prefix);
    (void)snprintf(redis->channel, sizeof(redis->channel), "%stold", redis->prefix);
    link_init(redis, &redis->commands);
    link_init(redis, &redis->ears);
    redis->commands.ready = commands_ready;
    redis->commands.lost = commands_lost;
    redis->ears.ready = ears_ready;
    redis->ears.lost = ears_lost;
    redis->deadline.fire = on_deadline;
    redis->beat.fire = on_beat;
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
