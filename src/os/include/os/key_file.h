/*
 * A key in a file of its own: random bytes as lower-case hexadecimal digits and a newline, so that
 * people can copy it.
 */
#ifndef OS_KEY_FILE_H
#define OS_KEY_FILE_H

#include "os/entropy.h"
#include "os/file.h"

#define OS_KEY_SIZE_MAX 64 /* bytes of a key */

/* Makes one of `size` bytes, replacing what is there; errors as os_file_save's. */
MUST_USE err_t os_key_file_make(
    struct os_disk *disk,
    struct os_entropy *entropy,
    const char *folder,
    const char *name,
    size_t size);

/* Reads the first line. ERR_CORRUPT: it is no key of `size` bytes; others as os_file_load's. */
MUST_USE err_t os_key_file_load(struct os_disk *disk, const char *path, void *key, size_t size);

#endif
