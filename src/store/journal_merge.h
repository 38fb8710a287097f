/*
 * Groups of runs and merging them. A group holds entries of one stretch of the journal: one run, or
 * several that divide the hashes among them by their first bits, so that none is larger than
 * merging should write in one go.
 *
 * MERGE-1  What a merge writes has, of each (hash, position), the newest entry of its inputs and
 *          nothing else.
 * MERGE-2  A step reads and writes a bounded number of entries, whatever the size of the inputs.
 */
#ifndef STORE_JOURNAL_MERGE_H
#define STORE_JOURNAL_MERGE_H

#include "journal_filter.h"
#include "journal_run.h"

/* So many groups of a level become one of the next. */
#define JOURNAL_MERGE_FAN 8u
/* Entries read from an input at a time. */
#define JOURNAL_MERGE_BLOCKS 16u

struct journal_group {
    uint32_t references; /* of the list of the thread that writes runs, and of its sets */
    bool replaced;       /* its files are to be removed with it */
    uint32_t level;
    uint32_t bits;
    uint64_t count;
    struct journal_filter filter; /* of all runs, one behind the other */
    struct journal_run *runs[];   /* 1 << bits, by the first bits of the hash */
};

/* With no runs yet, and one reference. NULL without memory. */
struct journal_group *journal_group_create(uint32_t level, uint32_t bits);
/* Gives one reference back; with the last one the runs are closed, and removed if they were
 * replaced. */
void journal_group_unref(struct journal_group *group, const char *folder);

/* Before the group is in a set: moves the filters of its runs to `bank`, which is its level's
 * (NULL: none). ERR_MEMORY; ERR_CORRUPT if they have not equally many words. */
MUST_USE err_t
journal_group_place_filter(struct journal_group *group, struct journal_filter_bank *bank);

static inline const struct journal_run *
journal_group_run(const struct journal_group *group, uint64_t hash)
{
    return group->runs[journal_run_piece(hash, group->bits)];
}

/* The entries of one group, in ascending order through all of its runs. */
struct journal_merge_input {
    const struct journal_group *group;
    uint32_t piece;  /* the run that comes next, or is being read */
    uint64_t block;  /* of it, to be read next */
    uint32_t at;     /* in the buffer */
    uint32_t filled; /* entries in the buffer; 0 at the end */
    struct journal_index_entry *buffer;
};

struct journal_merge {
    struct os_disk *disk;
    const char *folder;
    u128 identity;
    uint64_t *next_number; /* of runs; the owner's */
    struct journal_merge_input inputs[JOURNAL_MERGE_FAN];
    uint32_t input_count; /* 0: no merge is under way */
    struct journal_group *output;
    uint32_t piece;    /* of the output, being written */
    uint64_t expected; /* entries of a piece */
    struct journal_run_writer writer;
    struct journal_index_entry held; /* read, not yet written: a newer one may follow */
    bool damaged;                    /* an input could not be read */
};

/* How many bits divide `count` entries into runs of at most `run_max`. More than
 * JOURNAL_RUN_BITS_MAX: too many. */
uint32_t journal_merge_bits(uint64_t count, uint64_t run_max);
/* The groups are borrowed until the end. ERR_MEMORY. */
MUST_USE err_t journal_merge_begin(
    struct journal_merge *merge,
    struct journal_group *const groups[JOURNAL_MERGE_FAN],
    uint64_t run_max);
/* Goes on for about `entries`; *ret_group is the result when it is complete (the caller's
 * reference), NULL before. On failure the merge is to be abandoned; `damaged` says whose fault. */
MUST_USE err_t
journal_merge_step(struct journal_merge *merge, uint64_t entries, struct journal_group **ret_group);
/* Removes what was written. Nothing if none is under way. */
void journal_merge_abandon(struct journal_merge *merge);

#endif
