/*
 * A transfer between shards, a hold, what ends one, and a chain, whose coordinator dies at every
 * step of the simulation, also while a slot moves; and what is told where slots have met.
 *
 * TAEL_SIM_SEEDS, TAEL_SIM_FIRST and TAEL_SIM_SEED as in sim_range.h.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/sanitized.h"
#include "cross_life.h"
#include "sim_range.h"

/* A group whose slot is on the shard of the first one's. */
#define NEIGHBOUR 4

static uint32_t
in_doubt(struct world *world, uint32_t coordinator)
{
    struct port_ledger_filter filter = {.limit = 16};
    struct ledger_transfer found[16];
    struct port_ledger_request request = {.operation = PORT_LEDGER_QUERY_IN_TRANSIT};
    request.in.filter = &filter;
    request.out.transfers = found;
    assert_int_equal(world_ask(world, coordinator, &request), ERR_OK);
    return request.out_count;
}

static uint32_t
status_of(struct world *world, uint32_t coordinator, const struct ledger_transfer *event)
{
    struct ledger_result result;
    struct port_ledger_request request = {.operation = PORT_LEDGER_CREATE_TRANSFERS, .count = 1};
    request.in.transfers = event;
    request.out.results = &result;
    assert_int_equal(world_ask(world, coordinator, &request), ERR_OK);
    return result.status;
}

static uint64_t
crossed(const struct world *world, uint32_t coordinator)
{
    struct shards_router_counters counters;
    shards_router_count(world->coordinators[coordinator].router, &counters);
    return counters.crossed;
}

/* Both slots are on one shard now: the id's plain form meets what it was booked as before. By 3PC
 * what the dead coordinator left may have been aborted, which uses the id up. */
static void
check_plain_form(struct world *world, const struct world_client *client, bool once)
{
    struct ledger_transfer event = client->events[0];
    if (once && world->transfers[client->first].status == LEDGER_TRANSFER_id_already_failed) {
        assert_int_equal(status_of(world, 2, &event), LEDGER_TRANSFER_id_already_failed);
        assert_int_equal(status_of(world, 2, &event), LEDGER_TRANSFER_id_already_failed);
        return;
    }
    /* The first sight of the new map may still cross by the old one. */
    assert_int_equal(status_of(world, 2, &event), LEDGER_TRANSFER_exists);
    uint64_t before = crossed(world, 2);
    assert_int_equal(status_of(world, 2, &event), LEDGER_TRANSFER_exists);
    event.amount++;
    assert_int_equal(status_of(world, 2, &event), LEDGER_TRANSFER_exists_with_different_amount);
    event = client->events[0];
    event.credit_account_id = world->accounts[2 + WORLD_MEMBERS];
    assert_int_equal(
        status_of(world, 2, &event), LEDGER_TRANSFER_exists_with_different_credit_account_id);
    assert_true(crossed(world, 2) == before);
}

/* A hold between two slots is not ended in a chain, also when both are on one shard: the batch is
 * refused with the event's place, nothing was done, and by itself it is posted. */
static void
test_chain_after_the_slots_met(void **state)
{
    (void)state;
    struct world *world = world_create(3, COMMIT_2PC);
    world_accounts_create(world);
    world_fund(world);
    u128 payer = world->accounts[1];
    u128 payee = world->accounts[1 + WORLD_MEMBERS];
    struct ledger_transfer hold = *world_transfer_new(world, payer, payee, 9);
    hold.flags = LEDGER_TRANSFER_PENDING;
    assert_int_equal(status_of(world, 1, &hold), LEDGER_TRANSFER_created);
    const uint16_t slot = world_slot(1);
    assert_int_equal(world_move(world, &slot, 1, world->map.owners[world_slot(0)]), ERR_OK);
    struct ledger_transfer events[2] = {
        *world_transfer_new(world, payer, payee, 1), *world_transfer_new(world, payer, payee, 7)};
    events[0].flags = LEDGER_TRANSFER_LINKED;
    events[1].flags = LEDGER_TRANSFER_POST_PENDING;
    events[1].pending_id = hold.id;
    struct ledger_result results[2];
    struct port_ledger_request request = {.operation = PORT_LEDGER_CREATE_TRANSFERS, .count = 2};
    request.in.transfers = events;
    request.out.results = results;
    for (int i = 0; i < 2;
         i++) { /* the first sight of the new map may still cross by the old one */
        assert_int_equal(world_ask(world, 2, &request), ERR_CROSSES_SHARDS);
    }
    assert_int_equal(request.out_count, 1);
    events[1].debit_account_id = 0; /* found by its id alone */
    events[1].credit_account_id = 0;
    assert_int_equal(world_ask(world, 2, &request), ERR_CROSSES_SHARDS);
    assert_int_equal(request.out_count, 1);
    events[0].flags = 0;
    assert_int_equal(status_of(world, 2, &events[0]), LEDGER_TRANSFER_created);
    assert_int_equal(status_of(world, 2, &events[1]), LEDGER_TRANSFER_created);
    world_destroy(&world);
}

