#include "checkout_machine.h"

enum {
    OPEN,
    COMPLETE,
    EXPIRED,
    STATUSES,
};

const char *const payments_checkout_statuses[] = {
    [OPEN] = "open",
    [COMPLETE] = "complete",
    [EXPIRED] = "expired",
    [STATUSES] = NULL,
};

static const uint8_t moves[STATUSES][PAYMENTS_CHECKOUT_MOVE_COUNT] = {
    [OPEN] =
        {
            [PAYMENTS_CHECKOUT_CONFIRM] = MACHINE_TO(OPEN),
            [PAYMENTS_CHECKOUT_PAY] = MACHINE_TO(COMPLETE),
            [PAYMENTS_CHECKOUT_DROP] = MACHINE_TO(EXPIRED),
            [PAYMENTS_CHECKOUT_EXPIRE] = MACHINE_TO(EXPIRED),
        },
    [COMPLETE] =
        {
            [PAYMENTS_CHECKOUT_CAPTURE] = MACHINE_TO(COMPLETE),
            [PAYMENTS_CHECKOUT_DROP] = MACHINE_TO(COMPLETE),
        },
};

const struct machine payments_checkout_machine = MACHINE(payments_checkout_statuses, moves);

bool
payments_checkout_move(struct span *status, enum payments_checkout_move move)
{
    return machine_move_text(&payments_checkout_machine, status, move);
}
