#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "dispute_machine.h"
#include "machine_testing.h"

/* The legal moves once more, written from the public API's description of the states. */
static const struct t_move legal[] = {
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

static void
test_every_move(void **state)
{
    (void)state;
    T_MACHINE_MOVES(&payments_dispute_machine, legal);
}

static void
test_final_states_are_final(void **state)
{
    (void)state;

    static const char *const finals[] = {"won", "lost", "warning_closed"};
    for (size_t i = 0; i < sizeof(finals) / sizeof(finals[0]); i++) {
        enum payments_dispute_status status =
            payments_dispute_status_parse(span_from_cstr(finals[i]));
        assert_false(payments_dispute_needs_response(status));
        assert_false(payments_dispute_is_inquiry(status));
        t_machine_final(&payments_dispute_machine, finals[i]);
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

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_move),
        cmocka_unit_test(test_final_states_are_final),
        cmocka_unit_test(test_inquiries),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
