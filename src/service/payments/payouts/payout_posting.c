/*
 * The books of payouts:
 *
 *   hold      merchant available => bank clearing   pending, without a timeout
 *   end       posts it when the bank has paid, or voids it
 *   return    bank clearing -> merchant available   the bank sent it back later
 *
 * A merchant's account has no limit in the ledger, because a refund may take it below zero; a
 * payout may not (PAYOUT-1). Only the ledger knows what is there at the moment at which it holds,
 * whatever other payouts and refunds do, on whichever process. So the hold is a linked chain, of
 * which the first two prove what the third takes:
 *
 *   probe     merchant available => bank clearing   pending, with balancing_debit: as much as is
 *                                                   available, at most the amount
 *   its end   voids the whole amount: the ledger refuses that if the probe got less, and with it
 *             the chain
 *   hold      the amount, which is available, as nothing comes between
 *
 * Holding by the balancing transfer itself, and voiding what came out too small, would for a moment
 * hold money of a payout that is refused, and refuse another one that is not too large.
 *
 * A chain that fails so leaves nothing, not even a memory: the same request, late, might find more
 * money there. So behind it, unlinked, comes the hold's own id once more, of nothing: created
 * exactly if the chain was not, it is in the way of every later one (PAYOUT-3).
 *
 * What a schedule pays out is as much as there is, so a balancing transfer is its hold. Behind it
 * comes the same tombstone: if there was nothing, a late repeat finds nothing either.
 *
 * All accounts of a merchant's money are in one slot (BOOKS-3), so no chain here is ever on two
 * shards, where balancing transfers are refused.
 */
#include "payout.h"

#include "base/assert.h"
#include "base/list.h"

#include <string.h>

enum hold_transfer {
    PROBE,
    PROBE_END,
    HOLD,
    TOMBSTONE,
    HOLD_TRANSFERS,
};

static_assert(HOLD_TRANSFERS <= PAYMENTS_PAYOUT_TRANSFERS_MAX, "room for the chain");

static const struct currency *
currency_of(const struct payments_payout_flow *flow)
{
    const struct currency *currency = currency_find(flow->payout->currency);
    ASSERT(currency != NULL); /* whoever stored it found it */
    return currency;
}

static u128
account_of(const struct payments_payout_flow *flow, enum books_account account)
{
    return payments_merchant_account(
        flow->payments, resource_op_caller(flow->op), account, currency_of(flow));
}

u128
payments_payout_number(const struct payments_payout *payout)
{
    return resource_number(&payments_payout_type, payout->header.id);
}

struct money
payments_payout_money(const struct payments_payout *payout)
{
    struct money money;
    err_t error = money_from_api(payout->amount, currency_find(payout->currency), &money);
    ASSERT(error == ERR_OK); /* it was checked before it was stored */
    return money;
}

static void
submit(struct payments_payout_flow *flow, void (*done)(struct port_ledger_request *request))
{
    struct port_ledger *ledger = flow->payments->parts.ledger;
    flow->ledger.reply_to = resource_op_executor(flow->op);
    flow->ledger.done = done;
    flow->ledger.trace = resource_op_trace(flow->op);
    ledger->submit(ledger, &flow->ledger);
}

/* ------------------------------------------------------------------------------- transfers --- */

static struct ledger_transfer *
transfer_at(
    struct payments_payout_flow *flow, uint32_t place, const char *step, enum books_transfer code)
{
    const struct resource_caller *caller = resource_op_caller(flow->op);
    u128 number = payments_payout_number(flow->payout);
    struct ledger_transfer *transfer = &flow->transfers[place];
    memset(transfer, 0, sizeof(*transfer));
    transfer->id = resource_derived_id(number, step);
    transfer->user_data_128 = number;
    transfer->user_data_64 = caller->scope;
    transfer->ledger = books_ledger_number(currency_of(flow), caller->live);
    transfer->code = (uint16_t)code;
    transfer->debit_account_id = account_of(flow, BOOKS_MERCHANT_AVAILABLE);
    transfer->credit_account_id = account_of(flow, BOOKS_BANK_CLEARING);
    transfer->amount = (u128)payments_payout_money(flow->payout).amount;
    return transfer;
}

static void
post(
    struct payments_payout_flow *flow,
    uint32_t count,
    void (*done)(struct port_ledger_request *request))
{
    flow->ledger.operation = PORT_LEDGER_CREATE_TRANSFERS;
    flow->ledger.count = count;
    flow->ledger.in.transfers = flow->transfers;
    flow->ledger.out.results = flow->results;
    flow->ledger.pairs = flow->pairs;
    submit(flow, done);
}

