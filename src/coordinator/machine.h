/*
 * The states of a transaction, and the one table that says which move is legal.
 *
 *      coordinator_begin
 *            |
 *            v
 *        preparing ------------------ abort ---------------+
 *            | voted (prepare.c: all said yes)             |
 *            v                                             v
 *        prepared -------------------- abort --------> aborting -- told (tell.c) --> aborted
 *            | commit (coordinator_decide)              |    ^                          ^
 *            v                                  give up |    | retry                    |
 *        committing -- told --> committed               v    |                          |
 *         |     ^                   ^               abort_stuck ------- conclude -------+
 * give up |     | retry             |
 *         v     |                   |                   give up, retry, conclude: tell.c,
 *      commit_stuck -- conclude ----+                   resolve.c
 *
 * Only `prepared` leads to `committing`: COORDINATOR-3. Nothing leads from one decision to the
 * other: COORDINATOR-2.
 */
#ifndef COORDINATOR_MACHINE_H
#define COORDINATOR_MACHINE_H

#include "base/machine.h"

enum coordinator_status {
    COORDINATOR_PREPARING,
    COORDINATOR_PREPARED,
    COORDINATOR_COMMITTING,
    COORDINATOR_COMMITTED,
    COORDINATOR_COMMIT_STUCK,
    COORDINATOR_ABORTING,
    COORDINATOR_ABORTED,
    COORDINATOR_ABORT_STUCK,
    COORDINATOR_STATUS_COUNT,
};

enum coordinator_move {
    COORDINATOR_MOVE_VOTED,    /* all said yes */
    COORDINATOR_MOVE_COMMIT,   /* the owner decides */
    COORDINATOR_MOVE_ABORT,    /* likewise */
    COORDINATOR_MOVE_TOLD,     /* every member has confirmed */
    COORDINATOR_MOVE_GIVE_UP,  /* one does not confirm: a person must look */
    COORDINATOR_MOVE_RETRY,    /* ... who has it told again */
    COORDINATOR_MOVE_CONCLUDE, /* ... or has made the participant agree by other means */
    COORDINATOR_MOVE_COUNT,
};

/* "commit_stuck". */
const char *coordinator_status_name(enum coordinator_status status);
/* Of a stored one: it is known. */
enum coordinator_status coordinator_status_parse(struct span text);
/* False if the move is not legal. */
bool coordinator_status_move(
    enum coordinator_status from, enum coordinator_move move, enum coordinator_status *ret_to);

/* Nothing is left to do for it. */
bool coordinator_status_is_over(enum coordinator_status status);
/* It waits for a person. */
bool coordinator_status_is_stuck(enum coordinator_status status);
/* Members are being told. */
bool coordinator_status_is_telling(enum coordinator_status status);
/* It was decided, and to commit. */
bool coordinator_status_commits(enum coordinator_status status);
bool coordinator_status_aborts(enum coordinator_status status);

#endif
