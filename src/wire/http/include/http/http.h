/*
 * The words of HTTP/1.1 that the parser (http/parser.h), the body reader (http/body.h) and the
 * writers (http/writer.h) share. RFC 9110 is the meaning, RFC 9112 the bytes.
 *
 * One strict codec serves server, client and gateway: request smuggling is made of two parsers
 * that disagree, so Tael has one, and what RFC 9112 calls an error is refused, never repaired.
 */
#ifndef HTTP_HTTP_H
#define HTTP_HTTP_H

#include "base/err.h"
#include "base/span.h"

enum http_method {
    HTTP_METHOD_OTHER, /* a valid token that is none of these; see http_head.method_text */
    HTTP_METHOD_GET,
    HTTP_METHOD_HEAD,
    HTTP_METHOD_POST,
    HTTP_METHOD_PUT,
    HTTP_METHOD_DELETE,
    HTTP_METHOD_PATCH,
    HTTP_METHOD_OPTIONS,
    HTTP_METHOD_TRACE,
};

/* The upper-case name; "OTHER" for HTTP_METHOD_OTHER. Static. */
struct span http_method_text(enum http_method method);

/* constant, lower-case name, whether a second one is refused.
 * Sorted by the length of the name: the look-up goes by length (http/names.c). */
#define HTTP_FIELD_TABLE(X)                                                                        \
    X(TE, "te", false)                                                                             \
    X(AGE, "age", false)                                                                           \
    X(DATE, "date", false)                                                                         \
    X(ETAG, "etag", false)                                                                         \
    X(HOST, "host", true)                                                                          \
    X(ALLOW, "allow", false)                                                                       \
    X(RANGE, "range", false)                                                                       \
    X(ACCEPT, "accept", false)                                                                     \
    X(COOKIE, "cookie", false)                                                                     \
    X(EXPECT, "expect", true)                                                                      \
    X(ORIGIN, "origin", false)                                                                     \
    X(SERVER, "server", false)                                                                     \
    X(TRAILER, "trailer", false)                                                                   \
    X(UPGRADE, "upgrade", false)                                                                   \
    X(LOCATION, "location", false)                                                                 \
    X(CONNECTION, "connection", false)                                                             \
    X(KEEP_ALIVE, "keep-alive", false)                                                             \
    X(REQUEST_ID, "request-id", false)                                                             \
    X(TRACESTATE, "tracestate", false)                                                             \
    X(USER_AGENT, "user-agent", false)                                                             \
    X(RETRY_AFTER, "retry-after", false)                                                           \
    X(TRACEPARENT, "traceparent", false)                                                           \
    X(X_B3_SPANID, "x-b3-spanid", false)                                                           \
    X(CONTENT_TYPE, "content-type", true)                                                          \
    X(X_B3_SAMPLED, "x-b3-sampled", false)                                                         \
    X(X_B3_TRACEID, "x-b3-traceid", false)                                                         \
    X(X_REQUEST_ID, "x-request-id", false)                                                         \
    X(AUTHORIZATION, "authorization", true)                                                        \
    X(CACHE_CONTROL, "cache-control", false)                                                       \
    X(IF_NONE_MATCH, "if-none-match", false)                                                       \
    X(CONTENT_LENGTH, "content-length", true)                                                      \
    X(STRIPE_ACCOUNT, "stripe-account", true)                                                      \
    X(STRIPE_CONTEXT, "stripe-context", true)                                                      \
    X(STRIPE_VERSION, "stripe-version", true)                                                      \
    X(ACCEPT_ENCODING, "accept-encoding", false)                                                   \
    X(IDEMPOTENCY_KEY, "idempotency-key", true)                                                    \
    X(X_FORWARDED_FOR, "x-forwarded-for", false)                                                   \
    X(CONTENT_ENCODING, "content-encoding", true)                                                  \
    X(PROXY_CONNECTION, "proxy-connection", false)                                                 \
    X(STRIPE_SIGNATURE, "stripe-signature", true)                                                  \
    X(WWW_AUTHENTICATE, "www-authenticate", false)                                                 \
    X(X_FORWARDED_PROTO, "x-forwarded-proto", false)                                               \
    X(TRANSFER_ENCODING, "transfer-encoding", true)

enum http_field {
#define HTTP_FIELD_ENUM(name, text, single) HTTP_FIELD_##name,
    HTTP_FIELD_TABLE(HTTP_FIELD_ENUM)
#undef HTTP_FIELD_ENUM
    HTTP_FIELD_UNKNOWN, /* any other name */
};

#define HTTP_FIELD_KNOWN_COUNT ((size_t)HTTP_FIELD_UNKNOWN)

/* Which field a name is, in any case. */
enum http_field http_field_find(struct span name);
/* The lower-case name of a known field. Static. */
struct span http_field_text(enum http_field field);
/* Whether a message with two of them is refused. */
bool http_field_is_single(enum http_field field);

/* Why a message was refused: constant, status a server answers with, text for people. After any
 * of them the connection cannot be used again: nobody knows where the next message begins. */
