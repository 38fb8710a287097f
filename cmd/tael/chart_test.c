#include "chart.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <setjmp.h>

#include <cmocka.h>

static void
codes_have_names_in_the_payments_ledgers(void **state)
{
    (void)state;
    assert_string_equal(chart_account_name(1840, 101), "card clearing");
    assert_string_equal(chart_account_name(840, 202), "merchant available");
    assert_null(chart_account_name(840, 199));
    assert_null(chart_account_name(2840, 101)); /* other people's books mean something else */
    assert_string_equal(chart_transfer_name(840, 1), "payment");
    assert_string_equal(chart_transfer_name(840, 6), "settlement");
    assert_null(chart_transfer_name(840, 0));
    assert_null(chart_transfer_name(840, 99));
    assert_null(chart_transfer_name(2840, 1));
    assert_true(chart_account_is_debit(840, 101));
    assert_false(chart_account_is_debit(840, 201));
    assert_false(chart_account_is_debit(2840, 101));
}

static void
names_have_codes(void **state)
{
    (void)state;
    enum books_account account = BOOKS_SUSPENSE;
    assert_true(chart_account_find(SPAN("card-clearing"), &account));
    assert_int_equal(account, BOOKS_CARD_CLEARING);
    assert_true(chart_account_find(SPAN("merchant pending"), &account));
    assert_int_equal(account, BOOKS_MERCHANT_PENDING);
    assert_true(chart_account_find(SPAN("102"), &account));
    assert_int_equal(account, BOOKS_FEE_REVENUE);
    assert_false(chart_account_find(SPAN("clearing"), &account));
    assert_false(chart_account_find(SPAN("199"), &account));
    assert_false(chart_account_find(SPAN_EMPTY, &account));
    assert_true(chart_account_is_merchants(BOOKS_MERCHANT_AVAILABLE));
    assert_false(chart_account_is_merchants(BOOKS_SUSPENSE));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(codes_have_names_in_the_payments_ledgers),
        cmocka_unit_test(names_have_codes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
