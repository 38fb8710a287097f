/*
 * A backup's list of its files: what a restore compares with, and `sha256sum -c MANIFEST` too.
 *
 *     # tael backup 1
 *     # made 1795933768135458264             the moment, nanoseconds of unix time
 *     # documents yes                        or no: the ledger alone
 *     # head 2:1/8192:1795933768135:412b...  of the ledger at that moment
 *     412bdf...  tael.db                     SHA-256, two spaces, path
 *     9f86d0...  ../../ledger/00000001.log
 *     # files 2
 *
 * Paths are relative to the manifest. A backup without a manifest that is whole is none: it is
 * written last, and its last line says how many files it has.
 */
#ifndef TAEL_BACKUP_MANIFEST_H
#define TAEL_BACKUP_MANIFEST_H

#include "base/buf.h"
#include "store/head.h"

#define BACKUP_MANIFEST_NAME     "MANIFEST"
#define BACKUP_MANIFEST_SIZE_MAX (256U << 20)
/* Of files besides segments there are fewer than ten. */
#define BACKUP_FILES_MAX 1000100u
#define BACKUP_PATH_SIZE 64
/* Before a segment that several backups in one folder share. */
#define BACKUP_SHARED "../../"

struct backup_file {
    char path[BACKUP_PATH_SIZE];
    uint8_t digest[STORE_DIGEST_SIZE];
};

struct backup_manifest {
    uint64_t made_ns;
    bool documents;
    struct store_head head;
    struct backup_file *files;
    uint32_t count;
    uint32_t capacity;
};

void backup_manifest_release(struct backup_manifest *manifest);
/* ERR_FULL, ERR_MEMORY; ERR_INVALID for a path that backup_path_is_sound refuses. */
MUST_USE err_t backup_manifest_add(
    struct backup_manifest *manifest, const char *path, const uint8_t digest[STORE_DIGEST_SIZE]);
/* The file with this path, or NULL. */
const struct backup_file *backup_manifest_find(
    const struct backup_manifest *manifest, const char *path);
void backup_manifest_write(const struct backup_manifest *manifest, struct buf *out);
/* Into a zeroed manifest, which is released in any case. ERR_INVALID: `*ret_line` and `*ret_reason`
 * (static) say where and what; ERR_MEMORY. */
MUST_USE err_t backup_manifest_read(
    struct span text,
    struct backup_manifest *manifest,
    uint32_t *ret_line,
    const char **ret_reason);

/* Without the shared prefix: "NAME" or "FOLDER/NAME" of letters, digits, '.', '_' and '-', none
 * beginning with a '.': nothing that could lead out of a folder. */
bool backup_path_is_sound(struct span path);
/* The path without the shared prefix. */
const char *backup_path_own(const char *path);

#endif
