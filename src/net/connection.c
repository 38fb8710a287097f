/* The life of a connection, and what it waits for. Invariants: README.md. */
#include "base/assert.h"

#include "server_private.h"

#include <stdlib.h>

static void
on_closed(uv_handle_t *handle)
{
    struct net_connection *connection = CONTAINER_OF(handle, struct net_connection, poll);
    ASSERT(connection->state == NET_CONNECTION_DEAD);
    connection->server->handles_open--;
    free(connection);
}

/* Ends a connection that went wrong before any answer was due. */
static void
handshake_failed(struct net_connection *connection)
{
    NET_COUNT(connection->server, handshake_failed, 1);
    net_connection_destroy(connection, false);
}

static void
handshake(struct net_connection *connection)
{
    ssize_t result = net_transport_handshake(&connection->transport);
    if (result == NET_IO_FAILED) {
        handshake_failed(connection);
        return;
    }
    if (result == 1) {
        connection->state = NET_CONNECTION_OPEN;
        if (net_transport_is_http2(&connection->transport) &&
            net_http2_create(connection) != ERR_OK) {
            net_connection_destroy(connection, false);
            return;
        }
        net_connection_read(connection); /* what came with the last flight is in OpenSSL already */
        return;
    }
    connection->blocked = result == NET_IO_WAIT_WRITE;
    net_connection_arm(connection);
}

static void
on_event(uv_poll_t *handle, int status, int events)
{
    struct net_connection *connection = CONTAINER_OF(handle, struct net_connection, poll);
    if (connection->state == NET_CONNECTION_DEAD) {
        return;
    }
    connection->server->now_ns = net_now_ns();
    if (status < 0) {
        net_connection_destroy(connection, true);
        return;
    }
    if (connection->state == NET_CONNECTION_HANDSHAKE) {
        handshake(connection);
        return;
    }
    if ((events & UV_WRITABLE) != 0 && connection->blocked) {
        connection->blocked = false;
        net_connection_touch(connection);
    }
    if ((events & UV_READABLE) != 0 && net_connection_may_read(connection)) {
        net_connection_read(connection);
    }
}

void
net_connection_create(
    struct net_server *server, struct net_tls *tls, int fd, const struct net_address *peer)
{
    struct net_connection *connection = calloc(1, sizeof(*connection));
    struct net_transport transport = {.fd = fd};
    if (connection == NULL ||
        (tls != NULL && net_transport_secure(&transport, tls, NULL) != ERR_OK) ||
        uv_poll_init(net_loop_uv(server->loop), &connection->poll, fd) != 0) {
        net_transport_close(&transport, false);
        free(connection);
        return;
    }
    connection->transport = transport;
    connection->server = server;
    connection->peer = *peer;
    connection->state = tls != NULL ? NET_CONNECTION_HANDSHAKE : NET_CONNECTION_OPEN;
    buf_init(&connection->held, NET_LOOP_SCRATCH_SIZE);
    server->handles_open++;
    server->connection_count++;
    net_server_counter_set(server, NET_COUNTER(connections), server->connection_count);
    list_push_back(&server->connections, &connection->link);
    net_connection_arm(connection);
}

void
net_connection_drop_queue(struct net_connection *connection)
{
    struct net_work *work = connection->oldest;
    while (work != NULL) {
        struct net_work *next = work->next;
        work->connection = NULL;
        work->next = NULL;
        if (work->state == NET_WORK_ANSWERED) {
            NET_COUNT(connection->server, orphaned, 1);
            net_work_destroy(work);
        } else if (work->state == NET_WORK_HANDED) {
            net_work_left(work);
        } else { /* HTTP/2: still being received */
            net_work_destroy(work);
        }
        work = next;
    }
    connection->oldest = NULL;
    connection->newest = NULL;
    connection->queued = 0;
    if (connection->reading != NULL) {
        net_work_destroy(connection->reading);
        connection->reading = NULL;
    }
}

static void
dirty_remove(struct net_connection *connection)
{
    struct net_connection **place = &connection->server->dirty;
    while (*place != NULL && *place != connection) {
        place = &(*place)->next_dirty;
    }
    if (*place == connection) {
        *place = connection->next_dirty;
    }
}

void
net_connection_destroy(struct net_connection *connection, bool abort)
{
    struct net_server *server = connection->server;
    ASSERT(connection->state != NET_CONNECTION_DEAD);
    net_deadline_set(connection, NET_DEADLINE_NONE);
    net_http2_destroy(connection);
    net_connection_drop_queue(connection);
    if (connection->dirty) {
        dirty_remove(connection);
        connection->dirty = false;
    }
    size_t charged = connection->held.capacity;
    net_server_charge(server, &charged, 0);
    buf_wipe(&connection->held);
    buf_release(&connection->held);
    connection->state = NET_CONNECTION_DEAD;
    list_remove(&connection->link);
    ASSERT(server->connection_count > 0);
    server->connection_count--;
    net_server_counter_set(server, NET_COUNTER(connections), server->connection_count);
    uv_close((uv_handle_t *)&connection->poll, on_closed);
    net_transport_close(&connection->transport, abort);
}

