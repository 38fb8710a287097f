/*
 * create_transfers. The order of the checks is the order of the statuses in docs/ledger.md; the
 * second phase (post and void) is in ledger_two_phase.c, and the batch around it in
 * ledger_transfers.c.
 */
#include "ledger_internal.h"

#define TWO_PHASE_FLAGS (LEDGER_TRANSFER_POST_PENDING | LEDGER_TRANSFER_VOID_PENDING)
#define BALANCING_FLAGS (LEDGER_TRANSFER_BALANCING_DEBIT | LEDGER_TRANSFER_BALANCING_CREDIT)
#define CLOSING_FLAGS   (LEDGER_TRANSFER_CLOSING_DEBIT | LEDGER_TRANSFER_CLOSING_CREDIT)

static bool
sum_overflows(u128 a, u128 b)
{
    u128 sum;
    return __builtin_add_overflow(a, b, &sum);
}

/* The request's own fields, without looking at anything else. */
static uint32_t
check_fields(const struct ledger_transfer *transfer)
{
    bool pending = (transfer->flags & LEDGER_TRANSFER_PENDING) != 0;
    if (transfer->debit_account_id == 0) {
        return LEDGER_TRANSFER_debit_account_id_must_not_be_zero;
    }
    if (transfer->debit_account_id == U128_MAX) {
        return LEDGER_TRANSFER_debit_account_id_must_not_be_int_max;
    }
    if (transfer->credit_account_id == 0) {
        return LEDGER_TRANSFER_credit_account_id_must_not_be_zero;
    }
    if (transfer->credit_account_id == U128_MAX) {
        return LEDGER_TRANSFER_credit_account_id_must_not_be_int_max;
    }
    if (transfer->debit_account_id == transfer->credit_account_id) {
        return LEDGER_TRANSFER_accounts_must_be_different;
    }
    if (transfer->pending_id != 0) {
        return LEDGER_TRANSFER_pending_id_must_be_zero;
    }
    if (!pending && transfer->timeout != 0) {
        return LEDGER_TRANSFER_timeout_reserved_for_pending_transfer;
    }
    if (!pending && (transfer->flags & CLOSING_FLAGS) != 0) {
        return LEDGER_TRANSFER_closing_transfer_must_be_pending;
    }
    if (transfer->ledger == 0) {
        return LEDGER_TRANSFER_ledger_must_not_be_zero;
    }
    if (transfer->code == 0) {
        return LEDGER_TRANSFER_code_must_not_be_zero;
    }
    return LEDGER_TRANSFER_created;
}

static uint32_t
check_imported(
    const struct ledger *ledger,
    const struct ledger_transfer *transfer,
    const struct ledger_account *debit,
    const struct ledger_account *credit)
{
    if (ledger_timestamp_regresses(ledger, transfer->timestamp)) {
        return LEDGER_TRANSFER_imported_event_timestamp_must_not_regress;
    }
    if (transfer->timestamp <= debit->timestamp) {
        return LEDGER_TRANSFER_imported_event_timestamp_must_postdate_debit_account;
    }
    if (transfer->timestamp <= credit->timestamp) {
        return LEDGER_TRANSFER_imported_event_timestamp_must_postdate_credit_account;
    }
    if (transfer->timeout != 0) {
        return LEDGER_TRANSFER_imported_event_timeout_must_be_zero;
    }
    return LEDGER_TRANSFER_created;
}

static uint32_t
check_accounts(
    const struct ledger *ledger,
    const struct ledger_transfer *transfer,
    const struct ledger_account *debit,
    const struct ledger_account *credit)
{
    if (debit->ledger != credit->ledger) {
        return LEDGER_TRANSFER_accounts_must_have_the_same_ledger;
    }
    if (transfer->ledger != debit->ledger) {
        return LEDGER_TRANSFER_transfer_must_have_the_same_ledger_as_accounts;
    }
    if ((transfer->flags & LEDGER_TRANSFER_IMPORTED) != 0) {
        uint32_t status = check_imported(ledger, transfer, debit, credit);
        if (status != LEDGER_TRANSFER_created) {
            return status;
        }
    }
    return ledger_check_open(debit, credit);
}

