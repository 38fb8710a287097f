#include "http/parser.h"

#include "base/buf.h"

#include "t_parse.h"

#include <stdio.h>

#define H "Host: a\r\n"

/* A body of unknown meaning behind each: the parser must not look at it. */
static const struct {
    const char *name;
    enum http_refusal refusal;
    struct span text;
} refused[] = {
    {"two different lengths",
     HTTP_REFUSAL_FIELD_DUPLICATE,
     SPAN("POST / HTTP/1.1\r\n" H "Content-Length: 24\r\nContent-Length: 25\r\n\r\n")},
    {"two equal lengths",
     HTTP_REFUSAL_FIELD_DUPLICATE,
     SPAN("POST / HTTP/1.1\r\n" H "Content-Length: 24\r\ncontent-length: 24\r\n\r\n")},
    {"length and chunked",
     HTTP_REFUSAL_LENGTH_AND_CODING,
     SPAN("POST / HTTP/1.1\r\n" H "Content-Length: 24\r\nTransfer-Encoding: chunked\r\n\r\n")},
    {"chunked and length",
     HTTP_REFUSAL_LENGTH_AND_CODING,
     SPAN("POST / HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\nContent-Length: 24\r\n\r\n")},
    {"space before the colon of TE",
     HTTP_REFUSAL_FIELD_NAME,
     SPAN("POST / HTTP/1.1\r\n" H "Transfer-Encoding : chunked\r\nContent-Length: 24\r\n\r\n")},
    {"space before the colon of CL",
     HTTP_REFUSAL_FIELD_NAME,
     SPAN("POST / HTTP/1.1\r\n" H "Content-Length : 24\r\n\r\n")},
    {"tab before the colon",
     HTTP_REFUSAL_FIELD_NAME,
     SPAN("POST / HTTP/1.1\r\n" H "Content-Length\t: 24\r\n\r\n")},
    {"+24",
     HTTP_REFUSAL_CONTENT_LENGTH,
     SPAN("POST / HTTP/1.1\r\n" H "Content-Length: +24\r\n\r\n")},
    {"-24",
     HTTP_REFUSAL_CONTENT_LENGTH,
     SPAN("POST / HTTP/1.1\r\n" H "Content-Length: -24\r\n\r\n")},
    {"0x18",
     HTTP_REFUSAL_CONTENT_LENGTH,
     SPAN("POST / HTTP/1.1\r\n" H "Content-Length: 0x18\r\n\r\n")},
    {"empty length",
     HTTP_REFUSAL_CONTENT_LENGTH,
     SPAN("POST / HTTP/1.1\r\n" H "Content-Length:\r\n\r\n")},
    {"blank length",
     HTTP_REFUSAL_CONTENT_LENGTH,
     SPAN("POST / HTTP/1.1\r\n" H "Content-Length: \t \r\n\r\n")},
    {"list of lengths",
     HTTP_REFUSAL_CONTENT_LENGTH,
     SPAN("POST / HTTP/1.1\r\n" H "Content-Length: 24, 24\r\n\r\n")},
    {"1.5",
     HTTP_REFUSAL_CONTENT_LENGTH,
     SPAN("POST / HTTP/1.1\r\n" H "Content-Length: 1.5\r\n\r\n")},
    {"1 2",
     HTTP_REFUSAL_CONTENT_LENGTH,
     SPAN("POST / HTTP/1.1\r\n" H "Content-Length: 1 2\r\n\r\n")},
    {"2^64",
     HTTP_REFUSAL_BODY_LARGE,
     SPAN("POST / HTTP/1.1\r\n" H "Content-Length: 18446744073709551616\r\n\r\n")},
    {"2^64+24",
     HTTP_REFUSAL_BODY_LARGE,
     SPAN("POST / HTTP/1.1\r\n" H "Content-Length: 18446744073709551640\r\n\r\n")},
    {"2^63",
     HTTP_REFUSAL_BODY_LARGE,
     SPAN("POST / HTTP/1.1\r\n" H "Content-Length: 9223372036854775808\r\n\r\n")},
    {"one above the limit",
     HTTP_REFUSAL_BODY_LARGE,
     SPAN("POST / HTTP/1.1\r\n" H "Content-Length: 1048577\r\n\r\n")},
    {"obs-fold", HTTP_REFUSAL_FIELD_FOLDED, SPAN("GET / HTTP/1.1\r\n" H "A: b\r\n c\r\n\r\n")},
    {"obs-fold with a tab",
     HTTP_REFUSAL_FIELD_FOLDED,
     SPAN("GET / HTTP/1.1\r\n" H "A: b\r\n\tc\r\n\r\n")},
    {"space before the first header",
     HTTP_REFUSAL_FIELD_FOLDED,
     SPAN("GET / HTTP/1.1\r\n Host: a\r\n\r\n")},
    {"two TE lines",
     HTTP_REFUSAL_FIELD_DUPLICATE,
     SPAN("POST / HTTP/1.1\r\n" H
          "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n")},
    {"two equal TE lines",
     HTTP_REFUSAL_FIELD_DUPLICATE,
     SPAN("POST / HTTP/1.1\r\n" H
          "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n")},
    {"identity",
     HTTP_REFUSAL_TRANSFER_CODING,
     SPAN("POST / HTTP/1.1\r\n" H "Transfer-Encoding: identity\r\n\r\n")},
    {"gzip, chunked",
     HTTP_REFUSAL_TRANSFER_CODING,
     SPAN("POST / HTTP/1.1\r\n" H "Transfer-Encoding: gzip, chunked\r\n\r\n")},
    {"chunked twice",
     HTTP_REFUSAL_TRANSFER_CODING,
     SPAN("POST / HTTP/1.1\r\n" H "Transfer-Encoding: chunked, chunked\r\n\r\n")},
    {"xchunked",
     HTTP_REFUSAL_TRANSFER_CODING,
     SPAN("POST / HTTP/1.1\r\n" H "Transfer-Encoding: xchunked\r\n\r\n")},
    {"chunked with a parameter",
     HTTP_REFUSAL_TRANSFER_CODING,
     SPAN("POST / HTTP/1.1\r\n" H "Transfer-Encoding: chunked;q=1\r\n\r\n")},
    {"empty TE",
     HTTP_REFUSAL_TRANSFER_CODING,
     SPAN("POST / HTTP/1.1\r\n" H "Transfer-Encoding:\r\n\r\n")},
    {"vertical tab in TE",
     HTTP_REFUSAL_CONTROL_BYTE,
     SPAN("POST / HTTP/1.1\r\n" H "Transfer-Encoding: \vchunked\r\n\r\n")},
    {"TE in HTTP/1.0",
     HTTP_REFUSAL_TRANSFER_HTTP10,
     SPAN("POST / HTTP/1.0\r\n" H "Transfer-Encoding: chunked\r\n\r\n")},
    {"bare LF behind a header",
     HTTP_REFUSAL_LINE_END,
     SPAN("GET / HTTP/1.1\r\n"
          "Host: a\nB: c\r\n\r\n")},
    {"bare LF behind the request line",
     HTTP_REFUSAL_LINE_END,
     SPAN("GET / HTTP/1.1\nHost: a\r\n\r\n")},
    {"bare LF as the empty line", HTTP_REFUSAL_LINE_END, SPAN("GET / HTTP/1.1\r\n" H "\n")},
    {"only LF", HTTP_REFUSAL_LINE_END, SPAN("GET / HTTP/1.1\nHost: a\n\n")},
    {"LF before the request", HTTP_REFUSAL_LINE_END, SPAN("\nGET / HTTP/1.1\r\n" H "\r\n")},
    {"bare CR in a value", HTTP_REFUSAL_LINE_END, SPAN("GET / HTTP/1.1\r\n" H "A: b\rc\r\n\r\n")},
    {"bare CR behind the version", HTTP_REFUSAL_LINE_END, SPAN("GET / HTTP/1.1\rHost: a\r\n\r\n")},
    {"CR CR LF", HTTP_REFUSAL_LINE_END, SPAN("GET / HTTP/1.1\r\n" H "A: b\r\r\n\r\n")},
    {"CR instead of the empty line",
     HTTP_REFUSAL_LINE_END,
     SPAN("GET / HTTP/1.1\r\n" H "\rA: b\r\n\r\n")},
    {"CR before the request", HTTP_REFUSAL_LINE_END, SPAN("\rGET / HTTP/1.1\r\n" H "\r\n")},
    {"NUL in a value",
     HTTP_REFUSAL_CONTROL_BYTE,
     SPAN("GET / HTTP/1.1\r\n" H "Idempotency-Key: k\0evil\r\n\r\n")},
    {"DEL in a value",
     HTTP_REFUSAL_CONTROL_BYTE,
     SPAN("GET / HTTP/1.1\r\n" H "A: k\x7f"
          "evil, and more text\r\n\r\n")},
    {"ESC in a value",
     HTTP_REFUSAL_CONTROL_BYTE,
     SPAN("GET / HTTP/1.1\r\n" H "A: 12345678\x1b[0m\r\n\r\n")},
    {"NUL in a name", HTTP_REFUSAL_FIELD_NAME, SPAN("GET / HTTP/1.1\r\n" H "A\0B: c\r\n\r\n")},
    {"NUL in the target", HTTP_REFUSAL_TARGET, SPAN("GET /a\0b HTTP/1.1\r\n" H "\r\n")},
    {"no Host", HTTP_REFUSAL_HOST_MISSING, SPAN("GET / HTTP/1.1\r\nA: b\r\n\r\n")},
    {"no headers at all", HTTP_REFUSAL_HOST_MISSING, SPAN("GET / HTTP/1.1\r\n\r\n")},
    {"two Hosts", HTTP_REFUSAL_FIELD_DUPLICATE, SPAN("GET / HTTP/1.1\r\n" H H "\r\n")},
    {"two Hosts in HTTP/1.0", HTTP_REFUSAL_FIELD_DUPLICATE, SPAN("GET / HTTP/1.0\r\n" H H "\r\n")},
    {"empty Host", HTTP_REFUSAL_HOST, SPAN("GET / HTTP/1.1\r\nHost:\r\n\r\n")},
    {"Host with a path", HTTP_REFUSAL_HOST, SPAN("GET / HTTP/1.1\r\nHost: a/b\r\n\r\n")},
    {"Host with a user", HTTP_REFUSAL_HOST, SPAN("GET / HTTP/1.1\r\nHost: u@a\r\n\r\n")},
    {"Host with a space", HTTP_REFUSAL_HOST, SPAN("GET / HTTP/1.1\r\nHost: a b\r\n\r\n")},
    {"Host list", HTTP_REFUSAL_HOST, SPAN("GET / HTTP/1.1\r\nHost: a,b\r\n\r\n")},
    {"Host with an empty port", HTTP_REFUSAL_HOST, SPAN("GET / HTTP/1.1\r\nHost: a:\r\n\r\n")},
    {"Host with port 65536", HTTP_REFUSAL_HOST, SPAN("GET / HTTP/1.1\r\nHost: a:65536\r\n\r\n")},
    {"Host with six digits", HTTP_REFUSAL_HOST, SPAN("GET / HTTP/1.1\r\nHost: a:000080\r\n\r\n")},
    {"Host with a port of letters",
     HTTP_REFUSAL_HOST,
     SPAN("GET / HTTP/1.1\r\nHost: a:http\r\n\r\n")},
    {"Host with only a port", HTTP_REFUSAL_HOST, SPAN("GET / HTTP/1.1\r\nHost: :80\r\n\r\n")},
    {"Host with an open bracket", HTTP_REFUSAL_HOST, SPAN("GET / HTTP/1.1\r\nHost: [::1\r\n\r\n")},
    {"Host with empty brackets", HTTP_REFUSAL_HOST, SPAN("GET / HTTP/1.1\r\nHost: []\r\n\r\n")},
    {"Host with a name in brackets",
     HTTP_REFUSAL_HOST,
     SPAN("GET / HTTP/1.1\r\nHost: [host]\r\n\r\n")},
    {"Host with text behind brackets",
     HTTP_REFUSAL_HOST,
     SPAN("GET / HTTP/1.1\r\nHost: [::1]x\r\n\r\n")},
    {"Host with a byte above ASCII",
     HTTP_REFUSAL_HOST,
     SPAN("GET / HTTP/1.1\r\nHost: \xc3\xa4.de\r\n\r\n")},
    {"header without colon",
     HTTP_REFUSAL_FIELD_NAME,
     SPAN("GET / HTTP/1.1\r\n" H "Broken\r\n\r\n")},
    {"empty name", HTTP_REFUSAL_FIELD_NAME, SPAN("GET / HTTP/1.1\r\n" H ": x\r\n\r\n")},
    {"name with a slash", HTTP_REFUSAL_FIELD_NAME, SPAN("GET / HTTP/1.1\r\n" H "A/B: x\r\n\r\n")},
    {"name with quotes", HTTP_REFUSAL_FIELD_NAME, SPAN("GET / HTTP/1.1\r\n" H "\"A\": x\r\n\r\n")},
    {"name above ASCII",
     HTTP_REFUSAL_FIELD_NAME,
     SPAN("GET / HTTP/1.1\r\n" H "\xc3\xa4: x\r\n\r\n")},
    {"two Idempotency-Keys",
     HTTP_REFUSAL_FIELD_DUPLICATE,
     SPAN("POST / HTTP/1.1\r\n" H "Idempotency-Key: a\r\nidempotency-key: b\r\n\r\n")},
    {"two Authorizations",
     HTTP_REFUSAL_FIELD_DUPLICATE,
     SPAN("POST / HTTP/1.1\r\n" H "Authorization: a\r\nAuthorization: b\r\n\r\n")},
    {"two Content-Types",
     HTTP_REFUSAL_FIELD_DUPLICATE,
     SPAN("POST / HTTP/1.1\r\n" H "Content-Type: a\r\nContent-Type: b\r\n\r\n")},
    {"two Stripe-Accounts",
     HTTP_REFUSAL_FIELD_DUPLICATE,
     SPAN("POST / HTTP/1.1\r\n" H "Stripe-Account: a\r\nStripe-Account: b\r\n\r\n")},
    {"empty method", HTTP_REFUSAL_METHOD, SPAN(" / HTTP/1.1\r\n" H "\r\n")},
    {"method with a colon", HTTP_REFUSAL_METHOD, SPAN("GE:T / HTTP/1.1\r\n" H "\r\n")},
    {"method and tab", HTTP_REFUSAL_METHOD, SPAN("GET\t/ HTTP/1.1\r\n" H "\r\n")},
    {"method of 33 bytes",
     HTTP_REFUSAL_METHOD,
     SPAN("ABCDEFGHIJKLMNOPQRSTUVWXYZABCDEFG / HTTP/1.1\r\n" H "\r\n")},
    {"TLS to a plain port", HTTP_REFUSAL_METHOD, SPAN("\x16\x03\x01\x02\x00\x01")},
    {"two empty lines", HTTP_REFUSAL_METHOD, SPAN("\r\n\r\nGET / HTTP/1.1\r\n" H "\r\n")},
    {"space before the method", HTTP_REFUSAL_METHOD, SPAN("\r\n GET / HTTP/1.1\r\n" H "\r\n")},
    {"CONNECT", HTTP_REFUSAL_METHOD_TUNNEL, SPAN("CONNECT a:443 HTTP/1.1\r\n" H "\r\n")},
    {"no target", HTTP_REFUSAL_TARGET, SPAN("GET  HTTP/1.1\r\n" H "\r\n")},
    {"two spaces", HTTP_REFUSAL_VERSION_SYNTAX, SPAN("GET /  HTTP/1.1\r\n" H "\r\n")},
    {"target without a slash", HTTP_REFUSAL_TARGET, SPAN("GET v1 HTTP/1.1\r\n" H "\r\n")},
    {"star with GET", HTTP_REFUSAL_TARGET, SPAN("GET * HTTP/1.1\r\n" H "\r\n")},
    {"star and more", HTTP_REFUSAL_TARGET, SPAN("OPTIONS *a HTTP/1.1\r\n" H "\r\n")},
    {"fragment", HTTP_REFUSAL_TARGET, SPAN("GET /a#b HTTP/1.1\r\n" H "\r\n")},
    {"backslash", HTTP_REFUSAL_TARGET, SPAN("GET /a\\b HTTP/1.1\r\n" H "\r\n")},
    {"target above ASCII", HTTP_REFUSAL_TARGET, SPAN("GET /\xc3\xa4 HTTP/1.1\r\n" H "\r\n")},
    {"tab in the target", HTTP_REFUSAL_TARGET, SPAN("GET /a\tb HTTP/1.1\r\n" H "\r\n")},
    {"ftp", HTTP_REFUSAL_TARGET, SPAN("GET ftp://a/ HTTP/1.1\r\n" H "\r\n")},
    {"absolute form without a path",
     HTTP_REFUSAL_TARGET,
     SPAN("GET http://a HTTP/1.1\r\n" H "\r\n")},
    {"absolute form without a host",
     HTTP_REFUSAL_TARGET,
     SPAN("GET http:///x HTTP/1.1\r\n" H "\r\n")},
    {"absolute form with a user",
     HTTP_REFUSAL_TARGET,
     SPAN("GET http://u@a/x HTTP/1.1\r\n" H "\r\n")},
    {"absolute form, other host",
     HTTP_REFUSAL_HOST_MISMATCH,
     SPAN("GET http://b/x HTTP/1.1\r\n" H "\r\n")},
    {"absolute form, other port",
     HTTP_REFUSAL_HOST_MISMATCH,
     SPAN("GET http://a:80/x HTTP/1.1\r\n" H "\r\n")},
    {"HTTP/0.9", HTTP_REFUSAL_VERSION_SYNTAX, SPAN("GET /\r\n")},
    {"HTTP/1.2", HTTP_REFUSAL_VERSION, SPAN("GET / HTTP/1.2\r\n" H "\r\n")},
    {"HTTP/2.0", HTTP_REFUSAL_VERSION, SPAN("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")},
    {"HTTP/0.9 in words", HTTP_REFUSAL_VERSION, SPAN("GET / HTTP/0.9\r\n" H "\r\n")},
    {"lower case", HTTP_REFUSAL_VERSION_SYNTAX, SPAN("GET / http/1.1\r\n" H "\r\n")},
    {"HTTP/1", HTTP_REFUSAL_VERSION_SYNTAX, SPAN("GET / HTTP/1\r\n" H "\r\n")},
    {"HTTP/1.10", HTTP_REFUSAL_VERSION_SYNTAX, SPAN("GET / HTTP/1.10\r\n" H "\r\n")},
    {"space behind the version", HTTP_REFUSAL_VERSION_SYNTAX, SPAN("GET / HTTP/1.1 \r\n" H "\r\n")},
    {"HTTPS/1.1", HTTP_REFUSAL_VERSION_SYNTAX, SPAN("GET / HTTPS/1.1\r\n" H "\r\n")},
    {"other expectation",
     HTTP_REFUSAL_EXPECTATION,
     SPAN("POST / HTTP/1.1\r\n" H "Expect: 200-ok\r\nContent-Length: 1\r\n\r\n")},
    {"Connection is no list",
     HTTP_REFUSAL_CONNECTION,
     SPAN("GET / HTTP/1.1\r\n" H "Connection: a b\r\n\r\n")},
    {"Connection names the key",
     HTTP_REFUSAL_CONNECTION,
     SPAN("POST / HTTP/1.1\r\n" H
          "Connection: close, Idempotency-Key\r\nIdempotency-Key: a\r\n\r\n")},
    {"Connection names the length",
     HTTP_REFUSAL_CONNECTION,
     SPAN("POST / HTTP/1.1\r\n" H "Connection: content-length\r\nContent-Length: 1\r\n\r\n")},
};

