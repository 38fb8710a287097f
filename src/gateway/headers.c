/*
 * Which headers pass. A message is made anew: what is forwarded was looked at, one by one.
 *
 * HEADERS-1  Nothing of one connection reaches the next: what Connection names, and what RFC 9110
 *            section 7.6.1 lists, is dropped in both directions.
 * HEADERS-2  Who the client is, is said by us: its own X-Forwarded-*, Forwarded, X-Real-IP and
 *            request ids are dropped.
 *            So is which trace a request belongs to (trace.c).
 * HEADERS-3  A name with an underscore is dropped: some servers read it as a dash (CGI), so it
 *            could stand for a header that was checked or set here.
 */
#include "gateway_private.h"

#include "base/assert.h"

/* Of each address in Forwarded: its name, quotes, brackets and the comma. */
#define HOP_EXTRA 16

/* What request_write or HEADERS-2 decides about; by known field where there is one. */
static bool
is_ours(enum http_field field)
{
    switch ((unsigned)field) {
    case HTTP_FIELD_HOST:
    case HTTP_FIELD_CONTENT_LENGTH:
    case HTTP_FIELD_CONTENT_TYPE:
    case HTTP_FIELD_DATE:
    case HTTP_FIELD_EXPECT:
    case HTTP_FIELD_X_FORWARDED_FOR:
    case HTTP_FIELD_X_FORWARDED_PROTO:
    case HTTP_FIELD_X_REQUEST_ID:
    case HTTP_FIELD_REQUEST_ID:
    case HTTP_FIELD_TRACEPARENT:
    case HTTP_FIELD_TRACESTATE:
    case HTTP_FIELD_X_B3_TRACEID:
    case HTTP_FIELD_X_B3_SPANID:
    case HTTP_FIELD_X_B3_SAMPLED:
        return true;
    default:
        return false;
    }
}

static bool
is_ours_by_name(struct span name)
{
    static const struct span names[] = {
        {"x-forwarded-host", 16},
        {"x-forwarded-port", 16},
        {"x-forwarded-server", 18},
        {"x-forwarded-prefix", 18},
        {"x-forwarded-scheme", 18},
        {"x-forwarded-ssl", 15},
        {"forwarded", 9},
        {"x-real-ip", 9},
        {"x-client-ip", 11},
        {"true-client-ip", 14},
        {"cf-connecting-ip", 16},
        {"x-original-url", 14},
        {"x-rewrite-url", 13},
        {"x-http-method", 13},
        {"x-http-method-override", 22},
        {"x-method-override", 17},
        {"x-original-host", 15},
        {"proxy-authorization", 19},
        {"proxy", 5},
        {"b3", 2},
        {"x-b3-flags", 10},
        {"x-b3-parentspanid", 17},
    };
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (name.size == names[i].size && span_equal_nocase(name, names[i])) {
            return true;
        }
    }
    return false;
}

static bool
is_removed(const struct gateway_header_edit *edit, struct span name)
{
    for (size_t i = 0; i < edit->remove_count; i++) {
        if (span_equal_nocase(edit->remove[i], name)) {
            return true;
        }
    }
    for (size_t i = 0; i < edit->set_count; i++) {
        if (span_equal_nocase(edit->set[i].name, name)) {
            return true;
        }
    }
    return false;
}

static bool
passes_to_service(const struct gateway_request *request, uint32_t index)
{
    const struct http_head *head = request->exchange->head;
    enum http_field field = (enum http_field)head->fields[index].field;
    if (is_ours(field) || http_head_is_hop_by_hop(head, index)) {
        return false;
    }
    struct span name = http_head_text(head, head->fields[index].name);
    if (field == HTTP_FIELD_UNKNOWN &&
        (is_ours_by_name(name) || span_find(name, '_', 0) < name.size)) { /* HEADERS-2, 3 */
        return false;
    }
    /* A public route takes no key: none is passed on that nobody has looked at. */
    if (field == HTTP_FIELD_AUTHORIZATION && request->route->public) {
        return false;
    }
    return !is_removed(&request->route->request, name);
}

static void
add(struct http_header *headers, size_t *count, size_t limit, struct span name, struct span value)
{
    ASSERT(*count < limit);
    headers[(*count)++] = (struct http_header){.name = name, .value = value};
}

/* Text in the exchange's arena; empty without memory, which the header's absence shows. */
static struct span
in_arena(
    struct gateway_request *request, void (*write)(const struct gateway_forwarded *, struct buf *))
{
    const struct gateway_forwarded *forwarded = &request->forwarded;
    size_t room =
        forwarded->hop_count * (GATEWAY_IP_TEXT_SIZE + HOP_EXTRA) + forwarded->host.size + 64;
    char *memory = arena_alloc(request->exchange->arena, room);
    if (memory == NULL) {
        return SPAN_EMPTY;
    }
    struct buf text;
    buf_init_fixed(&text, memory, room);
    write(forwarded, &text);
    ASSERT(!buf_failed(&text));
    return buf_span(&text);
}

