/*
 * What a ledger in an embedded database does, to compare with: for each batch one durable
 * transaction, and in it for each transfer its record, under a rising timestamp and with links to
 * the transfers before it of both accounts (no index of an account's history: that would cost
 * more), an entry from its id to the timestamp, which must not be there yet; and the record of
 * every account that the batch changed. Ids are at random, each batch's are inserted in their
 * order; 10,000 accounts, which are kept in memory beside. The program is the writer itself: no
 * queue, no other thread, no limits or statuses.
 *
 *     build/tests/bench/ledger_NAME FOLDER BATCH MILLISECONDS
 *
 * prints transfers a second. A fifth of the time is warm-up and is not counted.
 */
#ifndef BENCH_LEDGER_COMPARE_H
#define BENCH_LEDGER_COMPARE_H

#include "base/u128.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define COMPARE_ACCOUNTS      10000
#define COMPARE_BATCH_MAX     8190
#define COMPARE_TRANSFER_SIZE 144
#define COMPARE_ACCOUNT_SIZE  128

/* An embedded database. Each call ends the program if it fails, after saying why. */
struct compare_engine {
    const char *name;
    void (*open)(const char *folder); /* an existing, empty one */
    void (*begin)(void);
    /* False: the id is there. */
    bool (*id_insert)(u128 id, uint64_t timestamp);
    /* Timestamps rise. */
    void (*transfer_put)(uint64_t timestamp, const void *record);
    void (*account_put)(uint32_t index, const void *record);
    void (*commit)(void); /* durable when it returns */
    void (*close)(void);
};

/* The whole of main. */
int compare_main(int argc, char **argv, const struct compare_engine *engine);

#endif
