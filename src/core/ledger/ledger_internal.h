/*
 * The ledger's state, for the files of this folder only.
 *
 * Accounts are dense, in creation order, so a slot is a number that never changes; pendings reuse
 * slots. Both lie in blocks, which are added and never move; a directory that is sized for the
 * limit says where. Both are found by id through an open-addressing index whose entries carry 32
 * bits of hash, so a probe seldom touches a record that is not the one. An index grows into a
 * larger table a few entries at a time (ledger_grow.c).
 */
#ifndef LEDGER_INTERNAL_H
#define LEDGER_INTERNAL_H

#include "base/hash.h"
#include "base/prefetch.h"
#include "base/words.h"
#include "ledger/ledger.h"

#define LEDGER_NONE        UINT32_MAX
#define LEDGER_ENTRY_NONE  UINT16_MAX
#define LEDGER_SECOND_NS   UINT64_C(1000000000)
#define LEDGER_ENTRIES_MAX (2 * LEDGER_BATCH_MAX)
/* A power of two, at least twice the entries. */
#define LEDGER_BATCH_SLOTS 32768

static_assert(LEDGER_BATCH_SLOTS >= 2 * LEDGER_ENTRIES_MAX, "the batch index is at most half full");
static_assert(LEDGER_ENTRIES_MAX < LEDGER_ENTRY_NONE, "an entry number fits 16 bits");

/* Accounts, and pendings, of one block; tests make it tiny, so that growing is all there is. */
#ifndef LEDGER_BLOCK_BITS
#    define LEDGER_BLOCK_BITS 15
#endif
#define LEDGER_BLOCK (UINT32_C(1) << LEDGER_BLOCK_BITS)
/* Places of an index that one reservation moves to a larger table, beside those that it pays for
 * with each new record. */
#ifndef LEDGER_MOVE_STEP
#    define LEDGER_MOVE_STEP 8192
#endif

static_assert(LEDGER_COUNT_MAX % LEDGER_BLOCK == 0, "the last block ends with the largest limit");

/* Linear probing; an entry is hash << 32 | slot + 1, and 0 is empty. The size is a power of two. */
struct ledger_table {
    uint64_t *entries; /* NULL: none */
    uint32_t mask;     /* size - 1 */
};

/* While it grows, new entries go into `now`, and those of `old` follow in the order of their
 * places, as a ring from `start` on, which was empty. The home of an entry in `old` (hash & mask)
 * says whether it has moved.
 *
 * TABLE-1 At most half of a table is used.
 * TABLE-2 What is in `old` has a home that has not moved, and no run of it goes over `start`. */
struct ledger_index {
    struct ledger_table now;
    struct ledger_table old;     /* being moved from */
    struct ledger_table retired; /* empty, given back bit by bit */
    uint32_t start;
    uint64_t moved; /* places, 0 ... old's size */
};

/* What is known of a pending transfer, which itself lies beside (ledger_pending_transfer): it is
 * put and ended without its transfer being read, and two of these share a line of the cache. It
 * keeps its slot until the end of the batch that finished it, so that later events of the batch
 * learn its fate and a broken chain can give it back. */
struct ledger_pending {
    uint32_t hash; /* of its id */
    uint32_t debit_slot;
    uint32_t credit_slot;
    uint32_t heap_position; /* LEDGER_NONE if it is not queued */
    uint32_t next_free;     /* slot + 1, while the slot is free */
    uint32_t listed_before; /* slots, or LEDGER_NONE; while it is listed */
    uint32_t listed_after;
    uint8_t fate; /* enum ledger_fate; LEDGER_FATE_NONE while the slot is free */
    bool listed;
    bool half; /* a side is booked on a stand-in (LEDGER-13) */
};

static_assert(sizeof(struct ledger_pending) == 32, "two in a line of the cache");

