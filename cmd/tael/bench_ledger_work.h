/* What the ledger's benchmarks ask for: accounts and batches of transfers by a few settings, made
 * from a seed and so cheap that the ledger is measured and not this. */
#ifndef TAEL_BENCH_LEDGER_WORK_H
#define TAEL_BENCH_LEDGER_WORK_H

#include "base/err.h"
#include "ledger/records.h"
#include "os/prng.h"

enum bench_ledger_ids {
    BENCH_LEDGER_IDS_RANDOM,
    BENCH_LEDGER_IDS_TIME, /* 48 bits of milliseconds, then 80 at random: ordered but for a tick */
};

enum bench_ledger_spread {
    BENCH_LEDGER_SPREAD_UNIFORM,
    BENCH_LEDGER_SPREAD_ZIPF, /* the account of rank r is picked in proportion to 1 / r */
    BENCH_LEDGER_SPREAD_HOT,  /* every transfer credits the same one */
};

#define BENCH_LEDGER_ACCOUNTS     10000
#define BENCH_LEDGER_ACCOUNTS_MAX 4000000

struct bench_ledger_work {
    enum bench_ledger_ids ids;
    enum bench_ledger_spread spread;
    uint32_t accounts;        /* 2 ... BENCH_LEDGER_ACCOUNTS_MAX */
    uint32_t batch;           /* 1 ... LEDGER_BATCH_MAX */
    uint32_t pending_percent; /* of the transfers: half of them reserve, half post */
    u128 account_base;        /* accounts are those behind it, 1 ... accounts */
};

/* Ranks of Zipf's law at 2^BENCH_LEDGER_QUANTILE_BITS steps of probability; evenly in between. */
#define BENCH_LEDGER_QUANTILE_BITS 14
#define BENCH_LEDGER_QUANTILES     (1u << BENCH_LEDGER_QUANTILE_BITS)
/* Ids that are kept to be looked up, evenly from everything that was made. */
#define BENCH_LEDGER_SAMPLES 65536

/* Makes batches one after the other; one thread. */
struct bench_ledger_maker {
    struct bench_ledger_work work;
    struct os_prng prng;
    uint32_t quantiles[BENCH_LEDGER_QUANTILES + 1];
    u128 samples[BENCH_LEDGER_SAMPLES];
    uint32_t sample_count;
    uint64_t samples_seen;
    uint64_t made;
};

/* A sequence of batches of which each is made when the one before it was answered: what one
 * reserves the next one posts. Zero it. */
struct bench_ledger_line {
    u128 *reserved; /* LEDGER_BATCH_MAX of them, the owner's */
    uint32_t reserved_count;
    uint32_t owed; /* hundredths of a pending transfer */
};

void bench_ledger_maker_init(
    struct bench_ledger_maker *maker, const struct bench_ledger_work *work, uint64_t seed);
/* All accounts of the work, in full batches: `create` is called for one after the other, until it
 * fails. ERR_MEMORY, or its error. */
MUST_USE err_t bench_ledger_accounts(
    const struct bench_ledger_work *work,
    err_t (*create)(void *context, const struct ledger_account *accounts, uint32_t count),
    void *context);
/* Fills work.batch transfers. `wall_ns` is the time that goes into ids. */
void bench_ledger_make(
    struct bench_ledger_maker *maker,
    struct bench_ledger_line *line,
    uint64_t wall_ns,
    struct ledger_transfer *transfers);
/* Some account, each as likely as the work picks it. */
u128 bench_ledger_pick(struct bench_ledger_maker *maker);

#endif
