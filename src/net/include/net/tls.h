/*
 * TLS contexts: certificates, keys and trust, loaded once and shared by many connections. TLS 1.2
 * and 1.3 only, no renegotiation, ALPN "http/1.1" and, for listeners that want it, "h2".
 */
#ifndef NET_TLS_H
#define NET_TLS_H

#include "base/err.h"

#include <stdbool.h>
#include <stdint.h>

struct net_tls;

/* For listeners. PEM files: the certificate followed by its chain, and the private key.
 * ERR_NOT_FOUND: a file cannot be read; ERR_CRYPTO: it is not what it should be, or the key does
 * not belong to the certificate. */
MUST_USE err_t
net_tls_create_server(const char *certificate_file, const char *key_file, struct net_tls **ret_tls);

/* Of a listener: the end of its certificate, in unix seconds; 0: that cannot be read. Thread-safe.
 */
int64_t net_tls_expires_s(const struct net_tls *tls);

/* For clients. `ca_file`: PEM certificates that are trusted; NULL: the system's. With `verify`
 * the peer's chain and its host name (or address) are checked; without it anybody is believed,
 * which is for tests only. */
MUST_USE err_t net_tls_create_client(const char *ca_file, bool verify, struct net_tls **ret_tls);

/* Offers HTTP/2 too, by ALPN. For listeners, before anything uses it. */
void net_tls_offer_http2(struct net_tls *tls);

/* New connections of `tls` use what `take_with` was made from, certificates and all; those that
 * there are keep what they have. Both are for listeners. On the loop's thread, or before anything
 * uses it.
 */
void net_tls_replace(struct net_tls *tls, struct net_tls **take_with);
/* Of a server's context: whoever connects must present a certificate of an authority of `ca_file`
 * (PEM), or the handshake fails; net_exchange_peer_is tells who it is. Before it is used.
 * ERR_NOT_FOUND, ERR_CRYPTO. */
MUST_USE err_t net_tls_require_client(struct net_tls *tls, const char *ca_file);
/* Of a client's context: what it presents to a server that asks. Before it is used. ERR_NOT_FOUND,
 * ERR_CRYPTO. With TLS 1.3 a server refuses it after the client's side of the handshake is done: a
 * request may then have been sent, and its outcome is unknown. */
MUST_USE err_t
net_tls_present(struct net_tls *tls, const char *certificate_file, const char *key_file);

/* Whoever uses it was destroyed before. Accepts NULL. */
void net_tls_destroy(struct net_tls **tls);

#endif
