/* A kept part as JSON. Both append the part's spans, with commas between them and none around. */
#ifndef TRACES_ENCODE_H
#define TRACES_ENCODE_H

#include "base/buf.h"
#include "trace/part.h"

/* Zipkin v2: https://zipkin.io/zipkin-api/zipkin2-api.yaml, ListOfSpans. `service` is shown in
 * lower case, as Zipkin has it. */
void traces_zipkin_append(struct buf *out, const struct trace_part *part, const char *service);

/* OTLP: opentelemetry-proto's trace/v1 in its JSON mapping: ids in hex, enums as numbers, 64-bit
 * integers as text. The spans of `scopeSpans`; begin and end make a whole request of them. */
void traces_otlp_append(struct buf *out, const struct trace_part *part);
void traces_otlp_begin(
    struct buf *out, const char *service, const char *version, const char *instance);
void traces_otlp_end(struct buf *out);
/* partialSuccess.rejectedSpans of an answer; 0 if there is none or it cannot be read. */
uint64_t traces_otlp_rejected(struct span answer);

#endif
