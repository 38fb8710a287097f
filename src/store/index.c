#include "index.h"

#include "base/assert.h"

#include <stdlib.h>
#include <string.h>

#define INDEX_PART_MIN 64u

void
index_init(struct index *index, struct hash_key key, uint64_t limit)
{
    memset(index, 0, sizeof(*index));
    index->key = key;
    index->limit = limit;
}

void
index_release(struct index *index)
{
    for (uint32_t i = 0; i < INDEX_PARTS; i++) {
        free(index->parts[i].entries);
        index->parts[i] = (struct index_part){0};
    }
    index->count = 0;
}

uint64_t
index_hash(const struct index *index, u128 id)
{
    return hash_keyed(index->key, span_of(&id, sizeof(id)));
}

err_t
index_admit(const struct index *index, uint64_t count)
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
part_put(struct index_part *part, struct index_entry entry)
{
    uint32_t slot = slot_of(entry.hash, part->capacity);
    while (part->entries[slot].reference != 0) {
        slot = (slot + 1) & (part->capacity - 1);
    }
    part->entries[slot] = entry;
}

static err_t
part_grow(struct index_part *part)
{
    uint32_t capacity = part->capacity == 0 ? INDEX_PART_MIN : part->capacity * 2;
    if (capacity > UINT32_C(1) << 30) {
        return ERR_FULL;
    }
    struct index_entry *entries = calloc(capacity, sizeof(*entries));
    if (entries == NULL) {
        return ERR_MEMORY;
    }
    struct index_part grown = {.entries = entries, .capacity = capacity, .count = part->count};
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
    return capacity / 2 + (uint32_t)((uint64_t)capacity / 4 * part / INDEX_PARTS);
}

err_t
index_insert(struct index *index, uint64_t hash, uint64_t position, enum index_fate fate)
{
    ASSERT(position != 0);
    ASSERT((position & 15) == 0);
    if (index->count >= index->limit) {
        return ERR_FULL;
    }
    uint32_t number = part_of(hash);
    struct index_part *part = &index->parts[number];
    if (part->count >= part_threshold(number, part->capacity)) {
        TRY(part_grow(part));
    }
    part_put(part, (struct index_entry){.hash = hash, .reference = position | (uint64_t)fate});
    part->count++;
    index->count++;
    return ERR_OK;
}

struct index_cursor
index_find(const struct index *index, uint64_t hash)
{
    uint32_t part = part_of(hash);
    uint32_t capacity = index->parts[part].capacity;
    return (struct index_cursor){
        .hash = hash,
        .part = part,
        .slot = capacity == 0 ? 0 : slot_of(hash, capacity),
    };
}

struct index_entry *
index_next(struct index *index, struct index_cursor *cursor)
{
    struct index_part *part = &index->parts[cursor->part];
    if (part->capacity == 0) {
        return NULL;
    }
    /* A part is never full, so an empty slot ends the walk. */
    for (;;) {
        struct index_entry *entry = &part->entries[cursor->slot];
        if (entry->reference == 0) {
            return NULL;
        }
        cursor->slot = (cursor->slot + 1) & (part->capacity - 1);
        if (entry->hash == cursor->hash) {
            return entry;
        }
    }
}
