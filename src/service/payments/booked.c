/*
 * What the rail knows nothing of: it answers NOT_FOUND to a step on an authorization, having lost
 * it. Nothing comes of the step any more, so it ends as refused; unless an earlier run, cut off
 * before the documents, had the rail's yes and booked it. The books say which.
 */
#include "flow.h"
#include "posting.h"

#include "base/list.h"

static void
looked_up(struct port_ledger_request *request)
{
    struct payments_flow *flow = CONTAINER_OF(request, struct payments_flow, ledger);
    flow->posted_step(
        flow,
        request->error != ERR_OK  ? PAYMENTS_POSTING_UNKNOWN
        : request->out_count == 0 ? PAYMENTS_POSTING_REFUSED
                                  : PAYMENTS_POSTED);
}

static void
look_up(struct payments_flow *flow, u128 id, u128 other, payments_posted_step next)
{
    flow->booked_ids[0] = id;
    flow->booked_ids[1] = other;
    flow->posted_step = next;
    flow->ledger.operation = PORT_LEDGER_LOOKUP_TRANSFERS;
    flow->ledger.count = sizeof(flow->booked_ids) / sizeof(flow->booked_ids[0]);
    flow->ledger.in.ids = flow->booked_ids;
    flow->ledger.out.transfers = flow->transfers;
    flow->ledger.pairs = NULL;
    payments_ledger_submit(flow, looked_up);
}

void
payments_booked_before(
    struct payments_flow *flow, const char *step, const char *other, payments_posted_step next)
{
    look_up(
        flow,
        resource_derived_id(flow->attempt_id, step),
        resource_derived_id(flow->attempt_id, other),
        next);
}

/* Where a wallet is apart, its part of a split comes first. */
void
payments_authorization_booked_before(struct payments_flow *flow, payments_posted_step next)
{
    u128 hold = resource_derived_id(resource_derived_id(flow->attempt_id, "authorize"), "hold");
    u128 payment = resource_derived_id(flow->attempt_id, "payment");
    look_up(
        flow,
        flow->intent->capture_before != 0 ? hold : payment,
        resource_derived_id(flow->attempt_id, "wallet payment"),
        next);
}
