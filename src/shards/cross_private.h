/*
 * The parts of cross.
 *
 *     cross.c          life, the port, ticks
 *     cross_memory.c   what batches need, bounded
 *     cross_plan.c     what crosses, and in which order a batch is done
 *     cross_job.c      a batch: level after level, results, its answer
 *     cross_accounts.c the protocol's accounts that a batch needs
 *     cross_hold.c     holds, and what posts or voids them
 *     cross_chain.c    linked chains: what may cross, their legs, which of their events failed
 *     cross_run.c      a transaction: asks as vectors, and what they came to
 *     cross_explain.c  what a client is told of a transfer that was not booked just now
 *     cross_ask.c      what is asked to know that
 *     cross_compare.c  what is told of a transfer beside what is booked
 *     cross_lookup.c   what a look-up by ids shows of transfers that crossed
 *     cross_resolve.c  what is in doubt
 *     cross_read.c     consistent reads
 *
 * Everything runs on the executor's thread but submit and the counters.
 */
#ifndef SHARDS_CROSS_PRIVATE_H
#define SHARDS_CROSS_PRIVATE_H

#include "shards/cross.h"

#include "base/list.h"
#include "base/map.h"
#include "os/prng.h"

#include <stdatomic.h>

/* A transfer that crosses has two legs, the posting of a hold three. */
#define CROSS_LEGS COMMIT_HOLD_LEGS
/* Attempts by which what belongs to a hold is named: its marker, and the transactions that post
 * one, which are 2PC's, so that they are never taken for a transfer's with the same id. */
#define CROSS_ATTEMPT_HOLD UINT32_MAX
#define CROSS_ATTEMPT_POST UINT32_C(256)
/* Attempts of chains, which are named after all that they say. */
#define CROSS_ATTEMPT_CHAIN UINT32_C(512)
/* Legs of a chain. */
#define CROSS_CHAIN_LEGS_MAX (COMMIT_LEGS_MAX - 1)
/* In-transit accounts that are known to exist; more are forgotten, and made again. */
#define CROSS_KNOWN_MAX (UINT32_C(1) << 20)

enum cross_stage {
    CROSS_RUNNING,    /* the protocol has no outcome yet */
    CROSS_EXPLAINING, /* what to tell is being looked up */
    CROSS_SETTLED,    /* the event has its result */
    CROSS_LEFT,       /* nobody knows now: ERR_OUTCOME_UNKNOWN */
    CROSS_UNDONE,     /* aborted because it took too long: it may be sent again */
    CROSS_RESOLVING,  /* the resolver's: there is no event */
};

/* What a client is told is looked up in steps (cross_explain.c, cross_ask.c). */
enum cross_step {
    CROSS_STEP_NONE,
    CROSS_STEP_FIRST,    /* what has the client's id, in the payer's slot */
    CROSS_STEP_SECOND,   /* whom that paid, in the payee's slot */
    CROSS_STEP_ACCOUNTS, /* both accounts, after the payee's slot has refused */
    CROSS_STEP_CHECK,    /* was the id used before? */
    CROSS_STEP_FAIL,     /* the payer's slot shall remember that the id has failed */
    CROSS_STEP_HOLD,     /* a hold is made in the payer's slot */
    CROSS_STEP_PROBE,    /* what the payer's slot says of a posting, without doing it */
    CROSS_STEP_MEMBER,   /* what a slot of a chain says of its legs, without doing them */
    CROSS_STEP_MEMBERS,  /* what all of them say, before any has prepared */
};

/* How something is done. */
enum cross_way {
    CROSS_WAY_LOCAL,    /* one shard's, as it is */
    CROSS_WAY_FAULTY,   /* would cross, but every ledger refuses it for what it says: the payer's */
    CROSS_WAY_END,      /* ends a hold in the payer's slot, or fails to */
    CROSS_WAY_TRANSFER, /* a transaction of two legs */
    CROSS_WAY_HOLD,     /* made in the payer's slot, once the payee was looked at */
    CROSS_WAY_POST,     /* a transaction that posts a hold */
    CROSS_WAY_CHAIN,    /* a linked chain: a transaction of all of its legs */
};

