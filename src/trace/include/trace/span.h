/*
 * Spans: what was done for a request, when, and as part of what.
 *
 *     struct trace_span span;
 *     trace_span_start(&request->trace, TRACE_CLIENT, "rail authorize", &span);
 *     next->trace = span.context;              whoever works for it starts spans below
 *     ...
 *     trace_span_label(&span, "tael.outcome", "approved");
 *     trace_span_end(&span);
 *
 * A trace part is what this process records of one trace: a root (a request that came in, a sweep,
 * a delivery) and the spans below it. Spans are written in place, into memory that was made at
 * start; when the last one ends, the part is kept or forgotten as a whole (trace/recorder.h), so
 * that errors and slow requests are kept whatever the sampler said before.
 *
 * Nothing here allocates, locks, blocks or fails: where there is no room the span is not recorded,
 * which is counted, and its context is the parent's. Of a context without a part (nobody records)
 * every call costs a comparison.
 *
 * Any thread may start and end spans; one span belongs to one thread at a time. Names, keys and
 * labels are constants: pointers to them are kept.
 */
#ifndef TRACE_SPAN_H
#define TRACE_SPAN_H

#include "base/span.h"
#include "tracecontext/tracecontext.h"

struct trace_recorder;
struct trace_record;

enum trace_kind {
    TRACE_INTERNAL,
    TRACE_SERVER,
    TRACE_CLIENT,
    TRACE_PRODUCER,
    TRACE_CONSUMER,
};

/* In the owner's memory. Zeroed: nothing is recorded, and every call is allowed. */
struct trace_span {
    struct trace_context context; /* for what is done on its behalf */
    struct trace_record *record;  /* NULL: not recorded */
};

/* How a part begins. Zero what is not known. */
struct trace_root {
    enum trace_kind kind;
    const char *name;
    uint64_t start_ns; /* monotonic; 0: now */
    /* 16 random bytes: the trace's id if it is a new one, and where span ids come from. */
    u128 random;
    struct trace_context parent;         /* the trace goes on below it; unset: a new one begins */
    enum tracecontext_decision decision; /* the parent's, or what the caller asked for */
    struct span state;                   /* tracestate that came with the parent; copied */
    struct trace_context link;           /* what it has to do with, though it is not its parent */
};

/* NULL or a recorder that is full: nothing is recorded, but the context is set all the same, so
 * that logs and answers have a trace id. */
void trace_root_start(
    struct trace_recorder *recorder, const struct trace_root *root, struct trace_span *ret_span);

/* Below `parent`, a span that is not over, or not yet. */
void trace_span_start(
    const struct trace_context *parent,
    enum trace_kind kind,
    const char *name,
    struct trace_span *ret_span);
void trace_span_start_at(
    const struct trace_context *parent,
    enum trace_kind kind,
    const char *name,
    uint64_t start_ns, /* monotonic; 0: now */
    struct trace_span *ret_span);
/* A span that is over: [start, end], of whose kind and name is all that is to tell. Nothing if
 * start_ns is 0: nobody recorded when it began. */
void trace_span_add(
    const struct trace_context *parent, const char *name, uint64_t start_ns, uint64_t end_ns);

/* Both set the span to what records nothing; its context stays. */
void trace_span_end(struct trace_span *span);
void trace_span_end_at(struct trace_span *span, uint64_t end_ns);

/* The time, if the context is recorded, else 0: for spans that are added when they are over. */
uint64_t trace_now_ns(const struct trace_context *context);

static inline bool
trace_span_is_recorded(const struct trace_span *span)
{
    return span->record != NULL;
}

/* The name is then "prefix name": "POST /v1/refunds". */
void trace_span_set_name(struct trace_span *span, const char *prefix, const char *name);

/* Attributes, TRACE_ATTRIBUTES_MAX a span; more are left out. A text is copied, and cut if there
 * is no room, and left out if it is empty; it is UTF-8 or becomes so when it is written. Never a
 * card number, never a secret. */
void trace_span_label(struct trace_span *span, const char *key, const char *label);
void trace_span_text(struct trace_span *span, const char *key, struct span text);
void trace_span_number(struct trace_span *span, const char *key, int64_t number);
/* It failed: `error_type` says how, as attribute error.type. The whole part is kept. */
void trace_span_fail(struct trace_span *span, const char *error_type);

/* The trace's id in `memory`, as log lines have it (trace/log.h); empty if there is none. */
struct span trace_context_id(
    const struct trace_context *context, char memory[TRACECONTEXT_TRACE_ID_SIZE + 1]);

/* tracestate that came with the trace, to be sent on with traceparent; in `memory`. Empty if there
 * was none, if nothing is recorded, or if the part is over. Any thread. */
struct span trace_context_state(
    const struct trace_context *context, char memory[TRACECONTEXT_STATE_MAX]);

#endif
