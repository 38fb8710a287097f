#include "journal_table.h"

#include "base/assert.h"
#include "os/large.h"

#include <stdlib.h>
#include <string.h>

#define SLOTS_MIN 64u
/* Below so many entries sorting by insertion alone is fast. */
#define INSERTION_MAX 64u
#define RADIX         256u

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
        os_large_free(table->slots, slots_size(table->slot_count));
        table->slots = slots;
        table->slot_count = slot_count;
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
slot_of(
    struct journal_index_entry *slots, uint32_t slot_count, const struct journal_index_entry *entry)
{
    uint32_t at = (uint32_t)entry->hash & (slot_count - 1);
    while (slots[at].reference != 0 &&
           (slots[at].hash != entry->hash ||
            journal_index_entry_position(&slots[at]) != journal_index_entry_position(entry))) {
        at = (at + 1) & (slot_count - 1);
    }
    return &slots[at];
}

static err_t
table_grow(struct journal_table *table)
{
    uint32_t slot_count = table->slot_count * 2;
    struct journal_index_entry *slots = os_large_alloc(slots_size(slot_count));
    if (slots == NULL) {
        return ERR_MEMORY;
    }
    for (uint32_t i = 0; i < table->slot_count; i++) {
        if (table->slots[i].reference != 0) {
            *slot_of(slots, slot_count, &table->slots[i]) = table->slots[i];
        }
    }
    os_large_free(table->slots, slots_size(table->slot_count));
    table->slots = slots;
    table->slot_count = slot_count;
    return ERR_OK;
}

err_t
journal_table_put(struct journal_table *table, struct journal_index_entry entry)
{
    ASSERT(!table->handed_over);
    ASSERT(journal_index_entry_position(&entry) != 0);
    struct journal_index_entry *slot = slot_of(table->slots, table->slot_count, &entry);
    if (slot->reference != 0) {
        *slot = entry;
        return ERR_OK;
    }
    if (table->count >= JOURNAL_RUN_ENTRIES_MAX) {
        return ERR_FULL;
    }
    if (table->count >= entries_max(table->slot_count)) {
        TRY(table_grow(table));
        slot = slot_of(table->slots, table->slot_count, &entry);
    }
    *slot = entry;
    table->count++;
    return ERR_OK;
}

const struct journal_index_entry *
journal_table_next(const struct journal_table *table, uint64_t hash, uint32_t *steps)
{
    /* A table is never full, so an empty slot ends the walk. */
    for (;;) {
        uint32_t at = ((uint32_t)hash + *steps) & (table->slot_count - 1);
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

/* --- sorting --- */

/* One pass of a radix sort: stable, by 8 bits of the hash. */
static void
sort_pass(
    const struct journal_index_entry *from,
    struct journal_index_entry *to,
    uint32_t count,
    uint32_t shift)
{
    uint32_t starts[RADIX] = {0};
    for (uint32_t i = 0; i < count; i++) {
        starts[from[i].hash >> shift & (RADIX - 1)]++;
    }
    uint32_t sum = 0;
    for (uint32_t i = 0; i < RADIX; i++) {
        uint32_t size = starts[i];
        starts[i] = sum;
        sum += size;
    }
    for (uint32_t i = 0; i < count; i++) {
        to[starts[from[i].hash >> shift & (RADIX - 1)]++] = from[i];
    }
}

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
    os_large_free(order->other, order_size(order->capacity));
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
    struct journal_table_order larger = {
        .entries = os_large_alloc(order_size(capacity)),
        .other = os_large_alloc(order_size(capacity)),
        .capacity = capacity,
    };
    if (larger.entries == NULL || larger.other == NULL) {
        journal_table_order_release(&larger);
        return ERR_MEMORY;
    }
    *order = larger;
    return ERR_OK;
}

err_t
journal_table_sort(const struct journal_table *table, struct journal_table_order *order)
{
    ASSERT(table->count > 0);
    TRY(order_reserve(order, table->count));
    struct journal_index_entry *entries = order->entries;
    struct journal_index_entry *other = order->other;
    uint32_t count = 0;
    for (uint32_t i = 0; i < table->slot_count; i++) {
        if (table->slots[i].reference != 0) {
            entries[count++] = table->slots[i];
        }
    }
    ASSERT(count == table->count);
    if (count > INSERTION_MAX) {
        /* The upper half of the hash: what is equal in it is rare, and next to each other. */
        sort_pass(entries, other, count, 32);
        sort_pass(other, entries, count, 40);
        sort_pass(entries, other, count, 48);
        sort_pass(other, entries, count, 56);
    }
    sort_by_insertion(entries, count);
    return ERR_OK;
}