/* What a second phase is about. */
struct cross_hold {
    uint32_t event; /* that is the second phase */
    bool is_held;   /* on a HELD account: the payee is in another slot */
    uint32_t maker; /* the event of the same batch that makes it, counted from 1; 0: it was found */
    bool doubtful;  /* the batch makes it several times, otherwise each time, also across */
    /* As it was found, with the payee as its credit account; id 0: nobody has it, and the debit
     * account is whose slot it would be in, if a later event of the batch says that. */
    struct ledger_transfer transfer;
};

/* Why a slot has refused its part of a chain: the first leg that failed by itself. */
struct cross_refusal {
    uint32_t status; /* 0: none */
    uint8_t event;   /* of the chain */
    bool is_payers;  /* the leg has the client's id */
    bool is_whole;   /* the leg is all of the event, and what its ledger says of it is final */
    bool uses_up;    /* the client's id, in this slot */
};

/* A linked chain that crosses. */
struct cross_chain {
    uint32_t start, count; /* in the request */
    enum commit_protocol protocol;
    uint8_t slot_count;
    uint8_t leg_count;
    uint8_t heard;                      /* slots, a bit each, whose answer to the legs is known */
    uint8_t probing;                    /* the slot that is asked again */
    bool once;                          /* an id is used up if the slot has prepared: one attempt */
    bool checking;                      /* the transaction waits for CROSS_STEP_MEMBERS */
    bool ended;                         /* it was aborted, and counted */
    uint16_t slots[COMMIT_MEMBERS_MAX]; /* the first one decides by 2PC */
    struct cross_refusal refusals[COMMIT_MEMBERS_MAX];
};

/* A transfer that crosses, or a transaction that is resolved. */
struct cross_tx {
    _Alignas(16) struct cross_job *job; /* so that transactions may follow several of them */
    struct commit_transaction *transaction;
    uint64_t began_ns;
    uint64_t retry_ns; /* nothing is sent before */
    uint32_t event;    /* its place in the request */
    enum cross_way way;
    const struct cross_hold *hold; /* that it posts, or NULL */
    struct cross_chain *chain;     /* whose `event` is the one that is told of, or NULL */
    uint8_t attempt;
    uint8_t out; /* members that are being asked, a bit each */
    enum cross_stage stage;
    bool late;          /* it was concluded at its deadline */
    bool failed_before; /* a leg's id had failed for ever */
    bool over;          /* nothing is sent any more */
    uint32_t booked;    /* what the first leg was answered: created or exists; 0: not yet known */
    uint64_t booked_at;
    /* Explaining. */
    enum cross_step step;
    bool asked;
    bool again;             /* the step was asked before, and may have been done then */
    uint8_t booked_attempt; /* the attempt that booked what is compared */
    uint16_t booked_slot;   /* of its payee */
    uint32_t verdict;       /* what is told unless something better is found */
    struct commit_run run;  /* last: most of it is 3PC's */
};

/* Events or a transfer that are done together. */
struct cross_unit {
    uint32_t start, count; /* in the request */
    uint32_t level;
    enum cross_way way;
};

static inline bool
cross_way_crosses(enum cross_way way)
{
    return way >= CROSS_WAY_TRANSFER;
}

struct cross_job {
    struct list_link link; /* cross->jobs */
    struct shards_cross *cross;
    struct port_ledger_request *request; /* NULL once it is answered, and for the resolver */
    struct trace_context trace;
    uint32_t out;             /* messages under way */
    bool turning;             /* a turn is under way: it looks itself whether the job is over */
    uint64_t tick_ns;         /* by time alone nothing is to be done before */
    struct cross_unit *units; /* by level */
    uint32_t unit_count;
    uint32_t unit_next;
    uint32_t level_out;       /* of the level: messages of its local events */
    uint32_t unsettled;       /* of the level: transactions without a result */
    uint32_t tx_count;        /* begun; there is room for one an event */
    uint32_t tx_open;         /* of which something may still be sent */
    uint32_t crossing;        /* events of units that cross */
    bool unplanned;           /* what it is about is still being looked up */
    bool again;               /* only second phases that a shard took for something else are done */
    uint32_t holds_out;       /* messages that look holds up */
    struct cross_hold *holds; /* of each second phase, in the order of events */
    uint32_t hold_count;
    uint32_t accounts_out; /* messages that make protocol accounts */
    uint32_t pairs_out;
    bool pairs_asked;
    err_t error;    /* of the parts, if some could not be done */
    bool some_done; /* or may have been */
    struct cross_tx *txs;
    char *transactions; /* CROSS_TRANSACTION_SIZE each */
    void *memory;
    uint64_t memory_size;
    struct shards_doubt_entry *doubt; /* the resolver's */
    struct cross_read *read;
};

