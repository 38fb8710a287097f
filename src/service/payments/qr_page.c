/*
 * What a code's address shows to whoever has it: the picture, as PNG or SVG, or a page with the
 * picture on it. The address carries the secret that proves that one may see it.
 */
#include "qr.h"

#include "base/assert.h"
#include "handlers.h"
#include "image/qr.h"
#include "page.h"
#include "url.h"

#define MODULE_PIXELS 8

struct shown {
    struct span data;
    struct span secret;
    struct money amount;             /* no currency: none */
    enum payments_qr_page_kind kind; /* another than CODE: the picture would mislead */
};

static void
answer_page(struct resource_op *op, int status, const struct shown *shown)
{
    /* Relative to the page, whose address ends in the same. */
    struct span picture =
        arena_format(resource_op_arena(op), "%.*s.svg", SPAN_PRINTF(resource_op_capture(op, 1)));
    struct buf body;
    buf_init(&body, PAYMENTS_PAGE_SIZE_MAX);
    payments_qr_page_write(
        &body, shown->kind, picture, shown->amount.currency == NULL ? NULL : &shown->amount);
    resource_answer_typed(op, status, "text/html; charset=utf-8", &body);
}

enum payments_qr_form
payments_qr_form_read(struct span *token)
{
    enum payments_qr_form form = span_ends_with(*token, SPAN(".png"))   ? PAYMENTS_QR_PNG
                                 : span_ends_with(*token, SPAN(".svg")) ? PAYMENTS_QR_SVG
                                                                        : PAYMENTS_QR_PAGE;
    *token = span_slice(*token, 0, token->size - (form == PAYMENTS_QR_PAGE ? 0 : 4));
    return form;
}

static err_t
load_code(struct payments_flow *flow, struct span id, struct shown *shown)
{
    void *found;
    TRY(resource_load(flow->op, &payments_qr_code_type, id, &found));
    const struct payments_qr_code *code = found;
    shown->data = code->data;
    shown->secret = code->secret;
    shown->kind = code->inactive ? PAYMENTS_QR_PAGE_OVER : PAYMENTS_QR_PAGE_CODE;
    if (code->amount == 0) {
        return ERR_OK;
    }
    return money_from_api(code->amount, currency_find(code->currency), &shown->amount);
}

static enum payments_qr_page_kind
kind_of(struct payments_flow *flow)
{
    if (payments_waits_for(flow, PAYMENTS_WAITS_FOR_QR)) {
        return PAYMENTS_QR_PAGE_CODE;
    }
    if (payments_attempt_is_open(&flow->intent->attempt)) {
        return PAYMENTS_QR_PAGE_PENDING;
    }
    bool paid =
        span_equal_cstr(flow->intent->status, payments_intent_status_name(PAYMENTS_SUCCEEDED));
    return paid ? PAYMENTS_QR_PAGE_PAID : PAYMENTS_QR_PAGE_OVER;
}

static err_t
load_intent(struct payments_flow *flow, struct span id, struct shown *shown)
{
    void *found;
    TRY(resource_load(flow->op, &payments_intent_type, id, &found));
    flow->intent = found;
    shown->data = flow->intent->challenge.data;
    shown->secret = flow->intent->challenge.secret;
    shown->kind = kind_of(flow);
    return money_from_api(flow->intent->amount, payments_flow_currency(flow), &shown->amount);
}

static err_t
draw(
    struct resource_op *op,
    struct span data,
    struct span title,
    enum payments_qr_form form,
    struct buf *body)
{
    struct image_qr *qr = ARENA_NEW(resource_op_arena(op), struct image_qr);
    const struct image_qr_style style = {.module_pixels = MODULE_PIXELS, .title = title};
    if (qr == NULL) {
        return ERR_FULL;
    }
    TRY(image_qr_encode(data, qr));
    return form == PAYMENTS_QR_PNG ? image_qr_png(qr, &style, body)
                                   : image_qr_svg(qr, &style, body);
}

void
payments_qr_picture_answer(
    struct resource_op *op, struct span data, struct span title, enum payments_qr_form form)
{
    bool png = form == PAYMENTS_QR_PNG;
    struct buf picture;
    buf_init(&picture, png ? IMAGE_QR_PNG_MAX : IMAGE_QR_SVG_MAX);
    err_t error = draw(op, data, title, form, &picture);
    if (error != ERR_OK) {
        buf_release(&picture);
        resource_internal(op, error, "picture of a code");
        return;
    }
    resource_answer_typed(op, 200, png ? "image/png" : "image/svg+xml", &picture);
}

static void
answer_shown(struct resource_op *op, const struct shown *shown, enum payments_qr_form form)
{
    enum {
        GONE = 410
    };

    if (shown->kind != PAYMENTS_QR_PAGE_CODE || form == PAYMENTS_QR_PAGE) {
        answer_page(op, shown->kind == PAYMENTS_QR_PAGE_CODE ? 200 : GONE, shown);
        return;
    }
    payments_qr_picture_answer(op, shown->data, SPAN("Code to pay with a wallet"), form);
}

/* The same for what is not there and for a wrong secret: nothing is to be learnt by guessing. */
static void
answer_unknown(struct resource_op *op)
{
    enum {
        NOT_FOUND = 404
    };

    const struct shown shown = {.kind = PAYMENTS_QR_PAGE_UNKNOWN};
    answer_page(op, NOT_FOUND, &shown);
}

void
payments_qr_page_show(struct resource_op *op)
{
    struct payments_flow *flow = payments_flow_create(op);
    struct shown shown = {.kind = PAYMENTS_QR_PAGE_UNKNOWN};
    struct span id;
    struct span secret;
    if (flow == NULL) {
        return;
    }
    struct span token = resource_op_capture(op, 1);
    enum payments_qr_form form = payments_qr_form_read(&token);
    if (!payments_url_read_token(token, &id, &secret)) {
        answer_unknown(op);
        return;
    }
    bool of_code = span_starts_with(id, span_from_cstr(payments_qr_code_type.prefix));
    err_t error = of_code ? load_code(flow, id, &shown) : load_intent(flow, id, &shown);
    if (error == ERR_OK && (shown.data.size == 0 || !span_equal_secret(shown.secret, secret))) {
        error = ERR_NOT_FOUND;
    }
    if (error == ERR_NOT_FOUND) {
        answer_unknown(op);
    } else if (error != ERR_OK) {
        resource_internal(op, error, "page of a code");
    } else {
        answer_shown(op, &shown, form);
    }
}
