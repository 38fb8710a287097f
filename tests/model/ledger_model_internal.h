/* The model's insides, for its own files: everything in plain arrays, and how things are found. */
#ifndef TESTS_LEDGER_MODEL_INTERNAL_H
#define TESTS_LEDGER_MODEL_INTERNAL_H

#include "ledger_model.h"

#define MAX_EVENTS 8190

struct stored {
    struct ledger_transfer transfer;
    enum ledger_fate fate;
};

/* Everything, in plain arrays; a copy of it is the undo. */
struct state {
    struct ledger_account *accounts;
    uint32_t account_count;
    struct stored *transfers;
    uint32_t transfer_count;
    u128 *failed;
    uint32_t failed_count;
    struct ledger_model_event *events;
    uint32_t event_count;
};

struct ledger_model {
    struct state now;
    uint64_t clock;
    uint32_t expiry_max;
    int mutation;
    struct stored *due[MAX_EVENTS]; /* of the pulse under way */
};

/* Room for one more element; the old array is gone. */
void *ledger_model_grown(void *array, size_t count, size_t size);
struct state ledger_model_state_copy(const struct state *from);
void ledger_model_state_free(struct state *state);
/* NULL if there is none. */
struct ledger_account *ledger_model_find_account(const struct ledger_model *model, u128 id);
struct stored *ledger_model_find_transfer(const struct ledger_model *model, u128 id);
bool ledger_model_account_has_timestamp(const struct ledger_model *model, uint64_t timestamp);
bool ledger_model_transfer_has_timestamp(const struct ledger_model *model, uint64_t timestamp);
/* 0 if there is none. */
uint64_t ledger_model_last_account_timestamp(const struct ledger_model *model);
uint64_t ledger_model_last_transfer_timestamp(const struct ledger_model *model);

#endif
