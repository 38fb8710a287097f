#include "restore_source.h"

#include "backup_folder.h"
#include "backup_tar.h"

#include "os/clock.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PIECE_SIZE (1U << 20)

void
restore_source_release(struct restore_source *source)
{
    backup_manifest_release(&source->manifest);
}

/* -------------------------------------------------------------------------------- standard input
 */

static err_t
input_read(struct restore_source *source, char *out, size_t size)
{
    if (fread(out, 1, size, stdin) == size) {
        return ERR_OK;
    }
    return ferror(stdin) != 0
               ? backup_fail(source->message, ERR_IO, "standard input: %s", err_text(ERR_IO))
               : backup_fail(
                     source->message,
                     ERR_INCOMPLETE,
                     "standard input ends in the middle of the backup");
}

static err_t
input_file(
    struct restore_source *source,
    struct restore_target *target,
    const struct backup_tar_entry *entry,
    char *piece)
{
    if (!backup_path_is_sound(span_from_cstr(entry->path))) {
        return backup_fail(
            source->message,
            ERR_INVALID,
            "standard input: '%s' is no file of a backup",
            entry->path);
    }
    TRY(restore_target_begin(target, entry->path, entry->size));
    for (uint64_t rest = entry->size; rest > 0;) {
        size_t part = rest < PIECE_SIZE ? (size_t)rest : PIECE_SIZE;
        TRY(input_read(source, piece, part));
        TRY(restore_target_write(target, piece, part));
        show_progress_step(source->progress, target->bytes, 0);
        rest -= part;
    }
    return restore_target_end(target);
}

static err_t
manifest_take(struct restore_source *source, struct span text)
{
    uint32_t line = 0;
    const char *reason = NULL;
    err_t code = backup_manifest_read(text, &source->manifest, &line, &reason);
    if (code != ERR_OK) {
        return backup_fail(
            source->message,
            code,
            "%s: " BACKUP_MANIFEST_NAME " line %" PRIu32 ": %s",
            source->name,
            line,
            reason);
    }
    return ERR_OK;
}

static err_t
input_manifest(struct restore_source *source, uint64_t size)
{
    if (size > BACKUP_MANIFEST_SIZE_MAX || source->manifest.count > 0) {
        return backup_fail(
            source->message, ERR_INVALID, "standard input: an impossible " BACKUP_MANIFEST_NAME);
    }
    char *text = malloc((size_t)size + 1);
    if (text == NULL) {
        return backup_fail(source->message, ERR_MEMORY, "%s", err_text(ERR_MEMORY));
    }
    err_t code = input_read(source, text, (size_t)size);
    if (code == ERR_OK) {
        code = manifest_take(source, span_of(text, (size_t)size));
    }
    free(text);
    return code;
}

/* One entry with its padding; *ret_end at the zeros that end the stream. */
static err_t
input_entry(
    struct restore_source *source, struct restore_target *target, char *piece, bool *ret_end)
{
    char block[BACKUP_TAR_BLOCK];
    struct backup_tar_entry entry;
    const char *reason = NULL;
    TRY(input_read(source, block, sizeof(block)));
    if (backup_tar_decode(block, &entry, &reason) != ERR_OK) {
        return backup_fail(source->message, ERR_INVALID, "standard input: %s", reason);
    }
    *ret_end = entry.kind == BACKUP_TAR_END;
    if (entry.kind != BACKUP_TAR_FILE) {
        return ERR_OK;
    }
    bool is_manifest = strcmp(entry.path, BACKUP_MANIFEST_NAME) == 0;
    TRY(is_manifest ? input_manifest(source, entry.size)
                    : input_file(source, target, &entry, piece));
    return input_read(source, block, (size_t)backup_tar_padding(entry.size));
}

static err_t
stream_read(struct restore_source *source, struct restore_target *target, char *piece)
{
    bool end = false;
    (void)snprintf(source->name, sizeof(source->name), "standard input");
    while (!end) {
        TRY(input_entry(source, target, piece, &end));
    }
    if (source->manifest.count == 0) {
        return backup_fail(
            source->message,
            ERR_INVALID,
            "standard input: there is no " BACKUP_MANIFEST_NAME " in it: no backup");
    }
    if (source->manifest.documents && source->manifest.made_ns > source->until_ns) {
        return backup_fail(
            source->message, ERR_NOT_FOUND, "standard input: the backup is later than --until");
    }
    return ERR_OK;
}

/* -------------------------------------------------------------------------------------- a folder
 */

