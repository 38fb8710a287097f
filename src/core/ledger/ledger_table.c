/* The two tables: accounts in creation order, and pendings in reused slots, each with its index. */
#include "ledger_internal.h"

void
ledger_index_insert(struct ledger_index *index, uint32_t hash, uint32_t slot)
{
    const struct ledger_table *table = &index->now;
    uint32_t at = hash & table->mask;
    while (table->entries[at] != 0) {
        at = (at + 1) & table->mask;
    }
    table->entries[at] = ((uint64_t)hash << 32) | (slot + 1);
}

/* False if the entry is not in the table. Closes the gap by moving back every later entry of the
 * run that may lie there, so that no tombstones are needed. */
static bool
remove_from(const struct ledger_table *table, uint32_t hash, uint32_t slot)
{
    const uint32_t mask = table->mask;
    uint64_t *entries = table->entries;
    uint64_t wanted = ((uint64_t)hash << 32) | (slot + 1);
    uint32_t gap = hash & mask;
    while (entries[gap] != wanted) {
        if (entries[gap] == 0) {
            return false;
        }
        gap = (gap + 1) & mask;
    }
    for (uint32_t at = (gap + 1) & mask; entries[at] != 0; at = (at + 1) & mask) {
        uint32_t home = (uint32_t)(entries[at] >> 32) & mask;
        uint32_t distance_home = (at - home) & mask;
        uint32_t distance_gap = (at - gap) & mask;
        if (distance_home >= distance_gap) {
            entries[gap] = entries[at];
            gap = at;
        }
    }
    entries[gap] = 0;
    return true;
}

void
ledger_index_remove(struct ledger_index *index, uint32_t hash, uint32_t slot)
{
    bool removed = remove_from(ledger_index_table(index, hash), hash, slot) ||
                   remove_from(&index->now, hash, slot);
    ASSERT(removed);
}

void
ledger_account_append(struct ledger *ledger, const struct ledger_account *account)
{
    ASSERT(ledger->account_count < ledger->limits.account_count_max);
    uint32_t slot = ledger->account_count++;
    *ledger_account_in(ledger, slot) = *account;
    ledger_index_insert(&ledger->account_index, ledger_hash(account->id), slot);
    ledger_order_append(ledger, slot);
}

void
ledger_account_pop(struct ledger *ledger)
{
    ASSERT(ledger->account_count > 0);
    uint32_t slot = --ledger->account_count;
    ledger_index_remove(
        &ledger->account_index, ledger_hash(ledger_account_in(ledger, slot)->id), slot);
    ledger_order_pop(ledger, slot);
}

