/*
 * Growing: an index equals a list of what is in it after any inserts and removals, whatever
 * collides and however far it has moved; blocks and indexes of a whole ledger grow by steps whose
 * cost has a bound.
 *
 * TAEL_GROW_SEED      the first seed of the index's rounds; a failure names the seed to use
 * TAEL_GROW_ACCOUNTS  how many accounts are made for the pause (default: few; with TEST_LONG 4 M)
 */
#include "ledger_internal.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#define ROUNDS         60
#define STEPS          400
#define RECORDS_MAX    40000
#define ACCOUNTS_SHORT 300000
#define ACCOUNTS_LONG  4000000
/* Of the processor's time, on a busy machine; what is measured is a tenth of it. */
#define PAUSE_NS_MAX UINT64_C(50000000)

static uint64_t
setting(const char *name, uint64_t otherwise)
{
    const char *text = getenv(name);
    return text != NULL ? strtoull(text, NULL, 10) : otherwise;
}

/* --- the index alone --- */

static const struct ledger_limits no_limits = {.on_memory = NULL};

struct t_index {
    struct ledger_index index;
    uint64_t random;
    uint32_t hash_mask; /* few bits: nearly everything collides */
    uint32_t hash_low;  /* all homes lie there: runs go over the end of the ring */
    uint32_t hashes[RECORDS_MAX];
    uint32_t slots[RECORDS_MAX];
    uint32_t count;
    uint32_t slot_next;
    uint64_t moving; /* steps that found it between two tables */
    uint64_t grown;
};

static uint32_t
draw(struct t_index *t)
{
    t->random = hash_u64(t->random + 1);
    return (uint32_t)(t->random >> 32);
}

static bool
is_in(const struct ledger_table *table, uint32_t hash, uint32_t slot)
{
    for (uint32_t at = hash & table->mask; table->entries[at] != 0; at = (at + 1) & table->mask) {
        if (table->entries[at] == (((uint64_t)hash << 32) | (slot + 1))) {
            return true;
        }
    }
    return false;
}

/* As a search does. */
static bool
finds(const struct t_index *t, uint32_t hash, uint32_t slot)
{
    const struct ledger_table *table = ledger_index_table(&t->index, hash);
    return is_in(table, hash, slot) || is_in(&t->index.now, hash, slot);
}

static uint64_t
used(const struct ledger_table *table)
{
    uint64_t count = 0;
    for (uint64_t i = 0; table->entries != NULL && i <= table->mask; i++) {
        count += table->entries[i] != 0;
    }
    return count;
}

static void
check_index(struct t_index *t, uint64_t seed)
{
    const struct ledger_index *index = &t->index;
    for (uint32_t i = 0; i < t->count; i++) {
        if (!finds(t, t->hashes[i], t->slots[i])) {
            fail_msg("TAEL_GROW_SEED=%llu: lost an entry", (unsigned long long)seed);
        }
    }
    uint64_t in_now = used(&index->now);
    uint64_t in_old = used(&index->old);
    if (in_now + in_old != t->count) {
        fail_msg("TAEL_GROW_SEED=%llu: an entry too many", (unsigned long long)seed);
    }
    /* TABLE-1. */
    assert_true(in_now * 2 <= (uint64_t)index->now.mask + 1);
    assert_true(index->old.entries == NULL || in_old * 2 <= (uint64_t)index->old.mask + 1);
}

static void
add(struct t_index *t)
{
    uint32_t hash = (draw(t) & t->hash_mask) | t->hash_low;
    t->hashes[t->count] = hash;
    t->slots[t->count] = t->slot_next;
    ledger_index_insert(&t->index, hash, t->slot_next);
    t->count++;
    t->slot_next++;
}

static void
take(struct t_index *t)
{
    uint32_t which = draw(t) % t->count;
    ledger_index_remove(&t->index, t->hashes[which], t->slots[which]);
    t->count--;
    t->hashes[which] = t->hashes[t->count];
    t->slots[which] = t->slots[t->count];
}

static void
step_index(struct t_index *t, uint32_t batch_max)
{
    uint32_t added = draw(t) % (batch_max + 1);
    uint32_t mask = t->index.now.mask;
    added = added < RECORDS_MAX - t->count ? added : RECORDS_MAX - t->count;
    assert_int_equal(ledger_index_reserve(&t->index, &no_limits, t->count, added), ERR_OK);
    t->grown += t->index.now.mask != mask;
    t->moving += t->index.old.entries != NULL;
    for (uint32_t i = 0; i < added; i++) {
        add(t);
        if (draw(t) % 3 == 0) {
            take(t);
        }
    }
}

