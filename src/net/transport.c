#include "transport.h"

#include "base/assert.h"

#include <errno.h>
#include <linux/sockios.h>
#include <openssl/err.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

static ssize_t
from_errno(ssize_t wait)
{
    if (errno == EAGAIN) {
        return wait;
    }
    return NET_IO_FAILED;
}

static ssize_t
from_ssl(struct net_transport *transport, int result)
{
    switch (SSL_get_error(transport->ssl, result)) {
    case SSL_ERROR_WANT_READ:
        return NET_IO_WAIT_READ;
    case SSL_ERROR_WANT_WRITE:
        return NET_IO_WAIT_WRITE;
    case SSL_ERROR_ZERO_RETURN:
        return 0;
    default:
        /* What is in the queue belongs to this session; the next one must not find it. */
        ERR_clear_error();
        return NET_IO_FAILED;
    }
}

ssize_t
net_transport_handshake(struct net_transport *transport)
{
    if (transport->ssl == NULL) {
        return 1;
    }
    ERR_clear_error();
    int result = SSL_do_handshake(transport->ssl);
    if (result == 1) {
        return 1;
    }
    ssize_t answer = from_ssl(transport, result);
    return answer == 0 ? NET_IO_FAILED : answer;
}

ssize_t
net_transport_read(struct net_transport *transport, char *out, size_t size)
{
    ASSERT(size > 0);
    if (transport->ssl != NULL) {
        ERR_clear_error();
        size_t count = 0;
        int result = SSL_read_ex(transport->ssl, out, size, &count);
        return result == 1 ? (ssize_t)count : from_ssl(transport, result);
    }
    for (;;) {
        ssize_t count = recv(transport->fd, out, size, 0);
        if (count >= 0) {
            return count;
        }
        if (errno != EINTR) {
            return from_errno(NET_IO_WAIT_READ);
        }
    }
}

bool
net_transport_is_http2(const struct net_transport *transport)
{
    const unsigned char *protocol = NULL;
    unsigned size = 0;
    if (transport->ssl == NULL) {
        return false;
    }
    SSL_get0_alpn_selected(transport->ssl, &protocol, &size);
    return size == 2 && memcmp(protocol, "h2", 2) == 0;
}

bool
net_transport_has_pending(const struct net_transport *transport)
{
    return transport->ssl != NULL && SSL_has_pending(transport->ssl) == 1;
}

static ssize_t
write_plain(int fd, const struct iovec *pieces, int count)
{
    for (;;) {
        ssize_t written;
        if (count == 1) {
            written = send(fd, pieces[0].iov_base, pieces[0].iov_len, MSG_NOSIGNAL);
        } else {
            struct iovec *mutable_pieces = (struct iovec *)(uintptr_t)pieces;
            struct msghdr message = {.msg_iov = mutable_pieces, .msg_iovlen = (size_t)count};
            written = sendmsg(fd, &message, MSG_NOSIGNAL);
        }
        if (written >= 0) {
            return written;
        }
        if (errno != EINTR) {
            return from_errno(NET_IO_WAIT_WRITE);
        }
    }
}

/* Small pieces travel in one record: a record costs more than a copy. */
static ssize_t
write_tls(SSL *ssl, const struct iovec *pieces, int count, char *scratch)
{
    const char *data = pieces[0].iov_base;
    size_t size = pieces[0].iov_len;
    if (count > 1 && size < NET_TLS_WRITE_MAX) {
        size = 0;
        for (int i = 0; i < count && size < NET_TLS_WRITE_MAX; i++) {
            size_t part = pieces[i].iov_len;
            if (part > NET_TLS_WRITE_MAX - size) {
                part = NET_TLS_WRITE_MAX - size;
            }
            memcpy(scratch + size, pieces[i].iov_base, part);
            size += part;
        }
        data = scratch;
    }
    if (size > NET_TLS_WRITE_MAX) {
        size = NET_TLS_WRITE_MAX;
    }
    size_t written = 0;
    ERR_clear_error();
    int result = SSL_write_ex(ssl, data, size, &written);
    return result == 1 ? (ssize_t)written : result;
}

ssize_t
net_transport_write(
    struct net_transport *transport, const struct iovec *pieces, int count, char *scratch)
{
    ASSERT(count > 0);
    ASSERT(pieces[0].iov_len > 0);
    if (transport->ssl == NULL) {
        return write_plain(transport->fd, pieces, count);
    }
    ssize_t written = write_tls(transport->ssl, pieces, count, scratch);
    if (written > 0) {
        return written;
    }
    ssize_t answer = from_ssl(transport, (int)written);
    /* There is no renegotiation, so a write never waits for the peer. */
    return answer == NET_IO_WAIT_WRITE ? answer : NET_IO_FAILED;
}

bool
net_transport_has_unsent(const struct net_transport *transport)
{
    int size = 0;
    return ioctl(transport->fd, SIOCOUTQ, &size) == 0 && size > 0;
}

void
net_transport_end(struct net_transport *transport)
{
    if (transport->ssl != NULL && SSL_is_init_finished(transport->ssl)) {
        ERR_clear_error();
        (void)SSL_shutdown(transport->ssl); /* best effort: the FIN below says the same */
        ERR_clear_error();
    }
    (void)shutdown(transport->fd, SHUT_WR);
}

void
net_transport_close(struct net_transport *transport, bool abort)
{
    if (transport->ssl != NULL) {
        SSL_free(transport->ssl);
        transport->ssl = NULL;
    }
    if (transport->fd < 0) {
        return;
    }
    if (abort) {
        struct linger linger = {.l_onoff = 1, .l_linger = 0};
        (void)setsockopt(transport->fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
    }
    (void)close(transport->fd);
    transport->fd = -1;
}
