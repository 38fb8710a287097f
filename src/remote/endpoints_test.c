/* Where a service is, and files that say it. */
#include "testing.h"

#include "endpoints.h"

#include "os/clock.h"
#include "os/file.h"
#include "os/loop_real.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void
parses(const char *text, const char *first_host, uint16_t first_port, uint32_t count)
{
    struct remote_endpoints endpoints;
    struct span problem;
    assert_int_equal(remote_endpoints_parse(span_from_cstr(text), &endpoints, &problem), ERR_OK);
    assert_int_equal(endpoints.count, count);
    assert_string_equal(endpoints.at[0].host, first_host);
    assert_int_equal(endpoints.at[0].port, first_port);
}

static void
refuses(const char *text, err_t error, const char *what)
{
    struct remote_endpoints endpoints;
    struct span problem;
    assert_int_equal(remote_endpoints_parse(span_from_cstr(text), &endpoints, &problem), error);
    assert_true(span_equal_cstr(problem, what));
}

static void
test_parse(void **state)
{
    (void)state;
    parses("127.0.0.1:7000", "127.0.0.1", 7000, 1);
    parses("[::1]:1", "::1", 1, 1);
    parses(" ledger.tael.internal:65535 , b:2,", "ledger.tael.internal", 65535, 2);
    parses("# the ledger\r\n\r\na:1 # first\r\na:1\nb:2\n", "a", 1, 2);
    refuses("", ERR_NOT_FOUND, "");
    refuses("# nothing\n,,\n", ERR_NOT_FOUND, "");
    static const char *const wrong[] = {
        "a",
        ":1",
        "a:",
        "a:0",
        "a:65536",
        "a:1x",
        "::1:7000",
        "[]:1",
        "a b:1",
        "http://a:1",
        "u@a:1"};
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        refuses(wrong[i], ERR_INVALID, wrong[i]);
    }
    /* 253 bytes of a name fit, one more does not. */
    char text[REMOTE_HOST_SIZE + 4];
    char name[REMOTE_HOST_SIZE];
    memset(name, 'h', sizeof(name));
    name[sizeof(name) - 1] = '\0';
    (void)snprintf(text, sizeof(text), "%s:1", name);
    parses(text, name, 1, 1);
    (void)snprintf(text, sizeof(text), "%sh:1", name);
    refuses(text, ERR_INVALID, text);
}

static void
test_too_many(void **state)
{
    (void)state;
    char text[512] = "";
    struct buf out;
    struct remote_endpoints endpoints;
    struct span problem;
    buf_init_fixed(&out, text, sizeof(text) - 1);
    for (unsigned i = 1; i <= REMOTE_ENDPOINTS_MAX; i++) {
        buf_append_format(&out, "h:%u,", i);
    }
    assert_int_equal(remote_endpoints_parse(buf_span(&out), &endpoints, &problem), ERR_OK);
    assert_int_equal(endpoints.count, REMOTE_ENDPOINTS_MAX);
    buf_append_cstr(&out, "h:99");
    assert_int_equal(remote_endpoints_parse(buf_span(&out), &endpoints, &problem), ERR_FULL);
    assert_true(span_equal_cstr(problem, "h:99"));
}

/* A client is told before it begins what cannot be. */
static void
creates(const struct remote_auth *auth, const char *endpoints, err_t error, const char *part)
{
    char message[REMOTE_MESSAGE_SIZE];
    struct remote_client *client = NULL;
    struct net_loop *loop = NULL;
    assert_int_equal(net_loop_create("t", &loop), ERR_OK);
    const struct remote_client_parts parts = {
        .net = loop,
        .service = REMOTE_LEDGER,
        .endpoints = endpoints,
        .auth = auth,
        .settings = remote_client_settings_default,
    };
    assert_int_equal(remote_client_create(&parts, &client, message), error);
    if (strstr(message, part) == NULL) {
        print_error("%s\n", message);
    }
    assert_non_null(strstr(message, part));
    remote_client_destroy(&client);
    net_loop_destroy(&loop);
}

static void
test_clients(void **state)
{
    (void)state;
    struct remote_auth *auth = t_auth(T_KEY);
    creates(auth, "127.0.0.1:1,localhost:2,[::1]:3", ERR_OK, "");
    creates(auth, "127.0.0.1", ERR_INVALID, "127.0.0.1: not a HOST:PORT");
    creates(auth, "10.0.0.1:1", ERR_DENIED, "10.0.0.1: not this machine");
    creates(auth, "127.example.com:1", ERR_DENIED, "127.example.com: not this machine");
    creates(auth, "file:", ERR_INVALID, "path");
    creates(auth, "file:/no/such/file", ERR_NOT_FOUND, "/no/such/file: not found");
    remote_auth_destroy(&auth);
}

