#include "http/body.h"

#include "base/buf.h"
#include "http/writer.h"

#include "t_parse.h"

struct t_body {
    enum http_result result;
    enum http_refusal refusal;
    size_t consumed;
    struct buf decoded;
};

static const struct http_limits limits = {
    .target = 100, .head = 1000, .fields = 10, .extensions = 10, .trailers = 20, .body = 40};

/* Feeds pieces of at most `step` bytes, each in memory of its own, the first of `first` bytes. */
static void
t_decode(
    struct t_body *out, const struct http_head *head, struct span text, size_t first, size_t step)
{
    struct http_body body;
    http_body_begin(&body, head, &limits);
    buf_init(&out->decoded, 1000);
    out->consumed = 0;
    out->result = HTTP_MORE;
    size_t end = first;
    bool last = false;
    while (out->result == HTTP_MORE && !last) {
        end = end < text.size ? end : text.size;
        last = end == text.size;
        size_t offered = end - out->consumed;
        char *copy = malloc(offered + 1);
        assert_non_null(copy);
        memcpy(copy, text.data + out->consumed, offered);
        size_t at = 0;
        size_t consumed;
        do {
            struct span piece;
            out->result =
                http_body_feed(&body, span_of(copy + at, offered - at), &consumed, &piece);
            assert_true(consumed <= offered - at);
            assert_true(piece.size <= consumed);
            buf_append_span(&out->decoded, piece);
            at += consumed;
        } while (out->result == HTTP_MORE && consumed > 0);
        free(copy);
        out->consumed += at;
        end += step;
    }
    out->refusal = body.refusal;
    assert_int_equal(body.size, out->decoded.size);
    if (out->result == HTTP_MORE) {
        out->result = http_body_close(&body);
        out->refusal = body.refusal;
    }
}

static void
t_decode_all_ways(struct t_body *out, const struct http_head *head, struct span text)
{
    t_decode(out, head, text, text.size, 1);
    for (size_t first = 0; first <= text.size; first++) {
        for (size_t step = 1; step <= 100; step += 99) {
            struct t_body cut;
            t_decode(&cut, head, text, first, step);
            assert_int_equal(cut.result, out->result);
            assert_int_equal(cut.refusal, out->refusal);
            if (out->result == HTTP_DONE) {
                assert_int_equal(cut.consumed, out->consumed);
                t_span_is(buf_span(&cut.decoded), buf_span(&out->decoded));
            }
            buf_release(&cut.decoded);
        }
    }
}

static const struct http_head chunked = {.framing = HTTP_FRAMING_CHUNKED};

static const struct {
    const char *name;
    struct span text;
    struct span decoded;
    size_t left; /* bytes of the next message */
} accepted[] = {
    {"empty", SPAN("0\r\n\r\n"), SPAN(""), 0},
    {"one", SPAN("5\r\nhello\r\n0\r\n\r\nGET"), SPAN("hello"), 3},
    {"two", SPAN("5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n"), SPAN("hello world"), 0},
    {"hex of both cases",
     SPAN("a\r\n0123456789\r\nA\r\n0123456789\r\n00\r\n\r\n"),
     SPAN("01234567890123456789"),
     0},
    {"CR LF as data", SPAN("4\r\n\r\n\r\n\r\n0\r\n\r\n"), SPAN("\r\n\r\n"), 0},
    {"extension", SPAN("1;a=\"b\"\r\nx\r\n0;z\r\n\r\n"), SPAN("x"), 0},
    {"blank before an extension", SPAN("1 \t;a\r\nx\r\n0\r\n\r\n"), SPAN("x"), 0},
    {"sixteen digits", SPAN("0000000000000001\r\nx\r\n0000000000000000\r\n\r\n"), SPAN("x"), 0},
    {"trailers", SPAN("1\r\nx\r\n0\r\nA: b\r\nCc:\tdd\r\n\r\nH"), SPAN("x"), 1},
    {"at the limit",
     SPAN("28\r\n0123456789012345678901234567890123456789\r\n0\r\n\r\n"),
     SPAN("0123456789012345678901234567890123456789"),
     0},
};

static void
t_accepted(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(accepted) / sizeof(accepted[0]); i++) {
        struct t_body body;
        t_decode_all_ways(&body, &chunked, accepted[i].text);
        if (body.result != HTTP_DONE) {
            print_error("%s: %s\n", accepted[i].name, http_refusal_text(body.refusal));
        }
        assert_int_equal(body.result, HTTP_DONE);
        assert_int_equal(body.consumed, accepted[i].text.size - accepted[i].left);
        t_span_is(buf_span(&body.decoded), accepted[i].decoded);
        buf_release(&body.decoded);
    }
}

