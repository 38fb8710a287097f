/*
 * A payment in two parts: a wallet pays some of it, a card the rest; both or neither.
 *
 *   payments_split_prepare    books: the wallet's part is held               (prepare)
 *     refused                 as a declined card; nothing has reached the rail
 *   authorize.c               rail: the card's part                          (the decision)
 *     declined                payments_split_abort    books: the hold is voided
 *     challenged              payments_split_keep     books: held, until the challenge's time
 *     approved                posting.c               books: both parts, one chain  (commit)
 *
 * The members, which are the wallet with its amount and the card, are in the intent, durable before
 * the hold is made. The rail is asked last, so that its word is the decision: the wallet's part is
 * escrowed by then, without a timeout, and cannot be refused any more. Whoever finds the attempt
 * open asks the rail what it knows, and ends the wallet's part the same way.
 *
 *   capture.c                 rail: the card's part (the decision); books: both, one chain
 *   cancel.c                  rail: void; books: both, one chain
 *   refund.c                  rail: the card's part; books: both, one chain
 *
 * SPLIT-1, SPLIT-2  who pays and who gets back how much: split_rule.h.
 * SPLIT-3  Nothing reaches the rail before the wallet's part is held.
 * SPLIT-4  A hold ends with its attempt: posted by its commit, voided by its abort, or kept with a
 *          timeout of the ledger's.
 * SPLIT-5  Where the rail has moved its part and the books refuse the wallet's, suspense takes the
 *          wallet's place, and an item of suspense.c says so in the same commit.
 */
#include "flow.h"
#include "method.h"
#include "split_rule.h"

#include "base/assert.h"
#include "os/fault.h"

#include <string.h>

/* A kept hold outlives its challenge by so much, for an answer that comes at the last moment. */
#define KEEP_SLACK_S 60

/* ---------------------------------------------------------------------------------- amounts --- */

int64_t
payments_split_rest(const struct payments_flow *flow)
{
    const struct payments_intent *intent = flow->intent;
    return intent->attempt.amount - (payments_is_split(intent) ? intent->split_amount : 0);
}

int64_t
payments_split_rest_captured(const struct payments_flow *flow)
{
    const struct payments_charge *charge = flow->charge;
    int64_t amount = flow->intent->attempt.amount;
    if (charge->split_wallet.size == 0) {
        return amount;
    }
    return amount - payments_split_of_capture(amount, charge->amount - charge->split_amount);
}

int64_t
payments_split_rest_refunded(const struct payments_refund *refund)
{
    ASSERT(refund->split_amount <= refund->amount);
    return refund->amount - refund->split_amount;
}

/* --------------------------------------------------------------------- reading `split` --- */

static bool
refuse(struct payments_flow *flow, const char *param, struct span message)
{
    resource_invalid(flow->op, "parameter_invalid_integer", param, "%.*s", SPAN_PRINTF(message));
    return false;
}

/* The wallet's part is whole coins, and leaves the card an amount that a card can pay. */
static bool
fits_amount(struct payments_flow *flow)
{
    const struct payments_intent *intent = flow->intent;
    const struct currency *currency = payments_flow_currency(flow);
    if (!payments_is_split(intent)) {
        return true;
    }
    if (!resource_coins_check(flow->op, "split[amount]", intent->split_amount, currency)) {
        return false;
    }
    int64_t rest = intent->amount - intent->split_amount;
    if (rest >= currency->api_minimum) {
        return true;
    }
    return refuse(
        flow,
        resource_present(flow->op, "split") ? "split[amount]" : "amount",
        arena_format(
            resource_op_arena(flow->op),
            "The wallet would pay %lld of %lld: at least %lld must be left for the card.",
            (long long)intent->split_amount,
            (long long)intent->amount,
            (long long)currency->api_minimum));
}

static bool
may_split(struct payments_flow *flow)
{
    if (resource_op_caller(flow->op)->key_kind == RESOURCE_KEY_PUBLISHABLE) {
        /* PAYMENTS-10 */
        resource_invalid(
            flow->op,
            "secret_key_required",
            "split",
            "Only a secret key can let a wallet pay a part of a payment.");
        return false;
    }
    if (flow->intent->transfer_destination.size != 0) {
        resource_invalid(
            flow->op,
            "payment_intent_invalid_parameter",
            "split",
            "A payment that goes on to a wallet (transfer_data) cannot be split.");
        return false;
    }
    return true;
}

static void
wallet_found(struct payments_flow *flow)
{
    const struct currency *currency = flow->wallet.currency;
    if (currency != payments_flow_currency(flow)) {
        resource_invalid(
            flow->op,
            "parameter_invalid_string",
            "split[wallet]",
            "The wallet holds %s, and this payment is in %.*s.",
            currency->api_code,
            SPAN_PRINTF(flow->intent->currency));
        return;
    }
    if (fits_amount(flow)) {
        flow->split_step(flow);
    }
}

