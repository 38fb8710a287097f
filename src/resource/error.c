#include "runtime.h"

#include "base/assert.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define DOC_URL "https://stripe.com/docs/error-codes/"

static void
member_unless_empty(struct json_writer *json, const char *name, const char *text)
{
    if (text != NULL && text[0] != '\0') {
        json_member_cstr(json, name, text);
    }
}

/* Codes about what Stripe does not have: there is no page about them there. */
static bool
is_own_code(const char *code)
{
    static const char *const beginnings[] = {
        "external_account_",
        "participant_",
        "payer_code_",
        "payout_",
        "qr_code_",
        "statement_too_long",
        "suspense_item_",
        "transaction_not_",
        "wallet_",
    };

    for (size_t i = 0; i < sizeof(beginnings) / sizeof(beginnings[0]); i++) {
        if (strncmp(code, beginnings[i], strlen(beginnings[i])) == 0) {
            return true;
        }
    }
    return false;
}

static void
member_doc_url(struct json_writer *json, const char *code)
{
    char url[160];
    struct buf text;
    if (code == NULL || code[0] == '\0' || is_own_code(code)) {
        return;
    }
    buf_init_fixed(&text, url, sizeof(url));
    buf_append_cstr(&text, DOC_URL);
    for (const char *at = code; *at != '\0'; at++) {
        buf_append_byte(&text, *at == '_' ? '-' : *at);
    }
    if (!buf_failed(&text)) {
        json_member_text(json, "doc_url", buf_span(&text));
    }
}

void
resource_error_write(struct buf *out, const struct resource_error *error)
{
    struct json_writer json;
    json_begin(&json, out);
    json_object_begin(&json);
    json_key(&json, "error");
    json_object_begin(&json);
    member_unless_empty(&json, "advice_code", error->advice_code);
    if (error->charge.size > 0) {
        json_member_text(&json, "charge", error->charge);
    }
    member_unless_empty(&json, "code", error->code);
    member_unless_empty(&json, "decline_code", error->decline_code);
    member_doc_url(&json, error->code);
    json_member_text(&json, "message", error->message);
    member_unless_empty(&json, "network_decline_code", error->network_code);
    if (error->param.size > 0) {
        json_member_text(&json, "param", error->param);
    }
    if (error->payment_intent_json.size > 0) {
        json_member_raw(&json, "payment_intent", error->payment_intent_json);
    }
    if (error->payment_method_json.size > 0) {
        json_member_raw(&json, "payment_method", error->payment_method_json);
    }
    if (error->setup_intent_json.size > 0) {
        json_member_raw(&json, "setup_intent", error->setup_intent_json);
    }
    json_member_cstr(&json, "type", error->type);
    json_object_end(&json);
    json_object_end(&json);
}

void
resource_error_render(struct buf *out, const struct resource_error *error, const char *request_id)
{
    /* Stripe's request_log_url would point at a page that there is none of. */
    (void)request_id;
    resource_error_write(out, error);
}

void
resource_fail(struct resource_op *op, const struct resource_error *error)
{
    ASSERT(op->phase == RESOURCE_OP_RUNNING);
    ASSERT(error->status >= 400);
    if (op->doom != ERR_OK) {
        resource_op_end_doomed(op);
        return;
    }
    struct buf body;
    buf_init(&body, RESOURCE_BODY_LIMIT);
    resource_error_write(&body, error);
    if (error->executed) {
        resource_answer(op, error->status, &body);
        return;
    }
    resource_writes_undo(op);
    err_t result = op->doom;
    if (result == ERR_OK && resource_idempotency_overtaken(op)) {
        buf_release(&body);
        return;
    }
    if (result == ERR_OK) {
        result = resource_idempotency_forget(op);
    }
    if (result != ERR_OK) {
        buf_release(&body);
        resource_internal(op, result, "idempotency key");
        return;
    }
    resource_op_end(op, error->status, &body);
}

void
resource_invalid(
    struct resource_op *op, const char *code, const char *param, const char *format, ...)
{
    char message[1024];
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(message, sizeof(message), format, arguments);
    va_end(arguments);
    ASSERT(length >= 0);
    size_t size = (size_t)length < sizeof(message) ? (size_t)length : sizeof(message) - 1;
    struct resource_error error = {
        .status = 400,
        .type = "invalid_request_error",
        .code = code,
        .param = span_from_cstr(param),
        .message = span_of(message, size),
    };
    resource_fail(op, &error);
}

static void
fail_missing(
    struct resource_op *op, int status, const char *object, const char *param, struct span id)
{
    enum {
        SHOWN_MAX = 100
    };

    char message[256];
    struct span shown = span_slice(id, 0, SHOWN_MAX);
    struct buf text;
    buf_init_fixed(&text, message, sizeof(message));
    buf_append_cstr(&text, "No such ");
    buf_append_cstr(&text, object);
    buf_append_cstr(&text, ": '");
    buf_append_span(&text, shown);
    buf_append_cstr(&text, "'");
    struct resource_error error = {
        .status = status,
        .type = "invalid_request_error",
        .code = "resource_missing",
        .param = span_from_cstr(param),
        .message = buf_span(&text),
    };
    resource_fail(op, &error);
}

void
resource_missing(struct resource_op *op, const char *object, const char *param, struct span id)
{
    /* An id in the path is not there: 404. One in a parameter makes the request wrong: 400. */
    bool in_path = false;
    for (uint32_t i = 0; op->request != NULL && i < 2; i++) {
        in_path = in_path || span_equal(op->request->captures[i], id);
    }
    fail_missing(op, in_path || op->request == NULL ? 404 : 400, object, param, id);
}

void
resource_internal(struct resource_op *op, err_t code, const char *what)
{
    ASSERT(op->phase == RESOURCE_OP_RUNNING);
    ASSERT(code != ERR_OK);
    bool again = code == ERR_STALE && resource_op_may_run_again(op);
    if (!again) {
        resource_log(op->runtime, op, code, what);
    }
    resource_writes_undo(op);
    if (op->doom != ERR_OK) {
        resource_op_end_doomed(op);
        return;
    }
    if (again) {
        resource_op_run_again(op);
        return;
    }
    bool conflict = code == ERR_STALE && !op->reached;
    op->undone = true;
    struct resource_error error = {
        .status = conflict ? 409 : 500,
        .type = conflict ? "invalid_request_error" : "api_error",
        .message = conflict ? SPAN(RESOURCE_CONFLICT_MESSAGE)
                            : SPAN("An error occurred on our side. Nothing that was not "
                                   "confirmed is lost or done twice if you try again with the "
                                   "same idempotency key."),
    };
    struct buf body;
    buf_init(&body, RESOURCE_BODY_LIMIT);
    resource_error_write(&body, &error);
    /* A row that says running stays: an attempt stands behind it, and who ends that finishes it. */
    resource_idempotency_release(op);
    resource_op_end(op, error.status, &body);
}
