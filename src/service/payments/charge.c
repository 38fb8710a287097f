/* Charges and balance transactions: made by the flows, shown by the routes. */
#include "flow.h"
#include "handlers.h"

#include "base/assert.h"
#include "resource/pages.h"
#include "json/json.h"

#include <string.h>

#define DETAILS_SIZE_MAX 4096

static const char *
check_name(enum port_rail_check check)
{
    switch (check) {
    case PORT_RAIL_CHECK_NONE:
        return "";
    case PORT_RAIL_CHECK_PASS:
        return "pass";
    case PORT_RAIL_CHECK_FAIL:
        return "fail";
    case PORT_RAIL_CHECK_UNAVAILABLE:
        return "unavailable";
    }
    UNREACHABLE();
}

/* What the issuer did not look at this time stays as it was found before. */
static void
keep_check(struct span *kept, enum port_rail_check check)
{
    if (check != PORT_RAIL_CHECK_NONE) {
        *kept = span_from_cstr(check_name(check));
    }
}

void
payments_charge_checks(struct payments_flow *flow)
{
    struct payments_method *method = flow->method;
    const struct port_rail_answer *answer = &flow->rail.answer;
    keep_check(&method->cvc_check, answer->cvc_check);
    keep_check(&method->address_check, answer->address_check);
    keep_check(&method->postal_code_check, answer->postal_code_check);
}

static struct span
arena_text(struct resource_op *op, const char *text)
{
    return arena_copy(resource_op_arena(op), span_from_cstr(text));
}

/* A JSON object built in the arena. */
static void
details_begin(struct resource_op *op, struct buf *buf, struct json_writer *json)
{
    void *memory = arena_alloc(resource_op_arena(op), DETAILS_SIZE_MAX);
    buf_init_fixed(buf, memory, memory == NULL ? 0 : DETAILS_SIZE_MAX);
    json_begin(json, buf);
    json_object_begin(json);
}

static bool
details_end(struct resource_op *op, struct buf *buf, struct json_writer *json, struct span *ret)
{
    json_object_end(json);
    if (buf_failed(buf)) {
        resource_internal(op, ERR_FULL, "charge details");
        return false;
    }
    *ret = buf_span(buf);
    return true;
}

/* EMV 3-D Secure's electronic commerce indicator; Mastercard counts otherwise. */
static const char *
commerce_indicator(const struct payments_method *method, bool authenticated)
{
    bool mastercard = span_equal_cstr(method->network, "mastercard");
    if (authenticated) {
        return mastercard ? "02" : "05";
    }
    return mastercard ? "01" : "06";
}

/* The directory server's name of the transaction, in the shape of a UUID. */
static struct span
proof_transaction(const struct payments_flow *flow)
{
    struct span proof =
        flow->intent != NULL ? flow->intent->attempt.proof : flow->setup->attempt.proof;
    u128 id = resource_derived_id(payments_unhex(proof), "3ds transaction");
    uint64_t high = u128_high(id);
    uint64_t low = u128_low(id);
    return arena_format(
        resource_op_arena(flow->op),
        "%08llx-%04llx-4%03llx-8%03llx-%012llx",
        (unsigned long long)(high >> 32),
        (unsigned long long)(high >> 16 & 0xffff),
        (unsigned long long)(high & 0xfff),
        (unsigned long long)(low >> 48 & 0xfff),
        (unsigned long long)(low & 0xffffffffffff));
}

