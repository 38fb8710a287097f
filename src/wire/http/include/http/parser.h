/*
 * Reads the head of one HTTP/1.x message, request or response, from bytes that arrive in any
 * pieces. Pure: copies nothing, allocates nothing, keeps positions into the caller's buffer.
 *
 *     http_parser_begin_request(&parser, &limits);
 *     for (;;) {
 *         ... receive more bytes behind what is in `input` ...
 *         switch (http_parser_feed(&parser, buf_span(&input))) {
 *         case HTTP_MORE:    continue;
 *         case HTTP_REFUSED: answer http_refusal_status(parser.refusal); close;
 *         case HTTP_DONE:    parser.head is complete; its first body byte is at parser.head.size
 *         }
 *     }
 *
 * The buffer handed to http_parser_feed always begins at the first byte of the message and holds
 * everything received since; bytes that were scanned are not scanned again. It may move between
 * calls. Bytes behind the head (body, pipelined requests) are not looked at.
 *
 * One owner at a time; no state outside the struct.
 */
#ifndef HTTP_PARSER_H
#define HTTP_PARSER_H

#include "http/http.h"

/* A position in the message: bytes [at, at + size). */
struct http_slice {
    uint32_t at;
    uint32_t size;
};

struct http_head_field {
    struct http_slice name;
    struct http_slice value; /* without the white space around it */
    uint32_t field;          /* enum http_field */
};

/* How the body that follows is delimited (RFC 9112 section 6.3). */
enum http_framing {
    HTTP_FRAMING_NONE, /* no body */
    HTTP_FRAMING_LENGTH,
    HTTP_FRAMING_CHUNKED,
    HTTP_FRAMING_UNTIL_CLOSE, /* responses only */
};

struct http_head {
    const char *base; /* the buffer of the last feed; set it anew if the buffer moved since */
    uint32_t size;    /* of the whole head, with the empty line that ends it */

    /* Requests. */
    enum http_method method;
    struct http_slice method_text;
    struct http_slice target;    /* as sent */
    struct http_slice path;      /* begins with '/'; empty for the form "*" */
    struct http_slice query;     /* without its '?'; empty if there is none */
    struct http_slice authority; /* host and port: of the target if it names them, else Host's */

    /* Responses. */
    uint16_t status; /* 100 to 599 */
    struct http_slice reason;

    uint8_t version_minor; /* of HTTP/1.x: 0 or 1 */
    bool keep_alive;       /* the sender is ready for another message on this connection */
    bool expect_continue;  /* waits for 100 before sending its body */
    bool upgrade;          /* Connection: upgrade and an Upgrade header */

    enum http_framing framing;
    bool has_content_length; /* true also where the message has no body (HEAD, 304) */
    uint64_t content_length; /* 0 without one */

    uint32_t field_count;
    /* 1 + index in `fields` of the first with that name, 0 if there is none. */
    uint8_t known[HTTP_FIELD_KNOWN_COUNT];
    struct http_head_field fields[HTTP_FIELDS_MAX];
};

struct http_parser {
    struct http_head head;            /* complete after HTTP_DONE, undefined before */
    enum http_refusal refusal;        /* after HTTP_REFUSED */
    const struct http_limits *limits; /* borrowed, shared by many parsers */

    /* Private. */
    uint32_t state;
    uint32_t scanned; /* bytes of the message that need no second look */
    uint32_t line;    /* where the current line, or part of the start line, begins */
    uint32_t colon;   /* of the current header, 0 before it was found */
    bool response;
    enum http_method request_method; /* of the request that a response answers */
};

/* Ready for a request. `limits` must outlive the parser. */
void http_parser_begin_request(struct http_parser *parser, const struct http_limits *limits);

/* Ready for the response to a request made with `method`: HEAD decides that no body follows.
 * A 1xx response other than 101 is followed by another response: begin again. */
void http_parser_begin_response(
    struct http_parser *parser, const struct http_limits *limits, enum http_method method);

/* See the top. After HTTP_DONE or HTTP_REFUSED, begin again before the next feed. */
enum http_result http_parser_feed(struct http_parser *parser, struct span message);

/* Text of a slice. Valid as long as the buffer at head->base neither moves nor changes. */
static inline struct span
http_head_text(const struct http_head *head, struct http_slice slice)
{
    return (struct span){.data = head->base + slice.at, .size = slice.size};
}

static inline bool
http_head_has(const struct http_head *head, enum http_field field)
{
    return head->known[field] != 0;
}

/* The value of the first header with this name, in O(1); SPAN_EMPTY if there is none. */
static inline struct span
http_head_value(const struct http_head *head, enum http_field field)
{
    uint8_t position = head->known[field];
    return position == 0 ? SPAN_EMPTY : http_head_text(head, head->fields[position - 1].value);
}

/* The value of the first header with any name, in any case; false if there is none. */
bool http_head_find(const struct http_head *head, struct span name, struct span *ret_value);

/* Whether field number `index` is for this connection only and must not be forwarded (RFC 9110
 * section 7.6.1): Connection, what Connection names, Keep-Alive, Proxy-Connection, TE, Trailer,
 * Transfer-Encoding, Upgrade. For gateways. */
bool http_head_is_hop_by_hop(const struct http_head *head, uint32_t index);

#endif
