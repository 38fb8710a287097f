#include "store/copy.h"

#include "journal_lock.h"
#include "journal_tail.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CLEAR_SIZE (UINT64_C(1) << 20)

struct store_copy {
    struct journal_tail tail;
    char folder[JOURNAL_PATH_SIZE];
};

err_t
store_copy_open(
    const char *url, struct os_disk *disk, struct store_copy **ret_copy, struct store_error *error)
{
    *error = (struct store_error){0};
    const char *folder = journal_folder_of(url, error);
    if (folder == NULL) {
        return error->code;
    }
    struct store_copy *copy = calloc(1, sizeof(*copy));
    if (copy == NULL) {
        return store_error_set(error, ERR_MEMORY, "%s", err_text(ERR_MEMORY));
    }
    int length = snprintf(copy->folder, sizeof(copy->folder), "%s", folder);
    err_t code = ERR_OK;
    if (length <= 0 || (size_t)length >= sizeof(copy->folder)) {
        code = store_error_set(error, ERR_RANGE, "%s: the path is too long", folder);
    }
    copy->tail.disk = disk;
    copy->tail.folder = copy->folder;
    copy->tail.error = error;
    if (code == ERR_OK) {
        code = journal_tail_begin(&copy->tail);
    }
    if (code == ERR_OK) {
        code = journal_tail_advance(&copy->tail);
    }
    if (code != ERR_OK) {
        store_copy_close(&copy);
        return code;
    }
    *ret_copy = copy;
    return ERR_OK;
}

void
store_copy_close(struct store_copy **copy)
{
    if (*copy != NULL) {
        journal_tail_release(&(*copy)->tail);
        free(*copy);
        *copy = NULL;
    }
}

err_t
store_copy_cut(struct store_copy *copy, struct store_head *ret_head, struct store_error *error)
{
    *error = (struct store_error){0};
    copy->tail.error = error;
    TRY(journal_tail_advance(&copy->tail));
    *ret_head = copy->tail.head;
    return ERR_OK;
}

void
store_copy_extent(const struct store_copy *copy, struct store_copy_extent *ret_extent)
{
    *ret_extent = (struct store_copy_extent){
        .newest = copy->tail.segment,
        .newest_used = copy->tail.end,
        .newest_size = copy->tail.segment_size,
    };
}

/* ERR_CORRUPT: the file is not the segment of this number of this ledger. */
static err_t
segment_is_own(struct store_copy *copy, struct os_file *file, uint64_t number)
{
    _Alignas(16) char block[JOURNAL_BLOCK];
    struct journal_segment_header header;
    const char *reason = NULL;
    TRY(copy->tail.disk->ops->read(copy->tail.disk, file, block, sizeof(block), 0));
    TRY(journal_segment_decode(block, &header, &reason));
    return header.identity == copy->tail.identity && header.number == number ? ERR_OK : ERR_CORRUPT;
}

err_t
store_copy_segment(
    struct store_copy *copy,
    const char *archive,
    uint64_t number,
    struct store_copy_segment *ret_segment,
    struct store_error *error)
{
    struct os_disk *disk = copy->tail.disk;
    char *path = ret_segment->path;
    struct journal_segment_file found;
    *error = (struct store_error){0};
    err_t code = journal_segment_open(disk, copy->folder, archive, number, &found);
    ret_segment->file = found.file;
    memcpy(path, found.path, sizeof(found.path));
    if (code == ERR_RANGE) {
        return store_error_set(error, code, "%s: the path is too long", path);
    }
    if (code == ERR_NOT_FOUND) {
        bool is_here = archive == NULL || archive[0] == '\0';
        return store_error_set(
            error, ERR_ARCHIVED, "%s: the segment is missing%s", path, is_here ? "" : " here, too");
    }
    if (code == ERR_OK && found.is_archived) {
        code = segment_is_own(copy, ret_segment->file, number);
        if (code != ERR_OK) {
            disk->ops->close(disk, ret_segment->file);
            ret_segment->file = NULL;
        }
    }
    if (code == ERR_CORRUPT) {
        return store_error_set(
            error, code, "%s: of another ledger, or not the segment of its name", path);
    }
    return code == ERR_OK ? ERR_OK : store_error_set(error, code, "%s: %s", path, err_text(code));
}

/* The digest of the frame at the head's place says it all. A head of version 1 has none of a single
 * frame: no copy ends there, since a server that has it open begins version 2. */
err_t
store_copy_passes(
    struct store_copy *copy,
    const char *archive,
    const struct store_head *head,
    bool *ret_passes,
    struct store_error *error)
{
    struct os_disk *disk = copy->tail.disk;
    struct store_copy_segment segment;
    _Alignas(16) char bytes[sizeof(struct journal_frame_header)];
    struct journal_frame_header header;
    uint8_t digest[JOURNAL_DIGEST_SIZE];
    *ret_passes = head->sequence == 0;
    *error = (struct store_error){0};
    if (*ret_passes || head->segment == 0 || head->segment > copy->tail.segment) {
        return ERR_OK;
    }
    TRY(store_copy_segment(copy, archive, head->segment, &segment, error));
    err_t code = disk->ops->read(disk, segment.file, bytes, sizeof(bytes), head->offset);
    disk->ops->close(disk, segment.file);
    if (code == ERR_INCOMPLETE) {
        return ERR_OK;
    }
    if (code == ERR_OK) {
        code = store_digest_of(copy->tail.digester, bytes, sizeof(bytes), digest);
    }
    if (code != ERR_OK) {
        return store_error_set(error, code, "%s: %s", segment.path, err_text(code));
    }
    *ret_passes = journal_frame_peek(bytes, &header) && header.sequence == head->sequence &&
                  memcmp(digest, head->digest, sizeof(digest)) == 0;
    return ERR_OK;
}