/* The expiry queue: a heap of four children ordered by (expires_at, timestamp). */
struct ledger_expiry {
    uint64_t expires_at;
    uint64_t timestamp;
    uint32_t pending_slot;
};

/* An id that the batch names. */
struct ledger_entry {
    u128 id;
    uint32_t event; /* position + 1 in the delta of the transfer that this batch made, or 0 */
    bool failed;    /* a transient failure of this batch used the id up */
};

/* What one event of an open chain changed. */
struct ledger_undo {
    struct ledger_balances debit;
    struct ledger_balances credit;
    uint64_t transfer_timestamp; /* the newest transfer's before it */
    uint32_t debit_slot;
    uint32_t credit_slot;
    uint32_t created_pending;  /* slot or LEDGER_NONE */
    uint32_t finished_pending; /* slot or LEDGER_NONE */
    uint16_t debit_flags;
    uint16_t credit_flags;
    uint16_t entry;
};

/* Accounts by timestamp: by_time in the blocks of accounts. Until one is adopted slots are in that
 * order, and nothing is kept. */
struct ledger_order {
    uint32_t count; /* of slots in order; other than the accounts': to be sorted again */
    bool differs;   /* an account was appended that is not the newest */
};

struct ledger_account_block {
    struct ledger_account accounts[LEDGER_BLOCK]; /* aligned to 128 bytes */
    uint32_t by_time[LEDGER_BLOCK];               /* slots (ledger_order.c) */
};

/* The heap never has more entries than there are slots of pendings, so they grow together. */
struct ledger_pending_block {
    struct ledger_transfer transfers[LEDGER_BLOCK]; /* aligned to 128 bytes */
    struct ledger_pending pendings[LEDGER_BLOCK];
    struct ledger_expiry heap[LEDGER_BLOCK];
};

/* Working memory of the batch under way. */
struct ledger_scratch {
    /* The batch's own index of ids: generation << 32 | hash << 16 | entry. Entries of an earlier
     * generation count as empty, so nothing is cleared between batches. */
    uint64_t slots[LEDGER_BATCH_SLOTS];
    struct ledger_entry entries[LEDGER_ENTRIES_MAX];
    struct ledger_undo undo[LEDGER_BATCH_MAX];
    uint32_t debit_slots[LEDGER_BATCH_MAX];
    uint32_t credit_slots[LEDGER_BATCH_MAX];
    uint32_t pending_slots[LEDGER_BATCH_MAX]; /* of live ones that events name, or LEDGER_NONE */
    uint32_t created[LEDGER_BATCH_MAX];       /* slots of pendings that the batch made */
    uint32_t finished[LEDGER_BATCH_MAX]; /* slots of pendings that it posted, voided, expired */
    uint16_t own_entries[LEDGER_BATCH_MAX];
    uint16_t pending_entries[LEDGER_BATCH_MAX];
    uint32_t created_count;
    uint32_t finished_count;
    uint32_t undo_count;
    uint32_t generation;
    uint32_t entry_count;
    uint32_t event_count; /* of the batch that ledger_prepare_transfers saw */
    uint64_t version;     /* ledger->version then */
};

struct ledger {
    struct ledger_limits limits;
    uint64_t version; /* goes up whenever the state changes */
    uint64_t clock;
    uint64_t transfer_timestamp; /* of the newest transfer, 0 if there is none */

    /* Room for limits.account_count_max; the first `account_block_count` are there. */
    struct ledger_account_block **account_blocks;
    uint32_t account_block_count;
    struct ledger_order *order;
    uint64_t account_timestamp; /* of the newest account by time, 0 if there is none */
    struct ledger_index account_index;
    uint32_t account_count;

    struct ledger_pending_block **pending_blocks; /* as of the accounts */
    uint32_t pending_block_count;
    struct ledger_index pending_index;
    uint32_t pending_count;     /* slots in use */
    uint32_t pending_slots_top; /* slots ever used */
    uint32_t pending_free;      /* slot + 1 of the first free one below the top, or 0 */
    uint32_t listed_first;      /* slots, or LEDGER_NONE: pendings on listed accounts, by time */
    uint32_t listed_last;

