/*
 * The id index: what became of an id, by its hash. This version is a table in memory, rebuilt at
 * every start; the interface asks nothing of it that sorted runs on disk could not answer.
 *
 * An entry is a 64-bit keyed hash of the id and a reference: the position where the id can be
 * read (16-byte aligned, so that its low four bits are free) and its fate. Different ids may have
 * one hash, so the caller confirms a candidate by reading the id at its position.
 *
 * The table is split by hash into JOURNAL_INDEX_PARTS parts that grow one at a time and at
 * different fillings, so that growing never stops the writer for the whole table.
 */
#ifndef STORE_JOURNAL_INDEX_H
#define STORE_JOURNAL_INDEX_H

#include "base/err.h"
#include "base/hash.h"
#include "base/u128.h"

#include <stdbool.h>

enum journal_fate {
    JOURNAL_FATE_SINGLE = 0, /* a transfer that is not pending */
    JOURNAL_FATE_PENDING,
    JOURNAL_FATE_POSTED,
    JOURNAL_FATE_VOIDED,
    JOURNAL_FATE_EXPIRED,
    JOURNAL_FATE_FAILED, /* an id that a transient failure used up */
};

#define JOURNAL_INDEX_PARTS 256

struct journal_index_entry {
    uint64_t hash;
    uint64_t reference; /* position | fate; 0: empty */
};

struct journal_index_part {
    struct journal_index_entry *entries;
    uint32_t capacity; /* a power of two, or 0 */
    uint32_t count;
};

struct journal_index {
    struct hash_key key;
    uint64_t count;
    uint64_t limit;
    struct journal_index_part parts[JOURNAL_INDEX_PARTS];
};

/* A walk over the candidates of one hash. */
struct journal_index_cursor {
    uint64_t hash;
    uint32_t part;
    uint32_t slot;
};

void journal_index_init(struct journal_index *index, struct hash_key key, uint64_t limit);
void journal_index_release(struct journal_index *index);

uint64_t journal_index_hash(const struct journal_index *index, u128 id);
/* A hint: the hash will soon be looked for or inserted, and what that touches may be far away. */
void journal_index_prefetch(const struct journal_index *index, uint64_t hash);
/* Room for `count` more entries below the limit. ERR_FULL. */
MUST_USE err_t journal_index_admit(const struct journal_index *index, uint64_t count);
/* ERR_FULL at the limit, ERR_MEMORY. The id must not be in the index. */
MUST_USE err_t journal_index_insert(
    struct journal_index *index, uint64_t hash, uint64_t position, enum journal_fate fate);

struct journal_index_cursor journal_index_find(const struct journal_index *index, uint64_t hash);
/* The next candidate of the cursor's hash, or NULL. Valid until the next insert; the caller may
 * set its fate with journal_index_set_fate. */
struct journal_index_entry *journal_index_next(
    struct journal_index *index, struct journal_index_cursor *cursor);

static inline uint64_t
journal_index_entry_position(const struct journal_index_entry *entry)
{
    return entry->reference & ~UINT64_C(15);
}

static inline enum journal_fate
journal_index_entry_fate(const struct journal_index_entry *entry)
{
    return (enum journal_fate)(entry->reference & 15);
}

static inline void
journal_index_set_fate(struct journal_index_entry *entry, enum journal_fate fate)
{
    entry->reference = (entry->reference & ~UINT64_C(15)) | (uint64_t)fate;
}

#endif
