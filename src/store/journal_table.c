#include "journal_table.h"

#include "base/assert.h"
#include "os/large.h"

#include <stdlib.h>
#include <string.h>

#define SLOTS_MIN 64u

/* At most three quarters of the slots are used. */
static uint32_t
entries_max(uint32_t slot_count)
{
    return slot_count / 4 * 3;
}

static size_t
slots_size(uint32_t slot_count)
{
    return (size_t)slot_count * sizeof(struct journal_index_entry);
}

static uint32_t
slots_for(uint32_t entries)
{
    uint32_t count = SLOTS_MIN;
    while (entries_max(count) < entries) {
        count *= 2;
    }
    return count;
}

static void
slots_set(struct journal_table *table, struct journal_index_entry *slots, uint32_t slot_count)
{
    os_large_free(table->slots, slots_size(table->slot_count));
    table->slots = slots;
    table->slot_count = slot_count;
    table->shift = 64 - (uint32_t)__builtin_ctz(slot_count);
}

void
journal_table_clear_some(struct journal_table *table, uint32_t slots)
{
    ASSERT(!table->handed_over);
    ASSERT(table->cleared <= table->slot_count);
    uint32_t left = table->slot_count - table->cleared;
    uint32_t count = slots < left ? slots : left;
    if (count > 0) {
        memset(&table->slots[table->cleared], 0, slots_size(count));
        table->cleared += count;
    }
}

err_t
journal_table_reset(struct journal_table *table, uint32_t entries)
{
    ASSERT(entries <= JOURNAL_RUN_ENTRIES_MAX);
    uint32_t slot_count = slots_for(entries);
    if (table->slots != NULL && table->slot_count == slot_count) {
        journal_table_clear_some(table, slot_count);
    } else {
        struct journal_index_entry *slots = os_large_alloc(slots_size(slot_count));
        if (slots == NULL) {
            return ERR_MEMORY;
        }
        slots_set(table, slots, slot_count);
    }
    table->cleared = 0;
    table->count = 0;
    table->frame = 0;
    table->covered = 0;
    table->handed_over = false;
    return ERR_OK;
}

void
journal_table_release(struct journal_table *table)
{
    os_large_free(table->slots, slots_size(table->slot_count));
    table->slots = NULL;
    table->slot_count = 0;
    table->count = 0;
}

/* The slot of the entry with the same position, or the empty one for it. */
static struct journal_index_entry *
slot_of(const struct journal_table *table, uint64_t hash, uint64_t reference)
{
    const struct journal_index_entry wanted = {.hash = hash, .reference = reference};
    const uint64_t position = journal_index_entry_position(&wanted);
    ASSERT(position != 0);
    struct journal_index_entry *slots = table->slots;
    uint32_t at = journal_table_home(table, hash);
    while (slots[at].reference != 0 &&
           (slots[at].hash != hash || journal_index_entry_position(&slots[at]) != position)) {
        at = (at + 1) & (table->slot_count - 1);
    }
    return &slots[at];
}

static err_t
table_grow(struct journal_table *table)
{
    struct journal_table larger = {0};
    struct journal_index_entry *slots = os_large_alloc(slots_size(table->slot_count * 2));
    if (slots == NULL) {
        return ERR_MEMORY;
    }
    slots_set(&larger, slots, table->slot_count * 2);
    for (uint32_t i = 0; i < table->slot_count; i++) {
        if (table->slots[i].reference != 0) {
            *slot_of(&larger, table->slots[i].hash, table->slots[i].reference) = table->slots[i];
        }
    }
    slots_set(table, larger.slots, larger.slot_count);
    return ERR_OK;
}

err_t
journal_table_put(struct journal_table *table, uint64_t hash, uint64_t reference)
{
    ASSERT(!table->handed_over);
    struct journal_index_entry *slot = slot_of(table, hash, reference);
    if (slot->reference != 0) {
        slot->reference = reference;
        return ERR_OK;
    }
    if (table->count >= JOURNAL_RUN_ENTRIES_MAX) {
        return ERR_FULL;
    }
    if (table->count >= entries_max(table->slot_count)) {
        TRY(table_grow(table));
        slot = slot_of(table, hash, reference);
    }
    slot->hash = hash;
    slot->reference = reference;
    table->count++;
    return ERR_OK;
}

const struct journal_index_entry *
journal_table_next(const struct journal_table *table, uint64_t hash, uint32_t *steps)
{
    /* A table is never full, so an empty slot ends the walk. */
    for (;;) {
        uint32_t at = (journal_table_home(table, hash) + *steps) & (table->slot_count - 1);
        const struct journal_index_entry *entry = &table->slots[at];
        if (entry->reference == 0) {
            return NULL;
        }
        ++*steps;
        if (entry->hash == hash) {
            return entry;
        }
    }
}

/* --- in order --- */

static bool
is_before(const struct journal_index_entry *left, const struct journal_index_entry *right)
{
    return left->hash < right->hash ||
           (left->hash == right->hash && left->reference < right->reference);
}

static void
sort_by_insertion(struct journal_index_entry *entries, uint32_t count)
{
    for (uint32_t i = 1; i < count; i++) {
        struct journal_index_entry entry = entries[i];
        uint32_t at = i;
        for (; at > 0 && is_before(&entry, &entries[at - 1]); at--) {
            entries[at] = entries[at - 1];
        }
        entries[at] = entry;
    }
}

static size_t
order_size(uint32_t capacity)
{
    return (size_t)capacity * sizeof(struct journal_index_entry);
}

void
journal_table_order_release(struct journal_table_order *order)
{
    os_large_free(order->entries, order_size(order->capacity));
    *order = (struct journal_table_order){0};
}

static err_t
order_reserve(struct journal_table_order *order, uint32_t count)
{
    if (count <= order->capacity) {
        return ERR_OK;
    }
    journal_table_order_release(order);
    /* A table is full when a frame begins, so it has as much more as a frame holds. */
    const uint32_t capacity = count + count / 8;
    order->entries = os_large_alloc(order_size(capacity));
    if (order->entries == NULL) {
        return ERR_MEMORY;
    }
    order->capacity = capacity;
    return ERR_OK;
}

err_t
journal_table_sort(const struct journal_table *table, struct journal_table_order *order)
{
    ASSERT(table->count > 0);
    TRY(order_reserve(order, table->count));
    struct journal_index_entry *entries = order->entries;
    const struct journal_index_entry *slots = table->slots;
    uint32_t count = 0;
    for (uint32_t i = 0; i < table->slot_count; i++) {
        if (slots[i].reference != 0 && journal_table_home(table, slots[i].hash) <= i) {
            entries[count++] = slots[i];
        }
    }
    /* The largest hashes of all, which went on at the first slot. */
    for (uint32_t i = 0; slots[i].reference != 0; i++) {
        if (journal_table_home(table, slots[i].hash) > i) {
            entries[count++] = slots[i];
        }
    }
    ASSERT(count == table->count);
    /* Each is at most a few places from its own (TABLE-2). */
    sort_by_insertion(entries, count);
    return ERR_OK;
}
