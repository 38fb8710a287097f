/* Every text is read again by another parser. */
#include "encode.h"
#include "recent.h"
#include "testing.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <jansson.h>

static struct t_parts t;
static struct buf out;

static int
setup(void **state)
{
    (void)state;
    t_parts_open(&t);
    buf_init(&out, 1 << 20);
    return 0;
}

static int
teardown(void **state)
{
    (void)state;
    buf_release(&out);
    t_parts_close(&t);
    return 0;
}

static json_t *
t_read(void)
{
    json_error_t error;
    assert_false(buf_failed(&out));
    json_t *root = json_loadb(out.data, out.size, JSON_REJECT_DUPLICATES, &error);
    if (root == NULL) {
        fail_msg("%s: %.*s", error.text, (int)out.size, out.data);
    }
    return root;
}

static const char *
t_text(const json_t *object, const char *name)
{
    const char *text = json_string_value(json_object_get(object, name));
    assert_non_null(text);
    return text;
}

/* A request that called something, which failed. */
static const struct trace_part *
t_part(void)
{
    struct trace_span root;
    const struct trace_root how = {
        .kind = TRACE_SERVER,
        .name = "root",
        .random = u128_make(0xabc, 0xdef),
        .parent = {.trace_id = u128_make(0x10, 0x20), .span_id = 0x30, .flags = 3},
        .decision = TRACECONTEXT_KEEP,
        .state = SPAN("vendor=1"),
        .link = {.trace_id = 0x77, .span_id = 0x88},
    };
    trace_root_start(t.recorder, &how, &root);
    trace_span_set_name(&root, "POST", "/v1/Things");
    trace_span_text(&root, "text", SPAN("a \"quoted\" \x01 text, 4242 4242 4242 4242"));
    trace_span_number(&root, "number", -7);
    trace_span_number(&root, "number", 8); /* a tag's name comes once */
    struct trace_span child;
    t.now_ns += 1500;
    trace_span_start(&root.context, TRACE_CLIENT, "child", &child);
    trace_span_fail(&child, "timeout");
    t.now_ns += 2000000;
    trace_span_end(&child);
    for (int i = 0; i < TRACE_RECORDS_MAX; i++) {
        trace_span_add(&root.context, "inner", t.now_ns, t.now_ns);
    }
    trace_span_end(&root);
    assert_int_equal(t.kept_count, 1);
    return t.kept[0];
}

static void
zipkin_test(void **state)
{
    (void)state;
    const struct trace_part *part = t_part();
    buf_append_byte(&out, '[');
    traces_zipkin_append(&out, part, "Tael");
    buf_append_byte(&out, ']');
    json_t *all = t_read();
    assert_int_equal(json_array_size(all), TRACE_RECORDS_MAX);
    const json_t *root = json_array_get(all, 0);
    assert_string_equal(t_text(root, "traceId"), "00000000000000100000000000000020");
    assert_string_equal(t_text(root, "parentId"), "0000000000000030");
    assert_string_equal(t_text(root, "name"), "post /v1/things");
    assert_string_equal(t_text(root, "kind"), "SERVER");
    assert_string_equal(t_text(json_object_get(root, "localEndpoint"), "serviceName"), "tael");
    assert_int_equal(
        json_integer_value(json_object_get(root, "timestamp")), INT64_C(1700000000005000));
    assert_int_equal(json_integer_value(json_object_get(root, "duration")), 2001);
    const json_t *tags = json_object_get(root, "tags");
    assert_string_equal(t_text(tags, "number"), "-7");
    assert_string_equal(t_text(tags, "text"), "a \"quoted\" \x01 text, 424242******4242");
    assert_string_equal(t_text(tags, "link.trace_id"), "00000000000000000000000000000077");
    assert_string_equal(t_text(tags, "link.span_id"), "0000000000000088");
    assert_string_equal(t_text(tags, "tael.spans.lost"), "2");
    assert_null(json_object_get(tags, "error"));
    const json_t *child = json_array_get(all, 1);
    assert_string_equal(t_text(child, "parentId"), t_text(root, "id"));
    assert_string_equal(t_text(child, "kind"), "CLIENT");
    assert_int_equal(
        json_integer_value(json_object_get(child, "timestamp")), INT64_C(1700000000005001));
    assert_int_equal(json_integer_value(json_object_get(child, "duration")), 2000);
    assert_string_equal(t_text(json_object_get(child, "tags"), "error.type"), "timeout");
    assert_string_equal(t_text(json_object_get(child, "tags"), "error"), "true");
    const json_t *inner = json_array_get(all, 2);
    assert_null(json_object_get(inner, "kind"));
    /* Zero would mean that it is not known. */
    assert_int_equal(json_integer_value(json_object_get(inner, "duration")), 1);
    json_decref(all);
}

