/* Every status of accounts, of transfers of one phase and of batches, and which one wins. */
#include "ledger_test_spoil.h"

#include <stdio.h>

/* clang-format off */
SPOIL_TRANSFER(out_of_range_above, e->timestamp = LEDGER_TIMESTAMP_MAX + 1)
SPOIL_TRANSFER(id_max, e->id = U128_MAX)
SPOIL_TRANSFER(exists_flags, e->id = T_LIKE_BASE; ON(LEDGER_TRANSFER_BALANCING_DEBIT))
SPOIL_TRANSFER(exists_pending_id, e->id = T_LIKE_BASE; e->pending_id = 7)
SPOIL_TRANSFER(exists_timeout, e->id = T_LIKE_BASE; e->timeout = 9)
SPOIL_TRANSFER(exists_debit, e->id = T_LIKE_BASE; e->debit_account_id = ABSENT)
SPOIL_TRANSFER(exists_credit, e->id = T_LIKE_BASE; e->credit_account_id = ABSENT + 1)
SPOIL_TRANSFER(exists_amount, e->id = T_LIKE_BASE; e->amount = 11)
SPOIL_TRANSFER(exists_data_128, e->id = T_LIKE_BASE; e->user_data_128 = 2)
SPOIL_TRANSFER(exists_data_64, e->id = T_LIKE_BASE; e->user_data_64 = 2)
SPOIL_TRANSFER(exists_data_32, e->id = T_LIKE_BASE; e->user_data_32 = 2)
SPOIL_TRANSFER(exists_ledger, e->id = T_LIKE_BASE; e->ledger = 2)
SPOIL_TRANSFER(exists_code, e->id = T_LIKE_BASE; e->code = 2)
SPOIL_TRANSFER(exists, e->id = T_LIKE_BASE)
SPOIL_TRANSFER(debit_zero, e->debit_account_id = 0)
SPOIL_TRANSFER(debit_max, e->debit_account_id = U128_MAX)
SPOIL_TRANSFER(credit_zero, e->credit_account_id = 0)
SPOIL_TRANSFER(credit_max, e->credit_account_id = U128_MAX)
SPOIL_TRANSFER(same_accounts, e->credit_account_id = e->debit_account_id)
SPOIL_TRANSFER(pending_id_given, e->pending_id = 7)
SPOIL_TRANSFER(timeout_alone, OFF(LEDGER_TRANSFER_PENDING); e->timeout = 1)
SPOIL_TRANSFER(closing_alone, OFF(LEDGER_TRANSFER_PENDING); ON(LEDGER_TRANSFER_CLOSING_DEBIT))
SPOIL_TRANSFER(ledger_zero, e->ledger = 0)
SPOIL_TRANSFER(code_zero, e->code = 0)
SPOIL_TRANSFER(debit_absent, e->debit_account_id = ABSENT)
SPOIL_TRANSFER(credit_absent, e->credit_account_id = ABSENT + 1)
SPOIL_TRANSFER(other_ledgers, e->credit_account_id = OTHER_LEDGER)
SPOIL_TRANSFER(other_ledger, e->ledger = 2)
SPOIL_TRANSFER(debit_closed, e->debit_account_id = CLOSED)
SPOIL_TRANSFER(credit_closed, e->credit_account_id = CLOSED_TOO)
SPOIL_TRANSFER(full_debits_pending, e->debit_account_id = FULL_DEBITS_PENDING)
SPOIL_TRANSFER(full_credits_pending, e->credit_account_id = FULL_CREDITS_PENDING)
SPOIL_TRANSFER(full_debits_posted, e->debit_account_id = FULL_DEBITS_POSTED)
SPOIL_TRANSFER(full_credits_posted, e->credit_account_id = FULL_CREDITS_POSTED)
SPOIL_TRANSFER(full_debits, e->debit_account_id = FULL_DEBITS)
SPOIL_TRANSFER(full_credits, e->credit_account_id = FULL_CREDITS)
SPOIL_TRANSFER(endless, e->timeout = UINT32_MAX)
SPOIL_TRANSFER(limited_debits, e->debit_account_id = LIMITED_DEBITS)
SPOIL_TRANSFER(limited_credits, e->credit_account_id = LIMITED_CREDITS)
SPOIL_TRANSFER(regress_account, e->timestamp = ledger_account_at(t_spoil_world.ledger, LATE - 1)->timestamp)
SPOIL_TRANSFER(predates_debit, e->debit_account_id = LATE)
SPOIL_TRANSFER(predates_credit, e->credit_account_id = LATE_TOO)
SPOIL_TRANSFER(imported_timeout, e->timeout = 1)
/* clang-format on */

