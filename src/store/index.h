/*
 * The id index: what became of an id, by its hash. This version is a table in memory, rebuilt at
 * every start; the interface asks nothing of it that sorted runs on disk could not answer.
 *
 * An entry is a 64-bit keyed hash of the id and a reference: the position where the id can be
 * read (16-byte aligned, so that its low four bits are free) and its fate. Different ids may have
 * one hash, so the caller confirms a candidate by reading the id at its position.
 *
 * The table is split by hash into INDEX_PARTS parts that grow one at a time and at different
 * fillings, so that growing never stops the writer for the whole table.
 */
#ifndef STORE_INDEX_H
#define STORE_INDEX_H

#include "base/err.h"
#include "base/hash.h"
#include "base/u128.h"

#include <stdbool.h>

enum index_fate {
    INDEX_SINGLE = 0, /* a transfer that is not pending */
    INDEX_PENDING,
    INDEX_POSTED,
    INDEX_VOIDED,
    INDEX_EXPIRED,
    INDEX_FAILED, /* an id that a transient failure used up */
};

#define INDEX_PARTS 256

struct index_entry {
    uint64_t hash;
    uint64_t reference; /* position | fate; 0: empty */
};

struct index_part {
    struct index_entry *entries;
    uint32_t capacity; /* a power of two, or 0 */
    uint32_t count;
};

struct index {
    struct hash_key key;
    uint64_t count;
    uint64_t limit;
    struct index_part parts[INDEX_PARTS];
};

/* A walk over the candidates of one hash. */
struct index_cursor {
    uint64_t hash;
    uint32_t part;
    uint32_t slot;
};

void index_init(struct index *index, struct hash_key key, uint64_t limit);
void index_release(struct index *index);

uint64_t index_hash(const struct index *index, u128 id);
/* Room for `count` more entries below the limit. ERR_FULL. */
MUST_USE err_t index_admit(const struct index *index, uint64_t count);
/* ERR_FULL at the limit, ERR_MEMORY. The id must not be in the index. */
MUST_USE err_t
index_insert(struct index *index, uint64_t hash, uint64_t position, enum index_fate fate);

struct index_cursor index_find(const struct index *index, uint64_t hash);
/* The next candidate of the cursor's hash, or NULL. Valid until the next insert; the caller may
 * set its fate with index_set_fate. */
struct index_entry *index_next(struct index *index, struct index_cursor *cursor);

static inline uint64_t
index_entry_position(const struct index_entry *entry)
{
    return entry->reference & ~UINT64_C(15);
}

static inline enum index_fate
index_entry_fate(const struct index_entry *entry)
{
    return (enum index_fate)(entry->reference & 15);
}

static inline void
index_set_fate(struct index_entry *entry, enum index_fate fate)
{
    entry->reference = (entry->reference & ~UINT64_C(15)) | (uint64_t)fate;
}

#endif
