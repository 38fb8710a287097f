#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "machine_testing.h"
#include "setup_machine.h"

/* The legal moves once more, written from the public API's description of the states. */
static const struct t_move legal[] = {
    {"requires_payment_method", PAYMENTS_SETUP_ATTACH, "requires_confirmation"},
    {"requires_payment_method", PAYMENTS_SETUP_UNSET, "requires_payment_method"},
    {"requires_payment_method", PAYMENTS_SETUP_CANCEL, "canceled"},
    {"requires_confirmation", PAYMENTS_SETUP_ATTACH, "requires_confirmation"},
    {"requires_confirmation", PAYMENTS_SETUP_UNSET, "requires_payment_method"},
    {"requires_confirmation", PAYMENTS_SETUP_CONFIRM, "processing"},
    {"requires_confirmation", PAYMENTS_SETUP_CANCEL, "canceled"},
    {"requires_action", PAYMENTS_SETUP_ATTACH, "requires_confirmation"},
    {"requires_action", PAYMENTS_SETUP_UNSET, "requires_payment_method"},
    {"requires_action", PAYMENTS_SETUP_PASSED, "processing"},
    {"requires_action", PAYMENTS_SETUP_FAILED, "requires_payment_method"},
    {"requires_action", PAYMENTS_SETUP_CANCEL, "canceled"},
    {"processing", PAYMENTS_SETUP_DECLINED, "requires_payment_method"},
    {"processing", PAYMENTS_SETUP_CHALLENGED, "requires_action"},
    {"processing", PAYMENTS_SETUP_VERIFIED, "succeeded"},
};

static void
test_every_move(void **state)
{
    (void)state;
    T_MACHINE_MOVES(&payments_setup_machine, legal);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_move),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
