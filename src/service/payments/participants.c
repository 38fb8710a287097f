/*
 * Other services take part in a payment (docs/participants.md): loyalty points are spent, goods are
 * reserved, both with the payment or neither. One authorization is one transaction of the
 * coordinator, whose owner is the intent:
 *
 *     save_attempt                     documents: the attempt, and the members         (begin)
 *     payments_participants_prepare    all are asked, and all must say yes             (prepare)
 *       one says no                    as a declined card; nothing has reached the rail
 *     authorize.c                      rail: authorize                                 (the
 * decision) declined, challenged           documents: abort; a challenge that is passed begins anew
 *       approved                       books, documents: commit; with manual capture nothing yet
 *     capture.c, cancel.c              documents: commit of what is captured, abort
 *
 * The rail is the last agent: it is asked when all others have said yes, durably, so whoever finds
 * the attempt open asks the rail what it knows and ends the transaction the same way. A wallet's
 * payment has no rail; there the ledger is the last agent, which is not asked unless the
 * transaction is prepared.
 *
 * PAYMENTS-11  Nothing reaches the rail, nor the books of a wallet's payment, before all
 *              participants have said yes; what they are told in the end is what the intent shows.
 */
#include "flow.h"

#include "base/assert.h"
#include "json/json.h"

#include <stdio.h>

bool
payments_participants_read(struct payments_flow *flow)
{
    if (flow->payments->parts.coordinator == NULL && resource_present(flow->op, "participants")) {
        resource_invalid(
            flow->op, "parameter_unknown", "participants", "This server has no participants.");
        return false;
    }
    return coordinator_read(flow->op, &flow->intent->participants);
}

void
payments_participants_write(struct json_writer *json, const struct payments_intent *intent)
{
    if (intent->participants.size != 0) {
        json_member_raw(json, "participants", intent->participants);
    }
    if (intent->transaction.size != 0) {
        json_member_text(json, "transaction", intent->transaction);
    }
}

err_t
payments_participants_begin(struct payments_flow *flow)
{
    struct payments_intent *intent = flow->intent;
    intent->transaction = SPAN_EMPTY;
    if (intent->participants.size == 0) {
        return ERR_OK;
    }
    const struct coordinator_new wanted = {
        .owner = intent->header.id,
        .members = intent->participants,
        .amount = intent->attempt.amount,
        .currency = intent->currency,
    };
    return coordinator_begin(flow->op, &wanted, &intent->transaction);
}

static void
decline(struct payments_flow *flow, const char *code, struct span message)
{
    flow->rail.answer = (struct port_rail_answer){
        .outcome = PORT_RAIL_DECLINED,
        .error_code = "payment_method_provider_decline",
    };
    (void)snprintf(
        flow->rail.answer.decline_code, sizeof(flow->rail.answer.decline_code), "%s", code);
    flow->decline_message = message;
}

static void
voted(struct resource_op *op)
{
    struct payments_flow *flow = payments_flow_of(op);
    switch (flow->ballot.vote) {
    case COORDINATOR_YES:
        break;
    case COORDINATOR_NO:
        decline(flow, "participant_declined", flow->ballot.message);
        break;
    case COORDINATOR_UNKNOWN:
        decline(flow, "participant_unavailable", flow->ballot.message);
        break;
    }
    flow->ballot_step(flow);
}

void
payments_participants_prepare(struct payments_flow *flow, void (*step)(struct payments_flow *flow))
{
    if (flow->intent->transaction.size == 0) {
        step(flow);
        return;
    }
    flow->ballot_step = step;
    flow->ballot = (struct coordinator_ballot){
        .coordinator = flow->payments->parts.coordinator,
        .transaction = flow->intent->transaction,
        .step = voted,
    };
    coordinator_prepare(flow->op, &flow->ballot);
}

err_t
payments_participants_resume(struct payments_flow *flow, bool *ret_may_go_on)
{
    *ret_may_go_on = true;
    if (flow->intent->transaction.size == 0 || !payments_by_wallet(flow)) {
        return ERR_OK;
    }
    TRY(coordinator_is_prepared(flow->op, flow->intent->transaction, ret_may_go_on));
    if (!*ret_may_go_on) {
        decline(
            flow,
            "participant_unavailable",
            SPAN("The payment was interrupted before all of its participants had agreed."));
    }
    return ERR_OK;
}

static err_t
decide(struct payments_flow *flow, enum coordinator_decision decision, int64_t amount)
{
    if (flow->intent->transaction.size == 0) {
        return ERR_OK;
    }
    return coordinator_decide(
        flow->op, flow->payments->parts.coordinator, flow->intent->transaction, decision, amount);
}

err_t
payments_participants_commit(struct payments_flow *flow, int64_t amount)
{
    return decide(flow, COORDINATOR_COMMIT, amount);
}

err_t
payments_participants_abort(struct payments_flow *flow)
{
    return decide(flow, COORDINATOR_ABORT, 0);
}
