/* Health, outliers, breaker, budget, back-off. Time is made up. */
#include "balance_test_world.h"

#include "balance/guard.h"

#include <string.h>

static void
test_health(void **state)
{
    (void)state;
    struct balance_health health = {0};
    assert_false(balance_health_result(&health, 2, 3, false));
    assert_false(balance_health_result(&health, 2, 3, false));
    assert_false(balance_health_result(&health, 2, 3, true)); /* the run is broken */
    assert_false(balance_health_result(&health, 2, 3, false));
    assert_false(balance_health_result(&health, 2, 3, false));
    assert_true(balance_health_result(&health, 2, 3, false));
    assert_true(health.unhealthy);
    assert_false(balance_health_result(&health, 2, 3, false));
    assert_false(balance_health_result(&health, 2, 3, true));
    assert_true(balance_health_result(&health, 2, 3, true));
    assert_false(health.unhealthy);
}

/* GUARD-1 */
static void
test_outlier(void **state)
{
    (void)state;
    struct balance_outlier_settings settings = balance_outlier_default;
    struct balance_outlier outlier = {0};
    uint64_t now_ns = T_SECOND;
    for (int i = 0; i < 4; i++) {
        assert_false(balance_outlier_result(&outlier, &settings, true));
    }
    assert_false(balance_outlier_result(&outlier, &settings, false));
    for (int i = 0; i < 4; i++) {
        assert_false(balance_outlier_result(&outlier, &settings, true));
    }
    assert_true(balance_outlier_result(&outlier, &settings, true));
    assert_true(balance_outlier_result(&outlier, &settings, true)); /* it was not ejected */
    /* Base, twice, three times ... at most the maximum. */
    for (uint64_t times = 1; times <= 12; times++) {
        uint64_t until_ns = balance_outlier_eject(&outlier, &settings, now_ns);
        uint64_t seconds = 30 * times < 300 ? 30 * times : 300;
        assert_int_equal(until_ns, now_ns + seconds * T_SECOND);
        assert_false(balance_outlier_result(&outlier, &settings, true));
        assert_false(balance_outlier_return(&outlier, until_ns - 1));
        assert_true(balance_outlier_return(&outlier, until_ns));
        assert_false(balance_outlier_return(&outlier, until_ns));
        now_ns = until_ns + 1;
    }
    /* 30 s of good behaviour for each that is forgotten: 12 - 10, and this one. */
    now_ns = outlier.until_ns + 310 * T_SECOND;
    assert_int_equal(balance_outlier_eject(&outlier, &settings, now_ns), now_ns + 90 * T_SECOND);
    settings.failures = 0;
    outlier = (struct balance_outlier){0};
    for (int i = 0; i < 100; i++) {
        assert_false(balance_outlier_result(&outlier, &settings, true));
    }
}

static struct balance_breaker breaker;
static const struct balance_breaker_settings breaker_settings = {
    .failure_percent = 50,
    .results_min = 10,
    .window_ms = 10000,
    .open_ms = 5000,
    .probes = 2,
};

static enum balance_admission
admit(uint64_t now_ns, uint32_t *ticket)
{
    return balance_breaker_admit(&breaker, &breaker_settings, now_ns, ticket);
}

static void
result(uint64_t now_ns, uint32_t ticket, enum balance_result what)
{
    balance_breaker_result(&breaker, &breaker_settings, now_ns, ticket, what);
}

static void
requests(uint64_t now_ns, uint32_t count, enum balance_result what)
{
    for (uint32_t i = 0; i < count; i++) {
        uint32_t ticket = 0;
        assert_int_equal(admit(now_ns, &ticket), BALANCE_ADMITTED);
        result(now_ns, ticket, what);
    }
}

