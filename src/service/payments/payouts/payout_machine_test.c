#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "machine_testing.h"
#include "payout_machine.h"

/* The legal moves once more, written from the public API's description of the states. */
static const struct t_move legal[] = {
    {"pending", PAYMENTS_PAYOUT_LACK, "failed"},
    {"pending", PAYMENTS_PAYOUT_CANCEL, "canceled"},
    {"pending", PAYMENTS_PAYOUT_SUBMIT, "in_transit"},
    {"in_transit", PAYMENTS_PAYOUT_PAY, "paid"},
    {"in_transit", PAYMENTS_PAYOUT_REFUSE, "failed"},
    {"paid", PAYMENTS_PAYOUT_RETURN, "failed"},
};

static void
test_every_move(void **state)
{
    (void)state;
    T_MACHINE_MOVES(&payments_payout_machine, legal);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_move),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