static void
otlp_test(void **state)
{
    (void)state;
    const struct trace_part *part = t_part();
    traces_otlp_begin(&out, "Ta\"el", "1.2", "me");
    traces_otlp_append(&out, part);
    traces_otlp_end(&out);
    json_t *all = t_read();
    const json_t *resource = json_array_get(json_object_get(all, "resourceSpans"), 0);
    const json_t *attributes = json_object_get(json_object_get(resource, "resource"), "attributes");
    assert_int_equal(json_array_size(attributes), 3);
    const json_t *service = json_array_get(attributes, 0);
    assert_string_equal(t_text(service, "key"), "service.name");
    assert_string_equal(t_text(json_object_get(service, "value"), "stringValue"), "Ta\"el");
    const json_t *scope = json_array_get(json_object_get(resource, "scopeSpans"), 0);
    const json_t *spans = json_object_get(scope, "spans");
    assert_int_equal(json_array_size(spans), TRACE_RECORDS_MAX);
    const json_t *root = json_array_get(spans, 0);
    assert_string_equal(t_text(root, "name"), "POST /v1/Things");
    assert_string_equal(t_text(root, "traceState"), "vendor=1");
    assert_string_equal(t_text(root, "parentSpanId"), "0000000000000030");
    assert_int_equal(json_integer_value(json_object_get(root, "kind")), 2);
    assert_string_equal(t_text(root, "startTimeUnixNano"), "1700000000005000000");
    assert_string_equal(t_text(root, "endTimeUnixNano"), "1700000000007001500");
    const json_t *link = json_array_get(json_object_get(root, "links"), 0);
    assert_string_equal(t_text(link, "traceId"), "00000000000000000000000000000077");
    const json_t *number = json_array_get(json_object_get(root, "attributes"), 1);
    assert_string_equal(t_text(number, "key"), "number");
    assert_string_equal(t_text(json_object_get(number, "value"), "intValue"), "-7");
    assert_null(json_object_get(root, "status"));
    const json_t *child = json_array_get(spans, 1);
    assert_int_equal(json_integer_value(json_object_get(child, "kind")), 3);
    assert_int_equal(
        json_integer_value(json_object_get(json_object_get(child, "status"), "code")), 2);
    json_decref(all);
}

static void
rejected_test(void **state)
{
    (void)state;
    assert_int_equal(traces_otlp_rejected(SPAN("{}")), 0);
    assert_int_equal(
        traces_otlp_rejected(SPAN("{\"partialSuccess\":{\"rejectedSpans\":\"3\"}}")), 3);
    assert_int_equal(traces_otlp_rejected(SPAN("{\"partialSuccess\":{\"rejectedSpans\":4}}")), 4);
    assert_int_equal(traces_otlp_rejected(SPAN("{\"partialSuccess\":{}}")), 0);
    assert_int_equal(
        traces_otlp_rejected(SPAN("{\"partialSuccess\":{\"rejectedSpans\":\"-1\"}}")), 0);
    assert_int_equal(traces_otlp_rejected(SPAN("<html>")), 0);
    assert_int_equal(traces_otlp_rejected(SPAN("")), 0);
}

