/*
 * Atomic commit among the ledgers of several slots: two-phase commit with presumed abort, and a
 * three-phase commit that does not block while a majority of the slots is connected.
 *
 * A transaction is a list of legs, each an ordinary transfer inside one slot; the slots are its
 * members. What it leaves behind are the ledger's own records (commit/records.h): pending
 * transfers, and a few zero-amount transfers that say how far it came. There is no other log, so
 * whoever can read the ledgers can finish any transaction, and a coordinator remembers nothing
 * that must survive it.
 *
 * A run (struct commit_run) is one process's attempt to drive one transaction. It is pure: the
 * caller asks what to send, sends it when and how it likes, and hands in what came back:
 *
 *     commit_begin(&run, &transaction);                     or commit_resume() from a marker
 *     for each member, again and again until commit_ended(&run):
 *         if (commit_next(&run, member, &ask)) {
 *             count = commit_build(&run, &ask, transfers);  append them to the slot's next batch
 *             ... durable ...
 *             commit_take(&run, &ask, results);             the results of these transfers
 *         }
 *     as soon as commit_outcome(&run) is known, tell the client
 *
 * Any ask may be sent late, twice, or never answered; then it is sent again. Answers that come too
 * late are ignored. commit_conclude() is for when that has lasted long enough.
 *
 * Invariants are in the README (COMMIT-1 ...). Threads: none; a run has one owner.
 */
#ifndef COMMIT_COMMIT_H
#define COMMIT_COMMIT_H

#include "base/err.h"
#include "commit/records.h"

struct commit_leg {
    uint8_t member; /* which slot */
    uint8_t index;  /* among the transaction's legs: names the transfers that come of it */
    uint8_t event;  /* the caller's: which of its transfers this is of */
    uint16_t flags; /* of a chained leg: as the client said them */
    /* 0, or the leg is chained: it has a client's id, of which this is the own name
     * (commit_chain_note), and `payee` is whom it pays in the end. */
    u128 own_name;
    u128 payee;
    /* What is to be booked. Its id is only looked at in chained legs, and in the first leg of a
     * transaction without any: the client's. */
    struct ledger_transfer transfer;
};

struct commit_transaction {
    struct commit_header header;
    uint8_t leg_count;
    /* Of each member: legs, and how many of these are chained. What is asked of whom is told by
     * them, without looking at the legs. */
    uint8_t legs_of[COMMIT_MEMBERS_MAX];
    uint8_t notes_of[COMMIT_MEMBERS_MAX];
    struct commit_leg legs[COMMIT_LEGS_MAX];
};

/* Bytes that a transaction of so many legs needs: who keeps thousands leaves out the rest. Nobody
 * copies one as a whole then. */
#define COMMIT_TRANSACTION_SIZE(legs_)                                                             \
    (offsetof(struct commit_transaction, legs) + (legs_) * sizeof(struct commit_leg))

/* What was asked for. ERR_INVALID for fewer than two slots, slots twice, a first leg that is not in
 * the first slot, a slot without a leg, ids that are the protocol's; ERR_UNSUPPORTED for what does
 * not cross slots: balancing, closing and imported transfers, pending ones and time-outs; second
 * phases but for the capture of a hold in the first slot of a two-phase commit, where chained legs
 * may also be pending or void a hold. With chained legs there may be COMMIT_LEGS_MAX - 1, and the
 * first one need not be in the first slot. `legs` need no index, and may be the transaction's own.
 * After an error *transaction means nothing.
 *
 * slots[0] is that of the payer who has a limit: it decides. */
struct commit_request {
    enum commit_protocol protocol;
    uint8_t slot_count;
    uint16_t slots[COMMIT_MEMBERS_MAX];
    uint8_t leg_count;
    const struct commit_leg *legs;
    /* Digests by a hash for which nobody finds collisions (SHA-256), which every coordinator makes
     * in the same way. The first is of the first leg's id and the run: 0, and in 2PC one more for
     * each attempt after one that was told aborted. 3PC has no second run: its pending transfer
     * has the client's id, and leads a resolver to the marker. The other is of all that the request
     * says. */
    u128 name_digest;
    uint64_t request_digest;
};

MUST_USE err_t commit_transaction_init(
    struct commit_transaction *transaction, const struct commit_request *request);

/* The two legs of a transfer between accounts of two slots, through the in-transit accounts. */
void commit_split(
    const struct ledger_transfer *transfer, const uint16_t slots[2], struct commit_leg ret_legs[2]);

#define COMMIT_HOLD_LEGS 3
/* The legs of the posting of a hold (commit/records.h), for 2PC. `post` is what posts it, with the
 * accounts that its slot has; `paid` says the rest: amount, the payee, ledger, code, user_data. */
void commit_split_hold(
    const struct ledger_transfer *post,
    const struct ledger_transfer *paid,
    const uint16_t slots[2],
    struct commit_leg ret_legs[COMMIT_HOLD_LEGS]);

enum commit_state {
    COMMIT_START = 0,
    COMMIT_PREPARING,
    COMMIT_DECIDING,      /* 2PC: everybody else has prepared; the first slot is asked */
    COMMIT_INQUIRING,     /* 2PC: a tombstone is on its way to the first slot */
    COMMIT_PRECOMMITTING, /* 3PC: all have prepared */
    COMMIT_PROMISING,     /* 3PC, terminating: a majority is asked to refuse lower ballots */
    COMMIT_ACCEPTING,     /* 3PC, terminating: a majority is asked to take the value */
    COMMIT_OUTBID,        /* 3PC: somebody else terminates; conclude again after a random while */
    COMMIT_COMMITTED,     /* for ever; what is pending is being posted */
    COMMIT_ABORTED,       /* for ever; what is pending is being voided */
    COMMIT_POSTED,
    COMMIT_VOIDED,
    COMMIT_STATES,
};

