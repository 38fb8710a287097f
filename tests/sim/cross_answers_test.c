/*
 * What is told of single events and small batches, in the words and the order of one ledger, where
 * two slots have something against an event or one id is in a batch several times. No faults.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "cross_life.h"

static struct world *
open_world(enum commit_protocol protocol)
{
    struct world *world = world_create(3, protocol);
    world_accounts_create(world);
    world_fund(world);
    return world;
}

static void
ask(struct world *world,
    uint32_t count,
    const struct ledger_transfer *events,
    struct ledger_result *ret_results)
{
    struct port_ledger_request request = {
        .operation = PORT_LEDGER_CREATE_TRANSFERS, .count = count};
    request.in.transfers = events;
    request.out.results = ret_results;
    assert_int_equal(world_ask(world, 1, &request), ERR_OK);
}

static uint32_t
status_of(struct world *world, const struct ledger_transfer *event)
{
    struct ledger_result result;
    ask(world, 1, event, &result);
    return result.status;
}

/* An account with a limit, of the group's slot. */
static u128
account_of(const struct world *world, uint32_t group)
{
    return world->accounts[1 + group * WORLD_MEMBERS];
}

static struct ledger_transfer
hold_new(struct world *world, uint32_t payee_group)
{
    struct ledger_transfer hold =
        *world_transfer_new(world, account_of(world, 0), account_of(world, payee_group), 9);
    hold.flags = LEDGER_TRANSFER_PENDING;
    return hold;
}

/* The second slot's accounts come to the first one's shard, and the coordinator knows. */
static void
slots_meet(struct world *world)
{
    const uint16_t slot = world_slot(1);
    const uint32_t to = world->map.owners[world_slot(0)];
    assert_int_equal(world_move(world, &slot, 1, to), ERR_OK);
    const u128 ids[2] = {account_of(world, 0), account_of(world, 1)};
    struct ledger_account found[2];
    struct port_ledger_request request = {.operation = PORT_LEDGER_LOOKUP_ACCOUNTS, .count = 2};
    request.in.ids = ids;
    request.out.accounts = found;
    assert_int_equal(world_ask(world, 1, &request), ERR_OK);
}

/* A batch is done in its order: what is to be made by a later event is not there. */
static void
test_end_before_its_hold(void **state)
{
    (void)state;
    for (int protocol = 0; protocol < 2; protocol++) {
        struct world *world = open_world((enum commit_protocol)protocol);
        const struct ledger_transfer hold = hold_new(world, 1);
        struct ledger_transfer post = *world_transfer_new(world, 0, 0, U128_MAX);
        post.flags = LEDGER_TRANSFER_POST_PENDING;
        post.pending_id = hold.id;
        post.ledger = 0;
        post.code = 0;
        const struct ledger_transfer events[2] = {post, hold};
        struct ledger_result results[2];
        ask(world, 2, events, results);
        assert_int_equal(results[0].status, LEDGER_TRANSFER_pending_transfer_not_found);
        assert_int_equal(results[1].status, LEDGER_TRANSFER_created);
        assert_int_equal(status_of(world, &post), LEDGER_TRANSFER_id_already_failed);
        world_destroy(&world);
    }
}

/* A second phase that names itself is refused for that, whatever has its id later. */
static void
test_end_of_itself(void **state)
{
    (void)state;
    for (int protocol = 0; protocol < 2; protocol++) {
        struct world *world = open_world((enum commit_protocol)protocol);
        struct ledger_transfer events[2];
        events[1] = *world_transfer_new(world, account_of(world, 0), account_of(world, 1), 4);
        events[0] = events[1];
        events[0].pending_id = events[0].id;
        events[0].flags = LEDGER_TRANSFER_POST_PENDING;
        events[0].credit_account_id = events[0].debit_account_id;
        struct ledger_result results[2];
        ask(world, 2, events, results);
        assert_int_equal(results[0].status, LEDGER_TRANSFER_pending_id_must_be_different);
        assert_int_equal(results[1].status, LEDGER_TRANSFER_created);
        world_destroy(&world);
    }
}

/* CROSS-3: both slots have something against it: the account that is not there comes before the
 * money that is not, whichever is heard first. */
