/* What the listener lets in, and what it refuses before any port is asked. */
#include "testing.h"

#include "base/list.h"
#include "os/clock.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

static struct remote_auth *auth;

static int
setup(void **state)
{
    (void)state;
    auth = t_auth(T_KEY);
    t_listener_start(auth);
    return 0;
}

static int
teardown(void **state)
{
    (void)state;
    t_listener_stop();
    remote_auth_destroy(&auth);
    return 0;
}

#define AUTHORIZED "Authorization: Bearer " T_KEY "\r\n"
#define IN_TIME    "Tael-Timeout-Ms: 5000\r\n"
#define JSON_TYPE  "Content-Type: application/json\r\n"

/* One request, and its answer's status; the body is in `answer`. */
static char answer[1 << 16];

static unsigned
ask(const char *method, const char *path, const char *headers, const void *body, size_t size)
{
    static char request[1 << 21];
    int head = snprintf(
        request,
        sizeof(request),
        "%s %s HTTP/1.1\r\nHost: x\r\n%sContent-Length: %zu\r\n\r\n",
        method,
        path,
        headers,
        size);
    assert_true(head > 0 && (size_t)head + size < sizeof(request));
    if (size != 0) {
        memcpy(request + head, body, size);
    }
    (void)t_ask(t_listener_port(), request, (size_t)head + size, answer, sizeof(answer));
    return t_status(answer);
}

static unsigned
post(const char *path, const char *headers, const char *body)
{
    return ask("POST", path, headers, body, strlen(body));
}

/* Refused by the listener, with this error, and no port was asked. */
static void
expect_refused(unsigned status, unsigned expected, const char *error)
{
    char member[64];
    (void)snprintf(member, sizeof(member), "{\"error\":\"%s\",\"by_listener\":true", error);
    if (status != expected || strstr(answer, member) == NULL) {
        print_error("%u: %s\n", status, answer);
    }
    assert_int_equal(status, expected);
    assert_non_null(strstr(answer, member));
    assert_int_equal(atomic_load(&t_ports.asked), 0);
}

#define RAIL   "/internal/v1/rail/submit"
#define REPORT "{\"operation\":\"report\",\"original_id\":\"1\"}"

/* Whoever cannot say the key is told nothing but that, whatever they ask for. */
static void
test_strangers(void **state)
{
    (void)state;
    static const char *const proofs[] = {
        "",
        "Authorization: Bearer \r\n",
        "Authorization: Bearer " T_KEY "x\r\n",
        "Authorization: Bearer an-internal-key-of-more-than-32-character\r\n",
        "Authorization: bearer " T_KEY "\r\n",
        "Authorization: Basic " T_KEY "\r\n",
    };
    static const char *const paths[] = {
        RAIL, "/internal/v1/ledger/create_transfers", "/internal/v1/hello", "/", "/metrics"};
    for (size_t i = 0; i < sizeof(proofs) / sizeof(proofs[0]); i++) {
        for (size_t j = 0; j < sizeof(paths) / sizeof(paths[0]); j++) {
            char headers[256];
            (void)snprintf(headers, sizeof(headers), "%s" IN_TIME, proofs[i]);
            expect_refused(post(paths[j], headers, REPORT), 401, "ERR_DENIED");
            assert_null(strstr(answer, "version"));
        }
    }
    assert_int_equal(t_listener_count().requests, 0);
    assert_int_equal(t_listener_count().denied, 30);
}

