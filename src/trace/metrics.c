#include "trace/metrics.h"

#include "base/assert.h"

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

/* Help texts and label values: the format escapes backslash, newline and, in values, the quote. */
static void
append_escaped(struct buf *out, const char *text, bool in_quotes)
{
    for (; *text != '\0'; text++) {
        if (*text == '\n') {
            buf_append_cstr(out, "\\n");
        } else if (*text == '\\' || (in_quotes && *text == '"')) {
            buf_append_byte(out, '\\');
            buf_append_byte(out, *text);
        } else {
            buf_append_byte(out, *text);
        }
    }
}

/* value / 10^decimals, without trailing zeros. */
static void
append_scaled(struct buf *out, uint64_t value, unsigned decimals)
{
    uint64_t unit = 1;
    for (unsigned i = 0; i < decimals; i++) {
        unit *= 10;
    }
    buf_append_u64(out, value / unit);
    uint64_t rest = value % unit;
    if (rest == 0) {
        return;
    }
    buf_append_byte(out, '.');
    while (rest > 0) {
        unit /= 10;
        buf_append_byte(out, (char)('0' + rest / unit));
        rest %= unit;
    }
}

static void
append_signed(struct buf *out, int64_t value, unsigned decimals)
{
    if (value < 0) {
        buf_append_byte(out, '-');
    }
    append_scaled(out, value < 0 ? 0 - (uint64_t)value : (uint64_t)value, decimals);
}

/* name, suffix, {labels} and a space; `bound` points at a bucket's bound or is NULL. */
static void
append_name(
    struct buf *out,
    const struct trace_metric *metric,
    size_t series,
    const char *suffix,
    struct span bound)
{
    const struct trace_label *second = next_dimension(metric, 0);
    size_t second_count = second == NULL ? 1 : second->count;
    size_t position = series / second_count;
    char separator = '{';
    buf_append_cstr(out, metric->name);
    buf_append_cstr(out, suffix);
    for (size_t i = 0; i < TRACE_LABELS_MAX && metric->labels[i].name != NULL; i++) {
        if (&metric->labels[i] == second) {
            position = series % second_count;
        }
        buf_append_byte(out, separator);
        buf_append_cstr(out, metric->labels[i].name);
        buf_append_cstr(out, "=\"");
        append_escaped(out, metric->labels[i].values[position], true);
        buf_append_byte(out, '"');
        separator = ',';
    }
    if (bound.size > 0) {
        buf_append_byte(out, separator);
        buf_append_cstr(out, "le=\"");
        buf_append_span(out, bound);
        buf_append_byte(out, '"');
        separator = ',';
    }
    buf_append_cstr(out, separator == '{' ? " " : "} ");
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
            append_scaled(&bound, metric->bounds[i], metric->decimals);
        } else {
            buf_append_cstr(&bound, "+Inf");
        }
        count += cell_get(&cells[i]);
        append_name(out, metric, series, "_bucket", buf_span(&bound));
        buf_append_u64(out, count);
        buf_append_byte(out, '\n');
    }
    append_name(out, metric, series, "_sum", SPAN_EMPTY);
    append_scaled(out, cell_get(&cells[metric->bound_count + 1]), metric->decimals);
    buf_append_byte(out, '\n');
    append_name(out, metric, series, "_count", SPAN_EMPTY);
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
    buf_append_format(out, "# HELP %s ", metric->name);
    append_escaped(out, metric->help, false);
    buf_append_format(out, "\n# TYPE %s %s\n", metric->name, kind_name(metric->kind));
    size_t series_count = metric->cell_count / cells_each(metric);
    for (size_t series = 0; series < series_count; series++) {
        if (metric->sparse && trace_metric_value(metric, series) == 0) {
            continue;
        }
        if (metric->kind == TRACE_HISTOGRAM_KIND) {
            append_histogram(out, metric, series);
            continue;
        }
        append_name(out, metric, series, "", SPAN_EMPTY);
        uint64_t value = cell_get(series_cells(metric, series));
        if (metric->kind == TRACE_GAUGE_KIND) {
            append_signed(out, (int64_t)value, metric->decimals);
        } else {
            append_scaled(out, value, metric->decimals);
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
