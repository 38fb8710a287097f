/*
 * One run of a payout through the books and the bank. What another process needs to go on is in the
 * document's attempt (payout_documents.h); this struct is only what the present run holds in
 * memory. README.md has the invariants, PAYOUT-1 and on.
 */
#ifndef PAYMENTS_PAYOUT_H
#define PAYMENTS_PAYOUT_H

#include "flow.h"
#include "payout_documents.h"
#include "payout_machine.h"

enum payments_payout_posting {
    PAYMENTS_PAYOUT_POSTED,   /* it is in the books, now or from an earlier try */
    PAYMENTS_PAYOUT_TOO_MUCH, /* refused, for ever: not so much is available */
    PAYMENTS_PAYOUT_NOT_HELD, /* refused: what was held is held no more */
    PAYMENTS_PAYOUT_UNKNOWN,  /* ask again later */
};

#define PAYMENTS_PAYOUT_TRANSFERS_MAX 4
#define PAYMENTS_PAYOUT_ACCOUNTS      2

struct payments_payout_flow;
typedef void (*payments_payout_posted_step)(
    struct payments_payout_flow *flow, enum payments_payout_posting posting);

struct payments_payout_flow {
    struct payments *payments;
    struct resource_op *op;
    struct payments_payout *payout;
    struct span wanted; /* the payout to lock and to load */

    /* The bank. */
    struct port_rail_request rail;
    void (*bank_step)(struct payments_payout_flow *flow);

    /* Books. */
    struct port_ledger_request ledger;
    struct ledger_account accounts[PAYMENTS_PAYOUT_ACCOUNTS];
    struct ledger_transfer transfers[PAYMENTS_PAYOUT_TRANSFERS_MAX];
    struct ledger_result results[PAYMENTS_PAYOUT_TRANSFERS_MAX];
    struct port_ledger_pair pairs[PAYMENTS_PAYOUT_TRANSFERS_MAX];
    u128 ids[1];
    payments_payout_posted_step posted_step;
    payments_payout_posted_step step_behind_void;
    void (*accounts_step)(struct payments_payout_flow *flow);
};

/* The number inside its id. */
u128 payments_payout_number(const struct payments_payout *payout);
struct money payments_payout_money(const struct payments_payout *payout);

/* --- payout_posting.c: the books (docs/accounting.md) --- */

/* Holds the amount: TOO_MUCH if it is not available. */
void payments_payout_post_hold(struct payments_payout_flow *flow, payments_payout_posted_step step);
/* Holds as much as is available, at most the amount: POSTED with the amount that is held in the
 * payout, TOO_MUCH if that is nothing. */
void payments_payout_post_most(struct payments_payout_flow *flow, payments_payout_posted_step step);
/* Ends what is held, as the transfer of that step: `flag` is LEDGER_TRANSFER_POST_PENDING or
 * LEDGER_TRANSFER_VOID_PENDING. */
void payments_payout_post_end(
    struct payments_payout_flow *flow,
    const char *name,
    uint16_t flag,
    payments_payout_posted_step step);
/* The bank has sent it back. */
void payments_payout_post_return(
    struct payments_payout_flow *flow, payments_payout_posted_step step);
/* After TOO_MUCH: what is available. */
struct money payments_payout_available(const struct payments_payout_flow *flow);

/* --- payout_shown.c --- */

/* Of the path. What the books have not said yes to is not there, unless somebody was told of it.
 * NULL: the operation was answered. */
struct payments_payout *payments_payout_require(struct resource_op *op);
/* payout_unexpected_state, 400. */
void payments_payout_refuse_state(
    struct resource_op *op, const struct payments_payout *payout, const char *verb);
/* Counts those that the bank has and has not decided, for payments_health: once a sweep. */
void payments_payouts_look(struct payments *payments);

/* --- payout.c: the flow --- */

/* The sweeper's entry: in an operation of its own, whose service is the payments'. */
void payments_payout_drive(struct resource_op *op, struct span id);
/* The money is held: the line in the balance, and when the bank is to be asked. The caller saves
 * the payout. */
MUST_USE err_t payments_payout_line_of_hold(struct payments_payout_flow *flow);
/* The day after: banks take a night. */
int64_t payments_payout_arrival(int64_t now_s);

/* --- payout_read.c --- */

/* The parameters of a new one, into `payout`; false if answered. */
bool payments_payout_read(struct resource_op *op, struct payments_payout *payout);
/* What banks pay is a multiple of it, in the API's units. As Stripe's: what has two decimals in
 * payments may have none at banks. */
int64_t payments_payout_coin(const struct currency *currency);

/* --- payout_schedule.c: payouts that nobody asks for --- */

/* The caller's, or a new one that says manual. */
MUST_USE err_t payments_payout_schedule_load(
    struct resource_op *op, struct payments_payout_schedule **ret_schedule);
struct span payments_payout_schedule_id(struct resource_op *op);
/* When it is due next, after it was changed. What is under way is finished first. */
void payments_payout_schedule_arm(
    struct resource_op *op, struct payments_payout_schedule *schedule);
/* The sweeper's entry, likewise. */
void payments_payout_schedule_drive(struct resource_op *op, struct span id);

/* --- external_account.c --- */

/* Where money of that currency goes: the account that `destination` names, or if that is empty the
 * default one. NULL: the operation was answered. */
struct payments_bank_account *payments_bank_account_choose(
    struct resource_op *op, struct span destination, struct span currency);
/* The default one of a currency, or NULL. */
MUST_USE err_t payments_bank_account_default(
    struct resource_op *op, struct span currency, struct payments_bank_account **ret_account);
/* A payout that went there failed, so that nothing goes there by itself any more. */
MUST_USE err_t payments_bank_account_failed(struct resource_op *op, struct span id);
/* Whether the path names the caller; false if answered. */
bool payments_account_is_own(struct resource_op *op);

/* --- handlers, named in routes_payout.c --- */

void payments_account_retrieve(struct resource_op *op);
void payments_account_update(struct resource_op *op);
void payments_external_account_create(struct resource_op *op);
void payments_external_account_retrieve(struct resource_op *op);
void payments_external_account_update(struct resource_op *op);
void payments_external_account_delete(struct resource_op *op);
void payments_external_account_list(struct resource_op *op);
void payments_payout_create(struct resource_op *op);
void payments_payout_retrieve(struct resource_op *op);
void payments_payout_update(struct resource_op *op);
void payments_payout_cancel(struct resource_op *op);
void payments_payout_reverse(struct resource_op *op);
void payments_payout_list(struct resource_op *op);

#endif
