/*
 * Wallets, as a way to pay and as a destination.
 *
 * The money of a wallet is in our own books, so no rail stands between a confirmed payment and its
 * posting: payments_rail_call says yes at once, and the ledger has the last word. What the wallet
 * service knows better is asked before the attempt is written (port/wallet.h): is the wallet there,
 * is it frozen, do its limits let the amount through. A refusal there ends as a declined charge,
 * like a refusal of the ledger.
 */
#include "flow.h"

#include "base/assert.h"
#include "base/list.h"

#include <stdio.h>
#include <string.h>

bool
payments_by_wallet(const struct payments_flow *flow)
{
    /* A flow that has a charge already is about that charge, whatever method comes next. */
    struct span wallet = flow->charge != NULL && flow->method == NULL ? flow->charge->wallet
                         : flow->method != NULL                       ? flow->method->wallet
                                                                      : SPAN_EMPTY;
    return wallet.size != 0;
}

/* ---------------------------------------------------------------------------- reserving --- */

/* Whose limits the payment counts against; empty: nobody's. */
static struct span
paying_wallet(const struct payments_flow *flow)
{
    return payments_is_split(flow->intent) ? flow->intent->split_wallet : flow->method->wallet;
}

int64_t
payments_wallet_part(const struct payments_flow *flow)
{
    const struct payments_intent *intent = flow->intent;
    return payments_is_split(intent) ? intent->split_amount : intent->attempt.amount;
}

static struct port_wallet_movement
movement(const struct payments_flow *flow, struct span wallet, enum port_wallet_direction direction)
{
    struct port_wallet_movement result = {
        .scope = resource_op_caller(flow->op)->scope,
        .direction = direction,
        .reserved_at = flow->reserved_at,
    };
    err_t error =
        money_from_api(flow->reserved_amount, payments_flow_currency(flow), &result.amount);
    ASSERT(error == ERR_OK);
    ASSERT(wallet.size < sizeof(result.wallet));
    memcpy(result.wallet, wallet.data, wallet.size);
    return result;
}

/* The declined answer of a rail that there is none of. */
static void
decline(struct payments_flow *flow, const char *code, const char *message)
{
    flow->rail.answer = (struct port_rail_answer){
        .outcome = PORT_RAIL_DECLINED,
        .error_code = "payment_method_provider_decline",
    };
    (void)snprintf(
        flow->rail.answer.decline_code, sizeof(flow->rail.answer.decline_code), "%s", code);
    flow->decline_message = arena_copy(resource_op_arena(flow->op), span_from_cstr(message));
}

/* Of a try that was refused, and whose answer nobody has, the reason is gone: the books tell which
 * it can have been. Without them it is by far the likelier one. */
static bool
was_short(const struct payments_flow *flow, uint32_t i)
{
    const struct port_ledger_pair *pair = flow->pairs != NULL ? &flow->pairs[i] : NULL;
    switch (flow->results[i].status) {
    case LEDGER_TRANSFER_exceeds_credits:
        return true;
    case LEDGER_TRANSFER_id_already_failed:
        return pair == NULL ||
               ((pair->debit.flags | pair->credit.flags) & LEDGER_ACCOUNT_CLOSED) == 0;
    default: /* a number from outside, not one of our enums */
        return false;
    }
}

void
payments_wallet_decline_of_books(struct payments_flow *flow)
{
    for (uint32_t i = 0; i < flow->transfer_count; i++) {
        if (was_short(flow, i)) {
            decline(flow, "insufficient_funds", "The wallet has insufficient funds.");
            return;
        }
    }
    decline(flow, "wallet_not_available", "The wallet cannot be used.");
}

/* What the answer to a reservation means; false: it is the end of reserving. */
static bool
take_answer(struct payments_flow *flow, const struct port_wallet_request *request)
{
    ASSERT(request->error == ERR_OK);
    switch (request->outcome) {
    case PORT_WALLET_OK:
        if (request->movement.direction == PORT_WALLET_OUT) {
            flow->reserved_out = true;
        } else {
            flow->reserved_in = true;
        }
        return true;
    case PORT_WALLET_NOT_FOUND:
        decline(flow, "wallet_not_found", "The wallet does not exist any more.");
        return false;
    case PORT_WALLET_REFUSED:
        decline(flow, request->code, request->message);
        return false;
    }
    UNREACHABLE();
}

static void
request_fill(struct payments_flow *flow, struct span wallet, enum port_wallet_direction direction)
{
    flow->wallet = (struct port_wallet_request){
        .reply_to = resource_op_executor(flow->op),
        .trace = resource_op_trace(flow->op),
        .operation = PORT_WALLET_RESERVE,
        .movement = movement(flow, wallet, direction),
    };
}

/* In this operation: durable with the attempt. */
static void
reserve_within(struct payments_flow *flow, struct port_wallet *wallets)
{
    const struct span named[] = {
        [PORT_WALLET_OUT] = paying_wallet(flow),
        [PORT_WALLET_IN] = flow->intent->transfer_destination,
    };
    bool goes_on = true;
    for (uint32_t i = 0; goes_on && i < sizeof(named) / sizeof(named[0]); i++) {
        if (named[i].size == 0) {
            continue;
        }
        request_fill(flow, named[i], (enum port_wallet_direction)i);
        wallets->reserve(wallets, flow->op, &flow->wallet);
        if (flow->wallet.error != ERR_OK) {
            resource_internal(flow->op, flow->wallet.error, "wallets");
            return;
        }
        goes_on = take_answer(flow, &flow->wallet);
    }
    flow->reserved_step(flow);
}

static void reserve_destination(struct payments_flow *flow);

