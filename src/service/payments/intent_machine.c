#include "intent_machine.h"

static const char *const status_names[PAYMENTS_INTENT_STATUS_COUNT] = {
    [PAYMENTS_REQUIRES_PAYMENT_METHOD] = "requires_payment_method",
    [PAYMENTS_REQUIRES_CONFIRMATION] = "requires_confirmation",
    [PAYMENTS_REQUIRES_ACTION] = "requires_action",
    [PAYMENTS_PROCESSING] = "processing",
    [PAYMENTS_REQUIRES_CAPTURE] = "requires_capture",
    [PAYMENTS_SUCCEEDED] = "succeeded",
    [PAYMENTS_CANCELED] = "canceled",
};

static const uint8_t moves[PAYMENTS_INTENT_STATUS_COUNT][PAYMENTS_INTENT_MOVE_COUNT] = {
    [PAYMENTS_REQUIRES_PAYMENT_METHOD] =
        {
            [PAYMENTS_MOVE_ATTACH] = MACHINE_TO(PAYMENTS_REQUIRES_CONFIRMATION),
            [PAYMENTS_MOVE_UNSET] = MACHINE_TO(PAYMENTS_REQUIRES_PAYMENT_METHOD),
            [PAYMENTS_MOVE_UPDATE] = MACHINE_TO(PAYMENTS_REQUIRES_PAYMENT_METHOD),
            [PAYMENTS_MOVE_CANCEL] = MACHINE_TO(PAYMENTS_CANCELED),
        },
    [PAYMENTS_REQUIRES_CONFIRMATION] =
        {
            [PAYMENTS_MOVE_ATTACH] = MACHINE_TO(PAYMENTS_REQUIRES_CONFIRMATION),
            [PAYMENTS_MOVE_UNSET] = MACHINE_TO(PAYMENTS_REQUIRES_PAYMENT_METHOD),
            [PAYMENTS_MOVE_UPDATE] = MACHINE_TO(PAYMENTS_REQUIRES_CONFIRMATION),
            [PAYMENTS_MOVE_CONFIRM] = MACHINE_TO(PAYMENTS_PROCESSING),
            [PAYMENTS_MOVE_CANCEL] = MACHINE_TO(PAYMENTS_CANCELED),
        },
    [PAYMENTS_REQUIRES_ACTION] =
        {
            [PAYMENTS_MOVE_ATTACH] = MACHINE_TO(PAYMENTS_REQUIRES_CONFIRMATION),
            [PAYMENTS_MOVE_UPDATE] = MACHINE_TO(PAYMENTS_REQUIRES_CONFIRMATION),
            [PAYMENTS_MOVE_PASSED] = MACHINE_TO(PAYMENTS_PROCESSING),
            [PAYMENTS_MOVE_PROVEN] = MACHINE_TO(PAYMENTS_REQUIRES_CONFIRMATION),
            [PAYMENTS_MOVE_FAILED] = MACHINE_TO(PAYMENTS_REQUIRES_PAYMENT_METHOD),
            [PAYMENTS_MOVE_CANCEL] = MACHINE_TO(PAYMENTS_CANCELED),
        },
    [PAYMENTS_PROCESSING] =
        {
            [PAYMENTS_MOVE_CHALLENGED] = MACHINE_TO(PAYMENTS_REQUIRES_ACTION),
            [PAYMENTS_MOVE_DECLINED] = MACHINE_TO(PAYMENTS_REQUIRES_PAYMENT_METHOD),
            [PAYMENTS_MOVE_AUTHORIZED] = MACHINE_TO(PAYMENTS_REQUIRES_CAPTURE),
            [PAYMENTS_MOVE_CAPTURED] = MACHINE_TO(PAYMENTS_SUCCEEDED),
        },
    [PAYMENTS_REQUIRES_CAPTURE] =
        {
            [PAYMENTS_MOVE_INCREMENT] = MACHINE_TO(PAYMENTS_REQUIRES_CAPTURE),
            [PAYMENTS_MOVE_CAPTURE] = MACHINE_TO(PAYMENTS_REQUIRES_CAPTURE),
            [PAYMENTS_MOVE_CAPTURED] = MACHINE_TO(PAYMENTS_SUCCEEDED),
            [PAYMENTS_MOVE_CANCEL] = MACHINE_TO(PAYMENTS_CANCELED),
        },
};

const struct machine payments_intent_machine = MACHINE(status_names, moves);

const char *
payments_intent_status_name(enum payments_intent_status status)
{
    return machine_name(&payments_intent_machine, status);
}

enum payments_intent_status
payments_intent_status_parse(struct span text)
{
    return machine_parse(&payments_intent_machine, text);
}

bool
payments_intent_move(
    enum payments_intent_status from,
    enum payments_intent_move move,
    enum payments_intent_status *ret_to)
{
    uint32_t to;
    bool legal = machine_move(&payments_intent_machine, from, move, &to);
    if (legal) {
        *ret_to = to;
    }
    return legal;
}