static enum payments_payout_posting
posting_of(uint32_t status)
{
    switch (status) {
    case LEDGER_TRANSFER_created:
    case LEDGER_TRANSFER_exists:
        return PAYMENTS_PAYOUT_POSTED;
    case LEDGER_TRANSFER_pending_transfer_already_posted:
    case LEDGER_TRANSFER_pending_transfer_already_voided:
        return PAYMENTS_PAYOUT_NOT_HELD;
    default: /* a number from outside, not one of our enums; nothing else is expected ever */
        return PAYMENTS_PAYOUT_UNKNOWN;
    }
}

static void
single_done(struct port_ledger_request *request)
{
    struct payments_payout_flow *flow = CONTAINER_OF(request, struct payments_payout_flow, ledger);
    flow->posted_step(
        flow,
        request->error != ERR_OK ? PAYMENTS_PAYOUT_UNKNOWN : posting_of(flow->results[0].status));
}

void
payments_payout_post_end(
    struct payments_payout_flow *flow,
    const char *name,
    uint16_t flag,
    payments_payout_posted_step step)
{
    struct ledger_transfer *end = transfer_at(flow, 0, name, BOOKS_PAYOUT);
    end->flags = flag;
    end->pending_id =
        resource_derived_id(payments_payout_number(flow->payout), PAYMENTS_PAYOUT_HOLD);
    flow->posted_step = step;
    post(flow, 1, single_done);
}

void
payments_payout_post_return(struct payments_payout_flow *flow, payments_payout_posted_step step)
{
    struct ledger_transfer *back =
        transfer_at(flow, 0, PAYMENTS_PAYOUT_RETURNED, BOOKS_PAYOUT_RETURN);
    u128 from = back->credit_account_id;
    back->credit_account_id = back->debit_account_id;
    back->debit_account_id = from;
    flow->posted_step = step;
    post(flow, 1, single_done);
}

/* ------------------------------------------------------------------------------------- hold --- */

static void
held(struct port_ledger_request *request)
{
    struct payments_payout_flow *flow = CONTAINER_OF(request, struct payments_payout_flow, ledger);
    enum payments_payout_posting posting = PAYMENTS_PAYOUT_UNKNOWN;
    uint32_t tombstone = flow->results[TOMBSTONE].status;
    if (request->error != ERR_OK) {
        posting = PAYMENTS_PAYOUT_UNKNOWN;
    } else if (
        flow->results[HOLD].status == LEDGER_TRANSFER_created ||
        flow->results[PROBE].status == LEDGER_TRANSFER_exists) {
        posting = PAYMENTS_PAYOUT_POSTED; /* now, or by an earlier try: the probe is its chain's */
    } else if (tombstone == LEDGER_TRANSFER_created || tombstone == LEDGER_TRANSFER_exists) {
        posting = PAYMENTS_PAYOUT_TOO_MUCH;
    }
    flow->posted_step(flow, posting);
}

static void
post_hold(struct payments_payout_flow *flow)
{
    struct ledger_transfer *probe = transfer_at(flow, PROBE, "probe", BOOKS_PAYOUT);
    struct ledger_transfer *end = transfer_at(flow, PROBE_END, "probe end", BOOKS_PAYOUT);
    struct ledger_transfer *hold = transfer_at(flow, HOLD, PAYMENTS_PAYOUT_HOLD, BOOKS_PAYOUT);
    struct ledger_transfer *tombstone =
        transfer_at(flow, TOMBSTONE, PAYMENTS_PAYOUT_HOLD, BOOKS_PAYOUT);
    probe->flags =
        LEDGER_TRANSFER_PENDING | LEDGER_TRANSFER_BALANCING_DEBIT | LEDGER_TRANSFER_LINKED;
    end->flags = LEDGER_TRANSFER_VOID_PENDING | LEDGER_TRANSFER_LINKED;
    end->pending_id = probe->id;
    hold->flags = LEDGER_TRANSFER_PENDING;
    tombstone->amount = 0;
    post(flow, HOLD_TRANSFERS, held);
}

static void
accounts_done(struct port_ledger_request *request)
{
    struct payments_payout_flow *flow = CONTAINER_OF(request, struct payments_payout_flow, ledger);
    if (request->error != ERR_OK) {
        flow->posted_step(flow, PAYMENTS_PAYOUT_UNKNOWN);
        return;
    }
    /* One that could not be made makes the chain fail, and the tombstone: it is asked again. */
    flow->accounts_step(flow);
}

