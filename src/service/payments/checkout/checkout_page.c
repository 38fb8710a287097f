/*
 * The page on which a payer pays. It is plain HTML with forms and works without scripts; its
 * address carries the proof that one may see it, so there is nothing that another site could make a
 * browser send along.
 *
 *   GET   changes nothing: with .png or .svg behind the address a picture of it; else shows the
 * form, the code, that it is being paid, or that it is over; leads to success_url once it is paid
 *   POST  looks whether the session is open, under its lock, then: a card goes to the vault, and
 *         its intent is authorized as ever (authorize.c); or the intent shows a code (qr.c).
 *         Then 303: to success_url, to the bank's question, or to the page, which says what came of
 *         it. What was entered wrongly is answered with the form.
 *
 * Two that begin at once make two intents, of which one is stored: the session names it in the same
 * commit (CHECKOUT-3). The other operation begins anew, and waits for the first one's end.
 */
#include "checkout_page.h"

#include "checkout.h"
#include "method.h"
#include "qr.h"
#include "url.h"

#include "base/assert.h"
#include "json/json_in.h"

#define ERROR_VALUES_MAX 256 /* of last_payment_error */

enum {
    FOUND = 200,
    NOT_FOUND = 404,
    GONE = 410,
    NOT_READABLE = 422
};

/* ---------------------------------------------------------------------------------- loading --- */

static void
answer_page(struct payments_flow *flow, int status, const struct payments_checkout_page *page)
{
    struct buf body;
    buf_init(&body, PAYMENTS_CHECKOUT_PAGE_SIZE_MAX);
    payments_checkout_page_write(&body, page);
    resource_answer_typed(flow->op, status, "text/html; charset=utf-8", &body);
}

/* The same for what is not there and for a wrong secret: nothing is to be learnt by guessing. */
static void
answer_unknown(struct payments_flow *flow)
{
    const struct payments_checkout_page page = {.kind = PAYMENTS_CHECKOUT_PAGE_UNKNOWN};
    answer_page(flow, NOT_FOUND, &page);
}

/* flow->checkout as it is now, by the address's end. False: answered. */
static bool
load_session(struct payments_flow *flow, struct span token)
{
    struct span id;
    struct span secret;
    void *found;
    if (!payments_url_read_token(token, &id, &secret) ||
        !span_starts_with(id, span_from_cstr(payments_checkout_type.prefix))) {
        answer_unknown(flow);
        return false;
    }
    err_t error = resource_load(flow->op, &payments_checkout_type, id, &found);
    if (error != ERR_OK && error != ERR_NOT_FOUND) {
        resource_internal(flow->op, error, "checkout page");
        return false;
    }
    flow->checkout = error == ERR_OK ? found : NULL;
    if (error != ERR_OK || !span_equal_secret(flow->checkout->secret, secret)) {
        answer_unknown(flow);
        return false;
    }
    error = resource_op_merchant_closed(flow->op, &flow->merchant_closed);
    if (error != ERR_OK) {
        resource_internal(flow->op, error, "merchant");
    }
    return error == ERR_OK;
}

/* And its intent, if it has one. False: answered. */
static bool
load(struct payments_flow *flow, struct span token)
{
    if (!load_session(flow, token)) {
        return false;
    }
    flow->intent = NULL;
    return flow->checkout->payment_intent.size == 0 ||
           payments_intent_load(flow, flow->checkout->payment_intent);
}

/* ------------------------------------------------------------------------------ what is shown ---
 */

static bool
is_complete(const struct payments_flow *flow)
{
    return span_equal_cstr(flow->checkout->status, "complete");
}

static enum payments_checkout_page_kind
kind_of(struct payments_flow *flow)
{
    const struct payments_checkout *checkout = flow->checkout;
    bool paying = flow->intent != NULL && payments_attempt_is_open(&flow->intent->attempt);
    if (!payments_checkout_is_open(checkout)) {
        return PAYMENTS_CHECKOUT_PAGE_OVER;
    }
    if (paying) {
        return PAYMENTS_CHECKOUT_PAGE_PENDING;
    }
    if (checkout->expires_at <= (int64_t)resource_now_s(flow->op) || flow->merchant_closed) {
        return PAYMENTS_CHECKOUT_PAGE_OVER; /* the sweeper is on its way */
    }
    return flow->intent != NULL && payments_waits_for(flow, PAYMENTS_WAITS_FOR_QR)
               ? PAYMENTS_CHECKOUT_PAGE_CODE
               : PAYMENTS_CHECKOUT_PAGE_FORM;
}