#define EXISTS_ENTRIES                                                                             \
    ENTRY(exists_with_different_flags, exists_flags, 0),                                           \
        ENTRY(exists_with_different_pending_id, exists_pending_id, 1),                             \
        ENTRY(exists_with_different_timeout, exists_timeout, 1),                                   \
        ENTRY(exists_with_different_debit_account_id, exists_debit, 1),                            \
        ENTRY(exists_with_different_credit_account_id, exists_credit, 1),                          \
        ENTRY(exists_with_different_amount, exists_amount, 1),                                     \
        ENTRY(exists_with_different_user_data_128, exists_data_128, 1),                            \
        ENTRY(exists_with_different_user_data_64, exists_data_64, 1),                              \
        ENTRY(exists_with_different_user_data_32, exists_data_32, 1),                              \
        ENTRY(exists_with_different_ledger, exists_ledger, 1),                                     \
        ENTRY(exists_with_different_code, exists_code, 1), ENTRY(exists, exists, 1)
#define FIELD_ENTRIES                                                                              \
    ENTRY(id_already_failed, failed, 0), ENTRY(debit_account_id_must_not_be_zero, debit_zero, 0),  \
        ENTRY(debit_account_id_must_not_be_int_max, debit_max, 0),                                 \
        ENTRY(credit_account_id_must_not_be_zero, credit_zero, 0),                                 \
        ENTRY(credit_account_id_must_not_be_int_max, credit_max, 0)
#define FIELD_ENTRIES_2                                                                            \
    ENTRY(pending_id_must_be_zero, pending_id_given, 0),                                           \
        ENTRY(timeout_reserved_for_pending_transfer, timeout_alone, 0),                            \
        ENTRY(closing_transfer_must_be_pending, closing_alone, 0),                                 \
        ENTRY(ledger_must_not_be_zero, ledger_zero, 0),                                            \
        ENTRY(code_must_not_be_zero, code_zero, 0),                                                \
        ENTRY(debit_account_not_found, debit_absent, 0),                                           \
        ENTRY(credit_account_not_found, credit_absent, 0),                                         \
        ENTRY(accounts_must_have_the_same_ledger, other_ledgers, 0),                               \
        ENTRY(transfer_must_have_the_same_ledger_as_accounts, other_ledger, 0)
#define AMOUNT_ENTRIES                                                                             \
    ENTRY(debit_account_already_closed, debit_closed, 0),                                          \
        ENTRY(credit_account_already_closed, credit_closed, 0),                                    \
        ENTRY(overflows_debits_pending, full_debits_pending, 0),                                   \
        ENTRY(overflows_credits_pending, full_credits_pending, 0),                                 \
        ENTRY(overflows_debits_posted, full_debits_posted, 0),                                     \
        ENTRY(overflows_credits_posted, full_credits_posted, 0),                                   \
        ENTRY(overflows_debits, full_debits, 0), ENTRY(overflows_credits, full_credits, 0)
#define LIMIT_ENTRIES                                                                              \
    ENTRY(exceeds_credits, limited_debits, 0), ENTRY(exceeds_debits, limited_credits, 0)

static void
test_transfer_statuses(void **state)
{
    (void)state;
    const struct ledger_transfer base = t_base_transfer();
    const struct t_spoiler spoilers[] = {
        ENTRY(linked_event_chain_open, chain_open, 0),
        ENTRY(timestamp_must_be_zero, timestamp, 0),
        ENTRY(reserved_flag, reserved_flag, 0),
        ENTRY(id_must_not_be_zero, id_zero, 0),
        ENTRY(id_must_not_be_int_max, id_max, 0),
        EXISTS_ENTRIES,
        FIELD_ENTRIES,
        ENTRY(accounts_must_be_different, same_accounts, 2),
        FIELD_ENTRIES_2,
        AMOUNT_ENTRIES,
        ENTRY(overflows_timeout, endless, 0),
        LIMIT_ENTRIES,
    };
    t_spoil_each_transfer(&base, spoilers, sizeof(spoilers) / sizeof(spoilers[0]));
}

