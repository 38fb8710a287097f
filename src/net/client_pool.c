/*
 * Which call gets which connection. The connection used last is used next, so that those that are
 * not needed grow old and are closed.
 */
#include "base/assert.h"

#include "client_private.h"

#define NS_PER_MS UINT64_C(1000000)

static void
waiting_counted(struct net_client *client)
{
    net_client_counter_set(client, NET_CLIENT_COUNTER(waiting), client->waiting_count);
}

static void
waiting_push(struct net_client *client, struct net_call *call, bool front)
{
    ASSERT(call->next == NULL);
    ASSERT(call->previous == NULL);
    call->state = NET_CALL_WAITING;
    if (client->waiting == NULL) {
        client->waiting = call;
        client->waiting_last = call;
    } else if (front) {
        call->next = client->waiting;
        client->waiting->previous = call;
        client->waiting = call;
    } else {
        call->previous = client->waiting_last;
        client->waiting_last->next = call;
        client->waiting_last = call;
    }
    client->waiting_count++;
    waiting_counted(client);
}

static void
waiting_remove(struct net_client *client, struct net_call *call)
{
    ASSERT(call->state == NET_CALL_WAITING);
    ASSERT(client->waiting_count > 0);
    if (call->previous != NULL) {
        call->previous->next = call->next;
    } else {
        ASSERT(client->waiting == call);
        client->waiting = call->next;
    }
    if (call->next != NULL) {
        call->next->previous = call->previous;
    } else {
        client->waiting_last = call->previous;
    }
    call->next = NULL;
    call->previous = NULL;
    call->state = NET_CALL_NEW;
    client->waiting_count--;
    waiting_counted(client);
}

void
net_pool_add(struct net_call *call)
{
    struct net_client *client = call->client;
    /* Those that the connections under way will take do not count as waiting. */
    if (client->waiting_count >= client->settings.waiting_max) {
        net_call_fail(call, ERR_FULL);
        return;
    }
    waiting_push(client, call, false);
    net_pool_serve(client);
}

void
net_pool_serve(struct net_client *client)
{
    struct list_link *link;
    while (client->waiting != NULL && (link = list_first(&client->idle)) != NULL) {
        struct net_client_connection *connection =
            CONTAINER_OF(link, struct net_client_connection, idle_link);
        if (!net_client_connection_is_quiet(connection)) {
            net_client_connection_destroy(connection);
            continue;
        }
        struct net_call *call = client->waiting;
        waiting_remove(client, call);
        err_t result = net_client_connection_send(connection, call);
        if (result != ERR_OK) {
            net_call_fail(call, result);
        }
    }
    /* Every attempt that fails at once ends a call, or leaves them to the working connections. */
    while (client->waiting_count > client->opening_count && !client->stopping &&
           client->connection_count < client->settings.connections_max) {
        err_t result = net_client_connection_open(client, 0, 0);
        if (result != ERR_OK && !net_pool_connect_failed(client, result)) {
            break;
        }
    }
}

bool
net_pool_connect_failed(struct net_client *client, err_t cause)
{
    NET_CLIENT_COUNT(client, connect_failed, 1);
    /* Connections that work will get to the calls; otherwise this attempt was for the oldest. */
    if (client->connection_count > client->opening_count || client->waiting == NULL) {
        return false;
    }
    struct net_call *call = client->waiting;
    waiting_remove(client, call);
    net_call_fail(call, cause);
    return true;
}

void
net_pool_forget(struct net_call *call)
{
    if (call->state == NET_CALL_WAITING) {
        waiting_remove(call->client, call);
        return;
    }
    if (call->state == NET_CALL_BOUND) {
        struct net_client_connection *connection = call->connection;
        ASSERT(connection->call == call);
        connection->call = NULL;
        call->connection = NULL;
        net_client_connection_destroy(connection);
    }
}

void
net_pool_lost(struct net_call *call, bool repeatable, err_t cause)
{
    struct net_client *client = call->client;
    ASSERT(call->state == NET_CALL_BOUND);
    call->connection = NULL;
    call->stale = repeatable && call->sent;
    if (repeatable && !call->repeated && (call->safe || !call->sent) && !client->stopping) {
        call->repeated = true;
        call->stale = false;
        NET_CLIENT_COUNT(client, repeated, 1);
        /* The others were idle as long, or longer. */
        net_pool_close_idle(client);
        waiting_push(client, call, true);
    } else {
        net_call_fail(call, cause);
    }
    net_pool_serve(client);
}

/* ------------------------------------------------------------------------------------- idle */

static uint64_t
idle_ns(const struct net_client *client)
{
    return client->settings.idle_timeout_ms * NS_PER_MS;
}

static void
on_idle_timer(struct net_timer *timer)
{
    struct net_client *client = CONTAINER_OF(timer, struct net_client, idle_timer);
    uint64_t now_ns = net_now_ns();
    while (!list_is_empty(&client->idle)) {
        struct net_client_connection *oldest =
            CONTAINER_OF(client->idle.head.prev, struct net_client_connection, idle_link);
        uint64_t end_ns = oldest->idle_since_ns + idle_ns(client);
        if (end_ns > now_ns) {
            /* Without memory for the timer they stay until the server closes them. */
            err_t result = net_timer_arm(client->loop, timer, end_ns);
            (void)result;
            return;
        }
        net_client_connection_destroy(oldest);
    }
}

void
net_pool_idle(struct net_client_connection *connection)
{
    struct net_client *client = connection->client;
    ASSERT(connection->call == NULL);
    connection->state = NET_CLIENT_IDLE;
    connection->idle_since_ns = net_now_ns();
    list_push_front(&client->idle, &connection->idle_link);
    if (client->idle_timer.position == 0) {
        err_t result = net_timer_arm(
            client->loop, &client->idle_timer, connection->idle_since_ns + idle_ns(client));
        (void)result;
    }
    net_pool_serve(client);
}

void
net_pool_close_idle(struct net_client *client)
{
    struct list_link *link;
    while ((link = list_first(&client->idle)) != NULL) {
        net_client_connection_destroy(CONTAINER_OF(link, struct net_client_connection, idle_link));
    }
}

void
net_pool_init(struct net_client *client)
{
    list_init(&client->connections);
    list_init(&client->idle);
    client->idle_timer.fire = on_idle_timer;
}
