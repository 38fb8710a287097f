#include "journal_scan.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SCAN_CHUNK       (UINT64_C(1) << 20)
#define SCAN_WINDOW_SIZE (JOURNAL_FRAME_MAX + SCAN_CHUNK)

err_t
store_error_set(struct store_error *error, err_t code, const char *format, ...)
{
    if (error == NULL) {
        return code;
    }
    error->code = code;
    va_list arguments;
    va_start(arguments, format);
    /* A message that is too long is cut. The analyzer forgets va_start when it inlines. */
    // NOLINTNEXTLINE(clang-analyzer-valist.Uninitialized)
    (void)vsnprintf(error->message, sizeof(error->message), format, arguments);
    va_end(arguments);
    return code;
}

bool
journal_segment_path(const char *folder, uint64_t number, char out[JOURNAL_PATH_SIZE])
{
    int length = snprintf(out, JOURNAL_PATH_SIZE, "%s/%08" PRIu64 ".log", folder, number);
    return length > 0 && length < JOURNAL_PATH_SIZE;
}

static err_t
segment_open_in(
    struct os_disk *disk, const char *folder, uint64_t number, struct journal_segment_file *segment)
{
    if (!journal_segment_path(folder, number, segment->path)) {
        (void)snprintf(segment->path, sizeof(segment->path), "%s", folder);
        return ERR_RANGE;
    }
    return disk->ops->open(disk, segment->path, OS_OPEN_READ, false, &segment->file, NULL);
}

err_t
journal_segment_open(
    struct os_disk *disk,
    const char *folder,
    const char *archive,
    uint64_t number,
    struct journal_segment_file *ret_segment)
{
    ret_segment->file = NULL;
    ret_segment->is_archived = false;
    err_t code = segment_open_in(disk, folder, number, ret_segment);
    if (code == ERR_NOT_FOUND && archive != NULL && archive[0] != '\0') {
        code = segment_open_in(disk, archive, number, ret_segment);
        ret_segment->is_archived = code == ERR_OK;
    }
    if (code != ERR_OK) {
        ret_segment->file = NULL;
    }
    return code;
}

/* --- reading a segment --- */

/* The file's bytes [offset, offset + size), which lie within the segment; valid until the next
 * call. */
static err_t
window_get(struct journal_scan *scan, uint64_t offset, uint64_t size, const char **ret_data)
{
    ASSERT(size <= JOURNAL_FRAME_MAX);
    ASSERT(offset + size <= scan->segment_size);
    uint64_t have_end = scan->window_offset + scan->window_size;
    if (offset < scan->window_offset || offset + size > have_end) {
        uint64_t kept = 0;
        if (offset >= scan->window_offset && offset < have_end) {
            kept = have_end - offset;
            memmove(scan->window, scan->window + (offset - scan->window_offset), kept);
        }
        uint64_t want = size > SCAN_CHUNK ? size : SCAN_CHUNK;
        if (want > scan->segment_size - offset) {
            want = scan->segment_size - offset;
        }
        scan->window_offset = offset;
        scan->window_size = kept;
        if (want > kept) {
            err_t error = scan->disk->ops->read(
                scan->disk, scan->file, scan->window + kept, want - kept, offset + kept);
            if (error != ERR_OK) {
                scan->window_size = 0;
                return store_error_set(
                    scan->error,
                    error,
                    "%s: offset %" PRIu64 ": %s",
                    scan->path,
                    offset + kept,
                    err_text(error));
            }
            scan->window_size = want;
        }
        if (scan->visitor->progress != NULL) {
            scan->visitor->progress(
                scan->visitor->context, scan->bytes_done + offset, scan->bytes_total);
        }
    }
    *ret_data = scan->window + (offset - scan->window_offset);
    return ERR_OK;
}

static err_t
refuse(struct journal_scan *scan, err_t code, uint64_t offset, const char *what, const char *reason)
{
    return store_error_set(
        scan->error,
        code,
        "%s: %s at offset %" PRIu64 ": %s",
        scan->path,
        what,
        offset,
        reason == NULL ? err_text(code) : reason);
}

