/*
 * The end of a journal, found from its newest segments alone, while its writer may be at work: for
 * `tael ledger head` and for backups. It only ever sees a whole frame: one with its checksum, the
 * next sequence number and the digest of the frame before it.
 *
 *     begin    finds the newest segment, or the one before it while that has no frame yet
 *     advance  goes on behind what it has seen, into later segments too
 *
 * Whatever was answered before `advance` was called is part of what it saw when it returns: an
 * answer comes after the frame's write. Frames may be seen that are not synced yet.
 */
#ifndef STORE_JOURNAL_TAIL_H
#define STORE_JOURNAL_TAIL_H

#include "journal_scan.h"
#include "store/digest.h"

struct journal_tail {
    struct os_disk *disk;
    const char *folder;
    struct store_error *error;

    /* What was seen. */
    struct store_head head; /* all zero: no frame yet */
    uint64_t segment;
    uint64_t segment_size;
    uint64_t end; /* offset in `segment` behind its last frame */
    u128 identity;

    /* Its own. */
    struct os_file *file;
    struct store_digest *digester;
    char path[JOURNAL_PATH_SIZE];
    char *frame;
};

/* ERR_NOT_FOUND without a journal; ERR_VERSION if its newest segment is of version 1; ERR_CORRUPT
 * with file and offset. Release in any case. */
MUST_USE err_t journal_tail_begin(struct journal_tail *tail);
/* To the last whole frame. */
MUST_USE err_t journal_tail_advance(struct journal_tail *tail);
void journal_tail_release(struct journal_tail *tail);

#endif
