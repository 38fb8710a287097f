/*
 * The chunked body (RFC 9112 section 7.1), one state per place between two bytes:
 *
 *   SIZE --";"--> EXTENSION --CR--> SIZE_LF --LF--> DATA --> DATA_CR --> DATA_LF --> SIZE (again)
 *     |                               | size 0
 *     +------------CR-----------------+-----> TRAILER_BEGIN --CR--> END_LF --LF--> DONE
 *                                                |      ^
 *                                                v      | LF
 *                         TRAILER_NAME --":"--> TRAILER_VALUE --CR--> TRAILER_LF
 */
#include "http/body.h"

#include "base/assert.h"

#include "chars.h"

#include <string.h>

enum body_state {
    BODY_LENGTH,
    BODY_UNTIL_CLOSE,
    BODY_SIZE,
    BODY_BLANK, /* white space before a ";" */
    BODY_EXTENSION,
    BODY_SIZE_LF,
    BODY_DATA,
    BODY_DATA_CR,
    BODY_DATA_LF,
    BODY_TRAILER_BEGIN,
    BODY_TRAILER_NAME,
    BODY_TRAILER_VALUE,
    BODY_TRAILER_LF,
    BODY_END_LF,
    BODY_DONE,
    BODY_REFUSED,
};

#define CHUNK_DIGITS_MAX 16

static enum http_result
refuse(struct http_body *body, enum http_refusal refusal)
{
    body->refusal = refusal;
    body->state = BODY_REFUSED;
    return HTTP_REFUSED;
}

void
http_body_begin(
    struct http_body *body, const struct http_head *head, const struct http_limits *limits)
{
    memset(body, 0, sizeof(*body));
    body->limits = limits;
    switch (head->framing) {
    case HTTP_FRAMING_NONE:
        body->state = BODY_DONE;
        return;
    case HTTP_FRAMING_LENGTH:
        ASSERT(head->content_length <= limits->body);
        body->left = head->content_length;
        body->state = body->left == 0 ? BODY_DONE : BODY_LENGTH;
        return;
    case HTTP_FRAMING_CHUNKED:
        body->state = BODY_SIZE;
        return;
    case HTTP_FRAMING_UNTIL_CLOSE:
        body->state = BODY_UNTIL_CLOSE;
        return;
    }
    UNREACHABLE();
}

/* Hands out what there is of `left`. */
static struct span
piece_take(struct http_body *body, struct span input)
{
    struct span piece = input;
    if (piece.size > body->left) {
        piece.size = (size_t)body->left;
    }
    body->left -= piece.size;
    body->size += piece.size;
    return piece;
}

/* The size is complete. Sixteen digits fit into `left`; the sum with `size` cannot overflow,
 * because the size read so far is within the limit. */
static enum http_result
size_conclude(struct http_body *body, enum body_state next)
{
    if (body->digits == 0) {
        return refuse(body, HTTP_REFUSAL_CHUNK_SIZE);
    }
    ASSERT(body->size <= body->limits->body);
    if (body->left > body->limits->body - body->size) {
        return refuse(body, HTTP_REFUSAL_BODY_LARGE);
    }
    body->digits = 0;
    body->state = next;
    return HTTP_MORE;
}

static enum http_result
size_step(struct http_body *body, char byte)
{
    if (http_is(byte, HTTP_CLASS_HEX)) {
        if (body->digits == CHUNK_DIGITS_MAX) {
            return refuse(body, HTTP_REFUSAL_CHUNK_SIZE);
        }
        body->digits++;
        body->left = body->left << 4 | http_hex_value(byte);
        return HTTP_MORE;
    }
    switch (byte) {
    case '\r':
        return size_conclude(body, BODY_SIZE_LF);
    case ';':
        return size_conclude(body, BODY_EXTENSION);
    case ' ':
    case '\t':
        return size_conclude(body, BODY_BLANK);
    default:
        return refuse(body, HTTP_REFUSAL_CHUNK_SIZE);
    }
}

/* Extensions cost the reader and give it nothing: counted over the whole body. */
static enum http_result
extension_step(struct http_body *body, char byte)
{
    if (body->state == BODY_EXTENSION && byte == '\r') {
        body->state = BODY_SIZE_LF;
        return HTTP_MORE;
    }
    bool fits = body->state == BODY_BLANK ? byte == ' ' || byte == '\t' || byte == ';'
                                          : http_is(byte, HTTP_CLASS_VALUE);
    if (!fits || body->extensions == body->limits->extensions) {
        return refuse(body, HTTP_REFUSAL_CHUNK_EXTENSION);
    }
    body->extensions++;
    if (byte == ';') {
        body->state = BODY_EXTENSION;
    }
    return HTTP_MORE;
}

static enum http_result
expect_byte(
    struct http_body *body,
    char byte,
    char expected,
    enum body_state next,
    enum http_refusal refusal)
{
    if (byte != expected) {
        return refuse(body, refusal);
    }
    body->state = next;
    return HTTP_MORE;
}

