/* The second phase: posting and voiding a pending transfer. */
#include "ledger_internal.h"

/* LEDGER-6: a pending transfer that is live, or was when this batch began, is in the core's table;
 * a transfer that this batch made is in the delta; the shell's answer tells of every other one. */
struct ledger_found
ledger_find_named(const struct ledger_step *step)
{
    const struct ledger *ledger = step->ledger;
    uint32_t slot = ledger->scratch->pending_slots[step->index];
    if (slot == LEDGER_NONE) {
        u128 id = step->transfer->pending_id;
        slot = ledger_pending_search(ledger, id, ledger_hash(id));
    }
    if (slot != LEDGER_NONE) {
        const struct ledger_transfer *transfer = ledger_pending_transfer(ledger, slot);
        ASSERT(transfer->id == step->transfer->pending_id);
        return (struct ledger_found){transfer, ledger_pending_in(ledger, slot)->fate, slot};
    }
    uint16_t number = ledger->scratch->pending_entries[step->index];
    ASSERT(number < ledger->scratch->entry_count);
    const struct ledger_entry *entry = &ledger->scratch->entries[number];
    const struct ledger_past *past = &step->past[number];
    ASSERT(entry->id == step->transfer->pending_id);
    ASSERT(past->id == step->transfer->pending_id);
    if (entry->event != 0) {
        const struct ledger_event *event = &step->delta->events[entry->event - 1];
        return (struct ledger_found){&event->transfer, LEDGER_FATE_NONE, LEDGER_NONE};
    }
    if (past->kind == LEDGER_PAST_TRANSFER && past->fate == LEDGER_FATE_PENDING) {
        /* Another ledger's, and here in halves, which are nobody's to end (LEDGER-13). */
        ASSERT(ledger_pending_search_on(ledger, past->id, LEDGER_NONE, LEDGER_NONE) != LEDGER_NONE);
        return (struct ledger_found){NULL, LEDGER_FATE_NONE, LEDGER_NONE};
    }
    if (past->kind == LEDGER_PAST_TRANSFER) {
        return (struct ledger_found){&past->transfer, past->fate, LEDGER_NONE};
    }
    return (struct ledger_found){NULL, LEDGER_FATE_NONE, LEDGER_NONE};
}

static uint32_t
check_fields(const struct ledger_transfer *transfer)
{
    const unsigned both = LEDGER_TRANSFER_POST_PENDING | LEDGER_TRANSFER_VOID_PENDING;
    const unsigned others = LEDGER_TRANSFER_PENDING | LEDGER_TRANSFER_BALANCING_DEBIT |
                            LEDGER_TRANSFER_BALANCING_CREDIT | LEDGER_TRANSFER_CLOSING_DEBIT |
                            LEDGER_TRANSFER_CLOSING_CREDIT;
    if ((transfer->flags & both) == both || (transfer->flags & others) != 0) {
        return LEDGER_TRANSFER_flags_are_mutually_exclusive;
    }
    if (transfer->pending_id == 0) {
        return LEDGER_TRANSFER_pending_id_must_not_be_zero;
    }
    if (transfer->pending_id == U128_MAX) {
        return LEDGER_TRANSFER_pending_id_must_not_be_int_max;
    }
    if (transfer->pending_id == transfer->id) {
        return LEDGER_TRANSFER_pending_id_must_be_different;
    }
    if (transfer->timeout != 0) {
        return LEDGER_TRANSFER_timeout_reserved_for_pending_transfer;
    }
    return LEDGER_TRANSFER_created;
}

/* `amount` is what the request means, "all" resolved. */
static uint32_t
check_against_pending(
    const struct ledger_transfer *transfer, const struct ledger_transfer *pending, u128 amount)
{
    if (transfer->debit_account_id != 0 &&
        transfer->debit_account_id != pending->debit_account_id) {
        return LEDGER_TRANSFER_pending_transfer_has_different_debit_account_id;
    }
    if (transfer->credit_account_id != 0 &&
        transfer->credit_account_id != pending->credit_account_id) {
        return LEDGER_TRANSFER_pending_transfer_has_different_credit_account_id;
    }
    if (transfer->ledger != 0 && transfer->ledger != pending->ledger) {
        return LEDGER_TRANSFER_pending_transfer_has_different_ledger;
    }
    if (transfer->code != 0 && transfer->code != pending->code) {
        return LEDGER_TRANSFER_pending_transfer_has_different_code;
    }
    if (amount > pending->amount) {
        return LEDGER_TRANSFER_exceeds_pending_transfer_amount;
    }
    if ((transfer->flags & LEDGER_TRANSFER_VOID_PENDING) != 0 && amount < pending->amount) {
        return LEDGER_TRANSFER_pending_transfer_has_different_amount;
    }
    return LEDGER_TRANSFER_created;
}