void
payments_proof_write(const struct payments_flow *flow, struct json_writer *json, bool charge)
{
    static const struct {
        const char *result, *reason;
    } texts[] = {
        [PORT_RAIL_PROOF_NONE] = {NULL, NULL},
        [PORT_RAIL_PROOF_AUTHENTICATED] = {"authenticated", NULL},
        [PORT_RAIL_PROOF_ATTEMPTED] = {"attempt_acknowledged", "card_not_enrolled"},
        [PORT_RAIL_PROOF_NOT_SUPPORTED] = {"not_supported", "network_not_supported"},
        [PORT_RAIL_PROOF_ERROR] = {"processing_error", "protocol_error"},
    };
    enum port_rail_proof proof = flow->rail.answer.proof;
    bool authenticated = proof == PORT_RAIL_PROOF_AUTHENTICATED;
    bool rated = authenticated || proof == PORT_RAIL_PROOF_ATTEMPTED;
    json_key(json, "three_d_secure");
    if (proof == PORT_RAIL_PROOF_NONE) {
        json_null(json);
        return;
    }
    json_object_begin(json);
    json_member_text_or_null(
        json, "authentication_flow", authenticated ? SPAN("challenge") : SPAN_EMPTY);
    json_member_text_or_null(
        json,
        "electronic_commerce_indicator",
        rated ? span_from_cstr(commerce_indicator(flow->method, authenticated)) : SPAN_EMPTY);
    if (charge) {
        json_member_null(json, "exemption_indicator");
    }
    json_member_cstr(json, "result", texts[proof].result);
    json_member_text_or_null(json, "result_reason", span_from_cstr(texts[proof].reason));
    json_member_text_or_null(
        json, "transaction_id", authenticated ? proof_transaction(flow) : SPAN_EMPTY);
    json_member_text_or_null(json, "version", rated ? SPAN("2.2.0") : SPAN_EMPTY);
    json_object_end(json);
}

/* What details of a card begin with; a larger amount takes its place later. */
static const char details_head[] = "{\"card\":{\"amount_authorized\":";

void
payments_charge_authorized(struct payments_flow *flow, int64_t amount)
{
    struct payments_charge *charge = flow->charge;
    struct span details = charge->payment_method_details;
    ASSERT(span_starts_with(details, span_from_cstr(details_head)));
    size_t rest = span_find(details, ',', 0);
    charge->amount = amount;
    charge->payment_method_details = arena_format(
        resource_op_arena(flow->op),
        "%s%lld%.*s",
        details_head,
        (long long)amount,
        SPAN_PRINTF(span_slice(details, rest, details.size)));
}

/* Networks on which an authorization can grow. */
static bool
network_increments(struct span network)
{
    return span_equal_cstr(network, "visa") || span_equal_cstr(network, "mastercard") ||
           span_equal_cstr(network, "amex") || span_equal_cstr(network, "discover");
}

static bool
build_wallet_details(struct payments_flow *flow)
{
    struct buf buf;
    struct json_writer json;
    details_begin(flow->op, &buf, &json);
    json_member_cstr(&json, "type", "wallet");
    json_key(&json, "wallet");
    json_object_begin(&json);
    json_member_text(&json, "id", flow->method->wallet);
    json_object_end(&json);
    return details_end(flow->op, &buf, &json, &flow->charge->payment_method_details);
}