static void
t_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
        struct http_parser parser;
        enum http_result result = t_request(&parser, refused[i].text);
        if (result != HTTP_REFUSED || parser.refusal != refused[i].refusal) {
            print_error("%s: %s\n", refused[i].name, http_refusal_text(parser.refusal));
        }
        assert_int_equal(result, HTTP_REFUSED);
        assert_int_equal(parser.refusal, refused[i].refusal);
        uint16_t status = http_refusal_status(parser.refusal);
        assert_true(status >= 400 && status < 600);
    }
}

static void
t_typical(void **state)
{
    (void)state;
    struct span text =
        SPAN("POST /v1/payment_intents?expand[]=a.b HTTP/1.1\r\nHost: api.example.com:8080\r\n"
             "User-Agent: Stripe/v1 PythonBindings/11.1.0\r\n"
             "AUTHORIZATION:Bearer sk_test_1\r\nStripe-Version:  2026-10-28.endive \t\r\n"
             "X-Empty:\r\nIdempotency-Key: 6f9d\r\nContent-Length: 0024\r\n\r\namount=1");
    struct http_parser parser;
    assert_int_equal(t_request(&parser, text), HTTP_DONE);
    const struct http_head *head = &parser.head;
    assert_int_equal(head->size, text.size - 8);
    assert_int_equal(head->method, HTTP_METHOD_POST);
    assert_int_equal(head->version_minor, 1);
    assert_int_equal(head->field_count, 7);
    t_slice_is(head, head->path, SPAN("/v1/payment_intents"));
    t_slice_is(head, head->query, SPAN("expand[]=a.b"));
    t_slice_is(head, head->target, SPAN("/v1/payment_intents?expand[]=a.b"));
    t_slice_is(head, head->authority, SPAN("api.example.com:8080"));
    t_span_is(http_head_value(head, HTTP_FIELD_AUTHORIZATION), SPAN("Bearer sk_test_1"));
    t_span_is(http_head_value(head, HTTP_FIELD_STRIPE_VERSION), SPAN("2026-10-28.endive"));
    t_span_is(http_head_value(head, HTTP_FIELD_IDEMPOTENCY_KEY), SPAN("6f9d"));
    t_span_is(http_head_value(head, HTTP_FIELD_EXPECT), SPAN_EMPTY);
    assert_false(http_head_has(head, HTTP_FIELD_EXPECT));
    assert_int_equal(head->framing, HTTP_FRAMING_LENGTH);
    assert_int_equal(head->content_length, 24);
    assert_true(head->keep_alive);
    assert_false(head->expect_continue);
    struct span value;
    assert_true(http_head_find(head, SPAN("x-empty"), &value));
    t_span_is(value, SPAN_EMPTY);
    assert_false(http_head_find(head, SPAN("x-absent"), &value));
}