    uint32_t heap_count;

    const bool *taken; /* the shell's answer to ledger_prepare_accounts, borrowed */
    uint32_t taken_count;

    struct ledger_scratch *scratch;
};

/* --- batches: chains and what is checked before the event itself --- */

struct ledger_chain {
    uint64_t clock;
    uint32_t count;
    uint32_t start; /* of the open chain */
    bool imported;  /* the batch, as its first event decided */
    bool open;
    bool broken;
};

enum ledger_gate {
    LEDGER_GATE_PASS,
    LEDGER_GATE_LINKED_EVENT_FAILED,
    LEDGER_GATE_LINKED_EVENT_CHAIN_OPEN,
    LEDGER_GATE_IMPORTED_EVENT_EXPECTED,
    LEDGER_GATE_IMPORTED_EVENT_NOT_EXPECTED,
    LEDGER_GATE_TIMESTAMP_MUST_BE_ZERO,
    LEDGER_GATE_TIMESTAMP_OUT_OF_RANGE,
    LEDGER_GATE_TIMESTAMP_MUST_NOT_ADVANCE,
};

/* The fields of an event that decide at batch level. */
struct ledger_head {
    uint32_t index;
    bool linked;
    bool imported;
    uint64_t timestamp;
};

/* Opens a chain if the event is linked and none is open. */
enum ledger_gate ledger_chain_gate(struct ledger_chain *chain, const struct ledger_head *head);
/* Call after the event was decided; true if the open chain broke just now and must be undone. */
bool ledger_chain_close(struct ledger_chain *chain, bool created, bool at_end, bool linked);

/* The timestamp that event `index` has unless it is imported. */
static inline uint64_t
ledger_chain_timestamp(const struct ledger_chain *chain, uint32_t index)
{
    return chain->clock - chain->count + index + 1;
}

/* --- tables --- */

static inline uint32_t
ledger_hash(u128 id)
{
    return (uint32_t)(hash_u128(id) >> 32);
}

/* Where the record of a slot is; the slot's block is there. */
static inline struct ledger_account *
ledger_account_in(const struct ledger *ledger, uint32_t slot)
{
    return &ledger->account_blocks[slot >> LEDGER_BLOCK_BITS]->accounts[slot % LEDGER_BLOCK];
}

static inline uint32_t *
ledger_by_time_in(const struct ledger *ledger, uint32_t rank)
{
    return &ledger->account_blocks[rank >> LEDGER_BLOCK_BITS]->by_time[rank % LEDGER_BLOCK];
}

static inline struct ledger_pending *
ledger_pending_in(const struct ledger *ledger, uint32_t slot)
{
    return &ledger->pending_blocks[slot >> LEDGER_BLOCK_BITS]->pendings[slot % LEDGER_BLOCK];
}

static inline struct ledger_transfer *
ledger_pending_transfer(const struct ledger *ledger, uint32_t slot)
{
    return &ledger->pending_blocks[slot >> LEDGER_BLOCK_BITS]->transfers[slot % LEDGER_BLOCK];
}

static inline struct ledger_expiry *
ledger_expiry_in(const struct ledger *ledger, uint32_t position)
{
    return &ledger->pending_blocks[position >> LEDGER_BLOCK_BITS]->heap[position % LEDGER_BLOCK];
}

/* The table in which the hash's entries are, unless they are newer than the table. */
static inline const struct ledger_table *
ledger_index_table(const struct ledger_index *index, uint32_t hash)
{
    if (__builtin_expect(index->old.entries == NULL, 1)) {
        return &index->now;
    }
    bool moved = ((hash - index->start) & index->old.mask) < index->moved;
    return moved ? &index->now : &index->old;
}

