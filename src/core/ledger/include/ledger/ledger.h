/*
 * The ledger: a pure state machine over accounts and transfers.
 *
 * It keeps accounts, live pending transfers with their expiry queue, and the clock; not history.
 * It makes no system call, reads no clock, and allocates nothing while it applies. One writer
 * owns it. What happens to a batch, in order, with the caller being the shell (engine/):
 *
 *   1. ledger_prepare_transfers()  names the ids whose past the core needs for this batch;
 *   2. the shell looks those up in its store and fills in `struct ledger_past`;
 *   3. ledger_reserve()            makes room: the only step that can refuse, and that allocates;
 *   4. ledger_set_clock(), then ledger_pulse_due() decides whether a pulse follows the batch;
 *   5. ledger_create_accounts() or ledger_create_transfers() apply, and append to the delta;
 *   6. ledger_set_clock() and ledger_pulse(), if step 4 said so;
 *   7. the shell makes the delta durable and only then answers.
 *
 * Nothing may change the ledger between steps 1 and 5 but ledger_set_clock(): no other batch, no
 * pulse. The core asserts it.
 *
 * If the shell cannot make a delta durable, it must discard the core and load a new one: the core
 * has no undo beyond a chain.
 *
 * Time is an argument. The clock is nanoseconds, 1 ... LEDGER_TIMESTAMP_MAX, strictly increasing
 * over all events. Event i (from 0) of a batch of n that commits at clock c has timestamp
 * c - n + i + 1.
 *
 * Invariants (README.md has the whole list): LEDGER-1 posted debits equal posted credits per
 * ledger number, LEDGER-2 pending debits equal pending credits, LEDGER-3 an event has exactly one
 * status, LEDGER-4 a timestamp belongs to one event.
 */
#ifndef LEDGER_LEDGER_H
#define LEDGER_LEDGER_H

#include "base/err.h"
#include "ledger/records.h"

struct ledger;

/* The largest table that can be asked for. */
#define LEDGER_COUNT_MAX (UINT32_C(1) << 30)

/* Limits, all above zero; the core never grows past them. What is not used takes no memory but 8
 * bytes for each 32,768 accounts and pendings of the limits: an account takes 132 bytes, and 16 to
 * 32 in its index (32 to 48 while that grows); a live pending transfer 200 and as much. */
struct ledger_limits {
    uint32_t account_count_max; /* at most LEDGER_COUNT_MAX */
    uint32_t pending_count_max; /* live pending transfers; at most LEDGER_COUNT_MAX */
    uint32_t expiry_batch_max;  /* most pendings that one pulse expires; 8,189 as documented */
    /* Live pendings of which an account has the upper 80 bits of this id are kept in a list of
     * their own (ledger_listed_first). 0: none. */
    u128 listed_accounts;
    /* Told of the memory of each index, and of each block of accounts or pendings behind the first,
     * before it is used: whoever knows the system can ask it for large pages. NULL: nobody. */
    void (*on_memory)(void *memory, size_t size);
};

/* What became of a pending transfer. */
enum ledger_fate {
    LEDGER_FATE_NONE = 0, /* it was not a pending one */
    LEDGER_FATE_PENDING,
    LEDGER_FATE_POSTED,
    LEDGER_FATE_VOIDED,
    LEDGER_FATE_EXPIRED,
};

/* The store's answer about one id. */
enum ledger_past_kind {
    LEDGER_PAST_NONE = 0, /* never seen */
    LEDGER_PAST_TRANSFER, /* a transfer with this id exists */
    LEDGER_PAST_FAILED,   /* a transient failure used the id up */
};

struct ledger_past {
    u128 id;
    enum ledger_past_kind kind;
    enum ledger_fate fate;           /* of a pending transfer */
    struct ledger_transfer transfer; /* if kind is LEDGER_PAST_TRANSFER */
};

enum ledger_event_kind {
    LEDGER_EVENT_SINGLE_PHASE = 1,
    LEDGER_EVENT_TWO_PHASE_PENDING,
    LEDGER_EVENT_TWO_PHASE_POSTED,
    LEDGER_EVENT_TWO_PHASE_VOIDED,
    LEDGER_EVENT_TWO_PHASE_EXPIRED,
};