/* What a chain of one shard makes is that shard's alone, also between two slots: it is ended in a
 * chain or by itself, and until then neither slot moves. */
static void
test_held_by_a_chain_of_one_shard(void **state)
{
    (void)state;
    struct world *world = world_create(3, COMMIT_2PC);
    world_accounts_create(world);
    world_fund(world);
    u128 payer = world->accounts[1];
    u128 payee = world->accounts[1 + NEIGHBOUR * WORLD_MEMBERS];
    struct ledger_transfer events[2] = {
        *world_transfer_new(world, payer, payee, 9), *world_transfer_new(world, payer, payee, 7)};
    events[0].flags = LEDGER_TRANSFER_PENDING | LEDGER_TRANSFER_LINKED;
    struct ledger_result results[2];
    struct port_ledger_request request = {.operation = PORT_LEDGER_CREATE_TRANSFERS, .count = 2};
    request.in.transfers = events;
    request.out.results = results;
    assert_int_equal(world_ask(world, 1, &request), ERR_OK);
    assert_int_equal(results[0].status, LEDGER_TRANSFER_created);
    const uint16_t slot = world_slot(0);
    assert_int_equal(world_move(world, &slot, 1, 2), ERR_DENIED);
    struct ledger_transfer post = *world_transfer_new(world, payer, payee, 5);
    post.flags = LEDGER_TRANSFER_POST_PENDING;
    post.pending_id = events[0].id;
    assert_int_equal(status_of(world, 1, &post), LEDGER_TRANSFER_created);
    assert_int_equal(world_move(world, &slot, 1, 2), ERR_OK);
    assert_int_equal(status_of(world, 1, &post), LEDGER_TRANSFER_exists);
    world_destroy(&world);
}

/* Which of two holds of one id a batch makes nobody knows when what posts it is planned: the batch
 * is refused with that event's place, and nothing was done. The same hold twice is no question. */
static void
test_made_twice(void **state)
{
    (void)state;
    struct world *world = world_create(3, COMMIT_3PC);
    world_accounts_create(world);
    world_fund(world);
    u128 payer = world->accounts[1];
    struct ledger_transfer events[3] = {
        *world_transfer_new(world, payer, world->accounts[1 + WORLD_MEMBERS], 9),
        *world_transfer_new(world, payer, world->accounts[1 + 2 * WORLD_MEMBERS], 11),
        *world_transfer_new(world, payer, 0, 0),
    };
    events[0].flags = LEDGER_TRANSFER_PENDING;
    events[1].flags = LEDGER_TRANSFER_PENDING;
    events[1].id = events[0].id;
    events[2] = (struct ledger_transfer){
        .id = events[2].id,
        .pending_id = events[0].id,
        .amount = U128_MAX,
        .flags = LEDGER_TRANSFER_POST_PENDING,
    };
    struct ledger_result results[3];
    struct port_ledger_request request = {.operation = PORT_LEDGER_CREATE_TRANSFERS, .count = 3};
    request.in.transfers = events;
    request.out.results = results;
    assert_int_equal(world_ask(world, 1, &request), ERR_CROSSES_SHARDS);
    assert_int_equal(request.out_count, 2);
    struct ledger_transfer found;
    struct port_ledger_request lookup = {.operation = PORT_LEDGER_LOOKUP_TRANSFERS, .count = 1};
    lookup.in.ids = &events[0].id;
    lookup.out.transfers = &found;
    assert_int_equal(world_ask(world, 1, &lookup), ERR_OK);
    assert_int_equal(lookup.out_count, 0);
    events[1] = events[0];
    assert_int_equal(world_ask(world, 1, &request), ERR_OK);
    assert_int_equal(results[0].status, LEDGER_TRANSFER_created);
    assert_int_equal(results[1].status, LEDGER_TRANSFER_exists);
    assert_int_equal(results[2].status, LEDGER_TRANSFER_created);
    world_run_ms(world, 1000);
    struct ledger_account payee;
    lookup = (struct port_ledger_request){.operation = PORT_LEDGER_LOOKUP_ACCOUNTS, .count = 1};
    lookup.in.ids = &events[0].credit_account_id;
    lookup.out.accounts = &payee;
    assert_int_equal(world_ask(world, 1, &lookup), ERR_OK);
    assert_true(payee.credits_posted == WORLD_MONEY + 9);
    world_destroy(&world);
}

