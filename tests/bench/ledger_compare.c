#include "ledger_compare.h"

#include "base/span.h"
#include "os/clock.h"
#include "os/prng.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct transfer {
    u128 id, debit, credit, amount;
    uint64_t user[6];
    uint64_t timestamp;
    uint64_t debit_link, credit_link; /* timestamps of the transfers before it, or 0 */
    uint64_t reserved;
};

struct account {
    u128 id, debits, credits;
    uint64_t newest; /* timestamp of its newest transfer */
    uint64_t user[9];
};

struct new_id {
    u128 id;
    uint64_t timestamp;
};

_Static_assert(sizeof(struct transfer) == COMPARE_TRANSFER_SIZE, "transfer");
_Static_assert(sizeof(struct account) == COMPARE_ACCOUNT_SIZE, "account");

struct compare {
    const struct compare_engine *engine;
    struct os_prng prng;
    uint64_t timestamp;
    struct account accounts[COMPARE_ACCOUNTS];
    bool dirty[COMPARE_ACCOUNTS];
    struct new_id ids[COMPARE_BATCH_MAX];
    struct transfer transfers[COMPARE_BATCH_MAX];
};

static int
compare_ids(const void *a, const void *b)
{
    const struct new_id *left = a;
    const struct new_id *right = b;
    return (left->id > right->id) - (left->id < right->id);
}

static void
make(struct compare *compare, struct transfer *transfer)
{
    uint64_t debit = os_prng_below(&compare->prng, COMPARE_ACCOUNTS);
    uint64_t credit = os_prng_below(&compare->prng, COMPARE_ACCOUNTS - 1);
    credit += credit >= debit;
    struct account *from = &compare->accounts[debit];
    struct account *to = &compare->accounts[credit];
    *transfer = (struct transfer){
        .id = u128_make(os_prng_next(&compare->prng), os_prng_next(&compare->prng)),
        .debit = debit + 1,
        .credit = credit + 1,
        .amount = 1 + os_prng_below(&compare->prng, 1024),
        .timestamp = ++compare->timestamp,
        .debit_link = from->newest,
        .credit_link = to->newest,
    };
    from->debits += transfer->amount;
    to->credits += transfer->amount;
    from->newest = transfer->timestamp;
    to->newest = transfer->timestamp;
    compare->dirty[debit] = true;
    compare->dirty[credit] = true;
}

static void
run_batch(struct compare *compare, uint32_t batch)
{
    const struct compare_engine *engine = compare->engine;
    for (uint32_t i = 0; i < batch; i++) {
        make(compare, &compare->transfers[i]);
        compare->ids[i] =
            (struct new_id){compare->transfers[i].id, compare->transfers[i].timestamp};
    }
    qsort(compare->ids, batch, sizeof(compare->ids[0]), compare_ids);
    engine->begin();
    for (uint32_t i = 0; i < batch; i++) {
        if (!engine->id_insert(compare->ids[i].id, compare->ids[i].timestamp)) {
            (void)fprintf(stderr, "ledger_%s: a new id is there already\n", engine->name);
            exit(1);
        }
    }
    for (uint32_t i = 0; i < batch; i++) {
        engine->transfer_put(compare->transfers[i].timestamp, &compare->transfers[i]);
    }
    for (uint32_t i = 0; i < COMPARE_ACCOUNTS; i++) {
        if (compare->dirty[i]) {
            compare->dirty[i] = false;
            engine->account_put(i, &compare->accounts[i]);
        }
    }
    engine->commit();
}

static uint64_t
run_until(struct compare *compare, uint32_t batch, uint64_t until_ns)
{
    uint64_t transfers = 0;
    do {
        run_batch(compare, batch);
        transfers += batch;
    } while (os_monotonic_ns(os_clock_real()) < until_ns);
    return transfers;
}

int
compare_main(int argc, char **argv, const struct compare_engine *engine)
{
    uint64_t batch = 0;
    uint64_t milliseconds = 0;
    if (argc != 4 || !span_parse_u64(span_from_cstr(argv[2]), &batch) || batch < 1 ||
        batch > COMPARE_BATCH_MAX || !span_parse_u64(span_from_cstr(argv[3]), &milliseconds)) {
        (void)fprintf(stderr, "usage: ledger_%s FOLDER BATCH MILLISECONDS\n", engine->name);
        return 2;
    }
    struct compare *compare = calloc(1, sizeof(*compare));
    if (compare == NULL) {
        (void)fprintf(stderr, "ledger_%s: out of memory\n", engine->name);
        return 1;
    }
    compare->engine = engine;
    for (uint32_t i = 0; i < COMPARE_ACCOUNTS; i++) {
        compare->accounts[i].id = i + 1;
    }
    os_prng_seed(&compare->prng, 1);
    engine->open(argv[1]);
    uint64_t start_ns = os_monotonic_ns(os_clock_real());
    uint64_t total_ns = milliseconds * OS_NS_PER_MS;
    (void)run_until(compare, (uint32_t)batch, start_ns + total_ns / 5);
    uint64_t from_ns = os_monotonic_ns(os_clock_real());
    uint64_t transfers = run_until(compare, (uint32_t)batch, start_ns + total_ns);
    uint64_t took_ns = os_monotonic_ns(os_clock_real()) - from_ns;
    (void)printf("%.1f\n", (double)transfers * 1e9 / (double)took_ns);
    engine->close();
    free(compare);
    return 0;
}
