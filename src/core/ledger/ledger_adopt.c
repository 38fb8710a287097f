/*
 * Accounts and history that come from another ledger. Events are redone as in a replay, so what
 * does not follow is refused; only an absent account's side is booked on a stand-in, so that every
 * event stays a whole double entry and LEDGER-1 and LEDGER-2 hold after each (LEDGER-12).
 */
#include "ledger_internal.h"

/* "tael-off": no ids of Tael's begin so (they begin with a time), and the API takes none. */
#define STAND_IN_HIGH UINT64_C(0x7461656c2d6f6666)

u128
ledger_stand_in_id(uint32_t ledger_number, uint16_t number)
{
    return u128_make(STAND_IN_HIGH, ((uint64_t)ledger_number << 32) | ((uint64_t)number << 16));
}

bool
ledger_is_stand_in(u128 id)
{
    return u128_high(id) == STAND_IN_HIGH;
}

static bool
can_be(const struct ledger_account *account)
{
    const unsigned limits = LEDGER_ACCOUNT_DEBITS_MUST_NOT_EXCEED_CREDITS |
                            LEDGER_ACCOUNT_CREDITS_MUST_NOT_EXCEED_DEBITS;
    return account->id != 0 && account->id != U128_MAX && account->ledger != 0 &&
           account->code != 0 && account->reserved == 0 && account->timestamp != 0 &&
           account->timestamp <= LEDGER_TIMESTAMP_MAX &&
           (account->flags & ~(unsigned)LEDGER_ACCOUNT_FLAGS) == 0 &&
           (account->flags & limits) != limits &&
           (!ledger_is_stand_in(account->id) || account->flags == 0);
}

err_t
ledger_adopt_account(
    struct ledger *ledger, const struct ledger_account *account, struct ledger_delta *delta)
{
    if (!can_be(account)) {
        return ERR_INVALID;
    }
    if (ledger_account_search(ledger, account->id, ledger_hash(account->id)) != LEDGER_NONE) {
        return ERR_EXISTS;
    }
    ASSERT(delta->account_count < delta->account_capacity);
    struct ledger_account *adopted = &delta->accounts[delta->account_count++];
    *adopted = *account;
    adopted->debits_pending = 0;
    adopted->debits_posted = 0;
    adopted->credits_pending = 0;
    adopted->credits_posted = 0;
    adopted->flags = ledger_flags_clear(account->flags, LEDGER_ACCOUNT_CLOSED);
    ledger_account_append(ledger, adopted);
    ledger_set_clock(ledger, adopted->timestamp);
    delta->clock = ledger->clock;
    ledger->version++;
    return ERR_OK;
}

err_t
ledger_adopt_event(
    struct ledger *ledger, const struct ledger_adopted *adopted, struct ledger_delta *delta)
{
    struct ledger_event event = adopted->event;
    const struct ledger_redo_how how = {
        .compare_debit = !ledger_is_stand_in(adopted->debit_account_id),
        .compare_credit = !ledger_is_stand_in(adopted->credit_account_id),
        .watch = false,
    };
    event.debit_slot = ledger_account_slot(ledger, adopted->debit_account_id);
    event.credit_slot = ledger_account_slot(ledger, adopted->credit_account_id);
    event.adopted = 1;
    event.padding[0] = event.padding[1] = 0;
    if (event.kind < LEDGER_EVENT_SINGLE_PHASE || event.kind > LEDGER_EVENT_TWO_PHASE_EXPIRED) {
        return ERR_CORRUPT;
    }
    ASSERT(delta->event_count < delta->event_capacity);
    TRY(ledger_redo_event(ledger, &event, &how));
    delta->events[delta->event_count++] = event;
    delta->clock = ledger->clock;
    return ERR_OK;
}

void
ledger_watch_pendings(
    struct ledger *ledger, bool (*wanted)(void *context, u128 debit_account_id), void *context)
{
    for (uint32_t slot = 0; slot < ledger->pending_slots_top; slot++) {
        const struct ledger_pending *pending = ledger_pending_in(ledger, slot);
        const struct ledger_transfer *transfer = ledger_pending_transfer(ledger, slot);
        if (pending->fate == LEDGER_FATE_NONE || transfer->timeout == 0) {
            continue;
        }
        bool watched = pending->heap_position != LEDGER_NONE;
        if (watched == (!pending->half && wanted(context, transfer->debit_account_id))) {
            continue;
        }
        if (watched) {
            ledger_expiry_remove(ledger, slot);
        } else {
            ledger_expiry_insert(ledger, slot);
        }
    }
    ledger->version++;
}
