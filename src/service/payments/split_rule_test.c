#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "split_rule.h"

#define CARD_MAX   9
#define WALLET_MAX 9

/* SPLIT-1. */
static void
test_the_card_pays_a_capture_first(void **state)
{
    (void)state;
    assert_int_equal(payments_split_of_capture(1, 1300), 0);
    assert_int_equal(payments_split_of_capture(1299, 1300), 0);
    assert_int_equal(payments_split_of_capture(1300, 1300), 0);
    assert_int_equal(payments_split_of_capture(1301, 1300), 1);
    assert_int_equal(payments_split_of_capture(2000, 1300), 700);
}

/* SPLIT-2. */
static void
test_the_wallet_is_refunded_first(void **state)
{
    (void)state;
    assert_int_equal(payments_split_of_refund(1, 700), 1);
    assert_int_equal(payments_split_of_refund(700, 700), 700);
    assert_int_equal(payments_split_of_refund(701, 700), 700);
    assert_int_equal(payments_split_of_refund(5, 0), 0);
}

/* What a customer has paid with what in the end depends on how much alone: every capture and every
 * pair of refunds of small amounts. */
static void
check_refunds(int64_t card, int64_t captured, int64_t first, int64_t second)
{
    int64_t wallet_paid = payments_split_of_capture(captured, card);
    int64_t card_paid = captured - wallet_paid;
    const int64_t refunds[] = {first, second};
    int64_t left = captured;
    for (int i = 0; i < 2 && refunds[i] != 0; i++) {
        int64_t back = payments_split_of_refund(refunds[i], wallet_paid);
        assert_in_range(back, 0, wallet_paid);
        assert_in_range(refunds[i] - back, 0, card_paid);
        wallet_paid -= back;
        card_paid -= refunds[i] - back;
        left -= refunds[i];
    }
    assert_int_equal(card_paid + wallet_paid, left);
    if (left > 0) {
        assert_int_equal(wallet_paid, payments_split_of_capture(left, card));
    }
}

static void
test_order_makes_no_difference(void **state)
{
    (void)state;
    for (int64_t card = 1; card <= CARD_MAX; card++) {
        for (int64_t captured = 1; captured <= card + WALLET_MAX; captured++) {
            for (int64_t first = 0; first <= captured; first++) {
                for (int64_t second = 0; second <= captured - first; second++) {
                    check_refunds(card, captured, first, second);
                }
            }
        }
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_card_pays_a_capture_first),
        cmocka_unit_test(test_the_wallet_is_refunded_first),
        cmocka_unit_test(test_order_makes_no_difference),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
