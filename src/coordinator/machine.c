#include "machine.h"

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

static const uint8_t moves[COORDINATOR_STATUS_COUNT][COORDINATOR_MOVE_COUNT] = {
    [COORDINATOR_PREPARING] =
        {
            [COORDINATOR_MOVE_VOTED] = MACHINE_TO(COORDINATOR_PREPARED),
            [COORDINATOR_MOVE_ABORT] = MACHINE_TO(COORDINATOR_ABORTING),
        },
    [COORDINATOR_PREPARED] =
        {
            [COORDINATOR_MOVE_COMMIT] = MACHINE_TO(COORDINATOR_COMMITTING),
            [COORDINATOR_MOVE_ABORT] = MACHINE_TO(COORDINATOR_ABORTING),
        },
    [COORDINATOR_COMMITTING] =
        {
            [COORDINATOR_MOVE_TOLD] = MACHINE_TO(COORDINATOR_COMMITTED),
            [COORDINATOR_MOVE_GIVE_UP] = MACHINE_TO(COORDINATOR_COMMIT_STUCK),
        },
    [COORDINATOR_COMMIT_STUCK] =
        {
            [COORDINATOR_MOVE_RETRY] = MACHINE_TO(COORDINATOR_COMMITTING),
            [COORDINATOR_MOVE_CONCLUDE] = MACHINE_TO(COORDINATOR_COMMITTED),
        },
    [COORDINATOR_ABORTING] =
        {
            [COORDINATOR_MOVE_TOLD] = MACHINE_TO(COORDINATOR_ABORTED),
            [COORDINATOR_MOVE_GIVE_UP] = MACHINE_TO(COORDINATOR_ABORT_STUCK),
        },
    [COORDINATOR_ABORT_STUCK] =
        {
            [COORDINATOR_MOVE_RETRY] = MACHINE_TO(COORDINATOR_ABORTING),
            [COORDINATOR_MOVE_CONCLUDE] = MACHINE_TO(COORDINATOR_ABORTED),
        },
};

static const struct machine machine = MACHINE(status_names, moves);

const char *
coordinator_status_name(enum coordinator_status status)
{
    return machine_name(&machine, status);
}

enum coordinator_status
coordinator_status_parse(struct span text)
{
    return machine_parse(&machine, text);
}

bool
coordinator_status_move(
    enum coordinator_status from, enum coordinator_move move, enum coordinator_status *ret_to)
{
    uint32_t to;
    bool legal = machine_move(&machine, from, move, &to);
    if (legal) {
        *ret_to = to;
    }
    return legal;
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
