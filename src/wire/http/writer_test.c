#include "http/writer.h"

#include "http/body.h"

#include "t_parse.h"

static void
t_response_text(void **state)
{
    (void)state;
    struct buf out;
    buf_init(&out, 4096);
    struct http_header headers[] = {
        {SPAN("Request-Id"), SPAN("req_1")}, {SPAN("X-Empty"), SPAN_EMPTY}};
    struct http_response response = {
        .status = 402,
        .date = SPAN("Sun, 06 Nov 1994 08:49:37 GMT"),
        .content_type = SPAN("application/json"),
        .content_length = 12,
        .headers = headers,
        .header_count = 2,
    };
    assert_int_equal(http_response_write_head(&out, &response), ERR_OK);
    t_span_is(
        buf_span(&out),
        SPAN("HTTP/1.1 402 Payment Required\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\n"
             "Content-Type: application/json\r\nContent-Length: 12\r\nRequest-Id: req_1\r\n"
             "X-Empty: \r\n\r\n"));
    buf_clear(&out);
    response =
        (struct http_response){.status = 200, .content_length = HTTP_LENGTH_CHUNKED, .close = true};
    assert_int_equal(http_response_write_head(&out, &response), ERR_OK);
    t_span_is(
        buf_span(&out),
        SPAN("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n"));
    buf_clear(&out);
    response = (struct http_response){.status = 200, .content_length = HTTP_LENGTH_UNKNOWN};
    assert_int_equal(http_response_write_head(&out, &response), ERR_OK);
    t_span_is(buf_span(&out), SPAN("HTTP/1.1 200 OK\r\n\r\n"));
    buf_clear(&out);
    response = (struct http_response){.status = 204};
    assert_int_equal(http_response_write_head(&out, &response), ERR_OK);
    t_span_is(buf_span(&out), SPAN("HTTP/1.1 204 No Content\r\n\r\n"));
    buf_clear(&out);
    http_continue_write(&out);
    t_span_is(buf_span(&out), SPAN("HTTP/1.1 100 Continue\r\n\r\n"));
    buf_release(&out);
}

static void
t_request_text(void **state)
{
    (void)state;
    struct buf out;
    buf_init(&out, 4096);
    struct http_header header = {SPAN("Idempotency-Key"), SPAN("k 1")};
    struct http_request request = {
        .method = SPAN("POST"),
        .target = SPAN("/v1/refunds?expand[]=charge"),
        .host = SPAN("localhost:1234"),
        .content_type = SPAN("application/x-www-form-urlencoded"),
        .content_length = 0,
        .headers = &header,
        .header_count = 1,
    };
    assert_int_equal(http_request_write_head(&out, &request), ERR_OK);
    t_span_is(
        buf_span(&out),
        SPAN("POST /v1/refunds?expand[]=charge HTTP/1.1\r\nHost: localhost:1234\r\n"
             "Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 0\r\n"
             "Idempotency-Key: k 1\r\n\r\n"));
    buf_clear(&out);
    request = (struct http_request){
        .method = SPAN("GET"), .target = SPAN("/"), .host = SPAN("a"), .close = true};
    assert_int_equal(http_request_write_head(&out, &request), ERR_OK);
    t_span_is(buf_span(&out), SPAN("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"));
    buf_release(&out);
}

