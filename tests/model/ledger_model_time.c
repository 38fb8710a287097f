/* The model's clock: how it moves, and what expires by it. */
#include "ledger_model_rules.h"

#include "base/assert.h"

#define PART LEDGER_MODEL_TIME

uint64_t
ledger_model_due_at(const struct ledger_transfer *transfer)
{
    return transfer->timestamp + (uint64_t)transfer->timeout * 1000000000u;
}

/* Of the pending transfers due at the clock, the first by (expiry time, timestamp); NULL if none
 * is due. */
static struct stored *
first_due(const struct ledger_model *model)
{
    struct stored *first = NULL;
    for (uint32_t i = 0; i < model->now.transfer_count; i++) {
        struct stored *one = &model->now.transfers[i];
        if (one->fate != LEDGER_FATE_PENDING || one->transfer.timeout == 0 ||
            ledger_model_due_at(&one->transfer) > model->clock) {
            continue;
        }
        if (first == NULL ||
            ledger_model_due_at(&one->transfer) < ledger_model_due_at(&first->transfer) ||
            (ledger_model_due_at(&one->transfer) == ledger_model_due_at(&first->transfer) &&
             one->transfer.timestamp < first->transfer.timestamp)) {
            first = one;
        }
    }
    return first;
}

void
ledger_model_release(struct ledger_model *model, const struct ledger_transfer *pending)
{
    struct ledger_account *debit = ledger_model_find_account(model, pending->debit_account_id);
    struct ledger_account *credit = ledger_model_find_account(model, pending->credit_account_id);
    if (EFFECT("release debits_pending")) {
        debit->debits_pending -= pending->amount;
    }
    if (EFFECT("release credits_pending")) {
        credit->credits_pending -= pending->amount;
    }
    if (BIT(pending->flags, TRANSFER_CLOSING_DEBIT) && EFFECT("re-open debit")) {
        ledger_model_set_closed(debit, false);
    }
    if (BIT(pending->flags, TRANSFER_CLOSING_CREDIT) && EFFECT("re-open credit")) {
        ledger_model_set_closed(credit, false);
    }
}

void
ledger_model_pulse(struct ledger_model *model)
{
    struct stored **due = model->due;
    uint32_t count = 0;
    model->clock += 1 + LEDGER_MODEL_PULSE_NS;
    ASSERT(model->clock <= LEDGER_TIMESTAMP_MAX);
    while (count < model->expiry_max) {
        struct stored *one = first_due(model);
        if (one == NULL) {
            break;
        }
        one->fate = LEDGER_FATE_EXPIRED;
        due[count++] = one;
    }
    for (uint32_t i = 0; i < count; i++) {
        ledger_model_release(model, &due[i]->transfer);
        ledger_model_add_event(
            model, LEDGER_EVENT_TWO_PHASE_EXPIRED, model->clock - count + i + 1, &due[i]->transfer);
    }
}

void
ledger_model_tick(struct ledger_model *model, int64_t ns)
{
    uint64_t step = ns >= 0 ? (uint64_t)ns : LEDGER_TIMESTAMP_MAX - (uint64_t)-ns;
    uint64_t left = LEDGER_TIMESTAMP_MAX - model->clock;
    model->clock += step < left ? step : left;
    if (first_due(model) != NULL) {
        ledger_model_pulse(model);
    }
}

bool
ledger_model_advance(struct ledger_model *model, uint32_t event_count)
{
    model->clock += 1 + event_count;
    ASSERT(model->clock <= LEDGER_TIMESTAMP_MAX);
    return first_due(model) != NULL;
}

void
ledger_model_commit(struct ledger_model *model)
{
    if (ledger_model_advance(model, 0)) {
        ledger_model_pulse(model);
    }
}

RULES_END(ledger_model_time_rules);
