#include "trace/metrics.h"

#include <pthread.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static const char *const t_results[] = {"ok", "bad \"input\"\n\\"};
static const char *const t_roles[] = {"api", "ledger", "vault"};
static const uint64_t t_bounds_ns[] = {5000000, 100000000, 2500000000};

TRACE_COUNTER(t_requests, "tael_requests_total", "Requests,\nall \\ of \"them\".");
TRACE_COUNTER_BY(t_answers, "tael_answers_total", "Answers.", "result", t_results);
TRACE_COUNTER_BY2(t_calls, "tael_calls_total", "Calls.", "role", t_roles, "result", t_results);
TRACE_GAUGE(t_queue, "tael_queue_tasks", "Tasks that wait.");
TRACE_GAUGE_BY(t_members, "tael_members", "Members.", "role", t_roles);
TRACE_HISTOGRAM(t_duration, "tael_request_seconds", "Durations.", 9, t_bounds_ns);
TRACE_HISTOGRAM_BY(t_by_role, "tael_role_seconds", "By role.", 9, t_bounds_ns, "role", t_roles);

static void
t_expect(const struct trace_metric *metric, const char *expected)
{
    struct buf out;
    buf_init(&out, 1 << 16);
    trace_metrics_render(&metric, 1, &out);
    assert_false(buf_failed(&out));
    buf_append_byte(&out, '\0');
    assert_string_equal(out.data, expected);
    buf_release(&out);
}

static void
t_counter(void **state)
{
    (void)state;
    trace_counter_add(&t_requests, 0, 1);
    trace_counter_add(&t_requests, 0, UINT64_C(1) << 40);
    assert_int_equal(trace_metric_value(&t_requests, 0), (INT64_C(1) << 40) + 1);
    t_expect(
        &t_requests,
        "# HELP tael_requests_total Requests,\\nall \\\\ of \"them\".\n"
        "# TYPE tael_requests_total counter\n"
        "tael_requests_total 1099511627777\n");
}

static void
t_labels(void **state)
{
    (void)state;
    trace_counter_add(&t_answers, 1, 7);
    t_expect(
        &t_answers,
        "# HELP tael_answers_total Answers.\n"
        "# TYPE tael_answers_total counter\n"
        "tael_answers_total{result=\"ok\"} 0\n"
        "tael_answers_total{result=\"bad \\\"input\\\"\\n\\\\\"} 7\n");
    trace_counter_add(&t_calls, trace_series(&t_calls, 0, 1), 1);
    trace_counter_add(&t_calls, trace_series(&t_calls, 2, 0), 4);
    t_expect(
        &t_calls,
        "# HELP tael_calls_total Calls.\n"
        "# TYPE tael_calls_total counter\n"
        "tael_calls_total{role=\"api\",result=\"ok\"} 0\n"
        "tael_calls_total{role=\"api\",result=\"bad \\\"input\\\"\\n\\\\\"} 1\n"
        "tael_calls_total{role=\"ledger\",result=\"ok\"} 0\n"
        "tael_calls_total{role=\"ledger\",result=\"bad \\\"input\\\"\\n\\\\\"} 0\n"
        "tael_calls_total{role=\"vault\",result=\"ok\"} 4\n"
        "tael_calls_total{role=\"vault\",result=\"bad \\\"input\\\"\\n\\\\\"} 0\n");
}

static const char *const t_paths[] = {"/v1/a", "/v1/a"};
static const char *const t_methods[] = {"GET", "POST"};
static trace_cell_t t_route_cells[TRACE_COUNT(t_paths) * TRACE_COUNT(t_roles)];
static const struct trace_metric t_routes = {
    .name = "tael_routes_total",
    .help = "By route.",
    .kind = TRACE_COUNTER_KIND,
    .labels =
        {
            TRACE_LABEL("route", t_paths),
            {.name = "method", .values = t_methods, .count = 2, .same_position = true},
            TRACE_LABEL("role", t_roles),
        },
    .sparse = true,
    .cells = t_route_cells,
    .cell_count = TRACE_COUNT(t_route_cells),
};

/* A label of the same position multiplies nothing, and zeros of a sparse metric are left out. */
static void
t_same_position(void **state)
{
    (void)state;
    t_expect(&t_routes, "# HELP tael_routes_total By route.\n# TYPE tael_routes_total counter\n");
    trace_counter_add(&t_routes, trace_series(&t_routes, 0, 2), 1);
    trace_counter_add(&t_routes, trace_series(&t_routes, 1, 0), 3);
    t_expect(
        &t_routes,
        "# HELP tael_routes_total By route.\n"
        "# TYPE tael_routes_total counter\n"
        "tael_routes_total{route=\"/v1/a\",method=\"GET\",role=\"vault\"} 1\n"
        "tael_routes_total{route=\"/v1/a\",method=\"POST\",role=\"api\"} 3\n");
}

