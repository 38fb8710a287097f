/*
 * Transactions and runs against real ledgers, one to a slot: what they cost, what each crash point
 * leaves, who refuses what. tests/sim has the rest of the world.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "commit/commit.h"
#include "commit/member.h"
#include "slots_testing.h"

#include <string.h>

#define SLOTS 3

static struct t_world places[SLOTS];
static struct commit_transaction transaction;
static struct commit_run run;
static uint32_t batches; /* that were applied: forced writes */

static int
setup(void **state)
{
    (void)state;
    batches = 0;
    t_slots_open(places, SLOTS, LEDGER_ACCOUNT_DEBITS_MUST_NOT_EXCEED_CREDITS);
    for (uint16_t slot = 0; slot < SLOTS; slot++) {
        struct ledger_transfer funds = {
            .id = 1,
            .debit_account_id = PAYEE,
            .credit_account_id = PAYER,
            .amount = 500,
            .ledger = MONEY,
            .code = 1};
        assert_int_equal(t_world_transfer(&places[slot], funds), LEDGER_TRANSFER_created);
    }
    return 0;
}

static int
teardown(void **state)
{
    (void)state;
    t_slots_close(places, SLOTS);
    return 0;
}

/* From slot 0 to `payees` others. */
static struct commit_request
request_of(struct commit_leg *legs, enum commit_protocol protocol, uint8_t payees, u128 amount)
{
    struct commit_request request = {
        .protocol = protocol,
        .slot_count = (uint8_t)(1 + payees),
        .slots = {0, 1, 2},
        .leg_count = (uint8_t)(2 * payees),
        .legs = legs,
        .name_digest = U128_MAX / 3,
        .request_digest = (uint64_t)amount << 8,
    };
    for (uint8_t i = 0; i < payees; i++) {
        const struct ledger_transfer transfer = t_payment(77, amount);
        commit_split(&transfer, (uint16_t[2]){0, (uint16_t)(1 + i)}, &legs[2 * i]);
        legs[2 * i + 1].member = (uint8_t)(1 + i);
    }
    return request;
}

static void
start(enum commit_protocol protocol, uint8_t payees, u128 amount)
{
    struct commit_leg legs[4];
    struct commit_request request = request_of(legs, protocol, payees, amount);
    assert_int_equal(commit_transaction_init(&transaction, &request), ERR_OK);
    commit_begin(&run, &transaction);
}

static void
read_log(struct commit_run *of, const struct commit_ask *ask)
{
    u128 ids[COMMIT_READ_MAX];
    struct ledger_transfer found[COMMIT_READ_MAX];
    uint32_t count = 0;
    commit_log_ids(of, ask, ids);
    const struct t_world *place = &places[commit_slot(of, ask)];
    for (uint32_t i = 0; i < COMMIT_READ_MAX; i++) {
        for (uint32_t j = 0; j < place->past_count && count == i; j++) {
            if (place->past[j].id == ids[i]) {
                found[count++] = place->past[j].transfer;
            }
        }
    }
    commit_take_log(of, ask, found, count);
}

static void
do_ask(struct commit_run *of, const struct commit_ask *ask)
{
    struct ledger_transfer events[COMMIT_EVENTS_MAX];
    uint32_t count = commit_build(of, ask, events);
    if (count == 0) {
        read_log(of, ask);
        return;
    }
    batches++;
    t_world_create_transfers(&places[commit_slot(of, ask)], events, count);
    commit_take(of, ask, places[commit_slot(of, ask)].results);
}

/* One round trip: all that can be asked at once. False if there is nothing to ask. */
static bool
round_trip(struct commit_run *of)
{
    struct commit_ask asks[COMMIT_MEMBERS_MAX];
    uint32_t count = 0;
    for (uint8_t member = 0; member < of->transaction->header.member_count; member++) {
        count += commit_next(of, member, &asks[count]);
    }
    for (uint32_t i = 0; i < count; i++) {
        do_ask(of, &asks[i]);
    }
    return count > 0;
}

static void
finish(struct commit_run *of)
{
    for (uint32_t rounds = 0; round_trip(of); rounds++) {
        assert_true(rounds < 20);
    }
    assert_true(commit_ended(of) || of->state == COMMIT_OUTBID);
}

static u128
posted_to_payee(uint32_t slot)
{
    return ledger_find_account(places[slot].ledger, PAYEE)->credits_posted;
}

