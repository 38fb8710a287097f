/* The request made anew for a service, and the service's answer made anew for the client. */
#include "gateway_private.h"
#include "match.h"

#include "base/assert.h"
#include "http/writer.h"

#include <string.h>

/* What nginx logs for it; no client sees it but one that closed its own side only. */
#define CLIENT_GONE_STATUS 499

static bool
only_reads(const struct upstream_call *call)
{
    return call->method == HTTP_METHOD_GET || call->method == HTTP_METHOD_HEAD;
}

/* By what the service gets: an Idempotency-Key that was dropped on the way protects nobody. */
static bool
is_repeatable(const struct upstream_call *call)
{
    if (only_reads(call)) {
        return true;
    }
    for (size_t i = 0; i < call->header_count; i++) {
        if (call->headers[i].value.size > 0 &&
            span_equal_nocase(call->headers[i].name, SPAN("idempotency-key"))) {
            return true;
        }
    }
    return false;
}

/* Path and query as the service gets them; in the arena. */
static struct span
target_make(struct gateway_request *request)
{
    const struct net_exchange *exchange = request->exchange;
    if (!request->route->rewrites && exchange->query.size == 0) {
        return request->path;
    }
    size_t room =
        strlen(request->route->rewrite_prefix) + request->path.size + 2 + exchange->query.size;
    char *memory = arena_alloc(exchange->arena, room);
    if (memory == NULL) {
        return SPAN_EMPTY;
    }
    struct buf text;
    buf_init_fixed(&text, memory, room);
    gateway_rewrite_path(request->route, request->path, &text);
    if (exchange->query.size > 0) {
        buf_append_byte(&text, '?');
        buf_append_span(&text, exchange->query);
    }
    ASSERT(!buf_failed(&text));
    return buf_span(&text);
}

/* ------------------------------------------------------------------------------------- answers */

/* The head's text moves to the exchange's memory: the call is used again before the answer left. */
static bool
answer_pass(struct gateway_request *request)
{
    struct upstream_call *call = &request->call;
    struct net_exchange *exchange = request->exchange;
    struct http_head head = *upstream_call_head(call);
    struct span text = arena_copy(exchange->arena, span_of(head.base, head.size));
    struct http_header *headers = ARENA_ARRAY(
        exchange->arena, struct http_header, head.field_count + GATEWAY_HEADERS_MAX + 8);
    if (text.data == NULL || headers == NULL) {
        return false;
    }
    head.base = text.data;
    exchange->answer.status = call->status;
    exchange->answer.content_type = http_head_value(&head, HTTP_FIELD_CONTENT_TYPE);
    exchange->answer.headers = headers;
    exchange->answer.header_count = gateway_headers_for_client(request, &head, headers);
    exchange->answer.head_length =
        head.has_content_length ? head.content_length : HTTP_LENGTH_UNKNOWN;
    exchange->answer.body = upstream_call_take_answer(call);
    return true;
}

static void
answer_fail(
    struct gateway_request *request,
    enum gateway_verdict verdict,
    unsigned status,
    bool retry,
    struct span message)
{
    request->verdict = verdict;
    gateway_answer_error(request, status, "api_error", NULL, message);
    gateway_answer_header(
        request, SPAN("Stripe-Should-Retry"), retry ? SPAN("true") : SPAN("false"));
    if (status == 503) {
        gateway_answer_header(request, SPAN("Retry-After"), SPAN("1"));
    }
}

void
gateway_answer_gone(struct gateway_request *request)
{
    answer_fail(
        request,
        GATEWAY_CLIENT_GONE,
        CLIENT_GONE_STATUS,
        true,
        SPAN("The client closed its connection before the answer. Nothing was changed."));
}

