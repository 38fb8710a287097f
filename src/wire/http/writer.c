#include "http/writer.h"

#include "base/assert.h"

#include "chars.h"

#include <string.h>

/* Enough for a start line without its spans and every header that the writer adds itself. */
#define HEAD_FIXED_SIZE 320

bool
http_name_is_valid(struct span name)
{
    for (size_t i = 0; i < name.size; i++) {
        if (!http_is(name.data[i], HTTP_CLASS_TOKEN)) {
            return false;
        }
    }
    return name.size > 0;
}

static bool
is_blank(char byte)
{
    return byte == ' ' || byte == '\t';
}

bool
http_value_is_valid(struct span value)
{
    for (size_t i = 0; i < value.size; i++) {
        if (!http_is(value.data[i], HTTP_CLASS_VALUE)) {
            return false;
        }
    }
    return value.size == 0 || (!is_blank(value.data[0]) && !is_blank(value.data[value.size - 1]));
}

static bool
writer_owns(enum http_field field, bool request)
{
    switch ((unsigned)field) {
    case HTTP_FIELD_CONNECTION:
    case HTTP_FIELD_CONTENT_LENGTH:
    case HTTP_FIELD_CONTENT_TYPE:
    case HTTP_FIELD_DATE:
    case HTTP_FIELD_TRANSFER_ENCODING:
        return true;
    case HTTP_FIELD_HOST:
        return request;
    default:
        return false;
    }
}

/* Checks headers and content type; adds to *size what they take. */
static bool
headers_check(const struct http_header *headers, size_t count, bool request, size_t *size)
{
    for (size_t i = 0; i < count; i++) {
        if (!http_name_is_valid(headers[i].name) || !http_value_is_valid(headers[i].value) ||
            writer_owns(http_field_find(headers[i].name), request)) {
            return false;
        }
        *size += headers[i].name.size + headers[i].value.size + 4;
    }
    return true;
}

static char *
put(char *out, struct span text)
{
    if (text.size > 0) {
        memcpy(out, text.data, text.size);
    }
    return out + text.size;
}

static char *
put_header(char *out, struct span name, struct span value)
{
    out = put(out, name);
    *out++ = ':';
    *out++ = ' ';
    out = put(out, value);
    *out++ = '\r';
    *out++ = '\n';
    return out;
}

static char *
put_u64(char *out, uint64_t value)
{
    char digits[20];
    size_t at = sizeof(digits);
    do {
        digits[--at] = (char)('0' + value % 10);
        value /= 10;
    } while (value > 0);
    memcpy(out, digits + at, sizeof(digits) - at);
    return out + (sizeof(digits) - at);
}

static char *
put_framing(char *out, uint64_t content_length)
{
    if (content_length == HTTP_LENGTH_UNKNOWN) {
        return out;
    }
    if (content_length == HTTP_LENGTH_CHUNKED) {
        return put(out, SPAN("Transfer-Encoding: chunked\r\n"));
    }
    out = put(out, SPAN("Content-Length: "));
    out = put_u64(out, content_length);
    return put(out, SPAN("\r\n"));
}

static char *
put_headers(char *out, const struct http_header *headers, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        out = put_header(out, headers[i].name, headers[i].value);
    }
    return put(out, SPAN("\r\n"));
}

err_t
http_response_write_head(struct buf *out, const struct http_response *response)
{
    ASSERT(response->status >= 100);
    ASSERT(response->status <= 599);
    struct span reason = http_status_text(response->status);
    size_t size = HEAD_FIXED_SIZE + response->date.size + response->content_type.size;
    if (!headers_check(response->headers, response->header_count, false, &size) ||
        !http_value_is_valid(response->content_type) || !http_value_is_valid(response->date)) {
        return ERR_INVALID;
    }
    char *begin = buf_reserve(out, size);
    if (begin == NULL) {
        return ERR_OK; /* buf_failed() tells */
    }
    char *at = put(begin, SPAN("HTTP/1.1 "));
    at = put_u64(at, response->status);
    *at++ = ' ';
    at = put(at, reason);
    at = put(at, SPAN("\r\n"));
    if (response->date.size > 0) {
        at = put_header(at, SPAN("Date"), response->date);
    }
    if (response->content_type.size > 0) {
        at = put_header(at, SPAN("Content-Type"), response->content_type);
    }
    bool has_body = response->status >= 200 && response->status != 204 && response->status != 304;
    if (has_body) {
        at = put_framing(at, response->content_length);
    }
    if (response->close) {
        at = put(at, SPAN("Connection: close\r\n"));
    }
    at = put_headers(at, response->headers, response->header_count);
    ASSERT((size_t)(at - begin) <= size);
    buf_added(out, (size_t)(at - begin));
    return ERR_OK;
}

