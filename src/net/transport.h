/* A connected, non-blocking socket, plain or TLS: the same calls for servers and clients. */
#ifndef NET_TRANSPORT_H
#define NET_TRANSPORT_H

#include "net/tls.h"

#include <openssl/ssl.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>
#include <sys/uio.h>

struct net_transport {
    int fd;
    SSL *ssl; /* NULL: plain */
};

/* What the calls below answer instead of a number of bytes. */
#define NET_IO_WAIT_READ  ((ssize_t)-1) /* nothing now: try again when readable */
#define NET_IO_WAIT_WRITE ((ssize_t)-2) /* nothing now: try again when writable */
#define NET_IO_FAILED     ((ssize_t)-3) /* the connection is of no use any more */

/* At most so many bytes go into one TLS write. */
#define NET_TLS_WRITE_MAX 16384

/* Puts a TLS session over transport->fd. `host` is who the peer must be; NULL on the server's side.
 * ERR_MEMORY, ERR_CRYPTO. */
MUST_USE err_t
net_transport_secure(struct net_transport *transport, struct net_tls *tls, const char *host);
/* 1: done (at once if plain). */
ssize_t net_transport_handshake(struct net_transport *transport);
/* 0: the peer will send no more. */
ssize_t net_transport_read(struct net_transport *transport, char *out, size_t size);
/* Whether the peers agreed on HTTP/2 while they shook hands. */
bool net_transport_is_http2(const struct net_transport *transport);
/* Whether a read can succeed although the socket is not readable. */
bool net_transport_has_pending(const struct net_transport *transport);
/* Bytes taken, fewer than all if the socket is full. After a wait the same bytes must be offered
 * again, more may follow them. `scratch` has NET_TLS_WRITE_MAX bytes, needed for TLS only. */
ssize_t net_transport_write(
    struct net_transport *transport, const struct iovec *pieces, int count, char *scratch);
/* Whether the peer's certificate, which was verified, has this DNS name among its subject
 * alternative names. */
bool net_transport_peer_is(const struct net_transport *transport, const char *name);
/* Whether bytes that were taken have not arrived at the peer's kernel yet. */
bool net_transport_has_unsent(const struct net_transport *transport);
/* Tells the peer that no more comes. */
void net_transport_end(struct net_transport *transport);
/* Frees the TLS session and closes the socket; with `abort` the kernel drops unsent data. */
void net_transport_close(struct net_transport *transport, bool abort);

#endif