/* What dies, and what happens right behind its death. */
struct death {
    enum commit_protocol protocol;
    uint16_t flags; /* of the event: a transfer, a hold, or what ends one */
    uint32_t step;  /* of the simulation */
    bool chain;     /* of three slots instead */
    bool moves;     /* the payee's slot moves to the payer's shard */
    bool parts;     /* both slots are on one shard, and the payee's or the payer's moves away */
    bool was_doubt; /* out: something was in doubt when it moved */
};

static void
move_together(struct world *world, struct death *death)
{
    uint32_t alive = (world->clients[0].coordinator + 1) % WORLD_COORDINATORS;
    death->was_doubt = in_doubt(world, alive) != 0;
    const uint16_t slot = world_slot(1);
    assert_int_equal(world_move(world, &slot, 1, world->map.owners[world_slot(0)]), ERR_OK);
    assert_true(world->map.owners[world_slot(1)] == world->map.owners[world_slot(0)]);
}

static void
move_apart(struct world *world, struct death *death)
{
    uint32_t alive = (world->clients[0].coordinator + 1) % WORLD_COORDINATORS;
    death->was_doubt = in_doubt(world, alive) != 0;
    const uint16_t slot = world_slot(death->step % 2 == 0 ? 0 : NEIGHBOUR);
    assert_int_equal(world_move(world, &slot, 1, 2), ERR_OK);
    assert_true(world->map.owners[world_slot(NEIGHBOUR)] != world->map.owners[world_slot(0)]);
}

static u128
hold_make(struct world *world, u128 payer, u128 payee)
{
    struct ledger_transfer *made = world_transfer_new(world, payer, payee, 9);
    made->flags = LEDGER_TRANSFER_PENDING;
    struct world_transfer *told = &world->transfers[world->transfer_count - 1];
    told->told = true;
    told->status = status_of(world, 1, made);
    assert_int_equal(told->status, LEDGER_TRANSFER_created);
    return made->id;
}

/* The event that is under way when its coordinator dies. */
static struct ledger_transfer *
dying_event(struct world *world, const struct death *death)
{
    const unsigned ends = LEDGER_TRANSFER_POST_PENDING | LEDGER_TRANSFER_VOID_PENDING;
    u128 payer = world->accounts[1];
    u128 payee = world->accounts[1 + (death->parts ? NEIGHBOUR : 1) * WORLD_MEMBERS];
    u128 hold = (death->flags & ends) != 0 ? hold_make(world, payer, payee) : 0;
    bool voids = (death->flags & LEDGER_TRANSFER_VOID_PENDING) != 0;
    struct ledger_transfer *event = world_transfer_new(world, payer, payee, voids ? 0 : 7);
    event->flags = death->flags;
    event->pending_id = hold;
    event->timeout = death->flags == LEDGER_TRANSFER_PENDING ? 1 : 0;
    return event;
}