static void
t_forms_of_target(void **state)
{
    (void)state;
    struct http_parser parser;
    const struct http_head *head = &parser.head;
    assert_int_equal(
        t_request(&parser, SPAN("GET HTTP://Api.x:80/a/b?c HTTP/1.1\r\nHost: api.X:80\r\n\r\n")),
        HTTP_DONE);
    t_slice_is(head, head->path, SPAN("/a/b"));
    t_slice_is(head, head->query, SPAN("c"));
    t_slice_is(head, head->authority, SPAN("Api.x:80"));
    assert_int_equal(t_request(&parser, SPAN("GET https://a/ HTTP/1.0\r\n\r\n")), HTTP_DONE);
    t_slice_is(head, head->authority, SPAN("a"));
    assert_int_equal(t_request(&parser, SPAN("OPTIONS * HTTP/1.1\r\n" H "\r\n")), HTTP_DONE);
    t_slice_is(head, head->path, SPAN_EMPTY);
    assert_int_equal(head->method, HTTP_METHOD_OPTIONS);
    assert_int_equal(t_request(&parser, SPAN("PURGE /? HTTP/1.1\r\n" H "\r\n")), HTTP_DONE);
    assert_int_equal(head->method, HTTP_METHOD_OTHER);
    t_slice_is(head, head->method_text, SPAN("PURGE"));
    t_slice_is(head, head->path, SPAN("/"));
    t_slice_is(head, head->query, SPAN_EMPTY);
    assert_int_equal(t_request(&parser, SPAN("get / HTTP/1.1\r\n" H "\r\n")), HTTP_DONE);
    assert_int_equal(head->method, HTTP_METHOD_OTHER);
}

