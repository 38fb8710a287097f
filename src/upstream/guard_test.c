/* What protects: ejection, breaker, active checks, slow start, slow endpoints. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/assert.h"

#include "testing.h"

#include <string.h>

static struct t_world world;
static struct t_load load;

static struct upstream_settings
base(void)
{
    struct upstream_settings settings = upstream_settings_default;
    settings.policy = BALANCE_ROUND_ROBIN;
    settings.slow_start_ms = 0;
    settings.breaker.failure_percent = 0;
    settings.backoff_base_ms = 1;
    return settings;
}

static uint32_t
requests_of(uint32_t number)
{
    return atomic_load(&world.backends[number].requests);
}

static uint64_t
in_flight_of(uint32_t number)
{
    struct upstream_endpoint_counters endpoint;
    assert_true(t_count_backend(&world, number, &endpoint));
    return endpoint.in_flight;
}

/* UPSTREAM-4: five failures in a row, in each way to fail; nothing while it is ejected; back by
 * itself. (That it takes longer each time is shown on made-up time, in core/balance.) */
static void
check_ejection(enum t_mode mode, bool refuses)
{
    struct upstream_settings settings = base();
    settings.outlier.base_ms = 1000;
    settings.try_timeout_ms = mode == T_NEVER ? 1500 : 0;
    settings.attempts_max = 1;
    t_world_start(&world, 4, &settings);
    atomic_store(&world.backends[1].mode, (int)mode);
    if (refuses) {
        t_backend_listen(&world.backends[1], false);
    }
    t_load_start(&load, &world, 4, false);
    uint64_t from_ms = t_now_ms();
    T_WAIT_FOR(t_state(&world, 1) == BALANCE_EJECTED);
    T_WAIT_FOR(in_flight_of(1) == 0); /* those that were under way, */
    t_load_pass(&load, 8);            /* and their callers know */
    uint32_t errors = atomic_load(&load.errors);
    uint32_t before = requests_of(1);
    for (int i = 0; i < 10; i++) {
        t_load_pass(&load, 8);
        uint32_t errors_now = atomic_load(&load.errors);
        uint32_t requests_now = requests_of(1);
        if (t_state(&world, 1) != BALANCE_EJECTED) {
            break; /* the machine was slow: it is over already */
        }
        assert_int_equal(requests_now, before);
        assert_int_equal(errors_now, errors); /* nobody notices any more */
        /* In a row, and what four parallel ones had under way besides. */
        assert_in_range(errors, 5, 5 + 4);
    }
    atomic_store(&world.backends[1].mode, T_OK);
    t_backend_listen(&world.backends[1], true);
    T_WAIT_FOR(t_state(&world, 1) == BALANCE_ACTIVE);
    assert_true(t_now_ms() - from_ms >= 990);
    T_WAIT_FOR(requests_of(1) > before + 20);
    errors = atomic_load(&load.errors);
    t_load_pass(&load, 100);
    assert_int_equal(atomic_load(&load.errors), errors);
    t_load_stop(&load);
    struct upstream_endpoint_counters endpoint;
    assert_true(t_count_backend(&world, 1, &endpoint));
    assert_true(endpoint.ejections >= 1);
    t_world_stop(&world);
}

static void
test_ejection(void **state)
{
    (void)state;

    static const enum t_mode modes[] = {T_STATUS, T_RESET, T_GARBAGE, T_CUT, T_NEVER};

    for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
        check_ejection(modes[i], false);
    }
    check_ejection(T_OK, true);
}

/* UPSTREAM-4: three of four fail, half may be ejected: never more than two at once. */
static void
test_share(void **state)
{
    (void)state;
    struct upstream_settings settings = base();
    settings.outlier.base_ms = 150;
    settings.outlier.max_ms = 150;
    t_world_start(&world, 4, &settings);
    for (uint32_t i = 1; i < 4; i++) {
        atomic_store(&world.backends[i].mode, T_STATUS);
    }
    t_load_start(&load, &world, 8, false);
    uint64_t end_ms = t_now_ms() + 1500;
    uint64_t most = 0;
    T_WAIT_FOR(t_count(&world).endpoints == 4);
    while (t_now_ms() < end_ms || most < 2) {
        uint64_t ejected = 4 - t_count(&world).usable; /* one number, of one instant */
        most = ejected > most ? ejected : most;
        assert_true(ejected <= 2);
        t_sleep_ms(1);
    }
    assert_int_equal(most, 2);
    t_load_stop(&load);
    t_world_stop(&world);
}

/* UPSTREAM-5: everything fails; soon nothing is sent any more; it works again, and so does all. */
static void
test_breaker(void **state)
{
    (void)state;
    struct upstream_settings settings = base();
    settings.outlier.failures = 0;
    settings.breaker = balance_breaker_default;
    settings.breaker.open_ms = 1500;
    t_world_start(&world, 2, &settings);
    for (uint32_t i = 0; i < 2; i++) {
        atomic_store(&world.backends[i].mode, T_STATUS);
    }
    static struct upstream_call call;
    for (int i = 0; i < 20; i++) {
        t_call_init(&world, &call, false);
        t_call_run(&world, &call);
        assert_int_equal(call.status, 500);
        upstream_call_release(&call);
    }
    assert_int_equal(t_count(&world).breaker_state, BALANCE_BREAKER_OPEN);
    t_call_init(&world, &call, true);
    t_call_run(&world, &call);
    assert_int_equal(call.outcome, UPSTREAM_OVERLOADED);
    assert_int_equal(call.cause, ERR_BUSY);
    assert_false(call.may_have_happened);
    /* A load without mercy: at most three probes in each half-open time. */
    uint32_t before = requests_of(0) + requests_of(1);
    uint64_t from_ms = t_now_ms();
    uint64_t passed_ms = 0;
    while (passed_ms < 3500) {
        t_call_init(&world, &call, true);
        t_call_run(&world, &call);
        upstream_call_release(&call);
        passed_ms = t_now_ms() - from_ms;
    }
    uint32_t probes = requests_of(0) + requests_of(1) - before;
    assert_in_range(probes, 1, 3 * (passed_ms / 1500 + 1));
    assert_true(t_count(&world).breaker_refused > 10);
    for (uint32_t i = 0; i < 2; i++) {
        atomic_store(&world.backends[i].mode, T_OK);
    }
    t_load_start(&load, &world, 8, true);
    T_WAIT_FOR(t_count(&world).breaker_state == BALANCE_BREAKER_CLOSED);
    t_load_pass(&load, 16); /* what was refused before that */
    uint32_t errors = atomic_load(&load.errors);
    t_load_pass(&load, 200);
    assert_int_equal(atomic_load(&load.errors), errors);
    t_load_stop(&load);
    t_world_stop(&world);
}

