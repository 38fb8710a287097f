/* The API of checkout sessions. */
#include "checkout.h"
#include "checkout_form.h"
#include "url.h"

#include "base/assert.h"
#include "resource/pages.h"

#define LIST_URL      "/v1/checkout/sessions"
#define EXPIRES_MIN_S (INT64_C(30) * 60)
#define EXPIRES_MAX_S (INT64_C(24) * 3600)

/* ---------------------------------------------------------------------------------- create --- */

/* success_url with the session's id wherever it asks for it. */
static struct span
fill_in_id(struct resource_op *op, struct span url, struct span id)
{
    static const char placeholder[] = "{CHECKOUT_SESSION_ID}";
    struct span wanted = span_from_cstr(placeholder);
    size_t size = url.size + (url.size / wanted.size + 1) * id.size;
    void *memory = arena_alloc(resource_op_arena(op), size);
    struct buf out;
    buf_init_fixed(&out, memory, memory == NULL ? 0 : size);
    for (size_t at = 0; at < url.size;) {
        if (span_starts_with(span_slice(url, at, url.size), wanted)) {
            buf_append_span(&out, id);
            at += wanted.size;
        } else {
            buf_append_byte(&out, url.data[at++]);
        }
    }
    return buf_failed(&out) ? SPAN_EMPTY : buf_span(&out);
}

/* False if answered. */
static bool
read_url(struct resource_op *op, const char *param, struct span id, struct span *ret_url)
{
    struct span url = SPAN_EMPTY;
    if (!resource_text(op, param, &url) || url.size == 0) {
        return true;
    }
    url = fill_in_id(op, url, id);
    if (!payments_url_is_sound(url)) {
        resource_invalid(
            op,
            "url_invalid",
            param,
            "Not a valid URL. It begins with a scheme (https://), and has no spaces.");
        return false;
    }
    *ret_url = url;
    return true;
}

/* A moment between half an hour and a day from now. False if answered. */
static bool
read_expiry(struct resource_op *op, struct payments_checkout *checkout)
{
    int64_t now = (int64_t)resource_now_s(op);
    checkout->expires_at = now + EXPIRES_MAX_S;
    if (!resource_integer(op, "expires_at", &checkout->expires_at) ||
        (checkout->expires_at >= now + EXPIRES_MIN_S &&
         checkout->expires_at <= now + EXPIRES_MAX_S)) {
        checkout->due = checkout->expires_at;
        return true;
    }
    resource_invalid(
        op,
        NULL,
        "expires_at",
        "The `expires_at` timestamp must be at least 30 minutes, and at most 24 hours from "
        "Checkout "
        "Session creation.");
    return false;
}

static bool
read_mode(struct resource_op *op)
{
    struct span mode = SPAN_EMPTY;
    (void)resource_text(op, "mode", &mode);
    if (span_equal_cstr(mode, "payment")) {
        return true;
    }
    resource_invalid(
        op,
        NULL,
        "mode",
        "A Checkout Session with the mode %.*s is not supported: this server has mode=payment.%s",
        SPAN_PRINTF(mode),
        span_equal_cstr(mode, "setup") ? " To save a card, use a SetupIntent." : "");
    return false;
}

/* Who pays is a stranger with a card or a wallet's app: nobody whose account could be named. */
static bool
read_types(struct resource_op *op, struct payments_checkout *checkout)
{
    const struct form_node *types = resource_node(op, "payment_method_types");
    checkout->payment_method_types = SPAN("[\"card\",\"mobile_qr\"]");
    if (types == NULL || types->first_child == NULL) {
        return true;
    }
    for (const struct form_node *item = types->first_child; item != NULL; item = item->next) {
        if (!span_equal_cstr(item->text, "card") && !span_equal_cstr(item->text, "mobile_qr")) {
            resource_invalid(
                op,
                NULL,
                "payment_method_types",
                "The payment method type \"%.*s\" is not supported by Checkout Sessions. This "
                "server takes: card, mobile_qr.",
                SPAN_PRINTF(item->text));
            return false;
        }
    }
    checkout->payment_method_types = resource_json(op, "payment_method_types");
    return true;
}

static bool
read_customer(struct resource_op *op, struct payments_checkout *checkout)
{
    (void)resource_text(op, "customer", &checkout->customer);
    (void)resource_text(op, "customer_email", &checkout->customer_email);
    if (checkout->customer.size != 0 && checkout->customer_email.size != 0) {
        resource_invalid(
            op,
            "parameters_exclusive",
            "customer_email",
            "You may only specify one of these parameters: customer, customer_email.");
        return false;
    }
    if (checkout->customer_email.size != 0 &&
        !payments_checkout_email_is_sound(checkout->customer_email)) {
        resource_invalid(
            op,
            "email_invalid",
            "customer_email",
            "Invalid email address: %.*s",
            SPAN_PRINTF(checkout->customer_email));
        return false;
    }
    if (checkout->setup_future_usage.size != 0 && checkout->customer.size == 0) {
        resource_invalid(
            op,
            "parameter_missing",
            "customer",
            "`setup_future_usage` keeps the card with a customer: name one.");
        return false;
    }
    return checkout->customer.size == 0 || payments_customer_check(op, checkout->customer);
}

