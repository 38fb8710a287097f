/* How setups look outside. */
#include "documents.h"

#include "flow.h"
#include "qr.h"
#include "json/json.h"

void
payments_next_action_write(struct json_writer *json, const struct payments_challenge *challenge)
{
    json_key(json, "next_action");
    json_object_begin(json);
    if (span_equal_cstr(challenge->kind, PAYMENTS_WAITS_FOR_QR)) {
        json_key(json, "mobile_qr_display_qr_code");
        json_object_begin(json);
        payments_qr_render(json, challenge->data, challenge->url);
        json_member_i64(json, "expires_at", challenge->expires);
        json_object_end(json);
        json_member_cstr(json, "type", "mobile_qr_display_qr_code");
        json_object_end(json);
        return;
    }
    if (span_equal_cstr(challenge->kind, PAYMENTS_WAITS_FOR_PAYER)) {
        json_key(json, "payer_confirmation");
        json_object_begin(json);
        json_member_i64(json, "expires_at", challenge->expires);
        json_member_text(json, "wallet", challenge->data);
        json_object_end(json);
        json_member_cstr(json, "type", "payer_confirmation");
        json_object_end(json);
        return;
    }
    json_key(json, "redirect_to_url");
    json_object_begin(json);
    json_member_text_or_null(json, "return_url", challenge->return_url);
    json_member_text(json, "url", challenge->url);
    json_object_end(json);
    json_member_cstr(json, "type", "redirect_to_url");
    json_object_end(json);
}

static void
write_or(struct json_writer *json, const char *name, struct span value, struct span otherwise)
{
    json_member_raw(json, name, value.size != 0 ? value : otherwise);
}

void
payments_setup_render(struct resource_render *render, const void *document)
{
    const struct payments_setup *setup = document;
    struct json_writer *json = resource_render_json(render);
    /* While an attempt is open its outcome is not known, whatever the setup was before it. */
    bool open = payments_attempt_is_open(&setup->attempt);
    json_object_begin(json);
    resource_render_header(render, &payments_setup_type, setup);
    json_member_null(json, "application");
    json_member_raw(json, "automatic_payment_methods", setup->automatic_payment_methods);
    json_member_text_or_null(json, "cancellation_reason", setup->cancellation_reason);
    json_member_text(json, "client_secret", setup->client_secret);
    resource_render_reference(render, "customer", &payments_customer_type, setup->customer);
    json_member_text_or_null(json, "description", setup->description);
    json_member_null(json, "flow_directions");
    json_member_raw(json, "last_setup_error", setup->last_setup_error);
    resource_render_reference(
        render, "latest_attempt", &payments_setup_attempt_type, setup->latest_attempt);
    json_member_null(json, "mandate");
    write_or(json, "metadata", setup->metadata, SPAN("{}"));
    if (!open && span_equal_cstr(setup->status, "requires_action")) {
        payments_next_action_write(json, &setup->challenge);
    } else {
        json_member_null(json, "next_action");
    }
    json_member_null(json, "on_behalf_of");
    resource_render_reference(
        render, "payment_method", &payments_method_type, setup->payment_method);
    write_or(json, "payment_method_options", setup->payment_method_options, SPAN("{}"));
    write_or(json, "payment_method_types", setup->payment_method_types, SPAN("[\"card\"]"));
    json_member_null(json, "single_use_mandate");
    json_member_text(json, "status", open ? SPAN("processing") : setup->status);
    json_member_text(json, "usage", setup->usage);
    json_object_end(json);
}

void
payments_setup_attempt_render(struct resource_render *render, const void *document)
{
    const struct payments_setup_attempt *attempt = document;
    struct json_writer *json = resource_render_json(render);
    json_object_begin(json);
    resource_render_header(render, &payments_setup_attempt_type, attempt);
    json_member_null(json, "application");
    resource_render_reference(render, "customer", &payments_customer_type, attempt->customer);
    json_member_null(json, "flow_directions");
    json_member_null(json, "on_behalf_of");
    resource_render_reference(
        render, "payment_method", &payments_method_type, attempt->payment_method);
    json_member_raw(json, "payment_method_details", attempt->payment_method_details);
    json_member_raw(json, "setup_error", attempt->setup_error);
    resource_render_reference(render, "setup_intent", &payments_setup_type, attempt->setup_intent);
    json_member_text(json, "status", attempt->status);
    json_member_text(json, "usage", attempt->usage);
    json_object_end(json);
}
