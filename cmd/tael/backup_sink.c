#include "backup_sink.h"

#include "backup_folder.h"
#include "backup_tar.h"

#include "base/assert.h"
#include "os/clock.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ZEROS_SIZE 65536

static const char zeros[ZEROS_SIZE];

/* --- standard output --- */

static err_t
stream_write(struct backup_sink *sink, const void *data, size_t size)
{
    if (fwrite(data, 1, size, stdout) == size) {
        return ERR_OK;
    }
    err_t code = err_from_errno(errno);
    return backup_fail(
        sink->message,
        code,
        "standard output: %s",
        code == ERR_CLOSED ? "whoever read it has closed it" : err_text(code));
}

static err_t
stream_zeros(struct backup_sink *sink, uint64_t size)
{
    while (size > 0) {
        size_t part = size < ZEROS_SIZE ? (size_t)size : ZEROS_SIZE;
        TRY(stream_write(sink, zeros, part));
        size -= part;
    }
    return ERR_OK;
}

static err_t
stream_begin(struct backup_sink *sink, const char *path, uint64_t size)
{
    struct backup_tar_entry entry = {.kind = BACKUP_TAR_FILE, .size = size};
    char block[BACKUP_TAR_BLOCK];
    (void)snprintf(entry.path, sizeof(entry.path), "%s", path);
    backup_tar_encode(&entry, sink->manifest.made_ns / OS_NS_PER_S, block);
    return stream_write(sink, block, sizeof(block));
}

/* --- opening --- */

/* The first bytes of a path. */
static void
first_of(const char *path, size_t size, char out[OS_PATH_SIZE])
{
    ASSERT(size < OS_PATH_SIZE);
    memcpy(out, path, size);
    out[size] = '\0';
}

static err_t
make_folder(struct backup_sink *sink, const char *path)
{
    err_t code = sink->disk->ops->make_folder(sink->disk, path);
    return code == ERR_OK ? ERR_OK : backup_fail_at(sink->message, code, path);
}

static err_t
lock_take(struct backup_sink *sink)
{
    char path[OS_PATH_SIZE];
    struct os_disk *disk = sink->disk;
    TRY(backup_place(sink->message, sink->to, path, "%s/%s", sink->to, "lock"));
    err_t code = disk->ops->open(disk, path, OS_OPEN_CREATE, false, &sink->lock, NULL);
    if (code == ERR_EXISTS) {
        code = disk->ops->open(disk, path, OS_OPEN_WRITE, false, &sink->lock, NULL);
    }
    if (code == ERR_OK) {
        code = disk->ops->lock(disk, sink->lock);
    }
    return code == ERR_OK ? ERR_OK : backup_fail_at(sink->message, code, path);
}

struct content {
    bool is_backup;
    bool has_other;
};

static void
see_name(void *context, const char *name)
{
    struct content *content = context;
    struct span text = span_from_cstr(name);
    if (span_equal_cstr(text, "points")) {
        content->is_backup = true;
    } else if (!span_equal_cstr(text, "ledger") && !span_equal_cstr(text, "lock")) {
        content->has_other = true;
    }
}

/* A folder of somebody else is left alone: it could be the data folder itself. */
static err_t
folder_adopt(struct backup_sink *sink)
{
    struct content content = {false, false};
    TRY(make_folder(sink, sink->to));
    err_t code = sink->disk->ops->list(sink->disk, sink->to, see_name, &content);
    if (code != ERR_OK) {
        return backup_fail_at(sink->message, code, sink->to);
    }
    if (content.has_other && !content.is_backup) {
        return backup_fail(
            sink->message, ERR_INVALID, "%s: there are other things than backups in it", sink->to);
    }
    return ERR_OK;
}

static err_t
folder_open(struct backup_sink *sink)
{
    char path[OS_PATH_SIZE];
    TRY(folder_adopt(sink));
    TRY(lock_take(sink));
    TRY(backup_place(sink->message, sink->to, path, "%s/%s", sink->to, "ledger"));
    TRY(make_folder(sink, path));
    TRY(backup_place(sink->message, sink->to, path, "%s/%s", sink->to, "points"));
    TRY(make_folder(sink, path));
    err_t code = backup_folder_clean(sink->disk, path);
    if (code != ERR_OK) {
        return backup_fail(
            sink->message,
            code,
            "%s: removing what an interrupted backup left: %s",
            path,
            err_text(code));
    }
    char newest[BACKUP_POINT_NAME_SIZE];
    code = backup_folder_newest(sink->disk, path, UINT64_MAX, newest);
    if (code == ERR_OK) {
        code = backup_folder_manifest(
            sink->disk, path, newest, &sink->before, sink->message, sizeof(sink->message));
        if (code != ERR_OK) {
            return code;
        }
    } else if (code != ERR_NOT_FOUND) {
        return backup_fail_at(sink->message, code, path);
    }
    return ERR_OK;
}

