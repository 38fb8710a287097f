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

/* Slots, and their tags behind them. */
static size_t
memory_size(uint32_t slot_count)
{
    return (size_t)slot_count * (sizeof(struct journal_index_entry) + 1);
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
memory_free(struct journal_table *table)
{
    os_large_free(table->slots, memory_size(table->slot_count));
    table->slots = NULL;
    table->tags = NULL;
    table->slot_count = 0;
}

/* In place of what it has. */
static err_t
memory_take(struct journal_table *table, uint32_t slot_count)
{
    struct journal_index_entry *slots = os_large_alloc(memory_size(slot_count));
    if (slots == NULL) {
        return ERR_MEMORY;
    }
    memory_free(table);
    table->slots = slots;
    table->tags = (uint64_t *)(void *)(slots + slot_count);
    table->slot_count = slot_count;
    table->shift = 64 - (uint32_t)__builtin_ctz(slot_count / JOURNAL_TABLE_GROUP);
    return ERR_OK;
}

err_t
journal_table_reset(struct journal_table *table, uint32_t entries)
{
    ASSERT(entries <= JOURNAL_RUN_ENTRIES_MAX);
    ASSERT(!table->handed_over);
    uint32_t slot_count = slots_for(entries);
    if (table->slots != NULL && table->slot_count == slot_count) {
        memset(table->tags, 0, slot_count);
    } else {
        TRY(memory_take(table, slot_count));
    }
    table->count = 0;
    table->frame = 0;
    table->covered = 0;
    return ERR_OK;
}

void
journal_table_release(struct journal_table *table)
{
    memory_free(table);
    table->count = 0;
}

/* Behind the last group comes the first. */
static uint32_t
group_behind(const struct journal_table *table, uint32_t group)
{
    return (group + 1) & (table->slot_count / JOURNAL_TABLE_GROUP - 1);
}

/* Writes a new entry into the first empty slot from its home on; there is one. */
static void
insert(struct journal_table *table, uint64_t hash, uint64_t reference)
{
    uint32_t group = journal_table_home(table, hash);
    while (journal_table_empty(table->tags[group]) == 0) {
        group = group_behind(table, group);
    }
    const uint32_t slot = journal_table_first(journal_table_empty(table->tags[group]));
    table->tags[group] |= journal_table_tag(hash) << (slot * 8);
    struct journal_index_entry *entry = &table->slots[group * JOURNAL_TABLE_GROUP + slot];
    entry->hash = hash;
    entry->reference = reference;
}

static err_t
table_grow(struct journal_table *table)
{
    struct journal_table larger = {0};
    TRY(memory_take(&larger, table->slot_count * 2));
    for (uint32_t i = 0; i < table->slot_count; i++) {
        if ((table->tags[i / JOURNAL_TABLE_GROUP] >> (i % JOURNAL_TABLE_GROUP * 8) & 0xff) != 0) {
            insert(&larger, table->slots[i].hash, table->slots[i].reference);
        }
    }
    memory_free(table);
    table->slots = larger.slots;
    table->tags = larger.tags;
    table->slot_count = larger.slot_count;
    table->shift = larger.shift;
    return ERR_OK;
}

/* The entry behind *steps slots of the walk, as journal_table_next. */
static struct journal_index_entry *
walk(const struct journal_table *table, uint64_t hash, uint32_t *steps)
{
    const uint32_t last = table->slot_count / JOURNAL_TABLE_GROUP - 1;
    uint32_t passed = *steps / JOURNAL_TABLE_GROUP * JOURNAL_TABLE_GROUP;
    uint64_t left = ~UINT64_C(0) << (*steps % JOURNAL_TABLE_GROUP * 8);
    /* A table is never full, so a group with an empty slot ends the walk. */
    for (;;) {
        const uint32_t group =
            (journal_table_home(table, hash) + passed / JOURNAL_TABLE_GROUP) & last;
        const uint64_t tags = table->tags[group];
        for (uint64_t alike = journal_table_alike(tags, hash) & left; alike != 0;
             alike &= alike - 1) {
            const uint32_t slot = journal_table_first(alike);
            struct journal_index_entry *entry = &table->slots[group * JOURNAL_TABLE_GROUP + slot];
            if (entry->hash == hash) {
                *steps = passed + slot + 1;
                return entry;
            }
        }
        if (journal_table_empty(tags) != 0) {
            return NULL;
        }
        passed += JOURNAL_TABLE_GROUP;
        left = ~UINT64_C(0);
    }
}

err_t
journal_table_put(struct journal_table *table, uint64_t hash, uint64_t reference)
{
    ASSERT(!table->handed_over);
    const struct journal_index_entry wanted = {.hash = hash, .reference = reference};
    const uint64_t position = journal_index_entry_position(&wanted);
    ASSERT(position != 0);
    uint32_t steps = 0;
    for (struct journal_index_entry *entry = walk(table, hash, &steps); entry != NULL;
         entry = walk(table, hash, &steps)) {
        if (journal_index_entry_position(entry) == position) {
            entry->reference = reference;
            return ERR_OK;
        }
    }
    if (table->count >= JOURNAL_RUN_ENTRIES_MAX) {
        return ERR_FULL;
    }
    if (table->count >= entries_max(table->slot_count)) {
        TRY(table_grow(table));
    }
    insert(table, hash, reference);
    table->count++;
    return ERR_OK;
}

const struct journal_index_entry *
journal_table_next(const struct journal_table *table, uint64_t hash, uint32_t *steps)
{
    return walk(table, hash, steps);
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

/* Slots of the group that have entries: its first ones. */
static uint32_t
used_of(const struct journal_table *table, uint32_t group)
{
    const uint64_t empty = journal_table_empty(table->tags[group]);
    return empty == 0 ? JOURNAL_TABLE_GROUP : journal_table_first(empty);
}

err_t
journal_table_sort(const struct journal_table *table, struct journal_table_order *order)
{
    ASSERT(table->count > 0);
    TRY(order_reserve(order, table->count));
    struct journal_index_entry *entries = order->entries;
    const uint32_t groups = table->slot_count / JOURNAL_TABLE_GROUP;
    uint32_t count = 0;
    for (uint32_t group = 0; group < groups; group++) {
        for (uint32_t slot = 0; slot < used_of(table, group); slot++) {
            const struct journal_index_entry *entry =
                &table->slots[group * JOURNAL_TABLE_GROUP + slot];
            if (journal_table_home(table, entry->hash) <= group) {
                entries[count++] = *entry;
            }
        }
    }
    /* The largest hashes of all, which went on at the first group. */
    for (uint32_t group = 0; count < table->count; group++) {
        for (uint32_t slot = 0; slot < used_of(table, group); slot++) {
            const struct journal_index_entry *entry =
                &table->slots[group * JOURNAL_TABLE_GROUP + slot];
            if (journal_table_home(table, entry->hash) > group) {
                entries[count++] = *entry;
            }
        }
    }
    ASSERT(count == table->count);
    /* Each is in its own group, or a few behind it (TABLE-2). */
    sort_by_insertion(entries, count);
    return ERR_OK;
}
