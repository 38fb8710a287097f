/* Sockets of the system: one that listens, one on its way to an address. */
#ifndef NET_SOCKET_H
#define NET_SOCKET_H

#include "base/err.h"

#include <stdint.h>
#include <sys/socket.h>

/* Non-blocking; `ret_port` is the one that was bound. ERR_EXISTS: the address is in use. */
MUST_USE err_t net_socket_listen(
    const struct sockaddr_storage *system, socklen_t size, int *ret_fd, uint16_t *ret_port);
/* A non-blocking socket that connects, or -1: refused at once. */
int net_socket_connect(const struct sockaddr_storage *address, socklen_t size);
/* Whether one that became writable has arrived. */
err_t net_socket_connected(int fd);

#endif
