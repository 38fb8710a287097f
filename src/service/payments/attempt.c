#include "flow.h"
#include "posting.h"

#include "base/assert.h"

#include <string.h>

struct payments_flow *
payments_flow_create(struct resource_op *op)
{
    struct payments_flow *flow = ARENA_NEW(resource_op_arena(op), struct payments_flow);
    if (flow == NULL) {
        resource_internal(op, ERR_FULL, "request memory");
        return NULL;
    }
    flow->payments = (struct payments *)resource_op_service(op);
    flow->op = op;
    resource_op_set_state(op, flow);
    return flow;
}

const struct currency *
payments_flow_currency(const struct payments_flow *flow)
{
    struct span code = flow->intent != NULL   ? flow->intent->currency
                       : flow->refund != NULL ? flow->refund->currency
                                              : flow->charge->currency;
    const struct currency *currency = currency_find(code);
    ASSERT(currency != NULL);
    return currency;
}

struct span
payments_hex(struct resource_op *op, u128 id)
{
    static const char digits[] = "0123456789abcdef";
    char text[2 * sizeof(id)];
    for (size_t i = sizeof(text); i > 0; i--) {
        text[i - 1] = digits[(unsigned)id & 15];
        id >>= 4;
    }
    return arena_copy(resource_op_arena(op), span_of(text, sizeof(text)));
}

u128
payments_unhex(struct span text)
{
    ASSERT(text.size == 32);
    u128 id = 0;
    for (size_t i = 0; i < text.size; i++) {
        char digit = text.data[i];
        id = id << 4 | (unsigned)(digit <= '9' ? digit - '0' : digit - 'a' + 10);
    }
    return id;
}

/* The trace of the request that moves it now, which what is done later links to. */
static void
remember_trace(struct payments_flow *flow, const struct payments_attempt *attempt)
{
    struct span trace = resource_trace_parent(flow->op);
    if (flow->refund != NULL && attempt == &flow->refund->attempt) {
        resource_trace_about(flow->op, "tael.payment_intent", flow->refund->payment_intent);
        flow->refund->trace = trace;
    } else if (flow->intent != NULL && attempt == &flow->intent->attempt) {
        resource_trace_about(flow->op, "tael.payment_intent", flow->intent->header.id);
        flow->intent->trace = trace;
    }
}

/* A sweep has a trace of its own, linked to that of the request. */
static void
follow_trace(struct payments_flow *flow, const struct payments_attempt *attempt)
{
    if (resource_op_request(flow->op) != NULL) {
        return;
    }
    bool of_refund = flow->refund != NULL && attempt == &flow->refund->attempt;
    bool of_intent = flow->intent != NULL && attempt == &flow->intent->attempt;
    struct span linked = of_refund   ? flow->refund->trace
                         : of_intent ? flow->intent->trace
                                     : SPAN_EMPTY;
    resource_trace_begin(flow->op, "resume payment", linked);
    if (flow->intent != NULL) {
        resource_trace_about(flow->op, "tael.payment_intent", flow->intent->header.id);
    }
}

bool
payments_attempt_open(
    struct payments_flow *flow, struct payments_attempt *attempt, const char *kind, int64_t amount)
{
    ASSERT(!payments_attempt_is_open(attempt));
    /* What is open already is asked again and again, and shows when there is room. */
    bool is_new_money = amount > 0 && resource_op_request(flow->op) != NULL;
    if (is_new_money && !payments_ledger_has_room(flow)) {
        return false;
    }
    u128 id;
    struct span key = resource_op_idempotency_key(flow->op);
    (void)resource_new_id(flow->op, "at_", &id);
    memset(attempt, 0, sizeof(*attempt));
    attempt->id = payments_hex(flow->op, id);
    attempt->kind = span_from_cstr(kind);
    attempt->state = SPAN("started");
    attempt->key = key;
    attempt->amount = amount;
    attempt->fee =
        amount == 0 ? 0 : payments_fee(flow->payments, amount, payments_flow_currency(flow));
    attempt->began = (int64_t)resource_now_s(flow->op);
    if (attempt->id.size == 0) {
        resource_internal(flow->op, ERR_FULL, "request memory");
        return false;
    }
    flow->attempt_id = id;
    flow->reserved_amount = amount;
    flow->reserved_at = attempt->began;
    remember_trace(flow, attempt);
    return true;
}

void
payments_attempt_begin(
    struct payments_flow *flow, const char *kind, int64_t amount, resource_step step)
{
    struct payments_intent *intent = flow->intent;
    if (!payments_attempt_open(flow, &intent->attempt, kind, amount)) {
        return;
    }
    intent->due = (int64_t)resource_now_s(flow->op) + flow->payments->parts.settings.lease_s;
    resource_save_then(flow->op, &payments_intent_type, intent, "intent", step);
}

void
payments_attempt_resume(struct payments_flow *flow, const struct payments_attempt *attempt)
{
    ASSERT(payments_attempt_is_open(attempt));
    follow_trace(flow, attempt);
    flow->attempt_id = payments_unhex(attempt->id);
    flow->reserved_amount = attempt->amount;
    flow->reserved_at = attempt->began;
    if (attempt->key.size != 0) {
        resource_adopt_key(flow->op, attempt->key);
    }
}

void
payments_attempt_close(struct payments_attempt *attempt)
{
    ASSERT(payments_attempt_is_open(attempt));
    memset(attempt, 0, sizeof(*attempt));
}

bool
payments_attempt_gives_up(struct payments_attempt *attempt)
{
    attempt->hopeless++;
    return attempt->hopeless >= PAYMENTS_HOPELESS_TRIES_MAX;
}

static int64_t
backoff_s(int64_t tries)
{
    enum {
        BACKOFF_MAX_S = 300
    };

    if (tries < 0 || tries > 8) {
        return BACKOFF_MAX_S;
    }
    return INT64_C(1) << tries;
}

int64_t
payments_attempt_again(struct resource_op *op, struct payments_attempt *attempt)
{
    int64_t after_s = backoff_s(attempt->tries);
    attempt->tries++;
    return (int64_t)resource_now_s(op) + after_s;
}
