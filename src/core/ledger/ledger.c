/* The clock, reservation and reading. */
#include "ledger/ledger.h"

#include "ledger_internal.h"

uint64_t
ledger_clock(const struct ledger *ledger)
{
    return ledger->clock;
}

void
ledger_set_clock(struct ledger *ledger, uint64_t clock)
{
    ASSERT(clock <= LEDGER_TIMESTAMP_MAX);
    if (clock > ledger->clock) {
        ledger->clock = clock;
    }
}

err_t
ledger_reserve(struct ledger *ledger, uint32_t new_accounts, uint32_t new_pendings)
{
    const uint32_t accounts = ledger->account_count;
    const uint32_t pendings = ledger->pending_count;
    if (new_accounts > ledger->limits.account_count_max - accounts) {
        return ERR_FULL;
    }
    if (new_pendings > ledger->limits.pending_count_max - pendings) {
        return ERR_FULL;
    }
    /* LEDGER-10. Free slots of pendings are used first, so none lies behind the most that lived. */
    err_t code = ledger_blocks_reserve(ledger, accounts + new_accounts, pendings + new_pendings);
    if (code == ERR_OK) {
        code =
            ledger_index_reserve(&ledger->account_index, &ledger->limits, accounts, new_accounts);
    }
    if (code == ERR_OK) {
        code =
            ledger_index_reserve(&ledger->pending_index, &ledger->limits, pendings, new_pendings);
    }
    return code == ERR_OK ? ERR_OK : ERR_FULL;
}

uint32_t
ledger_account_count(const struct ledger *ledger)
{
    return ledger->account_count;
}

uint32_t
ledger_pending_count(const struct ledger *ledger)
{
    return ledger->pending_count;
}

uint32_t
ledger_account_slot(const struct ledger *ledger, u128 id)
{
    return ledger_account_search(ledger, id, ledger_hash(id));
}

const struct ledger_account *
ledger_account_at(const struct ledger *ledger, uint32_t slot)
{
    ASSERT(slot < ledger->account_count);
    return ledger_account_in(ledger, slot);
}

const struct ledger_account *
ledger_find_account(const struct ledger *ledger, u128 id)
{
    uint32_t slot = ledger_account_slot(ledger, id);
    return slot == LEDGER_NONE ? NULL : ledger_account_in(ledger, slot);
}

const struct ledger_transfer *
ledger_find_pending(const struct ledger *ledger, u128 id)
{
    uint32_t slot = ledger_pending_search(ledger, id, ledger_hash(id));
    return slot == LEDGER_NONE ? NULL : ledger_pending_transfer(ledger, slot);
}

const struct ledger_transfer *
ledger_find_pending_on(
    const struct ledger *ledger, u128 id, uint32_t debit_slot, uint32_t credit_slot)
{
    uint32_t slot = ledger_pending_search_on(ledger, id, debit_slot, credit_slot);
    return slot == LEDGER_NONE ? NULL : ledger_pending_transfer(ledger, slot);
}

uint32_t
ledger_pending_slots(const struct ledger *ledger)
{
    return ledger->pending_slots_top;
}

const struct ledger_transfer *
ledger_pending_at(const struct ledger *ledger, uint32_t slot)
{
    ASSERT(slot < ledger->pending_slots_top);
    return ledger_pending_in(ledger, slot)->fate == LEDGER_FATE_PENDING
               ? ledger_pending_transfer(ledger, slot)
               : NULL;
}

void
ledger_pending_sides(
    const struct ledger *ledger, uint32_t slot, uint32_t *ret_debit_slot, uint32_t *ret_credit_slot)
{
    ASSERT(ledger_pending_at(ledger, slot) != NULL);
    *ret_debit_slot = ledger_pending_in(ledger, slot)->debit_slot;
    *ret_credit_slot = ledger_pending_in(ledger, slot)->credit_slot;
}
