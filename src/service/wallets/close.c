/*
 * Closing a wallet, which must be empty.
 *
 *   wallets_wallet_close   documents: attempt "close": nothing new may move                (1)
 *   close_account          books: a pending transfer of nothing that closes the account   (2)
 *   account_closed         documents: closed, if the account is empty; otherwise          (3)
 *   reopen                 books: voids it, and so opens the account                      (4)
 *   reopened               documents: as before                                           (5)
 *
 * The ledger says whether the account is empty at the instant in which it closes it, so nothing can
 * slip in between. What arrives afterwards is refused by the ledger.
 */
#include "flow.h"

#include "base/assert.h"
#include "os/fault.h"

#include <stdio.h>

static void
answer_unknown(struct wallets_flow *flow)
{
    struct wallets_wallet *wallet = flow->wallet;
    wallet->due = wallets_attempt_again(flow, &wallet->attempt);
    resource_answer_saved(flow->op, &wallets_wallet_type, wallet, "wallet", NULL);
}

/* The wallet as it is now: limits may have been given back meanwhile (WALLETS-5). */
static bool
load_again(struct wallets_flow *flow)
{
    err_t error = wallets_wallet_load(flow->op, flow->wallet->header.id, &flow->wallet);
    if (error != ERR_OK) {
        resource_internal(flow->op, error, "wallet");
    }
    return error == ERR_OK;
}

/* Each try has ids of its own, because a try that failed was voided. */
static struct ledger_transfer *
movement(struct wallets_flow *flow, const char *step)
{
    char name[48];
    const struct wallets_wallet *wallet = flow->wallet;
    u128 number = resource_number(&wallets_wallet_type, wallet->header.id);
    (void)snprintf(name, sizeof(name), "%s %lld", step, (long long)wallet->closings);
    return wallets_movement(flow, number, name, BOOKS_WALLET_CLOSING, wallet->currency);
}

/* --------------------------------------------------------------------- (5), (4) not empty --- */

static void
reopened(struct wallets_flow *flow, enum wallets_posting posting)
{
    if (!load_again(flow)) {
        return;
    }
    /* Not held means voided by an earlier try. */
    if (posting != WALLETS_POSTED && posting != WALLETS_POSTING_NOT_HELD) {
        answer_unknown(flow);
        return;
    }
    struct wallets_wallet *wallet = flow->wallet;
    wallets_attempt_close(&wallet->attempt);
    wallet->due = 0;
    err_t error = resource_save(flow->op, &wallets_wallet_type, wallet);
    if (error != ERR_OK) {
        resource_internal(flow->op, error, "wallet");
        return;
    }
    wallets_answer_refused(
        flow,
        SPAN("wallet_not_empty"),
        NULL,
        SPAN("This wallet cannot be closed: there is money in it, or on its way."));
}

static void
reopen(struct wallets_flow *flow)
{
    FAULT_POINT("wallet-close-before-reopen");
    const struct ledger_transfer closing = flow->movement;
    struct ledger_transfer *undo = movement(flow, "reopen");
    undo->flags = LEDGER_TRANSFER_VOID_PENDING;
    undo->pending_id = closing.id;
    undo->debit_account_id = closing.debit_account_id;
    undo->credit_account_id = closing.credit_account_id;
    wallets_post(flow, reopened);
}

/* ------------------------------------------------------------------------------ (3) closed --- */

static err_t
save_closed(struct wallets_flow *flow)
{
    struct wallets_wallet *wallet = flow->wallet;
    wallets_attempt_close(&wallet->attempt);
    wallet->status = SPAN("closed");
    wallet->due = 0;
    /* Others may have them now. */
    wallet->email = SPAN_EMPTY;
    wallet->phone = SPAN_EMPTY;
    wallet->handle = SPAN_EMPTY;
    wallet->balance_known = true; /* nothing */
    TRY(resource_save(flow->op, &wallets_wallet_type, wallet));
    return resource_emit(flow->op, "wallet.closed", &wallets_wallet_type, wallet, SPAN_EMPTY);
}

static bool
is_empty(const struct ledger_account *account)
{
    return account->credits_posted == account->debits_posted && account->debits_pending == 0 &&
           account->credits_pending == 0;
}

static void
account_closed(struct wallets_flow *flow, enum wallets_posting posting)
{
    FAULT_POINT("wallet-close-before-finish");
    /* A try that was voided, but not noted in the document, answers as posted: the account is open
     * then, and the voiding is asked for again. */
    bool closed = (flow->pair.debit.flags & LEDGER_ACCOUNT_CLOSED) != 0;
    if (posting == WALLETS_POSTED && closed && is_empty(&flow->pair.debit)) {
        if (!load_again(flow)) {
            return;
        }
        err_t error = save_closed(flow);
        if (error != ERR_OK) {
            resource_internal(flow->op, error, "wallet");
            return;
        }
        resource_answer_object(flow->op, &wallets_wallet_type, flow->wallet);
    } else if (posting == WALLETS_POSTED) {
        reopen(flow);
    } else if (load_again(flow)) {
        answer_unknown(flow);
    }
}

/* --------------------------------------------------------------------------- (2) the books --- */

static void
close_account(struct resource_op *op)
{
    struct wallets_flow *flow = wallets_flow_of(op);
    const struct wallets_wallet *wallet = flow->wallet;
    FAULT_POINT("wallet-close-before-post");
    struct ledger_transfer *closing = movement(flow, "close");
    closing->flags = LEDGER_TRANSFER_PENDING | LEDGER_TRANSFER_CLOSING_DEBIT;
    closing->debit_account_id = wallets_account(flow, wallet->header.id, wallet->currency);
    closing->credit_account_id =
        wallets_account_beside(flow, BOOKS_SUSPENSE, wallet->header.id, wallet->currency);
    wallets_post(flow, account_closed);
}

void
wallets_wallet_drive(struct wallets_flow *flow)
{
    wallets_attempt_resume(flow, &flow->wallet->attempt);
    close_account(flow->op);
}

/* ----------------------------------------------------------------------- (1) the beginning --- */

static void
close_locked(struct resource_op *op)
{
    struct wallets_flow *flow = wallets_flow_create(op);
    struct wallets_wallet *wallet = flow == NULL ? NULL : wallets_wallet_of_path(op);
    if (wallet == NULL) {
        return;
    }
    flow->wallet = wallet;
    if (span_equal_cstr(wallet->status, "closed") || wallets_attempt_is_open(&wallet->attempt)) {
        resource_invalid(
            op, "wallet_closed", NULL, "Wallet %.*s is closed.", SPAN_PRINTF(wallet->header.id));
        return;
    }
    wallets_attempt_open(flow, &wallet->attempt, "close");
    wallet->closings++;
    wallet->due = wallets_attempt_lease(flow);
    resource_save_then(op, &wallets_wallet_type, wallet, "wallet", close_account);
}

void
wallets_wallet_close(struct resource_op *op)
{
    resource_lock(op, resource_op_capture(op, 0), close_locked);
}
