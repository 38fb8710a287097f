#include "backup_data.h"

#include <stdio.h>
#include <string.h>

err_t
backup_data_take(struct backup_data *data, char text[BACKUP_DATA_TEXT_SIZE])
{
    data->count = 0;
    for (char *folder = text; folder != NULL;) {
        char *comma = strchr(folder, ',');
        if (comma != NULL) {
            *comma = '\0';
        }
        if (folder[0] == '\0' || strlen(folder) >= OS_PATH_SIZE / 2 ||
            data->count == BACKUP_DATA_FOLDERS_MAX) {
            return ERR_INVALID;
        }
        data->folders[data->count++] = folder;
        folder = comma == NULL ? NULL : comma + 1;
    }
    return ERR_OK;
}

err_t
backup_data_path_in(const char *folder, const char *name, char out[OS_PATH_SIZE])
{
    int length = snprintf(out, OS_PATH_SIZE, "%s/%s", folder, name);
    return length > 0 && length < OS_PATH_SIZE ? ERR_OK : ERR_RANGE;
}

static err_t
size_in(
    struct os_disk *disk,
    const char *folder,
    const char *name,
    uint64_t *ret_size,
    bool *ret_present)
{
    char path[OS_PATH_SIZE];
    struct os_file *file = NULL;
    *ret_present = false;
    TRY(backup_data_path_in(folder, name, path));
    err_t code = disk->ops->open(disk, path, OS_OPEN_READ, false, &file, NULL);
    if (code == ERR_NOT_FOUND) {
        return ERR_OK;
    }
    if (code == ERR_OK) {
        code = disk->ops->size(disk, file, ret_size);
        disk->ops->close(disk, file);
        *ret_present = code == ERR_OK;
    }
    return code;
}

err_t
backup_data_folder(const struct backup_data *data, const char *name, const char **ret_folder)
{
    *ret_folder = NULL;
    for (int i = 0; i < data->count && *ret_folder == NULL; i++) {
        uint64_t size = 0;
        bool present = false;
        TRY(size_in(data->disk, data->folders[i], name, &size, &present));
        *ret_folder = present ? data->folders[i] : NULL;
    }
    return ERR_OK;
}

err_t
backup_data_path(const struct backup_data *data, const char *name, char out[OS_PATH_SIZE])
{
    const char *folder = NULL;
    TRY(backup_data_folder(data, name, &folder));
    return backup_data_path_in(folder == NULL ? data->folders[0] : folder, name, out);
}

err_t
backup_data_size(
    const struct backup_data *data, const char *name, uint64_t *ret_size, bool *ret_present)
{
    *ret_present = false;
    for (int i = 0; i < data->count && !*ret_present; i++) {
        TRY(size_in(data->disk, data->folders[i], name, ret_size, ret_present));
    }
    return ERR_OK;
}

err_t
backup_data_single(
    const struct backup_data *data, const char *name, char message[BACKUP_MESSAGE_SIZE])
{
    const char *found = NULL;
    for (int i = 0; i < data->count; i++) {
        uint64_t size = 0;
        bool present = false;
        err_t code = size_in(data->disk, data->folders[i], name, &size, &present);
        if (code != ERR_OK) {
            return backup_fail(message, code, "%s/%s: %s", data->folders[i], name, err_text(code));
        }
        if (present && found != NULL) {
            return backup_fail(
                message,
                ERR_EXISTS,
                "%s is in %s and in %s: these are not the processes of one server",
                name,
                found,
                data->folders[i]);
        }
        found = present ? data->folders[i] : found;
    }
    return ERR_OK;
}