static void
t_hosts(void **state)
{
    (void)state;
    static const char *const hosts[] = {
        "a", "a.b-c.example", "127.0.0.1:8080", "[::1]", "[fe80::1:2]:65535", "my_service", "A:0"};
    for (size_t i = 0; i < sizeof(hosts) / sizeof(hosts[0]); i++) {
        char text[128];
        int size = snprintf(text, sizeof(text), "GET / HTTP/1.1\r\nHost: %s\r\n\r\n", hosts[i]);
        struct http_parser parser;
        assert_int_equal(t_request(&parser, span_of(text, (size_t)size)), HTTP_DONE);
        t_slice_is(&parser.head, parser.head.authority, span_from_cstr(hosts[i]));
    }
}

static const struct {
    struct span text;
    bool keep_alive;
    bool upgrade;
} connections[] = {
    {SPAN("GET / HTTP/1.1\r\n" H "\r\n"), true, false},
    {SPAN("GET / HTTP/1.1\r\n" H "Connection: close\r\n\r\n"), false, false},
    {SPAN("GET / HTTP/1.1\r\n" H "Connection: , Keep-Alive ,,\r\nconnection: CLOSE\r\n\r\n"),
     false,
     false},
    {SPAN("GET / HTTP/1.1\r\n" H "Connection: closed\r\n\r\n"), true, false},
    {SPAN("GET / HTTP/1.0\r\n\r\n"), false, false},
    {SPAN("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"), true, false},
    {SPAN("GET / HTTP/1.0\r\nConnection: keep-alive, close\r\n\r\n"), false, false},
    {SPAN("GET / HTTP/1.1\r\n" H "Connection: Upgrade\r\nUpgrade: h2c\r\n\r\n"), true, true},
    {SPAN("GET / HTTP/1.1\r\n" H "Upgrade: h2c\r\n\r\n"), true, false},
    {SPAN("GET / HTTP/1.1\r\n" H "Connection: Upgrade\r\n\r\n"), true, false},
};

