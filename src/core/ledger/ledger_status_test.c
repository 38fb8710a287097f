/* Every status of transfers of one phase and of batches, and which one wins. */
#include "ledger_test_spoil.h"

#include <string.h>

static const struct t_spoiler id_max[] = {
    SPOIL(id_must_not_be_int_max, SET(id, U128_MAX)),
};

static const struct t_spoiler existing[] = {
    SPOIL(exists_with_different_flags, SET(id, T_LIKE_BASE), ON(LEDGER_TRANSFER_BALANCING_DEBIT)),
    SPOIL_AMONG(exists_with_different_pending_id, SET(id, T_LIKE_BASE), SET(pending_id, 7)),
    SPOIL_AMONG(exists_with_different_timeout, SET(id, T_LIKE_BASE), SET(timeout, 9)),
    SPOIL_AMONG(
        exists_with_different_debit_account_id,
        SET(id, T_LIKE_BASE),
        SET(debit_account_id, ABSENT)),
    SPOIL_AMONG(
        exists_with_different_credit_account_id,
        SET(id, T_LIKE_BASE),
        SET(credit_account_id, ABSENT + 1)),
    SPOIL_AMONG(exists_with_different_amount, SET(id, T_LIKE_BASE), SET(amount, 11)),
    SPOIL_AMONG(exists_with_different_user_data_128, SET(id, T_LIKE_BASE), SET(user_data_128, 2)),
    SPOIL_AMONG(exists_with_different_user_data_64, SET(id, T_LIKE_BASE), SET(user_data_64, 2)),
    SPOIL_AMONG(exists_with_different_user_data_32, SET(id, T_LIKE_BASE), SET(user_data_32, 2)),
    SPOIL_AMONG(exists_with_different_ledger, SET(id, T_LIKE_BASE), SET(ledger, 2)),
    SPOIL_AMONG(exists_with_different_code, SET(id, T_LIKE_BASE), SET(code, 2)),
    SPOIL_AMONG(exists, SET(id, T_LIKE_BASE)),
};

static const struct t_spoiler ids[] = {
    SPOIL(id_already_failed, SET(id, T_FAILED)),
    SPOIL(debit_account_id_must_not_be_zero, SET(debit_account_id, 0)),
    SPOIL(debit_account_id_must_not_be_int_max, SET(debit_account_id, U128_MAX)),
    SPOIL(credit_account_id_must_not_be_zero, SET(credit_account_id, 0)),
    SPOIL(credit_account_id_must_not_be_int_max, SET(credit_account_id, U128_MAX)),
};

static const struct t_spoiler same_accounts[] = {
    SPOIL_ALONE(accounts_must_be_different, SET(credit_account_id, A)),
};

static const struct t_spoiler fields[] = {
    SPOIL(pending_id_must_be_zero, SET(pending_id, 7)),
    SPOIL(timeout_reserved_for_pending_transfer, OFF(LEDGER_TRANSFER_PENDING), SET(timeout, 1)),
    SPOIL(
        closing_transfer_must_be_pending,
        OFF(LEDGER_TRANSFER_PENDING),
        ON(LEDGER_TRANSFER_CLOSING_DEBIT)),
    SPOIL(ledger_must_not_be_zero, SET(ledger, 0)),
    SPOIL(code_must_not_be_zero, SET(code, 0)),
    SPOIL(debit_account_not_found, SET(debit_account_id, ABSENT)),
    SPOIL(credit_account_not_found, SET(credit_account_id, ABSENT + 1)),
    SPOIL(accounts_must_have_the_same_ledger, SET(credit_account_id, OTHER_LEDGER)),
    SPOIL(transfer_must_have_the_same_ledger_as_accounts, SET(ledger, 2)),
};

