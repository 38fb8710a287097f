/* Every status of a transfer that posts or voids a pending one, and which one wins. */
#include "ledger_test_spoil.h"

/* clang-format off */
SPOIL_TRANSFER(both, ON(LEDGER_TRANSFER_VOID_PENDING))
SPOIL_TRANSFER(with_pending, ON(LEDGER_TRANSFER_PENDING))
SPOIL_TRANSFER(with_balancing_debit, ON(LEDGER_TRANSFER_BALANCING_DEBIT))
SPOIL_TRANSFER(with_balancing_credit, ON(LEDGER_TRANSFER_BALANCING_CREDIT))
SPOIL_TRANSFER(with_closing_debit, ON(LEDGER_TRANSFER_CLOSING_DEBIT))
SPOIL_TRANSFER(with_closing_credit, ON(LEDGER_TRANSFER_CLOSING_CREDIT))
SPOIL_TRANSFER(pending_zero, e->pending_id = 0)
SPOIL_TRANSFER(pending_max, e->pending_id = U128_MAX)
SPOIL_TRANSFER(pending_self, e->pending_id = e->id)
SPOIL_TRANSFER(timeout_given, e->timeout = 1)
SPOIL_TRANSFER(pending_absent, e->pending_id = 999)
SPOIL_TRANSFER(pending_single, e->pending_id = T_SINGLE)
SPOIL_TRANSFER(different_debit, e->debit_account_id = B)
SPOIL_TRANSFER(different_credit, e->credit_account_id = A)
SPOIL_TRANSFER(different_ledger, e->ledger = 2)
SPOIL_TRANSFER(different_code, e->code = 2)
SPOIL_TRANSFER(above_pending, e->amount = 11)
SPOIL_TRANSFER(void_below, OFF(LEDGER_TRANSFER_POST_PENDING); ON(LEDGER_TRANSFER_VOID_PENDING); e->amount = 9)
SPOIL_TRANSFER(posted, e->pending_id = T_POSTED)
SPOIL_TRANSFER(voided, e->pending_id = T_VOIDED)
SPOIL_TRANSFER(expired, e->pending_id = T_EXPIRED)
SPOIL_TRANSFER(due, e->pending_id = T_DUE)
SPOIL_TRANSFER(closed_debit, e->pending_id = T_LIVE_OF_CLOSED_DEBIT)
SPOIL_TRANSFER(closed_credit, e->pending_id = T_LIVE_OF_CLOSED_CREDIT)
/* clang-format on */

#define FINISHING_ENTRIES                                                                          \
    ENTRY(id_already_failed, failed, 0), ENTRY(flags_are_mutually_exclusive, both, 3),             \
        ENTRY(flags_are_mutually_exclusive, with_pending, 0),                                      \
        ENTRY(flags_are_mutually_exclusive, with_balancing_debit, 0),                              \
        ENTRY(flags_are_mutually_exclusive, with_balancing_credit, 0),                             \
        ENTRY(flags_are_mutually_exclusive, with_closing_debit, 0),                                \
        ENTRY(flags_are_mutually_exclusive, with_closing_credit, 0),                               \
        ENTRY(pending_id_must_not_be_zero, pending_zero, 0),                                       \
        ENTRY(pending_id_must_not_be_int_max, pending_max, 0),                                     \
        ENTRY(pending_id_must_be_different, pending_self, 0),                                      \
        ENTRY(timeout_reserved_for_pending_transfer, timeout_given, 0),                            \
        ENTRY(pending_transfer_not_found, pending_absent, 0),                                      \
        ENTRY(pending_transfer_not_pending, pending_single, 0),                                    \
        ENTRY(pending_transfer_has_different_debit_account_id, different_debit, 0),                \
        ENTRY(pending_transfer_has_different_credit_account_id, different_credit, 0),              \
        ENTRY(pending_transfer_has_different_ledger, different_ledger, 0),                         \
        ENTRY(pending_transfer_has_different_code, different_code, 0),                             \
        ENTRY(exceeds_pending_transfer_amount, above_pending, 0),                                  \
        ENTRY(pending_transfer_has_different_amount, void_below, 0),                               \
        ENTRY(pending_transfer_already_posted, posted, 0),                                         \
        ENTRY(pending_transfer_already_voided, voided, 0),                                         \
        ENTRY(pending_transfer_expired, expired, 0), ENTRY(pending_transfer_expired, due, 0)

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
    const struct t_spoiler spoilers[] = {
        ENTRY(linked_event_chain_open, chain_open, 0),
        ENTRY(timestamp_must_be_zero, timestamp, 0),
        ENTRY(reserved_flag, reserved_flag, 0),
        ENTRY(id_must_not_be_zero, id_zero, 0),
        FINISHING_ENTRIES,
        ENTRY(debit_account_already_closed, closed_debit, 0),
        ENTRY(credit_account_already_closed, closed_credit, 0),
    };
    t_spoil_each_transfer(&base, spoilers, sizeof(spoilers) / sizeof(spoilers[0]));
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
    const struct t_spoiler spoilers[] = {
        ENTRY(imported_event_timestamp_out_of_range, out_of_range, 0),
        ENTRY(imported_event_timestamp_must_not_advance, advances, 0),
        FINISHING_ENTRIES,
        ENTRY(imported_event_timestamp_must_not_regress, regress_transfer, 0),
        ENTRY(debit_account_already_closed, closed_debit, 0),
        ENTRY(credit_account_already_closed, closed_credit, 0),
    };
    t_spoil_each_transfer(&base, spoilers, sizeof(spoilers) / sizeof(spoilers[0]));
}

/* clang-format off */
SPOIL_TRANSFER(post_exists_flags, e->flags = LEDGER_TRANSFER_VOID_PENDING)
SPOIL_TRANSFER(post_exists_pending_id, e->pending_id = T_LIVE)
SPOIL_TRANSFER(post_exists_timeout, e->timeout = 1)
SPOIL_TRANSFER(post_exists_amount, e->amount = 9)
SPOIL_TRANSFER(post_exists_data_128, e->user_data_128 = 2)
SPOIL_TRANSFER(post_exists_data_64, e->user_data_64 = 2)
SPOIL_TRANSFER(post_exists_data_32, e->user_data_32 = 2)
SPOIL_TRANSFER(nothing, (void)e)
SPOIL_TRANSFER(all_given, e->debit_account_id = A; e->credit_account_id = B; e->ledger = 1; e->code = 1; e->amount = 10; e->user_data_64 = 1)

/* clang-format on */

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
    const struct t_spoiler spoilers[] = {
        ENTRY(exists_with_different_flags, post_exists_flags, 0),
        ENTRY(exists_with_different_pending_id, post_exists_pending_id, 0),
        ENTRY(exists_with_different_timeout, post_exists_timeout, 0),
        ENTRY(exists_with_different_debit_account_id, different_debit, 0),
        ENTRY(exists_with_different_credit_account_id, different_credit, 0),
        ENTRY(exists_with_different_amount, post_exists_amount, 0),
        ENTRY(exists_with_different_user_data_128, post_exists_data_128, 0),
        ENTRY(exists_with_different_user_data_64, post_exists_data_64, 0),
        ENTRY(exists_with_different_user_data_32, post_exists_data_32, 0),
        ENTRY(exists_with_different_ledger, different_ledger, 0),
        ENTRY(exists_with_different_code, different_code, 0),
        ENTRY(exists, nothing, 0),
        ENTRY(exists, all_given, 0),
    };
    t_spoil_each_transfer(&base, spoilers, sizeof(spoilers) / sizeof(spoilers[0]));
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
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
