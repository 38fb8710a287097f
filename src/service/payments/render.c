/* How the objects look outside: the members that Stripe's API description requires, and those
 * that its SDKs declare. */
#include "documents.h"

#include "descriptor.h"
#include "flow.h"
#include "method.h"
#include "payouts/payout_documents.h"
#include "json/json.h"

static void
text_or_null(struct json_writer *json, const char *name, struct span text)
{
    json_member_text_or_null(json, name, text);
}

static void
object_or_empty(struct json_writer *json, const char *name, struct span value)
{
    json_member_raw(json, name, value.size != 0 ? value : SPAN("{}"));
}

struct span
payments_intent_shown_status(const void *document)
{
    const struct payments_intent *intent = document;
    return payments_attempt_is_open(&intent->attempt) ? SPAN("processing") : intent->status;
}

static void
render_transfer_data(struct json_writer *json, struct span destination)
{
    if (destination.size == 0) {
        json_member_null(json, "transfer_data");
        return;
    }
    json_key(json, "transfer_data");
    json_object_begin(json);
    json_member_text(json, "destination", destination);
    json_object_end(json);
}

void
payments_intent_render(struct resource_render *render, const void *document)
{
    const struct payments_intent *intent = document;
    struct json_writer *json = resource_render_json(render);
    json_object_begin(json);
    resource_render_header(render, &payments_intent_type, intent);
    json_member_i64(json, "amount", intent->amount);
    json_member_i64(json, "amount_capturable", intent->amount_capturable);
    json_key(json, "amount_details");
    json_object_begin(json);
    json_key(json, "tip");
    json_raw(json, SPAN("{}"));
    json_object_end(json);
    json_member_i64(json, "amount_received", intent->amount_received);
    json_member_null(json, "application");
    json_member_null(json, "application_fee_amount");
    json_member_raw(json, "automatic_payment_methods", intent->automatic_payment_methods);
    json_key(json, "canceled_at");
    if (intent->canceled_at != 0) {
        json_i64(json, intent->canceled_at);
    } else {
        json_null(json);
    }
    text_or_null(json, "cancellation_reason", intent->cancellation_reason);
    json_member_text(json, "capture_method", intent->capture_method);
    json_member_text(json, "client_secret", intent->client_secret);
    json_member_text(json, "confirmation_method", intent->confirmation_method);
    json_member_text(json, "currency", intent->currency);
    resource_render_reference(render, "customer", &payments_customer_type, intent->customer);
    text_or_null(json, "description", intent->description);
    json_member_raw(json, "last_payment_error", intent->last_payment_error);
    resource_render_reference(
        render, "latest_charge", &payments_charge_type, intent->latest_charge);
    object_or_empty(json, "metadata", intent->metadata);
    if (span_equal_cstr(payments_intent_shown_status(intent), "requires_action")) {
        payments_next_action_write(json, &intent->challenge);
    } else {
        json_member_null(json, "next_action");
    }
    json_member_null(json, "on_behalf_of");
    resource_render_reference(
        render, "payment_method", &payments_method_type, intent->payment_method);
    object_or_empty(json, "payment_method_options", intent->payment_method_options);
    json_member_raw(
        json,
        "payment_method_types",
        intent->payment_method_types.size != 0 ? intent->payment_method_types : SPAN("[\"card\"]"));
    json_member_null(json, "processing");
    text_or_null(json, "receipt_email", intent->receipt_email);
    json_member_null(json, "review");
    text_or_null(json, "setup_future_usage", intent->setup_future_usage);
    json_member_raw(json, "shipping", intent->shipping);
    json_member_null(json, "source");
    text_or_null(json, "statement_descriptor", intent->statement_descriptor);
    text_or_null(json, "statement_descriptor_suffix", intent->statement_descriptor_suffix);
    json_member_text(json, "status", payments_intent_shown_status(intent));
    render_transfer_data(json, intent->transfer_destination);
    text_or_null(json, "transfer_group", intent->transfer_group);
    if (intent->qr_code.size != 0) {
        json_member_text(json, "qr_code", intent->qr_code);
    }
    payments_intent_split_write(json, intent);
    payments_participants_write(json, intent);
    json_object_end(json);
}

