/* TLS: the round trip, who is believed, and handshakes that go wrong. */
#include "testing.h"

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static char folder[64];
static char certificate_file[128];
static char key_file[128];
static char other_certificate_file[128];
static char other_key_file[128];
static struct net_tls *server_tls;
static struct t_server t;
static struct t_calls calls;

/* A self-signed certificate for these subject alternative names. */
static void
make_certificate(const char *subject_names, const char *to_certificate, const char *to_key)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *certificate = X509_new();
    assert_non_null(key);
    assert_non_null(certificate);
    X509_set_version(certificate, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(certificate), 1);
    X509_gmtime_adj(X509_getm_notBefore(certificate), -3600);
    X509_gmtime_adj(X509_getm_notAfter(certificate), 86400);
    X509_set_pubkey(certificate, key);
    X509_NAME *name = X509_get_subject_name(certificate);
    assert_int_equal(
        X509_NAME_add_entry_by_txt(
            name, "CN", MBSTRING_ASC, (const unsigned char *)"tael test", -1, -1, 0),
        1);
    X509_set_issuer_name(certificate, name);
    X509_EXTENSION *names = X509V3_EXT_conf_nid(NULL, NULL, NID_subject_alt_name, subject_names);
    assert_non_null(names);
    assert_int_equal(X509_add_ext(certificate, names, -1), 1);
    X509_EXTENSION_free(names);
    assert_true(X509_sign(certificate, key, EVP_sha256()) > 0);
    FILE *file = fopen(to_certificate, "we");
    assert_non_null(file);
    assert_int_equal(PEM_write_X509(file, certificate), 1);
    assert_int_equal(fclose(file), 0);
    file = fopen(to_key, "we");
    assert_non_null(file);
    assert_int_equal(PEM_write_PrivateKey(file, key, NULL, NULL, 0, NULL, NULL), 1);
    assert_int_equal(fclose(file), 0);
    X509_free(certificate);
    EVP_PKEY_free(key);
}

static int
group_setup(void **state)
{
    (void)state;
    (void)snprintf(folder, sizeof(folder), "/tmp/tael-net-tls-XXXXXX");
    assert_non_null(mkdtemp(folder));
    (void)snprintf(certificate_file, sizeof(certificate_file), "%s/a.pem", folder);
    (void)snprintf(key_file, sizeof(key_file), "%s/a.key", folder);
    (void)snprintf(other_certificate_file, sizeof(other_certificate_file), "%s/b.pem", folder);
    (void)snprintf(other_key_file, sizeof(other_key_file), "%s/b.key", folder);
    make_certificate("DNS:localhost,IP:127.0.0.1", certificate_file, key_file);
    make_certificate("DNS:elsewhere.example", other_certificate_file, other_key_file);
    return 0;
}

static int
group_teardown(void **state)
{
    (void)state;
    (void)unlink(certificate_file);
    (void)unlink(key_file);
    (void)unlink(other_certificate_file);
    (void)unlink(other_key_file);
    return rmdir(folder);
}

static void
start(const struct net_server_settings *settings)
{
    t_calls_init(&calls);
    assert_int_equal(net_tls_create_server(certificate_file, key_file, &server_tls), ERR_OK);
    t_server_start(&t, settings, server_tls);
}

static int
setup(void **state)
{
    (void)state;
    start(NULL);
    return 0;
}

static int
teardown(void **state)
{
    (void)state;
    t_server_stop(&t, 100);
    net_tls_destroy(&server_tls);
    t_calls_release(&calls);
    return 0;
}

static void
test_files(void **state)
{
    (void)state;
    struct net_tls *tls = NULL;
    assert_int_equal(net_tls_create_server("/no/such", key_file, &tls), ERR_NOT_FOUND);
    assert_int_equal(net_tls_create_server(certificate_file, "/no/such", &tls), ERR_NOT_FOUND);
    assert_int_equal(net_tls_create_server(key_file, key_file, &tls), ERR_CRYPTO);
    assert_int_equal(net_tls_create_server(certificate_file, other_key_file, &tls), ERR_CRYPTO);
    assert_int_equal(net_tls_create_client("/no/such", true, &tls), ERR_NOT_FOUND);
    assert_int_equal(net_tls_create_client(key_file, true, &tls), ERR_CRYPTO);
    assert_null(tls);
}

