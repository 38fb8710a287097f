#include "trace/metrics.h"

#include "base/assert.h"
#include "trace/exposition.h"

static size_t
cells_each(const struct trace_metric *metric)
{
    return metric->kind == TRACE_HISTOGRAM_KIND ? metric->bound_count + 2 : 1;
}

static trace_cell_t *
series_cells(const struct trace_metric *metric, size_t series)
{
    size_t each = cells_each(metric);
    ASSERT(series < metric->cell_count / each);
    return metric->cells + series * each;
}

static uint64_t
cell_get(trace_cell_t *cell)
{
    return atomic_load_explicit(cell, memory_order_relaxed);
}

static void
cell_add(trace_cell_t *cell, uint64_t amount)
{
    (void)atomic_fetch_add_explicit(cell, amount, memory_order_relaxed);
}

void
trace_counter_add(const struct trace_metric *metric, size_t series, uint64_t amount)
{
    ASSERT(metric->kind == TRACE_COUNTER_KIND);
    cell_add(series_cells(metric, series), amount);
}

void
trace_gauge_set(const struct trace_metric *metric, size_t series, int64_t value)
{
    ASSERT(metric->kind == TRACE_GAUGE_KIND);
    atomic_store_explicit(series_cells(metric, series), (uint64_t)value, memory_order_relaxed);
}

void
trace_gauge_add(const struct trace_metric *metric, size_t series, int64_t amount)
{
    ASSERT(metric->kind == TRACE_GAUGE_KIND);
    /* Two's complement: adding a negative amount wraps to the right value. */
    cell_add(series_cells(metric, series), (uint64_t)amount);
}

void
trace_histogram_observe(const struct trace_metric *metric, size_t series, uint64_t value)
{
    ASSERT(metric->kind == TRACE_HISTOGRAM_KIND);
    trace_cell_t *cells = series_cells(metric, series);
    size_t bucket = 0;
    while (bucket < metric->bound_count && value > metric->bounds[bucket]) {
        bucket++;
    }
    cell_add(&cells[bucket], 1);
    cell_add(&cells[metric->bound_count + 1], value);
}

/* The next label behind `at` that has positions of its own; NULL: there is none. */
static const struct trace_label *
next_dimension(const struct trace_metric *metric, size_t at)
{
    for (size_t i = at + 1; i < TRACE_LABELS_MAX && metric->labels[i].name != NULL; i++) {
        if (!metric->labels[i].same_position) {
            return &metric->labels[i];
        }
    }
    return NULL;
}

size_t
trace_series(const struct trace_metric *metric, size_t first, size_t second)
{
    const struct trace_label *label = next_dimension(metric, 0);
    ASSERT(label != NULL);
    ASSERT(first < metric->labels[0].count);
    ASSERT(second < label->count);
    return first * label->count + second;
}

int64_t
trace_metric_value(const struct trace_metric *metric, size_t series)
{
    trace_cell_t *cells = series_cells(metric, series);
    uint64_t value = cell_get(&cells[0]);
    if (metric->kind == TRACE_HISTOGRAM_KIND) {
        for (size_t i = 1; i <= metric->bound_count; i++) {
            value += cell_get(&cells[i]);
        }
    }
    return (int64_t)value;
}

static void
append_signed(struct buf *out, int64_t value, unsigned decimals)
{
    if (value < 0) {
        buf_append_byte(out, '-');
    }
    trace_exposition_scaled(out, value < 0 ? 0 - (uint64_t)value : (uint64_t)value, decimals);
}

/* name, suffix, {labels} and a space; `bound` is a bucket's, or NULL. */
static void
append_name(
    struct buf *out,
    const struct trace_metric *metric,
    size_t series,
    const char *suffix,
    const char *bound)
{
    const char *labels[2 * (TRACE_LABELS_MAX + 1) + 1];
    const struct trace_label *second = next_dimension(metric, 0);
    size_t second_count = second == NULL ? 1 : second->count;
    size_t position = series / second_count;
    size_t count = 0;
    for (size_t i = 0; i < TRACE_LABELS_MAX && metric->labels[i].name != NULL; i++) {
        if (&metric->labels[i] == second) {
            position = series % second_count;
        }
        labels[count++] = metric->labels[i].name;
        labels[count++] = metric->labels[i].values[position];
    }
    if (bound != NULL) {
        labels[count++] = "le";
        labels[count++] = bound;
    }
    labels[count] = NULL;
    buf_append_cstr(out, metric->name);
    trace_exposition_series(out, suffix, labels);
}

static void
append_histogram(struct buf *out, const struct trace_metric *metric, size_t series)
{
    trace_cell_t *cells = series_cells(metric, series);
    uint64_t count = 0;
    for (size_t i = 0; i <= metric->bound_count; i++) {
        char memory[48];
        struct buf bound;
        buf_init_fixed(&bound, memory, sizeof(memory));
        if (i < metric->bound_count) {
            trace_exposition_scaled(&bound, metric->bounds[i], metric->decimals);
        } else {
            buf_append_cstr(&bound, "+Inf");
        }
        buf_append_byte(&bound, '\0');
        count += cell_get(&cells[i]);
        append_name(out, metric, series, "_bucket", memory);
        buf_append_u64(out, count);
        buf_append_byte(out, '\n');
    }
    append_name(out, metric, series, "_sum", NULL);
    trace_exposition_scaled(out, cell_get(&cells[metric->bound_count + 1]), metric->decimals);
    buf_append_byte(out, '\n');
    append_name(out, metric, series, "_count", NULL);
    buf_append_u64(out, count);
    buf_append_byte(out, '\n');
}

static const char *
kind_name(enum trace_metric_kind kind)
{
    switch (kind) {
    case TRACE_COUNTER_KIND:
        return "counter";
    case TRACE_GAUGE_KIND:
        return "gauge";
    case TRACE_HISTOGRAM_KIND:
        return "histogram";
    }
    UNREACHABLE();
}

static void
append_metric(struct buf *out, const struct trace_metric *metric)
{
    ASSERT(metric->bound_count <= TRACE_BUCKETS_MAX);
    ASSERT(metric->decimals <= 18);
    trace_exposition_head(out, metric->name, kind_name(metric->kind), metric->help);
    size_t series_count = metric->cell_count / cells_each(metric);
    for (size_t series = 0; series < series_count; series++) {
        if (metric->sparse && trace_metric_value(metric, series) == 0) {
            continue;
        }
        if (metric->kind == TRACE_HISTOGRAM_KIND) {
            append_histogram(out, metric, series);
            continue;
        }
        append_name(out, metric, series, "", NULL);
        uint64_t value = cell_get(series_cells(metric, series));
        if (metric->kind == TRACE_GAUGE_KIND) {
            append_signed(out, (int64_t)value, metric->decimals);
        } else {
            trace_exposition_scaled(out, value, metric->decimals);
        }
        buf_append_byte(out, '\n');
    }
}

void
trace_metrics_render(const struct trace_metric *const *metrics, size_t count, struct buf *out)
{
    for (size_t i = 0; i < count; i++) {
        append_metric(out, metrics[i]);
    }
}