static void
nothing_is_pending(void)
{
    for (uint32_t slot = 0; slot < SLOTS; slot++) {
        assert_int_equal(ledger_pending_count(places[slot].ledger), 0);
    }
}

/* COMMIT-8: two forced writes and two round trips before the client is told. */
static void
two_slots_cost_two_writes(void **state)
{
    (void)state;
    start(COMMIT_2PC, 1, 10);
    uint32_t rounds = 0;
    while (commit_outcome(&run) == COMMIT_OUTCOME_UNKNOWN && round_trip(&run)) {
        rounds++;
    }
    assert_int_equal(commit_outcome(&run), COMMIT_OUTCOME_COMMITTED);
    assert_int_equal(rounds, 2);
    assert_int_equal(batches, 2);
    finish(&run);
    assert_int_equal(batches, 3);
    assert_int_equal(run.state, COMMIT_POSTED);
    assert_true(posted_to_payee(1) == 10);
    nothing_is_pending();
}

static void
three_phases_cost_two_round_trips(void **state)
{
    (void)state;
    start(COMMIT_3PC, 2, 10);
    assert_true(round_trip(&run));
    assert_int_equal(run.state, COMMIT_PRECOMMITTING);
    assert_true(round_trip(&run));
    assert_int_equal(commit_outcome(&run), COMMIT_OUTCOME_COMMITTED);
    finish(&run);
    assert_true(posted_to_payee(1) == 10 && posted_to_payee(2) == 10);
    nothing_is_pending();
}

static void
a_repeat_changes_nothing(void **state)
{
    (void)state;
    for (uint32_t protocol = 0; protocol < 2; protocol++) {
        for (uint32_t time = 0; time < 3; time++) {
            start((enum commit_protocol)protocol, 1, 10);
            finish(&run);
            assert_int_equal(commit_outcome(&run), COMMIT_OUTCOME_COMMITTED);
            assert_true(posted_to_payee(1) == 10);
        }
        teardown(NULL);
        setup(NULL);
    }
}

static void
a_payer_without_money_refuses(void **state)
{
    (void)state;
    start(COMMIT_2PC, 2, 300); /* twice 300 of 500 */
    finish(&run);
    assert_int_equal(run.state, COMMIT_VOIDED);
    assert_int_equal(run.reason, LEDGER_TRANSFER_exceeds_credits);
    assert_true(posted_to_payee(1) == 0 && posted_to_payee(2) == 0);
    nothing_is_pending();
}

/* COMMIT-3: an abort that was answered is a decision. */
static void
an_inquiry_that_finds_nothing_forbids(void **state)
{
    (void)state;
    start(COMMIT_2PC, 1, 10);
    assert_true(round_trip(&run)); /* slot 1 has prepared */
    struct commit_run other = run;
    commit_conclude(&other);
    assert_true(round_trip(&other));
    assert_int_equal(commit_outcome(&other), COMMIT_OUTCOME_ABORTED);
    assert_int_equal(run.state, COMMIT_DECIDING);
    finish(&run);
    finish(&other);
    assert_int_equal(commit_outcome(&run), COMMIT_OUTCOME_ABORTED);
    nothing_is_pending();
}

static void
an_inquiry_that_finds_the_decision_commits(void **state)
{
    (void)state;
    start(COMMIT_2PC, 1, 10);
    assert_true(round_trip(&run));
    struct commit_run other = run;
    assert_true(round_trip(&run));
    commit_conclude(&other);
    finish(&other);
    assert_int_equal(other.state, COMMIT_POSTED);
    assert_true(posted_to_payee(1) == 10);
}

/* COMMIT-4: what was buried never prepares, however late it comes. */
static void
a_late_prepare_is_refused(void **state)
{
    (void)state;
    start(COMMIT_2PC, 2, 10);
    struct commit_run late = run;
    struct commit_ask ask;
    commit_conclude(&run);
    finish(&run);
    assert_int_equal(run.state, COMMIT_VOIDED);
    assert_true(commit_next(&late, 1, &ask));
    do_ask(&late, &ask);
    assert_int_equal(commit_outcome(&late), COMMIT_OUTCOME_UNKNOWN); /* it may be a repeat */
    assert_true(commit_next(&late, 1, &ask));
    assert_int_equal(ask.kind, COMMIT_ASK_BURY);
    do_ask(&late, &ask);
    assert_int_equal(commit_outcome(&late), COMMIT_OUTCOME_ABORTED);
    nothing_is_pending();
}