static const struct {
    const char *name;
    enum http_refusal refusal;
    struct span text;
} refused[] = {
    {"0x18", HTTP_REFUSAL_CHUNK_SIZE, SPAN("0x18\r\n")},
    {"no size", HTTP_REFUSAL_CHUNK_SIZE, SPAN("\r\n\r\n")},
    {"only an extension", HTTP_REFUSAL_CHUNK_SIZE, SPAN(";a\r\nx\r\n")},
    {"blank first", HTTP_REFUSAL_CHUNK_SIZE, SPAN(" 1\r\nx\r\n")},
    {"plus", HTTP_REFUSAL_CHUNK_SIZE, SPAN("+1\r\nx\r\n")},
    {"minus", HTTP_REFUSAL_CHUNK_SIZE, SPAN("-1\r\nx\r\n")},
    {"letter", HTTP_REFUSAL_CHUNK_SIZE, SPAN("g\r\n")},
    {"NUL", HTTP_REFUSAL_CHUNK_SIZE, SPAN("1\0\r\nx\r\n")},
    {"seventeen digits", HTTP_REFUSAL_CHUNK_SIZE, SPAN("00000000000000001\r\nx\r\n")},
    {"2^64", HTTP_REFUSAL_CHUNK_SIZE, SPAN("10000000000000000\r\n")},
    {"2^64 - 1", HTTP_REFUSAL_BODY_LARGE, SPAN("ffffffffffffffff\r\n")},
    {"sum overflows", HTTP_REFUSAL_BODY_LARGE, SPAN("2\r\nab\r\nffffffffffffffff\r\n")},
    {"above the limit", HTTP_REFUSAL_BODY_LARGE, SPAN("29\r\n")},
    {"above the limit together", HTTP_REFUSAL_BODY_LARGE, SPAN("1\r\nx\r\n28\r\n")},
    {"bare LF behind the size", HTTP_REFUSAL_CHUNK_SIZE, SPAN("1\nx\r\n0\r\n\r\n")},
    {"bare CR behind the size", HTTP_REFUSAL_CHUNK_SIZE, SPAN("1\rx\r\n0\r\n\r\n")},
    {"data longer than its size", HTTP_REFUSAL_CHUNK_END, SPAN("1\r\nxy\r\n0\r\n\r\n")},
    {"data shorter than its size", HTTP_REFUSAL_CHUNK_END, SPAN("3\r\nx\r\n0\r\n\r\n")},
    {"no CR LF behind data", HTTP_REFUSAL_CHUNK_END, SPAN("1\r\nx0\r\n\r\n")},
    {"bare LF behind data", HTTP_REFUSAL_CHUNK_END, SPAN("1\r\nx\n0\r\n\r\n")},
    {"bare CR behind data", HTTP_REFUSAL_CHUNK_END, SPAN("1\r\nx\r0\r\n\r\n")},
    {"blank before CR LF", HTTP_REFUSAL_CHUNK_EXTENSION, SPAN("1 \r\nx\r\n0\r\n\r\n")},
    {"text behind a blank", HTTP_REFUSAL_CHUNK_EXTENSION, SPAN("1 2\r\nx\r\n0\r\n\r\n")},
    {"LF in an extension", HTTP_REFUSAL_CHUNK_EXTENSION, SPAN("1;a\nb\r\nx\r\n0\r\n\r\n")},
    {"CR in an extension", HTTP_REFUSAL_CHUNK_SIZE, SPAN("1;a\rb\r\nx\r\n0\r\n\r\n")},
    {"NUL in an extension", HTTP_REFUSAL_CHUNK_EXTENSION, SPAN("1;a\0b\r\nx\r\n")},
    {"long extension", HTTP_REFUSAL_CHUNK_EXTENSION, SPAN("1;12345678901\r\nx\r\n")},
    {"many extensions", HTTP_REFUSAL_CHUNK_EXTENSION, SPAN("1;123456\r\nx\r\n1;12345\r\nx\r\n")},
    {"trailer without colon", HTTP_REFUSAL_TRAILER, SPAN("0\r\nabc\r\n\r\n")},
    {"trailer with a space", HTTP_REFUSAL_TRAILER, SPAN("0\r\na : c\r\n\r\n")},
    {"trailer folded", HTTP_REFUSAL_TRAILER, SPAN("0\r\na: c\r\n d\r\n\r\n")},
    {"trailer without name", HTTP_REFUSAL_TRAILER, SPAN("0\r\n: c\r\n\r\n")},
    {"trailer with NUL", HTTP_REFUSAL_TRAILER, SPAN("0\r\na: \0\r\n\r\n")},
    {"trailer with bare LF", HTTP_REFUSAL_TRAILER, SPAN("0\r\na: b\nc: d\r\n\r\n")},
    {"trailer with bare CR", HTTP_REFUSAL_TRAILER, SPAN("0\r\na: b\rc: d\r\n\r\n")},
    {"LF ends the trailers", HTTP_REFUSAL_TRAILER, SPAN("0\r\n\n")},
    {"CR ends the trailers", HTTP_REFUSAL_TRAILER, SPAN("0\r\n\rx")},
    {"trailers too large",
     HTTP_REFUSAL_TRAILER_LARGE,
     SPAN("0\r\na: 1\r\nb: 2\r\nc: 3\r\nd: 4\r\n\r\n")},
    {"cut in the size", HTTP_REFUSAL_TRUNCATED, SPAN("5")},
    {"cut in the data", HTTP_REFUSAL_TRUNCATED, SPAN("5\r\nhel")},
    {"cut before the last chunk", HTTP_REFUSAL_TRUNCATED, SPAN("1\r\nx\r\n")},
    {"cut before the end", HTTP_REFUSAL_TRUNCATED, SPAN("1\r\nx\r\n0\r\n")},
    {"nothing", HTTP_REFUSAL_TRUNCATED, SPAN("")},
};