/* One call to the server as `host`, trusting `ca_file`. */
static err_t
call_once(const char *host, const char *ca_file, bool verify, struct net_call *call)
{
    struct net_tls *tls = NULL;
    struct net_client *client = NULL;
    assert_int_equal(net_tls_create_client(ca_file, verify, &tls), ERR_OK);
    struct net_origin origin = {.host = host, .port = t.port, .tls = tls};
    assert_int_equal(
        net_client_create(t.loop, &origin, &net_client_settings_default, &client), ERR_OK);
    err_t result = net_client_call_blocking(client, call);
    net_client_stop(client);
    net_client_destroy(&client);
    net_tls_destroy(&tls);
    return result;
}

static void
test_who_is_believed(void **state)
{
    (void)state;

    static const struct {
        const char *host;
        bool right_ca;
        bool verify;
        err_t result;
    } cases[] = {
        {"localhost", true, true, ERR_OK},
        {"127.0.0.1", true, true, ERR_OK},
        {"127.0.0.1", false, true, ERR_CRYPTO},
        {"127.0.0.1", false, false, ERR_OK},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct net_call call;
        t_call_init(&calls, &call, "/echo", "over TLS");
        err_t result = call_once(
            cases[i].host,
            cases[i].right_ca ? certificate_file : other_certificate_file,
            cases[i].verify,
            &call);
        assert_int_equal(result, cases[i].result);
        if (result == ERR_OK) {
            assert_int_equal(call.status, 200);
            assert_true(span_equal_cstr(buf_span(&call.answer), "over TLS"));
        } else {
            assert_false(call.sent); /* not a byte of the request to a stranger */
        }
        net_call_release(&call);
    }
    assert_int_equal(t_count(&t).requests, 3);
}

/* The chain is trusted, but it says who it is, and that is not whom we called. */
static void
test_other_name(void **state)
{
    (void)state;
    assert_int_equal(
        net_tls_create_server(other_certificate_file, other_key_file, &server_tls), ERR_OK);
    t_calls_init(&calls);
    t_server_start(&t, NULL, server_tls);
    static const char *const hosts[] = {"127.0.0.1", "localhost"};
    for (size_t i = 0; i < 2; i++) {
        struct net_call call;
        t_call_init(&calls, &call, "/echo", "x");
        assert_int_equal(call_once(hosts[i], other_certificate_file, true, &call), ERR_CRYPTO);
        assert_false(call.sent);
        net_call_release(&call);
        t_call_init(&calls, &call, "/echo", "x");
        assert_int_equal(call_once(hosts[i], other_certificate_file, false, &call), ERR_OK);
        net_call_release(&call);
    }
}

/* A million bytes each way, many times, over few connections. */
static void
test_large(void **state)
{
    (void)state;

    enum {
        CALLS = 12,
        SIZE = 1000000,
    };
    static struct net_call many[CALLS];
    char *body = malloc(SIZE);
    assert_non_null(body);
    for (size_t i = 0; i < SIZE; i++) {
        body[i] = (char)('a' + i % 23);
    }
    struct net_tls *tls = NULL;
    struct net_client *client = NULL;
    assert_int_equal(net_tls_create_client(certificate_file, true, &tls), ERR_OK);
    struct net_origin origin = {.host = "127.0.0.1", .port = t.port, .tls = tls};
    struct net_client_settings settings = net_client_settings_default;
    settings.connections_max = 3;
    assert_int_equal(net_client_create(t.loop, &origin, &settings, &client), ERR_OK);
    for (size_t i = 0; i < CALLS; i++) {
        t_call_init(&calls, &many[i], "/echo", "x");
        many[i].body = span_of(body, SIZE);
        many[i].next = i + 1 < CALLS ? &many[i + 1] : NULL;
    }
    net_client_start(client, many);
    t_calls_wait(&calls, CALLS);
    for (size_t i = 0; i < CALLS; i++) {
        assert_int_equal(many[i].result, ERR_OK);
        assert_true(span_equal(buf_span(&many[i].answer), span_of(body, SIZE)));
        net_call_release(&many[i]);
    }
    net_client_stop(client);
    net_client_destroy(&client);
    net_tls_destroy(&tls);
    free(body);
}

/* More pipelined requests in one flight than may be unanswered: what OpenSSL holds back is read
 * although the socket stays silent. */
