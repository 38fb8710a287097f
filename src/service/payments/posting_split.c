/*
 * Postings of the wallet's part of a split payment (docs/accounting.md).
 *
 *   hold        wallet => merchant available         pending, before the card is asked
 *   keep        voids it, and holds the same with a timeout, while the card is challenged
 *   abort       voids it, and burns its id
 *   payment     posts it, in the chain of the card's payment
 *   capture     posts a part of it or voids it, in the chain of the card's capture
 *   void        voids it, in the chain of the card's
 *   refund      merchant available -> wallet, in the chain of the card's
 *
 * Where wallets are apart, what is said here to be in a chain with the card's comes before it, but
 * for the refund (posting.c); and `keep` is two events of one batch.
 *
 * If the books refuse the wallet's part of a capture or a refund that the rail has carried out, the
 * chain is posted under other ids, with the suspense account in the place of the wallet.
 */
#include "posting.h"
#include "split_rule.h"

#include "base/assert.h"

/* Of the authorization in hand, though flow->charge may be that of an earlier one. */
static u128
hold_of_attempt(const struct payments_flow *flow)
{
    return resource_derived_id(resource_derived_id(flow->attempt_id, "authorize"), "wallet hold");
}

static u128
hold_of_charge(const struct payments_flow *flow)
{
    return resource_derived_id(payments_unhex(flow->charge->authorization), "wallet hold");
}

u128
payments_charge_number(const struct payments_charge *charge)
{
    return resource_number(&payments_charge_type, charge->header.id);
}

static struct ledger_transfer *
add_hold(struct payments_flow *flow)
{
    struct ledger_transfer *hold = payments_transfer_add(
        flow, resource_derived_id(flow->attempt_id, "authorize"), "wallet hold", BOOKS_HOLD);
    ASSERT(hold->id == hold_of_attempt(flow));
    hold->flags = LEDGER_TRANSFER_PENDING;
    hold->debit_account_id = payments_wallet_account(flow, flow->intent->split_wallet);
    hold->credit_account_id = payments_books_account(flow, BOOKS_MERCHANT_AVAILABLE);
    hold->amount = payments_ledger_amount(flow, flow->intent->split_amount);
    return hold;
}

static void
add_void(struct payments_flow *flow, u128 base, const char *step, u128 pending_id)
{
    struct ledger_transfer *undo = payments_transfer_add(flow, base, step, BOOKS_OF_PENDING);
    undo->flags = LEDGER_TRANSFER_VOID_PENDING;
    undo->pending_id = pending_id;
}

static void
add_kept_void(struct payments_flow *flow)
{
    u128 kept = payments_unhex(flow->intent->split_hold);
    add_void(flow, kept, "void", kept);
}

static bool
is_done(const struct ledger_result *result)
{
    return result->status == LEDGER_TRANSFER_created || result->status == LEDGER_TRANSFER_exists;
}

/* ------------------------------------------------------------------------ before the decision --
 */

/* The last one is the hold; what a challenge kept may have ended by itself. */
static enum payments_posting
judge_hold(const struct payments_flow *flow)
{
    return is_done(&flow->results[flow->transfer_count - 1]) ? PAYMENTS_POSTED
                                                             : PAYMENTS_POSTING_REFUSED;
}

void
payments_post_split_hold(struct payments_flow *flow, payments_posted_step step)
{
    payments_posting_begin(flow);
    if (flow->intent->split_hold.size != 0) {
        add_kept_void(flow); /* in the same batch: nobody can spend it in between */
    }
    (void)add_hold(flow);
    payments_posting_submit_each(flow, judge_hold, step);
}

/* The hold, then its voiding. A hold that was refused is refused for ever: its id is burned. */
static enum payments_posting
judge_abort(const struct payments_flow *flow)
{
    const struct ledger_result *undo = &flow->results[1];
    bool holds_nothing = !is_done(&flow->results[0]) ||
                         undo->status == LEDGER_TRANSFER_pending_transfer_already_voided;
    return is_done(undo) || holds_nothing ? PAYMENTS_POSTED : PAYMENTS_POSTING_REFUSED;
}

/*
 * The barrier against a hold that is still on its way when it is aborted: it is made first, if it
 * was not, so that whatever comes later under its id finds it made and voided, or burned.
 */
void
payments_post_split_abort(struct payments_flow *flow, payments_posted_step step)
{
    payments_posting_begin(flow);
    u128 hold = add_hold(flow)->id;
    add_void(flow, flow->attempt_id, "wallet abort", hold);
    payments_posting_submit_each(flow, judge_abort, step);
}

