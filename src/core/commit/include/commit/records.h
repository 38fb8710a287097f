/*
 * What a transaction writes into the ledgers of its slots, and the ids and accounts for it.
 *
 * An id is made of four parts, so that each can be found from any other of the same transaction:
 *
 *     127      104 103                     28 27        16 15       0
 *     | 0x54ae1c  | name: of id and run      | step      | slot     |
 *
 *     step      0 ... 1023   a marker: entry 0 says what the slot answered, 3PC has more of them
 *            1024 + leg      its pending transfer (or plain one, where the decision is)
 *            2048 + leg      posts it
 *            3072 + leg      voids it
 *
 * The first leg carries the client's own id instead where it is booked by the decision (2PC), and
 * as the pending one (3PC): an id that any other form of the same transfer would use too. In a
 * chain every payer's leg does (commit_chain_note), and what ends it is named after that id.
 *
 * A marker is a transfer of nothing between two accounts of its slot that exist for that, in a
 * ledger number of its own (COMMIT_LEDGER). user_data_128 names the slots, 16 bits each, the first
 * one lowest; user_data_64 is a digest of the request, whose lowest bit is the protocol;
 * user_data_32 the ballot; code the kind. Entry 0 is compared by the ledger itself: a tombstone
 * with the id of a marker is answered exists_with_different_code.
 */
#ifndef COMMIT_RECORDS_H
#define COMMIT_RECORDS_H

#include "base/err.h"
#include "ledger/records.h"

#define COMMIT_MEMBERS_MAX 8
#define COMMIT_LEGS_MAX    32
/* The legs, a note of each, and the marker. */
#define COMMIT_EVENTS_MAX (2 * COMMIT_LEGS_MAX + 1)
#define COMMIT_LOG_MAX    1024
/* Entries that one READ asks for. */
#define COMMIT_READ_MAX 8
/* No slot. Slots are below it. */
#define COMMIT_SLOT_NONE UINT16_MAX
/* The ledger number of markers. No currency has it. */
#define COMMIT_LEDGER UINT32_MAX

enum commit_protocol {
    COMMIT_2PC = 0,
    COMMIT_3PC = 1,
};

/* Codes of markers. */
enum commit_kind {
    COMMIT_KIND_MARKER = 1,    /* entry 0: prepared, or in 2PC's first slot: decided */
    COMMIT_KIND_TOMBSTONE = 2, /* entry 0: never */
    COMMIT_KIND_PROMISE = 3,   /* lower ballots are refused from here on; as entry 0: never */
    COMMIT_KIND_PRECOMMIT = 4, /* accepted in this ballot: commit */
    COMMIT_KIND_PREABORT = 5,  /* accepted in this ballot: abort */
    COMMIT_KIND_HOLD = 6,      /* no transaction's: whom a hold is for (commit_hold_marker) */
    COMMIT_KIND_CHAIN = 7,     /* no entry: what a chained transfer is (commit_chain_note) */
};

/* What every marker of a transaction says. */
struct commit_header {
    u128 name;      /* the id with step and slot zero */
    uint64_t check; /* with the protocol in the lowest bit */
    uint8_t member_count;
    uint16_t slots[COMMIT_MEMBERS_MAX]; /* of which [0] decides in 2PC */
};

enum commit_account {
    COMMIT_ACCOUNT_IN_TRANSIT = 1,    /* per ledger number and slot; no limits */
    COMMIT_ACCOUNT_MARKER_DEBIT = 2,  /* per slot, in COMMIT_LEDGER */
    COMMIT_ACCOUNT_MARKER_CREDIT = 3, /* per slot, in COMMIT_LEDGER */
    COMMIT_ACCOUNT_NOBODY = 4,        /* is never created: what names it fails, for ever */
    COMMIT_ACCOUNT_HELD = 5,          /* per ledger number and slot: see below */
};

/* An account as it must be created before its slot takes part. */
struct ledger_account commit_account(enum commit_account kind, uint32_t ledger, uint16_t slot);
u128 commit_account_id(enum commit_account kind, uint32_t ledger, uint16_t slot);
/* Is this the id of a protocol's transfer or account? Clients may not use them. */
bool commit_id_is_reserved(u128 id);
/* Is this the id of such an account, whatever its lowest 16 bits? */
bool commit_account_is(u128 account_id, enum commit_account kind);

/*
 * A hold whose payee is in another slot lives in the payer's slot alone: a pending transfer with
 * the client's id to that slot's HELD account, which is in nobody's list of what is in doubt, and
 * behind it in one chain a marker that names the payee. What ends it without paying happens there:
 * a void, or its time. What pays it is a transaction, whose first leg posts it:
 *
 *     slot a, the payer's                                  slot b, the payee's
 *     payer -> held (a)         posts the hold             in transit (b) -> payee    pending
 *     held (a) -> in transit (a)
 *     marker                                               marker
 *
 * So posted money never stays on a HELD account, and what is pending there are the holds. It may
 * not be overdrawn: whatever a coordinator takes a hold for, no more leaves than came from it.
 */
struct ledger_transfer commit_hold_marker(u128 name, uint16_t slot, u128 payee);

/*
 * Each transfer of a linked chain has a client's id of its own, and is booked under it in its
 * payer's slot. Where that slot has to be told the outcome it is pending there until then; so a
 * resolver that finds it must learn whose it is, and everybody whom it pays. Both is said by a
 * note, beside it in the same chain, whose id is that of the marker which a transfer by itself
 * would have: no id is ever both. user_data_128 is the payee; user_data_64 and the lower 12 bits of
 * user_data_32 are the digest in the chain's name, the upper 16 bits are the client's flags.
 */
struct commit_chain_note {
    u128 name;  /* of the chain's transaction */
    u128 payee; /* the credit account, as the client said it */
    uint16_t flags;
};

/* `own_name`: commit_name() of the digest of the transfer's id (run 0). */
struct ledger_transfer commit_chain_note(
    u128 own_name, uint16_t slot, const struct commit_chain_note *note);
/* ERR_CORRUPT if this is no note. */
MUST_USE err_t
commit_chain_note_decode(const struct ledger_transfer *marker, struct commit_chain_note *ret_note);

/* The name of a transaction, from the digest of its id and run. */
u128 commit_name(u128 name_digest);
/* The name in any id that was made of one. */
u128 commit_name_of(u128 id);
/* The id of the marker that a protocol's pending transfer belongs to. For a pending transfer with a
 * client's id on an in-transit account it is commit_name() of that id's digest (run 0) with the
 * slot: commit_marker_id. If there is no such marker, it is no transfer in doubt but a hold. */
u128 commit_marker_of(u128 pending_id);
u128 commit_marker_id(u128 name, uint16_t slot);
/* The id of the transfer that a leg is pending under, unless it has the client's id. */
u128 commit_leg_id(u128 name, uint16_t slot, uint8_t leg);
/* The id of what posts, or voids, a leg that is pending. */
u128 commit_end_id(u128 name, uint16_t slot, uint8_t leg, bool post);

/* ERR_CORRUPT if this is no marker. */
MUST_USE err_t
commit_header_decode(const struct ledger_transfer *marker, struct commit_header *ret_header);

static inline enum commit_protocol
commit_protocol(const struct commit_header *header)
{
    return (enum commit_protocol)(header->check & 1);
}

#endif
