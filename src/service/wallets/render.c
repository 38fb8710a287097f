/* How the objects look outside. */
#include "flow.h"

#include "json/json.h"

static void
metadata(struct json_writer *json, struct span value)
{
    json_member_raw(json, "metadata", value.size != 0 ? value : SPAN("{}"));
}

static void
render_balance(struct json_writer *json, const struct wallets_wallet *wallet)
{
    json_key(json, "balance");
    if (!wallet->balance_known) {
        json_null(json); /* shown inside something else: retrieve the wallet */
        return;
    }
    json_object_begin(json);
    json_member_i64(json, "available", wallet->posted - wallet->held);
    json_member_i64(json, "held", wallet->held);
    json_member_i64(json, "incoming", wallet->incoming);
    json_member_i64(json, "posted", wallet->posted);
    json_object_end(json);
}

static void
render_limit(
    struct json_writer *json,
    const char *name,
    int64_t limit,
    int64_t used,
    const struct currency *currency)
{
    int64_t left = used > limit ? 0 : limit - used;
    json_key(json, name);
    json_object_begin(json);
    json_member_i64(
        json, "limit", money_to_api((struct money){.amount = limit, .currency = currency}));
    json_member_i64(
        json, "remaining", money_to_api((struct money){.amount = left, .currency = currency}));
    json_object_end(json);
}

static void
render_direction(
    struct resource_render *render,
    const struct wallets_wallet *wallet,
    enum port_wallet_direction direction)
{
    struct json_writer *json = resource_render_json(render);
    struct resource_op *op = resource_render_op(render);
    const struct wallets *wallets = resource_op_service(op);
    const struct currency *currency = wallets_currency(wallet->currency);
    struct wallets_limit limit =
        wallets_limits_find(&wallets->limits, wallet->tier, direction, currency);
    struct wallets_usage usage = wallets_usage_at(
        direction == PORT_WALLET_OUT ? &wallet->out : &wallet->in, (int64_t)resource_now_s(op));
    json_object_begin(json);
    render_limit(json, "day", limit.day, usage.day_amount, currency);
    render_limit(json, "month", limit.month, usage.month_amount, currency);
    render_limit(json, "transaction", limit.transaction, 0, currency);
    json_object_end(json);
}

static void
render_limits(struct resource_render *render, const struct wallets_wallet *wallet)
{
    struct json_writer *json = resource_render_json(render);
    json_key(json, "limits");
    if (wallet->currency.size == 0) {
        json_null(json); /* the empty document of a trial */
        return;
    }
    json_object_begin(json);
    json_key(json, "in");
    render_direction(render, wallet, PORT_WALLET_IN);
    json_key(json, "out");
    render_direction(render, wallet, PORT_WALLET_OUT);
    json_object_end(json);
}

static const struct resource_type *
customer_type(struct resource_render *render)
{
    const struct wallets *wallets = resource_op_service(resource_render_op(render));
    return wallets->parts.customer_type;
}

void
wallets_wallet_render(struct resource_render *render, const void *document)
{
    const struct wallets_wallet *wallet = document;
    struct json_writer *json = resource_render_json(render);
    json_object_begin(json);
    resource_render_header(render, &wallets_wallet_type, wallet);
    render_balance(json, wallet);
    json_member_text(json, "currency", wallet->currency);
    resource_render_reference(render, "customer", customer_type(render), wallet->customer);
    json_member_text_or_null(json, "email", wallet->email);
    json_member_text_or_null(json, "handle", wallet->handle);
    render_limits(render, wallet);
    metadata(json, wallet->metadata);
    json_member_text_or_null(json, "phone", wallet->phone);
    json_member_text(json, "status", wallet->status);
    json_member_text(json, "tier", wallet->tier);
    json_object_end(json);
}

void
wallets_transfer_render(struct resource_render *render, const void *document)
{
    const struct wallets_transfer *transfer = document;
    struct json_writer *json = resource_render_json(render);
    json_object_begin(json);
    resource_render_header(render, &wallets_transfer_type, transfer);
    json_member_i64(json, "amount", transfer->amount);
    json_member_text(json, "currency", transfer->currency);
    json_member_text_or_null(json, "description", transfer->description);
    json_member_text_or_null(json, "failure_code", transfer->failure_code);
    json_member_text_or_null(json, "failure_message", transfer->failure_message);
    resource_render_reference(render, "from", &wallets_wallet_type, transfer->from);
    metadata(json, transfer->metadata);
    json_member_text(json, "status", transfer->status);
    resource_render_reference(render, "to", &wallets_wallet_type, transfer->to);
    json_object_end(json);
}