static u128
cap(u128 amount, u128 have, u128 used)
{
    u128 left = have > used ? have - used : 0;
    return amount < left ? amount : left;
}

/* LEDGER-5 keeps pending + posted of a side within u128, so these sums do not wrap. */
static u128
balanced_amount(
    const struct ledger_transfer *transfer,
    const struct ledger_account *debit,
    const struct ledger_account *credit)
{
    u128 amount = transfer->amount;
    if ((transfer->flags & LEDGER_TRANSFER_BALANCING_DEBIT) != 0) {
        amount = cap(amount, debit->credits_posted, debit->debits_posted + debit->debits_pending);
    }
    if ((transfer->flags & LEDGER_TRANSFER_BALANCING_CREDIT) != 0) {
        amount =
            cap(amount, credit->debits_posted, credit->credits_posted + credit->credits_pending);
    }
    return amount;
}

static uint32_t
check_overflow(
    bool pending,
    u128 amount,
    const struct ledger_account *debit,
    const struct ledger_account *credit)
{
    if (pending && sum_overflows(amount, debit->debits_pending)) {
        return LEDGER_TRANSFER_overflows_debits_pending;
    }
    if (pending && sum_overflows(amount, credit->credits_pending)) {
        return LEDGER_TRANSFER_overflows_credits_pending;
    }
    if (sum_overflows(amount, debit->debits_posted)) {
        return LEDGER_TRANSFER_overflows_debits_posted;
    }
    if (sum_overflows(amount, credit->credits_posted)) {
        return LEDGER_TRANSFER_overflows_credits_posted;
    }
    if (sum_overflows(amount, debit->debits_pending + debit->debits_posted)) {
        return LEDGER_TRANSFER_overflows_debits;
    }
    if (sum_overflows(amount, credit->credits_pending + credit->credits_posted)) {
        return LEDGER_TRANSFER_overflows_credits;
    }
    return LEDGER_TRANSFER_created;
}

static uint32_t
check_amount(
    const struct ledger_transfer *transfer,
    uint64_t timestamp,
    u128 amount,
    const struct ledger_account *debit,
    const struct ledger_account *credit)
{
    bool pending = (transfer->flags & LEDGER_TRANSFER_PENDING) != 0;
    uint32_t status = check_overflow(pending, amount, debit, credit);
    if (status != LEDGER_TRANSFER_created) {
        return status;
    }
    ASSERT(timestamp <= LEDGER_TIMESTAMP_MAX);
    if (transfer->timeout * LEDGER_SECOND_NS > LEDGER_TIMESTAMP_MAX - timestamp) {
        return LEDGER_TRANSFER_overflows_timeout;
    }
    if ((debit->flags & LEDGER_ACCOUNT_DEBITS_MUST_NOT_EXCEED_CREDITS) != 0 &&
        debit->debits_pending + debit->debits_posted + amount > debit->credits_posted) {
        return LEDGER_TRANSFER_exceeds_credits;
    }
    if ((credit->flags & LEDGER_ACCOUNT_CREDITS_MUST_NOT_EXCEED_DEBITS) != 0 &&
        credit->credits_pending + credit->credits_posted + amount > credit->debits_posted) {
        return LEDGER_TRANSFER_exceeds_debits;
    }
    return LEDGER_TRANSFER_created;
}

