/* Every status of a transfer that posts or voids a pending one, and which one wins. */
#include "ledger_test_spoil.h"

static const struct t_spoiler finishing[] = {
    SPOIL(id_already_failed, SET(id, T_FAILED)),
    SPOIL_ALONE(flags_are_mutually_exclusive, ON(LEDGER_TRANSFER_VOID_PENDING)),
    SPOIL(flags_are_mutually_exclusive, ON(LEDGER_TRANSFER_PENDING)),
    SPOIL(flags_are_mutually_exclusive, ON(LEDGER_TRANSFER_BALANCING_DEBIT)),
    SPOIL(flags_are_mutually_exclusive, ON(LEDGER_TRANSFER_BALANCING_CREDIT)),
    SPOIL(flags_are_mutually_exclusive, ON(LEDGER_TRANSFER_CLOSING_DEBIT)),
    SPOIL(flags_are_mutually_exclusive, ON(LEDGER_TRANSFER_CLOSING_CREDIT)),
    SPOIL(pending_id_must_not_be_zero, SET(pending_id, 0)),
    SPOIL(pending_id_must_not_be_int_max, SET(pending_id, U128_MAX)),
    SPOIL(pending_id_must_be_different, SET(pending_id, T_NEW)),
    SPOIL(timeout_reserved_for_pending_transfer, SET(timeout, 1)),
    SPOIL(pending_transfer_not_found, SET(pending_id, 999)),
    SPOIL(pending_transfer_not_pending, SET(pending_id, T_SINGLE)),
    SPOIL(pending_transfer_has_different_debit_account_id, SET(debit_account_id, B)),
    SPOIL(pending_transfer_has_different_credit_account_id, SET(credit_account_id, A)),
    SPOIL(pending_transfer_has_different_ledger, SET(ledger, 2)),
    SPOIL(pending_transfer_has_different_code, SET(code, 2)),
    SPOIL(exceeds_pending_transfer_amount, SET(amount, 11)),
    SPOIL(
        pending_transfer_has_different_amount,
        OFF(LEDGER_TRANSFER_POST_PENDING),
        ON(LEDGER_TRANSFER_VOID_PENDING),
        SET(amount, 9)),
    SPOIL(pending_transfer_already_posted, SET(pending_id, T_POSTED)),
    SPOIL(pending_transfer_already_voided, SET(pending_id, T_VOIDED)),
    SPOIL(pending_transfer_expired, SET(pending_id, T_EXPIRED)),
    SPOIL(pending_transfer_expired, SET(pending_id, T_DUE)),
};

static const struct t_spoiler closed[] = {
    SPOIL(debit_account_already_closed, SET(pending_id, T_LIVE_OF_CLOSED_DEBIT)),
    SPOIL(credit_account_already_closed, SET(pending_id, T_LIVE_OF_CLOSED_CREDIT)),
};

/* LEDGER-3, LEDGER-8. */
static void
test_second_phase_statuses(void **state)
{
    (void)state;
    const struct ledger_transfer base = {
        .id = T_NEW,
        .pending_id = T_LIVE,
        .amount = U128_MAX,
        .flags = LEDGER_TRANSFER_POST_PENDING,
    };
    struct t_spoilers spoilers = {.count = 0};
    ADD(&spoilers, t_spoil_form);
    ADD(&spoilers, finishing);
    ADD(&spoilers, closed);
    t_spoil_each_transfer(&base, &spoilers);
}

static void
test_imported_second_phase_statuses(void **state)
{
    (void)state;
    const struct ledger_transfer base = {
        .id = T_NEW,
        .pending_id = T_LIVE,
        .amount = U128_MAX,
        .flags = LEDGER_TRANSFER_POST_PENDING | LEDGER_TRANSFER_IMPORTED,
        .timestamp = t_spoil_gap,
    };
    const struct t_spoiler out_of_range[] = {
        SPOIL(imported_event_timestamp_out_of_range, SET(timestamp, 0)),
        SPOIL(
            imported_event_timestamp_must_not_advance,
            SET(timestamp, ledger_clock(t_spoil_world.ledger) + 1000)),
    };
    const struct t_spoiler regressing[] = {
        SPOIL(imported_event_timestamp_must_not_regress, SET(timestamp, t_spoil_gap - 10 - 20)),
    };
    struct t_spoilers spoilers = {.count = 0};
    ADD(&spoilers, out_of_range);
    ADD(&spoilers, finishing);
    ADD(&spoilers, regressing);
    ADD(&spoilers, closed);
    t_spoil_each_transfer(&base, &spoilers);
}