static const struct t_spoiler amounts[] = {
    SPOIL(debit_account_already_closed, SET(debit_account_id, CLOSED)),
    SPOIL(credit_account_already_closed, SET(credit_account_id, CLOSED_TOO)),
    SPOIL(overflows_debits_pending, SET(debit_account_id, FULL_DEBITS_PENDING)),
    SPOIL(overflows_credits_pending, SET(credit_account_id, FULL_CREDITS_PENDING)),
    SPOIL(overflows_debits_posted, SET(debit_account_id, FULL_DEBITS_POSTED)),
    SPOIL(overflows_credits_posted, SET(credit_account_id, FULL_CREDITS_POSTED)),
    SPOIL(overflows_debits, SET(debit_account_id, FULL_DEBITS)),
    SPOIL(overflows_credits, SET(credit_account_id, FULL_CREDITS)),
};

static const struct t_spoiler timeouts[] = {
    SPOIL(overflows_timeout, SET(timeout, UINT32_MAX)),
};

static const struct t_spoiler limits[] = {
    SPOIL(exceeds_credits, SET(debit_account_id, LIMITED_DEBITS)),
    SPOIL(exceeds_debits, SET(credit_account_id, LIMITED_CREDITS)),
};

/* Of a transfer of one phase that is not imported. */
static void
t_add_all(struct t_spoilers *spoilers)
{
    ADD(spoilers, t_spoil_form);
    ADD(spoilers, id_max);
    ADD(spoilers, existing);
    ADD(spoilers, ids);
    ADD(spoilers, same_accounts);
    ADD(spoilers, fields);
    ADD(spoilers, amounts);
    ADD(spoilers, timeouts);
    ADD(spoilers, limits);
}

/* LEDGER-3, LEDGER-5. */
static void
test_transfer_statuses(void **state)
{
    (void)state;
    const struct ledger_transfer base = t_base_transfer();
    struct t_spoilers spoilers = {.count = 0};
    t_add_all(&spoilers);
    t_spoil_each_transfer(&base, &spoilers);
}

static void
test_imported_transfer_statuses(void **state)
{
    (void)state;
    struct ledger_transfer base = t_base_transfer();
    base.flags = LEDGER_TRANSFER_PENDING | LEDGER_TRANSFER_IMPORTED;
    base.timestamp = t_spoil_gap;
    uint64_t clock = ledger_clock(t_spoil_world.ledger);
    uint64_t last_account = ledger_account_at(t_spoil_world.ledger, LATE - 1)->timestamp;
    const struct t_spoiler form[] = {
        SPOIL(linked_event_chain_open, ON(LEDGER_TRANSFER_LINKED)),
        SPOIL(imported_event_timestamp_out_of_range, SET(timestamp, 0)),
        SPOIL(imported_event_timestamp_out_of_range, SET(timestamp, LEDGER_TIMESTAMP_MAX + 1)),
        SPOIL(imported_event_timestamp_must_not_advance, SET(timestamp, clock + 1000)),
        SPOIL(reserved_flag, ON(1 << 9)),
        SPOIL(id_must_not_be_zero, SET(id, 0)),
    };
    const struct t_spoiler timestamps[] = {
        SPOIL(imported_event_timestamp_must_not_regress, SET(timestamp, t_spoil_gap - 10 - 20)),
        SPOIL_ALONE(imported_event_timestamp_must_not_regress, SET(timestamp, last_account)),
        SPOIL(imported_event_timestamp_must_postdate_debit_account, SET(debit_account_id, LATE)),
        SPOIL(
            imported_event_timestamp_must_postdate_credit_account,
            SET(credit_account_id, LATE_TOO)),
        SPOIL(imported_event_timeout_must_be_zero, SET(timeout, 1)),
    };
    struct t_spoilers spoilers = {.count = 0};
    ADD(&spoilers, form);
    ADD(&spoilers, ids);
    ADD(&spoilers, fields);
    ADD(&spoilers, timestamps);
    ADD(&spoilers, amounts);
    ADD(&spoilers, limits);
    t_spoil_each_transfer(&base, &spoilers);
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

static bool
is_transient(uint32_t status)
{
    static const uint32_t all[] = {
        LEDGER_TRANSFER_debit_account_not_found,
        LEDGER_TRANSFER_credit_account_not_found,
        LEDGER_TRANSFER_debit_account_already_closed,
        LEDGER_TRANSFER_credit_account_already_closed,
        LEDGER_TRANSFER_exceeds_credits,
        LEDGER_TRANSFER_exceeds_debits,
    };
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
        if (all[i] == status) {
            return true;
        }
    }
    return false;
}

