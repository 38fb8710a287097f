/*
 * A participant, as its durable records tell.
 *
 * A ledger needs no code for it: its records, and the results of the batches that commit_build()
 * makes, are this machine. Who takes part without a ledger (a card rail, a bank) keeps one of these
 * per transaction; tests hold ledgers against it.
 *
 *   - Each move is durable before it is answered (COMMIT-2). What is asked again is answered as
 *     before, from the state.
 *   - EMPTY is where nothing is written. Asked to bury, it refuses: what arrives later finds that.
 */
#ifndef COMMIT_MEMBER_H
#define COMMIT_MEMBER_H

#include <stdbool.h>

enum commit_member {
    COMMIT_MEMBER_EMPTY = 0,
    COMMIT_MEMBER_PREPARED, /* yes: kept until post or void */
    COMMIT_MEMBER_DECIDED,  /* 2PC's first slot: the decision, and booked */
    COMMIT_MEMBER_REFUSED,  /* never */
    COMMIT_MEMBER_POSTED,
    COMMIT_MEMBER_VOIDED,
};

enum commit_member_event {
    COMMIT_MEMBER_PREPARE,
    COMMIT_MEMBER_DECIDE,
    COMMIT_MEMBER_REFUSE,
    COMMIT_MEMBER_POST,
    COMMIT_MEMBER_VOID,
};

/* False, and nothing changed, if the table has no such move. */
bool commit_member_move(enum commit_member *member, enum commit_member_event event);

#endif