/* Why the last try failed, if it did and nobody has tried since. */
static void
read_last_error(const struct payments_flow *flow, struct payments_checkout_errors *errors)
{
    struct json_value *root;
    struct json_problem problem;
    if (flow->intent == NULL || flow->intent->last_payment_error.size == 0 ||
        json_read(
            flow->intent->last_payment_error,
            resource_op_arena(flow->op),
            ERROR_VALUES_MAX,
            &root,
            &problem) != ERR_OK) {
        return;
    }
    payments_checkout_errors_of_try(
        json_value_member_text(root, SPAN("code")),
        json_value_member_text(root, SPAN("decline_code")),
        errors);
}

static err_t
fill_lines(struct payments_flow *flow, struct payments_checkout_page *page)
{
    struct arena *arena = resource_op_arena(flow->op);
    const struct currency *currency = currency_find(flow->checkout->currency);
    struct payments_checkout_items *items = ARENA_NEW(arena, struct payments_checkout_items);
    struct payments_checkout_line *lines =
        ARENA_ARRAY(arena, struct payments_checkout_line, PAYMENTS_CHECKOUT_ITEMS_MAX);
    if (items == NULL || lines == NULL) {
        return ERR_FULL;
    }
    TRY(payments_checkout_items_read(arena, flow->checkout, items));
    for (uint32_t i = 0; i < items->count; i++) {
        const struct payments_checkout_item *item = &items->at[i];
        lines[i] = (struct payments_checkout_line){
            .name = item->name, .description = item->description, .quantity = item->quantity};
        TRY(money_from_api(item->unit_amount * item->quantity, currency, &lines[i].cost));
    }
    page->lines = lines;
    page->line_count = items->count;
    return money_from_api(flow->checkout->amount, currency, &page->total);
}

static const char *
verb_of(struct span submit_type)
{
    return span_equal_cstr(submit_type, "book")     ? "Book for"
           : span_equal_cstr(submit_type, "donate") ? "Donate"
                                                    : "Pay";
}

static bool
asks_email(const struct payments_checkout *checkout)
{
    return checkout->customer_email.size == 0 && checkout->customer.size == 0;
}

static bool
takes(const struct payments_checkout *checkout, bool code)
{
    const struct payments_method method = {.shows_qr = code};
    return payments_method_is_of(&method, checkout->payment_method_types);
}

/* "../../qr/SCOPE/TOKEN.svg": the code's own page is beside this one. */
static struct span
picture_of(const struct payments_flow *flow)
{
    const struct payments_intent *intent = flow->intent;
    ASSERT(intent != NULL); /* which shows it */
    return arena_format(
        resource_op_arena(flow->op),
        "../../qr/%llu/%.*s_%.*s.svg",
        (unsigned long long)resource_op_caller(flow->op)->scope,
        SPAN_PRINTF(intent->header.id),
        SPAN_PRINTF(intent->challenge.secret));
}

/* Where the bank asks, while it waits for the answer. */
static struct span
challenge_of(struct payments_flow *flow)
{
    return flow->intent != NULL && payments_waits_for(flow, PAYMENTS_WAITS_FOR_CARD)
               ? flow->intent->challenge.url
               : SPAN_EMPTY;
}

static err_t
fill(struct payments_flow *flow, struct payments_checkout_page *page)
{
    const struct payments_checkout *checkout = flow->checkout;
    page->verb = verb_of(checkout->submit_type);
    page->test_mode = !checkout->header.livemode;
    page->cancel_url = checkout->cancel_url;
    page->takes_card = takes(checkout, false);
    page->takes_code = takes(checkout, true);
    page->asks_email = asks_email(checkout);
    page->too_many = checkout->cards >= PAYMENTS_CHECKOUT_CARDS_MAX;
    if (page->kind == PAYMENTS_CHECKOUT_PAGE_CODE) {
        page->picture = picture_of(flow);
    }
    page->challenge = challenge_of(flow);
    TRY(resource_op_merchant_name(flow->op, &page->merchant));
    if (page->merchant.size == 0) {
        page->merchant = span_from_cstr(flow->payments->parts.presentation.name);
    }
    return fill_lines(flow, page);
}