static void
test_pipeline(void **state)
{
    (void)state;

    enum {
        REQUESTS = 400,
    };

    SSL_CTX *context = SSL_CTX_new(TLS_client_method());
    assert_non_null(context);
    int fd = t_connect(t.port);
    SSL *ssl = SSL_new(context);
    assert_non_null(ssl);
    assert_int_equal(SSL_set_fd(ssl, fd), 1);
    assert_int_equal(SSL_connect(ssl), 1);
    char *request = malloc(REQUESTS * 64);
    assert_non_null(request);
    size_t size = 0;
    for (uint32_t i = 0; i < REQUESTS; i++) {
        size += (size_t)snprintf(
            request + size, REQUESTS * 64 - size, "GET /echo-%05u HTTP/1.1\r\nHost: a\r\n\r\n", i);
    }
    assert_int_equal(SSL_write(ssl, request, (int)size), (int)size);
    char *text = calloc(REQUESTS, 512);
    assert_non_null(text);
    size_t got = 0;
    while (t_occurrences(text, "\r\n\r\n") < REQUESTS) {
        int count = SSL_read(ssl, text + got, (int)(REQUESTS * 512 - got - 1));
        assert_true(count > 0);
        got += (size_t)count;
    }
    assert_non_null(strstr(text, "X-Path: /echo-00399"));
    assert_int_equal(t_count(&t).requests, REQUESTS);
    free(text);
    free(request);
    SSL_free(ssl);
    SSL_CTX_free(context);
    (void)close(fd);
}

static void
test_bad_handshakes(void **state)
{
    (void)state;
    /* Garbage, and HTTP on the TLS port: closed, counted, nobody's request. */
    for (int i = 0; i < 20; i++) {
        int fd = t_connect(t.port);
        t_send_text(
            fd, i % 2 == 0 ? "GET / HTTP/1.1\r\nHost: a\r\n\r\n" : "\x16\x03\x01\xff\xff~~~~");
        if (i % 2 == 0) {
            t_wait_closed(fd);
        }
        (void)close(fd);
    }
    struct net_server_counters counters = t_count(&t);
    assert_true(counters.handshake_failed >= 10);
    assert_int_equal(counters.requests, 0);
    struct net_call call;
    t_call_init(&calls, &call, "/echo", "alive");
    assert_int_equal(call_once("127.0.0.1", certificate_file, true, &call), ERR_OK);
    net_call_release(&call);
}

/* Half a handshake, and none at all: cut at the deadline, however slowly it comes. */
static void
test_slow_handshakes(void **state)
{
    (void)state;
    struct net_server_settings settings = net_server_settings_default;
    settings.handshake_timeout_ms = 400;
    start(&settings);
    uint64_t begin_ms = t_now_ms();
    int half = t_connect(t.port);
    int silent = t_connect(t.port);
    t_send(half, "\x16\x03\x01\x02\x00\x01", 6);
    t_wait_closed(half);
    t_wait_closed(silent);
    assert_true(t_now_ms() - begin_ms >= 390);
    (void)close(half);
    (void)close(silent);
    assert_int_equal(t_count(&t).timeout_handshake, 2);
}

/* Only old versions on offer: refused. */
static void
test_old_version(void **state)
{
    (void)state;
    SSL_CTX *context = SSL_CTX_new(TLS_client_method());
    assert_non_null(context);
    SSL_CTX_set_security_level(context, 0);
    assert_int_equal(SSL_CTX_set_max_proto_version(context, TLS1_1_VERSION), 1);
    int fd = t_connect(t.port);
    SSL *ssl = SSL_new(context);
    assert_non_null(ssl);
    assert_int_equal(SSL_set_fd(ssl, fd), 1);
    assert_int_not_equal(SSL_connect(ssl), 1);
    SSL_free(ssl);
    SSL_CTX_free(context);
    (void)close(fd);
}

/* A server that accepts and never shakes hands: the call ends in time, and was never sent. */
static void
test_silent_server(void **state)
{
    (void)state;
    uint16_t port = 0;
    int listener = t_listen(&port);
    struct net_tls *tls = NULL;
    struct net_client *client = NULL;
    assert_int_equal(net_tls_create_client(certificate_file, true, &tls), ERR_OK);
    struct net_origin origin = {.host = "127.0.0.1", .port = port, .tls = tls};
    struct net_client_settings settings = net_client_settings_default;
    settings.connect_timeout_ms = 200;
    assert_int_equal(net_client_create(t.loop, &origin, &settings, &client), ERR_OK);
    struct net_call call;
    t_call_init(&calls, &call, "/", "x");
    assert_int_equal(net_client_call_blocking(client, &call), ERR_TIMEOUT);
    assert_false(call.sent);
    assert_in_range((call.ended_ns - call.started_ns) / 1000000, 200, T_WAIT_MS);
    net_call_release(&call);
    net_client_stop(client);
    net_client_destroy(&client);
    net_tls_destroy(&tls);
    (void)close(listener);
}

