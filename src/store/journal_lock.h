/* The lock of a journal that is only read: whoever writes to it holds it. */
#ifndef STORE_JOURNAL_LOCK_H
#define STORE_JOURNAL_LOCK_H

#include "os/file.h"
#include "store/store.h"

/* *ret_lock is NULL if there is no lock file: then nobody ever had the journal open. The caller
 * closes it. ERR_LOCKED if somebody has it. */
MUST_USE err_t journal_lock_existing(
    struct os_disk *disk, const char *folder, struct os_file **ret_lock, struct store_error *error);

/* The folder of journal:FOLDER; NULL if the URL is another one's, which the error then says. */
const char *journal_folder_of(const char *url, struct store_error *error);

#endif