/* Of each event. A chain has that of all of its events: two legs each, and what is known of it. */
#define CROSS_TRANSACTION_SIZE ((COMMIT_TRANSACTION_SIZE(CROSS_LEGS) + 15) / 16 * 16)
#define CROSS_CHAIN_SIZE       ((sizeof(struct cross_chain) + 15) / 16 * 16)
static_assert(
    CROSS_CHAIN_SIZE + COMMIT_TRANSACTION_SIZE(4) <= 2 * CROSS_TRANSACTION_SIZE &&
        2 * sizeof(struct commit_leg) <= CROSS_TRANSACTION_SIZE,
    "a chain has room");

struct cross_item {
    struct cross_tx *tx;
    struct commit_ask ask;
    uint32_t attempt; /* of the transaction; an answer to an earlier one is nobody's */
    uint32_t first;   /* of the message's events */
    uint32_t count;
};

/* A request to the router. */
struct cross_message {
    struct port_ledger_request port;
    struct list_link link; /* cross->messages */
    struct shards_cross *cross;
    struct cross_job *job;
    /* What came of it, on the executor's thread; then it is freed. */
    void (*take)(struct cross_message *message);
    struct cross_tx *tx; /* of messages about one */
    struct shards_doubt_entry *doubt;
    struct port_ledger_request *lookup; /* whose legs it is about */
    uint64_t size;
    uint32_t room; /* of events or ids, and of what is answered */
    struct cross_item *items;
    uint32_t item_count;
    uint32_t *positions; /* of local events, in the request */
    uint32_t shard;      /* of a sweep */

    union {
        struct ledger_account *accounts;
        struct ledger_transfer *transfers;
        u128 *ids;
    } in;
    struct port_ledger_filter filter;
};

/* A transaction's pendings of one slot that the last sweep found. */
struct shards_doubt_entry {
    struct shards_doubt doubt; /* name 0: the place is free */
    struct cross_job *job;     /* that resolves it, or NULL */
    uint64_t known_ns;
    uint64_t next_ns; /* not resolved before */
    bool seen;        /* by the sweep under way */
    bool chained;     /* its pending transfer is of a chain, and this is its note */
    struct ledger_transfer note;
    bool asked; /* for its marker */
    bool told;  /* that nothing can be done about it */
    struct ledger_transfer pendings[COMMIT_LEGS_MAX];
};

struct cross_sweep {
    uint64_t next_ns;
    bool under_way;
    uint32_t used;                     /* places of doubts */
    struct shards_doubt_entry *doubts; /* SHARDS_DOUBTS_MAX; NULL before the first sweep */
    /* Of each place the doubt's name and, in the bits that a name has not, its slot; 0: free. What
     * is pending is looked for here: the doubts themselves are large. */
    u128 *keys;
};

#define CROSS_COUNTER_COUNT (sizeof(struct shards_cross_counters) / sizeof(uint64_t))

struct shards_cross {
    struct port_ledger port;
    struct shards_cross_parts parts;
    struct list jobs;
    struct list messages;
    struct list firsts;
    uint32_t job_count;
    struct os_prng prng;
    struct map known; /* of (ledger, slot) whose accounts exist; cross_accounts.c */
    struct cross_sweep sweeps[SHARD_SHARDS_MAX];
    uint32_t resolving;
    struct cross_spare *spares; /* the last that was given back first */
    uint64_t spares_size;
    uint64_t spares_next_ns; /* not looked at before, whether they are needed */
    bool spares_idle;        /* nothing large was taken since they were looked at */
    _Atomic uint64_t counters[CROSS_COUNTER_COUNT];
};

