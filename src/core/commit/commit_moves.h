/*
 * The legal transitions, once: the C code moves through these tables and nowhere else, and a test
 * compares them with the models in tests/model/commit.
 *
 * On the arrows: the event, and the function that raises it. All of them are in commit_run.c but
 * weigh and take_precommit, which are in commit_log.c.
 *
 * Two-phase commit. The decision is the first slot's.
 *
 *              START
 *    begin:    |   | conclude: commit_resume
 *    commit_   |   +----------------------------------------------+
 *    begin     v                                                  v
 *          PREPARING --conclude: commit_conclude------------> INQUIRING
 *              | | |                                           ^  |  |
 *              | | +--refused: take_prepare-----> ABORTED      |  |  |
 *              | all_prepared: take_prepare          ^ ^       |  |  |
 *              v                                     | |       |  |  |
 *          DECIDING --refused: take_decision---------+ |       |  |  |
 *              | |                                     |       |  |  |
 *              | +----conclude: commit_conclude--------|-------+  |  |
 *              |                                       +----------+  |
 *              | decided: take_decision        refused: take_decision|
 *              v                                                     |
 *          COMMITTED <------------decided: take_decision-------------+
 *
 * Three-phase commit. Ballot 0 is the coordinators', and can only say commit.
 *
 *              START
 *    begin:    |   | conclude: commit_resume
 *    commit_   |   +-----------------------------------------------------+
 *    begin     v                                                         |
 *          PREPARING --conclude: commit_conclude-------------+           |
 *              | |                                           |           |
 *              | +--refused: take_prepare-----> ABORTED      |           |
 *              | all_prepared: take_prepare      ^  ^        |           |
 *              v                                 |  |        v           v
 *          PRECOMMITTING --conclude: commit_-----|--|-----> PROMISING <--+
 *              | |         conclude              |  |        |  |  |     ^
 *              | |outbid: take_precommit         |  +refused:+  |  |     |
 *              | +----------------------+        |   weigh      |  |outbid: weigh
 *              |                        v        |              |  |     |
 *              |                      OUTBID <---|--------------|--+     |
 *              |                        ^ |      |              |        |
 *              |           outbid: weigh| +------|--conclude: commit_conclude
 *              |                        |        |              |
 *              |                        |        |              |promised: weigh
 *              |                        |        |              v
 *              |                        +--------|----------- ACCEPTING
 *              |                                 |              |  |
 *              |                                 +--------------+  |
 *              |       abort_accepted, refused: weigh              |
 *              | commit_accepted: take_precommit                   |
 *              v                                                   |
 *          COMMITTED <----------commit_accepted: weigh-------------+
 *
 * In both, all_posted and all_voided come from end_if_all_answered:
 *
 *          COMMITTED --all_posted--> POSTED        ABORTED --all_voided--> VOIDED
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
