/* What a transaction is made of, and what its records tell whoever finds them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "commit/commit.h"
#include "commit/member.h"
#include "runs_testing.h"

/* From the marker and the pending transfer alone. */
static void
a_resolver_needs_no_memory(void **state)
{
    (void)state;
    for (uint32_t decided = 0; decided < 2; decided++) {
        t_start(COMMIT_2PC, 1, 10);
        assert_true(t_round_trip(&t_run));
        assert_true(decided == 0 || t_round_trip(&t_run));
        const struct ledger_past *past = t_places[1].past;
        struct ledger_transfer pending = past[1].transfer;
        struct ledger_transfer marker = past[2].transfer;
        assert_true(commit_marker_of(pending.id) == marker.id);
        struct commit_transaction found;
        struct commit_run resolver;
        assert_int_equal(commit_resume(&resolver, &found, &marker, &pending, 1), ERR_OK);
        t_finish(&resolver);
        assert_int_equal(resolver.state, decided != 0 ? COMMIT_POSTED : COMMIT_VOIDED);
        t_nothing_is_pending();
        t_runs_close(NULL);
        t_runs_open(NULL);
    }
}

static void
damaged_records_are_refused(void **state)
{
    (void)state;
    t_start(COMMIT_2PC, 1, 10);
    assert_true(t_round_trip(&t_run));
    struct ledger_transfer pending = t_places[1].past[1].transfer;
    const struct ledger_transfer marker = t_places[1].past[2].transfer;
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

static void
requests_that_do_not_cross_are_refused(void **state)
{
    (void)state;
    struct commit_leg legs[4];
    struct commit_transaction made;
    struct commit_request request = t_request_of(legs, COMMIT_2PC, 1, 1);
    assert_int_equal(commit_transaction_init(&made, &request), ERR_OK);
    legs[0].transfer.flags = LEDGER_TRANSFER_POST_PENDING; /* a capture decides */
    assert_int_equal(commit_transaction_init(&made, &request), ERR_OK);
    request.protocol = COMMIT_3PC;
    assert_int_equal(commit_transaction_init(&made, &request), ERR_UNSUPPORTED);
    request = t_request_of(legs, COMMIT_2PC, 1, 1);
    legs[1].transfer.flags = LEDGER_TRANSFER_BALANCING_DEBIT;
    assert_int_equal(commit_transaction_init(&made, &request), ERR_UNSUPPORTED);
    request = t_request_of(legs, COMMIT_2PC, 1, 1);
    legs[0].transfer.timeout = 1;
    assert_int_equal(commit_transaction_init(&made, &request), ERR_UNSUPPORTED);
    request = t_request_of(legs, COMMIT_2PC, 1, 1);
    request.slots[1] = 0;
    assert_int_equal(commit_transaction_init(&made, &request), ERR_INVALID);
    request = t_request_of(legs, COMMIT_2PC, 1, 1);
    request.slot_count = 1;
    assert_int_equal(commit_transaction_init(&made, &request), ERR_INVALID);
    request = t_request_of(legs, COMMIT_2PC, 1, 1);
    request.slot_count = 3; /* one without a leg */
    assert_int_equal(commit_transaction_init(&made, &request), ERR_INVALID);
    request = t_request_of(legs, COMMIT_2PC, 1, 1);
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

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, t_runs_open, t_runs_close)
    const struct CMUnitTest tests[] = {
        TEST(a_resolver_needs_no_memory),
        TEST(damaged_records_are_refused),
        TEST(requests_that_do_not_cross_are_refused),
        TEST(a_member_moves_by_its_table),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
