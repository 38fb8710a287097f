#ifndef TRACES_ENCODE_PRIVATE_H
#define TRACES_ENCODE_PRIVATE_H

#include "encode.h"

#include "trace/redact.h"
#include "json/json.h"

/* A mask may be longer than what it stands for. */
#define TRACES_TEXT_SIZE (2 * TRACE_TEXT_MAX + TRACE_MASK_MAX)

/* An attribute's text without card numbers, in `memory`. */
static inline struct span
traces_text(
    const struct trace_record *record,
    const struct trace_attribute *attribute,
    char memory[TRACES_TEXT_SIZE])
{
    struct buf text;
    buf_init_fixed(&text, memory, TRACES_TEXT_SIZE);
    trace_redact(trace_attribute_text(record, attribute), &text);
    return buf_span(&text);
}

#endif
