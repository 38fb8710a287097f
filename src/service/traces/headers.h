/* Headers that a collector wants with each request: who sends, mostly, so they are secret. */
#ifndef TRACES_HEADERS_H
#define TRACES_HEADERS_H

#include "http/http.h"

#include <stdint.h>

#define TRACES_HEADERS_MAX 16

struct traces_headers {
    struct http_header list[TRACES_HEADERS_MAX];
    uint32_t count;
};

/* "Name: value" a line; empty lines and those that begin with '#' count for nothing. NULL, or what
 * is wrong with line *ret_line: a phrase without a byte of the text. Spans point into the text. */
const char *traces_headers_parse(
    struct span text, struct traces_headers *ret_headers, uint32_t *ret_line);

#endif
