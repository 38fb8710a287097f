/*
 * Four ledgers behind a router beside one ledger, both given the same random requests, none of
 * which crosses: every status, every account and every transfer must be the same, but for times.
 * Ids come again with other fields, chains fail, pendings are posted with and without their
 * accounts.
 *
 * The same again while slots move between the shards at random moments, moves stop or are cancelled
 * at random steps, and shards start again.
 *
 * TAEL_SHARDS_SEEDS  how many seeds
 */
#include "differential_world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

static uint64_t
t_seeds(uint64_t usual)
{
    const char *wanted = getenv("TAEL_SHARDS_SEEDS");
    return wanted == NULL ? usual : strtoull(wanted, NULL, 10);
}

static void
t_work(struct t_world *t, int batch)
{
    if (batch == 0 || os_prng_chance(&t->prng, 1, 5)) {
        t_accounts(t);
    } else {
        t_transfers(t);
    }
}

static void
test_same_as_one(void **state)
{
    (void)state;
    uint64_t seeds = t_seeds(300);
    static struct t_world world;
    for (uint64_t seed = 1; seed <= seeds; seed++) {
        struct t_world *t = &world;
        t_open(t, seed);
        for (int i = 0; i < BATCHES; i++) {
            t_work(t, i);
        }
        t_crossing(t);
        t_compare_all(t);
        struct shards_router_counters counters;
        shards_router_count(t->router, &counters);
        assert_int_equal(counters.crossed, 2);
        assert_true(counters.split > 0);
        t_close(t);
    }
}

/* SHARDS-7, SHARDS-8: the same answers while slots move, and everything that was there is there. */
static void
test_same_while_slots_move(void **state)
{
    (void)state;
    uint64_t seeds = t_seeds(40);
    static struct t_world world;
    uint32_t moves = 0, stopped = 0, cancelled = 0, restarts = 0, joined = 0, denied = 0;
    for (uint64_t seed = 1; seed <= seeds; seed++) {
        struct t_world *t = &world;
        t_open(t, seed);
        for (int i = 0; i < BATCHES; i++) {
            t_work(t, i);
            t_join(t);
            if (os_prng_chance(&t->prng, 1, 3)) {
                t_move(t);
            }
        }
        if (t->hold != 0) {
            t_hold_end(t);
        }
        t_compare_all(t);
        for (uint32_t i = 0; i < SHARDS; i++) {
            t_restart(t, i);
        }
        t_compare_all(t);
        moves += t->moves;
        stopped += t->stopped;
        cancelled += t->cancelled;
        restarts += t->restarts;
        joined += t->joined;
        denied += t->denied;
        t_close(t);
    }
    print_message(
        "%u moves, %u stopped, %u cancelled, %u denied, %u restarts, %u transfers from slot to "
        "slot\n",
        moves,
        stopped,
        cancelled,
        denied,
        restarts,
        joined);
    assert_true(moves > 0 && stopped > 0 && cancelled > 0 && joined > 0 && denied > 0);
}

/* The move gives up within its time, and whoever asks for the slots is served by the source again;
 * when the shard is back the same move goes through. */
static void
t_lost_shard(bool target, enum shards_move_step from)
{
    static struct t_world t;
    static struct shard_map now;
    struct shards_move_report report;
    char message[SHARDS_MESSAGE_SIZE];
    t_open(&t, 1);
    for (int i = 0; i < 20; i++) {
        t_accounts(&t);
        t_transfers(&t);
    }
    struct shards_move_parts parts = t_whole_shard(&t, &now);
    t.lost = target ? parts.to : parts.from;
    t.lost_from = from;
    uint64_t began = t_move_now(&t);
    assert_int_equal(shards_move(&parts, &report, message), ERR_BUSY);
    assert_true(t_move_now(&t) - began <= 31 * OS_NS_PER_S);
    assert_memory_equal(now.owners, t_map.owners, sizeof(t_map.owners));
    for (int i = 0; i < 20; i++) {
        t_accounts(&t);
        t_transfers(&t);
    }
    t.lost = SHARDS;
    parts = t_whole_shard(&t, &now);
    assert_int_equal(shards_move(&parts, &report, message), ERR_OK);
    assert_true(report.source.hash == report.target.hash);
    assert_int_equal(t_map.owners[t_slot(0)], parts.to);
    t_close(&t);
}

static void
a_shard_that_is_lost_in_a_move_leaves_no_fence(void **state)
{
    (void)state;
    for (int target = 0; target < 2; target++) {
        t_lost_shard(target != 0, SHARDS_MOVE_ARRIVE);
        t_lost_shard(target != 0, SHARDS_MOVE_COPY);
        t_lost_shard(target != 0, SHARDS_MOVE_FENCE);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_same_as_one),
        cmocka_unit_test(test_same_while_slots_move),
        cmocka_unit_test(a_shard_that_is_lost_in_a_move_leaves_no_fence),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
