/*
 * Ports over HTTP: services of other processes, called through the same ops structs as those of our
 * own (port/README.md). remote/client.h makes a port out of an address, remote/server.h answers the
 * requests out of a port. This header has what both sides share: which services there are, who may
 * call them, and how callers and callees prove who they are.
 *
 * README.md numbers the invariants and describes the requests byte by byte.
 */
#ifndef REMOTE_REMOTE_H
#define REMOTE_REMOTE_H

#include "base/err.h"
#include "base/span.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum remote_service {
    REMOTE_LEDGER,
    REMOTE_RAIL,    /* cards */
    REMOTE_NETWORK, /* the card network by token, which the vault owns (M6) */
    REMOTE_VAULT,
    REMOTE_WALLET,
    REMOTE_MOBILE,
    REMOTE_BANK, /* the rail that pays out */
};

#define REMOTE_SERVICE_COUNT 7

/* "ledger", "rail", "network", "vault", "wallet", "mobile", "bank": as in the paths. Static. */
const char *remote_service_name(enum remote_service service);
/* The role that serves it: its certificate's name, before the domain. Static. */
const char *remote_service_role(enum remote_service service);

/* Changes whenever a request or an answer of the service does. A caller speaks this one. A listener
 * understands it and all from 1 on: what is added to a request may be left out there, and an answer
 * leaves out what the caller's version does not have. So who is asked may be of a newer program
 * than who asks, and not the other way round. */
uint32_t remote_service_version(enum remote_service service);
#define REMOTE_VERSION_MAX 2 /* of all of them */

/* ---- who is who --------------------------------------------------------------------------- */

#define REMOTE_PATH_SIZE    768
#define REMOTE_DOMAIN_SIZE  128
#define REMOTE_KEY_MIN      32 /* characters of a shared key; it is the whole protection */
#define REMOTE_KEY_MAX      256
#define REMOTE_MESSAGE_SIZE 1024

/*
 * One of the two:
 *   - mutual TLS: `ca`, `certificate` and `key` are PEM files. A callee must have the DNS name
 *     ROLE.DOMAIN, a caller one of those that remote/server.h lists for the service. Nobody else
 * can read, change or make requests or answers.
 *   - a shared key, the content of `key_file`: sent as a bearer token, compared in constant time.
 * It keeps out whoever does not have it; it does not hide requests, which include card numbers and
 *     the key itself, from whoever can read the network, nor does it prove to the caller who
 *     answers. So it is for one machine, or for a network that hides its traffic: an address that
 * is not of this machine is refused unless `plain` says that this is meant.
 */
struct remote_auth_settings {
    char ca[REMOTE_PATH_SIZE];
    char certificate[REMOTE_PATH_SIZE];
    char key[REMOTE_PATH_SIZE];
    char domain[REMOTE_DOMAIN_SIZE]; /* "tael.internal" */
    char key_file[REMOTE_PATH_SIZE];
    bool plain;
};

struct remote_auth;

/* Reads the files. `message` says what is wrong: ERR_INVALID (neither of the two, both, or halves),
 * ERR_NOT_FOUND, ERR_CRYPTO, ERR_RANGE (the key is too short or too long), ERR_MEMORY. */
MUST_USE err_t remote_auth_create(
    const struct remote_auth_settings *settings,
    struct remote_auth **ret_auth,
    char message[REMOTE_MESSAGE_SIZE]);
/* After every client and server that uses it. Accepts NULL. Wipes. */
void remote_auth_destroy(struct remote_auth **auth);

/* Whether requests may go to, or be taken at, this host: always with TLS or `plain`, otherwise only
 * "localhost", 127.0.0.0/8 and ::1. */
bool remote_auth_allows_host(const struct remote_auth *auth, struct span host);

struct net_tls;

/* NULL: plain. */
struct net_tls *remote_auth_server_tls(const struct remote_auth *auth);
bool remote_auth_is_mutual(const struct remote_auth *auth);

#endif
