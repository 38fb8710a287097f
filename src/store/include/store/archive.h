/*
 * Moving old segments of a journal elsewhere. A start needs a snapshot, what of the journal lies
 * behind it, and the index of ids; the segments before all of these are only read by queries of the
 * past. Those are copied to another folder, synced, read back and proved to be what the next
 * segment says came before it; then they are removed. A query that needs one is ERR_ARCHIVED until
 * the file is put back. So is a start without snapshot or index, which names the first that is
 * missing.
 *
 * A server may run meanwhile.
 */
#ifndef STORE_ARCHIVE_H
#define STORE_ARCHIVE_H

#include "store/store.h"

struct store_archive_report {
    uint64_t segments; /* moved */
    uint64_t bytes;
    uint64_t stay_from;     /* the first segment that must stay */
    const char *stay_since; /* why, in words; static */
};

/* Who is told how far it is; may be NULL. */
struct store_archive_watcher {
    void (*progress)(void *context, uint64_t bytes_done, uint64_t bytes_total);
    void *context;
};

/*
 * `url` is journal:FOLDER, `to` an existing folder. ERR_UNSUPPORTED for another store,
 * ERR_NOT_FOUND if there is no journal, no index or not as many snapshots as are kept, ERR_LOCKED
 * if somebody archives to the same folder, ERR_CORRUPT if a segment or its copy is damaged (nothing
 * of it is removed), or what the disk answered. The error names the file. What was moved before an
 * error stays moved.
 */
MUST_USE err_t store_archive(
    const char *url,
    struct os_disk *disk,
    const char *to,
    const struct store_archive_watcher *watcher,
    struct store_archive_report *ret_report,
    struct store_error *error);

#endif
