/* NET-4: deadlines are absolute; a connection has at most one at a time. */
#include "base/assert.h"

#include "server_private.h"

#define NS_PER_MS UINT64_C(1000000)

static void
sweep_arm(struct net_server *server, uint64_t deadline_ns)
{
    if (server->sweep.position != 0 && server->sweep.deadline_ns <= deadline_ns) {
        return;
    }
    if (net_timer_arm(server->loop, &server->sweep, deadline_ns) != ERR_OK) {
        /* No memory for one pointer: deadlines wait for the next one that is set. */
        return;
    }
}

static void
on_sweep(struct net_timer *timer)
{
    struct net_server *server = CONTAINER_OF(timer, struct net_server, sweep);
    server->now_ns = net_now_ns();
    uint64_t next_ns = UINT64_MAX;
    for (size_t i = 0; i < NET_DEADLINE_COUNT; i++) {
        struct list_link *link;
        while ((link = list_first(&server->deadlines[i])) != NULL) {
            struct net_connection *connection =
                CONTAINER_OF(link, struct net_connection, deadline_link);
            if (connection->deadline_ns > server->now_ns) {
                next_ns = connection->deadline_ns < next_ns ? connection->deadline_ns : next_ns;
                break;
            }
            net_deadline_set(connection, NET_DEADLINE_NONE);
            net_connection_expire(connection, (enum net_deadline)i);
        }
    }
    if (next_ns != UINT64_MAX) {
        sweep_arm(server, next_ns);
    }
}

void
net_deadlines_init(struct net_server *server)
{
    const struct net_server_settings *settings = &server->settings;
    const uint32_t durations_ms[NET_DEADLINE_COUNT] = {
        [NET_DEADLINE_HANDSHAKE] = settings->handshake_timeout_ms,
        [NET_DEADLINE_HEAD] = settings->head_timeout_ms,
        [NET_DEADLINE_BODY] = settings->body_timeout_ms,
        [NET_DEADLINE_IDLE] = settings->idle_timeout_ms,
        [NET_DEADLINE_WRITE] = settings->write_timeout_ms,
        [NET_DEADLINE_LINGER] = settings->linger_timeout_ms,
    };
    for (size_t i = 0; i < NET_DEADLINE_COUNT; i++) {
        list_init(&server->deadlines[i]);
        server->durations_ns[i] = durations_ms[i] * NS_PER_MS;
    }
    server->sweep.fire = on_sweep;
}

void
net_deadline_set(struct net_connection *connection, enum net_deadline deadline)
{
    struct net_server *server = connection->server;
    if (connection->deadline != NET_DEADLINE_NONE) {
        list_remove(&connection->deadline_link);
    }
    connection->deadline = (uint8_t)deadline;
    if (deadline == NET_DEADLINE_NONE) {
        return;
    }
    /* now_ns never goes back, so the list stays in order. */
    connection->deadline_ns = server->now_ns + server->durations_ns[deadline];
    list_push_back(&server->deadlines[deadline], &connection->deadline_link);
    sweep_arm(server, connection->deadline_ns);
}
