/* What a request ends as when the other side, or the way there, fails: at every point, with every
 * kind of rubbish. Nothing that may have been done is ever told as not done (REMOTE-1). */
#include "testing.h"

#include "os/clock.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define T_PATIENT_MS 60000

static struct remote_auth *auth;
static struct remote_client *client;
static struct t_raw raw;
static bool done;

static struct ledger_transfer transfers[2];
static struct ledger_result results[2];
static u128 ids[2];
static struct ledger_account accounts[2];

static int
setup(void **state)
{
    (void)state;
    auth = t_auth(T_KEY);
    memset(&raw, 0, sizeof(raw));
    return 0;
}

static int
teardown(void **state)
{
    (void)state;
    remote_auth_destroy(&auth);
    return 0;
}

static void
ledger_done(struct port_ledger_request *request)
{
    (void)request;
    done = true;
}

static err_t
create_two(void)
{
    struct port_ledger_request request = {
        .operation = PORT_LEDGER_CREATE_TRANSFERS,
        .count = 2,
        .in.transfers = transfers,
        .out.results = results,
        .reply_to = t_reply_to(),
        .done = ledger_done,
    };
    struct port_ledger *port = remote_client_ledger(client);
    done = false;
    port->submit(port, &request);
    t_wait(&done);
    return request.error;
}

static err_t
look_up_two(void)
{
    struct port_ledger_request request = {
        .operation = PORT_LEDGER_LOOKUP_ACCOUNTS,
        .count = 2,
        .in.ids = ids,
        .out.accounts = accounts,
        .reply_to = t_reply_to(),
        .done = ledger_done,
    };
    struct port_ledger *port = remote_client_ledger(client);
    done = false;
    port->submit(port, &request);
    t_wait(&done);
    return request.error;
}

static void
rail_done(struct port_rail_request *request)
{
    (void)request;
    done = true;
}

static struct port_rail_request
authorize(uint64_t timeout_ms)
{
    struct port_rail_request request = {
        .operation = PORT_RAIL_AUTHORIZE,
        .id = 1,
        .amount = {.amount = 1, .currency = currency_find(SPAN("USD"))},
        .reply_to = t_reply_to(),
        .done = rail_done,
        .deadline_ns = net_now_ns() + timeout_ms * OS_NS_PER_MS,
        .answer.outcome = PORT_RAIL_APPROVED,
    };
    struct port_rail *port = remote_client_rail(client);
    done = false;
    port->submit(port, &request);
    t_wait(&done);
    return request;
}

static struct remote_client_counters
count(void)
{
    struct remote_client_counters counters;
    remote_client_count(client, &counters);
    return counters;
}

static void
with(enum remote_service service, enum t_cut cut, const char *answer, size_t answer_size)
{
    raw.cut = cut;
    raw.answer = answer;
    raw.answer_size = answer_size;
    t_raw_start(&raw);
    client = t_client_of(service, raw.port, auth);
}

static void
without(void)
{
    t_client_end(&client);
    t_raw_stop(&raw);
    memset(&raw, 0, sizeof(raw));
}

/* ---------------------------------------------------------------------------------- cuts --- */

/* Nobody listens: nothing was sent. */
static void
test_refused(void **state)
{
    (void)state;
    const uint16_t port = 1; /* a port that was free a moment ago may be somebody else's now */
    client = t_client_of(REMOTE_LEDGER, port, auth);
    assert_int_equal(create_two(), ERR_BUSY);
    assert_int_equal(look_up_two(), ERR_BUSY);
    assert_int_equal(count().not_sent, 2);
    t_client_end(&client);
    client = t_client_of(REMOTE_RAIL, port, auth);
    struct port_rail_request request = authorize(T_PATIENT_MS);
    assert_int_equal(request.error, ERR_BUSY);
    t_client_end(&client);
}

/* Half an answer, a quarter, all but a byte. */
static void
test_cut_answers(void **state)
{
    (void)state;
    size_t size = 0;
    static char copy[4096];
    const char *answer = t_answer(200, "application/octet-stream", results, sizeof(results), &size);
    memcpy(copy, answer, size);
    const size_t cuts[] = {0, 1, 8, 12, size - sizeof(results) - 1, size - 17, size - 1};
    for (size_t i = 0; i < sizeof(cuts) / sizeof(cuts[0]); i++) {
        with(REMOTE_LEDGER, T_CUT_AFTER, copy, cuts[i]);
        assert_int_equal(create_two(), ERR_OUTCOME_UNKNOWN);
        assert_int_equal(atomic_load(&raw.requests), 1); /* never again by itself */
        without();
    }
    with(REMOTE_LEDGER, T_CUT_AFTER, copy, size);
    assert_int_equal(create_two(), ERR_OK);
    without();
}

