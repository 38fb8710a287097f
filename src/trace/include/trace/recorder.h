/*
 * Where spans are recorded, and which parts are kept.
 *
 * Head: a sampler says when a part begins whether it is sampled, by the trace's id, so that all
 * processes decide alike; or the parent has said so. Tail: when its last span is over, a part is
 * kept if it is sampled, if a span of it failed, or if its root took as long as slow_ns. So spans
 * of all requests are recorded, and most forgotten again: that is what the memory of `parts_max`
 * parts is for, used over and over, the one that was used last first.
 *
 * TRACE-8   A part is kept or forgotten once, when no span of it is open.
 * TRACE-9   Recording never allocates, blocks or fails its caller; what is not recorded is counted.
 * TRACE-10  Failed and slow parts are kept, whatever the sampler said, as long as there is room.
 * TRACE-11  A span that is started below a part that is over is not recorded in another one.
 */
#ifndef TRACE_RECORDER_H
#define TRACE_RECORDER_H

#include "base/err.h"
#include "os/clock.h"
#include "trace/part.h"

/* Of 2^63: a trace is sampled if the right-most 63 bits of its id are below. The same rule as
 * OpenTelemetry's TraceIdRatioBased in most languages. */
#define TRACE_RATIO_ONE (UINT64_C(1) << 63)

struct trace_sampler {
    bool parent_based; /* a parent's decision is followed */
    uint64_t bound;    /* at most TRACE_RATIO_ONE */
};

/* `name` as OTEL_TRACES_SAMPLER has it: always_on, always_off, traceidratio, parentbased_always_on,
 * parentbased_always_off, parentbased_traceidratio. `ratio` is a decimal number from 0 to 1 with at
 * most nine digits behind the point; empty: 1. False: neither. */
bool trace_sampler_parse(struct span name, struct span ratio, struct trace_sampler *ret_sampler);
bool trace_sampler_decides(const struct trace_sampler *sampler, u128 trace_id);

struct trace_recorder_settings {
    uint32_t parts_max; /* recorded at a time, those that were kept and not given back included */
    uint32_t kept_max;  /* of them; one more is dropped and counted */
    uint64_t slow_ns;   /* 0: none is slow */
    struct trace_sampler sampler;
};

/* 4,096 parts, 2,048 kept; 1 s; always_on, following parents. */
struct trace_recorder_settings trace_recorder_settings_default(void);

struct trace_recorder_parts {
    struct os_clock *clock; /* thread-safe */
    uint64_t secret;        /* random: span ids cannot be guessed from the trace id */
    struct trace_recorder_settings settings;
    /* On the thread that ended the part's last span; must not block. The part is the callee's until
     * trace_part_give_back. */
    void (*kept)(void *context, struct trace_part *part);
    void *context;
};

struct trace_recorder_counters {
    uint64_t begun;    /* parts */
    uint64_t refused;  /* not recorded: parts_max were under way */
    uint64_t sampled;  /* kept because the sampler or the parent said so */
    uint64_t failed;   /* kept because of an error */
    uint64_t slow;     /* kept because it took long */
    uint64_t dropped;  /* was to be kept, but kept_max were */
    uint64_t lost;     /* spans that a part had no room for */
    uint64_t orphaned; /* spans that were started when their part was over */
};

/* Memory of parts_max parts, touched only as far as it is used. ERR_MEMORY. */
MUST_USE err_t trace_recorder_create(
    const struct trace_recorder_parts *parts, struct trace_recorder **ret_recorder);
/* When no thread can start or end spans any more. Accepts NULL; sets the pointer to NULL. */
void trace_recorder_destroy(struct trace_recorder **recorder);

/* From any thread, once for each part that was kept. */
void trace_part_give_back(struct trace_part *part);

/* From any thread. */
void trace_recorder_count(
    const struct trace_recorder *recorder, struct trace_recorder_counters *ret_counters);

#endif
