/* The client's life, and the way in and out of calls. */
#include "net/client.h"

#include "base/assert.h"

#include "client_private.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TIMEOUT_DEFAULT_MS 30000
#define NS_PER_MS          UINT64_C(1000000)

const struct net_client_settings net_client_settings_default = {
    .connections_max = 64,
    .waiting_max = 4096,
    .connect_timeout_ms = 5000,
    .idle_timeout_ms = 20000,
    .limits =
        {
            .target = 8192,
            .head = 65536,
            .fields = HTTP_FIELDS_MAX,
            .extensions = 4096,
            .trailers = 4096,
            .body = UINT64_C(16) << 20,
        },
};

/* ------------------------------------------------------------------------------------- calls */

static void
on_done(struct os_task *task)
{
    struct net_call *call = CONTAINER_OF(task, struct net_call, task);
    call->done(call);
}

void
net_call_end(struct net_call *call, err_t result)
{
    struct net_client *client = call->client;
    ASSERT(call->state != NET_CALL_ENDED);
    net_timer_cancel(client->loop, &call->timer);
    call->state = NET_CALL_ENDED;
    call->connection = NULL;
    call->result = result;
    call->ended_ns = net_now_ns();
    if (result == ERR_OK) {
        NET_CLIENT_COUNT(client, answers, 1);
    } else if (result == ERR_OUTCOME_UNKNOWN) {
        NET_CLIENT_COUNT(client, unknown, 1);
    } else {
        NET_CLIENT_COUNT(client, failed, 1);
    }
    call->task = (struct os_task){.run = on_done};
    if (client->ended == NULL) {
        client->ended = &call->task;
    } else {
        client->ended_last->next = &call->task;
    }
    client->ended_last = &call->task;
}

void
net_call_fail(struct net_call *call, err_t cause)
{
    ASSERT(cause != ERR_OK);
    call->cause = cause;
    call->status = 0;
    net_call_end(call, call->sent ? ERR_OUTCOME_UNKNOWN : cause);
}

static void
on_timeout(struct net_timer *timer)
{
    struct net_call *call = CONTAINER_OF(timer, struct net_call, timer);
    struct net_client *client = call->client;
    NET_CLIENT_COUNT(client, timeouts, 1);
    net_pool_forget(call);
    net_call_fail(call, ERR_TIMEOUT);
    net_pool_serve(client);
}

static bool
is_safe(const struct net_call *call)
{
    if (call->method == HTTP_METHOD_GET || call->method == HTTP_METHOD_HEAD) {
        return true;
    }
    for (size_t i = 0; i < call->header_count; i++) {
        if (span_equal_nocase(call->headers[i].name, SPAN("idempotency-key"))) {
            return true;
        }
    }
    return false;
}

static void
buffer_begin(struct buf *buf, size_t limit)
{
    if (buf->data == NULL) {
        buf_init(buf, limit);
    } else {
        buf_clear(buf);
        buf->limit = limit > buf->capacity ? limit : buf->capacity;
    }
}

static void
on_start(struct os_task *task)
{
    struct net_call *call = CONTAINER_OF(task, struct net_call, task);
    struct net_client *client = call->client;
    NET_CLIENT_COUNT(client, calls, 1);
    call->state = NET_CALL_NEW;
    call->next = NULL;
    call->previous = NULL;
    call->connection = NULL;
    call->status = 0;
    call->stale = false;
    call->cut = false;
    call->cause = ERR_OK;
    call->sent = false;
    call->repeated = false;
    call->safe = call->repeat == NET_REPEAT_SAFE && is_safe(call);
    call->started_ns = net_now_ns();
    call->timer = (struct net_timer){.fire = on_timeout};
    buffer_begin(&call->answer, (size_t)client->settings.limits.body);
    buffer_begin(&call->head_text, (size_t)client->settings.limits.head + 1);
    if (client->stopping || call->cancelled) {
        net_call_fail(call, ERR_CLOSED);
        return;
    }
    uint32_t timeout_ms = call->timeout_ms == 0 ? TIMEOUT_DEFAULT_MS : call->timeout_ms;
    err_t result =
        net_timer_arm(client->loop, &call->timer, call->started_ns + timeout_ms * NS_PER_MS);
    if (result != ERR_OK) {
        net_call_fail(call, result);
        return;
    }
    net_pool_add(call);
}

static void
client_attach(struct net_client *client)
{
    if (!client->attached) {
        client->attached = true;
        net_loop_add_hook(client->loop, &client->turn);
    }
}

static void
on_start_first(struct os_task *task)
{
    client_attach(CONTAINER_OF(task, struct net_call, task)->client);
    on_start(task);
}

