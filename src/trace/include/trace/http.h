/* What spans of HTTP requests have in common; names are those of OpenTelemetry's semantic
 * conventions for HTTP spans. */
#ifndef TRACE_HTTP_H
#define TRACE_HTTP_H

#include "http/parser.h"
#include "trace/span.h"
#include "tracecontext/tracecontext.h"

/* The lines of a head that may be about traces, borrowed from it. NULL: none. */
struct tracecontext_headers trace_http_headers(const struct http_head *head);

/* The method as a constant, as names and labels of spans have to be; "_OTHER" for what has none. */
const char *trace_http_method(enum http_method method);

/* The answer's status; from 500 on the span has failed. */
void trace_http_status(struct trace_span *span, unsigned status);

#endif