/* The frame at `offset`: *ret_valid says whether a whole one with a right checksum is there. */
static err_t
frame_read(
    struct journal_scan *scan,
    uint64_t offset,
    struct journal_frame_header *ret_header,
    const char **ret_frame,
    const char **ret_reason)
{
    *ret_frame = NULL;
    *ret_reason = "not a frame";
    if (offset + JOURNAL_BLOCK > scan->segment_size) {
        return ERR_OK;
    }
    const char *data = NULL;
    TRY(window_get(scan, offset, JOURNAL_BLOCK, &data));
    if (!journal_frame_peek(data, ret_header) ||
        journal_frame_version(ret_header) != scan->version ||
        ret_header->identity != scan->identity || ret_header->size > scan->segment_size - offset) {
        return ERR_OK;
    }
    TRY(window_get(scan, offset, ret_header->size, &data));
    if (journal_frame_verify(data, ret_header, ret_reason) == ERR_OK) {
        *ret_frame = data;
    }
    return ERR_OK;
}

/* A whole frame that is not the one expected here was put here by no crash. */
static const char *
frame_disorder(const struct journal_scan *scan, const struct journal_frame_header *header)
{
    if (header->sequence != scan->sequence + 1) {
        return "wrong sequence number";
    }
    if (header->previous != scan->chain) {
        return "does not follow from the frame before it";
    }
    if (scan->version > JOURNAL_VERSION_FIRST &&
        memcmp(header->digest, scan->digest, sizeof(scan->digest)) != 0) {
        return "carries another digest than that of the frame before it";
    }
    if (header->synced != scan->synced) {
        return "wrong synced position";
    }
    if (header->term < scan->term) {
        return "older term than the frame before it";
    }
    return NULL;
}

/* Where the last byte that is not zero ends, at or after `from`; `from` if all are zero. */
static err_t
nonzero_end(struct journal_scan *scan, uint64_t from, uint64_t *ret_end)
{
    *ret_end = from;
    for (uint64_t offset = from; offset < scan->segment_size;) {
        uint64_t size = scan->segment_size - offset;
        size = size > SCAN_CHUNK ? SCAN_CHUNK : size;
        const char *data = NULL;
        TRY(window_get(scan, offset, size, &data));
        if (!journal_is_zero(data, size)) {
            for (uint64_t i = size; i > 0; i--) {
                if (data[i - 1] != 0) {
                    *ret_end = offset + i;
                    break;
                }
            }
        }
        offset += size;
    }
    return ERR_OK;
}

/* Is there a whole frame of this ledger, newer than the last good one, behind a bad one? */
static err_t
later_frame(struct journal_scan *scan, uint64_t from, uint64_t until, bool *ret_found)
{
    *ret_found = false;
    uint64_t offset = from / JOURNAL_BLOCK * JOURNAL_BLOCK + JOURNAL_BLOCK;
    for (; offset < until; offset += JOURNAL_BLOCK) {
        struct journal_frame_header header;
        const char *frame = NULL;
        const char *reason = NULL;
        TRY(frame_read(scan, offset, &header, &frame, &reason));
        if (frame != NULL && header.sequence > scan->sequence) {
            *ret_found = true;
            return ERR_OK;
        }
    }
    return ERR_OK;
}

/* What follows the last good frame of the segment, which ends at scan->end. */
static err_t
scan_tail(struct journal_scan *scan, bool closed, const char *reason)
{
    TRY(nonzero_end(scan, scan->end, &scan->torn_end));
    if (scan->torn_end == scan->end) {
        return ERR_OK;
    }
    if (closed) {
        return refuse(scan, ERR_CORRUPT, scan->end, "frame", reason);
    }
    bool found = false;
    TRY(later_frame(scan, scan->end, scan->torn_end, &found));
    if (found) {
        return refuse(scan, ERR_CORRUPT, scan->end, "frame", reason);
    }
    return ERR_OK;
}

/* Is this the segment that is not read from its beginning? What follows it, even if it ends right
 * there, is. */
static bool
begins_within(const struct journal_scan *scan)
{
    return scan->adopting && scan->segment == journal_position_segment(scan->from);
}

