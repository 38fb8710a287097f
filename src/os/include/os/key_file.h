/*
 * A key in a file of its own: random bytes as lower-case hexadecimal digits and a newline, so that
 * people can copy it. Or several, for whoever goes over from one to the next.
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

/* Where several keys go: `max` of `size` bytes, one behind the other. */
struct os_key_room {
    uint8_t *keys;
    size_t size;
    uint32_t max;
};

/* Reads a file of one to `max` keys, a line each; empty lines, and those that begin with #, say
 * nothing. *ret_line is the number of the last line that was looked at, 0 before the first.
 * ERR_CORRUPT: that line is no key, or the file ended there and has none; ERR_FULL: it is one key
 * too many; others as os_file_load's. On an error keys of earlier lines may be in the room. */
MUST_USE err_t os_key_file_load_several(
    struct os_disk *disk,
    const char *path,
    struct os_key_room *room,
    uint32_t *ret_count,
    uint32_t *ret_line);

#endif