/* HTTP-5: nothing of a refused head is written. */
static void
t_injection(void **state)
{
    (void)state;
    static const struct http_header bad[] = {
        {SPAN("A"), SPAN("b\r\nSet-Cookie: x")},
        {SPAN("A"), SPAN("b\rc")},
        {SPAN("A"), SPAN("b\nc")},
        {SPAN("A"), SPAN("b\0c")},
        {SPAN("A"), SPAN(" b")},
        {SPAN("A"), SPAN("b\t")},
        {SPAN("A"), SPAN("b\x7f")},
        {SPAN(""), SPAN("b")},
        {SPAN("A "), SPAN("b")},
        {SPAN("A:"), SPAN("b")},
        {SPAN("A\r\nB"), SPAN("b")},
        {SPAN("Content-Length"), SPAN("5")},
        {SPAN("transfer-encoding"), SPAN("chunked")},
        {SPAN("CONNECTION"), SPAN("close")},
        {SPAN("date"), SPAN("x")},
        {SPAN("Content-Type"), SPAN("x")},
    };
    struct buf out;
    buf_init(&out, 4096);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct http_response response = {.status = 200, .headers = &bad[i], .header_count = 1};
        assert_int_equal(http_response_write_head(&out, &response), ERR_INVALID);
        struct http_request request = {
            .method = SPAN("GET"),
            .target = SPAN("/"),
            .host = SPAN("a"),
            .headers = &bad[i],
            .header_count = 1};
        assert_int_equal(http_request_write_head(&out, &request), ERR_INVALID);
        if (i < 11) {
            assert_int_equal(http_header_write(&out, bad[i].name, bad[i].value), ERR_INVALID);
        }
    }
    struct http_header host = {SPAN("Host"), SPAN("b")};
    static const struct http_request requests[] = {
        {.method = SPAN("GET "), .target = SPAN("/"), .host = SPAN("a")},
        {.method = SPAN(""), .target = SPAN("/"), .host = SPAN("a")},
        {.method = SPAN("GET"), .target = SPAN(""), .host = SPAN("a")},
        {.method = SPAN("GET"), .target = SPAN("/ HTTP/1.1\r\nA: b\r\n"), .host = SPAN("a")},
        {.method = SPAN("GET"), .target = SPAN("/a b"), .host = SPAN("a")},
        {.method = SPAN("GET"), .target = SPAN("/"), .host = SPAN("")},
        {.method = SPAN("GET"), .target = SPAN("/"), .host = SPAN("a\r\nB: c")},
        {.method = SPAN("GET"),
         .target = SPAN("/"),
         .host = SPAN("a"),
         .content_type = SPAN("a\nb")},
    };
    for (size_t i = 0; i < sizeof(requests) / sizeof(requests[0]); i++) {
        assert_int_equal(http_request_write_head(&out, &requests[i]), ERR_INVALID);
    }
    struct http_request request = {
        .method = SPAN("GET"),
        .target = SPAN("/"),
        .host = SPAN("a"),
        .headers = &host,
        .header_count = 1};
    assert_int_equal(http_request_write_head(&out, &request), ERR_INVALID);
    struct http_response response = {.status = 200, .content_type = SPAN("a\r\nb")};
    assert_int_equal(http_response_write_head(&out, &response), ERR_INVALID);
    response = (struct http_response){.status = 200, .date = SPAN("a\r\nb")};
    assert_int_equal(http_response_write_head(&out, &response), ERR_INVALID);
    assert_int_equal(out.size, 0);
    assert_false(buf_failed(&out));
    buf_release(&out);
}

/* What the writers write, the parser reads. */
static void
t_round_trip(void **state)
{
    (void)state;
    struct buf out;
    buf_init(&out, 4096);
    struct http_header headers[] = {
        {SPAN("X-Text"), SPAN("a \xc3\xa4\tb")}, {SPAN("ETag"), SPAN("\"x\"")}};
    for (unsigned status = 100; status <= 599; status++) {
        struct http_response response = {
            .status = status,
            .content_length = status,
            .close = status % 2 == 0,
            .headers = headers,
            .header_count = 2};
        buf_clear(&out);
        assert_int_equal(http_response_write_head(&out, &response), ERR_OK);
        struct http_parser parser;
        http_parser_begin_response(&parser, &http_limits_default, HTTP_METHOD_GET);
        assert_int_equal(http_parser_feed(&parser, buf_span(&out)), HTTP_DONE);
        assert_int_equal(parser.head.size, out.size);
        assert_int_equal(parser.head.status, status);
        assert_int_equal(
            parser.head.keep_alive,
            status % 2 != 0 || (parser.head.framing == HTTP_FRAMING_UNTIL_CLOSE));
        bool body = status >= 200 && status != 204 && status != 304;
        assert_int_equal(parser.head.framing, body ? HTTP_FRAMING_LENGTH : HTTP_FRAMING_NONE);
        assert_int_equal(parser.head.content_length, body ? status : 0);
        struct span value;
        assert_true(http_head_find(&parser.head, SPAN("x-text"), &value));
        t_span_is(value, headers[0].value);
    }
    struct http_request request = {
        .method = SPAN("PUT"),
        .target = SPAN("/x"),
        .host = SPAN("[::1]:80"),
        .content_length = HTTP_LENGTH_CHUNKED,
        .headers = headers,
        .header_count = 2};
    buf_clear(&out);
    assert_int_equal(http_request_write_head(&out, &request), ERR_OK);
    struct http_parser parser;
    assert_int_equal(t_request(&parser, buf_span(&out)), HTTP_DONE);
    assert_int_equal(parser.head.method, HTTP_METHOD_PUT);
    assert_int_equal(parser.head.framing, HTTP_FRAMING_CHUNKED);
    buf_release(&out);
}

static void
t_full_buffer(void **state)
{
    (void)state;
    char memory[64];
    struct buf out;
    buf_init_fixed(&out, memory, sizeof(memory));
    struct http_response response = {.status = 200};
    assert_int_equal(http_response_write_head(&out, &response), ERR_OK);
    assert_true(buf_failed(&out));
    assert_int_equal(out.size, 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(t_response_text),
        cmocka_unit_test(t_request_text),
        cmocka_unit_test(t_injection),
        cmocka_unit_test(t_round_trip),
        cmocka_unit_test(t_full_buffer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
