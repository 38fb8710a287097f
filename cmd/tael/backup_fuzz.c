/*
 * What a restore reads before it knows whether it can be trusted: a manifest, and the headers of a
 * tar stream. What is taken is written again and means the same.
 */
#include "backup_manifest.h"
#include "backup_tar.h"

#include "base/assert.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
try_manifest(struct span text)
{
    struct backup_manifest manifest = {0};
    uint32_t line = 0;
    const char *reason = NULL;
    err_t code = backup_manifest_read(text, &manifest, &line, &reason);
    ASSERT(line > 0);
    if (code == ERR_OK) {
        struct buf again;
        buf_init(&again, BACKUP_MANIFEST_SIZE_MAX);
        for (uint32_t i = 0; i < manifest.count; i++) {
            const char *own = backup_path_own(manifest.files[i].path);
            ASSERT(backup_path_is_sound(span_from_cstr(own)));
            ASSERT(strstr(own, "..") == NULL || strstr(own, "/..") == NULL);
        }
        backup_manifest_write(&manifest, &again);
        struct backup_manifest second = {0};
        code = backup_manifest_read(buf_span(&again), &second, &line, &reason);
        ASSERT(code == ERR_OK);
        ASSERT(second.count == manifest.count);
        backup_manifest_release(&second);
        buf_release(&again);
    } else {
        ASSERT(reason != NULL);
    }
    backup_manifest_release(&manifest);
}

static void
try_header(const uint8_t *data)
{
    char block[BACKUP_TAR_BLOCK];
    struct backup_tar_entry entry;
    struct backup_tar_entry again;
    const char *reason = NULL;
    memcpy(block, data, sizeof(block));
    if (backup_tar_decode(block, &entry, &reason) != ERR_OK || entry.kind != BACKUP_TAR_FILE) {
        return;
    }
    backup_tar_encode(&entry, 0, block);
    err_t code = backup_tar_decode(block, &again, &reason);
    ASSERT(code == ERR_OK);
    ASSERT(again.size == entry.size);
    ASSERT(strcmp(again.path, entry.path) == 0);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    try_manifest(span_of(data, size));
    if (size >= BACKUP_TAR_BLOCK) {
        try_header(data);
    }
    return 0;
}
