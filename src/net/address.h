/* Addresses between their text, the system's form and net_address. */
#ifndef NET_ADDRESS_H
#define NET_ADDRESS_H

#include "net/client.h"
#include "net/server.h"

#include <sys/socket.h>

void net_address_from_system(const struct sockaddr *system, struct net_address *ret_address);
/* Numeric text only; false if it is something else. */
bool net_address_to_system(
    const char *text, uint16_t port, struct sockaddr_storage *ret_system, socklen_t *ret_size);
uint16_t net_address_port(const struct sockaddr_storage *system);
bool net_address_is_within(const struct net_address *address, enum net_reach reach);

#endif
