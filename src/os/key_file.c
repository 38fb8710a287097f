#include "os/key_file.h"

#include "base/assert.h"
#include "base/buf.h"

#include <stdlib.h>
#include <string.h>

#define FILE_SIZE_MAX 4096 /* people may have written a comment below */

err_t
os_key_file_make(
    struct os_disk *disk,
    struct os_entropy *entropy,
    const char *folder,
    const char *name,
    size_t size)
{
    uint8_t key[OS_KEY_SIZE_MAX];
    char memory[2 * OS_KEY_SIZE_MAX + 1];
    struct buf text;
    ASSERT(size > 0 && size <= sizeof(key));
    entropy->fill(entropy, key, size);
    buf_init_fixed(&text, memory, sizeof(memory));
    buf_append_hex(&text, key, size);
    buf_append_byte(&text, '\n');
    ASSERT(!buf_failed(&text));
    err_t result = os_file_save(disk, folder, name, buf_span(&text));
    explicit_bzero(key, sizeof(key));
    explicit_bzero(memory, sizeof(memory));
    return result;
}

err_t
os_key_file_load(struct os_disk *disk, const char *path, void *key, size_t size)
{
    char *text;
    size_t text_size;
    TRY(os_file_load(disk, path, FILE_SIZE_MAX, &text, &text_size));
    struct span rest = span_of(text, text_size);
    bool is_key = span_parse_hex(span_cut(&rest, '\n'), key, size);
    explicit_bzero(text, text_size);
    free(text);
    return is_key ? ERR_OK : ERR_CORRUPT;
}
