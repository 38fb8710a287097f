/* Parts that threads begin, share, and end in any order (suite `threads`: under ThreadSanitizer).
 */
#include "trace/recorder.h"

#include "base/assert.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define T_THREADS 4
#define T_ROUNDS  20000

struct t_world {
    struct trace_recorder *recorder;
    atomic_uint kept;
    atomic_uint spans;
    /* Where threads leave contexts for each other, live ones and stale ones. */
    pthread_mutex_t lock;
    struct trace_context shared;
};

static void
t_kept(void *context, struct trace_part *part)
{
    struct t_world *t = context;
    uint32_t count = trace_part_record_count(part);
    for (uint32_t i = 0; i < count; i++) {
        ASSERT(part->records[i].end_ns >= part->records[i].start_ns);
        ASSERT(part->records[i].attribute_count == 1);
        ASSERT(u128_low(part->trace_id) == (uint64_t)part->records[i].attributes[0].number);
    }
    atomic_fetch_add(&t->spans, count);
    atomic_fetch_add(&t->kept, 1);
    trace_part_give_back(part);
}

static void *
t_run(void *argument)
{
    struct t_world *t = argument;
    static atomic_uint next;
    for (int i = 0; i < T_ROUNDS; i++) {
        uint64_t number = atomic_fetch_add(&next, 1) + 1;
        const struct trace_root root = {.name = "root", .random = u128_make(number, number)};
        struct trace_span span;
        trace_root_start(t->recorder, &root, &span);
        trace_span_number(&span, "number", (int64_t)number);
        pthread_mutex_lock(&t->lock);
        struct trace_context other = t->shared;
        t->shared = span.context;
        pthread_mutex_unlock(&t->lock);
        if (i % 2 == 0) {
            other = span.context; /* its own, so that some have a child however threads run */
        }
        struct trace_span child;
        trace_span_start(&other, TRACE_INTERNAL, "child", &child);
        trace_span_number(&child, "number", (int64_t)u128_low(other.trace_id));
        trace_span_end(&span);
        trace_span_end(&child);
    }
    return NULL;
}

static void
shared_test(void **state)
{
    (void)state;
    struct t_world t = {.kept = 0};
    pthread_mutex_init(&t.lock, NULL);
    struct trace_recorder_parts parts = {
        .clock = os_clock_real(),
        .secret = 1,
        .settings = trace_recorder_settings_default(),
        .kept = t_kept,
        .context = &t,
    };
    parts.settings.parts_max = 6; /* each thread may hold two */
    parts.settings.kept_max = 6;
    assert_int_equal(trace_recorder_create(&parts, &t.recorder), ERR_OK);
    pthread_t threads[T_THREADS];
    for (int i = 0; i < T_THREADS; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, t_run, &t), 0);
    }
    for (int i = 0; i < T_THREADS; i++) {
        pthread_join(threads[i], NULL);
    }
    struct trace_recorder_counters counters;
    trace_recorder_count(t.recorder, &counters);
    assert_int_equal(counters.begun + counters.refused, T_THREADS * T_ROUNDS);
    assert_int_equal(counters.sampled + counters.dropped, counters.begun);
    assert_int_equal(atomic_load(&t.kept), counters.sampled);
    assert_true(atomic_load(&t.spans) > counters.sampled);
    trace_recorder_destroy(&t.recorder);
    pthread_mutex_destroy(&t.lock);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(shared_test)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
