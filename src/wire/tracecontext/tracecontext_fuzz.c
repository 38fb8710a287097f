/*
 * Lines of any bytes as headers "name:value": what is taken is what the rules allow, writing and
 * reading it again changes nothing, and a list of members stays within its limits.
 */
#include "tracecontext/tracecontext.h"

#include "base/assert.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
context_check(const struct trace_context *context)
{
    char text[TRACECONTEXT_PARENT_SIZE + 1];
    struct trace_context again;
    ASSERT(context->part == NULL);
    ASSERT((context->flags & ~TRACE_CONTEXT_FLAGS) == 0);
    if (!trace_context_is_set(context)) {
        ASSERT(context->span_id == 0);
        return;
    }
    ASSERT(context->span_id != 0);
    tracecontext_format(context, text);
    ASSERT(strlen(text) == TRACECONTEXT_PARENT_SIZE);
    ASSERT(tracecontext_parse(span_from_cstr(text), &again));
    ASSERT(again.trace_id == context->trace_id);
    ASSERT(again.span_id == context->span_id);
    ASSERT(again.flags == context->flags);
}

static void
state_check(const struct span *headers, uint32_t count)
{
    char memory[TRACECONTEXT_STATE_MAX];
    char memory_again[TRACECONTEXT_STATE_MAX];
    struct buf out;
    struct buf again;
    buf_init_fixed(&out, memory, sizeof(memory));
    if (!tracecontext_state_append(headers, count, &out)) {
        ASSERT(out.size == 0);
        return;
    }
    ASSERT(!buf_failed(&out));
    buf_init_fixed(&again, memory_again, sizeof(memory_again));
    struct span written = buf_span(&out);
    ASSERT(tracecontext_state_append(&written, 1, &again));
    ASSERT(span_equal(written, buf_span(&again)));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct tracecontext_headers headers = {.parent_count = 0};
    struct span rest = span_of(data, size);
    while (rest.size > 0) {
        struct span line = span_cut(&rest, '\n');
        struct span name = span_cut(&line, ':');
        tracecontext_headers_add(&headers, name, line);
    }
    struct tracecontext_incoming incoming;
    tracecontext_extract(&headers, &incoming);
    context_check(&incoming.context);
    state_check(headers.states, headers.state_count);
    return 0;
}
