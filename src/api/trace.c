/*
 * The span of a request at the server, and where its trace comes from.
 *
 * The public edge is a border of trust: what a client sends as its trace is followed only if the
 * settings say so (behind a gateway of our own). Otherwise a new trace begins, with a link to the
 * client's (W3C Trace Context section 5.2: restarting a trace; its privacy section says why).
 */
#include "front.h"

#include "trace/http.h"

/* The texts first that are short for certain: a long path must not push them out. */
static void
attributes_add(struct api_request *request)
{
    const struct net_exchange *exchange = request->exchange;
    struct trace_span *span = &request->span;
    char peer[NET_HOST_TEXT_SIZE];
    struct span address = api_peer_address(exchange, peer);
    trace_span_label(span, "http.request.method", trace_http_method(exchange->method));
    trace_span_label(span, "url.scheme", exchange->tls ? "https" : "http");
    trace_span_label(
        span, "network.protocol.version", exchange->head->version_minor == 0 ? "1.0" : "1.1");
    trace_span_text(span, "tael.request.id", span_from_cstr(request->resource.request_id));
    trace_span_text(span, "client.address", address);
}

void
api_trace_begin(struct api_request *request)
{
    struct api *api = request->api;
    const struct net_exchange *exchange = request->exchange;
    struct tracecontext_headers headers = trace_http_headers(exchange->head);
    struct tracecontext_incoming incoming;
    tracecontext_extract(&headers, &incoming);
    struct trace_root root = {
        .kind = TRACE_SERVER,
        .name = trace_http_method(exchange->method),
        .start_ns = exchange->arrived_ns,
        .random = api_random(api),
    };
    char memory[TRACECONTEXT_STATE_MAX];
    struct buf state;
    buf_init_fixed(&state, memory, sizeof(memory));
    if (api->parts.trace_trust) {
        root.parent = incoming.context;
        root.decision = incoming.decision;
        if (incoming.has_state &&
            tracecontext_state_append(headers.states, headers.state_count, &state)) {
            root.state = buf_span(&state);
        }
    } else {
        root.link = incoming.context;
    }
    trace_root_start(api->parts.recorder, &root, &request->span);
    request->resource.trace = request->span.context;
    tracecontext_trace_id_format(request->span.context.trace_id, request->trace_id);
    if (trace_span_is_recorded(&request->span)) {
        attributes_add(request);
    }
}

void
api_trace_route(struct api_request *request)
{
    const struct resource_route *route = request->resource.route;
    if (!trace_span_is_recorded(&request->span)) {
        return;
    }
    trace_span_set_name(
        &request->span, trace_http_method(request->exchange->method), route->pattern);
    trace_span_label(&request->span, "http.route", route->pattern);
    if ((route->flags & RESOURCE_PUBLIC) == 0) { /* else the path holds a secret */
        trace_span_text(&request->span, "url.path", request->exchange->path);
    }
}

void
api_trace_end(struct api_request *request)
{
    trace_http_status(&request->span, request->exchange->answer.status);
    trace_span_end(&request->span);
}