#define CROSS_COUNTER(name) (offsetof(struct shards_cross_counters, name) / sizeof(uint64_t))
#define CROSS_COUNT(cross, name, n)                                                                \
    atomic_fetch_add_explicit(                                                                     \
        &(cross)->counters[CROSS_COUNTER(name)], (uint64_t)(n), memory_order_relaxed)
#define CROSS_SHOW(cross, name, value)                                                             \
    atomic_store_explicit(                                                                         \
        &(cross)->counters[CROSS_COUNTER(name)], (uint64_t)(value), memory_order_relaxed)

static inline uint64_t
cross_now(const struct shards_cross *cross)
{
    return os_monotonic_ns(cross->parts.clock);
}

static inline uint64_t
cross_ms(uint32_t ms)
{
    return (uint64_t)ms * OS_NS_PER_MS;
}

/* ---- cross_memory.c */

/* Zeroed and counted, or NULL. */
void *shards_cross_memory_take(struct shards_cross *cross, uint64_t size);
/* As it comes: for what is large, and written before it is read. */
void *shards_cross_memory_take_unset(struct shards_cross *cross, uint64_t size);
void shards_cross_memory_give(struct shards_cross *cross, void *memory, uint64_t size);
/* Frees what was kept for batches that have not come. */
void shards_cross_memory_tick(struct shards_cross *cross, uint64_t now);
void shards_cross_memory_release(struct shards_cross *cross);

/* ---- cross.c */

void shards_cross_answer(struct port_ledger_request *request, err_t error);
/* A job of the cross, linked, with nothing in it; NULL: no room. */
struct cross_job *shards_cross_job_new(struct shards_cross *cross);
void shards_cross_job_free(struct cross_job *job);
/* With room for so many events, ids or filters' results, and items. NULL: no room. */
struct cross_message *shards_cross_message_new(
    struct shards_cross *cross,
    struct cross_job *job,
    enum port_ledger_operation operation,
    uint32_t room,
    uint32_t items);
void shards_cross_message_send(struct cross_message *message);
void shards_cross_message_free(struct cross_message *message);

/* The id that an account of the protocol has in its slot, and back (CROSS-7): those of
 * core/commit say the slot, and a shard is found by the hash. */
u128 shards_cross_place(u128 id, uint16_t slot);
void shards_cross_place_transfer(struct ledger_transfer *transfer, uint16_t slot);
void shards_cross_unplace_transfer(struct ledger_transfer *transfer);
/* A slot's account: where to look for what is in the slot. */
u128 shards_cross_near(uint16_t slot);

/* ---- cross_plan.c */

/* What crosses, sorted into levels. ERR_CROSSES_SHARDS, with request->out_count the event's place;
 * ERR_BUSY. */
MUST_USE err_t shards_cross_plan(struct cross_job *job);
/* Refused by any ledger for what it says itself, whatever the accounts are. */
bool shards_cross_is_faulty(const struct ledger_transfer *transfer);
/* CROSS-6: it names something that is the protocol's. */
bool shards_cross_is_ours(const struct ledger_transfer *transfer);
/* Are its accounts two shards'? */
bool shards_cross_crosses(const struct shard_map *map, const struct ledger_transfer *transfer);
/* Two slots'? */
bool shards_cross_joins_slots(const struct ledger_transfer *transfer);
/* A hold between two slots is made in its payer's slot, whichever shards have them (CROSS-10), so
 * that each may move; but within a chain it is as the chain is. */
bool shards_cross_is_slots_hold(const struct ledger_transfer *transfer);

/* ---- cross_hold.c */

static inline bool
cross_is_second_phase(const struct ledger_transfer *event)
{
    const unsigned both = LEDGER_TRANSFER_POST_PENDING | LEDGER_TRANSFER_VOID_PENDING;
    return (event->flags & both) != 0;
}

/* Looks up what the request's second phases are about; `again`: of those only that are doubtful.
 * ERR_BUSY. */
MUST_USE err_t shards_cross_holds_begin(struct cross_job *job);
/* Of an event that is a second phase, once that is known; NULL: it was not looked up. */
const struct cross_hold *shards_cross_hold_of(const struct cross_job *job, uint32_t event);
/* How one is done whose hold is known. */
enum cross_way shards_cross_hold_way(const struct cross_job *job, const struct cross_hold *hold);
/* The same second phase, as the payer's slot knows the accounts; of any other event that cannot be
 * booked, one that the payer's slot refuses for the same reason. */
