/*
 * One run of a request, or of an attempt that somebody left, through the ledger and the bank. What
 * another process needs to go on is in the document's attempt (documents.h); this struct is only
 * what the present run holds in memory.
 *
 * WALLETS-1  The attempt is durable before the ledger or the bank is asked, and open until the
 *            document that tells its outcome is durable.
 * WALLETS-2  Every ledger and bank id derives from the document's id and the step, so any step may
 *            be done again by anybody.
 * WALLETS-3  Balances are the ledger's. No document counts money; it is the ledger that refuses
 *            what is not there.
 * WALLETS-4  What counts against a limit was counted before it could move, and is taken back only
 *            once it is sure that it never will.
 * WALLETS-5  A wallet's document is loaded, changed and saved within one step, so it needs no
 *            lock; the other documents change under their own lock.
 */
#ifndef WALLETS_FLOW_H
#define WALLETS_FLOW_H

#include "alias.h"
#include "books/books.h"
#include "documents.h"
#include "wallets/stored.h"
#include "wallets/wallets.h"

#include <stdatomic.h>

/* Of limits, on their way back, at once. */
#define WALLETS_RELEASES_MAX 4096
/* The wallet's own and the platform's. */
#define WALLETS_ACCOUNTS_MAX 5

struct wallets {
    struct wallets_parts parts;
    struct wallets_limits limits;
    struct port_wallet port;
    _Atomic(struct wallets_release *) releases;
    struct resource_route *routes; /* the constant table, bound to this instance */
    struct resource_sweeper *sweeper;
    struct os_timer reconcile_timer;
    struct wallets_reconciler *reconciler;
    _Atomic uint64_t attempts_open;
    _Atomic int64_t attempt_oldest_s;
    _Atomic int64_t withdrawal_oldest_s;
    _Atomic uint64_t reconcile_runs;
    _Atomic uint64_t differences;
    _Atomic uint64_t suspense_open;
};

enum wallets_posting {
    WALLETS_POSTED,           /* it is in the books, now or from an earlier try */
    WALLETS_POSTING_SHORT,    /* refused: there is not enough money */
    WALLETS_POSTING_CLOSED,   /* refused: one of the accounts is closed */
    WALLETS_POSTING_NOT_HELD, /* refused: what was held is held no more */
    WALLETS_POSTING_REFUSED,  /* refused for another reason, for ever */
    WALLETS_POSTING_UNKNOWN,  /* ask again later under the same id */
};

struct wallets_flow;
typedef void (*wallets_step)(struct wallets_flow *flow);
typedef void (*wallets_posted_step)(struct wallets_flow *flow, enum wallets_posting posting);

struct wallets_flow {
    struct wallets *wallets;
    struct resource_op *op;
    struct wallets_wallet *wallet;
    struct wallets_transfer *transfer;
    struct wallets_request *request;
    struct wallets_hold *hold;
    struct wallets_withdrawal *withdrawal;
    struct span wanted; /* sweeper: the document to drive */

    /* Books. */
    struct port_ledger_request ledger;
    struct ledger_account accounts[WALLETS_ACCOUNTS_MAX];
    struct ledger_result results[WALLETS_ACCOUNTS_MAX];
    struct ledger_transfer movement;
    struct port_ledger_pair pair; /* both accounts as they are after the movement or its refusal */
    wallets_posted_step posted_step;

    /* The bank. */
    struct port_rail_request rail;

    /* Reading balances. */
    struct resource_list *list;
    u128 *ids;
    struct ledger_account *found;
    struct wallets_wallet **shown;
    uint32_t shown_count;
    wallets_step step;
};

/* A flow in the operation's arena, set as its state. NULL: the operation was answered. */
struct wallets_flow *wallets_flow_create(struct resource_op *op);

static inline struct wallets_flow *
wallets_flow_of(struct resource_op *op)
{
    return (struct wallets_flow *)resource_op_state(op);
}

/* A currency that was stored, which is known therefore. */
const struct currency *wallets_currency(struct span code);
/* A stored amount of the public API's as money: whoever stored it had it checked. */
struct money wallets_money(int64_t api_amount, struct span currency);
/* The parameter as an amount of the currency; false: the operation was answered. */
bool wallets_amount(
    struct resource_op *op, const char *param, struct span currency, int64_t *ret_amount);

