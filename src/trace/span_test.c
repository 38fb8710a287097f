#include "trace/recorder.h"

#include "base/list.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define T_KEPT_MAX 64

struct t_world {
    struct os_clock clock; /* first */
    uint64_t now_ns;
    struct trace_recorder *recorder;
    struct trace_part *kept[T_KEPT_MAX];
    uint32_t kept_count;
    u128 random;
};

static uint64_t
t_wall(struct os_clock *clock)
{
    return CONTAINER_OF(clock, struct t_world, clock)->now_ns + 1000000000000;
}

static uint64_t
t_monotonic(struct os_clock *clock)
{
    return CONTAINER_OF(clock, struct t_world, clock)->now_ns;
}

static void
t_kept(void *context, struct trace_part *part)
{
    struct t_world *t = context;
    assert_true(t->kept_count < T_KEPT_MAX);
    t->kept[t->kept_count++] = part;
}

static void
t_open(struct t_world *t, uint32_t parts_max, uint32_t kept_max, uint64_t bound)
{
    *t = (struct t_world){
        .clock = {.wall_ns = t_wall, .monotonic_ns = t_monotonic},
        .now_ns = 1000,
        .random = u128_make(7, 7),
    };
    const struct trace_recorder_parts parts = {
        .clock = &t->clock,
        .secret = 42,
        .settings =
            {
                .parts_max = parts_max,
                .kept_max = kept_max,
                .slow_ns = 500,
                .sampler = {.parent_based = true, .bound = bound},
            },
        .kept = t_kept,
        .context = t,
    };
    assert_int_equal(trace_recorder_create(&parts, &t->recorder), ERR_OK);
}

static void
t_close(struct t_world *t)
{
    for (uint32_t i = 0; i < t->kept_count; i++) {
        trace_part_give_back(t->kept[i]);
    }
    trace_recorder_destroy(&t->recorder);
    assert_null(t->recorder);
    trace_recorder_destroy(&t->recorder);
}

static struct trace_span
t_root(struct t_world *t)
{
    struct trace_span span;
    t->random += u128_make(0x123456789, 0x987654321);
    const struct trace_root root = {.kind = TRACE_SERVER, .name = "root", .random = t->random};
    trace_root_start(t->recorder, &root, &span);
    return span;
}

static struct trace_recorder_counters
t_count(const struct t_world *t)
{
    struct trace_recorder_counters counters;
    trace_recorder_count(t->recorder, &counters);
    return counters;
}

static void
kept_as_a_tree_test(void **state)
{
    (void)state;
    struct t_world t;
    t_open(&t, 4, 4, TRACE_RATIO_ONE);
    struct trace_span root = t_root(&t);
    assert_true(trace_span_is_recorded(&root));
    assert_true(trace_context_is_sampled(&root.context));
    assert_int_equal(root.context.flags & TRACE_CONTEXT_RANDOM, TRACE_CONTEXT_RANDOM);
    struct trace_span child;
    t.now_ns = 1100;
    trace_span_start(&root.context, TRACE_CLIENT, "child", &child);
    struct trace_span grandchild;
    t.now_ns = 1110;
    trace_span_start(&child.context, TRACE_INTERNAL, "grandchild", &grandchild);
    trace_span_set_name(&grandchild, "grand", "child");
    trace_span_label(&grandchild, "label", "constant");
    char text[] = "copied";
    trace_span_text(&grandchild, "text", span_from_cstr(text));
    text[0] = 'x';
    trace_span_number(&grandchild, "number", -5);
    t.now_ns = 1120;
    trace_span_end(&grandchild);
    trace_span_end(&grandchild); /* over is over */
    trace_span_label(&grandchild, "late", "nothing");
    t.now_ns = 1130;
    trace_span_end(&child);
    trace_span_add(&root.context, "added", 1050, 1060);
    trace_span_add(&root.context, "not added", 0, 1060);
    assert_int_equal(t.kept_count, 0); /* TRACE-8 */
    t.now_ns = 1200;
    trace_span_end(&root);
    assert_int_equal(t.kept_count, 1);

    const struct trace_part *part = t.kept[0];
    assert_int_equal(trace_part_record_count(part), 4);
    assert_int_equal(trace_part_lost_count(part), 0);
    const struct trace_record *all = part->records;
    assert_int_equal(all[0].parent_id, 0);
    assert_int_equal(all[1].parent_id, all[0].span_id);
    assert_int_equal(all[2].parent_id, all[1].span_id);
    assert_int_equal(all[3].parent_id, all[0].span_id);
    for (int i = 0; i < 4; i++) {
        assert_int_not_equal(all[i].span_id, 0);
        for (int j = 0; j < i; j++) {
            assert_int_not_equal(all[i].span_id, all[j].span_id);
        }
    }
    assert_int_equal(all[0].start_ns, 1000);
    assert_int_equal(all[0].end_ns, 1200);
    assert_int_equal(all[1].kind, TRACE_CLIENT);
    assert_int_equal(all[2].end_ns - all[2].start_ns, 10);
    assert_int_equal(trace_part_wall_ns(part, all[2].start_ns), 1000000001110);
    assert_string_equal(all[2].prefix, "grand");
    assert_int_equal(all[2].attribute_count, 3);
    assert_string_equal(all[2].attributes[0].label, "constant");
    assert_true(span_equal(trace_attribute_text(&all[2], &all[2].attributes[1]), SPAN("copied")));
    assert_int_equal(all[2].attributes[2].number, -5);
    assert_string_equal(all[3].name, "added");
    assert_int_equal(t_count(&t).sampled, 1);
    t_close(&t);
}

