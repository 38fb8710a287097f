/* The server's life: listeners, turns of the loop, limits, drain, counters. */
#include "net/server.h"

#include "base/assert.h"

#include "address.h"
#include "server_private.h"
#include "socket.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

/* Connections taken from a listener in one turn. */
#define ACCEPTS_PER_EVENT 64
/* How long accepting pauses when the process has no file descriptor left. */
#define ACCEPT_PAUSE_NS UINT64_C(100000000)
/* Rounds of writing in one turn; what is left then waits for the next. */
#define FLUSH_PASSES_MAX 8
#define NS_PER_MS        UINT64_C(1000000)

const struct net_server_settings net_server_settings_default = {
    .connections_max = 16384,
    .requests_max = 8192,
    .pipeline_max = 32,
    .memory_max = UINT64_C(256) << 20,
    .arena_max = UINT64_C(4) << 20,
    .limits =
        {
            .target = 8192,
            .head = 16384,
            .fields = HTTP_FIELDS_MAX,
            .extensions = 1024,
            .trailers = 4096,
            .body = UINT64_C(1) << 20,
        },
    .handshake_timeout_ms = 10000,
    .head_timeout_ms = 10000,
    .body_timeout_ms = 30000,
    .idle_timeout_ms = 75000,
    .write_timeout_ms = 30000,
    .linger_timeout_ms = 2000,
    .shortage_grace_ms = 1000,
};

/* ------------------------------------------------------------------------ for the other files */

void
net_server_charge(struct net_server *server, size_t *charged, size_t now)
{
    ASSERT(server->memory >= *charged);
    server->memory += now - *charged;
    *charged = now;
    net_server_counter_set(server, NET_COUNTER(memory), server->memory);
    if (server->memory > server->memory_peak) {
        server->memory_peak = server->memory;
        net_server_counter_set(server, NET_COUNTER(memory_peak), server->memory_peak);
    }
}

bool
net_server_memory_is_full(const struct net_server *server)
{
    return server->memory > server->settings.memory_max;
}

void
net_server_ready(struct net_server *server, struct net_work *work)
{
    ASSERT(work->state == NET_WORK_HANDED);
    work->exchange.next = NULL;
    if (server->ready == NULL) {
        server->ready = &work->exchange;
    } else {
        server->ready_last->next = &work->exchange;
    }
    server->ready_last = &work->exchange;
    server->in_flight++;
    net_server_counter_set(server, NET_COUNTER(in_flight), server->in_flight);
}

struct span
net_server_date(struct net_server *server)
{
    int64_t now_s = (int64_t)time(NULL);
    if (now_s != server->date_s) {
        server->date_s = now_s;
        http_date_format(now_s < 0 ? 0 : (uint64_t)now_s, server->date);
    }
    return span_of(server->date, HTTP_DATE_SIZE - 1);
}

/* --------------------------------------------------------------------------------- listeners */

static void
on_listener_closed(uv_handle_t *handle)
{
    struct net_listener *listener = CONTAINER_OF(handle, struct net_listener, poll);
    listener->server->handles_open--;
}

static void
listener_close(struct net_listener *listener)
{
    if (listener->is_open) {
        listener->is_open = false;
        uv_close((uv_handle_t *)&listener->poll, on_listener_closed);
    }
    if (listener->fd >= 0) {
        (void)close(listener->fd);
        listener->fd = -1;
    }
}

static void listeners_watch(struct net_server *server, bool on);

static void
accept_pause(struct net_server *server)
{
    listeners_watch(server, false);
    uint64_t until_ns = net_now_ns() + ACCEPT_PAUSE_NS;
    if (net_timer_arm(server->loop, &server->accept_again, until_ns) != ERR_OK) {
        listeners_watch(server, true);
    }
}

static void
on_accept_again(struct net_timer *timer)
{
    struct net_server *server = CONTAINER_OF(timer, struct net_server, accept_again);
    if (server->state == NET_SERVER_RUNNING) {
        listeners_watch(server, true);
    }
}

