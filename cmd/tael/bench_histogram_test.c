#include "bench.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <setjmp.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct bench_histogram histogram;

static void
t_clear(void)
{
    memset(&histogram, 0, sizeof(histogram));
}

static void
nothing_has_no_quantile(void **state)
{
    (void)state;
    t_clear();
    assert_int_equal(bench_histogram_quantile(&histogram, 0), 0);
    assert_int_equal(bench_histogram_quantile(&histogram, 1000), 0);
}

static void
small_times_are_exact(void **state)
{
    (void)state;
    t_clear();
    for (uint64_t value = 1; value <= 50; value++) {
        bench_histogram_add(&histogram, value);
    }
    assert_int_equal(bench_histogram_quantile(&histogram, 0), 1);
    assert_int_equal(bench_histogram_quantile(&histogram, 20), 1);
    assert_int_equal(bench_histogram_quantile(&histogram, 21), 2);
    assert_int_equal(bench_histogram_quantile(&histogram, 500), 25);
    assert_int_equal(bench_histogram_quantile(&histogram, 1000), 50);
}

/* Compared with the sorted values themselves, over all magnitudes. */
static int
t_compare(const void *a, const void *b)
{
    uint64_t left = *(const uint64_t *)a;
    uint64_t right = *(const uint64_t *)b;
    return left < right ? -1 : left > right;
}

static void
quantiles_are_at_most_a_thirtysecond_too_high(void **state)
{
    enum {
        COUNT = 6400
    };

    (void)state;
    static uint64_t values[COUNT];
    uint64_t random = 1;
    t_clear();
    for (size_t i = 0; i < COUNT; i++) {
        random = random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
        values[i] = random >> (i % 64);
        bench_histogram_add(&histogram, values[i]);
    }
    qsort(values, COUNT, sizeof(values[0]), t_compare);
    for (uint64_t per_mille = 1; per_mille <= 1000; per_mille++) {
        uint64_t exact = values[(COUNT * per_mille + 999) / 1000 - 1];
        uint64_t told = bench_histogram_quantile(&histogram, per_mille);
        assert_true(told >= exact);
        assert_true(told - exact <= exact / 32);
    }
    assert_true(bench_histogram_quantile(&histogram, 1000) == values[COUNT - 1]);
}

static void
extremes_have_a_bucket(void **state)
{
    (void)state;
    t_clear();
    bench_histogram_add(&histogram, 0);
    bench_histogram_add(&histogram, UINT64_MAX);
    assert_int_equal(bench_histogram_quantile(&histogram, 500), 0);
    assert_true(bench_histogram_quantile(&histogram, 501) == UINT64_MAX);
}

static void
medians(void **state)
{
    (void)state;
    assert_int_equal(bench_median((const double[]){7}, 1), 0);
    assert_int_equal(bench_median((const double[]){7, 3}, 2), 1);
    assert_int_equal(bench_median((const double[]){7, 3, 5}, 3), 2);
    assert_int_equal(bench_median((const double[]){5, 5, 5}, 3), 1);
    assert_int_equal(bench_median((const double[]){1, 9, 8, 2, 5}, 5), 4);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_has_no_quantile),
        cmocka_unit_test(small_times_are_exact),
        cmocka_unit_test(quantiles_are_at_most_a_thirtysecond_too_high),
        cmocka_unit_test(extremes_have_a_bucket),
        cmocka_unit_test(medians),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