/* TABLE-1, TABLE-2. */
static void
test_index_equals_a_list(void **state)
{
    (void)state;
    static const uint32_t masks[] = {UINT32_MAX, 0xff, 0xffff00ff, 7};
    uint64_t first = setting("TAEL_GROW_SEED", 1);
    uint64_t moving = 0;
    uint64_t grown = 0;
    for (uint64_t seed = first; seed < first + ROUNDS; seed++) {
        struct t_index *t = calloc(1, sizeof(*t));
        assert_non_null(t);
        t->random = seed;
        t->hash_mask = masks[seed % 4];
        t->hash_low = seed % 8 < 4 ? 0 : 0xf8;
        assert_true(ledger_table_create(&t->index.now, &no_limits, 16));
        /* What nearly all collides takes long; a run of it is moved at once. */
        const uint32_t batch_max = t->hash_mask == 7 ? 3 : 1 + (uint32_t)(seed % 90);
        for (uint32_t step = 0; step < STEPS; step++) {
            step_index(t, batch_max);
            if (step % 20 == 0) {
                check_index(t, seed);
            }
        }
        check_index(t, seed);
        moving += t->moving;
        grown += t->grown;
        free(t->index.now.entries);
        free(t->index.old.entries);
        free(t->index.retired.entries);
        free(t);
    }
    print_message(
        "%llu tables, %llu batches between two\n",
        (unsigned long long)grown,
        (unsigned long long)moving);
    assert_true(grown > 2 * ROUNDS);
    /* Steps of thousands of places move a small table at once. */
    assert_true(LEDGER_MOVE_STEP > 8 || moving > ROUNDS);
}

/* --- a whole ledger --- */

static uint64_t
busy_ns(void)
{
    struct timespec now;
    assert_int_equal(clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now), 0);
    return (uint64_t)now.tv_sec * LEDGER_SECOND_NS + (uint64_t)now.tv_nsec;
}

struct t_growth {
    struct ledger *ledger;
    struct ledger_account batch[LEDGER_BATCH_MAX];
    struct ledger_account made[LEDGER_BATCH_MAX];
    struct ledger_result results[LEDGER_BATCH_MAX];
    uint64_t reserve_ns_max; /* the longest reservation */
    uint64_t batch_ns_max;   /* with the batch */
    uint64_t next_id;
};

static u128
id_of(uint64_t number)
{
    return u128_make(hash_u64(number), number);
}

static void
make_accounts(struct t_growth *t, uint32_t count)
{
    struct ledger_delta delta = {.accounts = t->made, .account_capacity = LEDGER_BATCH_MAX};
    for (uint32_t i = 0; i < count; i++) {
        t->batch[i] = (struct ledger_account){.id = id_of(++t->next_id), .ledger = 1, .code = 1};
    }
    uint64_t began = busy_ns();
    assert_int_equal(ledger_reserve(t->ledger, count, 0), ERR_OK);
    uint64_t reserved = busy_ns() - began;
    ledger_set_clock(t->ledger, ledger_clock(t->ledger) + count);
    ledger_create_accounts(t->ledger, t->batch, count, t->results, &delta);
    uint64_t took = busy_ns() - began;
    assert_int_equal(delta.account_count, count);
    t->reserve_ns_max = reserved > t->reserve_ns_max ? reserved : t->reserve_ns_max;
    t->batch_ns_max = took > t->batch_ns_max ? took : t->batch_ns_max;
}

/* Accounts are found, and have stayed where they were, while the tables double several times. */
static void
test_ledger_grows_in_bounded_steps(void **state)
{
    (void)state;
    const uint64_t usual = getenv("TEST_LONG") != NULL ? ACCOUNTS_LONG : ACCOUNTS_SHORT;
    const uint64_t wanted = setting("TAEL_GROW_ACCOUNTS", usual);
    const struct ledger_limits limits = {
        LEDGER_COUNT_MAX, LEDGER_COUNT_MAX, LEDGER_BATCH_MAX, 0, NULL};
    struct t_growth *t = calloc(1, sizeof(*t));
    assert_non_null(t);
    assert_int_equal(ledger_create(&limits, &t->ledger), ERR_OK);
    make_accounts(t, 1);
    const struct ledger_account *first = ledger_account_at(t->ledger, 0);
    for (uint64_t made = 1; made < wanted;) {
        uint64_t count = wanted - made < LEDGER_BATCH_MAX ? wanted - made : LEDGER_BATCH_MAX;
        make_accounts(t, (uint32_t)count);
        made += count;
        for (uint64_t number = 1 + made % 61; number <= made; number += made / 50 + 1) {
            const struct ledger_account *account = ledger_find_account(t->ledger, id_of(number));
            assert_non_null(account);
            assert_true(account == ledger_account_at(t->ledger, (uint32_t)number - 1));
        }
        assert_null(ledger_find_account(t->ledger, id_of(made + 1)));
    }
    assert_true(first == ledger_account_at(t->ledger, 0));
    assert_int_equal(ledger_validate(t->ledger), ERR_OK);
    print_message(
        "%llu accounts: the longest reservation %llu us, with its batch %llu us\n",
        (unsigned long long)wanted,
        (unsigned long long)t->reserve_ns_max / 1000,
        (unsigned long long)t->batch_ns_max / 1000);
    assert_true(t->reserve_ns_max < PAUSE_NS_MAX);
    ledger_destroy(&t->ledger);
    free(t);
}