static void
test_both_refuse(void **state)
{
    (void)state;
    for (int i = 0; i < 4; i++) {
        struct world *world = open_world(i % 2 == 0 ? COMMIT_2PC : COMMIT_3PC);
        const u128 payer = account_of(world, 0);
        const u128 nobody = shard_id_place((u128)0xdead << 32, world_slot(1));
        const struct ledger_transfer first = /* so that what the protocol needs is there */
            *world_transfer_new(world, payer, account_of(world, 1), 1);
        assert_int_equal(status_of(world, &first), LEDGER_TRANSFER_created);
        const struct ledger_transfer event =
            *world_transfer_new(world, payer, nobody, WORLD_MONEY + 1);
        const uint32_t late = world->map.owners[world_slot(i / 2 == 0 ? 0 : 1)];
        world->shards[late].paused_until_ns = world_now(world) + 50 * OS_NS_PER_MS;
        assert_int_equal(status_of(world, &event), LEDGER_TRANSFER_credit_account_not_found);
        assert_int_equal(status_of(world, &event), LEDGER_TRANSFER_id_already_failed);
        world_destroy(&world);
    }
}

/* The payer's slot has the id, the payee's refuses each time, and is heard first: what has the id
 * is told, and not that a transaction has failed by it. */
static void
test_id_is_there_and_payee_refuses(void **state)
{
    (void)state;
    for (int protocol = 0; protocol < 2; protocol++) {
        struct world *world = open_world((enum commit_protocol)protocol);
        const struct ledger_transfer hold = hold_new(world, 1);
        assert_int_equal(status_of(world, &hold), LEDGER_TRANSFER_created);
        struct ledger_transfer event = hold;
        event.flags = 0;
        event.credit_account_id = shard_id_place((u128)0xdead << 32, world_slot(1));
        for (int i = 0; i < 3; i++) {
            const uint32_t late = world->map.owners[world_slot(0)];
            world->shards[late].paused_until_ns = world_now(world) + 50 * OS_NS_PER_MS;
            assert_int_equal(status_of(world, &event), LEDGER_TRANSFER_exists_with_different_flags);
        }
        world_destroy(&world);
    }
}

/* A refusal that does not use an id up leaves it free: what is wrong with the next one that has it
 * is told, as often as it is asked. */
static void
test_id_refused_before(void **state)
{
    (void)state;
    struct world *world = open_world(COMMIT_2PC);
    struct ledger_transfer event =
        *world_transfer_new(world, account_of(world, 0), account_of(world, 1), WORLD_MONEY + 1);
    event.ledger = WORLD_LEDGER + 1;
    for (int i = 0; i < 2 * SHARDS_ATTEMPTS_MAX; i++) {
        assert_int_equal(
            status_of(world, &event),
            LEDGER_TRANSFER_transfer_must_have_the_same_ledger_as_accounts);
    }
    event.ledger = WORLD_LEDGER;
    assert_int_equal(status_of(world, &event), LEDGER_TRANSFER_exceeds_credits);
    assert_int_equal(status_of(world, &event), LEDGER_TRANSFER_id_already_failed);
    world_destroy(&world);
}

/* The same of a second phase. */
static void
test_post_refused_before(void **state)
{
    (void)state;
    struct world *world = open_world(COMMIT_2PC);
    const struct ledger_transfer hold = hold_new(world, 1);
    struct ledger_transfer post =
        *world_transfer_new(world, account_of(world, 0), account_of(world, 1), U128_MAX);
    post.flags = LEDGER_TRANSFER_POST_PENDING;
    post.pending_id = hold.id;
    assert_int_equal(status_of(world, &hold), LEDGER_TRANSFER_created);
    assert_int_equal(status_of(world, &post), LEDGER_TRANSFER_created);
    post.id = world_transfer_new(world, 0, 0, 0)->id;
    for (int i = 0; i < 2 * SHARDS_ATTEMPTS_MAX; i++) {
        assert_int_equal(status_of(world, &post), LEDGER_TRANSFER_pending_transfer_already_posted);
    }
    struct ledger_transfer events[2] = {hold_new(world, 2), post};
    events[0].amount = WORLD_MONEY + 1;
    events[1].pending_id = events[0].id;
    events[1].credit_account_id = events[0].credit_account_id;
    struct ledger_result results[2];
    ask(world, 2, events, results);
    assert_int_equal(results[0].status, LEDGER_TRANSFER_exceeds_credits);
    assert_int_equal(results[1].status, LEDGER_TRANSFER_pending_transfer_not_found);
    assert_int_equal(status_of(world, &post), LEDGER_TRANSFER_id_already_failed);
    world_destroy(&world);
}

