/*
 * The ledger port: how every service moves money. One request is one batch of one operation.
 * Answers are posted to the requester's executor, always later, in-process too.
 */
#ifndef PORT_LEDGER_H
#define PORT_LEDGER_H

#include "base/span.h"
#include "ledger/ledger.h"
#include "os/loop.h"
#include "tracecontext/tracecontext.h"

enum port_ledger_operation {
    PORT_LEDGER_CREATE_ACCOUNTS,
    PORT_LEDGER_CREATE_TRANSFERS,
    PORT_LEDGER_LOOKUP_ACCOUNTS,
    PORT_LEDGER_LOOKUP_TRANSFERS,
    PORT_LEDGER_GET_ACCOUNT_TRANSFERS,
    PORT_LEDGER_GET_ACCOUNT_BALANCES,
    PORT_LEDGER_QUERY_ACCOUNTS,
    PORT_LEDGER_QUERY_TRANSFERS,
    PORT_LEDGER_GET_CHANGE_EVENTS,
    PORT_LEDGER_QUERY_IN_TRANSIT,
    PORT_LEDGER_LOOKUP_CONSISTENT,
    /* Of moves between ledgers, with the epoch PORT_LEDGER_EPOCH_MOVER; nobody else asks these. */
    PORT_LEDGER_ADOPT,
    PORT_LEDGER_GET_FAILED_IDS,
    PORT_LEDGER_SHARD,
    /* Within a process: the guard answers otherwise from here on, and whoever has the ledger later
     * is told the note, if there is one. */
    PORT_LEDGER_SETTLE,
};

/* Whoever moves slots: sees what is here, whoever owns it. No map has it. */
#define PORT_LEDGER_EPOCH_MOVER ((uint64_t)INT64_MAX)
/* The most adoptions that one request carries: with the stand-ins they are one batch. */
#define PORT_LEDGER_ADOPTIONS_MAX 2000

/* As docs/ledger.md, "Queries". An invalid filter answers with nothing. QUERY_IN_TRANSIT: the
 * transfers that are pending on in-transit accounts, by time: what is on its way between slots
 * (docs/internals/commit.md); of the filter it uses the times and the limit. */
struct port_ledger_filter {
    u128 account_id;
    u128 user_data_128;
    uint64_t user_data_64;
    uint32_t user_data_32;
    uint32_t ledger;
    uint16_t code;
    bool debits, credits, reversed;
    uint64_t timestamp_min;
    uint64_t timestamp_max;
    uint32_t limit; /* at most LEDGER_BATCH_MAX are answered */
};

/* LOOKUP_CONSISTENT: accounts as LOOKUP_ACCOUNTS finds them, at most so many, and behind them the
 * in-transit and HELD accounts of their slots (commit/records.h: their ids are reserved): no
 * transfer is shown by half, what is on its way, or held for another slot, stands there. ERR_BUSY:
 * money kept moving. In a ledger that is one it is LOOKUP_ACCOUNTS. */
#define PORT_LEDGER_CONSISTENT_MAX  (LEDGER_BATCH_MAX / PORT_LEDGER_CONSISTENT_EACH)
#define PORT_LEDGER_CONSISTENT_EACH 3 /* that may be found for each account that is asked for */

struct port_ledger_balance {
    uint64_t timestamp;
    struct ledger_balances balances;
};

/* Both accounts right after (or, for a refusal, as they stood at) a transfer. A zero id: there is
 * no such account. */
struct port_ledger_pair {
    struct ledger_account debit;
    struct ledger_account credit;
};

struct port_ledger_change {
    struct ledger_event event;
    struct ledger_account debit; /* with the event's balances and flags */
    struct ledger_account credit;
};

enum port_ledger_adoption_kind {
    PORT_LEDGER_ADOPT_ACCOUNT = 1,
    PORT_LEDGER_ADOPT_EVENT,
    PORT_LEDGER_ADOPT_FAILED_ID,
};

/* What comes from another ledger. Events in the order of time, accounts before their events. */
struct port_ledger_adoption {
    uint64_t kind; /* enum port_ledger_adoption_kind */
    uint64_t reserved;

    union {
        struct ledger_account account; /* its balances do not count: events make them */
        struct ledger_adopted event;
        u128 failed_id;
    } of;

    /* For a side that came before, in an earlier move; made if they are not there. */
    u128 debit_stand_in;
    u128 credit_stand_in;
};

/* `status` of an adoption's result. What comes twice is known, so everything may be sent again. */
enum port_ledger_adopted_status {
    PORT_LEDGER_ADOPTED = 1,
    PORT_LEDGER_ADOPTED_KNOWN,
    PORT_LEDGER_ADOPTED_REFUSED, /* does not follow from what is here; nor was anything after it */
};

struct port_ledger_failed_id {
    u128 id;
    uint64_t next; /* timestamp_min to go on with */
    uint64_t reserved;
};

#define PORT_LEDGER_SLOT_WORDS 256 /* of 64 slots each */

enum port_ledger_shard_order_kind {
    PORT_LEDGER_SHARD_LOOK = 1, /* changes nothing */
    PORT_LEDGER_SHARD_ARRIVE,   /* the slots are going to be adopted here */
    PORT_LEDGER_SHARD_FENCE,    /* nothing for the slots is applied any more, under this epoch */
    PORT_LEDGER_SHARD_MAP,      /* read the map again */
};

