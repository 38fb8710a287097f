#include "journal_writer.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SPARE_NAME "spare.tmp"
/* Frames up to this size have the spare written; each so many times its own size, so that the half
 * of a segment in which there is a spare is enough for all of it. */
#define WRITER_PREWRITE_FRAME_MAX (UINT64_C(128) << 10)
#define WRITER_SLICES_PER_FRAME   4u
#define WRITER_SLICE_MAX          (UINT64_C(64) << 10)

static err_t
fail(const struct journal_writer *writer, struct store_error *error, err_t code, const char *what)
{
    return store_error_set(
        error,
        code,
        "%s: segment %" PRIu64 ": %s: %s",
        writer->folder,
        writer->segment,
        what,
        err_text(code));
}

static err_t
spare_path(const struct journal_writer *writer, char out[JOURNAL_PATH_SIZE])
{
    int length = snprintf(out, JOURNAL_PATH_SIZE, "%s/" SPARE_NAME, writer->folder);
    return length > 0 && length < JOURNAL_PATH_SIZE ? ERR_OK : ERR_RANGE;
}

/* Allocates the file of the next segment under its temporary name. */
static err_t
spare_create(struct journal_writer *writer)
{
    ASSERT(writer->spare == NULL);
    struct os_disk *disk = writer->disk;
    char path[JOURNAL_PATH_SIZE];
    TRY(spare_path(writer, path));
    err_t error = disk->ops->remove(disk, path);
    if (error != ERR_OK && error != ERR_NOT_FOUND) {
        return error;
    }
    struct os_file *file = NULL;
    bool direct = false;
    TRY(disk->ops->open(disk, path, OS_OPEN_CREATE, true, &file, &direct));
    writer->spare_written = writer->prewrites && direct ? 0 : writer->new_segment_size;
    error = disk->ops->allocate(disk, file, writer->new_segment_size);
    if (error == ERR_OK) {
        error = disk->ops->sync(disk, file);
    }
    if (error != ERR_OK) {
        disk->ops->close(disk, file);
        /* Gives the space back; if that fails too, the next attempt removes it first. */
        err_t ignored = disk->ops->remove(disk, path);
        (void)ignored;
        return error;
    }
    writer->spare = file;
    atomic_store(&writer->segment_ready, writer->segment + 1);
    return ERR_OK;
}

/* Of a spare that a write or sync failed on nothing is known any more. */
static void
spare_drop(struct journal_writer *writer)
{
    writer->disk->ops->close(writer->disk, writer->spare);
    writer->spare = NULL;
    atomic_store(&writer->segment_ready, writer->segment);
}

/* JOURNAL-2 holds all along: zeros are written where zeros are read. */
static err_t
spare_write_slice(struct journal_writer *writer)
{
    uint64_t left = writer->new_segment_size - writer->spare_written;
    uint64_t size = writer->last_size * WRITER_SLICES_PER_FRAME;
    size = size < WRITER_SLICE_MAX ? size : WRITER_SLICE_MAX;
    size = size < left ? size : left;
    if (writer->zeros == NULL) {
        writer->zeros = aligned_alloc(JOURNAL_BLOCK, WRITER_SLICE_MAX);
        if (writer->zeros == NULL) {
            return ERR_OK; /* the spare is used as it is */
        }
        memset(writer->zeros, 0, WRITER_SLICE_MAX);
    }
    struct os_disk *disk = writer->disk;
    TRY(disk->ops->write(disk, writer->spare, writer->zeros, size, writer->spare_written));
    writer->spare_written += size;
    return writer->spare_written < writer->new_segment_size ? ERR_OK
                                                            : disk->ops->sync(disk, writer->spare);
}

void
journal_writer_prepare(struct journal_writer *writer, bool at_once)
{
    bool soon = writer->end > writer->segment_size / 2;
    if (writer->spare == NULL && (soon || at_once)) {
        atomic_store(&writer->space_error, spare_create(writer));
        return;
    }
    bool small = writer->last_size != 0 && writer->last_size <= WRITER_PREWRITE_FRAME_MAX;
    if (writer->spare != NULL && small && writer->spare_written < writer->new_segment_size) {
        err_t error = spare_write_slice(writer);
        if (error != ERR_OK) {
            spare_drop(writer);
            atomic_store(&writer->space_error, error);
        }
    }
}