static err_t
points_of(struct restore_source *source, char out[OS_PATH_SIZE])
{
    int length = snprintf(out, OS_PATH_SIZE, "%s/points", source->from);
    return length > 0 && length < OS_PATH_SIZE
               ? ERR_OK
               : backup_fail(source->message, ERR_RANGE, "--from: the path is too long");
}

static err_t
manifest_load(struct restore_source *source, const char *points)
{
    backup_manifest_release(&source->manifest);
    return backup_folder_manifest(
        os_disk_real(),
        points,
        source->name,
        &source->manifest,
        source->message,
        sizeof(source->message));
}

static err_t
none_before(struct restore_source *source, const char *points)
{
    char oldest[BACKUP_POINT_NAME_SIZE];
    if (backup_folder_oldest(os_disk_real(), points, 0, oldest) == ERR_OK) {
        return backup_fail(
            source->message,
            ERR_NOT_FOUND,
            "%s: the oldest backup in it is of %s, later than --until",
            source->from,
            oldest);
    }
    return backup_fail(
        source->message, ERR_NOT_FOUND, "%s: there is no backup in it", source->from);
}

static err_t
choose(struct restore_source *source, const char *points)
{
    struct os_disk *disk = os_disk_real();
    /* The newest says whether there are documents; that does not change within a folder. */
    err_t code = backup_folder_newest(disk, points, UINT64_MAX, source->name);
    if (code != ERR_OK) {
        return none_before(source, points);
    }
    TRY(manifest_load(source, points));
    if (source->until_ns == UINT64_MAX) {
        return ERR_OK;
    }
    if (source->manifest.documents) {
        code = backup_folder_newest(disk, points, source->until_ns, source->name);
        return code == ERR_OK ? manifest_load(source, points) : none_before(source, points);
    }
    code = backup_folder_oldest(disk, points, source->until_ns, source->name);
    return code == ERR_OK ? manifest_load(source, points) : ERR_OK;
}

static err_t
file_copy(
    struct restore_source *source,
    struct restore_target *target,
    struct os_file *file,
    const char *from,
    const char *path,
    char *piece)
{
    struct os_disk *disk = os_disk_real();
    uint64_t size = 0;
    err_t code = disk->ops->size(disk, file, &size);
    if (code != ERR_OK) {
        return backup_fail(source->message, code, "%s: %s", from, err_text(code));
    }
    TRY(restore_target_begin(target, backup_path_own(path), size));
    for (uint64_t at = 0; at < size; at += PIECE_SIZE) {
        size_t part = size - at < PIECE_SIZE ? (size_t)(size - at) : PIECE_SIZE;
        code = disk->ops->read(disk, file, piece, part, at);
        if (code != ERR_OK) {
            return backup_fail(source->message, code, "%s: %s", from, err_text(code));
        }
        TRY(restore_target_write(target, piece, part));
    }
    return restore_target_end(target);
}

static err_t
folder_read(struct restore_source *source, struct restore_target *target, char *piece)
{
    struct os_disk *disk = os_disk_real();
    char points[OS_PATH_SIZE];
    char from[OS_PATH_SIZE];
    TRY(points_of(source, points));
    TRY(choose(source, points));
    for (uint32_t i = 0; i < source->manifest.count; i++) {
        const char *path = source->manifest.files[i].path;
        struct os_file *file = NULL;
        int length = snprintf(from, sizeof(from), "%.700s/%s/%s", points, source->name, path);
        err_t code = length > 0 && (size_t)length < sizeof(from) ? ERR_OK : ERR_RANGE;
        if (code == ERR_OK) {
            code = disk->ops->open(disk, from, OS_OPEN_READ, false, &file, NULL);
        }
        if (code != ERR_OK) {
            return backup_fail(source->message, code, "%.700s: %s", from, err_text(code));
        }
        code = file_copy(source, target, file, from, path, piece);
        disk->ops->close(disk, file);
        if (code != ERR_OK) {
            return code;
        }
        show_progress_step(source->progress, i + 1, source->manifest.count);
    }
    return ERR_OK;
}

err_t
restore_source_read(struct restore_source *source, struct restore_target *target)
{
    char *piece = malloc(PIECE_SIZE);
    if (piece == NULL) {
        return backup_fail(source->message, ERR_MEMORY, "%s", err_text(ERR_MEMORY));
    }
    err_t code = strcmp(source->from, "-") == 0 ? stream_read(source, target, piece)
                                                : folder_read(source, target, piece);
    free(piece);
    return code;
}
