/* Calls: what each end means, what is tried again, deadlines, cancelling, stopping. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/assert.h"
#include "base/sanitized.h"

#include "testing.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static struct t_world world;
static struct upstream_call call;

/* Without guards, so that a test sees one rule at a time. */
static struct upstream_settings
plain(void)
{
    struct upstream_settings settings = upstream_settings_default;
    settings.policy = BALANCE_ROUND_ROBIN;
    settings.slow_start_ms = 0;
    settings.outlier.failures = 0;
    settings.breaker.failure_percent = 0;
    settings.backoff_base_ms = 1;
    return settings;
}

static void
expect(enum upstream_outcome outcome, bool may_have_happened, err_t cause)
{
    if (call.outcome != outcome || call.may_have_happened != may_have_happened ||
        call.cause != cause) {
        print_error(
            "got %s, %s, %s\n",
            upstream_outcome_name(call.outcome),
            call.may_have_happened ? "may have happened" : "not sent",
            err_name(call.cause));
    }
    assert_int_equal(call.outcome, outcome);
    assert_int_equal(call.may_have_happened, may_have_happened);
    assert_int_equal(call.cause, cause);
}

static void
run(bool repeatable)
{
    t_call_init(&world, &call, repeatable);
    t_call_run(&world, &call);
}

static uint32_t
seen(void)
{
    uint32_t sum = 0;
    for (uint32_t i = 0; i < world.backend_count; i++) {
        sum += atomic_load(&world.backends[i].requests);
    }
    return sum;
}

static void
mode_all(enum t_mode mode)
{
    for (uint32_t i = 0; i < world.backend_count; i++) {
        atomic_store(&world.backends[i].mode, (int)mode);
    }
}

static void
test_answer(void **state)
{
    (void)state;
    struct upstream_settings settings = plain();
    t_world_start(&world, 2, &settings);
    for (int i = 0; i < 4; i++) {
        run(false);
        expect(UPSTREAM_ANSWERED, true, ERR_OK);
        assert_int_equal(call.status, 200);
        assert_int_equal(call.attempts, 1);
        assert_int_equal(t_call_server(&call), i % 2);
        assert_non_null(strstr(call.endpoint, world.backends[i % 2].host));
        struct span value;
        assert_true(http_head_find(upstream_call_head(&call), SPAN("x-test"), &value));
        assert_true(span_equal(value, SPAN("yes")));
        assert_int_equal(upstream_call_header(&call, HTTP_FIELD_CONTENT_LENGTH).size, 1);
        struct buf body = upstream_call_take_answer(&call);
        assert_int_equal(body.size, 1);
        assert_int_equal(call.answer.size, 0);
        buf_release(&body);
        upstream_call_release(&call);
    }
    struct upstream_endpoint_counters endpoint;
    assert_true(t_count_backend(&world, 0, &endpoint));
    assert_int_equal(endpoint.requests, 2);
    assert_int_equal(endpoint.answers, 2);
    assert_int_equal(endpoint.errors, 0);
    assert_true(endpoint.latency_ns > 0 && endpoint.latency_total_ns >= endpoint.latency_ns);
    /* An error status is an answer. */
    mode_all(T_STATUS);
    run(false);
    expect(UPSTREAM_ANSWERED, true, ERR_OK);
    assert_int_equal(call.status, 500);
    upstream_call_release(&call);
    t_world_stop(&world);
}

/* UPSTREAM-1 and UPSTREAM-2: each way to fail, for a request that may be repeated and for one that
 * may not; how often the back ends saw it. */
