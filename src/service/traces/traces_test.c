/* The service against a collector of the test's own: what is sent, sent again, and dropped. */
#include "traces/traces.h"

#include "base/assert.h"
#include "os/entropy.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#define WAIT_MS 20000

/* The collector. */
static struct net_loop *server_loop;
static struct net_server *server;
static uint16_t port;
static atomic_uint requests;
static atomic_uint status;
static atomic_uint failures_left; /* of `status`; then 200 */
static atomic_bool rejects_two;
static atomic_bool is_silent;               /* it keeps what comes, and answers at the end */
static _Atomic(struct net_exchange *) kept; /* pushed by the server's loop alone */
static char last_path[64];

static struct net_loop *loop;
static struct os_clock *t_clock;
static int log_fd;
static struct trace_log t_log;
static struct traces *traces;

static void
on_requests(void *context, struct net_exchange *first)
{
    static const struct http_header at_once = {SPAN("Retry-After"), SPAN("0")};
    (void)context;
    while (first != NULL) {
        struct net_exchange *exchange = first;
        first = first->next;
        exchange->next = NULL;
        size_t size = exchange->path.size < sizeof(last_path) - 1 ? exchange->path.size
                                                                  : sizeof(last_path) - 1;
        memcpy(last_path, exchange->path.data, size);
        last_path[size] = '\0';
        exchange->answer.status = 200;
        if (atomic_load(&failures_left) > 0) {
            atomic_fetch_sub(&failures_left, 1);
            exchange->answer.status = atomic_load(&status);
            exchange->answer.headers = &at_once;
            exchange->answer.header_count = 1;
        }
        buf_init(&exchange->answer.body, 1000);
        buf_append_cstr(
            &exchange->answer.body,
            atomic_load(&rejects_two) ? "{\"partialSuccess\":{\"rejectedSpans\":\"2\"}}" : "{}");
        atomic_fetch_add(&requests, 1);
        if (atomic_load(&is_silent)) {
            exchange->next = atomic_load(&kept);
            atomic_store(&kept, exchange);
        } else {
            net_answer(exchange);
        }
    }
}

static int
setup(void **state)
{
    (void)state;
    atomic_store(&requests, 0);
    atomic_store(&failures_left, 0);
    atomic_store(&rejects_two, false);
    atomic_store(&is_silent, false);
    atomic_store(&kept, NULL);
    const struct net_server_hooks hooks = {.on_requests = on_requests};
    assert_int_equal(net_loop_create("t-server", &server_loop), ERR_OK);
    assert_int_equal(
        net_server_create(server_loop, &net_server_settings_default, &hooks, &server), ERR_OK);
    assert_int_equal(
        net_server_listen(server, &(struct net_listen){.address = "127.0.0.1"}, &port), ERR_OK);
    assert_int_equal(net_loop_start(server_loop), ERR_OK);
    net_server_start(server);
    t_clock = os_clock_real();
    log_fd = fileno(stderr);
    trace_log_init(&t_log, log_fd, t_clock);
    trace_log_set_level(&t_log, TRACE_ERROR);
    return 0;
}

static int
teardown(void **state)
{
    (void)state;
    traces_drain(traces, 100);
    atomic_store(&is_silent, false);
    struct net_exchange *unanswered = atomic_exchange(&kept, NULL);
    if (unanswered != NULL) {
        net_answer(unanswered);
    }
    net_loop_stop(loop);
    traces_destroy(&traces);
    assert_null(traces);
    net_loop_destroy(&loop);
    net_server_stop(server, 0);
    net_loop_stop(server_loop);
    net_server_destroy(&server);
    net_loop_destroy(&server_loop);
    trace_log_release(&t_log);
    return 0;
}

