/*
 * Ids, markers, and the batches that asks become.
 *
 * A chain of legs ends with the marker. If the marker is created, the member has voted yes; most
 * do, and there is nothing more to ask. A chain that failed leaves nothing, whether it is the first
 * one or a repeat, so it is followed by the marker's tombstone: the same transfer with another
 * code. The ledger compares the code last, so that the tombstone alone tells everything:
 *
 *     created                          nothing was there; the chain never can succeed again
 *     exists                           it was buried before
 *     exists_with_different_code       the marker is there: a chain has succeeded
 *     exists_with_different_user_data  _32: a promise is there; _64, _128: another request
 *     exists_with_different_flags      a note is there: a chain has the client's id
 */
#include "commit_internal.h"

#include <string.h>

#define TAG ((u128)0x54ae1c << 104)
/* Below it are slot and step, above it 76 bits of a digest. */
#define NAME_SHIFT 28

u128
commit_step_id(u128 name, uint16_t slot, uint32_t step)
{
    ASSERT(step < 4096 && slot != COMMIT_SLOT_NONE);
    return name | (u128)step << 16 | slot;
}

bool
commit_id_is_reserved(u128 id)
{
    return id >> 104 == TAG >> 104;
}

bool
commit_account_is(u128 account_id, enum commit_account kind)
{
    return account_id >> 48 == (TAG | (u128)kind << 48) >> 48;
}

u128
commit_name(u128 name_digest)
{
    return TAG | (name_digest >> 52 << NAME_SHIFT);
}

u128
commit_name_of(u128 id)
{
    return id >> NAME_SHIFT << NAME_SHIFT;
}

u128
commit_marker_id(u128 name, uint16_t slot)
{
    return commit_step_id(name, slot, 0);
}

u128
commit_leg_id(u128 name, uint16_t slot, uint8_t leg)
{
    ASSERT(leg > 0 && leg < COMMIT_LEGS_MAX);
    return commit_step_id(name, slot, COMMIT_STEP_LEG + leg);
}

u128
commit_end_id(u128 name, uint16_t slot, uint8_t leg, bool post)
{
    ASSERT(leg < COMMIT_LEGS_MAX);
    return commit_step_id(name, slot, (post ? COMMIT_STEP_POST : COMMIT_STEP_VOID) + leg);
}

u128
commit_marker_of(u128 pending_id)
{
    return pending_id & ~((u128)0xfff << 16);
}

u128
commit_account_id(enum commit_account kind, uint32_t ledger, uint16_t slot)
{
    ASSERT(slot != COMMIT_SLOT_NONE);
    return TAG | (u128)kind << 48 | (u128)ledger << 16 | slot;
}

struct ledger_account
commit_account(enum commit_account kind, uint32_t ledger, uint16_t slot)
{
    bool of_money = kind == COMMIT_ACCOUNT_IN_TRANSIT || kind == COMMIT_ACCOUNT_HELD;
    ASSERT(of_money == (ledger != COMMIT_LEDGER));
    return (struct ledger_account){
        .id = commit_account_id(kind, ledger, slot),
        .ledger = ledger,
        .code = (uint16_t)kind,
        .flags = kind == COMMIT_ACCOUNT_HELD ? LEDGER_ACCOUNT_DEBITS_MUST_NOT_EXCEED_CREDITS : 0,
    };
}

/* Written out, so that the compiler sees one load. */
static uint64_t
packed_four(const uint16_t slots[4])
{
    return slots[0] | (uint64_t)slots[1] << 16 | (uint64_t)slots[2] << 32 |
           (uint64_t)slots[3] << 48;
}

static u128
packed_slots(const struct commit_header *header)
{
    static_assert(COMMIT_MEMBERS_MAX == 8, "two halves of four");
    return (u128)packed_four(&header->slots[4]) << 64 | packed_four(&header->slots[0]);
}

void
commit_entry(
    const struct commit_header *header,
    uint8_t member,
    uint16_t number,
    enum commit_kind kind,
    uint32_t ballot,
    struct ledger_transfer *ret_event)
{
    ASSERT(member < header->member_count && number < COMMIT_LOG_MAX);
    uint16_t slot = header->slots[member];
    *ret_event = (struct ledger_transfer){
        .id = commit_step_id(header->name, slot, number),
        .debit_account_id = commit_account_id(COMMIT_ACCOUNT_MARKER_DEBIT, COMMIT_LEDGER, slot),
        .credit_account_id = commit_account_id(COMMIT_ACCOUNT_MARKER_CREDIT, COMMIT_LEDGER, slot),
        .user_data_128 = packed_slots(header),
        .user_data_64 = header->check,
        .user_data_32 = ballot,
        .ledger = COMMIT_LEDGER,
        .code = (uint16_t)kind,
    };
}

