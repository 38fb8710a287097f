/*
 * One point of the ledger's benchmark: a load of one kind on one ledger.
 *
 *     bench_ledger.c         the command: the table of batch sizes, or one point
 *     bench_ledger_options.c what may be asked for
 *     bench_ledger_work.c    accounts and batches, by the settings
 *     bench_ledger_run.c     a ledger in this process
 *     bench_ledger_reads.c   looking up what was written, and the restart
 *     bench_ledger_net.c     a server's ledger, over HTTP
 *     bench_ledger_report.c  how a point is shown
 */
#ifndef TAEL_BENCH_LEDGER_H
#define TAEL_BENCH_LEDGER_H

#include "bench.h"
#include "bench_ledger_work.h"
#include "bench_server.h"

#include "engine/ledger_engine.h"
#include "store/store.h"

/* A run by time ends early with so many transfers: what memory: holds is memory. */
#define BENCH_LEDGER_ROWS_MAX    UINT64_C(2000000)
#define BENCH_LEDGER_MILLIONS    1000
#define BENCH_LEDGER_OUTSTANDING 1024

struct bench_ledger_point {
    const char *url; /* of the store, which is empty: memory:, journal:FOLDER or postgres://... */
    struct bench_ledger_work work;
    uint32_t outstanding;
    uint64_t warm_up_ns;
    uint64_t measure_ns;
    uint64_t rows;   /* so many transfers from the first one on, instead of a time; 0: by time */
    bool reads;      /* afterwards: look-ups, histories, and the restart */
    uint32_t orders; /* that a journal keeps: a bit for each enum store_order */
};

/* Zero is: not measured. */
struct bench_ledger_result {
    double batches_per_s;
    double transfers_per_s;
    uint64_t transfers;
    uint64_t p50_ns; /* of a batch, from submit to its answer */
    uint64_t p99_ns;
    uint64_t p999_ns;
    uint64_t max_ns;
    uint64_t stall_ns;       /* the longest time without any answer */
    double cpu_us_per_batch; /* of the process, the client that makes the batches included */
    double load_share;       /* of that time, what the client took: 0 ... 1 */
    uint64_t written_bytes;  /* to the disk */
    bool has_written;
    uint64_t resident_bytes; /* at the end of the load, the client's batches included */
    double restart_s;        /* closing is not part of it; opening is, until it would answer */
    double lookups_per_s;    /* ids a second */
    double histories_per_s;  /* last 100 transfers of an account */
    double any_time_per_s;   /* last 100 before any time of the load; 0: not measured */
    /* Transfers a second within each million of them. */
    double millions[BENCH_LEDGER_MILLIONS];
    uint32_t million_count;
};

/* What one run counts, from the first answer that counts to the last. Zero it. */
struct bench_ledger_count {
    uint64_t from_ns;
    uint64_t last_ns; /* the newest answer that counted */
    uint64_t batches;
    uint64_t million_ns; /* when the newest full million was complete */
    struct bench_histogram latencies;
    uint64_t stall_ns;
    double millions[BENCH_LEDGER_MILLIONS];
    uint32_t million_count;
};

/* An answer to a batch of `batch` that was sent at `sent_ns`. */
void bench_ledger_count_add(
    struct bench_ledger_count *count, uint64_t now, uint64_t sent_ns, uint32_t batch);
/* Rates and latencies of the result. */
void bench_ledger_count_report(
    const struct bench_ledger_count *count, uint32_t batch, struct bench_ledger_result *ret_result);

/* Every transfer must be created, or it is ERR_CORRUPT. `error` tells of the store. */
MUST_USE err_t bench_ledger_run(
    const struct bench_ledger_point *point,
    struct bench_ledger_result *ret_result,
    struct store_error *error);

/* --- bench_ledger_run.c, for bench_ledger_reads.c --- */

MUST_USE err_t bench_ledger_open(
    const struct bench_ledger_point *point,
    struct ledger_engine **ret_engine,
    struct store_error *error);

/* --- bench_ledger_reads.c --- */

/* Looks the maker's samples up and reads histories, each for a second; with `any_time` also those
 * that end at any time of the load. ERR_CORRUPT: something was not found. */
MUST_USE err_t bench_ledger_reads(
    struct port_ledger *port,
    struct os_loop *loop,
    struct bench_ledger_maker *maker,
    bool any_time,
    struct bench_ledger_result *result);

/* --- bench_ledger_net.c --- */

/* The same load over HTTP, each of `outstanding` on a connection of its own, packed. The accounts
 * are new ones of a ledger that no payment uses. `restart` folder, or NULL: see bench_server.h. */
int bench_ledger_net(
    const struct command *command,
    const struct bench_server *server,
    const struct bench_ledger_point *point,
    struct bench_ledger_result *ret_result);

/* --- bench_ledger_report.c --- */

void bench_ledger_report(
    const struct bench_ledger_point *point, const struct bench_ledger_result *result, bool json);

/* --- bench_ledger_options.c --- */

#define BENCH_LEDGER_WORD_SIZE 16
#define BENCH_LEDGER_URL_SIZE  1024

struct bench_ledger_options {
    char data[BENCH_PATH_SIZE];
    char baseline[BENCH_PATH_SIZE];
    char store[BENCH_LEDGER_URL_SIZE];
    char url[BENCH_PATH_SIZE];
    char key[BENCH_LOAD_KEY_SIZE];
    char ids[BENCH_LEDGER_WORD_SIZE];
    char spread[BENCH_LEDGER_WORD_SIZE];
    char orders[STORE_ORDERS_TEXT_SIZE];
    int64_t batch;
    int64_t outstanding;
    int64_t accounts;
    int64_t pending;
    int64_t rows;
    int64_t seconds;
    int64_t repeat;
    bool server;
    bool reads;
    bool json;
};

extern const struct setting bench_ledger_options_table[];
extern const size_t bench_ledger_options_count;

/* The point that the options name, by time (unless `rows`) and without a store. COMMAND_GO_ON, or
 * the status after a message that names the option. */
int bench_ledger_options_point(
    const struct command *command,
    const struct bench_ledger_options *options,
    struct bench_ledger_point *ret_point);

#endif
