#include "address.h"

#include "base/assert.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

static const uint8_t mapped_prefix[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

void
net_address_from_system(const struct sockaddr *system, struct net_address *ret_address)
{
    *ret_address = (struct net_address){0};
    if (system->sa_family == AF_INET) {
        struct sockaddr_in in;
        memcpy(&in, system, sizeof(in));
        memcpy(ret_address->ip, mapped_prefix, sizeof(mapped_prefix));
        memcpy(ret_address->ip + sizeof(mapped_prefix), &in.sin_addr, 4);
        ret_address->port = ntohs(in.sin_port);
    } else if (system->sa_family == AF_INET6) {
        struct sockaddr_in6 in6;
        memcpy(&in6, system, sizeof(in6));
        memcpy(ret_address->ip, &in6.sin6_addr, sizeof(ret_address->ip));
        ret_address->port = ntohs(in6.sin6_port);
    }
}

bool
net_address_to_system(
    const char *text, uint16_t port, struct sockaddr_storage *ret_system, socklen_t *ret_size)
{
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(port)};
    struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
    memset(ret_system, 0, sizeof(*ret_system));
    if (inet_pton(AF_INET, text, &in.sin_addr) == 1) {
        memcpy(ret_system, &in, sizeof(in));
        *ret_size = sizeof(in);
        return true;
    }
    if (inet_pton(AF_INET6, text, &in6.sin6_addr) == 1) {
        memcpy(ret_system, &in6, sizeof(in6));
        *ret_size = sizeof(in6);
        return true;
    }
    return false;
}

uint16_t
net_address_port(const struct sockaddr_storage *system)
{
    struct net_address address;
    net_address_from_system((const struct sockaddr *)system, &address);
    return address.port;
}

void
net_address_format(const struct net_address *address, char out[NET_ADDRESS_TEXT_SIZE])
{
    char ip[INET6_ADDRSTRLEN];
    bool mapped = memcmp(address->ip, mapped_prefix, sizeof(mapped_prefix)) == 0;
    const char *text = mapped ? inet_ntop(AF_INET, address->ip + 12, ip, sizeof(ip))
                              : inet_ntop(AF_INET6, address->ip, ip, sizeof(ip));
    ASSERT(text != NULL);
    (void)snprintf(
        out, NET_ADDRESS_TEXT_SIZE, mapped ? "%s:%u" : "[%s]:%u", text, (unsigned)address->port);
}
