/* What a batch leaves behind: chains, the second phase within a batch, expiry, limits, loading,
 * redoing, validation. */
#include "ledger_internal.h"
#include "ledger_test_world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define SECOND UINT64_C(1000000000)

static struct t_world world;
static const struct ledger_limits limits = {8, 8, 3, 0, NULL};

static int
set_up(void **state)
{
    (void)state;
    t_world_init(&world, &limits);
    for (u128 id = 1; id <= 4; id++) {
        struct ledger_account account = {.id = id, .ledger = 1, .code = 1};
        assert_int_equal(t_world_account(&world, account), LEDGER_ACCOUNT_created);
    }
    return 0;
}

static int
tear_down(void **state)
{
    (void)state;
    t_world_release(&world);
    return 0;
}

static struct ledger_transfer
transfer(u128 id, u128 amount, unsigned flags)
{
    return (struct ledger_transfer){
        .id = id,
        .debit_account_id = 1,
        .credit_account_id = 2,
        .amount = amount,
        .ledger = 1,
        .code = 1,
        .flags = (uint16_t)flags,
    };
}

static struct ledger_transfer
finishing(u128 id, u128 pending_id, unsigned flags)
{
    return (struct ledger_transfer){
        .id = id,
        .pending_id = pending_id,
        .amount = (flags & LEDGER_TRANSFER_POST_PENDING) != 0 ? U128_MAX : 0,
        .flags = (uint16_t)flags,
    };
}

/* A pending transfer that is there afterwards. */
static void
make_pending(u128 id, u128 amount, uint32_t timeout)
{
    struct ledger_transfer pending = transfer(id, amount, LEDGER_TRANSFER_PENDING);
    pending.timeout = timeout;
    assert_int_equal(t_world_transfer(&world, pending), LEDGER_TRANSFER_created);
}

static uint32_t
status(uint32_t i)
{
    return world.results[i].status;
}

/* LEDGER-4. */
static void
test_broken_chain_leaves_nothing(void **state)
{
    (void)state;
    make_pending(10, 7, 0);
    make_pending(11, 5, 9);
    const struct ledger_account before_1 = *ledger_find_account(world.ledger, 1);
    const struct ledger_account before_2 = *ledger_find_account(world.ledger, 2);
    const unsigned linked = LEDGER_TRANSFER_LINKED;
    struct ledger_transfer batch[] = {
        transfer(20, 1, linked),
        transfer(21, 2, linked | LEDGER_TRANSFER_PENDING),
        finishing(22, 10, linked | LEDGER_TRANSFER_POST_PENDING),
        finishing(23, 21, linked | LEDGER_TRANSFER_VOID_PENDING),
        finishing(24, 11, linked | LEDGER_TRANSFER_VOID_PENDING),
        transfer(25, 3, linked | LEDGER_TRANSFER_PENDING | LEDGER_TRANSFER_CLOSING_CREDIT),
        finishing(26, 25, linked | LEDGER_TRANSFER_VOID_PENDING),
        finishing(27, 999, linked | LEDGER_TRANSFER_POST_PENDING), /* breaks it */
        transfer(28, 1, 0),
        transfer(29, 1, 0),                              /* not of the chain */
        finishing(30, 21, LEDGER_TRANSFER_POST_PENDING), /* undone: was never there */
        finishing(27, 10, LEDGER_TRANSFER_POST_PENDING), /* its id is used up */
    };
    t_world_create_transfers(&world, batch, 12);
    for (uint32_t i = 0; i < 9; i++) {
        assert_int_equal(
            status(i),
            i == 7 ? LEDGER_TRANSFER_pending_transfer_not_found
                   : LEDGER_TRANSFER_linked_event_failed);
        assert_int_equal(world.results[i].timestamp, ledger_clock(world.ledger) - 12 + i + 1);
    }
    assert_int_equal(status(9), LEDGER_TRANSFER_created);
    assert_int_equal(status(10), LEDGER_TRANSFER_pending_transfer_not_found);
    assert_int_equal(status(11), LEDGER_TRANSFER_id_already_failed);
    assert_int_equal(world.delta.event_count, 1);
    assert_int_equal(world.delta.failed_count, 2);
    assert_true(world.failed[0] == 27 && world.failed[1] == 30);
    assert_int_equal(ledger_pending_count(world.ledger), 2);
    assert_non_null(ledger_find_pending(world.ledger, 11));
    const struct ledger_account *after_1 = ledger_find_account(world.ledger, 1);
    const struct ledger_account *after_2 = ledger_find_account(world.ledger, 2);
    assert_true(after_1->debits_posted == before_1.debits_posted + 1);
    assert_true(after_1->debits_pending == before_1.debits_pending);
    assert_true(after_2->credits_pending == before_2.credits_pending);
    assert_int_equal(after_2->flags, before_2.flags);
    assert_int_equal(ledger_validate(world.ledger), ERR_OK);
    /* The members of the chain may be tried again. */
    assert_int_equal(t_world_transfer(&world, transfer(20, 1, 0)), LEDGER_TRANSFER_created);
}