static void
test_paths(void **state)
{
    (void)state;
    static const char *const unknown[] = {
        "/internal/v3/rail/submit",
        "/internal/v0/rail/submit",
        "/internal/v2/ledger/create_transfers",
        "/internal/v2/vault/tokenize",
        "/internal/v3/hello",
        "/internal/v1/",
        "/internal/v1/rails/submit",
        "/v1/balance",
        "/internal/v1/rail/",
        "/internal/v1/rail/submit/",
        "/internal/v1/vault/detokenize",
        "/internal/v1/ledger/drop",
        "/internal/v1/wallet/close",
        "/internal/v1/mobile/submit",
        "/internal/v1/network/tokenize",
    };
    for (size_t i = 0; i < sizeof(unknown) / sizeof(unknown[0]); i++) {
        expect_refused(
            post(unknown[i], AUTHORIZED IN_TIME JSON_TYPE, "{}"), 404, "ERR_UNSUPPORTED");
    }
    expect_refused(ask("GET", RAIL, AUTHORIZED IN_TIME, "", 0), 400, "ERR_INVALID");
    expect_refused(ask("PUT", RAIL, AUTHORIZED IN_TIME, REPORT, 40), 400, "ERR_INVALID");
}

static void
test_times(void **state)
{
    (void)state;
    static const char *const wrong[] = {
        "",
        "Tael-Timeout-Ms: \r\n",
        "Tael-Timeout-Ms: -1\r\n",
        "Tael-Timeout-Ms: soon\r\n",
        "Tael-Timeout-Ms: 3600001\r\n",
    };
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        char headers[256];
        (void)snprintf(headers, sizeof(headers), AUTHORIZED "%s", wrong[i]);
        expect_refused(post(RAIL, headers, REPORT), 400, "ERR_INVALID");
    }
    expect_refused(post(RAIL, AUTHORIZED "Tael-Timeout-Ms: 0\r\n", REPORT), 408, "ERR_TIMEOUT");
    assert_int_equal(t_listener_count().late, 1);
    assert_int_equal(post(RAIL, AUTHORIZED "Tael-Timeout-Ms: 3600000\r\n", REPORT), 200);
    assert_int_equal(atomic_load(&t_ports.asked), 1);
}

/* What moves an amount says which, and what a code is: no port sees what it could not stand. */
static void
test_bodies(void **state)
{
    (void)state;

    static const struct {
        const char *path, *body;
    } wrong[] = {
        {RAIL, ""},
        {RAIL, "{}"},
        {RAIL, "{\"operation\":\"authorize\",\"amount\":1}"},
        {RAIL, "{\"operation\":\"authorize\",\"amount\":-1,\"currency\":\"USD\"}"},
        {RAIL, "{\"operation\":\"capture\"}"},
        {RAIL, "{\"operation\":\"refund\"}"},
        {RAIL, "{\"operation\":\"increment\"}"},
        {RAIL, "{\"operation\":\"pay\"}"},
        {"/internal/v1/network/submit", "{\"operation\":\"authorize\"}"},
        {"/internal/v1/vault/tokenize", "{\"number\":\"4242424242424242\"}"},
        {"/internal/v1/wallet/submit",
         "{\"operation\":\"reserve\",\"scope\":1,\"direction\":\"in\"}"},
        {"/internal/v1/wallet/submit",
         "{\"operation\":\"reserve\",\"scope\":1,\"direction\":\"in\",\"amount\":0,\"currency\":"
         "\"USD\"}"},
        {"/internal/v1/wallet/release",
         "{\"scope\":1,\"direction\":\"in\",\"amount\":0,\"currency\":\"USD\",\"reserved_at\":1}"},
        {"/internal/v1/mobile/use_code", "{\"scope\":1,\"code\":\"12345678901234567\"}"},
        {"/internal/v1/mobile/use_code", "{\"scope\":1,\"code\":\"12345678901234567x\"}"},
        {"/internal/v1/ledger/query_accounts", "{\"limit\":\"1\"}"},
        {"/internal/v1/ledger/create_transfers", "0123456789"},
        {"/internal/v1/ledger/lookup_accounts?pairs", "0123456789abcdef"},
        {"/internal/v1/ledger/create_transfers?pair", ""},
    };

    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        expect_refused(post(wrong[i].path, AUTHORIZED IN_TIME, wrong[i].body), 400, "ERR_INVALID");
    }
    assert_int_equal(t_listener_count().invalid, sizeof(wrong) / sizeof(wrong[0]));
}

