/* Payment methods that stay: whether they are good, whose they become, what was learnt of them. */
#include "flow.h"
#include "method.h"

#include <string.h>

/* --------------------------------------------------------------------------------- verifying ---
 */

static void
verified(struct payments_flow *flow)
{
    const struct port_rail_answer *answer = &flow->rail.answer;
    if (answer->outcome == PORT_RAIL_APPROVED) {
        payments_charge_checks(flow);
        flow->method_step(flow);
        return;
    }
    bool declined = answer->outcome == PORT_RAIL_DECLINED;
    struct resource_error error = {
        .status = 402,
        .type = "card_error",
        .code = declined ? answer->error_code : "processing_error",
        .decline_code = declined ? answer->decline_code : NULL,
        .message = declined ? payments_decline_message(answer)
                            : SPAN("The card could not be verified. Try again in a little bit."),
        .executed = true,
    };
    resource_fail(flow->op, &error);
}

void
payments_method_verify(struct payments_flow *flow, void (*step)(struct payments_flow *flow))
{
    flow->method_step = step;
    if (!payments_method_is_reusable(flow)) {
        return;
    }
    if (flow->method->shows_qr) {
        resource_invalid(
            flow->op,
            NULL,
            "payment_method",
            "A code is anybody's who scans it: it cannot be kept.");
        return;
    }
    if (flow->method->wallet.size != 0) {
        step(flow); /* there is no issuer to ask */
        return;
    }
    u128 id;
    (void)resource_new_id(flow->op, "at_", &id);
    memset(&flow->rail, 0, sizeof(flow->rail));
    flow->attempt_id = id;
    payments_rail_fill_card(flow, &(struct payments_attempt){.id = SPAN_EMPTY});
    flow->rail.amount = (struct money){.amount = 0, .currency = currency_find(SPAN("usd"))};
    payments_rail_call(flow, verified);
}

/* ---------------------------------------------------------------------------------- learning ---
 */

/* Whose it is from now on; empty: no change. A customer may have been deleted since. */
static struct span
new_owner(struct payments_flow *flow, struct span customer)
{
    void *found;
    bool keeps = !flow->method->shows_qr && !flow->method->of_code && !flow->method->detached;
    bool wanted = keeps && customer.size != 0 && flow->method->customer.size == 0;
    bool exists =
        wanted && resource_load(flow->op, &payments_customer_type, customer, &found) == ERR_OK;
    return exists ? customer : SPAN_EMPTY;
}

static err_t
save_news(
    struct payments_flow *flow, const struct payments_method_news *news, struct span *ret_owner)
{
    *ret_owner = new_owner(flow, news->customer);
    if (ret_owner->size != 0) {
        flow->method->customer = *ret_owner;
    }
    if (news->agreement.size != 0 && !flow->method->detached) {
        flow->method->agreement = news->agreement;
    }
    return resource_save(flow->op, &payments_method_type, flow->method);
}

err_t
payments_method_learn(struct payments_flow *flow, const struct payments_method_news *news)
{
    const struct payments_method *known = flow->method;
    struct span owner;
    err_t error = save_news(flow, news, &owner);
    if (error == ERR_STALE) {
        void *found;
        TRY(resource_load(flow->op, &payments_method_type, known->header.id, &found));
        flow->method = found;
        flow->method->cvc_check = known->cvc_check;
        flow->method->address_check = known->address_check;
        flow->method->postal_code_check = known->postal_code_check;
        error = save_news(flow, news, &owner);
    }
    if (error != ERR_OK || owner.size == 0) {
        return error;
    }
    return resource_emit(
        flow->op, "payment_method.attached", &payments_method_type, flow->method, SPAN_EMPTY);
}
