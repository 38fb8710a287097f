/*
 * Each mistake of cross_mistakes.h must be found, in lives that are mostly holds and what ends
 * them; and lives without one must hold, or finding would mean nothing.
 *
 * A life is a process of its own: who finds something fails it there, or dies of it.
 *
 * TAEL_SIM_SEEDS, TAEL_SIM_FIRST and TAEL_SIM_SEED as in sim_range.h: of lives without a mistake.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "cross_life.h"
#include "sim_range.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#define SEEDS_SHORT 20
#define SEEDS_LONG  500
/* Within so many lives each mistake must show. */
#define MISTAKE_SEEDS 40
#define ROUNDS        60
#define HOLD_MONEY    (WORLD_MONEY / 4)

static const char *const names[CROSS_MISTAKES] = {
    [CROSS_MISTAKE_NONE] = "none",
    [CROSS_MISTAKE_POST_OF_HALF] = "post of half",
    [CROSS_MISTAKE_VOID_BEHIND_DECISION] = "void behind the decision",
    [CROSS_MISTAKE_EXPIRED_IS_PAID] = "expired is paid",
    [CROSS_MISTAKE_MORE_THAN_HELD] = "more than held",
    [CROSS_MISTAKE_GIVEN_UP] = "given up",
    [CROSS_MISTAKE_HOLD_IS_LEFT] = "hold is left",
    [CROSS_MISTAKE_UNLINKED] = "unlinked",
    [CROSS_MISTAKE_NO_TIME] = "no time",
};

static u128
account_of_other(struct world *world, uint32_t group)
{
    uint32_t other = (group + 1 + (uint32_t)os_prng_below(&world->prng, WORLD_GROUPS - 1));
    return world->accounts[other % WORLD_GROUPS * WORLD_MEMBERS + 1];
}

/* A hold for somebody in another slot; or what posts or voids one, also twice or too late. */
static struct ledger_transfer *
event_make(struct world *world)
{
    const struct ledger_transfer *hold =
        &world->transfers[os_prng_below(&world->prng, world->transfer_count)].transfer;
    uint32_t group = (uint32_t)os_prng_below(&world->prng, WORLD_GROUPS);
    if ((hold->flags & LEDGER_TRANSFER_PENDING) == 0) {
        struct ledger_transfer *made = world_transfer_new(
            world,
            world->accounts[group * WORLD_MEMBERS + 1],
            account_of_other(world, group),
            1 + os_prng_below(&world->prng, HOLD_MONEY));
        made->flags = LEDGER_TRANSFER_PENDING;
        made->timeout = 1 + (uint32_t)os_prng_below(&world->prng, 3);
        return made;
    }
    const struct ledger_transfer held = *hold;
    bool post = os_prng_chance(&world->prng, 3, 4);
    struct ledger_transfer *end = world_transfer_new(
        world,
        held.debit_account_id,
        held.credit_account_id,
        post ? os_prng_below(&world->prng, (uint64_t)held.amount + 1) : 0);
    end->flags = post ? LEDGER_TRANSFER_POST_PENDING : LEDGER_TRANSFER_VOID_PENDING;
    end->pending_id = held.id;
    return end;
}

static void
client_begin(struct world_client *client)
{
    struct world *world = client->world;
    if (world->transfer_count == WORLD_TRANSFERS) {
        return;
    }
    client->first = world->transfer_count;
    client->events[0] = *event_make(world);
    client->request.count = 1;
    client->asks = true;
    world_client_send(client);
}

/* Right behind an answer that a hold is posted its coordinator is killed, and the shard that has
 * the other half with it: that is the resolver's. */
static void
kill_behind_a_post(struct world *world)
{
    for (uint32_t us = 0; us < 5000; us += 50) {
        bool asked[WORLD_CLIENTS];
        for (uint32_t i = 0; i < WORLD_CLIENTS; i++) {
            asked[i] = world->clients[i].asks;
        }
        assert_true(os_sim_run_for(world->sim, 50 * OS_NS_PER_US, 1000000));
        for (uint32_t i = 0; i < WORLD_CLIENTS; i++) {
            const struct world_client *client = &world->clients[i];
            const struct ledger_transfer *event = &client->events[0];
            uint32_t shard = shard_map_of_id(&world->map, event->credit_account_id);
            if (asked[i] && !client->asks && (event->flags & LEDGER_TRANSFER_POST_PENDING) != 0 &&
                client->results[0].status == LEDGER_TRANSFER_created &&
                world->coordinators[client->coordinator].loop != NULL &&
                world->shards[shard].engine != NULL) {
                world_coordinator_kill(world, client->coordinator);
                world_shard_kill(world, shard);
                return;
            }
        }
    }
}

static void
life(uint64_t seed, enum cross_mistake mistake)
{
    struct world *world = world_create(seed, seed % 2 == 0 ? COMMIT_2PC : COMMIT_3PC);
    world_accounts_create(world);
    world_fund(world);
    world->mistake = mistake;
    world->faults = (uint32_t)os_prng_below(&world->prng, 12);
    for (uint32_t i = 0; i < ROUNDS; i++) {
        for (uint32_t j = 0; j < WORLD_CLIENTS; j++) {
            struct world_client *client = &world->clients[j];
            if (!client->asks && os_prng_chance(&world->prng, 1, 2)) {
                client_begin(client);
            } else {
                world_client_turn(client, false);
            }
        }
        if (os_prng_chance(&world->prng, 1, 8)) {
            world_break_something(world);
        } else if (os_prng_chance(&world->prng, 1, 2)) {
            kill_behind_a_post(world);
        }
        world_mend_something(world);
        world_run_ms(world, (uint32_t)os_prng_below(&world->prng, 80));
    }
    world_finish_and_check(world);
    world_destroy(&world);
}

/* In a process of its own: true if it found something. */
static bool
life_fails(uint64_t seed, enum cross_mistake mistake)
{
    (void)fflush(NULL);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        /* A failure ends the process, instead of going on with the next test. */
        setenv("CMOCKA_TEST_ABORT", "1", 1);
        if (mistake != CROSS_MISTAKE_NONE) { /* what is found is expected */
            (void)!freopen("/dev/null", "w", stderr);
            (void)!freopen("/dev/null", "w", stdout);
        }
        life(seed, mistake);
        _exit(0);
    }
    int status = 0;
    assert_true(waitpid(child, &status, 0) == child);
    return !WIFEXITED(status) || WEXITSTATUS(status) != 0;
}

static void
test_lives_hold(void **state)
{
    (void)state;
    const struct sim_range range = sim_range_get(SEEDS_SHORT, SEEDS_LONG);
    for (uint64_t seed = range.first; seed < range.first + range.count; seed++) {
        if (life_fails(seed, CROSS_MISTAKE_NONE)) {
            fail_msg("seed %llu", (unsigned long long)seed);
        }
    }
}

static void
test_every_mistake_is_found(void **state)
{
    (void)state;
    uint32_t missed = 0;
    for (int i = CROSS_MISTAKE_NONE + 1; i < CROSS_MISTAKES; i++) {
        uint64_t seed = 1;
        while (seed <= MISTAKE_SEEDS && !life_fails(seed, (enum cross_mistake)i)) {
            seed++;
        }
        bool found = seed <= MISTAKE_SEEDS;
        print_message(
            "%s: %s %llu\n", names[i], found ? "seed" : "not within", (unsigned long long)seed);
        missed += found ? 0 : 1;
    }
    assert_int_equal(missed, 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lives_hold),
        cmocka_unit_test(test_every_mistake_is_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