static bool
build_card_details(struct payments_flow *flow)
{
    const struct payments_method *method = flow->method;
    const struct port_rail_answer *answer = &flow->rail.answer;
    struct buf buf;
    struct json_writer json;
    details_begin(flow->op, &buf, &json);
    json_key(&json, "card");
    json_object_begin(&json);
    json_member_i64(&json, "amount_authorized", flow->charge->amount - flow->charge->split_amount);
    json_member_text_or_null(
        &json, "authorization_code", span_from_cstr(answer->authorization_code));
    json_member_text(&json, "brand", method->brand);
    if (flow->intent->capture_before != 0) {
        json_member_i64(&json, "capture_before", flow->intent->capture_before);
    }
    json_key(&json, "checks");
    json_object_begin(&json);
    json_member_text_or_null(&json, "address_line1_check", method->address_check);
    json_member_text_or_null(&json, "address_postal_code_check", method->postal_code_check);
    json_member_text_or_null(&json, "cvc_check", method->cvc_check);
    json_object_end(&json);
    json_member_text_or_null(&json, "country", method->country);
    json_member_i64(&json, "exp_month", method->exp_month);
    json_member_i64(&json, "exp_year", method->exp_year);
    json_member_text_or_null(&json, "fingerprint", method->fingerprint);
    json_member_text(&json, "funding", method->funding);
    if (flow->intent->capture_before != 0) {
        json_key(&json, "incremental_authorization");
        json_object_begin(&json);
        json_member_cstr(
            &json, "status", flow->charge->incrementable ? "available" : "unavailable");
        json_object_end(&json);
    }
    json_member_null(&json, "installments");
    json_member_text(&json, "last4", method->last4);
    json_member_null(&json, "mandate");
    json_member_text_or_null(&json, "network", method->network);
    json_member_text_or_null(
        &json, "network_transaction_id", span_from_cstr(answer->network_transaction_id));
    payments_proof_write(flow, &json, true);
    json_member_null(&json, "wallet");
    json_object_end(&json);
    json_member_cstr(&json, "type", "card");
    return details_end(flow->op, &buf, &json, &flow->charge->payment_method_details);
}

/* What was said of a payment that was not made. */
static struct span
outcome_reason(const struct payments_flow *flow, bool blocked)
{
    const struct port_rail_answer *answer = &flow->rail.answer;
    if (flow->risk.kind == PAYMENTS_RISK_BLOCKED) {
        return SPAN("rule");
    }
    if (blocked && strcmp(answer->risk_level, "highest") == 0) {
        return SPAN("highest_risk_level");
    }
    return span_from_cstr(answer->decline_code);
}

static const char *
seller_message(const struct payments_flow *flow, bool approved, bool blocked)
{
    if (approved) {
        return "Payment complete.";
    }
    if (flow->risk.kind == PAYMENTS_RISK_BLOCKED) {
        return "A rule of yours blocked this payment.";
    }
    if (blocked && strcmp(flow->rail.answer.risk_level, "highest") == 0) {
        return "This payment was blocked as too risky.";
    }
    return "The bank did not return any further details with this decline.";
}

static void
write_risk(const struct payments_flow *flow, struct json_writer *json)
{
    const struct port_rail_answer *answer = &flow->rail.answer;
    json_member_cstr(
        json, "risk_level", answer->risk_level[0] != '\0' ? answer->risk_level : "normal");
    if (flow->risk.kind == PAYMENTS_RISK_BLOCKED) {
        json_member_text(json, "rule", flow->risk.rule); /* nobody gave it a score */
    } else {
        json_member_i64(json, "risk_score", answer->risk_score);
    }
}

static bool
build_outcome(struct payments_flow *flow, bool approved)
{
    const struct port_rail_answer *answer = &flow->rail.answer;
    bool blocked = answer->decline_code[0] != '\0' && answer->network_code[0] == '\0';
    struct buf buf;
    struct json_writer json;
    details_begin(flow->op, &buf, &json);
    json_member_text_or_null(&json, "advice_code", span_from_cstr(answer->advice_code));
    json_member_null(&json, "network_advice_code");
    json_member_text_or_null(
        &json,
        "network_decline_code",
        approved ? SPAN_EMPTY : span_from_cstr(answer->network_code));
    json_member_cstr(
        &json,
        "network_status",
        approved  ? "approved_by_network"
        : blocked ? "not_sent_to_network"
                  : "declined_by_network");
    json_member_text_or_null(
        &json, "reason", approved ? SPAN_EMPTY : outcome_reason(flow, blocked));
    write_risk(flow, &json);
    json_member_cstr(&json, "seller_message", seller_message(flow, approved, blocked));
    json_member_cstr(
        &json,
        "type",
        approved  ? "authorized"
        : blocked ? "blocked"
                  : "issuer_declined");
    return details_end(flow->op, &buf, &json, &flow->charge->outcome);
}

