/* How checkout sessions are stored and shown. */
#include "checkout.h"

#include "base/assert.h"
#include "resource/fields.h"
#include "json/json.h"

static const struct resource_field fields[] = {
    RESOURCE_TEXT_COLUMN(payments_checkout, status, PAYMENTS_CHECKOUT_COLUMN_STATUS),
    RESOURCE_TEXT(payments_checkout, payment_status),
    RESOURCE_TEXT(payments_checkout, currency),
    RESOURCE_INTEGER(payments_checkout, amount),
    RESOURCE_JSON(payments_checkout, line_items),
    RESOURCE_TEXT(payments_checkout, success_url),
    RESOURCE_TEXT(payments_checkout, cancel_url),
    RESOURCE_TEXT_COLUMN(payments_checkout, customer, PAYMENTS_CHECKOUT_COLUMN_CUSTOMER),
    RESOURCE_TEXT(payments_checkout, customer_email),
    RESOURCE_TEXT(payments_checkout, client_reference_id),
    RESOURCE_JSON(payments_checkout, metadata),
    RESOURCE_JSON(payments_checkout, payment_method_types),
    RESOURCE_JSON(payments_checkout, payment_method_options),
    RESOURCE_TEXT(payments_checkout, request_three_d_secure),
    RESOURCE_TEXT(payments_checkout, submit_type),
    RESOURCE_TEXT(payments_checkout, capture_method),
    RESOURCE_TEXT(payments_checkout, description),
    RESOURCE_JSON(payments_checkout, intent_metadata),
    RESOURCE_TEXT(payments_checkout, receipt_email),
    RESOURCE_TEXT(payments_checkout, setup_future_usage),
    RESOURCE_TEXT(payments_checkout, statement_descriptor),
    RESOURCE_TEXT(payments_checkout, statement_descriptor_suffix),
    RESOURCE_TEXT(payments_checkout, transfer_group),
    RESOURCE_TEXT(payments_checkout, secret),
    RESOURCE_TEXT(payments_checkout, url),
    RESOURCE_TEXT_COLUMN(payments_checkout, payment_intent, PAYMENTS_CHECKOUT_COLUMN_INTENT),
    RESOURCE_TEXT(payments_checkout, payer_name),
    RESOURCE_TEXT(payments_checkout, payer_email),
    RESOURCE_INTEGER(payments_checkout, cards),
    RESOURCE_INTEGER(payments_checkout, expires_at),
    RESOURCE_INTEGER_COLUMN(payments_checkout, due, PAYMENTS_CHECKOUT_COLUMN_DUE),
};

const struct document_kind payments_checkout_kind = {
    .name = "checkout_session",
    .columns =
        {
            RESOURCE_INDEXED("payment_intent"),
            RESOURCE_INDEXED("customer"),
            RESOURCE_INDEXED("status"),
            RESOURCE_SWEPT("due"),
        },
    .column_count = 4,
    .generation = 2, /* intents name them */
};

static void render_checkout(struct resource_render *render, const void *document);

const struct resource_type payments_checkout_type = {
    .object = "checkout.session",
    .prefix = "cs_",
    .kind = &payments_checkout_kind,
    RESOURCE_FIELDS(fields),
    .struct_size = sizeof(struct payments_checkout),
    .render = render_checkout,
    .permission = "checkout_sessions",
};

static void
write_nulls(struct json_writer *json, const char *const *names)
{
    for (; *names != NULL; names++) {
        json_member_null(json, *names);
    }
}