/* --- attempt.c: the attempt inside a document --- */

void wallets_attempt_open(
    struct wallets_flow *flow, struct wallets_attempt *attempt, const char *kind);
/* The operation goes on with an attempt that it did not open. */
void wallets_attempt_resume(struct wallets_flow *flow, const struct wallets_attempt *attempt);
void wallets_attempt_close(struct wallets_attempt *attempt);
/* Counts a try whose outcome is unknown; returns when to try again. */
int64_t wallets_attempt_again(struct wallets_flow *flow, struct wallets_attempt *attempt);
/* When the sweeper may take it, if this process does not end it. */
int64_t wallets_attempt_lease(struct wallets_flow *flow);

static inline bool
wallets_attempt_is_open(const struct wallets_attempt *attempt)
{
    return attempt->kind.size != 0;
}

/* --- wallet.c --- */

/* ERR_NOT_FOUND: there is none with this id. */
MUST_USE err_t
wallets_wallet_load(struct resource_op *op, struct span id, struct wallets_wallet **ret_wallet);
/* The wallet that a parameter names by id or alias, in this currency; NULL: answered. */
struct wallets_wallet *wallets_wallet_named(
    struct resource_op *op, const char *param, struct span currency);
/* The wallet of the path; NULL: answered. */
struct wallets_wallet *wallets_wallet_of_path(struct resource_op *op);

/* --- reserve.c: status and limits --- */

/* Why a wallet lets an amount not move. */
struct wallets_refusal {
    const char *code;
    char message[PORT_WALLET_MESSAGE_SIZE];
};

/* Whether the wallet lets it move now; changes nothing. */
bool wallets_may_move(
    const struct wallets *wallets,
    const struct wallets_wallet *wallet,
    enum port_wallet_direction direction,
    struct money amount,
    int64_t now_s,
    struct wallets_refusal *ret_refusal);
/* Counts it against the limits of the direction. */
void wallets_count(
    struct wallets_wallet *wallet,
    enum port_wallet_direction direction,
    int64_t minor_units,
    int64_t now_s);
/* Takes back what was counted at `then_s`; saves the wallet. */
MUST_USE err_t wallets_uncount(
    struct resource_op *op,
    struct span wallet,
    enum port_wallet_direction direction,
    struct money amount,
    int64_t then_s);
/* Both sides of a movement: checks both, counts both, saves both; a side that is no wallet is NULL.
 * False: the operation was answered, and nothing was changed. */
bool wallets_reserve_both(
    struct wallets_flow *flow,
    struct wallets_wallet *from,
    struct wallets_wallet *to,
    struct money amount);
/* The reverse of it, for what did not move after all; a side that is no wallet is empty. */
MUST_USE err_t wallets_release_both(
    struct resource_op *op, struct span from, struct span to, struct money amount, int64_t then_s);

/* --- port.c --- */

void wallets_port_init(struct wallets *wallets);
void wallets_port_destroy(struct wallets *wallets);

/* --- posting.c: the books (docs/accounting.md) --- */

u128 wallets_account(const struct wallets_flow *flow, struct span wallet, struct span currency);
/* The wallet's own, or one of the platform's in the same slot. */
u128 wallets_account_beside(
    const struct wallets_flow *flow,
    enum books_account account,
    struct span wallet,
    struct span currency);
/* Makes sure that the accounts of flow->wallet's currency and its own are there. */
void wallets_post_accounts(struct wallets_flow *flow, wallets_posted_step step);
/* Begins flow->movement, whose id derives from `base` and `step`; the caller fills in accounts,
 * amount and flags. */
struct ledger_transfer *wallets_movement(
    struct wallets_flow *flow,
    u128 base,
    const char *step,
    enum books_transfer code,
    struct span currency);
void wallets_post(struct wallets_flow *flow, wallets_posted_step step);
/* Why the books refused to take something out of `from`: a code, and a sentence for people. */
struct span wallets_refusal_code(enum wallets_posting posting);
struct span wallets_refusal_text(
    const struct wallets_flow *flow,
    enum wallets_posting posting,
    struct span from,
    struct span currency);
/* 400, the last word under the idempotency key: execution had begun. */
void wallets_answer_refused(
    struct wallets_flow *flow, struct span code, const char *param, struct span message);

