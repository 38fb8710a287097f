/* Status and limits: may an amount move, and how much of the limits it takes. */
#include "flow.h"

#include "base/assert.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const char *
limit_code(enum wallets_limit_kind kind)
{
    switch (kind) {
    case WALLETS_LIMIT_TRANSACTION:
        return "wallet_limit_transaction";
    case WALLETS_LIMIT_DAY:
        return "wallet_limit_day";
    case WALLETS_LIMIT_MONTH:
        return "wallet_limit_month";
    case WALLETS_LIMIT_NONE:
        break;
    }
    UNREACHABLE();
}

__attribute__((format(printf, 3, 4))) static bool
refuse(struct wallets_refusal *ret_refusal, const char *code, const char *format, ...)
{
    struct buf message;
    char text[PORT_WALLET_MESSAGE_SIZE * 2];
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    ASSERT(length >= 0 && length < PORT_WALLET_MESSAGE_SIZE);
    ret_refusal->code = code;
    buf_init_fixed(&message, ret_refusal->message, sizeof(ret_refusal->message));
    buf_append(&message, text, (size_t)length + 1);
    return false;
}

static bool
check_status(const struct wallets_wallet *wallet, struct wallets_refusal *ret_refusal)
{
    struct span id = wallet->header.id;
    if (span_equal_cstr(wallet->status, "closed") || wallets_attempt_is_open(&wallet->attempt)) {
        return refuse(ret_refusal, "wallet_closed", "Wallet %.*s is closed.", SPAN_PRINTF(id));
    }
    if (span_equal_cstr(wallet->status, "frozen")) {
        return refuse(ret_refusal, "wallet_frozen", "Wallet %.*s is frozen.", SPAN_PRINTF(id));
    }
    return true;
}

static bool
check_limits(
    const struct wallets *wallets,
    const struct wallets_wallet *wallet,
    enum port_wallet_direction direction,
    struct money amount,
    int64_t now_s,
    struct wallets_refusal *ret_refusal)
{
    struct wallets_limit limit =
        wallets_limits_find(&wallets->limits, wallet->tier, direction, amount.currency);
    const struct wallets_usage *usage = direction == PORT_WALLET_OUT ? &wallet->out : &wallet->in;
    struct money left = {.currency = amount.currency};
    enum wallets_limit_kind exceeded =
        wallets_limit_check(&limit, usage, amount.amount, now_s, &left.amount);
    if (exceeded == WALLETS_LIMIT_NONE) {
        return true;
    }
    char text[MONEY_TEXT_SIZE];
    money_format(left, text);
    return refuse(
        ret_refusal,
        limit_code(exceeded),
        "The limit of wallet %.*s for money going %s is exceeded: %s can still move %s.",
        SPAN_PRINTF(wallet->header.id),
        direction == PORT_WALLET_OUT ? "out" : "in",
        text,
        exceeded == WALLETS_LIMIT_DAY     ? "today"
        : exceeded == WALLETS_LIMIT_MONTH ? "this month"
                                          : "at once");
}

bool
wallets_may_move(
    const struct wallets *wallets,
    const struct wallets_wallet *wallet,
    enum port_wallet_direction direction,
    struct money amount,
    int64_t now_s,
    struct wallets_refusal *ret_refusal)
{
    ASSERT(amount.amount > 0);
    const struct currency *currency = wallets_currency(wallet->currency);
    if (!check_status(wallet, ret_refusal)) {
        return false;
    }
    if (currency != amount.currency) {
        return refuse(
            ret_refusal,
            "wallet_currency_mismatch",
            "Wallet %.*s holds %s, not %s.",
            SPAN_PRINTF(wallet->header.id),
            currency->code,
            amount.currency->code);
    }
    return check_limits(wallets, wallet, direction, amount, now_s, ret_refusal);
}

void
wallets_count(
    struct wallets_wallet *wallet,
    enum port_wallet_direction direction,
    int64_t minor_units,
    int64_t now_s)
{
    struct wallets_usage *usage = direction == PORT_WALLET_OUT ? &wallet->out : &wallet->in;
    wallets_usage_add(usage, minor_units, now_s);
}

