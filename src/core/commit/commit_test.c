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
#include "runs_testing.h"

/* COMMIT-8: two forced writes and two round trips before the client is told. */
static void
two_slots_cost_two_writes(void **state)
{
    (void)state;
    t_start(COMMIT_2PC, 1, 10);
    uint32_t rounds = 0;
    while (commit_outcome(&t_run) == COMMIT_OUTCOME_UNKNOWN && t_round_trip(&t_run)) {
        rounds++;
    }
    assert_int_equal(commit_outcome(&t_run), COMMIT_OUTCOME_COMMITTED);
    assert_int_equal(rounds, 2);
    assert_int_equal(t_batches, 2);
    t_finish(&t_run);
    assert_int_equal(t_batches, 3);
    assert_int_equal(t_run.state, COMMIT_POSTED);
    assert_true(t_posted_to_payee(1) == 10);
    t_nothing_is_pending();
}

static void
three_phases_cost_two_round_trips(void **state)
{
    (void)state;
    t_start(COMMIT_3PC, 2, 10);
    assert_true(t_round_trip(&t_run));
    assert_int_equal(t_run.state, COMMIT_PRECOMMITTING);
    assert_true(t_round_trip(&t_run));
    assert_int_equal(commit_outcome(&t_run), COMMIT_OUTCOME_COMMITTED);
    t_finish(&t_run);
    assert_true(t_posted_to_payee(1) == 10 && t_posted_to_payee(2) == 10);
    t_nothing_is_pending();
}

static void
a_repeat_changes_nothing(void **state)
{
    (void)state;
    for (uint32_t protocol = 0; protocol < 2; protocol++) {
        for (uint32_t time = 0; time < 3; time++) {
            t_start((enum commit_protocol)protocol, 1, 10);
            t_finish(&t_run);
            assert_int_equal(commit_outcome(&t_run), COMMIT_OUTCOME_COMMITTED);
            assert_true(t_posted_to_payee(1) == 10);
        }
        t_runs_close(NULL);
        t_runs_open(NULL);
    }
}

static void
a_payer_without_money_refuses(void **state)
{
    (void)state;
    t_start(COMMIT_2PC, 2, 300); /* twice 300 of 500 */
    t_finish(&t_run);
    assert_int_equal(t_run.state, COMMIT_VOIDED);
    assert_int_equal(t_run.reason, LEDGER_TRANSFER_exceeds_credits);
    assert_true(t_posted_to_payee(1) == 0 && t_posted_to_payee(2) == 0);
    t_nothing_is_pending();
}

/* COMMIT-3: an abort that was answered is a decision. */
static void
an_inquiry_that_finds_nothing_forbids(void **state)
{
    (void)state;
    t_start(COMMIT_2PC, 1, 10);
    assert_true(t_round_trip(&t_run)); /* slot 1 has prepared */
    struct commit_run other = t_run;
    commit_conclude(&other);
    assert_true(t_round_trip(&other));
    assert_int_equal(commit_outcome(&other), COMMIT_OUTCOME_ABORTED);
    assert_int_equal(t_run.state, COMMIT_DECIDING);
    t_finish(&t_run);
    t_finish(&other);
    assert_int_equal(commit_outcome(&t_run), COMMIT_OUTCOME_ABORTED);
    t_nothing_is_pending();
}

/* COMMIT-1: the first slot's entry 0 decides. */
static void
an_inquiry_that_finds_the_decision_commits(void **state)
{
    (void)state;
    t_start(COMMIT_2PC, 1, 10);
    assert_true(t_round_trip(&t_run));
    struct commit_run other = t_run;
    assert_true(t_round_trip(&t_run));
    commit_conclude(&other);
    t_finish(&other);
    assert_int_equal(other.state, COMMIT_POSTED);
    assert_true(t_posted_to_payee(1) == 10);
}