err_t
backup_sink_start(struct backup_sink *sink)
{
    if (sink->is_stream) {
        return ERR_OK;
    }
    backup_folder_name(sink->manifest.made_ns, sink->name);
    TRY(backup_place(
        sink->message,
        sink->to,
        sink->folder,
        "%s/points/%s" BACKUP_UNFINISHED,
        sink->to,
        sink->name));
    return make_folder(sink, sink->folder);
}

err_t
backup_sink_open(struct backup_sink *sink, const char *to)
{
    *sink = (struct backup_sink){.disk = os_disk_real(), .is_stream = strcmp(to, "-") == 0};
    int length = snprintf(sink->to, sizeof(sink->to), "%s", to);
    if (length <= 0 || (size_t)length >= sizeof(sink->to)) {
        return backup_fail(sink->message, ERR_RANGE, "--to: the path is empty or too long");
    }
    return sink->is_stream ? ERR_OK : folder_open(sink);
}

/* --- files --- */

err_t
backup_sink_reuse(struct backup_sink *sink, const char *path, bool *ret_reused)
{
    char listed[BACKUP_PATH_SIZE];
    (void)snprintf(listed, sizeof(listed), BACKUP_SHARED "%s", path);
    const struct backup_file *file = backup_manifest_find(&sink->before, listed);
    *ret_reused = file != NULL;
    if (file == NULL) {
        return ERR_OK;
    }
    err_t code = backup_manifest_add(&sink->manifest, listed, file->digest);
    return code == ERR_OK ? ERR_OK : backup_fail_at(sink->message, code, path);
}

/* DIR/points/NAME.tmp/FOLDER/FILE, with its folder; or DIR/ledger/FILE.tmp */
static err_t
file_create(struct backup_sink *sink, const char *path)
{
    struct os_disk *disk = sink->disk;
    const char *slash = strchr(path, '/');
    if (sink->is_shared) {
        TRY(backup_place(
            sink->message, sink->to, sink->path, "%s/%s" BACKUP_UNFINISHED, sink->to, path));
        err_t code = disk->ops->remove(disk, sink->path);
        if (code != ERR_OK && code != ERR_NOT_FOUND) {
            return backup_fail_at(sink->message, code, sink->path);
        }
    } else {
        if (slash != NULL) {
            char folder[OS_PATH_SIZE];
            first_of(path, (size_t)(slash - path), folder);
            TRY(backup_place(sink->message, sink->to, sink->path, "%s/%s", sink->folder, folder));
            TRY(make_folder(sink, sink->path));
        }
        TRY(backup_place(sink->message, sink->to, sink->path, "%s/%s", sink->folder, path));
    }
    err_t code = disk->ops->open(disk, sink->path, OS_OPEN_CREATE, false, &sink->file, NULL);
    return code == ERR_OK ? ERR_OK : backup_fail_at(sink->message, code, sink->path);
}

err_t
backup_sink_begin(struct backup_sink *sink, const char *path, uint64_t size, bool is_shared)
{
    ASSERT(sink->digest == NULL);
    ASSERT(backup_path_is_sound(span_from_cstr(path)));
    sink->is_shared = is_shared && !sink->is_stream;
    sink->size = size;
    sink->done = 0;
    (void)snprintf(
        sink->listed, sizeof(sink->listed), "%s%s", sink->is_shared ? BACKUP_SHARED : "", path);
    err_t code = store_digest_create(&sink->digest);
    if (code != ERR_OK) {
        return backup_fail_at(sink->message, code, path);
    }
    return sink->is_stream ? stream_begin(sink, path, size) : file_create(sink, path);
}

err_t
backup_sink_write(struct backup_sink *sink, const void *data, size_t size)
{
    ASSERT(sink->done + size <= sink->size);
    struct os_disk *disk = sink->disk;
    err_t code = store_digest_add(sink->digest, data, size);
    if (code != ERR_OK) {
        return backup_fail_at(sink->message, code, sink->listed);
    }
    if (sink->is_stream) {
        TRY(stream_write(sink, data, size));
    } else {
        code = disk->ops->write(disk, sink->file, data, size, sink->done);
        if (code != ERR_OK) {
            return backup_fail_at(sink->message, code, sink->path);
        }
    }
    sink->done += size;
    return ERR_OK;
}

/* Into the digest, as if they were written: a file of a folder has a hole there. */
static err_t
zeros_add(struct backup_sink *sink)
{
    while (sink->done < sink->size) {
        uint64_t rest = sink->size - sink->done;
        size_t part = rest < ZEROS_SIZE ? (size_t)rest : ZEROS_SIZE;
        err_t code = store_digest_add(sink->digest, zeros, part);
        if (code != ERR_OK) {
            return backup_fail_at(sink->message, code, sink->listed);
        }
        if (sink->is_stream) {
            TRY(stream_write(sink, zeros, part));
        }
        sink->done += part;
    }
    return ERR_OK;
}

