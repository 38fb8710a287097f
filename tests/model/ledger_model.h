/*
 * A naive model of the whole ledger: arrays, linear scans, and a copy of everything when a chain
 * opens. It is written from docs/ledger.md, shares no code with core/ledger, and is meant to be
 * read and believed. Tests drive it beside the real thing and compare.
 *
 * It follows the replay's clock: every commit advances the clock by 1, a create batch by its
 * events besides, and the pulse that was due before a batch runs after it.
 *
 * A model can be told to be wrong in one place, so that a test can show that it would notice:
 * mutation k (from 0) leaves out the model's k-th rule or effect.
 */
#ifndef TESTS_LEDGER_MODEL_H
#define TESTS_LEDGER_MODEL_H

#include "ledger/ledger.h"

struct ledger_model;

#define LEDGER_MODEL_CORRECT (-1)
/* How far a pulse moves the clock, besides the 1 of its commit. */
#define LEDGER_MODEL_PULSE_NS 8189

struct ledger_model_filter {
    u128 account_id;
    bool debits;
    bool credits;
    bool reversed;
    u128 user_data_128;
    uint64_t user_data_64;
    uint32_t user_data_32;
    uint32_t ledger;
    uint16_t code;
    uint64_t timestamp_min;
    uint64_t timestamp_max;
    uint32_t limit;
};

struct ledger_model_event {
    enum ledger_event_kind kind;
    uint64_t timestamp;
    struct ledger_transfer transfer;
    struct ledger_account debit; /* as they are right after the event */
    struct ledger_account credit;
};

struct ledger_model_balance {
    uint64_t timestamp;
    struct ledger_balances balances;
};

/* `expiry_max`: the most that one pulse expires. Aborts without memory, as every call does. */
struct ledger_model *ledger_model_create(uint32_t expiry_max, int mutation);
void ledger_model_destroy(struct ledger_model **model);
/* How many mutations there are. */
int ledger_model_mutation_count(void);
/* What mutation k does away with: "transfer: id_must_not_be_zero". */
const char *ledger_model_mutation_name(int mutation);

uint64_t ledger_model_clock(const struct ledger_model *model);
/* The script's tick: forward by ns, or, if negative, to that far before the end of time. */
void ledger_model_tick(struct ledger_model *model, int64_t ns);
/* A commit that changes nothing: a look-up or a query. */
void ledger_model_commit(struct ledger_model *model);
void ledger_model_create_accounts(
    struct ledger_model *model,
    const struct ledger_account *batch,
    uint32_t count,
    struct ledger_result *results);
void ledger_model_create_transfers(
    struct ledger_model *model,
    const struct ledger_transfer *batch,
    uint32_t count,
    struct ledger_result *results);

/* Reading moves no clock. Pointers are valid until the next change. */
uint32_t ledger_model_account_count(const struct ledger_model *model);
const struct ledger_account *ledger_model_account_at(const struct ledger_model *model, uint32_t at);
const struct ledger_account *ledger_model_account(const struct ledger_model *model, u128 id);
uint32_t ledger_model_transfer_count(const struct ledger_model *model);
const struct ledger_transfer *ledger_model_transfer_at(
    const struct ledger_model *model, uint32_t at);
const struct ledger_transfer *ledger_model_transfer(const struct ledger_model *model, u128 id);
/* LEDGER_FATE_NONE for a transfer that was not a pending one, or that is not there. */
enum ledger_fate ledger_model_fate(const struct ledger_model *model, u128 id);
bool ledger_model_failed(const struct ledger_model *model, u128 id);
uint32_t ledger_model_failed_count(const struct ledger_model *model);
/* Change events in order of timestamp, expiries included. */
uint32_t ledger_model_event_count(const struct ledger_model *model);
const struct ledger_model_event *ledger_model_event_at(
    const struct ledger_model *model, uint32_t at);

/* Each returns how many it put into `out`, which has room for filter->limit. */
uint32_t ledger_model_get_account_transfers(
    const struct ledger_model *model,
    const struct ledger_model_filter *filter,
    struct ledger_transfer *out);
uint32_t ledger_model_get_account_balances(
    const struct ledger_model *model,
    const struct ledger_model_filter *filter,
    struct ledger_model_balance *out);
uint32_t ledger_model_query_accounts(
    const struct ledger_model *model,
    const struct ledger_model_filter *filter,
    struct ledger_account *out);
uint32_t ledger_model_query_transfers(
    const struct ledger_model *model,
    const struct ledger_model_filter *filter,
    struct ledger_transfer *out);
uint32_t ledger_model_get_change_events(
    const struct ledger_model *model,
    const struct ledger_model_filter *filter,
    struct ledger_model_event *out);

#endif