/* What lies at the hash's home: mostly its entry, if it has one. */
static inline const uint64_t *
ledger_index_home(const struct ledger_index *index, uint32_t hash)
{
    const struct ledger_table *table = ledger_index_table(index, hash);
    return &table->entries[hash & table->mask];
}

static inline void
ledger_index_prefetch(const struct ledger_index *index, uint32_t hash)
{
    prefetch_for_read(ledger_index_home(index, hash));
}

static inline uint32_t
ledger_account_probe(
    const struct ledger *ledger, const struct ledger_table *table, u128 id, uint32_t hash)
{
    for (uint32_t at = hash & table->mask;; at = (at + 1) & table->mask) {
        uint64_t entry = table->entries[at];
        if (entry == 0) {
            return LEDGER_NONE;
        }
        if ((uint32_t)(entry >> 32) == hash) {
            uint32_t slot = (uint32_t)entry - 1;
            if (ledger_account_in(ledger, slot)->id == id) {
                return slot;
            }
        }
    }
}

static inline uint32_t
ledger_account_search(const struct ledger *ledger, u128 id, uint32_t hash)
{
    const struct ledger_index *index = &ledger->account_index;
    const struct ledger_table *table = ledger_index_table(index, hash);
    uint32_t slot = ledger_account_probe(ledger, table, id, hash);
    return slot != LEDGER_NONE || table == &index->now
               ? slot
               : ledger_account_probe(ledger, &index->now, id, hash);
}

static inline uint32_t
ledger_pending_probe(
    const struct ledger *ledger, const struct ledger_table *table, u128 id, uint32_t hash)
{
    for (uint32_t at = hash & table->mask;; at = (at + 1) & table->mask) {
        uint64_t entry = table->entries[at];
        if (entry == 0) {
            return LEDGER_NONE;
        }
        if ((uint32_t)(entry >> 32) == hash) {
            uint32_t slot = (uint32_t)entry - 1;
            if (ledger_pending_transfer(ledger, slot)->id == id &&
                !ledger_pending_in(ledger, slot)->half) {
                return slot;
            }
        }
    }
}

/* One that is booked on its own accounts: what is booked on a stand-in is not ended here. */
static inline uint32_t
ledger_pending_search(const struct ledger *ledger, u128 id, uint32_t hash)
{
    const struct ledger_index *index = &ledger->pending_index;
    const struct ledger_table *table = ledger_index_table(index, hash);
    uint32_t slot = ledger_pending_probe(ledger, table, id, hash);
    return slot != LEDGER_NONE || table == &index->now
               ? slot
               : ledger_pending_probe(ledger, &index->now, id, hash);
}

/* One that is booked on these slots, halves too; LEDGER_NONE for a slot: whichever it is. */
uint32_t ledger_pending_search_on(
    const struct ledger *ledger, u128 id, uint32_t debit_slot, uint32_t credit_slot);

/* There is room (ledger_index_reserve). */
void ledger_index_insert(struct ledger_index *index, uint32_t hash, uint32_t slot);
/* The entry must be there. */
void ledger_index_remove(struct ledger_index *index, uint32_t hash, uint32_t slot);

/* --- growing (ledger_grow.c; ledger_create.c allocates) --- */

/* Makes room for `added` entries more than the `count` that the index has, and moves some of those
 * that wait for it. A step: it is bounded by LEDGER_MOVE_STEP and `added`, not by what the index
 * holds. ERR_MEMORY: there is no memory for it, and no room. */
MUST_USE err_t ledger_index_reserve(
    struct ledger_index *index, const struct ledger_limits *limits, uint32_t count, uint32_t added);
/* The same for blocks. */
MUST_USE err_t
ledger_blocks_reserve(struct ledger *ledger, uint32_t account_count, uint32_t pending_count);

/* False if there is no memory. */
MUST_USE bool ledger_table_create(
    struct ledger_table *table, const struct ledger_limits *limits, uint64_t size);