/* The digest after a frame. */
static err_t
digest_frame(
    struct journal_scan *scan, const struct journal_frame_header *header, const char *frame)
{
    if (scan->undigested) {
        return ERR_OK;
    }
    if (scan->version == JOURNAL_VERSION_FIRST) {
        TRY(store_digest_add(scan->digester, frame, header->size));
        return scan->proves ? store_digest_so_far(scan->digester, scan->digest) : ERR_OK;
    }
    if (scan->proves) {
        uint8_t body[JOURNAL_DIGEST_SIZE];
        TRY(store_digest_of(
            scan->digester, frame + sizeof(*header), header->size - sizeof(*header), body));
        scan->visitor->reason = "the body has another digest than the header says";
        if (memcmp(body, header->body_digest, sizeof(body)) != 0) {
            return ERR_CORRUPT;
        }
    }
    return store_digest_of(scan->digester, frame, sizeof(*header), scan->digest);
}

static err_t
scan_frames(struct journal_scan *scan, bool closed)
{
    scan->end = begins_within(scan) ? journal_position_offset(scan->from) : JOURNAL_BLOCK;
    scan->last_frame = 0;
    for (;;) {
        struct journal_frame_header header;
        const char *frame = NULL;
        const char *reason = NULL;
        TRY(frame_read(scan, scan->end, &header, &frame, &reason));
        if (frame == NULL) {
            return scan_tail(scan, closed, reason);
        }
        if (scan->adopting) {
            scan->adopting = false;
            scan->undigested = scan->version == JOURNAL_VERSION_FIRST;
            memcpy(scan->digest, header.digest, sizeof(scan->digest));
            scan->sequence = header.sequence - 1;
            scan->chain = header.previous;
            scan->synced = header.synced;
            scan->term = header.term;
        }
        reason = frame_disorder(scan, &header);
        if (reason != NULL) {
            return refuse(scan, ERR_CORRUPT, scan->end, "frame", reason);
        }
        err_t error = digest_frame(scan, &header, frame);
        scan->frame = frame;
        if (error == ERR_OK) {
            error = journal_walk_frame(
                scan, &header, frame, journal_position(scan->segment, scan->end));
        }
        if (error != ERR_OK) {
            return refuse(scan, error, scan->end, "frame", scan->visitor->reason);
        }
        scan->last_frame = scan->end;
        scan->last_frame_size = header.size;
        scan->end += header.size;
        scan->sequence = header.sequence;
        scan->chain = header.checksum;
        scan->term = header.term;
        scan->synced = journal_position(scan->segment, scan->end);
    }
}

static const char *
segment_disorder(
    const struct journal_scan *scan,
    const struct journal_segment_header *header,
    uint64_t file_size)
{
    if (header->number != scan->segment) {
        return "segment header: wrong number";
    }
    if (header->segment_size != file_size) {
        return "the file's size is not the segment's";
    }
    if (scan->segment > 1 && header->identity != scan->identity) {
        return "segment header: of another ledger";
    }
    if (scan->adopting) {
        return NULL;
    }
    if (header->version < scan->version) {
        return "segment header: older version than the segment before it";
    }
    if (header->version > JOURNAL_VERSION_FIRST && !scan->undigested &&
        memcmp(header->digest, scan->digest, sizeof(scan->digest)) != 0) {
        return "segment header: another digest than that of the frame before it";
    }
    if (header->first_sequence != scan->sequence + 1 || header->chain != scan->chain) {
        return "segment header: does not follow from the segment before it";
    }
    return NULL;
}

