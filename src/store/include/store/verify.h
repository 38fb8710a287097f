/*
 * Reading a whole store offline, for `ledger check`: every byte of every segment is verified
 * (checksums, sequence, digests, links, padding, unused space), and everything in it is told in
 * order. Nothing is written, nothing is repaired.
 */
#ifndef STORE_VERIFY_H
#define STORE_VERIFY_H

#include "store/head.h"

/* Told in the journal's order, on the caller's thread; NULL: nobody wants to know. What they point
 * at is borrowed. An error ends the reading; it is reported with the file and the offset of the
 * frame, and with `reason` if the callee set it (static text). */
struct store_verify_visitor {
    err_t (*account)(void *context, const struct ledger_account *account);
    err_t (*event)(void *context, const struct ledger_event *event);
    err_t (*failed)(void *context, u128 id);
    err_t (*clock)(void *context, uint64_t clock);
    void (*progress)(void *context, uint64_t bytes_done, uint64_t bytes_total);
    void *context;
    const char *reason;
    /* Where segments are that were archived; NULL: nowhere. */
    const char *archive;
    /* A head that the history must go through; NULL for none. */
    const struct store_head *noted;
};

struct store_verify_report {
    uint64_t segments;
    uint64_t bytes;
    uint64_t frames;
    uint64_t order_parts; /* compared with what their segments give */
    uint64_t torn_bytes;  /* behind the last frame: a write that nobody was told of */
    struct store_head head;
};

/*
 * `url` as for store_open; memory: is ERR_UNSUPPORTED. ERR_LOCKED if a server has it open,
 * ERR_NOT_FOUND if there is no journal, ERR_CORRUPT or ERR_VERSION with file and offset in the
 * error. A history that does not go through the noted head is ERR_CORRUPT, too: it was rewritten,
 * or cut before it.
 */
MUST_USE err_t store_verify(
    const char *url,
    struct os_disk *disk,
    struct store_verify_visitor *visitor,
    struct store_verify_report *ret_report,
    struct store_error *error);

struct store_verify_tables_report {
    char schema[64];
    uint64_t accounts;
    uint64_t transfers;
    uint64_t expiries;
    uint64_t failed_ids;
    uint64_t pendings; /* live */
    uint64_t clock;
    uint64_t bytes; /* of tables and indexes */
};

/* One ledger number's books. An error ends the reading. */
typedef err_t (*store_verify_sum)(
    void *context,
    uint32_t ledger,
    uint32_t accounts,
    uint64_t transfers,
    const struct ledger_balances *total);

/*
 * The same for postgres://...: every balance, link and outcome in the tables is compared with what
 * the transfers give. It is one snapshot, and a server may have the ledger meanwhile. Of the
 * visitor only `progress` is used (of the rules, not of bytes), and its context. ERR_NOT_FOUND if
 * there is no ledger, ERR_CLOSED if the database cannot be reached, ERR_CORRUPT with the first
 * place.
 */
MUST_USE err_t store_verify_tables(
    const char *url,
    const struct store_verify_visitor *visitor,
    store_verify_sum each_sum,
    struct store_verify_tables_report *ret_report,
    struct store_error *error);

#endif
