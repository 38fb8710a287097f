#include "store/archive.h"

#include "journal_run_format.h"
#include "journal_runs.h"
#include "snapshot_file.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ARCHIVE_CHUNK (UINT64_C(1) << 20)
#define MANIFEST_MAX                                                                               \
    (sizeof(struct journal_manifest_header) +                                                      \
     (size_t)JOURNAL_MANIFEST_RUNS * sizeof(struct journal_manifest_run))

struct archive {
    struct os_disk *disk;
    const char *folder;
    const char *to;
    void (*progress)(void *context, uint64_t bytes_done, uint64_t bytes_total);
    void *context;
    struct store_archive_report *report;
    struct store_error *error;
    u128 identity;
    uint64_t newest;     /* segment */
    uint64_t bytes_done; /* for the progress */
    uint64_t bytes_total;
    char *chunk;
};

static err_t
fail(const struct archive *archive, err_t code, const char *path, const char *what)
{
    return store_error_set(
        archive->error, code, "%s: %s", path, what == NULL ? err_text(code) : what);
}

static void
must_stay(struct archive *archive, uint64_t segment, const char *since)
{
    if (segment < archive->report->stay_from) {
        archive->report->stay_from = segment;
        archive->report->stay_since = since;
    }
}

/* --- what must stay --- */

struct snapshot_look {
    struct archive *archive;
    uint64_t oldest_pending; /* timestamp; 0: none */
    uint64_t begin;          /* segment */
    bool pending_found;
};

static err_t
look_header(void *context, const struct snapshot_header *header)
{
    struct snapshot_look *look = context;
    look->begin = journal_position_segment(header->begin.position);
    return header->identity == look->archive->identity ? ERR_OK : ERR_CORRUPT;
}

static err_t
look_account(void *context, const struct snapshot_account *account)
{
    (void)context;
    (void)account;
    return ERR_OK;
}

static err_t
look_pending(void *context, const struct ledger_transfer *pending)
{
    struct snapshot_look *look = context;
    if (look->oldest_pending == 0 || pending->timestamp < look->oldest_pending) {
        look->oldest_pending = pending->timestamp;
    }
    return ERR_OK;
}

/* What ends a pending transfer names it by its position: its segment must be here. */
static err_t
look_stretch(void *context, const struct journal_stretch *stretch)
{
    struct snapshot_look *look = context;
    if (look->oldest_pending != 0 && !look->pending_found &&
        stretch->transfers.last >= look->oldest_pending) {
        look->pending_found = true;
        must_stay(
            look->archive,
            journal_position_segment(stretch->start),
            "a pending transfer is in it that has not ended");
    }
    return ERR_OK;
}

static err_t
look_placed(void *context, const struct snapshot_placed *placed)
{
    (void)context; /* it was adopted: look_adopted */
    (void)placed;
    return ERR_OK;
}

/* The directory of times does not know where it is, so nobody could say which segment a query of
 * history misses. */
static err_t
look_adopted(void *context, const struct journal_adopted_entry *adopted)
{
    struct snapshot_look *look = context;
    must_stay(
        look->archive,
        journal_position_segment(adopted->position),
        "what was adopted from another shard is in it");
    return ERR_OK;
}

static err_t
snapshots_look(struct archive *archive)
{
    struct snapshot_list list = {.count = 0};
    err_t code = snapshot_list_read(archive->disk, archive->folder, &list);
    if (code == ERR_OK && list.count < SNAPSHOT_KEPT) {
        return fail(archive, ERR_NOT_FOUND, archive->folder, "fewer than two snapshots");
    }
    for (uint32_t i = 0; i < SNAPSHOT_KEPT && code == ERR_OK; i++) {
        struct snapshot_look look = {.archive = archive};
        struct snapshot_visitor visitor = {
            .header = look_header,
            .account = look_account,
            .pending = look_pending,
            .stretch = look_stretch,
            .placed = look_placed,
            .adopted = look_adopted,
            .context = &look,
        };
        TRY(snapshot_read(
            archive->disk, archive->folder, list.numbers[i], &visitor, archive->error));
        must_stay(archive, look.begin, "the older of the two snapshots begins in it");
    }
    return code == ERR_OK ? ERR_OK : fail(archive, code, archive->folder, NULL);
}

