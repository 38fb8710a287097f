#include "limit.h"

#include "os/prng.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define NS_PER_S UINT64_C(1000000000)

static bool
t_take(struct gateway_limit_table *table, struct gateway_limit_check check, uint64_t now_ns)
{
    struct gateway_limit_verdict verdict;
    gateway_limit_take(table, &check, 1, false, now_ns, &verdict);
    if (verdict.reason == GATEWAY_LIMIT_NONE) {
        gateway_limit_release(table, &check, 1);
    }
    return verdict.reason == GATEWAY_LIMIT_NONE;
}

/* LIMIT-1, within 1 %: requests come at random, ten times as many as are allowed. */
static void
t_rate_is_exact(void **state)
{
    (void)state;
    static const uint64_t rates[] = {1, 7, 100, 333, 1000, 9999, 100000};
    for (size_t i = 0; i < sizeof(rates) / sizeof(rates[0]); i++) {
        struct gateway_limit_table *table;
        assert_int_equal(gateway_limit_create(4, &table), ERR_OK);
        struct gateway_limit_check check = {
            .subject = 5, .rule = gateway_limit_rule_make(rates[i], 1, 0)};
        struct os_prng prng;
        os_prng_seed(&prng, i);
        uint64_t now_ns = NS_PER_S;
        uint64_t step_ns = NS_PER_S / rates[i] / 10;
        uint64_t seconds = rates[i] < 1000 ? 2000 : 20;
        uint64_t end_ns = now_ns + seconds * NS_PER_S;
        uint64_t passed = 0;
        while (now_ns < end_ns) {
            passed += t_take(table, check, now_ns) ? 1 : 0;
            now_ns += os_prng_next(&prng) % (2 * step_ns) + 1;
        }
        uint64_t expected = rates[i] * seconds;
        /* Whoever asks at random times loses up to a tenth of an interval each; never too many. */
        assert_true(passed <= expected + 1 + expected / 1000);
        assert_true(passed * 100 >= expected * 89);
        gateway_limit_destroy(&table);
    }
}

/* With a burst to absorb the jitter of arrival the rate is met within 1 % from both sides. */
static void
t_burst_absorbs_jitter(void **state)
{
    (void)state;
    struct gateway_limit_table *table;
    assert_int_equal(gateway_limit_create(4, &table), ERR_OK);
    struct gateway_limit_check check = {.subject = 5, .rule = gateway_limit_rule_make(500, 50, 0)};
    struct os_prng prng;
    os_prng_seed(&prng, 42);
    uint64_t now_ns = NS_PER_S;
    uint64_t passed = 0;
    while (now_ns < 101 * NS_PER_S) {
        passed += t_take(table, check, now_ns) ? 1 : 0;
        now_ns += os_prng_next(&prng) % 400000;
    }
    assert_in_range(passed, 50000 * 99 / 100, 50000 * 101 / 100);
    gateway_limit_destroy(&table);
}

static void
t_burst_and_retry(void **state)
{
    (void)state;
    struct gateway_limit_table *table;
    assert_int_equal(gateway_limit_create(4, &table), ERR_OK);
    struct gateway_limit_check check = {.subject = 1, .rule = gateway_limit_rule_make(10, 5, 0)};
    for (int i = 0; i < 5; i++) {
        assert_true(t_take(table, check, NS_PER_S));
    }
    struct gateway_limit_verdict verdict;
    gateway_limit_take(table, &check, 1, false, NS_PER_S, &verdict);
    assert_int_equal(verdict.reason, GATEWAY_LIMIT_RATE);
    assert_int_equal(verdict.retry_ns, NS_PER_S / 10);
    assert_false(t_take(table, check, NS_PER_S + NS_PER_S / 10 - 1));
    assert_true(t_take(table, check, NS_PER_S + NS_PER_S / 10));
    /* Another subject has a bucket of its own. */
    check.subject = 2;
    assert_true(t_take(table, check, NS_PER_S));
    /* Rested for long: no more than the burst. */
    check.subject = 1;
    uint64_t later_ns = 1000 * NS_PER_S;
    for (int i = 0; i < 5; i++) {
        assert_true(t_take(table, check, later_ns));
    }
    assert_false(t_take(table, check, later_ns));
    gateway_limit_destroy(&table);
}

