/*
 * The young part of the id index: a table in memory that takes entries until it is handed over to
 * become a run. While it is handed over nobody changes it, so that two threads may read it.
 *
 * TABLE-1  Of one (hash, position) a table has at most one entry.
 * TABLE-2  Slots are in groups, each of which fills from its beginning. The home of an entry is the
 * group that its hash's upper bits say, and it lies there, or in one of the next behind full ones:
 * so slots are nearly in the order of the hashes, which is the order of a run.
 * TABLE-3  A slot has an entry if, and only if, its tag is not 0; the tag follows from the hash.
 *
 * An id that is new, as nearly all are, is one that no tag of its group agrees with: for that a
 * byte is read of each slot, and no entry, of which there are sixteen times as many bytes.
 */
#ifndef STORE_JOURNAL_TABLE_H
#define STORE_JOURNAL_TABLE_H

#include "journal_run_format.h"

#include "base/prefetch.h"
#include "os/loop.h"

/* Slots of a group: their tags are the bytes of a word, the first slot's the lowest. */
#define JOURNAL_TABLE_GROUP 8u

struct journal_runs;

struct journal_table {
    struct journal_index_entry *slots; /* open addressing; NULL until it is used */
    uint64_t *tags;                    /* of groups; in the same piece of memory */
    uint32_t slot_count;               /* a power of two */
    uint32_t shift;                    /* 64 - log2(groups) */
    uint32_t count;

    /* What it covers together with everything older, filled in by its owner once that is durable.
     */
    journal_position_t frame; /* the last frame whose entries it has */
    journal_position_t covered;
    u128 chain;
    u128 identity;
    bool handed_over;

    struct os_task task; /* to the thread that writes runs */
    struct journal_runs *runs;
    struct journal_table *next; /* there, in the order of handing over */
};

/* Room for `entries` without growing. ERR_MEMORY. Empties a table that has its memory. */
MUST_USE err_t journal_table_reset(struct journal_table *table, uint32_t entries);
void journal_table_release(struct journal_table *table);

/* A group. */
static inline uint32_t
journal_table_home(const struct journal_table *table, uint64_t hash)
{
    return (uint32_t)(hash >> table->shift);
}

/* The highest bit of the bytes that are 0: of the lowest one always, of one above a byte that is 0
 * perhaps of more. */
static inline uint64_t
journal_table_zeros(uint64_t bytes)
{
    const uint64_t ones = UINT64_C(0x0101010101010101);
    return (bytes - ones) & ~bytes & (ones << 7);
}

static inline uint64_t
journal_table_tag(uint64_t hash)
{
    return (hash & 0x7f) | 0x80;
}

/* The slots whose tags are the hash's, and perhaps more behind the first one of these: the highest
 * bit of their bytes. */
static inline uint64_t
journal_table_alike(uint64_t tags, uint64_t hash)
{
    return journal_table_zeros(tags ^ (journal_table_tag(hash) * UINT64_C(0x0101010101010101)));
}

/* The empty slots, exactly: tags that are not 0 have their highest bit. */
static inline uint64_t
journal_table_empty(uint64_t tags)
{
    return ~tags & UINT64_C(0x8080808080808080);
}

/* The first slot of a set that is not empty. */
static inline uint32_t
journal_table_first(uint64_t slots)
{
    return (uint32_t)__builtin_ctzll(slots) / 8;
}

/* Before a look-up, or before fetching an entry, with others in between. */
static inline void
journal_table_prefetch(const struct journal_table *table, uint64_t hash)
{
    prefetch_for_read(&table->tags[journal_table_home(table, hash)]);
}

/* Before a put, with others in between: the slot that will be written. */
static inline void
journal_table_prefetch_entry(const struct journal_table *table, uint64_t hash)
{
    const uint32_t home = journal_table_home(table, hash);
    const uint64_t tags = table->tags[home];
    const uint64_t slots = journal_table_alike(tags, hash) | journal_table_empty(tags);
    const uint32_t slot = slots != 0 ? journal_table_first(slots) : 0;
    prefetch_for_write(&table->slots[home * JOURNAL_TABLE_GROUP + slot]);
}

/* Adds the entry, or sets the fate of the one with its position. ERR_MEMORY when it has to grow,
 * ERR_FULL beyond JOURNAL_RUN_ENTRIES_MAX. (Two words, and no struct: that would come in memory,
 * written word by word and read at once as a whole; see base/words.h.) */
MUST_USE err_t journal_table_put(struct journal_table *table, uint64_t hash, uint64_t reference);
/* The next entry with the hash behind *steps slots of the walk that begins at its home, or NULL.
 * Moves *steps behind it. */
const struct journal_index_entry *journal_table_next(
    const struct journal_table *table, uint64_t hash, uint32_t *steps);

/* The entries of a table in order. The memory is kept from one table to the next, since what is
 * fresh from the system costs as much as the ordering. Zero it. */
struct journal_table_order {
    struct journal_index_entry *entries;
    uint32_t capacity;
};

/* Puts the entries of the table into order->entries, ascending. ERR_MEMORY. */
MUST_USE err_t
journal_table_sort(const struct journal_table *table, struct journal_table_order *order);
void journal_table_order_release(struct journal_table_order *order);

#endif