static void
test_chain_of_accounts(void **state)
{
    (void)state;
    struct ledger_account batch[] = {
        {.id = 50, .ledger = 1, .code = 1, .flags = LEDGER_ACCOUNT_LINKED},
        {.id = 51, .ledger = 1, .code = 1, .flags = LEDGER_ACCOUNT_LINKED},
        {.id = 50, .ledger = 1, .code = 1, .flags = LEDGER_ACCOUNT_LINKED},
        {.id = 52, .ledger = 1, .code = 1},
        {.id = 51, .ledger = 1, .code = 2},
    };
    t_world_create_accounts(&world, batch, 5);
    assert_int_equal(status(0), LEDGER_ACCOUNT_linked_event_failed);
    assert_int_equal(status(1), LEDGER_ACCOUNT_linked_event_failed);
    /* `exists` fails a chain, and answers with the original's timestamp though that is undone. */
    assert_int_equal(status(2), LEDGER_ACCOUNT_exists);
    assert_int_equal(world.results[2].timestamp, world.results[0].timestamp);
    assert_int_equal(status(3), LEDGER_ACCOUNT_linked_event_failed);
    assert_int_equal(status(4), LEDGER_ACCOUNT_created);
    assert_int_equal(ledger_account_count(world.ledger), 5);
    assert_null(ledger_find_account(world.ledger, 50));
    assert_int_equal(ledger_account_slot(world.ledger, 51), 4);
    assert_int_equal(world.delta.account_count, 1);
    assert_int_equal(ledger_validate(world.ledger), ERR_OK);
}

/* LEDGER-7. */
static void
test_imported_timestamps_of_results(void **state)
{
    (void)state;
    ledger_set_clock(world.ledger, 1000);
    struct ledger_transfer batch[] = {
        transfer(20, 1, LEDGER_TRANSFER_LINKED | LEDGER_TRANSFER_IMPORTED),
        transfer(0, 1, LEDGER_TRANSFER_LINKED | LEDGER_TRANSFER_IMPORTED),
        transfer(22, 1, LEDGER_TRANSFER_IMPORTED),
        transfer(23, 1, LEDGER_TRANSFER_IMPORTED),
        transfer(23, 1, LEDGER_TRANSFER_IMPORTED),
    };
    batch[0].timestamp = 500;
    batch[1].timestamp = 501;
    batch[2].timestamp = 502;
    batch[3].timestamp = 400; /* the undone 500 does not count */
    batch[4].timestamp = 700;
    t_world_create_transfers(&world, batch, 5);
    assert_int_equal(status(0), LEDGER_TRANSFER_linked_event_failed);
    assert_int_equal(world.results[0].timestamp, 500);
    assert_int_equal(status(1), LEDGER_TRANSFER_id_must_not_be_zero);
    assert_int_equal(world.results[1].timestamp, ledger_clock(world.ledger) - 3);
    assert_int_equal(status(2), LEDGER_TRANSFER_linked_event_failed);
    assert_int_equal(world.results[2].timestamp, 502);
    assert_int_equal(status(3), LEDGER_TRANSFER_created);
    assert_int_equal(world.results[3].timestamp, 400);
    assert_int_equal(status(4), LEDGER_TRANSFER_exists);
    assert_int_equal(world.results[4].timestamp, 400);
}

