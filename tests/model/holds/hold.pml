/*
 * The end of a hold between two slots (docs/internals/commit.md): slot a has the hold, slot b the
 * payee. A posting of it, which is a transaction, with a coordinator that may stop anywhere, and a
 * resolver; another posting, of which only the decision is looked at; somebody who voids the hold;
 * and its time.
 *
 * A request, once sent, may be done at any later time, any number of times, or never for as long as
 * one likes: so messages are bits that stay set, and loss, doubling, delay and reordering are all in
 * it. Each slot has what it did (vol) and what is on disk (dur); a crash makes the first the second,
 * of everything that is the slot's. What is seen of a slot is what is on disk.
 *
 * How a hold ended is a bit for each way, since nothing but the ledger's own look keeps a second one
 * from being set; time is over for all at once, and never begins again.
 *
 * Left out: amounts (a posting of less leaves nothing), that a ledger compares requests, the payee's
 * own refusal for another reason than a tombstone, and slots that move.
 *
 * NEG_... are the mistakes; tests/model/commit/check demands that each is found.
 */
mtype = { START, PREPARING, DECIDING, INQUIRING, COMMITTED, ABORTED,
          EMPTY, PREPARED, DECIDED, REFUSED, POSTED, VOIDED };

/* Every step goes through these two; check compares them with commit_moves.h. */
#define MOVE(v, FROM, event, TO)   assert(v == FROM); v = TO
#define MEMBER(v, FROM, event, TO) assert(v == FROM); v = TO

#define WAS_POSTED  1
#define WAS_VOIDED  2
#define HAS_EXPIRED 4

byte hold_vol, hold_dur; /* 0: it is live */
mtype a_vol = EMPTY;     /* entry 0 of the posting, in the payer's slot: the decision */
mtype a_dur = EMPTY;
mtype b_vol = EMPTY; /* what is pending for the payee */
mtype b_dur = EMPTY;
bool other_vol, other_dur; /* the other posting is decided */
bool to_prepare, to_decide, to_bury_a, to_bury_b, to_post, to_void;
bool to_void_hold, to_post_otherwise;
bool over; /* its time */
bool told_posted, told_refused, told_voided;
#ifdef LIVE
byte crashes = 1;
#else
byte crashes = 2;
#endif

#ifdef NEG_VOTE_EARLY
#define SEEN_A a_vol
#define SEEN_B b_vol
#else
#define SEEN_A a_dur
#define SEEN_B b_dur
#endif

/* What a ledger asks before it ends a hold: expiry is looked at first. */
#ifdef NEG_TIME_OF_ARRIVAL
#define IS_LIVE (hold_vol == 0 || hold_vol == HAS_EXPIRED)
#else
#define IS_LIVE (hold_vol == 0 && !over)
#endif

/* The hold's post, the handing over and the marker are one chain. */
#ifdef NEG_UNLINKED
#define MAY_DECIDE true
#define END_HOLD   if :: IS_LIVE -> hold_vol = hold_vol | WAS_POSTED :: else fi
#else
#define MAY_DECIDE IS_LIVE
#ifdef NEG_HOLD_LEFT
#define END_HOLD   skip
#else
#define END_HOLD   hold_vol = hold_vol | WAS_POSTED
#endif
#endif

#define A_IS_SYNCED (hold_dur == hold_vol && a_dur == a_vol && other_dur == other_vol)

active proctype slot_a()
{
    do
    :: atomic { to_decide && a_vol == EMPTY && MAY_DECIDE ->
        END_HOLD; MEMBER(a_vol, EMPTY, DECIDE, DECIDED) }
    :: atomic { to_post_otherwise && !other_vol && MAY_DECIDE -> END_HOLD; other_vol = true }
    :: atomic { to_bury_a && a_vol == EMPTY -> MEMBER(a_vol, EMPTY, REFUSE, REFUSED) }
    :: atomic { to_void_hold && IS_LIVE -> hold_vol = hold_vol | WAS_VOIDED }
#ifdef NEG_EXPIRY_BLIND
    /* Its time was not taken from the queue when it ended. */
    :: atomic { over && (hold_vol & HAS_EXPIRED) == 0 -> hold_vol = hold_vol | HAS_EXPIRED }
#else
    :: atomic { over && hold_vol == 0 -> hold_vol = HAS_EXPIRED }
#endif
    :: atomic { !A_IS_SYNCED -> hold_dur = hold_vol; a_dur = a_vol; other_dur = other_vol }
    :: atomic { crashes > 0 && !A_IS_SYNCED ->
        hold_vol = hold_dur; a_vol = a_dur; other_vol = other_dur; crashes-- }
    od
}

active proctype slot_b()
{
    do
    :: atomic { to_prepare && b_vol == EMPTY -> MEMBER(b_vol, EMPTY, PREPARE, PREPARED) }
    :: atomic { to_bury_b && b_vol == EMPTY -> MEMBER(b_vol, EMPTY, REFUSE, REFUSED) }
    :: atomic { to_post && b_vol != POSTED -> MEMBER(b_vol, PREPARED, POST, POSTED) }
    :: atomic { to_void && b_vol != VOIDED -> MEMBER(b_vol, PREPARED, VOID, VOIDED) }
#ifdef NEG_PAYEES_TIME
    /* Pending for the payee with the time of the hold. */
    :: atomic { over && b_vol == PREPARED -> b_vol = VOIDED }
#endif
    :: atomic { b_dur != b_vol -> b_dur = b_vol }
    :: atomic { crashes > 0 && b_dur != b_vol -> b_vol = b_dur; crashes-- }
    od
}