static void
test_imported_transfer_statuses(void **state)
{
    (void)state;
    struct ledger_transfer base = t_base_transfer();
    base.flags = LEDGER_TRANSFER_PENDING | LEDGER_TRANSFER_IMPORTED;
    base.timestamp = t_spoil_gap;
    const struct t_spoiler spoilers[] = {
        ENTRY(linked_event_chain_open, chain_open, 0),
        ENTRY(imported_event_timestamp_out_of_range, out_of_range, 0),
        ENTRY(imported_event_timestamp_out_of_range, out_of_range_above, 0),
        ENTRY(imported_event_timestamp_must_not_advance, advances, 0),
        ENTRY(reserved_flag, reserved_flag, 0),
        ENTRY(id_must_not_be_zero, id_zero, 0),
        FIELD_ENTRIES,
        FIELD_ENTRIES_2,
        ENTRY(imported_event_timestamp_must_not_regress, regress_transfer, 0),
        ENTRY(imported_event_timestamp_must_not_regress, regress_account, 2),
        ENTRY(imported_event_timestamp_must_postdate_debit_account, predates_debit, 0),
        ENTRY(imported_event_timestamp_must_postdate_credit_account, predates_credit, 0),
        ENTRY(imported_event_timeout_must_be_zero, imported_timeout, 0),
        AMOUNT_ENTRIES,
        LIMIT_ENTRIES,
    };
    t_spoil_each_transfer(&base, spoilers, sizeof(spoilers) / sizeof(spoilers[0]));
}

/* --- accounts --- */

#define SPOIL_ACCOUNT(name, code)                                                                  \
    static void spoil_account_##name(void *event)                                                  \
    {                                                                                              \
        struct ledger_account *e = event;                                                          \
        code;                                                                                      \
    }
#define ACCOUNT_ENTRY(status_name, group_number)                                                   \
    {                                                                                              \
        LEDGER_ACCOUNT_##status_name, #status_name, spoil_account_##status_name, group_number      \
    }

/* clang-format off */
SPOIL_ACCOUNT(linked_event_chain_open, ON(LEDGER_ACCOUNT_LINKED))
SPOIL_ACCOUNT(timestamp_must_be_zero, e->timestamp = 5)
SPOIL_ACCOUNT(imported_event_timestamp_out_of_range, e->timestamp = LEDGER_TIMESTAMP_MAX + 1)
SPOIL_ACCOUNT(imported_event_timestamp_must_not_advance, e->timestamp = ledger_clock(t_spoil_world.ledger) + 1000)
SPOIL_ACCOUNT(reserved_field, e->reserved = 1)
SPOIL_ACCOUNT(reserved_flag, ON(1 << 6))
SPOIL_ACCOUNT(id_must_not_be_zero, e->id = 0)
SPOIL_ACCOUNT(id_must_not_be_int_max, e->id = U128_MAX)
SPOIL_ACCOUNT(exists_with_different_flags, e->id = A; ON(LEDGER_ACCOUNT_HISTORY))
SPOIL_ACCOUNT(exists_with_different_user_data_128, e->id = A; e->user_data_128 = 1)
SPOIL_ACCOUNT(exists_with_different_user_data_64, e->id = A; e->user_data_64 = 1)
SPOIL_ACCOUNT(exists_with_different_user_data_32, e->id = A; e->user_data_32 = 1)
SPOIL_ACCOUNT(exists_with_different_ledger, e->id = A; e->ledger = 7)
SPOIL_ACCOUNT(exists_with_different_code, e->id = A; e->code = 7)
SPOIL_ACCOUNT(exists, e->id = A)
SPOIL_ACCOUNT(flags_are_mutually_exclusive, ON(6))
SPOIL_ACCOUNT(debits_pending_must_be_zero, e->debits_pending = 1)
SPOIL_ACCOUNT(debits_posted_must_be_zero, e->debits_posted = 1)
SPOIL_ACCOUNT(credits_pending_must_be_zero, e->credits_pending = 1)
SPOIL_ACCOUNT(credits_posted_must_be_zero, e->credits_posted = 1)
SPOIL_ACCOUNT(ledger_must_not_be_zero, e->ledger = 0)
SPOIL_ACCOUNT(code_must_not_be_zero, e->code = 0)
SPOIL_ACCOUNT(imported_event_timestamp_must_not_regress, e->timestamp = t_spoil_gap)

/* clang-format on */