struct ledger_balances {
    u128 debits_pending;
    u128 debits_posted;
    u128 credits_pending;
    u128 credits_posted;
};

/* A movement, as it goes to the store and to the change feed. */
struct ledger_event {
    struct ledger_transfer transfer; /* for an expiry the pending one, unchanged */
    struct ledger_balances debit;    /* of the two accounts, right after the event */
    struct ledger_balances credit;
    uint64_t timestamp;  /* the event's; the transfer's own except for an expiry */
    uint32_t debit_slot; /* dense account numbers, 0 ... accounts - 1, in creation order */
    uint32_t credit_slot;
    uint16_t debit_flags; /* right after the event: closed or not */
    uint16_t credit_flags;
    uint8_t kind;    /* enum ledger_event_kind */
    uint8_t adopted; /* 1: happened in another ledger, and its accounts came from there */
    uint8_t padding[2];
    /* Of the pending transfer that began or ended: its slot + 1 (ledger_pending_at), 0 if there is
     * none. For as long as it lives the slot is no other's, so a store may keep by it what it will
     * want to know at the end. No part of the event: where it is redone the slot may be another. */
    uint32_t pending_place;
};

static_assert(sizeof(struct ledger_event) == 288, "event");

/* Every change of state that one or more batches made, in commit order. The arrays are the
 * caller's, and stay valid until it resets the delta. Before a batch of n accounts there must be
 * room for n accounts, before one of n transfers for n events and n failed ids, before a pulse for
 * expiry_batch_max events. */
struct ledger_delta {
    struct ledger_account *accounts; /* created, balances zero, final timestamps */
    uint32_t account_count, account_capacity;
    struct ledger_event *events;
    uint32_t event_count, event_capacity;
    u128 *failed_ids;
    uint32_t failed_count, failed_capacity;
    uint64_t clock; /* after the last batch */
};

/* ERR_MEMORY if there is none for the first tables: a block of each kind. */
MUST_USE err_t ledger_create(const struct ledger_limits *limits, struct ledger **ret_ledger);
/* Accepts NULL; sets the pointer to NULL. */
void ledger_destroy(struct ledger **ledger);

/* --- loading, before anything is applied --- */

/* In creation order, with the balances and flags of the moment. ERR_FULL at the limit, ERR_CORRUPT
 * for an id twice. */
MUST_USE err_t ledger_load_account(struct ledger *ledger, const struct ledger_account *account);
/* A pending transfer that is still live. Its amount is in the loaded accounts' pending sides. */
MUST_USE err_t ledger_load_pending(struct ledger *ledger, const struct ledger_transfer *transfer);
/* The same of one that was adopted, booked on these accounts: the transfer's own or stand-ins. */
MUST_USE err_t ledger_load_pending_on(
    struct ledger *ledger,
    const struct ledger_transfer *transfer,
    uint32_t debit_slot,
    uint32_t credit_slot);
/* The clock, and the timestamp of the newest transfer and account (imports must not regress).
 * What loading and redoing showed already is not moved back: pass 0 for what is not known. */
void ledger_load_clock(
    struct ledger *ledger, uint64_t clock, uint64_t transfer_timestamp, uint64_t account_timestamp);
/* Redoes one event during a replay of the journal: balances and flags become what it recorded,
 * a pending one becomes live, a posted, voided or expired one is no longer. ERR_CORRUPT if the
 * event does not follow from the state (it names an account that is not there, its balances are
 * not what applying it gives). */
MUST_USE err_t ledger_redo(struct ledger *ledger, const struct ledger_event *event);
/* The same on a state whose accounts and pendings were copied one after the other while events
 * happened: each may be as this event left it, or as a later one did. Balances and flags become
 * what the event recorded, whatever they were; a pending transfer that it finishes may be gone
 * already. When every event since the first copy was redone the state is whole, and ledger_redo
 * goes on. ERR_CORRUPT if the event names an account that is not there, or its timestamp does not
 * rise. */
