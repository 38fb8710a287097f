/*
 * Questions, and what is stored and told: from the user's loop to the loop of sockets, there to
 * Redis, and back. hiredis calls back in the order of the questions.
 */
#include "redis_private.h"

#include "script.h"

#include "base/assert.h"
#include "base/list.h"
#include "os/clock.h"
#include "trace/log.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NAME_SIZE (REDIS_PREFIX_SIZE + 2 + REDIS_KEY_TEXT_SIZE)

static_assert(PORT_CACHE_VALUE_MAX + 1 + REDIS_VERSION_SIZE == 16405, "the size in the scripts");

enum command {
    COMMAND_ASK,
    COMMAND_STORE,
    COMMAND_FORGET,
};

static const char *const script_texts[REDIS_SCRIPT_COUNT] = {
    [COMMAND_ASK] = REDIS_SCRIPT_ASK,
    [COMMAND_STORE] = REDIS_SCRIPT_STORE,
    [COMMAND_FORGET] = REDIS_SCRIPT_FORGET,
};

/* A question that Redis was asked; hiredis calls back in order. */
struct redis_question {
    struct redis_question *next;
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
    redis_measure_asked(what);
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
    struct redis_question *question = data;
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
send_ask(struct redis *redis, struct redis_question *question)
{
    const struct port_cache_ask *ask = question->ask;
    char name[NAME_SIZE];
    char lease[REDIS_LEASE_SIZE + 1];
    char life[24];
    name_of(redis, &ask->key, name);
    redis_lease_text(ask->lease, lease);
    (void)snprintf(life, sizeof(life), "%llu", (unsigned long long)ask->life_ms);
    const char *words[] = {"EVALSHA", redis->scripts[COMMAND_ASK], "1", name, lease, life};
    return redisAsyncCommandArgv(
               redis->commands.async.context, on_answer, question, 6, words, NULL) == REDIS_OK;
}

bool
redis_commands_ready(const struct redis *redis)
{
    return redis->commands.state == REDIS_LINK_READY && redis->loaded == REDIS_SCRIPT_COUNT;
}

/* On the loop of sockets. */
static void
ask_arrived(struct os_task *task)
{
    struct port_cache_ask *ask = CONTAINER_OF(task, struct port_cache_ask, task);
    struct redis *redis = CONTAINER_OF(ask->cache, struct redis, port);
    struct redis_question *question = NULL;
    if (redis_commands_ready(redis)) {
        question = calloc(1, sizeof(*question));
    }
    if (question == NULL) {
        answer(redis, ask, PORT_CACHE_LOST);
        return;
    }
    ask->lease = (uint64_t)os_random_u128(redis->parts.entropy);
    *question = (struct redis_question){
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
port_ask(struct port_cache *port, struct port_cache_ask *ask)
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
        redis_measure_dropped();
        return;
    }
    if (reply->type != REDIS_REPLY_INTEGER) {
        redis_measure_dropped();
        redis_link_lose(&redis->commands, reply->str == NULL ? "not understood" : reply->str);
        return;
    }
    if (command == COMMAND_FORGET) {
        redis_measure_told();
    } else {
        redis_measure_stored(reply->integer != 1);
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
               redis->commands.async.context,
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
    if (!redis_commands_ready(redis) || !send_note(redis, note)) {
        redis_measure_dropped();
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
        redis_measure_dropped();
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
port_store(
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
port_forget(
    struct port_cache *port, const struct cache_key *key, uint64_t version, uint64_t life_ms)
{
    ASSERT(life_ms > 0);
    const struct note head = {
        .command = COMMAND_FORGET, .key = *key, .version = version, .life_ms = life_ms};
    note_post(CONTAINER_OF(port, struct redis, port), &head, SPAN_EMPTY);
}

/* --------------------------------------------------------------------------------- the connection
 */

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
    if (context != redis->commands.async.context) {
        return;
    }
    if (reply == NULL || reply->type != REDIS_REPLY_STRING || reply->len != 40) {
        redis_link_lose(
            &redis->commands, reply == NULL || reply->str == NULL ? "no scripts" : reply->str);
        return;
    }
    memcpy(redis->scripts[redis->loaded++], reply->str, 40);
    if (redis->loaded == REDIS_SCRIPT_COUNT) {
        atomic_store(&redis->connected, true);
        redis_measure_connected(true);
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
    for (uint32_t i = 0; i < REDIS_SCRIPT_COUNT; i++) {
        if (redisAsyncCommand(
                link->async.context, on_loaded, redis, "SCRIPT LOAD %s", script_texts[i]) !=
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
    redis_measure_error();
    redis_measure_connected(false);
    atomic_store(&redis->connected, false);
    if (!redis->was_lost) {
        redis->was_lost = true;
        say(redis, false, why);
    }
}

void
redis_commands_init(struct redis *redis)
{
    redis->port.ask = port_ask;
    redis->port.store = port_store;
    redis->port.forget = port_forget;
    redis->commands.ready = commands_ready;
    redis->commands.lost = commands_lost;
    redis->deadline.fire = on_deadline;
}
