/*
 * The durable part of the id index: which runs there are, and the work that makes them. What
 * belongs to whom:
 *
 *   the index's thread   everything in `struct journal_runs` but the atomics; tables that were
 *                        handed over, to read; every file of the folder
 *   the engine's thread  the set that it took; tables that were not handed over
 *   both, to read        runs, groups (but for their reference counts), tables handed over
 *
 * A table's life, with the function on each arrow:
 *
 *   filling --(index: full at the beginning of a frame)--> frozen --journal_runs_submit--> queued
 *     queued --table_flush: run, manifest, new set--> in a run --(index takes the set)--> free
 *
 * A set of groups, and so the files, lives until the engine took a newer one and gave it back.
 *
 * Without a loop everything happens within journal_runs_submit and journal_runs_work.
 *
 * INDEX-1  A run, and what it covers, is used only after a manifest that names it is durable.
 * INDEX-2  A run covers only frames that are durable.
 * INDEX-3  Runs are derived from the journal: with the first doubt about one all of them are
 *          discarded and made again.
 * INDEX-4  Memory is bounded: of tables that were not written there are at most
 *          JOURNAL_RUNS_LAG, then frames wait; of groups at most JOURNAL_INDEX_GROUPS, then tables.
 */
#ifndef STORE_JOURNAL_RUNS_H
#define STORE_JOURNAL_RUNS_H

#include "journal_merge.h"
#include "journal_scan.h"
#include "journal_table.h"

#include <stdatomic.h>

#define JOURNAL_MANIFEST_NAME "manifest"

/* Tables that wait to be written; while it is so many, frames wait. */
#define JOURNAL_RUNS_LAG 3u
/* Entries that are merged before the next table is looked for. */
#define JOURNAL_RUNS_STEP 65536u
/* From so many groups on merging does not wait for new entries, and tables wait for merging. */
#define JOURNAL_RUNS_GROUPS_MANY 40u
/* Steps within one commit, where there is no thread for them. */
#define JOURNAL_RUNS_STEPS_INLINE 4u

/* What a reader sees: the groups, oldest first. Never changes. */
struct journal_run_set {
    struct os_task task; /* back to the index's thread */
    struct journal_runs *runs;
    journal_position_t covered;
    uint32_t count;
    struct journal_group *groups[JOURNAL_INDEX_GROUPS];
    uint32_t view_count;
    struct journal_filter_view views[JOURNAL_INDEX_GROUPS];
};

struct journal_runs {
    struct os_disk *disk;
    char folder[JOURNAL_PATH_SIZE]; /* FOLDER/index */
    uint64_t run_max;               /* entries of one run that merging writes */
    struct os_loop *loop;           /* NULL: none */
    struct os_executor *io;         /* where held frames are posted */

    struct hash_key key;
    u128 identity;
    u128 chain;
    journal_position_t frame;
    journal_position_t covered;
    uint64_t next_number;
    struct journal_group *groups[JOURNAL_INDEX_GROUPS]; /* oldest first */
    uint32_t group_count;
    struct journal_filter_bank banks[JOURNAL_FILTER_LEVELS];
    struct journal_table *queue; /* oldest first */
    struct journal_table_order order;
    struct journal_merge merges[JOURNAL_RUN_LEVELS];
    uint64_t credit;     /* entries that may still be merged before the next table comes */
    bool stalled;        /* writing a table failed: nothing is tried before a retry */
    err_t merge_failure; /* merging failed: not again before the next table was written */
    struct os_task step_task;
    bool step_posted;
    struct os_task retry_task;

    /* Shared. */
    _Atomic(struct journal_run_set *) published; /* the newest set, until the engine takes it */
    _Atomic(struct os_task *) held;              /* a frame's, of the I/O thread */
    atomic_uint lag;     /* tables submitted and not yet in a published set */
    atomic_int failure;  /* err_t: why the last table was not written; 0 if it was */
    atomic_bool damaged; /* a run cannot be read */
    atomic_bool closing;
    atomic_bool retry_posted;
};

/* `folder` is the journal's. */
void journal_runs_init(
    struct journal_runs *runs, struct os_disk *disk, const char *folder, uint64_t run_max);
/* Reads manifest and runs; publishes the first set. What is doubtful is discarded, and then nothing
 * is covered. ERR_MEMORY, or what the disk answered to making the folder. */
MUST_USE err_t journal_runs_open(struct journal_runs *runs, const char *journal_folder);

/* The bank of filters of a level, NULL if it has none. */
static inline struct journal_filter_bank *
journal_runs_bank(struct journal_runs *runs, uint32_t level)
{
    return level < JOURNAL_FILTER_LEVELS ? &runs->banks[level] : NULL;
}

/* Publishes what there is as a set. ERR_MEMORY. Before the start. */
MUST_USE err_t journal_runs_publish(struct journal_runs *runs);
/* From here on the work is done on `loop`, which the caller starts; `io` is the I/O thread's. */
void journal_runs_start(struct journal_runs *runs, struct os_loop *loop, struct os_executor *io);
/* Ends the work early; the loop is stopped afterwards. */
void journal_runs_stop(struct journal_runs *runs);
/* After the loop was stopped, and the last set given back. */
void journal_runs_release(struct journal_runs *runs);

/* --- on the engine's thread --- */

/* The table is frozen and what it covers durable. */
void journal_runs_submit(struct journal_runs *runs, struct journal_table *table);
/* Where there is no thread: some steps. */
void journal_runs_work(struct journal_runs *runs);
/* The newest set if there is one that was not taken, or NULL; the old one is to be given back. */
struct journal_run_set *journal_runs_take(struct journal_runs *runs);
void journal_runs_give_back(struct journal_runs *runs, struct journal_run_set *set);
/* Tries again what failed. */
void journal_runs_retry(struct journal_runs *runs);
/* Whatever is on the disk is not used at the next start. */
void journal_runs_discard(struct journal_runs *runs);

/* --- on the I/O thread --- */

/* True: the index lags, the frame's task will be posted to the I/O thread again. */
bool journal_runs_hold(struct journal_runs *runs, struct os_task *task);

#endif