void shards_cross_hold_translate(
    const struct cross_job *job,
    const struct cross_hold *hold,
    const struct ledger_transfer *event,
    struct ledger_transfer *ret_event);
/* What a posting pays, with all that it leaves to its hold. */
struct ledger_transfer shards_cross_hold_paid(
    const struct cross_hold *hold, const struct ledger_transfer *event);
u128 shards_cross_hold_marker_id(const struct shards_cross *cross, u128 id, uint16_t slot);
/* Is a batch planned at once, although one shard may have all of it? If it makes a hold between two
 * slots, or may end one; and if it has second phases and an id twice: what one shard takes for
 * another's hold is ended behind the rest of its batch, when a later event would have the id
 * already. ERR_BUSY. */
MUST_USE err_t shards_cross_is_planned(
    struct shards_cross *cross, const struct port_ledger_request *request, bool *ret_planned);
/* Is the event part of a linked chain? */
bool shards_cross_is_chained(const struct cross_job *job, uint32_t event);
/* May what one shard refused, or answered as another's, be the end of a hold? It is done again. */
bool shards_cross_end_is_doubtful(const struct ledger_transfer *event, uint32_t status);

/* ---- cross_chain.c */

/* May the unit, a chain on several shards, be a transaction? Else ERR_CROSSES_SHARDS, with the
 * place of the event for which it may not. */
MUST_USE err_t shards_cross_chain_check(
    const struct cross_job *job, const struct cross_unit *unit, uint32_t *ret_place);
/* Begins the attempt of tx->attempt. */
MUST_USE err_t shards_cross_chain_begin(struct cross_tx *tx);
/* What the answer of a slot says of the chain's events. */
void shards_cross_chain_note(
    struct cross_tx *tx, const struct commit_ask *ask, const struct ledger_result *results);
/* It was aborted, and may be told as soon as every slot has ended its part. */
void shards_cross_chain_aborted(struct cross_tx *tx);
/* The result of all events: `status` is that of tx->event, or `created` that of all. */
void shards_cross_chain_results(struct cross_tx *tx, uint32_t status, uint64_t timestamp);
/* The legs of the slot that is probed, and something that can never be. */
void shards_cross_chain_probe(const struct cross_tx *tx, struct cross_message *message);
/* What it said. */
void shards_cross_chain_probed(struct cross_tx *tx, const struct ledger_result *results);
/* The same of all slots, a chain for each. */
void shards_cross_chain_probe_all(const struct cross_tx *tx, struct cross_message *message);
/* What they said; NULL: not all have answered in time, so the transaction says it. */
void shards_cross_chain_checked(struct cross_tx *tx, const struct ledger_result *results);

static inline bool
cross_is_checking(const struct cross_tx *tx)
{
    return tx->chain != NULL && tx->chain->checking;
}

/* Is the client's id of the event that is told of used up, whatever is told? Then `verdict` is what
 * its ledger would say of it now. */
bool shards_cross_chain_used_up(const struct cross_tx *tx, uint32_t *verdict);
/* Nothing has its ids, and it had its only attempt: the event whose id is to be used up. */
uint32_t shards_cross_chain_burns(const struct cross_tx *tx);

/* ---- cross_accounts.c */

/* What is known to be there. */
void shards_cross_accounts_init(struct shards_cross *cross);
void shards_cross_accounts_release(struct shards_cross *cross);
/* Asks for those that the planned batch needs; job->accounts_out says how much is under way.
 * ERR_BUSY. */
MUST_USE err_t shards_cross_accounts_begin(struct cross_job *job);

/* ---- cross_job.c */

void shards_cross_job_begin(struct cross_job *job);
/* After anything has happened to it: goes on, answers, ends. The job may be gone afterwards. */
void shards_cross_job_turn(struct cross_job *job);
/* A deadline may be over, or it is time to send again. The job may be gone afterwards. */
void shards_cross_job_tick(struct cross_job *job, uint64_t now);
void shards_cross_settle(struct cross_tx *tx, uint32_t status, uint64_t timestamp);
void shards_cross_leave(struct cross_tx *tx, enum cross_stage stage);
/* For a request that went through the router as a whole: its doubtful results are explained, or
 * what ends holds is done as it has to be. */
