/* Answers: their status, headers and, for what the front itself refuses, bodies. */
#include "front.h"

#include "base/assert.h"

#define CONTENT_TYPE_JSON "application/json"

static void
header(struct api_request *request, struct span name, struct span value)
{
    if (value.size == 0) {
        return;
    }
    ASSERT(request->header_count < API_HEADERS_MAX);
    request->headers[request->header_count++] = (struct http_header){.name = name, .value = value};
}

/* Whether an SDK shall try again where the status alone does not say it. */
static struct span
should_retry(const struct resource_request *resource)
{
    if (resource->replayed) {
        /* The same answer would come again. */
        return resource->status >= 500 ? SPAN("false") : SPAN_EMPTY;
    }
    if (resource->status == 409 || resource->status == 503) {
        return SPAN("true");
    }
    /* An object was locked for too long: nothing was done. SDKs do not repeat a 429 by themselves.
     */
    if (resource->status == 429 && resource->rate_limited_reason == NULL) {
        return SPAN("true");
    }
    return SPAN_EMPTY;
}

static void
common_headers(struct api_request *request)
{
    const struct resource_request *resource = &request->resource;
    struct span version = resource->api_version;
    header(request, SPAN("Request-Id"), span_from_cstr(resource->request_id));
    header(request, SPAN("Trace-Id"), span_from_cstr(request->trace_id));
    header(request, SPAN("Cache-Control"), SPAN("no-cache, no-store"));
    header(request, SPAN("Stripe-Version"), version.size == 0 ? SPAN(API_VERSION) : version);
    header(request, SPAN("Idempotency-Key"), resource->idempotency_key);
    if (request->exchange->answer.status == 401) {
        header(request, SPAN("WWW-Authenticate"), SPAN("Basic realm=\"Tael\""));
    }
    request->exchange->answer.headers = request->headers;
    request->exchange->answer.header_count = request->header_count;
}

/*
 * For what a browser shows: nothing is loaded or run that does not stand in the page itself, which
 * may have a style. Where a form may lead is not limited: a browser would apply the limit to the
 * redirect behind it as well, and that goes to the merchant.
 */
static void
page_headers(struct api_request *request)
{
    struct span content_type = request->exchange->answer.content_type;
    if (span_equal(content_type, SPAN(CONTENT_TYPE_JSON))) {
        return;
    }
    header(request, SPAN("X-Content-Type-Options"), SPAN("nosniff"));
    if (span_starts_with(content_type, SPAN("text/html"))) {
        header(
            request,
            SPAN("Content-Security-Policy"),
            SPAN("default-src 'none'; style-src 'unsafe-inline'; img-src 'self' data:; "
                 "base-uri 'none'; frame-ancestors 'none'"));
        /* The path holds a secret. */
        header(request, SPAN("Referrer-Policy"), SPAN("no-referrer"));
    }
}

/* A person who follows a link has no use for JSON: the error becomes a page, if the route has one.
 */
static void
show_refusal(struct api_request *request)
{
    const struct resource_route *route = request->resource.route;
    struct net_answer *answer = &request->exchange->answer;
    struct buf page;
    if (route == NULL || route->refusal_page == NULL || answer->status < 400 ||
        !span_equal(answer->content_type, SPAN(CONTENT_TYPE_JSON))) {
        return;
    }
    buf_init(&page, API_ERROR_MAX);
    route->refusal_page((int)answer->status, &page);
    if (buf_failed(&page)) {
        buf_release(&page);
        return;
    }
    buf_release(&answer->body);
    answer->body = page;
    answer->content_type = SPAN("text/html; charset=utf-8");
}

void
api_answer_outcome(struct api_request *request)
{
    struct resource_request *resource = &request->resource;
    struct net_answer *answer = &request->exchange->answer;
    answer->status = (unsigned)resource->status;
    answer->content_type = resource->content_type == NULL ? SPAN(CONTENT_TYPE_JSON)
                                                          : span_from_cstr(resource->content_type);
    answer->body = resource->body;
    resource->body = (struct buf){.data = NULL};
    request->header_count = 0;
    if (resource->replayed) {
        header(request, SPAN("Idempotent-Replayed"), SPAN("true"));
        header(request, SPAN("Original-Request"), span_from_cstr(resource->original_request_id));
    }
    header(request, SPAN("Location"), resource->location);
    show_refusal(request);
    page_headers(request);
    header(request, SPAN("Stripe-Should-Retry"), should_retry(resource));
    header(
        request, SPAN("Stripe-Rate-Limited-Reason"), span_from_cstr(resource->rate_limited_reason));
    common_headers(request);
}

void
api_answer_description(struct api_request *request)
{
    struct net_answer *answer = &request->exchange->answer;
    answer->status = 200;
    answer->content_type = SPAN(CONTENT_TYPE_JSON);
    /* No key is asked for it: who asks often and reads slowly must not fill the memory. */
    answer->lent = buf_span(&request->api->description);
    request->header_count = 0;
    common_headers(request);
}

void
api_answer_error(struct api_request *request, const struct resource_error *error)
{
    struct net_answer *answer = &request->exchange->answer;
    answer->status = (unsigned)error->status;
    answer->content_type = SPAN(CONTENT_TYPE_JSON);
    buf_init(&answer->body, API_ERROR_MAX);
    resource_error_render(&answer->body, error, request->resource.request_id);
    ASSERT(!buf_failed(&answer->body));
    request->header_count = 0;
    show_refusal(request);
    page_headers(request);
    common_headers(request);
}

void
api_answer_refusal(struct api *api, struct net_exchange *exchange, const char *reason)
{
    char sentence[256];
    struct buf text;
    buf_init_fixed(&text, sentence, sizeof(sentence));
    buf_append_format(&text, "The request was refused: %.200s.", reason);
    struct resource_error error = {
        .status = (int)exchange->answer.status,
        .type = exchange->answer.status >= 500 ? "api_error" : "invalid_request_error",
        .message = buf_span(&text),
    };
    struct net_answer *answer = &exchange->answer;
    answer->content_type = SPAN(CONTENT_TYPE_JSON);
    buf_init(&answer->body, API_ERROR_MAX);
    struct api_request *request = ARENA_NEW(exchange->arena, struct api_request);
    if (request == NULL) {
        resource_error_render(&answer->body, &error, "");
        return;
    }
    request->api = api;
    request->exchange = exchange;
    api_request_id(api, request->resource.request_id);
    tracecontext_trace_id_format(api_random(api), request->trace_id); /* of this answer alone */
    resource_error_render(&answer->body, &error, request->resource.request_id);
    if (error.status == 503) {
        header(request, SPAN("Stripe-Should-Retry"), SPAN("true"));
    }
    common_headers(request);
}
