/*
 * Writes HTTP/1.1 messages into a struct buf. What would let a value write headers of its own
 * (CR, LF, NUL, any control byte) is refused before a byte is appended. A full buffer shows in
 * buf_failed(), as everywhere.
 */
#ifndef HTTP_WRITER_H
#define HTTP_WRITER_H

#include "base/buf.h"
#include "http/http.h"

/* The value of content_length for a body that comes in chunks. */
#define HTTP_LENGTH_CHUNKED UINT64_MAX
/* Of a HEAD request's answer, whose body's length is not known: nothing is written. */
#define HTTP_LENGTH_UNKNOWN (UINT64_MAX - 1)

struct http_response {
    unsigned status;          /* 100 to 599 */
    bool close;               /* announce that the connection closes after this */
    struct span date;         /* from http_date_format; empty: no Date header */
    struct span content_type; /* empty: no Content-Type header */
    /* Or HTTP_LENGTH_CHUNKED, HTTP_LENGTH_UNKNOWN; not written for 1xx, 204 and 304. */
    uint64_t content_length;
    const struct http_header *headers;
    size_t header_count;
};

struct http_request {
    struct span method;       /* a token, in the case it is to be sent in */
    struct span target;       /* origin-form: path and query */
    struct span host;         /* host with optional port */
    bool close;               /* ask to close after this */
    struct span content_type; /* empty: no Content-Type header */
    uint64_t content_length;  /* or HTTP_LENGTH_CHUNKED; 0 is left out for GET, HEAD, DELETE */
    const struct http_header *headers;
    size_t header_count;
};

/* Status or request line, headers and the empty line. `headers` may not name what the writer
 * itself decides: Connection, Content-Length, Content-Type, Date, Host (requests),
 * Transfer-Encoding. ERR_INVALID, with nothing appended, for that, for a name, method or host that
 * is none, and for a target or value with a byte that could end it. */
MUST_USE err_t http_response_write_head(struct buf *out, const struct http_response *response);
MUST_USE err_t http_request_write_head(struct buf *out, const struct http_request *request);

/* "HTTP/1.1 100 Continue" and the empty line. */
void http_continue_write(struct buf *out);

/* One chunk. An empty piece writes nothing: an empty chunk would end the body. */
void http_chunk_write(struct buf *out, struct span piece);
/* The last chunk, without trailers. */
void http_chunk_write_end(struct buf *out);

/* For those who write headers by themselves (a gateway passing a head on): one checked line. */
MUST_USE err_t http_header_write(struct buf *out, struct span name, struct span value);

/* A token of at least one byte (RFC 9110 section 5.6.2). */
bool http_name_is_valid(struct span name);
/* No control byte other than a tab, no white space at either end. */
bool http_value_is_valid(struct span value);

#endif