static void
test_account_statuses(void **state)
{
    (void)state;
    const struct ledger_account base = {.id = 77, .ledger = 1, .code = 1};
    const struct t_spoiler spoilers[] = {
        ACCOUNT_ENTRY(linked_event_chain_open, 0),
        ACCOUNT_ENTRY(timestamp_must_be_zero, 0),
        ACCOUNT_ENTRY(reserved_field, 0),
        ACCOUNT_ENTRY(reserved_flag, 0),
        ACCOUNT_ENTRY(id_must_not_be_zero, 0),
        ACCOUNT_ENTRY(id_must_not_be_int_max, 0),
        ACCOUNT_ENTRY(exists_with_different_flags, 0),
        ACCOUNT_ENTRY(exists_with_different_user_data_128, 1),
        ACCOUNT_ENTRY(exists_with_different_user_data_64, 1),
        ACCOUNT_ENTRY(exists_with_different_user_data_32, 1),
        ACCOUNT_ENTRY(exists_with_different_ledger, 1),
        ACCOUNT_ENTRY(exists_with_different_code, 1),
        ACCOUNT_ENTRY(exists, 1),
        ACCOUNT_ENTRY(flags_are_mutually_exclusive, 0),
        ACCOUNT_ENTRY(debits_pending_must_be_zero, 0),
        ACCOUNT_ENTRY(debits_posted_must_be_zero, 0),
        ACCOUNT_ENTRY(credits_pending_must_be_zero, 0),
        ACCOUNT_ENTRY(credits_posted_must_be_zero, 0),
        ACCOUNT_ENTRY(ledger_must_not_be_zero, 0),
        ACCOUNT_ENTRY(code_must_not_be_zero, 0),
    };
    t_spoil_each_account(&base, spoilers, sizeof(spoilers) / sizeof(spoilers[0]));
}

static void
test_imported_account_statuses(void **state)
{
    (void)state;
    const struct ledger_account base = {
        .id = 77,
        .ledger = 1,
        .code = 1,
        .flags = LEDGER_ACCOUNT_IMPORTED,
        .timestamp = ledger_clock(t_spoil_world.ledger),
    };
    const struct t_spoiler spoilers[] = {
        ACCOUNT_ENTRY(linked_event_chain_open, 0),
        ACCOUNT_ENTRY(imported_event_timestamp_out_of_range, 0),
        ACCOUNT_ENTRY(imported_event_timestamp_must_not_advance, 0),
        ACCOUNT_ENTRY(reserved_field, 0),
        ACCOUNT_ENTRY(flags_are_mutually_exclusive, 0),
        ACCOUNT_ENTRY(debits_pending_must_be_zero, 0),
        ACCOUNT_ENTRY(ledger_must_not_be_zero, 0),
        ACCOUNT_ENTRY(code_must_not_be_zero, 0),
        ACCOUNT_ENTRY(imported_event_timestamp_must_not_regress, 0),
    };
    t_spoil_each_account(&base, spoilers, sizeof(spoilers) / sizeof(spoilers[0]));
}

/* --- statuses that take a batch --- */

static void
test_batch_statuses(void **state)
{
    (void)state;
    struct ledger_transfer batch[4];
    for (uint32_t i = 0; i < 4; i++) {
        batch[i] = t_base_transfer();
        batch[i].id = T_NEW + i;
    }
    /* Mixed batches: the first event decides. It fails for another reason here. */
    batch[0].debit_account_id = 0;
    batch[1].flags = LEDGER_TRANSFER_IMPORTED;
    batch[1].timestamp = 0; /* would be out of range: the mix is told first */
    t_world_create_transfers(&t_spoil_world, batch, 2);
    assert_int_equal(t_spoil_world.results[1].status, LEDGER_TRANSFER_imported_event_not_expected);
    batch[0].flags = LEDGER_TRANSFER_IMPORTED;
    batch[0].timestamp = t_spoil_gap;
    batch[1].flags = 0;
    batch[1].timestamp = 5; /* would have to be zero */
    t_world_create_transfers(&t_spoil_world, batch, 2);
    assert_int_equal(t_spoil_world.results[1].status, LEDGER_TRANSFER_imported_event_expected);

    /* A broken chain answers for its members before their own mistakes; an open one before that. */
    batch[0] = batch[1] = batch[2] = batch[3] = t_base_transfer();
    batch[0].flags = batch[1].flags = batch[2].flags = batch[3].flags = LEDGER_TRANSFER_LINKED;
    batch[0].id = T_NEW;
    batch[1].id = 0;
    batch[2].id = 0;
    batch[3].id = 0;
    t_world_create_transfers(&t_spoil_world, batch, 4);
    assert_int_equal(t_spoil_world.results[0].status, LEDGER_TRANSFER_linked_event_failed);
    assert_int_equal(t_spoil_world.results[1].status, LEDGER_TRANSFER_id_must_not_be_zero);
    assert_int_equal(t_spoil_world.results[2].status, LEDGER_TRANSFER_linked_event_failed);
    assert_int_equal(t_spoil_world.results[3].status, LEDGER_TRANSFER_linked_event_chain_open);
    assert_int_equal(t_spoil_world.delta.event_count, 0);

    struct ledger_account accounts[2] = {
        {.id = 70, .code = 1, .flags = LEDGER_ACCOUNT_IMPORTED, .timestamp = t_spoil_gap},
        {.id = 71, .ledger = 1, .code = 1, .timestamp = 5},
    };
    t_world_create_accounts(&t_spoil_world, accounts, 2);
    assert_int_equal(t_spoil_world.results[1].status, LEDGER_ACCOUNT_imported_event_expected);
    accounts[0] = (struct ledger_account){.id = 70, .code = 1};
    accounts[1].flags = LEDGER_ACCOUNT_IMPORTED;
    accounts[1].timestamp = 0;
    t_world_create_accounts(&t_spoil_world, accounts, 2);
    assert_int_equal(t_spoil_world.results[1].status, LEDGER_ACCOUNT_imported_event_not_expected);
    accounts[0].flags = LEDGER_ACCOUNT_LINKED;
    t_world_create_accounts(&t_spoil_world, accounts, 2);
    assert_int_equal(t_spoil_world.results[0].status, LEDGER_ACCOUNT_ledger_must_not_be_zero);
    assert_int_equal(t_spoil_world.results[1].status, LEDGER_ACCOUNT_linked_event_failed);
}

