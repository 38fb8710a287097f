/*
 * The data folders that a backup is of: one, or those of the processes of one server, of which each
 * has parts that the others have not. Names are of files below such a folder, "vault/master.key".
 */
#ifndef TAEL_BACKUP_DATA_H
#define TAEL_BACKUP_DATA_H

#include "backup_message.h"

#include <stdbool.h>
#include <stdint.h>

#define BACKUP_DATA_FOLDERS_MAX 8
/* Of their paths with commas between. */
#define BACKUP_DATA_TEXT_SIZE (BACKUP_DATA_FOLDERS_MAX * OS_PATH_SIZE / 2)

struct backup_data {
    struct os_disk *disk;
    const char *folders[BACKUP_DATA_FOLDERS_MAX];
    int count;
};

/* Cuts `text` at its commas; it is kept, and must live as long. ERR_INVALID: an empty path, one
 * that is too long, or too many. */
MUST_USE err_t backup_data_take(struct backup_data *data, char text[BACKUP_DATA_TEXT_SIZE]);
/* ERR_RANGE: it is too long. */
MUST_USE err_t backup_data_path_in(const char *folder, const char *name, char out[OS_PATH_SIZE]);
/* The file's path, in the folder that has it; in the first, if none has it. */
MUST_USE err_t
backup_data_path(const struct backup_data *data, const char *name, char out[OS_PATH_SIZE]);
/* The folder that has the file; NULL: none. */
MUST_USE err_t
backup_data_folder(const struct backup_data *data, const char *name, const char **ret_folder);
/* The file's size; `*ret_present` says whether any folder has it. */
MUST_USE err_t backup_data_size(
    const struct backup_data *data, const char *name, uint64_t *ret_size, bool *ret_present);
/* ERR_EXISTS: two folders have the file, so these are not the processes of one server. Errors are
 * explained in `message`. */
MUST_USE err_t backup_data_single(
    const struct backup_data *data, const char *name, char message[BACKUP_MESSAGE_SIZE]);

#endif