/* Fills in the balances of flow->shown; or answers. */
void wallets_read_balances(
    struct wallets_flow *flow, struct wallets_wallet **wallets, uint32_t count, wallets_step step);

/* --- transfer.c --- */

/* A new one, as flow->transfer; NULL: answered. */
struct wallets_transfer *wallets_transfer_new(struct wallets_flow *flow);
/* flow->transfer has its amount and currency; makes it, and ends the operation in the end. Under
 * its lock. */
void wallets_transfer_begin(
    struct wallets_flow *flow, struct wallets_wallet *from, struct wallets_wallet *to);
void wallets_transfer_resume(struct wallets_flow *flow);

/* --- request.c --- */

/* flow->transfer, which pays flow->request, has ended: so has the request, or it is open again. */
MUST_USE err_t wallets_request_settle(struct wallets_flow *flow);
void wallets_request_drive(struct wallets_flow *flow);

/* --- close.c --- */

void wallets_wallet_drive(struct wallets_flow *flow);

/* --- hold.c --- */

void wallets_hold_drive(struct wallets_flow *flow);

/* --- withdrawal.c --- */

void wallets_withdrawal_drive(struct wallets_flow *flow);

/* --- stored.c: what a document at rest says of the books; each returns how much, 0 if something is
 * under way --- */

uint32_t wallets_expect_transfer(
    const struct wallets_transfer *transfer, struct books_expected expected[WALLETS_EXPECTED_MAX]);
uint32_t wallets_expect_hold(
    const struct wallets_hold *hold, struct books_expected expected[WALLETS_EXPECTED_MAX]);
#define WALLETS_STEP_SIZE 48
/* The name of the movement that gives a returned withdrawal to another wallet. */
void wallets_give_step(const struct wallets_withdrawal *withdrawal, char out[WALLETS_STEP_SIZE]);
/* It came back, its wallet was closed, and nobody has said yet whose it is. */
bool wallets_withdrawal_is_in_suspense(const struct wallets_withdrawal *withdrawal);
uint32_t wallets_expect_withdrawal(
    const struct wallets_withdrawal *withdrawal,
    struct books_expected expected[WALLETS_EXPECTED_MAX]);

/* --- sweeper.c, reconcile.c: internal workers --- */

void wallets_sweeper_start(struct wallets *wallets);
void wallets_reconciler_start(struct wallets *wallets);
void wallets_reconciler_destroy(struct wallets *wallets);

/* --- handlers, named in routes.c --- */

void wallets_wallet_create(struct resource_op *op);
void wallets_wallet_retrieve(struct resource_op *op);
void wallets_wallet_update(struct resource_op *op);
void wallets_wallet_list(struct resource_op *op);
void wallets_wallet_freeze(struct resource_op *op);
void wallets_wallet_unfreeze(struct resource_op *op);
void wallets_wallet_close(struct resource_op *op);
void wallets_wallet_fund(struct resource_op *op);
void wallets_transfer_create(struct resource_op *op);
void wallets_transfer_retrieve(struct resource_op *op);
void wallets_transfer_update(struct resource_op *op);
void wallets_transfer_list(struct resource_op *op);
void wallets_request_create(struct resource_op *op);
void wallets_request_retrieve(struct resource_op *op);
void wallets_request_update(struct resource_op *op);
void wallets_request_list(struct resource_op *op);
void wallets_request_pay(struct resource_op *op);
void wallets_request_decline(struct resource_op *op);
void wallets_request_cancel(struct resource_op *op);
void wallets_hold_create(struct resource_op *op);
void wallets_hold_retrieve(struct resource_op *op);
void wallets_hold_update(struct resource_op *op);
void wallets_hold_list(struct resource_op *op);
void wallets_hold_list_of_wallet(struct resource_op *op);
void wallets_hold_capture(struct resource_op *op);
void wallets_hold_release(struct resource_op *op);
void wallets_statement_retrieve(struct resource_op *op);
void wallets_withdrawal_create(struct resource_op *op);
void wallets_withdrawal_retrieve(struct resource_op *op);
void wallets_withdrawal_update(struct resource_op *op);
void wallets_withdrawal_give(struct resource_op *op);
void wallets_withdrawal_list(struct resource_op *op);
void wallets_withdrawal_list_of_wallet(struct resource_op *op);

#endif