/* A chain that failed is no refusal before the tombstone is there: here it is a repeat. */
static void
a_chain_that_failed_says_nothing(void **state)
{
    (void)state;
    struct commit_ask ask;
    start(COMMIT_2PC, 1, 10);
    assert_true(round_trip(&run));
    struct commit_run other = run;
    finish(&other);
    assert_int_equal(commit_outcome(&other), COMMIT_OUTCOME_COMMITTED);
    assert_true(commit_next(&run, 0, &ask));
    assert_int_equal(ask.kind, COMMIT_ASK_DECIDE);
    do_ask(&run, &ask);
    assert_int_equal(commit_outcome(&run), COMMIT_OUTCOME_UNKNOWN);
    assert_true(commit_next(&run, 0, &ask));
    assert_int_equal(ask.kind, COMMIT_ASK_BURY);
    finish(&run);
    assert_int_equal(commit_outcome(&run), COMMIT_OUTCOME_COMMITTED);
    assert_true(posted_to_payee(1) == 10);
    nothing_is_pending();
}

/* As when an answer was lost: what the member did is asked for again. */
static void
prepare_unheard(uint8_t member)
{
    struct commit_ask ask;
    struct commit_run unheard = run;
    assert_true(commit_next(&unheard, member, &ask));
    assert_int_equal(ask.kind, COMMIT_ASK_PREPARE);
    do_ask(&unheard, &ask);
    assert_true(commit_next(&run, member, &ask));
    do_ask(&run, &ask);
    assert_true(commit_next(&run, member, &ask));
    assert_int_equal(ask.kind, COMMIT_ASK_BURY);
}

/* Nobody has refused when time is up, so there is no reason; least of all that something exists. */
static void
a_repeat_is_no_reason_of_an_abort(void **state)
{
    (void)state;
    start(COMMIT_3PC, 1, 10);
    prepare_unheard(1);
    commit_conclude(&run);
    finish(&run);
    assert_int_equal(commit_outcome(&run), COMMIT_OUTCOME_ABORTED);
    assert_int_equal(run.reason, 0);
    nothing_is_pending();
}

/* The first slot was buried, and its chain fails for what it says itself. */
static void
a_tombstone_does_not_hide_a_reason(void **state)
{
    (void)state;
    start(COMMIT_2PC, 2, 300);     /* twice 300 of 500 */
    assert_true(round_trip(&run)); /* the others have prepared */
    struct commit_run other = run;
    commit_conclude(&other);
    assert_true(round_trip(&other));
    assert_int_equal(commit_outcome(&other), COMMIT_OUTCOME_ABORTED);
    assert_int_equal(other.reason, 0);
    finish(&run);
    finish(&other);
    assert_int_equal(commit_outcome(&run), COMMIT_OUTCOME_ABORTED);
    assert_int_equal(run.reason, LEDGER_TRANSFER_exceeds_credits);
    nothing_is_pending();
}

static void
a_repeat_is_not_the_reason_of_another_member(void **state)
{
    (void)state;
    struct commit_ask ask;
    start(COMMIT_3PC, 2, 300); /* twice 300 of 500 */
    assert_true(commit_next(&run, 0, &ask));
    do_ask(&run, &ask);
    prepare_unheard(1);
    assert_true(commit_next(&run, 0, &ask));
    assert_int_equal(ask.kind, COMMIT_ASK_BURY);
    do_ask(&run, &ask);
    finish(&run);
    assert_int_equal(commit_outcome(&run), COMMIT_OUTCOME_ABORTED);
    assert_int_equal(run.refused & 1, 1);
    assert_int_equal(run.reason, LEDGER_TRANSFER_exceeds_credits);
    nothing_is_pending();
}

static void
another_request_under_one_id_is_a_conflict(void **state)
{
    (void)state;
    start(COMMIT_2PC, 1, 10);
    finish(&run);
    start(COMMIT_2PC, 1, 11);
    finish(&run);
    assert_true(run.conflict);
    assert_int_equal(commit_outcome(&run), COMMIT_OUTCOME_ABORTED);
    assert_true(posted_to_payee(1) == 10);
    start(COMMIT_3PC, 1, 10); /* the other protocol is another request */
    finish(&run);
    assert_true(run.conflict);
}

