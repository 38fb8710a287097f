/*
 * A payment with two participants over HTTP (src/coordinator, docs/participants.md): the owner, which
 * has its documents and may stop anywhere, the participants, and the card network, which is the
 * last agent.
 *
 * A request, once sent, may be done at any later time, any number of times, or never for as long as
 * one likes: so messages are bits that stay set, and loss, doubling, delay and reordering are all in
 * it. A participant has what it did (vol) and what is on disk (dur); a crash makes the first the
 * second, and what is seen of it is what is on disk. The documents' commits are atomic, so `doc` is
 * what is on disk; what the owner knows besides is where it is in its process, which a crash leads to
 * `resume`.
 *
 * Left out: how often something is tried, a wallet's hold, and challenges, which are an abort.
 *
 * NEG_... are the mistakes; tests/model/commit/check demands that each is found.
 */
#define N 2

mtype = { PREPARING, PREPARED, COMMITTING, COMMITTED, COMMIT_STUCK, ABORTING, ABORTED, ABORT_STUCK,
          EMPTY, HOLDS, DONE, UNDONE,
          NEW, YES, NO, VOIDED };

/* Every step goes through it; check compares them with machine.c. */
#define MOVE(v, FROM, move, TO) assert(v == FROM); v = TO

mtype doc = PREPARING;
mtype vol[N] = EMPTY;
mtype dur[N] = EMPTY;
mtype rail = NEW;
bool to_prepare[N], to_commit[N], to_abort[N];
bool to_authorize, to_void;
#ifdef LIVE
byte crashes = 1;
#else
byte crashes = 2;
#endif
byte given_up = 1;

#define COMMITS (doc == COMMITTING || doc == COMMITTED || doc == COMMIT_STUCK)
#define ABORTS  (doc == ABORTING || doc == ABORTED || doc == ABORT_STUCK)

#ifdef NEG_VOTE_EARLY
#define SEEN(i) vol[i]
#else
#define SEEN(i) dur[i]
#endif
/* What its answer to an abort says. */
#ifdef NEG_NO_BARRIER
#define IS_UNDONE(i) (dur[i] == UNDONE || (dur[i] == EMPTY && to_abort[i]))
#else
#ifdef NEG_FORGET_SILENT
#define IS_UNDONE(i) (dur[i] == UNDONE || dur[i] == EMPTY)
#else
#define IS_UNDONE(i) (dur[i] == UNDONE)
#endif
#endif

/* Nothing is done that the payment does not say, and nothing is left when it is over. */
active [N] proctype participant()
{
    byte i = _pid;
    do
    :: atomic { to_prepare[i] && vol[i] == EMPTY ->
        assert(doc != ABORTED);
        if
        :: vol[i] = HOLDS
        :: assert(!COMMITS); vol[i] = UNDONE
        fi }
    :: atomic { to_commit[i] && vol[i] == HOLDS ->
        assert(COMMITS && rail == YES); vol[i] = DONE }
    :: atomic { to_abort[i] && vol[i] == HOLDS -> assert(ABORTS); vol[i] = UNDONE }
#ifndef NEG_NO_BARRIER
    :: atomic { to_abort[i] && vol[i] == EMPTY -> vol[i] = UNDONE }
#endif
    :: atomic { dur[i] != vol[i] -> dur[i] = vol[i] }
    :: atomic { crashes > 0 && dur[i] != vol[i] -> vol[i] = dur[i]; crashes-- }
    od
}

/* What a void has met is never authorized. */
active proctype network()
{
    do
    :: atomic { to_authorize && rail == NEW ->
        if
        :: assert(!ABORTS); rail = YES
        :: rail = NO
        fi }
    :: atomic { to_void && (rail == NEW || rail == YES) -> rail = VOIDED }
    od
}

active proctype owner()
{
    to_prepare[0] = true;
    to_prepare[1] = true;
    do
    :: atomic { SEEN(0) == HOLDS && SEEN(1) == HOLDS ->
        MOVE(doc, PREPARING, VOTED, PREPARED); break }
    :: SEEN(0) == UNDONE || SEEN(1) == UNDONE -> goto abort
    :: goto abort /* they were waited for long enough */
    :: atomic { crashes > 0 -> crashes--; goto resume }
#ifdef NEG_RAIL_EARLY
    :: to_authorize = true; goto asked
#endif
    od;
    to_authorize = true;
asked:
    if
    :: rail == YES -> goto commit
    :: rail == NO -> goto abort
    :: goto resume /* no answer, or a crash: the sweeper asks */
#ifdef NEG_TIMEOUT_IS_NO
    :: goto abort
#endif
    fi;
resume:
    if
    :: rail == YES -> goto commit
    :: rail == NO -> goto abort
    :: rail == NEW ->
#ifndef NEG_NOT_FOUND_IS_NO
        to_void = true;
        rail == VOIDED || rail == NO;
#endif
        goto abort
    fi;
commit:
    atomic { MOVE(doc, PREPARED, COMMIT, COMMITTING) };
    do
    :: to_commit[0] = true; to_commit[1] = true;
        if
        :: atomic { dur[0] == DONE && dur[1] == DONE ->
            MOVE(doc, COMMITTING, TOLD, COMMITTED); break }
        :: atomic { given_up > 0 -> given_up--; MOVE(doc, COMMITTING, GIVE_UP, COMMIT_STUCK);
            if
            :: MOVE(doc, COMMIT_STUCK, RETRY, COMMITTING)
            :: vol[0] = DONE; dur[0] = DONE; vol[1] = DONE; dur[1] = DONE;
                MOVE(doc, COMMIT_STUCK, CONCLUDE, COMMITTED); break
            fi }
        fi
    od;
    goto over;
abort:
    assert(rail != YES);
    atomic {
        if
        :: doc == PREPARING -> MOVE(doc, PREPARING, ABORT, ABORTING)
        :: else -> MOVE(doc, PREPARED, ABORT, ABORTING)
        fi };
    do
    :: to_abort[0] = true; to_abort[1] = true;
        if
        :: atomic { IS_UNDONE(0) && IS_UNDONE(1) ->
            MOVE(doc, ABORTING, TOLD, ABORTED); break }
        :: atomic { given_up > 0 -> given_up--; MOVE(doc, ABORTING, GIVE_UP, ABORT_STUCK);
            if
            :: MOVE(doc, ABORT_STUCK, RETRY, ABORTING)
            :: vol[0] = UNDONE; dur[0] = UNDONE; vol[1] = UNDONE; dur[1] = UNDONE;
                MOVE(doc, ABORT_STUCK, CONCLUDE, ABORTED); break
            fi }
        fi
    od;
over:
    assert(doc != COMMITTED || (vol[0] == DONE && vol[1] == DONE && rail == YES));
    assert(doc != ABORTED || (rail != YES && vol[0] != DONE && vol[1] != DONE));
    assert(doc != ABORTED || (vol[0] != HOLDS && vol[1] != HOLDS))
}

#ifdef LIVE
ltl ends { <> (doc == COMMITTED || doc == ABORTED) }
#endif
