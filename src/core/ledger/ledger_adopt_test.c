/* History that comes from another ledger: both sides of each event are booked, on stand-ins where
 * an account did not come along, and what is booked so is nobody's to end here. */
#include "ledger_test_world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define DEBIT_GUEST  100
#define CREDIT_GUEST 101

static struct t_world world;
static const struct ledger_limits limits = {8, 8, 3, 0, NULL};

static u128
stand_in(uint16_t number)
{
    return ledger_stand_in_id(1, number);
}

static void
adopt_account(u128 id, uint64_t timestamp)
{
    const struct ledger_account account = {
        .id = id, .ledger = 1, .code = 1, .timestamp = timestamp};
    assert_int_equal(ledger_adopt_account(world.ledger, &account, &world.delta), ERR_OK);
}

static int
set_up(void **state)
{
    (void)state;
    t_world_init(&world, &limits);
    adopt_account(DEBIT_GUEST, 20);
    adopt_account(CREDIT_GUEST, 10);
    adopt_account(stand_in(1), 30);
    adopt_account(stand_in(2), 31);
    return 0;
}

static int
tear_down(void **state)
{
    (void)state;
    t_world_release(&world);
    return 0;
}

/* From one guest to the other, as their own ledger has it. */
static struct ledger_adopted
event_of(u128 id, uint64_t timestamp, enum ledger_event_kind kind, u128 amount)
{
    struct ledger_adopted adopted = {
        .debit_account_id = DEBIT_GUEST,
        .credit_account_id = CREDIT_GUEST,
    };
    adopted.event.transfer = (struct ledger_transfer){
        .id = id,
        .debit_account_id = DEBIT_GUEST,
        .credit_account_id = CREDIT_GUEST,
        .amount = amount,
        .ledger = 1,
        .code = 1,
        .timestamp = timestamp,
    };
    adopted.event.timestamp = timestamp;
    adopted.event.kind = (uint8_t)kind;
    return adopted;
}

static err_t
adopt(const struct ledger_adopted *adopted)
{
    world.delta.event_count = 0;
    err_t code = ledger_adopt_event(world.ledger, adopted, &world.delta);
    assert_int_equal(ledger_validate(world.ledger), ERR_OK);
    return code;
}

/* LEDGER-12: what does not give the recorded balances is refused, on either side, and the stand-in
 * for the other one makes the entry whole. */
static void
test_recorded_balances_come_out(void **state)
{
    (void)state;
    struct ledger_adopted without_credit = event_of(50, 40, LEDGER_EVENT_SINGLE_PHASE, 7);
    without_credit.credit_account_id = stand_in(1);
    without_credit.event.debit.debits_posted = 8;
    assert_int_equal(adopt(&without_credit), ERR_CORRUPT);
    assert_true(ledger_find_account(world.ledger, DEBIT_GUEST)->debits_posted == 0);
    assert_int_equal(world.delta.event_count, 0);
    without_credit.event.debit.debits_posted = 7;
    assert_int_equal(adopt(&without_credit), ERR_OK);
    assert_true(ledger_find_account(world.ledger, DEBIT_GUEST)->debits_posted == 7);
    assert_true(ledger_find_account(world.ledger, stand_in(1))->credits_posted == 7);
    assert_true(world.events[0].credit.credits_posted == 7);

    struct ledger_adopted without_debit = event_of(51, 35, LEDGER_EVENT_SINGLE_PHASE, 5);
    without_debit.debit_account_id = stand_in(1);
    without_debit.event.credit.credits_posted = 6;
    assert_int_equal(adopt(&without_debit), ERR_CORRUPT);
    assert_true(ledger_find_account(world.ledger, CREDIT_GUEST)->credits_posted == 0);
    without_debit.event.credit.credits_posted = 5;
    assert_int_equal(adopt(&without_debit), ERR_OK);
    assert_true(ledger_find_account(world.ledger, stand_in(1))->debits_posted == 5);
    assert_true(world.events[0].debit.debits_posted == 5);
}