struct ledger_transfer
commit_hold_marker(u128 name, uint16_t slot, u128 payee)
{
    return (struct ledger_transfer){
        .id = commit_step_id(name, slot, 0),
        .debit_account_id = commit_account_id(COMMIT_ACCOUNT_MARKER_DEBIT, COMMIT_LEDGER, slot),
        .credit_account_id = commit_account_id(COMMIT_ACCOUNT_MARKER_CREDIT, COMMIT_LEDGER, slot),
        .user_data_128 = payee,
        .ledger = COMMIT_LEDGER,
        .code = COMMIT_KIND_HOLD,
    };
}

#define NOTE_FLAGS   16
#define NOTE_NAME_32 UINT32_C(0xfff)

struct ledger_transfer
commit_chain_note(u128 own_name, uint16_t slot, const struct commit_chain_note *note)
{
    u128 digest = (note->name & ~TAG) >> NAME_SHIFT;
    return (struct ledger_transfer){
        .id = commit_step_id(own_name, slot, 0),
        .debit_account_id = commit_account_id(COMMIT_ACCOUNT_MARKER_DEBIT, COMMIT_LEDGER, slot),
        .credit_account_id = commit_account_id(COMMIT_ACCOUNT_MARKER_CREDIT, COMMIT_LEDGER, slot),
        .user_data_128 = note->payee,
        .user_data_64 = (uint64_t)digest,
        .user_data_32 = (uint32_t)(digest >> 64) | (uint32_t)note->flags << NOTE_FLAGS,
        .ledger = COMMIT_LEDGER,
        .code = COMMIT_KIND_CHAIN,
        .flags = LEDGER_TRANSFER_LINKED, /* the marker comes behind it */
    };
}

err_t
commit_chain_note_decode(const struct ledger_transfer *marker, struct commit_chain_note *ret_note)
{
    u128 digest = (u128)(marker->user_data_32 & NOTE_NAME_32) << 64 | marker->user_data_64;
    struct commit_chain_note note = {
        .name = TAG | digest << NAME_SHIFT,
        .payee = marker->user_data_128,
        .flags = (uint16_t)(marker->user_data_32 >> NOTE_FLAGS),
    };
    uint16_t slot = (uint16_t)marker->id;
    if (!commit_id_is_reserved(marker->id) || slot == COMMIT_SLOT_NONE) {
        return ERR_CORRUPT;
    }
    struct ledger_transfer expected = commit_chain_note(commit_name_of(marker->id), slot, &note);
    expected.timestamp = marker->timestamp;
    if (memcmp(&expected, marker, sizeof(expected)) != 0) {
        return ERR_CORRUPT;
    }
    *ret_note = note;
    return ERR_OK;
}

err_t
commit_header_decode(const struct ledger_transfer *marker, struct commit_header *ret_header)
{
    struct commit_header header = {
        .name = commit_name_of(marker->id),
        .check = marker->user_data_64,
    };
    for (uint32_t i = 0; i < COMMIT_MEMBERS_MAX; i++) {
        header.slots[i] = (uint16_t)(marker->user_data_128 >> (16 * i));
        if (header.slots[i] != COMMIT_SLOT_NONE && header.member_count == i) {
            header.member_count++;
        }
    }
    uint16_t slot = (uint16_t)marker->id;
    for (uint8_t member = 0; member < header.member_count; member++) {
        if (header.slots[member] != slot || !commit_id_is_reserved(marker->id)) {
            continue;
        }
        struct ledger_transfer expected;
        commit_entry(&header, member, 0, COMMIT_KIND_MARKER, 0, &expected);
        expected.timestamp = marker->timestamp;
        if (header.member_count > 1 && memcmp(&expected, marker, sizeof(expected)) == 0) {
            *ret_header = header;
            return ERR_OK;
        }
    }
    return ERR_CORRUPT;
}

uint16_t
commit_slot(const struct commit_run *run, const struct commit_ask *ask)
{
    return run->transaction->header.slots[ask->member];
}

/* The id under which a leg is booked. */
static u128
leg_id(const struct commit_transaction *transaction, const struct commit_leg *leg)
{
    if (leg->index == 0 || leg->own_name != 0) {
        return leg->transfer.id;
    }
    const struct commit_header *header = &transaction->header;
    return commit_leg_id(header->name, header->slots[leg->member], leg->index);
}

/* Records are written where they are sent from: a copy of what was written just now waits for it.
 */
static void
first_phase(
    const struct commit_transaction *transaction,
    const struct commit_leg *leg,
    struct ledger_transfer *ret_event)
{
    *ret_event = leg->transfer;
    ret_event->id = leg_id(transaction, leg);
    ret_event->flags |= LEDGER_TRANSFER_LINKED;
    if (commit_member_waits(transaction, leg->member)) {
        ret_event->flags |= LEDGER_TRANSFER_PENDING;
    }
}