static const struct t_spoiler different[] = {
    SPOIL(
        exists_with_different_flags,
        OFF(LEDGER_TRANSFER_POST_PENDING),
        ON(LEDGER_TRANSFER_VOID_PENDING)),
    SPOIL(exists_with_different_pending_id, SET(pending_id, T_LIVE)),
    SPOIL(exists_with_different_timeout, SET(timeout, 1)),
    SPOIL(exists_with_different_debit_account_id, SET(debit_account_id, B)),
    SPOIL(exists_with_different_credit_account_id, SET(credit_account_id, A)),
    SPOIL(exists_with_different_amount, SET(amount, 9)),
    SPOIL(exists_with_different_user_data_128, SET(user_data_128, 2)),
    SPOIL(exists_with_different_user_data_64, SET(user_data_64, 2)),
    SPOIL(exists_with_different_user_data_32, SET(user_data_32, 2)),
    SPOIL(exists_with_different_ledger, SET(ledger, 2)),
    SPOIL(exists_with_different_code, SET(code, 2)),
    SPOIL(exists, SET(id, T_POST)),
    SPOIL(
        exists,
        SET(debit_account_id, A),
        SET(credit_account_id, B),
        SET(ledger, 1),
        SET(code, 1),
        SET(amount, 10),
        SET(user_data_64, 1)),
};

static void
test_repeated_post(void **state)
{
    (void)state;
    const struct ledger_transfer base = {
        .id = T_POST,
        .pending_id = T_POSTED,
        .amount = U128_MAX,
        .flags = LEDGER_TRANSFER_POST_PENDING,
    };
    struct t_spoilers spoilers = {.count = 0};
    ADD(&spoilers, different);
    t_spoil_each_transfer(&base, &spoilers);
}

/* LEDGER-8: at the very moment it is due it has expired, though its pulse comes later. */
static void
test_second_phase_when_it_is_due(void **state)
{
    (void)state;
    struct t_world *world = &t_spoil_world;
    struct ledger_transfer pending = t_base_transfer();
    pending.flags = LEDGER_TRANSFER_PENDING;
    pending.timeout = 1;
    for (u128 early = 0; early < 2; early++) {
        pending.id = 500 + early;
        assert_int_equal(t_world_transfer(world, pending), LEDGER_TRANSFER_created);
        uint64_t due = world->results[0].timestamp + UINT64_C(1000000000);
        ledger_set_clock(world->ledger, due - 2 - (uint64_t)early); /* a batch of one adds two */
        const struct ledger_transfer post = {
            .id = 600 + early,
            .pending_id = pending.id,
            .amount = U128_MAX,
            .flags = LEDGER_TRANSFER_POST_PENDING,
        };
        assert_int_equal(
            t_world_transfer(world, post),
            early != 0 ? LEDGER_TRANSFER_created : LEDGER_TRANSFER_pending_transfer_expired);
        assert_int_equal(world->results[0].timestamp, due - (uint64_t)early);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(
            test_second_phase_statuses, t_spoil_set_up, t_spoil_tear_down),
        cmocka_unit_test_setup_teardown(
            test_imported_second_phase_statuses, t_spoil_set_up, t_spoil_tear_down),
        cmocka_unit_test_setup_teardown(test_repeated_post, t_spoil_set_up, t_spoil_tear_down),
        cmocka_unit_test_setup_teardown(
            test_second_phase_when_it_is_due, t_spoil_set_up, t_spoil_tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