/* An id that is used twice in a batch is the first event's that can have it, also where the slots
 * have met, and a shard takes the hold for one with another payee. */
static void
test_id_used_twice(void **state)
{
    (void)state;
    for (int held = 0; held < 2; held++) {
        struct world *world = open_world(COMMIT_2PC);
        if (held == 0) {
            slots_meet(world);
        }
        struct ledger_transfer hold = hold_new(world, 1);
        assert_int_equal(status_of(world, &hold), LEDGER_TRANSFER_created);
        if (held == 1) {
            slots_meet(world);
        }
        struct ledger_transfer events[2];
        events[1] = *world_transfer_new(world, account_of(world, 0), account_of(world, 1), 7);
        events[0] = events[1];
        events[0].flags = LEDGER_TRANSFER_POST_PENDING;
        events[0].pending_id = hold.id;
        struct ledger_result results[2];
        struct ledger_transfer wrong[2] = {events[0], events[1]};
        wrong[0].credit_account_id = account_of(world, 0);
        wrong[0].id = wrong[1].id = world_transfer_new(world, 0, 0, 0)->id;
        ask(world, 2, wrong, results);
        assert_int_equal(
            results[0].status, LEDGER_TRANSFER_pending_transfer_has_different_credit_account_id);
        assert_int_equal(results[1].status, LEDGER_TRANSFER_created);
        ask(world, 2, events, results);
        assert_int_equal(results[0].status, LEDGER_TRANSFER_created);
        assert_int_equal(results[1].status, LEDGER_TRANSFER_exists_with_different_flags);
        world_destroy(&world);
    }
}

/* A second phase of what nobody has, by an id that is another's, before an event that takes the id
 * of what it would end: it is told of its own id. */
static void
test_end_of_what_an_end_will_be(void **state)
{
    (void)state;
    struct world *world = open_world(COMMIT_2PC);
    struct ledger_transfer paid =
        *world_transfer_new(world, account_of(world, 0), account_of(world, 1), 5);
    paid.id = shard_id_place(paid.id << 32, world_slot(0)); /* where it is looked for */
    const struct ledger_transfer hold = hold_new(world, 1);
    assert_int_equal(status_of(world, &paid), LEDGER_TRANSFER_created);
    assert_int_equal(status_of(world, &hold), LEDGER_TRANSFER_created);
    struct ledger_transfer events[2] = {
        *world_transfer_new(world, 0, 0, 0),
        *world_transfer_new(world, account_of(world, 0), account_of(world, 1), 0),
    };
    events[0].id = paid.id;
    events[0].pending_id = events[1].id;
    events[0].flags = LEDGER_TRANSFER_POST_PENDING;
    events[1].pending_id = hold.id;
    events[1].flags = LEDGER_TRANSFER_VOID_PENDING;
    struct ledger_result results[2];
    ask(world, 2, events, results);
    assert_int_equal(results[0].status, LEDGER_TRANSFER_exists_with_different_flags);
    assert_int_equal(results[1].status, LEDGER_TRANSFER_created);
    world_destroy(&world);
}

/* What ends a hold has an id, and whatever ends that is told that it is no hold. */
static void
test_end_of_an_end(void **state)
{
    (void)state;
    struct world *world = open_world(COMMIT_2PC);
    const struct ledger_transfer hold = hold_new(world, 1);
    assert_int_equal(status_of(world, &hold), LEDGER_TRANSFER_created);
    struct ledger_transfer events[3] = {
        *world_transfer_new(world, 0, 0, 4),
        *world_transfer_new(world, 0, 0, 0),
        *world_transfer_new(world, 0, 0, 0),
    };
    for (uint32_t i = 0; i < 3; i++) {
        events[i].pending_id = i == 0 ? hold.id : events[0].id;
        events[i].flags = i == 0 ? LEDGER_TRANSFER_POST_PENDING : LEDGER_TRANSFER_VOID_PENDING;
        events[i].ledger = 0;
        events[i].code = 0;
    }
    events[2].id = events[0].id;
    struct ledger_result results[3];
    ask(world, 3, events, results);
    assert_int_equal(results[0].status, LEDGER_TRANSFER_created);
    assert_int_equal(results[1].status, LEDGER_TRANSFER_pending_transfer_not_pending);
    assert_int_equal(results[2].status, LEDGER_TRANSFER_exists_with_different_flags);
    world_destroy(&world);
}