/* Two of its slots are on one shard now. */
static void
check_chain_again(struct world *world, struct world_client *client)
{
    const struct world_transfer *first = &world->transfers[client->first];
    bool booked =
        first->status == LEDGER_TRANSFER_created || first->status == LEDGER_TRANSFER_exists;
    struct ledger_result results[WORLD_BATCH];
    struct port_ledger_request request = {
        .operation = PORT_LEDGER_CREATE_TRANSFERS, .count = client->request.count};
    request.in.transfers = client->events;
    request.out.results = results;
    for (int i = 0; i < 2; i++) {
        assert_int_equal(world_ask(world, 2, &request), ERR_OK);
        assert_int_equal(results[0].status == LEDGER_TRANSFER_exists, booked);
        assert_int_not_equal(results[0].status, LEDGER_TRANSFER_created);
    }
}

/* Payers are in the slot that decides by 2PC, and in another one, where money moves between two
 * accounts too. */
static uint32_t
dying_chain(struct world *world, struct ledger_transfer *events)
{
    const struct ledger_transfer *made[3] = {
        world_transfer_new(world, world->accounts[1], world->accounts[1 + WORLD_MEMBERS], 7),
        world_transfer_new(
            world,
            world->accounts[1 + 2 * WORLD_MEMBERS],
            world->accounts[2 + 2 * WORLD_MEMBERS],
            20),
        world_transfer_new(
            world, world->accounts[1 + 2 * WORLD_MEMBERS], world->accounts[1 + WORLD_MEMBERS], 300),
    };
    for (uint32_t i = 0; i < 3; i++) {
        struct ledger_transfer *event = &events[i];
        *event = *made[i];
        event->flags = i < 2 ? LEDGER_TRANSFER_LINKED : 0;
        world->transfers[world->transfer_count - 3 + i].transfer.flags = event->flags;
    }
    return 3;
}

/* One transfer or chain that crosses, and its coordinator dies after so many steps of the
 * simulation. False: it was over before. */
static bool
kill_at(uint64_t seed, struct death *death)
{
    struct world *world = world_create(seed, death->protocol);
    uint32_t step = death->step;
    world_accounts_create(world);
    world_fund(world);
    struct world_client *client = &world->clients[0];
    client->request.count = 1;
    if (death->chain) {
        client->request.count = dying_chain(world, client->events);
    } else {
        client->events[0] = *dying_event(world, death);
    }
    client->first = world->transfer_count - client->request.count;
    client->asks = true;
    while (!client->waits) {
        world_client_send(client);
    }
    bool killed = false;
    uint32_t steps = 0;
    for (int ms = 0; ms < 50 && !killed; ms++) {
        os_sim_advance(world->sim, OS_NS_PER_MS);
        while (steps < step && os_sim_step(world->sim)) {
            steps++;
        }
        killed = steps == step;
    }
    if (killed) {
        world_coordinator_kill(world, client->coordinator);
    }
    uint64_t died = world_now(world);
    if (death->moves) {
        move_together(world, death);
    } else if (death->parts) {
        move_apart(world, death);
    }
    world_run_ms(world, 100);
    if (killed) {
        world_coordinator_start(world, client->coordinator);
    }
    world_clients_finish(world);
    /* Nothing is blocked longer than a resolver takes: sweep, deadline, sweep. A slot that moves
     * is a new sight. */
    uint64_t limit = died + (death->moves || death->parts ? 5 : 4) * OS_NS_PER_S;
    world_run_ms(world, (uint32_t)((limit - world_now(world)) / OS_NS_PER_MS));
    world_check_nothing_in_doubt(world);
    world_check_holds(world);
    world_check_accounts(world);
    world_check_transfers(world);
    if (death->moves && death->chain) {
        check_chain_again(world, client);
        world_check_accounts(world);
    } else if (death->moves) {
        check_plain_form(world, client, death->protocol == COMMIT_3PC);
        world_check_accounts(world);
    }
    world_destroy(&world);
    return killed;
}

struct tally {
    uint32_t kills;
    uint32_t doubts; /* of these, with transfers in doubt when something moved */
};