MUST_USE err_t ledger_redo_fuzzy(struct ledger *ledger, const struct ledger_event *event);
/* Back to what ledger_create made, to load again from something else. */
void ledger_load_clear(struct ledger *ledger);

/* --- applying --- */

/* Puts the ids whose past the batch needs (its own ids, and the pending ids that are not live in
 * the core), each once, into `ids`, which has room for 2 * count. Returns how many. */
uint32_t ledger_prepare_transfers(
    const struct ledger *ledger, const struct ledger_transfer *batch, uint32_t count, u128 *ids);

/* Makes room for the batch, which is when tables grow: by whole blocks of 32,768 records, and each
 * index by a step of at most 8,192 + 4 * new places, whatever it holds. ERR_FULL if the batch could
 * exceed a limit, or the machine has no memory left: the batch is not applied, and the shell
 * answers 503. Accounts and pendings stay where they are. */
MUST_USE err_t ledger_reserve(struct ledger *ledger, uint32_t new_accounts, uint32_t new_pendings);

/* An imported account may not have the timestamp of a transfer, and old transfers are the shell's.
 * Puts the timestamps of the batch that it must look up into `timestamps`, which has room for
 * `count`, in the order of the events. Returns how many: none unless accounts are imported. */
uint32_t ledger_prepare_accounts(
    const struct ledger *ledger,
    const struct ledger_account *batch,
    uint32_t count,
    uint64_t *timestamps);
/* The answer: taken[i] says that a transfer (not an expiry) has timestamps[i]. Borrowed until the
 * end of the ledger_create_accounts that must follow. Needed only if timestamps were named. */
void ledger_set_taken(struct ledger *ledger, const bool *taken, uint32_t count);

uint64_t ledger_clock(const struct ledger *ledger);
/* Moves the clock forward, at most to LEDGER_TIMESTAMP_MAX; a time that is not later does nothing.
 */
void ledger_set_clock(struct ledger *ledger, uint64_t clock);

/* Is a live pending transfer due at the present clock? */
bool ledger_pulse_due(const struct ledger *ledger);
/* The time at which the next one will be due, or 0 if no live pending has a timeout. */
uint64_t ledger_pulse_at(const struct ledger *ledger);
/* Expires what is due at the clock, at most expiry_batch_max: consecutive timestamps that end at
 * the clock, ordered by (expiry time, timestamp). The caller moved the clock by 1 + 8,189 so that
 * they have room, which it does even if the batch before it left nothing to expire. An expiry
 * releases the amount and opens again what a closing transfer closed. Returns how many events it
 * appended to the delta. */
uint32_t ledger_pulse(struct ledger *ledger, struct ledger_delta *delta);

/* Applies the batch at the present clock, which the caller has moved by at least `count` since the
 * last event. `results` has `count` entries. */
void ledger_create_accounts(
    struct ledger *ledger,
    const struct ledger_account *batch,
    uint32_t count,
    struct ledger_result *results,
    struct ledger_delta *delta);

/* How many pending transfers the batch can make at most: repeats make none, whatever became of the
 * transfer. Of the batch that ledger_prepare_transfers saw, with the answers to what it named. */
uint32_t ledger_count_new_pendings(
    const struct ledger *ledger,
    const struct ledger_transfer *batch,
    uint32_t count,
    const struct ledger_past *past);

/* `past` holds an answer for each id that ledger_prepare_transfers named, in its order. */
void ledger_create_transfers(
    struct ledger *ledger,
    const struct ledger_transfer *batch,
    uint32_t count,
    const struct ledger_past *past,
    uint32_t past_count,
    struct ledger_result *results,
    struct ledger_delta *delta);

/* --- adopting: accounts and their history that come from another ledger (LEDGER-12) ---
 *
 * Each adopted event stays a whole double entry: the side whose account does not come along is
 * booked on a stand-in, an account without limits. Accounts keep their timestamps, so the order of
 * creation and the order of time differ from then on. */

/* The stand-in of `ledger_number` and a caller's number. Nobody else may make such ids. */
u128 ledger_stand_in_id(uint32_t ledger_number, uint16_t number);
bool ledger_is_stand_in(u128 id);