static err_t
index_look(struct archive *archive)
{
    char path[JOURNAL_RUN_PATH_SIZE];
    int length =
        snprintf(path, sizeof(path), "%s/index/%s", archive->folder, JOURNAL_MANIFEST_NAME);
    if (length <= 0 || (size_t)length >= sizeof(path)) {
        return fail(archive, ERR_RANGE, archive->folder, "the path is too long");
    }
    char *content = NULL;
    size_t size = 0;
    err_t code = os_file_load(archive->disk, path, MANIFEST_MAX, &content, &size);
    if (code == ERR_NOT_FOUND) {
        must_stay(archive, 1, "the index of ids is not on the disk yet");
        return ERR_OK;
    }
    if (code != ERR_OK) {
        return fail(archive, code, path, NULL);
    }
    struct journal_manifest_header header;
    const struct journal_manifest_run *named = NULL;
    const char *reason = NULL;
    code = journal_manifest_decode(content, size, &header, &named, &reason);
    free(content);
    if (code != ERR_OK) {
        return fail(archive, code, path, reason);
    }
    if (header.identity != archive->identity) {
        return fail(archive, ERR_CORRUPT, path, "of another ledger");
    }
    /* What is not covered a start tells the index again. */
    uint64_t segment = journal_position_segment(header.covered);
    must_stay(archive, segment == 0 ? 1 : segment, "the index of ids does not have all of it yet");
    return ERR_OK;
}

/* --- one segment --- */

static err_t
copy_content(struct archive *archive, struct os_file *from, struct os_file *to, uint64_t size)
{
    struct os_disk *disk = archive->disk;
    for (uint64_t offset = 0; offset < size;) {
        uint64_t part = size - offset < ARCHIVE_CHUNK ? size - offset : ARCHIVE_CHUNK;
        TRY(disk->ops->read(disk, from, archive->chunk, part, offset));
        TRY(disk->ops->write(disk, to, archive->chunk, part, offset));
        offset += part;
        if (archive->progress != NULL) {
            archive->progress(archive->context, archive->bytes_done + offset, archive->bytes_total);
        }
    }
    return disk->ops->sync(disk, to);
}

/* Under a temporary name, so that what has its own name is whole. */
static err_t
copy_segment(struct archive *archive, const char *from, const char *to, uint64_t size)
{
    struct os_disk *disk = archive->disk;
    char temporary[JOURNAL_PATH_SIZE];
    int length = snprintf(temporary, sizeof(temporary), "%s/segment.tmp", archive->to);
    if (length <= 0 || (size_t)length >= sizeof(temporary)) {
        return ERR_RANGE;
    }
    err_t code = disk->ops->remove(disk, temporary);
    if (code != ERR_OK && code != ERR_NOT_FOUND) {
        return code;
    }
    struct os_file *source = NULL;
    struct os_file *target = NULL;
    TRY(disk->ops->open(disk, from, OS_OPEN_READ, false, &source, NULL));
    code = disk->ops->open(disk, temporary, OS_OPEN_CREATE, true, &target, NULL);
    if (code == ERR_OK) {
        code = copy_content(archive, source, target, size);
        disk->ops->close(disk, target);
    }
    disk->ops->close(disk, source);
    if (code == ERR_OK) {
        code = disk->ops->rename(disk, temporary, to);
    }
    if (code == ERR_OK) {
        code = disk->ops->sync_folder(disk, archive->to);
    }
    if (code != ERR_OK) {
        err_t ignored = disk->ops->remove(disk, temporary);
        (void)ignored;
    }
    return code;
}