static const char empty_billing[] =
    "{\"address\":{\"city\":null,\"country\":null,\"line1\":null,\"line2\":null,"
    "\"postal_code\":null,\"state\":null},\"email\":null,\"name\":null,\"phone\":null,"
    "\"tax_id\":null}";

static void
render_billing(struct json_writer *json, struct span billing)
{
    json_member_raw(
        json, "billing_details", billing.size != 0 ? billing : span_from_cstr(empty_billing));
}

void
payments_charge_render(struct resource_render *render, const void *document)
{
    const struct payments_charge *charge = document;
    struct json_writer *json = resource_render_json(render);
    json_object_begin(json);
    resource_render_header(render, &payments_charge_type, charge);
    json_member_i64(json, "amount", charge->amount);
    json_member_i64(json, "amount_captured", charge->amount_captured);
    json_member_i64(json, "amount_refunded", charge->amount_refunded);
    json_member_null(json, "application");
    json_member_null(json, "application_fee");
    json_member_null(json, "application_fee_amount");
    resource_render_reference(
        render,
        "balance_transaction",
        &payments_balance_transaction_type,
        charge->balance_transaction);
    render_billing(json, charge->billing_details);
    text_or_null(
        json,
        "calculated_statement_descriptor",
        payments_descriptor(
            resource_op_arena(resource_render_op(render)),
            charge->statement_descriptor,
            charge->statement_descriptor_suffix));
    json_member_bool(json, "captured", charge->captured);
    json_member_text(json, "currency", charge->currency);
    resource_render_reference(render, "customer", &payments_customer_type, charge->customer);
    text_or_null(json, "description", charge->description);
    json_member_bool(json, "disputed", charge->disputed);
    json_member_null(json, "failure_balance_transaction");
    text_or_null(json, "failure_code", charge->failure_code);
    text_or_null(json, "failure_message", charge->failure_message);
    json_key(json, "fraud_details");
    json_raw(json, SPAN("{}"));
    object_or_empty(json, "metadata", charge->metadata);
    json_member_null(json, "on_behalf_of");
    json_member_raw(json, "outcome", charge->outcome);
    json_member_bool(json, "paid", charge->paid);
    resource_render_reference(
        render, "payment_intent", &payments_intent_type, charge->payment_intent);
    text_or_null(json, "payment_method", charge->payment_method);
    json_member_raw(json, "payment_method_details", charge->payment_method_details);
    text_or_null(json, "receipt_email", charge->receipt_email);
    json_member_null(json, "receipt_number");
    json_member_null(json, "receipt_url");
    json_member_bool(json, "refunded", charge->refunded);
    json_member_null(json, "review");
    json_member_raw(json, "shipping", charge->shipping);
    json_member_null(json, "source_transfer");
    payments_charge_split_write(json, charge);
    text_or_null(json, "statement_descriptor", charge->statement_descriptor);
    text_or_null(json, "statement_descriptor_suffix", charge->statement_descriptor_suffix);
    json_member_text(json, "status", charge->status);
    render_transfer_data(json, charge->transfer_destination);
    text_or_null(json, "transfer_group", charge->transfer_group);
    json_object_end(json);
}