static err_t
scan_segment(struct journal_scan *scan, bool closed)
{
    uint64_t size = 0;
    TRY(scan->disk->ops->size(scan->disk, scan->file, &size));
    if (size < JOURNAL_SEGMENT_MIN || size > JOURNAL_SEGMENT_MAX) {
        return refuse(scan, ERR_CORRUPT, 0, "segment", "impossible file size");
    }
    const uint64_t previous_end = scan->end;
    scan->segment_size = size;
    scan->window_size = 0;
    const char *block = NULL;
    TRY(window_get(scan, 0, JOURNAL_BLOCK, &block));
    struct journal_segment_header header;
    const char *reason = NULL;
    err_t error = journal_segment_decode(block, &header, &reason);
    if (error != ERR_OK) {
        return refuse(scan, error, 0, "segment", reason);
    }
    reason = segment_disorder(scan, &header, size);
    if (reason != NULL) {
        return refuse(scan, ERR_CORRUPT, 0, "segment", reason);
    }
    if (!begins_within(scan) && header.previous_end != previous_end) {
        /* The newer segment is sound: frames are missing at the end of the one before it. */
        journal_segment_path(scan->folder, scan->segment - 1, scan->path);
        return refuse(scan, ERR_CORRUPT, previous_end, "frame", "missing");
    }
    scan->identity = header.identity;
    scan->version = header.version;
    if (scan->undigested && header.version > JOURNAL_VERSION_FIRST) {
        memcpy(scan->digest, header.digest, sizeof(scan->digest));
        scan->undigested = false;
    }
    TRY(scan_frames(scan, closed));
    return scan->version == JOURNAL_VERSION_FIRST && !scan->undigested
               ? store_digest_so_far(scan->digester, scan->digest)
               : ERR_OK;
}

/* --- the folder --- */

static void
note_name(void *context, const char *name)
{
    uint64_t *newest = context;
    struct span number = span_from_cstr(name);
    if (number.size != 12 || !span_ends_with(number, SPAN(".log"))) {
        return;
    }
    uint64_t value = 0;
    if (span_parse_u64(span_slice(number, 0, 8), &value) && value > *newest) {
        *newest = value;
    }
}

err_t
journal_segment_newest(
    struct os_disk *disk, const char *folder, uint64_t *ret_newest, struct store_error *error)
{
    *ret_newest = 0;
    err_t code = disk->ops->list(disk, folder, note_name, ret_newest);
    if (code != ERR_OK) {
        return store_error_set(error, code, "%s: %s", folder, err_text(code));
    }
    if (*ret_newest > JOURNAL_SEGMENTS_MAX) {
        return store_error_set(error, ERR_RANGE, "%s: too many segments", folder);
    }
    return ERR_OK;
}

static err_t
open_segment(struct journal_scan *scan, uint64_t number)
{
    struct journal_segment_file segment;
    err_t error = journal_segment_open(scan->disk, scan->folder, scan->archive, number, &segment);
    scan->file = segment.file;
    memcpy(scan->path, segment.path, sizeof(scan->path));
    if (error == ERR_RANGE) {
        return store_error_set(scan->error, error, "%s: the path is too long", scan->path);
    }
    if (error == ERR_NOT_FOUND) {
        (void)journal_segment_path(scan->folder, number, scan->path); /* where it belongs */
        (void)store_error_set(
            scan->error,
            ERR_CORRUPT,
            "%s: the segment is missing; if it was archived, put it back",
            scan->path);
        scan->error->segment = number;
        return ERR_CORRUPT;
    }
    if (error != ERR_OK) {
        return store_error_set(scan->error, error, "%s: %s", scan->path, err_text(error));
    }
    return ERR_OK;
}

static uint64_t
first_segment(const struct journal_scan *scan)
{
    return scan->from == 0 ? 1 : journal_position_segment(scan->from);
}

/* Adds up what there is to read, and makes the window. */
static err_t
measure(struct journal_scan *scan, uint64_t newest)
{
    uint64_t largest = 0;
    for (uint64_t number = first_segment(scan); number <= newest; number++) {
        TRY(open_segment(scan, number));
        uint64_t size = 0;
        err_t error = scan->disk->ops->size(scan->disk, scan->file, &size);
        scan->disk->ops->close(scan->disk, scan->file);
        scan->file = NULL;
        if (error != ERR_OK) {
            return store_error_set(scan->error, error, "%s: %s", scan->path, err_text(error));
        }
        scan->bytes_total += size;
        largest = size > largest ? size : largest;
    }
    /* A window never reaches beyond its segment. */
    uint64_t window = largest < SCAN_WINDOW_SIZE ? largest : SCAN_WINDOW_SIZE;
    window = (window / JOURNAL_BLOCK + 1) * JOURNAL_BLOCK;
    scan->window = aligned_alloc(JOURNAL_BLOCK, window);
    if (scan->window == NULL) {
        return store_error_set(scan->error, ERR_MEMORY, "%s", err_text(ERR_MEMORY));
    }
    return ERR_OK;
}

