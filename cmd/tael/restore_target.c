#include "restore_target.h"

#include "backup_folder.h"

#include "base/assert.h"
#include "store/digest.h"

#include <stdio.h>
#include <string.h>

static void
see_name(void *context, const char *name)
{
    (void)name;
    *(bool *)context = true;
}

/* ERR_OK if nothing has this name. */
static err_t
is_free(struct restore_target *target, const char *path, const char *why)
{
    bool any = false;
    struct os_file *file = NULL;
    err_t code = target->disk->ops->list(target->disk, path, see_name, &any);
    if (code == ERR_NOT_FOUND) {
        return ERR_OK;
    }
    if (code != ERR_OK) {
        /* A file, perhaps. */
        code = target->disk->ops->open(target->disk, path, OS_OPEN_READ, false, &file, NULL);
        if (code != ERR_OK) {
            return backup_fail_at(target->message, code, path);
        }
        target->disk->ops->close(target->disk, file);
    }
    return backup_fail(target->message, ERR_EXISTS, "%s: %s", path, why);
}

err_t
restore_target_open(struct restore_target *target, const char *to)
{
    *target = (struct restore_target){.disk = os_disk_real()};
    TRY(backup_place(target->message, target->to, target->to, "%s", to));
    size_t length = strlen(target->to);
    while (length > 1 && target->to[length - 1] == '/') {
        target->to[--length] = '\0';
    }
    TRY(backup_place(target->message, target->to, target->folder, "%s" RESTORE_UNFINISHED, to));
    TRY(backup_place(
        target->message, target->to, target->folder, "%s" RESTORE_UNFINISHED, target->to));
    TRY(is_free(target, target->to, "it exists already; a restore makes a new folder"));
    TRY(is_free(
        target,
        target->folder,
        "an interrupted restore has left it; remove it, it is no data folder"));
    err_t code = target->disk->ops->make_folder(target->disk, target->folder);
    target->made = code == ERR_OK;
    return code == ERR_OK ? ERR_OK : backup_fail_at(target->message, code, target->folder);
}

err_t
restore_target_begin(struct restore_target *target, const char *path, uint64_t size)
{
    struct os_disk *disk = target->disk;
    ASSERT(target->file == NULL);
    ASSERT(backup_path_is_sound(span_from_cstr(path)));
    if (backup_manifest_find(&target->got, path) != NULL) {
        return backup_fail(
            target->message, ERR_INVALID, "%s: the backup has this file twice", path);
    }
    const char *slash = strchr(path, '/');
    if (slash != NULL) {
        TRY(backup_place(
            target->message,
            target->to,
            target->path,
            "%s/%.*s",
            target->folder,
            (int)(slash - path),
            path));
        err_t made = disk->ops->make_folder(disk, target->path);
        if (made != ERR_OK) {
            return backup_fail_at(target->message, made, target->path);
        }
    }
    TRY(backup_place(target->message, target->to, target->path, "%s/%s", target->folder, path));
    (void)snprintf(target->listed, sizeof(target->listed), "%s", path);
    err_t code = disk->ops->open(disk, target->path, OS_OPEN_CREATE, false, &target->file, NULL);
    if (code == ERR_OK && size > 0) {
        /* Finds out now whether there is room; and what is zero need not be written. */
        code = disk->ops->allocate(disk, target->file, size);
    }
    if (code == ERR_OK) {
        code = store_digest_create(&target->digest);
    }
    target->size = size;
    target->done = 0;
    return code == ERR_OK ? ERR_OK : backup_fail_at(target->message, code, target->path);
}

static bool
is_zero(const char *bytes, size_t size)
{
    return size > 0 && bytes[0] == 0 && memcmp(bytes, bytes + 1, size - 1) == 0;
}

