/* For the tests of the parser: one head, parsed whole, byte by byte and cut at every place, must
 * give one answer (HTTP-1). Every piece is in memory of its exact size, so that a sanitizer sees a
 * read behind it, and at a new address, as when a receive buffer grows. */
#ifndef HTTP_T_PARSE_H
#define HTTP_T_PARSE_H

#include "http/parser.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct t_message {
    struct span text;
    bool response;
    enum http_method method; /* of the request that a response answers */
    const struct http_limits *limits;
};

static inline void
t_begin(struct http_parser *parser, const struct t_message *message)
{
    if (message->response) {
        http_parser_begin_response(parser, message->limits, message->method);
    } else {
        http_parser_begin_request(parser, message->limits);
    }
}

static inline enum http_result
t_feed_exact(struct http_parser *parser, struct span text)
{
    char *copy = malloc(text.size == 0 ? 1 : text.size);
    assert_non_null(copy);
    if (text.size > 0) {
        memcpy(copy, text.data, text.size);
    }
    enum http_result result = http_parser_feed(parser, span_of(copy, text.size));
    free(copy);
    return result;
}

static inline void
t_heads_equal(struct http_head a, struct http_head b)
{
    a.base = NULL;
    b.base = NULL;
    assert_memory_equal(&a, &b, offsetof(struct http_head, fields));
    assert_memory_equal(a.fields, b.fields, a.field_count * sizeof(a.fields[0]));
}

static inline void
t_same(const struct http_parser *whole, const struct http_parser *cut, enum http_result result)
{
    assert_int_equal(cut->refusal, whole->refusal);
    if (result == HTTP_DONE) {
        t_heads_equal(cut->head, whole->head);
    }
}

/* Parses in all ways; `parser` keeps the whole way, its base being message->text. */
static inline enum http_result
t_parse(struct http_parser *parser, const struct t_message *message)
{
    t_begin(parser, message);
    enum http_result result = t_feed_exact(parser, message->text);
    struct http_parser cut;
    t_begin(&cut, message);
    enum http_result step = HTTP_MORE;
    for (size_t size = 0; size <= message->text.size && step == HTTP_MORE; size++) {
        step = t_feed_exact(&cut, span_slice(message->text, 0, size));
    }
    assert_int_equal(step, result);
    t_same(parser, &cut, result);
    for (size_t size = 0; size <= message->text.size; size++) {
        t_begin(&cut, message);
        step = t_feed_exact(&cut, span_slice(message->text, 0, size));
        if (step == HTTP_MORE) {
            step = t_feed_exact(&cut, message->text);
        }
        assert_int_equal(step, result);
        t_same(parser, &cut, result);
    }
    parser->head.base = message->text.data;
    return result;
}

static inline enum http_result
t_request(struct http_parser *parser, struct span text)
{
    return t_parse(parser, &(struct t_message){.text = text, .limits = &http_limits_default});
}

static inline enum http_result
t_response(struct http_parser *parser, struct span text, enum http_method method)
{
    return t_parse(
        parser,
        &(struct t_message){
            .text = text, .response = true, .method = method, .limits = &http_limits_default});
}

static inline void
t_slice_is(const struct http_head *head, struct http_slice slice, struct span expected)
{
    struct span text = http_head_text(head, slice);
    assert_int_equal(text.size, expected.size);
    if (text.size > 0) {
        assert_memory_equal(text.data, expected.data, expected.size);
    }
}

static inline void
t_span_is(struct span text, struct span expected)
{
    assert_int_equal(text.size, expected.size);
    if (text.size > 0) {
        assert_memory_equal(text.data, expected.data, expected.size);
    }
}

#endif