/* Active checks take an endpoint out that no request has failed at, and let it in again. */
static void
test_health(void **state)
{
    (void)state;
    struct upstream_settings settings = base();
    settings.outlier.failures = 0;
    settings.health.path = "/health";
    settings.health.interval_ms = 40;
    settings.health.timeout_ms = T_WAIT_MS;
    t_world_start(&world, 3, &settings);
    T_WAIT_FOR(atomic_load(&world.backends[2].checks) > 3);
    assert_int_equal(t_state(&world, 2), BALANCE_ACTIVE);
    assert_int_equal(requests_of(2), 0);
    t_load_start(&load, &world, 4, false);
    atomic_store(&world.backends[2].health, 503);
    T_WAIT_FOR(t_state(&world, 2) == BALANCE_UNHEALTHY);
    T_WAIT_FOR(in_flight_of(2) == 0);
    uint32_t before = requests_of(2);
    t_load_pass(&load, 300);
    assert_int_equal(requests_of(2), before);
    assert_int_equal(t_count(&world).usable, 2);
    atomic_store(&world.backends[2].health, 201);
    T_WAIT_FOR(t_state(&world, 2) == BALANCE_ACTIVE);
    T_WAIT_FOR(requests_of(2) > before);
    assert_int_equal(atomic_load(&load.errors), 0);
    /* All are unwell, they say: all are used. */
    for (uint32_t i = 0; i < 3; i++) {
        atomic_store(&world.backends[i].health, 500);
    }
    T_WAIT_FOR(t_count(&world).usable == 0);
    uint64_t panics = t_count(&world).panics;
    t_load_pass(&load, 100);
    assert_true(t_count(&world).panics > panics);
    assert_int_equal(atomic_load(&load.errors), 0);
    t_load_stop(&load);
    struct upstream_endpoint_counters endpoint;
    assert_true(t_count_backend(&world, 2, &endpoint));
    assert_true(endpoint.checks > endpoint.checks_failed && endpoint.checks_failed >= 6);
    t_world_stop(&world);
}

static void
cancel(void *context)
{
    upstream_cancel(context);
}

/* A check is not fooled by a pool that is full, nor by requests that hang. */
static void
test_health_of_a_full_pool(void **state)
{
    (void)state;
    struct upstream_settings settings = base();
    settings.outlier.failures = 0;
    settings.connections_max = 1;
    settings.health.path = "/health";
    settings.health.interval_ms = 30;
    settings.health.timeout_ms = T_WAIT_MS;
    settings.health.down = 1;
    t_world_start(&world, 1, &settings);
    atomic_store(&world.backends[0].mode, T_NEVER);
    static struct upstream_call calls[4];
    for (int i = 0; i < 4; i++) {
        t_call_init(&world, &calls[i], false);
        upstream_send(world.upstream, &calls[i]);
    }
    T_WAIT_FOR(t_count(&world).pending == 3); /* the gauge comes within a second */
    uint32_t before = atomic_load(&world.backends[0].checks);
    T_WAIT_FOR(atomic_load(&world.backends[0].checks) > before + 3);
    assert_int_equal(t_state(&world, 0), BALANCE_ACTIVE);
    for (int i = 0; i < 4; i++) {
        t_on_loop(&world, cancel, &calls[i]);
    }
    t_calls_wait(&world, 4);
    for (int i = 0; i < 4; i++) {
        upstream_call_release(&calls[i]);
    }
    t_world_stop(&world);
}

/* Ten times slower: a fraction of its share, under the default policy. */
static void
test_slow_endpoint(void **state)
{
    (void)state;
    struct upstream_settings settings = base();
    settings.policy = BALANCE_LEAST_OF_TWO;
    t_world_start(&world, 4, &settings);
    for (uint32_t i = 0; i < 4; i++) {
        atomic_store(&world.backends[i].delay_ms, i == 0 ? 100 : 10);
    }
    t_load_start(&load, &world, 16, false);
    t_load_pass(&load, 1200);
    t_load_stop(&load);
    uint32_t sum = 0;
    for (uint32_t i = 0; i < 4; i++) {
        sum += requests_of(i);
    }
    print_message("the slow one got %u of %u\n", requests_of(0), sum);
    assert_true(requests_of(0) > 0);
    assert_true(requests_of(0) * 4 * 3 < sum); /* a third of its share; here about a fifth */
    t_world_stop(&world);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ejection),
        cmocka_unit_test(test_share),
        cmocka_unit_test(test_breaker),
        cmocka_unit_test(test_health),
        cmocka_unit_test(test_health_of_a_full_pool),
        cmocka_unit_test(test_slow_endpoint),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