static void
t_connection(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(connections) / sizeof(connections[0]); i++) {
        struct http_parser parser;
        assert_int_equal(t_request(&parser, connections[i].text), HTTP_DONE);
        assert_int_equal(parser.head.keep_alive, connections[i].keep_alive);
        assert_int_equal(parser.head.upgrade, connections[i].upgrade);
        assert_int_equal(parser.head.framing, HTTP_FRAMING_NONE);
    }
}

static void
t_expect(void **state)
{
    (void)state;
    struct http_parser parser;
    struct span with_body =
        SPAN("POST / HTTP/1.1\r\n" H "Expect: 100-Continue\r\nTransfer-Encoding: Chunked\r\n\r\n");
    assert_int_equal(t_request(&parser, with_body), HTTP_DONE);
    assert_true(parser.head.expect_continue);
    assert_int_equal(parser.head.framing, HTTP_FRAMING_CHUNKED);
    struct span without = SPAN("GET / HTTP/1.1\r\n" H "Expect: 100-continue\r\n\r\n");
    assert_int_equal(t_request(&parser, without), HTTP_DONE);
    assert_false(parser.head.expect_continue);
    struct span old = SPAN("POST / HTTP/1.0\r\nExpect: x\r\nContent-Length: 1\r\n\r\n");
    assert_int_equal(t_request(&parser, old), HTTP_DONE);
    assert_false(parser.head.expect_continue);
}

