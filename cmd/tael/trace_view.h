/* A trace as a tree of spans with their times. */
#ifndef TAEL_TRACE_VIEW_H
#define TAEL_TRACE_VIEW_H

#include "base/buf.h"
#include "json/json_in.h"

#define TRACE_VIEW_SPANS_MAX 4096 /* of a trace; more are left out */
#define TRACE_VIEW_DEPTH_MAX 64   /* deeper ones are shown as if they were not */

/* Appends it as text. `spans` is an array of spans as Zipkin's API v2 has them. Spans whose parent
 * is not there begin trees of their own. ERR_INVALID: they are no such spans; ERR_MEMORY. */
MUST_USE err_t trace_view_append(const struct json_value *spans, struct buf *out, bool colored);

#endif
