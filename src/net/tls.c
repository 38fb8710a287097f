#include "net/tls.h"

#include "base/assert.h"

#include "transport.h"

#include <arpa/inet.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

struct net_tls {
    SSL_CTX *context;
    bool server;
    bool verify;
    _Atomic int64_t expires_s; /* unix time, of the certificate that it shows; 0: none */
};

static const unsigned char alpn_http11[] = "\x08http/1.1";
static const unsigned char alpn_http2[] = "\x02h2\x08http/1.1";

static int
select_alpn(
    SSL *ssl,
    const unsigned char **out,
    unsigned char *out_size,
    const unsigned char *in,
    unsigned in_size,
    void *context)
{
    (void)ssl;
    bool http2 = context != NULL;
    unsigned char *chosen = NULL;
    int result = SSL_select_next_proto(
        &chosen,
        out_size,
        http2 ? alpn_http2 : alpn_http11,
        http2 ? sizeof(alpn_http2) - 1 : sizeof(alpn_http11) - 1,
        in,
        in_size);
    *out = chosen;
    return result == OPENSSL_NPN_NEGOTIATED ? SSL_TLSEXT_ERR_OK : SSL_TLSEXT_ERR_ALERT_FATAL;
}

static err_t
context_create(bool server, struct net_tls **ret_tls)
{
    struct net_tls *tls = calloc(1, sizeof(*tls));
    if (tls == NULL) {
        return ERR_MEMORY;
    }
    tls->server = server;
    tls->context = SSL_CTX_new(server ? TLS_server_method() : TLS_client_method());
    if (tls->context == NULL) {
        free(tls);
        ERR_clear_error();
        return ERR_MEMORY;
    }
    if (SSL_CTX_set_min_proto_version(tls->context, TLS1_2_VERSION) != 1) {
        net_tls_destroy(&tls);
        ERR_clear_error();
        return ERR_CRYPTO;
    }
    /* CLEANSE_PLAINTEXT: what was decrypted may be a card number (NET-7). */
    (void)SSL_CTX_set_options(
        tls->context,
        SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_CIPHER_SERVER_PREFERENCE |
            SSL_OP_CLEANSE_PLAINTEXT);
    /* Idle connections give their record buffers back. */
    (void)SSL_CTX_set_mode(
        tls->context,
        SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
            SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    /* One recv for a record's header and content. */
    SSL_CTX_set_read_ahead(tls->context, 1);
    *ret_tls = tls;
    return ERR_OK;
}

static err_t
load_pair(SSL_CTX *context, const char *certificate_file, const char *key_file)
{
    if (access(certificate_file, R_OK) != 0 || access(key_file, R_OK) != 0) {
        return ERR_NOT_FOUND;
    }
    if (SSL_CTX_use_certificate_chain_file(context, certificate_file) != 1 ||
        SSL_CTX_use_PrivateKey_file(context, key_file, SSL_FILETYPE_PEM) != 1 ||
        SSL_CTX_check_private_key(context) != 1) {
        ERR_clear_error();
        return ERR_CRYPTO;
    }
    return ERR_OK;
}

static int64_t
expiry_of(const SSL_CTX *context)
{
    struct tm time;
    const X509 *certificate = SSL_CTX_get0_certificate(context);
    bool known =
        certificate != NULL && ASN1_TIME_to_tm(X509_get0_notAfter(certificate), &time) == 1;
    return known ? (int64_t)timegm(&time) : 0;
}

int64_t
net_tls_expires_s(const struct net_tls *tls)
{
    return atomic_load(&tls->expires_s);
}

static err_t
load_server(SSL_CTX *context, const char *certificate_file, const char *key_file)
{
    TRY(load_pair(context, certificate_file, key_file));
    SSL_CTX_set_alpn_select_cb(context, select_alpn, NULL);
    return ERR_OK;
}

err_t
net_tls_create_server(const char *certificate_file, const char *key_file, struct net_tls **ret_tls)
{
    struct net_tls *tls = NULL;
    TRY(context_create(true, &tls));
    err_t result = load_server(tls->context, certificate_file, key_file);
    if (result != ERR_OK) {
        net_tls_destroy(&tls);
        return result;
    }
    atomic_store(&tls->expires_s, expiry_of(tls->context));
    *ret_tls = tls;
    return ERR_OK;
}

static err_t
load_client(SSL_CTX *context, const char *ca_file, bool verify)
{
    if (SSL_CTX_set_alpn_protos(context, alpn_http11, sizeof(alpn_http11) - 1) != 0) {
        return ERR_CRYPTO;
    }
    if (!verify) {
        SSL_CTX_set_verify(context, SSL_VERIFY_NONE, NULL);
        return ERR_OK;
    }
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER, NULL);
    if (ca_file == NULL) {
        return SSL_CTX_set_default_verify_paths(context) == 1 ? ERR_OK : ERR_CRYPTO;
    }
    if (access(ca_file, R_OK) != 0) {
        return ERR_NOT_FOUND;
    }
    return SSL_CTX_load_verify_file(context, ca_file) == 1 ? ERR_OK : ERR_CRYPTO;
}

