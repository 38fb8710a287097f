/*
 * The page on which a customer authenticates (3-D Secure). It stands for the issuer's: with a
 * simulated network there is nobody else to ask. It is plain HTML with one form, works without
 * scripts, and its address carries the proof that one may see it.
 *
 *   GET   shows the form, or how it ended
 *   POST  takes the first answer (challenge.c); then, as every later one, leads back to the
 *         merchant: 303 to return_url, or a page that says how it ended if there is none
 */
#include "page.h"

#include "flow.h"
#include "handlers.h"
#include "method.h"
#include "url.h"

#include <string.h>

#define LOCATION_FORMAT "%.*s%c%s=%.*s&%s_client_secret=%.*s&redirect_status=%s%.*s"

/* ---------------------------------------------------------------------------------- loading --- */

static bool
read_address(struct payments_flow *flow)
{
    return payments_url_read_token(
        resource_op_capture(flow->op, 1), &flow->wanted_intent, &flow->wanted_secret);
}

static const struct payments_challenge *
challenge_of(const struct payments_flow *flow)
{
    return flow->setup != NULL ? &flow->setup->challenge : &flow->intent->challenge;
}

static bool
is_setup(struct span id)
{
    return span_starts_with(id, span_from_cstr(payments_setup_type.prefix));
}

static void
answer_page(struct payments_flow *flow, int status, const struct payments_page *page)
{
    struct buf body;
    buf_init(&body, PAYMENTS_PAGE_SIZE_MAX);
    payments_page_write(&body, page);
    resource_answer_typed(flow->op, status, "text/html; charset=utf-8", &body);
}

/* The same for what is not there and for a wrong secret: nothing is to be learnt by guessing. */
static void
answer_unknown(struct payments_flow *flow)
{
    const struct payments_page page = {.kind = PAYMENTS_PAGE_UNKNOWN};
    answer_page(flow, 404, &page);
}

/* False: answered. */
static bool
load(struct payments_flow *flow)
{
    const struct resource_type *type =
        is_setup(flow->wanted_intent) ? &payments_setup_type : &payments_intent_type;
    void *found;
    err_t error = resource_load(flow->op, type, flow->wanted_intent, &found);
    if (error == ERR_NOT_FOUND) {
        answer_unknown(flow);
        return false;
    }
    if (error != ERR_OK) {
        resource_internal(flow->op, error, "page");
        return false;
    }
    bool loaded = type == &payments_setup_type ? payments_setup_load(flow, flow->wanted_intent)
                                               : payments_intent_load(flow, flow->wanted_intent);
    if (!loaded) {
        return false;
    }
    struct span secret = challenge_of(flow)->secret;
    if (secret.size == 0 || challenge_of(flow)->kind.size != 0 ||
        !span_equal_secret(secret, flow->wanted_secret)) {
        answer_unknown(flow);
        return false;
    }
    return true;
}

/* ------------------------------------------------------------------------------- how it ends ---
 */

static struct span
status_of(const struct payments_flow *flow)
{
    const struct payments_attempt *attempt =
        flow->setup != NULL ? &flow->setup->attempt : &flow->intent->attempt;
    if (payments_attempt_is_open(attempt)) {
        return SPAN("processing");
    }
    return flow->setup != NULL ? flow->setup->status : flow->intent->status;
}

static enum payments_page_kind
kind_of(const struct payments_flow *flow)
{
    const struct payments_challenge *challenge = challenge_of(flow);
    struct span status = status_of(flow);
    int64_t now = (int64_t)resource_now_s(flow->op);
    if (span_equal_cstr(status, "requires_action")) {
        return payments_challenge_is_open(challenge, now) ? PAYMENTS_PAGE_FORM
                                                          : PAYMENTS_PAGE_FAILED;
    }
    if (span_equal_cstr(status, "processing")) {
        return PAYMENTS_PAGE_PENDING;
    }
    bool proven = span_equal_cstr(status, "requires_confirmation") &&
                  span_equal_cstr(challenge->state, "passed");
    bool done = span_equal_cstr(status, "succeeded") || span_equal_cstr(status, "requires_capture");
    return proven || done ? PAYMENTS_PAGE_SUCCEEDED : PAYMENTS_PAGE_FAILED;
}