u128
payments_split_kept_id(const struct payments_flow *flow)
{
    return resource_derived_id(flow->attempt_id, "wallet keep");
}

void
payments_post_split_keep(struct payments_flow *flow, int64_t seconds, payments_posted_step step)
{
    ASSERT(seconds > 0 && seconds <= UINT32_MAX);
    payments_posting_begin(flow);
    add_void(flow, flow->attempt_id, "wallet keep void", hold_of_attempt(flow));
    struct ledger_transfer *kept = add_hold(flow);
    kept->id = payments_split_kept_id(flow);
    kept->timeout = (uint32_t)seconds;
    if (flow->payments->parts.ledger->wallets_apart) {
        /* A hold for somebody in another slot is not made in a chain. If the money is spent in
         * between, it is held no more, as after a challenge that nobody answered. */
        payments_posting_submit_each(flow, judge_hold, step);
        return;
    }
    payments_posting_submit(flow, step);
}

static enum payments_posting
judge_let_go(const struct payments_flow *flow)
{
    (void)flow; /* whatever the answer, the ledger has ended it or will */
    return PAYMENTS_POSTED;
}

void
payments_post_split_let_go(struct payments_flow *flow, payments_posted_step step)
{
    payments_posting_begin(flow);
    add_kept_void(flow);
    payments_posting_submit_each(flow, judge_let_go, step);
}

/* ---------------------------------------------------------------------------- the decision --- */

void
payments_add_split_payment(struct payments_flow *flow)
{
    if (!payments_is_split(flow->intent)) {
        return;
    }
    struct ledger_transfer *paid =
        payments_transfer_add(flow, flow->attempt_id, "wallet payment", BOOKS_OF_PENDING);
    paid->flags = LEDGER_TRANSFER_POST_PENDING;
    paid->pending_id = hold_of_attempt(flow);
    paid->amount = payments_ledger_amount(flow, flow->intent->split_amount);
}

static void
add_capture_in_suspense(struct payments_flow *flow, int64_t amount)
{
    struct ledger_transfer *owed =
        payments_transfer_add(flow, flow->attempt_id, "wallet suspense", BOOKS_PAYMENT);
    owed->debit_account_id = payments_books_account(flow, BOOKS_SUSPENSE);
    owed->credit_account_id = payments_books_account(flow, BOOKS_MERCHANT_AVAILABLE);
    owed->amount = payments_ledger_amount(flow, amount);
}

void
payments_add_split_capture(struct payments_flow *flow)
{
    const struct payments_charge *charge = flow->charge;
    if (charge->split_wallet.size == 0) {
        return;
    }
    int64_t amount = flow->intent->attempt.amount - payments_split_rest_captured(flow);
    if (flow->in_suspense) {
        if (amount != 0) {
            add_capture_in_suspense(flow, amount);
        }
    } else if (amount == 0) {
        add_void(flow, flow->attempt_id, "wallet release", hold_of_charge(flow));
    } else {
        struct ledger_transfer *paid =
            payments_transfer_add(flow, flow->attempt_id, "wallet capture", BOOKS_OF_PENDING);
        paid->flags = LEDGER_TRANSFER_POST_PENDING;
        paid->pending_id = hold_of_charge(flow);
        paid->amount = payments_ledger_amount(flow, amount);
        paid->user_data_128 = payments_charge_number(charge);
    }
}

void
payments_add_split_void(struct payments_flow *flow)
{
    if (flow->charge->split_wallet.size != 0) {
        add_void(flow, flow->attempt_id, "wallet void", hold_of_charge(flow));
    }
}

void
payments_add_split_refund(struct payments_flow *flow)
{
    const struct payments_refund *refund = flow->refund;
    if (refund->split_amount == 0) {
        return;
    }
    struct ledger_transfer *back = payments_transfer_add(
        flow,
        flow->attempt_id,
        flow->in_suspense ? "wallet suspense" : "wallet refund",
        BOOKS_REFUND);
    back->debit_account_id = payments_books_account(flow, BOOKS_MERCHANT_AVAILABLE);
    back->credit_account_id = flow->in_suspense
                                  ? payments_books_account(flow, BOOKS_SUSPENSE)
                                  : payments_wallet_account(flow, refund->split_wallet);
    back->amount = payments_ledger_amount(flow, refund->split_amount);
}