static void
test_failures(void **state)
{
    (void)state;

    static const struct {
        enum t_mode mode;
        bool repeatable;
        enum upstream_outcome outcome;
        err_t cause;
        uint32_t seen;
    } cases[] = {
        {T_RESET, false, UPSTREAM_UNKNOWN, ERR_CLOSED, 1},
        {T_CUT, false, UPSTREAM_UNKNOWN, ERR_CLOSED, 1},
        {T_GARBAGE, false, UPSTREAM_UNKNOWN, ERR_INVALID, 1},
        {T_LARGE, false, UPSTREAM_UNKNOWN, ERR_FULL, 1},
        {T_NEVER, false, UPSTREAM_UNKNOWN, ERR_TIMEOUT, 1},
        {T_STATUS, false, UPSTREAM_ANSWERED, ERR_OK, 1},
        {T_RESET, true, UPSTREAM_UNKNOWN, ERR_CLOSED, 3},
        {T_CUT, true, UPSTREAM_UNKNOWN, ERR_CLOSED, 3},
        {T_GARBAGE, true, UPSTREAM_UNKNOWN, ERR_INVALID, 3},
        {T_LARGE, true, UPSTREAM_UNKNOWN, ERR_FULL, 1}, /* it will be as large again */
        {T_NEVER, true, UPSTREAM_UNKNOWN, ERR_TIMEOUT, 3},
        {T_STATUS, true, UPSTREAM_ANSWERED, ERR_OK, 3},
    };

    struct upstream_settings settings = plain();
    settings.retry_budget_min = 100; /* the budget is for another test */
    t_world_start(&world, 3, &settings);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        for (uint32_t j = 0; j < 3; j++) {
            atomic_store(&world.backends[j].status, 503);
        }
        mode_all(cases[i].mode);
        uint32_t before = seen();
        t_call_init(&world, &call, cases[i].repeatable);
        call.try_timeout_ms = cases[i].mode == T_NEVER ? 1000 : 0;
        t_call_run(&world, &call);
        if (seen() - before != cases[i].seen) {
            print_error("case %zu: seen %u times\n", i, seen() - before);
        }
        expect(cases[i].outcome, true, cases[i].cause);
        assert_int_equal(seen() - before, cases[i].seen);
        assert_int_equal(call.attempts, cases[i].seen);
        upstream_call_release(&call);
    }
    t_world_stop(&world);
}

/* Nobody listens: certainly nothing happened, and it is tried elsewhere whatever it is. */
static void
test_not_sent(void **state)
{
    (void)state;
    struct upstream_settings settings = plain();
    settings.retry_budget_min = 100;
    t_world_start(&world, 3, &settings);
    t_backend_listen(&world.backends[0], false);
    t_backend_listen(&world.backends[1], false);
    for (int i = 0; i < 6; i++) {
        run(false);
        expect(UPSTREAM_ANSWERED, true, ERR_OK);
        assert_int_equal(t_call_server(&call), 2);
        upstream_call_release(&call);
    }
    t_backend_listen(&world.backends[2], false);
    run(false);
    expect(UPSTREAM_NOT_SENT, false, ERR_CLOSED);
    assert_int_equal(call.attempts, 3);
    upstream_call_release(&call);
    /* What cannot be written is nobody's fault but the caller's. */
    t_backend_listen(&world.backends[2], true);
    t_world_set(&world, 2, 1);
    static const struct http_header bad = {
        .name = {.data = "X-Bad", .size = 5}, .value = {.data = "a\r\nb", .size = 4}};
    t_call_init(&world, &call, true);
    call.headers = &bad;
    call.header_count = 1;
    t_call_run(&world, &call);
    expect(UPSTREAM_NOT_SENT, false, ERR_INVALID);
    assert_int_equal(call.attempts, 1);
    upstream_call_release(&call);
    struct upstream_endpoint_counters endpoint;
    assert_true(t_count_backend(&world, 2, &endpoint));
    assert_int_equal(endpoint.errors, 1); /* when nobody listened there */
    t_world_stop(&world);
}

/* UPSTREAM-3, with `unsent_elsewhere`: who cannot be reached takes nothing of a request's attempts
 * and of the budget, also if the others were left out; what was sent is not sent again. */