/* False when there is nothing more to accept now. */
static bool
accept_one(struct net_listener *listener)
{
    struct net_server *server = listener->server;
    struct sockaddr_storage system;
    socklen_t size = sizeof(system);
    int fd = accept4(listener->fd, (struct sockaddr *)&system, &size, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0) {
        if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
            if (net_server_make_connection_room(server)) {
                return true;
            }
            NET_COUNT(server, over_limit, 1);
            accept_pause(server);
            return false;
        }
        /* The client had gone already, or a signal came: the next one may be fine. */
        return errno != EAGAIN && errno != EBADF && errno != EINVAL;
    }
    NET_COUNT(server, accepted, 1);
    if (server->connection_count >= server->settings.connections_max &&
        !net_server_make_connection_room(server)) {
        NET_COUNT(server, over_limit, 1);
        (void)close(fd);
        return true;
    }
    struct net_address peer;
    net_address_from_system((struct sockaddr *)&system, &peer);
    net_connection_create(server, listener->tls, fd, &peer);
    return true;
}

static void
on_acceptable(uv_poll_t *handle, int status, int events)
{
    struct net_listener *listener = CONTAINER_OF(handle, struct net_listener, poll);
    (void)status;
    (void)events;
    listener->server->now_ns = net_now_ns();
    for (int i = 0; i < ACCEPTS_PER_EVENT && listener->is_open; i++) {
        if (!accept_one(listener)) {
            break;
        }
    }
}

static void
listeners_watch(struct net_server *server, bool on)
{
    for (uint32_t i = 0; i < server->listener_count; i++) {
        struct net_listener *listener = &server->listeners[i];
        if (listener->is_open) {
            int result = on ? uv_poll_start(&listener->poll, UV_READABLE, on_acceptable)
                            : uv_poll_stop(&listener->poll);
            ASSERT(result == 0);
        }
    }
}

const char *
net_listen_text(err_t error)
{
    switch (error) {
    case ERR_INVALID:
        return "not an ADDRESS:PORT, which is numeric, as 127.0.0.1:8080 is";
    case ERR_EXISTS:
        return "the address is in use";
    case ERR_NOT_FOUND:
        return "this machine has no such address";
    case ERR_DENIED:
        return "not permitted; ports below 1024 are for root and who has CAP_NET_BIND_SERVICE";
    default:
        return err_text(error);
    }
}

err_t
net_server_listen(struct net_server *server, const struct net_listen *listen, uint16_t *ret_port)
{
    ASSERT(!server->started);
    if (server->listener_count == NET_LISTENERS_MAX) {
        return ERR_FULL;
    }
    struct sockaddr_storage system;
    socklen_t size;
    if (!net_address_to_system(
            listen->address == NULL ? "::" : listen->address, listen->port, &system, &size)) {
        return ERR_INVALID;
    }
    int fd = -1;
    err_t result = net_socket_listen(&system, size, &fd, ret_port);
    if (result != ERR_OK && listen->address == NULL) {
        /* A machine without IPv6. */
        bool numeric = net_address_to_system("0.0.0.0", listen->port, &system, &size);
        ASSERT(numeric);
        result = net_socket_listen(&system, size, &fd, ret_port);
    }
    TRY(result);
    server->listeners[server->listener_count] =
        (struct net_listener){.server = server, .tls = listen->tls, .fd = fd};
    server->listener_count++;
    return ERR_OK;
}

err_t
net_server_listen_beside(
    struct net_server *server, const struct net_server *other, uint32_t index, struct net_tls *tls)
{
    ASSERT(!server->started);
    ASSERT(index < other->listener_count);
    if (server->listener_count == NET_LISTENERS_MAX) {
        return ERR_FULL;
    }
    int fd = fcntl(other->listeners[index].fd, F_DUPFD_CLOEXEC, 0);
    if (fd < 0) {
        return err_from_errno(errno);
    }
    server->listeners[server->listener_count] =
        (struct net_listener){.server = server, .tls = tls, .fd = fd};
    server->listener_count++;
    return ERR_OK;
}

/* ------------------------------------------------------------------------------------- turns */

