/*
 * A response with its body: whole and cut input give one answer (HTTP-1). The first byte chooses
 * where the input is cut, the second whether the request was a HEAD.
 */
#include "http/body.h"

#include "base/assert.h"
#include "base/buf.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct http_limits limits = {
    .target = 200, .head = 4096, .fields = 16, .extensions = 64, .trailers = 128, .body = 4096};

struct outcome {
    enum http_result result;
    enum http_refusal refusal;
    size_t consumed;
    struct buf body;
};

/* The receive loop of a client that gets `step` bytes at a time. */
static void
receive(struct outcome *out, struct span input, enum http_method method, size_t step)
{
    struct http_parser parser;
    struct http_body body;
    buf_init(&out->body, 1 << 16);
    http_parser_begin_response(&parser, &limits, method);
    size_t end = 0;
    do {
        end = input.size - end < step ? input.size : end + step;
        char *copy = malloc(end + 1);
        ASSERT(copy != NULL);
        memcpy(copy, input.data, end);
        out->result = http_parser_feed(&parser, span_of(copy, end));
        free(copy);
    } while (out->result == HTTP_MORE && end < input.size);
    out->refusal = parser.refusal;
    out->consumed = 0;
    if (out->result != HTTP_DONE) {
        return;
    }
    ASSERT(parser.head.size <= end);
    ASSERT(parser.head.status >= 100);
    ASSERT(parser.head.status <= 599);
    ASSERT(method != HTTP_METHOD_HEAD || parser.head.framing == HTTP_FRAMING_NONE);
    out->consumed = parser.head.size;
    http_body_begin(&body, &parser.head, &limits);
    for (;;) {
        size_t consumed;
        struct span piece;
        struct span rest = span_slice(input, out->consumed, end);
        out->result = http_body_feed(&body, rest, &consumed, &piece);
        ASSERT(consumed <= rest.size);
        buf_append_span(&out->body, piece);
        out->consumed += consumed;
        if (out->result != HTTP_MORE || (consumed == 0 && end == input.size)) {
            break;
        }
        if (consumed == 0) {
            end = input.size - end < step ? input.size : end + step;
        }
    }
    if (out->result == HTTP_MORE) {
        out->result = http_body_close(&body);
    }
    out->refusal = body.refusal;
    ASSERT(body.size <= limits.body);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2) {
        return 0;
    }
    enum http_method method = data[1] % 2 == 0 ? HTTP_METHOD_GET : HTTP_METHOD_HEAD;
    struct span input = span_of(data + 2, size - 2);
    struct outcome whole;
    struct outcome pieces;
    receive(&whole, input, method, SIZE_MAX);
    receive(&pieces, input, method, 1 + data[0] % 32);
    ASSERT(whole.result == pieces.result);
    ASSERT(whole.refusal == pieces.refusal);
    if (whole.result == HTTP_DONE) {
        ASSERT(whole.consumed == pieces.consumed);
        ASSERT(span_equal(buf_span(&whole.body), buf_span(&pieces.body)));
    }
    buf_release(&whole.body);
    buf_release(&pieces.body);
    return 0;
}