static err_t
header_read(
    struct archive *archive,
    const char *folder,
    uint64_t number,
    char path[JOURNAL_PATH_SIZE],
    struct journal_segment_header *ret_header,
    const char **ret_reason)
{
    struct os_disk *disk = archive->disk;
    struct os_file *file = NULL;
    if (!journal_segment_path(folder, number, path)) {
        return ERR_RANGE;
    }
    TRY(disk->ops->open(disk, path, OS_OPEN_READ, false, &file, NULL));
    err_t code = disk->ops->read(disk, file, archive->chunk, JOURNAL_BLOCK, 0);
    disk->ops->close(disk, file);
    return code == ERR_OK ? journal_segment_decode(archive->chunk, ret_header, ret_reason) : code;
}

/* What the header of the segment behind `number` says of it. That one may have been moved already,
 * if this one was put back. */
static err_t
next_header(struct archive *archive, uint64_t number, struct journal_segment_header *ret_header)
{
    char path[JOURNAL_PATH_SIZE] = "";
    const char *reason = NULL;
    err_t code = header_read(archive, archive->folder, number + 1, path, ret_header, &reason);
    if (code == ERR_NOT_FOUND) {
        code = header_read(archive, archive->to, number + 1, path, ret_header, &reason);
    }
    if (code == ERR_OK && ret_header->identity != archive->identity) {
        return fail(archive, ERR_CORRUPT, path, "of another ledger");
    }
    return code == ERR_OK ? ERR_OK : fail(archive, code, path, reason);
}

/* Reads the copy: every frame is whole, and its last one is the one that the next segment names. So
 * all of it is what it was (JOURNAL-3). */
static err_t
prove_copy(struct archive *archive, uint64_t number, const char *path)
{
    struct journal_segment_header next = {0};
    TRY(next_header(archive, number, &next));
    struct journal_visitor nobody = {0};
    struct journal_scan scan = {
        .disk = archive->disk,
        .folder = archive->to,
        .visitor = &nobody,
        .error = archive->error,
        .links = JOURNAL_LINKS_SKIPPED,
        .from = journal_position(number, JOURNAL_BLOCK),
        .opened = true,
        .identity = archive->identity,
        .newest = number,
    };
    err_t code = journal_scan_run(&scan);
    bool proved = code == ERR_OK && scan.torn_end <= scan.end && scan.end == next.previous_end &&
                  scan.chain == next.chain && scan.sequence + 1 == next.first_sequence;
    journal_scan_release(&scan);
    if (code == ERR_OK && !proved) {
        return fail(archive, ERR_CORRUPT, path, "not the segment that the next one follows");
    }
    return code;
}

static err_t
size_of(struct archive *archive, const char *path, uint64_t *ret_size)
{
    struct os_file *file = NULL;
    TRY(archive->disk->ops->open(archive->disk, path, OS_OPEN_READ, false, &file, NULL));
    err_t code = archive->disk->ops->size(archive->disk, file, ret_size);
    archive->disk->ops->close(archive->disk, file);
    return code;
}

/* A copy that is there already, from a run that was interrupted, is proved like a new one. */
static err_t
move_segment(struct archive *archive, uint64_t number)
{
    struct os_disk *disk = archive->disk;
    char from[JOURNAL_PATH_SIZE];
    char to[JOURNAL_PATH_SIZE];
    uint64_t size = 0;
    uint64_t copied = 0;
    if (!journal_segment_path(archive->folder, number, from) ||
        !journal_segment_path(archive->to, number, to)) {
        return fail(archive, ERR_RANGE, archive->to, "the path is too long");
    }
    err_t code = size_of(archive, from, &size);
    if (code == ERR_NOT_FOUND) {
        return ERR_OK; /* it was moved before */
    }
    if (code == ERR_OK) {
        code = size_of(archive, to, &copied);
        if (code == ERR_NOT_FOUND) {
            code = copy_segment(archive, from, to, size);
        } else if (code == ERR_OK && copied != size) {
            return fail(archive, ERR_EXISTS, to, "another file is there");
        }
    }
    if (code != ERR_OK) {
        return fail(archive, code, to, NULL);
    }
    TRY(prove_copy(archive, number, to));
    code = disk->ops->sync_folder(disk, archive->to);
    if (code == ERR_OK) {
        code = disk->ops->remove(disk, from);
    }
    if (code == ERR_OK) {
        code = disk->ops->sync_folder(disk, archive->folder);
    }
    if (code != ERR_OK) {
        return fail(archive, code, from, NULL);
    }
    archive->bytes_done += size;
    archive->report->segments++;
    archive->report->bytes += size;
    return ERR_OK;
}