/* One batch is 8,190 records; one more is refused whole. */
static void
test_batch_size(void **state)
{
    (void)state;
    static char records[(LEDGER_BATCH_MAX + 1) * sizeof(struct ledger_transfer)];
    size_t whole = sizeof(records) - sizeof(struct ledger_transfer);
    const char *path = "/internal/v1/ledger/create_transfers";
    expect_refused(
        ask("POST", path, AUTHORIZED IN_TIME, records, sizeof(records)), 400, "ERR_INVALID");
    assert_int_equal(ask("POST", path, AUTHORIZED IN_TIME, records, whole), 200);
}

/* What net itself refuses was not done either, and says so. */
static void
test_no_http(void **state)
{
    (void)state;
    const char *request = "GET / HTTP/1.1\r\nHost : x\r\n\r\n";
    (void)t_ask(t_listener_port(), request, strlen(request), answer, sizeof(answer));
    expect_refused(t_status(answer), 400, "ERR_INVALID");
    assert_int_equal(t_listener_count().shed, 1);
    const char *large = "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999\r\n\r\n";
    (void)t_ask(t_listener_port(), large, strlen(large), answer, sizeof(answer));
    expect_refused(t_status(answer), 413, "ERR_INVALID");
}

static void
test_hello(void **state)
{
    (void)state;
    assert_int_equal(ask("GET", "/internal/v1/hello", AUTHORIZED, "", 0), 200);
    assert_non_null(strstr(answer, "{\"version\":1,\"ready\":true,\"ledger\":true,\"rail\":true,"));
    assert_int_equal(ask("GET", "/internal/v2/hello", AUTHORIZED, "", 0), 200);
    assert_non_null(strstr(answer, "{\"version\":2,\"ready\":true,"));
    atomic_store(&t_is_ready, false);
    assert_int_equal(ask("GET", "/internal/v1/hello", AUTHORIZED, "", 0), 200);
    assert_non_null(strstr(answer, "\"ready\":false,\"why\":\"the store has failed\""));
}

static void
is_disputed(struct port_rail_request *request)
{
    request->answer = (struct port_rail_answer){.captured_amount = 1000, .disputed_amount = 400};
}

/* Whoever speaks an older version understands every answer. */
static void
test_older_callers(void **state)
{
    (void)state;
    t_ports.on_rail = is_disputed;
    assert_int_equal(post("/internal/v2/rail/submit", AUTHORIZED IN_TIME, REPORT), 200);
    assert_non_null(strstr(answer, "\"disputed_amount\":400"));
    assert_int_equal(post(RAIL, AUTHORIZED IN_TIME, REPORT), 200);
    assert_non_null(strstr(answer, "\"captured_amount\":1000"));
    assert_null(strstr(answer, "disputed"));
}

/* A trace context that is not well-formed is none, and harms nothing else. */
static struct trace_context seen;

static void
look(struct port_rail_request *request)
{
    seen = request->trace;
}

static void
test_trace(void **state)
{
    (void)state;
    t_ports.on_rail = look;
    const char *good = AUTHORIZED IN_TIME
        "traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\r\n";
    assert_int_equal(post(RAIL, good, REPORT), 200);
    assert_true(seen.span_id == UINT64_C(0xb7ad6b7169203331));
    const char *bad = AUTHORIZED IN_TIME "traceparent: 00-nonsense\r\n";
    assert_int_equal(post(RAIL, bad, REPORT), 200);
    assert_true(seen.trace_id == 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_strangers, setup, teardown),
        cmocka_unit_test_setup_teardown(test_paths, setup, teardown),
        cmocka_unit_test_setup_teardown(test_times, setup, teardown),
        cmocka_unit_test_setup_teardown(test_bodies, setup, teardown),
        cmocka_unit_test_setup_teardown(test_batch_size, setup, teardown),
        cmocka_unit_test_setup_teardown(test_no_http, setup, teardown),
        cmocka_unit_test_setup_teardown(test_hello, setup, teardown),
        cmocka_unit_test_setup_teardown(test_older_callers, setup, teardown),
        cmocka_unit_test_setup_teardown(test_trace, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
