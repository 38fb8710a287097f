/*
 * Postings: which accounts each business step moves money between. docs/accounting.md shows the
 * same as T-accounts; the two must agree.
 *
 *   payment         payer -> merchant                   gross
 *                   merchant -> fee revenue             fee
 *                   merchant -> destination wallet      gross, if the intent has one
 *   hold            payer => merchant                   pending transfer of the authorized amount
 *   increment       voids the hold, and holds the larger amount instead
 *   capture         posts the hold, up to its amount; then the fee as above
 *   void            voids the hold
 *   refund          merchant pending or available -> payer
 *   refund failure  payer -> the account that the refund came from
 *
 * Of a split payment these are the card's part; the wallet's is added to the same chain
 * (posting_split.c).
 *
 * The payer is card clearing, and the merchant's account the pending one; or the payer is a wallet,
 * whose money is here already, and the merchant's account the available one.
 *
 * All transfers of a step are one linked chain: all of them or none. Doing a step again answers
 * `exists` on its first transfer, which is as good as `created`.
 *
 * Where wallets are apart from their merchants (BOOKS-4), a chain with a wallet's account in it is
 * on two shards, and costs a transaction of both. What cannot be one, or need not, is two steps:
 *
 *   payment, capture by a wallet      the gross; then the fee, on the merchant's shard
 *   a split's payment, capture, void  the wallet's part, as its hold cannot end where the card's
 *                                     does; then the card's part and the fee, on the merchant's
 *
 * Nothing refuses a second step, as the merchant's accounts have no limits. In between the attempt
 * is open, and whoever takes it up does both again.
 */
#include "posting.h"

#include "base/assert.h"

int64_t
payments_fee(const struct payments *payments, int64_t api_amount, const struct currency *currency)
{
    const struct payments_settings *settings = &payments->parts.settings;
    struct money share;
    struct money amount = {.amount = api_amount, .currency = currency};
    err_t error = money_share(amount, (int32_t)settings->fee_basis_points, &share);
    ASSERT(error == ERR_OK);
    int64_t fee = share.amount + settings->fee_fixed;
    /* Currencies whose API unit is finer than the smallest coin need a fee in whole coins. */
    struct money coins;
    if (money_from_api(fee, currency, &coins) != ERR_OK) {
        fee -= fee % 100;
    }
    return fee < api_amount ? fee : api_amount;
}

/* ------------------------------------------------------------------------- what steps share --- */

static u128
payer_account(const struct payments_flow *flow)
{
    if (!payments_by_wallet(flow)) {
        return payments_books_account(flow, BOOKS_CARD_CLEARING);
    }
    return payments_wallet_account(
        flow, flow->method != NULL ? flow->method->wallet : flow->charge->wallet);
}

static u128
merchant_account(const struct payments_flow *flow)
{
    return payments_books_account(
        flow, payments_by_wallet(flow) ? BOOKS_MERCHANT_AVAILABLE : BOOKS_MERCHANT_PENDING);
}

/* Of the open attempt, if there is one. */
static void
add_fee(struct payments_flow *flow)
{
    int64_t fee = flow->intent->attempt.fee;
    if (fee == 0) {
        return;
    }
    struct ledger_transfer *transfer =
        payments_transfer_add(flow, flow->attempt_id, "fee", BOOKS_FEE);
    transfer->debit_account_id = merchant_account(flow);
    transfer->credit_account_id = payments_books_account(flow, BOOKS_FEE_REVENUE);
    transfer->amount = payments_ledger_amount(flow, fee);
}

/* `number`: the charge's. */
static void
add_destination(struct payments_flow *flow, u128 number)
{
    if (flow->intent->transfer_destination.size == 0 || flow->in_suspense) {
        return;
    }
    struct ledger_transfer *transfer =
        payments_transfer_add(flow, flow->attempt_id, "destination", BOOKS_TOP_UP);
    transfer->debit_account_id = merchant_account(flow);
    transfer->credit_account_id = payments_wallet_account(flow, flow->intent->transfer_destination);
    transfer->amount = payments_ledger_amount(flow, flow->intent->attempt.amount);
    transfer->user_data_128 = number;
}