void
payments_refund_render(struct resource_render *render, const void *document)
{
    const struct payments_refund *refund = document;
    struct json_writer *json = resource_render_json(render);
    json_object_begin(json);
    json_member_text(json, "id", refund->header.id);
    json_member_cstr(
        json, "object", payments_refund_type.object); /* and no livemode: as Stripe's */
    json_member_i64(json, "created", refund->header.created);
    json_member_i64(json, "amount", refund->amount);
    resource_render_reference(
        render,
        "balance_transaction",
        &payments_balance_transaction_type,
        refund->balance_transaction);
    resource_render_reference(render, "charge", &payments_charge_type, refund->charge);
    json_member_text(json, "currency", refund->currency);
    json_member_raw(
        json,
        "destination_details",
        refund->wallet.size == 0 && payments_split_rest_refunded(refund) != 0
            ? SPAN("{\"card\":{\"type\":\"refund\"},\"type\":\"card\"}")
            : SPAN("{\"type\":\"wallet\",\"wallet\":{}}"));
    if (refund->failure_balance_transaction.size != 0) {
        resource_render_reference(
            render,
            "failure_balance_transaction",
            &payments_balance_transaction_type,
            refund->failure_balance_transaction);
    }
    if (refund->failure_reason.size != 0) {
        json_member_text(json, "failure_reason", refund->failure_reason);
    }
    object_or_empty(json, "metadata", refund->metadata);
    resource_render_reference(
        render, "payment_intent", &payments_intent_type, refund->payment_intent);
    text_or_null(json, "reason", refund->reason);
    json_member_null(json, "receipt_number");
    json_member_null(json, "source_transfer_reversal");
    payments_refund_split_write(json, refund);
    json_member_text(json, "status", refund->status);
    json_member_null(json, "transfer_reversal");
    json_object_end(json);
}

static void
render_card(struct json_writer *json, const struct payments_method *method)
{
    json_key(json, "card");
    json_object_begin(json);
    json_member_text(json, "brand", method->brand);
    json_key(json, "checks");
    json_object_begin(json);
    text_or_null(json, "address_line1_check", method->address_check);
    text_or_null(json, "address_postal_code_check", method->postal_code_check);
    text_or_null(json, "cvc_check", method->cvc_check);
    json_object_end(json);
    text_or_null(json, "country", method->country);
    json_member_text(json, "display_brand", method->brand);
    json_member_i64(json, "exp_month", method->exp_month);
    json_member_i64(json, "exp_year", method->exp_year);
    text_or_null(json, "fingerprint", method->fingerprint);
    json_member_text(json, "funding", method->funding);
    json_member_null(json, "generated_from");
    json_member_text(json, "last4", method->last4);
    json_key(json, "networks");
    json_object_begin(json);
    json_key(json, "available");
    json_array_begin(json);
    json_text(json, method->network.size != 0 ? method->network : method->brand);
    json_array_end(json);
    json_member_null(json, "preferred");
    json_object_end(json);
    json_key(json, "three_d_secure_usage");
    bool supported = !span_equal_cstr(method->network, "amex");
    json_raw(json, supported ? SPAN("{\"supported\":true}") : SPAN("{\"supported\":false}"));
    json_member_null(json, "wallet");
    json_object_end(json);
}

void
payments_method_render(struct resource_render *render, const void *document)
{
    const struct payments_method *method = document;
    struct json_writer *json = resource_render_json(render);
    json_object_begin(json);
    resource_render_header(render, &payments_method_type, method);
    json_member_text(json, "allow_redisplay", payments_method_redisplay(method));
    render_billing(json, method->billing_details);
    if (method->token.size != 0) {
        render_card(json, method);
    }
    resource_render_reference(render, "customer", &payments_customer_type, method->customer);
    object_or_empty(json, "metadata", method->metadata);
    if (method->shows_qr) {
        json_key(json, "mobile_qr");
        json_raw(json, SPAN("{}"));
    }
    json_member_cstr(json, "type", payments_method_type_name(method));
    if (method->wallet.size != 0) {
        json_key(json, "wallet");
        json_object_begin(json);
        json_member_text(json, "id", method->wallet);
        json_object_end(json);
    }
    json_object_end(json);
}