/* TRACE-10. */
static void
tail_test(void **state)
{
    (void)state;
    struct t_world t;
    t_open(&t, 4, 4, 0);
    struct trace_span root = t_root(&t);
    assert_false(trace_context_is_sampled(&root.context));
    t.now_ns += 499;
    trace_span_end(&root);
    assert_int_equal(t.kept_count, 0);
    root = t_root(&t);
    t.now_ns += 500;
    trace_span_end(&root);
    assert_int_equal(t.kept_count, 1);
    assert_int_equal(t_count(&t).slow, 1);
    root = t_root(&t);
    struct trace_span child;
    trace_span_start(&root.context, TRACE_CLIENT, "child", &child);
    trace_span_fail(&child, "timeout");
    trace_span_end(&child);
    trace_span_end(&root);
    assert_int_equal(t.kept_count, 2);
    assert_int_equal(t_count(&t).failed, 1);
    assert_true(t.kept[1]->records[1].failed);
    assert_string_equal(t.kept[1]->records[1].attributes[0].key, "error.type");
    /* The failure is not remembered by the next one that uses the memory. */
    trace_part_give_back(t.kept[--t.kept_count]);
    root = t_root(&t);
    trace_span_end(&root);
    assert_int_equal(t.kept_count, 1);
    t_close(&t);
}

static void
parent_test(void **state)
{
    (void)state;
    struct t_world t;
    t_open(&t, 8, 8, 0);

    static const struct {
        enum tracecontext_decision decision;
        bool kept;
    } all[] = {
        {TRACECONTEXT_KEEP, true}, {TRACECONTEXT_DROP, false}, {TRACECONTEXT_UNDECIDED, false}};

    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
        uint32_t before = t.kept_count;
        struct trace_span span;
        const struct trace_root root = {
            .name = "continued",
            .random = u128_make(i, 99),
            .parent = {.trace_id = 5, .span_id = 6, .flags = TRACE_CONTEXT_RANDOM},
            .decision = all[i].decision,
            .state = SPAN("vendor=1"),
        };
        trace_root_start(t.recorder, &root, &span);
        assert_true(span.context.trace_id == 5);
        assert_int_equal(span.context.flags & TRACE_CONTEXT_RANDOM, TRACE_CONTEXT_RANDOM);
        char memory[TRACECONTEXT_STATE_MAX];
        assert_true(span_equal(trace_context_state(&span.context, memory), SPAN("vendor=1")));
        trace_span_end(&span);
        assert_int_equal(trace_context_state(&span.context, memory).size, 0); /* it is over */
        assert_int_equal(t.kept_count - before, all[i].kept);
    }
    assert_int_equal(t.kept[0]->records[0].parent_id, 6);
    t_close(&t);
}

