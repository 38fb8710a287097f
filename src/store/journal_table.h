/*
 * The young part of the id index: a table in memory that takes entries until it is handed over to
 * become a run. While it is handed over nobody changes it, so that two threads may read it.
 *
 * TABLE-1  Of one (hash, position) a table has at most one entry.
 * TABLE-2  The home of an entry is its hash's upper bits, and it lies at most a few slots behind
 * it: so slots are nearly in the order of the hashes, which is the order of a run.
 */
#ifndef STORE_JOURNAL_TABLE_H
#define STORE_JOURNAL_TABLE_H

#include "journal_run_format.h"

#include "base/prefetch.h"
#include "os/loop.h"

struct journal_runs;

struct journal_table {
    struct journal_index_entry *slots; /* open addressing; NULL until it is used */
    uint32_t slot_count;               /* a power of two */
    uint32_t shift;                    /* 64 - log2(slot_count) */
    uint32_t count;
    uint32_t cleared; /* slots that are empty again, of a table that is not in use */

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
/* Empties some slots of a table that is not in use, so that resetting it finds less to do. */
void journal_table_clear_some(struct journal_table *table, uint32_t slots);
void journal_table_release(struct journal_table *table);

static inline uint32_t
journal_table_home(const struct journal_table *table, uint64_t hash)
{
    return (uint32_t)(hash >> table->shift);
}

/* The home and what is behind it: an entry mostly lies within a few places of its home, and a line
 * of the processor's cache has four. */
static inline void
journal_table_prefetch(const struct journal_table *table, uint64_t hash)
{
    const uint32_t home = journal_table_home(table, hash);
    prefetch_for_read(&table->slots[home]);
    prefetch_for_read(&table->slots[(home + 2) & (table->slot_count - 1)]);
}

/* Adds the entry, or sets the fate of the one with its position. ERR_MEMORY when it has to grow,
 * ERR_FULL beyond JOURNAL_RUN_ENTRIES_MAX. (Two words, and no struct: that would come in memory,
 * written word by word and read at once as a whole; see base/words.h.) */
MUST_USE err_t journal_table_put(struct journal_table *table, uint64_t hash, uint64_t reference);
/* The next entry with the hash at or behind *slot (0: from the start of the walk), or NULL. Moves
 * *slot behind it: a count of steps, not a place. */
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