static void
t_open(enum traces_format format, const char *path, uint32_t recent_max)
{
    char endpoint[128];
    char message[TRACES_MESSAGE_SIZE] = "";
    (void)snprintf(endpoint, sizeof(endpoint), "http://127.0.0.1:%u%s", port, path);
    struct traces_parts parts = {
        .clock = t_clock,
        .entropy = os_entropy_real(),
        .log = &t_log,
        .settings =
            {
                .recorder = trace_recorder_settings_default(),
                .recent_max = recent_max,
                .interval_ms = 5,
                .service = "tael",
                .version = "1",
            },
    };
    parts.settings.endpoints[format] = endpoint;
    assert_int_equal(net_loop_create("t-traces", &loop), ERR_OK);
    parts.loop = loop;
    assert_int_equal(traces_create(&parts, &traces, message), ERR_OK);
    assert_int_equal(net_loop_start(loop), ERR_OK);
}

static void
t_record(uint32_t spans)
{
    struct trace_span root;
    const struct trace_root how = {.name = "root", .random = os_random_u128(os_entropy_real())};
    trace_root_start(traces_recorder(traces), &how, &root);
    for (uint32_t i = 1; i < spans; i++) {
        trace_span_add(&root.context, "span", 1, 2);
    }
    trace_span_end(&root);
}

static struct traces_counters
t_count(enum traces_format format)
{
    struct traces_counters counters;
    traces_count(traces, format, &counters);
    return counters;
}

/* Until nothing waits, or so many requests came. */
static void
t_wait(enum traces_format format, uint32_t request_count)
{
    const struct timespec pause = {.tv_nsec = 1000000};
    for (int i = 0; i < WAIT_MS; i++) {
        if (atomic_load(&requests) >= request_count &&
            (atomic_load(&is_silent) || t_count(format).queued == 0)) {
            return;
        }
        (void)nanosleep(&pause, NULL);
    }
    fail_msg("it takes too long");
}

static void
sent_test(void **state)
{
    (void)state;
    t_open(TRACES_ZIPKIN, "", 4);
    t_record(3);
    t_wait(TRACES_ZIPKIN, 1);
    assert_string_equal(last_path, "/api/v2/spans");
    assert_int_equal(t_count(TRACES_ZIPKIN).sent, 3);
    assert_int_equal(t_count(TRACES_ZIPKIN).failures, 0);
    assert_int_equal(t_count(TRACES_OTLP).sent, 0);
    assert_int_equal(traces_recent_count(traces), 1);
}

static void
path_test(void **state)
{
    (void)state;
    t_open(TRACES_ZIPKIN, "/other/spans", 0);
    t_record(1);
    t_wait(TRACES_ZIPKIN, 1);
    assert_string_equal(last_path, "/other/spans");
}

static void
rejected_test(void **state)
{
    (void)state;
    atomic_store(&rejects_two, true);
    t_open(TRACES_OTLP, "/base/", 0);
    t_record(5);
    t_wait(TRACES_OTLP, 1);
    assert_string_equal(last_path, "/base/v1/traces");
    assert_int_equal(t_count(TRACES_OTLP).sent, 3);
    assert_int_equal(t_count(TRACES_OTLP).rejected, 2);
}

/* TRACES-3. */
static void
t_failing(enum traces_format format, unsigned with, uint32_t times, uint32_t expected_requests)
{
    atomic_store(&status, with);
    atomic_store(&failures_left, times);
    t_open(format, "", 0);
    t_record(2);
    t_wait(format, expected_requests);
    assert_int_equal(atomic_load(&requests), expected_requests);
    struct traces_counters counters = t_count(format);
    bool arrived = expected_requests > times;
    assert_int_equal(counters.failures, arrived ? times : expected_requests);
    assert_int_equal(counters.retries, expected_requests - 1);
    assert_int_equal(counters.sent, arrived ? 2 : 0);
    assert_int_equal(counters.dropped, arrived ? 0 : 2);
}

static void
retried_test(void **state)
{
    (void)state;
    t_failing(TRACES_OTLP, 503, 2, 3);
}