/* What did not happen may be repeated; what may have happened only if that is safe. */
static void
answer_outcome(struct gateway_request *request)
{
    const struct upstream_call *call = &request->call;
    bool safe = !call->may_have_happened || call->repeatable;
    switch (call->outcome) {
    case UPSTREAM_ANSWERED:
        if (!answer_pass(request)) {
            answer_fail(
                request,
                GATEWAY_FAILED,
                502,
                call->repeatable,
                SPAN("The gateway has no memory for the answer."));
        }
        return;
    case UPSTREAM_NOT_SENT:
        answer_fail(
            request,
            GATEWAY_UNAVAILABLE,
            503,
            true,
            SPAN("The service cannot be reached. Nothing was done."));
        return;
    case UPSTREAM_NO_ENDPOINT:
        answer_fail(
            request,
            GATEWAY_UNAVAILABLE,
            503,
            true,
            SPAN("The service has no machine that could answer. Nothing was done."));
        return;
    case UPSTREAM_OVERLOADED:
        answer_fail(
            request,
            GATEWAY_UNAVAILABLE,
            503,
            true,
            SPAN("The service has too much to do. Nothing was done."));
        return;
    case UPSTREAM_UNKNOWN:
        answer_fail(
            request,
            GATEWAY_FAILED,
            502,
            safe,
            SPAN("The service did not answer properly. The request may have been carried out."));
        return;
    case UPSTREAM_CANCELLED: /* only by gateway_forward_leave */
        gateway_answer_gone(request);
        return;
    case UPSTREAM_TIMEOUT:
        answer_fail(
            request,
            GATEWAY_FAILED,
            504,
            safe,
            call->may_have_happened
                ? SPAN("The service did not answer in time. The request may have been carried out.")
                : SPAN("The service could not be asked in time. Nothing was done."));
        return;
    }
    UNREACHABLE();
}

void
gateway_forward_leave(struct gateway_request *request)
{
    struct upstream_call *call = &request->call;
    if (only_reads(call) || upstream_call_is_unsent(call)) {
        upstream_cancel(call);
    }
}

/* One that was given up would have taken at least so long: it makes the mean larger, never less. */
static bool
tells_latency(const struct upstream_call *call, const struct gateway_shed *shed)
{
    bool longer = call->ended_ns - call->started_ns >= shed->latency_ns;
    return call->may_have_happened && (call->outcome != UPSTREAM_CANCELLED || longer);
}

static void
on_done(struct upstream_call *call)
{
    struct gateway_request *request = CONTAINER_OF(call, struct gateway_request, call);
    struct gateway_target *target = request->target;
    ASSERT(target->under_way > 0);
    target->under_way--;
    target->outcomes[call->outcome]++;
    if (tells_latency(call, &target->shed)) {
        gateway_shed_answered(&target->shed, call->ended_ns - call->started_ns);
    }
    answer_outcome(request);
    if (call->outcome != UPSTREAM_ANSWERED) {
        upstream_call_release(call); /* of half an answer, up to answer_max would stay with it */
    }
    gateway_request_finish(request);
}

/* ------------------------------------------------------------------------------------- sending */

static uint64_t
balance_key(const struct gateway_request *request)
{
    /* The same on every gateway. */
    static const struct hash_key key = {3, 4};
    return request->key.kind != GATEWAY_KEY_NONE
               ? hash_keyed(key, request->key.text)
               : hash_keyed(key, span_of(request->forwarded.hops[0], 16));
}

void
gateway_forward(struct gateway_request *request)
{
    struct net_exchange *exchange = request->exchange;
    const struct gateway_route *route = request->route;
    struct upstream_call *call = &request->call;
    call->next = NULL;
    call->method = exchange->method;
    call->target = target_make(request);
    call->content_type = http_head_value(exchange->head, HTTP_FIELD_CONTENT_TYPE);
    call->header_count = gateway_headers_for_service(request);
    call->headers = request->headers;
    call->body = exchange->body;
    call->host = span_from_cstr(route->rewrite_host);
    call->key = request->target->by_key ? balance_key(request) : 0;
    call->repeatable = is_repeatable(call);
    call->timeout_ms = (uint32_t)route->timeout;
    call->try_timeout_ms = (uint32_t)route->try_timeout;
    call->reply_to = NULL;
    call->done = on_done;
    call->hooks = &gateway_trace_attempts;
    if (call->target.size == 0) {
        request->target = NULL;
        request->verdict = GATEWAY_BAD_REQUEST;
        gateway_answer_error(
            request, 414, "invalid_request_error", NULL, SPAN("The request target is too long."));
        gateway_request_finish(request);
        return;
    }
    request->target->under_way++;
    request->forwarded_ns = net_now_ns();
    upstream_send(request->target->upstream, call);
}
