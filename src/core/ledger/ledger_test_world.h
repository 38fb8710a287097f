/* A core with the little shell that unit tests need: clock, past, delta. Past is what the test
 * puts there, and what was created through the world. */
#ifndef LEDGER_TEST_WORLD_H
#define LEDGER_TEST_WORLD_H

#include "ledger/ledger.h"

#define T_EVENTS_MAX 64
#define T_PAST_MAX   256

struct t_world {
    struct ledger *ledger;
    struct ledger_past past[T_PAST_MAX];
    uint32_t past_count;
    struct ledger_past answers[2 * T_EVENTS_MAX]; /* to the batch under way */
    struct ledger_account accounts[T_EVENTS_MAX];
    struct ledger_event events[T_EVENTS_MAX];
    u128 failed[T_EVENTS_MAX];
    struct ledger_delta delta; /* of the last batch or pulse */
    struct ledger_result results[T_EVENTS_MAX];
    bool keep_past; /* does what is created become past? */
};

void t_world_init(struct t_world *world, const struct ledger_limits *limits);
void t_world_release(struct t_world *world);
/* Moves the clock by 1 + count and applies the batch; the results and the delta are the world's. */
void t_world_create_accounts(
    struct t_world *world, const struct ledger_account *batch, uint32_t count);
void t_world_create_transfers(
    struct t_world *world, const struct ledger_transfer *batch, uint32_t count);
/* One event; returns its status. */
uint32_t t_world_account(struct t_world *world, struct ledger_account account);
uint32_t t_world_transfer(struct t_world *world, struct ledger_transfer transfer);
/* Moves the clock to `clock` and by 1 + 8,189, and pulses; returns how many expired. */
uint32_t t_world_pulse(struct t_world *world, uint64_t clock);

#endif
