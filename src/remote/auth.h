/* Proving who calls, and checking it. */
#ifndef REMOTE_AUTH_H
#define REMOTE_AUTH_H

#include "http/http.h"
#include "net/server.h"
#include "remote/remote.h"

#define REMOTE_ROLES_MAX 5

/* The value of the Authorization header of our requests; empty with TLS. Valid as long as `auth`.
 */
struct span remote_auth_header(const struct remote_auth *auth);
/* NULL: plain. */
struct net_tls *remote_auth_client_tls(const struct remote_auth *auth);
/* "ledger.tael.internal": whose certificate a callee must have. */
void remote_auth_name(
    const struct remote_auth *auth, const char *role, char out[REMOTE_DOMAIN_SIZE + 32]);

/* Whether the caller has the key, or a certificate of one of these roles; `roles` ends with NULL.
 * On the net loop, from on_requests. */
bool remote_auth_admits(
    const struct remote_auth *auth, struct net_exchange *exchange, const char *const *roles);

#endif