static void
dirty_flush(struct net_server *server)
{
    for (int pass = 0; pass < FLUSH_PASSES_MAX && server->dirty != NULL; pass++) {
        /* Each of these at most once a pass: what they touch again waits for the next. */
        struct net_connection *first = server->dirty;
        struct net_connection *last = NULL;
        uint32_t count = 0;
        for (struct net_connection *c = first; c != NULL; c = c->next_dirty) {
            last = c;
            count++;
        }
        ASSERT(last != NULL);
        while (count > 0 && server->dirty != NULL) {
            struct net_connection *connection = server->dirty;
            server->dirty = connection->next_dirty;
            connection->dirty = false;
            count--;
            (void)net_connection_flush(connection);
        }
    }
    if (server->dirty != NULL) {
        net_loop_wake(server->loop);
    }
}

static void
server_finish(struct net_server *server)
{
    ASSERT(server->connection_count == 0);
    ASSERT(server->memory == 0);
    net_timer_cancel(server->loop, &server->sweep);
    net_timer_cancel(server->loop, &server->accept_again);
    net_timer_cancel(server->loop, &server->drain_end);
    net_timer_cancel(server->loop, &server->drain_idle_end);
    net_loop_remove_hook(server->loop, &server->turn);
    server->state = NET_SERVER_STOPPED;
    uv_sem_post(&server->stopped); /* the server may be gone from here on */
}

static void
on_turn_end(struct net_loop_hook *hook)
{
    struct net_server *server = CONTAINER_OF(hook, struct net_server, turn);
    if (server->dirty != NULL) {
        server->now_ns = net_now_ns();
        dirty_flush(server);
    }
    if (server->ready != NULL) {
        struct net_exchange *first = server->ready;
        server->ready = NULL;
        server->ready_last = NULL;
        server->hooks.on_requests(server->hooks.context, first);
    }
    if (server->state == NET_SERVER_DRAINING && server->in_flight == 0 &&
        server->connection_count == 0 && server->handles_open == 0) {
        server_finish(server);
    }
}

/* -------------------------------------------------------------------------------------- life */

static void
connections_close(struct net_server *server, bool idle_only)
{
    LIST_FOREACH_SAFE (&server->connections, link) {
        struct net_connection *connection = CONTAINER_OF(link, struct net_connection, link);
        bool is_idle =
            connection->state == NET_CONNECTION_HANDSHAKE ||
            (connection->state == NET_CONNECTION_OPEN && net_connection_is_idle(connection));
        if (is_idle || !idle_only) {
            net_connection_destroy(connection, false);
        }
    }
}

static void
on_drain_end(struct net_timer *timer)
{
    struct net_server *server = CONTAINER_OF(timer, struct net_server, drain_end);
    connections_close(server, false);
}

static void
on_drain_idle_end(struct net_timer *timer)
{
    struct net_server *server = CONTAINER_OF(timer, struct net_server, drain_idle_end);
    server->keeps_idle = false;
    connections_close(server, true);
}

static void
on_start(struct os_task *task)
{
    struct net_server *server = CONTAINER_OF(task, struct net_server, start_task);
    server->now_ns = net_now_ns();
    server->state = NET_SERVER_RUNNING;
    net_loop_add_hook(server->loop, &server->turn);
    for (uint32_t i = 0; i < server->listener_count; i++) {
        struct net_listener *listener = &server->listeners[i];
        int result = uv_poll_init(net_loop_uv(server->loop), &listener->poll, listener->fd);
        ASSERT(result == 0);
        listener->is_open = true;
        server->handles_open++;
    }
    listeners_watch(server, true);
}