static void
t_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
        struct t_body body;
        t_decode_all_ways(&body, &chunked, refused[i].text);
        if (body.refusal != refused[i].refusal) {
            print_error("%s: %s\n", refused[i].name, http_refusal_text(body.refusal));
        }
        assert_int_equal(body.result, HTTP_REFUSED);
        assert_int_equal(body.refusal, refused[i].refusal);
        buf_release(&body.decoded);
    }
}

static void
t_length(void **state)
{
    (void)state;
    struct http_head head = {.framing = HTTP_FRAMING_LENGTH, .content_length = 5};
    struct t_body body;
    t_decode_all_ways(&body, &head, SPAN("helloGET"));
    assert_int_equal(body.result, HTTP_DONE);
    assert_int_equal(body.consumed, 5);
    t_span_is(buf_span(&body.decoded), SPAN("hello"));
    buf_release(&body.decoded);
    t_decode_all_ways(&body, &head, SPAN("hell"));
    assert_int_equal(body.result, HTTP_REFUSED);
    assert_int_equal(body.refusal, HTTP_REFUSAL_TRUNCATED);
    buf_release(&body.decoded);
    head.content_length = 0;
    t_decode_all_ways(&body, &head, SPAN("GET"));
    assert_int_equal(body.result, HTTP_DONE);
    assert_int_equal(body.consumed, 0);
    buf_release(&body.decoded);
    head.framing = HTTP_FRAMING_NONE;
    t_decode_all_ways(&body, &head, SPAN("GET"));
    assert_int_equal(body.result, HTTP_DONE);
    assert_int_equal(body.consumed, 0);
    buf_release(&body.decoded);
}

static void
t_until_close(void **state)
{
    (void)state;
    struct http_head head = {.framing = HTTP_FRAMING_UNTIL_CLOSE};
    struct t_body body;
    t_decode_all_ways(&body, &head, SPAN("hello"));
    assert_int_equal(body.result, HTTP_DONE);
    t_span_is(buf_span(&body.decoded), SPAN("hello"));
    buf_release(&body.decoded);
    t_decode(&body, &head, SPAN("01234567890123456789012345678901234567890"), 41, 1);
    assert_int_equal(body.result, HTTP_REFUSED);
    assert_int_equal(body.refusal, HTTP_REFUSAL_BODY_LARGE);
    buf_release(&body.decoded);
}

/* What the chunk writer writes, the reader reads. */
static void
t_round_trip(void **state)
{
    (void)state;
    static const size_t sizes[] = {1, 9, 10, 15, 16, 17, 255, 256, 4095, 4096, 65535, 65536};
    struct http_limits large = http_limits_default;
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        struct buf text;
        buf_init(&text, 1 << 20);
        char *data = malloc(sizes[i]);
        assert_non_null(data);
        memset(data, 'x', sizes[i]);
        http_chunk_write(&text, SPAN_EMPTY);
        http_chunk_write(&text, span_of(data, sizes[i]));
        http_chunk_write_end(&text);
        struct http_body body;
        http_body_begin(&body, &chunked, &large);
        size_t consumed;
        struct span piece;
        assert_int_equal(http_body_feed(&body, buf_span(&text), &consumed, &piece), HTTP_MORE);
        t_span_is(piece, span_of(data, sizes[i]));
        struct span rest = span_slice(buf_span(&text), consumed, text.size);
        assert_int_equal(http_body_feed(&body, rest, &consumed, &piece), HTTP_DONE);
        assert_int_equal(consumed, rest.size);
        free(data);
        buf_release(&text);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(t_accepted),
        cmocka_unit_test(t_refused),
        cmocka_unit_test(t_length),
        cmocka_unit_test(t_until_close),
        cmocka_unit_test(t_round_trip),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