static void
file_write(const char *path, const char *text)
{
    FILE *file = fopen(path, "we");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

static bool done;

static void
ledger_done(struct port_ledger_request *request)
{
    (void)request;
    done = true;
}

/* A file that changes moves the client; one with a mistake does not. */
static void
test_file(void **state)
{
    (void)state;
    char path[] = "/tmp/tael-endpoints-XXXXXX";
    char endpoints[64];
    char message[REMOTE_MESSAGE_SIZE];
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    (void)close(fd);
    struct remote_auth *auth = t_auth(T_KEY);
    t_listener_start(auth);
    struct os_loop *files = NULL;
    struct net_loop *loop = NULL;
    struct remote_client *client = NULL;
    assert_int_equal(os_loop_create("t-files", os_clock_real(), &files), ERR_OK);
    assert_int_equal(net_loop_create("t-client", &loop), ERR_OK);
    file_write(path, "127.0.0.1:1\n"); /* nobody listens there */
    (void)snprintf(endpoints, sizeof(endpoints), "file:%s", path);
    struct remote_client_parts parts = {
        .net = loop,
        .files = files,
        .service = REMOTE_LEDGER,
        .endpoints = endpoints,
        .auth = auth,
        .settings = remote_client_settings_default,
    };
    parts.settings.file_interval_ms = 5;
    assert_int_equal(remote_client_create(&parts, &client, message), ERR_OK);
    assert_int_equal(os_loop_start(files), ERR_OK);
    assert_int_equal(net_loop_start(loop), ERR_OK);
    remote_client_start(client);
    struct port_ledger_request request = {
        .operation = PORT_LEDGER_LOOKUP_ACCOUNTS, .reply_to = t_reply_to(), .done = ledger_done};
    struct port_ledger *port = remote_client_ledger(client);
    port->submit(port, &request);
    done = false;
    t_wait(&done);
    assert_int_equal(request.error, ERR_BUSY);
    file_write(path, "what is this?\n");
    (void)usleep(30000);
    char text[32];
    (void)snprintf(text, sizeof(text), "127.0.0.1:%u\n", (unsigned)t_listener_port());
    file_write(path, text);
    for (int i = 0; i < 2000 && request.error != ERR_OK; i++) {
        (void)usleep(5000);
        port->submit(port, &request);
        done = false;
        t_wait(&done);
    }
    assert_int_equal(request.error, ERR_OK);
    file_write(path, "");
    (void)usleep(30000);
    done = false;
    port->submit(port, &request);
    t_wait(&done);
    assert_int_equal(request.error, ERR_OK);
    os_loop_stop(files);
    remote_client_stop(client);
    net_loop_stop(loop);
    remote_client_destroy(&client);
    net_loop_destroy(&loop);
    os_loop_destroy(files);
    t_listener_stop();
    remote_auth_destroy(&auth);
    (void)unlink(path);
}

/* So many times. */
#define ROUNDS  20
#define AT_ONCE 3

static uint32_t creates_out;

static void
create_done(struct port_ledger_request *request)
{
    (void)request;
    creates_out--;
    done = creates_out == 0;
}

static void
create_fake(struct port_ledger_request *request)
{
    request->error = ERR_OK;
    request->out.results[0] = (struct ledger_result){.timestamp = 1};
    request->out_count = 1;
}

static void
creates_end(struct remote_client *client, err_t error)
{
    struct ledger_account account = {.id = 1};
    struct ledger_result results[AT_ONCE];
    struct port_ledger_request requests[AT_ONCE];
    struct port_ledger *port = remote_client_ledger(client);
    done = false;
    creates_out = AT_ONCE;
    for (uint32_t i = 0; i < AT_ONCE; i++) {
        requests[i] = (struct port_ledger_request){
            .operation = PORT_LEDGER_CREATE_ACCOUNTS,
            .count = 1,
            .in.accounts = &account,
            .out.results = &results[i],
            .reply_to = t_reply_to(),
            .done = create_done,
        };
        port->submit(port, &requests[i]);
    }
    t_wait(&done);
    for (uint32_t i = 0; i < AT_ONCE; i++) {
        assert_int_equal(requests[i].error, error);
    }
}

/* Standbys that do not listen cost no request, from the first one on; nothing is sent twice, and
 * what the listener refuses was still not done. */
static void
test_silent_endpoints(void **state)
{
    (void)state;
    static const char *const silent[] = {
        "127.0.0.1:1", "127.0.0.1:1,127.0.0.1:2", "127.0.0.1:1,127.0.0.1:2,127.0.0.1:3"};
    struct remote_auth *auth = t_auth(T_KEY);
    struct remote_auth *other = t_auth("another-key-of-more-than-32-characters");
    t_listener_start(auth);
    t_ports.on_ledger = create_fake;
    for (size_t i = 0; i < sizeof(silent) / sizeof(silent[0]); i++) {
        char endpoints[96];
        unsigned port = t_listener_port();
        (void)snprintf(endpoints, sizeof(endpoints), "%s,127.0.0.1:%u", silent[i], port);
        struct remote_client *client = t_client(REMOTE_LEDGER, endpoints, auth, NULL);
        uint32_t before = atomic_load(&t_ports.asked);
        for (uint32_t round = 0; round < ROUNDS; round++) {
            creates_end(client, ERR_OK);
        }
        assert_int_equal(atomic_load(&t_ports.asked) - before, ROUNDS * AT_ONCE);
        t_client_end(&client);
        client = t_client(REMOTE_LEDGER, endpoints, other, NULL);
        for (uint32_t round = 0; round < ROUNDS; round++) {
            creates_end(client, ERR_BUSY);
        }
        t_client_end(&client);
    }
    t_listener_stop();
    remote_auth_destroy(&other);
    remote_auth_destroy(&auth);
}

static void
raw_says(struct t_raw *raw, unsigned status, const char *body, char *out, size_t room)
{
    int size = snprintf(
        out,
        room,
        "HTTP/1.1 %u Such\r\nContent-Type: application/json\r\nConnection: close\r\n"
        "Content-Length: %zu\r\n\r\n%s",
        status,
        strlen(body),
        body);
    assert_true(size > 0 && (size_t)size < room);
    *raw = (struct t_raw){.cut = T_CUT_AFTER, .answer = out, .answer_size = (size_t)size};
    t_raw_start(raw);
}

/* Who stands by and listens is busy: of that nothing was done, and the holder is asked. */
static void
test_busy_endpoint(void **state)
{
    (void)state;
    struct t_raw raw;
    char answer[256];
    char endpoints[96];
    struct remote_auth *auth = t_auth(T_KEY);
    const char *busy = "{\"error\":\"ERR_BUSY\",\"by_listener\":false}";
    raw_says(&raw, 503, busy, answer, sizeof(answer));
    t_listener_start(auth);
    t_ports.on_ledger = create_fake;
    unsigned port = t_listener_port();
    (void)snprintf(
        endpoints,
        sizeof(endpoints),
        "127.0.0.1:1,127.0.0.1:%u,127.0.0.1:%u",
        (unsigned)raw.port,
        port);
    struct remote_client *client = t_client(REMOTE_LEDGER, endpoints, auth, NULL);
    for (uint32_t round = 0; round < ROUNDS; round++) {
        creates_end(client, ERR_OK);
    }
    assert_true(atomic_load(&raw.requests) > 0);
    assert_int_equal(atomic_load(&t_ports.asked), ROUNDS * AT_ONCE);
    t_client_end(&client);
    /* Without a holder it is busy, as ever. */
    (void)snprintf(endpoints, sizeof(endpoints), "127.0.0.1:1,127.0.0.1:%u", (unsigned)raw.port);
    client = t_client(REMOTE_LEDGER, endpoints, auth, NULL);
    creates_end(client, ERR_BUSY);
    t_client_end(&client);
    t_listener_stop();
    t_raw_stop(&raw);
    remote_auth_destroy(&auth);
}

/* Nor is the service not ready then; but it is if nobody else is there. */
static void
test_endpoint_that_is_not_ready(void **state)
{
    (void)state;
    struct t_raw raw;
    char hello[96];
    char answer[256];
    char endpoints[96];
    struct remote_client_state seen;
    struct remote_auth *auth = t_auth(T_KEY);
    struct remote_client_settings settings = remote_client_settings_default;
    settings.hello_interval_ms = 5;
    (void)snprintf(
        hello,
        sizeof(hello),
        "{\"version\":%u,\"ready\":false,\"ledger\":true}",
        (unsigned)remote_service_version(REMOTE_LEDGER));
    raw_says(&raw, 200, hello, answer, sizeof(answer));
    t_listener_start(auth);
    unsigned port = t_listener_port();
    (void)snprintf(
        endpoints, sizeof(endpoints), "127.0.0.1:%u,127.0.0.1:%u", (unsigned)raw.port, port);
    struct remote_client *client = t_client(REMOTE_LEDGER, endpoints, auth, &settings);
    remote_client_start(client);
    do {
        (void)usleep(1000);
        remote_client_look(client, &seen);
    } while (!seen.asked);
    while (atomic_load(&raw.requests) < 20) {
        remote_client_look(client, &seen);
        assert_true(seen.ready);
        (void)usleep(1000);
    }
    t_client_end(&client);
    (void)snprintf(endpoints, sizeof(endpoints), "127.0.0.1:1,127.0.0.1:%u", (unsigned)raw.port);
    client = t_client(REMOTE_LEDGER, endpoints, auth, &settings);
    remote_client_start(client);
    do {
        (void)usleep(1000);
        remote_client_look(client, &seen);
    } while (!seen.asked || !seen.reached);
    for (int i = 0; i < 100; i++) {
        remote_client_look(client, &seen);
        assert_false(seen.ready);
        assert_string_equal(seen.why, "it is not ready");
        (void)usleep(1000);
    }
    t_client_end(&client);
    t_listener_stop();
    t_raw_stop(&raw);
    remote_auth_destroy(&auth);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parse),
        cmocka_unit_test(test_too_many),
        cmocka_unit_test(test_clients),
        cmocka_unit_test(test_file),
        cmocka_unit_test(test_silent_endpoints),
        cmocka_unit_test(test_busy_endpoint),
        cmocka_unit_test(test_endpoint_that_is_not_ready),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
