#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "dispute_machine.h"

/* The legal moves once more, written from the public API's description of the states: what is not
 * here must be refused. */
static const struct {
    const char *from;
    enum payments_dispute_move move;
    const char *to;
} legal[] = {
    {"warning_needs_response", PAYMENTS_DISPUTE_SUBMIT, "warning_under_review"},
    {"warning_needs_response", PAYMENTS_DISPUTE_ESCALATE, "needs_response"},
    {"warning_needs_response", PAYMENTS_DISPUTE_CLOSE, "warning_closed"},
    {"warning_under_review", PAYMENTS_DISPUTE_ESCALATE, "needs_response"},
    {"warning_under_review", PAYMENTS_DISPUTE_CLOSE, "warning_closed"},
    {"needs_response", PAYMENTS_DISPUTE_SUBMIT, "under_review"},
    {"needs_response", PAYMENTS_DISPUTE_ACCEPT, "lost"},
    {"needs_response", PAYMENTS_DISPUTE_WIN, "won"},
    {"needs_response", PAYMENTS_DISPUTE_LOSE, "lost"},
    {"under_review", PAYMENTS_DISPUTE_ACCEPT, "lost"},
    {"under_review", PAYMENTS_DISPUTE_WIN, "won"},
    {"under_review", PAYMENTS_DISPUTE_LOSE, "lost"},
};

static const char *
expected(enum payments_dispute_status from, enum payments_dispute_move move)
{
    for (size_t i = 0; i < sizeof(legal) / sizeof(legal[0]); i++) {
        if (payments_dispute_status_parse(span_from_cstr(legal[i].from)) == from &&
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
    for (uint32_t from = 0; from < PAYMENTS_DISPUTE_STATUS_COUNT; from++) {
        for (uint32_t move = 0; move < PAYMENTS_DISPUTE_MOVE_COUNT; move++) {
            enum payments_dispute_status to = PAYMENTS_DISPUTE_LOST;
            const char *target =
                expected((enum payments_dispute_status)from, (enum payments_dispute_move)move);
            bool allowed = payments_dispute_move(
                (enum payments_dispute_status)from, (enum payments_dispute_move)move, &to);
            assert_int_equal(allowed, target != NULL);
            if (target != NULL) {
                assert_string_equal(payments_dispute_status_name(to), target);
            }
        }
    }
}

static void
test_final_states_are_final(void **state)
{
    (void)state;

    static const enum payments_dispute_status finals[] = {
        PAYMENTS_DISPUTE_WON, PAYMENTS_DISPUTE_LOST, PAYMENTS_DISPUTE_WARNING_CLOSED};
    enum payments_dispute_status to;
    for (uint32_t i = 0; i < 3; i++) {
        assert_false(payments_dispute_needs_response(finals[i]));
        assert_false(payments_dispute_is_inquiry(finals[i]));
        for (uint32_t move = 0; move < PAYMENTS_DISPUTE_MOVE_COUNT; move++) {
            assert_false(payments_dispute_move(finals[i], (enum payments_dispute_move)move, &to));
        }
    }
}

/* Money is taken back when an inquiry grows, and by no move of the merchant's. */
static void
test_inquiries(void **state)
{
    (void)state;
    for (uint32_t from = 0; from < PAYMENTS_DISPUTE_STATUS_COUNT; from++) {
        for (uint32_t move = 0; move < PAYMENTS_DISPUTE_MOVE_COUNT; move++) {
            enum payments_dispute_status to = PAYMENTS_DISPUTE_LOST;
            bool was = payments_dispute_is_inquiry((enum payments_dispute_status)from);
            if (payments_dispute_move(
                    (enum payments_dispute_status)from, (enum payments_dispute_move)move, &to) &&
                was) {
                bool stays =
                    payments_dispute_is_inquiry(to) || to == PAYMENTS_DISPUTE_WARNING_CLOSED;
                assert_int_equal(stays, move != PAYMENTS_DISPUTE_ESCALATE);
            }
        }
    }
}

static void
test_names(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < PAYMENTS_DISPUTE_STATUS_COUNT; i++) {
        const char *name = payments_dispute_status_name((enum payments_dispute_status)i);
        assert_int_equal(payments_dispute_status_parse(span_from_cstr(name)), i);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_move),
        cmocka_unit_test(test_final_states_are_final),
        cmocka_unit_test(test_inquiries),
        cmocka_unit_test(test_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
