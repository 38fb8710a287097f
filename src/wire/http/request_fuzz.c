/*
 * Requests in a stream: whatever the bytes, whole and cut input give one answer (HTTP-1), the
 * positions lie inside the input (HTTP-2), and what was accepted can be written again and reads
 * the same. The first byte chooses where the input is cut.
 */
#include "http/body.h"
#include "http/target.h"
#include "http/writer.h"

#include "base/assert.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct http_limits limits = {
    .target = 200, .head = 4096, .fields = 16, .extensions = 64, .trailers = 128, .body = 4096};

static void
slice_check(const struct http_head *head, struct http_slice slice)
{
    ASSERT(slice.at <= head->size);
    ASSERT(slice.size <= head->size - slice.at);
}

static void
head_check(const struct http_head *head, struct span input)
{
    ASSERT(head->size <= input.size);
    ASSERT(head->size <= limits.head);
    ASSERT(memcmp(input.data + head->size - 4, "\r\n\r\n", 4) == 0);
    slice_check(head, head->target);
    slice_check(head, head->path);
    slice_check(head, head->query);
    slice_check(head, head->authority);
    ASSERT(head->field_count <= limits.fields);
    for (uint32_t i = 0; i < head->field_count; i++) {
        const struct http_head_field *field = &head->fields[i];
        slice_check(head, field->name);
        slice_check(head, field->value);
        ASSERT(http_name_is_valid(http_head_text(head, field->name)));
        ASSERT(http_value_is_valid(http_head_text(head, field->value)));
        ASSERT(http_field_find(http_head_text(head, field->name)) == field->field);
        (void)http_head_is_hop_by_hop(head, i);
    }
    /* The shapes that two parsers could read differently never come out. */
    ASSERT(head->version_minor == 0 || http_head_has(head, HTTP_FIELD_HOST));
    bool length = http_head_has(head, HTTP_FIELD_CONTENT_LENGTH);
    bool coding = http_head_has(head, HTTP_FIELD_TRANSFER_ENCODING);
    ASSERT(!(length && coding));
    ASSERT((head->framing == HTTP_FRAMING_LENGTH) == length);
    ASSERT((head->framing == HTTP_FRAMING_CHUNKED) == coding);
    ASSERT(head->content_length <= limits.body);
}

/* A gateway's way: the end-to-end part of the head, written anew, must read as the same request. */
static void
rewrite_check(const struct http_head *head)
{
    if (head->path.size == 0 || head->authority.size == 0) {
        return;
    }
    struct http_header headers[HTTP_FIELDS_MAX];
    size_t count = 0;
    for (uint32_t i = 0; i < head->field_count; i++) {
        uint32_t field = head->fields[i].field;
        if (!http_head_is_hop_by_hop(head, i) && field != HTTP_FIELD_HOST &&
            field != HTTP_FIELD_CONTENT_LENGTH && field != HTTP_FIELD_CONTENT_TYPE &&
            field != HTTP_FIELD_DATE && field != HTTP_FIELD_EXPECT) {
            headers[count++] = (struct http_header){
                http_head_text(head, head->fields[i].name),
                http_head_text(head, head->fields[i].value)};
        }
    }
    struct http_request request = {
        .method = http_head_text(head, head->method_text),
        .target = http_head_text(head, head->target),
        .host = http_head_text(head, head->authority),
        .content_type = http_head_value(head, HTTP_FIELD_CONTENT_TYPE),
        .content_length =
            head->framing == HTTP_FRAMING_CHUNKED ? HTTP_LENGTH_CHUNKED : head->content_length,
        .close = !head->keep_alive,
        .headers = headers,
        .header_count = count,
    };
    struct buf out;
    buf_init(&out, 1 << 16);
    ASSERT(http_request_write_head(&out, &request) == ERR_OK);
    struct http_limits wide = http_limits_default;
    struct http_parser parser;
    http_parser_begin_request(&parser, &wide);
    ASSERT(http_parser_feed(&parser, buf_span(&out)) == HTTP_DONE);
    ASSERT(parser.head.size == out.size);
    ASSERT(parser.head.method == head->method);
    ASSERT(parser.head.content_length == head->content_length);
    ASSERT(parser.head.keep_alive == head->keep_alive);
    ASSERT(span_equal(http_head_text(&parser.head, parser.head.target), request.target));
    buf_release(&out);
}

/* Feeds exact copies: first `cut` bytes, then all. */
static enum http_result
parse_cut(struct http_parser *parser, struct span input, size_t cut)
{
    http_parser_begin_request(parser, &limits);
    enum http_result result = HTTP_MORE;
    for (size_t i = 0; i < 2 && result == HTTP_MORE; i++) {
        size_t size = i == 0 && cut < input.size ? cut : input.size;
        char *copy = malloc(size + 1);
        ASSERT(copy != NULL);
        memcpy(copy, input.data, size);
        result = http_parser_feed(parser, span_of(copy, size));
        free(copy);
    }
    parser->head.base = input.data;
    return result;
}

/* Bytes of the body, SIZE_MAX if it is refused or not complete. */
static size_t
body_size(const struct http_head *head, struct span input, size_t step, struct buf *decoded)
{
    struct http_body body;
    http_body_begin(&body, head, &limits);
    size_t at = 0;
    size_t end = step < input.size ? step : input.size;
    for (;;) {
        size_t consumed;
        struct span piece;
        enum http_result result =
            http_body_feed(&body, span_slice(input, at, end), &consumed, &piece);
        ASSERT(consumed <= end - at);
        buf_append_span(decoded, piece);
        at += consumed;
        if (result == HTTP_DONE) {
            ASSERT(body.size == decoded->size);
            ASSERT(body.size <= limits.body);
            return at;
        }
        if (result == HTTP_REFUSED || (end == input.size && consumed == 0)) {
            return SIZE_MAX;
        }
        if (consumed == 0) {
            end = input.size - end < step ? input.size : end + step;
        }
    }
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1) {
        return 0;
    }
    size_t cut = data[0];
    struct span input = span_of(data + 1, size - 1);
    for (unsigned messages = 0; messages < 8; messages++) {
        struct http_parser whole;
        struct http_parser pieces;
        enum http_result result = parse_cut(&whole, input, 0);
        ASSERT(parse_cut(&pieces, input, cut) == result);
        ASSERT(pieces.refusal == whole.refusal);
        if (result != HTTP_DONE) {
            return 0;
        }
        pieces.head.base = NULL;
        struct http_head head = whole.head;
        head.base = NULL;
        ASSERT(memcmp(&head, &pieces.head, offsetof(struct http_head, fields)) == 0);
        head_check(&whole.head, input);
        rewrite_check(&whole.head);
        (void)http_path_check(http_head_text(&whole.head, whole.head.path));
        input = span_slice(input, whole.head.size, input.size);
        struct buf one;
        struct buf two;
        buf_init(&one, 1 << 16);
        buf_init(&two, 1 << 16);
        size_t body = body_size(&whole.head, input, SIZE_MAX, &one);
        ASSERT(body_size(&whole.head, input, 1 + cut % 16, &two) == body);
        ASSERT(body == SIZE_MAX || span_equal(buf_span(&one), buf_span(&two)));
        buf_release(&one);
        buf_release(&two);
        if (body == SIZE_MAX) {
            return 0;
        }
        input = span_slice(input, body, input.size);
    }
    return 0;
}