void
payments_customer_render(struct resource_render *render, const void *document)
{
    const struct payments_customer *customer = document;
    struct json_writer *json = resource_render_json(render);
    json_object_begin(json);
    resource_render_header(render, &payments_customer_type, customer);
    json_member_raw(json, "address", customer->address);
    json_member_i64(json, "balance", 0);
    json_member_null(json, "currency");
    json_member_null(json, "default_source");
    json_member_bool(json, "delinquent", false);
    text_or_null(json, "description", customer->description);
    json_member_null(json, "discount");
    text_or_null(json, "email", customer->email);
    struct resource_expand *outer = resource_render_enter(render, "invoice_settings");
    json_member_null(json, "custom_fields");
    resource_render_reference(
        render, "default_payment_method", &payments_method_type, customer->default_payment_method);
    json_member_null(json, "footer");
    json_member_null(json, "rendering_options");
    resource_render_leave(render, outer);
    object_or_empty(json, "metadata", customer->metadata);
    text_or_null(json, "name", customer->name);
    text_or_null(json, "phone", customer->phone);
    json_member_raw(
        json,
        "preferred_locales",
        customer->preferred_locales.size != 0 ? customer->preferred_locales : SPAN("[]"));
    json_member_raw(json, "shipping", customer->shipping);
    json_member_cstr(json, "tax_exempt", "none");
    json_member_null(json, "test_clock");
    json_object_end(json);
}

void
payments_deleted_customer_render(struct resource_render *render, const void *document)
{
    resource_render_deleted(render, &payments_deleted_customer_type, document);
}

/* A line's source says what it is by how it begins. */
const struct resource_type *
payments_source_type(struct span source)
{
    static const struct resource_type *const types[] = {
        &payments_charge_type,
        &payments_dispute_type,
        &payments_payout_type,
        &payments_refund_type,
    };
    size_t i = 0;
    while (i + 1 < sizeof(types) / sizeof(types[0]) &&
           !span_starts_with(source, span_from_cstr(types[i]->prefix))) {
        i++;
    }
    return types[i];
}

static bool
is_of_dispute(const struct payments_balance_transaction *transaction)
{
    return span_equal_cstr(transaction->type, "adjustment");
}

/* As Stripe groups them for accountants. */
static struct span
category_of(const struct payments_balance_transaction *transaction)
{
    if (is_of_dispute(transaction)) {
        return transaction->amount < 0 ? SPAN("dispute") : SPAN("dispute_reversal");
    }
    bool undone = span_equal_cstr(transaction->type, "payout_cancel") ||
                  span_equal_cstr(transaction->type, "payout_failure");
    return undone ? SPAN("payout_reversal") : transaction->type;
}

void
payments_balance_transaction_render(struct resource_render *render, const void *document)
{
    payments_balance_transaction_write(render, document, false);
}

void
payments_balance_transaction_write(
    struct resource_render *render,
    const struct payments_balance_transaction *transaction,
    bool inside)
{
    struct json_writer *json = resource_render_json(render);
    json_object_begin(json);
    json_member_text(json, "id", transaction->header.id);
    json_member_cstr(json, "object", "balance_transaction");
    json_member_i64(json, "amount", transaction->amount);
    json_member_i64(json, "available_on", transaction->available_on);
    json_member_cstr(json, "balance_type", "payments");
    json_member_i64(json, "created", transaction->header.created);
    json_member_text(json, "currency", transaction->currency);
    text_or_null(json, "description", transaction->description);
    json_member_null(json, "exchange_rate");
    json_member_i64(json, "fee", transaction->fee);
    json_key(json, "fee_details");
    json_array_begin(json);
    if (transaction->fee != 0) {
        json_object_begin(json);
        json_member_i64(json, "amount", transaction->fee);
        json_member_null(json, "application");
        json_member_text(json, "currency", transaction->currency);
        json_member_cstr(
            json, "description", is_of_dispute(transaction) ? "Dispute fee" : "Processing fees");
        json_member_cstr(json, "type", "stripe_fee");
        json_object_end(json);
    }
    json_array_end(json);
    json_member_i64(json, "net", transaction->amount - transaction->fee);
    json_member_text(json, "reporting_category", category_of(transaction));
    struct span source = transaction->source;
    if (inside) {
        json_member_text(json, "source", source);
    } else {
        resource_render_reference(render, "source", payments_source_type(source), source);
    }
    json_member_cstr(json, "status", transaction->release_due == 0 ? "available" : "pending");
    json_member_text(json, "type", transaction->type);
    json_object_end(json);
}