/* LEDGER-7: an import may not take the timestamp of a transfer that only the store remembers. */
static void
test_imported_account_meets_a_transfer(void **state)
{
    (void)state;
    ledger_set_clock(world.ledger, 1000);
    assert_int_equal(t_world_transfer(&world, transfer(20, 1, 0)), LEDGER_TRANSFER_created);
    uint64_t taken = world.results[0].timestamp;
    ledger_set_clock(world.ledger, 2000);
    assert_int_equal(t_world_transfer(&world, transfer(21, 1, 0)), LEDGER_TRANSFER_created);
    struct ledger_account batch[] = {
        {.id = 50, .ledger = 1, .code = 1, .flags = LEDGER_ACCOUNT_IMPORTED, .timestamp = 900},
        {.id = 51, .ledger = 1, .code = 1, .flags = LEDGER_ACCOUNT_IMPORTED, .timestamp = taken},
        {.id = 52, .ledger = 1, .code = 1, .flags = LEDGER_ACCOUNT_IMPORTED, .timestamp = 1900},
    };
    uint64_t timestamps[3];
    assert_int_equal(ledger_prepare_accounts(world.ledger, batch, 3, timestamps), 3);
    assert_int_equal(timestamps[1], taken);
    t_world_create_accounts(&world, batch, 3);
    assert_int_equal(status(0), LEDGER_ACCOUNT_created);
    assert_int_equal(status(1), LEDGER_ACCOUNT_imported_event_timestamp_must_not_regress);
    assert_int_equal(status(2), LEDGER_ACCOUNT_created);
    /* Nothing to look up for accounts that are not imported. */
    batch[0].flags = 0;
    assert_int_equal(ledger_prepare_accounts(world.ledger, batch, 1, timestamps), 0);
}

/* LEDGER-6, LEDGER-8: what the batch made and ended is known to its later events. LEDGER-1,
 * LEDGER-2: a post of less than all of it leaves no rest pending. */
static void
test_two_phases_in_one_batch(void **state)
{
    (void)state;
    struct ledger_transfer batch[] = {
        transfer(20, 9, LEDGER_TRANSFER_PENDING),
        finishing(21, 20, LEDGER_TRANSFER_POST_PENDING),
        finishing(22, 20, LEDGER_TRANSFER_VOID_PENDING),
        finishing(21, 20, LEDGER_TRANSFER_POST_PENDING),
        transfer(23, 9, LEDGER_TRANSFER_PENDING),
        finishing(24, 23, LEDGER_TRANSFER_POST_PENDING),
        finishing(25, 21, LEDGER_TRANSFER_POST_PENDING),
    };
    batch[0].timeout = 1;
    batch[5].amount = 4;
    t_world_create_transfers(&world, batch, 7);
    assert_int_equal(status(1), LEDGER_TRANSFER_created);
    assert_int_equal(status(2), LEDGER_TRANSFER_pending_transfer_already_posted);
    assert_int_equal(status(3), LEDGER_TRANSFER_exists);
    assert_int_equal(world.results[3].timestamp, world.results[1].timestamp);
    assert_int_equal(status(5), LEDGER_TRANSFER_created);
    assert_int_equal(status(6), LEDGER_TRANSFER_pending_transfer_not_pending);
    assert_true(world.events[1].transfer.amount == 9);
    assert_true(world.events[1].transfer.debit_account_id == 1);
    assert_int_equal(world.events[1].transfer.code, 1);
    const struct ledger_account *debit = ledger_find_account(world.ledger, 1);
    assert_true(debit->debits_posted == 13);
    assert_true(debit->debits_pending == 0);
    assert_int_equal(ledger_pending_count(world.ledger), 0);
    assert_int_equal(ledger_pulse_at(world.ledger), 0);
    assert_int_equal(ledger_validate(world.ledger), ERR_OK);
}

static void
test_expiry_order_and_cap(void **state)
{
    (void)state;
    make_pending(20, 1, 3);
    make_pending(21, 1, 1);
    make_pending(22, 1, 2);
    make_pending(23, 1, 1);
    make_pending(24, 1, 0);
    uint64_t first = ledger_find_pending(world.ledger, 21)->timestamp + SECOND;
    assert_int_equal(ledger_pulse_at(world.ledger), first);
    ledger_set_clock(world.ledger, first - 1);
    assert_false(ledger_pulse_due(world.ledger));
    ledger_set_clock(world.ledger, first);
    assert_true(ledger_pulse_due(world.ledger));

    /* All four are due, the pulse takes three. */
    assert_int_equal(t_world_pulse(&world, first + 5 * SECOND), 3);
    const u128 order[] = {21, 23, 22};
    for (uint32_t i = 0; i < 3; i++) {
        assert_true(world.events[i].transfer.id == order[i]);
        assert_int_equal(world.events[i].kind, LEDGER_EVENT_TWO_PHASE_EXPIRED);
        assert_int_equal(world.events[i].timestamp, ledger_clock(world.ledger) - 2 + i);
    }
    assert_int_equal(t_world_pulse(&world, 0), 1);
    assert_int_equal(t_world_pulse(&world, 0), 0);
    assert_int_equal(ledger_pending_count(world.ledger), 1);
    assert_true(ledger_find_account(world.ledger, 1)->debits_pending == 1);
    assert_int_equal(
        t_world_transfer(&world, finishing(30, 21, LEDGER_TRANSFER_POST_PENDING)),
        LEDGER_TRANSFER_pending_transfer_expired);
    assert_int_equal(ledger_validate(world.ledger), ERR_OK);
}

