/*
 * Trace context: which trace a request belongs to, and which span of it caused the request. Read
 * from and written to HTTP headers.
 *
 *     traceparent, tracestate   W3C Trace Context, https://www.w3.org/TR/trace-context-2/
 *     b3, X-B3-*                B3 propagation, https://github.com/openzipkin/b3-propagation; read
 *
 *     struct tracecontext_headers headers = {.parent_count = 0};
 *     for each header: tracecontext_headers_add(&headers, name, value);
 *     tracecontext_extract(&headers, &incoming);
 *
 * Pure: no allocation, no clock. Texts are borrowed.
 */
#ifndef TRACECONTEXT_TRACECONTEXT_H
#define TRACECONTEXT_TRACECONTEXT_H

#include "base/buf.h"
#include "base/u128.h"

/* Of trace flags: the caller records the trace, and hopes that everybody does. */
#define TRACE_CONTEXT_SAMPLED 0x01
/* The right-most seven bytes of the trace id are random (level 2, section 3.2.2.5.2). */
#define TRACE_CONTEXT_RANDOM 0x02
/* Flags with a meaning; all others are sent as zero (section 3.2.2.5.3). */
#define TRACE_CONTEXT_FLAGS (TRACE_CONTEXT_SAMPLED | TRACE_CONTEXT_RANDOM)

struct trace_part;

/*
 * The cause of a request, by value. Every request of a port and of the resource runtime carries
 * one; zeroed it says that nobody follows it. Whoever works on the request starts spans below it
 * (trace/span.h); whoever passes it on by HTTP writes it as traceparent.
 */
struct trace_context {
    u128 trace_id;    /* 0: none */
    uint64_t span_id; /* the caller's span: the parent of spans that are started for the request */
    /* Where this process records the spans (trace/span.h); NULL: nowhere, as after reading headers.
     * Never dereferenced but by trace/. */
    struct trace_part *part;
    uint8_t flags;
};

_Static_assert(sizeof(struct trace_context) <= 48, "travels by value");

static inline bool
trace_context_is_set(const struct trace_context *context)
{
    return context->trace_id != 0;
}

static inline bool
trace_context_is_sampled(const struct trace_context *context)
{
    return (context->flags & TRACE_CONTEXT_SAMPLED) != 0;
}

/* ---------------------------------------------------------------------------------- W3C --- */

#define TRACECONTEXT_PARENT_SIZE   55  /* characters of a traceparent of version 00 */
#define TRACECONTEXT_STATE_MAX     512 /* characters of a tracestate that are passed on */
#define TRACECONTEXT_MEMBERS_MAX   32  /* of a tracestate; one more and it is invalid */
#define TRACECONTEXT_MEMBER_LONG   128 /* members longer than this are dropped first */
#define TRACECONTEXT_TRACE_ID_SIZE 32
#define TRACECONTEXT_SPAN_ID_SIZE  16

/* The value of a traceparent header (section 3.2). False: it is to be ignored, and tracestate with
 * it. Flags are as received, for TRACE_CONTEXT_FLAGS; of a version above 00 only `sampled`. */
bool tracecontext_parse(struct span traceparent, struct trace_context *ret_context);
/* Version 00, with a zero at the end. The context must be set. */
void tracecontext_format(
    const struct trace_context *context, char out[TRACECONTEXT_PARENT_SIZE + 1]);

/* 32 and 16 lower case hex digits and a zero. */
void tracecontext_trace_id_format(u128 trace_id, char out[TRACECONTEXT_TRACE_ID_SIZE + 1]);
void tracecontext_span_id_format(uint64_t span_id, char out[TRACECONTEXT_SPAN_ID_SIZE + 1]);
/* Exactly 32 lower case hex digits, not all zero. */
bool tracecontext_trace_id_parse(struct span text, u128 *ret_trace_id);

/* Appends the members of one or more tracestate headers, in their order, as one list: without
 * empty members and white space, and cut to TRACECONTEXT_STATE_MAX as section 3.3.1.5 says: whole
 * members, the long ones first, then from the end. False: a member is not well-formed, a key is
 * there twice, or there are too many members: nothing is appended, and it is to be ignored. */
bool tracecontext_state_append(const struct span *headers, uint32_t header_count, struct buf *out);

/* ----------------------------------------------------------------------------------- B3 --- */

/* What a caller says about recording. */
enum tracecontext_decision {
    TRACECONTEXT_UNDECIDED, /* whoever receives it decides */
    TRACECONTEXT_DROP,
    TRACECONTEXT_KEEP,
};

/* The single header: {trace}-{span}[-{state}[-{parent}]], or a state alone, which leaves
 * ret_context zero. `d` (debug) is KEEP. False: to be ignored. */
bool tracecontext_parse_b3(
    struct span b3, struct trace_context *ret_context, enum tracecontext_decision *ret_decision);

/* ------------------------------------------------------------------------ all of them --- */

/* Headers of one request that have to do with tracing. Zero it first; spans are borrowed. */
struct tracecontext_headers {
    struct span parent; /* traceparent */
    uint32_t parent_count;
    struct span states[TRACECONTEXT_MEMBERS_MAX]; /* tracestate */
    uint32_t state_count;
    struct span b3;
    struct span b3_trace_id, b3_span_id, b3_sampled, b3_flags;
    bool too_many; /* tracestate headers: there is none that counts */
};

/* Keeps the header if it is one of them; names compare in any case. */
void tracecontext_headers_add(
    struct tracecontext_headers *headers, struct span name, struct span value);

struct tracecontext_incoming {
    struct trace_context context; /* zero: start a trace */
    enum tracecontext_decision decision;
    bool has_state; /* `states` of the headers go with it, if they are well-formed */
};

/* traceparent if it is valid, else the single B3 header, else X-B3-*. A traceparent that is there
 * twice is invalid. */
void tracecontext_extract(
    const struct tracecontext_headers *headers, struct tracecontext_incoming *ret_incoming);

#endif
