#include "journal_lock.h"

#include "journal_scan.h"

#include <stdio.h>
#include <string.h>

err_t
journal_lock_existing(
    struct os_disk *disk, const char *folder, struct os_file **ret_lock, struct store_error *error)
{
    char path[JOURNAL_PATH_SIZE];
    int length = snprintf(path, sizeof(path), "%s/lock", folder);
    if (length <= 0 || (size_t)length >= sizeof(path)) {
        return store_error_set(error, ERR_RANGE, "%s: the path is too long", folder);
    }
    err_t code = disk->ops->open(disk, path, OS_OPEN_WRITE, false, ret_lock, NULL);
    if (code == ERR_NOT_FOUND) {
        *ret_lock = NULL;
        return ERR_OK;
    }
    if (code == ERR_OK) {
        code = disk->ops->lock(disk, *ret_lock);
    }
    if (code != ERR_OK) {
        store_error_set(error, code, "%s: %s", path, err_text(code));
    }
    return code;
}

const char *
journal_folder_of(const char *url, struct store_error *error)
{
    if (!span_starts_with(span_from_cstr(url), SPAN("journal:"))) {
        store_error_set(error, ERR_UNSUPPORTED, "%s: only journals can be verified", url);
        return NULL;
    }
    return url + strlen("journal:");
}
