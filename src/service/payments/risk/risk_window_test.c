#include "risk_window.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define T_NOW INT64_C(1800000000)

static const int64_t t_seconds[PAYMENTS_RISK_WINDOWS] = {3600, 86400, INT64_C(7) * 86400};
static const int64_t t_bucket[PAYMENTS_RISK_WINDOWS] = {300, 3600, 86400};

static void
test_boundaries(void **state)
{
    (void)state;
    for (uint32_t window = 0; window < PAYMENTS_RISK_WINDOWS; window++) {
        struct payments_risk_counts counts;
        memset(&counts, 0, sizeof(counts));
        /* The first second of a bucket: it leaves the sum with the bucket behind the window. */
        int64_t then = T_NOW / t_bucket[window] * t_bucket[window];
        int64_t out = then + t_seconds[window] + t_bucket[window];
        payments_risk_counts_add(&counts, then, 3);
        assert_int_equal(payments_risk_counts_sum(&counts, window, then), 3);
        assert_int_equal(payments_risk_counts_sum(&counts, window, then + t_seconds[window]), 3);
        assert_int_equal(payments_risk_counts_sum(&counts, window, out - 1), 3);
        assert_int_equal(payments_risk_counts_sum(&counts, window, out), 0);
        /* The same when others came meanwhile. */
        payments_risk_counts_add(&counts, out - 1, 4);
        assert_int_equal(payments_risk_counts_sum(&counts, window, out - 1), 7);
        assert_int_equal(payments_risk_counts_sum(&counts, window, out), 4);
        payments_risk_counts_add(&counts, out, 5);
        assert_int_equal(payments_risk_counts_sum(&counts, window, out), 9);
    }
}

static void
test_memory(void **state)
{
    struct payments_risk_counts counts;
    (void)state;
    memset(&counts, 0, sizeof(counts));
    payments_risk_counts_add(&counts, T_NOW, 1);
    for (uint32_t window = 0; window < PAYMENTS_RISK_WINDOWS; window++) {
        int64_t later = T_NOW + PAYMENTS_RISK_MEMORY_S;
        assert_int_equal(payments_risk_counts_sum(&counts, window, later), 0);
    }
}

static void
test_clock_goes_back(void **state)
{
    struct payments_risk_counts counts;
    (void)state;
    memset(&counts, 0, sizeof(counts));
    payments_risk_counts_add(&counts, T_NOW, 1);
    payments_risk_counts_add(&counts, T_NOW - 100000, 1);
    assert_int_equal(payments_risk_counts_sum(&counts, PAYMENTS_RISK_HOUR, T_NOW), 2);
    assert_int_equal(payments_risk_counts_sum(&counts, PAYMENTS_RISK_HOUR, T_NOW - 100000), 2);
}

static void
test_much(void **state)
{
    struct payments_risk_counts counts;
    (void)state;
    memset(&counts, 0, sizeof(counts));
    payments_risk_counts_add(&counts, T_NOW, INT64_MAX);
    payments_risk_counts_add(&counts, T_NOW, 1);
    payments_risk_counts_add(&counts, T_NOW + 300, 1);
    assert_int_equal(payments_risk_counts_sum(&counts, PAYMENTS_RISK_HOUR, T_NOW + 300), INT64_MAX);
}

/* Random moments against a list of all of them; written and read again each time. */
static void
test_random(void **state)
{
    enum {
        EVENTS = 3000
    };

    static int64_t when[EVENTS];
    struct payments_risk_counts counts;
    uint64_t seed = 20260103;
    int64_t now = T_NOW;
    (void)state;
    memset(&counts, 0, sizeof(counts));
    for (int i = 0; i < EVENTS; i++) {
        struct arena arena;
        arena_init(&arena, 1 << 16);
        seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
        now += (int64_t)(seed >> 33) % (i % 100 == 0 ? 400000 : 900);
        when[i] = now;
        payments_risk_counts_add(&counts, now, 1);
        struct span text = payments_risk_counts_write(&counts, &arena);
        struct payments_risk_counts again;
        assert_int_equal(payments_risk_counts_read(text, &again), ERR_OK);
        for (uint32_t window = 0; window < PAYMENTS_RISK_WINDOWS; window++) {
            int64_t least = 0;
            int64_t most = 0;
            for (int j = 0; j <= i; j++) {
                least += when[j] > now - t_seconds[window];
                most += when[j] > now - t_seconds[window] - t_bucket[window];
            }
            int64_t sum = payments_risk_counts_sum(&again, window, now);
            assert_true(sum >= least && sum <= most);
        }
        arena_release(&arena);
    }
}

static void
test_damaged(void **state)
{
    static const char *const texts[] = {
        "x",
        "1,2;3,4",
        "1,2;3,4;5,6;7",
        "1,-2;3;4;",
        "-1;2;3;",
        ";;;",

        "1;2;3,1,1,1,1,1,1,1,1,1;"};
    struct payments_risk_counts counts;
    (void)state;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        assert_int_equal(payments_risk_counts_read(span_from_cstr(texts[i]), &counts), ERR_CORRUPT);
    }
    assert_int_equal(payments_risk_counts_read(SPAN("1,2;3,4;5,6;"), &counts), ERR_OK);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_boundaries),
        cmocka_unit_test(test_memory),
        cmocka_unit_test(test_clock_goes_back),
        cmocka_unit_test(test_much),
        cmocka_unit_test(test_random),
        cmocka_unit_test(test_damaged),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
