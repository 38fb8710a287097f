/*
 * Three-phase commit of core/commit: one transaction, three slots, a coordinator of ballot 0 and
 * two that terminate. Any of them may stop anywhere, which is also what a partition looks like from
 * here: nothing more of it arrives.
 *
 * A slot's log is kept as what counts of it: entry 0 (member), whether entry 1 is ballot 0's
 * pre-commit, the highest ballot promised, the last value accepted and its ballot. Reading a log to
 * its end and appending behind it is one step, for the ledger lets the append through only if the
 * log has not grown since. An append may be done and its answer lost.
 *
 * A slot that cannot prepare is refused by the burial that follows: here one step, as nothing of a
 * chain that failed is left in between, and a chain that comes again is only a later one.
 *
 * Left out: disks (an answer waits for them, as in two_phase.pml), ballots above TOP.
 */
#define N   3
#ifndef TOP
#define TOP 2
#endif
/* A coordinator that goes on to terminate is the same as one more that terminates. */
#ifndef concludes
#define concludes false
#endif

mtype = { START, PREPARING, PRECOMMITTING, PROMISING, ACCEPTING, OUTBID, COMMITTED, ABORTED,
          EMPTY, PREPARED, REFUSED, POSTED, VOIDED, NOTHING, COMMIT, ABORT };

#define MOVE(v, FROM, event, TO)   assert(v == FROM); v = TO
#define MEMBER(v, FROM, event, TO) assert(v == FROM); v = TO

mtype member[N] = EMPTY;
bool precommitted[N]; /* entry 1 is ballot 0's */
byte promised[N];
byte accepted_in[N];
mtype accepted[N] = NOTHING;
bool to_prepare;
bool told_committed, told_aborted;

#define BIT(m)   (1 << (m))
#define HAS(m)   ((answered & BIT(m)) != 0)
#ifdef NEG_MINORITY
#define MAJORITY (answered != 0)
#else
#define MAJORITY (answered == 3 || answered == 5 || answered == 6 || answered == 7)
#endif
#ifdef NEG_TWO_GONE
#define REACHES(m) ((m) == 0)
#else
#ifdef ONE_GONE
#define REACHES(m) ((m) != 2)
#else
#define REACHES(m) true
#endif
#endif
#define SAYS_YES(m) (member[m] == PREPARED || member[m] == POSTED || member[m] == VOIDED)
#ifdef NEG_EARLY
#define ALL_YES (SAYS_YES(0) || SAYS_YES(1) || SAYS_YES(2))
#else
#define ALL_YES (SAYS_YES(0) && SAYS_YES(1) && SAYS_YES(2))
#endif
#define OPEN(m) (!HAS(m) && REACHES(m))
#define ANY_OPEN (!MAJORITY && (OPEN(0) || OPEN(1) || OPEN(2)))

/* All of these are steps of driver(), with its variables. */
inline pick()
{
    if
    :: OPEN(0) -> m = 0
    :: OPEN(1) -> m = 1
    :: OPEN(2) -> m = 2
    fi
}

inline learn()
{
#ifdef NEG_FORGET_VALUE
    skip
#else
    if
    :: accepted[m] != NOTHING && (value == NOTHING || accepted_in[m] > value_in) ->
        value = accepted[m]; value_in = accepted_in[m]
    :: else
    fi
#endif
}

#ifdef NEG_LOW_BALLOT
#define TOO_LOW false
#else
#define TOO_LOW (promised[m] >= ballot)
#endif

inline promise()
{
    if
    :: member[m] == REFUSED -> MOVE(s, PROMISING, refused, ABORTED)
#ifdef NEG_OTHERS_PROMISE
    :: member[m] != REFUSED && promised[m] == ballot -> learn(); answered = answered | BIT(m)
#endif
    :: member[m] != REFUSED && TOO_LOW ->
        MOVE(s, PROMISING, outbid, OUTBID); highest = promised[m]; answered = 0
    :: member[m] == EMPTY && !TOO_LOW -> /* a promise as entry 0 */
        MEMBER(member[m], EMPTY, REFUSE, REFUSED); promised[m] = ballot;
        MOVE(s, PROMISING, refused, ABORTED)
    :: member[m] != EMPTY && member[m] != REFUSED && !TOO_LOW ->
        promised[m] = ballot;
        if
        :: learn(); answered = answered | BIT(m)
#ifndef LIVE
        :: skip /* the answer is lost: when it is sent again, nobody knows whose it is */
#endif
        fi
    fi
}

inline accept()
{
    if
    :: member[m] == REFUSED -> MOVE(s, ACCEPTING, refused, ABORTED)
#ifndef NEG_LOW_BALLOT
    :: member[m] != REFUSED && promised[m] > ballot ->
        MOVE(s, ACCEPTING, outbid, OUTBID); highest = promised[m]; answered = 0
    :: member[m] != REFUSED && promised[m] <= ballot ->
#else
    :: member[m] != REFUSED ->
#endif
        if
        :: member[m] == EMPTY -> /* a value as entry 0 */
            MEMBER(member[m], EMPTY, REFUSE, REFUSED); MOVE(s, ACCEPTING, refused, ABORTED)
        :: member[m] != EMPTY && accepted_in[m] == ballot && accepted[m] != NOTHING ->
            answered = answered | BIT(m) /* who has a majority of promises is alone with a ballot */
        :: else -> promised[m] = ballot; accepted_in[m] = ballot; accepted[m] = value;
            answered = answered | BIT(m)
        fi
    fi
}

