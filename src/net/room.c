/*
 * NET-13. Under a shortage of memory or connections, who has kept the server waiting the longest
 * gives way to who comes: a client's turn is to send its request or to take its answer, and a
 * client that does so in shortage_grace_ms is never the one. Without that, whoever sends half a
 * request, or takes half an answer, has its share of the server until a deadline, and a few
 * thousand of those have all of it.
 */
#include "base/assert.h"

#include "server_private.h"

/* Of those that wait, looked at for one that may go. */
#define LOOKED_MAX 64
#define NS_PER_MS  UINT64_C(1000000)

/* Whose turn began before that may be ended. */
static uint64_t
turns_before_ns(const struct net_server *server)
{
    uint64_t grace_ns = server->settings.shortage_grace_ms * NS_PER_MS;
    return server->now_ns > grace_ns ? server->now_ns - grace_ns : 0;
}

static uint64_t
turn_ns(const struct net_work *work)
{
    return work->state == NET_WORK_ANSWERED ? work->answered_ns : work->exchange.arrived_ns;
}

/* Answered, and it is the client that does not take it, not an earlier answer that is missing. */
static bool
is_not_taken(const struct net_work *work)
{
    const struct net_connection *connection = work->connection;
    return work->state == NET_WORK_ANSWERED &&
           (connection->http2 != NULL ? work->is_prepared : connection->blocked);
}

/* What has been in its client's hands the longest; NULL if that is `work`, or has time left. */
static struct net_work *
oldest_find(const struct net_connection *connection, const struct net_work *work)
{
    const struct net_server *server = connection->server;
    const struct list_link *end = &server->in_hands.head;
    struct list_link *link = server->in_hands.head.next;
    for (int i = 0; i < LOOKED_MAX && link != end; i++, link = link->next) {
        struct net_work *one = CONTAINER_OF(link, struct net_work, hands_link);
        if (one == work || turn_ns(one) >= turns_before_ns(server)) {
            return NULL;
        }
        /* A connection does not end while something of it is being done. */
        if (one->state != NET_WORK_ANSWERED ||
            (one->connection != connection && is_not_taken(one))) {
            return one;
        }
    }
    return NULL;
}

static void
give_way(struct net_work *work)
{
    struct net_connection *connection = work->connection;
    NET_COUNT(work->server, gave_way, 1);
    if (work->state == NET_WORK_ANSWERED) {
        net_connection_destroy(connection, true);
    } else if (connection->http2 != NULL) {
        net_work_refuse(work, 503, "the server has no memory for slow requests now");
        net_connection_touch(connection);
    } else {
        ASSERT(work == connection->reading);
        net_connection_refuse(connection, 503, "the server has no memory for slow requests now");
    }
}

bool
net_server_has_room(struct net_connection *connection, const struct net_work *work)
{
    struct net_server *server = connection->server;
    while (net_server_memory_is_full(server)) {
        struct net_work *oldest = oldest_find(connection, work);
        if (oldest == NULL) {
            return false;
        }
        give_way(oldest);
    }
    return true;
}

bool
net_server_make_connection_room(struct net_server *server)
{
    uint64_t oldest_ns = turns_before_ns(server);
    struct net_connection *oldest = NULL;
    for (size_t i = 0; i < NET_DEADLINE_COUNT; i++) {
        struct list_link *link = list_first(&server->deadlines[i]);
        if (link == NULL) {
            continue;
        }
        struct net_connection *one = CONTAINER_OF(link, struct net_connection, deadline_link);
        uint64_t began_ns = one->deadline_ns - server->durations_ns[i];
        if (began_ns < oldest_ns) {
            oldest_ns = began_ns;
            oldest = one;
        }
    }
    struct list_link *link = list_first(&server->in_hands);
    if (link != NULL) {
        struct net_work *one = CONTAINER_OF(link, struct net_work, hands_link);
        oldest = turn_ns(one) < oldest_ns ? one->connection : oldest;
    }
    if (oldest == NULL) {
        return false;
    }
    NET_COUNT(server, gave_way, 1);
    net_connection_give_up(oldest);
    return true;
}