/* Takes the spare into use as segment writer->segment + 1. */
static err_t
segment_begin(struct journal_writer *writer, struct store_error *error)
{
    struct os_disk *disk = writer->disk;
    if (writer->spare == NULL) {
        err_t code = spare_create(writer);
        if (code != ERR_OK) {
            return fail(writer, error, code, "allocating the next segment");
        }
    }
    struct journal_segment_header header = {
        .identity = writer->identity,
        .number = writer->segment + 1,
        .segment_size = writer->new_segment_size,
        .first_sequence = writer->sequence + 1,
        .previous_end = writer->segment == 0 ? 0 : writer->end,
        .chain = writer->chain,
    };
    memcpy(header.digest, writer->digest, sizeof(header.digest));
    journal_segment_encode(&header, writer->block);
    char from[JOURNAL_PATH_SIZE];
    char to[JOURNAL_PATH_SIZE];
    if (spare_path(writer, from) != ERR_OK ||
        !journal_segment_path(writer->folder, header.number, to)) {
        return fail(writer, error, ERR_RANGE, "path");
    }
    err_t code = disk->ops->write(disk, writer->spare, writer->block, JOURNAL_BLOCK, 0);
    if (code == ERR_OK) {
        code = disk->ops->sync(disk, writer->spare);
    }
    if (code == ERR_OK) {
        code = disk->ops->rename(disk, from, to);
    }
    if (code == ERR_OK) {
        code = disk->ops->sync_folder(disk, writer->folder);
    }
    if (code != ERR_OK) {
        return fail(writer, error, code, "beginning the next segment");
    }
    if (writer->file != NULL) {
        disk->ops->close(disk, writer->file);
    }
    writer->file = writer->spare;
    writer->spare = NULL;
    writer->segment++;
    writer->segment_size = writer->new_segment_size;
    writer->end = JOURNAL_BLOCK;
    return ERR_OK;
}

static err_t
digester_create(struct journal_writer *writer, struct store_error *error)
{
    err_t code = store_digest_create(&writer->digester);
    return code == ERR_OK ? ERR_OK : fail(writer, error, code, "SHA-256");
}

err_t
journal_writer_begin(struct journal_writer *writer, struct store_error *error)
{
    ASSERT(writer->segment == 0);
    TRY(digester_create(writer, error));
    return segment_begin(writer, error);
}

/* Zeros from the end of the last good frame to the end of what is torn. */
static err_t
tail_clear(struct journal_writer *writer, const struct journal_scan *scan)
{
    const uint64_t size = UINT64_C(1) << 20;
    char *zeros = aligned_alloc(JOURNAL_BLOCK, size);
    if (zeros == NULL) {
        return ERR_MEMORY;
    }
    memset(zeros, 0, size);
    err_t error = ERR_OK;
    uint64_t until = (scan->torn_end + JOURNAL_BLOCK - 1) / JOURNAL_BLOCK * JOURNAL_BLOCK;
    for (uint64_t offset = scan->end; offset < until && error == ERR_OK;) {
        uint64_t part = until - offset < size ? until - offset : size;
        error = writer->disk->ops->write(writer->disk, writer->file, zeros, part, offset);
        offset += part;
    }
    free(zeros);
    return error;
}

static err_t
last_frame_rewrite(struct journal_writer *writer, const struct journal_scan *scan)
{
    if (scan->last_frame == 0) {
        return ERR_OK;
    }
    char *frame = aligned_alloc(JOURNAL_BLOCK, scan->last_frame_size);
    if (frame == NULL) {
        return ERR_MEMORY;
    }
    struct os_disk *disk = writer->disk;
    err_t error =
        disk->ops->read(disk, writer->file, frame, scan->last_frame_size, scan->last_frame);
    struct journal_frame_header header;
    const char *reason = NULL;
    if (error == ERR_OK && (!journal_frame_peek(frame, &header) || header.checksum != scan->chain ||
                            header.size != scan->last_frame_size ||
                            journal_frame_verify(frame, &header, &reason) != ERR_OK)) {
        /* The disk does not hold what the page cache showed. */
        error = ERR_CORRUPT;
    }
    if (error == ERR_OK) {
        error =
            disk->ops->write(disk, writer->file, frame, scan->last_frame_size, scan->last_frame);
    }
    free(frame);
    return error;
}

