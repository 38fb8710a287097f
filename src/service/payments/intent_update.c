/* Payment intents: an update, which may begin the payment anew. */
#include "intent.h"

#include "handlers.h"
#include "method.h"

#include "base/assert.h"

/* Another customer than it had: the method may be that one's. A first one changes nothing for who
 * is asked to authenticate. */
static bool
changes_customer(const struct payments_intent *intent, struct resource_op *op)
{
    struct span customer = SPAN_EMPTY;
    bool is_first =
        intent->customer.size == 0 && span_equal_cstr(intent->status, "requires_action");
    return resource_text(op, "customer", &customer) && !is_first &&
           !span_equal(customer, intent->customer);
}

/* What cannot be changed any more, of what is asked for; NULL: nothing. Once the card was asked,
 * what it was asked for stays; and once the money was taken, under which name. What would be shown
 * and have no effect is refused. */
static const char *
frozen(const struct payments_flow *flow, const char *money, bool may_update)
{
    static const char *const terms[] = {
        "payment_method_options", "payment_method_types", "setup_future_usage", NULL};
    static const char *const descriptors[] = {
        "statement_descriptor", "statement_descriptor_suffix", NULL};
    const struct payments_intent *intent = flow->intent;
    bool may_capture = !payments_attempt_is_open(&intent->attempt) &&
                       span_equal_cstr(intent->status, "requires_capture");
    if (may_update) {
        return NULL;
    }
    const char *found = money != NULL ? money : payments_first_given(flow->op, terms);
    return found != NULL || may_capture ? found : payments_first_given(flow->op, descriptors);
}

/* Metadata and description may change at any time, money only before it moves. */
static bool
read_money_change(struct payments_flow *flow, bool *ret_changes)
{
    static const char *const names[] = {
        "amount",
        "currency",
        "payment_method",
        "payment_method_data",
        "capture_method",
        "split",
        "participants",
        NULL};
    struct payments_intent *intent = flow->intent;
    struct resource_op *op = flow->op;
    enum payments_intent_status status = payments_intent_status_parse(intent->status);
    const char *money = payments_first_given(op, names);
    money = money == NULL && changes_customer(intent, op) ? "customer" : money;
    bool may_update = !payments_attempt_is_open(&intent->attempt) &&
                      payments_intent_move(status, PAYMENTS_MOVE_UPDATE, &status);
    *ret_changes = money != NULL;
    bool is_free = may_update && intent->checkout_session.size == 0;
    const char *param = frozen(flow, money, is_free);
    if (param != NULL) {
        if (!may_update || !payments_checkout_owns(flow, "update")) {
            payments_fail_state(flow, "update", param);
        }
        return false;
    }
    if (money == NULL) {
        return true;
    }
    intent->status = span_from_cstr(payments_intent_status_name(status));
    payments_challenge_drop(&intent->challenge, "replaced");
    intent->due = 0;
    struct span code;
    if (resource_text(op, "currency", &code) && code.size != 0) {
        intent->currency = span_from_cstr(currency_find(code)->api_code);
    }
    (void)resource_integer(op, "amount", &intent->amount);
    return payments_amount_check(op, intent->amount, intent->currency);
}

static void
update_chosen(struct payments_flow *flow)
{
    payments_intent_save_unconfirmed(flow, NULL);
}

static void
unset_method(struct payments_intent *intent)
{
    enum payments_intent_status status = PAYMENTS_PROCESSING;
    bool legal = payments_intent_move(
        payments_intent_status_parse(intent->status), PAYMENTS_MOVE_UNSET, &status);
    ASSERT(legal); /* naming a method, or none, is a change of money */
    intent->status = span_from_cstr(payments_intent_status_name(status));
    intent->payment_method = SPAN_EMPTY;
}

/* The method that stays must be of the types that are given: one that waits for its payer, who was
 * shown a code, would pay all the same. */
static void
update_types(struct payments_flow *flow)
{
    struct payments_intent *intent = flow->intent;
    if (!payments_method_load(flow, intent->payment_method)) {
        return;
    }
    const struct payments_method *method = flow->method;
    flow->method = NULL; /* it is not a new one */
    if (payments_method_is_of(method, intent->payment_method_types)) {
        update_chosen(flow);
        return;
    }
    resource_invalid(
        flow->op,
        "payment_intent_incompatible_payment_method",
        "payment_method_types",
        "The payment method of this PaymentIntent is of the type %s: name it in "
        "payment_method_types, or give another payment method.",
        payments_method_type_name(method));
}

static void
update_split(struct payments_flow *flow)
{
    const struct payments_intent *intent = flow->intent;
    struct resource_op *op = flow->op;
    if (payments_method_is_unset(op)) {
        unset_method(flow->intent);
        update_chosen(flow);
    } else if (
        resource_present(op, "payment_method") || resource_present(op, "payment_method_data")) {
        payments_method_choose(flow, update_chosen);
    } else if (
        resource_present(op, "payment_method_types") && intent->payment_method_types.size != 0 &&
        intent->payment_method.size != 0) {
        update_types(flow);
    } else {
        update_chosen(flow);
    }
}

static void
update_let_go(struct payments_flow *flow)
{
    payments_split_read(flow, update_split);
}

static void
kept_wallet_found(struct payments_flow *flow)
{
    const struct currency *currency = flow->wallet.currency;
    if (currency == payments_flow_currency(flow)) {
        payments_split_let_go(flow, update_let_go);
        return;
    }
    resource_invalid(
        flow->op,
        "parameter_invalid_string",
        "currency",
        "The wallet of this payment, %s, holds %s.",
        flow->wallet.movement.wallet,
        currency->api_code);
}

/* The wallet that the payment was to go on to, or that was to pay a part, and still is. */
static struct span
kept_wallet(const struct payments_flow *flow)
{
    const struct payments_intent *intent = flow->intent;
    if (intent->transfer_destination.size != 0) {
        return intent->transfer_destination; /* which is for good, and is not split */
    }
    return resource_present(flow->op, "split") ? SPAN_EMPTY : intent->split_wallet;
}

static void
update_locked(struct resource_op *op)
{
    struct payments_flow *flow = payments_flow_of(op);
    bool changes;
    if (!read_money_change(flow, &changes) || !payments_intent_read(flow)) {
        return;
    }
    struct span wallet = kept_wallet(flow);
    if (resource_present(op, "currency") && wallet.size != 0) {
        payments_wallet_lookup(flow, wallet, "currency", kept_wallet_found);
    } else if (changes) {
        payments_split_let_go(flow, update_let_go);
    } else {
        update_split(flow);
    }
}

void
payments_intent_update(struct resource_op *op)
{
    payments_intent_with_charge(op, update_locked);
}
