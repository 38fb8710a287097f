/* A part that was kept, as exporters read it: written by nobody any more. */
#ifndef TRACE_PART_H
#define TRACE_PART_H

#include "os/loop.h"
#include "trace/span.h"

#include <stdatomic.h>

#define TRACE_RECORDS_MAX    32   /* spans of a part; more are counted as lost */
#define TRACE_ATTRIBUTES_MAX 12   /* of a span */
#define TRACE_TEXT_MAX       160u /* bytes of all texts of a span */

enum trace_attribute_kind {
    TRACE_ATTRIBUTE_LABEL,
    TRACE_ATTRIBUTE_TEXT,
    TRACE_ATTRIBUTE_NUMBER,
};

struct trace_attribute {
    const char *key;
    uint8_t kind; /* enum trace_attribute_kind */
    uint16_t at;  /* TEXT: in the record's text */
    uint16_t size;

    union {
        int64_t number;
        const char *label;
    };
};

struct trace_record {
    uint64_t span_id;
    uint64_t parent_id; /* 0: none */
    uint64_t start_ns;  /* monotonic */
    uint64_t end_ns;
    const char *prefix; /* of the name; NULL: none */
    const char *name;
    uint8_t kind; /* enum trace_kind */
    bool failed;
    uint8_t attribute_count;
    uint16_t text_used;
    struct trace_attribute attributes[TRACE_ATTRIBUTES_MAX];
    char text[TRACE_TEXT_MAX];
};

struct trace_part {
    struct os_task task; /* of whoever has it, once it is kept, */
    void *user;          /* and this too */
    struct trace_recorder *recorder;
    u128 trace_id;
    uint64_t span_seed;
    uint64_t wall_ns; /* unix, at monotonic_ns */
    uint64_t monotonic_ns;
    struct trace_context link; /* of records[0] */
    uint8_t flags;
    uint16_t state_size;
    atomic_uint open_count;   /* spans that are not over */
    atomic_uint record_count; /* started; may be larger than TRACE_RECORDS_MAX */
    atomic_bool failed;       /* a span of it did */
    atomic_uint next_free;    /* 1 + index; the recorder's */
    char state[TRACECONTEXT_STATE_MAX];
    struct trace_record records[TRACE_RECORDS_MAX]; /* [0] is the root */
};

static inline uint32_t
trace_part_record_count(const struct trace_part *part)
{
    uint32_t count = atomic_load_explicit(&part->record_count, memory_order_relaxed);
    return count < TRACE_RECORDS_MAX ? count : TRACE_RECORDS_MAX;
}

/* Spans for which there was no room. */
static inline uint32_t
trace_part_lost_count(const struct trace_part *part)
{
    return atomic_load_explicit(&part->record_count, memory_order_relaxed) -
           trace_part_record_count(part);
}

/* Unix time in nanoseconds of a monotonic moment of the part. */
static inline uint64_t
trace_part_wall_ns(const struct trace_part *part, uint64_t monotonic_ns)
{
    return part->wall_ns + (monotonic_ns - part->monotonic_ns);
}

static inline struct span
trace_attribute_text(const struct trace_record *record, const struct trace_attribute *attribute)
{
    return span_of(record->text + attribute->at, attribute->size);
}

#endif
