/*
 * Headers of a tar stream (POSIX.1-2017, pax, "ustar Interchange Format"): plain files only, for
 * backups to standard output. Any tar program reads what is written; read is what is written here,
 * and what GNU tar makes of the same files with --format=ustar or gnu.
 *
 * Sizes of 8 GiB and more are in binary, as GNU tar, bsdtar and others have them.
 */
#ifndef TAEL_BACKUP_TAR_H
#define TAEL_BACKUP_TAR_H

#include "base/err.h"
#include "base/span.h"

#include <stdint.h>

#define BACKUP_TAR_BLOCK    512u
#define BACKUP_TAR_SIZE_MAX (UINT64_C(1) << 56)

enum backup_tar_kind {
    BACKUP_TAR_FILE,
    BACKUP_TAR_FOLDER, /* has no content */
    BACKUP_TAR_END,    /* a block of zeros */
};

struct backup_tar_entry {
    enum backup_tar_kind kind;
    char path[100]; /* at most 99 bytes */
    uint64_t size;
};

/* A file's header: mode 0600, owned by number 0, `time_s` in unix seconds. The path is shorter than
 * 100 bytes. */
void backup_tar_encode(
    const struct backup_tar_entry *entry, uint64_t time_s, char out[BACKUP_TAR_BLOCK]);
/* ERR_INVALID, with the reason (static): no header, or of something else than a file or folder. */
MUST_USE err_t backup_tar_decode(
    const char block[BACKUP_TAR_BLOCK],
    struct backup_tar_entry *ret_entry,
    const char **ret_reason);

/* Bytes of zeros behind the content, up to a whole block. */
static inline uint64_t
backup_tar_padding(uint64_t size)
{
    return (BACKUP_TAR_BLOCK - size % BACKUP_TAR_BLOCK) % BACKUP_TAR_BLOCK;
}

#endif
