/* Who is believed, by key and by certificate. */
#include "testing.h"

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static char folder[64];
static long serial;

static void
at(const char *name, char out[REMOTE_PATH_SIZE])
{
    (void)snprintf(out, REMOTE_PATH_SIZE, "%s/%s", folder, name);
}

static void
pem_write(const char *name, const char *kind, X509 *certificate, EVP_PKEY *key)
{
    char path[REMOTE_PATH_SIZE];
    char file_name[64];
    (void)snprintf(file_name, sizeof(file_name), "%s.%s", name, kind);
    at(file_name, path);
    FILE *file = fopen(path, "we");
    assert_non_null(file);
    if (certificate != NULL) {
        assert_int_equal(PEM_write_X509(file, certificate), 1);
    } else {
        assert_int_equal(PEM_write_PrivateKey(file, key, NULL, NULL, 0, NULL, NULL), 1);
    }
    assert_int_equal(fclose(file), 0);
}

/* A certificate for these names, of the authority, or by itself. */
static void
make(const char *name, const char *names, EVP_PKEY *authority, X509 *issuer, EVP_PKEY **ret_key)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *certificate = X509_new();
    assert_non_null(key);
    assert_non_null(certificate);
    X509_set_version(certificate, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(certificate), ++serial);
    X509_gmtime_adj(X509_getm_notBefore(certificate), -3600);
    X509_gmtime_adj(X509_getm_notAfter(certificate), 86400);
    X509_set_pubkey(certificate, key);
    X509_NAME *subject = X509_get_subject_name(certificate);
    assert_int_equal(
        X509_NAME_add_entry_by_txt(
            subject, "CN", MBSTRING_ASC, (const unsigned char *)name, -1, -1, 0),
        1);
    X509_set_issuer_name(certificate, issuer == NULL ? subject : X509_get_subject_name(issuer));
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(
        NULL,
        NULL,
        names == NULL ? NID_basic_constraints : NID_subject_alt_name,
        names == NULL ? "critical,CA:TRUE" : names);
    assert_non_null(extension);
    assert_int_equal(X509_add_ext(certificate, extension, -1), 1);
    X509_EXTENSION_free(extension);
    assert_true(X509_sign(certificate, authority == NULL ? key : authority, EVP_sha256()) > 0);
    pem_write(name, "pem", certificate, NULL);
    pem_write(name, "key", NULL, key);
    X509_free(certificate);
    if (ret_key != NULL) {
        *ret_key = key;
    } else {
        EVP_PKEY_free(key);
    }
}

static X509 *
load(const char *name)
{
    char path[REMOTE_PATH_SIZE];
    at(name, path);
    FILE *file = fopen(path, "re");
    assert_non_null(file);
    X509 *certificate = PEM_read_X509(file, NULL, NULL, NULL);
    assert_non_null(certificate);
    (void)fclose(file);
    return certificate;
}

static const char *const files[] = {"ca", "ledger", "api", "cards", "thief"};

static int
group_setup(void **state)
{
    (void)state;
    EVP_PKEY *authority = NULL;
    (void)snprintf(folder, sizeof(folder), "/tmp/tael-remote-XXXXXX");
    assert_non_null(mkdtemp(folder));
    make("ca", NULL, NULL, NULL, &authority);
    X509 *ca = load("ca.pem");
    make("ledger", "DNS:ledger.tael.internal,DNS:vault.tael.internal", authority, ca, NULL);
    make("api", "DNS:api.tael.internal", authority, ca, NULL);
    make("cards", "DNS:cards.tael.internal", authority, ca, NULL);
    make("thief", "DNS:ledger.tael.internal,DNS:api.tael.internal", NULL, NULL, NULL);
    EVP_PKEY_free(authority);
    X509_free(ca);
    return 0;
}

static int
group_teardown(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
        static const char *const kinds[] = {"pem", "key"};
        for (size_t j = 0; j < 2; j++) {
            char name[64];
            char path[REMOTE_PATH_SIZE];
            (void)snprintf(name, sizeof(name), "%s.%s", files[i], kinds[j]);
            at(name, path);
            (void)unlink(path);
        }
    }
    return rmdir(folder);
}

