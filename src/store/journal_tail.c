#include "journal_tail.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static err_t
fail(struct journal_tail *tail, err_t code, uint64_t offset, const char *why)
{
    return store_error_set(
        tail->error, code, "%s: frame at offset %" PRIu64 ": %s", tail->path, offset, why);
}

static void
segment_close(struct journal_tail *tail)
{
    if (tail->file != NULL) {
        tail->disk->ops->close(tail->disk, tail->file);
        tail->file = NULL;
    }
}

/* Opens a segment and reads its header. ERR_NOT_FOUND, without an error in words, if it is not
 * there. */
static err_t
segment_open(struct journal_tail *tail, uint64_t number, struct journal_segment_header *ret_header)
{
    struct os_disk *disk = tail->disk;
    struct os_file *file = NULL;
    char path[JOURNAL_PATH_SIZE];
    if (!journal_segment_path(tail->folder, number, path)) {
        return store_error_set(tail->error, ERR_RANGE, "%s: the path is too long", tail->folder);
    }
    err_t code = disk->ops->open(disk, path, OS_OPEN_READ, false, &file, NULL);
    if (code == ERR_NOT_FOUND) {
        return code;
    }
    const char *reason = NULL;
    if (code == ERR_OK) {
        code = disk->ops->read(disk, file, tail->frame, JOURNAL_BLOCK, 0);
    }
    if (code == ERR_OK) {
        code = journal_segment_decode(tail->frame, ret_header, &reason);
    }
    if (code != ERR_OK) {
        if (file != NULL) {
            disk->ops->close(disk, file);
        }
        return store_error_set(
            tail->error, code, "%s: %s", path, reason == NULL ? err_text(code) : reason);
    }
    segment_close(tail);
    tail->file = file;
    memcpy(tail->path, path, sizeof(tail->path));
    return ERR_OK;
}

/* A segment whose frames are not seen yet; what is before it is known by its header. */
static void
segment_enter(struct journal_tail *tail, const struct journal_segment_header *header)
{
    tail->segment = header->number;
    tail->segment_size = header->segment_size;
    tail->identity = header->identity;
    tail->end = JOURNAL_BLOCK;
    tail->head.sequence = header->first_sequence - 1;
    memcpy(tail->head.digest, header->digest, sizeof(tail->head.digest));
}

/* The whole frame at tail->end, if there is one. */
static err_t
frame_read(struct journal_tail *tail, struct journal_frame_header *ret_header, bool *ret_whole)
{
    struct os_disk *disk = tail->disk;
    *ret_whole = false;
    if (tail->end + JOURNAL_BLOCK > tail->segment_size) {
        return ERR_OK;
    }
    err_t code = disk->ops->read(disk, tail->file, tail->frame, JOURNAL_BLOCK, tail->end);
    if (code != ERR_OK) {
        return fail(tail, code, tail->end, err_text(code));
    }
    if (!journal_frame_peek(tail->frame, ret_header) || ret_header->identity != tail->identity ||
        ret_header->sequence != tail->head.sequence + 1 ||
        ret_header->size > tail->segment_size - tail->end) {
        return ERR_OK;
    }
    code = disk->ops->read(disk, tail->file, tail->frame, ret_header->size, tail->end);
    if (code != ERR_OK) {
        return fail(tail, code, tail->end, err_text(code));
    }
    const char *reason = NULL;
    *ret_whole = journal_frame_verify(tail->frame, ret_header, &reason) == ERR_OK;
    return ERR_OK;
}

/* The ledger's clock after a frame of version 1, which only its sections know. */
static err_t
clock_of_1(
    struct journal_tail *tail, const struct journal_frame_header *header, uint64_t *ret_clock)
{
    uint64_t done = journal_frame_header_size(header);
    const uint64_t end = done + header->body_size;
    for (uint32_t i = 0; i < header->section_count; i++) {
        struct journal_section section;
        const char *reason = NULL;
        err_t code = journal_section_decode(tail->frame + done, end - done, &section, &reason);
        if (code != ERR_OK) {
            return fail(tail, code, tail->end, reason);
        }
        *ret_clock = section.header.clock;
        done += section.header.size;
    }
    return ERR_OK;
}