static bool
target_is_valid(struct span target)
{
    for (size_t i = 0; i < target.size; i++) {
        if (!http_is(target.data[i], HTTP_CLASS_TARGET)) {
            return false;
        }
    }
    return target.size > 0;
}

static bool
has_no_body(const struct http_request *request)
{
    return request->content_length == 0 &&
           (span_equal(request->method, SPAN("GET")) || span_equal(request->method, SPAN("HEAD")) ||
            span_equal(request->method, SPAN("DELETE")));
}

err_t
http_request_write_head(struct buf *out, const struct http_request *request)
{
    size_t size = HEAD_FIXED_SIZE + request->method.size + request->target.size +
                  request->host.size + request->content_type.size;
    if (!http_name_is_valid(request->method) || !target_is_valid(request->target) ||
        !http_value_is_valid(request->host) || request->host.size == 0 ||
        !http_value_is_valid(request->content_type) ||
        !headers_check(request->headers, request->header_count, true, &size)) {
        return ERR_INVALID;
    }
    char *begin = buf_reserve(out, size);
    if (begin == NULL) {
        return ERR_OK; /* buf_failed() tells */
    }
    char *at = put(begin, request->method);
    *at++ = ' ';
    at = put(at, request->target);
    at = put(at, SPAN(" HTTP/1.1\r\n"));
    at = put_header(at, SPAN("Host"), request->host);
    if (request->content_type.size > 0) {
        at = put_header(at, SPAN("Content-Type"), request->content_type);
    }
    if (!has_no_body(request)) {
        at = put_framing(at, request->content_length);
    }
    if (request->close) {
        at = put(at, SPAN("Connection: close\r\n"));
    }
    at = put_headers(at, request->headers, request->header_count);
    ASSERT((size_t)(at - begin) <= size);
    buf_added(out, (size_t)(at - begin));
    return ERR_OK;
}

void
http_continue_write(struct buf *out)
{
    buf_append_span(out, SPAN("HTTP/1.1 100 Continue\r\n\r\n"));
}

#define CHUNK_FRAME_SIZE (16 + 2 + 2) /* hex digits and two line ends */

void
http_chunk_write(struct buf *out, struct span piece)
{
    static const char hex[] = "0123456789abcdef";
    if (piece.size == 0) {
        return;
    }
    ASSERT(piece.size <= SIZE_MAX - CHUNK_FRAME_SIZE);
    char *begin = buf_reserve(out, piece.size + CHUNK_FRAME_SIZE);
    if (begin == NULL) {
        return;
    }
    unsigned digits = (unsigned)(67 - __builtin_clzll(piece.size)) / 4;
    for (unsigned i = 0; i < digits; i++) {
        begin[i] = hex[piece.size >> 4 * (digits - 1 - i) & 15];
    }
    char *at = put(begin + digits, SPAN("\r\n"));
    at = put(at, piece);
    at = put(at, SPAN("\r\n"));
    buf_added(out, (size_t)(at - begin));
}

void
http_chunk_write_end(struct buf *out)
{
    buf_append_span(out, SPAN("0\r\n\r\n"));
}

err_t
http_header_write(struct buf *out, struct span name, struct span value)
{
    if (!http_name_is_valid(name) || !http_value_is_valid(value)) {
        return ERR_INVALID;
    }
    char *begin = buf_reserve(out, name.size + value.size + 4);
    if (begin != NULL) {
        buf_added(out, (size_t)(put_header(begin, name, value) - begin));
    }
    return ERR_OK;
}
