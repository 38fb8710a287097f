/*
 * Where a backup goes: a folder that may hold several, or standard output as a tar stream.
 *
 *     DIR/lock                              one backup at a time
 *     DIR/ledger/00000001.log               segments that are full: every backup has them
 *     DIR/points/20261129T063512.123456789Z/
 *         MANIFEST  tael.db  vault/...      one backup: its files, and its part of the newest
 * segment
 *
 * BACKUP-1  A backup in DIR/points has a name without ".tmp" only when all of it is on the disk.
 * BACKUP-2  Files have mode 0600, folders 0700.
 *
 * A stream has the same files, segments included, each at the path that it has in a data folder,
 * and MANIFEST last: without it, it is none.
 *
 * After an error nothing more is written; `message` says what and where. One thread.
 */
#ifndef TAEL_BACKUP_SINK_H
#define TAEL_BACKUP_SINK_H

#include "backup_manifest.h"
#include "backup_message.h"

#include "os/file.h"
#include "store/digest.h"

struct backup_sink {
    struct os_disk *disk;
    bool is_stream;
    char to[OS_PATH_SIZE]; /* DIR */
    char name[64];         /* of the backup in DIR/points */
    char folder[OS_PATH_SIZE];
    struct os_file *lock;
    struct backup_manifest before; /* the newest backup in DIR; of no files if there is none */
    struct backup_manifest manifest;
    char message[BACKUP_MESSAGE_SIZE];

    /* The file in hand. */
    struct os_file *file;
    char path[OS_PATH_SIZE]; /* of it, with ".tmp" if it is shared */
    char listed[BACKUP_PATH_SIZE];
    bool is_shared;
    uint64_t size;
    uint64_t done;
    struct store_digest *digest;
};

/* `to` is a folder, made if it is not there, or "-". Removes what a backup left that was killed.
 * ERR_LOCKED: another backup goes there. ERR_INVALID: the folder has other things in it. Abort in
 * any case, after a finish too. */
MUST_USE err_t backup_sink_open(struct backup_sink *sink, const char *to);
/* The backup begins; its manifest has the moment, the head and so on. */
MUST_USE err_t backup_sink_start(struct backup_sink *sink);
/* Does the folder have this full segment from an earlier backup? Then it is in this one, too. */
MUST_USE err_t backup_sink_reuse(struct backup_sink *sink, const char *path, bool *ret_reused);
/* A file of `size` bytes: begin, pieces of it, end. */
MUST_USE err_t
backup_sink_begin(struct backup_sink *sink, const char *path, uint64_t size, bool is_shared);
MUST_USE err_t backup_sink_write(struct backup_sink *sink, const void *data, size_t size);
/* The rest of the file is zeros. */
MUST_USE err_t backup_sink_end(struct backup_sink *sink);
/* The manifest, and with it the backup's name. */
MUST_USE err_t backup_sink_finish(struct backup_sink *sink);
/* Removes what is there of this backup, but for full segments, which the next one may use. Of a
 * finished one it only lets go. */
void backup_sink_abort(struct backup_sink *sink);

#endif
