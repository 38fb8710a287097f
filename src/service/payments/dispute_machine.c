#include "dispute_machine.h"

#include "base/assert.h"

static const char *const status_names[PAYMENTS_DISPUTE_STATUS_COUNT] = {
    [PAYMENTS_DISPUTE_WARNING_NEEDS_RESPONSE] = "warning_needs_response",
    [PAYMENTS_DISPUTE_WARNING_UNDER_REVIEW] = "warning_under_review",
    [PAYMENTS_DISPUTE_WARNING_CLOSED] = "warning_closed",
    [PAYMENTS_DISPUTE_NEEDS_RESPONSE] = "needs_response",
    [PAYMENTS_DISPUTE_UNDER_REVIEW] = "under_review",
    [PAYMENTS_DISPUTE_WON] = "won",
    [PAYMENTS_DISPUTE_LOST] = "lost",
};

/* Legal moves: the target plus one, so that zero is "illegal". */
#define TO(status) (uint8_t)((status) + 1)

static const uint8_t moves[PAYMENTS_DISPUTE_STATUS_COUNT][PAYMENTS_DISPUTE_MOVE_COUNT] = {
    [PAYMENTS_DISPUTE_WARNING_NEEDS_RESPONSE] =
        {
            [PAYMENTS_DISPUTE_SUBMIT] = TO(PAYMENTS_DISPUTE_WARNING_UNDER_REVIEW),
            [PAYMENTS_DISPUTE_ESCALATE] = TO(PAYMENTS_DISPUTE_NEEDS_RESPONSE),
            [PAYMENTS_DISPUTE_CLOSE] = TO(PAYMENTS_DISPUTE_WARNING_CLOSED),
        },
    [PAYMENTS_DISPUTE_WARNING_UNDER_REVIEW] =
        {
            [PAYMENTS_DISPUTE_ESCALATE] = TO(PAYMENTS_DISPUTE_NEEDS_RESPONSE),
            [PAYMENTS_DISPUTE_CLOSE] = TO(PAYMENTS_DISPUTE_WARNING_CLOSED),
        },
    [PAYMENTS_DISPUTE_NEEDS_RESPONSE] =
        {
            [PAYMENTS_DISPUTE_SUBMIT] = TO(PAYMENTS_DISPUTE_UNDER_REVIEW),
            [PAYMENTS_DISPUTE_ACCEPT] = TO(PAYMENTS_DISPUTE_LOST),
            [PAYMENTS_DISPUTE_WIN] = TO(PAYMENTS_DISPUTE_WON),
            [PAYMENTS_DISPUTE_LOSE] = TO(PAYMENTS_DISPUTE_LOST),
        },
    [PAYMENTS_DISPUTE_UNDER_REVIEW] =
        {
            [PAYMENTS_DISPUTE_ACCEPT] = TO(PAYMENTS_DISPUTE_LOST),
            [PAYMENTS_DISPUTE_WIN] = TO(PAYMENTS_DISPUTE_WON),
            [PAYMENTS_DISPUTE_LOSE] = TO(PAYMENTS_DISPUTE_LOST),
        },
};

const char *
payments_dispute_status_name(enum payments_dispute_status status)
{
    ASSERT(status < PAYMENTS_DISPUTE_STATUS_COUNT);
    return status_names[status];
}

enum payments_dispute_status
payments_dispute_status_parse(struct span text)
{
    for (uint32_t i = 0; i < PAYMENTS_DISPUTE_STATUS_COUNT; i++) {
        if (span_equal_cstr(text, status_names[i])) {
            return (enum payments_dispute_status)i;
        }
    }
    UNREACHABLE();
}

bool
payments_dispute_move(
    enum payments_dispute_status from,
    enum payments_dispute_move move,
    enum payments_dispute_status *ret_to)
{
    ASSERT(from < PAYMENTS_DISPUTE_STATUS_COUNT);
    ASSERT(move < PAYMENTS_DISPUTE_MOVE_COUNT);
    uint8_t to = moves[from][move];
    if (to == 0) {
        return false;
    }
    *ret_to = (enum payments_dispute_status)(to - 1);
    return true;
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