/* ------------------------------------------------------------------------------------- recent */

static size_t
t_find(const struct traces_recent *recent, const char *key, const char *value, uint32_t limit)
{
    buf_clear(&out);
    traces_recent_find(recent, span_from_cstr(key), span_from_cstr(value), limit, "tael", &out);
    json_t *all = t_read();
    size_t count = json_array_size(all);
    json_decref(all);
    return count;
}

static void
recent_test(void **state)
{
    (void)state;
    struct traces_recent recent;
    assert_int_equal(traces_recent_init(&recent, 2), ERR_OK);
    for (int i = 0; i < 3; i++) {
        struct trace_span root = t_root(&t, "root");
        trace_span_number(&root, "n", i);
        trace_span_text(&root, "t", i == 2 ? SPAN("last") : SPAN("other"));
        trace_span_label(&root, "l", "label");
        trace_span_end(&root);
        traces_recent_add(&recent, t.kept[i]);
        t.kept[i] = NULL;
    }
    /* The first one has made room. */
    assert_int_equal(recent.count, 2);
    assert_int_equal(t_find(&recent, "", "", 10), 2);
    assert_int_equal(t_find(&recent, "", "", 1), 1);
    assert_int_equal(t_find(&recent, "n", "0", 10), 0);
    assert_int_equal(t_find(&recent, "n", "1", 10), 1);
    assert_int_equal(t_find(&recent, "n", "x", 10), 0);
    assert_int_equal(t_find(&recent, "t", "last", 10), 1);
    assert_int_equal(t_find(&recent, "t", "las", 10), 0);
    assert_int_equal(t_find(&recent, "l", "label", 10), 2);
    assert_int_equal(t_find(&recent, "none", "label", 10), 0);
    buf_clear(&out);
    assert_false(traces_recent_trace(&recent, 0x1000, "tael", &out));
    buf_clear(&out);
    assert_true(traces_recent_trace(&recent, 0x1001, "tael", &out));
    json_t *all = t_read();
    assert_int_equal(json_array_size(all), 1);
    json_decref(all);
    traces_recent_release(&recent);
    assert_int_equal(traces_recent_init(&recent, 0), ERR_OK);
    struct trace_span root = t_root(&t, "root");
    trace_span_end(&root);
    traces_recent_add(&recent, t.kept[3]); /* given back at once */
    t.kept[3] = NULL;
    assert_int_equal(t_find(&recent, "", "", 10), 0);
    traces_recent_release(&recent);
}

/* Two parts of one trace are shown as one trace. */
static void
recent_parts_test(void **state)
{
    (void)state;
    struct traces_recent recent;
    assert_int_equal(traces_recent_init(&recent, 4), ERR_OK);
    for (int i = 0; i < 2; i++) {
        struct trace_span root;
        const struct trace_root how = {
            .name = "root",
            .random = (u128)i + 1,
            .parent = {.trace_id = 9, .span_id = 9},
            .decision = TRACECONTEXT_KEEP,
        };
        trace_root_start(t.recorder, &how, &root);
        trace_span_label(&root, "l", "label");
        trace_span_end(&root);
        traces_recent_add(&recent, t.kept[i]);
        t.kept[i] = NULL;
    }
    assert_int_equal(t_find(&recent, "l", "label", 10), 1);
    json_t *all = t_read();
    assert_int_equal(json_array_size(json_array_get(all, 0)), 2);
    json_decref(all);
    traces_recent_release(&recent);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(zipkin_test, setup, teardown),
        cmocka_unit_test_setup_teardown(otlp_test, setup, teardown),
        cmocka_unit_test(rejected_test),
        cmocka_unit_test_setup_teardown(recent_test, setup, teardown),
        cmocka_unit_test_setup_teardown(recent_parts_test, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
