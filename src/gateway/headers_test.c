#include "gateway_private.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct world {
    char text[8192];
    struct http_parser parser;
    struct net_exchange exchange;
    struct arena arena;
    struct gateway_route route;
    struct gateway_request request;
};

static struct world *
t_world(const char *lines)
{
    static const struct http_limits limits = {
        .target = 1024, .head = 16384, .fields = 64, .body = 100};
    struct world *world = calloc(1, sizeof(*world));
    assert_non_null(world);
    (void)snprintf(
        world->text,
        sizeof(world->text),
        "POST /v1/charges HTTP/1.1\r\nHost: api.example.com\r\n%s\r\n",
        lines);
    http_parser_begin_request(&world->parser, &limits);
    assert_int_equal(http_parser_feed(&world->parser, span_from_cstr(world->text)), HTTP_DONE);
    arena_init(&world->arena, 65536);
    world->exchange.head = &world->parser.head;
    world->exchange.arena = &world->arena;
    world->request.exchange = &world->exchange;
    world->request.route = &world->route;
    memcpy(world->request.id, "req_1", 6);
    memcpy(world->request.trace.id, "abc", 4);
    const uint8_t peer[16] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 203, 0, 113, 7};
    gateway_forwarded_read(&world->parser.head, peer, true, NULL, 0, &world->request.forwarded);
    return world;
}

static void
t_release(struct world *world)
{
    arena_release(&world->arena);
    free(world);
}

/* "name: value|name: value" of what would be sent to the service. */
static void
t_sent(struct world *world, const char *expected)
{
    struct buf out;
    buf_init(&out, 8192);
    size_t count = gateway_headers_for_service(&world->request);
    for (size_t i = 0; i < count; i++) {
        buf_append_cstr(&out, i == 0 ? "" : "|");
        buf_append_span(&out, world->request.headers[i].name);
        buf_append_cstr(&out, ": ");
        buf_append_span(&out, world->request.headers[i].value);
    }
    buf_append_byte(&out, '\0');
    assert_string_equal(out.data, expected);
    buf_release(&out);
}

#define OURS                                                                                       \
    "X-Forwarded-For: 203.0.113.7|X-Forwarded-Proto: https|X-Forwarded-Host: api.example.com|"     \
    "Forwarded: for=203.0.113.7;host=\"api.example.com\";proto=https|X-Request-Id: req_1"

/* HEADERS-1. */
static void
t_hop_by_hop(void **state)
{
    (void)state;
    struct world *world =
        t_world("Connection: close, X-Hop\r\nX-Hop: 1\r\nKeep-Alive: timeout=5\r\nTE: trailers\r\n"
                "Upgrade: h2c\r\nProxy-Connection: x\r\nTrailer: X-T\r\nContent-Length: 3\r\n"
                "Expect: 100-continue\r\nContent-Type: a/b\r\nX-Keep: yes\r\n");
    t_sent(world, "X-Keep: yes|" OURS);
    t_release(world);
}

/* HEADERS-2, HEADERS-3. */
static void
t_claims(void **state)
{
    (void)state;
    struct world *world = t_world(
        "X-Forwarded-For: 127.0.0.1\r\nx-forwarded-proto: http\r\nX-Forwarded-Host: evil\r\n"
        "Forwarded: for=1.1.1.1\r\nX-Real-IP: 1.1.1.1\r\nX-Request-Id: spoofed-id\r\n"
        "Request-Id: spoofed-id\r\nIdempotency_Key: k\r\nX_Forwarded_For: 9.9.9.9\r\n"
        "X-HTTP-Method-Override: DELETE\r\nX-Original-URL: /admin\r\nProxy: http://evil\r\n"
        "traceparent: 00-aa\r\nIdempotency-Key: k\r\nAuthorization: Bearer x\r\n");
    t_sent(world, "Idempotency-Key: k|Authorization: Bearer x|" OURS);
    world->route.public = true;
    t_sent(world, "Idempotency-Key: k|" OURS);
    t_release(world);
}

