/*
 * Requests for money.
 *
 *        create
 *          |            decline, cancel, time
 *          v           ------------------------> declined, canceled, expired
 *        open
 *          |  ^  the transfer failed
 *      pay v  |
 *      (open, with a transfer: shown as processing)
 *          |
 *          v  the transfer succeeded
 *        paid
 *
 * The transfer that pays a request runs under the request's lock, and ends it in its own last
 * transaction (transfer.c).
 */
#include "flow.h"

#include "base/assert.h"
#include "resource/pages.h"

enum {
    DAY_S = 24 * 3600,
    EXPIRES_DEFAULT_S = 7 * DAY_S,
    EXPIRES_MAX_S = 365 * DAY_S,
    /* Past its time, but somebody pays it: looked at again after this. */
    AGAIN_S = 60,
};

static err_t
save_and_emit(struct wallets_flow *flow, const char *event)
{
    struct wallets_request *request = flow->request;
    TRY(resource_save(flow->op, &wallets_request_type, request));
    return resource_emit(flow->op, event, &wallets_request_type, request, SPAN_EMPTY);
}

static void
save_and_answer(struct wallets_flow *flow, const char *event)
{
    err_t error = save_and_emit(flow, event);
    if (error != ERR_OK) {
        resource_internal(flow->op, error, "wallet request");
        return;
    }
    resource_answer_object(flow->op, &wallets_request_type, flow->request);
}

/* ------------------------------------------------------------------------------- creation --- */

static bool
read_expiry(struct wallets_flow *flow)
{
    int64_t now_s = (int64_t)resource_now_s(flow->op);
    int64_t expires_at = now_s + EXPIRES_DEFAULT_S;
    (void)resource_integer(flow->op, "expires_at", &expires_at);
    if (expires_at <= now_s || expires_at > now_s + EXPIRES_MAX_S) {
        resource_invalid(
            flow->op,
            "parameter_invalid_integer",
            "expires_at",
            "The expiry of a request must lie between now and a year from now.");
        return false;
    }
    flow->request->expires_at = expires_at;
    flow->request->due = expires_at;
    return true;
}

void
wallets_request_create(struct resource_op *op)
{
    struct span currency = SPAN_EMPTY;
    struct wallets_flow *flow = wallets_flow_create(op);
    if (flow == NULL) {
        return;
    }
    struct wallets_request *request = resource_new(op, &wallets_request_type);
    if (request == NULL) {
        resource_internal(op, ERR_FULL, "request memory");
        return;
    }
    flow->request = request;
    (void)resource_text(op, "currency", &currency);
    (void)resource_text(op, "description", &request->description);
    request->currency = span_from_cstr(wallets_currency(currency)->api_code);
    request->status = SPAN("open");
    if (!wallets_amount(op, "amount", request->currency, &request->amount) || !read_expiry(flow) ||
        resource_metadata(op, SPAN_EMPTY, &request->metadata) != ERR_OK) {
        return;
    }
    const struct wallets_wallet *to = wallets_wallet_named(op, "to", request->currency);
    const struct wallets_wallet *from =
        to == NULL ? NULL : wallets_wallet_named(op, "from", request->currency);
    if (from == NULL) {
        return;
    }
    if (span_equal(from->header.id, to->header.id)) {
        resource_invalid(
            op, "wallet_transfer_to_itself", "from", "A wallet cannot ask itself for money.");
        return;
    }
    request->from = from->header.id;
    request->to = to->header.id;
    save_and_answer(flow, "wallet_request.created");
}

/* ------------------------------------------------------------------------------ its states --- */

/* A flow with the path's request; NULL: answered. Under its lock. */
static struct wallets_flow *
load_locked(struct resource_op *op)
{
    struct wallets_flow *flow = wallets_flow_create(op);
    if (flow == NULL) {
        return NULL;
    }
    flow->request = resource_require(op, &wallets_request_type, "id", resource_op_capture(op, 0));
    return flow->request != NULL ? flow : NULL;
}

static bool
is_open(const struct wallets_request *request)
{
    return span_equal_cstr(request->status, "open") && request->transfer.size == 0;
}

/* As load_locked, if it is open and not past its time. */
static struct wallets_flow *
load_open(struct resource_op *op, const char *verb)
{
    struct wallets_flow *flow = load_locked(op);
    if (flow == NULL) {
        return NULL;
    }
    const struct wallets_request *request = flow->request;
    bool expired = request->expires_at <= (int64_t)resource_now_s(op);
    if (!is_open(request) || expired) {
        struct span shown = request->transfer.size != 0 && span_equal_cstr(request->status, "open")
                                ? SPAN("processing")
                            : is_open(request) ? SPAN("expired")
                                               : request->status;
        resource_invalid(
            op,
            span_equal_cstr(shown, "expired") ? "wallet_request_expired"
                                              : "wallet_request_unexpected_state",
            NULL,
            "You cannot %s this wallet request because it has a status of %.*s.",
            verb,
            SPAN_PRINTF(shown));
        return NULL;
    }
    return flow;
}