/* Closing is undone by voiding and by expiry. */
static void
test_closing_and_opening(void **state)
{
    (void)state;
    struct ledger_transfer closing =
        transfer(20, 0, LEDGER_TRANSFER_PENDING | LEDGER_TRANSFER_CLOSING_DEBIT);
    closing.timeout = 1;
    assert_int_equal(t_world_transfer(&world, closing), LEDGER_TRANSFER_created);
    assert_true((world.events[0].debit_flags & LEDGER_ACCOUNT_CLOSED) != 0);
    assert_int_equal(
        t_world_transfer(&world, transfer(21, 1, 0)), LEDGER_TRANSFER_debit_account_already_closed);
    assert_int_equal(
        t_world_transfer(&world, finishing(22, 20, LEDGER_TRANSFER_POST_PENDING)),
        LEDGER_TRANSFER_debit_account_already_closed);
    assert_int_equal(t_world_pulse(&world, ledger_pulse_at(world.ledger)), 1);
    assert_int_equal(ledger_find_account(world.ledger, 1)->flags, 0);
    assert_int_equal(world.events[0].debit_flags, 0);

    closing.id = 23;
    closing.timeout = 0;
    assert_int_equal(t_world_transfer(&world, closing), LEDGER_TRANSFER_created);
    assert_int_equal(
        t_world_transfer(&world, finishing(24, 23, LEDGER_TRANSFER_VOID_PENDING)),
        LEDGER_TRANSFER_created);
    assert_int_equal(t_world_transfer(&world, transfer(25, 1, 0)), LEDGER_TRANSFER_created);
}

/* LEDGER-10: it is the reservation that says that there is no room. */
static void
test_reservation(void **state)
{
    (void)state;
    assert_int_equal(ledger_reserve(world.ledger, 4, 8), ERR_OK);
    assert_int_equal(ledger_reserve(world.ledger, 5, 0), ERR_FULL);
    assert_int_equal(ledger_reserve(world.ledger, 0, 9), ERR_FULL);
    make_pending(20, 1, 0);
    assert_int_equal(ledger_reserve(world.ledger, 0, 8), ERR_FULL);
    assert_int_equal(
        t_world_transfer(&world, finishing(21, 20, LEDGER_TRANSFER_VOID_PENDING)),
        LEDGER_TRANSFER_created);
    assert_int_equal(ledger_reserve(world.ledger, 0, 8), ERR_OK);
}

static void
test_ids_are_named_once(void **state)
{
    (void)state;
    make_pending(20, 1, 0);
    const struct ledger_transfer batch[] = {
        transfer(30, 1, 0),
        transfer(30, 2, 0),
        transfer(0, 1, 0),
        transfer(U128_MAX, 1, 0),
        finishing(31, 20, LEDGER_TRANSFER_POST_PENDING), /* 20 is live: the core knows it */
        finishing(32, 33, LEDGER_TRANSFER_VOID_PENDING),
        finishing(33, 30, LEDGER_TRANSFER_VOID_PENDING),
        finishing(34, 0, LEDGER_TRANSFER_VOID_PENDING),
    };
    u128 ids[16];
    assert_int_equal(ledger_prepare_transfers(world.ledger, batch, 8, ids), 5);
    const u128 expected[] = {30, 31, 32, 33, 34};
    assert_memory_equal(ids, expected, sizeof(expected));
}

static void
test_clock_goes_forward(void **state)
{
    (void)state;
    ledger_set_clock(world.ledger, 5000);
    ledger_set_clock(world.ledger, 4000);
    assert_int_equal(ledger_clock(world.ledger), 5000);
    t_world_create_transfers(&world, NULL, 0);
    assert_int_equal(world.delta.clock, 5001);
    assert_int_equal(world.delta.event_count, 0);
}

