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

static uint32_t
ejected_now(void)
{
    uint32_t ejected = 0;
    for (uint32_t i = 0; i < world.backend_count; i++) {
        ejected += t_state(&world, i) == BALANCE_EJECTED;
    }
    return ejected;
}

/* UPSTREAM-4: five failures in a row, in each way to fail; nothing while it is ejected; back by
 * itself. (That it takes longer each time is shown on made-up time, in core/balance.) */
static void
test_ejection(void **state)
{
    (void)state;

    static const enum t_mode modes[] = {T_STATUS, T_RESET, T_GARBAGE, T_CUT, T_NEVER};

    for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]) + 1; i++) {
        struct upstream_settings settings = base();
        settings.outlier.base_ms = 400;
        settings.outlier.max_ms = 400;
        settings.try_timeout_ms = 100;
        settings.attempts_max = 1;
        t_world_start(&world, 4, &settings);
        if (i < sizeof(modes) / sizeof(modes[0])) {
            atomic_store(&world.backends[1].mode, (int)modes[i]);
        } else {
            t_backend_listen(&world.backends[1], false);
        }
        t_load_start(&load, &world, 4, false);
        T_WAIT_FOR(t_state(&world, 1) == BALANCE_EJECTED);
        uint64_t from_ms = t_now_ms();
        T_WAIT_FOR(in_flight_of(1) == 0); /* those that were under way, */
        t_load_pass(&load, 8);            /* and their callers know */
        /* In a row, and what four parallel ones had under way besides. */
        uint32_t errors = atomic_load(&load.errors);
        assert_in_range(errors, 5, 5 + 4);
        uint32_t before = requests_of(1);
        while (t_now_ms() - from_ms < 200) {
            t_load_pass(&load, 4);
        }
        assert_int_equal(requests_of(1), before);
        assert_int_equal(atomic_load(&load.errors), errors); /* nobody notices any more */
        atomic_store(&world.backends[1].mode, T_OK);
        if (i == sizeof(modes) / sizeof(modes[0])) {
            t_backend_listen(&world.backends[1], true);
        }
        T_WAIT_FOR(t_state(&world, 1) == BALANCE_ACTIVE);
        assert_true(t_now_ms() - from_ms >= 390);
        T_WAIT_FOR(requests_of(1) > before + 20);
        assert_int_equal(atomic_load(&load.errors), errors);
        atomic_store(&world.backends[1].mode, T_RESET);
        T_WAIT_FOR(t_state(&world, 1) == BALANCE_EJECTED);
        from_ms = t_now_ms();
        T_WAIT_FOR(t_state(&world, 1) == BALANCE_ACTIVE);
        assert_true(t_now_ms() - from_ms >= 390);
        t_load_stop(&load);
        struct upstream_endpoint_counters endpoint;
        assert_true(t_count_backend(&world, 1, &endpoint));
        assert_true(endpoint.ejections >= 2);
        t_world_stop(&world);
    }
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
    uint32_t most = 0;
    while (t_now_ms() < end_ms) {
        uint32_t ejected = ejected_now();
        /* The states are read one after the other; a count that is too high must hold. */
        if (ejected > 2) {
            uint32_t again = ejected_now();
            ejected = again < ejected ? again : ejected;
        }
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
    settings.breaker.open_ms = 400;
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
    while (passed_ms < 1300) {
        t_call_init(&world, &call, true);
        t_call_run(&world, &call);
        upstream_call_release(&call);
        passed_ms = t_now_ms() - from_ms;
    }
    uint32_t probes = requests_of(0) + requests_of(1) - before;
    assert_in_range(probes, 1, 3 * (passed_ms / 400 + 1));
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
    settings.health.timeout_ms = 500;
    t_world_start(&world, 3, &settings);
    T_WAIT_FOR(atomic_load(&world.backends[2].checks) > 3);
    assert_int_equal(t_state(&world, 2), BALANCE_ACTIVE);
    assert_int_equal(requests_of(2), 0);
    t_load_start(&load, &world, 4, false);
    atomic_store(&world.backends[2].health, 503);
    T_WAIT_FOR(t_state(&world, 2) == BALANCE_UNHEALTHY);
    t_load_pass(&load, 8);
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
    settings.health.timeout_ms = 1000;
    settings.health.down = 1;
    t_world_start(&world, 1, &settings);
    atomic_store(&world.backends[0].mode, T_NEVER);
    static struct upstream_call calls[4];
    for (int i = 0; i < 4; i++) {
        t_call_init(&world, &calls[i], false);
        calls[i].timeout_ms = 1500;
        upstream_send(world.upstream, &calls[i]);
    }
    T_WAIT_FOR(t_count(&world).pending == 3); /* the gauge comes within a second */
    uint32_t before = atomic_load(&world.backends[0].checks);
    T_WAIT_FOR(atomic_load(&world.backends[0].checks) > before + 3);
    assert_int_equal(t_state(&world, 0), BALANCE_ACTIVE);
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