bool
payments_charge_build(struct payments_flow *flow)
{
    const struct payments_intent *intent = flow->intent;
    const struct port_rail_answer *answer = &flow->rail.answer;
    bool approved = answer->outcome == PORT_RAIL_APPROVED;
    struct payments_charge *charge = resource_new(flow->op, &payments_charge_type);
    if (charge == NULL) {
        resource_internal(flow->op, ERR_FULL, "request memory");
        return false;
    }
    flow->charge = charge;
    payments_charge_checks(flow);
    charge->header.id = intent->attempt.charge;
    /* Of its attempt's beginning, though it was finished much later. */
    charge->header.created = resource_created_of(&payments_charge_type, intent->attempt.charge);
    charge->amount = intent->attempt.amount;
    charge->currency = intent->currency;
    charge->status = approved ? SPAN("succeeded") : SPAN("failed");
    charge->paid = approved;
    charge->customer = intent->customer;
    charge->payment_intent = intent->header.id;
    charge->payment_method = flow->method->header.id;
    charge->billing_details = flow->method->billing_details;
    charge->shipping = intent->shipping;
    charge->description = intent->description;
    charge->receipt_email = intent->receipt_email;
    payments_charge_describe(charge, intent);
    charge->metadata = intent->metadata;
    charge->transfer_group = intent->transfer_group;
    charge->transfer_destination = intent->transfer_destination;
    charge->wallet = flow->method->wallet;
    charge->split_wallet = intent->split_wallet;
    charge->split_amount = intent->split_amount;
    charge->split_reserved_at = payments_is_split(intent) ? flow->reserved_at : 0;
    charge->straight_to_available = answer->straight_to_available;
    charge->authorization =
        payments_hex(flow->op, resource_derived_id(flow->attempt_id, "authorize"));
    charge->incrementable =
        approved && intent->capture_before != 0 &&
        span_equal_cstr(intent->request_incremental_authorization, "if_available") &&
        network_increments(flow->method->network) &&
        /* A wallet's limits were reserved for this amount, and participants agreed to it. */
        intent->transfer_destination.size == 0 && !payments_is_split(intent) &&
        intent->transaction.size == 0;
    if (!approved) {
        charge->failure_code = arena_text(flow->op, answer->error_code);
        charge->failure_message = SPAN("Your card was declined.");
    }
    bool built = payments_by_wallet(flow) ? build_wallet_details(flow) : build_card_details(flow);
    return built && build_outcome(flow, approved);
}

void
payments_charge_describe(struct payments_charge *charge, const struct payments_intent *intent)
{
    charge->statement_descriptor = intent->statement_descriptor;
    charge->statement_descriptor_suffix = intent->statement_descriptor_suffix;
}

err_t
payments_balance_transaction_add(
    struct payments_flow *flow,
    const struct payments_balance_transaction *entry,
    struct span *ret_id)
{
    struct payments_balance_transaction *transaction =
        resource_new(flow->op, &payments_balance_transaction_type);
    if (transaction == NULL) {
        return ERR_FULL;
    }
    struct resource_header header = transaction->header;
    *transaction = *entry;
    transaction->header = header;
    transaction->currency = flow->charge->currency;
    transaction->description = flow->charge->description;
    transaction->available_on =
        entry->release_due != 0 ? entry->release_due : (int64_t)resource_now_s(flow->op);
    TRY(resource_save(flow->op, &payments_balance_transaction_type, transaction));
    *ret_id = transaction->header.id;
    return ERR_OK;
}

/* A wallet's money is available at once. */
err_t
payments_charge_split_captured(struct payments_flow *flow, int64_t amount, const char *step)
{
    struct payments_charge *charge = flow->charge;
    ASSERT(amount >= 0 && amount <= charge->split_amount);
    charge->split_captured = amount;
    if (amount == 0) {
        return ERR_OK;
    }
    if (flow->in_suspense) {
        TRY(payments_suspense_add(flow, "capture_refused", amount, &charge->suspense_item));
    }
    charge->split_booked_by = payments_hex(flow->op, resource_derived_id(flow->attempt_id, step));
    const struct payments_balance_transaction entry = {
        .type = SPAN("charge"),
        .source = charge->header.id,
        .amount = amount,
    };
    return payments_balance_transaction_add(flow, &entry, &charge->split_transaction);
}