static void
show(struct payments_flow *flow, int status, struct payments_checkout_page *page)
{
    err_t error = fill(flow, page);
    if (error != ERR_OK) {
        resource_internal(flow->op, error, "checkout page");
        return;
    }
    answer_page(flow, page->kind == PAYMENTS_CHECKOUT_PAGE_OVER ? GONE : status, page);
}

/* The page's own address, to scan with a phone. */
static void
answer_picture(struct payments_flow *flow, enum payments_qr_form form)
{
    if (is_complete(flow) || kind_of(flow) == PAYMENTS_CHECKOUT_PAGE_OVER) {
        struct payments_checkout_page page = {.kind = PAYMENTS_CHECKOUT_PAGE_OVER};
        show(flow, GONE, &page);
        return;
    }
    payments_qr_picture_answer(
        flow->op, flow->checkout->url, SPAN("Link to the page to pay on"), form);
}

void
payments_checkout_page_show(struct resource_op *op)
{
    struct payments_flow *flow = payments_flow_create(op);
    struct span token = resource_op_capture(op, 1);
    enum payments_qr_form form = payments_qr_form_read(&token);
    if (flow == NULL || !load(flow, token)) {
        return;
    }
    if (form != PAYMENTS_QR_PAGE) {
        answer_picture(flow, form);
        return;
    }
    if (is_complete(flow)) {
        resource_answer_redirect(op, flow->checkout->success_url);
        return;
    }
    struct payments_checkout_page page = {
        .kind = kind_of(flow),
        .name = flow->checkout->payer_name,
        .email = flow->checkout->payer_email,
    };
    if (page.kind == PAYMENTS_CHECKOUT_PAGE_CODE && resource_present(op, "by")) {
        page.kind = PAYMENTS_CHECKOUT_PAGE_FORM;
    }
    read_last_error(flow, &page.errors);
    show(flow, FOUND, &page);
}

/* --------------------------------------------------------------------------------- paying --- */

/* Where the payer goes now. */
static void
answer_paid(struct payments_flow *flow)
{
    struct span challenge = challenge_of(flow);
    resource_answer_redirect(
        flow->op,
        is_complete(flow)     ? flow->checkout->success_url
        : challenge.size != 0 ? challenge
                              : flow->checkout->url);
}

static void
read_entered(struct resource_op *op, struct payments_checkout_page *page)
{
    (void)resource_text(op, "name", &page->name);
    (void)resource_text(op, "email", &page->email);
    (void)resource_text(op, "card[expiry]", &page->expiry);
    if (!payments_checkout_name_is_sound(page->name)) {
        page->name = SPAN_EMPTY; /* nor is it shown back */
    }
    if (!payments_checkout_email_is_sound(page->email) &&
        !payments_checkout_name_is_sound(page->email)) {
        page->email = SPAN_EMPTY;
    }
}

static void
answer_errors(struct payments_flow *flow, const struct payments_checkout_errors *errors)
{
    struct payments_checkout_page page = {.kind = PAYMENTS_CHECKOUT_PAGE_FORM, .errors = *errors};
    read_entered(flow->op, &page);
    show(flow, NOT_READABLE, &page);
}

static void
method_chosen(struct payments_flow *flow)
{
    const struct payments_checkout *checkout = flow->checkout;
    bool named = checkout->customer_email.size != 0;
    flow->confirms = true;
    if (!flow->method->shows_qr) {
        flow->method->billing_details = payments_billing_of_payer(
            flow->op,
            checkout->payer_name,
            named ? checkout->customer_email : checkout->payer_email);
    }
    payments_checkout_answers(flow, answer_paid);
    payments_authorize_begin(flow);
}

static void
card_kept(struct resource_op *op)
{
    struct payments_flow *flow = payments_flow_of(op);
    struct payments_checkout_errors errors = {.form = NULL};
    payments_checkout_errors_of_card(resource_card_outcome(op), &errors);
    if (payments_checkout_errors_any(&errors)) {
        answer_errors(flow, &errors);
        return;
    }
    payments_method_choose(flow, method_chosen);
}

/* All but the card itself, which the vault looks at, and keeps if it is good: nobody may fill it
 * with cards that are not tried. */
