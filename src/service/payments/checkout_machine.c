#include "checkout_machine.h"

#include "base/assert.h"

static const char *const status_names[PAYMENTS_CHECKOUT_STATUS_COUNT] = {
    [PAYMENTS_CHECKOUT_OPEN] = "open",
    [PAYMENTS_CHECKOUT_COMPLETE] = "complete",
    [PAYMENTS_CHECKOUT_EXPIRED] = "expired",
};

/* Legal moves: the target plus one, so that zero is "illegal". */
#define TO(status) (uint8_t)((status) + 1)

static const uint8_t moves[PAYMENTS_CHECKOUT_STATUS_COUNT][PAYMENTS_CHECKOUT_MOVE_COUNT] = {
    [PAYMENTS_CHECKOUT_OPEN] =
        {
            [PAYMENTS_CHECKOUT_CONFIRM] = TO(PAYMENTS_CHECKOUT_OPEN),
            [PAYMENTS_CHECKOUT_PAY] = TO(PAYMENTS_CHECKOUT_COMPLETE),
            [PAYMENTS_CHECKOUT_DROP] = TO(PAYMENTS_CHECKOUT_EXPIRED),
            [PAYMENTS_CHECKOUT_EXPIRE] = TO(PAYMENTS_CHECKOUT_EXPIRED),
        },
    [PAYMENTS_CHECKOUT_COMPLETE] =
        {
            [PAYMENTS_CHECKOUT_CAPTURE] = TO(PAYMENTS_CHECKOUT_COMPLETE),
            [PAYMENTS_CHECKOUT_DROP] = TO(PAYMENTS_CHECKOUT_COMPLETE),
        },
};

const char *
payments_checkout_status_name(enum payments_checkout_status status)
{
    ASSERT(status < PAYMENTS_CHECKOUT_STATUS_COUNT);
    return status_names[status];
}

enum payments_checkout_status
payments_checkout_status_parse(struct span text)
{
    for (uint32_t i = 0; i < PAYMENTS_CHECKOUT_STATUS_COUNT; i++) {
        if (span_equal_cstr(text, status_names[i])) {
            return (enum payments_checkout_status)i;
        }
    }
    UNREACHABLE();
}

bool
payments_checkout_move(
    enum payments_checkout_status from,
    enum payments_checkout_move move,
    enum payments_checkout_status *ret_to)
{
    ASSERT(from < PAYMENTS_CHECKOUT_STATUS_COUNT);
    ASSERT(move < PAYMENTS_CHECKOUT_MOVE_COUNT);
    uint8_t to = moves[from][move];
    if (to == 0) {
        return false;
    }
    *ret_to = (enum payments_checkout_status)(to - 1);
    return true;
}