void
payments_split_read(struct payments_flow *flow, void (*step)(struct payments_flow *flow))
{
    struct payments_intent *intent = flow->intent;
    struct resource_op *op = flow->op;
    struct span wallet = SPAN_EMPTY;
    int64_t amount = 0;
    if (!resource_present(op, "split")) {
        if (fits_amount(flow)) {
            step(flow);
        }
        return;
    }
    if (!may_split(flow)) {
        return;
    }
    bool named = resource_text(op, "split[wallet]", &wallet) && wallet.size != 0;
    bool counted = resource_integer(op, "split[amount]", &amount);
    if (!named && !counted) { /* unset */
        intent->split_wallet = SPAN_EMPTY;
        intent->split_amount = 0;
        step(flow);
        return;
    }
    if (!named || !counted) {
        const char *missing = named ? "split[amount]" : "split[wallet]";
        resource_invalid(op, "parameter_missing", missing, "Missing required param: %s.", missing);
        return;
    }
    intent->split_wallet = wallet;
    intent->split_amount = amount;
    flow->split_step = step;
    payments_wallet_lookup(flow, wallet, "split[wallet]", wallet_found);
}

bool
payments_split_check_method(struct payments_flow *flow)
{
    if (!payments_is_split(flow->intent) || flow->method->token.size != 0) {
        return true;
    }
    resource_invalid(
        flow->op,
        "payment_intent_incompatible_payment_method",
        "payment_method",
        "The wallet of `split` pays a part of this payment: the rest is for a card, not for a "
        "payment method of the type %s.",
        payments_method_type_name(flow->method));
    return false;
}

/* ------------------------------------------------------------------------ before the rail --- */

static void
prepared(struct payments_flow *flow, enum payments_posting posting)
{
    switch (posting) {
    case PAYMENTS_POSTED:
        flow->intent->split_hold = SPAN_EMPTY;
        break;
    case PAYMENTS_POSTING_REFUSED:
        flow->intent->split_hold = SPAN_EMPTY;
        payments_wallet_decline_of_books(flow);
        break;
    case PAYMENTS_POSTING_UNKNOWN:
        payments_answer_unknown(flow);
        return;
    }
    flow->split_step(flow);
}

void
payments_split_prepare(struct payments_flow *flow, void (*step)(struct payments_flow *flow))
{
    flow->rail.answer.outcome = PORT_RAIL_APPROVED;
    if (!payments_is_split(flow->intent)) {
        step(flow);
        return;
    }
    FAULT_POINT("split-before-hold");
    flow->split_step = step;
    payments_post_split_hold(flow, prepared);
}

static void
aborted(struct payments_flow *flow, enum payments_posting posting)
{
    /* Refused: it is posted, which only a commit does, and no commit comes here. */
    if (posting != PAYMENTS_POSTED) {
        payments_answer_unknown(flow);
        return;
    }
    flow->split_step(flow);
}

void
payments_split_abort(struct payments_flow *flow, void (*step)(struct payments_flow *flow))
{
    if (!payments_is_split(flow->intent)) {
        step(flow);
        return;
    }
    FAULT_POINT("split-before-abort");
    flow->split_step = step;
    payments_post_split_abort(flow, aborted);
}

/* -------------------------------------------------------------------- around a challenge --- */

static void
kept(struct payments_flow *flow, enum payments_posting posting)
{
    switch (posting) {
    case PAYMENTS_POSTED:
        flow->intent->split_hold = payments_hex(flow->op, payments_split_kept_id(flow));
        flow->split_step(flow);
        return;
    case PAYMENTS_POSTING_REFUSED:
        /* Held no more; the authorization behind the challenge tries to hold it again. */
        payments_split_abort(flow, flow->split_step);
        return;
    case PAYMENTS_POSTING_UNKNOWN:
        payments_answer_unknown(flow);
        return;
    }
    UNREACHABLE();
}

void
payments_split_keep(struct payments_flow *flow, void (*step)(struct payments_flow *flow))
{
    if (!payments_is_split(flow->intent)) {
        step(flow);
        return;
    }
    FAULT_POINT("split-before-keep");
    flow->split_step = step;
    int64_t seconds = flow->payments->parts.settings.authentication_timeout_s + KEEP_SLACK_S;
    payments_post_split_keep(flow, seconds, kept);
}

static void
let_go(struct payments_flow *flow, enum payments_posting posting)
{
    (void)posting; /* what is not known now, the ledger's timeout ends */
    flow->intent->split_hold = SPAN_EMPTY;
    flow->split_step(flow);
}

void
payments_split_let_go(struct payments_flow *flow, void (*step)(struct payments_flow *flow))
{
    if (flow->intent->split_hold.size == 0) {
        step(flow);
        return;
    }
    flow->split_step = step;
    payments_post_split_let_go(flow, let_go);
}

/* ----------------------------------------------------------------------------------- limits --- */

void
payments_split_uncount(struct payments_flow *flow, int64_t amount)
{
    const struct payments_charge *charge = flow->charge;
    if (charge->split_wallet.size == 0 || amount == 0) {
        return;
    }
    struct port_wallet_movement out = {
        .scope = resource_op_caller(flow->op)->scope,
        .direction = PORT_WALLET_OUT,
        .reserved_at = charge->split_reserved_at,
    };
    err_t error = money_from_api(amount, payments_flow_currency(flow), &out.amount);
    ASSERT(error == ERR_OK);
    ASSERT(charge->split_wallet.size < sizeof(out.wallet));
    memcpy(out.wallet, charge->split_wallet.data, charge->split_wallet.size);
    payments_wallet_release_when_done(flow, &out);
}