#define HTTP_REFUSAL_TABLE(X)                                                                      \
    X(NONE, 0, "not refused")                                                                      \
    X(METHOD, 400, "the method is not a token")                                                    \
    X(TARGET, 400, "the request target has a form or a byte that is not allowed")                  \
    X(VERSION_SYNTAX, 400, "the HTTP version is malformed")                                        \
    X(VERSION, 505, "only HTTP/1.1 and HTTP/1.0 are spoken here")                                  \
    X(STATUS_LINE, 400, "the status line is malformed")                                            \
    X(LINE_END, 400, "a line does not end in CR LF")                                               \
    X(CONTROL_BYTE, 400, "a header has a control byte in its value")                               \
    X(FIELD_NAME, 400, "a header name is empty or is not a token directly before its colon")       \
    X(FIELD_FOLDED, 400, "a header continues on the next line")                                    \
    X(FIELD_DUPLICATE, 400, "a header that may be sent once was sent twice")                       \
    X(HOST_MISSING, 400, "HTTP/1.1 needs a Host header")                                           \
    X(HOST, 400, "the Host header is not a host with an optional port")                            \
    X(HOST_MISMATCH, 400, "the Host header and the request target name different hosts")           \
    X(CONTENT_LENGTH, 400, "Content-Length is not a plain decimal number")                         \
    X(LENGTH_AND_CODING, 400, "Content-Length and Transfer-Encoding exclude one another")          \
    X(TRANSFER_CODING, 501, "the only transfer coding supported is chunked")                       \
    X(TRANSFER_HTTP10, 400, "HTTP/1.0 and bodiless responses have no Transfer-Encoding")           \
    X(CONNECTION, 400, "Connection is malformed or names a header that is meant for everybody")    \
    X(EXPECTATION, 417, "the only expectation supported is 100-continue")                          \
    X(METHOD_TUNNEL, 501, "CONNECT is not supported")                                              \
    X(TARGET_LONG, 414, "the request target is too long")                                          \
    X(HEAD_LARGE, 431, "the request head is too large")                                            \
    X(FIELD_COUNT, 431, "the request has too many headers")                                        \
    X(BODY_LARGE, 413, "the body is too large")                                                    \
    X(CHUNK_SIZE, 400, "a chunk size is not a hexadecimal number of at most 16 digits")            \
    X(CHUNK_END, 400, "a chunk does not end in CR LF where its size says")                         \
    X(CHUNK_EXTENSION, 400, "a chunk extension is malformed or too long")                          \
    X(TRAILER, 400, "a trailer is malformed")                                                      \
    X(TRAILER_LARGE, 431, "the trailers are too large")                                            \
    X(TRUNCATED, 400, "the connection closed in the middle of a message")

enum http_refusal {
#define HTTP_REFUSAL_ENUM(name, status, text) HTTP_REFUSAL_##name,
    HTTP_REFUSAL_TABLE(HTTP_REFUSAL_ENUM)
#undef HTTP_REFUSAL_ENUM
};

/* The status for the peer (400, 413, 414, 417, 431, 501, 505); 0 for HTTP_REFUSAL_NONE. */
uint16_t http_refusal_status(enum http_refusal refusal);
/* A sentence without a full stop. Static, never NULL. */
const char *http_refusal_text(enum http_refusal refusal);

/* What a parser says after each piece of input. */
enum http_result {
    HTTP_MORE,    /* all fine so far, more input is needed */
    HTTP_DONE,    /* complete */
    HTTP_REFUSED, /* see the refusal; answer its status and close the connection */
};

/* The most header fields a message can have, whatever the limits say. */
#define HTTP_FIELDS_MAX 64

/* Maxima of one message, in bytes where nothing else is said. */
struct http_limits {
    uint32_t target;     /* of the request target; above it HTTP_REFUSAL_TARGET_LONG */
    uint32_t head;       /* start line, headers, the empty line; at most 1 MiB */
    uint32_t fields;     /* number of headers, at most HTTP_FIELDS_MAX */
    uint32_t extensions; /* of all chunk extensions of a body together */
    uint32_t trailers;   /* of all trailers of a body together */
    uint64_t body;       /* decoded; for responses too, until-close ones included */
};

/* 8 KiB target, 16 KiB head, 64 fields, 1 KiB extensions, 4 KiB trailers, 1 MiB body. */
extern const struct http_limits http_limits_default;

/* A header to be written. */
struct http_header {
    struct span name;
    struct span value;
};

/* The reason phrase of a status, "Unknown" for those that RFC 9110 does not know. Static. */
struct span http_status_text(unsigned status);

/* "Sun, 06 Nov 1994 08:49:37 GMT" and a zero (RFC 9110 section 5.6.7), for years 1970 to 9999.
 * Servers make it once a second and pass it to every response of that second. */
#define HTTP_DATE_SIZE 30
void http_date_format(uint64_t unix_seconds, char out[HTTP_DATE_SIZE]);

#endif