/* The failures that use up an id, by name and through the delta. */
static void
test_transient_statuses(void **state)
{
    (void)state;
    const struct ledger_transfer base = t_base_transfer();
    struct t_spoilers spoilers = {.count = 0};
    uint32_t transient_count = 0;
    t_add_all(&spoilers);
    for (size_t i = 0; i < spoilers.count; i++) {
        const struct t_spoiler *spoiler = spoilers.all[i];
        bool transient = is_transient(spoiler->status);
        t_world_transfer(&t_spoil_world, t_spoilt_transfer(&base, spoiler));
        assert_int_equal(t_spoil_world.delta.failed_count, transient);
        assert_true(!transient || t_spoil_world.failed[0] == T_NEW);
        transient_count += transient;
    }
    assert_int_equal(transient_count, 6);
    struct ledger_transfer post = {
        .id = T_NEW, .pending_id = 999, .flags = LEDGER_TRANSFER_POST_PENDING};
    t_world_transfer(&t_spoil_world, post);
    assert_int_equal(t_spoil_world.delta.failed_count, 1);
}

static struct t_world twins[2];

/* Some of everything, on top of whatever its memory had before. */
static void
run_twin(struct t_world *world, int before)
{
    const struct ledger_limits small = {8, 8, 3, 0, NULL};
    t_world_init(world, &small);
    memset(world->results, before, sizeof(world->results));
    memset(world->events, before, sizeof(world->events));
    memset(world->accounts, before, sizeof(world->accounts));
    const struct ledger_account accounts[] = {
        {.id = A, .ledger = 1, .code = 1}, {.id = B, .ledger = 1, .code = 1}, {.id = B}};
    t_world_create_accounts(world, accounts, 3);
    struct ledger_transfer batch[] = {
        t_base_transfer(), t_base_transfer(), t_base_transfer(), t_base_transfer()};
    batch[1].id = 701;
    batch[1].flags = LEDGER_TRANSFER_PENDING;
    batch[2].id = 702;
    batch[2].flags = LEDGER_TRANSFER_PENDING;
    batch[2].timeout = 1;
    batch[3] = (struct ledger_transfer){
        .id = 703, .pending_id = 701, .flags = LEDGER_TRANSFER_VOID_PENDING};
    t_world_create_transfers(world, batch, 4);
}

/* Behind its last field an event has bytes that mean nothing. */
static void
compare_events(void)
{
    const size_t size = offsetof(struct ledger_event, pending_place) + sizeof(uint32_t);
    assert_int_equal(twins[0].delta.event_count, twins[1].delta.event_count);
    for (uint32_t i = 0; i < twins[0].delta.event_count; i++) {
        assert_memory_equal(&twins[0].events[i], &twins[1].events[i], size);
    }
}

/* LEDGER-9: whatever is in memory, and wherever that is, not a byte that comes out differs. */
static void
test_same_calls_give_the_same_bytes(void **state)
{
    (void)state;
    run_twin(&twins[0], 0x00);
    run_twin(&twins[1], 0xa5);
    assert_int_equal(twins[0].delta.event_count, 4);
    compare_events();
    assert_memory_equal(twins[0].results, twins[1].results, 4 * sizeof(*twins[0].results));
    assert_memory_equal(twins[0].accounts, twins[1].accounts, 2 * sizeof(*twins[0].accounts));
    for (int i = 0; i < 2; i++) {
        assert_int_equal(t_world_pulse(&twins[i], UINT64_C(9000000000)), 1);
    }
    compare_events();
    t_world_release(&twins[0]);
    t_world_release(&twins[1]);
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
        cmocka_unit_test_setup_teardown(test_batch_statuses, t_spoil_set_up, t_spoil_tear_down),
        cmocka_unit_test_setup_teardown(test_transient_statuses, t_spoil_set_up, t_spoil_tear_down),
        cmocka_unit_test(test_same_calls_give_the_same_bytes),
        cmocka_unit_test(test_status_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