/* Cut while it is sent and after it was sent: it may have happened. */
static void
test_cut_requests(void **state)
{
    (void)state;

    static const enum t_cut cuts[] = {T_CUT_REQUEST, T_CUT_BEFORE};

    for (size_t i = 0; i < 2; i++) {
        with(REMOTE_LEDGER, cuts[i], NULL, 0);
        assert_int_equal(create_two(), ERR_OUTCOME_UNKNOWN);
        assert_int_equal(atomic_load(&raw.requests), 1);
        without();
    }
    /* Whether bytes left before the peer closed is a race: either is told as it was. */
    with(REMOTE_LEDGER, T_CUT_ACCEPT, NULL, 0);
    err_t error = create_two();
    assert_true(error == ERR_OUTCOME_UNKNOWN || error == ERR_BUSY);
    without();
}

/* What can be done twice is, once, on another connection; then it is told as it is. */
static void
test_repeats(void **state)
{
    (void)state;
    with(REMOTE_LEDGER, T_CUT_BEFORE, NULL, 0);
    assert_int_equal(look_up_two(), ERR_OUTCOME_UNKNOWN);
    assert_int_equal(atomic_load(&raw.requests), 2);
    assert_int_equal(atomic_load(&raw.connections), 2);
    without();
    with(REMOTE_RAIL, T_CUT_BEFORE, NULL, 0);
    struct port_rail_request request = authorize(T_PATIENT_MS);
    assert_int_equal(request.error, ERR_OK);
    assert_int_equal(request.answer.outcome, PORT_RAIL_UNKNOWN);
    assert_int_equal(atomic_load(&raw.requests), 2);
    without();
}

/* The first attempt may have been done; that the second was refused does not undo it. */
static void
test_refused_after_a_repeat(void **state)
{
    (void)state;
    size_t size = 0;
    const char *body = "{\"error\":\"ERR_TIMEOUT\",\"by_listener\":true}";
    const char *answer = t_answer(408, "application/json", body, strlen(body), &size);
    with(REMOTE_RAIL, T_CUT_FIRST, answer, size);
    struct port_rail_request request = authorize(T_PATIENT_MS);
    assert_int_equal(request.error, ERR_OK);
    assert_int_equal(request.answer.outcome, PORT_RAIL_UNKNOWN);
    assert_true(atomic_load(&raw.requests) >= 2);
    without();
    with(REMOTE_RAIL, T_CUT_NONE, answer, size);
    request = authorize(T_PATIENT_MS);
    assert_int_equal(request.error, ERR_BUSY);
    without();
}

/* A reservation has no id, so it is not repeated; a look at a wallet is. */
static void
wallet_done(struct port_wallet_request *request)
{
    (void)request;
    done = true;
}

static void
test_wallet_repeats(void **state)
{
    (void)state;

    static const enum port_wallet_operation operations[] = {
        PORT_WALLET_RESERVE, PORT_WALLET_LOOKUP};

    for (unsigned i = 0; i < 2; i++) {
        with(REMOTE_WALLET, T_CUT_BEFORE, NULL, 0);
        struct port_wallet_request request = {
            .operation = operations[i],
            .movement.amount = {.amount = 1, .currency = currency_find(SPAN("USD"))},
            .reply_to = t_reply_to(),
            .done = wallet_done,
        };
        struct port_wallet *port = remote_client_wallet(client);
        done = false;
        port->submit(port, &request);
        t_wait(&done);
        assert_int_equal(request.error, ERR_OUTCOME_UNKNOWN);
        assert_int_equal(atomic_load(&raw.requests), i + 1);
        without();
    }
}

/* A release that does not arrive is dropped and counted, and not said twice. */
static void
test_release_is_dropped(void **state)
{
    (void)state;
    with(REMOTE_WALLET, T_CUT_BEFORE, NULL, 0);
    const struct port_wallet_movement movement = {
        .amount = {.amount = 1, .currency = currency_find(SPAN("USD"))}};
    struct port_wallet *port = remote_client_wallet(client);
    port->release(port, &movement);
    for (int i = 0; i < 10000 && count().dropped == 0; i++) {
        (void)usleep(1000);
    }
    assert_int_equal(count().dropped, 1);
    assert_int_equal(atomic_load(&raw.requests), 1);
    without();
}

