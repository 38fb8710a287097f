/*
 * Copies of a journal: where its end is while a server writes on, and cutting a copy at a moment.
 *
 * A segment that is not the newest never changes again, and of the newest only what is behind its
 * last frame. So a copy of all segments up to a head, with zeros behind it, is a journal as it was
 * at that head, whenever the copying happens.
 */
#ifndef STORE_COPY_H
#define STORE_COPY_H

#include "os/file.h"
#include "store/head.h"

/* Bytes of a segment's name with the zero behind it: "00000001.log". */
#define STORE_SEGMENT_NAME_SIZE 24

struct store_copy;

/*
 * Opens a journal that a server may have open, to be copied. The work is done here: what remains
 * for store_copy_cut is what was written since. ERR_NOT_FOUND, ERR_VERSION and ERR_CORRUPT as
 * store_head_read; the error says it in words.
 */
MUST_USE err_t store_copy_open(
    const char *url, struct os_disk *disk, struct store_copy **ret_copy, struct store_error *error);
/* Accepts NULL; sets NULL. */
void store_copy_close(struct store_copy **copy);

/* The end of the journal now: whatever was answered before the call is before *ret_head. Reads
 * what was written since the last call, and does not wait for the server. */
MUST_USE err_t
store_copy_cut(struct store_copy *copy, struct store_head *ret_head, struct store_error *error);

/* What to copy, after the cut: segments 1 ... newest; of the newest `newest_used` bytes, and zeros
 * up to `newest_size`. */
struct store_copy_extent {
    uint64_t newest;
    uint64_t newest_used;
    uint64_t newest_size;
};

void store_copy_extent(const struct store_copy *copy, struct store_copy_extent *ret_extent);

struct store_copy_segment {
    struct os_file *file;
    char path[OS_PATH_SIZE];
};

/*
 * Opens a segment for reading, and tells its path: the journal's, or if that has gone the one in
 * `archive` (store/archive.h; NULL or "": there is none), which may happen at any time. Close it.
 * ERR_ARCHIVED if neither has it, ERR_CORRUPT if the archive's is of another ledger; the error says
 * it in words.
 */
MUST_USE err_t store_copy_segment(
    struct store_copy *copy,
    const char *archive,
    uint64_t number,
    struct store_copy_segment *ret_segment,
    struct store_error *error);
/* Does the journal go through this head, of an earlier copy? False if it is another ledger's, or a
 * history that went another way since. ERR_IO and such, and those of store_copy_segment; the error
 * says it in words. */
MUST_USE err_t store_copy_passes(
    struct store_copy *copy,
    const char *archive,
    const struct store_head *head,
    bool *ret_passes,
    struct store_error *error);
/* "00000001.log"; number from 1. */
void store_segment_name(uint64_t number, char out[STORE_SEGMENT_NAME_SIZE]);

/*
 * Removes from a journal that nobody has open everything behind the last frame that is not later
 * than `until_ns` by the ledger's clock; *ret_head is what its end is then. Not for a ledger in
 * service: what was answered is undone. ERR_NOT_FOUND if every frame is later. A crash in between
 * leaves a journal that is no use, so it is done to a copy that has no name yet.
 */
MUST_USE err_t store_copy_cut_at(
    const char *url,
    struct os_disk *disk,
    uint64_t until_ns,
    struct store_head *ret_head,
    struct store_error *error);

#endif