/* What its intent will get. False if answered. */
static bool
read_intent_data(struct resource_op *op, struct payments_checkout *checkout)
{
#define DATA(name) (void)resource_text(op, "payment_intent_data[" #name "]", &checkout->name)
    DATA(capture_method);
    DATA(description);
    DATA(receipt_email);
    DATA(setup_future_usage);
    DATA(statement_descriptor);
    DATA(statement_descriptor_suffix);
    DATA(transfer_group);
#undef DATA
    if (resource_present(op, "payment_method_options")) {
        checkout->payment_method_options = resource_json(op, "payment_method_options");
    }
    return payments_card_option(
               op,
               "request_three_d_secure",
               payments_three_d_secure_values,
               &checkout->request_three_d_secure) &&
           resource_metadata_of(
               op, "payment_intent_data[metadata]", SPAN_EMPTY, &checkout->intent_metadata) ==
               ERR_OK;
}

static bool
read_request(struct resource_op *op, struct payments_checkout *checkout)
{
    (void)resource_text(op, "client_reference_id", &checkout->client_reference_id);
    (void)resource_text(op, "submit_type", &checkout->submit_type);
    return read_mode(op) && payments_checkout_items_take(op, checkout) &&
           read_url(op, "success_url", checkout->header.id, &checkout->success_url) &&
           read_url(op, "cancel_url", checkout->header.id, &checkout->cancel_url) &&
           read_expiry(op, checkout) && read_types(op, checkout) &&
           read_intent_data(op, checkout) && read_customer(op, checkout) &&
           resource_metadata(op, SPAN_EMPTY, &checkout->metadata) == ERR_OK;
}

void
payments_checkout_create(struct resource_op *op)
{
    const struct payments *payments = resource_op_service(op);
    struct payments_checkout *checkout = resource_new(op, &payments_checkout_type);
    if (checkout == NULL) {
        resource_internal(op, ERR_FULL, "request memory");
        return;
    }
    checkout->status = SPAN("open");
    checkout->payment_status = SPAN("unpaid");
    if (!read_request(op, checkout)) {
        return;
    }
    checkout->secret = resource_new_secret(op, PAYMENTS_CHALLENGE_SECRET);
    checkout->url = arena_format(
        resource_op_arena(op),
        "%s/checkout/%llu/%.*s_%.*s",
        payments->parts.public_url,
        (unsigned long long)resource_op_caller(op)->scope,
        SPAN_PRINTF(checkout->header.id),
        SPAN_PRINTF(checkout->secret));
    if (checkout->secret.size == 0 || checkout->url.size == 0) {
        resource_internal(op, ERR_FULL, "request memory");
        return;
    }
    resource_answer_saved(op, &payments_checkout_type, checkout, "checkout session", NULL);
}

/* ------------------------------------------------------------------------ retrieve and list --- */

void
payments_checkout_retrieve(struct resource_op *op)
{
    resource_answer_retrieve(op, &payments_checkout_type, resource_op_capture(op, 0));
}

void
payments_checkout_list(struct resource_op *op)
{
    static const struct resource_list_filter filters[] = {
        {"payment_intent", PAYMENTS_CHECKOUT_COLUMN_INTENT},
        {"customer", PAYMENTS_CHECKOUT_COLUMN_CUSTOMER},
        {"status", PAYMENTS_CHECKOUT_COLUMN_STATUS},
    };
    resource_answer_list(
        op, &payments_checkout_type, LIST_URL, filters, sizeof(filters) / sizeof(filters[0]));
}

/* ------------------------------------------------------------------------ update and expire --- */

/* NULL: answered. */
static struct payments_flow *
load(struct resource_op *op)
{
    struct payments_flow *flow = payments_flow_create(op);
    if (flow == NULL) {
        return NULL;
    }
    flow->checkout =
        resource_require(op, &payments_checkout_type, "session", resource_op_capture(op, 0));
    return flow->checkout == NULL ? NULL : flow;
}

/* Runs `step` with what CHECKOUT-3 asks for: the intent's lock, if there is an intent. */
static void
with_session(struct resource_op *op, resource_step step)
{
    const struct payments_flow *flow = load(op);
    if (flow == NULL) {
        return;
    }
    if (flow->checkout->payment_intent.size != 0) {
        resource_lock(op, flow->checkout->payment_intent, step);
    } else {
        step(op);
    }
}

static void
update_loaded(struct resource_op *op)
{
    const struct payments_flow *flow = load(op);
    if (flow != NULL &&
        resource_metadata(op, flow->checkout->metadata, &flow->checkout->metadata) == ERR_OK) {
        resource_answer_saved(
            op, &payments_checkout_type, flow->checkout, "checkout session", NULL);
    }
}

void
payments_checkout_update(struct resource_op *op)
{
    with_session(op, update_loaded);
}

static void
answer_expired(struct payments_flow *flow)
{
    resource_answer_object(flow->op, &payments_checkout_type, flow->checkout);
}

static void
expire_loaded(struct resource_op *op)
{
    struct payments_flow *flow = load(op);
    if (flow == NULL) {
        return;
    }
    const struct payments_checkout *checkout = flow->checkout;
    if (checkout->payment_intent.size != 0 &&
        !payments_intent_load(flow, checkout->payment_intent)) {
        return;
    }
    if (!payments_checkout_is_open(checkout)) {
        resource_invalid(
            op,
            NULL,
            NULL,
            "Only Checkout Sessions with a status in [\"open\"] can be expired. This Checkout "
            "Session has a status of `%.*s`.",
            SPAN_PRINTF(checkout->status));
    } else if (flow->intent != NULL && payments_attempt_is_open(&flow->intent->attempt)) {
        resource_invalid(
            op,
            NULL,
            NULL,
            "This Checkout Session is being paid at this moment, and cannot be expired. Look again "
            "when the outcome is known.");
    } else {
        payments_checkout_end(flow, answer_expired);
    }
}

void
payments_checkout_expire(struct resource_op *op)
{
    with_session(op, expire_loaded);
}
