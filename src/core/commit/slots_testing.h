/* A ledger for each slot, with what transactions need of accounts: what the tests of runs share. */
#ifndef COMMIT_SLOTS_TESTING_H
#define COMMIT_SLOTS_TESTING_H

#include "commit/commit.h"
#include "ledger_test_world.h"

#define MONEY 7
#define PAYER 100
#define PAYEE 200

/* `payer_flags`: of ledger_account. */
void t_slots_open(struct t_world *slots, uint16_t count, uint16_t payer_flags);
/* Each is what it should be. */
void t_slots_close(struct t_world *slots, uint16_t count);
/* From the payer to the payee. */
struct ledger_transfer t_payment(u128 id, u128 amount);
/* The slot does what it is asked; `lost`: what it answers to a write does not arrive. True: it was
 * a write. */
bool t_slots_ask(
    struct t_world *slots, struct commit_run *run, const struct commit_ask *ask, bool lost);

#endif