err_t
net_tls_create_client(const char *ca_file, bool verify, struct net_tls **ret_tls)
{
    struct net_tls *tls = NULL;
    TRY(context_create(false, &tls));
    tls->verify = verify;
    err_t result = load_client(tls->context, ca_file, verify);
    ERR_clear_error();
    if (result != ERR_OK) {
        net_tls_destroy(&tls);
        return result;
    }
    *ret_tls = tls;
    return ERR_OK;
}

err_t
net_tls_require_client(struct net_tls *tls, const char *ca_file)
{
    ASSERT(tls->server);
    if (access(ca_file, R_OK) != 0) {
        return ERR_NOT_FOUND;
    }
    err_t result = SSL_CTX_load_verify_file(tls->context, ca_file) == 1 ? ERR_OK : ERR_CRYPTO;
    SSL_CTX_set_verify(tls->context, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
    /* Sessions of a context that verifies need one to be resumed. */
    static const unsigned char session_context[] = "tael";
    if (SSL_CTX_set_session_id_context(
            tls->context, session_context, sizeof(session_context) - 1) != 1) {
        result = ERR_CRYPTO;
    }
    ERR_clear_error();
    return result;
}

err_t
net_tls_present(struct net_tls *tls, const char *certificate_file, const char *key_file)
{
    ASSERT(!tls->server);
    return load_pair(tls->context, certificate_file, key_file);
}

bool
net_transport_peer_is(const struct net_transport *transport, const char *name)
{
    X509 *certificate = transport->ssl == NULL ? NULL : SSL_get0_peer_certificate(transport->ssl);
    bool is = certificate != NULL &&
              X509_check_host(
                  certificate,
                  name,
                  0,
                  X509_CHECK_FLAG_NO_WILDCARDS | X509_CHECK_FLAG_NEVER_CHECK_SUBJECT,
                  NULL) == 1;
    ERR_clear_error();
    return is;
}

void
net_tls_offer_http2(struct net_tls *tls)
{
    static char http2; /* its address says so; nothing is in it */
    ASSERT(tls->server);
    SSL_CTX_set_alpn_select_cb(tls->context, select_alpn, &http2);
}

void
net_tls_replace(struct net_tls *tls, struct net_tls **take_with)
{
    ASSERT(tls->server);
    ASSERT((*take_with)->server);
    SSL_CTX *old = tls->context; /* sessions hold references of their own */
    tls->context = (*take_with)->context;
    (*take_with)->context = old;
    atomic_store(&tls->expires_s, (*take_with)->expires_s);
    net_tls_destroy(take_with);
}

void
net_tls_destroy(struct net_tls **tls)
{
    if (*tls == NULL) {
        return;
    }
    SSL_CTX_free((*tls)->context);
    free(*tls);
    *tls = NULL;
}

/* SNI carries names only (RFC 6066 section 3); an address is checked against the certificate's
 * addresses. */
static bool
expect_host(const struct net_tls *tls, SSL *ssl, const char *host)
{
    unsigned char address[16];
    bool numeric =
        inet_pton(AF_INET, host, address) == 1 || inet_pton(AF_INET6, host, address) == 1;
    /* The macro for this drops a const. */
    void *name = (void *)(uintptr_t)host;
    if (!numeric &&
        SSL_ctrl(ssl, SSL_CTRL_SET_TLSEXT_HOSTNAME, TLSEXT_NAMETYPE_host_name, name) != 1) {
        return false;
    }
    if (!tls->verify) {
        return true;
    }
    if (numeric) {
        return X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), host) == 1;
    }
    SSL_set_hostflags(ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    return SSL_set1_host(ssl, host) == 1;
}

err_t
net_transport_secure(struct net_transport *transport, struct net_tls *tls, const char *host)
{
    ASSERT(transport->ssl == NULL);
    ASSERT(tls->server == (host == NULL));
    ERR_clear_error();
    SSL *ssl = SSL_new(tls->context);
    if (ssl == NULL) {
        return ERR_MEMORY;
    }
    if (SSL_set_fd(ssl, transport->fd) != 1 || (host != NULL && !expect_host(tls, ssl, host))) {
        ERR_clear_error();
        SSL_free(ssl);
        return ERR_CRYPTO;
    }
    if (tls->server) {
        SSL_set_accept_state(ssl);
    } else {
        SSL_set_connect_state(ssl);
    }
    transport->ssl = ssl;
    return ERR_OK;
}
