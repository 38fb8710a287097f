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

static err_t
parse_several(struct span rest, struct os_key_room *room, uint32_t *count, uint32_t *line)
{
    while (rest.size > 0) {
        struct span text = span_cut(&rest, '\n');
        (*line)++;
        if (text.size == 0 || text.data[0] == '#') {
            continue;
        }
        if (*count == room->max) {
            return ERR_FULL;
        }
        if (!span_parse_hex(text, room->keys + *count * room->size, room->size)) {
            return ERR_CORRUPT;
        }
        (*count)++;
    }
    return *count > 0 ? ERR_OK : ERR_CORRUPT;
}

err_t
os_key_file_load_several(
    struct os_disk *disk,
    const char *path,
    struct os_key_room *room,
    uint32_t *ret_count,
    uint32_t *ret_line)
{
    char *text;
    size_t text_size;
    *ret_count = 0;
    *ret_line = 0;
    TRY(os_file_load(disk, path, FILE_SIZE_MAX, &text, &text_size));
    err_t result = parse_several(span_of(text, text_size), room, ret_count, ret_line);
    explicit_bzero(text, text_size);
    free(text);
    return result;
}