static void
on_stop(struct os_task *task)
{
    struct net_server *server = CONTAINER_OF(task, struct net_server, stop_task);
    ASSERT(server->state == NET_SERVER_RUNNING);
    server->state = NET_SERVER_DRAINING;
    server->now_ns = net_now_ns();
    for (uint32_t i = 0; i < server->listener_count; i++) {
        listener_close(&server->listeners[i]);
    }
    uint64_t idle_end_ns = server->now_ns + server->settings.drain_idle_ms * NS_PER_MS;
    server->keeps_idle =
        server->settings.drain_idle_ms > 0 &&
        net_timer_arm(server->loop, &server->drain_idle_end, idle_end_ns) == ERR_OK;
    if (!server->keeps_idle) {
        connections_close(server, true);
    }
    uint64_t end_ns = server->now_ns + server->drain_ns;
    if (net_timer_arm(server->loop, &server->drain_end, end_ns) != ERR_OK) {
        connections_close(server, false);
    }
}

static bool
settings_are_sane(const struct net_server_settings *settings)
{
    const struct http_limits *limits = &settings->limits;
    bool counts = settings->connections_max > 0 && settings->requests_max > 0 &&
                  settings->pipeline_max > 0 && settings->memory_max > 0 && settings->arena_max > 0;
    bool times = settings->handshake_timeout_ms > 0 && settings->head_timeout_ms > 0 &&
                 settings->body_timeout_ms > 0 && settings->idle_timeout_ms > 0 &&
                 settings->write_timeout_ms > 0 && settings->linger_timeout_ms > 0;
    return counts && times && limits->head > 0 && limits->head <= UINT32_C(1) << 20 &&
           limits->fields > 0 && limits->fields <= HTTP_FIELDS_MAX && limits->body > 0 &&
           limits->body <= UINT64_C(1) << 30;
}

err_t
net_server_create(
    struct net_loop *loop,
    const struct net_server_settings *settings,
    const struct net_server_hooks *hooks,
    struct net_server **ret_server)
{
    ASSERT(hooks->on_requests != NULL);
    if (!settings_are_sane(settings)) {
        return ERR_RANGE;
    }
    struct net_server *server = calloc(1, sizeof(*server));
    if (server == NULL) {
        return ERR_MEMORY;
    }
    if (uv_sem_init(&server->stopped, 0) != 0) {
        free(server);
        return ERR_IO;
    }
    server->loop = loop;
    server->settings = *settings;
    server->hooks = *hooks;
    server->turn.turn_end = on_turn_end;
    server->accept_again.fire = on_accept_again;
    server->drain_end.fire = on_drain_end;
    server->drain_idle_end.fire = on_drain_idle_end;
    server->start_task.run = on_start;
    server->stop_task.run = on_stop;
    server->date_s = -1;
    list_init(&server->connections);
    list_init(&server->in_hands);
    net_deadlines_init(server);
    *ret_server = server;
    return ERR_OK;
}

void
net_server_start(struct net_server *server)
{
    ASSERT(!server->started);
    server->started = true;
    os_post(net_loop_executor(server->loop), &server->start_task);
}

void
net_server_stop(struct net_server *server, uint32_t drain_ms)
{
    if (!server->started) {
        return;
    }
    ASSERT(!net_loop_is_current(server->loop));
    server->drain_ns = drain_ms * NS_PER_MS;
    os_post(net_loop_executor(server->loop), &server->stop_task);
    uv_sem_wait(&server->stopped);
    server->started = false;
}

void
net_server_destroy(struct net_server **server_pointer)
{
    struct net_server *server = *server_pointer;
    if (server == NULL) {
        return;
    }
    ASSERT(!server->started);
    ASSERT(server->connection_count == 0);
    for (uint32_t i = 0; i < server->listener_count; i++) {
        listener_close(&server->listeners[i]);
    }
    net_works_release(server);
    uv_sem_destroy(&server->stopped);
    free(server);
    *server_pointer = NULL;
}

void
net_server_count(const struct net_server *server, struct net_server_counters *ret_counters)
{
    uint64_t values[NET_COUNTER_COUNT];
    for (size_t i = 0; i < NET_COUNTER_COUNT; i++) {
        values[i] = atomic_load_explicit(&server->counters[i], memory_order_relaxed);
    }
    static_assert(sizeof(values) == sizeof(*ret_counters), "every counter is one uint64_t");
    memcpy(ret_counters, values, sizeof(values));
}
