#include "engine_measure.h"

#include "engine/ledger_engine.h"

#include "trace/metrics.h"

static const uint64_t time_bounds[] = {TRACE_DISK_BOUNDS_NS};
static const uint64_t group_bounds[] = {1, 2, 4, 8, 16, 32, 64, 128, 256, 512};

TRACE_HISTOGRAM(
    commit_seconds,
    "tael_ledger_commit_seconds",
    "From handing a group to the store until it is durable.",
    9,
    time_bounds);
TRACE_HISTOGRAM(
    group_requests,
    "tael_ledger_group_requests",
    "Requests that shared one commit of the ledger.",
    0,
    group_bounds);

static const struct trace_metric *const all[] = {&commit_seconds, &group_requests};

void
engine_measure_durable(uint64_t duration_ns, uint32_t request_count)
{
    trace_histogram_observe(&commit_seconds, 0, duration_ns);
    trace_histogram_observe(&group_requests, 0, request_count);
}

void
ledger_engine_metrics_render(struct buf *out)
{
    trace_metrics_render(all, TRACE_COUNT(all), out);
}
