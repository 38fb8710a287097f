#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "intent_machine.h"
#include "machine_testing.h"

/* The legal moves once more, written from the public API's description of the states. */
static const struct t_move legal[] = {
    {"requires_payment_method", PAYMENTS_MOVE_ATTACH, "requires_confirmation"},
    {"requires_payment_method", PAYMENTS_MOVE_UNSET, "requires_payment_method"},
    {"requires_payment_method", PAYMENTS_MOVE_UPDATE, "requires_payment_method"},
    {"requires_payment_method", PAYMENTS_MOVE_CANCEL, "canceled"},
    {"requires_confirmation", PAYMENTS_MOVE_ATTACH, "requires_confirmation"},
    {"requires_confirmation", PAYMENTS_MOVE_UNSET, "requires_payment_method"},
    {"requires_confirmation", PAYMENTS_MOVE_UPDATE, "requires_confirmation"},
    {"requires_confirmation", PAYMENTS_MOVE_CONFIRM, "processing"},
    {"requires_confirmation", PAYMENTS_MOVE_CANCEL, "canceled"},
    {"requires_action", PAYMENTS_MOVE_ATTACH, "requires_confirmation"},
    {"requires_action", PAYMENTS_MOVE_UPDATE, "requires_confirmation"},
    {"requires_action", PAYMENTS_MOVE_PASSED, "processing"},
    {"requires_action", PAYMENTS_MOVE_PROVEN, "requires_confirmation"},
    {"requires_action", PAYMENTS_MOVE_FAILED, "requires_payment_method"},
    {"requires_action", PAYMENTS_MOVE_CANCEL, "canceled"},
    {"processing", PAYMENTS_MOVE_CHALLENGED, "requires_action"},
    {"processing", PAYMENTS_MOVE_DECLINED, "requires_payment_method"},
    {"processing", PAYMENTS_MOVE_AUTHORIZED, "requires_capture"},
    {"processing", PAYMENTS_MOVE_CAPTURED, "succeeded"},
    {"requires_capture", PAYMENTS_MOVE_INCREMENT, "requires_capture"},
    {"requires_capture", PAYMENTS_MOVE_CAPTURE, "requires_capture"},
    {"requires_capture", PAYMENTS_MOVE_CAPTURED, "succeeded"},
    {"requires_capture", PAYMENTS_MOVE_CANCEL, "canceled"},
};

static void
test_every_move(void **state)
{
    (void)state;
    T_MACHINE_MOVES(&payments_intent_machine, legal);
}

static void
test_final_states_are_final(void **state)
{
    (void)state;
    t_machine_final(&payments_intent_machine, "succeeded");
    t_machine_final(&payments_intent_machine, "canceled");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_move),
        cmocka_unit_test(test_final_states_are_final),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