static void
test_loading_refuses_nonsense(void **state)
{
    (void)state;
    struct ledger *ledger = world.ledger;
    struct ledger_account account = *ledger_account_at(ledger, 3);
    assert_int_equal(ledger_load_account(ledger, &account), ERR_CORRUPT); /* the id twice */
    account.timestamp = ledger_account_at(ledger, ledger_account_count(ledger) - 1)->timestamp;
    for (u128 id = 60; id < 64; id++) {
        account.id = id;
        account.timestamp++;
        assert_int_equal(ledger_load_account(ledger, &account), ERR_OK);
    }
    account.id = 64;
    account.timestamp++;
    assert_int_equal(ledger_load_account(ledger, &account), ERR_FULL);

    struct ledger_transfer pending = transfer(20, 1, LEDGER_TRANSFER_PENDING);
    assert_int_equal(ledger_load_pending(ledger, &pending), ERR_CORRUPT); /* no timestamp */
    pending.timestamp = 30;
    assert_int_equal(ledger_load_pending(ledger, &pending), ERR_OK);
    assert_int_equal(ledger_load_pending(ledger, &pending), ERR_CORRUPT); /* the id twice */
    pending.id = 21;
    pending.debit_account_id = 99;
    assert_int_equal(ledger_load_pending(ledger, &pending), ERR_CORRUPT);
    pending.debit_account_id = 1;
    pending.flags = 0;
    assert_int_equal(ledger_load_pending(ledger, &pending), ERR_CORRUPT);
    pending.flags = LEDGER_TRANSFER_PENDING;
    for (u128 id = 21; id < 28; id++) {
        pending.id = id;
        assert_int_equal(ledger_load_pending(ledger, &pending), ERR_OK);
    }
    pending.id = 28;
    assert_int_equal(ledger_load_pending(ledger, &pending), ERR_FULL);
    /* The accounts do not carry these pendings. */
    assert_int_equal(ledger_validate(ledger), ERR_CORRUPT);
}

/* Everything that redo must notice, one by one, against a ledger that the event would fit. */
static void
refuse_spoilt_redo(const struct ledger_event *event)
{
    struct ledger_event bad[12];
    for (size_t i = 0; i < 12; i++) {
        bad[i] = *event;
    }
    bad[0].debit_slot = 7;
    bad[1].credit_slot = bad[1].debit_slot;
    bad[2].transfer.debit_account_id = 3;
    bad[3].debit.debits_posted++;
    bad[4].debit.debits_pending++;
    bad[5].credit.credits_posted++;
    bad[6].credit.credits_pending++;
    bad[7].timestamp = 0;
    bad[8].kind = 0;
    bad[9].debit_flags ^= LEDGER_ACCOUNT_CLOSED;
    bad[10].credit_flags ^= LEDGER_ACCOUNT_CLOSED;
    bad[11].transfer.amount++;
    for (size_t i = 0; i < 12; i++) {
        if (i == 11 && event->kind != LEDGER_EVENT_SINGLE_PHASE &&
            event->kind != LEDGER_EVENT_TWO_PHASE_PENDING) {
            continue; /* the amount of a void is not what moves */
        }
        assert_int_equal(ledger_redo(world.ledger, &bad[i]), ERR_CORRUPT);
    }
}

/* A pending transfer, a plain one, a pending one, a post of the first, the expiry of the other. */
static void
make_five(struct ledger_event events[5])
{
    make_pending(20, 5, 1);
    events[0] = world.events[0];
    assert_int_equal(t_world_transfer(&world, transfer(21, 7, 0)), LEDGER_TRANSFER_created);
    events[1] = world.events[0];
    make_pending(22, 5, 1);
    events[2] = world.events[0];
    assert_int_equal(
        t_world_transfer(&world, finishing(23, 20, LEDGER_TRANSFER_POST_PENDING)),
        LEDGER_TRANSFER_created);
    events[3] = world.events[0];
    assert_int_equal(t_world_pulse(&world, ledger_pulse_at(world.ledger)), 1);
    events[4] = world.events[0];
}

