/*
 * Making a snapshot while the writer goes on. The engine's thread copies one block of records at a
 * time, behind a group's commit, and a thread of its own writes it; no other is copied meanwhile.
 *
 *   IDLE --snapshot_frame_open--> COPYING --snapshot_step--> SETTLING --snapshot_step--> FINISHING
 *    ^   (enough was written)               (all is copied)            (`end` is durable)    |
 *    \_______________________ snapshot_step (it is on the disk, or failed) ___________________/
 *
 * SNAPSHOT-3  `begin` is where a frame begins; the heads' count and the directory are as they were
 *             there. What is copied later may be newer, and what made it newer is in frames from
 *             `begin` to `end`.
 * SNAPSHOT-4  Pending transfers that are younger than `begin` are left out: the frames have them.
 *             So at no point of the redoing there are more than the ledger had.
 * SNAPSHOT-5  A snapshot gets its name when the journal is durable up to its `end`, not before.
 * SNAPSHOT-6  A failure to write one changes nothing else. It is told, and tried again later.
 * SNAPSHOT-8  Nothing is adopted from `begin` to `end`: times say nothing of what is younger then,
 *             so a copy in which something is adopted is given up, and begun again later.
 */
#ifndef STORE_SNAPSHOT_COPY_H
#define STORE_SNAPSHOT_COPY_H

#include "snapshot_file.h"

#include <stdatomic.h>

struct journal;

/* Slots of pending transfers looked at in one step. */
#define SNAPSHOT_SCAN_SLOTS 8192u
/* A snapshot costs at most one byte for so many of journal. */
#define SNAPSHOT_JOURNAL_PER_BYTE 2u
/* After a failure: so much of the interval first, then twice as much up to the whole of it 8 times.
 */
#define SNAPSHOT_RETRY_SHARE    8u
#define SNAPSHOT_RETRY_DOUBLING 6u

enum snapshot_state {
    SNAPSHOT_IDLE,
    SNAPSHOT_COPYING,
    SNAPSHOT_SETTLING,
    SNAPSHOT_FINISHING,
};

struct snapshot_copy {
    /* The engine's. */
    enum snapshot_state state;
    enum snapshot_kind kind;
    uint64_t next;                   /* the record, or the slot, to look at next */
    uint64_t limits[SNAPSHOT_KINDS]; /* where each kind ended at `begin` */
    bool spoiled;                    /* something was adopted since `begin` */
    uint64_t block_count;
    uint64_t wait_sequence; /* the frame that must be durable */
    struct snapshot_mark durable;
    uint64_t number_next;
    uint64_t bytes;       /* of frames since the `begin` of the newest snapshot */
    uint64_t begin_bytes; /* the same at `begin` of the one under way */
    uint64_t threshold;   /* of `bytes`, for the next one */
    uint32_t failure_row; /* failures since the last success */
    uint64_t begin_ns;
    struct store_status status;
    struct snapshot_header header;
    char *block; /* SNAPSHOT_BLOCK_MAX; the other thread's while busy */

    /* The other thread's while busy. */
    struct snapshot_file file;
    struct store_error error;
    struct os_task task;
    atomic_bool busy;

    struct os_loop *loop; /* NULL: written within the step */
};

/* Before the first frame is opened; the loop is started. */
MUST_USE err_t snapshot_copy_start(struct journal *journal, struct store_error *error);
/* After the loop was stopped. */
void snapshot_copy_release(struct snapshot_copy *copy);

/* A frame will begin at `position`, and the tables are as they are there: perhaps a copy begins. */
void snapshot_frame_open(struct journal *journal, journal_position_t position);
/* An event was adopted. */
void snapshot_event_adopted(struct journal *journal);
/* A frame became durable. */
void snapshot_frame_durable(
    struct journal *journal,
    const struct journal_frame_header *header,
    journal_position_t position);
/* Behind each group: copies a block, or whatever is next. */
void snapshot_step(struct journal *journal);

#endif
