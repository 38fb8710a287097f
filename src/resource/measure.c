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
TRACE_GAUGE(
    operations, "tael_operations", "Operations under way: requests, and work of the services.");

static const struct trace_metric *const all[] = {
    &apply_seconds, &sync_seconds, &group_operations, &failures, &operations};

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
resource_measure_group(const struct resource_runtime *runtime)
{
    trace_gauge_set(&operations, 0, runtime->op_count);
}

void
resource_metrics_render(struct buf *out)
{
    trace_metrics_render(all, TRACE_COUNT(all), out);
}