/* -------------------------------------------------------------------------------- deadlines --- */

/* Long enough to connect and to send, on a machine that stands still for a moment. */
#define T_SILENCE_MS 1500

static void
test_silence(void **state)
{
    (void)state;
    char endpoint[32];
    struct remote_client_settings settings = remote_client_settings_default;
    settings.timeout_ms = T_SILENCE_MS;
    raw.cut = T_CUT_SILENT;
    t_raw_start(&raw);
    (void)snprintf(endpoint, sizeof(endpoint), "127.0.0.1:%u", (unsigned)raw.port);
    client = t_client(REMOTE_LEDGER, endpoint, auth, &settings);
    uint64_t began_ns = net_now_ns();
    assert_int_equal(create_two(), ERR_OUTCOME_UNKNOWN);
    assert_true(net_now_ns() - began_ns >= (T_SILENCE_MS - 10) * OS_NS_PER_MS);
    assert_int_equal(atomic_load(&raw.requests), 1);
    without();
}

/* A rail's own deadline counts, whatever the setting says; a request that is late is not sent. */
static void
test_rail_deadline(void **state)
{
    (void)state;
    with(REMOTE_RAIL, T_CUT_SILENT, NULL, 0);
    uint64_t began_ns = net_now_ns();
    struct port_rail_request request = authorize(T_SILENCE_MS);
    assert_int_equal(request.error, ERR_OK);
    assert_int_equal(request.answer.outcome, PORT_RAIL_UNKNOWN);
    assert_in_range((net_now_ns() - began_ns) / OS_NS_PER_MS, T_SILENCE_MS - 10, 9000);
    assert_int_equal(atomic_load(&raw.requests), 1); /* there was no time for another */
    request = authorize(0);
    assert_int_equal(request.error, ERR_BUSY);
    assert_int_equal(atomic_load(&raw.requests), 1);
    without();
}

/* The callee answers when nobody waits any more: the next answer is not mistaken for it. */
static void
late_fake(struct port_ledger_request *request)
{
    request->out_count = request->count;
    for (uint32_t i = 0; i < request->count; i++) {
        request->out.results[i].timestamp = (uint64_t)request->in.transfers[i].id;
    }
}

static void
test_late_answer(void **state)
{
    (void)state;
    char endpoint[32];
    struct remote_client_settings settings = remote_client_settings_default;
    settings.timeout_ms = 200;
    t_listener_start(auth);
    t_ports.on_ledger = late_fake;
    atomic_store(&t_ports.holds, true);
    (void)snprintf(endpoint, sizeof(endpoint), "127.0.0.1:%u", (unsigned)t_listener_port());
    client = t_client(REMOTE_LEDGER, endpoint, auth, &settings);
    /* On a machine that stands still a request may be late before it is sent, or its answer. */
    transfers[0].id = 1;
    do {
        assert_int_not_equal(create_two(), ERR_OK);
    } while (atomic_load(&t_ports.asked) == 0);
    t_release();
    err_t error;
    do {
        transfers[0].id++;
        error = create_two();
    } while (error == ERR_OUTCOME_UNKNOWN || error == ERR_BUSY);
    assert_int_equal(error, ERR_OK);
    assert_int_equal(results[0].timestamp, transfers[0].id);
    t_client_end(&client);
    t_listener_stop();
}

/* ----------------------------------------------------------------------------------- rubbish ---
 */

static void
expect_create(unsigned status, const char *type, const char *body, size_t size, err_t error)
{
    size_t answer_size = 0;
    const char *answer = t_answer(status, type, body, size, &answer_size);
    with(REMOTE_LEDGER, T_CUT_NONE, answer, answer_size);
    err_t got = create_two();
    if (got != error) {
        print_error("%u %s %.*s: %s\n", status, type, (int)size, body, err_name(got));
    }
    assert_int_equal(got, error);
    without();
}

#define JSON_IS(status, text, error)                                                               \
    expect_create(status, "application/json", text, strlen(text), error)

