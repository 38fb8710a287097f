#include "http/parser.h"

#include "t_parse.h"

static const struct {
    const char *name;
    enum http_method method;
    enum http_framing framing;
    uint64_t length;
    bool keep_alive;
    struct span text;
} accepted[] = {
    {"length",
     HTTP_METHOD_GET,
     HTTP_FRAMING_LENGTH,
     3,
     true,
     SPAN("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc")},
    {"zero length",
     HTTP_METHOD_GET,
     HTTP_FRAMING_LENGTH,
     0,
     true,
     SPAN("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")},
    {"chunked",
     HTTP_METHOD_GET,
     HTTP_FRAMING_CHUNKED,
     0,
     true,
     SPAN("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n")},
    {"until close",
     HTTP_METHOD_GET,
     HTTP_FRAMING_UNTIL_CLOSE,
     0,
     false,
     SPAN("HTTP/1.1 200 OK\r\n\r\nabc")},
    {"HEAD",
     HTTP_METHOD_HEAD,
     HTTP_FRAMING_NONE,
     3,
     true,
     SPAN("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n")},
    {"HEAD, large",
     HTTP_METHOD_HEAD,
     HTTP_FRAMING_NONE,
     1 << 30,
     true,
     SPAN("HTTP/1.1 200 OK\r\nContent-Length: 1073741824\r\n\r\n")},
    {"HEAD, chunked",
     HTTP_METHOD_HEAD,
     HTTP_FRAMING_NONE,
     0,
     true,
     SPAN("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")},
    {"204", HTTP_METHOD_GET, HTTP_FRAMING_NONE, 0, true, SPAN("HTTP/1.1 204 No Content\r\n\r\n")},
    {"204 with zero",
     HTTP_METHOD_GET,
     HTTP_FRAMING_NONE,
     0,
     true,
     SPAN("HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n")},
    {"304 with length",
     HTTP_METHOD_GET,
     HTTP_FRAMING_NONE,
     3,
     true,
     SPAN("HTTP/1.1 304 Not Modified\r\nContent-Length: 3\r\n\r\n")},
    {"100",
     HTTP_METHOD_POST,
     HTTP_FRAMING_NONE,
     0,
     true,
     SPAN("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n")},
    {"101",
     HTTP_METHOD_GET,
     HTTP_FRAMING_NONE,
     0,
     true,
     SPAN("HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n")},
    {"empty reason",
     HTTP_METHOD_GET,
     HTTP_FRAMING_LENGTH,
     0,
     true,
     SPAN("HTTP/1.1 200 \r\nContent-Length: 0\r\n\r\n")},
    {"no reason",
     HTTP_METHOD_GET,
     HTTP_FRAMING_LENGTH,
     0,
     true,
     SPAN("HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n")},
    {"close",
     HTTP_METHOD_GET,
     HTTP_FRAMING_LENGTH,
     0,
     false,
     SPAN("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")},
    {"HTTP/1.0",
     HTTP_METHOD_GET,
     HTTP_FRAMING_LENGTH,
     0,
     false,
     SPAN("HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n")},
    {"HTTP/1.0 kept",
     HTTP_METHOD_GET,
     HTTP_FRAMING_LENGTH,
     0,
     true,
     SPAN("HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 0\r\n\r\n")},
    {"two Set-Cookies",
     HTTP_METHOD_GET,
     HTTP_FRAMING_LENGTH,
     0,
     true,
     SPAN("HTTP/1.1 200 OK\r\nSet-Cookie: a\r\nSet-Cookie: b\r\nContent-Length: 0\r\n\r\n")},
};

static void
t_accepted(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(accepted) / sizeof(accepted[0]); i++) {
        struct http_parser parser;
        enum http_result result = t_response(&parser, accepted[i].text, accepted[i].method);
        if (result != HTTP_DONE) {
            print_error("%s: %s\n", accepted[i].name, http_refusal_text(parser.refusal));
        }
        assert_int_equal(result, HTTP_DONE);
        assert_int_equal(parser.head.framing, accepted[i].framing);
        assert_int_equal(parser.head.content_length, accepted[i].length);
        assert_int_equal(parser.head.keep_alive, accepted[i].keep_alive);
    }
}

