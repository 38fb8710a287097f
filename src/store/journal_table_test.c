/* The young part of the index against a list of what was put, with hashes that meet: in one group,
 * behind full ones and over the end, and with tags alike. */
#include "journal_table.h"

#include "os/prng.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <setjmp.h>
#include <string.h>

#include <cmocka.h>

#define ROUNDS  300u
#define ENTRIES 700u

struct t_world {
    struct journal_table table;
    struct journal_index_entry put[ENTRIES];
    uint32_t count;
    struct os_prng prng;
};

/* Of few different groups and tags, and often one that is there: with `spread` bits of each end. */
static uint64_t
t_hash(struct t_world *t, uint32_t spread)
{
    const uint64_t ends = os_prng_next(&t->prng);
    if (t->count > 0 && os_prng_below(&t->prng, 8) == 0) {
        return t->put[os_prng_below(&t->prng, t->count)].hash;
    }
    const uint64_t upper = ends >> (64 - spread) << (64 - spread);
    /* Near the upper end, from where walks go on at the first group. */
    const uint64_t last = os_prng_below(&t->prng, 4) == 0 ? ~UINT64_C(0) << 32 : 0;
    return upper | last | (ends & ((UINT64_C(1) << spread) - 1));
}

/* A new entry, or another fate of one that is there. */
static void
t_put(struct t_world *t, uint32_t spread)
{
    if (t->count > 0 && os_prng_below(&t->prng, 4) == 0) {
        struct journal_index_entry *entry = &t->put[os_prng_below(&t->prng, t->count)];
        entry->reference = journal_index_entry_position(entry) | os_prng_below(&t->prng, 6);
        assert_int_equal(journal_table_put(&t->table, entry->hash, entry->reference), ERR_OK);
        return;
    }
    struct journal_index_entry entry = {
        .hash = t_hash(t, spread), .reference = (t->count + 1) * UINT64_C(16)};
    journal_table_prefetch(&t->table, entry.hash);
    journal_table_prefetch_entry(&t->table, entry.hash);
    assert_int_equal(journal_table_put(&t->table, entry.hash, entry.reference), ERR_OK);
    t->put[t->count++] = entry;
}

/* As many with the hash as were put, each as it was put last. */
static void
t_check_hash(struct t_world *t, uint64_t hash)
{
    uint32_t expected = 0;
    for (uint32_t i = 0; i < t->count; i++) {
        expected += t->put[i].hash == hash;
    }
    uint32_t steps = 0;
    const struct journal_index_entry *entry = NULL;
    while ((entry = journal_table_next(&t->table, hash, &steps)) != NULL) {
        const uint64_t number = journal_index_entry_position(entry) / 16 - 1;
        assert_true(number < t->count);
        assert_memory_equal(entry, &t->put[number], sizeof(*entry));
        assert_true(expected-- > 0);
    }
    assert_int_equal(expected, 0);
}

static void
t_check(struct t_world *t, struct journal_table_order *order, uint32_t spread)
{
    assert_int_equal(t->table.count, t->count);
    for (uint32_t i = 0; i < t->count; i++) {
        t_check_hash(t, t->put[i].hash);
        t_check_hash(t, t_hash(t, spread)); /* mostly of none */
    }
    if (t->count == 0) {
        return;
    }
    assert_int_equal(journal_table_sort(&t->table, order), ERR_OK);
    for (uint32_t i = 0; i < t->count; i++) {
        const struct journal_index_entry *entry = &order->entries[i];
        const uint64_t number = journal_index_entry_position(entry) / 16 - 1;
        assert_true(number < t->count);
        assert_memory_equal(entry, &t->put[number], sizeof(*entry));
        const struct journal_index_entry *before = i > 0 ? entry - 1 : NULL;
        assert_true(
            before == NULL || before->hash < entry->hash ||
            (before->hash == entry->hash && before->reference < entry->reference));
    }
}

/* TABLE-1, TABLE-2, TABLE-3: a table is used again and again, so what it had before is still in its
 * slots. */
static void
test_against_a_list(void **state)
{
    (void)state;
    static struct t_world t;
    struct journal_table_order order = {0};
    os_prng_seed(&t.prng, 7);
    for (uint32_t round = 0; round < ROUNDS; round++) {
        const uint32_t spread = 2 + round % 9;
        const uint32_t room = 1 + (uint32_t)os_prng_below(&t.prng, 400);
        const uint32_t puts = (uint32_t)os_prng_below(&t.prng, ENTRIES);
        t.count = 0;
        assert_int_equal(journal_table_reset(&t.table, room), ERR_OK);
        for (uint32_t i = 0; i < puts; i++) {
            t_put(&t, spread);
        }
        t_check(&t, &order, spread);
    }
    journal_table_order_release(&order);
    journal_table_release(&t.table);
}

/* The bytes' own arithmetic, for every tag beside every other: a difference of one is what may
 * carry over. */
static void
test_tags(void **state)
{
    (void)state;
    for (uint64_t hash = 0; hash < 128; hash++) {
        for (uint64_t other = 0; other < 256; other++) {
            if (other != 0 && other < 128) {
                continue;
            }
            const uint64_t tag = journal_table_tag(hash);
            const uint64_t tags = tag << 16 | other << 24 | other << 8 | other;
            const uint64_t alike = journal_table_alike(tags, hash);
            assert_true((alike >> 23 & 1) == 1);
            assert_true(journal_table_first(alike) == (other == tag ? 0 : 2));
            assert_true((alike & journal_table_empty(tags)) == 0);
            const uint64_t same = UINT64_C(0x0101010101010101);
            assert_true(journal_table_alike(other * same, hash) == (other == tag ? same << 7 : 0));
            assert_true(journal_table_empty(other * same) == (other == 0 ? same << 7 : 0));
        }
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_against_a_list),
        cmocka_unit_test(test_tags),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
