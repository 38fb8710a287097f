/*
 * What the files that make postings share: posting.c, posting_split.c, suspense.c say what moves,
 * posting_submit.c brings it into the ledger.
 */
#ifndef PAYMENTS_POSTING_H
#define PAYMENTS_POSTING_H

#include "flow.h"

/* --- posting_submit.c --- */

/* The merchant's or the platform's account in the flow's currency. */
u128 payments_books_account(const struct payments_flow *flow, enum books_account account);
u128 payments_wallet_account(const struct payments_flow *flow, struct span wallet);
/* One more transfer of the step, zeroed but for its id, which derives from `base` and `step`, its
 * ledger, code and user_data: the step's number is `base`. Valid until the next posting. */
struct ledger_transfer *payments_transfer_add(
    struct payments_flow *flow, u128 base, const char *step, uint16_t code);
/* Sends flow->ledger, of which the caller filled what is asked; `done` runs on the operation's
 * loop. */
/* False: the ledger has had no room on its disk just now, and the operation was answered so. */
bool payments_ledger_has_room(struct payments_flow *flow);
void payments_ledger_submit(
    struct payments_flow *flow, void (*done)(struct port_ledger_request *request));
/* The public API's amount as ledger units. */
u128 payments_ledger_amount(const struct payments_flow *flow, int64_t api_amount);
/* A new step: no transfers, linked. */
void payments_posting_begin(struct payments_flow *flow);
/* Posts what was added, all of it or nothing. */
void payments_posting_submit(struct payments_flow *flow, payments_posted_step step);
/* Posts each by itself; `judge` says what the results amount to. */
void payments_posting_submit_each(
    struct payments_flow *flow,
    enum payments_posting (*judge)(const struct payments_flow *flow),
    payments_posted_step step);
/* What was added is the first of two steps, `rest` adds the other one's. */
void payments_posting_submit_in_two(
    struct payments_flow *flow,
    void (*rest)(struct payments_flow *flow),
    payments_posted_step step);

/* --- posting.c --- */

/* Voids what the books hold for the card of flow->charge. */
void payments_add_hold_void(struct payments_flow *flow, u128 base, const char *step);

/* --- posting_split.c: the wallet's part, added to a step of posting.c --- */

/* What a wallet's statement finds the charge by: its own attempt's number, of which a later capture
 * has another. */
u128 payments_charge_number(const struct payments_charge *charge);

/* Of a payment: the hold is posted. */
void payments_add_split_payment(struct payments_flow *flow);
/* Of a capture: the wallet's part of it is posted, what is left released. */
void payments_add_split_capture(struct payments_flow *flow);
void payments_add_split_void(struct payments_flow *flow);
void payments_add_split_refund(struct payments_flow *flow);

#endif