static void
retried_too_often_test(void **state)
{
    (void)state;
    t_failing(TRACES_OTLP, 429, 100, TRACES_TRIES_MAX);
}

static void
not_retried_test(void **state)
{
    (void)state;
    t_failing(TRACES_OTLP, 500, 1, 1);
}

static void
bad_request_test(void **state)
{
    (void)state;
    t_failing(TRACES_OTLP, 400, 1, 1);
}

static void
zipkin_is_not_asked_again_test(void **state)
{
    (void)state;
    t_failing(TRACES_ZIPKIN, 503, 1, 1);
}

/* TRACES-1, TRACES-2: a collector that does not answer costs what waits for it, and no more. */
static void
silent_test(void **state)
{
    (void)state;
    atomic_store(&is_silent, true);
    t_open(TRACES_ZIPKIN, "", 2);
    const uint32_t parts = (TRACES_BATCHES_MAX + 4) * TRACES_BATCH_SPANS / TRACE_RECORDS_MAX;
    struct trace_recorder_counters recorded;
    for (uint32_t i = 0; i < parts; i++) {
        t_record(TRACE_RECORDS_MAX);
    }
    t_wait(TRACES_ZIPKIN, 1);
    const struct timespec pause = {.tv_nsec = 1000000};
    for (int i = 0; i < WAIT_MS && t_count(TRACES_ZIPKIN).dropped == 0; i++) {
        (void)nanosleep(&pause, NULL);
    }
    struct traces_counters counters = t_count(TRACES_ZIPKIN);
    assert_true(counters.dropped > 0);
    assert_true(counters.queued <= (TRACES_BATCHES_MAX + 1) * TRACES_BATCH_SPANS);
    assert_int_equal(atomic_load(&requests), 1);
    trace_recorder_count(traces_recorder(traces), &recorded);
    assert_int_equal(recorded.refused, 0);
}

static void
refused_settings_test(void **state)
{
    (void)state;
    char message[TRACES_MESSAGE_SIZE] = "";
    struct traces_parts parts = {
        .clock = t_clock,
        .entropy = os_entropy_real(),
        .log = &t_log,
        .settings = {.recorder = trace_recorder_settings_default(), .service = "tael"},
    };
    assert_int_equal(net_loop_create("t-traces", &loop), ERR_OK);
    parts.loop = loop;
    parts.settings.endpoints[TRACES_OTLP] = "collector:4318";
    assert_int_equal(traces_create(&parts, &traces, message), ERR_INVALID);
    assert_string_equal(message, "trace-otlp: it begins neither with http:// nor with https://");
    parts.settings.endpoints[TRACES_OTLP] = "https://collector";
    parts.settings.ca_file = "/nowhere/ca.pem";
    assert_int_not_equal(traces_create(&parts, &traces, message), ERR_OK);
    assert_non_null(strstr(message, "/nowhere/ca.pem"));
    /* Nothing to do: nothing is recorded. */
    parts.settings.endpoints[TRACES_OTLP] = "";
    assert_int_equal(traces_create(&parts, &traces, message), ERR_OK);
    assert_null(traces_recorder(traces));
    assert_int_equal(net_loop_start(loop), ERR_OK);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(sent_test, setup, teardown),
        cmocka_unit_test_setup_teardown(path_test, setup, teardown),
        cmocka_unit_test_setup_teardown(rejected_test, setup, teardown),
        cmocka_unit_test_setup_teardown(retried_test, setup, teardown),
        cmocka_unit_test_setup_teardown(retried_too_often_test, setup, teardown),
        cmocka_unit_test_setup_teardown(not_retried_test, setup, teardown),
        cmocka_unit_test_setup_teardown(bad_request_test, setup, teardown),
        cmocka_unit_test_setup_teardown(zipkin_is_not_asked_again_test, setup, teardown),
        cmocka_unit_test_setup_teardown(silent_test, setup, teardown),
        cmocka_unit_test_setup_teardown(refused_settings_test, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
