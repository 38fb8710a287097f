#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "payout_machine.h"

/* The legal moves once more, written from the public API's description of the states: what is not
 * here must be refused, and leave the status as it is. */
static const struct {
    const char *from;
    enum payments_payout_move move;
    const char *to;
} legal[] = {
    {"pending", PAYMENTS_PAYOUT_LACK, "failed"},
    {"pending", PAYMENTS_PAYOUT_CANCEL, "canceled"},
    {"pending", PAYMENTS_PAYOUT_SUBMIT, "in_transit"},
    {"in_transit", PAYMENTS_PAYOUT_PAY, "paid"},
    {"in_transit", PAYMENTS_PAYOUT_REFUSE, "failed"},
    {"paid", PAYMENTS_PAYOUT_RETURN, "failed"},
};

static const char *
expected(const char *from, enum payments_payout_move move)
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
    size_t count = 0;
    for (; payments_payout_statuses[count] != NULL; count++) {
        const char *from = payments_payout_statuses[count];
        for (int i = 0; i < PAYMENTS_PAYOUT_MOVE_COUNT; i++) {
            enum payments_payout_move move = (enum payments_payout_move)i;
            const char *to = expected(from, move);
            struct span status = span_from_cstr(from);
            assert_int_equal(payments_payout_move(&status, move), to != NULL);
            assert_true(span_equal_cstr(status, to != NULL ? to : from));
        }
    }
    assert_int_equal(count, 5);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_move),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
