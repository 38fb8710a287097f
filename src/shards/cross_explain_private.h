/*
 * What explaining has in two files: cross_ask.c asks, cross_explain.c takes the answers.
 */
#ifndef SHARDS_CROSS_EXPLAIN_PRIVATE_H
#define SHARDS_CROSS_EXPLAIN_PRIVATE_H

#include "cross_private.h"

/* Places of the ids that CROSS_STEP_FIRST looks up. */
enum {
    CROSS_FIRST_CLIENTS = 0,
    CROSS_FIRST_MARKERS = 1,
    CROSS_FIRST_POST = CROSS_FIRST_MARKERS + SHARDS_ATTEMPTS_MAX,
    CROSS_FIRST_VOID,
    CROSS_FIRST_HOLD,
    CROSS_FIRST_COUNT,
};

static inline const struct ledger_transfer *
cross_event_of(const struct cross_tx *tx)
{
    return &tx->job->request->in.transfers[tx->event];
}

static inline uint16_t
cross_slot_of_payee(const struct cross_tx *tx)
{
    return shard_slot_of_id(cross_event_of(tx)->credit_account_id);
}

/* What takes the answer. */
typedef void (*cross_take)(struct cross_message *message);

/* Sends the step's message; its answer is for `take`. Without memory nothing is sent, and the next
 * tick asks. */
void shards_cross_ask(struct cross_tx *tx, enum cross_step step, cross_take take);

#endif