active [N] proctype slot()
{
    byte m = _pid;
    atomic { to_prepare && member[m] == EMPTY ->
        if
        :: MEMBER(member[m], EMPTY, PREPARE, PREPARED)
        :: MEMBER(member[m], EMPTY, REFUSE, REFUSED)
        fi }
}

proctype driver(bool coordinates)
{
    mtype s = START;
    mtype value = NOTHING;
    byte value_in, ballot, highest, answered, m;
    do
    :: atomic { s == START && coordinates -> MOVE(s, START, begin, PREPARING); to_prepare = true }
    :: atomic { s == START && !coordinates && to_prepare ->
        MOVE(s, START, conclude, PROMISING); ballot = 1 }
    :: atomic { s == PREPARING && ALL_YES -> MOVE(s, PREPARING, all_prepared, PRECOMMITTING) }
    :: atomic { s == PREPARING &&
                (member[0] == REFUSED || member[1] == REFUSED || member[2] == REFUSED) ->
        MOVE(s, PREPARING, refused, ABORTED) }
    :: atomic { s == PREPARING && concludes ->
        MOVE(s, PREPARING, conclude, PROMISING); ballot = 1 }
    :: atomic { s == PRECOMMITTING && ANY_OPEN ->
        pick();
        if
        :: precommitted[m] -> answered = answered | BIT(m)
        :: !precommitted[m] && promised[m] == 0 && accepted[m] == NOTHING ->
            precommitted[m] = true; accepted[m] = COMMIT; answered = answered | BIT(m)
        :: !precommitted[m] && (promised[m] > 0 || accepted[m] != NOTHING) ->
            MOVE(s, PRECOMMITTING, outbid, OUTBID); highest = promised[m]; answered = 0
        fi;
        m = 0 }
    :: atomic { s == PRECOMMITTING && MAJORITY ->
        MOVE(s, PRECOMMITTING, commit_accepted, COMMITTED) }
    :: atomic { s == PRECOMMITTING && concludes ->
        MOVE(s, PRECOMMITTING, conclude, PROMISING); answered = 0; ballot = 1 }
    :: atomic { s == PROMISING && ANY_OPEN -> pick(); promise(); m = 0 }
    :: atomic { s == PROMISING && MAJORITY ->
        MOVE(s, PROMISING, promised, ACCEPTING); answered = 0;
        if
        :: value == NOTHING -> value = ABORT
        :: else
        fi }
    :: atomic { s == ACCEPTING && ANY_OPEN -> pick(); accept(); m = 0 }
    :: atomic { s == ACCEPTING && MAJORITY && value == COMMIT ->
        MOVE(s, ACCEPTING, commit_accepted, COMMITTED) }
    :: atomic { s == ACCEPTING && MAJORITY && value == ABORT ->
        MOVE(s, ACCEPTING, abort_accepted, ABORTED) }
    :: atomic { s == OUTBID && (!coordinates || concludes) && highest < TOP ->
        MOVE(s, OUTBID, conclude, PROMISING); ballot = highest + 1; value = NOTHING; value_in = 0 }
    :: s == OUTBID && ((coordinates && !concludes) || highest >= TOP) -> goto gone
#ifdef NEG_SKEEN
    /* Skeen's rule with a bare majority: if one of two has pre-committed commit, else abort. */
    :: atomic { s == PROMISING && (precommitted[0] || precommitted[1]) -> s = COMMITTED }
    :: atomic { s == PROMISING && !precommitted[1] && !precommitted[2] -> s = ABORTED }
#endif
    :: atomic { s == COMMITTED -> told_committed = true; break }
    :: atomic { s == ABORTED -> told_aborted = true; break }
#ifdef LIVE
    :: coordinates -> goto gone /* else nobody need be scheduled, which is the same */
#endif
    od;
    atomic {
        m = 0;
        do
        :: m < N && !REACHES(m) -> m++
        :: m < N && REACHES(m) && s == COMMITTED ->
            if
            :: member[m] != POSTED -> MEMBER(member[m], PREPARED, POST, POSTED)
            :: else
            fi;
            m++
        :: m < N && REACHES(m) && s == ABORTED ->
            if
            :: member[m] == PREPARED -> MEMBER(member[m], PREPARED, VOID, VOIDED)
            :: member[m] == EMPTY -> MEMBER(member[m], EMPTY, REFUSE, REFUSED)
            :: else -> assert(member[m] != POSTED)
            fi;
            m++
        :: m == N -> break
        od;
        if
        :: s == COMMITTED -> MOVE(s, COMMITTED, all_posted, POSTED)
        :: s == ABORTED -> MOVE(s, ABORTED, all_voided, VOIDED)
        fi
    }
gone:
    atomic { m = 0; value = NOTHING; value_in = 0; ballot = 0; highest = 0; answered = 0 }
}

#define ANY(state) (member[0] == state || member[1] == state || member[2] == state)

active proctype monitor()
{
end:
    do
    :: atomic { told_committed && told_aborted -> assert(false) }
    :: atomic { ANY(POSTED) && (ANY(VOIDED) || ANY(REFUSED) || ANY(EMPTY)) -> assert(false) }
    :: atomic { told_committed && (ANY(VOIDED) || ANY(REFUSED)) -> assert(false) }
    :: atomic { told_aborted && ANY(POSTED) -> assert(false) }
    od
}

init
{
    atomic {
        run driver(true);
#ifndef LIVE
        run driver(false);
#endif
        run driver(false) /* for liveness the only one that terminates */
    }
}

/* What was prepared ends, if a majority is reached. */
ltl ends { [] (member[0] == PREPARED -> <> (member[0] == POSTED || member[0] == VOIDED)) }
