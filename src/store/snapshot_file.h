/*
 * Snapshots as files: FOLDER/snapshot/00000001.snap and so on. One is written under a temporary
 * name, synced, renamed, and its folder synced; the last SNAPSHOT_KEPT are kept. A file under its
 * own name was therefore written whole, and what damaged it later its checksums show.
 */
#ifndef STORE_SNAPSHOT_FILE_H
#define STORE_SNAPSHOT_FILE_H

#include "journal_scan.h"
#include "snapshot_format.h"

#define SNAPSHOT_KEPT 2u
/* Names that a list holds: more than are kept, when removing failed. */
#define SNAPSHOT_LIST_MAX 16u

/* Writes FOLDER/snapshot/00000001.snap; false if the path would be too long. */
bool snapshot_path(const char *folder, uint64_t number, char out[JOURNAL_PATH_SIZE]);

/* --- what is there --- */

struct snapshot_list {
    uint64_t numbers[SNAPSHOT_LIST_MAX]; /* the newest ones, newest first */
    uint32_t count;
};

/* A journal's folder without snapshots has an empty list. */
MUST_USE err_t
snapshot_list_read(struct os_disk *disk, const char *folder, struct snapshot_list *ret_list);

/* Told in this order, each record once; borrowed. An error ends the reading. */
struct snapshot_visitor {
    /* First. What it takes from a record's count and order is checked behind it. */
    err_t (*header)(void *context, const struct snapshot_header *header);
    err_t (*account)(void *context, const struct snapshot_account *account);
    err_t (*pending)(void *context, const struct ledger_transfer *pending);
    err_t (*stretch)(void *context, const struct journal_stretch *stretch);
    err_t (*placed)(void *context, const struct snapshot_placed *placed);
    err_t (*adopted)(void *context, const struct journal_adopted_entry *adopted);
    void *context;
    const char *reason; /* set by a callee that refuses; static text */
};

/* Reads a whole file. ERR_OK only if every byte of it is as it was written: what was told before an
 * error came must be thrown away. ERR_CORRUPT, ERR_VERSION, or what the disk answered; the error
 * names file and offset. */
MUST_USE err_t snapshot_read(
    struct os_disk *disk,
    const char *folder,
    uint64_t number,
    struct snapshot_visitor *visitor,
    struct store_error *error);

/* --- writing one; zeroed before the first --- */

struct snapshot_file {
    struct os_disk *disk;
    const char *folder; /* the journal's */
    uint64_t number;
    struct os_file *file; /* under the temporary name; NULL: none is begun */
    uint64_t offset;      /* where the next block goes */
    uint64_t synced;
    uint64_t block_count;
    struct snapshot_digest *digest;
};

/* Appends a sealed block, and begins the file before the first. After an error the file is gone,
 * and the next block begins a new one. */
MUST_USE err_t
snapshot_file_append(struct snapshot_file *file, void *block, struct store_error *error);
/* Completes `header` and the file, and removes snapshots that are too old. `block` has
 * JOURNAL_BLOCK bytes, aligned, to work in. */
MUST_USE err_t snapshot_file_finish(
    struct snapshot_file *file,
    struct snapshot_header *header,
    void *block,
    struct store_error *error);
/* Closes what was begun; the temporary file stays and means nothing, and the next one removes it.
 */
void snapshot_file_release(struct snapshot_file *file);

#endif
