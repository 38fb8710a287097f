#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "checkout_machine.h"

/* The legal moves once more, from what the public API promises: what is not here is refused. */
static const struct {
    const char *from;
    enum payments_checkout_move move;
    const char *to;
} legal[] = {
    {"open", PAYMENTS_CHECKOUT_CONFIRM, "open"},
    {"open", PAYMENTS_CHECKOUT_PAY, "complete"},
    {"open", PAYMENTS_CHECKOUT_DROP, "expired"},
    {"open", PAYMENTS_CHECKOUT_EXPIRE, "expired"},
    {"complete", PAYMENTS_CHECKOUT_CAPTURE, "complete"},
    {"complete", PAYMENTS_CHECKOUT_DROP, "complete"},
};

static const char *
expected(enum payments_checkout_status from, enum payments_checkout_move move)
{
    for (size_t i = 0; i < sizeof(legal) / sizeof(legal[0]); i++) {
        if (payments_checkout_status_parse(span_from_cstr(legal[i].from)) == from &&
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
    for (uint32_t from = 0; from < PAYMENTS_CHECKOUT_STATUS_COUNT; from++) {
        for (uint32_t move = 0; move < PAYMENTS_CHECKOUT_MOVE_COUNT; move++) {
            enum payments_checkout_status to = (enum payments_checkout_status)from;
            bool moved = payments_checkout_move(
                (enum payments_checkout_status)from, (enum payments_checkout_move)move, &to);
            const char *wanted =
                expected((enum payments_checkout_status)from, (enum payments_checkout_move)move);
            assert_int_equal(moved, wanted != NULL);
            if (moved) {
                assert_string_equal(payments_checkout_status_name(to), wanted);
            }
            if (from != PAYMENTS_CHECKOUT_OPEN) {
                assert_int_equal(to, from); /* CHECKOUT-1 */
            }
        }
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_every_move)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
