/*
 * `tael ledger check`: proves a ledger's data folder offline. Every byte of the journal is read
 * and verified; every event is redone by the core, and its balances are recomputed here from the
 * transfers alone and compared with those that were recorded; the books of every ledger number
 * balance, posted and pending. Of tables in PostgreSQL the same is asked of the database, while a
 * server may be working on them.
 */
#ifndef ENGINE_CHECK_H
#define ENGINE_CHECK_H

#include "store/store.h"

/* Different ledger numbers that are summed up. */
#define LEDGER_CHECK_SUMS_MAX 65536u

struct ledger_check_settings {
    const char *url; /* journal:FOLDER or postgres://... */
    struct os_disk *disk;
    const char *archive; /* of journal: a folder with archived segments; NULL: there are none */
    /* A head that was noted, which the history must go through; NULL for none. Of a journal only.
     */
    const struct store_head *noted;
    /* From time to time, with rising `done`; may be NULL. */
    void (*progress)(void *context, uint64_t bytes_done, uint64_t bytes_total);
    void *context;
};

/* One ledger number's books; debits equal credits, or the check fails. */
struct ledger_check_sum {
    uint32_t ledger;
    uint32_t accounts;
    uint64_t transfers;
    struct ledger_balances total; /* over its accounts, modulo 2^128 */
};

struct ledger_check_report {
    bool tables; /* in PostgreSQL: no segments, frames and torn bytes */
    uint64_t segments;
    uint64_t frames;
    uint64_t order_parts; /* made again and compared */
    uint64_t bytes;
    struct store_head head; /* of a journal */
    uint64_t torn_bytes;    /* cut at the next start: a write that nobody was told of */
    uint64_t accounts;
    uint64_t transfers;
    uint64_t expiries;
    uint64_t failed_ids;
    uint64_t pendings; /* live */
    uint64_t clock;
    struct ledger_check_sum *sums; /* by rising ledger number */
    uint32_t sum_count;
};

/* ERR_OK if everything is right. ERR_CORRUPT or ERR_VERSION: the first problem, with file and
 * offset, is in the error. ERR_LOCKED: a server has the folder open. ERR_NOT_FOUND: there is none.
 * ERR_UNSUPPORTED: a head was noted, and the store has none.
 * Release the report in any case. */
MUST_USE err_t ledger_engine_check(
    const struct ledger_check_settings *settings,
    struct ledger_check_report *ret_report,
    struct store_error *error);
void ledger_engine_check_release(struct ledger_check_report *report);

#endif
