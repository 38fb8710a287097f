#include "flow.h"
#include "posting.h"

#include "base/assert.h"
#include "base/list.h"

static void
rail_done(struct port_rail_request *request)
{
    struct payments_flow *flow = CONTAINER_OF(request, struct payments_flow, rail);
    if (request->error != ERR_OK) {
        /* The rail did not take the request. Whether it ever did, under this id, is for a report
         * to say: an earlier try of the same step may have reached it. */
        request->answer = (struct port_rail_answer){.outcome = PORT_RAIL_UNKNOWN};
    }
    flow->rail_step(flow);
}

bool
payments_rail_gives_up(const struct payments_flow *flow, struct payments_attempt *attempt)
{
    const struct port_rail_request *rail = &flow->rail;
    bool unreadable = rail->operation == PORT_RAIL_AUTHORIZE &&
                      (rail->error == ERR_NOT_FOUND || rail->error == ERR_CORRUPT);
    return unreadable && payments_attempt_gives_up(attempt);
}

void
payments_rail_call(struct payments_flow *flow, void (*step)(struct payments_flow *flow))
{
    const struct payments_settings *settings = &flow->payments->parts.settings;
    bool none_of_card = flow->refund != NULL && payments_split_rest_refunded(flow->refund) == 0;
    if (payments_by_wallet(flow) || none_of_card) {
        flow->rail.answer = (struct port_rail_answer){.outcome = PORT_RAIL_APPROVED};
        step(flow);
        return;
    }
    flow->rail_step = step;
    flow->rail.reply_to = resource_op_executor(flow->op);
    flow->rail.done = rail_done;
    flow->rail.trace = resource_op_trace(flow->op);
    flow->rail.scope = resource_op_caller(flow->op)->scope;
    flow->rail.error = ERR_OK;
    flow->rail.answer = (struct port_rail_answer){.outcome = PORT_RAIL_UNKNOWN};
    flow->rail.deadline_ns =
        resource_monotonic_ns(flow->op) + (uint64_t)settings->rail_timeout_ms * OS_NS_PER_MS;
    struct port_rail *rail = flow->payments->parts.card_rail;
    rail->submit(rail, &flow->rail);
}

void
payments_rail_follow(
    struct payments_flow *flow,
    enum port_rail_operation operation,
    const char *name,
    void (*step)(struct payments_flow *flow))
{
    flow->rail.operation = operation;
    flow->rail.id = resource_derived_id(flow->attempt_id, name);
    flow->rail.original_id = payments_unhex(flow->charge->authorization);
    flow->rail.reference = payments_charge_number(flow->charge);
    payments_rail_call(flow, step);
}
