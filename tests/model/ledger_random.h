/*
 * Random operations on a ledger, weighted so that rare things happen often: few ids, few ledgers,
 * amounts at both ends, events that are valid but for one field, repeats with one field changed,
 * timestamps next to those that matter. The model is looked at to choose well; it is not changed.
 * The same seed gives the same operations as long as the model answers the same.
 */
#ifndef TESTS_LEDGER_RANDOM_H
#define TESTS_LEDGER_RANDOM_H

#include "ledger_model.h"

#define LEDGER_RANDOM_BATCH_MAX 24
#define LEDGER_RANDOM_KEPT      64

enum ledger_random_kind {
    LEDGER_RANDOM_TICK,
    LEDGER_RANDOM_COMMIT,
    LEDGER_RANDOM_ACCOUNTS,
    LEDGER_RANDOM_TRANSFERS,
};

struct ledger_random_operation {
    enum ledger_random_kind kind;
    int64_t tick_ns;
    uint32_t count;
    struct ledger_account accounts[LEDGER_RANDOM_BATCH_MAX];
    struct ledger_transfer transfers[LEDGER_RANDOM_BATCH_MAX];
};

struct ledger_random {
    uint64_t state;
    u128 next_id;
    bool at_end_of_time;
    /* Requests made before, to be repeated. */
    struct ledger_account accounts[LEDGER_RANDOM_KEPT];
    uint32_t account_count;
    struct ledger_transfer transfers[LEDGER_RANDOM_KEPT];
    uint32_t transfer_count;
};

void ledger_random_init(struct ledger_random *random, uint64_t seed);
/* 0 ... bound - 1. */
uint64_t ledger_random_below(struct ledger_random *random, uint64_t bound);
void ledger_random_next(
    struct ledger_random *random,
    const struct ledger_model *model,
    struct ledger_random_operation *ret_operation);

#endif