/* COMMIT-4: what was buried never prepares, however late it comes. COMMIT-5: nor is it voided. */
static void
a_late_prepare_is_refused(void **state)
{
    (void)state;
    t_start(COMMIT_2PC, 2, 10);
    struct commit_run late = t_run;
    struct commit_ask ask;
    commit_conclude(&t_run);
    t_finish(&t_run);
    assert_int_equal(t_run.state, COMMIT_VOIDED);
    assert_true(commit_next(&late, 1, &ask));
    t_ask(&late, &ask);
    assert_int_equal(commit_outcome(&late), COMMIT_OUTCOME_UNKNOWN); /* it may be a repeat */
    assert_true(commit_next(&late, 1, &ask));
    assert_int_equal(ask.kind, COMMIT_ASK_BURY);
    t_ask(&late, &ask);
    assert_int_equal(commit_outcome(&late), COMMIT_OUTCOME_ABORTED);
    t_nothing_is_pending();
}

/* A chain that failed is no refusal before the tombstone is there: here it is a repeat. */
static void
a_chain_that_failed_says_nothing(void **state)
{
    (void)state;
    struct commit_ask ask;
    t_start(COMMIT_2PC, 1, 10);
    assert_true(t_round_trip(&t_run));
    struct commit_run other = t_run;
    t_finish(&other);
    assert_int_equal(commit_outcome(&other), COMMIT_OUTCOME_COMMITTED);
    assert_true(commit_next(&t_run, 0, &ask));
    assert_int_equal(ask.kind, COMMIT_ASK_DECIDE);
    t_ask(&t_run, &ask);
    assert_int_equal(commit_outcome(&t_run), COMMIT_OUTCOME_UNKNOWN);
    assert_true(commit_next(&t_run, 0, &ask));
    assert_int_equal(ask.kind, COMMIT_ASK_BURY);
    t_finish(&t_run);
    assert_int_equal(commit_outcome(&t_run), COMMIT_OUTCOME_COMMITTED);
    assert_true(t_posted_to_payee(1) == 10);
    t_nothing_is_pending();
}

/* As when an answer was lost: what the member did is asked for again. */
static void
prepare_unheard(uint8_t member)
{
    struct commit_ask ask;
    struct commit_run unheard = t_run;
    assert_true(commit_next(&unheard, member, &ask));
    assert_int_equal(ask.kind, COMMIT_ASK_PREPARE);
    t_ask(&unheard, &ask);
    assert_true(commit_next(&t_run, member, &ask));
    t_ask(&t_run, &ask);
    assert_true(commit_next(&t_run, member, &ask));
    assert_int_equal(ask.kind, COMMIT_ASK_BURY);
}

/* Nobody has refused when time is up, so there is no reason; least of all that something exists. */
static void
a_repeat_is_no_reason_of_an_abort(void **state)
{
    (void)state;
    t_start(COMMIT_3PC, 1, 10);
    prepare_unheard(1);
    commit_conclude(&t_run);
    t_finish(&t_run);
    assert_int_equal(commit_outcome(&t_run), COMMIT_OUTCOME_ABORTED);
    assert_int_equal(t_run.reason, 0);
    t_nothing_is_pending();
}

/* The first slot was buried, and its chain fails for what it says itself. */
static void
a_tombstone_does_not_hide_a_reason(void **state)
{
    (void)state;
    t_start(COMMIT_2PC, 2, 300);       /* twice 300 of 500 */
    assert_true(t_round_trip(&t_run)); /* the others have prepared */
    struct commit_run other = t_run;
    commit_conclude(&other);
    assert_true(t_round_trip(&other));
    assert_int_equal(commit_outcome(&other), COMMIT_OUTCOME_ABORTED);
    assert_int_equal(other.reason, 0);
    t_finish(&t_run);
    t_finish(&other);
    assert_int_equal(commit_outcome(&t_run), COMMIT_OUTCOME_ABORTED);
    assert_int_equal(t_run.reason, LEDGER_TRANSFER_exceeds_credits);
    t_nothing_is_pending();
}

static void
a_repeat_is_not_the_reason_of_another_member(void **state)
{
    (void)state;
    struct commit_ask ask;
    t_start(COMMIT_3PC, 2, 300); /* twice 300 of 500 */
    assert_true(commit_next(&t_run, 0, &ask));
    t_ask(&t_run, &ask);
    prepare_unheard(1);
    assert_true(commit_next(&t_run, 0, &ask));
    assert_int_equal(ask.kind, COMMIT_ASK_BURY);
    t_ask(&t_run, &ask);
    t_finish(&t_run);
    assert_int_equal(commit_outcome(&t_run), COMMIT_OUTCOME_ABORTED);
    assert_int_equal(t_run.refused & 1, 1);
    assert_int_equal(t_run.reason, LEDGER_TRANSFER_exceeds_credits);
    t_nothing_is_pending();
}