static void
reserve_done(struct port_wallet_request *request)
{
    struct payments_flow *flow = CONTAINER_OF(request, struct payments_flow, wallet);
    if (request->error != ERR_OK) {
        resource_internal(flow->op, request->error, "wallets");
    } else if (take_answer(flow, request) && request->movement.direction == PORT_WALLET_OUT) {
        reserve_destination(flow);
    } else {
        flow->reserved_step(flow);
    }
}

static void
reserve(struct payments_flow *flow, struct span wallet, enum port_wallet_direction direction)
{
    struct port_wallet *wallets = flow->payments->parts.wallets;
    ASSERT(wallets != NULL); /* or no method and no destination could have named one */
    request_fill(flow, wallet, direction);
    flow->wallet.done = reserve_done;
    wallets->submit(wallets, &flow->wallet);
}

static void
reserve_destination(struct payments_flow *flow)
{
    if (flow->intent->transfer_destination.size != 0) {
        reserve(flow, flow->intent->transfer_destination, PORT_WALLET_IN);
    } else {
        flow->reserved_step(flow);
    }
}

/* The capture of what a wallet holds for a merchant in another slot cannot be linked with what pays
 * the money on, so where wallets are apart nothing of it is begun: also not if all happen to be on
 * one shard, where they need not stay. */
static bool
needs_to_be_together(const struct payments_flow *flow)
{
    const struct payments_intent *intent = flow->intent;
    return flow->payments->parts.ledger->wallets_apart && payments_by_wallet(flow) &&
           intent->transfer_destination.size != 0 && payments_captures_later(flow);
}

void
payments_wallet_reserve(struct payments_flow *flow, void (*step)(struct payments_flow *flow))
{
    struct port_wallet *wallets = flow->payments->parts.wallets;
    flow->reserved_step = step;
    flow->rail.answer.outcome = PORT_RAIL_APPROVED;
    if (needs_to_be_together(flow)) {
        decline(
            flow,
            "wallet_apart",
            "Wallets are apart from merchants here (wallet-placement): a payment by a wallet that "
            "ends in another one cannot be captured later.");
        step(flow);
        return;
    }
    if (wallets != NULL && wallets->reserve != NULL) {
        reserve_within(flow, wallets);
    } else if (paying_wallet(flow).size != 0) {
        reserve(flow, paying_wallet(flow), PORT_WALLET_OUT);
    } else {
        reserve_destination(flow);
    }
}

/* ---------------------------------------------------------------------------- releasing --- */

struct release {
    struct port_wallet *wallets;
    struct port_wallet_movement movement;
};

static void
release_run(void *context)
{
    const struct release *release = context;
    release->wallets->release(release->wallets, &release->movement);
}

void
payments_wallet_release_when_done(
    struct payments_flow *flow, const struct port_wallet_movement *movement)
{
    struct release *release = ARENA_NEW(resource_op_arena(flow->op), struct release);
    err_t error = release == NULL ? ERR_FULL : ERR_OK;
    if (error == ERR_OK) {
        *release = (struct release){
            .wallets = flow->payments->parts.wallets,
            .movement = *movement,
        };
        error = resource_op_when_done(flow->op, release_run, release);
    }
    /* Without memory it stays counted until its day and month are over: the safe side. */
    ASSERT(error == ERR_OK || error == ERR_FULL);
}

void
payments_wallet_release(struct payments_flow *flow)
{
    if (flow->reserved_out) {
        struct port_wallet_movement out = movement(flow, paying_wallet(flow), PORT_WALLET_OUT);
        payments_wallet_release_when_done(flow, &out);
    }
    if (flow->reserved_in) {
        struct port_wallet_movement in =
            movement(flow, flow->intent->transfer_destination, PORT_WALLET_IN);
        payments_wallet_release_when_done(flow, &in);
    }
    flow->reserved_out = false;
    flow->reserved_in = false;
}

void
payments_wallet_resume(struct payments_flow *flow)
{
    if (payments_by_wallet(flow)) {
        flow->pairs = ARENA_ARRAY(
            resource_op_arena(flow->op), struct port_ledger_pair, PAYMENTS_TRANSFERS_MAX);
    }
    flow->reserved_amount = payments_wallet_part(flow);
    flow->reserved_out = paying_wallet(flow).size != 0;
    flow->reserved_in = flow->intent->transfer_destination.size != 0;
}

/* ------------------------------------------------------------------------- naming a wallet --- */

static void
lookup_done(struct port_wallet_request *request)
{
    struct payments_flow *flow = CONTAINER_OF(request, struct payments_flow, wallet);
    if (request->error != ERR_OK) {
        resource_internal(flow->op, request->error, "wallets");
    } else if (request->outcome != PORT_WALLET_OK) {
        resource_missing(
            flow->op, "wallet", flow->wallet_param, span_from_cstr(request->movement.wallet));
    } else {
        flow->wallet_step(flow);
    }
}

void
payments_wallet_lookup(
    struct payments_flow *flow,
    struct span id,
    const char *param,
    void (*step)(struct payments_flow *flow))
{
    struct port_wallet *wallets = flow->payments->parts.wallets;
    if (wallets == NULL || id.size >= ID_TEXT_SIZE || !span_starts_with(id, SPAN("wal_"))) {
        resource_missing(flow->op, "wallet", param, id);
        return;
    }
    flow->wallet_param = param;
    flow->wallet_step = step;
    flow->wallet = (struct port_wallet_request){
        .reply_to = resource_op_executor(flow->op),
        .done = lookup_done,
        .trace = resource_op_trace(flow->op),
        .operation = PORT_WALLET_LOOKUP,
        .movement = {.scope = resource_op_caller(flow->op)->scope},
    };
    memcpy(flow->wallet.movement.wallet, id.data, id.size);
    wallets->submit(wallets, &flow->wallet);
}
