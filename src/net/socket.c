#include "socket.h"

#include "address.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <unistd.h>

#define LISTEN_BACKLOG 4096

static err_t
bind_error(int error_number)
{
    switch (error_number) {
    case EADDRINUSE:
        return ERR_EXISTS;
    case EACCES:
    case EPERM:
        return ERR_DENIED;
    case EADDRNOTAVAIL:
        return ERR_NOT_FOUND;
    default:
        return ERR_IO;
    }
}

err_t
net_socket_listen(
    const struct sockaddr_storage *system, socklen_t size, int *ret_fd, uint16_t *ret_port)
{
    int fd = socket(system->ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        return err_from_errno(errno);
    }
    int on = 1;
    int off = 0;
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    /* Accepted sockets inherit it. */
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    if (system->ss_family == AF_INET6) {
        (void)setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off));
    }
    struct sockaddr_storage bound;
    socklen_t bound_size = sizeof(bound);
    if (bind(fd, (const struct sockaddr *)system, size) != 0 || listen(fd, LISTEN_BACKLOG) != 0 ||
        getsockname(fd, (struct sockaddr *)&bound, &bound_size) != 0) {
        err_t result = bind_error(errno);
        (void)close(fd);
        return result;
    }
    *ret_fd = fd;
    *ret_port = net_address_port(&bound);
    return ERR_OK;
}

int
net_socket_connect(const struct sockaddr_storage *address, socklen_t size)
{
    int fd = socket(address->ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        return -1;
    }
    int on = 1;
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    if (connect(fd, (const struct sockaddr *)address, size) != 0 && errno != EINPROGRESS) {
        (void)close(fd);
        return -1;
    }
    return fd;
}

err_t
net_socket_connected(int fd)
{
    int error_number = 0;
    socklen_t size = sizeof(error_number);
    int result = getsockopt(fd, SOL_SOCKET, SO_ERROR, &error_number, &size);
    return result != 0 || error_number != 0 ? ERR_CLOSED : ERR_OK;
}
