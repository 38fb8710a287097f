/*
 * Lines of Prometheus' text format (0.0.4) for numbers that their owner keeps in a shape of its
 * own; what is counted in cells has trace/metrics.h.
 *
 *   trace_exposition_head(out, "tael_shards_ready", "gauge", "1 if the shard can work.");
 *   trace_exposition_value(out, "tael_shards_ready", TRACE_LABELS("shard", name), ready);
 *
 * Names, kinds and names of labels are the program's; help texts and labels' values may be any
 * UTF-8 and are escaped. What does not fit stays in `out` as its failure. Any thread.
 */
#ifndef TRACE_EXPOSITION_H
#define TRACE_EXPOSITION_H

#include "base/buf.h"

/* Names of labels, each followed by its value. */
#define TRACE_LABELS(...) ((const char *const[]){__VA_ARGS__, NULL})
#define TRACE_NO_LABELS   NULL

/* What a family is of; before its series. */
void trace_exposition_head(struct buf *out, const char *name, const char *kind, const char *help);
/* A series of it, up to its value. */
void trace_exposition_series(struct buf *out, const char *name, const char *const *labels);
/* A series and its value. */
void trace_exposition_value(
    struct buf *out, const char *name, const char *const *labels, uint64_t value);
/* The same of nanoseconds, which are shown as seconds. */
void trace_exposition_seconds(
    struct buf *out, const char *name, const char *const *labels, uint64_t ns);
/* value / 10^decimals, without trailing zeros. */
void trace_exposition_scaled(struct buf *out, uint64_t value, unsigned decimals);
/* A family of one series without labels. */
void trace_exposition_single(
    struct buf *out, const char *name, const char *kind, const char *help, uint64_t value);

#endif
