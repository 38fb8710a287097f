/*
 * Two-phase commit of core/commit: one transaction, three slots (0 decides), two coordinators that
 * may stop anywhere, and a resolver.
 *
 * A request, once sent, may be done at any later time, any number of times, or never for as long as
 * one likes: so messages are bits that stay set, and loss, doubling, delay and reordering are all in
 * it. Each slot has what it did (vol) and what is on disk (dur); a crash makes the first the second.
 * What a coordinator sees of a slot is what is on disk: answers wait for that.
 *
 * Left out: that a ledger compares requests (a conflict is a refusal), and slots that move.
 *
 * NEG_... are the mistakes; tests/model/commit/check demands that each is found.
 */
#define N 3

mtype = { START, PREPARING, DECIDING, INQUIRING, COMMITTED, ABORTED,
          EMPTY, PREPARED, DECIDED, REFUSED, POSTED, VOIDED };

/* Every step goes through these two; check compares them with commit_moves.h. */
#define MOVE(v, FROM, event, TO)   assert(v == FROM); v = TO
#define MEMBER(v, FROM, event, TO) assert(v == FROM); v = TO

mtype vol[N] = EMPTY;
mtype dur[N] = EMPTY;
bool to_prepare[N], to_bury[N], to_post[N], to_void[N];
bool to_decide;
bool told_committed, told_aborted;
#ifdef LIVE
byte crashes = 1;
#else
byte crashes = 2;
#endif

#ifdef NEG_VOTE_EARLY
#define SEEN(m) vol[m]
#else
#define SEEN(m) dur[m]
#endif
#define SAYS_YES(m) (SEEN(m) == PREPARED || SEEN(m) == POSTED || SEEN(m) == VOIDED)
#ifdef NEG_DECIDE_EARLY
#define ALL_YES (SAYS_YES(1) || SAYS_YES(2))
#else
#define ALL_YES (SAYS_YES(1) && SAYS_YES(2))
#endif

active [N] proctype slot()
{
    byte m = _pid;
    do
    :: atomic { to_prepare[m] && vol[m] == EMPTY -> MEMBER(vol[m], EMPTY, PREPARE, PREPARED) }
    :: atomic { m == 0 && to_decide && vol[m] == EMPTY -> MEMBER(vol[m], EMPTY, DECIDE, DECIDED) }
    :: atomic { to_bury[m] && vol[m] == EMPTY -> MEMBER(vol[m], EMPTY, REFUSE, REFUSED) }
    :: atomic { to_post[m] && vol[m] != POSTED -> MEMBER(vol[m], PREPARED, POST, POSTED) }
    :: atomic { to_void[m] && vol[m] != VOIDED -> MEMBER(vol[m], PREPARED, VOID, VOIDED) }
    :: atomic { dur[m] != vol[m] -> dur[m] = vol[m] }
    :: atomic { crashes > 0 && dur[m] != vol[m] -> vol[m] = dur[m]; crashes-- }
#ifdef NEG_FIRST_GONE
    :: m == 0 -> break
#endif
    od
}

inline conclude()
{
    to_bury[0] = true
}

