#include "flow.h"

#include "base/assert.h"

#include <string.h>

struct wallets_flow *
wallets_flow_create(struct resource_op *op)
{
    struct wallets_flow *flow = ARENA_NEW(resource_op_arena(op), struct wallets_flow);
    if (flow == NULL) {
        resource_internal(op, ERR_FULL, "request memory");
        return NULL;
    }
    flow->wallets = (struct wallets *)resource_op_service(op);
    flow->op = op;
    resource_op_set_state(op, flow);
    return flow;
}

const struct currency *
wallets_currency(struct span code)
{
    const struct currency *currency = currency_find(code);
    ASSERT(currency != NULL);
    return currency;
}

struct money
wallets_money(int64_t api_amount, struct span currency)
{
    struct money money;
    err_t error = money_from_api(api_amount, wallets_currency(currency), &money);
    ASSERT(error == ERR_OK);
    return money;
}

bool
wallets_amount(struct resource_op *op, const char *param, struct span currency, int64_t *ret_amount)
{
    int64_t amount = 0;
    (void)resource_integer(op, param, &amount);
    if (!resource_coins_check(op, param, amount, wallets_currency(currency))) {
        return false;
    }
    *ret_amount = amount;
    return true;
}

/* By which its trace is found, and for a transfer what a sweep links to. */
static void
remember_trace(struct wallets_flow *flow, const struct wallets_attempt *attempt)
{
    if (flow->transfer != NULL && attempt == &flow->transfer->attempt) {
        resource_trace_about(flow->op, "tael.wallet_transfer", flow->transfer->header.id);
        flow->transfer->trace = resource_trace_parent(flow->op);
    } else if (flow->withdrawal != NULL && attempt == &flow->withdrawal->attempt) {
        resource_trace_about(flow->op, "tael.wallet_withdrawal", flow->withdrawal->header.id);
    } else if (flow->hold != NULL && attempt == &flow->hold->attempt) {
        resource_trace_about(flow->op, "tael.wallet_hold", flow->hold->header.id);
    }
}

void
wallets_attempt_open(struct wallets_flow *flow, struct wallets_attempt *attempt, const char *kind)
{
    ASSERT(!wallets_attempt_is_open(attempt));
    memset(attempt, 0, sizeof(*attempt));
    attempt->kind = span_from_cstr(kind);
    attempt->key = resource_op_idempotency_key(flow->op);
    attempt->began = (int64_t)resource_now_s(flow->op);
    remember_trace(flow, attempt);
}

void
wallets_attempt_resume(struct wallets_flow *flow, const struct wallets_attempt *attempt)
{
    ASSERT(wallets_attempt_is_open(attempt));
    if (resource_op_request(flow->op) == NULL) {
        resource_trace_begin(
            flow->op,
            "resume wallet operation",
            flow->transfer == NULL ? SPAN_EMPTY : flow->transfer->trace);
    }
    if (attempt->key.size != 0) {
        resource_adopt_key(flow->op, attempt->key);
    }
}

void
wallets_attempt_close(struct wallets_attempt *attempt)
{
    ASSERT(wallets_attempt_is_open(attempt));
    memset(attempt, 0, sizeof(*attempt));
}

int64_t
wallets_attempt_again(struct wallets_flow *flow, struct wallets_attempt *attempt)
{
    enum {
        DOUBLINGS_MAX = 8,
        WAIT_MAX_S = 300
    };

    ASSERT(wallets_attempt_is_open(attempt));
    int64_t tries = attempt->tries++;
    int64_t wait_s = tries > DOUBLINGS_MAX ? WAIT_MAX_S : INT64_C(1) << tries;
    /* The answer that leaves now is the key's last word. */
    attempt->key = SPAN_EMPTY;
    return (int64_t)resource_now_s(flow->op) + wait_s;
}

int64_t
wallets_attempt_lease(struct wallets_flow *flow)
{
    return (int64_t)resource_now_s(flow->op) + flow->wallets->parts.settings.lease_s;
}
