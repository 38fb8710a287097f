#include "machine.h"

#include "base/assert.h"

static const char *const status_names[COORDINATOR_STATUS_COUNT] = {
    [COORDINATOR_PREPARING] = "preparing",
    [COORDINATOR_PREPARED] = "prepared",
    [COORDINATOR_COMMITTING] = "committing",
    [COORDINATOR_COMMITTED] = "committed",
    [COORDINATOR_COMMIT_STUCK] = "commit_stuck",
    [COORDINATOR_ABORTING] = "aborting",
    [COORDINATOR_ABORTED] = "aborted",
    [COORDINATOR_ABORT_STUCK] = "abort_stuck",
};

/* Legal moves: the target plus one, so that zero is "illegal". */
#define TO(status) (uint8_t)((status) + 1)

static const uint8_t moves[COORDINATOR_STATUS_COUNT][COORDINATOR_MOVE_COUNT] = {
    [COORDINATOR_PREPARING] =
        {
            [COORDINATOR_MOVE_VOTED] = TO(COORDINATOR_PREPARED),
            [COORDINATOR_MOVE_ABORT] = TO(COORDINATOR_ABORTING),
        },
    [COORDINATOR_PREPARED] =
        {
            [COORDINATOR_MOVE_COMMIT] = TO(COORDINATOR_COMMITTING),
            [COORDINATOR_MOVE_ABORT] = TO(COORDINATOR_ABORTING),
        },
    [COORDINATOR_COMMITTING] =
        {
            [COORDINATOR_MOVE_TOLD] = TO(COORDINATOR_COMMITTED),
            [COORDINATOR_MOVE_GIVE_UP] = TO(COORDINATOR_COMMIT_STUCK),
        },
    [COORDINATOR_COMMIT_STUCK] =
        {
            [COORDINATOR_MOVE_RETRY] = TO(COORDINATOR_COMMITTING),
            [COORDINATOR_MOVE_CONCLUDE] = TO(COORDINATOR_COMMITTED),
        },
    [COORDINATOR_ABORTING] =
        {
            [COORDINATOR_MOVE_TOLD] = TO(COORDINATOR_ABORTED),
            [COORDINATOR_MOVE_GIVE_UP] = TO(COORDINATOR_ABORT_STUCK),
        },
    [COORDINATOR_ABORT_STUCK] =
        {
            [COORDINATOR_MOVE_RETRY] = TO(COORDINATOR_ABORTING),
            [COORDINATOR_MOVE_CONCLUDE] = TO(COORDINATOR_ABORTED),
        },
};

const char *
coordinator_status_name(enum coordinator_status status)
{
    ASSERT(status < COORDINATOR_STATUS_COUNT);
    return status_names[status];
}

enum coordinator_status
coordinator_status_parse(struct span text)
{
    for (uint32_t i = 0; i < COORDINATOR_STATUS_COUNT; i++) {
        if (span_equal_cstr(text, status_names[i])) {
            return (enum coordinator_status)i;
        }
    }
    UNREACHABLE();
}

bool
coordinator_status_move(
    enum coordinator_status from, enum coordinator_move move, enum coordinator_status *ret_to)
{
    ASSERT(from < COORDINATOR_STATUS_COUNT);
    ASSERT(move < COORDINATOR_MOVE_COUNT);
    uint8_t to = moves[from][move];
    if (to == 0) {
        return false;
    }
    *ret_to = (enum coordinator_status)(to - 1);
    return true;
}

bool
coordinator_status_is_over(enum coordinator_status status)
{
    return status == COORDINATOR_COMMITTED || status == COORDINATOR_ABORTED;
}

bool
coordinator_status_is_stuck(enum coordinator_status status)
{
    return status == COORDINATOR_COMMIT_STUCK || status == COORDINATOR_ABORT_STUCK;
}

bool
coordinator_status_is_telling(enum coordinator_status status)
{
    return status == COORDINATOR_COMMITTING || status == COORDINATOR_ABORTING;
}

bool
coordinator_status_commits(enum coordinator_status status)
{
    return status == COORDINATOR_COMMITTING || status == COORDINATOR_COMMITTED ||
           status == COORDINATOR_COMMIT_STUCK;
}

bool
coordinator_status_aborts(enum coordinator_status status)
{
    return status == COORDINATOR_ABORTING || status == COORDINATOR_ABORTED ||
           status == COORDINATOR_ABORT_STUCK;
}