static void
test_unsent_elsewhere(void **state)
{
    (void)state;
    struct upstream_settings settings = plain();
    settings.unsent_elsewhere = true;
    settings.attempts_max = 1;
    settings.retry_budget_min = 0;
    settings.retry_budget_percent = 0;
    settings.outlier = (struct balance_outlier_settings){
        .failures = 1, .base_ms = T_WAIT_MS, .max_ms = T_WAIT_MS, .share_percent = 50};
    t_world_start(&world, 4, &settings);
    t_backend_listen(&world.backends[0], false);
    t_backend_listen(&world.backends[1], false);
    t_backend_listen(&world.backends[2], false);
    for (int i = 0; i < 6; i++) {
        run(false);
        expect(UPSTREAM_ANSWERED, true, ERR_OK);
        assert_int_equal(t_call_server(&call), 3);
        assert_int_equal(call.sent, 1);
        upstream_call_release(&call);
    }
    /* One that was ejected is tried when there is no other. */
    assert_int_equal(t_state(&world, 0), BALANCE_EJECTED);
    t_backend_listen(&world.backends[3], false);
    t_backend_listen(&world.backends[0], true);
    run(false);
    expect(UPSTREAM_ANSWERED, true, ERR_OK);
    assert_int_equal(t_call_server(&call), 0);
    upstream_call_release(&call);
    t_backend_listen(&world.backends[0], false);
    run(true);
    expect(UPSTREAM_NOT_SENT, false, ERR_CLOSED);
    assert_int_equal(call.attempts, 4);
    assert_int_equal(call.sent, 0);
    upstream_call_release(&call);
    for (uint32_t i = 0; i < world.backend_count; i++) {
        t_backend_listen(&world.backends[i], true);
    }
    mode_all(T_RESET);
    uint32_t before = seen();
    run(true);
    expect(UPSTREAM_UNKNOWN, true, ERR_CLOSED);
    assert_int_equal(seen() - before, 1);
    upstream_call_release(&call);
    t_world_stop(&world);
}

static bool goes_on;

static void
go_elsewhere(void *context)
{
    (void)context;
    goes_on = upstream_call_elsewhere(&call);
    if (goes_on) {
        upstream_send(world.upstream, &call);
    }
}

/* A sender that was told "not I" goes on to each other endpoint once, past who cannot be reached;
 * and what it sends then knows nothing of that. */
static void
test_elsewhere(void **state)
{
    (void)state;
    struct upstream_settings settings = plain();
    settings.unsent_elsewhere = true;
    t_world_start(&world, 4, &settings);
    mode_all(T_STATUS);
    for (uint32_t i = 0; i < 4; i++) {
        atomic_store(&world.backends[i].status, 503);
    }
    t_backend_listen(&world.backends[1], false);
    for (uint32_t round = 1; round <= 3; round++) {
        run(false);
        uint32_t sends = 1;
        for (t_on_loop(&world, go_elsewhere, NULL); goes_on;
             t_on_loop(&world, go_elsewhere, NULL)) {
            t_calls_wait(&world, 1);
            sends++;
            if (call.outcome != UPSTREAM_ANSWERED) { /* the last one cannot be reached */
                expect(UPSTREAM_NOT_SENT, false, ERR_CLOSED);
                assert_int_equal(call.attempts, 1);
            }
        }
        assert_true(sends == 3 || sends == 4);
        assert_int_equal(seen(), 3 * round);
        for (uint32_t i = 0; i < 4; i++) {
            assert_int_equal(atomic_load(&world.backends[i].requests), i == 1 ? 0 : round);
        }
        upstream_call_release(&call);
    }
    t_world_stop(&world);
}

static void
test_no_endpoint(void **state)
{
    (void)state;
    struct upstream_settings settings = plain();
    t_world_start_empty(&world, 1, &settings);
    run(true);
    expect(UPSTREAM_NO_ENDPOINT, false, ERR_NOT_FOUND);
    t_world_set(&world, 0, 1);
    run(true);
    expect(UPSTREAM_ANSWERED, true, ERR_OK);
    upstream_call_release(&call);
    t_world_set(&world, 0, 0);
    run(true);
    expect(UPSTREAM_NO_ENDPOINT, false, ERR_NOT_FOUND);
    t_world_stop(&world);
}