/* Which trace it is, is said by us alone. */
static void
t_traces(void **state)
{
    (void)state;
    struct world *world =
        t_world("traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\r\n"
                "tracestate: theirs=1\r\nb3: 0\r\nX-B3-TraceId: a\r\nX-B3-SpanId: b\r\n"
                "X-B3-ParentSpanId: b\r\nX-B3-Sampled: 1\r\nX-B3-Flags: 1\r\nAccept: a\r\n");
    struct gateway_trace *trace = &world->request.trace;
    t_sent(world, "Accept: a|" OURS);
    trace->context = (struct trace_context){.trace_id = 0xabc, .span_id = 0xde, .flags = 1};
    tracecontext_format(&trace->context, trace->parent);
    t_sent(
        world,
        "Accept: a|" OURS "|traceparent: 00-00000000000000000000000000000abc-00000000000000de-01");
    trace->state = SPAN("ours=1");
    t_sent(
        world,
        "Accept: a|" OURS "|traceparent: "
        "00-00000000000000000000000000000abc-00000000000000de-01|tracestate: ours=1");
    struct span removed = SPAN("tracestate");
    world->route.request.remove = &removed;
    world->route.request.remove_count = 1;
    t_sent(
        world,
        "Accept: a|" OURS "|traceparent: 00-00000000000000000000000000000abc-00000000000000de-01");
    t_release(world);
}

static void
t_edits(void **state)
{
    (void)state;
    static const struct http_header set[] = {
        {{"X-Tenant", 8}, {"blue", 4}}, {{"x-replaced", 10}, {"new", 3}}};
    static const struct span removed[] = {{"x-secret", 8}};
    struct world *world = t_world("X-Secret: 1\r\nX-Replaced: old\r\nX-Stays: 1\r\n");
    world->route.request = (struct gateway_header_edit){
        .set = set, .set_count = 2, .remove = removed, .remove_count = 1};
    t_sent(world, "X-Stays: 1|" OURS "|X-Tenant: blue|x-replaced: new");
    t_release(world);
}

static void
t_answer(struct world *world, const char *lines, const char *expected)
{
    static const struct http_limits limits = {
        .target = 1024, .head = 16384, .fields = 64, .body = 100};
    char text[4096];
    struct http_parser parser;
    struct http_header headers[GATEWAY_ANSWER_HEADERS];
    (void)snprintf(text, sizeof(text), "HTTP/1.1 200 OK\r\n%s\r\n", lines);
    http_parser_begin_response(&parser, &limits, HTTP_METHOD_GET);
    assert_int_equal(http_parser_feed(&parser, span_from_cstr(text)), HTTP_DONE);
    struct buf out;
    buf_init(&out, 8192);
    size_t count = gateway_headers_for_client(&world->request, &parser.head, headers);
    for (size_t i = 0; i < count; i++) {
        buf_append_cstr(&out, i == 0 ? "" : "|");
        buf_append_span(&out, headers[i].name);
        buf_append_cstr(&out, ": ");
        buf_append_span(&out, headers[i].value);
    }
    buf_append_byte(&out, '\0');
    assert_string_equal(out.data, expected);
    buf_release(&out);
}

static void
t_answers(void **state)
{
    (void)state;
    struct world *world = t_world("Origin: https://shop.test\r\n");
    t_answer(
        world,
        "Connection: X-Internal\r\nX-Internal: 1\r\nContent-Length: 0\r\nContent-Type: a/b\r\n"
        "Server: secret/1.0\r\nKeep-Alive: 5\r\nX-Request-Id: inner\r\nRequest-Id: req_svc\r\n"
        "Access-Control-Allow-Origin: *\r\n",
        "Request-Id: req_svc|Access-Control-Allow-Origin: *|Trace-Id: abc");
    t_answer(world, "Content-Length: 0\r\n", "Request-Id: req_1|Trace-Id: abc");
    t_answer(world, "Trace-Id: theirs\r\n", "Trace-Id: theirs|Request-Id: req_1");
    /* With rules for browsers the service's own do not count, and a secret key's answers are not
     * readable there. */
    static const struct span origins[] = {{"https://shop.test", 17}};
    struct gateway_cors cors = {.origins = origins, .origin_count = 1};
    world->route.cors = &cors;
    world->request.key.kind = GATEWAY_KEY_SECRET;
    t_answer(
        world,
        "Content-Length: 0\r\nAccess-Control-Allow-Origin: *\r\nRequest-Id: a\r\n",
        "Request-Id: a|Trace-Id: abc");
    world->request.key.kind = GATEWAY_KEY_PUBLISHABLE;
    t_answer(
        world,
        "Content-Length: 0\r\nRequest-Id: a\r\n",
        "Request-Id: a|Trace-Id: abc|Access-Control-Allow-Origin: https://shop.test|Vary: Origin|"
        "Access-Control-Expose-Headers: Request-Id, Trace-Id, Stripe-Should-Retry, Retry-After");
    cors.origin_count = 0;
    t_answer(world, "Content-Length: 0\r\nRequest-Id: a\r\n", "Request-Id: a|Trace-Id: abc");
    t_release(world);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(t_hop_by_hop),
        cmocka_unit_test(t_claims),
        cmocka_unit_test(t_traces),
        cmocka_unit_test(t_edits),
        cmocka_unit_test(t_answers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