/* At one step after the other, from the death's on, until what is done is over before. With a
 * sanitizer, which looks for other faults than those of one step, at some of them. */
static void
kill_at_each_step(uint64_t seed, struct death *death, struct tally *tally)
{
    while (kill_at(seed, death)) {
        death->step += SANITIZED ? 3 : 1;
        tally->kills++;
        tally->doubts += death->was_doubt;
    }
}

static void
test_killed_at_every_step(void **state)
{
    (void)state;
    struct tally tally = {0};
    const struct sim_range range = sim_range_get(1, 20);
    for (uint64_t seed = range.first; seed < range.first + range.count; seed++) {
        for (int protocol = 0; protocol < 2; protocol++) {
            struct death death = {.protocol = protocol == 0 ? COMMIT_2PC : COMMIT_3PC, .step = 1};
            kill_at_each_step(seed, &death, &tally);
            assert_true(death.step > 20);
        }
    }
    print_message("killed at %u steps\n", tally.kills);
}

/* The same of a hold, and of what posts and voids one. */
static void
test_holds_killed_at_every_step(void **state)
{
    static const uint16_t flags[] = {
        LEDGER_TRANSFER_PENDING,
        LEDGER_TRANSFER_POST_PENDING,
        LEDGER_TRANSFER_VOID_PENDING,
    };
    (void)state;
    struct tally tally = {0};
    const struct sim_range range = sim_range_get(1, 20);
    for (uint64_t seed = range.first; seed < range.first + range.count; seed++) {
        for (size_t i = 0; i < 2 * sizeof(flags) / sizeof(flags[0]); i++) {
            struct death death = {
                .protocol = i % 2 == 0 ? COMMIT_2PC : COMMIT_3PC, .flags = flags[i / 2], .step = 1};
            kill_at_each_step(seed, &death, &tally);
            assert_true(death.step > 10);
        }
    }
    print_message("killed at %u steps\n", tally.kills);
}

/* The same of holds between two slots of one shard, of which one moves away. */
static void
test_holds_of_one_shard_killed_at_every_step(void **state)
{
    static const uint16_t flags[] = {
        LEDGER_TRANSFER_PENDING,
        LEDGER_TRANSFER_POST_PENDING,
        LEDGER_TRANSFER_VOID_PENDING,
    };
    (void)state;
    struct tally tally = {0};
    const struct sim_range range = sim_range_get(1, 20);
    for (uint64_t seed = range.first; seed < range.first + range.count; seed++) {
        for (size_t i = 0; i < sizeof(flags) / sizeof(flags[0]); i++) {
            struct death death = {
                .protocol = COMMIT_2PC, .flags = flags[i], .parts = true, .step = 1};
            kill_at_each_step(seed, &death, &tally);
            assert_true(death.step > 10);
        }
    }
    print_message(
        "killed at %u steps, moved %u times with transfers in doubt\n", tally.kills, tally.doubts);
    assert_true(tally.doubts > 0);
}

/* The end of an open hold is sent while the move of one of its slots is cut off before a step, and
 * a shard of the move has died; then the move is done again, or was done by another mover. */