static struct remote_auth_settings
settings_of(const char *name)
{
    struct remote_auth_settings settings;
    char file[64];
    memset(&settings, 0, sizeof(settings));
    (void)snprintf(settings.domain, sizeof(settings.domain), "tael.internal");
    at("ca.pem", settings.ca);
    (void)snprintf(file, sizeof(file), "%s.pem", name);
    at(file, settings.certificate);
    (void)snprintf(file, sizeof(file), "%s.key", name);
    at(file, settings.key);
    return settings;
}

static struct remote_auth *
auth_of(const char *name)
{
    struct remote_auth *auth = NULL;
    char message[REMOTE_MESSAGE_SIZE];
    struct remote_auth_settings settings = settings_of(name);
    assert_int_equal(remote_auth_create(&settings, &auth, message), ERR_OK);
    assert_true(remote_auth_is_mutual(auth));
    return auth;
}

static void
creates(const struct remote_auth_settings *settings, err_t error, const char *part)
{
    struct remote_auth *auth = NULL;
    char message[REMOTE_MESSAGE_SIZE];
    assert_int_equal(remote_auth_create(settings, &auth, message), error);
    if (strstr(message, part) == NULL) {
        print_error("%s\n", message);
    }
    assert_non_null(strstr(message, part));
    remote_auth_destroy(&auth);
}

static void
test_settings(void **state)
{
    (void)state;
    struct remote_auth_settings settings;
    memset(&settings, 0, sizeof(settings));
    creates(&settings, ERR_INVALID, "either certificates or a key file");
    settings = settings_of("api");
    creates(&settings, ERR_OK, "");
    at("api.pem", settings.key_file);
    creates(&settings, ERR_INVALID, "either certificates or a key file");
    settings = settings_of("api");
    settings.ca[0] = '\0';
    creates(&settings, ERR_INVALID, "go together");
    settings = settings_of("api");
    at("ledger.key", settings.key);
    creates(&settings, ERR_CRYPTO, "certificate and key");
    settings = settings_of("api");
    at("api.key", settings.ca);
    creates(&settings, ERR_CRYPTO, "authorities");
    settings = settings_of("api");
    at("none.pem", settings.ca);
    creates(&settings, ERR_NOT_FOUND, "none.pem");
}

static void
key_file(const char *text, err_t error, const char *part)
{
    struct remote_auth_settings settings;
    memset(&settings, 0, sizeof(settings));
    at("shared", settings.key_file);
    FILE *file = fopen(settings.key_file, "we");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
    creates(&settings, error, part);
    (void)unlink(settings.key_file);
}

static void
test_key_files(void **state)
{
    (void)state;
    char text[REMOTE_KEY_MAX + 3];
    memset(text, 'k', sizeof(text));
    text[REMOTE_KEY_MIN] = '\0';
    key_file(text, ERR_OK, "");
    text[REMOTE_KEY_MIN - 1] = '\n'; /* which does not count */
    key_file(text, ERR_RANGE, "32 to 256");
    memset(text, 'k', sizeof(text));
    text[REMOTE_KEY_MAX] = '\n';
    text[REMOTE_KEY_MAX + 1] = '\0';
    key_file(text, ERR_OK, "");
    text[REMOTE_KEY_MAX] = 'k';
    key_file(text, ERR_RANGE, "32 to 256");
    key_file("a key with spaces is no key that a header can carry", ERR_RANGE, "visible");
    key_file("", ERR_RANGE, "32 to 256");
    struct remote_auth_settings settings;
    memset(&settings, 0, sizeof(settings));
    at("none", settings.key_file);
    creates(&settings, ERR_NOT_FOUND, "none: not found");
}

/* In clear only within the machine, unless it is meant. */
static void
test_hosts(void **state)
{
    (void)state;
    struct remote_auth *shared = t_auth(T_KEY);
    struct remote_auth *mutual = auth_of("api");

    static const struct {
        const char *host;
        bool allowed;
    } cases[] = {
        {"127.0.0.1", true},
        {"127.1.2.3", true},
        {"::1", true},
        {"localhost", true},
        {"10.0.0.1", false},
        {"0.0.0.0", false},
        {"::", false},
        {"ledger", false},
        {"127.0.0.1.example.com", false},
        {"localhost.example.com", false},
        {"", false},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct span host = span_from_cstr(cases[i].host);
        assert_int_equal(remote_auth_allows_host(shared, host), cases[i].allowed);
        assert_true(remote_auth_allows_host(mutual, host));
    }
    remote_auth_destroy(&shared);
    remote_auth_destroy(&mutual);
}

static bool done;