static const char *
redirect_status(enum payments_page_kind kind)
{
    return kind == PAYMENTS_PAGE_SUCCEEDED ? "succeeded"
           : kind == PAYMENTS_PAGE_PENDING ? "pending"
                                           : "failed";
}

/* return_url with what Stripe adds to it, in front of a fragment; empty if there is none. */
static struct span
location_of(const struct payments_flow *flow, enum payments_page_kind kind)
{
    struct span url = challenge_of(flow)->return_url;
    if (url.size == 0) {
        return SPAN_EMPTY;
    }
    if (flow->setup == NULL && flow->intent->checkout_session.size != 0) {
        return url; /* the page on which they pay, which knows */
    }
    size_t hash = span_find(url, '#', 0);
    struct span address = span_slice(url, 0, hash);
    const char *name = flow->setup != NULL ? "setup_intent" : "payment_intent";
    struct span id = flow->setup != NULL ? flow->setup->header.id : flow->intent->header.id;
    struct span secret =
        flow->setup != NULL ? flow->setup->client_secret : flow->intent->client_secret;
    return arena_format(
        resource_op_arena(flow->op),
        LOCATION_FORMAT,
        SPAN_PRINTF(address),
        span_find(address, '?', 0) == address.size ? '?' : '&',
        name,
        SPAN_PRINTF(id),
        name,
        SPAN_PRINTF(secret),
        redirect_status(kind),
        SPAN_PRINTF(span_slice(url, hash, url.size)));
}

static void
show(struct payments_flow *flow, enum payments_page_kind kind)
{
    struct payments_page page = {
        .kind = kind,
        .setup = flow->setup != NULL,
        .location = location_of(flow, kind),
    };
    if (flow->setup == NULL) {
        err_t error =
            money_from_api(flow->intent->amount, payments_flow_currency(flow), &page.amount);
        page.kind = error == ERR_OK ? kind : PAYMENTS_PAGE_UNKNOWN;
    }
    if (kind == PAYMENTS_PAGE_FORM) {
        struct span id =
            flow->setup != NULL ? flow->setup->payment_method : flow->intent->payment_method;
        if (!payments_method_load(flow, id)) {
            return;
        }
        page.brand = flow->method->brand;
        page.last4 = flow->method->last4;
    }
    answer_page(flow, 200, &page);
}

void
payments_page_answer(struct payments_flow *flow)
{
    if (flow->answer_step != NULL) {
        flow->answer_step(flow);
        return;
    }
    enum payments_page_kind kind = kind_of(flow);
    struct span location = location_of(flow, kind);
    if (location.size != 0) {
        resource_answer_redirect(flow->op, location);
        return;
    }
    show(flow, kind);
}

/* ----------------------------------------------------------------------------------- routes --- */

void
payments_page_show(struct resource_op *op)
{
    struct payments_flow *flow = payments_flow_create(op);
    if (flow == NULL) {
        return;
    }
    if (!read_address(flow)) {
        answer_unknown(flow);
    } else if (load(flow)) {
        show(flow, kind_of(flow));
    }
}

static void
submit_locked(struct resource_op *op)
{
    struct payments_flow *flow = payments_flow_of(op);
    struct span answer = SPAN_EMPTY;
    if (!load(flow)) {
        return;
    }
    flow->page = true;
    (void)resource_text(op, "answer", &answer);
    bool waits = span_equal_cstr(status_of(flow), "requires_action") &&
                 span_equal_cstr(challenge_of(flow)->state, "open");
    bool expired = !payments_challenge_is_open(challenge_of(flow), (int64_t)resource_now_s(op));
    bool passed = span_equal_cstr(answer, "complete");
    if (!waits) {
        payments_page_answer(flow); /* sent twice, or too late */
    } else if (flow->setup != NULL) {
        if (expired) {
            payments_setup_expire(flow);
        } else {
            payments_setup_answer_challenge(flow, passed);
        }
    } else if (expired) {
        payments_challenge_expire(flow);
    } else {
        payments_challenge_answer(flow, passed);
    }
}

void
payments_page_submit(struct resource_op *op)
{
    struct payments_flow *flow = payments_flow_create(op);
    if (flow == NULL) {
        return;
    }
    if (!read_address(flow)) {
        answer_unknown(flow);
        return;
    }
    resource_lock(op, flow->wanted_intent, submit_locked);
}
