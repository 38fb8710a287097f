/*
 * Counters, gauges and histograms, rendered as Prometheus text (exposition format 0.0.4).
 *
 * A metric is a constant that says what it is, and an array of cells in static memory; both are
 * made by the macros below. A module lists pointers to its metrics in an array, and whoever serves
 * /metrics renders the arrays. There is no registry and no allocation.
 *
 * Labels are fixed small sets: a label is a table of values, and a series is named by the positions
 * of its values. So no input can make series.
 *
 * Changing a cell is one relaxed atomic addition, from any thread. Rendering sees each cell at some
 * moment of the call; a histogram's count is the sum of the buckets rendered with it.
 *
 * Example:
 *   static const char *const results[] = {"ok", "refused"};
 *   TRACE_COUNTER_BY(requests, "tael_requests_total", "Requests.", "result", results);
 *   trace_counter_add(&requests, RESULT_OK, 1);
 */
#ifndef TRACE_METRICS_H
#define TRACE_METRICS_H

#include "base/buf.h"

#include <stdatomic.h>

#define TRACE_LABELS_MAX  3
#define TRACE_BUCKETS_MAX 32

/* Bounds of a histogram of what waits for a disk, in nanoseconds: from what memory takes to what a
 * disk in trouble takes. */
#define TRACE_DISK_BOUNDS_NS                                                                       \
    100000, 250000, 500000, 1000000, 2500000, 5000000, 10000000, 25000000, 50000000, 100000000,    \
        250000000, 1000000000, 5000000000

typedef atomic_uint_fast64_t trace_cell_t;

enum trace_metric_kind {
    TRACE_COUNTER_KIND,
    TRACE_GAUGE_KIND,
    TRACE_HISTOGRAM_KIND,
};

struct trace_label {
    const char *name;          /* NULL: no label */
    const char *const *values; /* UTF-8 */
    size_t count;
    /* It tells more of the label before it: its value is the one at the same position there, and
     * it adds no series. `count` is then that label's. Not of the first label. */
    bool same_position;
};

struct trace_metric {
    const char *name; /* [a-z_:][a-z0-9_:]*, unit last, counters end with _total */
    const char *help;
    enum trace_metric_kind kind;
    struct trace_label labels[TRACE_LABELS_MAX];
    const uint64_t *bounds; /* of a histogram: ascending, each the largest value of its bucket */
    size_t bound_count;
    /* A value is shown divided by ten to this: 9 shows nanoseconds as seconds. */
    unsigned decimals;
    bool sparse;         /* series at zero are left out: for tables of which few are ever in use */
    trace_cell_t *cells; /* per series one, or bound_count + 2: buckets, the rest, the sum */
    size_t cell_count;
};

/* Counters only go up. The series is 0 without labels, or the position in the label's values, or
 * trace_series() of two; labels of the same position do not count. */
void trace_counter_add(const struct trace_metric *metric, size_t series, uint64_t amount);
void trace_gauge_set(const struct trace_metric *metric, size_t series, int64_t value);
void trace_gauge_add(const struct trace_metric *metric, size_t series, int64_t amount);
void trace_histogram_observe(const struct trace_metric *metric, size_t series, uint64_t value);

size_t trace_series(const struct trace_metric *metric, size_t first, size_t second);

/* What a series holds now: a counter's or gauge's value, a histogram's count. */
int64_t trace_metric_value(const struct trace_metric *metric, size_t series);

void trace_metrics_render(const struct trace_metric *const *metrics, size_t count, struct buf *out);

#define TRACE_COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* `values` and `bounds` are static const arrays; everything made here is static too. */
#define TRACE_METRIC(variable, kind_, name_, help_, series, cells_each, ...)                       \
    static trace_cell_t variable##_cells[(size_t)(series) * (cells_each)];                         \
    static const struct trace_metric variable = {                                                  \
        .name = (name_),                                                                           \
        .help = (help_),                                                                           \
        .kind = (kind_),                                                                           \
        .cells = variable##_cells,                                                                 \
        .cell_count = (size_t)(series) * (cells_each),                                             \
        __VA_ARGS__}
#define TRACE_LABEL(values_name, values_)                                                          \
    {                                                                                              \
        .name = (values_name), .values = (values_), .count = TRACE_COUNT(values_)                  \
    }

#define TRACE_COUNTER(variable, name, help)                                                        \
    TRACE_METRIC(variable, TRACE_COUNTER_KIND, name, help, 1, 1, .decimals = 0)
#define TRACE_COUNTER_BY(variable, name, help, label, values_)                                     \
    TRACE_METRIC(                                                                                  \
        variable,                                                                                  \
        TRACE_COUNTER_KIND,                                                                        \
        name,                                                                                      \
        help,                                                                                      \
        TRACE_COUNT(values_),                                                                      \
        1,                                                                                         \
        .labels[0] = TRACE_LABEL(label, values_))
#define TRACE_COUNTER_BY2(variable, name, help, label, values_, label2, values2)                   \
    TRACE_METRIC(                                                                                  \
        variable,                                                                                  \
        TRACE_COUNTER_KIND,                                                                        \
        name,                                                                                      \
        help,                                                                                      \
        TRACE_COUNT(values_) * TRACE_COUNT(values2),                                               \
        1,                                                                                         \
        .labels[0] = TRACE_LABEL(label, values_),                                                  \
        .labels[1] = TRACE_LABEL(label2, values2))

#define TRACE_GAUGE(variable, name, help)                                                          \
    TRACE_METRIC(variable, TRACE_GAUGE_KIND, name, help, 1, 1, .decimals = 0)
#define TRACE_GAUGE_BY(variable, name, help, label, values_)                                       \
    TRACE_METRIC(                                                                                  \
        variable,                                                                                  \
        TRACE_GAUGE_KIND,                                                                          \
        name,                                                                                      \
        help,                                                                                      \
        TRACE_COUNT(values_),                                                                      \
        1,                                                                                         \
        .labels[0] = TRACE_LABEL(label, values_))

#define TRACE_HISTOGRAM(variable, name, help, decimals_, bounds_)                                  \
    TRACE_METRIC(                                                                                  \
        variable,                                                                                  \
        TRACE_HISTOGRAM_KIND,                                                                      \
        name,                                                                                      \
        help,                                                                                      \
        1,                                                                                         \
        TRACE_COUNT(bounds_) + 2,                                                                  \
        .bounds = (bounds_),                                                                       \
        .bound_count = TRACE_COUNT(bounds_),                                                       \
        .decimals = (decimals_))
#define TRACE_HISTOGRAM_BY(variable, name, help, decimals_, bounds_, label, values_)               \
    TRACE_METRIC(                                                                                  \
        variable,                                                                                  \
        TRACE_HISTOGRAM_KIND,                                                                      \
        name,                                                                                      \
        help,                                                                                      \
        TRACE_COUNT(values_),                                                                      \
        TRACE_COUNT(bounds_) + 2,                                                                  \
        .labels[0] = TRACE_LABEL(label, values_),                                                  \
        .bounds = (bounds_),                                                                       \
        .bound_count = TRACE_COUNT(bounds_),                                                       \
        .decimals = (decimals_))

#endif
