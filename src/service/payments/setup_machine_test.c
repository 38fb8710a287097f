#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "setup_machine.h"

/* The legal moves once more, written from the public API's description of the states: what is not
 * here must be refused. */
static const struct {
    const char *from;
    enum payments_setup_move move;
    const char *to;
} legal[] = {
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

static const char *
expected(const char *from, uint32_t move)
{
    for (size_t i = 0; i < sizeof(legal) / sizeof(legal[0]); i++) {
        if (span_equal_cstr(span_from_cstr(legal[i].from), from) && legal[i].move == move) {
            return legal[i].to;
        }
    }
    return NULL;
}

static void
test_every_move(void **state)
{
    (void)state;
    for (uint32_t from = 0; from < PAYMENTS_SETUP_STATUS_COUNT; from++) {
        for (uint32_t move = 0; move < PAYMENTS_SETUP_MOVE_COUNT; move++) {
            const char *name = payments_setup_status_name((enum payments_setup_status)from);
            const char *target = expected(name, move);
            struct span status = span_from_cstr(name);
            bool allowed = payments_setup_move(&status, (enum payments_setup_move)move);
            assert_int_equal(allowed, target != NULL);
            assert_true(span_equal_cstr(status, target != NULL ? target : name));
        }
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_move),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
