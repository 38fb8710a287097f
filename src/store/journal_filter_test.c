/* Filters side by side against sets of hashes: what was put is found, and hardly anything else. */
#include "journal_filter.h"

#include "os/prng.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <setjmp.h>
#include <stdlib.h>

#include <cmocka.h>

#define GROUPS  24u
#define ENTRIES 5000u
#define PROBES  200000u
#define LANES   8u
#define ROUNDS  40u

struct t_group {
    struct journal_filter filter;
    uint64_t hashes[ENTRIES];
    uint32_t count;
    uint32_t bits;
};

static struct t_group groups[GROUPS];
static struct journal_filter_bank bank;
static struct os_prng prng;

/* As a run's writer does, one piece after the other. */
static void
t_group_fill(struct t_group *group, uint32_t count, uint32_t bits)
{
    uint64_t words = journal_filter_words(count >> bits);
    uint64_t *content = calloc(words << bits, sizeof(*content));
    assert_non_null(content);
    group->count = count;
    group->bits = bits;
    for (uint32_t i = 0; i < count; i++) {
        uint64_t hash = os_prng_next(&prng);
        group->hashes[i] = hash;
        uint64_t word = journal_filter_word(hash, bits, words);
        assert_true(word < words);
        content[journal_run_piece(hash, bits) * words + word] |= journal_filter_bits(hash);
    }
    assert_int_equal(journal_filter_take(&group->filter, &bank, LANES, words << bits), ERR_OK);
    for (uint32_t piece = 0; piece < 1u << bits; piece++) {
        journal_filter_write(&group->filter, piece * words, content + piece * words, words);
    }
    free(content);
}

static uint64_t
t_may_have(const struct journal_filter_view *views, uint32_t count, uint64_t hash)
{
    uint64_t found = 0;
    for (uint32_t i = 0; i < count; i++) {
        journal_filter_prefetch(&views[i], hash);
        found |= journal_filter_groups(&views[i], hash, journal_filter_bits(hash));
    }
    return found;
}

/* Groups come and go in any order, of one size and of others, more than there are lanes: whatever
 * is there at a time is found. */
static void
test_whatever_is_there_is_found(void **state)
{
    (void)state;
    os_prng_seed(&prng, 1);
    for (uint32_t round = 0; round < ROUNDS; round++) {
        for (uint32_t i = 0; i < GROUPS; i++) {
            struct t_group *group = &groups[i];
            if (group->filter.bank != NULL && os_prng_chance(&prng, 1, 2)) {
                journal_filter_give_back(&group->filter);
            } else if (group->filter.bank == NULL && os_prng_chance(&prng, 1, 2)) {
                bool odd = os_prng_chance(&prng, 1, 4);
                t_group_fill(
                    group, odd ? ENTRIES / 3 : ENTRIES - i, (uint32_t)os_prng_below(&prng, 3));
            }
        }
        struct journal_filter_view views[GROUPS] = {0};
        uint32_t count = 0;
        for (uint32_t i = 0; i < GROUPS; i++) {
            if (groups[i].filter.bank != NULL) {
                count = journal_filter_view_add(views, count, &groups[i].filter, i);
            }
        }
        for (uint32_t i = 0; i < GROUPS; i++) {
            for (uint32_t k = 0; groups[i].filter.bank != NULL && k < groups[i].count; k++) {
                uint64_t found = t_may_have(views, count, groups[i].hashes[k]);
                assert_true(found >> i & 1);
            }
        }
    }
    for (uint32_t i = 0; i < GROUPS; i++) {
        journal_filter_give_back(&groups[i].filter);
    }
    journal_filter_bank_release(&bank);
    assert_null(bank.words);
}

/* FILTER-1: equally large ones share lanes while there are any, and one of another size never
 * does. */
static void
test_who_shares_a_bank(void **state)
{
    (void)state;
    struct journal_filter filters[LANES + 2] = {0};
    for (uint32_t i = 0; i < LANES + 1; i++) {
        assert_int_equal(journal_filter_take(&filters[i], &bank, LANES, 100), ERR_OK);
        assert_int_equal(filters[i].bank == &bank, i < LANES);
    }
    assert_int_equal(journal_filter_take(&filters[LANES + 1], &bank, LANES, 101), ERR_OK);
    assert_ptr_equal(filters[LANES + 1].bank, &filters[LANES + 1].own);
    struct journal_filter_view views[LANES + 2] = {0};
    uint32_t count = 0;
    for (uint32_t i = 0; i < LANES + 2; i++) {
        count = journal_filter_view_add(views, count, &filters[i], i);
    }
    assert_int_equal(count, 3);
    assert_int_equal(views[0].count, LANES);
    assert_int_equal(views[0].fetched, LANES);
    /* A lane that was given back is the next one's. */
    journal_filter_give_back(&filters[3]);
    assert_int_equal(journal_filter_take(&filters[3], &bank, LANES, 100), ERR_OK);
    assert_ptr_equal(filters[3].bank, &bank);
    assert_int_equal(filters[3].lane, 3);
    for (uint32_t i = 0; i < LANES + 2; i++) {
        journal_filter_give_back(&filters[i]);
    }
    /* An empty bank takes any size. */
    assert_int_equal(journal_filter_take(&filters[0], &bank, LANES, 101), ERR_OK);
    assert_ptr_equal(filters[0].bank, &bank);
    journal_filter_give_back(&filters[0]);
    journal_filter_bank_release(&bank);
}

/* Each look-up of a new id that a filter does not end reads a block of a run: at three bytes an
 * entry that is about one in a thousand. */
static void
test_few_others_are_found(void **state)
{
    (void)state;
    os_prng_seed(&prng, 2);
    const uint32_t full = 4096; /* no entry less than the words are for */
    t_group_fill(&groups[0], full, 0);
    struct journal_filter_view view = {0};
    assert_int_equal(journal_filter_view_add(&view, 0, &groups[0].filter, 0), 1);
    uint32_t found = 0;
    for (uint32_t i = 0; i < PROBES; i++) {
        found += t_may_have(&view, 1, os_prng_next(&prng)) != 0;
    }
    assert_true(found > 0);
    assert_true(found < PROBES / 700);
    journal_filter_give_back(&groups[0].filter);
    journal_filter_bank_release(&bank);
}

static void
test_about_equal_counts_have_equal_words(void **state)
{
    (void)state;
    assert_int_equal(journal_filter_words(524288), 524288 * 3 / 8);
    assert_int_equal(journal_filter_words(524289), 589824 * 3 / 8);
    assert_int_equal(journal_filter_words(524288 + 16379), 589824 * 3 / 8);
    assert_int_equal(journal_filter_words(589825), 655360 * 3 / 8);
    for (uint64_t count = 0; count < 100000; count = count * 9 / 8 + 1) {
        uint64_t words = journal_filter_words(count);
        uint64_t least = (count < 8 ? 8 : count) * 3 / 8;
        assert_true(words >= least);
        assert_true(words <= least + least / 8 + 3);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_whatever_is_there_is_found),
        cmocka_unit_test(test_who_shares_a_bank),
        cmocka_unit_test(test_few_others_are_found),
        cmocka_unit_test(test_about_equal_counts_have_equal_words),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