void
net_client_start(struct net_client *client, struct net_call *first)
{
    struct os_task *last = NULL;
    for (struct net_call *call = first; call != NULL; call = call->next) {
        ASSERT(call->done != NULL);
        ASSERT(call->reply_to != NULL);
        ASSERT(call->method != HTTP_METHOD_OTHER);
        call->client = client;
        call->state = NET_CALL_POSTED;
        call->cancelled = false;
        call->task = (struct os_task){.run = last == NULL ? on_start_first : on_start};
        if (last != NULL) {
            last->next = &call->task;
        }
        last = &call->task;
    }
    if (last != NULL) {
        struct os_executor *executor = net_loop_executor(client->loop);
        executor->post(executor, &first->task, last);
    }
}

void
net_client_cancel(struct net_call *call)
{
    struct net_client *client = call->client;
    ASSERT(net_loop_is_current(client->loop));
    if (call->state == NET_CALL_ENDED) {
        return;
    }
    if (call->state == NET_CALL_POSTED) {
        call->cancelled = true;
        return;
    }
    net_pool_forget(call);
    net_call_fail(call, ERR_CLOSED);
    /* What it leaves behind is served by a task, so that the turn does not end before its hooks. */
    if (!client->serving) {
        client->serving = true;
        os_post(net_loop_executor(client->loop), &client->serve_task);
    }
}

static void
on_serve(struct os_task *task)
{
    struct net_client *client = CONTAINER_OF(task, struct net_client, serve_task);
    client->serving = false;
    net_pool_serve(client);
}

struct waiter {
    struct os_executor executor;
    uv_sem_t done;
};

/* Instead of running the task: it stands for one call, whose owner sleeps. */
static void
waiter_post(struct os_executor *executor, struct os_task *first, struct os_task *last)
{
    ASSERT(first == last);
    uv_sem_post(&CONTAINER_OF(executor, struct waiter, executor)->done);
}

static void
waiter_done(struct net_call *call)
{
    (void)call;
    UNREACHABLE();
}

err_t
net_client_call_blocking(struct net_client *client, struct net_call *call)
{
    ASSERT(!net_loop_is_current(client->loop));
    struct waiter waiter = {.executor = {.post = waiter_post}};
    if (uv_sem_init(&waiter.done, 0) != 0) {
        return ERR_IO;
    }
    call->next = NULL;
    call->reply_to = &waiter.executor;
    call->done = waiter_done;
    net_client_start(client, call);
    uv_sem_wait(&waiter.done);
    uv_sem_destroy(&waiter.done);
    call->reply_to = NULL;
    call->done = NULL;
    return call->result;
}

struct span
net_call_header(const struct net_call *call, enum http_field field)
{
    return call->status == 0 ? SPAN_EMPTY : http_head_value(&call->parser.head, field);
}

bool
net_call_header_find(const struct net_call *call, struct span name, struct span *ret_value)
{
    return call->status != 0 && http_head_find(&call->parser.head, name, ret_value);
}

void
net_call_release(struct net_call *call)
{
    call->status = 0;
    if (call->answer.data != NULL) {
        buf_release(&call->answer);
    }
    if (call->head_text.data != NULL) {
        buf_release(&call->head_text);
    }
}

/* -------------------------------------------------------------------------------------- life */

/* One post for each run of calls that go to the same executor. */
static void
ended_post(struct net_client *client)
{
    struct os_task *first = client->ended;
    client->ended = NULL;
    client->ended_last = NULL;
    while (first != NULL) {
        struct os_executor *executor = CONTAINER_OF(first, struct net_call, task)->reply_to;
        struct os_task *last = first;
        while (last->next != NULL &&
               CONTAINER_OF(last->next, struct net_call, task)->reply_to == executor) {
            last = last->next;
        }
        struct os_task *next = last->next;
        last->next = NULL;
        executor->post(executor, first, last);
        first = next;
    }
}

static void
on_turn_end(struct net_loop_hook *hook)
{
    struct net_client *client = CONTAINER_OF(hook, struct net_client, turn);
    ended_post(client);
    if (client->stopping && client->handles_open == 0 && !client->serving) {
        ASSERT(client->connection_count == 0);
        ASSERT(client->waiting == NULL);
        net_timer_cancel(client->loop, &client->idle_timer);
        net_loop_remove_hook(client->loop, &client->turn);
        if (client->closed != NULL) {
            os_post(net_loop_executor(client->loop), client->closed);
        } else {
            uv_sem_post(&client->stopped); /* the client may be gone from here on */
        }
    }
}