/* Only an answer that one of ours must have given says that nothing was done. */
static void
test_wrong_answers(void **state)
{
    (void)state;
    static const char records[4096];
    const char *octets = "application/octet-stream";
    expect_create(200, octets, records, 32, ERR_OK);
    expect_create(200, octets, records, 31, ERR_OUTCOME_UNKNOWN);
    expect_create(200, octets, records, 48, ERR_OUTCOME_UNKNOWN);
    expect_create(200, octets, records, 16, ERR_OUTCOME_UNKNOWN);
    expect_create(200, octets, records, 0, ERR_OUTCOME_UNKNOWN);
    expect_create(204, octets, records, 0, ERR_OUTCOME_UNKNOWN);
    expect_create(502, "text/html", "<h1>Bad gateway</h1>", 20, ERR_OUTCOME_UNKNOWN);
    expect_create(503, "text/plain", "busy", 4, ERR_OUTCOME_UNKNOWN);
    JSON_IS(503, "{}", ERR_OUTCOME_UNKNOWN);
    JSON_IS(503, "{\"error\":\"ERR_BUSY\"}", ERR_OUTCOME_UNKNOWN);
    JSON_IS(503, "{\"error\":\"ERR_NOTHING\",\"by_listener\":true}", ERR_OUTCOME_UNKNOWN);
    JSON_IS(503, "{\"error\":\"ERR_BUSY\",\"by_listener\":false}", ERR_BUSY);
    JSON_IS(503, "{\"error\":\"ERR_FULL\",\"by_listener\":false}", ERR_FULL);
    JSON_IS(504, "{\"error\":\"ERR_OUTCOME_UNKNOWN\",\"by_listener\":false}", ERR_OUTCOME_UNKNOWN);
    /* A listener that does not know us, or our version, has asked no port. */
    JSON_IS(401, "{\"error\":\"ERR_DENIED\",\"by_listener\":true}", ERR_BUSY);
    JSON_IS(404, "{\"error\":\"ERR_UNSUPPORTED\",\"by_listener\":true}", ERR_BUSY);
    JSON_IS(503, "{\"error\":\"ERR_TIMEOUT\",\"by_listener\":true}", ERR_BUSY);
}

static void
test_garbage(void **state)
{
    (void)state;
    static const char *const rubbish[] = {
        "SSH-2.0-OpenSSH_9.2\r\n",
        "HTTP/2.0 200 OK\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nxx",
        "\r\n\r\n\r\n",
    };
    for (size_t i = 0; i < sizeof(rubbish) / sizeof(rubbish[0]); i++) {
        with(REMOTE_LEDGER, T_CUT_AFTER, rubbish[i], strlen(rubbish[i]));
        assert_int_equal(create_two(), ERR_OUTCOME_UNKNOWN);
        without();
    }
    /* An answer that says it is larger than any can be. */
    const char *large = "HTTP/1.1 200 OK\r\nContent-Length: 99999999\r\n\r\nxx";
    with(REMOTE_LEDGER, T_CUT_NONE, large, strlen(large));
    assert_int_equal(create_two(), ERR_OUTCOME_UNKNOWN);
    without();
}

/* JSON that is whole, and not an answer to what was asked. */
static void
test_wrong_objects(void **state)
{
    (void)state;
    static const char *const bodies[] = {
        "", "[]", "{}", "{\"outcome\":\"approved\"}", "{\"outcome\":\"perhaps\"}", "{\"outcome\":"};
    for (size_t i = 0; i < sizeof(bodies) / sizeof(bodies[0]); i++) {
        size_t size = 0;
        const char *answer = t_answer(200, "application/json", bodies[i], strlen(bodies[i]), &size);
        with(REMOTE_RAIL, T_CUT_NONE, answer, size);
        struct port_rail_request request = authorize(T_PATIENT_MS);
        assert_int_equal(request.error, ERR_OK);
        assert_int_equal(request.answer.outcome, PORT_RAIL_UNKNOWN);
        without();
    }
}

/* --------------------------------------------------------------------------------- endpoints ---
 */

/* What was not sent goes to the next endpoint, which the client then keeps to. */
static void
test_next_endpoint(void **state)
{
    (void)state;
    char endpoints[64];
    t_listener_start(auth);
    t_ports.on_ledger = late_fake;
    (void)snprintf(
        endpoints, sizeof(endpoints), "127.0.0.1:1,127.0.0.1:%u", (unsigned)t_listener_port());
    client = t_client(REMOTE_LEDGER, endpoints, auth, NULL);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(create_two(), ERR_OK);
    }
    assert_int_equal(count().not_sent, 0);
    t_client_end(&client);
    t_listener_stop();
}