static void
t_concurrency(void **state)
{
    (void)state;
    struct gateway_limit_table *table;
    assert_int_equal(gateway_limit_create(4, &table), ERR_OK);
    struct gateway_limit_check check = {.subject = 1, .rule = gateway_limit_rule_make(0, 0, 2)};
    struct gateway_limit_verdict verdict;
    for (int i = 0; i < 2; i++) {
        gateway_limit_take(table, &check, 1, true, 1, &verdict);
        assert_int_equal(verdict.reason, GATEWAY_LIMIT_NONE);
    }
    gateway_limit_take(table, &check, 1, true, 1, &verdict);
    assert_int_equal(verdict.reason, GATEWAY_LIMIT_CONCURRENT);
    gateway_limit_release(table, &check, 1);
    gateway_limit_take(table, &check, 1, false, 1, &verdict);
    assert_int_equal(verdict.reason, GATEWAY_LIMIT_NONE);
    gateway_limit_destroy(&table);
}

/* LIMIT-2. */
static void
t_all_or_nothing(void **state)
{
    (void)state;
    struct gateway_limit_table *table;
    assert_int_equal(gateway_limit_create(8, &table), ERR_OK);
    struct gateway_limit_check checks[] = {
        {.subject = 1, .rule = gateway_limit_rule_make(1, 3, 1)},
        {.subject = 2, .rule = gateway_limit_rule_make(1, 1, 0)},
    };
    struct gateway_limit_verdict verdict;
    gateway_limit_take(table, checks, 2, false, NS_PER_S, &verdict);
    assert_int_equal(verdict.reason, GATEWAY_LIMIT_NONE);
    gateway_limit_release(table, checks, 2);
    for (int i = 0; i < 10; i++) {
        gateway_limit_take(table, checks, 2, false, NS_PER_S, &verdict);
        assert_int_equal(verdict.reason, GATEWAY_LIMIT_RATE);
        assert_int_equal(verdict.check, 1);
    }
    assert_true(t_take(table, checks[0], NS_PER_S));
    assert_true(t_take(table, checks[0], NS_PER_S));
    assert_false(t_take(table, checks[0], NS_PER_S));
    gateway_limit_destroy(&table);
}

/* LIMIT-3. */
static void
t_bounded(void **state)
{
    (void)state;
    struct gateway_limit_table *table;
    assert_int_equal(gateway_limit_create(2, &table), ERR_OK);
    struct gateway_limit_check busy = {.subject = 1, .rule = gateway_limit_rule_make(1, 1, 1)};
    struct gateway_limit_verdict verdict;
    gateway_limit_take(table, &busy, 1, false, NS_PER_S, &verdict);
    assert_int_equal(verdict.reason, GATEWAY_LIMIT_NONE);
    for (uint64_t i = 2; i < 100; i++) {
        struct gateway_limit_check other = {.subject = i, .rule = gateway_limit_rule_make(1, 1, 0)};
        assert_true(t_take(table, other, NS_PER_S));
    }
    struct gateway_limit_counters counters;
    gateway_limit_count(table, &counters);
    assert_int_equal(counters.subjects, 2);
    assert_int_equal(counters.forgotten, 97);
    gateway_limit_take(table, &busy, 1, true, NS_PER_S, &verdict);
    assert_int_equal(verdict.reason, GATEWAY_LIMIT_CONCURRENT);
    struct gateway_limit_check second = {.subject = 200, .rule = gateway_limit_rule_make(0, 0, 9)};
    struct gateway_limit_check third = {.subject = 201, .rule = gateway_limit_rule_make(0, 0, 9)};
    gateway_limit_take(table, &second, 1, false, NS_PER_S, &verdict);
    assert_int_equal(verdict.reason, GATEWAY_LIMIT_NONE);
    gateway_limit_take(table, &third, 1, false, NS_PER_S, &verdict);
    assert_int_equal(verdict.reason, GATEWAY_LIMIT_TABLE);
    gateway_limit_destroy(&table);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(t_rate_is_exact),
        cmocka_unit_test(t_burst_absorbs_jitter),
        cmocka_unit_test(t_burst_and_retry),
        cmocka_unit_test(t_concurrency),
        cmocka_unit_test(t_all_or_nothing),
        cmocka_unit_test(t_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