/* A sender that is answered "503, come back in a second" comes back then, not earlier; if it is
 * told to wait for longer than it would, it takes that answer. */
static void
test_retry_after(void **state)
{
    (void)state;
    struct upstream_settings settings = plain();
    settings.retry_after_max_ms = 40000;
    t_world_start(&world, 1, &settings);
    struct t_backend *backend = &world.backends[0];
    atomic_store(&backend->status, 503);
    atomic_store(&backend->retry_after, 1);
    atomic_store(&backend->mode, T_ONCE);
    run(true);
    assert_true(call.ended_ns - call.started_ns >= UINT64_C(990000000));
    assert_int_equal(call.status, 200);
    assert_int_equal(call.attempts, 2);
    upstream_call_release(&call);
    atomic_store(&backend->mode, T_STATUS);
    atomic_store(&backend->retry_after, 41);
    run(true);
    assert_int_equal(call.status, 503);
    assert_int_equal(call.attempts, 1);
    upstream_call_release(&call);
    /* Longer than the deadline: not waited for either. */
    atomic_store(&backend->retry_after, 35);
    t_call_init(&world, &call, true);
    call.timeout_ms = 20000;
    t_call_run(&world, &call);
    assert_int_equal(call.status, 503);
    assert_int_equal(call.attempts, 1);
    upstream_call_release(&call);
    t_world_stop(&world);
}

/* UPSTREAM-3: whatever way everything fails, the back ends get at most 1.2 x requests. */
static void
test_budget(void **state)
{
    (void)state;
    for (uint32_t way = 0; way < 3; way++) {
        struct upstream_settings settings = plain();
        settings.attempts_max = 10;
        settings.retry_budget_min = way == 0 ? 40 : 3; /* all at once, or three at a time */
        t_world_start(&world, 3, &settings);
        for (uint32_t i = 0; i < 3; i++) {
            atomic_store(&world.backends[i].status, 503);
        }
        mode_all(way == 0 ? T_STATUS : T_RESET);
        for (uint32_t i = 0; way == 2 && i < 3; i++) {
            t_backend_listen(&world.backends[i], false);
        }
        static struct t_load load;
        t_load_start(&load, &world, 16, true);
        t_load_pass(&load, SANITIZED ? 300 : 1000);
        t_load_stop(&load);
        struct upstream_counters counters = t_count(&world);
        print_message(
            "way %u: %llu attempts for %llu requests\n",
            way,
            (unsigned long long)counters.attempts,
            (unsigned long long)counters.requests);
        assert_true(counters.attempts * 5 <= counters.requests * 6);
        assert_true(counters.retries > 3);
        assert_true(counters.budget_exhausted > 0);
        assert_true(seen() <= counters.attempts);
        assert_int_equal(atomic_load(&load.errors), atomic_load(&load.ended));
        t_world_stop(&world);
    }
}

/* A pooled connection had been closed by the server: repeated silently if that is safe, unknown if
 * not; and in no case is the endpoint blamed. */
static void
test_stale(void **state)
{
    (void)state;
    struct upstream_settings settings = plain();
    settings.outlier.failures = 1;
    settings.outlier.share_percent = 100;
    t_world_start(&world, 1, &settings);
    mode_all(T_LEAVES);
    run(true);
    upstream_call_release(&call);
    run(true);
    expect(UPSTREAM_ANSWERED, true, ERR_OK);
    assert_int_equal(call.attempts, 2);
    upstream_call_release(&call);
    uint32_t before = seen();
    run(false);
    expect(UPSTREAM_UNKNOWN, true, ERR_CLOSED);
    assert_int_equal(seen() - before, 1); /* not once more behind our back */
    upstream_call_release(&call);
    assert_int_equal(t_state(&world, 0), BALANCE_ACTIVE);
    t_world_stop(&world);
}