/* To the owner of a shard (shards/shards.h). */
struct port_ledger_shard_order {
    uint64_t kind;
    uint64_t epoch; /* of the map that whoever orders has read */
    uint64_t slots[PORT_LEDGER_SLOT_WORDS];
};

/* Its state, after the order. */
struct port_ledger_shard {
    uint64_t epoch;       /* of its map */
    uint64_t fence_epoch; /* 0: no fence */
    uint64_t reserved[2];
    uint64_t fence[PORT_LEDGER_SLOT_WORDS];
    uint64_t arriving[PORT_LEDGER_SLOT_WORDS]; /* began to be adopted, and are not its own */
    uint64_t left[PORT_LEDGER_SLOT_WORDS];     /* were its own; what is here is frozen */
};

static_assert(sizeof(struct port_ledger_adoption) == 368, "sent as it is in memory");
static_assert(sizeof(struct port_ledger_failed_id) == 32, "sent as it is in memory");

struct port_ledger_request;

/* Who may do what in a ledger that is one of several; asked on the ledger's thread, at the moment
 * at which a request is applied. */
struct port_ledger_guard {
    /* ERR_OK, or what the request is answered with: nothing was done. */
    err_t (*admit)(void *context, struct port_ledger_request *request);
    /* The request was admitted, but needs an account that `has` denies: what it is answered with.
     */
    err_t (*refuse)(void *context, struct port_ledger_request *request);
    /* Is the account of this ledger's own slots? What is not is neither shown nor expired. */
    bool (*has)(void *context, u128 account_id);
    /* The ledger was loaded, with what was noted with it last (SETTLE; empty: nothing was). Before
     * anything is executed; may block. After an error it counts as not loaded. NULL for a guard
     * that keeps what it knows elsewhere. */
    err_t (*loaded)(void *context, struct span note);
    void *context;
};

/*
 * The requester fills the first part and owns every array until `done` runs. The ledger fills the
 * second part; output arrays are the requester's, with the room stated.
 */
struct port_ledger_request {
    struct os_task task;      /* the port's, while the request is under way */
    struct port_ledger *port; /* the port's: where it was submitted */
    struct os_executor *reply_to;
    void (*done)(struct port_ledger_request *request); /* on reply_to's thread */
    struct trace_context trace; /* whose work it is; zero: nobody follows it */
    uint64_t trace_began_ns;    /* the callee's, for its spans */
    uint64_t trace_executing_ns;
    uint64_t trace_applied_ns;

    /* The epoch of the shard map that it was routed by; 0: by none. After ERR_MOVED the callee's.
     */
    uint64_t epoch;
    /* In a ledger of several shards, of LOOKUP_TRANSFERS and of queries without an account: only
     * where this account is. 0: everywhere. Of CREATE_TRANSFERS whose events all name their
     * accounts: these were where this one is, by the map that the requester has seen; it spares
     * looking whose each event is. 0: that is looked up. */
    u128 near;

    enum port_ledger_operation operation;
    uint32_t count; /* events or ids, at most LEDGER_BATCH_MAX */

    union {
        const struct ledger_account *accounts;        /* CREATE_ACCOUNTS */
        const struct ledger_transfer *transfers;      /* CREATE_TRANSFERS */
        const u128 *ids;                              /* LOOKUP_* */
        const struct port_ledger_filter *filter;      /* the queries; GET_FAILED_IDS: from, limit */
        const struct port_ledger_adoption *adoptions; /* ADOPT */
        const struct port_ledger_shard_order *order;  /* SHARD: one */
        const struct span *note; /* SETTLE: NULL, or a text. ERR_UNSUPPORTED: no room for one */
    } in;

    union {
        struct ledger_result *results;        /* CREATE_*, ADOPT: room for count */
        struct ledger_account *accounts;      /* LOOKUP_ACCOUNTS: count; QUERY_ACCOUNTS: limit;
                                                 LOOKUP_CONSISTENT: 3 * count */
        struct ledger_transfer *transfers;    /* LOOKUP_TRANSFERS: count; queries: limit */
        struct port_ledger_balance *balances; /* GET_ACCOUNT_BALANCES: limit */
        struct port_ledger_change *changes;   /* GET_CHANGE_EVENTS: limit */
        struct port_ledger_failed_id *failed; /* GET_FAILED_IDS: limit */
        struct port_ledger_shard *shard;      /* SHARD: one */
    } out;
    struct port_ledger_pair *pairs; /* CREATE_TRANSFERS: NULL, or room for count */

    /* ERR_BUSY, ERR_FULL, ERR_MOVED (another shard has it) or ERR_CROSSES_SHARDS: nothing was done
     * (of the last, out_count is the place of the event that cannot be on two shards).
     * ERR_ARCHIVED: nothing was done, as the past that it needs is in a segment that is not here.
     * ERR_OUTCOME_UNKNOWN: it may have been; ask by id. */
    err_t error;
    uint64_t segment; /* after ERR_ARCHIVED: its number; 0: another process knows it */
    uint32_t out_count;
};

struct port_ledger {
    /* From any thread. Takes the request until its `done` was posted. */
    void (*submit)(struct port_ledger *ledger, struct port_ledger_request *request);
    /* Several ledgers by a map of slots: what happens together is cheapest in one slot
     * (books_account_place), and not everything may be in two: ERR_CROSSES_SHARDS. */
    bool sharded;
    /* Of several: a wallet's account is in the slot of the wallet's id, and no longer in that of
     * its merchant's; what moves between the two crosses (BOOKS-4). Whoever assembles the process
     * says so, before the first request. */
    bool wallets_apart;
};

#endif