/* From the marker and the pending transfer alone. */
static void
a_resolver_needs_no_memory(void **state)
{
    (void)state;
    for (uint32_t decided = 0; decided < 2; decided++) {
        start(COMMIT_2PC, 1, 10);
        assert_true(round_trip(&run));
        assert_true(decided == 0 || round_trip(&run));
        const struct ledger_past *past = places[1].past;
        struct ledger_transfer pending = past[1].transfer;
        struct ledger_transfer marker = past[2].transfer;
        assert_true(commit_marker_of(pending.id) == marker.id);
        struct commit_transaction found;
        struct commit_run resolver;
        assert_int_equal(commit_resume(&resolver, &found, &marker, &pending, 1), ERR_OK);
        finish(&resolver);
        assert_int_equal(resolver.state, decided != 0 ? COMMIT_POSTED : COMMIT_VOIDED);
        nothing_is_pending();
        teardown(NULL);
        setup(NULL);
    }
}

static void
damaged_records_are_refused(void **state)
{
    (void)state;
    start(COMMIT_2PC, 1, 10);
    assert_true(round_trip(&run));
    struct ledger_transfer pending = places[1].past[1].transfer;
    const struct ledger_transfer marker = places[1].past[2].transfer;
    struct commit_transaction found;
    struct commit_run resolver;
    struct ledger_transfer bad[] = {marker, marker, marker, marker};
    bad[0].code = COMMIT_KIND_TOMBSTONE;
    bad[1].user_data_128 = U128_MAX;
    bad[2].amount = 1;
    bad[3].id ^= 2; /* a slot that is no member */
    for (uint32_t i = 0; i < 4; i++) {
        assert_int_equal(commit_resume(&resolver, &found, &bad[i], &pending, 1), ERR_CORRUPT);
    }
    pending.id += (u128)1 << 40;
    assert_int_equal(commit_resume(&resolver, &found, &marker, &pending, 1), ERR_CORRUPT);
    assert_int_equal(commit_resume(&resolver, &found, &marker, &pending, 0), ERR_CORRUPT);
}

/* COMMIT-6, COMMIT-7: who terminates takes over what a majority may have accepted. */
static void
a_terminator_takes_over(void **state)
{
    (void)state;
    for (uint8_t accepted = 0; accepted < 3; accepted++) {
        start(COMMIT_3PC, 2, 10);
        assert_true(round_trip(&run));
        struct commit_ask ask;
        for (uint8_t member = 0; member < accepted; member++) {
            assert_true(commit_next(&run, member, &ask));
            do_ask(&run, &ask);
        }
        struct commit_run other;
        commit_begin(&other, &transaction);
        other.prepared = 7;
        commit_conclude(&other);
        finish(&other);
        assert_int_equal(other.state, accepted > 0 ? COMMIT_POSTED : COMMIT_VOIDED);
        finish(&run);
        for (uint32_t bids = 0; bids < 3 && run.state == COMMIT_OUTBID; bids++) {
            commit_conclude(&run);
            finish(&run);
        }
        assert_int_equal(run.state, other.state);
        nothing_is_pending();
        teardown(NULL);
        setup(NULL);
    }
}

static void
requests_that_do_not_cross_are_refused(void **state)
{
    (void)state;
    struct commit_leg legs[4];
    struct commit_transaction made;
    struct commit_request request = request_of(legs, COMMIT_2PC, 1, 1);
    assert_int_equal(commit_transaction_init(&made, &request), ERR_OK);
    legs[0].transfer.flags = LEDGER_TRANSFER_POST_PENDING; /* a capture decides */
    assert_int_equal(commit_transaction_init(&made, &request), ERR_OK);
    request.protocol = COMMIT_3PC;
    assert_int_equal(commit_transaction_init(&made, &request), ERR_UNSUPPORTED);
    request = request_of(legs, COMMIT_2PC, 1, 1);
    legs[1].transfer.flags = LEDGER_TRANSFER_BALANCING_DEBIT;
    assert_int_equal(commit_transaction_init(&made, &request), ERR_UNSUPPORTED);
    request = request_of(legs, COMMIT_2PC, 1, 1);
    legs[0].transfer.timeout = 1;
    assert_int_equal(commit_transaction_init(&made, &request), ERR_UNSUPPORTED);
    request = request_of(legs, COMMIT_2PC, 1, 1);
    request.slots[1] = 0;
    assert_int_equal(commit_transaction_init(&made, &request), ERR_INVALID);
    request = request_of(legs, COMMIT_2PC, 1, 1);
    request.slot_count = 1;
    assert_int_equal(commit_transaction_init(&made, &request), ERR_INVALID);
    request = request_of(legs, COMMIT_2PC, 1, 1);
    request.slot_count = 3; /* one without a leg */
    assert_int_equal(commit_transaction_init(&made, &request), ERR_INVALID);
    request = request_of(legs, COMMIT_2PC, 1, 1);
    legs[0].transfer.id = commit_marker_id(commit_name(1), 1);
    assert_int_equal(commit_transaction_init(&made, &request), ERR_INVALID);
}