static void
test_deadlines(void **state)
{
    (void)state;
    struct upstream_settings settings = plain();
    settings.attempts_max = 100;
    settings.retry_budget_min = 100;
    t_world_start(&world, 2, &settings);
    mode_all(T_NEVER);
    /* The total ends it, in the middle of an attempt. */
    t_call_init(&world, &call, true);
    call.timeout_ms = 2500;
    call.try_timeout_ms = 1000;
    t_call_run(&world, &call);
    expect(UPSTREAM_TIMEOUT, true, ERR_TIMEOUT);
    assert_true(call.ended_ns - call.started_ns >= UINT64_C(2500000000));
    assert_in_range(call.attempts, 1, 3);
    upstream_call_release(&call);
    /* One attempt is slow, the next one is not. */
    atomic_store(&world.backends[1].mode, T_OK);
    for (int i = 0; i < 2; i++) {
        t_call_init(&world, &call, true);
        call.try_timeout_ms = 100;
        t_call_run(&world, &call);
        expect(UPSTREAM_ANSWERED, true, ERR_OK);
        assert_int_equal(t_call_server(&call), 1);
        upstream_call_release(&call);
    }
    t_world_stop(&world);
}

/* A machine that is not there: SYNs without an answer. */
static void
test_connect_timeout(void **state)
{
    (void)state;
    struct upstream_settings settings = plain();
    settings.connect_timeout_ms = 200;
    settings.attempts_max = 1;
    t_world_start_empty(&world, 1, &settings);
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_addr = {.s_addr = htonl(INADDR_LOOPBACK)}};
    socklen_t size = sizeof(address);
    assert_int_equal(bind(listener, (struct sockaddr *)&address, size), 0);
    assert_int_equal(listen(listener, 0), 0);
    assert_int_equal(getsockname(listener, (struct sockaddr *)&address, &size), 0);
    int fillers[4];
    for (int i = 0; i < 4; i++) {
        fillers[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
        (void)connect(fillers[i], (struct sockaddr *)&address, size);
    }
    t_sleep_ms(50);
    struct upstream_endpoint endpoint = {.host = "127.0.0.1", .port = ntohs(address.sin_port)};
    assert_int_equal(upstream_set(world.upstream, &endpoint, 1), ERR_OK);
    run(true);
    expect(UPSTREAM_NOT_SENT, false, ERR_TIMEOUT);
    assert_true(call.ended_ns - call.started_ns >= 200000000);
    upstream_call_release(&call);
    for (int i = 0; i < 4; i++) {
        (void)close(fillers[i]);
    }
    (void)close(listener);
    t_world_stop(&world);
}

static void
test_maxima(void **state)
{
    (void)state;

    enum {
        MANY = 12
    };

    struct upstream_settings settings = plain();
    settings.requests_max = 8;
    settings.connections_max = 2;
    settings.pending_max = 4;
    settings.attempts_max = 1;
    t_world_start(&world, 1, &settings);
    mode_all(T_NEVER);
    struct upstream_call *many = calloc(MANY, sizeof(*many));
    assert_non_null(many);
    for (uint32_t i = 0; i < MANY; i++) {
        t_call_init(&world, &many[i], false);
        /* Those that wait give up before a connection becomes free. */
        many[i].timeout_ms = i < 2 ? 6000 : 2500;
        many[i].next = i + 1 < MANY ? &many[i + 1] : NULL;
    }
    upstream_send(world.upstream, many);
    t_calls_wait(&world, 4 + 4); /* more than 8 requests, and of those more than 4 waiting */
    t_calls_wait(&world, MANY - 8);
    uint32_t overloaded = 0;
    uint32_t timed_out = 0;
    for (uint32_t i = 0; i < MANY; i++) {
        overloaded += many[i].outcome == UPSTREAM_OVERLOADED && !many[i].may_have_happened &&
                      many[i].cause == ERR_FULL;
        timed_out += many[i].outcome == UPSTREAM_TIMEOUT;
        upstream_call_release(&many[i]);
    }
    assert_int_equal(overloaded, 8);
    assert_int_equal(timed_out, 4);
    /* Those who had waited in vain were not sent. */
    assert_int_equal(seen(), 2);
    free(many);
    t_world_stop(&world);
}