/* GUARD-2 */
static void
test_breaker(void **state)
{
    (void)state;
    breaker = (struct balance_breaker){0};
    uint64_t now_ns = 100 * T_SECOND;
    requests(now_ns, 9, BALANCE_FAILED); /* too few to judge */
    assert_int_equal(breaker.state, BALANCE_BREAKER_CLOSED);
    requests(now_ns + 11 * T_SECOND, 9, BALANCE_FAILED); /* the first nine are too old */
    assert_int_equal(breaker.state, BALANCE_BREAKER_CLOSED);
    now_ns += 13 * T_SECOND;
    requests(now_ns, 10, BALANCE_SUCCEEDED); /* 9 of 19 */
    assert_int_equal(breaker.state, BALANCE_BREAKER_CLOSED);
    uint32_t late = 0;
    assert_int_equal(admit(now_ns, &late), BALANCE_ADMITTED);
    requests(now_ns, 1, BALANCE_FAILED); /* 10 of 20 */
    assert_int_equal(breaker.state, BALANCE_BREAKER_OPEN);
    uint32_t ticket = 0;
    assert_int_equal(admit(now_ns + 5 * T_SECOND - 1, &ticket), BALANCE_REFUSED);
    /* Half open: two probes at once, no third. */
    now_ns += 5 * T_SECOND;
    uint32_t other = 0;
    assert_int_equal(admit(now_ns, &ticket), BALANCE_PROBE);
    assert_int_equal(admit(now_ns, &other), BALANCE_PROBE);
    uint32_t third = 0;
    assert_int_equal(admit(now_ns, &third), BALANCE_REFUSED);
    result(now_ns, late, BALANCE_FAILED); /* of another time */
    assert_int_equal(breaker.state, BALANCE_BREAKER_HALF_OPEN);
    result(now_ns, other, BALANCE_NO_RESULT); /* makes room for another */
    assert_int_equal(admit(now_ns, &other), BALANCE_PROBE);
    result(now_ns, ticket, BALANCE_SUCCEEDED);
    assert_int_equal(breaker.state, BALANCE_BREAKER_HALF_OPEN);
    result(now_ns, other, BALANCE_FAILED);
    assert_int_equal(breaker.state, BALANCE_BREAKER_OPEN);
    now_ns += 5 * T_SECOND;
    for (int i = 0; i < 2; i++) {
        assert_int_equal(admit(now_ns, &ticket), BALANCE_PROBE);
        result(now_ns, ticket, BALANCE_SUCCEEDED);
    }
    assert_int_equal(breaker.state, BALANCE_BREAKER_CLOSED);
    requests(now_ns, 9, BALANCE_FAILED); /* it begins with an empty window */
    assert_int_equal(breaker.state, BALANCE_BREAKER_CLOSED);
    /* Switched off. */
    breaker = (struct balance_breaker){0};
    struct balance_breaker_settings off = breaker_settings;
    off.failure_percent = 0;
    for (int i = 0; i < 1000; i++) {
        assert_int_equal(balance_breaker_admit(&breaker, &off, now_ns, &ticket), BALANCE_ADMITTED);
        balance_breaker_result(&breaker, &off, now_ns, ticket, BALANCE_FAILED);
    }
}

/* GUARD-3: everything fails and everybody retries as often as may be. */
static void
test_budget(void **state)
{
    (void)state;
    const struct balance_budget_settings settings = {.percent = 20, .min = 3};
    struct balance_budget budget;
    balance_budget_init(&budget, &settings);
    uint32_t retries = 0;
    for (uint32_t requests_made = 1; requests_made <= 10000; requests_made++) {
        balance_budget_request(&budget, &settings);
        while (balance_budget_take(&budget, &settings, 1, 0)) {
            retries++;
        }
        uint32_t most = requests_made / 5 > 3 ? requests_made / 5 : 3;
        assert_true(retries <= most);
    }
    assert_int_equal(retries, 2000); /* and it is not less than 20 % either */
    /* At once: 3, or 20 % of what is active. */
    for (uint32_t i = 0; i < 1000; i++) {
        balance_budget_request(&budget, &settings);
    }
    assert_true(balance_budget_take(&budget, &settings, 1, 2));
    assert_false(balance_budget_take(&budget, &settings, 15, 3));
    assert_false(balance_budget_take(&budget, &settings, 19, 3));
    assert_true(balance_budget_take(&budget, &settings, 20, 3));
    assert_true(balance_budget_take(&budget, &settings, 1000, 199));
    assert_false(balance_budget_take(&budget, &settings, 1000, 200));
    retries = 3;
    while (balance_budget_take(&budget, &settings, 0, 0)) {
        retries++;
    }
    assert_int_equal(retries, BALANCE_BUDGET_TOKENS_MAX); /* the burst is bounded */
}

/* GUARD-4: flat between 0 and the bound, which doubles up to the maximum. */
static void
test_backoff(void **state)
{
    (void)state;
    struct os_prng prng;
    os_prng_seed(&prng, 20261128);
    static const uint32_t bounds_ms[] = {25, 50, 100, 200, 400, 800, 1000, 1000};
    static const uint32_t flat[10] = {1, 1, 1, 1, 1, 1, 1, 1, 1, 1};
    for (uint32_t retry = 1; retry <= 8; retry++) {
        uint64_t bound_ns = bounds_ms[retry - 1] * UINT64_C(1000000);
        uint32_t counts[10] = {0};
        for (uint32_t i = 0; i < 10000; i++) {
            uint64_t wait_ns = balance_backoff_ns(25, 1000, retry, os_prng_next(&prng));
            assert_true(wait_ns <= bound_ns);
            counts[wait_ns == bound_ns ? 9 : wait_ns * 10 / bound_ns]++;
        }
        assert_true(t_chi_square(counts, flat, 10, 10000) < t_chi_limit(9));
    }
    assert_int_equal(balance_backoff_ns(25, 1000, UINT32_MAX, UINT64_MAX), 1000000000);
    assert_int_equal(balance_backoff_ns(0, 1000, 5, UINT64_MAX), 0);
    assert_int_equal(balance_backoff_ns(25, 1000, 1, 0), 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_health),
        cmocka_unit_test(test_outlier),
        cmocka_unit_test(test_breaker),
        cmocka_unit_test(test_budget),
        cmocka_unit_test(test_backoff),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