void
net_connection_give_up(struct net_connection *connection)
{
    net_connection_destroy(
        connection, connection->blocked || net_transport_has_unsent(&connection->transport));
}

void
net_connection_touch(struct net_connection *connection)
{
    ASSERT(connection->state != NET_CONNECTION_DEAD);
    if (connection->dirty) {
        return;
    }
    connection->dirty = true;
    connection->next_dirty = connection->server->dirty;
    connection->server->dirty = connection;
}

void
net_connection_enqueue(struct net_connection *connection, struct net_work *work)
{
    ASSERT(work->next == NULL);
    ASSERT(work->connection == connection);
    if (connection->oldest == NULL) {
        connection->oldest = work;
    } else {
        connection->newest->next = work;
    }
    connection->newest = work;
    connection->queued++;
}

bool
net_connection_is_idle(const struct net_connection *connection)
{
    return connection->oldest == NULL && connection->reading == NULL &&
           connection->held.size == 0 && !connection->blocked;
}

static enum net_deadline
deadline_of(const struct net_connection *connection)
{
    switch ((enum net_connection_state)connection->state) {
    case NET_CONNECTION_HANDSHAKE:
        return NET_DEADLINE_HANDSHAKE;
    case NET_CONNECTION_LINGER:
        return NET_DEADLINE_LINGER;
    case NET_CONNECTION_OPEN:
    case NET_CONNECTION_CLOSING:
        break;
    case NET_CONNECTION_DEAD:
        return NET_DEADLINE_NONE;
    }
    if (connection->blocked) {
        return NET_DEADLINE_WRITE;
    }
    if (connection->reading != NULL) {
        return connection->reading->state == NET_WORK_HEAD ? NET_DEADLINE_HEAD : NET_DEADLINE_BODY;
    }
    /* While the handler works the client may wait as long as it likes. Streams of HTTP/2 have
     * deadlines of their own. */
    return net_connection_is_idle(connection) ? NET_DEADLINE_IDLE : NET_DEADLINE_NONE;
}

static uint8_t
events_of(const struct net_connection *connection)
{
    if (connection->state == NET_CONNECTION_HANDSHAKE) {
        return connection->blocked ? UV_WRITABLE : UV_READABLE;
    }
    uint8_t events = 0;
    if (net_connection_may_read(connection)) {
        events |= UV_READABLE;
    }
    if (connection->blocked) {
        events |= UV_WRITABLE;
    }
    return events;
}

void
net_connection_arm(struct net_connection *connection)
{
    enum net_deadline deadline = deadline_of(connection);
    if (connection->restart || deadline != connection->deadline) {
        connection->restart = false;
        net_deadline_set(connection, deadline);
    }
    uint8_t events = events_of(connection);
    if (events == connection->events) {
        return;
    }
    connection->events = events;
    int result = events == 0 ? uv_poll_stop(&connection->poll)
                             : uv_poll_start(&connection->poll, events, on_event);
    ASSERT(result == 0);
}

void
net_connection_expire(struct net_connection *connection, enum net_deadline deadline)
{
    struct net_server *server = connection->server;
    switch (deadline) {
    case NET_DEADLINE_HANDSHAKE:
        NET_COUNT(server, timeout_handshake, 1);
        break;
    case NET_DEADLINE_HEAD:
        NET_COUNT(server, timeout_head, 1);
        net_connection_refuse(connection, 408, "the request head did not arrive in time");
        return;
    case NET_DEADLINE_BODY:
        NET_COUNT(server, timeout_body, 1);
        net_connection_refuse(connection, 408, "the request body did not arrive in time");
        return;
    case NET_DEADLINE_IDLE:
        NET_COUNT(server, timeout_idle, 1);
        break;
    case NET_DEADLINE_WRITE:
        NET_COUNT(server, timeout_write, 1);
        break;
    case NET_DEADLINE_LINGER:
    case NET_DEADLINE_NONE:
        break;
    }
    net_connection_give_up(connection);
}

void
net_connection_finish(struct net_connection *connection)
{
    ASSERT(connection->oldest == NULL);
    if (connection->ended) {
        net_connection_destroy(connection, false);
        return;
    }
    /* Closing now, with unread bytes in the socket, would make the kernel send a reset that can
     * overtake the answer (RFC 9112 section 9.6). */
    net_transport_end(&connection->transport);
    connection->state = NET_CONNECTION_LINGER;
    connection->blocked = false;
    net_connection_arm(connection);
}

bool
net_exchange_peer_is(struct net_exchange *exchange, const char *name)
{
    const struct net_work *work = CONTAINER_OF(exchange, struct net_work, exchange);
    return work->connection != NULL && net_transport_peer_is(&work->connection->transport, name);
}