static void
t_gauge(void **state)
{
    (void)state;
    trace_gauge_set(&t_queue, 0, 5);
    trace_gauge_add(&t_queue, 0, -12);
    assert_int_equal(trace_metric_value(&t_queue, 0), -7);
    t_expect(
        &t_queue,
        "# HELP tael_queue_tasks Tasks that wait.\n"
        "# TYPE tael_queue_tasks gauge\n"
        "tael_queue_tasks -7\n");
    trace_gauge_set(&t_members, 1, INT64_MIN);
    trace_gauge_set(&t_members, 2, INT64_MAX);
    t_expect(
        &t_members,
        "# HELP tael_members Members.\n"
        "# TYPE tael_members gauge\n"
        "tael_members{role=\"api\"} 0\n"
        "tael_members{role=\"ledger\"} -9223372036854775808\n"
        "tael_members{role=\"vault\"} 9223372036854775807\n");
}

static void
t_histogram(void **state)
{
    (void)state;
    trace_histogram_observe(&t_duration, 0, 0);
    trace_histogram_observe(&t_duration, 0, 5000000); /* on the bound: still within */
    trace_histogram_observe(&t_duration, 0, 5000001);
    trace_histogram_observe(&t_duration, 0, 2500000000);
    trace_histogram_observe(&t_duration, 0, 2500000001); /* the rest */
    assert_int_equal(trace_metric_value(&t_duration, 0), 5);
    t_expect(
        &t_duration,
        "# HELP tael_request_seconds Durations.\n"
        "# TYPE tael_request_seconds histogram\n"
        "tael_request_seconds_bucket{le=\"0.005\"} 2\n"
        "tael_request_seconds_bucket{le=\"0.1\"} 3\n"
        "tael_request_seconds_bucket{le=\"2.5\"} 4\n"
        "tael_request_seconds_bucket{le=\"+Inf\"} 5\n"
        "tael_request_seconds_sum 5.010000002\n"
        "tael_request_seconds_count 5\n");
    trace_histogram_observe(&t_by_role, 1, 1000000000);
    assert_int_equal(trace_metric_value(&t_by_role, 0), 0);
    assert_int_equal(trace_metric_value(&t_by_role, 1), 1);
    assert_int_equal(trace_metric_value(&t_by_role, 2), 0);
}

static void
t_render_into_a_full_buffer_fails(void **state)
{
    (void)state;
    const struct trace_metric *const metrics[] = {&t_by_role, &t_calls};
    struct buf out;
    buf_init(&out, 1 << 16);
    trace_metrics_render(metrics, 2, &out);
    size_t size = out.size;
    assert_false(buf_failed(&out));
    buf_release(&out);
    buf_init(&out, size - 1);
    trace_metrics_render(metrics, 2, &out);
    assert_true(buf_failed(&out));
    buf_release(&out);
}

#define T_THREADS 4
#define T_ROUNDS  20000

static const uint64_t t_small[] = {1, 2};

TRACE_COUNTER(t_shared_counter, "t_total", "T.");
TRACE_GAUGE(t_shared_gauge, "t_level", "T.");
TRACE_HISTOGRAM(t_shared_histogram, "t_sizes", "T.", 0, t_small);

static void *
t_increment(void *argument)
{
    (void)argument;
    for (uint64_t i = 0; i < T_ROUNDS; i++) {
        trace_counter_add(&t_shared_counter, 0, 1);
        trace_gauge_add(&t_shared_gauge, 0, i % 2 == 0 ? 3 : -2);
        trace_histogram_observe(&t_shared_histogram, 0, i % 4);
    }
    return NULL;
}

static void
t_no_increment_is_lost(void **state)
{
    (void)state;
    pthread_t threads[T_THREADS];
    for (size_t i = 0; i < T_THREADS; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, t_increment, NULL), 0);
    }
    const struct trace_metric *const shared = &t_shared_histogram;
    struct buf out;
    buf_init(&out, 4096);
    for (int i = 0; i < 100; i++) {
        buf_clear(&out);
        trace_metrics_render(&shared, 1, &out);
        assert_false(buf_failed(&out));
    }
    buf_release(&out);
    for (size_t i = 0; i < T_THREADS; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    }
    assert_int_equal(trace_metric_value(&t_shared_counter, 0), T_THREADS * T_ROUNDS);
    assert_int_equal(trace_metric_value(&t_shared_gauge, 0), T_THREADS * T_ROUNDS / 2);
    t_expect(
        shared,
        "# HELP t_sizes T.\n"
        "# TYPE t_sizes histogram\n"
        "t_sizes_bucket{le=\"1\"} 40000\n"
        "t_sizes_bucket{le=\"2\"} 60000\n"
        "t_sizes_bucket{le=\"+Inf\"} 80000\n"
        "t_sizes_sum 120000\n"
        "t_sizes_count 80000\n");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(t_counter),
        cmocka_unit_test(t_labels),
        cmocka_unit_test(t_same_position),
        cmocka_unit_test(t_gauge),
        cmocka_unit_test(t_histogram),
        cmocka_unit_test(t_render_into_a_full_buffer_fails),
        cmocka_unit_test(t_no_increment_is_lost),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