/* Appends the account, without balances and not closed, to core and delta. A stand-in gets
 * `account->timestamp` too: the caller moved the clock for it. ERR_EXISTS: the id is there.
 * ERR_INVALID: no account can be so. There must be room (ledger_reserve). */
MUST_USE err_t ledger_adopt_account(
    struct ledger *ledger, const struct ledger_account *account, struct ledger_delta *delta);

struct ledger_adopted {
    struct ledger_event event; /* as its own ledger recorded it; slots do not count */
    u128 debit_account_id; /* what it is booked on here: the transfer's account, or a stand-in */
    u128 credit_account_id;
};

/* Books the event. What it gives must be the recorded balances on every side that is no stand-in;
 * a pending one is not watched for expiry. ERR_CORRUPT: it does not follow from the state, and
 * nothing was changed. There must be room (ledger_reserve), and in the delta. */
MUST_USE err_t ledger_adopt_event(
    struct ledger *ledger, const struct ledger_adopted *adopted, struct ledger_delta *delta);

/* Watches for expiry those live pendings whose debit account is wanted, and no others; never a
 * half. O(live pendings). */
void ledger_watch_pendings(
    struct ledger *ledger, bool (*wanted)(void *context, u128 debit_account_id), void *context);

/* --- reading --- */

/* The slot of the account that is `rank`-th by timestamp; rank < ledger_account_count(). */
uint32_t ledger_account_by_time(const struct ledger *ledger, uint32_t rank);
/* How many accounts are older than `timestamp`: the rank of the first that is not. */
uint32_t ledger_accounts_older(const struct ledger *ledger, uint64_t timestamp);

uint32_t ledger_account_count(const struct ledger *ledger);
uint32_t ledger_pending_count(const struct ledger *ledger);
/* NULL if there is none. Valid until the next call that changes the ledger. */
const struct ledger_account *ledger_find_account(const struct ledger *ledger, u128 id);
/* By dense number; slot < ledger_account_count(). */
const struct ledger_account *ledger_account_at(const struct ledger *ledger, uint32_t slot);
/* The dense number of an account, or UINT32_MAX. */
uint32_t ledger_account_slot(const struct ledger *ledger, u128 id);
/* A live pending transfer that is booked on its own accounts, or NULL. Valid until the next call
 * that changes the ledger. */
const struct ledger_transfer *ledger_find_pending(const struct ledger *ledger, u128 id);
/* The same of one that is booked on these accounts, by dense number, of which one may be a stand-in
 * (LEDGER-13); UINT32_MAX: on whichever. */
const struct ledger_transfer *ledger_find_pending_on(
    const struct ledger *ledger, u128 id, uint32_t debit_slot, uint32_t credit_slot);
/* The live pendings on listed accounts (limits.listed_accounts) in the order of their timestamps:
 * the first one, and the one behind a place; LEDGER_LISTED_END behind the last. A place is valid
 * until the next call that changes the ledger. */
#define LEDGER_LISTED_END UINT32_MAX
uint32_t ledger_listed_first(const struct ledger *ledger);
uint32_t ledger_listed_next(const struct ledger *ledger, uint32_t place);
const struct ledger_transfer *ledger_listed_at(const struct ledger *ledger, uint32_t place);

/* Live pending transfers lie in slots 0 ... ledger_pending_slots() - 1, in no order, and keep their
 * slot while they live. The transfer of a slot, or NULL if it is free. Valid until the next call
 * that changes the ledger. */
uint32_t ledger_pending_slots(const struct ledger *ledger);
const struct ledger_transfer *ledger_pending_at(const struct ledger *ledger, uint32_t slot);

/* The accounts that the live pending transfer of a slot is booked on. */
void ledger_pending_sides(
    const struct ledger *ledger,
    uint32_t slot,
    uint32_t *ret_debit_slot,
    uint32_t *ret_credit_slot);

/* Checks LEDGER-1 and LEDGER-2 and the tables over the whole state; for tests and `ledger check`.
 */
MUST_USE err_t ledger_validate(const struct ledger *ledger);

#endif