static void
post_accounts(struct payments_payout_flow *flow, void (*step)(struct payments_payout_flow *flow))
{
    static const enum books_account roles[PAYMENTS_PAYOUT_ACCOUNTS] = {
        BOOKS_BANK_CLEARING,
        BOOKS_MERCHANT_AVAILABLE,
    };
    const struct resource_caller *caller = resource_op_caller(flow->op);
    memset(flow->accounts, 0, sizeof(flow->accounts));
    for (uint32_t i = 0; i < PAYMENTS_PAYOUT_ACCOUNTS; i++) {
        struct ledger_account *account = &flow->accounts[i];
        account->id = account_of(flow, roles[i]);
        account->ledger = books_ledger_number(currency_of(flow), caller->live);
        account->code = (uint16_t)roles[i];
        account->flags = LEDGER_ACCOUNT_HISTORY;
        account->user_data_64 = roles[i] == BOOKS_MERCHANT_AVAILABLE ? caller->scope : 0;
    }
    flow->accounts_step = step;
    flow->ledger.operation = PORT_LEDGER_CREATE_ACCOUNTS;
    flow->ledger.count = PAYMENTS_PAYOUT_ACCOUNTS;
    flow->ledger.in.accounts = flow->accounts;
    flow->ledger.out.results = flow->results;
    flow->ledger.pairs = NULL;
    submit(flow, accounts_done);
}

void
payments_payout_post_hold(struct payments_payout_flow *flow, payments_payout_posted_step step)
{
    flow->posted_step = step;
    post_accounts(flow, post_hold);
}

/* -------------------------------------------------------------------------- as much as there is */

static void
rest_voided(struct payments_payout_flow *flow, enum payments_payout_posting posting)
{
    if (posting == PAYMENTS_PAYOUT_POSTED || posting == PAYMENTS_PAYOUT_NOT_HELD) {
        posting = PAYMENTS_PAYOUT_TOO_MUCH;
    }
    flow->step_behind_void(flow, posting);
}

static void
looked_up(struct port_ledger_request *request)
{
    struct payments_payout_flow *flow = CONTAINER_OF(request, struct payments_payout_flow, ledger);
    flow->ledger.near = 0;
    if (request->error != ERR_OK || request->out_count == 0) {
        flow->posted_step(flow, PAYMENTS_PAYOUT_UNKNOWN);
        return;
    }
    struct money held = {
        .amount = (int64_t)flow->transfers[0].amount,
        .currency = currency_of(flow),
    };
    struct money shown;
    int64_t amount = money_to_api(held);
    if (amount == 0) {
        flow->posted_step(flow, PAYMENTS_PAYOUT_TOO_MUCH);
        return;
    }
    flow->payout->amount = amount;
    if (money_from_api(amount, held.currency, &shown) == ERR_OK && shown.amount == held.amount &&
        amount % payments_payout_coin(held.currency) == 0) {
        flow->posted_step(flow, PAYMENTS_PAYOUT_POSTED);
        return;
    }
    /* No bank pays that, as something went out since it was looked at: all of it goes back, for
     * which a void says nothing. */
    flow->payout->amount = 0;
    flow->step_behind_void = flow->posted_step;
    payments_payout_post_end(
        flow, PAYMENTS_PAYOUT_NOT_PAID, LEDGER_TRANSFER_VOID_PENDING, rest_voided);
}

static void
most_held(struct port_ledger_request *request)
{
    struct payments_payout_flow *flow = CONTAINER_OF(request, struct payments_payout_flow, ledger);
    if (request->error != ERR_OK) {
        flow->posted_step(flow, PAYMENTS_PAYOUT_UNKNOWN);
        return;
    }
    /* Whatever the results are, now or of an earlier try: the transfer itself says how much. */
    flow->ids[0] = resource_derived_id(payments_payout_number(flow->payout), PAYMENTS_PAYOUT_HOLD);
    flow->ledger.operation = PORT_LEDGER_LOOKUP_TRANSFERS;
    flow->ledger.count = 1;
    flow->ledger.near = account_of(flow, BOOKS_MERCHANT_AVAILABLE);
    flow->ledger.in.ids = flow->ids;
    flow->ledger.out.transfers = flow->transfers;
    flow->ledger.pairs = NULL;
    submit(flow, looked_up);
}

static void
post_most(struct payments_payout_flow *flow)
{
    struct ledger_transfer *most = transfer_at(flow, 0, PAYMENTS_PAYOUT_HOLD, BOOKS_PAYOUT);
    struct ledger_transfer *tombstone = transfer_at(flow, 1, PAYMENTS_PAYOUT_HOLD, BOOKS_PAYOUT);
    most->flags = LEDGER_TRANSFER_PENDING | LEDGER_TRANSFER_BALANCING_DEBIT;
    tombstone->flags = LEDGER_TRANSFER_PENDING;
    tombstone->amount = 0;
    post(flow, 2, most_held);
}

void
payments_payout_post_most(struct payments_payout_flow *flow, payments_payout_posted_step step)
{
    flow->posted_step = step;
    post_accounts(flow, post_most);
}

struct money
payments_payout_available(const struct payments_payout_flow *flow)
{
    const struct ledger_account *account = &flow->pairs[TOMBSTONE].debit;
    return (struct money){
        .amount =
            (int64_t)(account->credits_posted - account->debits_posted - account->debits_pending),
        .currency = currency_of(flow),
    };
}
