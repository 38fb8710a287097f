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
ledger_reserve(const struct ledger *ledger, uint32_t new_accounts, uint32_t new_pendings)
{
    if (new_accounts > ledger->limits.account_count_max - ledger->account_count) {
        return ERR_FULL;
    }
    if (new_pendings > ledger->limits.pending_count_max - ledger->pending_count) {
        return ERR_FULL;
    }
    return ERR_OK;
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
    return &ledger->accounts[slot];
}

const struct ledger_account *
ledger_find_account(const struct ledger *ledger, u128 id)
{
    uint32_t slot = ledger_account_slot(ledger, id);
    return slot == LEDGER_NONE ? NULL : &ledger->accounts[slot];
}

const struct ledger_transfer *
ledger_find_pending(const struct ledger *ledger, u128 id)
{
    uint32_t slot = ledger_pending_search(ledger, id);
    return slot == LEDGER_NONE ? NULL : &ledger->pendings[slot].transfer;
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
    const struct ledger_pending *pending = &ledger->pendings[slot];
    return pending->fate == LEDGER_FATE_PENDING ? &pending->transfer : NULL;
}
