#include "intent_machine.h"

#include "base/assert.h"

static const char *const status_names[PAYMENTS_INTENT_STATUS_COUNT] = {
    [PAYMENTS_REQUIRES_PAYMENT_METHOD] = "requires_payment_method",
    [PAYMENTS_REQUIRES_CONFIRMATION] = "requires_confirmation",
    [PAYMENTS_REQUIRES_ACTION] = "requires_action",
    [PAYMENTS_PROCESSING] = "processing",
    [PAYMENTS_REQUIRES_CAPTURE] = "requires_capture",
    [PAYMENTS_SUCCEEDED] = "succeeded",
    [PAYMENTS_CANCELED] = "canceled",
};

/* Legal moves: the target plus one, so that zero is "illegal". */
#define TO(status) (uint8_t)((status) + 1)

static const uint8_t moves[PAYMENTS_INTENT_STATUS_COUNT][PAYMENTS_INTENT_MOVE_COUNT] = {
    [PAYMENTS_REQUIRES_PAYMENT_METHOD] =
        {
            [PAYMENTS_MOVE_ATTACH] = TO(PAYMENTS_REQUIRES_CONFIRMATION),
            [PAYMENTS_MOVE_UNSET] = TO(PAYMENTS_REQUIRES_PAYMENT_METHOD),
            [PAYMENTS_MOVE_UPDATE] = TO(PAYMENTS_REQUIRES_PAYMENT_METHOD),
            [PAYMENTS_MOVE_CANCEL] = TO(PAYMENTS_CANCELED),
        },
    [PAYMENTS_REQUIRES_CONFIRMATION] =
        {
            [PAYMENTS_MOVE_ATTACH] = TO(PAYMENTS_REQUIRES_CONFIRMATION),
            [PAYMENTS_MOVE_UNSET] = TO(PAYMENTS_REQUIRES_PAYMENT_METHOD),
            [PAYMENTS_MOVE_UPDATE] = TO(PAYMENTS_REQUIRES_CONFIRMATION),
            [PAYMENTS_MOVE_CONFIRM] = TO(PAYMENTS_PROCESSING),
            [PAYMENTS_MOVE_CANCEL] = TO(PAYMENTS_CANCELED),
        },
    [PAYMENTS_REQUIRES_ACTION] =
        {
            [PAYMENTS_MOVE_ATTACH] = TO(PAYMENTS_REQUIRES_CONFIRMATION),
            [PAYMENTS_MOVE_UPDATE] = TO(PAYMENTS_REQUIRES_CONFIRMATION),
            [PAYMENTS_MOVE_PASSED] = TO(PAYMENTS_PROCESSING),
            [PAYMENTS_MOVE_PROVEN] = TO(PAYMENTS_REQUIRES_CONFIRMATION),
            [PAYMENTS_MOVE_FAILED] = TO(PAYMENTS_REQUIRES_PAYMENT_METHOD),
            [PAYMENTS_MOVE_CANCEL] = TO(PAYMENTS_CANCELED),
        },
    [PAYMENTS_PROCESSING] =
        {
            [PAYMENTS_MOVE_CHALLENGED] = TO(PAYMENTS_REQUIRES_ACTION),
            [PAYMENTS_MOVE_DECLINED] = TO(PAYMENTS_REQUIRES_PAYMENT_METHOD),
            [PAYMENTS_MOVE_AUTHORIZED] = TO(PAYMENTS_REQUIRES_CAPTURE),
            [PAYMENTS_MOVE_CAPTURED] = TO(PAYMENTS_SUCCEEDED),
        },
    [PAYMENTS_REQUIRES_CAPTURE] =
        {
            [PAYMENTS_MOVE_INCREMENT] = TO(PAYMENTS_REQUIRES_CAPTURE),
            [PAYMENTS_MOVE_CAPTURE] = TO(PAYMENTS_REQUIRES_CAPTURE),
            [PAYMENTS_MOVE_CAPTURED] = TO(PAYMENTS_SUCCEEDED),
            [PAYMENTS_MOVE_CANCEL] = TO(PAYMENTS_CANCELED),
        },
};

const char *
payments_intent_status_name(enum payments_intent_status status)
{
    ASSERT(status < PAYMENTS_INTENT_STATUS_COUNT);
    return status_names[status];
}

enum payments_intent_status
payments_intent_status_parse(struct span text)
{
    for (uint32_t i = 0; i < PAYMENTS_INTENT_STATUS_COUNT; i++) {
        if (span_equal_cstr(text, status_names[i])) {
            return (enum payments_intent_status)i;
        }
    }
    UNREACHABLE();
}

bool
payments_intent_move(
    enum payments_intent_status from,
    enum payments_intent_move move,
    enum payments_intent_status *ret_to)
{
    ASSERT(from < PAYMENTS_INTENT_STATUS_COUNT);
    ASSERT(move < PAYMENTS_INTENT_MOVE_COUNT);
    uint8_t to = moves[from][move];
    if (to == 0) {
        return false;
    }
    *ret_to = (enum payments_intent_status)(to - 1);
    return true;
}
