/* create_accounts. The order of the checks is the order of the statuses in docs/ledger.md. */
#include "ledger_internal.h"

static const uint32_t gate_statuses[] = {
    [LEDGER_GATE_PASS] = LEDGER_ACCOUNT_created,
    [LEDGER_GATE_LINKED_EVENT_FAILED] = LEDGER_ACCOUNT_linked_event_failed,
    [LEDGER_GATE_LINKED_EVENT_CHAIN_OPEN] = LEDGER_ACCOUNT_linked_event_chain_open,
    [LEDGER_GATE_IMPORTED_EVENT_EXPECTED] = LEDGER_ACCOUNT_imported_event_expected,
    [LEDGER_GATE_IMPORTED_EVENT_NOT_EXPECTED] = LEDGER_ACCOUNT_imported_event_not_expected,
    [LEDGER_GATE_TIMESTAMP_MUST_BE_ZERO] = LEDGER_ACCOUNT_timestamp_must_be_zero,
    [LEDGER_GATE_TIMESTAMP_OUT_OF_RANGE] = LEDGER_ACCOUNT_imported_event_timestamp_out_of_range,
    [LEDGER_GATE_TIMESTAMP_MUST_NOT_ADVANCE] =
        LEDGER_ACCOUNT_imported_event_timestamp_must_not_advance,
};

static uint64_t
newest_timestamp(const struct ledger *ledger)
{
    return ledger->account_timestamp;
}

/* Could a transfer that the core no longer holds have this timestamp? Above the newest transfer
 * there is none, and at or below the newest account the import is refused anyway. */
static bool
must_be_looked_up(const struct ledger_account *account, uint64_t above, uint64_t newest_transfer)
{
    return (account->flags & LEDGER_ACCOUNT_IMPORTED) != 0 && account->timestamp > above &&
           account->timestamp <= newest_transfer;
}

uint32_t
ledger_prepare_accounts(
    const struct ledger *ledger,
    const struct ledger_account *batch,
    uint32_t count,
    uint64_t *timestamps)
{
    ASSERT(count <= LEDGER_BATCH_MAX);
    uint32_t named = 0;
    for (uint32_t i = 0; i < count; i++) {
        if (must_be_looked_up(&batch[i], newest_timestamp(ledger), ledger->transfer_timestamp)) {
            timestamps[named++] = batch[i].timestamp;
        }
    }
    return named;
}

void
ledger_set_taken(struct ledger *ledger, const bool *taken, uint32_t count)
{
    ledger->taken = taken;
    ledger->taken_count = count;
}

static uint32_t
compare_existing(const struct ledger_account *account, const struct ledger_account *existing)
{
    if (account->flags != existing->flags) {
        return LEDGER_ACCOUNT_exists_with_different_flags;
    }
    if (account->user_data_128 != existing->user_data_128) {
        return LEDGER_ACCOUNT_exists_with_different_user_data_128;
    }
    if (account->user_data_64 != existing->user_data_64) {
        return LEDGER_ACCOUNT_exists_with_different_user_data_64;
    }
    if (account->user_data_32 != existing->user_data_32) {
        return LEDGER_ACCOUNT_exists_with_different_user_data_32;
    }
    if (account->ledger != existing->ledger) {
        return LEDGER_ACCOUNT_exists_with_different_ledger;
    }
    if (account->code != existing->code) {
        return LEDGER_ACCOUNT_exists_with_different_code;
    }
    return LEDGER_ACCOUNT_exists;
}

/* The checks of a new account's own fields. */
static uint32_t
check_fields(const struct ledger_account *account)
{
    const unsigned limits = LEDGER_ACCOUNT_DEBITS_MUST_NOT_EXCEED_CREDITS |
                            LEDGER_ACCOUNT_CREDITS_MUST_NOT_EXCEED_DEBITS;
    if ((account->flags & limits) == limits) {
        return LEDGER_ACCOUNT_flags_are_mutually_exclusive;
    }
    if (account->debits_pending != 0) {
        return LEDGER_ACCOUNT_debits_pending_must_be_zero;
    }
    if (account->debits_posted != 0) {
        return LEDGER_ACCOUNT_debits_posted_must_be_zero;
    }
    if (account->credits_pending != 0) {
        return LEDGER_ACCOUNT_credits_pending_must_be_zero;
    }
    if (account->credits_posted != 0) {
        return LEDGER_ACCOUNT_credits_posted_must_be_zero;
    }
    if (account->ledger == 0) {
        return LEDGER_ACCOUNT_ledger_must_not_be_zero;
    }
    if (account->code == 0) {
        return LEDGER_ACCOUNT_code_must_not_be_zero;
    }
    return LEDGER_ACCOUNT_created;
}

/* Decides one account; `taken`: a transfer has its imported timestamp. `timestamp` is in and out:
 * what the account gets, and what the existing one has. */
