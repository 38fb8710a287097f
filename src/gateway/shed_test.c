#include "shed.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define MS UINT64_C(1000000)

static uint32_t
t_refused_of_1000(uint32_t load, enum gateway_class class)
{
    struct gateway_shed shed = {.load = load};
    uint32_t refused = 0;
    for (int i = 0; i < 1000; i++) {
        refused += gateway_shed_decide(&shed, class) ? 1 : 0;
    }
    return refused;
}

/* What matters less is never served better. */
static void
t_order(void **state)
{
    (void)state;
    for (uint32_t load = 0; load < 10000; load += 50) {
        uint32_t before = 0;
        for (int class = 0; class < GATEWAY_CLASS_COUNT; class ++) {
            uint32_t refused = t_refused_of_1000(load, (enum gateway_class) class);
            assert_true(refused >= before);
            before = refused;
        }
    }
}

static void
t_boundaries(void **state)
{
    (void)state;
    assert_int_equal(t_refused_of_1000(1000, GATEWAY_CLASS_SEARCH), 0);
    assert_int_equal(t_refused_of_1000(1250, GATEWAY_CLASS_SEARCH), 500);
    assert_int_equal(t_refused_of_1000(1500, GATEWAY_CLASS_SEARCH), 1000);
    assert_int_equal(t_refused_of_1000(1500, GATEWAY_CLASS_LIST), 0);
    assert_int_equal(t_refused_of_1000(2000, GATEWAY_CLASS_LIST), 1000);
    assert_int_equal(t_refused_of_1000(2000, GATEWAY_CLASS_NORMAL), 0);
    assert_int_equal(t_refused_of_1000(4000, GATEWAY_CLASS_CRITICAL), 0);
    assert_int_equal(t_refused_of_1000(6000, GATEWAY_CLASS_CRITICAL), 500);
    assert_int_equal(t_refused_of_1000(8000, GATEWAY_CLASS_CRITICAL), 1000);
}

static void
t_load_follows(void **state)
{
    (void)state;
    struct gateway_shed shed = {.load = 0};
    struct gateway_shed_target target = {.latency_ns = 100 * MS, .queue = 200};
    gateway_shed_update(&shed, &target, 100);
    assert_int_equal(shed.load, 500);
    gateway_shed_update(&shed, &target, 300);
    assert_int_equal(shed.load, 1500);
    for (int i = 0; i < 200; i++) {
        gateway_shed_answered(&shed, 200 * MS);
    }
    gateway_shed_update(&shed, &target, 1);
    assert_in_range(shed.load, 1980, 2000);
    /* Nothing under way: it is forgotten, and lists are served again. */
    for (int i = 0; i < 200; i++) {
        gateway_shed_update(&shed, &target, 0);
    }
    assert_in_range(shed.load, 0, 10);
    target = (struct gateway_shed_target){0, 0};
    gateway_shed_update(&shed, &target, UINT64_MAX);
    assert_int_equal(shed.load, 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(t_order),
        cmocka_unit_test(t_boundaries),
        cmocka_unit_test(t_load_follows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
