#include "payout_machine.h"

#include "base/assert.h"

#define PENDING    "pending"
#define IN_TRANSIT "in_transit"
#define PAID       "paid"
#define FAILED     "failed"
#define CANCELED   "canceled"

const char *const payments_payout_statuses[] = {PENDING, IN_TRANSIT, PAID, FAILED, CANCELED, NULL};

static const struct {
    const char *from;
    const char *to;
} moves[PAYMENTS_PAYOUT_MOVE_COUNT] = {
    [PAYMENTS_PAYOUT_LACK] = {PENDING, FAILED},
    [PAYMENTS_PAYOUT_SUBMIT] = {PENDING, IN_TRANSIT},
    [PAYMENTS_PAYOUT_PAY] = {IN_TRANSIT, PAID},
    [PAYMENTS_PAYOUT_REFUSE] = {IN_TRANSIT, FAILED},
    [PAYMENTS_PAYOUT_RETURN] = {PAID, FAILED},
    [PAYMENTS_PAYOUT_CANCEL] = {PENDING, CANCELED},
};

static bool
is_status(struct span text)
{
    for (size_t i = 0; payments_payout_statuses[i] != NULL; i++) {
        if (span_equal_cstr(text, payments_payout_statuses[i])) {
            return true;
        }
    }
    return false;
}

bool
payments_payout_move(struct span *status, enum payments_payout_move move)
{
    ASSERT(move < PAYMENTS_PAYOUT_MOVE_COUNT);
    ASSERT(is_status(*status));
    if (!span_equal_cstr(*status, moves[move].from)) {
        return false;
    }
    *status = span_from_cstr(moves[move].to);
    return true;
}