/* Every byte in each place: accepted exactly if the grammar has it there. */
static void
t_every_byte(void **state)
{
    (void)state;
    for (unsigned byte = 0; byte < 256; byte++) {
        char value[] = "GET / HTTP/1.1\r\nHost: a\r\nA: 1234567?89\r\n\r\n";
        *strchr(value, '?') = (char)byte;
        struct http_parser parser;
        http_parser_begin_request(&parser, &http_limits_default);
        bool allowed = byte == '\t' || (byte >= 0x20 && byte != 0x7f);
        assert_int_equal(
            t_feed_exact(&parser, span_of(value, sizeof(value) - 1)),
            allowed ? HTTP_DONE : HTTP_REFUSED);

        char name[] = "GET / HTTP/1.1\r\nHost: a\r\nA?B: c\r\n\r\n";
        *strchr(name, '?') = (char)byte;
        http_parser_begin_request(&parser, &http_limits_default);
        bool alphanumeric = (byte >= '0' && byte <= '9') || (byte >= 'a' && byte <= 'z') ||
                            (byte >= 'A' && byte <= 'Z');
        bool token = alphanumeric || (byte != 0 && strchr("!#$%&'*+-.^_`|~", (int)byte) != NULL);
        bool colon = byte == ':';
        assert_int_equal(
            t_feed_exact(&parser, span_of(name, sizeof(name) - 1)),
            token || colon ? HTTP_DONE : HTTP_REFUSED);

        char target[] = "GET /a^b HTTP/1.1\r\nHost: a\r\n\r\n";
        *strchr(target, '^') = (char)byte;
        http_parser_begin_request(&parser, &http_limits_default);
        bool path =
            alphanumeric || (byte != 0 && strchr("-._~:/?[]@!$&'()*+,;=%", (int)byte) != NULL);
        assert_int_equal(
            t_feed_exact(&parser, span_of(target, sizeof(target) - 1)),
            path ? HTTP_DONE : HTTP_REFUSED);
    }
}

