/*
 * Checks the whole state against the invariants. The core allocates nothing, so sums per ledger
 * number, and per account over its pendings, are not kept apart: each difference is weighted by a
 * hash of its ledger number (its slot) and all are added up modulo 2^128. Differences that are all
 * zero give zero; others do not, but for one chance in 2^64.
 */
#include "ledger_internal.h"

static u128
weight(uint64_t number)
{
    return u128_make(hash_u64(number * 2 + 1), hash_u64(number * 2 + 2) | 1);
}

static bool
account_is_sound(const struct ledger *ledger, uint32_t slot)
{
    const struct ledger_account *account = ledger_account_in(ledger, slot);
    u128 debits;
    u128 credits;
    if (ledger_account_search(ledger, account->id, ledger_hash(account->id)) != slot) {
        return false;
    }
    if (account->timestamp == 0 || account->timestamp > LEDGER_TIMESTAMP_MAX ||
        account->timestamp > ledger->account_timestamp) {
        return false;
    }
    if (!ledger->order->differs && slot > 0 &&
        account->timestamp <= ledger_account_in(ledger, slot - 1)->timestamp) {
        return false;
    }
    if (account->id == 0 || account->id == U128_MAX || account->ledger == 0 || account->code == 0 ||
        account->reserved != 0 || (account->flags & ~(unsigned)LEDGER_ACCOUNT_FLAGS) != 0) {
        return false;
    }
    if (__builtin_add_overflow(account->debits_pending, account->debits_posted, &debits) ||
        __builtin_add_overflow(account->credits_pending, account->credits_posted, &credits)) {
        return false;
    }
    if ((account->flags & LEDGER_ACCOUNT_DEBITS_MUST_NOT_EXCEED_CREDITS) != 0 &&
        debits > account->credits_posted) {
        return false;
    }
    return (account->flags & LEDGER_ACCOUNT_CREDITS_MUST_NOT_EXCEED_DEBITS) == 0 ||
           credits <= account->debits_posted;
}

static bool
is_side(const struct ledger *ledger, uint32_t slot, u128 account_id)
{
    u128 id = ledger_account_in(ledger, slot)->id;
    return id == account_id || ledger_is_stand_in(id);
}

static bool
pending_is_sound(const struct ledger *ledger, uint32_t slot)
{
    const struct ledger_pending *pending = ledger_pending_in(ledger, slot);
    const struct ledger_transfer *transfer = ledger_pending_transfer(ledger, slot);
    if (pending->fate != LEDGER_FATE_PENDING || pending->hash != ledger_hash(transfer->id) ||
        ledger_pending_search_on(ledger, transfer->id, pending->debit_slot, pending->credit_slot) !=
            slot) {
        return false;
    }
    if (pending->debit_slot >= ledger->account_count ||
        pending->credit_slot >= ledger->account_count ||
        !is_side(ledger, pending->debit_slot, transfer->debit_account_id) ||
        !is_side(ledger, pending->credit_slot, transfer->credit_account_id)) {
        return false;
    }
    if (pending->heap_position == LEDGER_NONE) {
        return true; /* it has no timeout, or is not watched (ledger_watch_pendings) */
    }
    if (transfer->timeout == 0 || pending->half) {
        return false;
    }
    if (pending->heap_position >= ledger->heap_count) {
        return false;
    }
    const struct ledger_expiry *expiry = ledger_expiry_in(ledger, pending->heap_position);
    const struct ledger_expiry *parent =
        pending->heap_position > 0 ? ledger_expiry_in(ledger, (pending->heap_position - 1) / 4)
                                   : expiry;
    return expiry->pending_slot == slot && expiry->timestamp == transfer->timestamp &&
           expiry->expires_at == ledger_expires_at(transfer) &&
           parent->expires_at <= expiry->expires_at &&
           (parent->expires_at < expiry->expires_at || parent->timestamp <= expiry->timestamp);
}

static err_t
validate_accounts(const struct ledger *ledger)
{
    u128 posted = 0;
    u128 pending = 0;
    for (uint32_t slot = 0; slot < ledger->account_count; slot++) {
        const struct ledger_account *account = ledger_account_in(ledger, slot);
        if (!account_is_sound(ledger, slot)) {
            return ERR_CORRUPT;
        }
        posted += weight(account->ledger) * (account->debits_posted - account->credits_posted);
        pending += weight(account->ledger) * (account->debits_pending - account->credits_pending);
    }
    return posted == 0 && pending == 0 ? ERR_OK : ERR_CORRUPT;
}

/* LEDGER-2: the pending sides are the sums of the live pendings, account by account. */
static err_t
validate_pendings(const struct ledger *ledger)
{
    u128 debits = 0;
    u128 credits = 0;
    uint32_t live = 0;
    uint32_t queued = 0;
    for (uint32_t slot = 0; slot < ledger->pending_slots_top; slot++) {
        const struct ledger_pending *pending = ledger_pending_in(ledger, slot);
        if (pending->fate == LEDGER_FATE_NONE) {
            continue;
        }
        if (!pending_is_sound(ledger, slot)) {
            return ERR_CORRUPT;
        }
        live++;
        queued += pending->heap_position != LEDGER_NONE;
        const u128 amount = ledger_pending_transfer(ledger, slot)->amount;
        debits += weight(pending->debit_slot) * amount;
        credits += weight(pending->credit_slot) * amount;
    }
    if (live != ledger->pending_count || queued != ledger->heap_count) {
        return ERR_CORRUPT;
    }
    for (uint32_t slot = 0; slot < ledger->account_count; slot++) {
        debits -= weight(slot) * ledger_account_in(ledger, slot)->debits_pending;
        credits -= weight(slot) * ledger_account_in(ledger, slot)->credits_pending;
    }
    return debits == 0 && credits == 0 ? ERR_OK : ERR_CORRUPT;
}

err_t
ledger_validate(const struct ledger *ledger)
{
    TRY(validate_accounts(ledger));
    TRY(validate_pendings(ledger));
    return ledger->clock <= LEDGER_TIMESTAMP_MAX && ledger->transfer_timestamp <= ledger->clock
               ? ERR_OK
               : ERR_CORRUPT;
}
