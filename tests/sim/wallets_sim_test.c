/*
 * Many lives of a wallets process, each drawn from a seed (wallets_sim.h).
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

#include "wallets_sim.h"

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

struct counts {
    uint64_t answers, crashes, unanswered;
    uint64_t verbs[WSIM_VERB_COUNT][2];
};

/* False if it failed. */
static bool
run_seed(uint64_t seed, struct counts *counts, uint64_t *ret_history)
{
    struct wsim *sim = wsim_create(seed);
    wsim_run(sim);
    bool failed = sim->failed;
    if (failed) {
        print_error("TAEL_SIM_SEED=%llu: %s\n", (unsigned long long)seed, sim->failure);
    }
    counts->answers += sim->answers;
    counts->crashes += sim->crashes;
    counts->unanswered += sim->unanswered;
    for (uint32_t i = 0; i < WSIM_VERB_COUNT; i++) {
        counts->verbs[i][0] += sim->verbs[i][0];
        counts->verbs[i][1] += sim->verbs[i][1];
    }
    *ret_history = sim->history;
    wsim_destroy(&sim);
    return !failed;
}

static void
every_seed_holds(void **state)
{
    (void)state;
    struct counts counts = {0};
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
        "%llu seeds: %llu answers, %llu lost, %llu crashes\n",
        (unsigned long long)seeds,
        (unsigned long long)counts.answers,
        (unsigned long long)counts.unanswered,
        (unsigned long long)counts.crashes);
    assert_int_equal(failed, 0);
    for (uint32_t i = 0; i < WSIM_VERB_COUNT && only == 0; i++) {
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
        struct counts counts = {0};
        uint64_t first;
        uint64_t second;
        assert_true(run_seed(seed, &counts, &first));
        assert_true(run_seed(seed, &counts, &second));
        assert_int_equal(first, second);
    }
}

/* Somebody changes a document: the check sees it, and so does the reconciler within two runs. */
static void
damage_is_seen(void **state)
{
    (void)state;
    uint32_t damaged = 0;
    for (uint64_t seed = 1; seed <= 3; seed++) {
        struct wsim *sim = wsim_create(seed);
        wsim_run_to_rest(sim);
        assert_false(sim->failed);
        wsim_check(sim);
        assert_false(sim->failed);
        if (wsim_damage(sim)) {
            damaged++;
            wsim_check(sim);
            assert_true(sim->failed);
            wsim_pass(sim, 100);
            assert_true(wallets_health(sim->process.wallets).differences >= 1);
        }
        wsim_destroy(&sim);
    }
    assert_true(damaged > 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_seed_holds),
        cmocka_unit_test(a_seed_repeats_itself),
        cmocka_unit_test(damage_is_seen),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