static uint32_t
check_fate(const struct ledger_found *found, uint64_t timestamp)
{
    switch (found->fate) {
    case LEDGER_FATE_POSTED:
        return LEDGER_TRANSFER_pending_transfer_already_posted;
    case LEDGER_FATE_VOIDED:
        return LEDGER_TRANSFER_pending_transfer_already_voided;
    case LEDGER_FATE_EXPIRED:
        return LEDGER_TRANSFER_pending_transfer_expired;
    case LEDGER_FATE_PENDING:
        break;
    case LEDGER_FATE_NONE:
        UNREACHABLE();
    }
    /* Due already, though its pulse comes after this batch. */
    if (found->transfer->timeout != 0 && ledger_expires_at(found->transfer) <= timestamp) {
        return LEDGER_TRANSFER_pending_transfer_expired;
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
    if ((transfer->flags & LEDGER_TRANSFER_IMPORTED) != 0 &&
        ledger_timestamp_regresses(ledger, transfer->timestamp)) {
        return LEDGER_TRANSFER_imported_event_timestamp_must_not_regress;
    }
    if ((transfer->flags & LEDGER_TRANSFER_VOID_PENDING) != 0) {
        return LEDGER_TRANSFER_created;
    }
    return ledger_check_open(debit, credit);
}

static void
inherit(struct ledger_transfer *stored, const struct ledger_transfer *pending, u128 amount)
{
    stored->debit_account_id = pending->debit_account_id;
    stored->credit_account_id = pending->credit_account_id;
    stored->ledger = pending->ledger;
    stored->code = pending->code;
    stored->amount = amount;
    if (stored->user_data_128 == 0) {
        stored->user_data_128 = pending->user_data_128;
    }
    if (stored->user_data_64 == 0) {
        stored->user_data_64 = pending->user_data_64;
    }
    if (stored->user_data_32 == 0) {
        stored->user_data_32 = pending->user_data_32;
    }
}

static void
finish(struct ledger_step *step, uint32_t slot, enum ledger_fate fate, u128 amount)
{
    struct ledger *ledger = step->ledger;
    struct ledger_pending *pending = ledger_pending_in(ledger, slot);
    struct ledger_account *debit = ledger_account_in(ledger, pending->debit_slot);
    struct ledger_account *credit = ledger_account_in(ledger, pending->credit_slot);
    const struct ledger_transfer *transfer = ledger_pending_transfer(ledger, slot);
    ASSERT(debit->debits_pending >= transfer->amount);
    ASSERT(credit->credits_pending >= transfer->amount);

    struct ledger_undo *undo = ledger_undo_push(step, pending->debit_slot, pending->credit_slot);
    if (undo != NULL) {
        undo->finished_pending = slot;
    }
    struct ledger_event *event = ledger_event_append(step);
    inherit(&event->transfer, transfer, amount);
    event->kind =
        fate == LEDGER_FATE_POSTED ? LEDGER_EVENT_TWO_PHASE_POSTED : LEDGER_EVENT_TWO_PHASE_VOIDED;
    ledger_move_finish(debit, credit, transfer, fate, amount);
    pending->fate = (uint8_t)fate;
    ledger->scratch->finished[ledger->scratch->finished_count++] = slot;
    ledger_event_snapshot(event, ledger, pending->debit_slot, pending->credit_slot);
    event->pending_place = slot + 1;
}

uint32_t
ledger_create_finishing(struct ledger_step *step)
{
    const struct ledger_transfer *transfer = step->transfer;
    struct ledger *ledger = step->ledger;
    uint32_t status = check_fields(transfer);
    if (status != LEDGER_TRANSFER_created) {
        return status;
    }
    struct ledger_found found = ledger_find_named(step);
    if (found.transfer == NULL) {
        return LEDGER_TRANSFER_pending_transfer_not_found;
    }
    if ((found.transfer->flags & LEDGER_TRANSFER_PENDING) == 0) {
        return LEDGER_TRANSFER_pending_transfer_not_pending;
    }
    bool post = (transfer->flags & LEDGER_TRANSFER_POST_PENDING) != 0;
    bool all = transfer->amount == (post ? U128_MAX : 0);
    u128 amount = all ? found.transfer->amount : transfer->amount;
    status = check_against_pending(transfer, found.transfer, amount);
    if (status != LEDGER_TRANSFER_created) {
        return status;
    }
    status = check_fate(&found, step->timestamp);
    if (status != LEDGER_TRANSFER_created) {
        return status;
    }
    ASSERT(found.slot != LEDGER_NONE);
    const struct ledger_pending *pending = ledger_pending_in(ledger, found.slot);
    status = check_accounts(
        ledger,
        transfer,
        ledger_account_in(ledger, pending->debit_slot),
        ledger_account_in(ledger, pending->credit_slot));
    if (status != LEDGER_TRANSFER_created) {
        return status;
    }
    finish(step, found.slot, post ? LEDGER_FATE_POSTED : LEDGER_FATE_VOIDED, amount);
    return LEDGER_TRANSFER_created;
}
