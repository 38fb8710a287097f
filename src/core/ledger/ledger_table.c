/* The two tables: accounts in creation order, and pendings in reused slots, each with its index. */
#include "ledger_internal.h"

void
ledger_index_insert(struct ledger_index *index, uint32_t hash, uint32_t slot)
{
    uint32_t at = hash & index->mask;
    while (index->entries[at] != 0) {
        at = (at + 1) & index->mask;
    }
    index->entries[at] = ((uint64_t)hash << 32) | (slot + 1);
}

/* Closes the gap by moving back every later entry of the run that may lie there, so that no
 * tombstones are needed. */
void
ledger_index_remove(struct ledger_index *index, uint32_t hash, uint32_t slot)
{
    uint64_t wanted = ((uint64_t)hash << 32) | (slot + 1);
    uint32_t gap = hash & index->mask;
    while (index->entries[gap] != wanted) {
        ASSERT(index->entries[gap] != 0);
        gap = (gap + 1) & index->mask;
    }
    for (uint32_t at = (gap + 1) & index->mask; index->entries[at] != 0;
         at = (at + 1) & index->mask) {
        uint32_t home = (uint32_t)(index->entries[at] >> 32) & index->mask;
        uint32_t distance_home = (at - home) & index->mask;
        uint32_t distance_gap = (at - gap) & index->mask;
        if (distance_home >= distance_gap) {
            index->entries[gap] = index->entries[at];
            gap = at;
        }
    }
    index->entries[gap] = 0;
}

void
ledger_account_append(struct ledger *ledger, const struct ledger_account *account)
{
    ASSERT(ledger->account_count < ledger->limits.account_count_max);
    uint32_t slot = ledger->account_count++;
    ledger->accounts[slot] = *account;
    ledger_index_insert(&ledger->account_index, ledger_hash(account->id), slot);
    ledger_order_append(ledger, slot);
}

void
ledger_account_pop(struct ledger *ledger)
{
    ASSERT(ledger->account_count > 0);
    uint32_t slot = --ledger->account_count;
    ledger_index_remove(&ledger->account_index, ledger_hash(ledger->accounts[slot].id), slot);
    ledger_order_pop(ledger, slot);
}

void
ledger_accounts_clear(struct ledger *ledger)
{
    while (ledger->account_count > 0) {
        uint32_t slot = --ledger->account_count;
        ledger_index_remove(&ledger->account_index, ledger_hash(ledger->accounts[slot].id), slot);
    }
    ledger_order_clear(ledger);
}

/* ---- pendings on listed accounts */

static bool
is_listed(const struct ledger *ledger, const struct ledger_transfer *transfer)
{
    u128 wanted = ledger->limits.listed_accounts >> 48;
    return wanted != 0 && (transfer->debit_account_id >> 48 == wanted ||
                           transfer->credit_account_id >> 48 == wanted);
}

/* Behind those that are older. What a batch makes is the newest, so the walk is for loading. */
static void
list_pending(struct ledger *ledger, uint32_t slot)
{
    struct ledger_pending *pending = &ledger->pendings[slot];
    uint32_t before = ledger->listed_last;
    while (before != LEDGER_NONE &&
           ledger->pendings[before].transfer.timestamp > pending->transfer.timestamp) {
        before = ledger->pendings[before].listed_before;
    }
    uint32_t *from =
        before == LEDGER_NONE ? &ledger->listed_first : &ledger->pendings[before].listed_after;
    pending->listed = true;
    pending->listed_before = before;
    pending->listed_after = *from;
    *from = slot;
    uint32_t *back = pending->listed_after == LEDGER_NONE
                         ? &ledger->listed_last
                         : &ledger->pendings[pending->listed_after].listed_before;
    *back = slot;
}

static void
unlist_pending(struct ledger *ledger, uint32_t slot)
{
    struct ledger_pending *pending = &ledger->pendings[slot];
    uint32_t before = pending->listed_before;
    uint32_t after = pending->listed_after;
    uint32_t *from =
        before == LEDGER_NONE ? &ledger->listed_first : &ledger->pendings[before].listed_after;
    uint32_t *back =
        after == LEDGER_NONE ? &ledger->listed_last : &ledger->pendings[after].listed_before;
    ASSERT(*from == slot);
    ASSERT(*back == slot);
    *from = after;
    *back = before;
    pending->listed = false;
}

uint32_t
ledger_listed_first(const struct ledger *ledger)
{
    return ledger->listed_first;
}

uint32_t
ledger_listed_next(const struct ledger *ledger, uint32_t place)
{
    ASSERT(ledger->pendings[place].listed);
    return ledger->pendings[place].listed_after;
}

const struct ledger_transfer *
ledger_listed_at(const struct ledger *ledger, uint32_t place)
{
    ASSERT(ledger->pendings[place].listed);
    return &ledger->pendings[place].transfer;
}

uint32_t
ledger_pending_insert(
    struct ledger *ledger,
    const struct ledger_transfer *transfer,
    uint32_t debit_slot,
    uint32_t credit_slot)
{
    ASSERT(ledger->pending_count < ledger->limits.pending_count_max);
    uint32_t slot;
    if (ledger->pending_free != 0) {
        slot = ledger->pending_free - 1;
        ledger->pending_free = ledger->pendings[slot].next_free;
    } else {
        slot = ledger->pending_slots_top++;
    }
    ledger->pending_count++;
    struct ledger_pending *pending = &ledger->pendings[slot];
    pending->transfer = *transfer;
    pending->debit_slot = debit_slot;
    pending->credit_slot = credit_slot;
    pending->heap_position = LEDGER_NONE;
    pending->next_free = 0;
    pending->fate = LEDGER_FATE_PENDING;
    pending->listed = false;
    if (is_listed(ledger, transfer)) {
        list_pending(ledger, slot);
    }
    ledger_index_insert(&ledger->pending_index, ledger_hash(transfer->id), slot);
    return slot;
}

void
ledger_pending_remove(struct ledger *ledger, uint32_t slot)
{
    ASSERT(ledger->pending_count > 0);
    struct ledger_pending *pending = &ledger->pendings[slot];
    ASSERT(pending->fate != LEDGER_FATE_NONE);
    ledger_expiry_remove(ledger, slot);
    if (pending->listed) {
        unlist_pending(ledger, slot);
    }
    ledger_index_remove(&ledger->pending_index, ledger_hash(pending->transfer.id), slot);
    pending->fate = LEDGER_FATE_NONE;
    pending->next_free = ledger->pending_free;
    ledger->pending_free = slot + 1;
    ledger->pending_count--;
}
