#include "auth.h"

#include "base/assert.h"
#include "base/buf.h"
#include "net/tls.h"
#include "os/file.h"
#include "os/secret.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SCHEME "Bearer "

enum {
    HEADER_SIZE = sizeof(SCHEME) + REMOTE_KEY_MAX
};

struct remote_auth {
    struct net_tls *server_tls;
    struct net_tls *client_tls;
    char domain[REMOTE_DOMAIN_SIZE];
    char *header; /* os_secret, HEADER_SIZE bytes: "Bearer KEY"; NULL with TLS */
    size_t header_size;
    bool plain;
};

static void
explain(char message[REMOTE_MESSAGE_SIZE], const char *what, const char *path, err_t error)
{
    (void)snprintf(
        message,
        REMOTE_MESSAGE_SIZE,
        "%s %.*s: %s",
        what,
        REMOTE_PATH_SIZE,
        path,
        error == ERR_CRYPTO ? "not what it should be" : err_text(error));
}

/* ----------------------------------------------------------------------------------- loading ---
 */

static err_t
tls_load(
    struct remote_auth *auth,
    const struct remote_auth_settings *settings,
    char message[REMOTE_MESSAGE_SIZE])
{
    const char *what = "certificate and key";
    const char *path = settings->certificate;
    err_t result = net_tls_create_server(settings->certificate, settings->key, &auth->server_tls);
    if (result == ERR_OK) {
        what = "authorities";
        path = settings->ca;
        result = net_tls_require_client(auth->server_tls, settings->ca);
    }
    if (result == ERR_OK) {
        result = net_tls_create_client(settings->ca, true, &auth->client_tls);
    }
    if (result == ERR_OK) {
        result = net_tls_present(auth->client_tls, settings->certificate, settings->key);
    }
    if (result != ERR_OK) {
        explain(message, what, path, result);
    }
    return result;
}

static size_t
key_size(const char *key, size_t size)
{
    while (size > 0 && (key[size - 1] == '\n' || key[size - 1] == '\r' || key[size - 1] == ' ')) {
        size--;
    }
    for (size_t i = 0; i < size; i++) {
        if (key[i] <= ' ' || key[i] >= 0x7f) {
            return 0; /* cannot be in a header */
        }
    }
    return size;
}

static err_t
key_take(struct remote_auth *auth, struct span text)
{
    size_t scheme = strlen(SCHEME);
    size_t size = key_size(text.data, text.size);
    if (size < REMOTE_KEY_MIN || size > REMOTE_KEY_MAX) {
        return ERR_RANGE;
    }
    auth->header = os_secret_alloc(HEADER_SIZE, NULL);
    if (auth->header == NULL) {
        return ERR_MEMORY;
    }
    memcpy(auth->header, SCHEME, scheme);
    memcpy(auth->header + scheme, text.data, size);
    auth->header_size = scheme + size;
    return ERR_OK;
}

static err_t
key_load(struct remote_auth *auth, const char *path, char message[REMOTE_MESSAGE_SIZE])
{
    enum {
        FILE_MAX = 4096
    };

    char *text = NULL;
    size_t size = 0;
    err_t result = os_file_load(os_disk_real(), path, FILE_MAX, &text, &size);
    if (result == ERR_OK) {
        result = key_take(auth, span_of(text, size));
        explicit_bzero(text, size);
        free(text);
    }
    if (result == ERR_RANGE) {
        (void)snprintf(
            message,
            REMOTE_MESSAGE_SIZE,
            "key file %.*s: a key is one line of %d to %d visible characters",
            REMOTE_PATH_SIZE,
            path,
            REMOTE_KEY_MIN,
            REMOTE_KEY_MAX);
    } else if (result != ERR_OK) {
        explain(message, "key file", path, result);
    }
    return result;
}

static err_t
choose(
    struct remote_auth *auth,
    const struct remote_auth_settings *settings,
    char message[REMOTE_MESSAGE_SIZE])
{
    bool ca = settings->ca[0] != '\0';
    bool certificate = settings->certificate[0] != '\0';
    bool key = settings->key[0] != '\0';
    bool shared = settings->key_file[0] != '\0';
    if (ca != certificate || ca != key) {
        (void)snprintf(
            message, REMOTE_MESSAGE_SIZE, "authorities, certificate and key go together");
        return ERR_INVALID;
    }
    if (ca == shared) {
        (void)snprintf(
            message, REMOTE_MESSAGE_SIZE, "either certificates or a key file, one of the two");
        return ERR_INVALID;
    }
    return shared ? key_load(auth, settings->key_file, message) : tls_load(auth, settings, message);
}

err_t
remote_auth_create(
    const struct remote_auth_settings *settings,
    struct remote_auth **ret_auth,
    char message[REMOTE_MESSAGE_SIZE])
{
    struct remote_auth *auth = calloc(1, sizeof(*auth));
    message[0] = '\0';
    if (auth == NULL) {
        return ERR_MEMORY;
    }
    auth->plain = settings->plain;
    memcpy(auth->domain, settings->domain, sizeof(auth->domain));
    err_t result = choose(auth, settings, message);
    if (result != ERR_OK) {
        remote_auth_destroy(&auth);
        return result;
    }
    *ret_auth = auth;
    return ERR_OK;
}

void
remote_auth_destroy(struct remote_auth **auth)
{
    struct remote_auth *gone = *auth;
    if (gone == NULL) {
        return;
    }
    *auth = NULL;
    net_tls_destroy(&gone->server_tls);
    net_tls_destroy(&gone->client_tls);
    os_secret_free(gone->header, HEADER_SIZE);
    free(gone);
}

/* ---------------------------------------------------------------------------------- checking ---
 */

bool
remote_auth_is_mutual(const struct remote_auth *auth)
{
    return auth->server_tls != NULL;
}

bool
remote_auth_allows_host(const struct remote_auth *auth, struct span host)
{
    if (remote_auth_is_mutual(auth) || auth->plain || span_equal(host, SPAN("localhost")) ||
        span_equal(host, SPAN("::1"))) {
        return true;
    }
    /* Not a name that merely begins like an address. */
    bool digits = host.size != 0;
    for (size_t i = 0; i < host.size; i++) {
        digits = digits && ((host.data[i] >= '0' && host.data[i] <= '9') || host.data[i] == '.');
    }
    return digits && span_starts_with(host, SPAN("127."));
}

struct net_tls *
remote_auth_server_tls(const struct remote_auth *auth)
{
    return auth->server_tls;
}

struct net_tls *
remote_auth_client_tls(const struct remote_auth *auth)
{
    return auth->client_tls;
}

struct span
remote_auth_header(const struct remote_auth *auth)
{
    return auth->header == NULL ? SPAN_EMPTY : span_of(auth->header, auth->header_size);
}

void
remote_auth_name(
    const struct remote_auth *auth, const char *role, char out[REMOTE_DOMAIN_SIZE + 32])
{
    (void)snprintf(out, REMOTE_DOMAIN_SIZE + 32, "%.24s.%s", role, auth->domain);
}

bool
remote_auth_admits(
    const struct remote_auth *auth, struct net_exchange *exchange, const char *const *roles)
{
    char name[REMOTE_DOMAIN_SIZE + 32];
    if (!remote_auth_is_mutual(auth)) {
        struct span given = http_head_value(exchange->head, HTTP_FIELD_AUTHORIZATION);
        return span_equal_secret(given, remote_auth_header(auth));
    }
    for (uint32_t i = 0; roles[i] != NULL; i++) {
        remote_auth_name(auth, roles[i], name);
        if (net_exchange_peer_is(exchange, name)) {
            return true;
        }
    }
    return false;
}