err_t
restore_target_write(struct restore_target *target, const void *data, size_t size)
{
    ASSERT(target->done + size <= target->size);
    struct os_disk *disk = target->disk;
    err_t code = store_digest_add(target->digest, data, size);
    if (code == ERR_OK && !is_zero(data, size)) {
        code = disk->ops->write(disk, target->file, data, size, target->done);
    }
    target->done += size;
    target->bytes += size;
    return code == ERR_OK ? ERR_OK : backup_fail_at(target->message, code, target->path);
}

err_t
restore_target_end(struct restore_target *target)
{
    struct os_disk *disk = target->disk;
    uint8_t digest[STORE_DIGEST_SIZE];
    ASSERT(target->done == target->size);
    err_t code = store_digest_so_far(target->digest, digest);
    store_digest_destroy(&target->digest);
    if (code == ERR_OK) {
        code = disk->ops->sync(disk, target->file);
    }
    disk->ops->close(disk, target->file);
    target->file = NULL;
    if (code == ERR_OK) {
        code = backup_manifest_add(&target->got, target->listed, digest);
    }
    return code == ERR_OK ? ERR_OK : backup_fail_at(target->message, code, target->path);
}

err_t
restore_target_compare(struct restore_target *target, const struct backup_manifest *manifest)
{
    for (uint32_t i = 0; i < manifest->count; i++) {
        const char *path = backup_path_own(manifest->files[i].path);
        const struct backup_file *got = backup_manifest_find(&target->got, path);
        if (got == NULL) {
            return backup_fail(
                target->message, ERR_CORRUPT, "%s: it is in the manifest, and missing", path);
        }
        if (memcmp(got->digest, manifest->files[i].digest, STORE_DIGEST_SIZE) != 0) {
            return backup_fail(
                target->message,
                ERR_CORRUPT,
                "%s: it is not what the manifest says: damaged",
                path);
        }
    }
    if (target->got.count != manifest->count) {
        return backup_fail(
            target->message, ERR_CORRUPT, "there are files that are not in the manifest");
    }
    return ERR_OK;
}

static void
sync_folder_of(void *context, const char *name)
{
    struct restore_target *target = context;
    char path[OS_PATH_SIZE];
    bool any = false;
    struct os_disk *disk = target->disk;
    int length = snprintf(path, sizeof(path), "%.500s/%.200s", target->folder, name);
    if (length > 0 && disk->ops->list(disk, path, see_name, &any) == ERR_OK && any &&
        disk->ops->sync_folder(disk, path) != ERR_OK && target->message[0] == '\0') {
        (void)backup_fail_at(target->message, ERR_IO, path);
    }
}

err_t
restore_target_finish(struct restore_target *target)
{
    struct os_disk *disk = target->disk;
    char parent[OS_PATH_SIZE];
    err_t code = disk->ops->list(disk, target->folder, sync_folder_of, target);
    if (code == ERR_OK && target->message[0] != '\0') {
        return ERR_IO;
    }
    if (code == ERR_OK) {
        code = disk->ops->sync_folder(disk, target->folder);
    }
    if (code == ERR_OK) {
        code = disk->ops->rename(disk, target->folder, target->to);
    }
    if (code != ERR_OK) {
        return backup_fail_at(target->message, code, target->to);
    }
    target->made = false;
    const char *slash = strrchr(target->to, '/');
    TRY(backup_place(
        target->message,
        target->to,
        parent,
        "%.*s",
        slash == NULL ? 1 : (int)(slash - target->to) + 1,
        slash == NULL ? "." : target->to));
    code = disk->ops->sync_folder(disk, parent);
    return code == ERR_OK ? ERR_OK : backup_fail_at(target->message, code, parent);
}

void
restore_target_abort(struct restore_target *target)
{
    if (target->file != NULL) {
        target->disk->ops->close(target->disk, target->file);
        target->file = NULL;
    }
    store_digest_destroy(&target->digest);
    backup_manifest_release(&target->got);
    if (target->made) {
        /* What stays has a name that says what it is. */
        err_t ignored = backup_folder_remove(target->disk, target->folder);
        (void)ignored;
        target->made = false;
    }
}