void
ledger_accounts_clear(struct ledger *ledger)
{
    while (ledger->account_count > 0) {
        uint32_t slot = --ledger->account_count;
        ledger_index_remove(
            &ledger->account_index, ledger_hash(ledger_account_in(ledger, slot)->id), slot);
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
    struct ledger_pending *pending = ledger_pending_in(ledger, slot);
    const uint64_t timestamp = ledger_pending_transfer(ledger, slot)->timestamp;
    uint32_t before = ledger->listed_last;
    while (before != LEDGER_NONE &&
           ledger_pending_transfer(ledger, before)->timestamp > timestamp) {
        before = ledger_pending_in(ledger, before)->listed_before;
    }
    uint32_t *from = before == LEDGER_NONE ? &ledger->listed_first
                                           : &ledger_pending_in(ledger, before)->listed_after;
    pending->listed = true;
    pending->listed_before = before;
    pending->listed_after = *from;
    *from = slot;
    uint32_t *back = pending->listed_after == LEDGER_NONE
                         ? &ledger->listed_last
                         : &ledger_pending_in(ledger, pending->listed_after)->listed_before;
    *back = slot;
}

static void
unlist_pending(struct ledger *ledger, uint32_t slot)
{
    struct ledger_pending *pending = ledger_pending_in(ledger, slot);
    uint32_t before = pending->listed_before;
    uint32_t after = pending->listed_after;
    uint32_t *from = before == LEDGER_NONE ? &ledger->listed_first
                                           : &ledger_pending_in(ledger, before)->listed_after;
    uint32_t *back = after == LEDGER_NONE ? &ledger->listed_last
                                          : &ledger_pending_in(ledger, after)->listed_before;
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
    ASSERT(ledger_pending_in(ledger, place)->listed);
    return ledger_pending_in(ledger, place)->listed_after;
}

const struct ledger_transfer *
ledger_listed_at(const struct ledger *ledger, uint32_t place)
{
    ASSERT(ledger_pending_in(ledger, place)->listed);
    return ledger_pending_transfer(ledger, place);
}

static uint32_t
probe_on(
    const struct ledger *ledger,
    const struct ledger_table *table,
    u128 id,
    uint32_t debit_slot,
    uint32_t credit_slot)
{
    uint32_t hash = ledger_hash(id);
    for (uint32_t at = hash & table->mask; table->entries[at] != 0; at = (at + 1) & table->mask) {
        if ((uint32_t)(table->entries[at] >> 32) != hash) {
            continue;
        }
        uint32_t slot = (uint32_t)table->entries[at] - 1;
        const struct ledger_pending *pending = ledger_pending_in(ledger, slot);
        if (ledger_pending_transfer(ledger, slot)->id == id &&
            (debit_slot == LEDGER_NONE || pending->debit_slot == debit_slot) &&
            (credit_slot == LEDGER_NONE || pending->credit_slot == credit_slot)) {
            return slot;
        }
    }
    return LEDGER_NONE;
}

uint32_t
ledger_pending_search_on(
    const struct ledger *ledger, u128 id, uint32_t debit_slot, uint32_t credit_slot)
{
    const struct ledger_index *index = &ledger->pending_index;
    const struct ledger_table *table = ledger_index_table(index, ledger_hash(id));
    uint32_t slot = probe_on(ledger, table, id, debit_slot, credit_slot);
    return slot != LEDGER_NONE || table == &index->now
               ? slot
               : probe_on(ledger, &index->now, id, debit_slot, credit_slot);
}

/* Where the next one will be written. Only the record of a free slot tells which is free behind it,
 * so that the fetching is one ahead. */
static void
prefetch_free(const struct ledger *ledger)
{
    if (ledger->pending_free != 0) {
        const uint32_t slot = ledger->pending_free - 1;
        prefetch_record_for_write(
            ledger_pending_transfer(ledger, slot), sizeof(struct ledger_transfer));
        prefetch_for_write(ledger_pending_in(ledger, slot));
    }
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
        ledger->pending_free = ledger_pending_in(ledger, slot)->next_free;
    } else {
        slot = ledger->pending_slots_top++;
    }
    ledger->pending_count++;
    prefetch_free(ledger);
    words_copy(
        ledger_pending_transfer(ledger, slot), transfer, sizeof(*transfer) / sizeof(uint64_t));
    struct ledger_pending *pending = ledger_pending_in(ledger, slot);
    pending->hash = ledger_hash(transfer->id);
    pending->debit_slot = debit_slot;
    pending->credit_slot = credit_slot;
    pending->heap_position = LEDGER_NONE;
    pending->next_free = 0;
    pending->fate = LEDGER_FATE_PENDING;
    pending->listed = false;
    pending->half = ledger_account_in(ledger, debit_slot)->id != transfer->debit_account_id ||
                    ledger_account_in(ledger, credit_slot)->id != transfer->credit_account_id;
    if (is_listed(ledger, transfer)) {
        list_pending(ledger, slot);
    }
    ledger_index_insert(&ledger->pending_index, pending->hash, slot);
    return slot;
}

void
ledger_pending_remove(struct ledger *ledger, uint32_t slot)
{
    ASSERT(ledger->pending_count > 0);
    struct ledger_pending *pending = ledger_pending_in(ledger, slot);
    ASSERT(pending->fate != LEDGER_FATE_NONE);
    ledger_expiry_remove(ledger, slot);
    if (pending->listed) {
        unlist_pending(ledger, slot);
    }
    ledger_index_remove(&ledger->pending_index, pending->hash, slot);
    pending->fate = LEDGER_FATE_NONE;
    pending->next_free = ledger->pending_free;
    ledger->pending_free = slot + 1;
    ledger->pending_count--;
}