static void
t_limits(void **state)
{
    (void)state;
    struct http_limits limits = {.target = 10, .head = 60, .fields = 2, .body = 5};

    static const struct {
        struct span text;
        enum http_result result;
        enum http_refusal refusal;
    } cases[] = {
        {SPAN("GET /123456789 HTTP/1.1\r\n" H "\r\n"), HTTP_DONE, HTTP_REFUSAL_NONE},
        {SPAN("GET /1234567890 HTTP/1.1\r\n" H "\r\n"), HTTP_REFUSED, HTTP_REFUSAL_TARGET_LONG},
        {SPAN("GET / HTTP/1.1\r\n" H "A: b\r\n\r\n"), HTTP_DONE, HTTP_REFUSAL_NONE},
        {SPAN("GET / HTTP/1.1\r\n" H "A: b\r\nC: d\r\n\r\n"),
         HTTP_REFUSED,
         HTTP_REFUSAL_FIELD_COUNT},
        {SPAN("GET / HTTP/1.1\r\n" H "A: 1234567890123456789012345678\r\n\r\n"),
         HTTP_DONE,
         HTTP_REFUSAL_NONE},
        {SPAN("GET / HTTP/1.1\r\n" H "A: 12345678901234567890123456789\r\n\r\n"),
         HTTP_REFUSED,
         HTTP_REFUSAL_HEAD_LARGE},
        {SPAN("POST / HTTP/1.1\r\n" H "Content-Length: 5\r\n\r\n"), HTTP_DONE, HTTP_REFUSAL_NONE},
        {SPAN("POST / HTTP/1.1\r\n" H "Content-Length: 6\r\n\r\n"),
         HTTP_REFUSED,
         HTTP_REFUSAL_BODY_LARGE},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct http_parser parser;
        struct t_message message = {.text = cases[i].text, .limits = &limits};
        assert_int_equal(t_parse(&parser, &message), cases[i].result);
        assert_int_equal(parser.refusal, cases[i].refusal);
    }
    /* Without any line end: refused at the limit, not kept waiting. */
    struct http_parser parser;
    http_parser_begin_request(&parser, &limits);
    struct span endless =
        SPAN("GET / HTTP/1.1\r\nA: 012345678901234567890123456789012345678901234");
    assert_int_equal(http_parser_feed(&parser, span_slice(endless, 0, 59)), HTTP_MORE);
    assert_int_equal(http_parser_feed(&parser, span_slice(endless, 0, 60)), HTTP_REFUSED);
    assert_int_equal(parser.refusal, HTTP_REFUSAL_HEAD_LARGE);
}

