/* The names and patterns of events. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "events/filter.h"

#include <string.h>

static bool
known(const char *pattern)
{
    return events_filter_is_known(span_from_cstr(pattern));
}

static void
test_known_names(void **state)
{
    (void)state;
    assert_true(known("*"));
    assert_true(known("account.application.authorized"));
    assert_true(known("charge.succeeded"));
    assert_true(known("charge.*"));
    assert_true(known("charge.dispute.*"));
    assert_true(known("topup.succeeded"));
    assert_true(known("webhook_endpoint.disabled"));
    assert_true(known("webhook_endpoint.*"));
    assert_false(known(""));
    assert_false(known("charge"));
    assert_false(known("charge."));
    assert_false(known("charge*"));
    assert_false(known("charg.*"));
    assert_false(known(".*"));
    assert_false(known("*.succeeded"));
    assert_false(known("charge.succeededx"));
    assert_false(known("zzz.*"));
}

static void
test_names_are_in_order(void **state)
{
    (void)state;
    size_t count = 0;
    for (; events_filter_name(count) != NULL; count++) {
        assert_true(known(events_filter_name(count)));
        assert_true(
            count == 0 || strcmp(events_filter_name(count - 1), events_filter_name(count)) < 0);
    }
    assert_true(count > 260);
}

static bool
matches(const char *pattern, const char *type)
{
    return events_filter_matches(span_from_cstr(pattern), span_from_cstr(type));
}

static void
test_matching(void **state)
{
    (void)state;
    assert_true(matches("*", "charge.succeeded"));
    assert_true(matches("charge.succeeded", "charge.succeeded"));
    assert_true(matches("charge.*", "charge.succeeded"));
    assert_true(matches("charge.*", "charge.dispute.created"));
    assert_false(matches("charge.*", "charger.x"));
    assert_false(matches("charge.*", "charge"));
    assert_false(matches("charge.succeeded", "charge.succeeded.x"));
    assert_false(matches("charge.succeeded", "charge"));
    assert_false(matches("", "charge"));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_known_names),
        cmocka_unit_test(test_names_are_in_order),
        cmocka_unit_test(test_matching),
    };
    return cmocka_run_group_tests_name("filter", tests, NULL, NULL);
}