/* Gives a part of the table's memory back, at last all. */
void ledger_table_shrink(struct ledger_table *table);

/* Appends; the id is new and there is room. */
void ledger_account_append(struct ledger *ledger, const struct ledger_account *account);
/* Takes back the newest account. */
void ledger_account_pop(struct ledger *ledger);
/* All of them at once. */
void ledger_accounts_clear(struct ledger *ledger);

/* Returns the slot; not queued for expiry yet. There is room. */
uint32_t ledger_pending_insert(
    struct ledger *ledger,
    const struct ledger_transfer *transfer,
    uint32_t debit_slot,
    uint32_t credit_slot);
/* Takes it out of index, queue and array. */
void ledger_pending_remove(struct ledger *ledger, uint32_t slot);

/* --- the order of time (ledger_order.c) --- */

/* The account was appended. */
void ledger_order_append(struct ledger *ledger, uint32_t slot);
/* It was taken back, and was the newest by time. */
void ledger_order_pop(struct ledger *ledger, uint32_t slot);
void ledger_order_clear(struct ledger *ledger);

/* --- expiry --- */

static inline uint64_t
ledger_expires_at(const struct ledger_transfer *transfer)
{
    return transfer->timestamp + transfer->timeout * LEDGER_SECOND_NS;
}

/* Queues a live pending that has a timeout and is not queued. */
void ledger_expiry_insert(struct ledger *ledger, uint32_t pending_slot);
/* Takes a pending out of the queue if it is in it. */
void ledger_expiry_remove(struct ledger *ledger, uint32_t pending_slot);

/* --- what events do to the two accounts --- */

static inline uint16_t
ledger_flags_set(uint16_t flags, unsigned bits)
{
    return (uint16_t)(flags | bits);
}

static inline uint16_t
ledger_flags_clear(uint16_t flags, unsigned bits)
{
    return (uint16_t)(flags & ~bits);
}

static inline void
ledger_move_posted(
    struct ledger_account *debit,
    struct ledger_account *credit,
    const struct ledger_transfer *transfer)
{
    debit->debits_posted += transfer->amount;
    credit->credits_posted += transfer->amount;
}

static inline void
ledger_move_pending(
    struct ledger_account *debit,
    struct ledger_account *credit,
    const struct ledger_transfer *transfer)
{
    debit->debits_pending += transfer->amount;
    credit->credits_pending += transfer->amount;
    if (transfer->flags & LEDGER_TRANSFER_CLOSING_DEBIT) {
        debit->flags = ledger_flags_set(debit->flags, LEDGER_ACCOUNT_CLOSED);
    }
    if (transfer->flags & LEDGER_TRANSFER_CLOSING_CREDIT) {
        credit->flags = ledger_flags_set(credit->flags, LEDGER_ACCOUNT_CLOSED);
    }
}

/* The pending amount leaves both sides in full; a post adds what it posts. */
static inline void
ledger_move_finish(
    struct ledger_account *debit,
    struct ledger_account *credit,
    const struct ledger_transfer *pending,
    enum ledger_fate fate,
    u128 posted)
{
    debit->debits_pending -= pending->amount;
    credit->credits_pending -= pending->amount;
    if (fate == LEDGER_FATE_POSTED) {
        debit->debits_posted += posted;
        credit->credits_posted += posted;
        return;
    }
    if (pending->flags & LEDGER_TRANSFER_CLOSING_DEBIT) {
        debit->flags = ledger_flags_clear(debit->flags, LEDGER_ACCOUNT_CLOSED);
    }
    if (pending->flags & LEDGER_TRANSFER_CLOSING_CREDIT) {
        credit->flags = ledger_flags_clear(credit->flags, LEDGER_ACCOUNT_CLOSED);
    }
}