static enum http_result
trailer_step(struct http_body *body, char byte)
{
    if (body->state == BODY_TRAILER_BEGIN && byte == '\r') {
        body->state = BODY_END_LF;
        return HTTP_MORE;
    }
    if (body->trailers >= body->limits->trailers) {
        return refuse(body, HTTP_REFUSAL_TRAILER_LARGE);
    }
    body->trailers++;
    if (body->state == BODY_TRAILER_VALUE) {
        if (byte == '\r') {
            body->trailers++; /* for its LF */
            body->state = BODY_TRAILER_LF;
            return HTTP_MORE;
        }
        return http_is(byte, HTTP_CLASS_VALUE) ? HTTP_MORE : refuse(body, HTTP_REFUSAL_TRAILER);
    }
    if (body->state == BODY_TRAILER_NAME && byte == ':') {
        body->state = BODY_TRAILER_VALUE;
        return HTTP_MORE;
    }
    if (!http_is(byte, HTTP_CLASS_TOKEN)) {
        return refuse(body, HTTP_REFUSAL_TRAILER);
    }
    body->state = BODY_TRAILER_NAME;
    return HTTP_MORE;
}

/* One byte between the data of chunks. */
static enum http_result
frame_step(struct http_body *body, char byte)
{
    switch ((enum body_state)body->state) {
    case BODY_SIZE:
        return size_step(body, byte);
    case BODY_BLANK:
    case BODY_EXTENSION:
        return extension_step(body, byte);
    case BODY_SIZE_LF:
        return expect_byte(
            body,
            byte,
            '\n',
            body->left == 0 ? BODY_TRAILER_BEGIN : BODY_DATA,
            HTTP_REFUSAL_CHUNK_SIZE);
    case BODY_DATA_CR:
        return expect_byte(body, byte, '\r', BODY_DATA_LF, HTTP_REFUSAL_CHUNK_END);
    case BODY_DATA_LF:
        return expect_byte(body, byte, '\n', BODY_SIZE, HTTP_REFUSAL_CHUNK_END);
    case BODY_TRAILER_BEGIN:
    case BODY_TRAILER_NAME:
    case BODY_TRAILER_VALUE:
        return trailer_step(body, byte);
    case BODY_TRAILER_LF:
        return expect_byte(body, byte, '\n', BODY_TRAILER_BEGIN, HTTP_REFUSAL_TRAILER);
    case BODY_END_LF:
        return expect_byte(body, byte, '\n', BODY_DONE, HTTP_REFUSAL_TRAILER);
    case BODY_LENGTH:
    case BODY_UNTIL_CLOSE:
    case BODY_DATA:
    case BODY_DONE:
    case BODY_REFUSED:
        break;
    }
    UNREACHABLE();
}

static enum http_result
chunked_feed(
    struct http_body *body, struct span input, size_t *ret_consumed, struct span *ret_piece)
{
    size_t at = 0;
    enum http_result result = HTTP_MORE;
    while (at < input.size && result == HTTP_MORE && body->state != BODY_DONE) {
        if (body->state == BODY_DATA) {
            *ret_piece = piece_take(body, span_slice(input, at, input.size));
            at += ret_piece->size;
            body->state = body->left == 0 ? BODY_DATA_CR : BODY_DATA;
            break;
        }
        result = frame_step(body, input.data[at++]);
    }
    *ret_consumed = at;
    return body->state == BODY_DONE ? HTTP_DONE : result;
}

enum http_result
http_body_feed(
    struct http_body *body, struct span input, size_t *ret_consumed, struct span *ret_piece)
{
    ASSERT(body->state != BODY_REFUSED);
    *ret_piece = SPAN_EMPTY;
    *ret_consumed = 0;
    if (body->state == BODY_DONE) {
        return HTTP_DONE;
    }
    if (body->state == BODY_LENGTH) {
        *ret_piece = piece_take(body, input);
        *ret_consumed = ret_piece->size;
        body->state = body->left == 0 ? BODY_DONE : BODY_LENGTH;
        return body->left == 0 ? HTTP_DONE : HTTP_MORE;
    }
    if (body->state == BODY_UNTIL_CLOSE) {
        if (input.size > body->limits->body - body->size) {
            return refuse(body, HTTP_REFUSAL_BODY_LARGE);
        }
        body->size += input.size;
        *ret_piece = input;
        *ret_consumed = input.size;
        return HTTP_MORE;
    }
    return chunked_feed(body, input, ret_consumed, ret_piece);
}

enum http_result
http_body_close(struct http_body *body)
{
    if (body->state == BODY_UNTIL_CLOSE) {
        body->state = BODY_DONE;
    }
    return body->state == BODY_DONE ? HTTP_DONE : refuse(body, HTTP_REFUSAL_TRUNCATED);
}