static void
a_member_moves_by_its_table(void **state)
{
    (void)state;
    enum commit_member member = COMMIT_MEMBER_EMPTY;
    assert_false(commit_member_move(&member, COMMIT_MEMBER_POST));
    assert_true(commit_member_move(&member, COMMIT_MEMBER_PREPARE));
    assert_false(commit_member_move(&member, COMMIT_MEMBER_REFUSE));
    assert_true(commit_member_move(&member, COMMIT_MEMBER_POST));
    assert_false(commit_member_move(&member, COMMIT_MEMBER_VOID));
    assert_int_equal(member, COMMIT_MEMBER_POSTED);
    assert_string_equal(commit_state_name(COMMIT_OUTBID), "outbid");
}

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
    t_world_create_transfers(&places[0], events, 2);
    assert_int_equal(places[0].results[0].status, LEDGER_TRANSFER_created);
    assert_int_equal(places[0].results[1].status, LEDGER_TRANSFER_created);
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
        assert_int_equal(commit_transaction_init(&transaction, &request), ERR_OK);
        commit_begin(&run, &transaction);
        finish(&run);
        assert_int_equal(commit_outcome(&run), COMMIT_OUTCOME_COMMITTED);
        const struct ledger_account *held =
            ledger_find_account(places[0].ledger, commit_account_id(COMMIT_ACCOUNT_HELD, MONEY, 0));
        assert_true(held->credits_pending == 0 && held->debits_pending == 0);
        assert_true(held->credits_posted == 10 && held->debits_posted == 10);
        assert_true(ledger_find_account(places[0].ledger, PAYER)->debits_posted == 10);
        assert_true(posted_to_payee(1) == 10);
        nothing_is_pending();
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
    assert_int_equal(t_world_transfer(&places[0], ends), LEDGER_TRANSFER_created);
    struct commit_request request = posting_of(legs, 78, 77, 10);
    assert_int_equal(commit_transaction_init(&transaction, &request), ERR_OK);
    commit_begin(&run, &transaction);
    finish(&run);
    assert_int_equal(commit_outcome(&run), COMMIT_OUTCOME_ABORTED);
    assert_int_equal(run.reason, LEDGER_TRANSFER_pending_transfer_already_voided);
    assert_true(posted_to_payee(1) == 0);
    assert_true(ledger_find_account(places[0].ledger, PAYER)->debits_posted == 0);
    nothing_is_pending();
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(two_slots_cost_two_writes),
        TEST(three_phases_cost_two_round_trips),
        TEST(a_repeat_changes_nothing),
        TEST(a_payer_without_money_refuses),
        TEST(an_inquiry_that_finds_nothing_forbids),
        TEST(an_inquiry_that_finds_the_decision_commits),
        TEST(a_late_prepare_is_refused),
        TEST(a_chain_that_failed_says_nothing),
        TEST(a_repeat_is_no_reason_of_an_abort),
        TEST(a_tombstone_does_not_hide_a_reason),
        TEST(a_repeat_is_not_the_reason_of_another_member),
        TEST(another_request_under_one_id_is_a_conflict),
        TEST(a_resolver_needs_no_memory),
        TEST(damaged_records_are_refused),
        TEST(a_terminator_takes_over),
        TEST(requests_that_do_not_cross_are_refused),
        TEST(a_member_moves_by_its_table),
        TEST(a_hold_is_posted_by_three_legs),
        TEST(a_hold_marker_names_the_payee),
        TEST(a_posted_hold_leaves_nothing_held),
        TEST(a_hold_that_is_over_is_not_posted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