static void
on_stop(struct os_task *task)
{
    struct net_client *client = CONTAINER_OF(task, struct net_client, stop_task);
    client->stopping = true;
    client_attach(client);
    while (client->waiting != NULL) {
        struct net_call *call = client->waiting;
        net_pool_forget(call);
        net_call_fail(call, ERR_CLOSED);
    }
    LIST_FOREACH_SAFE (&client->connections, link) {
        struct net_client_connection *connection =
            CONTAINER_OF(link, struct net_client_connection, link);
        struct net_call *call = connection->call;
        connection->call = NULL;
        net_client_connection_destroy(connection);
        if (call != NULL) {
            net_call_fail(call, ERR_CLOSED);
        }
    }
    net_client_resolve_stop(client);
}

static bool
settings_are_sane(const struct net_client_settings *settings)
{
    return settings->connections_max > 0 && settings->waiting_max > 0 &&
           settings->connect_timeout_ms > 0 && settings->idle_timeout_ms > 0 &&
           settings->limits.head > 0 && settings->limits.fields > 0 &&
           settings->limits.fields <= HTTP_FIELDS_MAX && settings->limits.body > 0;
}

static void
host_header_make(struct net_client *client)
{
    bool is_ipv6 = strchr(client->name, ':') != NULL;
    bool default_port = client->port == (client->tls != NULL ? 443 : 80);
    char port[8] = "";
    if (!default_port) {
        (void)snprintf(port, sizeof(port), ":%u", (unsigned)client->port);
    }
    int size = snprintf(
        client->host_header,
        sizeof(client->host_header),
        is_ipv6 ? "[%s]%s" : "%s%s",
        client->name,
        port);
    ASSERT(size > 0);
    ASSERT((size_t)size < sizeof(client->host_header));
}

err_t
net_client_create(
    struct net_loop *loop,
    const struct net_origin *origin,
    const struct net_client_settings *settings,
    struct net_client **ret_client)
{
    if (!settings_are_sane(settings)) {
        return ERR_RANGE;
    }
    const char *name = origin->name == NULL ? origin->host : origin->name;
    size_t host_size = strnlen(origin->host, NET_HOST_MAX + 1);
    size_t name_size = strnlen(name, NET_HOST_MAX + 1);
    if (host_size == 0 || host_size > NET_HOST_MAX || origin->port == 0 || name_size == 0 ||
        name_size > NET_HOST_MAX) {
        return ERR_INVALID;
    }
    struct net_client *client = calloc(1, sizeof(*client));
    if (client == NULL) {
        return ERR_MEMORY;
    }
    if (uv_sem_init(&client->stopped, 0) != 0) {
        free(client);
        return ERR_IO;
    }
    client->loop = loop;
    client->settings = *settings;
    memcpy(client->host, origin->host, host_size);
    memcpy(client->name, name, name_size);
    client->port = origin->port;
    client->tls = origin->tls;
    client->turn.turn_end = on_turn_end;
    client->stop_task.run = on_stop;
    client->serve_task.run = on_serve;
    host_header_make(client);
    net_client_resolve_numeric(client);
    net_pool_init(client);
    *ret_client = client;
    return ERR_OK;
}

void
net_client_stop(struct net_client *client)
{
    ASSERT(!net_loop_is_current(client->loop));
    os_post(net_loop_executor(client->loop), &client->stop_task);
    uv_sem_wait(&client->stopped);
}

void
net_client_close(struct net_client *client, struct os_task *closed)
{
    ASSERT(net_loop_is_current(client->loop));
    ASSERT(client->closed == NULL);
    ASSERT(closed->run != NULL);
    client->closed = closed;
    os_post(net_loop_executor(client->loop), &client->stop_task);
}

void
net_client_destroy(struct net_client **client_pointer)
{
    struct net_client *client = *client_pointer;
    if (client == NULL) {
        return;
    }
    ASSERT(client->connection_count == 0);
    ASSERT(client->waiting == NULL);
    uv_sem_destroy(&client->stopped);
    free(client);
    *client_pointer = NULL;
}

void
net_client_count(const struct net_client *client, struct net_client_counters *ret_counters)
{
    uint64_t values[NET_CLIENT_COUNTER_COUNT];
    for (size_t i = 0; i < NET_CLIENT_COUNTER_COUNT; i++) {
        values[i] = atomic_load_explicit(&client->counters[i], memory_order_relaxed);
    }
    static_assert(sizeof(values) == sizeof(*ret_counters), "every counter is one uint64_t");
    memcpy(ret_counters, values, sizeof(values));
}
