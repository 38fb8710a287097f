/*
 * The writing side of a journal: frames to segments, one at a time, each synced before the next.
 * Everything here belongs to the I/O thread, once the journal is open, but for the two atomics.
 *
 * A new segment is made under a temporary name, allocated and synced ahead of its need ("spare").
 * Taking it into use is: write its header, sync, rename, sync the folder; only then a frame goes
 * into it.
 *
 * What is allocated reads as zeros, but the first write to it makes the file system note that, and
 * the sync after it waits for that note. Small frames, whose sync is most of their cost, find the
 * spare written with zeros before: a slice behind each small frame, off the way of its answer.
 * Large frames gain nothing by it, and the disk's bandwidth is theirs. Nothing depends on how far
 * it came.
 *
 * So a segment under its final name always has a sound header, and its being there
 * proves that everything in the segments before it was synced.
 */
#ifndef STORE_JOURNAL_WRITER_H
#define STORE_JOURNAL_WRITER_H

#include "journal_format.h"
#include "journal_scan.h"

#include <stdatomic.h>

struct journal_writer {
    struct os_disk *disk;
    const char *folder;
    uint64_t new_segment_size;
    u128 identity;
    uint64_t term;

    struct os_file *file; /* the newest segment */
    uint64_t segment;
    uint64_t segment_size;
    uint64_t end; /* where its next frame goes */
    uint64_t sequence;
    u128 chain;
    uint8_t digest[JOURNAL_DIGEST_SIZE]; /* of the last frame: what the next one carries */
    struct store_digest *digester;
    uint64_t synced;
    struct store_error failure; /* of a write, if one failed */
    struct os_file *spare;      /* allocated, synced, without a header; or NULL */
    bool prewrites;             /* the owner's wish, for spares that the disk writes directly */
    uint64_t spare_written;     /* bytes of the spare that were written with zeros */
    uint64_t last_size;         /* of the newest frame */
    char *zeros;                /* WRITER_SLICE_MAX bytes, aligned; NULL before the first use */
    char *block;                /* JOURNAL_BLOCK bytes, aligned */

    /* Read by the writer's owner: the newest segment whose space is allocated, and why there is
     * no newer one (an err_t; 0 when none was refused). */
    atomic_uint_least64_t segment_ready;
    atomic_int space_error;
};

/* What goes to the disk: sections behind room for the header, in aligned memory. */
struct journal_image {
    char *data;
    uint64_t body_size;
    uint32_t section_count;
    uint64_t clock;              /* of the last section */
    journal_position_t position; /* where the owner placed it */
    /* Of what is behind the header, if somebody digested it before the writer. */
    bool body_digested;
    uint8_t body_digest[JOURNAL_DIGEST_SIZE];
    /* By the writer, once it is durable. */
    uint64_t sequence;
    uint8_t digest[JOURNAL_DIGEST_SIZE];
};

/* Pads the frame and digests its body, which only its own bytes decide, so that it may be done
 * while the frame before it is being written. Without it, or if it fails, the writer does it.
 * ERR_CRYPTO. */
MUST_USE err_t journal_image_digest(struct store_digest *digester, struct journal_image *image);
/* The folder's first segment. */
MUST_USE err_t journal_writer_begin(struct journal_writer *writer, struct store_error *error);
/* Goes on where the scan ended: clears a torn tail, writes the last frame once more and syncs, so
 * that what the scan saw (perhaps in the page cache of a process that was killed) is durable. If
 * the newest segment is of version 1, it is closed: what follows is a segment of this version,
 * whose header carries the digest of all that was before. */
MUST_USE err_t journal_writer_resume(
    struct journal_writer *writer, const struct journal_scan *scan, struct store_error *error);
/* Writes and syncs one frame. After an error nothing more is written: every later call gives the
 * same error again. */
MUST_USE err_t journal_writer_write(
    struct journal_writer *writer, struct journal_image *image, struct store_error *error);
/* Allocates the next segment if it will soon be needed, or is now (`at_once`). If it is there,
 * writes a slice of it with zeros. */
void journal_writer_prepare(struct journal_writer *writer, bool at_once);
void journal_writer_release(struct journal_writer *writer);

#endif