/* Nobody records, or there is no room: contexts go on. */
static void
not_recorded_test(void **state)
{
    (void)state;
    struct trace_span span;
    const struct trace_root root = {.name = "root", .random = u128_make(1, 2)};
    trace_root_start(NULL, &root, &span);
    assert_false(trace_span_is_recorded(&span));
    assert_true(span.context.trace_id == u128_make(1, 2));
    assert_int_not_equal(span.context.span_id, 0);
    struct trace_span child;
    trace_span_start(&span.context, TRACE_CLIENT, "child", &child);
    assert_false(trace_span_is_recorded(&child));
    assert_int_equal(child.context.span_id, span.context.span_id);
    trace_span_label(&child, "key", "label");
    trace_span_text(&child, "key", SPAN("text"));
    trace_span_number(&child, "key", 1);
    trace_span_fail(&child, "error");
    trace_span_set_name(&child, NULL, "name");
    trace_span_add(&span.context, "added", 1, 2);
    trace_span_end(&child);
    trace_span_end(&span);
    assert_int_equal(trace_now_ns(&span.context), 0);
    char memory[TRACECONTEXT_STATE_MAX];
    assert_int_equal(trace_context_state(&span.context, memory).size, 0);

    struct t_world t;
    t_open(&t, 2, 2, TRACE_RATIO_ONE);
    struct trace_span one = t_root(&t);
    struct trace_span two = t_root(&t);
    struct trace_span three = t_root(&t);
    assert_false(trace_span_is_recorded(&three));
    assert_true(trace_context_is_set(&three.context));
    assert_int_equal(t_count(&t).refused, 1);
    trace_span_end(&one);
    trace_span_end(&two);
    trace_span_end(&three);
    assert_int_equal(t.kept_count, 2);
    t_close(&t);
}

static void
limits_test(void **state)
{
    (void)state;
    struct t_world t;
    t_open(&t, 4, 1, TRACE_RATIO_ONE);
    struct trace_span root = t_root(&t);
    struct trace_span child;
    for (int i = 1; i <= TRACE_RECORDS_MAX; i++) {
        trace_span_start(&root.context, TRACE_INTERNAL, "child", &child);
        assert_int_equal(trace_span_is_recorded(&child), i < TRACE_RECORDS_MAX);
        trace_span_end(&child);
    }
    char text[TRACE_TEXT_MAX];
    memset(text, 'x', sizeof(text));
    trace_span_text(&root, "a", span_of(text, TRACE_TEXT_MAX - 1));
    trace_span_text(&root, "b", SPAN("yz"));
    trace_span_text(&root, "c", SPAN("none"));
    for (int i = 3; i <= TRACE_ATTRIBUTES_MAX; i++) {
        trace_span_number(&root, "n", i);
    }
    trace_span_end(&root);
    assert_int_equal(t.kept_count, 1);
    const struct trace_part *part = t.kept[0];
    assert_int_equal(trace_part_record_count(part), TRACE_RECORDS_MAX);
    assert_int_equal(trace_part_lost_count(part), 1);
    assert_int_equal(t_count(&t).lost, 1);
    assert_int_equal(part->records[0].attribute_count, TRACE_ATTRIBUTES_MAX);
    assert_int_equal(part->records[0].attributes[0].size, TRACE_TEXT_MAX - 1);
    assert_int_equal(part->records[0].attributes[1].size, 1);
    assert_int_equal(part->records[0].attributes[2].size, 0);
    /* One is kept already. */
    root = t_root(&t);
    trace_span_end(&root);
    assert_int_equal(t.kept_count, 1);
    assert_int_equal(t_count(&t).dropped, 1);
    /* Given back, there is room again. */
    trace_part_give_back(t.kept[--t.kept_count]);
    root = t_root(&t);
    trace_span_end(&root);
    assert_int_equal(t.kept_count, 1);
    t_close(&t);
}

/* TRACE-11. */
static void
orphan_test(void **state)
{
    (void)state;
    struct t_world t;
    t_open(&t, 1, 1, 0);
    struct trace_span root = t_root(&t);
    struct trace_context old = root.context;
    trace_span_end(&root);
    struct trace_span late;
    trace_span_start(&old, TRACE_INTERNAL, "late", &late);
    assert_false(trace_span_is_recorded(&late));
    struct trace_span next = t_root(&t); /* the same memory */
    assert_ptr_equal(next.context.part, old.part);
    trace_span_start(&old, TRACE_INTERNAL, "later", &late);
    assert_false(trace_span_is_recorded(&late));
    assert_int_equal(t_count(&t).orphaned, 2);
    trace_span_fail(&next, "error");
    /* A child that outlives the root keeps the part open. */
    struct trace_span child;
    trace_span_start(&next.context, TRACE_INTERNAL, "child", &child);
    trace_span_end(&next);
    assert_int_equal(t.kept_count, 0);
    trace_span_end(&child);
    assert_int_equal(t.kept_count, 1);
    assert_int_equal(trace_part_record_count(t.kept[0]), 2);
    t_close(&t);
}

