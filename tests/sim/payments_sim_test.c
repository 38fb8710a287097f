/*
 * Many lives of a payment process, each drawn from a seed (payments_sim.h).
 *
 * TAEL_SIM_SEEDS    how many seeds (default: a short form)
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

#define SEEDS_SHORT 100
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
    uint64_t only = setting("TAEL_SIM_SEED", 0);
    uint64_t first = only != 0 ? only : setting("TAEL_SIM_FIRST", 1);
    uint64_t seeds = only != 0 ? 1 : setting("TAEL_SIM_SEEDS", SEEDS_SHORT);
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

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_seed_holds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