proctype driver(bool resolves)
{
    mtype s = START;
begin:
    do
    :: atomic { s == START && !resolves ->
        MOVE(s, START, begin, PREPARING); to_prepare[1] = true; to_prepare[2] = true }
    :: atomic { s == START && resolves && (dur[1] == PREPARED || dur[2] == PREPARED) ->
        MOVE(s, START, conclude, INQUIRING); conclude() }
#ifdef NEG_PRESUME
    :: atomic { s == START && resolves && (dur[1] == PREPARED || dur[2] == PREPARED) ->
        s = ABORTED }
#endif
    :: atomic { s == PREPARING && ALL_YES ->
        MOVE(s, PREPARING, all_prepared, DECIDING); to_decide = true }
    :: atomic { s == PREPARING && (SEEN(1) == REFUSED || SEEN(2) == REFUSED) ->
        MOVE(s, PREPARING, refused, ABORTED) }
    /* The ledger could not: a chain that failed has left nothing, and whoever hears of it buries
     * the slot. Until then the same chain may come again, and succeed. */
    :: atomic { s == PREPARING && SEEN(1) == EMPTY && !to_bury[1] -> to_bury[1] = true }
    :: atomic { s == PREPARING && SEEN(2) == EMPTY && !to_bury[2] -> to_bury[2] = true }
    :: atomic { s == DECIDING && SEEN(0) == EMPTY && !to_bury[0] -> to_bury[0] = true }
    :: atomic { s == PREPARING -> MOVE(s, PREPARING, conclude, INQUIRING); conclude() }
#ifdef NEG_ABORT_ALONE
    :: atomic { s == PREPARING -> s = ABORTED }
#endif
    :: atomic { s == DECIDING && SEEN(0) == DECIDED -> MOVE(s, DECIDING, decided, COMMITTED) }
    :: atomic { s == DECIDING && SEEN(0) == REFUSED -> MOVE(s, DECIDING, refused, ABORTED) }
    :: atomic { s == DECIDING -> MOVE(s, DECIDING, conclude, INQUIRING); conclude() }
#ifdef NEG_POST_EARLY
    :: atomic { s == DECIDING -> to_post[1] = true; to_post[2] = true; s = INQUIRING; conclude() }
#endif
    :: atomic { s == INQUIRING && SEEN(0) == DECIDED -> MOVE(s, INQUIRING, decided, COMMITTED) }
    :: atomic { s == INQUIRING && SEEN(0) == REFUSED -> MOVE(s, INQUIRING, refused, ABORTED) }
#ifdef NEG_ABORT_UNWRITTEN
    :: atomic { s == INQUIRING && SEEN(0) == EMPTY -> to_bury[0] = false; s = ABORTED }
#endif
    :: atomic { s == COMMITTED -> told_committed = true; to_post[1] = true; to_post[2] = true;
        goto finish }
    :: atomic { s == ABORTED -> told_aborted = true; goto finish }
    /* A process that stops, and never comes back. */
    :: !resolves -> goto stopped
    od;
finish:
    do
    :: atomic { s == ABORTED && SEEN(1) == PREPARED && !to_void[1] -> to_void[1] = true }
    :: atomic { s == ABORTED && SEEN(2) == PREPARED && !to_void[2] -> to_void[2] = true }
    :: atomic { s == ABORTED && SEEN(1) == EMPTY && !to_bury[1] -> to_bury[1] = true }
    :: atomic { s == ABORTED && SEEN(2) == EMPTY && !to_bury[2] -> to_bury[2] = true }
    :: atomic { s == COMMITTED && SEEN(1) == POSTED && SEEN(2) == POSTED ->
        MOVE(s, COMMITTED, all_posted, POSTED); break }
    :: atomic { s == ABORTED && (SEEN(1) == VOIDED || SEEN(1) == REFUSED) &&
                (SEEN(2) == VOIDED || SEEN(2) == REFUSED) ->
        MOVE(s, ABORTED, all_voided, VOIDED); break }
    :: !resolves -> goto stopped
    od;
    if
    :: resolves -> atomic { s = START; goto begin }
    :: else
    fi;
stopped:
    skip
}

#define UNDONE(m) (vol[m] == EMPTY || vol[m] == REFUSED || vol[m] == VOIDED)

/* A1 to A5 of any atomic commit. */
active proctype monitor()
{
end:
    do
    :: atomic { dur[0] == DECIDED && (UNDONE(1) || UNDONE(2)) -> assert(false) }
    :: atomic { told_committed && told_aborted -> assert(false) }
    :: atomic { told_committed && dur[0] != DECIDED -> assert(false) }
    :: atomic { told_aborted && vol[0] == DECIDED -> assert(false) }
    :: atomic { (vol[1] == POSTED || vol[2] == POSTED) && dur[0] != DECIDED -> assert(false) }
    od
}

init
{
    atomic {
        run driver(false);
#ifndef LIVE
        run driver(false);
#endif
#ifndef NEG_NO_RESOLVER
        run driver(true)
#endif
    }
}

#define OPEN1  (dur[1] == PREPARED)
#define ENDED1 (dur[1] == POSTED || dur[1] == VOIDED)

/* A7, and with it A6: what was prepared ends, whatever became of the coordinators. */
ltl ends { [] (OPEN1 -> <> ENDED1) }
