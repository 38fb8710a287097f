#include "measure.h"

#include "trace/metrics.h"

static const uint64_t time_bounds[] = {TRACE_DISK_BOUNDS_NS};
static const uint64_t group_bounds[] = {1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024};

TRACE_HISTOGRAM(
    apply_seconds,
    "tael_document_apply_seconds",
    "Applying one transaction of documents, before its sync.",
    9,
    time_bounds);
TRACE_HISTOGRAM(
    sync_seconds,
    "tael_document_sync_seconds",
    "Making transactions of documents durable, one sync each.",
    9,
    time_bounds);
TRACE_HISTOGRAM(
    group_operations,
    "tael_document_group_operations",
    "Operations that shared one transaction of documents.",
    0,
    group_bounds);
TRACE_COUNTER(
    failures, "tael_document_failures_total", "Transactions of documents that failed to commit.");
TRACE_COUNTER(
    damaged,
    "tael_document_damaged_total",
    "Times that a row that cannot be read was left out of what was asked for.");
TRACE_GAUGE(
    operations, "tael_operations", "Operations under way: requests, and work of the services.");

TRACE_COUNTER(
    round_trips,
    "tael_document_round_trips_total",
    "Times that the documents' database was asked and waited for.");
static const char *const found_names[] = {"miss", "hit", "absent"};
TRACE_COUNTER_BY(
    cache_reads,
    "tael_cache_reads_total",
    "Rows looked for among the copies.",
    "result",
    found_names);
static const char *const put_names[] = {"stored", "older", "late", "too_large"};
TRACE_COUNTER_BY(
    cache_puts,
    "tael_cache_puts_total",
    "Copies brought; older and late are those that a writer had overtaken.",
    "result",
    put_names);
TRACE_COUNTER(cache_evictions, "tael_cache_evictions_total", "Copies that had to give way.");
TRACE_COUNTER(
    cache_damaged, "tael_cache_damaged_total", "Copies from Redis that were not as we wrote them.");
TRACE_GAUGE(cache_entries, "tael_cache_entries", "Copies, and rows known to be absent.");
TRACE_GAUGE(cache_bytes, "tael_cache_bytes", "Of the copies.");
TRACE_GAUGE(
    cache_serves, "tael_cache_serves", "Whether copies are shown: others' changes are heard of.");

static const struct trace_metric *const all[] = {
    &apply_seconds,
    &sync_seconds,
    &group_operations,
    &failures,
    &damaged,
    &operations,
    &round_trips,
    &cache_reads,
    &cache_puts,
    &cache_evictions,
    &cache_damaged,
    &cache_entries,
    &cache_bytes,
    &cache_serves,
};

static uint64_t
since(const struct resource_runtime *runtime, uint64_t began_ns)
{
    return os_monotonic_ns(runtime->parts.clock) - began_ns;
}

void
resource_measure_apply(
    const struct resource_runtime *runtime, uint32_t operation_count, uint64_t began_ns)
{
    trace_histogram_observe(&apply_seconds, 0, since(runtime, began_ns));
    trace_histogram_observe(&group_operations, 0, operation_count);
}

void
resource_measure_sync(const struct resource_runtime *runtime, uint64_t began_ns)
{
    trace_histogram_observe(&sync_seconds, 0, since(runtime, began_ns));
}

void
resource_measure_failure(void)
{
    trace_counter_add(&failures, 0, 1);
}

void
resource_measure_damaged(void)
{
    trace_counter_add(&damaged, 0, 1);
}

void
resource_measure_group(struct resource_runtime *runtime)
{
    trace_gauge_set(&operations, 0, runtime->op_count);
    if (runtime->shared != NULL) {
        uint64_t now = runtime->shared->round_trips(runtime->documents);
        trace_counter_add(&round_trips, 0, now - runtime->round_trips);
        runtime->round_trips = now;
    }
}

void
resource_measure_cache(uint32_t entries, uint64_t bytes, uint64_t evictions_more)
{
    trace_gauge_set(&cache_entries, 0, entries);
    trace_gauge_set(&cache_bytes, 0, (int64_t)bytes);
    trace_counter_add(&cache_evictions, 0, evictions_more);
}

void
resource_measure_cache_read(enum cache_found found)
{
    trace_counter_add(&cache_reads, (size_t)found, 1);
}

void
resource_measure_cache_put(enum cache_put outcome)
{
    trace_counter_add(&cache_puts, (size_t)outcome, 1);
}

void
resource_measure_cache_damaged(void)
{
    trace_counter_add(&cache_damaged, 0, 1);
}

void
resource_measure_cache_hears(bool hears)
{
    trace_gauge_set(&cache_serves, 0, hears ? 1 : 0);
}

void
resource_metrics_render(struct buf *out)
{
    trace_metrics_render(all, TRACE_COUNT(all), out);
}
