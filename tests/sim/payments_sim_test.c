/*
 * Many lives of a payment process, each drawn from a seed (payments_sim.h).
 *
 * TAEL_SIM_SEEDS    how many seeds (default: a short form, and a long one with TEST_LONG)
 * TAEL_SIM_FIRST    the first of them (default: 1)
 * TAEL_SIM_SEED     one seed only, to replay it
 * TAEL_SIM_VERBOSE  tells what happens
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "payments_sim.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#define SEEDS_SHORT 60
#define SEEDS_LONG  2000
/* After so many it is no use to go on. */
#define FAILED_MAX 20

static uint64_t
setting(const char *name, uint64_t fallback)
{
    const char *text = getenv(name);
    return text == NULL ? fallback : strtoull(text, NULL, 10);
}

static void
add_counts(struct sim_counts *sum, const struct sim_counts *counts)
{
    sum->answers += counts->answers;
    sum->replays += counts->replays;
    sum->unanswered += counts->unanswered;
    sum->crashes += counts->crashes;
    sum->commits_failed += counts->commits_failed;
    sum->reloads += counts->reloads;
    sum->pauses += counts->pauses;
    for (uint32_t i = 0; i < SIM_VERB_COUNT; i++) {
        sum->verbs[i][0] += counts->verbs[i][0];
        sum->verbs[i][1] += counts->verbs[i][1];
    }
}

/* False if it failed. */
static bool
run_seed(uint64_t seed, struct sim_counts *counts, uint64_t *ret_history)
{
    struct sim *sim = sim_create(seed);
    sim_run(sim);
    bool failed = sim->failed;
    if (failed) {
        print_error("TAEL_SIM_SEED=%llu: %s\n", (unsigned long long)seed, sim->failure);
    }
    add_counts(counts, &sim->counts);
    *ret_history = sim->history;
    sim_destroy(&sim);
    return !failed;
}

static void
every_seed_holds(void **state)
{
    (void)state;
    struct sim_counts counts = {0};
    uint64_t usual = getenv("TEST_LONG") == NULL ? SEEDS_SHORT : SEEDS_LONG;
    uint64_t only = setting("TAEL_SIM_SEED", 0);
    uint64_t first = only != 0 ? only : setting("TAEL_SIM_FIRST", 1);
    uint64_t seeds = only != 0 ? 1 : setting("TAEL_SIM_SEEDS", usual);
    uint64_t failed = 0;
    for (uint64_t i = 0; i < seeds && failed < FAILED_MAX; i++) {
        uint64_t history;
        failed += run_seed(first + i, &counts, &history) ? 0 : 1;
    }
    print_message(
        "%llu seeds: %llu answers, %llu replays, %llu lost, %llu crashes, %llu commits failed, "
        "%llu reloads, %llu pauses\n",
        (unsigned long long)seeds,
        (unsigned long long)counts.answers,
        (unsigned long long)counts.replays,
        (unsigned long long)counts.unanswered,
        (unsigned long long)counts.crashes,
        (unsigned long long)counts.commits_failed,
        (unsigned long long)counts.reloads,
        (unsigned long long)counts.pauses);
    assert_int_equal(failed, 0);
    for (uint32_t i = 0; i < SIM_VERB_COUNT && only == 0; i++) {
        print_message(
            "  verb %u: %llu done, %llu refused\n",
            i,
            (unsigned long long)counts.verbs[i][1],
            (unsigned long long)counts.verbs[i][0]);
        assert_true(counts.verbs[i][1] > 0);
    }
}

/* One seed, one history. */
static void
a_seed_repeats_itself(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 3; seed++) {
        struct sim_counts counts = {0};
        uint64_t first;
        uint64_t second;
        assert_true(run_seed(seed, &counts, &first));
        assert_true(run_seed(seed, &counts, &second));
        assert_int_equal(first, second);
    }
}

static bool
is_seen(struct sim *sim, const struct sim_mutation *mutation)
{
    struct sim_books books;
    sim_books_read(sim, &books);
    bool damaged = mutation->damage(&books);
    if (damaged) {
        sim_check(sim, &books);
        sim_check_answers(sim, &books);
        if (!sim->failed) {
            print_error("not seen: %s\n", mutation->name);
        }
        assert_true(sim->failed);
    }
    sim->failed = false;
    sim_books_release(&books);
    return damaged;
}

static void
damage_is_seen(void **state)
{
    (void)state;
    bool seen[64] = {false};
    assert_true(sim_mutation_count <= 64);
    for (uint64_t seed = 1; seed <= 6; seed++) {
        struct sim *sim = sim_create(seed);
        sim_run_to_rest(sim);
        assert_false(sim->failed);
        sim_check_now(sim);
        assert_false(sim->failed);
        for (uint32_t i = 0; i < sim_mutation_count; i++) {
            seen[i] = is_seen(sim, &sim_mutations[i]) || seen[i];
        }
        sim_destroy(&sim);
    }
    for (uint32_t i = 0; i < sim_mutation_count; i++) {
        if (!seen[i]) {
            print_error("never tried: %s\n", sim_mutations[i].name);
        }
        assert_true(seen[i]);
    }
}

/* Somebody changes a document: within two of its runs the reconciler says so. */
static void
the_reconciler_sees(void **state)
{
    (void)state;
    uint32_t changed = 0;
    for (uint64_t seed = 1; seed <= 3; seed++) {
        struct sim *sim = sim_create(seed);
        struct sim_books books;
        sim_run_to_rest(sim);
        assert_false(sim->failed);
        sim_books_read(sim, &books);
        const struct sim_rows *charges = &books.documents[SIM_ROW_CHARGE];
        for (uint32_t i = 0; i < charges->count; i++) {
            struct sim_row *row = &charges->rows[i];
            int64_t captured = sim_row_integer(row, "amount_captured");
            if (captured == 0) {
                continue;
            }
            json_object_set_new(row->body, "amount_captured", json_integer(captured + 100));
            assert_true(sim_documents_damage(sim, SIM_ROW_CHARGE, row));
            sim_pass(sim, 60);
            assert_true(payments_health(sim->process.payments).differences >= 1);
            changed++;
            break;
        }
        sim_books_release(&books);
        sim_destroy(&sim);
    }
    assert_true(changed > 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_seed_holds),
        cmocka_unit_test(a_seed_repeats_itself),
        cmocka_unit_test(damage_is_seen),
        cmocka_unit_test(the_reconciler_sees),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
