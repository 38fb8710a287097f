/* The model's memory, how it finds things, and reading. */
#include "base/assert.h"
#include "ledger_model_internal.h"

#include <stdlib.h>
#include <string.h>

void *
ledger_model_grown(void *array, size_t count, size_t size)
{
    void *bigger = realloc(array, (count + 1) * size);
    ASSERT(bigger != NULL);
    return bigger;
}

static void *
copied(const void *array, size_t count, size_t size)
{
    void *copy = malloc(count * size + 1);
    ASSERT(copy != NULL);
    if (count > 0) {
        memcpy(copy, array, count * size);
    }
    return copy;
}

struct state
ledger_model_state_copy(const struct state *from)
{
    struct state copy = *from;
    copy.accounts = copied(from->accounts, from->account_count, sizeof(*from->accounts));
    copy.transfers = copied(from->transfers, from->transfer_count, sizeof(*from->transfers));
    copy.failed = copied(from->failed, from->failed_count, sizeof(*from->failed));
    copy.events = copied(from->events, from->event_count, sizeof(*from->events));
    return copy;
}

void
ledger_model_state_free(struct state *state)
{
    free(state->accounts);
    free(state->transfers);
    free(state->failed);
    free(state->events);
    *state = (struct state){0};
}

struct ledger_model *
ledger_model_create(uint32_t expiry_max, int mutation)
{
    struct ledger_model *model = calloc(1, sizeof(*model));
    ASSERT(model != NULL);
    model->expiry_max = expiry_max;
    model->mutation = mutation;
    return model;
}

void
ledger_model_destroy(struct ledger_model **model)
{
    if (*model != NULL) {
        ledger_model_state_free(&(*model)->now);
        free(*model);
        *model = NULL;
    }
}

/* --- adding --- */

void
ledger_model_add_event(
    struct ledger_model *model,
    enum ledger_event_kind kind,
    uint64_t timestamp,
    const struct ledger_transfer *transfer)
{
    struct state *now = &model->now;
    now->events = ledger_model_grown(now->events, now->event_count, sizeof(*now->events));
    uint32_t at = now->event_count++;
    while (at > 0 && (now->events[at - 1].timestamp > timestamp ||
                      (now->events[at - 1].timestamp == timestamp &&
                       now->events[at - 1].kind == LEDGER_EVENT_TWO_PHASE_EXPIRED))) {
        now->events[at] = now->events[at - 1];
        at--;
    }
    now->events[at] = (struct ledger_model_event){
        .kind = kind,
        .timestamp = timestamp,
        .transfer = *transfer,
        .debit = *ledger_model_find_account(model, transfer->debit_account_id),
        .credit = *ledger_model_find_account(model, transfer->credit_account_id),
    };
}

void
ledger_model_set_closed(struct ledger_account *account, bool closed)
{
    unsigned flags = account->flags & ~(unsigned)LEDGER_ACCOUNT_CLOSED;
    account->flags = (uint16_t)(closed ? flags | LEDGER_ACCOUNT_CLOSED : flags);
}

void
ledger_model_store(
    struct ledger_model *model, const struct ledger_transfer *transfer, enum ledger_fate fate)
{
    struct state *now = &model->now;
    now->transfers =
        ledger_model_grown(now->transfers, now->transfer_count, sizeof(*now->transfers));
    now->transfers[now->transfer_count++] = (struct stored){*transfer, fate};
}

/* --- finding --- */

struct ledger_account *
ledger_model_find_account(const struct ledger_model *model, u128 id)
{
    for (uint32_t i = 0; i < model->now.account_count; i++) {
        if (model->now.accounts[i].id == id) {
            return &model->now.accounts[i];
        }
    }
    return NULL;
}

struct stored *
ledger_model_find_transfer(const struct ledger_model *model, u128 id)
{
    for (uint32_t i = 0; i < model->now.transfer_count; i++) {
        if (model->now.transfers[i].transfer.id == id) {
            return &model->now.transfers[i];
        }
    }
    return NULL;
}

bool
ledger_model_account_has_timestamp(const struct ledger_model *model, uint64_t timestamp)
{
    for (uint32_t i = 0; i < model->now.account_count; i++) {
        if (model->now.accounts[i].timestamp == timestamp) {
            return true;
        }
    }
    return false;
}

bool
ledger_model_transfer_has_timestamp(const struct ledger_model *model, uint64_t timestamp)
{
    for (uint32_t i = 0; i < model->now.transfer_count; i++) {
        if (model->now.transfers[i].transfer.timestamp == timestamp) {
            return true;
        }
    }
    return false;
}

uint64_t
ledger_model_last_account_timestamp(const struct ledger_model *model)
{
    uint64_t last = 0;
    for (uint32_t i = 0; i < model->now.account_count; i++) {
        if (model->now.accounts[i].timestamp > last) {
            last = model->now.accounts[i].timestamp;
        }
    }
    return last;
}

uint64_t
ledger_model_last_transfer_timestamp(const struct ledger_model *model)
{
    uint64_t last = 0;
    for (uint32_t i = 0; i < model->now.transfer_count; i++) {
        if (model->now.transfers[i].transfer.timestamp > last) {
            last = model->now.transfers[i].transfer.timestamp;
        }
    }
    return last;
}

uint64_t
ledger_model_clock(const struct ledger_model *model)
{
    return model->clock;
}

uint32_t
ledger_model_account_count(const struct ledger_model *model)
{
    return model->now.account_count;
}

const struct ledger_account *
ledger_model_account_at(const struct ledger_model *model, uint32_t at)
{
    ASSERT(at < model->now.account_count);
    return &model->now.accounts[at];
}

const struct ledger_account *
ledger_model_account(const struct ledger_model *model, u128 id)
{
    return ledger_model_find_account(model, id);
}

uint32_t
ledger_model_transfer_count(const struct ledger_model *model)
{
    return model->now.transfer_count;
}

const struct ledger_transfer *
ledger_model_transfer_at(const struct ledger_model *model, uint32_t at)
{
    ASSERT(at < model->now.transfer_count);
    return &model->now.transfers[at].transfer;
}

const struct ledger_transfer *
ledger_model_transfer(const struct ledger_model *model, u128 id)
{
    const struct stored *found = ledger_model_find_transfer(model, id);
    return found != NULL ? &found->transfer : NULL;
}

enum ledger_fate
ledger_model_fate(const struct ledger_model *model, u128 id)
{
    const struct stored *found = ledger_model_find_transfer(model, id);
    return found != NULL ? found->fate : LEDGER_FATE_NONE;
}

bool
ledger_model_failed(const struct ledger_model *model, u128 id)
{
    for (uint32_t i = 0; i < model->now.failed_count; i++) {
        if (model->now.failed[i] == id) {
            return true;
        }
    }
    return false;
}

uint32_t
ledger_model_failed_count(const struct ledger_model *model)
{
    return model->now.failed_count;
}

uint32_t
ledger_model_event_count(const struct ledger_model *model)
{
    return model->now.event_count;
}

const struct ledger_model_event *
ledger_model_event_at(const struct ledger_model *model, uint32_t at)
{
    ASSERT(at < model->now.event_count);
    return &model->now.events[at];
}