static void
pay_locked(struct resource_op *op)
{
    struct wallets_wallet *from = NULL;
    struct wallets_wallet *to = NULL;
    struct wallets_flow *flow = load_open(op, "pay");
    if (flow == NULL || wallets_transfer_new(flow) == NULL) {
        return;
    }
    const struct wallets_request *request = flow->request;
    struct wallets_transfer *transfer = flow->transfer;
    transfer->amount = request->amount;
    transfer->currency = request->currency;
    transfer->description = request->description;
    transfer->request = request->header.id;
    err_t error = wallets_wallet_load(op, request->from, &from);
    if (error == ERR_OK) {
        error = wallets_wallet_load(op, request->to, &to);
    }
    if (error != ERR_OK) {
        resource_internal(op, error, "wallets of a request");
        return;
    }
    wallets_transfer_begin(flow, from, to);
}

void
wallets_request_pay(struct resource_op *op)
{
    resource_lock(op, resource_op_capture(op, 0), pay_locked);
}

err_t
wallets_request_settle(struct wallets_flow *flow)
{
    struct wallets_request *request = flow->request;
    ASSERT(span_equal_cstr(request->status, "open"));
    if (span_equal_cstr(flow->transfer->status, "succeeded")) {
        request->status = SPAN("paid");
        request->due = 0;
        return save_and_emit(flow, "wallet_request.paid");
    }
    request->transfer = SPAN_EMPTY;
    return resource_save(flow->op, &wallets_request_type, request);
}

static void
end(struct wallets_flow *flow, struct span status, const char *event)
{
    flow->request->status = status;
    flow->request->due = 0;
    save_and_answer(flow, event);
}

static void
decline_locked(struct resource_op *op)
{
    struct wallets_flow *flow = load_open(op, "decline");
    if (flow != NULL) {
        end(flow, SPAN("declined"), "wallet_request.declined");
    }
}

static void
cancel_locked(struct resource_op *op)
{
    struct wallets_flow *flow = load_open(op, "cancel");
    if (flow != NULL) {
        end(flow, SPAN("canceled"), "wallet_request.canceled");
    }
}

void
wallets_request_decline(struct resource_op *op)
{
    resource_lock(op, resource_op_capture(op, 0), decline_locked);
}

void
wallets_request_cancel(struct resource_op *op)
{
    resource_lock(op, resource_op_capture(op, 0), cancel_locked);
}

void
wallets_request_drive(struct wallets_flow *flow)
{
    struct wallets_request *request = flow->request;
    int64_t now_s = (int64_t)resource_now_s(flow->op);
    if (request->expires_at > now_s) {
        resource_finish(flow->op);
        return;
    }
    if (is_open(request)) {
        end(flow, SPAN("expired"), "wallet_request.expired");
        return;
    }
    request->due = now_s + AGAIN_S;
    err_t error = resource_save(flow->op, &wallets_request_type, request);
    if (error != ERR_OK) {
        resource_internal(flow->op, error, "wallet request");
        return;
    }
    resource_finish(flow->op);
}

/* ---------------------------------------------------------------------------- other routes --- */

void
wallets_request_retrieve(struct resource_op *op)
{
    resource_answer_retrieve(op, &wallets_request_type, resource_op_capture(op, 0));
}

static void
update_locked(struct resource_op *op)
{
    struct wallets_flow *flow = load_locked(op);
    if (flow == NULL) {
        return;
    }
    struct wallets_request *request = flow->request;
    (void)resource_text(op, "description", &request->description);
    if (resource_metadata(op, request->metadata, &request->metadata) == ERR_OK) {
        save_and_answer(flow, "wallet_request.updated");
    }
}

void
wallets_request_update(struct resource_op *op)
{
    resource_lock(op, resource_op_capture(op, 0), update_locked);
}

void
wallets_request_list(struct resource_op *op)
{
    static const struct resource_list_filter filters[] = {
        {"wallet", RESOURCE_EITHER(WALLETS_REQUEST_FROM, WALLETS_REQUEST_TO)},
        {"status", WALLETS_REQUEST_STATUS},
    };
    resource_answer_list(op, &wallets_request_type, "/v1/wallet_requests", filters, 2);
}