static void
times_never_run_backwards_test(void **state)
{
    (void)state;
    struct t_world t;
    t_open(&t, 1, 1, TRACE_RATIO_ONE);
    struct trace_span root = t_root(&t);
    trace_span_end_at(&root, 10); /* before it began */
    assert_int_equal(t.kept[0]->records[0].end_ns, t.kept[0]->records[0].start_ns);
    t_close(&t);
}

/* ------------------------------------------------------------------------------------ sampler */

static void
sampler_parse_test(void **state)
{
    (void)state;

    static const struct {
        const char *name, *ratio;
        bool valid, parent_based;
        uint64_t bound;
    } all[] = {
        {"always_on", "", true, false, TRACE_RATIO_ONE},
        {"always_off", "", true, false, 0},
        {"parentbased_always_on", "0.5", true, true, TRACE_RATIO_ONE},
        {"parentbased_always_off", "", true, true, 0},
        {"traceidratio", "0.5", true, false, TRACE_RATIO_ONE / 2},
        {"traceidratio", "", true, false, TRACE_RATIO_ONE},
        {"parentbased_traceidratio", "0.25", true, true, TRACE_RATIO_ONE / 4},
        {"traceidratio", "0", true, false, 0},
        {"traceidratio", "1", true, false, TRACE_RATIO_ONE},
        {"traceidratio", "1.0", true, false, TRACE_RATIO_ONE},
        {"traceidratio", ".125", true, false, TRACE_RATIO_ONE / 8},
        {"traceidratio", "0.000000001", true, false, TRACE_RATIO_ONE / 1000000000},
        {"traceidratio", "1.000000001", false, false, 0},
        {"traceidratio", "1.1", false, false, 0},
        {"traceidratio", "2", false, false, 0},
        {"traceidratio", "-0.5", false, false, 0},
        {"traceidratio", "0.", false, false, 0},
        {"traceidratio", ".", false, false, 0},
        {"traceidratio", "0.5x", false, false, 0},
        {"traceidratio", "1e-3", false, false, 0},
        {"traceidratio", "0.0000000001", false, false, 0},
        {"traceidratio", "0,5", false, false, 0},
        {"parentbased_", "", false, false, 0},
        {"", "", false, false, 0},
        {"ALWAYS_ON", "", false, false, 0},
        {"always_on ", "", false, false, 0},
    };

    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
        struct trace_sampler sampler = {.bound = 3};
        bool valid = trace_sampler_parse(
            span_from_cstr(all[i].name), span_from_cstr(all[i].ratio), &sampler);
        if (valid != all[i].valid) {
            fail_msg("%s %s", all[i].name, all[i].ratio);
        }
        assert_int_equal(sampler.bound, valid ? all[i].bound : 3);
        assert_int_equal(sampler.parent_based, all[i].parent_based);
    }
}

static void
sampler_decides_test(void **state)
{
    (void)state;
    struct trace_sampler half = {.bound = TRACE_RATIO_ONE / 2};
    assert_true(trace_sampler_decides(&half, u128_make(~UINT64_C(0), TRACE_RATIO_ONE / 2 - 1)));
    assert_false(trace_sampler_decides(&half, u128_make(0, TRACE_RATIO_ONE / 2)));
    /* The topmost bit of the 64 does not count. */
    assert_true(trace_sampler_decides(&half, u128_make(0, TRACE_RATIO_ONE)));
    struct trace_sampler none = {.bound = 0};
    assert_false(trace_sampler_decides(&none, 0));
    struct trace_sampler all = {.bound = TRACE_RATIO_ONE};
    assert_true(trace_sampler_decides(&all, U128_MAX));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(kept_as_a_tree_test),
        cmocka_unit_test(tail_test),
        cmocka_unit_test(parent_test),
        cmocka_unit_test(not_recorded_test),
        cmocka_unit_test(limits_test),
        cmocka_unit_test(orphan_test),
        cmocka_unit_test(times_never_run_backwards_test),
        cmocka_unit_test(sampler_parse_test),
        cmocka_unit_test(sampler_decides_test),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