static void
t_many_fields(void **state)
{
    (void)state;
    struct buf text;
    buf_init(&text, 1 << 20);
    buf_append_cstr(&text, "GET / HTTP/1.1\r\nHost: a\r\n");
    for (unsigned i = 0; i < HTTP_FIELDS_MAX - 1; i++) {
        buf_append_format(&text, "X-%u: %u\r\n", i, i);
    }
    struct http_parser parser;
    http_parser_begin_request(&parser, &http_limits_default);
    assert_int_equal(http_parser_feed(&parser, buf_span(&text)), HTTP_MORE);
    size_t size = text.size;
    buf_append_cstr(&text, "\r\n");
    assert_int_equal(http_parser_feed(&parser, buf_span(&text)), HTTP_DONE);
    t_span_is(http_head_text(&parser.head, parser.head.fields[63].value), SPAN("62"));
    text.size = size;
    buf_append_cstr(&text, "X: y\r\n");
    http_parser_begin_request(&parser, &http_limits_default);
    assert_int_equal(http_parser_feed(&parser, buf_span(&text)), HTTP_REFUSED);
    assert_int_equal(parser.refusal, HTTP_REFUSAL_FIELD_COUNT);
    buf_release(&text);
}

static void
t_pipelined(void **state)
{
    (void)state;
    struct span input = SPAN("\r\nGET /1 HTTP/1.1\r\n" H "\r\nGET /2 HTTP/1.1\r\n" H
                             "\r\n\r\nGET /3 HTTP/1.1\r\n" H "\r\n");
    static const char *const paths[] = {"/1", "/2", "/3"};
    for (size_t i = 0; i < 3; i++) {
        struct http_parser parser;
        http_parser_begin_request(&parser, &http_limits_default);
        assert_int_equal(http_parser_feed(&parser, input), HTTP_DONE);
        t_slice_is(&parser.head, parser.head.path, span_from_cstr(paths[i]));
        input = span_slice(input, parser.head.size, input.size);
    }
    assert_int_equal(input.size, 0);
}

static void
t_hop_by_hop(void **state)
{
    (void)state;
    struct http_parser parser;
    assert_int_equal(
        t_request(
            &parser,
            SPAN("POST / HTTP/1.1\r\nHost: a\r\nConnection: close, X-Mine\r\nx-mine: 1\r\n"
                 "Keep-Alive: 5\r\nTE: trailers\r\nTransfer-Encoding: chunked\r\nUpgrade: x\r\n"
                 "X-Other: 1\r\nAuthorization: b\r\nProxy-Connection: x\r\nTrailer: a\r\n\r\n")),
        HTTP_DONE);
    static const bool expected[] = {
        false, true, true, true, true, true, true, false, false, true, true};
    assert_int_equal(parser.head.field_count, sizeof(expected) / sizeof(expected[0]));
    for (uint32_t i = 0; i < parser.head.field_count; i++) {
        assert_int_equal(http_head_is_hop_by_hop(&parser.head, i), expected[i]);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(t_refused),
        cmocka_unit_test(t_typical),
        cmocka_unit_test(t_forms_of_target),
        cmocka_unit_test(t_hosts),
        cmocka_unit_test(t_connection),
        cmocka_unit_test(t_expect),
        cmocka_unit_test(t_every_byte),
        cmocka_unit_test(t_limits),
        cmocka_unit_test(t_many_fields),
        cmocka_unit_test(t_pipelined),
        cmocka_unit_test(t_hop_by_hop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
