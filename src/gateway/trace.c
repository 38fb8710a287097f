/*
 * The one place where a trace begins or goes on, and where it ends.
 *
 * The gateway stands at a trust border: what a client says about traces is not followed, as W3C
 * Trace Context allows ("restart" in its section 5.2; its privacy section says why): a new trace
 * begins, linked to the client's. The trace of a trusted proxy goes on, tracestate and all
 * (GATEWAY-4).
 *
 *     the request (server)                      |-----------------------------------------|
 *         a try at an endpoint (client)            |---- 503 ----|    |----- 200 -----|
 *
 * A service is told the span of the very try that reaches it. Where nothing is recorded it is told
 * what the trusted proxy said, or nothing: a span that nobody recorded would be a hole in the tree,
 * and its flags would decide for the service what is sampled.
 */
#include "gateway_private.h"

#include "base/ip.h"
#include "trace/http.h"

#include <string.h>

/* The texts first that are short for certain; the path comes with the answer. */
static void
attributes_add(struct gateway_request *request)
{
    const struct net_exchange *exchange = request->exchange;
    struct trace_span *span = &request->trace.span;
    trace_span_label(span, "http.request.method", trace_http_method(exchange->method));
    trace_span_label(span, "url.scheme", exchange->tls ? "https" : "http");
    trace_span_text(span, "tael.request.id", span_from_cstr(request->id));
    if (request->forwarded.hop_count > 0) {
        char client[GATEWAY_IP_TEXT_SIZE];
        size_t size = gateway_ip_format(request->forwarded.hops[0], client);
        trace_span_text(span, "client.address", span_of(client, size));
    }
}

/* tracestate of a trusted proxy: without memory, and if it is not well-formed, there is none. */
static struct span
state_keep(struct gateway_request *request, const struct tracecontext_headers *headers)
{
    char *memory = arena_alloc(request->exchange->arena, TRACECONTEXT_STATE_MAX);
    struct buf state;
    if (memory == NULL) {
        return SPAN_EMPTY;
    }
    buf_init_fixed(&state, memory, TRACECONTEXT_STATE_MAX);
    bool good = tracecontext_state_append(headers->states, headers->state_count, &state);
    return good ? buf_span(&state) : SPAN_EMPTY;
}

void
gateway_trace_begin(struct gateway_request *request)
{
    const struct net_exchange *exchange = request->exchange;
    const struct gateway_config *config = request->generation->config;
    struct trace_recorder *recorder = request->gateway->parts.recorder;
    struct gateway_trace *trace = &request->trace;
    struct tracecontext_headers headers = trace_http_headers(exchange->head);
    struct tracecontext_incoming incoming;
    tracecontext_extract(&headers, &incoming);
    *trace = (struct gateway_trace){.state = SPAN_EMPTY};
    struct trace_root root = {
        .kind = TRACE_SERVER,
        .name = trace_http_method(exchange->method),
        .start_ns = exchange->arrived_ns,
        .random = gateway_random(request->gateway),
    };
    bool trusted = gateway_cidr_any(config->trusted, config->trusted_count, exchange->peer.ip);
    if (trusted) {
        root.parent = incoming.context;
        root.decision = incoming.decision;
        trace->state = incoming.has_state ? state_keep(request, &headers) : SPAN_EMPTY;
        root.state = trace->state;
    } else {
        root.link = incoming.context;
    }
    trace_root_start(recorder, &root, &trace->span);
    tracecontext_trace_id_format(trace->span.context.trace_id, trace->id);
    if (trace_span_is_recorded(&trace->span)) {
        trace->context = trace->span.context;
        attributes_add(request);
    } else if (trace_context_is_set(&root.parent)) {
        trace->context = root.parent;
    } else if (recorder != NULL) {
        trace->context = trace->span.context; /* no room: the sampler has decided all the same */
    }
    if (trace_context_is_set(&trace->context)) {
        tracecontext_format(&trace->context, trace->parent);
    }
}

/* ---------------------------------------------------------------------------------------- tries */

static void
attempt_begins(struct upstream_call *call)
{
    struct gateway_request *request = CONTAINER_OF(call, struct gateway_request, call);
    struct gateway_trace *trace = &request->trace;
    struct trace_span *span = &trace->attempt;
    if (!trace_context_is_set(&trace->context)) {
        return;
    }
    trace_span_start(
        &trace->context, TRACE_CLIENT, trace_http_method(request->exchange->method), span);
    tracecontext_format(&span->context, trace->parent);
    if (!trace_span_is_recorded(span)) {
        return;
    }
    struct span host;
    uint16_t port;
    trace_span_label(span, "http.request.method", trace_http_method(request->exchange->method));
    trace_span_text(
        span, "tael.gateway.upstream", span_from_cstr(upstream_name(request->target->upstream)));
    if (ip_port_split(span_from_cstr(call->endpoint), &host, &port)) {
        trace_span_text(span, "server.address", host);
        trace_span_number(span, "server.port", port);
    }
    if (call->attempts > 1) {
        trace_span_number(span, "http.request.resend_count", (int64_t)call->attempts - 1);
    }
}

static void
attempt_ended(struct upstream_call *call, const struct upstream_attempt *attempt)
{
    struct gateway_request *request = CONTAINER_OF(call, struct gateway_request, call);
    struct trace_span *span = &request->trace.attempt;
    if (attempt->result != ERR_OK) {
        trace_span_fail(span, err_name(attempt->result));
    } else {
        trace_http_status(span, attempt->status);
    }
    trace_span_end_at(span, attempt->ended_ns);
}

const struct upstream_attempt_hooks gateway_trace_attempts = {
    .begins = attempt_begins,
    .ended = attempt_ended,
};

/* ---------------------------------------------------------------------------------------- ends */

void
gateway_trace_end(struct gateway_request *request)
{
    struct trace_span *span = &request->trace.span;
    if (!trace_span_is_recorded(span)) {
        return;
    }
    trace_span_label(span, "tael.gateway.verdict", gateway_verdict_names[request->verdict]);
    if (request->route != NULL) {
        trace_span_text(span, "tael.gateway.route", span_from_cstr(request->route->name));
    }
    if (request->route == NULL || !request->route->public) { /* else the path holds a secret */
        trace_span_text(span, "url.path", request->exchange->path);
    }
    trace_http_status(span, request->exchange->answer.status);
    trace_span_end(span);
}
