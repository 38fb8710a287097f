/* Every status of accounts, and which one wins. */
#include "ledger_test_spoil.h"

static const struct t_spoiler statuses[] = {
    SPOIL_ACCOUNT(linked_event_chain_open, ON(LEDGER_ACCOUNT_LINKED)),
    SPOIL_ACCOUNT(timestamp_must_be_zero, SET_ACCOUNT(timestamp, 5)),
    SPOIL_ACCOUNT(reserved_field, SET_ACCOUNT(reserved, 1)),
    SPOIL_ACCOUNT(reserved_flag, ON(1 << 6)),
    SPOIL_ACCOUNT(id_must_not_be_zero, SET_ACCOUNT(id, 0)),
    SPOIL_ACCOUNT(id_must_not_be_int_max, SET_ACCOUNT(id, U128_MAX)),
    SPOIL_ACCOUNT(exists_with_different_flags, SET_ACCOUNT(id, A), ON(LEDGER_ACCOUNT_HISTORY)),
    SPOIL_ACCOUNT_AMONG(
        exists_with_different_user_data_128, SET_ACCOUNT(id, A), SET_ACCOUNT(user_data_128, 1)),
    SPOIL_ACCOUNT_AMONG(
        exists_with_different_user_data_64, SET_ACCOUNT(id, A), SET_ACCOUNT(user_data_64, 1)),
    SPOIL_ACCOUNT_AMONG(
        exists_with_different_user_data_32, SET_ACCOUNT(id, A), SET_ACCOUNT(user_data_32, 1)),
    SPOIL_ACCOUNT_AMONG(exists_with_different_ledger, SET_ACCOUNT(id, A), SET_ACCOUNT(ledger, 7)),
    SPOIL_ACCOUNT_AMONG(exists_with_different_code, SET_ACCOUNT(id, A), SET_ACCOUNT(code, 7)),
    SPOIL_ACCOUNT_AMONG(exists, SET_ACCOUNT(id, A)),
    SPOIL_ACCOUNT(flags_are_mutually_exclusive, ON(6)),
    SPOIL_ACCOUNT(debits_pending_must_be_zero, SET_ACCOUNT(debits_pending, 1)),
    SPOIL_ACCOUNT(debits_posted_must_be_zero, SET_ACCOUNT(debits_posted, 1)),
    SPOIL_ACCOUNT(credits_pending_must_be_zero, SET_ACCOUNT(credits_pending, 1)),
    SPOIL_ACCOUNT(credits_posted_must_be_zero, SET_ACCOUNT(credits_posted, 1)),
    SPOIL_ACCOUNT(ledger_must_not_be_zero, SET_ACCOUNT(ledger, 0)),
    SPOIL_ACCOUNT(code_must_not_be_zero, SET_ACCOUNT(code, 0)),
};

/* LEDGER-3. */
static void
test_account_statuses(void **state)
{
    (void)state;
    const struct ledger_account base = {.id = 77, .ledger = 1, .code = 1};
    struct t_spoilers spoilers = {.count = 0};
    ADD(&spoilers, statuses);
    t_spoil_each_account(&base, &spoilers);
}

static void
test_imported_account_statuses(void **state)
{
    (void)state;
    uint64_t clock = ledger_clock(t_spoil_world.ledger);
    const struct ledger_account base = {
        .id = 77,
        .ledger = 1,
        .code = 1,
        .flags = LEDGER_ACCOUNT_IMPORTED,
        .timestamp = clock,
    };
    const struct t_spoiler imported[] = {
        SPOIL_ACCOUNT(linked_event_chain_open, ON(LEDGER_ACCOUNT_LINKED)),
        SPOIL_ACCOUNT(
            imported_event_timestamp_out_of_range,
            SET_ACCOUNT(timestamp, LEDGER_TIMESTAMP_MAX + 1)),
        SPOIL_ACCOUNT(
            imported_event_timestamp_must_not_advance, SET_ACCOUNT(timestamp, clock + 1000)),
        SPOIL_ACCOUNT(reserved_field, SET_ACCOUNT(reserved, 1)),
        SPOIL_ACCOUNT(flags_are_mutually_exclusive, ON(6)),
        SPOIL_ACCOUNT(debits_pending_must_be_zero, SET_ACCOUNT(debits_pending, 1)),
        SPOIL_ACCOUNT(ledger_must_not_be_zero, SET_ACCOUNT(ledger, 0)),
        SPOIL_ACCOUNT(code_must_not_be_zero, SET_ACCOUNT(code, 0)),
        SPOIL_ACCOUNT(
            imported_event_timestamp_must_not_regress, SET_ACCOUNT(timestamp, t_spoil_gap)),
    };
    struct t_spoilers spoilers = {.count = 0};
    ADD(&spoilers, imported);
    t_spoil_each_account(&base, &spoilers);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_account_statuses, t_spoil_set_up, t_spoil_tear_down),
        cmocka_unit_test_setup_teardown(
            test_imported_account_statuses, t_spoil_set_up, t_spoil_tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