void shards_cross_job_explain_results(struct cross_job *job);
/* Nothing is sent of it any more. */
void shards_cross_tx_over(struct cross_tx *tx);

/* ---- cross_run.c */

struct cross_outgoing {
    struct shards_cross *cross;
    struct cross_job *job;
    struct cross_message *open[SHARD_SHARDS_MAX];
    uint32_t expected; /* transactions that still come: how much room to make */
};

/* Begins the attempt of tx->attempt, of a transfer or a posting. ERR_INVALID: the event cannot be a
 * transaction. */
MUST_USE err_t shards_cross_run_begin(struct cross_tx *tx, uint64_t now);
void shards_cross_run_turn(struct cross_tx *tx, uint64_t now, struct cross_outgoing *outgoing);
void shards_cross_outgoing_flush(struct cross_outgoing *outgoing);
/* The outcome, if it is known, leads on. */
void shards_cross_run_advance(struct cross_tx *tx);
u128 shards_cross_name(const struct shards_cross *cross, u128 id, uint32_t attempt);

/* Of a SHA-256: what names are made of, and the digest of what was asked for. */
struct cross_digest {
    u128 name;
    uint64_t check;
};
struct cross_digest shards_cross_digest(const struct shards_cross *cross, struct span bytes);

/* ---- cross_explain.c */

void shards_cross_explain(struct cross_tx *tx);
/* Of a hold: it has no transaction, what is looked up and made are steps of the same kind. */
void shards_cross_explain_hold(struct cross_tx *tx);
/* It was committed, and by whom and when is in the ledger. */
void shards_cross_explain_found(struct cross_tx *tx);
/* An event that a shard refused as different from what has its id, which may be the same transfer
 * in its other form. */
void shards_cross_explain_result(struct cross_tx *tx, uint32_t status);
/* The same of a second phase. */
void shards_cross_explain_end(struct cross_tx *tx, uint32_t status);
/* Sends again what was not answered. */
void shards_cross_explain_tick(struct cross_tx *tx, uint64_t now);
/* Of a chain: what has an id of its event; a slot that was not heard; all slots, before any is
 * asked to prepare; what became of the event of a reason. */
void shards_cross_explain_chain_first(struct cross_tx *tx);
void shards_cross_explain_chain_member(struct cross_tx *tx);
void shards_cross_explain_chain_members(struct cross_tx *tx);
void shards_cross_explain_chain_accounts(struct cross_tx *tx);

/* ---- cross_compare.c */

/* After this status an id may not be used again. */
bool shards_cross_uses_the_id_up(uint32_t status);
/* Something has the id: the same, or something else. */
bool shards_cross_is_different(uint32_t status);
/* Up to the debit account, in the order of the ledger's own comparison; 0: the same. What the
 * protocol adds to a leg is no difference. */
uint32_t shards_cross_compare_before_credit(
    const struct ledger_transfer *event, const struct ledger_transfer *booked, bool is_leg);
/* Behind the credit account; `exists`: the same. */
uint32_t shards_cross_compare_behind_credit(
    const struct ledger_transfer *event, const struct ledger_transfer *booked);
/* What one ledger would have said of both accounts, NULL for one that is not there; `reason` if it
 * has nothing against them. */
uint32_t shards_cross_verdict_of(
    uint32_t reason,
    const struct ledger_transfer *event,
    const struct ledger_account *payer,
    const struct ledger_account *payee);
/* May what a shard refused as different be the same transfer? */
bool shards_cross_result_is_doubtful(const struct ledger_transfer *event, uint32_t status);

/* ---- cross_lookup.c */

/* What the shards have found is answered as the transfers that they are. */
void shards_cross_lookup_end(struct shards_cross *cross, struct port_ledger_request *request);

/* ---- cross_resolve.c */

void shards_cross_resolve_tick(struct shards_cross *cross, uint64_t now);
void shards_cross_resolve_ended(struct cross_job *job);

/* ---- cross_read.c */

void shards_cross_read_begin(struct shards_cross *cross, struct port_ledger_request *request);

#endif
