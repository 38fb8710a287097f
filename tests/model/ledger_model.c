/* The model's batches: what time an event has, chains and their undoing, and what is answered. */
#include "ledger_model_rules.h"

#include "base/assert.h"

#include <string.h>

#define PART LEDGER_MODEL_BATCH

/* A batch of either kind; the statuses that both have differ in number only for imports. */
struct batch {
    const struct ledger_account *accounts; /* one of these is NULL */
    const struct ledger_transfer *transfers;
    uint32_t count;
    struct ledger_result *results;
    uint64_t clock;
    bool imported;
};

static bool
transient(uint32_t status)
{
    static const char *const names[] = {
        "debit_account_not_found",
        "credit_account_not_found",
        "pending_transfer_not_found",
        "debit_account_already_closed",
        "credit_account_already_closed",
        "exceeds_credits",
        "exceeds_debits",
    };
    const char *name = ledger_transfer_status_name(status);
    for (size_t i = 0; name != NULL && i < sizeof(names) / sizeof(names[0]); i++) {
        if (strcmp(name, names[i]) == 0) {
            return true;
        }
    }
    return false;
}

static bool
batch_linked(const struct batch *batch, uint32_t i)
{
    return batch->accounts != NULL ? BIT(batch->accounts[i].flags, ACCOUNT_LINKED)
                                   : BIT(batch->transfers[i].flags, TRANSFER_LINKED);
}

static bool
batch_imported(const struct batch *batch, uint32_t i)
{
    return batch->accounts != NULL ? BIT(batch->accounts[i].flags, ACCOUNT_IMPORTED)
                                   : BIT(batch->transfers[i].flags, TRANSFER_IMPORTED);
}

static uint64_t
batch_timestamp(const struct batch *batch, uint32_t i)
{
    return batch->accounts != NULL ? batch->accounts[i].timestamp : batch->transfers[i].timestamp;
}

/* The statuses of time, for accounts; transfers have other numbers for the imported ones. */
static uint32_t
check_time(struct ledger_model *model, const struct batch *batch, uint32_t i)
{
    uint64_t timestamp = batch_timestamp(batch, i);
    REFUSE_ACCOUNT(batch->imported && !batch_imported(batch, i), imported_event_expected);
    REFUSE_ACCOUNT(!batch->imported && batch_imported(batch, i), imported_event_not_expected);
    if (!batch_imported(batch, i)) {
        REFUSE_ACCOUNT(timestamp != 0, timestamp_must_be_zero);
        return LEDGER_ACCOUNT_created;
    }
    REFUSE_ACCOUNT(timestamp == 0, imported_event_timestamp_out_of_range);
    REFUSE_ACCOUNT(timestamp > LEDGER_TIMESTAMP_MAX, imported_event_timestamp_out_of_range);
    REFUSE_ACCOUNT(timestamp >= batch->clock, imported_event_timestamp_must_not_advance);
    return LEDGER_ACCOUNT_created;
}

static uint32_t
as_transfer_status(uint32_t status)
{
    switch (status) {
    case LEDGER_ACCOUNT_imported_event_expected:
        return LEDGER_TRANSFER_imported_event_expected;
    case LEDGER_ACCOUNT_imported_event_not_expected:
        return LEDGER_TRANSFER_imported_event_not_expected;
    case LEDGER_ACCOUNT_imported_event_timestamp_out_of_range:
        return LEDGER_TRANSFER_imported_event_timestamp_out_of_range;
    case LEDGER_ACCOUNT_imported_event_timestamp_must_not_advance:
        return LEDGER_TRANSFER_imported_event_timestamp_must_not_advance;
    default:
        return status;
    }
}