/* The folder that a path is in is synced, and its own name there. */
static err_t
folder_sync(struct backup_sink *sink, const char *path)
{
    char folder[OS_PATH_SIZE];
    const char *slash = strrchr(path, '/');
    ASSERT(slash != NULL);
    first_of(path, (size_t)(slash - path), folder);
    err_t code = sink->disk->ops->sync_folder(sink->disk, folder);
    return code == ERR_OK ? ERR_OK : backup_fail_at(sink->message, code, folder);
}

static err_t
file_close(struct backup_sink *sink)
{
    struct os_disk *disk = sink->disk;
    err_t code = disk->ops->truncate(disk, sink->file, sink->size);
    if (code == ERR_OK) {
        code = disk->ops->sync(disk, sink->file);
    }
    disk->ops->close(disk, sink->file);
    sink->file = NULL;
    if (code == ERR_OK && sink->is_shared) {
        char name[OS_PATH_SIZE];
        first_of(sink->path, strlen(sink->path) - strlen(BACKUP_UNFINISHED), name);
        code = disk->ops->rename(disk, sink->path, name);
    }
    if (code != ERR_OK) {
        return backup_fail_at(sink->message, code, sink->path);
    }
    return folder_sync(sink, sink->path);
}

err_t
backup_sink_end(struct backup_sink *sink)
{
    uint8_t digest[STORE_DIGEST_SIZE];
    TRY(zeros_add(sink));
    err_t code = store_digest_so_far(sink->digest, digest);
    store_digest_destroy(&sink->digest);
    if (code != ERR_OK) {
        return backup_fail_at(sink->message, code, sink->listed);
    }
    if (sink->is_stream) {
        TRY(stream_zeros(sink, backup_tar_padding(sink->size)));
    } else {
        TRY(file_close(sink));
    }
    code = backup_manifest_add(&sink->manifest, sink->listed, digest);
    return code == ERR_OK ? ERR_OK : backup_fail_at(sink->message, code, sink->listed);
}

/* --- the end --- */

static err_t
stream_finish(struct backup_sink *sink, const struct buf *text)
{
    TRY(stream_begin(sink, BACKUP_MANIFEST_NAME, text->size));
    TRY(stream_write(sink, text->data, text->size));
    TRY(stream_zeros(sink, backup_tar_padding(text->size)));
    TRY(stream_zeros(sink, 2 * (uint64_t)BACKUP_TAR_BLOCK));
    if (fflush(stdout) != 0) {
        return backup_fail_at(sink->message, err_from_errno(errno), "standard output");
    }
    return ERR_OK;
}

static err_t
folder_finish(struct backup_sink *sink, const struct buf *text)
{
    struct os_disk *disk = sink->disk;
    char name[OS_PATH_SIZE];
    err_t code = os_file_save(disk, sink->folder, BACKUP_MANIFEST_NAME, buf_span(text));
    if (code != ERR_OK) {
        return backup_fail_at(sink->message, code, sink->folder);
    }
    first_of(sink->folder, strlen(sink->folder) - strlen(BACKUP_UNFINISHED), name);
    code = disk->ops->rename(disk, sink->folder, name);
    if (code != ERR_OK) {
        return backup_fail_at(sink->message, code, name);
    }
    memcpy(sink->folder, name, sizeof(name));
    TRY(folder_sync(sink, name));
    /* "points" and "ledger" have names that must last, too. */
    code = disk->ops->sync_folder(disk, sink->to);
    return code == ERR_OK ? ERR_OK : backup_fail_at(sink->message, code, sink->to);
}

err_t
backup_sink_finish(struct backup_sink *sink)
{
    struct buf text;
    buf_init(&text, BACKUP_MANIFEST_SIZE_MAX);
    backup_manifest_write(&sink->manifest, &text);
    err_t code = buf_failed(&text) ? backup_fail_at(sink->message, ERR_MEMORY, BACKUP_MANIFEST_NAME)
                                   : ERR_OK;
    if (code == ERR_OK) {
        code = sink->is_stream ? stream_finish(sink, &text) : folder_finish(sink, &text);
    }
    buf_release(&text);
    return code;
}

void
backup_sink_abort(struct backup_sink *sink)
{
    struct os_disk *disk = sink->disk;
    if (sink->file != NULL) {
        disk->ops->close(disk, sink->file);
        sink->file = NULL;
    }
    if (sink->is_shared && sink->path[0] != '\0') {
        /* It is done already if the file was whole. */
        err_t ignored = disk->ops->remove(disk, sink->path);
        (void)ignored;
    }
    bool unfinished = span_ends_with(span_from_cstr(sink->folder), SPAN(BACKUP_UNFINISHED));
    if (unfinished) {
        /* What cannot be removed now, the next backup removes. */
        err_t ignored = backup_folder_remove(disk, sink->folder);
        (void)ignored;
    }
    store_digest_destroy(&sink->digest);
    backup_manifest_release(&sink->before);
    backup_manifest_release(&sink->manifest);
    if (sink->lock != NULL) {
        disk->ops->close(disk, sink->lock);
        sink->lock = NULL;
    }
}
