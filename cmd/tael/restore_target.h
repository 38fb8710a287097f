/*
 * The folder that a restore makes. It is FOLDER.restoring until all of it is there and was checked:
 * nothing has the name that was asked for before that.
 *
 * After an error `message` says what and where. One thread.
 */
#ifndef TAEL_RESTORE_TARGET_H
#define TAEL_RESTORE_TARGET_H

#include "backup_manifest.h"
#include "backup_message.h"

#define RESTORE_UNFINISHED ".restoring"

struct restore_target {
    struct os_disk *disk;
    char to[OS_PATH_SIZE];
    char folder[OS_PATH_SIZE];
    bool made;                  /* the folder is ours */
    struct backup_manifest got; /* what was written, by its path in a data folder */
    uint64_t bytes;
    char message[BACKUP_MESSAGE_SIZE];

    /* The file in hand. */
    struct os_file *file;
    char path[OS_PATH_SIZE];
    char listed[BACKUP_PATH_SIZE];
    uint64_t size;
    uint64_t done;
    struct store_digest *digest;
};

/* ERR_EXISTS: `to` is there, or what an interrupted restore left. Abort in any case. */
MUST_USE err_t restore_target_open(struct restore_target *target, const char *to);
/* A file of `size` bytes, at a sound path without the shared prefix; then all of it in pieces. */
MUST_USE err_t restore_target_begin(struct restore_target *target, const char *path, uint64_t size);
MUST_USE err_t restore_target_write(struct restore_target *target, const void *data, size_t size);
MUST_USE err_t restore_target_end(struct restore_target *target);
/* Is what was written what the manifest says, no less and no more? ERR_CORRUPT names the file. */
MUST_USE err_t
restore_target_compare(struct restore_target *target, const struct backup_manifest *manifest);
/* The folder gets its name. */
MUST_USE err_t restore_target_finish(struct restore_target *target);
/* Removes what is not finished. */
void restore_target_abort(struct restore_target *target);

#endif