err_t
wallets_uncount(
    struct resource_op *op,
    struct span id,
    enum port_wallet_direction direction,
    struct money amount,
    int64_t then_s)
{
    struct wallets_wallet *wallet;
    TRY(wallets_wallet_load(op, id, &wallet));
    struct wallets_usage *usage = direction == PORT_WALLET_OUT ? &wallet->out : &wallet->in;
    wallets_usage_take(usage, amount.amount, then_s);
    return resource_save(op, &wallets_wallet_type, wallet);
}

static bool
answer_refusal(struct wallets_flow *flow, const struct wallets_refusal *refusal)
{
    resource_invalid(flow->op, refusal->code, "amount", "%s", refusal->message);
    return false;
}

static err_t
count_and_save(
    struct wallets_flow *flow,
    struct wallets_wallet *wallet,
    enum port_wallet_direction direction,
    struct money amount)
{
    if (wallet == NULL) {
        return ERR_OK;
    }
    wallets_count(wallet, direction, amount.amount, (int64_t)resource_now_s(flow->op));
    return resource_save(flow->op, &wallets_wallet_type, wallet);
}

bool
wallets_reserve_both(
    struct wallets_flow *flow,
    struct wallets_wallet *from,
    struct wallets_wallet *to,
    struct money amount)
{
    struct wallets_refusal refusal;
    int64_t now_s = (int64_t)resource_now_s(flow->op);
    if (from != NULL &&
        !wallets_may_move(flow->wallets, from, PORT_WALLET_OUT, amount, now_s, &refusal)) {
        return answer_refusal(flow, &refusal);
    }
    if (to != NULL &&
        !wallets_may_move(flow->wallets, to, PORT_WALLET_IN, amount, now_s, &refusal)) {
        return answer_refusal(flow, &refusal);
    }
    err_t error = count_and_save(flow, from, PORT_WALLET_OUT, amount);
    if (error == ERR_OK) {
        error = count_and_save(flow, to, PORT_WALLET_IN, amount);
    }
    if (error != ERR_OK) {
        resource_internal(flow->op, error, "wallet limits");
        return false;
    }
    return true;
}

struct later {
    struct port_wallet *port;
    struct port_wallet_movement movement;
};

static void
release_later(void *context)
{
    struct later *later = context;
    later->port->release(later->port, &later->movement);
}

/* In an operation of its own, behind this one. */
static err_t
uncount_later(
    struct resource_op *op,
    struct span id,
    enum port_wallet_direction direction,
    struct money amount,
    int64_t then_s)
{
    struct wallets *wallets = resource_op_service(op);
    struct later *later = ARENA_NEW(resource_op_arena(op), struct later);
    if (later == NULL) {
        return ERR_FULL;
    }
    *later = (struct later){
        .port = &wallets->port,
        .movement = {
            .scope = resource_op_caller(op)->scope,
            .direction = direction,
            .amount = amount,
            .reserved_at = then_s,
        }};
    ASSERT(id.size < sizeof(later->movement.wallet));
    memcpy(later->movement.wallet, id.data, id.size);
    return resource_op_when_done(op, release_later, later);
}

/*
 * What will not move is counted no more. In the same transaction, unless other processes write the
 * same wallets: then the one that says how a movement ended must not lose against them, because the
 * books have moved already.
 */
err_t
wallets_release_both(
    struct resource_op *op, struct span from, struct span to, struct money amount, int64_t then_s)
{
    const struct wallets *wallets = resource_op_service(op);
    bool shared = resource_is_shared(wallets->parts.runtime);
    if (amount.amount == 0) {
        return ERR_OK;
    }
    if (shared && from.size != 0) {
        TRY(uncount_later(op, from, PORT_WALLET_OUT, amount, then_s));
    }
    if (shared) {
        return to.size == 0 ? ERR_OK : uncount_later(op, to, PORT_WALLET_IN, amount, then_s);
    }
    if (from.size != 0) {
        TRY(wallets_uncount(op, from, PORT_WALLET_OUT, amount, then_s));
    }
    return to.size == 0 ? ERR_OK : wallets_uncount(op, to, PORT_WALLET_IN, amount, then_s);
}