static bool
is_apart(const struct payments_flow *flow)
{
    return flow->payments->parts.ledger->wallets_apart;
}

static void
add_gross(struct payments_flow *flow)
{
    struct ledger_transfer *gross =
        payments_transfer_add(flow, flow->attempt_id, "payment", BOOKS_PAYMENT);
    gross->debit_account_id = payer_account(flow);
    gross->credit_account_id = merchant_account(flow);
    gross->amount = payments_ledger_amount(flow, payments_split_rest(flow));
}

static void
add_card_payment(struct payments_flow *flow)
{
    add_gross(flow);
    add_fee(flow);
}

void
payments_post_payment(struct payments_flow *flow, payments_posted_step step)
{
    payments_posting_begin(flow);
    if (is_apart(flow) && payments_is_split(flow->intent)) {
        payments_add_split_payment(flow);
        payments_posting_submit_in_two(flow, add_card_payment, step);
        return;
    }
    add_gross(flow);
    bool ends_in_wallet = flow->intent->transfer_destination.size != 0;
    if (is_apart(flow) && payments_by_wallet(flow) && !ends_in_wallet) {
        payments_posting_submit_in_two(flow, add_fee, step);
        return;
    }
    payments_add_split_payment(flow);
    add_fee(flow);
    add_destination(flow, flow->attempt_id);
    payments_posting_submit(flow, step);
}

/* The hold's id derives from the authorization, which the charge remembers; that of a larger one
 * that took its place is remembered itself. */
static u128
hold_id(const struct payments_flow *flow)
{
    if (flow->charge != NULL && flow->charge->hold.size != 0) {
        return payments_unhex(flow->charge->hold);
    }
    u128 authorization = flow->charge != NULL && flow->charge->authorization.size != 0
                             ? payments_unhex(flow->charge->authorization)
                             : resource_derived_id(flow->attempt_id, "authorize");
    return resource_derived_id(authorization, "hold");
}

/* What ends a hold names the accounts of it too: a ledger of several shards finds it by them. */
static void
end_hold(const struct payments_flow *flow, struct ledger_transfer *end, uint16_t flag)
{
    end->flags = flag;
    end->pending_id = hold_id(flow);
    end->debit_account_id = payer_account(flow);
    end->credit_account_id = merchant_account(flow);
}

void
payments_post_hold(struct payments_flow *flow, payments_posted_step step)
{
    payments_posting_begin(flow);
    struct ledger_transfer *hold = payments_transfer_add(
        flow, resource_derived_id(flow->attempt_id, "authorize"), "hold", BOOKS_HOLD);
    hold->flags = LEDGER_TRANSFER_PENDING;
    hold->debit_account_id = payer_account(flow);
    hold->credit_account_id = merchant_account(flow);
    hold->amount = payments_ledger_amount(flow, payments_split_rest(flow));
    payments_posting_submit(flow, step);
}

void
payments_post_increment(struct payments_flow *flow, payments_posted_step step)
{
    payments_posting_begin(flow);
    struct ledger_transfer *old =
        payments_transfer_add(flow, flow->attempt_id, "increment void", BOOKS_OF_PENDING);
    end_hold(flow, old, LEDGER_TRANSFER_VOID_PENDING);
    struct ledger_transfer *hold =
        payments_transfer_add(flow, flow->attempt_id, "hold", BOOKS_HOLD);
    hold->flags = LEDGER_TRANSFER_PENDING;
    hold->debit_account_id = payments_books_account(flow, BOOKS_CARD_CLEARING);
    hold->credit_account_id = payments_books_account(flow, BOOKS_MERCHANT_PENDING);
    hold->amount = payments_ledger_amount(flow, flow->intent->attempt.amount);
    payments_posting_submit(flow, step);
}

const char *
payments_capture_step(const struct payments_flow *flow)
{
    return flow->in_suspense ? "capture again" : "capture";
}

