/*
 * The row log: every row that was written since SQLite's file was last brought up to date, in
 * groups. SQLite writes whole pages; the log writes rows, so a commit costs the bytes of its rows
 * and one sync. SQLite's own transaction stays open over many groups, and is replayed from here
 * when it is lost: by a crash, or because a group is taken back.
 *
 * FILE-rows, little-endian:
 *
 *     header   magic, generation
 *     group    generation, number, size, checksum; then `size` bytes of records
 *     group    ...
 *
 *     record   operation, kind, scope, id, version, body, columns by their names
 *
 * ROWLOG-1  Groups are numbered without a gap. A generation is random, and the database names it:
 *           what another one left in the file, or an earlier lap, is not taken for this one's.
 * ROWLOG-2  The log begins anew, at the front of its file, only when the database holds, durably,
 *           everything that is in it.
 * ROWLOG-3  A group's space is reserved before it is applied: a full disk is found while the group
 *           can still be taken back.
 */
#ifndef DOCUMENT_ROW_LOG_H
#define DOCUMENT_ROW_LOG_H

#include "base/buf.h"
#include "base/err.h"
#include "document/document.h"
#include "os/file.h"

#include <stdatomic.h>

enum row_operation {
    ROW_INSERT = 1,
    ROW_UPDATE = 2, /* version: the one that was read */
    ROW_REMOVE = 3,
};

enum row_column_state {
    ROW_COLUMN_NULL,
    ROW_COLUMN_INTEGER,
    ROW_COLUMN_TEXT,
    ROW_COLUMN_UNCHANGED, /* the update leaves it alone */
};

struct row_column {
    enum row_column_state state;
    struct span name;
    int64_t integer;
    struct span text;
};

struct row_record {
    enum row_operation operation;
    struct span kind;
    uint64_t scope;
    struct span id;
    uint32_t version;
    struct span body; /* empty in ROW_REMOVE, which has no columns either */
    uint32_t column_count;
    struct row_column columns[DOCUMENT_COLUMNS_MAX];
};

struct row_group {
    struct row_group *next;     /* among those that are kept, in order; or among the spare ones */
    struct row_group *unsynced; /* the one applied before it, until somebody syncs */
    uint64_t number;
    uint64_t offset;
    struct buf bytes; /* with the group's header */
    _Atomic bool synced;
};

struct row_log {
    struct os_disk *disk;
    struct os_file *file;
    uint64_t generation;
    uint64_t number;        /* of the last group */
    uint64_t end;           /* where the next one goes */
    uint64_t reserved;      /* bytes of the file that take no more space of the disk */
    struct row_group *open; /* the one that is being gathered */
    /* What the database does not hold yet, oldest first, and before them what is there, but not
     * written here yet. */
    struct row_group *first, *last;
    uint64_t held; /* the last group that the database holds */
    uint64_t kept_bytes;
    struct row_group *spare;
    uint32_t spare_count;
    /* Newest first; the owner pushes, sync takes them all. */
    struct row_group *_Atomic unsynced;
};

/* The file beside the database, made if it is not there. *ret_generation: what its header says, 0
 * if it has none. */
MUST_USE err_t document_row_log_open(
    struct row_log *log, struct os_disk *disk, const char *database, uint64_t *ret_generation);
void document_row_log_close(struct row_log *log);

/* Calls `each` for the records of every group of the generation that follows `number`, in order; a
 * group that is not whole ends it. *ret_number: the last one's. ERR_CORRUPT: a record that nobody
 * wrote under a good checksum. */
typedef err_t (*row_each)(void *context, const struct row_record *record);
MUST_USE err_t document_row_log_recover(
    struct row_log *log,
    uint64_t generation,
    uint64_t number,
    row_each each,
    void *context,
    uint64_t *ret_number);

/* Begins a new generation in an empty log, durably. */
MUST_USE err_t document_row_log_start(struct row_log *log, uint64_t generation);
/* Back to the front of the file. */
void document_row_log_restart(struct row_log *log);

/* Adds to the open group. ERR_MEMORY. */
MUST_USE err_t document_row_log_add(struct row_log *log, const struct row_record *record);
bool document_row_log_has_rows(const struct row_log *log);
/* Forgets the open group. */
void document_row_log_drop(struct row_log *log);
/* The open group is complete, and waits for sync. Errors: it is open still. */
MUST_USE err_t document_row_log_apply(struct row_log *log);
/* Writes and syncs what was applied; on any thread, one at a time. */
MUST_USE err_t document_row_log_sync(struct row_log *log);
/* The database holds all groups up to here. */
void document_row_log_release(struct row_log *log);
/* Every record that the database may not hold, of complete groups. */
MUST_USE err_t document_row_log_replay(const struct row_log *log, row_each each, void *context);

#endif