/* What Stripe's sessions can have and these never do. */
static void
write_absent(struct json_writer *json)
{
    static const char *const absent[] = {
        "adaptive_pricing",
        "after_expiration",
        "allow_promotion_codes",
        "billing_address_collection",
        "client_secret",
        "consent",
        "consent_collection",
        "currency_conversion",
        "customer_creation",
        "invoice",
        "invoice_creation",
        "locale",
        "payment_link",
        "recovered_from",
        "saved_payment_method_options",
        "setup_intent",
        "shipping_address_collection",
        "shipping_cost",
        "subscription",
        NULL};
    static const char *const custom_texts[] = {
        "after_submit", "shipping_address", "submit", "terms_of_service_acceptance", NULL};
    write_nulls(json, absent);
    json_member_raw(
        json,
        "automatic_tax",
        SPAN("{\"enabled\":false,\"liability\":null,\"provider\":null,\"status\":null}"));
    json_member_raw(json, "custom_fields", SPAN("[]"));
    json_key(json, "custom_text");
    json_object_begin(json);
    write_nulls(json, custom_texts);
    json_object_end(json);
    json_member_raw(json, "discounts", SPAN("[]"));
    json_member_cstr(json, "payment_method_collection", "if_required");
    json_member_raw(json, "phone_number_collection", SPAN("{\"enabled\":false}"));
    json_member_raw(json, "shipping_options", SPAN("[]"));
    json_member_raw(
        json,
        "total_details",
        SPAN("{\"amount_discount\":0,\"amount_shipping\":0,\"amount_tax\":0}"));
    json_member_cstr(json, "ui_mode", "hosted_page");
}

static void
write_payer(struct json_writer *json, const struct payments_checkout *checkout)
{
    struct span email =
        checkout->customer_email.size != 0 ? checkout->customer_email : checkout->payer_email;
    json_key(json, "customer_details");
    if (email.size == 0 && checkout->payer_name.size == 0) {
        json_null(json);
        return;
    }
    json_object_begin(json);
    json_member_null(json, "address");
    json_member_null(json, "business_name");
    json_member_text_or_null(json, "email", email);
    json_member_null(json, "individual_name");
    json_member_text_or_null(json, "name", checkout->payer_name);
    json_member_null(json, "phone");
    json_member_cstr(json, "tax_exempt", "none");
    json_member_raw(json, "tax_ids", SPAN("[]"));
    json_object_end(json);
}

/* They are many, and shown to who asks. */
static void
write_items(struct resource_render *render, const struct payments_checkout *checkout)
{
    struct json_writer *json = resource_render_json(render);
    struct arena *arena = resource_op_arena(resource_render_op(render));
    if (!resource_render_asks(render, "line_items")) {
        return;
    }
    struct payments_checkout_items *items = ARENA_NEW(arena, struct payments_checkout_items);
    json_key(json, "line_items");
    if (items == NULL || payments_checkout_items_read(arena, checkout, items) != ERR_OK) {
        json_null(json);
        return;
    }
    payments_checkout_items_write(json, checkout, items, 0, items->count);
}

static void
render_checkout(struct resource_render *render, const void *document)
{
    const struct payments_checkout *checkout = document;
    struct json_writer *json = resource_render_json(render);
    json_object_begin(json);
    resource_render_header(render, &payments_checkout_type, checkout);
    json_member_i64(json, "amount_subtotal", checkout->amount);
    json_member_i64(json, "amount_total", checkout->amount);
    json_member_text_or_null(json, "cancel_url", checkout->cancel_url);
    json_member_text_or_null(json, "client_reference_id", checkout->client_reference_id);
    json_member_text(json, "currency", checkout->currency);
    resource_render_reference(render, "customer", &payments_customer_type, checkout->customer);
    write_payer(json, checkout);
    json_member_text_or_null(json, "customer_email", checkout->customer_email);
    json_member_i64(json, "expires_at", checkout->expires_at);
    write_items(render, checkout);
    json_member_raw(
        json, "metadata", checkout->metadata.size != 0 ? checkout->metadata : SPAN("{}"));
    json_member_cstr(json, "mode", "payment");
    resource_render_reference(
        render, "payment_intent", &payments_intent_type, checkout->payment_intent);
    json_member_raw(
        json,
        "payment_method_options",
        checkout->payment_method_options.size != 0 ? checkout->payment_method_options : SPAN("{}"));
    json_member_raw(
        json,
        "payment_method_types",
        checkout->payment_method_types.size != 0 ? checkout->payment_method_types : SPAN("[]"));
    json_member_text(json, "payment_status", checkout->payment_status);
    json_member_text(json, "status", checkout->status);
    json_member_text_or_null(json, "submit_type", checkout->submit_type);
    json_member_text_or_null(json, "success_url", checkout->success_url);
    /* An address that pays nothing any more is of no use. */
    json_member_text_or_null(
        json, "url", payments_checkout_is_open(checkout) ? checkout->url : SPAN_EMPTY);
    write_absent(json);
    json_object_end(json);
}