/* The stop ends what is under way as its state demands, and refuses what comes later. */
static void
test_stop(void **state)
{
    (void)state;
    with(REMOTE_LEDGER, T_CUT_SILENT, NULL, 0);
    struct port_ledger_request request = {
        .operation = PORT_LEDGER_CREATE_TRANSFERS,
        .count = 2,
        .in.transfers = transfers,
        .out.results = results,
        .reply_to = t_reply_to(),
        .done = ledger_done,
    };
    struct port_ledger_request later = request;
    struct port_ledger *port = remote_client_ledger(client);
    done = false;
    port->submit(port, &request);
    while (atomic_load(&raw.requests) == 0) {
        (void)usleep(1000);
    }
    remote_client_stop(client);
    t_wait(&done);
    assert_int_equal(request.error, ERR_OUTCOME_UNKNOWN);
    done = false;
    port->submit(port, &later);
    t_wait(&done);
    assert_int_equal(later.error, ERR_BUSY);
    net_loop_stop(t_client_loop());
    remote_client_destroy(&client);
    struct net_loop *loop = t_client_loop();
    net_loop_destroy(&loop);
    t_raw_stop(&raw);
}

/* A hello tells why a service cannot be used. */
static void
expect_why(struct remote_client *of, const char *why)
{
    struct remote_client_state look = {.reached = false};
    remote_client_start(of);
    for (int i = 0; i < 10000; i++) {
        remote_client_look(of, &look);
        if (strcmp(look.why, "it was not asked yet") != 0) {
            break;
        }
        (void)usleep(1000);
    }
    assert_string_equal(look.why, why);
    assert_false(look.reached);
    assert_false(look.ready);
}

static void
test_hello_says_why(void **state)
{
    (void)state;
    size_t size = 0;
    const char *hello = "{\"version\":2,\"ready\":true,\"ledger\":true}";
    const char *answer = t_answer(200, "application/json", hello, strlen(hello), &size);
    with(REMOTE_LEDGER, T_CUT_NONE, answer, size);
    expect_why(client, "it speaks another version");
    without();
    hello = "{\"version\":1,\"ready\":true,\"rail\":true}";
    answer = t_answer(200, "application/json", hello, strlen(hello), &size);
    with(REMOTE_LEDGER, T_CUT_NONE, answer, size);
    expect_why(client, "it does not serve this");
    without();
    answer = t_answer(200, "text/plain", "welcome", 7, &size);
    with(REMOTE_LEDGER, T_CUT_NONE, answer, size);
    expect_why(client, "it is not one of ours, or of another version");
    without();
    /* What a listener of an older program says to a version that it does not know. */
    const char *refusal = "{\"error\":\"ERR_UNSUPPORTED\",\"by_listener\":true}";
    answer = t_answer(404, "application/json", refusal, strlen(refusal), &size);
    with(REMOTE_RAIL, T_CUT_NONE, answer, size);
    expect_why(
        client, "it is not one of ours, or of an older version, and has to be upgraded first");
    without();
    t_listener_start(auth);
    struct remote_auth *other = t_auth("another-key-of-more-than-32-characters");
    client = t_client_of(REMOTE_LEDGER, t_listener_port(), other);
    expect_why(client, "it does not know us: another key, or another certificate");
    assert_int_equal(create_two(), ERR_BUSY);
    assert_int_equal(count().refused, 1);
    assert_int_equal(atomic_load(&t_ports.asked), 0);
    t_client_end(&client);
    t_listener_stop();
    remote_auth_destroy(&other);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(test_cut_answers, setup, teardown),
        cmocka_unit_test_setup_teardown(test_cut_requests, setup, teardown),
        cmocka_unit_test_setup_teardown(test_repeats, setup, teardown),
        cmocka_unit_test_setup_teardown(test_refused_after_a_repeat, setup, teardown),
        cmocka_unit_test_setup_teardown(test_wallet_repeats, setup, teardown),
        cmocka_unit_test_setup_teardown(test_release_is_dropped, setup, teardown),
        cmocka_unit_test_setup_teardown(test_silence, setup, teardown),
        cmocka_unit_test_setup_teardown(test_rail_deadline, setup, teardown),
        cmocka_unit_test_setup_teardown(test_late_answer, setup, teardown),
        cmocka_unit_test_setup_teardown(test_wrong_answers, setup, teardown),
        cmocka_unit_test_setup_teardown(test_garbage, setup, teardown),
        cmocka_unit_test_setup_teardown(test_wrong_objects, setup, teardown),
        cmocka_unit_test_setup_teardown(test_next_endpoint, setup, teardown),
        cmocka_unit_test_setup_teardown(test_stop, setup, teardown),
        cmocka_unit_test_setup_teardown(test_hello_says_why, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
