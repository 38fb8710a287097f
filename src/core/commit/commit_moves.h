/*
 * The legal transitions, once: the C code moves through these tables and nowhere else, and a test
 * compares them with the models in tests/model/commit.
 *
 * Two-phase commit. F is the first slot. On the arrows: the event, and who raises it.
 *
 *   START --begin: commit_begin--> PREPARING --all_prepared: take_prepare--> DECIDING
 *     |                             |      |                                 |  |  |
 *     |                             |      |refused: take_prepare            |  |  |decided:
 *     |conclude:            conclude:      |         refused: take_decide    |  |  |take_decide
 *     |commit_resume  commit_conclude      v    +----------------------------+  |  |
 *     |                             |    ABORTED<--refused: take_inquiry--+     |  |
 *     |                             v        |                            |     |  |
 *     +-----------------------> INQUIRING ---|----------------------------+     |  |
 *                                ^   |       |                conclude:         |  |
 *                                |   |       |                commit_conclude   |  |
 *                                +---|-------|----------------------------------+  |
 *                                    |       |all_voided: take_void                |
 *              decided: take_inquiry |       v                                     |
 *                                    |     VOIDED                                  |
 *                                    +--> COMMITTED <------------------------------+
 *                                            |all_posted: take_post
 *                                            v
 *                                          POSTED
 *
 * Three-phase commit. Ballot 0 is the coordinators', and can only say commit.
 *
 *   START --begin: commit_begin--> PREPARING --all_prepared: take_prepare--> PRECOMMITTING
 *     |                             |      |refused: take_prepare              |  |  |
 *     |conclude:            conclude:      +--> ABORTED                conclude|  |  |
 *     |commit_resume  commit_conclude                                 +--------+  |  |
 *     |                             v                                 |   outbid: |  |
 *     +--------------------> PROMISING <------------------------------+  take_pre-|  |
 *                             |  |  ^  |outbid: weigh                     commit  |  |
 *                             |  |  |  +--------------------> OUTBID <-----------+  |
 *     refused: weigh, take_   |  |  |    conclude: commit_conclude |  ^               |
 *     append ABORTED <--------+  |  +------------------------------+  |outbid: weigh  |
 *                                |promised: weigh                     |              |
 *                                v                                    |              |
 *                            ACCEPTING -------------------------------+     accepted:|
 *                             |  |  |refused: weigh -> ABORTED            take_pre-  |
 *     abort_accepted: weigh   |  |commit_accepted: weigh                    commit   |
 *     ABORTED <---------------+  +--> COMMITTED <------------------------------------+
 *
 *   COMMITTED --all_posted: take_post--> POSTED      ABORTED --all_voided: take_void--> VOIDED
 */
#ifndef COMMIT_MOVES_H
#define COMMIT_MOVES_H

#define COMMIT_EVENTS(X)                                                                           \
    X(begin)                                                                                       \
    X(conclude)                                                                                    \
    X(all_prepared)                                                                                \
    X(refused)                                                                                     \
    X(decided)                                                                                     \
    X(commit_accepted)                                                                             \
    X(abort_accepted)                                                                              \
    X(promised)                                                                                    \
    X(outbid)                                                                                      \
    X(all_posted)                                                                                  \
    X(all_voided)

/* from, event, to */
#define COMMIT_2PC_MOVES(X)                                                                        \
    X(START, begin, PREPARING)                                                                     \
    X(START, conclude, INQUIRING)                                                                  \
    X(PREPARING, all_prepared, DECIDING)                                                           \
    X(PREPARING, refused, ABORTED)                                                                 \
    X(PREPARING, conclude, INQUIRING)                                                              \
    X(DECIDING, decided, COMMITTED)                                                                \
    X(DECIDING, refused, ABORTED)                                                                  \
    X(DECIDING, conclude, INQUIRING)                                                               \
    X(INQUIRING, decided, COMMITTED)                                                               \
    X(INQUIRING, refused, ABORTED)                                                                 \
    X(COMMITTED, all_posted, POSTED)                                                               \
    X(ABORTED, all_voided, VOIDED)

#define COMMIT_3PC_MOVES(X)                                                                        \
    X(START, begin, PREPARING)                                                                     \
    X(START, conclude, PROMISING)                                                                  \
    X(PREPARING, all_prepared, PRECOMMITTING)                                                      \
    X(PREPARING, refused, ABORTED)                                                                 \
    X(PREPARING, conclude, PROMISING)                                                              \
    X(PRECOMMITTING, commit_accepted, COMMITTED)                                                   \
    X(PRECOMMITTING, outbid, OUTBID)                                                               \
    X(PRECOMMITTING, conclude, PROMISING)                                                          \
    X(PROMISING, promised, ACCEPTING)                                                              \
    X(PROMISING, refused, ABORTED)                                                                 \
    X(PROMISING, outbid, OUTBID)                                                                   \
    X(ACCEPTING, commit_accepted, COMMITTED)                                                       \
    X(ACCEPTING, abort_accepted, ABORTED)                                                          \
    X(ACCEPTING, refused, ABORTED)                                                                 \
    X(ACCEPTING, outbid, OUTBID)                                                                   \
    X(OUTBID, conclude, PROMISING)                                                                 \
    X(COMMITTED, all_posted, POSTED)                                                               \
    X(ABORTED, all_voided, VOIDED)

/* A participant, as its own records tell: what a slot's ledger does with what it is asked. The
 * events are those of a batch that was applied; asking again changes nothing.
 *
 *                PREPARE                POST
 *     EMPTY -------------------> PREPARED ------------> POSTED
 *      | |                          |         VOID
 *      | |DECIDE                    +-----------------> VOIDED
 *      | +------> DECIDED (2PC's first slot)
 *      |
 *      +--REFUSE: a chain that failed, a burial, a promise as entry 0--> REFUSED
 */
#define COMMIT_MEMBER_MOVES(X)                                                                     \
    X(EMPTY, PREPARE, PREPARED)                                                                    \
    X(EMPTY, DECIDE, DECIDED)                                                                      \
    X(EMPTY, REFUSE, REFUSED)                                                                      \
    X(PREPARED, POST, POSTED)                                                                      \
    X(PREPARED, VOID, VOIDED)

#endif