static void
another_request_under_one_id_is_a_conflict(void **state)
{
    (void)state;
    t_start(COMMIT_2PC, 1, 10);
    t_finish(&t_run);
    t_start(COMMIT_2PC, 1, 11);
    t_finish(&t_run);
    assert_true(t_run.conflict);
    assert_int_equal(commit_outcome(&t_run), COMMIT_OUTCOME_ABORTED);
    assert_true(t_posted_to_payee(1) == 10);
    t_start(COMMIT_3PC, 1, 10); /* the other protocol is another request */
    t_finish(&t_run);
    assert_true(t_run.conflict);
}

/* COMMIT-1: of two members both must have accepted. */
static void
half_of_two_is_no_majority(void **state)
{
    (void)state;
    t_start(COMMIT_3PC, 1, 10);
    assert_true(t_round_trip(&t_run));
    assert_int_equal(t_run.state, COMMIT_PRECOMMITTING);
    struct commit_ask ask;
    for (uint8_t member = 0; member < 2; member++) {
        assert_int_equal(commit_outcome(&t_run), COMMIT_OUTCOME_UNKNOWN);
        assert_true(commit_next(&t_run, member, &ask));
        t_ask(&t_run, &ask);
    }
    assert_int_equal(commit_outcome(&t_run), COMMIT_OUTCOME_COMMITTED);
}

/* COMMIT-9: what was asked in another state moves nothing, whatever the answer is. */
static void
a_late_answer_moves_nothing(void **state)
{
    (void)state;
    struct commit_ask prepare;
    struct ledger_result results[COMMIT_EVENTS_MAX];
    t_start(COMMIT_2PC, 1, 10);
    assert_true(commit_next(&t_run, 1, &prepare));
    const uint32_t count = commit_event_count(&t_run, &prepare);
    for (uint32_t i = 0; i < count; i++) {
        results[i] = (struct ledger_result){.status = LEDGER_TRANSFER_linked_event_failed};
    }
    assert_true(t_round_trip(&t_run));
    const struct commit_run deciding = t_run;
    commit_take(&t_run, &prepare, results);
    assert_int_equal(t_run.state, COMMIT_DECIDING);
    assert_int_equal(t_run.failed, deciding.failed);
    t_finish(&t_run);
    results[count - 1].status = LEDGER_TRANSFER_created;
    commit_take(&t_run, &prepare, results);
    assert_int_equal(t_run.state, COMMIT_POSTED);
}

/* COMMIT-6, COMMIT-7: who terminates takes over what a majority may have accepted. */
static void
a_terminator_takes_over(void **state)
{
    (void)state;
    for (uint8_t accepted = 0; accepted < 3; accepted++) {
        t_start(COMMIT_3PC, 2, 10);
        assert_true(t_round_trip(&t_run));
        struct commit_ask ask;
        for (uint8_t member = 0; member < accepted; member++) {
            assert_true(commit_next(&t_run, member, &ask));
            t_ask(&t_run, &ask);
        }
        struct commit_run other;
        commit_begin(&other, &t_transaction);
        other.prepared = 7;
        commit_conclude(&other);
        t_finish(&other);
        assert_int_equal(other.state, accepted > 0 ? COMMIT_POSTED : COMMIT_VOIDED);
        t_finish(&t_run);
        for (uint32_t bids = 0; bids < 3 && t_run.state == COMMIT_OUTBID; bids++) {
            commit_conclude(&t_run);
            t_finish(&t_run);
        }
        assert_int_equal(t_run.state, other.state);
        t_nothing_is_pending();
        t_runs_close(NULL);
        t_runs_open(NULL);
    }
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, t_runs_open, t_runs_close)
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
        TEST(half_of_two_is_no_majority),
        TEST(a_late_answer_moves_nothing),
        TEST(a_terminator_takes_over),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
