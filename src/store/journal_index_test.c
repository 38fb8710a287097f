#include "journal_index.h"

#include "base/assert.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <setjmp.h>

#include <cmocka.h>

#define COUNT 100000u

static const struct hash_key key = {1, 2};

static uint64_t
position_of(uint64_t number)
{
    return (number + 1) * 16;
}

static void
keeps_what_it_is_given(void **state)
{
    (void)state;
    static struct journal_index index;
    journal_index_init(&index, key, COUNT);
    for (uint64_t i = 0; i < COUNT; i++) {
        assert_int_equal(journal_index_admit(&index, 1), ERR_OK);
        assert_int_equal(
            journal_index_insert(
                &index, journal_index_hash(&index, i), position_of(i), JOURNAL_FATE_PENDING),
            ERR_OK);
    }
    for (uint64_t i = 0; i < COUNT; i++) {
        struct journal_index_cursor cursor =
            journal_index_find(&index, journal_index_hash(&index, i));
        struct journal_index_entry *entry = journal_index_next(&index, &cursor);
        assert_non_null(entry);
        assert_int_equal(journal_index_entry_position(entry), position_of(i));
        assert_int_equal(journal_index_entry_fate(entry), JOURNAL_FATE_PENDING);
        journal_index_set_fate(entry, JOURNAL_FATE_EXPIRED);
        assert_int_equal(journal_index_entry_fate(entry), JOURNAL_FATE_EXPIRED);
        assert_int_equal(journal_index_entry_position(entry), position_of(i));
    }
    struct journal_index_cursor cursor =
        journal_index_find(&index, journal_index_hash(&index, COUNT));
    assert_null(journal_index_next(&index, &cursor));
    journal_index_release(&index);
}

static void
stops_at_its_limit(void **state)
{
    (void)state;
    static struct journal_index index;
    journal_index_init(&index, key, 2);
    assert_int_equal(journal_index_admit(&index, 2), ERR_OK);
    assert_int_equal(journal_index_admit(&index, 3), ERR_FULL);
    assert_int_equal(journal_index_insert(&index, 7, 16, JOURNAL_FATE_SINGLE), ERR_OK);
    assert_int_equal(journal_index_insert(&index, 8, 32, JOURNAL_FATE_SINGLE), ERR_OK);
    assert_int_equal(journal_index_admit(&index, 1), ERR_FULL);
    assert_int_equal(journal_index_insert(&index, 9, 48, JOURNAL_FATE_SINGLE), ERR_FULL);
    journal_index_release(&index);
}

/* Different ids with one hash are all told. */
static void
tells_every_candidate(void **state)
{
    (void)state;
    static struct journal_index index;
    journal_index_init(&index, key, 1000);
    for (uint64_t i = 0; i < 200; i++) {
        assert_int_equal(
            journal_index_insert(&index, 42, position_of(i), JOURNAL_FATE_SINGLE), ERR_OK);
        /* Neighbours in the table with another hash. */
        assert_int_equal(
            journal_index_insert(&index, 43 + i, position_of(500 + i), JOURNAL_FATE_FAILED),
            ERR_OK);
    }
    struct journal_index_cursor cursor = journal_index_find(&index, 42);
    uint64_t sum = 0;
    uint32_t count = 0;
    for (struct journal_index_entry *entry = journal_index_next(&index, &cursor); entry != NULL;
         entry = journal_index_next(&index, &cursor)) {
        sum += journal_index_entry_position(entry);
        count++;
    }
    assert_int_equal(count, 200);
    assert_int_equal(sum, 16 * 200 * 201 / 2);
    journal_index_release(&index);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keeps_what_it_is_given),
        cmocka_unit_test(stops_at_its_limit),
        cmocka_unit_test(tells_every_candidate),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