/* Whose journal it is, as its newest segment says. */
static err_t
identify(struct journal_scan *scan)
{
    struct os_disk *disk = scan->disk;
    struct journal_segment_header header;
    const char *reason = NULL;
    char *block = aligned_alloc(JOURNAL_BLOCK, JOURNAL_BLOCK);
    if (block == NULL) {
        return store_error_set(scan->error, ERR_MEMORY, "%s", err_text(ERR_MEMORY));
    }
    err_t error = open_segment(scan, scan->newest);
    if (error == ERR_OK) {
        error = disk->ops->read(disk, scan->file, block, JOURNAL_BLOCK, 0);
        if (error == ERR_OK) {
            error = journal_segment_decode(block, &header, &reason);
        }
        if (error != ERR_OK) {
            (void)refuse(scan, error, 0, "segment", reason);
        }
        disk->ops->close(disk, scan->file);
        scan->file = NULL;
    }
    free(block);
    if (error == ERR_OK) {
        scan->identity = header.identity;
    }
    return error;
}

err_t
journal_scan_open(struct journal_scan *scan)
{
    err_t error = journal_segment_newest(scan->disk, scan->folder, &scan->newest, scan->error);
    if (error != ERR_OK) {
        return error;
    }
    scan->opened = true;
    scan->empty = scan->newest == 0;
    return scan->empty ? ERR_OK : identify(scan);
}

/* The segments from the first to the newest. */
static err_t
scan_segments(struct journal_scan *scan)
{
    err_t error = store_digest_create(&scan->digester);
    if (error != ERR_OK) {
        return store_error_set(scan->error, error, "SHA-256: %s", err_text(error));
    }
    scan->end = 0;
    scan->adopting = scan->from != 0;
    for (scan->segment = first_segment(scan);; scan->segment++) {
        TRY(open_segment(scan, scan->segment));
        error = scan_segment(scan, scan->segment < scan->newest);
        scan->disk->ops->close(scan->disk, scan->file);
        scan->file = NULL;
        if (error != ERR_OK) {
            if (scan->error != NULL && scan->error->code == ERR_OK) {
                store_error_set(scan->error, error, "%s: %s", scan->path, err_text(error));
            }
            return error;
        }
        scan->bytes_done += scan->segment_size;
        if (scan->segment == scan->newest) {
            return ERR_OK;
        }
    }
}

err_t
journal_scan_run(struct journal_scan *scan)
{
    ASSERT(scan->visitor != NULL);
    if (!scan->opened) {
        TRY(journal_scan_open(scan));
    }
    if (scan->empty) {
        return ERR_OK;
    }
    ASSERT(first_segment(scan) <= scan->newest);
    TRY(measure(scan, scan->newest));
    TRY(scan_segments(scan));
    if (scan->visitor->progress != NULL) {
        scan->visitor->progress(scan->visitor->context, scan->bytes_total, scan->bytes_total);
    }
    return ERR_OK;
}

void
journal_scan_restart(struct journal_scan *scan)
{
    struct journal_scan kept = *scan;
    journal_scan_release(scan);
    *scan = (struct journal_scan){
        .disk = kept.disk,
        .folder = kept.folder,
        .archive = kept.archive,
        .visitor = kept.visitor,
        .error = kept.error,
        .opened = kept.opened,
        .empty = kept.empty,
        .identity = kept.identity,
        .newest = kept.newest,
    };
}

void
journal_scan_release(struct journal_scan *scan)
{
    if (scan->file != NULL) {
        scan->disk->ops->close(scan->disk, scan->file);
        scan->file = NULL;
    }
    free(scan->window);
    scan->window = NULL;
    store_digest_destroy(&scan->digester);
    journal_heads_release(&scan->heads);
}