err_t
journal_writer_resume(
    struct journal_writer *writer, const struct journal_scan *scan, struct store_error *error)
{
    ASSERT(!scan->empty);
    struct os_disk *disk = writer->disk;
    writer->identity = scan->identity;
    writer->term = scan->term + 1;
    writer->segment = scan->segment;
    writer->segment_size = scan->segment_size;
    writer->end = scan->end;
    writer->sequence = scan->sequence;
    writer->chain = scan->chain;
    memcpy(writer->digest, scan->digest, sizeof(writer->digest));
    writer->synced = scan->synced;
    atomic_store(&writer->segment_ready, writer->segment);
    TRY(digester_create(writer, error));
    char path[JOURNAL_PATH_SIZE];
    if (!journal_segment_path(writer->folder, writer->segment, path)) {
        return fail(writer, error, ERR_RANGE, "path");
    }
    bool direct = false;
    err_t code = disk->ops->open(disk, path, OS_OPEN_WRITE, true, &writer->file, &direct);
    if (code == ERR_OK) {
        code = tail_clear(writer, scan);
    }
    if (code == ERR_OK) {
        code = last_frame_rewrite(writer, scan);
    }
    if (code == ERR_OK) {
        code = disk->ops->sync(disk, writer->file);
    }
    if (code == ERR_OK) {
        code = disk->ops->sync_folder(disk, writer->folder);
    }
    if (code != ERR_OK) {
        return fail(writer, error, code, "resuming");
    }
    return scan->version < JOURNAL_VERSION ? segment_begin(writer, error) : ERR_OK;
}

err_t
journal_image_digest(struct store_digest *digester, struct journal_image *image)
{
    ASSERT(!image->body_digested);
    const uint64_t behind = sizeof(struct journal_frame_header);
    journal_frame_pad(image->data, image->body_size);
    uint64_t size = journal_frame_size(image->body_size) - behind;
    TRY(store_digest_of(digester, image->data + behind, size, image->body_digest));
    image->body_digested = true;
    return ERR_OK;
}

/* Digests, then the checksum over all of it. */
static err_t
frame_complete(
    struct journal_writer *writer, struct journal_image *image, struct journal_frame_header *header)
{
    memcpy(header->digest, writer->digest, sizeof(header->digest));
    if (!image->body_digested) {
        TRY(journal_image_digest(writer->digester, image));
    }
    memcpy(header->body_digest, image->body_digest, sizeof(header->body_digest));
    journal_frame_seal(header, image->data);
    return store_digest_of(writer->digester, image->data, sizeof(*header), image->digest);
}

static err_t
frame_write(struct journal_writer *writer, struct journal_image *image, struct store_error *error)
{
    if (journal_position_segment(image->position) != writer->segment) {
        TRY(segment_begin(writer, error));
    }
    ASSERT(image->position == journal_position(writer->segment, writer->end));
    struct journal_frame_header header = {
        .sequence = writer->sequence + 1,
        .identity = writer->identity,
        .previous = writer->chain,
        .size = journal_frame_size(image->body_size),
        .body_size = image->body_size,
        .clock = image->clock,
        .synced = writer->synced,
        .term = writer->term,
        .section_count = image->section_count,
    };
    ASSERT(writer->end + header.size <= writer->segment_size);
    err_t code = frame_complete(writer, image, &header);
    struct os_disk *disk = writer->disk;
    if (code == ERR_OK) {
        code = disk->ops->write(disk, writer->file, image->data, header.size, writer->end);
    }
    if (code == ERR_OK) {
        code = disk->ops->sync(disk, writer->file);
    }
    if (code != ERR_OK) {
        return fail(writer, error, code, "writing a frame");
    }
    writer->end += header.size;
    writer->last_size = header.size;
    writer->sequence = header.sequence;
    writer->chain = header.checksum;
    memcpy(writer->digest, image->digest, sizeof(writer->digest));
    image->sequence = header.sequence;
    writer->synced = journal_position(writer->segment, writer->end);
    return ERR_OK;
}

err_t
journal_writer_write(
    struct journal_writer *writer, struct journal_image *image, struct store_error *error)
{
    if (writer->failure.code == ERR_OK) {
        err_t code = frame_write(writer, image, error);
        if (code != ERR_OK) {
            writer->failure = *error;
        }
        return code;
    }
    *error = writer->failure;
    return error->code;
}

void
journal_writer_release(struct journal_writer *writer)
{
    if (writer->file != NULL) {
        writer->disk->ops->close(writer->disk, writer->file);
        writer->file = NULL;
    }
    if (writer->spare != NULL) {
        writer->disk->ops->close(writer->disk, writer->spare);
        writer->spare = NULL;
    }
    free(writer->zeros);
    writer->zeros = NULL;
    store_digest_destroy(&writer->digester);
    free(writer->block);
    writer->block = NULL;
}