void
store_segment_name(uint64_t number, char out[STORE_SEGMENT_NAME_SIZE])
{
    ASSERT(number > 0);
    ASSERT(number <= JOURNAL_SEGMENTS_MAX);
    (void)snprintf(out, STORE_SEGMENT_NAME_SIZE, "%08" PRIu64 ".log", number);
}

/* --- cutting at a moment --- */

struct cut {
    struct journal_visitor visitor;
    struct journal_scan scan;
    uint64_t until_ns;
    struct store_head head; /* of the last frame that stays */
    uint64_t end;           /* behind it */
};

/* The ledger's clock never goes back from frame to frame, so the last that fits is the end. */
static err_t
cut_frame_end(void *context, const struct journal_frame_header *header)
{
    struct cut *cut = context;
    if (cut->scan.clock <= cut->until_ns) {
        cut->head = (struct store_head){
            .sequence = header->sequence,
            .segment = cut->scan.segment,
            .offset = cut->scan.end,
            .timestamp = cut->scan.clock,
        };
        memcpy(cut->head.digest, cut->scan.digest, sizeof(cut->head.digest));
        cut->end = cut->scan.end + header->size;
    }
    return ERR_OK;
}

static err_t
later_segments_remove(struct os_disk *disk, const char *folder, uint64_t kept, uint64_t newest)
{
    for (uint64_t number = newest; number > kept; number--) {
        char path[JOURNAL_PATH_SIZE];
        if (!journal_segment_path(folder, number, path)) {
            return ERR_RANGE;
        }
        TRY(disk->ops->remove(disk, path));
    }
    return ERR_OK;
}

static err_t
segment_clear(struct os_disk *disk, const char *folder, uint64_t number, uint64_t from)
{
    char path[JOURNAL_PATH_SIZE];
    struct os_file *file = NULL;
    uint64_t size = 0;
    if (!journal_segment_path(folder, number, path)) {
        return ERR_RANGE;
    }
    char *zeros = calloc(1, CLEAR_SIZE);
    if (zeros == NULL) {
        return ERR_MEMORY;
    }
    err_t code = disk->ops->open(disk, path, OS_OPEN_WRITE, false, &file, NULL);
    if (code == ERR_OK) {
        code = disk->ops->size(disk, file, &size);
    }
    for (uint64_t at = from; code == ERR_OK && at < size; at += CLEAR_SIZE) {
        uint64_t part = size - at < CLEAR_SIZE ? size - at : CLEAR_SIZE;
        code = disk->ops->write(disk, file, zeros, part, at);
    }
    if (code == ERR_OK) {
        code = disk->ops->sync(disk, file);
    }
    if (file != NULL) {
        disk->ops->close(disk, file);
    }
    free(zeros);
    return code;
}

err_t
store_copy_cut_at(
    const char *url,
    struct os_disk *disk,
    uint64_t until_ns,
    struct store_head *ret_head,
    struct store_error *error)
{
    *error = (struct store_error){0};
    const char *folder = journal_folder_of(url, error);
    if (folder == NULL) {
        return error->code;
    }
    struct cut cut = {.until_ns = until_ns};
    cut.visitor = (struct journal_visitor){
        .frame_end = cut_frame_end,
        .context = &cut,
    };
    cut.scan = (struct journal_scan){
        .disk = disk, .folder = folder, .visitor = &cut.visitor, .proves = true, .error = error};
    struct os_file *lock = NULL;
    err_t code = journal_lock_existing(disk, folder, &lock, error);
    if (code == ERR_OK) {
        code = journal_scan_run(&cut.scan);
    }
    if (code == ERR_OK && cut.head.sequence == 0) {
        code = store_error_set(
            error, ERR_NOT_FOUND, "%s: everything in it is later than that time", folder);
    }
    if (code == ERR_OK) {
        code = later_segments_remove(disk, folder, cut.head.segment, cut.scan.segment);
        code = code != ERR_OK ? code : segment_clear(disk, folder, cut.head.segment, cut.end);
        code = code != ERR_OK ? code : disk->ops->sync_folder(disk, folder);
        if (code != ERR_OK) {
            store_error_set(error, code, "%s: cutting: %s", folder, err_text(code));
        }
    }
    if (code == ERR_OK) {
        *ret_head = cut.head;
    }
    journal_scan_release(&cut.scan);
    if (lock != NULL) {
        disk->ops->close(disk, lock);
    }
    return code;
}
