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

struct os_disk_ops {
    /* direct: transfers bypass the page cache where the file system can (then memory, offsets and
     * sizes must be multiples of OS_DIRECT_ALIGNMENT); *ret_direct says whether it does. */
    err_t (*open)(
        struct os_disk *disk,
        const char *path,
        enum os_open_mode mode,
        bool direct,
        struct os_file **ret_file,
        bool *ret_direct);
    void (*close)(struct os_disk *disk, struct os_file *file);
    /* All or an error. A read past the end is ERR_INCOMPLETE. */
    err_t (*read)(struct os_disk *disk, struct os_file *file, void *out, size_t size, uint64_t offset);
    err_t (*write)(
        struct os_disk *disk, struct os_file *file, const void *data, size_t size, uint64_t offset);
    /* Data and what is needed to read it back (fdatasync). */
    err_t (*sync)(struct os_disk *disk, struct os_file *file);
    /* Reserves space, reads as zeros; the file is at least `size` long afterwards. */
    err_t (*allocate)(struct os_disk *disk, struct os_file *file, uint64_t size);
    err_t (*truncate)(struct os_disk *disk, struct os_file *file, uint64_t size);
    err_t (*size)(struct os_disk *disk, struct os_file *file, uint64_t *ret_size);
    /* Names: durable only after sync_folder of the folder that holds them. */
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
    /* An advisory lock that dies with the process: ERR_LOCKED if another process holds it. */
    err_t (*lock)(struct os_disk *disk, struct os_file *file);
};

struct os_disk {
    const struct os_disk_ops *ops;
};

#define OS_DIRECT_ALIGNMENT 4096

struct os_disk *os_disk_real(void);

/* Whole small files. `limit` is the largest that is read. The text is allocated with malloc. */
MUST_USE err_t os_file_load(
    struct os_disk *disk, const char *path, size_t limit, char **ret_text, size_t *ret_size);
/* Written to a temporary name, synced, renamed over `path`, folder synced: all or nothing. */
MUST_USE err_t
os_file_save(struct os_disk *disk, const char *folder, const char *name, struct span content);

#endif