size_t
gateway_headers_for_service(struct gateway_request *request)
{
    const struct http_head *head = request->exchange->head;
    struct http_header *headers = request->headers;
    const size_t limit = GATEWAY_FORWARD_HEADERS;
    size_t count = 0;
    for (uint32_t i = 0; i < head->field_count; i++) {
        if (passes_to_service(request, i)) {
            add(headers,
                &count,
                limit,
                http_head_text(head, head->fields[i].name),
                http_head_text(head, head->fields[i].value));
        }
    }
    struct span addresses = in_arena(request, gateway_forwarded_write_for);
    struct span forwarded = in_arena(request, gateway_forwarded_write);
    add(headers, &count, limit, SPAN("X-Forwarded-For"), addresses);
    add(headers,
        &count,
        limit,
        SPAN("X-Forwarded-Proto"),
        request->forwarded.https ? SPAN("https") : SPAN("http"));
    if (request->forwarded.host.size > 0) {
        add(headers, &count, limit, SPAN("X-Forwarded-Host"), request->forwarded.host);
    }
    add(headers, &count, limit, SPAN("Forwarded"), forwarded);
    add(headers, &count, limit, SPAN("X-Request-Id"), span_from_cstr(request->id));
    const struct gateway_header_edit *edit = &request->route->request;
    if (trace_context_is_set(&request->trace.context) && !is_removed(edit, SPAN("traceparent"))) {
        /* Written anew for each try, into this memory. */
        struct span parent = span_of(request->trace.parent, TRACECONTEXT_PARENT_SIZE);
        add(headers, &count, limit, SPAN("traceparent"), parent);
        if (request->trace.state.size > 0 && !is_removed(edit, SPAN("tracestate"))) {
            add(headers, &count, limit, SPAN("tracestate"), request->trace.state);
        }
    }
    for (size_t i = 0; i < edit->set_count; i++) {
        add(headers, &count, limit, edit->set[i].name, edit->set[i].value);
    }
    return count;
}

/* ------------------------------------------------------------------------------------- answers */

/* The service's own words about browsers would contradict ours. */
static bool
is_cors(struct span name)
{
    static const struct span prefix = {"access-control-", 15};
    return name.size > prefix.size && span_equal_nocase(span_slice(name, 0, prefix.size), prefix);
}

static bool
passes_to_client(
    const struct gateway_request *request, const struct http_head *head, uint32_t index)
{
    enum http_field field = (enum http_field)head->fields[index].field;
    if (field == HTTP_FIELD_CONTENT_LENGTH || field == HTTP_FIELD_CONTENT_TYPE ||
        field == HTTP_FIELD_DATE || field == HTTP_FIELD_SERVER ||
        field == HTTP_FIELD_X_REQUEST_ID || http_head_is_hop_by_hop(head, index)) {
        return false;
    }
    struct span name = http_head_text(head, head->fields[index].name);
    if (field == HTTP_FIELD_UNKNOWN && request->route->cors != NULL && is_cors(name)) {
        return false;
    }
    return !is_removed(&request->route->response, name);
}

size_t
gateway_headers_for_client(
    struct gateway_request *request,
    const struct http_head *head,
    struct http_header headers[GATEWAY_ANSWER_HEADERS])
{
    size_t count = 0;
    const size_t limit = GATEWAY_ANSWER_HEADERS;
    for (uint32_t i = 0; i < head->field_count; i++) {
        if (passes_to_client(request, head, i)) {
            add(headers,
                &count,
                limit,
                http_head_text(head, head->fields[i].name),
                http_head_text(head, head->fields[i].value));
        }
    }
    if (!http_head_has(head, HTTP_FIELD_REQUEST_ID)) {
        struct span id = arena_copy(request->exchange->arena, span_from_cstr(request->id));
        add(headers, &count, limit, SPAN("Request-Id"), id);
    }
    /* A service that follows no traces of others has one of its own, linked to ours. */
    struct span theirs;
    if (!http_head_find(head, SPAN("trace-id"), &theirs)) {
        struct span id = arena_copy(request->exchange->arena, span_from_cstr(request->trace.id));
        add(headers, &count, limit, SPAN("Trace-Id"), id);
    }
    const struct gateway_header_edit *edit = &request->route->response;
    for (size_t i = 0; i < edit->set_count; i++) {
        add(headers, &count, limit, edit->set[i].name, edit->set[i].value);
    }
    return count + gateway_headers_cors(request, headers + count);
}

static bool
origin_is_allowed(const struct gateway_cors *cors, struct span origin)
{
    for (size_t i = 0; i < cors->origin_count; i++) {
        if (span_equal_nocase(cors->origins[i], origin)) {
            return true;
        }
    }
    return cors->any_origin;
}

size_t
gateway_headers_cors(const struct gateway_request *request, struct http_header headers[4])
{
    struct span origin = http_head_value(request->exchange->head, HTTP_FIELD_ORIGIN);
    const struct gateway_route *route = request->route;
    /* A secret key has no place in a browser: its answers are not readable there. */
    bool readable = request->verdict == GATEWAY_PREFLIGHT ||
                    request->key.kind == GATEWAY_KEY_PUBLISHABLE ||
                    (route != NULL && route->public);
    if (origin.size == 0 || route == NULL || route->cors == NULL || !readable ||
        !origin_is_allowed(route->cors, origin)) {
        return 0;
    }
    size_t count = 0;
    add(headers, &count, 4, SPAN("Access-Control-Allow-Origin"), origin);
    add(headers, &count, 4, SPAN("Vary"), SPAN("Origin"));
    if (request->verdict != GATEWAY_PREFLIGHT) {
        add(headers,
            &count,
            4,
            SPAN("Access-Control-Expose-Headers"),
            SPAN("Request-Id, Trace-Id, Stripe-Should-Retry, Retry-After"));
    }
    return count;
}