/* LEDGER-11. */
static void
test_redo_refuses_what_does_not_follow(void **state)
{
    (void)state;
    struct ledger_event events[5];
    make_five(events);
    const struct ledger_account after = *ledger_find_account(world.ledger, 1);

    tear_down(NULL);
    set_up(NULL);
    for (size_t i = 0; i < 5; i++) {
        refuse_spoilt_redo(&events[i]);
        assert_int_equal(ledger_validate(world.ledger), ERR_OK);
        assert_int_equal(ledger_redo(world.ledger, &events[i]), ERR_OK);
        assert_int_equal(ledger_redo(world.ledger, &events[i]), ERR_CORRUPT); /* not twice */
    }
    assert_memory_equal(&after, ledger_find_account(world.ledger, 1), sizeof(after));
    assert_int_equal(ledger_validate(world.ledger), ERR_OK);
    /* An expiry before its time. */
    tear_down(NULL);
    set_up(NULL);
    assert_int_equal(ledger_redo(world.ledger, &events[0]), ERR_OK);
    struct ledger_event early = events[4];
    early.transfer = events[0].transfer;
    early.timestamp = events[0].timestamp + SECOND - 1;
    early.debit.debits_posted = early.credit.credits_posted = 0;
    assert_int_equal(ledger_redo(world.ledger, &early), ERR_CORRUPT);
    early.timestamp++;
    assert_int_equal(ledger_redo(world.ledger, &early), ERR_OK);
}

/* The account as the event left it. */
static struct ledger_account
account_after(u128 id, const struct ledger_balances *balances)
{
    struct ledger_account account = *ledger_find_account(world.ledger, id);
    account.debits_pending = balances->debits_pending;
    account.debits_posted = balances->debits_posted;
    account.credits_pending = balances->credits_pending;
    account.credits_posted = balances->credits_posted;
    return account;
}

/* LEDGER-14: whatever moment each of two accounts was copied at, redoing all events gives what
 * they gave. */
static void
test_fuzzy_redo_makes_a_copy_whole(void **state)
{
    (void)state;
    struct ledger_event events[5];
    make_five(events);
    const struct ledger_account after[2] = {
        *ledger_find_account(world.ledger, 1), *ledger_find_account(world.ledger, 2)};
    for (size_t copies = 0; copies < 25; copies++) {
        tear_down(NULL);
        set_up(NULL);
        struct ledger_account debit = account_after(1, &events[copies / 5].debit);
        struct ledger_account credit = account_after(2, &events[copies % 5].credit);
        ledger_load_clear(world.ledger);
        assert_int_equal(ledger_account_count(world.ledger), 0);
        assert_int_equal(ledger_load_account(world.ledger, &debit), ERR_OK);
        assert_int_equal(ledger_load_account(world.ledger, &credit), ERR_OK);
        for (size_t i = 0; i < 5; i++) {
            assert_int_equal(ledger_redo_fuzzy(world.ledger, &events[i]), ERR_OK);
        }
        assert_memory_equal(&after[0], ledger_find_account(world.ledger, 1), sizeof(after[0]));
        assert_memory_equal(&after[1], ledger_find_account(world.ledger, 2), sizeof(after[1]));
        assert_int_equal(ledger_pending_count(world.ledger), 0);
        assert_int_equal(ledger_clock(world.ledger), events[4].timestamp);
        assert_int_equal(ledger_validate(world.ledger), ERR_OK);
    }
}

static void
test_fuzzy_redo_refuses_what_cannot_be(void **state)
{
    (void)state;
    struct ledger_event events[5];
    make_five(events);
    tear_down(NULL);
    set_up(NULL);
    struct ledger_event bad[6];
    for (size_t i = 0; i < 6; i++) {
        bad[i] = events[0];
    }
    bad[0].debit_slot = 7;
    bad[1].credit_slot = bad[1].debit_slot;
    bad[2].transfer.debit_account_id = 3;
    bad[3].timestamp = 0;
    bad[4].debit_flags ^= LEDGER_ACCOUNT_HISTORY;
    bad[5].credit_flags ^= LEDGER_ACCOUNT_HISTORY;
    for (size_t i = 0; i < 6; i++) {
        assert_int_equal(ledger_redo_fuzzy(world.ledger, &bad[i]), ERR_CORRUPT);
    }
    /* A post of what is gone already sets the balances; the same again is no rise of time. */
    assert_int_equal(ledger_redo_fuzzy(world.ledger, &events[3]), ERR_OK);
    assert_int_equal(ledger_redo_fuzzy(world.ledger, &events[3]), ERR_CORRUPT);
}