static void
ledger_done(struct port_ledger_request *request)
{
    (void)request;
    done = true;
}

static void
rail_done(struct port_rail_request *request)
{
    (void)request;
    done = true;
}

static err_t
look_up(struct remote_client *client)
{
    struct port_ledger_request request = {
        .operation = PORT_LEDGER_LOOKUP_ACCOUNTS, .reply_to = t_reply_to(), .done = ledger_done};
    struct port_ledger *port = remote_client_ledger(client);
    done = false;
    port->submit(port, &request);
    t_wait(&done);
    return request.error;
}

/* What it hears of the service from a hello. */
static struct remote_client_state
greet(struct remote_client *client)
{
    struct remote_client_state state;
    remote_client_start(client);
    do {
        const struct timespec pause = {.tv_nsec = 1000000};
        (void)nanosleep(&pause, NULL);
        remote_client_look(client, &state);
    } while (!state.asked);
    assert_string_not_equal(state.why, "it was not asked yet");
    return state;
}

/* The listener is the ledger's and the vault's process; who may ask it what. */
static void
test_mutual(void **state)
{
    (void)state;

    static const struct {
        const char *caller;
        err_t ledger;
        const char *why;
    } cases[] = {
        {"api", ERR_OK, ""},
        {"cards", ERR_BUSY, "it does not serve this, or not to the role of our certificate"},
        {"ledger", ERR_BUSY, "it does not know us: another key, or another certificate"},
    };
    struct remote_auth *auth = auth_of("ledger");
    t_listener_start(auth);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct remote_auth *caller = auth_of(cases[i].caller);
        struct remote_client *client = t_client_of(REMOTE_LEDGER, t_listener_port(), caller);
        assert_int_equal(look_up(client), cases[i].ledger);
        struct remote_client_state found = greet(client);
        assert_int_equal(found.reached, cases[i].ledger == ERR_OK);
        assert_int_equal(found.refuses, cases[i].ledger != ERR_OK);
        assert_string_equal(found.why, cases[i].why);
        t_client_end(&client);
        remote_auth_destroy(&caller);
    }
    assert_true(t_listener_count().denied >= 3); /* and more hellos of the last one */
    assert_int_equal(atomic_load(&t_ports.asked), 1);
    t_listener_stop();
    remote_auth_destroy(&auth);
}

/* A certificate that our authority did not sign is nobody's, whatever it says; and a callee that is
 * somebody else's role is not sent anything. */
static void
test_thieves(void **state)
{
    (void)state;
    struct remote_auth *auth = auth_of("ledger");
    struct remote_auth *thief = auth_of("thief");
    struct remote_auth *caller = auth_of("api");
    t_listener_start(auth);
    struct remote_client *client = t_client_of(REMOTE_LEDGER, t_listener_port(), thief);
    err_t error = look_up(client);
    assert_true(error == ERR_OUTCOME_UNKNOWN || error == ERR_BUSY);
    t_client_end(&client);
    /* It has the names ledger and vault, not cards. */
    client = t_client_of(REMOTE_RAIL, t_listener_port(), caller);
    struct port_rail_request request = {
        .operation = PORT_RAIL_REPORT,
        .deadline_ns = UINT64_MAX / 2,
        .reply_to = t_reply_to(),
        .done = rail_done,
    };
    struct port_rail *port = remote_client_rail(client);
    done = false;
    port->submit(port, &request);
    t_wait(&done);
    assert_int_equal(request.error, ERR_BUSY);
    struct remote_client_counters counters;
    remote_client_count(client, &counters);
    assert_int_equal(counters.not_sent, 1);
    t_client_end(&client);
    assert_int_equal(atomic_load(&t_ports.asked), 0);
    t_listener_stop();
    /* A thief's listener gets nothing from us. */
    t_listener_start(thief);
    client = t_client_of(REMOTE_LEDGER, t_listener_port(), caller);
    assert_int_equal(look_up(client), ERR_BUSY);
    assert_int_equal(atomic_load(&t_ports.asked), 0);
    t_client_end(&client);
    t_listener_stop();
    remote_auth_destroy(&auth);
    remote_auth_destroy(&thief);
    remote_auth_destroy(&caller);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_settings),
        cmocka_unit_test(test_key_files),
        cmocka_unit_test(test_hosts),
        cmocka_unit_test(test_mutual),
        cmocka_unit_test(test_thieves),
    };
    return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
