/*
 * Requests by route, method and class of status, and how long they took. The label values are the
 * routes of the tables, so that no request can make a series of its own. Exact statuses are counted
 * over all routes: per route they would be more series than anybody looks at.
 */
#include "front.h"

#include "trace/metrics.h"

#include <stdlib.h>

static const char *const statuses[] = {
    "200", "400", "401", "402", "403", "404", "409", "413", "429", "500", "503", "other"};

static const char *const classes[] = {"2xx", "3xx", "4xx", "5xx"};

enum {
    STATUS_COUNT = sizeof(statuses) / sizeof(statuses[0]),
    CLASS_COUNT = sizeof(classes) / sizeof(classes[0])
};

/* Nanoseconds. */
static const uint64_t bounds[] = {
    500000,
    1000000,
    2500000,
    5000000,
    10000000,
    25000000,
    50000000,
    100000000,
    250000000,
    1000000000,
    5000000000,
    30000000000,
};

enum {
    BOUND_COUNT = sizeof(bounds) / sizeof(bounds[0]),
    HISTOGRAM_CELLS = BOUND_COUNT + 2
};

struct api_metrics {
    size_t route_count; /* the last one stands for requests without a route */
    const char **patterns;
    const char **methods;
    trace_cell_t *request_cells;
    trace_cell_t *duration_cells;
    trace_cell_t status_cells[STATUS_COUNT];
    struct trace_metric requests;
    struct trace_metric durations;
    struct trace_metric statuses;
};

static void
describe(struct api_metrics *metrics)
{
    struct trace_label routes = {
        .name = "route", .values = metrics->patterns, .count = metrics->route_count};
    struct trace_label methods = {
        .name = "method",
        .values = metrics->methods,
        .count = metrics->route_count,
        .same_position = true};
    metrics->requests = (struct trace_metric){
        .name = "tael_http_requests_total",
        .help = "Requests answered, by route, method and class of status.",
        .kind = TRACE_COUNTER_KIND,
        .labels =
            {routes, methods, {.name = "status_class", .values = classes, .count = CLASS_COUNT}},
        .cells = metrics->request_cells,
        .cell_count = metrics->route_count * CLASS_COUNT,
    };
    metrics->durations = (struct trace_metric){
        .name = "tael_http_request_duration_seconds",
        .help = "From the first byte of a request to its answer, by route and method.",
        .kind = TRACE_HISTOGRAM_KIND,
        .labels = {routes, methods},
        .bounds = bounds,
        .bound_count = BOUND_COUNT,
        .decimals = 9,
        .sparse = true,
        .cells = metrics->duration_cells,
        .cell_count = metrics->route_count * HISTOGRAM_CELLS,
    };
    metrics->statuses = (struct trace_metric){
        .name = "tael_http_answers_total",
        .help = "Requests answered, by status.",
        .kind = TRACE_COUNTER_KIND,
        .labels = {{.name = "status", .values = statuses, .count = STATUS_COUNT}},
        .cells = metrics->status_cells,
        .cell_count = STATUS_COUNT,
    };
}

static void
name_routes(struct api_metrics *metrics, const struct api_router *router)
{
    for (uint32_t i = 0; i < router->count; i++) {
        metrics->patterns[i] = router->patterns[i].route->pattern;
        metrics->methods[i] = router->patterns[i].route->method;
    }
    metrics->patterns[router->count] = "none";
    metrics->methods[router->count] = "any";
}

err_t
api_metrics_create(const struct api_router *router, struct api_metrics **ret_metrics)
{
    struct api_metrics *metrics = calloc(1, sizeof(*metrics));
    if (metrics == NULL) {
        return ERR_MEMORY;
    }
    metrics->route_count = router->count + 1;
    metrics->patterns = calloc(metrics->route_count, sizeof(*metrics->patterns));
    metrics->methods = calloc(metrics->route_count, sizeof(*metrics->methods));
    metrics->request_cells = calloc(metrics->route_count * CLASS_COUNT, sizeof(trace_cell_t));
    metrics->duration_cells = calloc(metrics->route_count * HISTOGRAM_CELLS, sizeof(trace_cell_t));
    if (metrics->patterns == NULL || metrics->methods == NULL || metrics->request_cells == NULL ||
        metrics->duration_cells == NULL) {
        api_metrics_destroy(&metrics);
        return ERR_MEMORY;
    }
    name_routes(metrics, router);
    describe(metrics);
    *ret_metrics = metrics;
    return ERR_OK;
}

void
api_metrics_destroy(struct api_metrics **metrics_at)
{
    struct api_metrics *metrics = *metrics_at;
    if (metrics == NULL) {
        return;
    }
    *metrics_at = NULL;
    free((void *)metrics->patterns);
    free((void *)metrics->methods);
    free(metrics->request_cells);
    free(metrics->duration_cells);
    free(metrics);
}

static size_t
status_index(int status)
{
    for (size_t i = 0; i + 1 < STATUS_COUNT; i++) {
        if (statuses[i][0] - '0' == status / 100 && statuses[i][1] - '0' == status / 10 % 10 &&
            statuses[i][2] - '0' == status % 10) {
            return i;
        }
    }
    return STATUS_COUNT - 1;
}

/* What is below 200 or above 599 is never answered (net_answer). */
static size_t
class_index(int status)
{
    return status < 300 ? 0 : status < 400 ? 1 : status < 500 ? 2 : 3;
}

void
api_metrics_count(
    struct api_metrics *metrics, uint32_t route_index, int status, uint64_t duration_ns)
{
    size_t route = route_index == UINT32_MAX ? metrics->route_count - 1 : route_index;
    trace_counter_add(
        &metrics->requests, trace_series(&metrics->requests, route, class_index(status)), 1);
    trace_counter_add(&metrics->statuses, status_index(status), 1);
    trace_histogram_observe(&metrics->durations, route, duration_ns);
}

void
api_metrics_render(const struct api_metrics *metrics, struct buf *out)
{
    const struct trace_metric *all[] = {
        &metrics->requests, &metrics->durations, &metrics->statuses};
    trace_metrics_render(all, sizeof(all) / sizeof(all[0]), out);
}