active proctype clock()
{
    over = true
}

active proctype voids()
{
    to_void_hold = true;
    if
    :: (hold_dur & WAS_VOIDED) != 0 -> told_voided = true
    :: true /* it stops */
    fi
}

active proctype posts_otherwise()
{
    to_post_otherwise = true
}

proctype driver(bool resolves)
{
    mtype s = START;
begin:
    do
    :: atomic { s == START && !resolves ->
        MOVE(s, START, begin, PREPARING); to_prepare = true }
    :: atomic { s == START && resolves && b_dur == PREPARED ->
        MOVE(s, START, conclude, INQUIRING); to_bury_a = true }
#ifdef NEG_PRESUME
    /* What is old is given up at the payee, without asking. */
    :: atomic { s == START && resolves && b_dur == PREPARED -> s = ABORTED }
#endif
    :: atomic { s == PREPARING && (SEEN_B == PREPARED || SEEN_B == POSTED ||
                                   SEEN_B == VOIDED) ->
        MOVE(s, PREPARING, all_prepared, DECIDING); to_decide = true }
    :: atomic { s == PREPARING && SEEN_B == REFUSED -> MOVE(s, PREPARING, refused, ABORTED) }
    /* A chain that failed has left nothing, and whoever hears of it buries the slot. */
    :: atomic { s == PREPARING && SEEN_B == EMPTY && !to_bury_b -> to_bury_b = true }
    :: atomic { s == DECIDING && SEEN_A == EMPTY && !to_bury_a -> to_bury_a = true }
    :: atomic { s == PREPARING -> MOVE(s, PREPARING, conclude, INQUIRING); to_bury_a = true }
    :: atomic { s == DECIDING && SEEN_A == DECIDED -> MOVE(s, DECIDING, decided, COMMITTED) }
    :: atomic { s == DECIDING && SEEN_A == REFUSED -> MOVE(s, DECIDING, refused, ABORTED) }
    :: atomic { s == DECIDING -> MOVE(s, DECIDING, conclude, INQUIRING); to_bury_a = true }
#ifdef NEG_VOID_BEHIND
    /* It has waited long enough, and voids by itself. */
    :: atomic { s == DECIDING -> s = ABORTED }
#endif
#ifdef NEG_EXPIRED_IS_PAID
    :: atomic { s == DECIDING && (hold_dur & HAS_EXPIRED) != 0 -> s = COMMITTED }
#endif
    :: atomic { s == INQUIRING && SEEN_A == DECIDED -> MOVE(s, INQUIRING, decided, COMMITTED) }
    :: atomic { s == INQUIRING && SEEN_A == REFUSED -> MOVE(s, INQUIRING, refused, ABORTED) }
    :: atomic { s == COMMITTED -> told_posted = true; to_post = true; goto finish }
    :: atomic { s == ABORTED -> told_refused = true; goto finish }
    /* A process that stops, and never comes back. */
    :: !resolves -> goto stopped
    od;
finish:
    do
    :: atomic { s == ABORTED && SEEN_B == PREPARED && !to_void -> to_void = true }
    :: atomic { s == ABORTED && SEEN_B == EMPTY && !to_bury_b -> to_bury_b = true }
    :: atomic { s == COMMITTED && SEEN_B == POSTED ->
        MOVE(s, COMMITTED, all_posted, POSTED); break }
    :: atomic { s == ABORTED && (SEEN_B == VOIDED || SEEN_B == REFUSED) ->
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

#define DECIDED_A     (a_dur == DECIDED)
#define UNDONE_B      (b_vol == EMPTY || b_vol == REFUSED || b_vol == VOIDED)
#define ENDED_ONCE(h) (h == 0 || h == WAS_POSTED || h == WAS_VOIDED || h == HAS_EXPIRED)

active proctype monitor()
{
end:
    do
    /* Both halves or none: with the decision the hold is posted, and the payee has his half. */
    :: atomic { DECIDED_A && UNDONE_B -> assert(false) }
    :: atomic { b_vol == POSTED && !DECIDED_A -> assert(false) }
    :: atomic { (DECIDED_A || other_dur) && (hold_dur & WAS_POSTED) == 0 -> assert(false) }
    /* Posted, voided or expired: one of them, once. */
    :: atomic { !ENDED_ONCE(hold_dur) || (DECIDED_A && other_dur) -> assert(false) }
    /* What was told is so. */
    :: atomic { told_posted && (!DECIDED_A || told_refused || told_voided) -> assert(false) }
    :: atomic { told_refused && a_vol == DECIDED -> assert(false) }
    od
}

init
{
    atomic {
        run driver(false);
#ifndef NEG_NO_RESOLVER
        run driver(true)
#endif
    }
}

#define OPEN  (b_dur == PREPARED)
#define ENDED (b_dur == POSTED || b_dur == VOIDED)

/* Nothing stays in doubt, whatever became of the coordinators. */
ltl ends { [] (OPEN -> <> ENDED) }