static const struct {
    const char *name;
    enum http_refusal refusal;
    struct span text;
} refused[] = {
    {"empty line first", HTTP_REFUSAL_VERSION_SYNTAX, SPAN("\r\nHTTP/1.1 200 OK\r\n\r\n")},
    {"HTTP/2", HTTP_REFUSAL_VERSION, SPAN("HTTP/2.0 200 OK\r\n\r\n")},
    {"no version", HTTP_REFUSAL_VERSION_SYNTAX, SPAN("200 OK\r\n\r\n")},
    {"two digits", HTTP_REFUSAL_STATUS_LINE, SPAN("HTTP/1.1 20 OK\r\n\r\n")},
    {"four digits", HTTP_REFUSAL_STATUS_LINE, SPAN("HTTP/1.1 2000 OK\r\n\r\n")},
    {"099", HTTP_REFUSAL_STATUS_LINE, SPAN("HTTP/1.1 099 OK\r\n\r\n")},
    {"600", HTTP_REFUSAL_STATUS_LINE, SPAN("HTTP/1.1 600 OK\r\n\r\n")},
    {"two spaces", HTTP_REFUSAL_STATUS_LINE, SPAN("HTTP/1.1  200 OK\r\n\r\n")},
    {"tab", HTTP_REFUSAL_STATUS_LINE, SPAN("HTTP/1.1\t200 OK\r\n\r\n")},
    {"tab behind the status", HTTP_REFUSAL_STATUS_LINE, SPAN("HTTP/1.1 200\tOK\r\n\r\n")},
    {"NUL in the reason", HTTP_REFUSAL_STATUS_LINE, SPAN("HTTP/1.1 200 O\0K\r\n\r\n")},
    {"bare LF", HTTP_REFUSAL_LINE_END, SPAN("HTTP/1.1 200 OK\nContent-Length: 0\n\n")},
    {"bare CR", HTTP_REFUSAL_LINE_END, SPAN("HTTP/1.1 200 OK\rContent-Length: 0\r\n\r\n")},
    {"two lengths",
     HTTP_REFUSAL_FIELD_DUPLICATE,
     SPAN("HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\n")},
    {"length and chunked",
     HTTP_REFUSAL_LENGTH_AND_CODING,
     SPAN("HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n")},
    {"identity",
     HTTP_REFUSAL_TRANSFER_CODING,
     SPAN("HTTP/1.1 200 OK\r\nTransfer-Encoding: identity\r\n\r\n")},
    {"chunked in HTTP/1.0",
     HTTP_REFUSAL_TRANSFER_HTTP10,
     SPAN("HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")},
    {"204 with a body",
     HTTP_REFUSAL_CONTENT_LENGTH,
     SPAN("HTTP/1.1 204 OK\r\nContent-Length: 3\r\n\r\n")},
    {"100 with a body",
     HTTP_REFUSAL_CONTENT_LENGTH,
     SPAN("HTTP/1.1 100 OK\r\nContent-Length: 3\r\n\r\n")},
    {"204 chunked",
     HTTP_REFUSAL_TRANSFER_HTTP10,
     SPAN("HTTP/1.1 204 OK\r\nTransfer-Encoding: chunked\r\n\r\n")},
    {"+3", HTTP_REFUSAL_CONTENT_LENGTH, SPAN("HTTP/1.1 200 OK\r\nContent-Length: +3\r\n\r\n")},
    {"too large",
     HTTP_REFUSAL_BODY_LARGE,
     SPAN("HTTP/1.1 200 OK\r\nContent-Length: 1048577\r\n\r\n")},
    {"obs-fold", HTTP_REFUSAL_FIELD_FOLDED, SPAN("HTTP/1.1 200 OK\r\nA: b\r\n c\r\n\r\n")},
};

static void
t_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
        struct http_parser parser;
        enum http_result result = t_response(&parser, refused[i].text, HTTP_METHOD_GET);
        if (parser.refusal != refused[i].refusal) {
            print_error("%s: %s\n", refused[i].name, http_refusal_text(parser.refusal));
        }
        assert_int_equal(result, HTTP_REFUSED);
        assert_int_equal(parser.refusal, refused[i].refusal);
    }
}

/* No body follows, so only the size of the number itself can be wrong. */
static void
t_head_length(void **state)
{
    (void)state;
    struct http_parser parser;
    struct span largest = SPAN("HTTP/1.1 200 OK\r\nContent-Length: 9223372036854775807\r\n\r\n");
    assert_int_equal(t_response(&parser, largest, HTTP_METHOD_HEAD), HTTP_DONE);
    struct span larger = SPAN("HTTP/1.1 200 OK\r\nContent-Length: 9223372036854775808\r\n\r\n");
    assert_int_equal(t_response(&parser, larger, HTTP_METHOD_HEAD), HTTP_REFUSED);
    assert_int_equal(parser.refusal, HTTP_REFUSAL_BODY_LARGE);
}

static void
t_status_line(void **state)
{
    (void)state;
    struct http_parser parser;
    const struct http_head *head = &parser.head;
    assert_int_equal(
        t_response(
            &parser, SPAN("HTTP/1.1 402 Payment \xc3\xa4 Required\r\n\r\n"), HTTP_METHOD_GET),
        HTTP_DONE);
    assert_int_equal(head->status, 402);
    t_slice_is(head, head->reason, SPAN("Payment \xc3\xa4 Required"));
    assert_int_equal(head->size, 36);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(t_accepted),
        cmocka_unit_test(t_refused),
        cmocka_unit_test(t_head_length),
        cmocka_unit_test(t_status_line),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
