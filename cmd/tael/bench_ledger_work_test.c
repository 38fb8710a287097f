/* That a benchmark's load is what its settings say. */
#include "bench_ledger_work.h"

#include "os/clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#define ACCOUNTS 100
#define BATCH    1000

static struct bench_ledger_maker maker;
static struct ledger_transfer transfers[BATCH];
static u128 reserved[BATCH];

static void
make(const struct bench_ledger_work *work, struct bench_ledger_line *line, uint64_t seed)
{
    bench_ledger_maker_init(&maker, work, seed);
    line->reserved = reserved;
    bench_ledger_make(&maker, line, 5 * OS_NS_PER_S, transfers);
}

static void
counts(u128 base, uint32_t out[ACCOUNTS])
{
    for (uint32_t i = 0; i < ACCOUNTS; i++) {
        out[i] = 0;
    }
    for (uint32_t i = 0; i < BATCH; i++) {
        assert_true(transfers[i].credit_account_id > base);
        assert_true(transfers[i].credit_account_id <= base + ACCOUNTS);
        assert_true(transfers[i].debit_account_id > base);
        assert_true(transfers[i].debit_account_id <= base + ACCOUNTS);
        assert_true(transfers[i].debit_account_id != transfers[i].credit_account_id);
        assert_true(transfers[i].id != 0 && transfers[i].id != U128_MAX);
        out[(size_t)(transfers[i].credit_account_id - base - 1)]++;
    }
}

static void
test_uniform_reaches_every_account_about_equally(void **state)
{
    (void)state;
    const struct bench_ledger_work work = {.accounts = ACCOUNTS, .batch = BATCH};
    struct bench_ledger_line line = {.owed = 0};
    uint32_t seen[ACCOUNTS];
    make(&work, &line, 1);
    counts(0, seen);
    for (uint32_t i = 0; i < ACCOUNTS; i++) {
        assert_in_range(seen[i], 1, 30);
    }
}

static void
test_zipf_prefers_the_first_ranks(void **state)
{
    (void)state;
    const struct bench_ledger_work work = {
        .accounts = ACCOUNTS,
        .batch = BATCH,
        .spread = BENCH_LEDGER_SPREAD_ZIPF,
        .account_base = (u128)7 << 64,
    };
    struct bench_ledger_line line = {.owed = 0};
    uint32_t seen[ACCOUNTS];
    make(&work, &line, 1);
    counts(work.account_base, seen);
    /* 1 / (1 + 1/2 + ... + 1/100) is 0.193; a debit of the same rank moves some to the next. */
    assert_in_range(seen[0], 130, 260);
    uint32_t upper_half = 0;
    for (uint32_t i = ACCOUNTS / 2; i < ACCOUNTS; i++) {
        upper_half += seen[i];
    }
    assert_in_range(upper_half, 70, 200); /* 0.133 */
}

static void
test_hot_credits_one_account(void **state)
{
    (void)state;
    const struct bench_ledger_work work = {
        .accounts = ACCOUNTS, .batch = BATCH, .spread = BENCH_LEDGER_SPREAD_HOT};
    struct bench_ledger_line line = {.owed = 0};
    uint32_t seen[ACCOUNTS];
    make(&work, &line, 1);
    counts(0, seen);
    assert_int_equal(seen[0], BATCH);
}

static void
test_what_one_batch_reserves_the_next_posts(void **state)
{
    (void)state;
    const struct bench_ledger_work work = {
        .accounts = ACCOUNTS, .batch = BATCH, .pending_percent = 60};
    struct bench_ledger_line line = {.owed = 0};
    make(&work, &line, 1);
    assert_int_equal(line.reserved_count, 300);
    u128 before[300];
    for (uint32_t i = 0; i < 300; i++) {
        assert_int_equal(transfers[i].flags, LEDGER_TRANSFER_PENDING);
        assert_true(transfers[i].id == reserved[i]);
        before[i] = reserved[i];
    }
    bench_ledger_make(&maker, &line, 5 * OS_NS_PER_S, transfers);
    for (uint32_t i = 0; i < 300; i++) {
        assert_int_equal(transfers[i].flags, LEDGER_TRANSFER_POST_PENDING);
        assert_true(transfers[i].pending_id == before[i]);
    }
    assert_int_equal(line.reserved_count, 300);
    assert_int_equal(transfers[BATCH - 1].flags, 0);
    assert_int_equal(maker.made, 2 * BATCH);
}

static void
test_batches_of_one_reserve_and_post_in_turns(void **state)
{
    (void)state;
    const struct bench_ledger_work work = {
        .accounts = ACCOUNTS, .batch = 1, .pending_percent = 100};
    struct bench_ledger_line line = {.owed = 0};
    uint32_t posts = 0;
    make(&work, &line, 1);
    for (uint32_t i = 0; i < 100; i++) {
        bool due = line.reserved_count == 1;
        bench_ledger_make(&maker, &line, OS_NS_PER_S, transfers);
        assert_int_equal(transfers[0].flags == LEDGER_TRANSFER_POST_PENDING, due);
        posts += due;
    }
    assert_in_range(posts, 45, 50);
}

static int
compare(const void *a, const void *b)
{
    const u128 *left = a;
    const u128 *right = b;
    return (*left > *right) - (*left < *right);
}

static void
test_ids_do_not_repeat_and_begin_with_the_time(void **state)
{
    (void)state;
    for (int ids = BENCH_LEDGER_IDS_RANDOM; ids <= BENCH_LEDGER_IDS_TIME; ids++) {
        const struct bench_ledger_work work = {
            .accounts = ACCOUNTS, .batch = BATCH, .ids = (enum bench_ledger_ids)ids};
        struct bench_ledger_line line = {.owed = 0};
        make(&work, &line, 3);
        u128 seen[BATCH];
        for (uint32_t i = 0; i < BATCH; i++) {
            seen[i] = transfers[i].id;
            if (ids == BENCH_LEDGER_IDS_TIME) {
                assert_true(transfers[i].id >> 80 == 5000);
            }
        }
        qsort(seen, BATCH, sizeof(seen[0]), compare);
        for (uint32_t i = 1; i < BATCH; i++) {
            assert_true(seen[i - 1] != seen[i]);
        }
    }
}

static void
test_samples_are_ids_that_were_made(void **state)
{
    (void)state;
    const struct bench_ledger_work work = {.accounts = ACCOUNTS, .batch = BATCH};
    struct bench_ledger_line line = {.owed = 0};
    make(&work, &line, 1);
    assert_in_range(maker.sample_count, 32, 64);
    for (uint32_t i = 0; i < maker.sample_count; i++) {
        uint32_t at = 0;
        while (at < BATCH && transfers[at].id != maker.samples[i]) {
            at++;
        }
        assert_true(at < BATCH);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_uniform_reaches_every_account_about_equally),
        cmocka_unit_test(test_zipf_prefers_the_first_ranks),
        cmocka_unit_test(test_hot_credits_one_account),
        cmocka_unit_test(test_what_one_batch_reserves_the_next_posts),
        cmocka_unit_test(test_batches_of_one_reserve_and_post_in_turns),
        cmocka_unit_test(test_ids_do_not_repeat_and_begin_with_the_time),
        cmocka_unit_test(test_samples_are_ids_that_were_made),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
