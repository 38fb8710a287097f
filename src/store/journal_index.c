#include "journal_index.h"

#include "base/assert.h"

#include <stdlib.h>
#include <string.h>

#define JOURNAL_INDEX_PART_MIN 64u

void
journal_index_init(struct journal_index *index, struct hash_key key, uint64_t limit)
{
    memset(index, 0, sizeof(*index));
    index->key = key;
    index->limit = limit;
}

void
journal_index_release(struct journal_index *index)
{
    for (uint32_t i = 0; i < JOURNAL_INDEX_PARTS; i++) {
        free(index->parts[i].entries);
        index->parts[i] = (struct journal_index_part){0};
    }
    index->count = 0;
}

uint64_t
journal_index_hash(const struct journal_index *index, u128 id)
{
    return hash_keyed_u128(index->key, id);
}

err_t
journal_index_admit(const struct journal_index *index, uint64_t count)
{
    return count <= index->limit - index->count ? ERR_OK : ERR_FULL;
}

static uint32_t
part_of(uint64_t hash)
{
    return (uint32_t)(hash >> 56);
}

static uint32_t
slot_of(uint64_t hash, uint32_t capacity)
{
    return (uint32_t)hash & (capacity - 1);
}

static void
part_put(struct journal_index_part *part, struct journal_index_entry entry)
{
    uint32_t slot = slot_of(entry.hash, part->capacity);
    while (part->entries[slot].reference != 0) {
        slot = (slot + 1) & (part->capacity - 1);
    }
    part->entries[slot] = entry;
}

static err_t
part_grow(struct journal_index_part *part)
{
    uint32_t capacity = part->capacity == 0 ? JOURNAL_INDEX_PART_MIN : part->capacity * 2;
    if (capacity > UINT32_C(1) << 30) {
        return ERR_FULL;
    }
    struct journal_index_entry *entries = calloc(capacity, sizeof(*entries));
    if (entries == NULL) {
        return ERR_MEMORY;
    }
    struct journal_index_part grown = {
        .entries = entries, .capacity = capacity, .count = part->count};
    for (uint32_t i = 0; i < part->capacity; i++) {
        if (part->entries[i].reference != 0) {
            part_put(&grown, part->entries[i]);
        }
    }
    free(part->entries);
    *part = grown;
    return ERR_OK;
}

/* Between 1/2 and 3/4 of the capacity, differing from part to part: uniform hashes fill all parts
 * alike, and would otherwise make all of them grow in the same batch. */
static uint32_t
part_threshold(uint32_t part, uint32_t capacity)
{
    return capacity / 2 + (uint32_t)((uint64_t)capacity / 4 * part / JOURNAL_INDEX_PARTS);
}

void
journal_index_prefetch(const struct journal_index *index, uint64_t hash)
{
    const struct journal_index_part *part = &index->parts[part_of(hash)];
    if (part->capacity != 0) {
        __builtin_prefetch(&part->entries[slot_of(hash, part->capacity)], 1);
    }
}

err_t
journal_index_insert(
    struct journal_index *index, uint64_t hash, uint64_t position, enum journal_fate fate)
{
    ASSERT(position != 0);
    ASSERT((position & 15) == 0);
    if (index->count >= index->limit) {
        return ERR_FULL;
    }
    uint32_t number = part_of(hash);
    struct journal_index_part *part = &index->parts[number];
    if (part->count >= part_threshold(number, part->capacity)) {
        TRY(part_grow(part));
    }
    part_put(
        part, (struct journal_index_entry){.hash = hash, .reference = position | (uint64_t)fate});
    part->count++;
    index->count++;
    return ERR_OK;
}

struct journal_index_cursor
journal_index_find(const struct journal_index *index, uint64_t hash)
{
    uint32_t part = part_of(hash);
    uint32_t capacity = index->parts[part].capacity;
    return (struct journal_index_cursor){
        .hash = hash,
        .part = part,
        .slot = capacity == 0 ? 0 : slot_of(hash, capacity),
    };
}

struct journal_index_entry *
journal_index_next(struct journal_index *index, struct journal_index_cursor *cursor)
{
    struct journal_index_part *part = &index->parts[cursor->part];
    if (part->capacity == 0) {
        return NULL;
    }
    /* A part is never full, so an empty slot ends the walk. */
    for (;;) {
        struct journal_index_entry *entry = &part->entries[cursor->slot];
        if (entry->reference == 0) {
            return NULL;
        }
        cursor->slot = (cursor->slot + 1) & (part->capacity - 1);
        if (entry->hash == cursor->hash) {
            return entry;
        }
    }
}
