/*
 * Copying a database of documents while its owner works on. SQLite only; PostgreSQL has tools of
 * its own.
 *
 *     hold      nobody commits to the database until the release: the owner waits
 *     snapshot  what is committed now, for as long as it is kept; the owner goes on
 *     write     the snapshot as a database file of its own
 *
 * COPY-1  What a snapshot has was committed when it was taken; what is committed later is not in
 *         it, however long the writing takes.
 * COPY-2  Between a hold and its release nothing is committed.
 * COPY-3  A process that dies lets go of everything.
 *
 * While a snapshot is kept the database's log grows, because it cannot begin anew. One thread.
 */
#ifndef DOCUMENT_COPY_H
#define DOCUMENT_COPY_H

#include "document/document.h"

/* How long an owner's commit waits for a hold to end; then it is ERR_LOCKED. So a hold is short:
 * what it covers takes milliseconds. */
#define DOCUMENT_HOLD_MAX_MS 10000

struct document_hold;
struct document_snapshot;

/* `path` is the database's file, which exists. Waits for a commit that is under way, `wait_ms` at
 * most: ERR_LOCKED. Every error is explained in `message`. */
MUST_USE err_t document_hold_take(
    const char *path,
    uint32_t wait_ms,
    struct document_hold **ret_hold,
    char message[DOCUMENT_MESSAGE_SIZE]);
/* Accepts NULL; sets NULL. */
void document_hold_release(struct document_hold **hold);

MUST_USE err_t document_snapshot_take(
    const char *path, struct document_snapshot **ret_snapshot, char message[DOCUMENT_MESSAGE_SIZE]);
/* Accepts NULL; sets NULL. */
void document_snapshot_release(struct document_snapshot **snapshot);
/* Bytes that writing it takes. */
uint64_t document_snapshot_size(const struct document_snapshot *snapshot);

/* From time to time; false: stop, which document_snapshot_write answers as ERR_CLOSED. */
typedef bool (*document_copy_progress)(void *context, uint64_t bytes_done);

/* To a file that does not exist yet, mode 0600; synced, its name not. ERR_DISK_FULL, ERR_EXISTS,
 * ERR_IO; the file may be there then, and is no database. */
MUST_USE err_t document_snapshot_write(
    struct document_snapshot *snapshot,
    const char *to,
    document_copy_progress progress, /* may be NULL */
    void *context,
    char message[DOCUMENT_MESSAGE_SIZE]);

#endif