/* The pending transfer's two sides, as each came with its own account. */
static void
adopt_halves(struct ledger_adopted *debit_half, struct ledger_adopted *credit_half)
{
    struct ledger_adopted pending = event_of(60, 40, LEDGER_EVENT_TWO_PHASE_PENDING, 9);
    pending.event.transfer.flags = LEDGER_TRANSFER_PENDING;
    pending.event.transfer.timeout = 1;
    pending.event.debit.debits_pending = 9;
    pending.event.credit.credits_pending = 9;
    *debit_half = pending;
    debit_half->credit_account_id = stand_in(1);
    *credit_half = pending;
    credit_half->debit_account_id = stand_in(2);
    assert_int_equal(adopt(debit_half), ERR_OK);
    assert_int_equal(adopt(credit_half), ERR_OK);
    assert_int_equal(ledger_pending_count(world.ledger), 2);
}

static bool
everything(void *context, u128 debit_account_id)
{
    (void)context;
    (void)debit_account_id;
    return true;
}

/* LEDGER-13: no second phase finds a half, and it does not expire. */
static void
test_halves_stay(void **state)
{
    (void)state;
    struct ledger_adopted halves[2];
    adopt_halves(&halves[0], &halves[1]);
    ledger_watch_pendings(world.ledger, everything, NULL);
    assert_int_equal(ledger_pulse_at(world.ledger), 0);
    assert_null(ledger_find_pending(world.ledger, 60));
    world.past[world.past_count++] = (struct ledger_past){
        .id = 60,
        .kind = LEDGER_PAST_TRANSFER,
        .fate = LEDGER_FATE_PENDING,
        .transfer = halves[0].event.transfer,
    };
    const struct ledger_transfer post = {
        .id = 61, .pending_id = 60, .amount = U128_MAX, .flags = LEDGER_TRANSFER_POST_PENDING};
    assert_int_equal(t_world_transfer(&world, post), LEDGER_TRANSFER_pending_transfer_not_found);
    assert_int_equal(ledger_pending_count(world.ledger), 2);

    /* From a snapshot, too. */
    assert_int_equal(ledger_reserve(world.ledger, 0, 1), ERR_OK);
    struct ledger_transfer other = halves[0].event.transfer;
    other.id = 62;
    assert_int_equal(
        ledger_load_pending_on(
            world.ledger,
            &other,
            ledger_account_slot(world.ledger, DEBIT_GUEST),
            ledger_account_slot(world.ledger, stand_in(1))),
        ERR_OK);
    assert_int_equal(ledger_pulse_at(world.ledger), 0);
}

/* LEDGER-13: only adopted events end halves, each its own. */
static void
test_halves_end_by_themselves(void **state)
{
    (void)state;
    struct ledger_adopted halves[2];
    adopt_halves(&halves[0], &halves[1]);
    struct ledger_adopted post = event_of(61, 45, LEDGER_EVENT_TWO_PHASE_POSTED, 9);
    post.event.transfer.flags = LEDGER_TRANSFER_POST_PENDING;
    post.event.transfer.pending_id = 60;
    post.event.debit.debits_posted = 9;
    post.event.credit.credits_posted = 9;
    struct ledger_adopted of_credit = post;
    of_credit.debit_account_id = stand_in(2);
    assert_int_equal(adopt(&of_credit), ERR_OK);
    assert_int_equal(ledger_pending_count(world.ledger), 1);
    assert_true(ledger_find_account(world.ledger, DEBIT_GUEST)->debits_pending == 9);
    assert_true(ledger_find_account(world.ledger, CREDIT_GUEST)->credits_pending == 0);
    assert_int_equal(adopt(&of_credit), ERR_CORRUPT);
    struct ledger_adopted of_debit = post;
    of_debit.credit_account_id = stand_in(1);
    assert_int_equal(adopt(&of_debit), ERR_OK);
    assert_int_equal(ledger_pending_count(world.ledger), 0);
    assert_true(ledger_find_account(world.ledger, DEBIT_GUEST)->debits_posted == 9);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_recorded_balances_come_out, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_halves_stay, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_halves_end_by_themselves, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