static void
cancel(void *context)
{
    upstream_cancel(context);
}

static void
send_and_cancel(void *context)
{
    upstream_send(world.upstream, context);
    assert_true(upstream_call_is_unsent(context));
    upstream_cancel(context);
}

static void
cancel_sent(void *context)
{
    assert_false(upstream_call_is_unsent(context));
    upstream_cancel(context);
}

static void
test_cancel(void **state)
{
    (void)state;
    struct upstream_settings settings = plain();
    settings.retry_after_max_ms = 40000;
    t_world_start(&world, 1, &settings);
    struct t_backend *backend = &world.backends[0];
    /* Sent, and nothing came yet: the connection goes with it. */
    mode_all(T_NEVER);
    t_call_init(&world, &call, true);
    upstream_send(world.upstream, &call);
    T_WAIT_FOR(atomic_load(&backend->requests) == 1);
    t_on_loop(&world, cancel_sent, &call);
    t_calls_wait(&world, 1);
    expect(UPSTREAM_CANCELLED, true, ERR_CLOSED);
    T_WAIT_FOR(atomic_load(&backend->connections) == 0);
    upstream_call_release(&call);
    /* Waiting for a retry: the answer that was there is given. */
    mode_all(T_STATUS);
    atomic_store(&backend->status, 503);
    atomic_store(&backend->retry_after, 30);
    t_call_init(&world, &call, true);
    upstream_send(world.upstream, &call);
    T_WAIT_FOR(t_count(&world).backing_off == 1);
    t_on_loop(&world, cancel_sent, &call);
    t_calls_wait(&world, 1);
    expect(UPSTREAM_ANSWERED, true, ERR_OK);
    assert_int_equal(call.status, 503);
    upstream_call_release(&call);
    /* Before anything. */
    uint32_t before = seen();
    t_call_init(&world, &call, true);
    t_on_loop(&world, send_and_cancel, &call);
    t_calls_wait(&world, 1);
    expect(UPSTREAM_CANCELLED, false, ERR_CLOSED);
    assert_int_equal(seen(), before);
    t_on_loop(&world, cancel, &call); /* after its end: nothing */
    upstream_call_release(&call);
    /* The endpoint is not blamed, and serves on. */
    mode_all(T_OK);
    run(true);
    expect(UPSTREAM_ANSWERED, true, ERR_OK);
    upstream_call_release(&call);
    t_world_stop(&world);
}

/* Stopping gives time, then ends what is left as its state demands. */
static void
test_stop(void **state)
{
    (void)state;
    for (int patient = 0; patient < 2; patient++) {
        struct upstream_settings settings = plain();
        t_world_start(&world, 1, &settings);
        atomic_store(&world.backends[0].delay_ms, 300);
        mode_all(patient == 1 ? T_OK : T_NEVER);
        t_call_init(&world, &call, true);
        upstream_send(world.upstream, &call);
        T_WAIT_FOR(seen() == 1);
        upstream_stop(world.upstream, patient == 1 ? T_WAIT_MS : 0);
        t_calls_wait(&world, 1);
        if (patient == 1) {
            assert_int_equal(call.outcome, UPSTREAM_ANSWERED);
        } else {
            assert_int_equal(call.outcome, UPSTREAM_UNKNOWN);
        }
        upstream_call_release(&call);
        net_loop_stop(world.loop);
        upstream_destroy(&world.upstream);
        net_loop_destroy(&world.loop);
        t_backend_stop(&world.backends[0]);
        free(world.backends);
        uv_sem_destroy(&world.ended);
    }
}

