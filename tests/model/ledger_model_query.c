/* The model's queries: one pass over everything, forwards or backwards, keeping what matches. */
#include "ledger_model.h"

static bool
valid(const struct ledger_model_filter *filter)
{
    return filter->limit > 0 &&
           (filter->timestamp_max == 0 || filter->timestamp_min <= filter->timestamp_max);
}

static bool
valid_for_account(const struct ledger_model *model, const struct ledger_model_filter *filter)
{
    return valid(filter) && (filter->debits || filter->credits) &&
           ledger_model_account(model, filter->account_id) != NULL;
}

static bool
in_range(const struct ledger_model_filter *filter, uint64_t timestamp)
{
    return timestamp >= filter->timestamp_min &&
           (filter->timestamp_max == 0 || timestamp <= filter->timestamp_max);
}

static bool
transfer_matches(const struct ledger_model_filter *filter, const struct ledger_transfer *transfer)
{
    return in_range(filter, transfer->timestamp) &&
           (filter->user_data_128 == 0 || filter->user_data_128 == transfer->user_data_128) &&
           (filter->user_data_64 == 0 || filter->user_data_64 == transfer->user_data_64) &&
           (filter->user_data_32 == 0 || filter->user_data_32 == transfer->user_data_32) &&
           (filter->code == 0 || filter->code == transfer->code);
}

static bool
account_matches(const struct ledger_model_filter *filter, const struct ledger_account *account)
{
    return in_range(filter, account->timestamp) &&
           (filter->user_data_128 == 0 || filter->user_data_128 == account->user_data_128) &&
           (filter->user_data_64 == 0 || filter->user_data_64 == account->user_data_64) &&
           (filter->user_data_32 == 0 || filter->user_data_32 == account->user_data_32) &&
           (filter->ledger == 0 || filter->ledger == account->ledger) &&
           (filter->code == 0 || filter->code == account->code);
}

static bool
touches_account(const struct ledger_model_filter *filter, const struct ledger_transfer *transfer)
{
    return (filter->debits && transfer->debit_account_id == filter->account_id) ||
           (filter->credits && transfer->credit_account_id == filter->account_id);
}

/* The i-th to look at of `count`. */
static uint32_t
position(const struct ledger_model_filter *filter, uint32_t i, uint32_t count)
{
    return filter->reversed ? count - 1 - i : i;
}

uint32_t
ledger_model_get_account_transfers(
    const struct ledger_model *model,
    const struct ledger_model_filter *filter,
    struct ledger_transfer *out)
{
    uint32_t found = 0;
    uint32_t count = ledger_model_transfer_count(model);
    for (uint32_t i = 0; valid_for_account(model, filter) && i < count; i++) {
        const struct ledger_transfer *transfer =
            ledger_model_transfer_at(model, position(filter, i, count));
        if (found < filter->limit && transfer_matches(filter, transfer) &&
            touches_account(filter, transfer)) {
            out[found++] = *transfer;
        }
    }
    return found;
}

uint32_t
ledger_model_get_account_balances(
    const struct ledger_model *model,
    const struct ledger_model_filter *filter,
    struct ledger_model_balance *out)
{
    uint32_t found = 0;
    uint32_t count = ledger_model_event_count(model);
    if (!valid_for_account(model, filter) ||
        (ledger_model_account(model, filter->account_id)->flags & LEDGER_ACCOUNT_HISTORY) == 0) {
        return 0;
    }
    for (uint32_t i = 0; i < count; i++) {
        const struct ledger_model_event *event =
            ledger_model_event_at(model, position(filter, i, count));
        if (found == filter->limit || event->kind == LEDGER_EVENT_TWO_PHASE_EXPIRED ||
            !transfer_matches(filter, &event->transfer) ||
            !touches_account(filter, &event->transfer)) {
            continue;
        }
        const struct ledger_account *account =
            event->debit.id == filter->account_id ? &event->debit : &event->credit;
        out[found++] = (struct ledger_model_balance){
            .timestamp = event->timestamp,
            .balances =
                {
                    .debits_pending = account->debits_pending,
                    .debits_posted = account->debits_posted,
                    .credits_pending = account->credits_pending,
                    .credits_posted = account->credits_posted,
                },
        };
    }
    return found;
}

uint32_t
ledger_model_query_accounts(
    const struct ledger_model *model,
    const struct ledger_model_filter *filter,
    struct ledger_account *out)
{
    uint32_t found = 0;
    uint32_t count = ledger_model_account_count(model);
    for (uint32_t i = 0; valid(filter) && i < count; i++) {
        const struct ledger_account *account =
            ledger_model_account_at(model, position(filter, i, count));
        if (found < filter->limit && account_matches(filter, account)) {
            out[found++] = *account;
        }
    }
    return found;
}

uint32_t
ledger_model_query_transfers(
    const struct ledger_model *model,
    const struct ledger_model_filter *filter,
    struct ledger_transfer *out)
{
    uint32_t found = 0;
    uint32_t count = ledger_model_transfer_count(model);
    for (uint32_t i = 0; valid(filter) && i < count; i++) {
        const struct ledger_transfer *transfer =
            ledger_model_transfer_at(model, position(filter, i, count));
        if (found < filter->limit && transfer_matches(filter, transfer) &&
            (filter->ledger == 0 || filter->ledger == transfer->ledger)) {
            out[found++] = *transfer;
        }
    }
    return found;
}

uint32_t
ledger_model_get_change_events(
    const struct ledger_model *model,
    const struct ledger_model_filter *filter,
    struct ledger_model_event *out)
{
    uint32_t found = 0;
    uint32_t count = ledger_model_event_count(model);
    for (uint32_t i = 0; valid(filter) && i < count; i++) {
        const struct ledger_model_event *event = ledger_model_event_at(model, i);
        if (found < filter->limit && in_range(filter, event->timestamp)) {
            out[found++] = *event;
        }
    }
    return found;
}