static err_t
frame_pass(struct journal_tail *tail, const struct journal_frame_header *header)
{
    if (journal_frame_version(header) == JOURNAL_VERSION_FIRST) {
        TRY(clock_of_1(tail, header, &tail->head.timestamp));
    } else {
        if (memcmp(header->digest, tail->head.digest, sizeof(tail->head.digest)) != 0) {
            return fail(
                tail,
                ERR_CORRUPT,
                tail->end,
                "carries another digest than that of the frame before it");
        }
        tail->head.timestamp = header->clock;
        TRY(store_digest_of(tail->digester, tail->frame, sizeof(*header), tail->head.digest));
    }
    tail->head.sequence = header->sequence;
    tail->head.segment = tail->segment;
    tail->head.offset = tail->end;
    tail->end += header->size;
    return ERR_OK;
}

static err_t
segment_frames(struct journal_tail *tail)
{
    for (;;) {
        struct journal_frame_header header;
        bool whole = false;
        TRY(frame_read(tail, &header, &whole));
        if (!whole) {
            return ERR_OK;
        }
        TRY(frame_pass(tail, &header));
    }
}

/* The last frame before a segment that has none: its place and clock; its digest is in the header
 * of the segment behind it. */
static err_t
previous_frame(struct journal_tail *tail, const struct journal_segment_header *newest)
{
    struct journal_segment_header header;
    err_t code = segment_open(tail, newest->number - 1, &header);
    if (code == ERR_NOT_FOUND) {
        return store_error_set(
            tail->error, ERR_CORRUPT, "%s: the segment before it is missing", tail->path);
    }
    if (code != ERR_OK) {
        return code;
    }
    segment_enter(tail, &header);
    TRY(segment_frames(tail));
    if (tail->head.sequence != newest->first_sequence - 1) {
        return fail(tail, ERR_CORRUPT, tail->end, "missing");
    }
    memcpy(tail->head.digest, newest->digest, sizeof(tail->head.digest));
    return ERR_OK;
}

err_t
journal_tail_begin(struct journal_tail *tail)
{
    uint64_t newest = 0;
    TRY(journal_segment_newest(tail->disk, tail->folder, &newest, tail->error));
    if (newest == 0) {
        return store_error_set(tail->error, ERR_NOT_FOUND, "%s: there is no journal", tail->folder);
    }
    tail->frame = aligned_alloc(JOURNAL_BLOCK, JOURNAL_FRAME_MAX);
    err_t code = tail->frame == NULL ? ERR_MEMORY : store_digest_create(&tail->digester);
    if (code != ERR_OK) {
        return store_error_set(tail->error, code, "%s: %s", tail->folder, err_text(code));
    }
    struct journal_segment_header header;
    TRY(segment_open(tail, newest, &header));
    if (header.version == JOURNAL_VERSION_FIRST) {
        return store_error_set(
            tail->error,
            ERR_VERSION,
            "%s: of version 1, which has no digests: a server has to open it once",
            tail->path);
    }
    segment_enter(tail, &header);
    TRY(segment_frames(tail));
    if (tail->head.segment == 0 && header.first_sequence > 1) {
        TRY(previous_frame(tail, &header));
        /* It was there a moment ago; if it is not any more, that is all there is to say. */
        TRY(segment_open(tail, newest, &header));
        segment_enter(tail, &header);
    }
    return ERR_OK;
}

err_t
journal_tail_advance(struct journal_tail *tail)
{
    for (;;) {
        TRY(segment_frames(tail));
        struct journal_segment_header header = {0};
        err_t code = segment_open(tail, tail->segment + 1, &header);
        if (code == ERR_NOT_FOUND) {
            return ERR_OK;
        }
        if (code != ERR_OK) {
            return code;
        }
        /* Frames that came between the last look and the segment's end. */
        if (header.first_sequence != tail->head.sequence + 1) {
            struct journal_segment_header before;
            uint64_t end = tail->end;
            TRY(segment_open(tail, tail->segment, &before));
            TRY(segment_frames(tail));
            if (tail->end == end) {
                return fail(tail, ERR_CORRUPT, tail->end, "missing");
            }
            continue;
        }
        if (header.previous_end != tail->end ||
            memcmp(header.digest, tail->head.digest, sizeof(header.digest)) != 0) {
            return store_error_set(
                tail->error,
                ERR_CORRUPT,
                "%s: does not follow from the segment before it",
                tail->path);
        }
        segment_enter(tail, &header);
    }
}

void
journal_tail_release(struct journal_tail *tail)
{
    segment_close(tail);
    store_digest_destroy(&tail->digester);
    free(tail->frame);
    tail->frame = NULL;
}
