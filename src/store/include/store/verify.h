/*
 * Reading a whole store offline, for `ledger check`: every byte of every segment is verified
 * (checksums, sequence, hash chain, links, padding, unused space), and everything in it is told in
 * order. Nothing is written, nothing is repaired.
 */
#ifndef STORE_VERIFY_H
#define STORE_VERIFY_H

#include "store/store.h"

/* Told in the journal's order, on the caller's thread; what they point at is borrowed. An error
 * ends the reading; it is reported with the file and the offset of the frame, and with `reason` if
 * the callee set it (static text). */
struct store_verify_visitor {
    err_t (*account)(void *context, const struct ledger_account *account);
    err_t (*event)(void *context, const struct ledger_event *event);
    err_t (*failed)(void *context, u128 id);
    err_t (*clock)(void *context, uint64_t clock);
    /* NULL: nobody wants to know. */
    void (*progress)(void *context, uint64_t bytes_done, uint64_t bytes_total);
    void *context;
    const char *reason;
};

struct store_verify_report {
    uint64_t segments;
    uint64_t bytes;
    uint64_t frames;
    uint64_t torn_bytes; /* behind the last frame: a write that nobody was told of */
};

/*
 * `url` as for store_open; memory: is ERR_UNSUPPORTED. ERR_LOCKED if a server has it open,
 * ERR_NOT_FOUND if there is no journal, ERR_CORRUPT or ERR_VERSION with file and offset in the
 * error.
 */
MUST_USE err_t store_verify(
    const char *url,
    struct os_disk *disk,
    struct store_verify_visitor *visitor,
    struct store_verify_report *ret_report,
    struct store_error *error);

#endif