static uint32_t
create_account(
    struct ledger *ledger,
    const struct ledger_account *account,
    bool taken,
    struct ledger_delta *delta,
    uint64_t *timestamp)
{
    if (account->reserved != 0) {
        return LEDGER_ACCOUNT_reserved_field;
    }
    if ((account->flags & ~(unsigned)LEDGER_ACCOUNT_FLAGS) != 0) {
        return LEDGER_ACCOUNT_reserved_flag;
    }
    if (account->id == 0) {
        return LEDGER_ACCOUNT_id_must_not_be_zero;
    }
    if (account->id == U128_MAX) {
        return LEDGER_ACCOUNT_id_must_not_be_int_max;
    }
    uint32_t slot = ledger_account_search(ledger, account->id, ledger_hash(account->id));
    if (slot != LEDGER_NONE) {
        *timestamp = ledger_account_in(ledger, slot)->timestamp;
        return compare_existing(account, ledger_account_in(ledger, slot));
    }
    uint32_t status = check_fields(account);
    if (status != LEDGER_ACCOUNT_created) {
        return status;
    }
    if ((account->flags & LEDGER_ACCOUNT_IMPORTED) != 0 &&
        (account->timestamp <= newest_timestamp(ledger) || taken)) {
        return LEDGER_ACCOUNT_imported_event_timestamp_must_not_regress;
    }
    ASSERT(*timestamp > newest_timestamp(ledger));
    struct ledger_account *created = &delta->accounts[delta->account_count++];
    *created = *account;
    created->timestamp = *timestamp;
    ledger_account_append(ledger, created);
    return LEDGER_ACCOUNT_created;
}

/* Takes back what the open chain made: its accounts are the newest. */
static void
undo_chain(
    struct ledger *ledger,
    struct ledger_delta *delta,
    const struct ledger_chain *chain,
    uint32_t index,
    struct ledger_result *results)
{
    for (uint32_t i = index; i-- > chain->start;) {
        ASSERT(results[i].status == LEDGER_ACCOUNT_created);
        results[i].status = LEDGER_ACCOUNT_linked_event_failed;
        ledger_account_pop(ledger);
        delta->account_count--;
    }
}

/* LEDGER-3: one status. LEDGER-7: the timestamp that goes with it. */
static uint64_t
result_timestamp(
    const struct ledger_account *account, uint32_t status, uint64_t original, uint64_t own)
{
    switch (status) {
    case LEDGER_ACCOUNT_exists:
        return original;
    case LEDGER_ACCOUNT_created:
    case LEDGER_ACCOUNT_linked_event_failed:
        return (account->flags & LEDGER_ACCOUNT_IMPORTED) != 0 ? account->timestamp : own;
    default:
        return own;
    }
}

void
ledger_create_accounts(
    struct ledger *ledger,
    const struct ledger_account *batch,
    uint32_t count,
    struct ledger_result *results,
    struct ledger_delta *delta)
{
    ASSERT(count <= LEDGER_BATCH_MAX);
    ASSERT(ledger->clock >= count);
    ASSERT(delta->account_capacity - delta->account_count >= count);
    struct ledger_chain chain = {
        .clock = ledger->clock,
        .count = count,
        .imported = count > 0 && (batch[0].flags & LEDGER_ACCOUNT_IMPORTED) != 0,
    };
    uint64_t newest_before = newest_timestamp(ledger);
    uint32_t named = 0;
    for (uint32_t i = 0; i < count; i++) {
        const struct ledger_account *account = &batch[i];
        const struct ledger_head head = {
            .index = i,
            .linked = (account->flags & LEDGER_ACCOUNT_LINKED) != 0,
            .imported = (account->flags & LEDGER_ACCOUNT_IMPORTED) != 0,
            .timestamp = account->timestamp,
        };
        bool taken = false;
        if (must_be_looked_up(account, newest_before, ledger->transfer_timestamp)) {
            taken = named < ledger->taken_count && ledger->taken[named];
            named++;
        }
        uint64_t own = ledger_chain_timestamp(&chain, i);
        uint64_t timestamp = head.imported ? head.timestamp : own;
        uint32_t status = gate_statuses[ledger_chain_gate(&chain, &head)];
        if (status == LEDGER_ACCOUNT_created) {
            status = create_account(ledger, account, taken, delta, &timestamp);
        }
        results[i].timestamp = result_timestamp(account, status, timestamp, own);
        results[i].status = status;
        results[i].reserved = 0;
        bool created = status == LEDGER_ACCOUNT_created;
        if (ledger_chain_close(&chain, created, i == count - 1, head.linked)) {
            undo_chain(ledger, delta, &chain, i, results);
        }
    }
    ASSERT(ledger->taken_count == 0 || ledger->taken_count == named);
    ledger_set_taken(ledger, NULL, 0);
    delta->clock = ledger->clock;
    ledger->version++;
}
