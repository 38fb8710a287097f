/*
 * Reads the body behind a head: by Content-Length, chunked, or until the connection closes. Pure:
 * hands out spans of the caller's input and copies nothing, so a server may collect the pieces and
 * a gateway may pass them on.
 *
 *     http_body_begin(&body, &parser.head, &limits);
 *     do {
 *         result = http_body_feed(&body, input, &consumed, &piece);
 *         ... use piece, then drop `consumed` bytes of input; receive more if consumed was 0 ...
 *     } while (result == HTTP_MORE);
 *
 * Chunk extensions are checked, counted and ignored; trailers are checked, counted and discarded,
 * as RFC 9112 sections 7.1.1 and 7.1.2 allow.
 */
#ifndef HTTP_BODY_H
#define HTTP_BODY_H

#include "http/parser.h"

struct http_body {
    enum http_refusal refusal; /* after HTTP_REFUSED */
    uint64_t size;             /* decoded bytes handed out so far */

    /* Private. */
    const struct http_limits *limits;
    uint64_t left; /* of the current chunk, or of the body */
    uint32_t state;
    uint32_t digits;     /* of the current chunk size */
    uint32_t extensions; /* bytes so far */
    uint32_t trailers;   /* bytes so far */
};

/* A head whose Content-Length is above limits->body was refused by the parser already. */
void http_body_begin(
    struct http_body *body, const struct http_head *head, const struct http_limits *limits);

/* Takes bytes from the front of `input`: *ret_consumed of them are done with, and *ret_piece,
 * possibly empty, is the next part of the decoded body, inside the consumed bytes. At most one
 * piece per call: call again with the rest. HTTP_MORE with nothing consumed: more input is needed.
 * HTTP_DONE: that piece is the last, and what follows the consumed bytes is the next message. */
enum http_result http_body_feed(
    struct http_body *body, struct span input, size_t *ret_consumed, struct span *ret_piece);

/* The connection closed and all input was fed. HTTP_DONE if the body ends so, or had ended;
 * HTTP_REFUSED (HTTP_REFUSAL_TRUNCATED) if bytes are missing. */
enum http_result http_body_close(struct http_body *body);

#endif
