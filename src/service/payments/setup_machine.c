#include "setup_machine.h"

#include "base/assert.h"

static const char *const status_names[PAYMENTS_SETUP_STATUS_COUNT] = {
    [PAYMENTS_SETUP_REQUIRES_PAYMENT_METHOD] = "requires_payment_method",
    [PAYMENTS_SETUP_REQUIRES_CONFIRMATION] = "requires_confirmation",
    [PAYMENTS_SETUP_REQUIRES_ACTION] = "requires_action",
    [PAYMENTS_SETUP_PROCESSING] = "processing",
    [PAYMENTS_SETUP_SUCCEEDED] = "succeeded",
    [PAYMENTS_SETUP_CANCELED] = "canceled",
};

/* Legal moves: the target plus one, so that zero is "illegal". */
#define TO(status) (uint8_t)((status) + 1)

static const uint8_t moves[PAYMENTS_SETUP_STATUS_COUNT][PAYMENTS_SETUP_MOVE_COUNT] = {
    [PAYMENTS_SETUP_REQUIRES_PAYMENT_METHOD] =
        {
            [PAYMENTS_SETUP_ATTACH] = TO(PAYMENTS_SETUP_REQUIRES_CONFIRMATION),
            [PAYMENTS_SETUP_UNSET] = TO(PAYMENTS_SETUP_REQUIRES_PAYMENT_METHOD),
            [PAYMENTS_SETUP_CANCEL] = TO(PAYMENTS_SETUP_CANCELED),
        },
    [PAYMENTS_SETUP_REQUIRES_CONFIRMATION] =
        {
            [PAYMENTS_SETUP_ATTACH] = TO(PAYMENTS_SETUP_REQUIRES_CONFIRMATION),
            [PAYMENTS_SETUP_UNSET] = TO(PAYMENTS_SETUP_REQUIRES_PAYMENT_METHOD),
            [PAYMENTS_SETUP_CONFIRM] = TO(PAYMENTS_SETUP_PROCESSING),
            [PAYMENTS_SETUP_CANCEL] = TO(PAYMENTS_SETUP_CANCELED),
        },
    [PAYMENTS_SETUP_REQUIRES_ACTION] =
        {
            [PAYMENTS_SETUP_ATTACH] = TO(PAYMENTS_SETUP_REQUIRES_CONFIRMATION),
            [PAYMENTS_SETUP_UNSET] = TO(PAYMENTS_SETUP_REQUIRES_PAYMENT_METHOD),
            [PAYMENTS_SETUP_PASSED] = TO(PAYMENTS_SETUP_PROCESSING),
            [PAYMENTS_SETUP_FAILED] = TO(PAYMENTS_SETUP_REQUIRES_PAYMENT_METHOD),
            [PAYMENTS_SETUP_CANCEL] = TO(PAYMENTS_SETUP_CANCELED),
        },
    [PAYMENTS_SETUP_PROCESSING] =
        {
            [PAYMENTS_SETUP_DECLINED] = TO(PAYMENTS_SETUP_REQUIRES_PAYMENT_METHOD),
            [PAYMENTS_SETUP_CHALLENGED] = TO(PAYMENTS_SETUP_REQUIRES_ACTION),
            [PAYMENTS_SETUP_VERIFIED] = TO(PAYMENTS_SETUP_SUCCEEDED),
        },
};

const char *
payments_setup_status_name(enum payments_setup_status status)
{
    ASSERT(status < PAYMENTS_SETUP_STATUS_COUNT);
    return status_names[status];
}

bool
payments_setup_move(struct span *status, enum payments_setup_move move)
{
    uint32_t from = 0;
    ASSERT(move < PAYMENTS_SETUP_MOVE_COUNT);
    while (from < PAYMENTS_SETUP_STATUS_COUNT && !span_equal_cstr(*status, status_names[from])) {
        from++;
    }
    ASSERT(from < PAYMENTS_SETUP_STATUS_COUNT);
    uint8_t to = moves[from][move];
    if (to == 0) {
        return false;
    }
    *status = span_from_cstr(status_names[to - 1]);
    return true;
}
