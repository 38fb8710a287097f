#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "intent_machine.h"

/* The legal moves once more, written from the public API's description of the states: what is not
 * here must be refused. */
static const struct {
    const char *from;
    enum payments_intent_move move;
    const char *to;
} legal[] = {
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

static const char *
expected(enum payments_intent_status from, enum payments_intent_move move)
{
    for (size_t i = 0; i < sizeof(legal) / sizeof(legal[0]); i++) {
        if (payments_intent_status_parse(span_from_cstr(legal[i].from)) == from &&
            legal[i].move == move) {
            return legal[i].to;
        }
    }
    return NULL;
}

static void
test_every_move(void **state)
{
    (void)state;
    for (uint32_t from = 0; from < PAYMENTS_INTENT_STATUS_COUNT; from++) {
        for (uint32_t move = 0; move < PAYMENTS_INTENT_MOVE_COUNT; move++) {
            enum payments_intent_status to = PAYMENTS_PROCESSING;
            const char *target =
                expected((enum payments_intent_status)from, (enum payments_intent_move)move);
            bool allowed = payments_intent_move(
                (enum payments_intent_status)from, (enum payments_intent_move)move, &to);
            assert_int_equal(allowed, target != NULL);
            if (target != NULL) {
                assert_string_equal(payments_intent_status_name(to), target);
            }
        }
    }
}

static void
test_final_states_are_final(void **state)
{
    (void)state;
    enum payments_intent_status to;
    for (uint32_t move = 0; move < PAYMENTS_INTENT_MOVE_COUNT; move++) {
        assert_false(
            payments_intent_move(PAYMENTS_SUCCEEDED, (enum payments_intent_move)move, &to));
        assert_false(payments_intent_move(PAYMENTS_CANCELED, (enum payments_intent_move)move, &to));
    }
}

static void
test_names(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < PAYMENTS_INTENT_STATUS_COUNT; i++) {
        const char *name = payments_intent_status_name((enum payments_intent_status)i);
        assert_int_equal(payments_intent_status_parse(span_from_cstr(name)), i);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_move),
        cmocka_unit_test(test_final_states_are_final),
        cmocka_unit_test(test_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
