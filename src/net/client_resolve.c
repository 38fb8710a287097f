/* The origin's addresses: numeric ones at once, names through the loop's look-ups. No deadline of
 * their own: every connection that waits for them has one. */
#include "base/assert.h"

#include "address.h"
#include "client_private.h"

#include <netinet/in.h>
#include <string.h>

/* A name is looked up again after so long. */
#define RESOLVED_KEPT_NS UINT64_C(10000000000)

static bool
is_within_reach(const struct net_client *client, const struct sockaddr_storage *system)
{
    struct net_address address;
    net_address_from_system((const struct sockaddr *)system, &address);
    return net_address_is_within(&address, client->settings.reach);
}

void
net_client_resolve_numeric(struct net_client *client)
{
    client->numeric = net_address_to_system(
        client->host, client->port, &client->addresses[0], &client->address_sizes[0]);
    client->denied = client->numeric && !is_within_reach(client, &client->addresses[0]);
    client->address_count = client->numeric && !client->denied ? 1 : 0;
}

static void
port_set(struct sockaddr_storage *address, uint16_t port)
{
    if (address->ss_family == AF_INET6) {
        ((struct sockaddr_in6 *)(void *)address)->sin6_port = htons(port);
    } else {
        ((struct sockaddr_in *)(void *)address)->sin_port = htons(port);
    }
}

static void
addresses_take(struct net_client *client, const struct addrinfo *found)
{
    client->address_count = 0;
    client->denied = false;
    for (; found != NULL && client->address_count < NET_CLIENT_ADDRESSES_MAX;
         found = found->ai_next) {
        if (found->ai_addrlen > sizeof(client->addresses[0])) {
            continue;
        }
        struct sockaddr_storage *address = &client->addresses[client->address_count];
        memcpy(address, found->ai_addr, found->ai_addrlen);
        port_set(address, client->port);
        if (!is_within_reach(client, address)) {
            client->denied = true;
            continue;
        }
        client->address_sizes[client->address_count] = found->ai_addrlen;
        client->address_count++;
    }
}

static struct net_client_connection *
first_resolving(const struct net_client *client)
{
    LIST_FOREACH_SAFE (&client->connections, link) {
        struct net_client_connection *connection =
            CONTAINER_OF(link, struct net_client_connection, link);
        if (connection->state == NET_CLIENT_RESOLVING) {
            return connection;
        }
    }
    return NULL;
}

static void
on_resolved(struct net_query *query, err_t result, const struct addrinfo *found)
{
    struct net_client *client = CONTAINER_OF(query, struct net_client, query);
    client->resolving = false;
    err_t cause = result;
    if (result == ERR_OK) {
        addresses_take(client, found);
        client->resolved_ns = net_now_ns();
        cause = client->denied ? ERR_DENIED : ERR_NOT_FOUND;
    }
    struct net_client_connection *connection;
    while ((connection = first_resolving(client)) != NULL && !client->resolving) {
        if (client->address_count > 0) {
            cause = net_client_connection_connect(connection);
        }
        if (cause != ERR_OK) {
            net_client_connection_give_up(connection, cause);
        }
    }
}

err_t
net_client_resolve(struct net_client *client, bool *ret_known)
{
    *ret_known = client->numeric || (client->address_count > 0 &&
                                     net_now_ns() - client->resolved_ns < RESOLVED_KEPT_NS);
    if (*ret_known || client->resolving) {
        return ERR_OK;
    }
    client->address_count = 0;
    client->query.done = on_resolved;
    client->query.owner = client->settings.owner;
    TRY(net_query_start(net_loop_lookups(client->loop), client->host, &client->query));
    client->resolving = true;
    return ERR_OK;
}

void
net_client_resolve_stop(struct net_client *client)
{
    net_query_forget(net_loop_lookups(client->loop), &client->query);
    client->resolving = false;
}
