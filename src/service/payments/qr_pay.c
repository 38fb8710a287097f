/*
 * A wallet's app has scanned a code: what does it say, and pay it.
 *
 *   reference pi_...     the intent that waits with that code    -> its authorization goes on
 *   reference qrc_...    a static code: an intent of its own     -> created and confirmed at once
 *
 * The code's word is checked against what stands behind the reference: anybody can write a code
 * with a right checksum.
 */
#include "qr.h"

#include "base/assert.h"
#include "handlers.h"
#include "json/json.h"

#define BODY_MAX 8192

struct scan {
    struct payments_flow *flow;
    struct payments_qr_content content;
    struct payments_qr_code *code; /* static; NULL: of an intent */
};

static bool
is_static(struct span reference)
{
    return span_starts_with(reference, span_from_cstr(payments_qr_code_type.prefix));
}

/* What is asked for, by whoever issued the code. NULL: answered. */
static struct payments_qr_code *
code_load(struct payments_flow *flow, struct span reference)
{
    void *found;
    err_t error = resource_load(flow->op, &payments_qr_code_type, reference, &found);
    if (error == ERR_NOT_FOUND) {
        resource_invalid(
            flow->op, "qr_code_unknown", "data", "Nothing here goes by the code's reference.");
        return NULL;
    }
    if (error != ERR_OK) {
        resource_internal(flow->op, error, "QR code");
        return NULL;
    }
    return found;
}

static bool
same_money(
    const struct payments_qr_content *content,
    bool has_amount,
    int64_t amount,
    struct span currency)
{
    const struct currency *own = currency_find(currency);
    struct money money;
    if (own != content->currency || has_amount != content->has_amount) {
        return false;
    }
    return !has_amount ||
           (money_from_api(amount, own, &money) == ERR_OK && money.amount == content->amount);
}

static bool
refuse_forged(struct resource_op *op)
{
    resource_invalid(
        op,
        "qr_code_forged",
        "data",
        "The code asks for other money than its merchant does. Do not pay it.");
    return false;
}

/* The static code that the text stands for, if it can be paid. NULL: answered. */
static struct payments_qr_code *
payable_code_load(struct payments_flow *flow, const struct payments_qr_content *content)
{
    struct payments_qr_code *code = code_load(flow, content->reference);
    if (code == NULL) {
        return NULL;
    }
    if (!same_money(content, code->amount != 0, code->amount, code->currency)) {
        (void)refuse_forged(flow->op);
        return NULL;
    }
    if (code->inactive) {
        resource_invalid(
            flow->op, "qr_code_inactive", "data", "The merchant has withdrawn this code.");
        return NULL;
    }
    return code;
}

/* Why the intent cannot be paid by its code now; true if it can. */
static bool
intent_is_payable(struct payments_flow *flow, const struct payments_qr_content *content)
{
    const struct payments_intent *intent = flow->intent;
    const char *code = "qr_code_expired";
    const char *message = "This code has expired. Ask the merchant for a new one.";
    if (!same_money(content, true, intent->amount, intent->currency)) {
        return refuse_forged(flow->op);
    }
    if (payments_waits_for(flow, PAYMENTS_WAITS_FOR_QR)) {
        return true;
    }
    if (span_equal_cstr(intent->status, "succeeded") ||
        span_equal_cstr(intent->status, "requires_capture")) {
        code = "qr_code_paid";
        message = "This code was paid already.";
    } else if (payments_attempt_is_open(&intent->attempt)) {
        code = "qr_code_busy";
        message = "This code is being paid at this moment.";
    } else if (span_equal_cstr(intent->status, "canceled")) {
        code = "qr_code_canceled";
        message = "The merchant has canceled this payment.";
    }
    resource_invalid(flow->op, code, "data", "%s", message);
    return false;
}

/* ------------------------------------------------------------------------------ a wallet pays ---
 */

static void
wallet_found(struct payments_flow *flow)
{
    struct scan *scan = flow->scan;
    struct resource_op *op = flow->op;
    if (flow->wallet.currency != scan->content.currency) {
        resource_invalid(
            op,
            "qr_code_currency",
            "wallet",
            "The code asks for %s, and the wallet holds %s.",
            scan->content.currency->api_code,
            flow->wallet.currency->api_code);
        return;
    }
    struct payments_method *method = resource_new(op, &payments_method_type);
    if (method == NULL) {
        resource_internal(op, ERR_FULL, "request memory");
        return;
    }
    method->of_code = true;
    method->wallet =
        arena_copy(resource_op_arena(op), span_from_cstr(flow->wallet.movement.wallet));
    flow->method = method;
    if (scan->code != NULL) {
        payments_authorize_begin(flow);
        return;
    }
    flow->intent->challenge.state = SPAN("passed");
    payments_authorize_proven(flow);
}

static void
look_up_wallet(struct payments_flow *flow)
{
    struct span wallet = SPAN_EMPTY;
    (void)resource_text(flow->op, "wallet", &wallet);
    payments_wallet_lookup(flow, wallet, "wallet", wallet_found);
}