/* --- all of them --- */

static err_t
archive_look(struct archive *archive)
{
    struct journal_visitor nobody = {0};
    struct journal_scan scan = {
        .disk = archive->disk,
        .folder = archive->folder,
        .visitor = &nobody,
        .error = archive->error,
    };
    err_t code = journal_scan_open(&scan);
    bool empty = scan.empty;
    archive->identity = scan.identity;
    archive->newest = scan.newest;
    journal_scan_release(&scan);
    TRY(code);
    if (empty) {
        return fail(archive, ERR_NOT_FOUND, archive->folder, "there is no journal");
    }
    archive->report->stay_from = archive->newest;
    archive->report->stay_since = "it is the newest";
    TRY(snapshots_look(archive));
    return index_look(archive);
}

static err_t
archive_move(struct archive *archive)
{
    for (uint64_t number = 1; number < archive->report->stay_from; number++) {
        char path[JOURNAL_PATH_SIZE];
        uint64_t size = 0;
        if (journal_segment_path(archive->folder, number, path) &&
            size_of(archive, path, &size) == ERR_OK) {
            archive->bytes_total += size;
        }
    }
    for (uint64_t number = 1; number < archive->report->stay_from; number++) {
        TRY(move_segment(archive, number));
    }
    return ERR_OK;
}

static err_t
lock_take(struct archive *archive, struct os_file **ret_lock)
{
    struct os_disk *disk = archive->disk;
    char path[JOURNAL_PATH_SIZE];
    int length = snprintf(path, sizeof(path), "%s/lock", archive->to);
    if (length <= 0 || (size_t)length >= sizeof(path)) {
        return fail(archive, ERR_RANGE, archive->to, "the path is too long");
    }
    err_t code = disk->ops->open(disk, path, OS_OPEN_WRITE, false, ret_lock, NULL);
    if (code == ERR_NOT_FOUND) {
        code = disk->ops->open(disk, path, OS_OPEN_CREATE, false, ret_lock, NULL);
    }
    if (code == ERR_OK) {
        code = disk->ops->lock(disk, *ret_lock);
    }
    return code == ERR_OK ? ERR_OK : fail(archive, code, path, NULL);
}

err_t
store_archive(
    const char *url,
    struct os_disk *disk,
    const char *to,
    const struct store_archive_watcher *watcher,
    struct store_archive_report *ret_report,
    struct store_error *error)
{
    *error = (struct store_error){0};
    *ret_report = (struct store_archive_report){0};
    if (!span_starts_with(span_from_cstr(url), SPAN("journal:"))) {
        return store_error_set(error, ERR_UNSUPPORTED, "%s: only journals have segments", url);
    }
    struct archive archive = {
        .disk = disk,
        .folder = url + strlen("journal:"),
        .to = to,
        .progress = watcher == NULL ? NULL : watcher->progress,
        .context = watcher == NULL ? NULL : watcher->context,
        .report = ret_report,
        .error = error,
        .chunk = aligned_alloc(JOURNAL_BLOCK, ARCHIVE_CHUNK),
    };
    if (archive.chunk == NULL) {
        return store_error_set(error, ERR_MEMORY, "%s", err_text(ERR_MEMORY));
    }
    struct os_file *lock = NULL;
    err_t code = archive_look(&archive);
    if (code == ERR_OK) {
        code = lock_take(&archive, &lock);
    }
    if (code == ERR_OK) {
        code = archive_move(&archive);
    }
    if (lock != NULL) {
        disk->ops->close(disk, lock);
    }
    free(archive.chunk);
    return code;
}
