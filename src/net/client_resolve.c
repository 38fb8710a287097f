/* The origin's addresses: numeric ones at once, names through the system's resolver. */
#include "base/assert.h"

#include "address.h"
#include "client_private.h"

#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
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
on_resolved(uv_getaddrinfo_t *request, int status, struct addrinfo *found)
{
    struct net_client *client = CONTAINER_OF(request, struct net_client, resolve_request);
    client->resolving = false;
    if (status == 0) {
        addresses_take(client, found);
        client->resolved_ns = net_now_ns();
    }
    uv_freeaddrinfo(found);
    err_t cause = status == UV_EAI_AGAIN ? ERR_BUSY : ERR_NOT_FOUND;
    if (status == 0 && client->denied) {
        cause = ERR_DENIED;
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

bool
net_client_resolve(struct net_client *client)
{
    if (client->numeric) {
        return true;
    }
    if (client->address_count > 0 && net_now_ns() - client->resolved_ns < RESOLVED_KEPT_NS) {
        return true;
    }
    if (client->resolving) {
        return false;
    }
    const struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    char service[8];
    (void)snprintf(service, sizeof(service), "%u", (unsigned)client->port);
    client->address_count = 0;
    int result = uv_getaddrinfo(
        net_loop_uv(client->loop),
        &client->resolve_request,
        on_resolved,
        client->host,
        service,
        &hints);
    client->resolving = result == 0;
    return false;
}