static uint32_t
decide(struct ledger_model *model, const struct batch *batch, uint32_t i, uint64_t own)
{
    uint32_t status = check_time(model, batch, i);
    if (status != LEDGER_ACCOUNT_created) {
        return batch->accounts != NULL ? status : as_transfer_status(status);
    }
    uint64_t timestamp = batch_imported(batch, i) ? batch_timestamp(batch, i) : own;
    return batch->accounts != NULL
               ? ledger_model_create_account(model, &batch->accounts[i], timestamp)
               : ledger_model_create_transfer(model, &batch->transfers[i], timestamp);
}

static uint64_t
answer_timestamp(
    const struct ledger_model *model, const struct batch *batch, uint32_t i, uint32_t status)
{
    uint64_t own = batch->clock - batch->count + i + 1;
    bool account = batch->accounts != NULL;
    if (status == LEDGER_ACCOUNT_created || status == LEDGER_ACCOUNT_linked_event_failed) {
        return batch_imported(batch, i) ? batch_timestamp(batch, i) : own;
    }
    if (account && status == LEDGER_ACCOUNT_exists) {
        return ledger_model_find_account(model, batch->accounts[i].id)->timestamp;
    }
    if (!account && status == LEDGER_TRANSFER_exists) {
        return ledger_model_find_transfer(model, batch->transfers[i].id)->transfer.timestamp;
    }
    return own;
}

static void
remember_failed(struct ledger_model *model, u128 id)
{
    struct state *now = &model->now;
    now->failed = ledger_model_grown(now->failed, now->failed_count, sizeof(*now->failed));
    now->failed[now->failed_count++] = id;
}

/* One chain, or one event by itself: events first ... end - 1, `open` if the batch ended in it. */
static void
run_chain(
    struct ledger_model *model, const struct batch *batch, uint32_t first, uint32_t end, bool open)
{
    struct state before = ledger_model_state_copy(&model->now);
    bool failed = false;
    for (uint32_t i = first; i < end; i++) {
        uint32_t status;
        if (open && i == end - 1) {
            status = LEDGER_ACCOUNT_linked_event_chain_open;
        } else if (failed) {
            status = LEDGER_ACCOUNT_linked_event_failed;
        } else {
            status = decide(model, batch, i, batch->clock - batch->count + i + 1);
        }
        batch->results[i] = (struct ledger_result){
            .timestamp = answer_timestamp(model, batch, i, status),
            .status = status,
        };
        if (status == LEDGER_ACCOUNT_created || failed) {
            continue;
        }
        failed = true;
        ledger_model_state_free(&model->now);
        model->now = ledger_model_state_copy(&before);
        for (uint32_t j = first; j < i; j++) {
            batch->results[j].status = LEDGER_ACCOUNT_linked_event_failed;
        }
        if (batch->transfers != NULL && transient(status) && EFFECT("remember a failed id")) {
            remember_failed(model, batch->transfers[i].id);
        }
    }
    ledger_model_state_free(&before);
}

static void
run_batch(struct ledger_model *model, struct batch *batch)
{
    ASSERT(batch->count <= MAX_EVENTS);
    bool pulse_follows = ledger_model_advance(model, batch->count);
    batch->clock = model->clock;
    batch->imported = batch->count > 0 && batch_imported(batch, 0);
    for (uint32_t first = 0; first < batch->count;) {
        uint32_t last = first;
        while (last < batch->count - 1 && batch_linked(batch, last)) {
            last++;
        }
        run_chain(model, batch, first, last + 1, batch_linked(batch, last));
        first = last + 1;
    }
    if (pulse_follows) {
        ledger_model_pulse(model);
    }
}

void
ledger_model_create_accounts(
    struct ledger_model *model,
    const struct ledger_account *batch,
    uint32_t count,
    struct ledger_result *results)
{
    run_batch(model, &(struct batch){.accounts = batch, .count = count, .results = results});
}

void
ledger_model_create_transfers(
    struct ledger_model *model,
    const struct ledger_transfer *batch,
    uint32_t count,
    struct ledger_result *results)
{
    run_batch(model, &(struct batch){.transfers = batch, .count = count, .results = results});
}

RULES_END(ledger_model_batch_rules);