/* Two payers in two slots; each event is in two. */
static void
chain_new(struct world *world, struct ledger_transfer events[2])
{
    events[0] = *world_transfer_new(world, account_of(world, 0), account_of(world, 1), 5);
    events[1] = *world_transfer_new(world, account_of(world, 2), account_of(world, 3), 7);
    events[0].flags = LEDGER_TRANSFER_LINKED;
}

/* CROSS-3: of a chain that is refused the id of the event is used up for which it was, as in one
 * ledger, whichever slot has refused it; the others are free, also in slots that would have had
 * to prepare. */
static void
test_ids_of_a_refused_chain(void **state)
{
    (void)state;
    for (int i = 0; i < 8; i++) {
        struct world *world = open_world(i % 2 == 0 ? COMMIT_2PC : COMMIT_3PC);
        struct ledger_transfer events[2];
        struct ledger_result results[2];
        chain_new(world, events);
        uint32_t bad = i / 2 % 2 == 0 ? 0 : 1;
        bool payee = i / 4 == 0;
        const struct ledger_transfer good = events[bad];
        events[bad].amount = payee ? 1 : WORLD_MONEY + 1;
        if (payee) {
            events[bad].credit_account_id = shard_id_place((u128)0xdead << 32, world_slot(1));
        }
        for (int again = 0; again < 2; again++) {
            ask(world, 2, events, results);
            assert_int_equal(
                results[bad].status,
                again == 1 ? LEDGER_TRANSFER_id_already_failed
                : payee    ? LEDGER_TRANSFER_credit_account_not_found
                           : LEDGER_TRANSFER_exceeds_credits);
            assert_int_equal(results[1 - bad].status, LEDGER_TRANSFER_linked_event_failed);
        }
        events[bad] = good;
        events[bad].id = world_transfer_new(world, 0, 0, 0)->id;
        ask(world, 2, events, results);
        assert_int_equal(results[0].status, LEDGER_TRANSFER_created);
        assert_int_equal(results[1].status, LEDGER_TRANSFER_created);
        world_destroy(&world);
    }
}

/* A slot that does not say in time what it has against its part holds nobody up: by 2PC the one
 * that decides knows that the chain was booked. */
static void
test_chain_again_while_a_slot_hangs(void **state)
{
    (void)state;
    struct world *world = open_world(COMMIT_2PC);
    struct ledger_transfer events[2];
    struct ledger_result results[2];
    chain_new(world, events);
    ask(world, 2, events, results);
    assert_int_equal(results[0].status, LEDGER_TRANSFER_created);
    world_run_ms(world, 1000);
    const uint32_t hangs = world->map.owners[world_slot(2)];
    world->shards[hangs].paused_until_ns = world_now(world) + 60 * OS_NS_PER_S;
    ask(world, 2, events, results);
    for (uint32_t i = 0; i < 2; i++) { /* whether by this request or before nobody could tell */
        assert_int_equal(results[i].status, LEDGER_TRANSFER_created);
    }
    world->shards[hangs].paused_until_ns = 0;
    world_destroy(&world);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_end_before_its_hold),
        cmocka_unit_test(test_end_of_itself),
        cmocka_unit_test(test_both_refuse),
        cmocka_unit_test(test_id_is_there_and_payee_refuses),
        cmocka_unit_test(test_id_refused_before),
        cmocka_unit_test(test_post_refused_before),
        cmocka_unit_test(test_id_used_twice),
        cmocka_unit_test(test_end_of_what_an_end_will_be),
        cmocka_unit_test(test_end_of_an_end),
        cmocka_unit_test(test_ids_of_a_refused_chain),
        cmocka_unit_test(test_chain_again_while_a_slot_hangs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