/* This event, or the one before it, may have changed the account just now. */
static inline void
ledger_balances_copy(struct ledger_balances *to, const struct ledger_account *account)
{
    words_copy(&to->debits_pending, &account->debits_pending, 2);
    words_copy(&to->debits_posted, &account->debits_posted, 2);
    words_copy(&to->credits_pending, &account->credits_pending, 2);
    words_copy(&to->credits_posted, &account->credits_posted, 2);
}

/* Puts the two accounts as they are now into the event; of the rest its kind and pending_place are
 * the caller's. */
static inline void
ledger_event_snapshot(
    struct ledger_event *event,
    const struct ledger *ledger,
    uint32_t debit_slot,
    uint32_t credit_slot)
{
    const struct ledger_account *debit = ledger_account_in(ledger, debit_slot);
    const struct ledger_account *credit = ledger_account_in(ledger, credit_slot);
    ledger_balances_copy(&event->debit, debit);
    ledger_balances_copy(&event->credit, credit);
    event->debit_slot = debit_slot;
    event->credit_slot = credit_slot;
    event->debit_flags = debit->flags;
    event->credit_flags = credit->flags;
    event->adopted = 0;
    event->padding[0] = event->padding[1] = 0;
}

/* --- redoing (ledger_load.c) --- */

/* Does the event, whose slots are accounts, to state and tables if it follows from them; a pending
 * one is watched for expiry if `watch`. What comes out on a side is compared with the event, or, on
 * a side that is not compared, written into it. ERR_CORRUPT, ERR_FULL: nothing was changed. */
struct ledger_redo_how {
    bool compare_debit, compare_credit, watch;
};

MUST_USE err_t ledger_redo_event(
    struct ledger *ledger, struct ledger_event *event, const struct ledger_redo_how *how);

/* --- transfers --- */

/* One event of a transfer batch being decided. */
struct ledger_step {
    struct ledger *ledger;
    struct ledger_delta *delta;
    const struct ledger_past *past;
    const struct ledger_transfer *transfer;
    uint32_t index;
    bool chained;              /* changes must be undoable */
    uint64_t timestamp;        /* that the transfer gets if it is created */
    uint64_t exists_timestamp; /* set with the status `exists` */
};

/* A pending transfer as an event of the batch finds it. */
struct ledger_found {
    const struct ledger_transfer *transfer; /* NULL if there is none with the id */
    enum ledger_fate fate;                  /* LEDGER_FATE_NONE: not a pending one */
    uint32_t slot;                          /* LEDGER_NONE if the core does not hold it */
};

/* Finds the transfer that the event's pending_id names. */
struct ledger_found ledger_find_named(const struct ledger_step *step);
uint32_t ledger_create_transfer(struct ledger_step *step);
uint32_t ledger_create_finishing(struct ledger_step *step);
uint32_t ledger_compare_existing(
    const struct ledger_step *step, const struct ledger_transfer *existing);
/* Is the imported timestamp not above the last transfer's, or an account's? */
bool ledger_timestamp_regresses(const struct ledger *ledger, uint64_t timestamp);

/* LEDGER_TRANSFER_created: neither account is closed. */
static inline uint32_t
ledger_check_open(const struct ledger_account *debit, const struct ledger_account *credit)
{
    if ((debit->flags & LEDGER_ACCOUNT_CLOSED) != 0) {
        return LEDGER_TRANSFER_debit_account_already_closed;
    }
    return (credit->flags & LEDGER_ACCOUNT_CLOSED) != 0
               ? LEDGER_TRANSFER_credit_account_already_closed
               : LEDGER_TRANSFER_created;
}

/* If a chain is open, records what the next change of these two accounts will undo. */
struct ledger_undo *ledger_undo_push(
    const struct ledger_step *step, uint32_t debit_slot, uint32_t credit_slot);
/* The event that the step appends; its transfer is the step's with `timestamp`. */
struct ledger_event *ledger_event_append(const struct ledger_step *step);

#endif
