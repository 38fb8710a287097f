/*
 * Many lives of cross-slot transactions, each drawn from a seed; every mistake of commit_world.h
 * must be found; and a coordinator that dies between any two of its steps.
 *
 * TAEL_SIM_SEEDS, TAEL_SIM_FIRST and TAEL_SIM_SEED as in sim_range.h.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "commit_world.h"
#include "sim_range.h"

#include <malloc.h>

#define SEEDS_LONG 50000
/* Within so many seeds each mistake must show. */
#define MUTATION_SEEDS 20000
#define FAILED_MAX     10

static const char *const protocol_names[] = {"2pc", "3pc"};

static bool
holds(uint64_t seed, enum commit_protocol protocol, struct world_counts *sum)
{
    struct world *world = world_create(seed, protocol, MUTATION_NONE, false);
    world_run(world);
    bool failed = world->failed;
    if (failed) {
        print_error(
            "%s TAEL_SIM_SEED=%llu: %s\n",
            protocol_names[protocol],
            (unsigned long long)seed,
            world->failure);
    }
    sum->committed += world->counts.committed;
    sum->aborted += world->counts.aborted;
    sum->crashes += world->counts.crashes;
    sum->resumed += world->counts.resumed;
    sum->outbid += world->counts.outbid;
    sum->lost += world->counts.lost;
    sum->rerun += world->counts.rerun;
    world_destroy(&world);
    return !failed;
}

static void
seeds_hold(enum commit_protocol protocol, uint64_t usual)
{
    struct world_counts sum = {0};
    const struct sim_range range = sim_range_get(usual, SEEDS_LONG);
    uint64_t failed = 0;
    for (uint64_t i = 0; i < range.count && failed < FAILED_MAX; i++) {
        failed += !holds(range.first + i, protocol, &sum);
    }
    print_message(
        "%llu seeds: %llu committed, %llu aborted, %llu run again, %llu crashes, %llu resumed, "
        "%llu outbid, %llu packets lost\n",
        (unsigned long long)range.count,
        (unsigned long long)sum.committed,
        (unsigned long long)sum.aborted,
        (unsigned long long)sum.rerun,
        (unsigned long long)sum.crashes,
        (unsigned long long)sum.resumed,
        (unsigned long long)sum.outbid,
        (unsigned long long)sum.lost);
    assert_int_equal(failed, 0);
    if (!range.is_replay && range.count >= 100) {
        assert_true(sum.committed > range.count && sum.aborted > range.count);
        assert_true(sum.crashes > range.count && sum.resumed > range.count);
        assert_true((protocol == COMMIT_2PC ? sum.rerun : sum.outbid) > 0);
    }
}

#define SEEDS_2PC 1500
#define SEEDS_3PC 3000

static void
two_phases_hold(void **state)
{
    (void)state;
    seeds_hold(COMMIT_2PC, SEEDS_2PC);
}

static void
three_phases_hold(void **state)
{
    (void)state;
    seeds_hold(COMMIT_3PC, SEEDS_3PC);
}

static void
a_seed_repeats_itself(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 6; seed++) {
        uint64_t histories[2];
        for (uint32_t i = 0; i < 2; i++) {
            struct world *world =
                world_create(seed, (enum commit_protocol)(seed % 2), MUTATION_NONE, false);
            world_run(world);
            histories[i] = world->history;
            world_destroy(&world);
        }
        assert_int_equal(histories[0], histories[1]);
    }
}

static uint64_t
seeds_until_found(enum commit_protocol protocol, enum mutation mutation)
{
    for (uint64_t seed = 1; seed <= MUTATION_SEEDS; seed++) {
        struct world *world = world_create(seed, protocol, mutation, false);
        world_run(world);
        bool found = world->failed;
        if (found) {
            print_message(
                "%s mutation %u: seed %llu: %s\n",
                protocol_names[protocol],
                mutation,
                (unsigned long long)seed,
                world->failure);
        }
        world_destroy(&world);
        if (found) {
            return seed;
        }
    }
    print_error("%s mutation %u: not found\n", protocol_names[protocol], mutation);
    return 0;
}

static void
every_mistake_is_found(void **state)
{
    (void)state;
    uint32_t missed = 0;
    for (uint32_t i = 1; i < MUTATIONS; i++) {
        enum mutation mutation = (enum mutation)i;
        if (mutation < MUTATION_FORGET_VALUE) {
            missed += seeds_until_found(COMMIT_2PC, mutation) == 0;
        } else {
            missed += seeds_until_found(COMMIT_3PC, mutation) == 0;
        }
    }
    assert_int_equal(missed, 0);
}

/* One transaction, nothing else goes wrong: the node that makes step k dies behind it. */
static uint32_t
kill_everywhere(enum commit_protocol protocol, uint64_t seed)
{
    uint32_t committed = 0;
    uint32_t step = 0;
    bool killed = true;
    while (killed) {
        step++;
        struct world *world = world_create(seed, protocol, MUTATION_NONE, true);
        world->kill_step = step;
        world_run(world);
        killed = world->steps >= step;
        if (world->failed) {
            print_error("killed behind step %u: %s\n", step, world->failure);
        }
        assert_false(world->failed);
        committed += world->counts.committed != 0;
        world_destroy(&world);
    }
    assert_true(step > 6);
    return committed;
}

static void
a_coordinator_may_die_at_any_step(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 10; seed++) {
        assert_true(kill_everywhere(COMMIT_2PC, seed) > 0);
        assert_true(kill_everywhere(COMMIT_3PC, seed) > 0);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(two_phases_hold),
        cmocka_unit_test(three_phases_hold),
        cmocka_unit_test(a_seed_repeats_itself),
        cmocka_unit_test(every_mistake_is_found),
        cmocka_unit_test(a_coordinator_may_die_at_any_step),
    };
    /* Worlds come and go: their memory need not go back to the system each time. */
    (void)mallopt(M_TRIM_THRESHOLD, 256 << 20);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
