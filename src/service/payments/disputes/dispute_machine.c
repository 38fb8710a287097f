#include "dispute_machine.h"

static const char *const status_names[PAYMENTS_DISPUTE_STATUS_COUNT] = {
    [PAYMENTS_DISPUTE_WARNING_NEEDS_RESPONSE] = "warning_needs_response",
    [PAYMENTS_DISPUTE_WARNING_UNDER_REVIEW] = "warning_under_review",
    [PAYMENTS_DISPUTE_WARNING_CLOSED] = "warning_closed",
    [PAYMENTS_DISPUTE_NEEDS_RESPONSE] = "needs_response",
    [PAYMENTS_DISPUTE_UNDER_REVIEW] = "under_review",
    [PAYMENTS_DISPUTE_WON] = "won",
    [PAYMENTS_DISPUTE_LOST] = "lost",
};

static const uint8_t moves[PAYMENTS_DISPUTE_STATUS_COUNT][PAYMENTS_DISPUTE_MOVE_COUNT] = {
    [PAYMENTS_DISPUTE_WARNING_NEEDS_RESPONSE] =
        {
            [PAYMENTS_DISPUTE_SUBMIT] = MACHINE_TO(PAYMENTS_DISPUTE_WARNING_UNDER_REVIEW),
            [PAYMENTS_DISPUTE_ESCALATE] = MACHINE_TO(PAYMENTS_DISPUTE_NEEDS_RESPONSE),
            [PAYMENTS_DISPUTE_CLOSE] = MACHINE_TO(PAYMENTS_DISPUTE_WARNING_CLOSED),
        },
    [PAYMENTS_DISPUTE_WARNING_UNDER_REVIEW] =
        {
            [PAYMENTS_DISPUTE_ESCALATE] = MACHINE_TO(PAYMENTS_DISPUTE_NEEDS_RESPONSE),
            [PAYMENTS_DISPUTE_CLOSE] = MACHINE_TO(PAYMENTS_DISPUTE_WARNING_CLOSED),
        },
    [PAYMENTS_DISPUTE_NEEDS_RESPONSE] =
        {
            [PAYMENTS_DISPUTE_SUBMIT] = MACHINE_TO(PAYMENTS_DISPUTE_UNDER_REVIEW),
            [PAYMENTS_DISPUTE_ACCEPT] = MACHINE_TO(PAYMENTS_DISPUTE_LOST),
            [PAYMENTS_DISPUTE_WIN] = MACHINE_TO(PAYMENTS_DISPUTE_WON),
            [PAYMENTS_DISPUTE_LOSE] = MACHINE_TO(PAYMENTS_DISPUTE_LOST),
        },
    [PAYMENTS_DISPUTE_UNDER_REVIEW] =
        {
            [PAYMENTS_DISPUTE_ACCEPT] = MACHINE_TO(PAYMENTS_DISPUTE_LOST),
            [PAYMENTS_DISPUTE_WIN] = MACHINE_TO(PAYMENTS_DISPUTE_WON),
            [PAYMENTS_DISPUTE_LOSE] = MACHINE_TO(PAYMENTS_DISPUTE_LOST),
        },
};

const struct machine payments_dispute_machine = MACHINE(status_names, moves);

const char *
payments_dispute_status_name(enum payments_dispute_status status)
{
    return machine_name(&payments_dispute_machine, status);
}

enum payments_dispute_status
payments_dispute_status_parse(struct span text)
{
    return machine_parse(&payments_dispute_machine, text);
}

bool
payments_dispute_move(
    enum payments_dispute_status from,
    enum payments_dispute_move move,
    enum payments_dispute_status *ret_to)
{
    uint32_t to;
    bool legal = machine_move(&payments_dispute_machine, from, move, &to);
    if (legal) {
        *ret_to = to;
    }
    return legal;
}

bool
payments_dispute_is_inquiry(enum payments_dispute_status status)
{
    return status == PAYMENTS_DISPUTE_WARNING_NEEDS_RESPONSE ||
           status == PAYMENTS_DISPUTE_WARNING_UNDER_REVIEW;
}

bool
payments_dispute_needs_response(enum payments_dispute_status status)
{
    return status == PAYMENTS_DISPUTE_WARNING_NEEDS_RESPONSE ||
           status == PAYMENTS_DISPUTE_NEEDS_RESPONSE;
}