static void
second_phase(
    const struct commit_transaction *transaction,
    const struct commit_leg *leg,
    bool post,
    struct ledger_transfer *ret_event)
{
    uint16_t slot = transaction->header.slots[leg->member];
    bool chained = leg->own_name != 0;
    *ret_event = (struct ledger_transfer){
        .id = chained ? commit_end_id(leg->own_name, slot, 0, post)
                      : commit_end_id(transaction->header.name, slot, leg->index, post),
        /* By its accounts a shard finds it; the id alone says nothing of where it is. */
        .debit_account_id = leg->transfer.debit_account_id,
        .credit_account_id = leg->transfer.credit_account_id,
        .pending_id = leg_id(transaction, leg),
        .amount = post ? U128_MAX : 0, /* all of it */
        .flags = post ? LEDGER_TRANSFER_POST_PENDING : LEDGER_TRANSFER_VOID_PENDING,
    };
}

uint32_t
commit_event_count(const struct commit_run *run, const struct commit_ask *ask)
{
    const struct commit_transaction *transaction = run->transaction;
    uint32_t legs = transaction->legs_of[ask->member];
    switch ((enum commit_ask_kind)ask->kind) {
    case COMMIT_ASK_READ:
        return 0;
    case COMMIT_ASK_APPEND:
    case COMMIT_ASK_BURY:
        return 1;
    case COMMIT_ASK_POST:
    case COMMIT_ASK_VOID:
        return legs;
    case COMMIT_ASK_PREPARE:
    case COMMIT_ASK_DECIDE:
        return legs + transaction->notes_of[ask->member] + 1; /* and the marker */
    }
    UNREACHABLE();
}

/* Behind the legs, so that a chain fails by one of them first. */
static uint32_t
notes_build(
    const struct commit_transaction *transaction,
    uint8_t member,
    struct ledger_transfer *ret_events)
{
    const struct commit_header *header = &transaction->header;
    uint32_t count = 0;
    for (uint32_t i = 0; count < transaction->notes_of[member]; i++) {
        ASSERT(i < transaction->leg_count);
        const struct commit_leg *leg = &transaction->legs[i];
        if (leg->member != member || leg->own_name == 0) {
            continue;
        }
        const struct commit_chain_note note = {
            .name = header->name, .payee = leg->payee, .flags = leg->flags};
        ret_events[count++] = commit_chain_note(leg->own_name, header->slots[member], &note);
    }
    return count;
}

uint32_t
commit_build(
    const struct commit_run *run, const struct commit_ask *ask, struct ledger_transfer *ret_events)
{
    const struct commit_transaction *transaction = run->transaction;
    const struct commit_header *header = &transaction->header;
    uint8_t member = (uint8_t)ask->member;
    enum commit_ask_kind kind = (enum commit_ask_kind)ask->kind;
    uint32_t count = 0;
    if (kind == COMMIT_ASK_READ) {
        return 0;
    }
    if (kind == COMMIT_ASK_APPEND) {
        enum commit_kind entry = (enum commit_kind)ask->entry;
        commit_entry(header, member, ask->number, entry, ask->ballot, &ret_events[0]);
        return 1;
    }
    bool first = kind == COMMIT_ASK_PREPARE || kind == COMMIT_ASK_DECIDE;
    for (uint32_t i = 0; i < transaction->leg_count && kind != COMMIT_ASK_BURY; i++) {
        const struct commit_leg *leg = &transaction->legs[i];
        if (leg->member != member) {
            continue;
        }
        if (first) {
            first_phase(transaction, leg, &ret_events[count++]);
        } else {
            second_phase(transaction, leg, kind == COMMIT_ASK_POST, &ret_events[count++]);
        }
    }
    if (first) {
        count += notes_build(transaction, member, &ret_events[count]);
        commit_entry(header, member, 0, COMMIT_KIND_MARKER, 0, &ret_events[count++]);
    }
    if (kind == COMMIT_ASK_BURY) {
        commit_entry(header, member, 0, COMMIT_KIND_TOMBSTONE, 0, &ret_events[count++]);
    }
    ASSERT(count > 0 && count <= COMMIT_EVENTS_MAX);
    ASSERT(count == commit_event_count(run, ask));
    return count;
}

void
commit_log_ids(const struct commit_run *run, const struct commit_ask *ask, u128 *ret_ids)
{
    ASSERT(ask->kind == COMMIT_ASK_READ && ask->number + COMMIT_READ_MAX <= COMMIT_LOG_MAX);
    u128 name = run->transaction->header.name;
    for (uint32_t i = 0; i < COMMIT_READ_MAX; i++) {
        ret_ids[i] = commit_step_id(name, commit_slot(run, ask), ask->number + i);
    }
}

enum commit_verdict
commit_verdict_of(uint32_t tombstone_status)
{
    switch (tombstone_status) {
    case LEDGER_TRANSFER_exists_with_different_code:
        return COMMIT_VERDICT_MARKER;
    case LEDGER_TRANSFER_created:
    case LEDGER_TRANSFER_exists:
    case LEDGER_TRANSFER_exists_with_different_user_data_32:
        return COMMIT_VERDICT_NEVER;
    case LEDGER_TRANSFER_exists_with_different_flags:
    case LEDGER_TRANSFER_exists_with_different_user_data_64:
    case LEDGER_TRANSFER_exists_with_different_user_data_128:
        return COMMIT_VERDICT_CONFLICT;
    default:
        return COMMIT_VERDICT_FAULT;
    }
}