static void
move_cut_off(uint32_t step, uint16_t flags, bool payers, bool targets)
{
    struct world *world = world_create(7 + step, COMMIT_2PC);
    world_accounts_create(world);
    world_fund(world);
    u128 payer = world->accounts[1];
    u128 payee = world->accounts[1 + NEIGHBOUR * WORLD_MEMBERS];
    u128 hold = hold_make(world, payer, payee);
    const uint16_t slot = world_slot(payers ? 0 : NEIGHBOUR);
    const uint32_t from = world->map.owners[slot];
    assert_true(world->map.owners[world_slot(0)] == world->map.owners[world_slot(NEIGHBOUR)]);
    assert_int_equal(world_move_until(world, slot, 2, step), ERR_CLOSED);
    world_shard_kill(world, targets ? 2 : from);
    world_run_ms(world, 10);
    world_shard_start(world, targets ? 2 : from);
    struct world_client *client = &world->clients[0];
    struct ledger_transfer *event = world_transfer_new(world, payer, payee, 0);
    event->amount = flags == LEDGER_TRANSFER_POST_PENDING ? 7 : 0;
    event->flags = flags;
    event->pending_id = hold;
    client->events[0] = *event;
    client->request.count = 1;
    client->first = world->transfer_count - 1;
    client->asks = true;
    world_client_send(client);
    world_run_ms(world, 50);
    assert_int_equal(world_move_until(world, slot, 2, SHARDS_MOVE_STEPS), ERR_OK);
    assert_int_equal(world->map.owners[slot], 2);
    world_clients_finish(world);
    world_run_ms(world, 5000);
    const struct world_transfer *told = &world->transfers[client->first];
    assert_true(told->status == LEDGER_TRANSFER_created || told->status == LEDGER_TRANSFER_exists);
    world_check_nothing_in_doubt(world);
    world_check_holds(world);
    world_check_accounts(world);
    world_check_transfers(world);
    /* Once, in one way. */
    struct ledger_transfer other = *event;
    assert_int_equal(status_of(world, 2, &other), LEDGER_TRANSFER_exists);
    other.id++;
    assert_int_equal(
        status_of(world, 2, &other),
        flags == LEDGER_TRANSFER_POST_PENDING ? LEDGER_TRANSFER_pending_transfer_already_posted
                                              : LEDGER_TRANSFER_pending_transfer_already_voided);
    world_destroy(&world);
}

static void
test_held_while_a_move_is_cut_off(void **state)
{
    (void)state;
    for (uint32_t step = 0; step < SHARDS_MOVE_STEPS; step++) {
        for (uint32_t i = 0; i < 8; i++) {
            uint16_t flags =
                i % 2 == 0 ? LEDGER_TRANSFER_POST_PENDING : LEDGER_TRANSFER_VOID_PENDING;
            move_cut_off(step, flags, i / 2 % 2 == 0, i / 4 == 0);
        }
    }
}

/* CROSS-2: the same of a chain; also while a slot of it moves to another one's shard. */
static void
test_chains_killed_at_every_step(void **state)
{
    (void)state;
    struct tally tally = {0};
    const struct sim_range range = sim_range_get(1, 20);
    for (uint64_t seed = range.first; seed < range.first + range.count; seed++) {
        for (int i = 0; i < 4; i++) {
            struct death death = {
                .protocol = i % 2 == 0 ? COMMIT_2PC : COMMIT_3PC,
                .chain = true,
                .moves = i >= 2,
                .step = 1,
            };
            kill_at_each_step(seed, &death, &tally);
            assert_true(death.step > 20);
        }
    }
    print_message(
        "killed at %u steps, moved %u times with transfers in doubt\n", tally.kills, tally.doubts);
    assert_true(tally.doubts > 0);
}

/* SHARDS-8, CROSS-7: what is in doubt is within a slot, so the slot may move, even to where the
 * other one is, and whatever the coordinator had done before it died. */
static void
test_moved_in_doubt(void **state)
{
    (void)state;
    struct tally tally = {0};
    const struct sim_range range = sim_range_get(1, 20);
    for (uint64_t seed = range.first; seed < range.first + range.count; seed++) {
        for (int protocol = 0; protocol < 2; protocol++) {
            struct death death = {
                .protocol = protocol == 0 ? COMMIT_2PC : COMMIT_3PC, .step = 1, .moves = true};
            kill_at_each_step(seed, &death, &tally);
        }
    }
    print_message(
        "moved behind %u steps, %u times with transfers in doubt\n", tally.kills, tally.doubts);
    assert_true(tally.doubts > 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_chain_after_the_slots_met),
        cmocka_unit_test(test_held_by_a_chain_of_one_shard),
        cmocka_unit_test(test_made_twice),
        cmocka_unit_test(test_killed_at_every_step),
        cmocka_unit_test(test_holds_killed_at_every_step),
        cmocka_unit_test(test_holds_of_one_shard_killed_at_every_step),
        cmocka_unit_test(test_held_while_a_move_is_cut_off),
        cmocka_unit_test(test_chains_killed_at_every_step),
        cmocka_unit_test(test_moved_in_doubt),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