/* One call for `target` from a client that presents a certificate, or none; the server is expected
 * to be `tls_name`, or the host. */
static err_t
call_as(const char *certificate, const char *key, const char *tls_name, struct net_call *call)
{
    struct net_tls *tls = NULL;
    struct net_client *client = NULL;
    assert_int_equal(net_tls_create_client(certificate_file, true, &tls), ERR_OK);
    if (certificate != NULL) {
        assert_int_equal(net_tls_present(tls, certificate, key), ERR_OK);
    }
    struct net_origin origin = {.host = "127.0.0.1", .port = t.port, .tls = tls, .name = tls_name};
    assert_int_equal(
        net_client_create(t.loop, &origin, &net_client_settings_default, &client), ERR_OK);
    err_t result = net_client_call_blocking(client, call);
    net_client_stop(client);
    net_client_destroy(&client);
    net_tls_destroy(&tls);
    return result;
}

/* Both sides say who they are. */
static void
test_mutual(void **state)
{
    (void)state;
    assert_int_equal(net_tls_create_server(certificate_file, key_file, &server_tls), ERR_OK);
    assert_int_equal(net_tls_require_client(server_tls, "/no/such"), ERR_NOT_FOUND);
    assert_int_equal(net_tls_require_client(server_tls, other_certificate_file), ERR_OK);
    t_calls_init(&calls);
    t_server_start(&t, NULL, server_tls);

    const struct {
        const char *certificate, *key, *server_name, *target;
        err_t result;
        unsigned status;
    } cases[] = {
        {other_certificate_file, other_key_file, NULL, "/peer?elsewhere.example", ERR_OK, 200},
        {other_certificate_file, other_key_file, NULL, "/peer?localhost", ERR_OK, 403},
        {other_certificate_file, other_key_file, NULL, "/peer?*.example", ERR_OK, 403},
        /* The name that counts is the one asked for, whatever address was called. */
        {other_certificate_file, other_key_file, "localhost", "/peer?elsewhere.example", 0, 200},
        {other_certificate_file, other_key_file, "ledger.example", "/", ERR_CRYPTO, 0},
        /* No certificate, or one that the server's authority did not sign: nothing is handed out.
         */
        {NULL, NULL, NULL, "/echo", -1, 0},
        {certificate_file, key_file, NULL, "/echo", -1, 0},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct net_call call;
        t_call_init(&calls, &call, cases[i].target, NULL);
        err_t result = call_as(cases[i].certificate, cases[i].key, cases[i].server_name, &call);
        if (cases[i].result == -1) {
            assert_true(result == ERR_OUTCOME_UNKNOWN || result == ERR_CRYPTO);
        } else {
            assert_int_equal(result, cases[i].result);
            assert_int_equal(call.status, cases[i].status);
        }
        net_call_release(&call);
    }
    assert_int_equal(t_count(&t).requests, 4);
}

/* Over plain TCP nobody is anybody. */
static void
test_plain_has_no_peer(void **state)
{
    (void)state;
    struct net_client *client = NULL;
    t_calls_init(&calls);
    t_server_start(&t, NULL, NULL);
    struct net_origin origin = {.host = "127.0.0.1", .port = t.port};
    assert_int_equal(
        net_client_create(t.loop, &origin, &net_client_settings_default, &client), ERR_OK);
    struct net_call call;
    t_call_init(&calls, &call, "/peer?localhost", NULL);
    assert_int_equal(net_client_call_blocking(client, &call), ERR_OK);
    assert_int_equal(call.status, 403);
    net_call_release(&call);
    net_client_stop(client);
    net_client_destroy(&client);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_files),
        cmocka_unit_test_setup_teardown(test_who_is_believed, setup, teardown),
        cmocka_unit_test_teardown(test_other_name, teardown),
        cmocka_unit_test_setup_teardown(test_large, setup, teardown),
        cmocka_unit_test_setup_teardown(test_pipeline, setup, teardown),
        cmocka_unit_test_setup_teardown(test_bad_handshakes, setup, teardown),
        cmocka_unit_test_teardown(test_slow_handshakes, teardown),
        cmocka_unit_test_setup_teardown(test_old_version, setup, teardown),
        cmocka_unit_test_setup_teardown(test_silent_server, setup, teardown),
        cmocka_unit_test_teardown(test_mutual, teardown),
        cmocka_unit_test_teardown(test_plain_has_no_peer, teardown),
    };
    return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