static void
test_settings(void **state)
{
    (void)state;
    struct net_loop *loop;
    struct upstream *upstream = NULL;
    assert_int_equal(net_loop_create("t", &loop), ERR_OK);
    static const char *const bad_names[] = {
        "", "a b", "a/b", "0123456789012345678901234567890123456789012345678901234567890123"};
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(
            upstream_create(loop, bad_names[i], &upstream_settings_default, &upstream),
            ERR_INVALID);
    }
    struct upstream_settings settings = upstream_settings_default;
    settings.attempts_max = 0;
    assert_int_equal(upstream_create(loop, "a", &settings, &upstream), ERR_RANGE);
    settings = upstream_settings_default;
    settings.hash_load_percent = 99;
    assert_int_equal(upstream_create(loop, "a", &settings, &upstream), ERR_RANGE);
    settings = upstream_settings_default;
    settings.outlier.share_percent = 101;
    assert_int_equal(upstream_create(loop, "a", &settings, &upstream), ERR_RANGE);
    settings = upstream_settings_default;
    settings.breaker.probes = 0;
    assert_int_equal(upstream_create(loop, "a", &settings, &upstream), ERR_RANGE);
    settings = upstream_settings_default;
    settings.health.path = "/h";
    settings.health.interval_ms = 0;
    assert_int_equal(upstream_create(loop, "a", &settings, &upstream), ERR_RANGE);
    settings.health.interval_ms = 1000;
    settings.policy = BALANCE_HASH;
    assert_int_equal(upstream_create(loop, "a", &settings, &upstream), ERR_OK);
    struct upstream_endpoint two[2] = {{.host = "a", .port = 1}, {.host = "A", .port = 1}};
    assert_int_equal(upstream_set(upstream, two, 2), ERR_INVALID);
    two[1] = (struct upstream_endpoint){.host = "b", .port = 1, .weight = BALANCE_WEIGHT_MAX + 1};
    assert_int_equal(upstream_set(upstream, two, 2), ERR_INVALID);
    two[1].weight = 1;
    two[1].priority = BALANCE_PRIORITY_MAX + 1;
    assert_int_equal(upstream_set(upstream, two, 2), ERR_INVALID);
    two[1].priority = 0;
    assert_int_equal(upstream_set(upstream, two, 2), ERR_OK);
    assert_int_equal(upstream_set(upstream, two, 1), ERR_OK); /* replaces what was not taken */
    assert_int_equal(upstream_follow_name(upstream, "", 80, 1000), ERR_INVALID);
    assert_int_equal(upstream_follow_name(upstream, "a", 0, 1000), ERR_INVALID);
    assert_int_equal(upstream_follow_file(upstream, "/a", 0), ERR_INVALID);
    assert_int_equal(upstream_follow_file(upstream, "/a", 1000), ERR_OK);
    assert_int_equal(upstream_follow_name(upstream, "a", 80, 1000), ERR_EXISTS);
    upstream_destroy(&upstream); /* the loop never ran */
    upstream_destroy(&upstream);
    net_loop_destroy(&loop);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_settings),
        cmocka_unit_test(test_answer),
        cmocka_unit_test(test_failures),
        cmocka_unit_test(test_not_sent),
        cmocka_unit_test(test_unsent_elsewhere),
        cmocka_unit_test(test_elsewhere),
        cmocka_unit_test(test_no_endpoint),
        cmocka_unit_test(test_retry_after),
        cmocka_unit_test(test_budget),
        cmocka_unit_test(test_stale),
        cmocka_unit_test(test_deadlines),
        cmocka_unit_test(test_connect_timeout),
        cmocka_unit_test(test_maxima),
        cmocka_unit_test(test_cancel),
        cmocka_unit_test(test_stop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
