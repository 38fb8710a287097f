/* The backups in a folder: their names, which one is meant, and what an interrupted one left. */
#ifndef TAEL_BACKUP_FOLDER_H
#define TAEL_BACKUP_FOLDER_H

#include "backup_manifest.h"

#include "os/file.h"

/* At the end of the name of what is not finished. */
#define BACKUP_UNFINISHED      ".tmp"
#define BACKUP_POINT_NAME_SIZE 64

/* "20261129T063512.123456789Z": by name they sort as by time. */
void backup_folder_name(uint64_t made_ns, char out[BACKUP_POINT_NAME_SIZE]);
/* The newest backup in DIR/points whose name is not later than `until_ns`. ERR_NOT_FOUND: there is
 * none, or no folder. */
MUST_USE err_t backup_folder_newest(
    struct os_disk *disk,
    const char *points,
    uint64_t until_ns,
    char ret_name[BACKUP_POINT_NAME_SIZE]);
/* The oldest that is not earlier than `from_ns`. */
MUST_USE err_t backup_folder_oldest(
    struct os_disk *disk,
    const char *points,
    uint64_t from_ns,
    char ret_name[BACKUP_POINT_NAME_SIZE]);
/* Reads a backup's manifest into a zeroed one; `message` says what is wrong with it. */
MUST_USE err_t backup_folder_manifest(
    struct os_disk *disk,
    const char *points,
    const char *name,
    struct backup_manifest *manifest,
    char *message,
    size_t message_size);
/* Removes what is not finished. */
MUST_USE err_t backup_folder_clean(struct os_disk *disk, const char *points);
/* Removes a folder with files, and folders with files, in it. */
MUST_USE err_t backup_folder_remove(struct os_disk *disk, const char *path);

#endif