static void
fill_block(struct t_growth *t)
{
    for (uint32_t made = 0; made < LEDGER_BLOCK;) {
        uint32_t left = LEDGER_BLOCK - made;
        uint32_t count = left < LEDGER_BATCH_MAX ? left : LEDGER_BATCH_MAX;
        make_accounts(t, count);
        made += count;
    }
}

/* A limit is a limit, also in the middle of a block. */
static void
test_limit_holds(void **state)
{
    (void)state;
    const struct ledger_limits limits = {LEDGER_BLOCK + 3, LEDGER_BLOCK + 2, 1, 0, NULL};
    struct t_growth *t = calloc(1, sizeof(*t));
    assert_non_null(t);
    assert_int_equal(ledger_create(&limits, &t->ledger), ERR_OK);
    fill_block(t);
    assert_int_equal(ledger_reserve(t->ledger, 4, 0), ERR_FULL);
    assert_int_equal(ledger_reserve(t->ledger, 3, LEDGER_BLOCK + 3), ERR_FULL);
    assert_int_equal(ledger_reserve(t->ledger, 3, LEDGER_BLOCK + 2), ERR_OK);
    make_accounts(t, 3);
    assert_int_equal(ledger_reserve(t->ledger, 1, 0), ERR_FULL);
    assert_int_equal(ledger_reserve(t->ledger, 0, 1), ERR_OK);
    assert_int_equal(ledger_validate(t->ledger), ERR_OK);
    ledger_destroy(&t->ledger);
    free(t);
}

static struct {
    const void *memory;
    size_t size;
} told[16];

static uint32_t told_count;

static void
note_memory(void *memory, size_t size)
{
    assert_true(told_count < sizeof(told) / sizeof(*told));
    told[told_count].memory = memory;
    told[told_count++].size = size;
}

static size_t
told_size(const void *memory)
{
    for (uint32_t i = 0; i < told_count; i++) {
        if (told[i].memory == memory) {
            return told[i].size;
        }
    }
    return 0;
}

/* Of the indexes and of what is behind the first blocks; those may take small pages. */
static void
test_memory_is_told(void **state)
{
    (void)state;
    const struct ledger_limits limits = {2 * LEDGER_BLOCK, LEDGER_BLOCK, 1, 0, note_memory};
    struct t_growth *t = calloc(1, sizeof(*t));
    assert_non_null(t);
    told_count = 0;
    assert_int_equal(ledger_create(&limits, &t->ledger), ERR_OK);
    const struct ledger_table *index = &t->ledger->account_index.now;
    assert_int_equal(told_size(index->entries), (index->mask + UINT64_C(1)) * sizeof(uint64_t));
    const struct ledger_table *pendings = &t->ledger->pending_index.now;
    assert_int_equal(
        told_size(pendings->entries), (pendings->mask + UINT64_C(1)) * sizeof(uint64_t));
    fill_block(t);
    make_accounts(t, 1);
    const struct ledger_account_block *block = t->ledger->account_blocks[1];
    assert_int_equal(told_size(block), sizeof(*block));
    /* A large page holds nothing but accounts. */
    const size_t page = sizeof(*block) < (UINT32_C(2) << 20) ? 128 : UINT32_C(2) << 20;
    assert_int_equal((uintptr_t)block->accounts % page, 0);
    assert_int_equal(told_size(index->entries), (index->mask + UINT64_C(1)) * sizeof(uint64_t));
    assert_int_equal(told_size(t->ledger->account_blocks[0]), 0);
    assert_int_equal(told_size(t->ledger->pending_blocks[0]), 0);
    ledger_destroy(&t->ledger);
    free(t);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_index_equals_a_list),
        cmocka_unit_test(test_memory_is_told),
        cmocka_unit_test(test_ledger_grows_in_bounded_steps),
        cmocka_unit_test(test_limit_holds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