static void
test_clearing_leaves_nothing(void **state)
{
    (void)state;
    make_pending(20, 5, 1);
    make_pending(21, 5, 0);
    assert_int_equal(
        t_world_transfer(&world, finishing(22, 21, LEDGER_TRANSFER_VOID_PENDING)),
        LEDGER_TRANSFER_created);
    assert_int_equal(ledger_pending_slots(world.ledger), 2);
    assert_non_null(ledger_pending_at(world.ledger, 0));
    assert_null(ledger_pending_at(world.ledger, 1));
    ledger_load_clear(world.ledger);
    assert_int_equal(ledger_account_count(world.ledger), 0);
    assert_int_equal(ledger_pending_count(world.ledger), 0);
    assert_int_equal(ledger_pending_slots(world.ledger), 0);
    assert_int_equal(ledger_pulse_at(world.ledger), 0);
    assert_int_equal(ledger_clock(world.ledger), 0);
    assert_null(ledger_find_account(world.ledger, 1));
    assert_null(ledger_find_pending(world.ledger, 20));
    assert_int_equal(ledger_validate(world.ledger), ERR_OK);
}

/* Each way in which the state can be broken is found. */
static void
test_validation_finds_damage(void **state)
{
    (void)state;
    make_pending(20, 5, 2);
    make_pending(21, 5, 1);
    make_pending(22, 5, 3);
    struct ledger *ledger = world.ledger;
    assert_int_equal(ledger_validate(ledger), ERR_OK);
#define DAMAGED(place, value)                                                                      \
    do {                                                                                           \
        __typeof__(place) saved_ = (place);                                                        \
        (place) = (value);                                                                         \
        assert_int_equal(ledger_validate(ledger), ERR_CORRUPT);                                    \
        (place) = saved_;                                                                          \
        assert_int_equal(ledger_validate(ledger), ERR_OK);                                         \
    } while (0)
    DAMAGED(ledger_account_in(ledger, 0)->debits_posted, 1);
    DAMAGED(ledger_account_in(ledger, 0)->debits_pending, 14);
    DAMAGED(ledger_account_in(ledger, 1)->credits_posted, 1);
    DAMAGED(ledger_account_in(ledger, 1)->ledger, 2);
    DAMAGED(ledger_account_in(ledger, 2)->id, 77);
    DAMAGED(ledger_account_in(ledger, 2)->timestamp, 1);
    DAMAGED(ledger_account_in(ledger, 0)->flags, LEDGER_ACCOUNT_DEBITS_MUST_NOT_EXCEED_CREDITS);
    DAMAGED(ledger_account_in(ledger, 1)->flags, LEDGER_ACCOUNT_CREDITS_MUST_NOT_EXCEED_DEBITS);
    DAMAGED(ledger_pending_transfer(ledger, 0)->amount, 6);
    DAMAGED(ledger_pending_transfer(ledger, 0)->id, 99);
    DAMAGED(ledger_pending_in(ledger, 0)->hash, 99);
    DAMAGED(ledger_pending_in(ledger, 0)->debit_slot, 2);
    DAMAGED(ledger_pending_in(ledger, 0)->fate, LEDGER_FATE_POSTED);
    DAMAGED(ledger_pending_in(ledger, 0)->heap_position, 0);
    DAMAGED(ledger_expiry_in(ledger, 0)->expires_at, UINT64_MAX);
    DAMAGED(ledger->heap_count, 2);
    DAMAGED(ledger->pending_count, 2);
    DAMAGED(ledger->transfer_timestamp, LEDGER_TIMESTAMP_MAX);
#undef DAMAGED
    /* Two ledgers that are each out of balance do not make up for one another. */
    ledger_account_in(ledger, 2)->ledger = 2;
    ledger_account_in(ledger, 3)->ledger = 3;
    ledger_account_in(ledger, 2)->debits_posted = 5;
    ledger_account_in(ledger, 3)->credits_posted = 5;
    assert_int_equal(ledger_validate(ledger), ERR_CORRUPT);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_broken_chain_leaves_nothing, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_chain_of_accounts, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_imported_timestamps_of_results, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_imported_account_meets_a_transfer, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_two_phases_in_one_batch, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_expiry_order_and_cap, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_closing_and_opening, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_reservation, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_ids_are_named_once, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_clock_goes_forward, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_loading_refuses_nonsense, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_redo_refuses_what_does_not_follow, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_fuzzy_redo_makes_a_copy_whole, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_fuzzy_redo_refuses_what_cannot_be, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_clearing_leaves_nothing, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_validation_finds_damage, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
