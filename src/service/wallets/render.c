/* How the objects look outside. */
#include "flow.h"

#include "resource/bank_account.h"
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

static void
text_or_null(struct json_writer *json, const char *name, struct span text)
{
    json_member_text_or_null(json, name, text);
}

static void
render_wallet(struct resource_render *render, const char *name, struct span id)
{
    resource_render_reference(render, name, &wallets_wallet_type, id);
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
    text_or_null(json, "description", transfer->description);
    text_or_null(json, "failure_code", transfer->failure_code);
    text_or_null(json, "failure_message", transfer->failure_message);
    render_wallet(render, "from", transfer->from);
    metadata(json, transfer->metadata);
    resource_render_reference(render, "request", &wallets_request_type, transfer->request);
    json_member_text(json, "status", transfer->status);
    render_wallet(render, "to", transfer->to);
    json_object_end(json);
}

void
wallets_request_render(struct resource_render *render, const void *document)
{
    const struct wallets_request *request = document;
    struct json_writer *json = resource_render_json(render);
    bool processing = request->transfer.size != 0 && span_equal_cstr(request->status, "open");
    json_object_begin(json);
    resource_render_header(render, &wallets_request_type, request);
    json_member_i64(json, "amount", request->amount);
    json_member_text(json, "currency", request->currency);
    text_or_null(json, "description", request->description);
    json_member_i64(json, "expires_at", request->expires_at);
    render_wallet(render, "from", request->from);
    metadata(json, request->metadata);
    json_member_text(json, "status", processing ? SPAN("processing") : request->status);
    render_wallet(render, "to", request->to);
    resource_render_reference(render, "transfer", &wallets_transfer_type, request->transfer);
    json_object_end(json);
}

/* While an attempt is open its outcome is not known, whatever the hold was before it. */
static struct span
hold_status(const struct wallets_hold *hold)
{
    return wallets_attempt_is_open(&hold->attempt) ? SPAN("pending") : hold->status;
}

void
wallets_hold_render(struct resource_render *render, const void *document)
{
    const struct wallets_hold *hold = document;
    struct json_writer *json = resource_render_json(render);
    bool active = span_equal_cstr(hold->status, "active");
    json_object_begin(json);
    resource_render_header(render, &wallets_hold_type, hold);
    json_member_i64(json, "amount", hold->amount);
    json_member_i64(json, "amount_capturable", active ? hold->amount : 0);
    json_member_i64(json, "amount_captured", hold->amount_captured);
    json_member_text(json, "currency", hold->currency);
    text_or_null(json, "description", hold->description);
    json_key(json, "expires_at");
    if (hold->expires_at != 0) {
        json_i64(json, hold->expires_at);
    } else {
        json_null(json);
    }
    text_or_null(json, "failure_code", hold->failure_code);
    text_or_null(json, "failure_message", hold->failure_message);
    render_wallet(render, "from", hold->from);
    metadata(json, hold->metadata);
    json_member_text(json, "status", hold_status(hold));
    render_wallet(render, "to", hold->to);
    json_object_end(json);
}

static void
render_bank_account(struct json_writer *json, const struct wallets_withdrawal *withdrawal)
{
    json_key(json, "bank_account");
    json_object_begin(json);
    text_or_null(json, "account_holder_name", withdrawal->account_holder_name);
    text_or_null(json, "country", withdrawal->country);
    json_member_text(json, "last4", resource_bank_last4(withdrawal->account_number));
    text_or_null(json, "routing_number", withdrawal->routing_number);
    json_object_end(json);
}

void
wallets_withdrawal_render(struct resource_render *render, const void *document)
{
    const struct wallets_withdrawal *withdrawal = document;
    struct json_writer *json = resource_render_json(render);
    json_object_begin(json);
    resource_render_header(render, &wallets_withdrawal_type, withdrawal);
    json_member_i64(json, "amount", withdrawal->amount);
    render_bank_account(json, withdrawal);
    json_member_text(json, "currency", withdrawal->currency);
    text_or_null(json, "description", withdrawal->description);
    text_or_null(json, "failure_code", withdrawal->failure_code);
    text_or_null(json, "failure_message", withdrawal->failure_message);
    metadata(json, withdrawal->metadata);
    json_key(json, "paid_at");
    if (withdrawal->paid_at != 0) {
        json_i64(json, withdrawal->paid_at);
    } else {
        json_null(json);
    }
    bool returned = span_equal_cstr(withdrawal->status, "returned");
    bool has_it = returned && !wallets_withdrawal_is_in_suspense(withdrawal);
    text_or_null(
        json,
        "returned_to",
        !has_it                   ? SPAN_EMPTY
        : withdrawal->in_suspense ? withdrawal->given_to
                                  : withdrawal->wallet);
    text_or_null(json, "statement_descriptor", withdrawal->statement_descriptor);
    json_member_text(json, "status", withdrawal->status);
    render_wallet(render, "wallet", withdrawal->wallet);
    json_object_end(json);
}