/* The failures that use up an id, by name and through the delta. */
static void
test_transient_statuses(void **state)
{
    (void)state;
    void (*const transient[])(void *) = {
        spoil_debit_absent,
        spoil_credit_absent,
        spoil_debit_closed,
        spoil_credit_closed,
        spoil_limited_debits,
        spoil_limited_credits,
    };
    for (size_t i = 0; i < sizeof(transient) / sizeof(transient[0]); i++) {
        struct ledger_transfer transfer = t_base_transfer();
        transient[i](&transfer);
        t_world_transfer(&t_spoil_world, transfer);
        assert_int_equal(t_spoil_world.delta.failed_count, 1);
        assert_true(t_spoil_world.failed[0] == T_NEW);
    }
    void (*const lasting[])(void *) = {
        spoil_chain_open,
        spoil_reserved_flag,
        spoil_exists_flags,
        spoil_failed,
        spoil_debit_zero,
        spoil_other_ledgers,
        spoil_other_ledger,
        spoil_full_debits,
        spoil_full_credits,
        spoil_endless,
    };
    for (size_t i = 0; i < sizeof(lasting) / sizeof(lasting[0]); i++) {
        struct ledger_transfer transfer = t_base_transfer();
        lasting[i](&transfer);
        t_world_transfer(&t_spoil_world, transfer);
        assert_int_equal(t_spoil_world.delta.failed_count, 0);
    }
    struct ledger_transfer post = {
        .id = T_NEW, .pending_id = 999, .flags = LEDGER_TRANSFER_POST_PENDING};
    t_world_transfer(&t_spoil_world, post);
    assert_int_equal(t_spoil_world.delta.failed_count, 1);
}

static void
test_status_names(void **state)
{
    (void)state;
    assert_string_equal(ledger_account_status_name(LEDGER_ACCOUNT_created), "created");
    assert_string_equal(ledger_account_status_name(22), "imported_event_expected");
    assert_null(ledger_account_status_name(0));
    assert_null(ledger_account_status_name(27));
    assert_string_equal(ledger_transfer_status_name(54), "exceeds_credits");
    assert_string_equal(ledger_transfer_status_name(68), "id_already_failed");
    assert_null(ledger_transfer_status_name(18));
    assert_null(ledger_transfer_status_name(69));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_transfer_statuses, t_spoil_set_up, t_spoil_tear_down),
        cmocka_unit_test_setup_teardown(
            test_imported_transfer_statuses, t_spoil_set_up, t_spoil_tear_down),
        cmocka_unit_test_setup_teardown(test_account_statuses, t_spoil_set_up, t_spoil_tear_down),
        cmocka_unit_test_setup_teardown(
            test_imported_account_statuses, t_spoil_set_up, t_spoil_tear_down),
        cmocka_unit_test_setup_teardown(test_batch_statuses, t_spoil_set_up, t_spoil_tear_down),
        cmocka_unit_test_setup_teardown(test_transient_statuses, t_spoil_set_up, t_spoil_tear_down),
        cmocka_unit_test(test_status_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
