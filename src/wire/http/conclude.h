/* The rules about a whole head, checked when its last line was read. */
#ifndef HTTP_CONCLUDE_H
#define HTTP_CONCLUDE_H

#include "http/parser.h"

/* Fills everything of parser->head that follows from its lines, or says why it is refused. */
enum http_refusal http_request_conclude(struct http_parser *parser);
enum http_refusal http_response_conclude(struct http_parser *parser);

#endif
