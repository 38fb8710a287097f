/* Static codes: one at a till, for any number of payments. */
#include "qr.h"

#include "base/assert.h"
#include "handlers.h"
#include "resource/pages.h"
#include "json/json.h"

#define URL "/v1/qr_codes"

void
payments_qr_code_render(struct resource_render *render, const void *document)
{
    const struct payments_qr_code *code = document;
    struct json_writer *json = resource_render_json(render);
    json_object_begin(json);
    resource_render_header(render, &payments_qr_code_type, code);
    json_member_bool(json, "active", !code->inactive);
    if (code->amount == 0) {
        json_member_null(json, "amount");
    } else {
        json_member_i64(json, "amount", code->amount);
    }
    json_member_text(json, "currency", code->currency);
    json_member_text_or_null(json, "description", code->description);
    json_member_raw(json, "metadata", code->metadata.size == 0 ? SPAN("{}") : code->metadata);
    payments_qr_render(json, code->data, code->url);
    json_object_end(json);
}

static void
save_and_answer(struct payments_flow *flow, struct payments_qr_code *code, const char *event)
{
    resource_answer_saved(flow->op, &payments_qr_code_type, code, "QR code", event);
}

/* False if answered. */
static bool
fill(struct payments_flow *flow, struct payments_qr_code *code, const struct currency *currency)
{
    struct payments_qr_content content = {.reference = code->header.id, .currency = currency};
    struct money amount;
    if (resource_integer(flow->op, "amount", &code->amount)) {
        if (!payments_amount_check(flow->op, code->amount, span_from_cstr(currency->api_code))) {
            return false;
        }
        err_t error = money_from_api(code->amount, currency, &amount);
        ASSERT(error == ERR_OK);
        content.has_amount = true;
        content.amount = amount.amount;
    }
    code->currency = span_from_cstr(currency->api_code);
    code->secret = resource_new_secret(flow->op, PAYMENTS_CHALLENGE_SECRET);
    code->url = payments_qr_url(flow, code->header.id, code->secret);
    err_t error = code->url.size == 0 ? ERR_FULL : payments_qr_write(flow, &content, &code->data);
    if (error != ERR_OK) {
        resource_internal(flow->op, error, "QR code");
    }
    return error == ERR_OK;
}

void
payments_qr_code_create(struct resource_op *op)
{
    struct payments_flow *flow = payments_flow_create(op);
    if (flow == NULL) {
        return;
    }
    struct payments_qr_code *code = resource_new(op, &payments_qr_code_type);
    if (code == NULL) {
        resource_internal(op, ERR_FULL, "request memory");
        return;
    }
    struct span currency = SPAN_EMPTY;
    (void)resource_text(op, "currency", &currency);
    (void)resource_text(op, "description", &code->description);
    if (resource_metadata(op, SPAN_EMPTY, &code->metadata) == ERR_OK &&
        fill(flow, code, currency_find(currency))) {
        save_and_answer(flow, code, "qr_code.created");
    }
}

void
payments_qr_code_retrieve(struct resource_op *op)
{
    resource_answer_retrieve(op, &payments_qr_code_type, resource_op_capture(op, 0));
}

static void
update_locked(struct resource_op *op)
{
    struct payments_flow *flow = payments_flow_create(op);
    bool active;
    if (flow == NULL) {
        return;
    }
    struct payments_qr_code *code =
        resource_require(op, &payments_qr_code_type, "id", resource_op_capture(op, 0));
    if (code == NULL) {
        return;
    }
    (void)resource_text(op, "description", &code->description);
    if (resource_boolean(op, "active", &active)) {
        code->inactive = !active;
    }
    if (resource_metadata(op, code->metadata, &code->metadata) == ERR_OK) {
        save_and_answer(flow, code, "qr_code.updated");
    }
}

void
payments_qr_code_update(struct resource_op *op)
{
    resource_lock(op, resource_op_capture(op, 0), update_locked);
}

void
payments_qr_code_list(struct resource_op *op)
{
    resource_answer_list(op, &payments_qr_code_type, URL, NULL, 0);
}
