#include "checkout_machine.h"

static const char *const status_names[PAYMENTS_CHECKOUT_STATUS_COUNT] = {
    [PAYMENTS_CHECKOUT_OPEN] = "open",
    [PAYMENTS_CHECKOUT_COMPLETE] = "complete",
    [PAYMENTS_CHECKOUT_EXPIRED] = "expired",
};

static const uint8_t moves[PAYMENTS_CHECKOUT_STATUS_COUNT][PAYMENTS_CHECKOUT_MOVE_COUNT] = {
    [PAYMENTS_CHECKOUT_OPEN] =
        {
            [PAYMENTS_CHECKOUT_CONFIRM] = MACHINE_TO(PAYMENTS_CHECKOUT_OPEN),
            [PAYMENTS_CHECKOUT_PAY] = MACHINE_TO(PAYMENTS_CHECKOUT_COMPLETE),
            [PAYMENTS_CHECKOUT_DROP] = MACHINE_TO(PAYMENTS_CHECKOUT_EXPIRED),
            [PAYMENTS_CHECKOUT_EXPIRE] = MACHINE_TO(PAYMENTS_CHECKOUT_EXPIRED),
        },
    [PAYMENTS_CHECKOUT_COMPLETE] =
        {
            [PAYMENTS_CHECKOUT_CAPTURE] = MACHINE_TO(PAYMENTS_CHECKOUT_COMPLETE),
            [PAYMENTS_CHECKOUT_DROP] = MACHINE_TO(PAYMENTS_CHECKOUT_COMPLETE),
        },
};

const struct machine payments_checkout_machine = MACHINE(status_names, moves);

const char *
payments_checkout_status_name(enum payments_checkout_status status)
{
    return machine_name(&payments_checkout_machine, status);
}

enum payments_checkout_status
payments_checkout_status_parse(struct span text)
{
    return machine_parse(&payments_checkout_machine, text);
}

bool
payments_checkout_move(
    enum payments_checkout_status from,
    enum payments_checkout_move move,
    enum payments_checkout_status *ret_to)
{
    uint32_t to;
    bool legal = machine_move(&payments_checkout_machine, from, move, &to);
    if (legal) {
        *ret_to = to;
    }
    return legal;
}