err_t
payments_destination_transaction_add(struct payments_flow *flow, int64_t amount)
{
    struct span id;
    if (flow->charge->transfer_destination.size == 0) {
        return ERR_OK;
    }
    const struct payments_balance_transaction entry = {
        .type = SPAN("transfer"),
        .source = flow->charge->header.id,
        .amount = -amount,
        .release_due = payments_release_at(flow),
    };
    return payments_balance_transaction_add(flow, &entry, &id);
}

struct span
payments_charge_id(const struct payments_flow *flow)
{
    char text[ID_TEXT_SIZE];
    size_t size = id_format(payments_charge_type.prefix, flow->attempt_id, text);
    return arena_copy(resource_op_arena(flow->op), span_of(text, size));
}

int64_t
payments_release_at(const struct payments_flow *flow)
{
    if (payments_by_wallet(flow)) {
        return 0;
    }
    int64_t now = (int64_t)resource_now_s(flow->op);
    return flow->charge->straight_to_available
               ? now
               : now + flow->payments->parts.settings.settlement_delay_s;
}

/* ----------------------------------------------------------------------------------- routes */

void
payments_charge_retrieve(struct resource_op *op)
{
    resource_answer_retrieve(op, &payments_charge_type, resource_op_capture(op, 0));
}

void
payments_charge_list(struct resource_op *op)
{
    static const struct resource_list_filter filters[] = {
        {"payment_intent", PAYMENTS_CHARGE_INTENT},
        {"customer", PAYMENTS_CHARGE_CUSTOMER},
    };
    resource_answer_list(op, &payments_charge_type, "/v1/charges", filters, 2);
}

static void
charge_update_locked(struct resource_op *op)
{
    struct payments_charge *charge =
        resource_require(op, &payments_charge_type, "charge", resource_op_capture(op, 0));
    if (charge == NULL) {
        return;
    }
    (void)resource_text(op, "description", &charge->description);
    (void)resource_text(op, "receipt_email", &charge->receipt_email);
    (void)resource_text(op, "transfer_group", &charge->transfer_group);
    payments_shipping_read(op, &charge->shipping);
    if (resource_metadata(op, charge->metadata, &charge->metadata) != ERR_OK) {
        return;
    }
    resource_answer_saved(op, &payments_charge_type, charge, "charge", "charge.updated");
}

/* The intent's lock guards its charges too; a first read tells which intent that is. */
void
payments_charge_update(struct resource_op *op)
{
    void *found;
    err_t error = resource_load(op, &payments_charge_type, resource_op_capture(op, 0), &found);
    if (error != ERR_OK) {
        charge_update_locked(op);
        return;
    }
    resource_lock(op, ((struct payments_charge *)found)->payment_intent, charge_update_locked);
}

void
payments_balance_transaction_retrieve(struct resource_op *op)
{
    resource_answer_retrieve(op, &payments_balance_transaction_type, resource_op_capture(op, 0));
}

void
payments_balance_transaction_list(struct resource_op *op)
{
    static const struct resource_list_filter filters[] = {
        {"source", PAYMENTS_BALANCE_TRANSACTION_SOURCE},
        {"payout", PAYMENTS_BALANCE_TRANSACTION_SOURCE},
        {"type", PAYMENTS_BALANCE_TRANSACTION_TYPE},
        {"currency", PAYMENTS_BALANCE_TRANSACTION_CURRENCY},
    };
    resource_answer_list(
        op, &payments_balance_transaction_type, "/v1/balance_transactions", filters, 4);
}