static uint32_t
create_plain(struct ledger_step *step)
{
    struct ledger *ledger = step->ledger;
    const struct ledger_transfer *transfer = step->transfer;
    uint32_t status = check_fields(transfer);
    if (status != LEDGER_TRANSFER_created) {
        return status;
    }
    uint32_t debit_slot = ledger->scratch->debit_slots[step->index];
    uint32_t credit_slot = ledger->scratch->credit_slots[step->index];
    if (debit_slot == LEDGER_NONE) {
        return LEDGER_TRANSFER_debit_account_not_found;
    }
    if (credit_slot == LEDGER_NONE) {
        return LEDGER_TRANSFER_credit_account_not_found;
    }
    struct ledger_account *debit = ledger_account_in(ledger, debit_slot);
    struct ledger_account *credit = ledger_account_in(ledger, credit_slot);
    status = check_accounts(ledger, transfer, debit, credit);
    if (status != LEDGER_TRANSFER_created) {
        return status;
    }
    u128 amount = balanced_amount(transfer, debit, credit);
    status = check_amount(transfer, step->timestamp, amount, debit, credit);
    if (status != LEDGER_TRANSFER_created) {
        return status;
    }

    struct ledger_undo *undo = ledger_undo_push(step, debit_slot, credit_slot);
    struct ledger_event *event = ledger_event_append(step);
    event->transfer.amount = amount;
    event->pending_place = 0;
    if ((transfer->flags & LEDGER_TRANSFER_PENDING) != 0) {
        event->kind = LEDGER_EVENT_TWO_PHASE_PENDING;
        ledger_move_pending(debit, credit, &event->transfer);
        uint32_t slot = ledger_pending_insert(ledger, &event->transfer, debit_slot, credit_slot);
        ledger->scratch->created[ledger->scratch->created_count++] = slot;
        event->pending_place = slot + 1;
        if (undo != NULL) {
            undo->created_pending = slot;
        }
    } else {
        event->kind = LEDGER_EVENT_SINGLE_PHASE;
        ledger_move_posted(debit, credit, &event->transfer);
    }
    ledger_event_snapshot(event, ledger, debit_slot, credit_slot);
    return LEDGER_TRANSFER_created;
}

uint32_t
ledger_create_transfer(struct ledger_step *step)
{
    const struct ledger_transfer *transfer = step->transfer;
    const struct ledger_scratch *scratch = step->ledger->scratch;
    if ((transfer->flags & ~(unsigned)LEDGER_TRANSFER_FLAGS) != 0) {
        return LEDGER_TRANSFER_reserved_flag;
    }
    if (transfer->id == 0) {
        return LEDGER_TRANSFER_id_must_not_be_zero;
    }
    if (transfer->id == U128_MAX) {
        return LEDGER_TRANSFER_id_must_not_be_int_max;
    }
    uint16_t number = scratch->own_entries[step->index];
    ASSERT(number < scratch->entry_count);
    const struct ledger_entry *entry = &scratch->entries[number];
    const struct ledger_past *past = &step->past[number];
    ASSERT(entry->id == transfer->id);
    ASSERT(past->id == transfer->id);
    const struct ledger_transfer *existing = NULL;
    if (entry->event != 0) {
        existing = &step->delta->events[entry->event - 1].transfer;
    } else if (past->kind == LEDGER_PAST_TRANSFER) {
        existing = &past->transfer;
    }
    if (existing != NULL) {
        step->exists_timestamp = existing->timestamp;
        return ledger_compare_existing(step, existing);
    }
    if (entry->failed || past->kind == LEDGER_PAST_FAILED) {
        return LEDGER_TRANSFER_id_already_failed;
    }
    if ((transfer->flags & TWO_PHASE_FLAGS) != 0) {
        return ledger_create_finishing(step);
    }
    return create_plain(step);
}