/* What a run has seen of a member's log (3PC). */
struct commit_log {
    bool known;        /* read to its end, as far as we know */
    uint16_t length;   /* entries seen */
    uint16_t accepted; /* enum commit_kind of the last accepted value, or 0 */
    uint32_t promised; /* the highest ballot of any entry */
    uint32_t accepted_ballot;
};

/* In the caller's memory; only commit_ functions write it. */
struct commit_run {
    const struct commit_transaction *transaction;
    enum commit_state state;
    uint8_t answered; /* members, a bit each, that have done what the state asks */
    uint8_t prepared; /* that are known to have prepared */
    uint8_t refused;  /* that are known never to prepare: the transaction cannot commit */
    uint8_t failed;  /* of which the chain failed: to be buried, if they have not prepared before */
    uint8_t faulty;  /* that answered what no correct ledger answers: an operator must look */
    bool conflict;   /* another request has the same id */
    uint32_t reason; /* enum ledger_transfer_status of the first refusal, 0 if not known */
    uint32_t ballot; /* 3PC, ours */
    uint16_t value;  /* 3PC: COMMIT_KIND_PRECOMMIT or _PREABORT, what we ask to accept */
    /* Why the members' chains failed, which is no refusal yet (COMMIT-3). */
    uint32_t reasons[COMMIT_MEMBERS_MAX];
    /* 3PC's, and not written by 2PC: who has thousands of runs puts them last. */
    struct commit_log logs[COMMIT_MEMBERS_MAX];
};

/* Both borrow the transaction for as long as the run is used. */
void commit_begin(struct commit_run *run, const struct commit_transaction *transaction);
/* For a resolver: from the marker of a slot, and the pending transfers there that are in doubt, at
 * least one, all of this marker (commit_marker_of). Concludes at once, and finishes that slot only.
 * ERR_CORRUPT if they are not what this module writes. */
MUST_USE err_t commit_resume(
    struct commit_run *run,
    struct commit_transaction *ret_transaction,
    const struct ledger_transfer *marker,
    const struct ledger_transfer *pendings,
    uint32_t count);
/* The same for one pending transfer that is chained, by its note (commit_chain_note); the marker is
 * that of the chain, by the note's name and in its slot. */
MUST_USE err_t commit_resume_chained(
    struct commit_run *run,
    struct commit_transaction *ret_transaction,
    const struct ledger_transfer *marker,
    const struct ledger_transfer *note,
    const struct ledger_transfer *pending);

/* Time is up, or it is time to try again: 2PC inquires at the first slot, which aborts unless it
 * has decided; 3PC terminates, with a higher ballot than any seen. Without effect once the outcome
 * is known, and while concluding is under way. */
void commit_conclude(struct commit_run *run);

enum commit_ask_kind {
    COMMIT_ASK_PREPARE = 1, /* book the legs as pending ones, with the marker */
    COMMIT_ASK_DECIDE,      /* book the legs for good, with the marker: the decision */
    COMMIT_ASK_BURY,        /* a tombstone, if nothing is there: also behind a chain that failed */
    COMMIT_ASK_POST,
    COMMIT_ASK_VOID,
    COMMIT_ASK_READ,   /* no transfers: entries of the log are to be looked up */
    COMMIT_ASK_APPEND, /* one entry of the log */
};

/* No padding: asks are compared as bytes. */
struct commit_ask {
    uint16_t kind; /* enum commit_ask_kind */
    uint16_t member;
    uint16_t number; /* READ and APPEND: the place in the log */
    uint16_t entry;  /* APPEND: enum commit_kind */
    uint32_t ballot;
};

static_assert(sizeof(struct commit_ask) == 12, "an ask has no padding");

/* False if there is nothing to ask this member for now. */
bool commit_next(const struct commit_run *run, uint8_t member, struct commit_ask *ret_ask);
/* The slot to which an ask goes. */
uint16_t commit_slot(const struct commit_run *run, const struct commit_ask *ask);
/* The transfers, at most COMMIT_EVENTS_MAX, which go into one batch in this order; 0 for READ. */
uint32_t commit_build(
    const struct commit_run *run, const struct commit_ask *ask, struct ledger_transfer *ret_events);
/* How many these are. */
uint32_t commit_event_count(const struct commit_run *run, const struct commit_ask *ask);
/* For READ: the ids to look up, COMMIT_READ_MAX of them. */
void commit_log_ids(const struct commit_run *run, const struct commit_ask *ask, u128 *ret_ids);

/* What became of it, once that is durable. `results` are those of commit_build's transfers. If a
 * batch was not applied, or nobody knows, there is nothing to hand in. */
void commit_take(
    struct commit_run *run, const struct commit_ask *ask, const struct ledger_result *results);
/* The same for READ: what was found, in the order of the ids, up to the first that was not. */
void commit_take_log(
    struct commit_run *run,
    const struct commit_ask *ask,
    const struct ledger_transfer *found,
    uint32_t count);

enum commit_outcome {
    COMMIT_OUTCOME_UNKNOWN = 0,
    COMMIT_OUTCOME_COMMITTED,
    COMMIT_OUTCOME_ABORTED,
};

/* Of this run, durable and final. Before it tells a client "aborted", an adapter looks up the
 * client's id in the first slot: another run, or another form of the transfer, may have booked it
 * (README, "What the client is told"). */
enum commit_outcome commit_outcome(const struct commit_run *run);
/* Nothing is left to do; or only faulty members are left. */
bool commit_ended(const struct commit_run *run);

/* For logs and lists of what is in doubt: static, never NULL. */
const char *commit_state_name(enum commit_state state);

#endif
