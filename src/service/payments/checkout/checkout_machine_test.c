#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "checkout_machine.h"
#include "machine_testing.h"

/* The legal moves once more, from what the public API promises. */
static const struct t_move legal[] = {
    {"open", PAYMENTS_CHECKOUT_CONFIRM, "open"},
    {"open", PAYMENTS_CHECKOUT_PAY, "complete"},
    {"open", PAYMENTS_CHECKOUT_DROP, "expired"},
    {"open", PAYMENTS_CHECKOUT_EXPIRE, "expired"},
    {"complete", PAYMENTS_CHECKOUT_CAPTURE, "complete"},
    {"complete", PAYMENTS_CHECKOUT_DROP, "complete"},
};

static void
test_every_move(void **state)
{
    (void)state;
    T_MACHINE_MOVES(&payments_checkout_machine, legal);
}

/* CHECKOUT-1: nothing leads out of what is over. */
static void
test_over_stays_over(void **state)
{
    (void)state;
    for (uint32_t move = 0; move < PAYMENTS_CHECKOUT_MOVE_COUNT; move++) {
        struct span status = SPAN("complete");
        (void)payments_checkout_move(&status, move);
        assert_true(span_equal_cstr(status, "complete"));
    }
    t_machine_final(&payments_checkout_machine, "expired");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_move),
        cmocka_unit_test(test_over_stays_over),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