static void
check_entered(
    struct payments_flow *flow,
    int64_t *ret_month,
    int64_t *ret_year,
    struct payments_checkout_errors *errors)
{
    struct payments_checkout_page entered = {.kind = PAYMENTS_CHECKOUT_PAGE_FORM};
    bool has_number;
    bool has_cvc;
    read_entered(flow->op, &entered);
    resource_card_given(flow->op, &has_number, &has_cvc);
    if (!has_number) {
        payments_checkout_errors_of_card(PORT_VAULT_INVALID_NUMBER, errors);
    }
    if (!has_cvc) {
        payments_checkout_errors_of_card(PORT_VAULT_INVALID_CVC, errors);
    }
    if (!payments_checkout_expiry_read(entered.expiry, ret_month, ret_year)) {
        payments_checkout_errors_of_card(PORT_VAULT_INVALID_MONTH, errors);
    }
    if (!payments_checkout_name_is_sound(entered.name)) {
        errors->name = "Enter the name that stands on the card.";
    }
    if (asks_email(flow->checkout) && !payments_checkout_email_is_sound(entered.email)) {
        errors->email = "Enter your e-mail address, such as jenny@example.com.";
    }
    flow->checkout->payer_name = entered.name;
    flow->checkout->payer_email = asks_email(flow->checkout) ? entered.email : SPAN_EMPTY;
}

static void
pay_by_card(struct payments_flow *flow)
{
    struct payments_checkout_errors errors = {.form = NULL};
    int64_t month = 0;
    int64_t year = 0;
    if (!takes(flow->checkout, false) || flow->checkout->cards >= PAYMENTS_CHECKOUT_CARDS_MAX) {
        answer_errors(flow, &errors); /* the form says so, or has no card in it */
        return;
    }
    check_entered(flow, &month, &year, &errors);
    if (payments_checkout_errors_any(&errors)) {
        answer_errors(flow, &errors);
        return;
    }
    resource_card_keep(flow->op, month, year, card_kept);
}

/* Under the lock of the intent, which is loaded, or new. */
static void
pay(struct payments_flow *flow)
{
    bool by_code = resource_present(flow->op, "payment_method_data[type]");
    enum payments_checkout_page_kind kind = kind_of(flow);
    if (is_complete(flow)) {
        answer_paid(flow);
    } else if (kind == PAYMENTS_CHECKOUT_PAGE_OVER) {
        struct payments_checkout_page page = {.kind = kind};
        show(flow, GONE, &page);
    } else if (kind == PAYMENTS_CHECKOUT_PAGE_PENDING) {
        answer_paid(flow);
    } else if (!by_code) {
        pay_by_card(flow);
    } else if (kind == PAYMENTS_CHECKOUT_PAGE_CODE) {
        answer_paid(flow); /* it shows one already */
    } else if (takes(flow->checkout, true)) {
        payments_method_choose(flow, method_chosen);
    } else {
        const struct payments_checkout_errors none = {.form = NULL};
        answer_errors(flow, &none);
    }
}

static void
submit_again(struct resource_op *op)
{
    struct payments_flow *flow = payments_flow_of(op);
    if (load(flow, resource_op_capture(flow->op, 1))) {
        pay(flow);
    }
}

/* The intent is new, and nobody else's: PAYMENTS-6 from its first moment on. */
static void
submit_first(struct resource_op *op)
{
    struct payments_flow *flow = payments_flow_of(op);
    struct payments_intent *intent = flow->intent;
    if (!load_session(flow, resource_op_capture(flow->op, 1))) {
        return;
    }
    if (flow->checkout->payment_intent.size != 0) {
        /* Another tab was first while the lock was asked for: the page says how that goes. */
        resource_answer_redirect(op, flow->checkout->url);
        return;
    }
    flow->intent = intent;
    pay(flow);
}

void
payments_checkout_page_submit(struct resource_op *op)
{
    struct payments_flow *flow = payments_flow_create(op);
    if (flow == NULL || !load_session(flow, resource_op_capture(flow->op, 1))) {
        return;
    }
    if (flow->checkout->payment_intent.size != 0) {
        resource_lock(op, flow->checkout->payment_intent, submit_again);
    } else if (payments_checkout_intent_new(flow)) {
        resource_lock(op, flow->intent->header.id, submit_first);
    }
}
