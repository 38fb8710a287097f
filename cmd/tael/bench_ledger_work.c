#include "bench_ledger_work.h"

#include "base/assert.h"
#include "os/clock.h"

#include <stdlib.h>
#include <string.h>

/* Of each batch so many ids are offered to the sample. */
#define SAMPLES_PER_BATCH 64
#define ID_RANDOM_BITS    80

/* quantiles[q] is the rank that holds the pick at q / BENCH_LEDGER_QUANTILES of all. */
static void
quantiles_init(struct bench_ledger_maker *maker)
{
    uint32_t accounts = maker->work.accounts;
    double total = 0;
    for (uint32_t rank = 1; rank <= accounts; rank++) {
        total += 1.0 / rank;
    }
    double sum = 1; /* of the ranks up to this one */
    uint32_t rank = 0;
    for (uint32_t quantile = 0; quantile < BENCH_LEDGER_QUANTILES; quantile++) {
        while (rank + 1 < accounts && sum / total <= (double)quantile / BENCH_LEDGER_QUANTILES) {
            rank++;
            sum += 1.0 / (rank + 1);
        }
        maker->quantiles[quantile] = rank;
    }
    maker->quantiles[BENCH_LEDGER_QUANTILES] = accounts;
}

void
bench_ledger_maker_init(
    struct bench_ledger_maker *maker, const struct bench_ledger_work *work, uint64_t seed)
{
    ASSERT(work->accounts >= 2 && work->accounts <= BENCH_LEDGER_ACCOUNTS_MAX);
    ASSERT(work->batch >= 1 && work->batch <= LEDGER_BATCH_MAX);
    ASSERT(work->pending_percent <= 100);
    memset(maker, 0, sizeof(*maker));
    maker->work = *work;
    os_prng_seed(&maker->prng, seed);
    if (work->spread == BENCH_LEDGER_SPREAD_ZIPF) {
        quantiles_init(maker);
    }
}

/* Account number `index` of the work. */
static struct ledger_account
account_at(const struct bench_ledger_work *work, uint32_t index)
{
    ASSERT(index < work->accounts);
    return (struct ledger_account){.id = work->account_base + 1 + index, .ledger = 1, .code = 1};
}

err_t
bench_ledger_accounts(
    const struct bench_ledger_work *work,
    err_t (*create)(void *context, const struct ledger_account *accounts, uint32_t count),
    void *context)
{
    struct ledger_account *accounts = calloc(LEDGER_BATCH_MAX, sizeof(*accounts));
    err_t result = accounts == NULL ? ERR_MEMORY : ERR_OK;
    for (uint32_t done = 0; result == ERR_OK && done < work->accounts;) {
        uint32_t count = work->accounts - done;
        count = count > LEDGER_BATCH_MAX ? LEDGER_BATCH_MAX : count;
        for (uint32_t i = 0; i < count; i++) {
            accounts[i] = account_at(work, done + i);
        }
        result = create(context, accounts, count);
        done += count;
    }
    free(accounts);
    return result;
}

/* 32 bits at random, as one of 0 ... bound - 1; how uneven that is, is of no account here. */
static uint32_t
scale(uint32_t random, uint32_t bound)
{
    return (uint32_t)(((uint64_t)random * bound) >> 32);
}

static uint32_t
pick_index(struct bench_ledger_maker *maker, uint64_t random)
{
    uint32_t high = (uint32_t)(random >> 32);
    if (maker->work.spread != BENCH_LEDGER_SPREAD_ZIPF) {
        return scale(high, maker->work.accounts);
    }
    uint32_t quantile = high >> (32 - BENCH_LEDGER_QUANTILE_BITS);
    uint32_t first = maker->quantiles[quantile];
    uint32_t end = maker->quantiles[quantile + 1];
    return end > first + 1 ? first + scale((uint32_t)random, end - first) : first;
}

u128
bench_ledger_pick(struct bench_ledger_maker *maker)
{
    return maker->work.account_base + 1 + pick_index(maker, os_prng_next(&maker->prng));
}

static u128
next_id(struct bench_ledger_maker *maker, uint64_t milliseconds)
{
    u128 random = u128_make(os_prng_next(&maker->prng), os_prng_next(&maker->prng));
    if (maker->work.ids == BENCH_LEDGER_IDS_RANDOM) {
        return (random >> 1) | 1; /* neither zero nor all ones */
    }
    return ((u128)milliseconds << ID_RANDOM_BITS) | (random >> (128 - ID_RANDOM_BITS)) | 1;
}

/* Between two different accounts. */
static void
make_plain(struct bench_ledger_maker *maker, uint64_t milliseconds, struct ledger_transfer *out)
{
    uint32_t accounts = maker->work.accounts;
    uint32_t debit = pick_index(maker, os_prng_next(&maker->prng));
    uint32_t credit = maker->work.spread == BENCH_LEDGER_SPREAD_HOT
                          ? 0
                          : pick_index(maker, os_prng_next(&maker->prng));
    if (debit == credit) {
        debit = debit + 1 < accounts ? debit + 1 : 0;
    }
    *out = (struct ledger_transfer){
        .id = next_id(maker, milliseconds),
        .debit_account_id = maker->work.account_base + 1 + debit,
        .credit_account_id = maker->work.account_base + 1 + credit,
        .amount = 1 + (maker->made & 1023U),
        .ledger = 1,
        .code = 1,
    };
    maker->made++;
}

/* Posts in full what the last batch of the line reserved. */
static void
make_post(
    struct bench_ledger_maker *maker,
    u128 pending,
    uint64_t milliseconds,
    struct ledger_transfer *out)
{
    *out = (struct ledger_transfer){
        .id = next_id(maker, milliseconds),
        .pending_id = pending,
        .amount = U128_MAX,
        .ledger = 1,
        .code = 1,
        .flags = LEDGER_TRANSFER_POST_PENDING,
    };
    maker->made++;
}

/* Every id that was offered is as likely as any other to be among the samples. */
static void
sample(struct bench_ledger_maker *maker, u128 id)
{
    uint64_t number = maker->samples_seen++;
    if (number < BENCH_LEDGER_SAMPLES) {
        maker->samples[maker->sample_count++] = id;
        return;
    }
    uint64_t place = os_prng_below(&maker->prng, number + 1);
    if (place < BENCH_LEDGER_SAMPLES) {
        maker->samples[place] = id;
    }
}

void
bench_ledger_make(
    struct bench_ledger_maker *maker,
    struct bench_ledger_line *line,
    uint64_t wall_ns,
    struct ledger_transfer *transfers)
{
    const uint64_t milliseconds = wall_ns / OS_NS_PER_MS;
    const uint32_t batch = maker->work.batch;
    uint32_t count = 0;
    while (count < line->reserved_count) {
        make_post(maker, line->reserved[count], milliseconds, &transfers[count]);
        count++;
    }
    line->owed += batch * maker->work.pending_percent / 2;
    line->reserved_count = 0;
    while (count < batch) {
        struct ledger_transfer *transfer = &transfers[count++];
        make_plain(maker, milliseconds, transfer);
        if (line->owed >= 100) {
            line->owed -= 100;
            transfer->flags = LEDGER_TRANSFER_PENDING;
            line->reserved[line->reserved_count++] = transfer->id;
        }
    }
    uint32_t step = batch / SAMPLES_PER_BATCH + 1;
    for (uint32_t i = 0; i < batch; i += step) {
        sample(maker, transfers[i].id);
    }
}
