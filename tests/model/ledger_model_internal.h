/* The model's insides, for its own files: everything in plain arrays, and how things are found. */
#ifndef TESTS_LEDGER_MODEL_INTERNAL_H
#define TESTS_LEDGER_MODEL_INTERNAL_H

#include "ledger_model.h"

#define MAX_EVENTS 8190

/* Whether a flag is set: BIT(t->flags, TRANSFER_PENDING). */
#define BIT(flags, name) (((flags)&LEDGER_##name) != 0)

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

/* --- ledger_model_state.c --- */

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
void ledger_model_set_closed(struct ledger_account *account, bool closed);
void ledger_model_store(
    struct ledger_model *model, const struct ledger_transfer *transfer, enum ledger_fate fate);
/* Keeps the feed in order of timestamp: an import may be older than an expiry before it. Of one
 * time the transfer comes first. */
void ledger_model_add_event(
    struct ledger_model *model,
    enum ledger_event_kind kind,
    uint64_t timestamp,
    const struct ledger_transfer *transfer);

/* --- ledger_model_time.c --- */

/* When a pending transfer with a timeout expires. */
uint64_t ledger_model_due_at(const struct ledger_transfer *transfer);
/* Begins a commit; says whether a pulse follows it. */
bool ledger_model_advance(struct ledger_model *model, uint32_t event_count);
void ledger_model_pulse(struct ledger_model *model);
/* What voiding and expiry have in common. */
void ledger_model_release(struct ledger_model *model, const struct ledger_transfer *pending);

/* --- the rules: each answers a status, and makes the object if it is `created` --- */

uint32_t ledger_model_create_account(
    struct ledger_model *model, const struct ledger_account *a, uint64_t timestamp);
uint32_t ledger_model_create_transfer(
    struct ledger_model *model, const struct ledger_transfer *t, uint64_t timestamp);
uint32_t ledger_model_create_plain(
    struct ledger_model *model, const struct ledger_transfer *t, uint64_t timestamp);
uint32_t ledger_model_create_second_phase(
    struct ledger_model *model, const struct ledger_transfer *t, uint64_t timestamp);

/* --- ledger_model_transfer.c --- */

/* The statuses of an imported time, which plain transfers and second phases check at different
 * places; `created` if there is nothing against it. */
uint32_t ledger_model_transfer_regresses(
    struct ledger_model *model, const struct ledger_transfer *t);

/* --- ledger_model_second_phase.c --- */

bool ledger_model_is_post(const struct ledger_transfer *t);
bool ledger_model_is_void(const struct ledger_transfer *t);
/* The amount that a post or void asks for. */
u128 ledger_model_asked_amount(
    const struct ledger_transfer *t, const struct ledger_transfer *pending);

#endif