static void
add_capture(struct payments_flow *flow)
{
    struct ledger_transfer *capture = payments_transfer_add(
        flow, flow->attempt_id, payments_capture_step(flow), BOOKS_OF_PENDING);
    end_hold(flow, capture, LEDGER_TRANSFER_POST_PENDING);
    capture->amount = payments_ledger_amount(flow, payments_split_rest_captured(flow));
    if (payments_by_wallet(flow)) {
        capture->user_data_128 = payments_charge_number(flow->charge);
    }
}

static void
add_card_capture(struct payments_flow *flow)
{
    add_capture(flow);
    add_fee(flow);
}

/* Does the wallet's part end what is held in the wallet's own slot? */
static bool
ends_apart(const struct payments_flow *flow)
{
    return is_apart(flow) && flow->charge->split_wallet.size != 0 && !flow->in_suspense;
}

void
payments_post_capture(struct payments_flow *flow, payments_posted_step step)
{
    payments_posting_begin(flow);
    if (ends_apart(flow)) {
        payments_add_split_capture(flow);
        payments_posting_submit_in_two(flow, add_card_capture, step);
        return;
    }
    add_capture(flow);
    if (is_apart(flow) && payments_by_wallet(flow)) {
        payments_posting_submit_in_two(flow, add_fee, step);
        return;
    }
    payments_add_split_capture(flow);
    add_fee(flow);
    add_destination(flow, payments_charge_number(flow->charge));
    payments_posting_submit(flow, step);
}

void
payments_add_hold_void(struct payments_flow *flow, u128 base, const char *step)
{
    struct ledger_transfer *undo = payments_transfer_add(flow, base, step, BOOKS_OF_PENDING);
    end_hold(flow, undo, LEDGER_TRANSFER_VOID_PENDING);
}

static void
add_void(struct payments_flow *flow)
{
    payments_add_hold_void(flow, flow->attempt_id, "void");
}

void
payments_post_void(struct payments_flow *flow, payments_posted_step step)
{
    payments_posting_begin(flow);
    if (ends_apart(flow)) {
        payments_add_split_void(flow);
        payments_posting_submit_in_two(flow, add_void, step);
        return;
    }
    add_void(flow);
    payments_add_split_void(flow);
    payments_posting_submit(flow, step);
}

void
payments_post_split_void(struct payments_flow *flow, payments_posted_step step)
{
    payments_posting_begin(flow);
    payments_add_split_void(flow);
    if (flow->transfer_count == 0) {
        step(flow, PAYMENTS_POSTED);
        return;
    }
    payments_posting_submit(flow, step);
}

static enum books_account
refund_source(const struct payments_refund *refund)
{
    return refund->from_available ? BOOKS_MERCHANT_AVAILABLE : BOOKS_MERCHANT_PENDING;
}

void
payments_post_refund(struct payments_flow *flow, payments_posted_step step)
{
    payments_posting_begin(flow);
    int64_t amount = payments_split_rest_refunded(flow->refund);
    if (amount != 0) {
        struct ledger_transfer *refund = payments_transfer_add(
            flow, flow->attempt_id, flow->in_suspense ? "refund again" : "refund", BOOKS_REFUND);
        refund->debit_account_id = payments_books_account(flow, refund_source(flow->refund));
        refund->credit_account_id = payer_account(flow);
        refund->amount = payments_ledger_amount(flow, amount);
    }
    payments_add_split_refund(flow);
    payments_posting_submit(flow, step);
}

void
payments_post_refund_failure(struct payments_flow *flow, payments_posted_step step)
{
    payments_posting_begin(flow);
    struct ledger_transfer *back =
        payments_transfer_add(flow, flow->attempt_id, "refund failure", BOOKS_REFUND_FAILURE);
    back->debit_account_id = payer_account(flow);
    back->credit_account_id = payments_books_account(flow, refund_source(flow->refund));
    back->amount = payments_ledger_amount(flow, payments_split_rest_refunded(flow->refund));
    payments_posting_submit(flow, step);
}
