/* One point of the ledger's table: batches of one size, so many outstanding, on a fresh ledger. */
#ifndef TAEL_BENCH_LEDGER_H
#define TAEL_BENCH_LEDGER_H

#include "bench.h"

#include "store/store.h"

#define BENCH_LEDGER_ACCOUNTS 10000

struct bench_ledger_point {
    const char *url; /* of the store, which is empty: memory:, journal:FOLDER or postgres://... */
    bool hot;        /* every transfer credits the same account */
    uint32_t batch;
    uint32_t outstanding;
    uint64_t warm_up_ns;
    uint64_t measure_ns;
};

struct bench_ledger_result {
    double batches_per_s;
    double transfers_per_s;
    uint64_t p50_ns; /* of a batch, from submit to its answer */
    uint64_t p99_ns;
    double cpu_us_per_batch; /* of the process, the client that makes the batches included */
};

/* Every transfer must be created, or it is ERR_CORRUPT. `error` tells of the store. */
MUST_USE err_t bench_ledger_run(
    const struct bench_ledger_point *point,
    struct bench_ledger_result *ret_result,
    struct store_error *error);

#endif
