/*
 * The id index: what became of an id, by its hash. It is a table in memory for what is new, and
 * sorted runs on disk (journal_runs.h) for what is old, which a thread of its own makes from the
 * tables that became full. It is derived: the journal is what it can always be made from.
 *
 * An entry is a 64-bit keyed hash of the id and a reference: the position where the id can be
 * read (16-byte aligned, so that its low four bits are free) and its fate. Different ids may have
 * one hash, so the caller confirms a candidate by reading the id at its position. A changed fate is
 * a newer entry of the same position; candidates come newest first, so the first one of a position
 * is right.
 *
 * What is told to it comes in frames: journal_index_frame before the first entry of each, and
 * journal_index_durable when it is on the disk, in the same order. To tell it the same again is
 * harmless, as long as all that follows is told again too.
 *
 * Every call is the engine's, but journal_index_hold.
 */
#ifndef STORE_JOURNAL_INDEX_H
#define STORE_JOURNAL_INDEX_H

#include "journal_runs.h"

#include "base/u128.h"

/* Entries that become a run, by default; and of the runs that merging writes, at most. */
#define JOURNAL_INDEX_TABLE_ENTRIES (UINT32_C(1) << 19)
#define JOURNAL_INDEX_RUN_ENTRIES   (UINT32_C(1) << 23)
/* One that is filled, and those that wait to become runs. */
#define JOURNAL_INDEX_TABLES (JOURNAL_RUNS_LAG + 1)

struct journal_index {
    struct journal_runs runs;
    struct journal_run_set *set; /* that look-ups use */
    uint32_t table_entries;

    struct journal_table tables[JOURNAL_INDEX_TABLES];
    struct journal_table *active;
    struct journal_table *frozen[JOURNAL_RUNS_LAG]; /* oldest first */
    uint32_t frozen_count;

    journal_position_t frame; /* the one that began last */

    struct {
        journal_position_t frame; /* the newest durable one */
        journal_position_t end;
        u128 chain;
        u128 identity;
    } durable;
};

/* A walk over the candidates of one hash. */
struct journal_index_cursor {
    uint64_t hash;
    uint64_t groups; /* that may have it and were not read yet: bit = place in the set */
    uint32_t table;  /* 0: the active one, then the frozen ones from the newest */
    uint32_t steps;  /* in the table, or entries of the group that were told */
};

/* `folder` is the journal's. `table_entries` 0: the default; small ones are for tests, and make
 * small runs. */
void journal_index_init(
    struct journal_index *index, struct os_disk *disk, const char *folder, uint32_t table_entries);
/* Before anything is told. ERR_MEMORY, or what the disk answered to making the index's folder. */
MUST_USE err_t journal_index_open(struct journal_index *index, const char *folder);
/* From here on runs are made on `loop` (the caller's to start and stop), and frames that wait are
 * posted to `io`. Without, within the calls. */
void journal_index_start(struct journal_index *index, struct os_loop *loop, struct os_executor *io);
/* Before the loops are stopped; release afterwards. */
void journal_index_stop(struct journal_index *index);
void journal_index_release(struct journal_index *index);

/* The journal position up to which what is durable of the index has everything: at a start only
 * what is behind it must be told again. 0 if nothing is durable. Behind a whole frame. */
journal_position_t journal_index_covered(const struct journal_index *index);

/* --- telling it --- */

/* May another frame begin? ERR_BUSY if too much waits to be written (some frame is not durable
 * before that is less); if writing fails, why; ERR_CORRUPT if a run is damaged. */
MUST_USE err_t journal_index_admit(struct journal_index *index);
/* A frame begins; the errors of admit, and ERR_MEMORY: nothing was done. */
MUST_USE err_t journal_index_frame(struct journal_index *index, journal_position_t position);
/* The frame at `position` is durable. */
void journal_index_durable(
    struct journal_index *index,
    journal_position_t position,
    const struct journal_frame_header *header);
/* On the I/O thread, before a frame is written: true if the index lags; the task is then posted to
 * `io` when it no longer does, or when it cannot be written. */
bool journal_index_hold(struct journal_index *index, struct os_task *task);

uint64_t journal_index_hash(const struct journal_index *index, u128 id);

/* Before a put: fetches what tells where it will write, and then, with others in between, what it
 * will write. */
static inline void
journal_index_prefetch_put(const struct journal_index *index, uint64_t hash)
{
    journal_table_prefetch(index->active, hash);
}

static inline void
journal_index_prefetch_entry(const struct journal_index *index, uint64_t hash)
{
    journal_table_prefetch_entry(index->active, hash);
}

/* A new id, or a new fate of one that has this position. ERR_MEMORY, ERR_FULL. */
MUST_USE err_t journal_index_put(
    struct journal_index *index, uint64_t hash, uint64_t position, enum journal_fate fate);

/* --- asking it --- */

/* Before a find, with others in between: fetches what it will read. */
void journal_index_prefetch(const struct journal_index *index, uint64_t hash);
struct journal_index_cursor journal_index_find(const struct journal_index *index, uint64_t hash);
/* The next candidate of the cursor's hash, newest first; reference 0 at the end. Valid until
 * something is told. ERR_CORRUPT or ERR_IO: a run cannot be read; the store is of no more use, and
 * the next start makes the runs again (journal_index_condemn). */
MUST_USE err_t journal_index_next(
    const struct journal_index *index,
    struct journal_index_cursor *cursor,
    struct journal_index_entry *ret_entry);
/* Makes the next start build the index from the journal. */
void journal_index_condemn(struct journal_index *index);

#endif
