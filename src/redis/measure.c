/* What the client counts; shown by redis_metrics_render. */
#include "redis_private.h"

#include "trace/metrics.h"

static const char *const answers[] = {"found", "leased", "taken", "lost"};
TRACE_COUNTER_BY(
    asked, "tael_redis_asked_total", "Rows that Redis was asked for.", "answer", answers);
static const char *const stores[] = {"stored", "refused"};
TRACE_COUNTER_BY(
    stored,
    "tael_redis_stored_total",
    "Rows brought to Redis; refused are those that another process had overtaken.",
    "result",
    stores);
TRACE_COUNTER(told, "tael_redis_told_total", "Changes that others were told of.");
TRACE_COUNTER(heard_count, "tael_redis_heard_total", "Changes that others told of.");
TRACE_COUNTER(
    dropped, "tael_redis_dropped_total", "Changes that could not be told, and rows not brought.");
TRACE_COUNTER(
    errors, "tael_redis_errors_total", "Connections lost or not made, and answers not understood.");
TRACE_GAUGE(connected_gauge, "tael_redis_connected", "Whether Redis can be asked.");
static const struct trace_metric *const all[] = {
    &asked, &stored, &told, &heard_count, &dropped, &errors, &connected_gauge};

void
redis_metrics_render(struct buf *out)
{
    trace_metrics_render(all, TRACE_COUNT(all), out);
}

void
redis_measure_asked(enum port_cache_answer answer)
{
    trace_counter_add(&asked, (size_t)answer, 1);
}

void
redis_measure_stored(bool refused)
{
    trace_counter_add(&stored, refused ? 1 : 0, 1);
}

void
redis_measure_told(void)
{
    trace_counter_add(&told, 0, 1);
}

void
redis_measure_heard(void)
{
    trace_counter_add(&heard_count, 0, 1);
}

void
redis_measure_dropped(void)
{
    trace_counter_add(&dropped, 0, 1);
}

void
redis_measure_error(void)
{
    trace_counter_add(&errors, 0, 1);
}

void
redis_measure_connected(bool connected)
{
    trace_gauge_set(&connected_gauge, 0, connected ? 1 : 0);
}