static uint32_t
compare_plain(const struct ledger_transfer *transfer, const struct ledger_transfer *existing)
{
    if (transfer->debit_account_id != existing->debit_account_id) {
        return LEDGER_TRANSFER_exists_with_different_debit_account_id;
    }
    if (transfer->credit_account_id != existing->credit_account_id) {
        return LEDGER_TRANSFER_exists_with_different_credit_account_id;
    }
    /* A balancing transfer was stored with what it found, at most what was asked for. */
    bool balancing = (transfer->flags & BALANCING_FLAGS) != 0;
    if (balancing ? transfer->amount < existing->amount : transfer->amount != existing->amount) {
        return LEDGER_TRANSFER_exists_with_different_amount;
    }
    if (transfer->user_data_128 != existing->user_data_128) {
        return LEDGER_TRANSFER_exists_with_different_user_data_128;
    }
    if (transfer->user_data_64 != existing->user_data_64) {
        return LEDGER_TRANSFER_exists_with_different_user_data_64;
    }
    if (transfer->user_data_32 != existing->user_data_32) {
        return LEDGER_TRANSFER_exists_with_different_user_data_32;
    }
    if (transfer->ledger != existing->ledger) {
        return LEDGER_TRANSFER_exists_with_different_ledger;
    }
    if (transfer->code != existing->code) {
        return LEDGER_TRANSFER_exists_with_different_code;
    }
    return LEDGER_TRANSFER_exists;
}

/* A repeated post or void: what is zero was taken from the pending transfer. */
static uint32_t
compare_finishing(
    const struct ledger_transfer *transfer,
    const struct ledger_transfer *existing,
    const struct ledger_transfer *pending)
{
    if (transfer->debit_account_id != 0 &&
        transfer->debit_account_id != existing->debit_account_id) {
        return LEDGER_TRANSFER_exists_with_different_debit_account_id;
    }
    if (transfer->credit_account_id != 0 &&
        transfer->credit_account_id != existing->credit_account_id) {
        return LEDGER_TRANSFER_exists_with_different_credit_account_id;
    }
    bool post = (transfer->flags & LEDGER_TRANSFER_POST_PENDING) != 0;
    bool all = transfer->amount == (post ? U128_MAX : 0);
    if (existing->amount != (all ? pending->amount : transfer->amount)) {
        return LEDGER_TRANSFER_exists_with_different_amount;
    }
    u128 data_128 = transfer->user_data_128 != 0 ? transfer->user_data_128 : pending->user_data_128;
    uint64_t data_64 = transfer->user_data_64 != 0 ? transfer->user_data_64 : pending->user_data_64;
    uint32_t data_32 = transfer->user_data_32 != 0 ? transfer->user_data_32 : pending->user_data_32;
    if (data_128 != existing->user_data_128) {
        return LEDGER_TRANSFER_exists_with_different_user_data_128;
    }
    if (data_64 != existing->user_data_64) {
        return LEDGER_TRANSFER_exists_with_different_user_data_64;
    }
    if (data_32 != existing->user_data_32) {
        return LEDGER_TRANSFER_exists_with_different_user_data_32;
    }
    if (transfer->ledger != 0 && transfer->ledger != existing->ledger) {
        return LEDGER_TRANSFER_exists_with_different_ledger;
    }
    if (transfer->code != 0 && transfer->code != existing->code) {
        return LEDGER_TRANSFER_exists_with_different_code;
    }
    return LEDGER_TRANSFER_exists;
}

uint32_t
ledger_compare_existing(const struct ledger_step *step, const struct ledger_transfer *existing)
{
    const struct ledger_transfer *transfer = step->transfer;
    if (transfer->flags != existing->flags) {
        return LEDGER_TRANSFER_exists_with_different_flags;
    }
    if (transfer->pending_id != existing->pending_id) {
        return LEDGER_TRANSFER_exists_with_different_pending_id;
    }
    if (transfer->timeout != existing->timeout) {
        return LEDGER_TRANSFER_exists_with_different_timeout;
    }
    if ((transfer->flags & TWO_PHASE_FLAGS) == 0) {
        return compare_plain(transfer, existing);
    }
    struct ledger_found pending = ledger_find_named(step);
    ASSERT(pending.transfer != NULL);
    return compare_finishing(transfer, existing, pending.transfer);
}
