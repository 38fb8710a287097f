/* Whole small files, on any disk. */
#include "os/file.h"

#include "base/assert.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static err_t
load_open(
    struct os_disk *disk, struct os_file *file, size_t limit, char **ret_text, size_t *ret_size)
{
    uint64_t size;
    TRY(disk->ops->size(disk, file, &size));
    if (size > limit) {
        return ERR_FULL;
    }
    char *text = malloc((size_t)size + 1);
    if (text == NULL) {
        return ERR_MEMORY;
    }
    err_t result = disk->ops->read(disk, file, text, (size_t)size, 0);
    if (result != ERR_OK) {
        explicit_bzero(text, (size_t)size);
        free(text);
        return result;
    }
    text[size] = '\0';
    *ret_text = text;
    *ret_size = (size_t)size;
    return ERR_OK;
}

err_t
os_file_load(
    struct os_disk *disk, const char *path, size_t limit, char **ret_text, size_t *ret_size)
{
    ASSERT(limit < SIZE_MAX);
    struct os_file *file;
    TRY(disk->ops->open(disk, path, OS_OPEN_READ, false, &file, NULL));
    err_t result = load_open(disk, file, limit, ret_text, ret_size);
    disk->ops->close(disk, file);
    return result;
}

static err_t
write_new(struct os_disk *disk, const char *path, struct span content)
{
    struct os_file *file;
    err_t result = disk->ops->open(disk, path, OS_OPEN_CREATE, false, &file, NULL);
    if (result == ERR_EXISTS) {
        /* Left behind by a crash during an earlier save. */
        TRY(disk->ops->remove(disk, path));
        result = disk->ops->open(disk, path, OS_OPEN_CREATE, false, &file, NULL);
    }
    TRY(result);
    result =
        content.size > 0 ? disk->ops->write(disk, file, content.data, content.size, 0) : ERR_OK;
    if (result == ERR_OK) {
        result = disk->ops->sync(disk, file);
    }
    disk->ops->close(disk, file);
    return result;
}

err_t
os_file_save(struct os_disk *disk, const char *folder, const char *name, struct span content)
{
    char path[OS_PATH_SIZE];
    char temporary[OS_PATH_SIZE];
    int size = snprintf(temporary, sizeof(temporary), "%s/%s.tmp", folder, name);
    if (size < 0 || (size_t)size >= sizeof(temporary)) {
        return ERR_RANGE;
    }
    (void)snprintf(path, sizeof(path), "%s/%s", folder, name);
    err_t result = write_new(disk, temporary, content);
    if (result == ERR_OK) {
        result = disk->ops->rename(disk, temporary, path);
    }
    if (result != ERR_OK) {
        (void)disk->ops->remove(disk, temporary);
        return result;
    }
    return disk->ops->sync_folder(disk, folder) == ERR_OK ? ERR_OK : ERR_OUTCOME_UNKNOWN;
}
