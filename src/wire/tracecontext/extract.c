/* B3, and which of several headers counts. */
#include "tracecontext/tracecontext.h"

#include "hex.h"

#define SHORT_TRACE_ID_SIZE 16

/* 16 or 32 digits; a short one stands for itself with zeros in front. */
static bool
b3_ids(struct span trace, struct span parent, struct trace_context *ret_context)
{
    u128 trace_id;
    u128 span_id;
    if (trace.size != SHORT_TRACE_ID_SIZE && trace.size != TRACECONTEXT_TRACE_ID_SIZE) {
        return false;
    }
    if (parent.size != TRACECONTEXT_SPAN_ID_SIZE || !tracecontext_hex_parse(trace, &trace_id) ||
        !tracecontext_hex_parse(parent, &span_id) || trace_id == 0 || span_id == 0) {
        return false;
    }
    *ret_context = (struct trace_context){.trace_id = trace_id, .span_id = (uint64_t)span_id};
    return true;
}

static bool
b3_state(struct span text, enum tracecontext_decision *ret_decision)
{
    if (text.size != 1) {
        return false;
    }
    switch (text.data[0]) {
    case '0':
        *ret_decision = TRACECONTEXT_DROP;
        return true;
    case '1':
    case 'd':
        *ret_decision = TRACECONTEXT_KEEP;
        return true;
    default:
        return false;
    }
}

static void
flags_set(struct trace_context *context, enum tracecontext_decision decision)
{
    context->flags = decision == TRACECONTEXT_KEEP ? TRACE_CONTEXT_SAMPLED : 0;
}

/* Whose parent it is, is of no use here; but what is no id makes the header none. */
static bool
b3_parent_is_valid(struct span text)
{
    u128 id;
    return text.size == TRACECONTEXT_SPAN_ID_SIZE && tracecontext_hex_parse(text, &id);
}

bool
tracecontext_parse_b3(
    struct span b3, struct trace_context *ret_context, enum tracecontext_decision *ret_decision)
{
    struct trace_context context = {.trace_id = 0};
    enum tracecontext_decision decision = TRACECONTEXT_UNDECIDED;
    struct span rest = b3;
    struct span first = span_cut(&rest, '-');
    if (first.size == b3.size) {
        if (!b3_state(first, &decision)) {
            return false;
        }
    } else {
        struct span parent = span_cut(&rest, '-');
        size_t used = first.size + 1 + parent.size;
        if (!b3_ids(first, parent, &context)) {
            return false;
        }
        if (used < b3.size) {
            struct span state = span_cut(&rest, '-');
            used += 1 + state.size;
            if (!b3_state(state, &decision) || (used < b3.size && !b3_parent_is_valid(rest))) {
                return false;
            }
        }
    }
    flags_set(&context, decision);
    *ret_context = context;
    *ret_decision = decision;
    return true;
}

/* X-B3-Sampled is 1 or 0; some old senders say true and false. X-B3-Flags: 1 is debug. */
static enum tracecontext_decision
b3_decision(const struct tracecontext_headers *headers)
{
    if (span_equal(headers->b3_flags, SPAN("1"))) {
        return TRACECONTEXT_KEEP;
    }
    if (span_equal(headers->b3_sampled, SPAN("1")) ||
        span_equal(headers->b3_sampled, SPAN("true"))) {
        return TRACECONTEXT_KEEP;
    }
    if (span_equal(headers->b3_sampled, SPAN("0")) ||
        span_equal(headers->b3_sampled, SPAN("false"))) {
        return TRACECONTEXT_DROP;
    }
    return TRACECONTEXT_UNDECIDED;
}

void
tracecontext_headers_add(struct tracecontext_headers *headers, struct span name, struct span value)
{
    if (span_equal_nocase(name, SPAN("traceparent"))) {
        headers->parent = value;
        headers->parent_count++;
    } else if (span_equal_nocase(name, SPAN("tracestate"))) {
        if (headers->state_count == TRACECONTEXT_MEMBERS_MAX) {
            headers->too_many = true;
            return;
        }
        headers->states[headers->state_count++] = value;
    } else if (span_equal_nocase(name, SPAN("b3"))) {
        headers->b3 = value;
    } else if (span_equal_nocase(name, SPAN("x-b3-traceid"))) {
        headers->b3_trace_id = value;
    } else if (span_equal_nocase(name, SPAN("x-b3-spanid"))) {
        headers->b3_span_id = value;
    } else if (span_equal_nocase(name, SPAN("x-b3-sampled"))) {
        headers->b3_sampled = value;
    } else if (span_equal_nocase(name, SPAN("x-b3-flags"))) {
        headers->b3_flags = value;
    }
}

void
tracecontext_extract(
    const struct tracecontext_headers *headers, struct tracecontext_incoming *ret_incoming)
{
    *ret_incoming = (struct tracecontext_incoming){.has_state = false};
    if (headers->parent_count == 1 && tracecontext_parse(headers->parent, &ret_incoming->context)) {
        ret_incoming->decision = trace_context_is_sampled(&ret_incoming->context)
                                     ? TRACECONTEXT_KEEP
                                     : TRACECONTEXT_DROP;
        ret_incoming->has_state = headers->state_count > 0 && !headers->too_many;
        return;
    }
    if (headers->b3.size > 0 &&
        tracecontext_parse_b3(headers->b3, &ret_incoming->context, &ret_incoming->decision)) {
        return;
    }
    ret_incoming->decision = b3_decision(headers);
    if (b3_ids(headers->b3_trace_id, headers->b3_span_id, &ret_incoming->context)) {
        flags_set(&ret_incoming->context, ret_incoming->decision);
    }
}
