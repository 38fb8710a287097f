#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "sim_range.h"
#include "sim_seeds.h"

#define SEEDS_SHORT 60
#define SEEDS_LONG  2000
/* After so many it is no use to go on. */
#define FAILED_MAX 20

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
    for (uint32_t i = 0; i < SIM_VERBS_MAX; i++) {
        sum->verbs[i][0] += counts->verbs[i][0];
        sum->verbs[i][1] += counts->verbs[i][1];
    }
}

/* False if it failed. */
static bool
run_seed(
    const struct sim_seeds *seeds, uint64_t seed, struct sim_counts *counts, uint64_t *ret_history)
{
    struct sim_world *world = seeds->create(seed);
    seeds->run(world);
    bool failed = world->failed;
    if (failed) {
        print_error("TAEL_SIM_SEED=%llu: %s\n", (unsigned long long)seed, world->failure);
    }
    add_counts(counts, &world->counts);
    *ret_history = world->history;
    seeds->destroy(world);
    return !failed;
}

void
sim_seeds_hold(const struct sim_seeds *seeds)
{
    struct sim_counts counts = {0};
    const struct sim_range range = sim_range_get(SEEDS_SHORT, SEEDS_LONG);
    uint64_t failed = 0;
    for (uint64_t i = 0; i < range.count && failed < FAILED_MAX; i++) {
        uint64_t history;
        failed += run_seed(seeds, range.first + i, &counts, &history) ? 0 : 1;
    }
    print_message(
        "%llu seeds: %llu answers, %llu replays, %llu lost, %llu crashes, %llu commits failed, "
        "%llu reloads, %llu pauses\n",
        (unsigned long long)range.count,
        (unsigned long long)counts.answers,
        (unsigned long long)counts.replays,
        (unsigned long long)counts.unanswered,
        (unsigned long long)counts.crashes,
        (unsigned long long)counts.commits_failed,
        (unsigned long long)counts.reloads,
        (unsigned long long)counts.pauses);
    assert_int_equal(failed, 0);
    for (uint32_t i = 0; i < seeds->verb_count && !range.is_replay; i++) {
        print_message(
            "  verb %u: %llu done, %llu refused\n",
            i,
            (unsigned long long)counts.verbs[i][1],
            (unsigned long long)counts.verbs[i][0]);
        assert_true(counts.verbs[i][1] > 0);
    }
}

void
sim_seeds_repeat(const struct sim_seeds *seeds)
{
    for (uint64_t seed = 1; seed <= 3; seed++) {
        struct sim_counts counts = {0};
        uint64_t first;
        uint64_t second;
        assert_true(run_seed(seeds, seed, &counts, &first));
        assert_true(run_seed(seeds, seed, &counts, &second));
        assert_int_equal(first, second);
    }
}
