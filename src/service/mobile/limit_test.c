#include "mobile_internal.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

enum {
    SCOPE = 6,
    PER_MINUTE = 30
};

/* MOBILE-3 */
static void
a_minute_takes_so_many_wrong_codes_and_no_more(void **state)
{
    (void)state;
    struct mobile_limit limit = {.arrival_ns = {0}};
    uint64_t now_ns = 1000 * OS_NS_PER_S;
    uint32_t taken = 0;
    while (mobile_limit_allows(&limit, SCOPE, now_ns) && taken < 1000) {
        mobile_limit_count(&limit, SCOPE, now_ns, PER_MINUTE);
        taken++;
    }
    assert_int_equal(taken, PER_MINUTE + 1);
    assert_true(mobile_limit_allows(&limit, SCOPE + 1, now_ns));
    /* One more for each two seconds that pass. */
    now_ns += 2 * OS_NS_PER_S;
    assert_true(mobile_limit_allows(&limit, SCOPE, now_ns));
    mobile_limit_count(&limit, SCOPE, now_ns, PER_MINUTE);
    assert_false(mobile_limit_allows(&limit, SCOPE, now_ns));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_minute_takes_so_many_wrong_codes_and_no_more),
    };
    return cmocka_run_group_tests_name("mobile limit", tests, NULL, NULL);
}
