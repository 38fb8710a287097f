/* Holds of one slot whose payee is in another: the marker beside them, and what posts them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "commit/commit.h"
#include "runs_testing.h"

/* A hold of slot 0 for the payee of slot 1, as its slot has it: with a marker, in one chain. */
static void
hold_make(u128 id, u128 amount)
{
    struct ledger_transfer events[2] = {
        {
            .id = id,
            .debit_account_id = PAYER,
            .credit_account_id = commit_account_id(COMMIT_ACCOUNT_HELD, MONEY, 0),
            .amount = amount,
            .ledger = MONEY,
            .code = 9,
            .flags = LEDGER_TRANSFER_PENDING | LEDGER_TRANSFER_LINKED,
        },
        commit_hold_marker(commit_name(U128_MAX / 5), 0, PAYEE),
    };
    t_world_create_transfers(&t_places[0], events, 2);
    assert_int_equal(t_places[0].results[0].status, LEDGER_TRANSFER_created);
    assert_int_equal(t_places[0].results[1].status, LEDGER_TRANSFER_created);
}

/* What posts it, and pays so much. */
static struct commit_request
posting_of(struct commit_leg *legs, u128 id, u128 hold, u128 amount)
{
    const struct ledger_transfer post = {
        .id = id,
        .debit_account_id = PAYER,
        .credit_account_id = commit_account_id(COMMIT_ACCOUNT_HELD, MONEY, 0),
        .amount = amount,
        .pending_id = hold,
        .flags = LEDGER_TRANSFER_POST_PENDING,
    };
    const struct ledger_transfer paid = {
        .debit_account_id = PAYER,
        .credit_account_id = PAYEE,
        .amount = amount,
        .user_data_128 = 11,
        .user_data_64 = 12,
        .user_data_32 = 13,
        .ledger = MONEY,
        .code = 9,
    };
    commit_split_hold(&post, &paid, (uint16_t[2]){0, 1}, legs);
    return (struct commit_request){
        .protocol = COMMIT_2PC,
        .slot_count = 2,
        .slots = {0, 1},
        .leg_count = COMMIT_HOLD_LEGS,
        .legs = legs,
        .name_digest = U128_MAX / 3,
        .request_digest = (uint64_t)amount << 8,
    };
}

static void
a_hold_is_posted_by_three_legs(void **state)
{
    (void)state;
    struct commit_leg legs[COMMIT_HOLD_LEGS];
    u128 held = commit_account_id(COMMIT_ACCOUNT_HELD, MONEY, 0);
    (void)posting_of(legs, 78, 77, 10);
    assert_true(legs[0].member == 0 && legs[1].member == 0 && legs[2].member == 1);
    assert_true(legs[0].transfer.id == 78 && legs[0].transfer.pending_id == 77);
    assert_int_equal(legs[0].transfer.flags, LEDGER_TRANSFER_POST_PENDING);
    assert_true(legs[1].transfer.debit_account_id == held);
    assert_true(
        legs[1].transfer.credit_account_id ==
        commit_account_id(COMMIT_ACCOUNT_IN_TRANSIT, MONEY, 0));
    assert_true(
        legs[2].transfer.debit_account_id ==
        commit_account_id(COMMIT_ACCOUNT_IN_TRANSIT, MONEY, 1));
    assert_true(legs[2].transfer.credit_account_id == PAYEE);
    for (uint32_t i = 1; i < COMMIT_HOLD_LEGS; i++) {
        assert_true(legs[i].transfer.amount == 10 && legs[i].transfer.pending_id == 0);
        assert_true(legs[i].transfer.ledger == MONEY && legs[i].transfer.code == 9);
        assert_true(legs[i].transfer.user_data_128 == 11);
        assert_true(legs[i].transfer.user_data_64 == 12 && legs[i].transfer.user_data_32 == 13);
    }
}

/* A hold has a marker of its own, which no transaction's can be taken for. */
static void
a_hold_marker_names_the_payee(void **state)
{
    (void)state;
    u128 name = commit_name(U128_MAX / 5);
    struct ledger_transfer marker = commit_hold_marker(name, 2, PAYEE);
    struct commit_header header;
    assert_true(marker.id == commit_marker_id(name, 2));
    assert_true(marker.id != commit_marker_id(name, 1));
    assert_true(commit_id_is_reserved(marker.id));
    assert_true(marker.user_data_128 == PAYEE);
    assert_int_equal(marker.code, COMMIT_KIND_HOLD);
    assert_int_equal(marker.ledger, COMMIT_LEDGER);
    assert_int_equal(marker.amount == 0, true);
    assert_int_not_equal(commit_header_decode(&marker, &header), ERR_OK);
}

/* Part of it is paid, the rest is the payer's again, and nothing stays on the HELD account. */
static void
a_posted_hold_leaves_nothing_held(void **state)
{
    (void)state;
    struct commit_leg legs[COMMIT_HOLD_LEGS];
    hold_make(77, 30);
    struct commit_request request = posting_of(legs, 78, 77, 10);
    for (uint32_t time = 0; time < 2; time++) { /* a repeat changes nothing */
        assert_int_equal(commit_transaction_init(&t_transaction, &request), ERR_OK);
        commit_begin(&t_run, &t_transaction);
        t_finish(&t_run);
        assert_int_equal(commit_outcome(&t_run), COMMIT_OUTCOME_COMMITTED);
        const struct ledger_account *held = ledger_find_account(
            t_places[0].ledger, commit_account_id(COMMIT_ACCOUNT_HELD, MONEY, 0));
        assert_true(held->credits_pending == 0 && held->debits_pending == 0);
        assert_true(held->credits_posted == 10 && held->debits_posted == 10);
        assert_true(ledger_find_account(t_places[0].ledger, PAYER)->debits_posted == 10);
        assert_true(t_posted_to_payee(1) == 10);
        t_nothing_is_pending();
    }
}

/* The payer's slot refuses: then the payee's has nothing either. */
static void
a_hold_that_is_over_is_not_posted(void **state)
{
    (void)state;
    struct commit_leg legs[COMMIT_HOLD_LEGS];
    hold_make(77, 30);
    struct ledger_transfer ends = {
        .id = 76, .pending_id = 77, .flags = LEDGER_TRANSFER_VOID_PENDING};
    assert_int_equal(t_world_transfer(&t_places[0], ends), LEDGER_TRANSFER_created);
    struct commit_request request = posting_of(legs, 78, 77, 10);
    assert_int_equal(commit_transaction_init(&t_transaction, &request), ERR_OK);
    commit_begin(&t_run, &t_transaction);
    t_finish(&t_run);
    assert_int_equal(commit_outcome(&t_run), COMMIT_OUTCOME_ABORTED);
    assert_int_equal(t_run.reason, LEDGER_TRANSFER_pending_transfer_already_voided);
    assert_true(t_posted_to_payee(1) == 0);
    assert_true(ledger_find_account(t_places[0].ledger, PAYER)->debits_posted == 0);
    t_nothing_is_pending();
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, t_runs_open, t_runs_close)
    const struct CMUnitTest tests[] = {
        TEST(a_hold_is_posted_by_three_legs),
        TEST(a_hold_marker_names_the_payee),
        TEST(a_posted_hold_leaves_nothing_held),
        TEST(a_hold_that_is_over_is_not_posted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
