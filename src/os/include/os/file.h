/*
 * Files, as an ops struct: the real disk, or a simulated one that can lose unsynced writes, tear
 * and flip them, fail, fill up, and stop at a chosen operation (os/sim_disk.h).
 *
 * All calls block. Offsets and sizes are bytes. Nothing here retries a failed sync: after one, the
 * state of the file is unknown and the owner must treat it so.
 */
#ifndef OS_FILE_H
#define OS_FILE_H

#include "base/err.h"
#include "base/span.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct os_disk;
struct os_file; /* an open file */

enum os_open_mode {
    OS_OPEN_READ,   /* ERR_NOT_FOUND if it is not there */
    OS_OPEN_WRITE,  /* read and write; ERR_NOT_FOUND if it is not there */
    OS_OPEN_CREATE, /* read and write; ERR_EXISTS if it is there; mode 0600 */
};

/* Every err_t must be checked, although a function pointer cannot say so. */
struct os_disk_ops {
    /* direct: transfers bypass the page cache where the file system can (then memory, offsets and
     * sizes must be multiples of OS_DIRECT_ALIGNMENT); *ret_direct (or
     * NULL) says whether it does. Only regular files: ERR_INVALID for others. */
    err_t (*open)(
        struct os_disk *disk,
        const char *path,
        enum os_open_mode mode,
        bool direct,
        struct os_file **ret_file,
        bool *ret_direct);
    void (*close)(struct os_disk *disk, struct os_file *file);
    /* All or an error. A read past the end is ERR_INCOMPLETE. */
    err_t (*read)(
        struct os_disk *disk, struct os_file *file, void *out, size_t size, uint64_t offset);
    err_t (*write)(
        struct os_disk *disk, struct os_file *file, const void *data, size_t size, uint64_t offset);
    /* Data and what is needed to read it back (fdatasync). */
    err_t (*sync)(struct os_disk *disk, struct os_file *file);
    /* A hint, NULL where there is nothing to hint at: begins to write these bytes of the file to
     * the disk, without waiting, so that the sync later has little left to write. Nothing is
     * durable by it. */
    void (*write_back)(struct os_disk *disk, struct os_file *file, uint64_t offset, size_t size);
    /* Reserves space, reads as zeros; the file is at least `size` long afterwards. */
    err_t (*allocate)(struct os_disk *disk, struct os_file *file, uint64_t size);
    err_t (*truncate)(struct os_disk *disk, struct os_file *file, uint64_t size);
    err_t (*size)(struct os_disk *disk, struct os_file *file, uint64_t *ret_size);
    /* Names: durable only after sync_folder of the folder that holds them. Rename replaces `to`;
     * both are in one folder, else ERR_UNSUPPORTED. Remove is for files. */
    err_t (*rename)(struct os_disk *disk, const char *from, const char *to);
    err_t (*remove)(struct os_disk *disk, const char *path);
    err_t (*make_folder)(struct os_disk *disk, const char *path); /* mode 0700; existing is fine */
    err_t (*sync_folder)(struct os_disk *disk, const char *path);
    /* Calls `each` for every name in the folder, in ascending order. */
    err_t (*list)(
        struct os_disk *disk,
        const char *path,
        void (*each)(void *context, const char *name),
        void *context);
    /* An advisory lock on the file that ends with its close, or with the process: ERR_LOCKED if it
     * is held through another open, of this process or of another one. */
    err_t (*lock)(struct os_disk *disk, struct os_file *file);
};

struct os_disk {
    const struct os_disk_ops *ops;
};

#define OS_DIRECT_ALIGNMENT 4096

static inline void
os_file_write_back(struct os_disk *disk, struct os_file *file, uint64_t offset, size_t size)
{
    if (disk->ops->write_back != NULL) {
        disk->ops->write_back(disk, file, offset, size);
    }
}

/* The machine's disk. Static, thread-safe; one file may be used from several threads. */
struct os_disk *os_disk_real(void);

/* Removes an empty folder of the machine's disk. */
MUST_USE err_t os_folder_remove(const char *path);

/* Names in one folder that list is ready for; more are ERR_FULL. */
#define OS_LIST_NAMES_MAX (1u << 20)
/* Bytes of a path, the zero behind it included; longer ones are ERR_RANGE. */
#define OS_PATH_SIZE 1024

/* Whole small files. `limit` is the largest that is read (more: ERR_FULL). The text is allocated
 * with malloc and has a zero behind it that is not counted. */
MUST_USE err_t os_file_load(
    struct os_disk *disk, const char *path, size_t limit, char **ret_text, size_t *ret_size);
/* Written to a temporary name (NAME.tmp, mode 0600), synced, renamed over the name, folder synced:
 * all or nothing, one save of a name at a time. ERR_OUTCOME_UNKNOWN: the old or the new content is
 * there after a crash. */
MUST_USE err_t
os_file_save(struct os_disk *disk, const char *folder, const char *name, struct span content);

#endif