static void
intent_locked(struct resource_op *op)
{
    struct payments_flow *flow = payments_flow_of(op);
    struct scan *scan = flow->scan;
    void *found;
    err_t error = resource_load(op, &payments_intent_type, scan->content.reference, &found);
    if (error == ERR_NOT_FOUND) {
        resource_invalid(
            op, "qr_code_unknown", "data", "Nothing here goes by the code's reference.");
        return;
    }
    if (!payments_intent_load(flow, scan->content.reference)) {
        return;
    }
    if (resource_present(op, "amount")) {
        resource_invalid(
            op, "parameter_unknown", "amount", "The code names its amount: it cannot be chosen.");
        return;
    }
    if (intent_is_payable(flow, &scan->content) &&
        resource_metadata(op, flow->intent->metadata, &flow->intent->metadata) == ERR_OK) {
        look_up_wallet(flow);
    }
}

/* The amount that the payer entered, or that the code has. False if answered. */
static bool
static_amount(struct payments_flow *flow, const struct payments_qr_code *code, int64_t *ret_amount)
{
    bool entered = resource_integer(flow->op, "amount", ret_amount);
    if (entered && code->amount != 0) {
        resource_invalid(
            flow->op,
            "parameter_unknown",
            "amount",
            "The code names its amount: it cannot be chosen.");
        return false;
    }
    if (!entered && code->amount == 0) {
        resource_invalid(
            flow->op,
            "parameter_missing",
            "amount",
            "The code leaves the amount to the payer: give one.");
        return false;
    }
    *ret_amount = entered ? *ret_amount : code->amount;
    return payments_amount_check(flow->op, *ret_amount, code->currency);
}

static void
static_locked(struct resource_op *op)
{
    look_up_wallet(payments_flow_of(op));
}

static void
pay_static(struct payments_flow *flow)
{
    struct scan *scan = flow->scan;
    struct resource_op *op = flow->op;
    int64_t amount;
    scan->code = payable_code_load(flow, &scan->content);
    if (scan->code == NULL) {
        return;
    }
    const struct payments_qr_code *code = scan->code;
    if (!static_amount(flow, code, &amount) || !payments_intent_new(flow, amount, code->currency)) {
        return;
    }
    struct payments_intent *intent = flow->intent;
    intent->qr_code = code->header.id;
    intent->description = code->description;
    (void)resource_text(op, "description", &intent->description);
    if (resource_metadata(op, code->metadata, &intent->metadata) == ERR_OK) {
        resource_lock(op, intent->header.id, static_locked);
    }
}

void
payments_qr_pay(struct resource_op *op)
{
    struct payments_flow *flow = payments_flow_create(op);
    struct scan *scan = ARENA_NEW(resource_op_arena(op), struct scan);
    if (flow == NULL) {
        return;
    }
    if (scan == NULL) {
        resource_internal(op, ERR_FULL, "request memory");
        return;
    }
    scan->flow = flow;
    flow->scan = scan;
    if (!payments_qr_read(op, &scan->content)) {
        return;
    }
    if (is_static(scan->content.reference)) {
        pay_static(flow);
    } else {
        resource_lock(op, scan->content.reference, intent_locked);
    }
}

/* ------------------------------------------------------------------------------- what it says ---
 */

static void
answer_decoded(struct resource_op *op, const struct payments_qr_content *content)
{
    struct buf body;
    struct json_writer json;
    buf_init(&body, BODY_MAX);
    json_begin(&json, &body);
    json_object_begin(&json);
    json_member_cstr(&json, "object", "qr_code.content");
    if (content->has_amount) {
        struct money money = {.amount = content->amount, .currency = content->currency};
        json_member_i64(&json, "amount", money_to_api(money));
    } else {
        json_member_null(&json, "amount");
    }
    json_member_cstr(&json, "currency", content->currency->api_code);
    json_member_text_or_null(
        &json, "payment_intent", is_static(content->reference) ? SPAN_EMPTY : content->reference);
    json_member_text_or_null(
        &json, "qr_code", is_static(content->reference) ? content->reference : SPAN_EMPTY);
    json_object_end(&json);
    resource_answer(op, 200, &body);
}

/* As much as paying would find out before it knows the wallet. */
void
payments_qr_decode(struct resource_op *op)
{
    struct payments_flow *flow = payments_flow_create(op);
    struct payments_qr_content content;
    if (flow == NULL || !payments_qr_read(op, &content)) {
        return;
    }
    if (is_static(content.reference)) {
        if (payable_code_load(flow, &content) == NULL) {
            return;
        }
    } else {
        void *found;
        err_t error = resource_load(op, &payments_intent_type, content.reference, &found);
        if (error == ERR_NOT_FOUND) {
            resource_invalid(
                op, "qr_code_unknown", "data", "Nothing here goes by the code's reference.");
            return;
        }
        if (!payments_intent_load(flow, content.reference) || !intent_is_payable(flow, &content)) {
            return;
        }
    }
    answer_decoded(op, &content);
}
