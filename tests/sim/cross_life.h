/*
 * What happens in the world of cross_world.h: money to begin with, clients, and what is compared in
 * the end with what they were told:
 *
 *   - told created, or exists: it is booked, on both sides, once; told refused: it never is; who
 *     was not told asks again by the same id until he is;
 *   - of a chain all events are booked, or none;
 *   - looked up by its id a booked one is found, in the same form by either protocol, and no other;
 *   - a hold is posted or voided once, or nobody was told so and its time has ended it;
 *   - the accounts are what the booked transfers make them, and none is overdrawn;
 *   - nothing is in doubt, and the in-transit accounts cancel out.
 *
 * What is not so fails the test.
 */
#ifndef CROSS_LIFE_H
#define CROSS_LIFE_H

#include "cross_world.h"

#define WORLD_MONEY 1000 /* that each account with a limit begins with */

/* --- to begin with --- */

void world_accounts_create(struct world *world);
void world_fund(struct world *world);
/* The next of the world's transfers, with an id of its own. */
struct ledger_transfer *world_transfer_new(
    struct world *world, u128 debit, u128 credit, u128 amount);

/* --- clients --- */

/* Sends its batch, or sends it again, to any coordinator that is there; if that is down it does not
 * wait. */
void world_client_send(struct world_client *client);
/* Asks again if it is time, or begins a batch if it may. */
void world_client_turn(struct world_client *client, bool may_begin);
/* Until all of them are told. */
void world_clients_finish(struct world *world);

/* --- faults --- */

/* A shard or a coordinator is killed, hangs, or is parted from another. */
void world_break_something(struct world *world);
void world_mend_something(struct world *world);

/* --- what it comes to --- */

/* Everything works again, everybody is told, and all of what is below is checked. */
void world_finish_and_check(struct world *world);

/* credits less debits, of posted money. */
__int128 world_worth(const struct ledger_account *account);
void world_check_nothing_in_doubt(struct world *world);
void world_check_holds(struct world *world);
void world_check_accounts(struct world *world);
void world_check_transfers(struct world *world);

#endif
