#include "payout_machine.h"

enum {
    PENDING,
    IN_TRANSIT,
    PAID,
    FAILED,
    CANCELED,
    STATUSES,
};

const char *const payments_payout_statuses[] = {
    [PENDING] = "pending",
    [IN_TRANSIT] = "in_transit",
    [PAID] = "paid",
    [FAILED] = "failed",
    [CANCELED] = "canceled",
    [STATUSES] = NULL,
};

static const uint8_t moves[STATUSES][PAYMENTS_PAYOUT_MOVE_COUNT] = {
    [PENDING] =
        {
            [PAYMENTS_PAYOUT_LACK] = MACHINE_TO(FAILED),
            [PAYMENTS_PAYOUT_SUBMIT] = MACHINE_TO(IN_TRANSIT),
            [PAYMENTS_PAYOUT_CANCEL] = MACHINE_TO(CANCELED),
        },
    [IN_TRANSIT] =
        {
            [PAYMENTS_PAYOUT_PAY] = MACHINE_TO(PAID),
            [PAYMENTS_PAYOUT_REFUSE] = MACHINE_TO(FAILED),
        },
    [PAID] = {[PAYMENTS_PAYOUT_RETURN] = MACHINE_TO(FAILED)},
};

const struct machine payments_payout_machine = MACHINE(payments_payout_statuses, moves);

bool
payments_payout_move(struct span *status, enum payments_payout_move move)
{
    return machine_move_text(&payments_payout_machine, status, move);
}
