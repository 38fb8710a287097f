/* Where a restore takes a backup from: a folder with several, or a tar stream on standard input. */
#ifndef TAEL_RESTORE_SOURCE_H
#define TAEL_RESTORE_SOURCE_H

#include "restore_target.h"
#include "show.h"

struct restore_source {
    const char *from;  /* DIR or "-" */
    uint64_t until_ns; /* UINT64_MAX: the newest */
    struct show_progress *progress;
    char name[64]; /* of the backup that was chosen; of a stream "standard input" */
    struct backup_manifest manifest;
    char message[BACKUP_MESSAGE_SIZE];
};

/*
 * Copies a backup into the target, and reads its manifest. Of a folder it is the newest that is not
 * later than `until_ns`; of a ledger alone the oldest that is not earlier, because that can be cut
 * (store/copy.h), or else the newest. ERR_NOT_FOUND: there is none. The error is in `message`, or
 * in the target's.
 */
MUST_USE err_t restore_source_read(struct restore_source *source, struct restore_target *target);
void restore_source_release(struct restore_source *source);

#endif
