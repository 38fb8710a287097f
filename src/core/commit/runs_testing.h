/* Three slots, and a transaction with its run, asked for by hand. */
#ifndef COMMIT_RUNS_TESTING_H
#define COMMIT_RUNS_TESTING_H

#include "commit/commit.h"
#include "slots_testing.h"

#define T_SLOTS 3

extern struct t_world t_places[T_SLOTS];
extern struct commit_transaction t_transaction;
extern struct commit_run t_run;
extern uint32_t t_batches; /* that were applied: forced writes */

/* For cmocka: payers who have 500 each. */
int t_runs_open(void **state);
int t_runs_close(void **state);

/* From slot 0 to `payees` others. */
struct commit_request t_request_of(
    struct commit_leg *legs, enum commit_protocol protocol, uint8_t payees, u128 amount);
/* The transaction is that request, and the run its first. */
void t_start(enum commit_protocol protocol, uint8_t payees, u128 amount);

void t_ask(struct commit_run *of, const struct commit_ask *ask);
/* All that can be asked at once. False if there is nothing to ask. */
bool t_round_trip(struct commit_run *of);
void t_finish(struct commit_run *of);

u128 t_posted_to_payee(uint32_t slot);
void t_nothing_is_pending(void);

#endif
