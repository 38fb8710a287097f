#include "tracecontext/tracecontext.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define T_TRACE "4bf92f3577b34da6a3ce929d0e0e4736"
#define T_SPAN  "00f067aa0ba902b7"

/* Parses a copy of exact size: a sanitizer sees a read behind it. */
static bool
t_parse(const char *text, struct trace_context *ret_context)
{
    size_t size = strlen(text);
    char *copy = malloc(size + (size == 0));
    assert_non_null(copy);
    memcpy(copy, text, size);
    bool valid = tracecontext_parse(span_of(copy, size), ret_context);
    free(copy);
    return valid;
}

/* -------------------------------------------------------------------------------- traceparent */

static void
parent_valid_test(void **state)
{
    (void)state;

    static const struct {
        const char *text;
        uint8_t flags;
    } all[] = {
        {"00-" T_TRACE "-" T_SPAN "-01", TRACE_CONTEXT_SAMPLED},
        {"00-" T_TRACE "-" T_SPAN "-00", 0},
        {"00-" T_TRACE "-" T_SPAN "-02", TRACE_CONTEXT_RANDOM},
        {"00-" T_TRACE "-" T_SPAN "-03", TRACE_CONTEXT_SAMPLED | TRACE_CONTEXT_RANDOM},
        /* Unknown flags are not passed on. */
        {"00-" T_TRACE "-" T_SPAN "-fd", TRACE_CONTEXT_SAMPLED},
        {"00-" T_TRACE "-" T_SPAN "-fe", TRACE_CONTEXT_RANDOM},
        /* Higher versions: the same beginning, then the end or a dash and anything. */
        {"01-" T_TRACE "-" T_SPAN "-01", TRACE_CONTEXT_SAMPLED},
        {"cc-" T_TRACE "-" T_SPAN "-03", TRACE_CONTEXT_SAMPLED},
        {"cc-" T_TRACE "-" T_SPAN "-01-", TRACE_CONTEXT_SAMPLED},
        {"fe-" T_TRACE "-" T_SPAN "-01-what the future=holds", TRACE_CONTEXT_SAMPLED},
    };

    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
        struct trace_context context;
        assert_true(t_parse(all[i].text, &context));
        assert_true(
            context.trace_id == u128_make(UINT64_C(0x4bf92f3577b34da6), 0xa3ce929d0e0e4736U));
        assert_int_equal(context.span_id, UINT64_C(0x00f067aa0ba902b7));
        assert_int_equal(context.flags, all[i].flags);
        assert_null(context.part);
    }
}

static void
parent_invalid_test(void **state)
{
    (void)state;
    static const char *const all[] = {
        "",
        "00",
        "00-" T_TRACE "-" T_SPAN,
        "00-" T_TRACE "-" T_SPAN "-",
        "00-" T_TRACE "-" T_SPAN "-1",
        /* Version 00 ends behind the flags. */
        "00-" T_TRACE "-" T_SPAN "-01-",
        "00-" T_TRACE "-" T_SPAN "-01-extra",
        "00-" T_TRACE "-" T_SPAN "-010",
        /* A higher version needs its dash. */
        "cc-" T_TRACE "-" T_SPAN "-01.what",
        "cc-" T_TRACE "-" T_SPAN "-011",
        "ff-" T_TRACE "-" T_SPAN "-01",
        "ff-" T_TRACE "-" T_SPAN "-01-more",
        /* All zero. */
        "00-00000000000000000000000000000000-" T_SPAN "-01",
        "00-" T_TRACE "-0000000000000000-01",
        /* Upper case. */
        "00-4BF92F3577B34DA6A3CE929D0E0E4736-" T_SPAN "-01",
        "00-" T_TRACE "-00F067AA0BA902B7-01",
        "0A-" T_TRACE "-" T_SPAN "-01",
        "00-" T_TRACE "-" T_SPAN "-0A",
        /* No hex digits, wrong separators, wrong sizes. */
        "0x-" T_TRACE "-" T_SPAN "-01",
        "00-4bf92f3577b34da6a3ce929d0e0e473g-" T_SPAN "-01",
        "00-" T_TRACE "-00f067aa0ba902b -01",
        "00-" T_TRACE "-" T_SPAN "-0.",
        "00_" T_TRACE "-" T_SPAN "-01",
        "00-" T_TRACE "_" T_SPAN "-01",
        "00-" T_TRACE "-" T_SPAN "_01",
        "00-" T_TRACE "0-" T_SPAN "-01",
        " 00-" T_TRACE "-" T_SPAN "-01",
        "00-" T_TRACE "-" T_SPAN "-01 ",
    };
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
        struct trace_context context = {.span_id = 7};
        if (t_parse(all[i], &context)) {
            fail_msg("taken: %s", all[i]);
        }
        assert_int_equal(context.span_id, 7); /* written only on success */
    }
}

static void
parent_format_test(void **state)
{
    (void)state;
    char text[TRACECONTEXT_PARENT_SIZE + 1];
    struct trace_context context = {.trace_id = 1, .span_id = 0xab, .flags = 0xff};
    tracecontext_format(&context, text);
    assert_string_equal(text, "00-00000000000000000000000000000001-00000000000000ab-03");
    assert_true(t_parse("cc-" T_TRACE "-" T_SPAN "-01-more", &context));
    tracecontext_format(&context, text); /* always as version 00 */
    assert_string_equal(text, "00-" T_TRACE "-" T_SPAN "-01");
}

static void
trace_id_test(void **state)
{
    (void)state;
    u128 id = 0;
    char text[TRACECONTEXT_TRACE_ID_SIZE + 1];
    assert_true(tracecontext_trace_id_parse(SPAN(T_TRACE), &id));
    tracecontext_trace_id_format(id, text);
    assert_string_equal(text, T_TRACE);
    assert_false(tracecontext_trace_id_parse(SPAN(T_TRACE "0"), &id));
    assert_false(tracecontext_trace_id_parse(SPAN("4bf92f"), &id));
    assert_false(tracecontext_trace_id_parse(SPAN("00000000000000000000000000000000"), &id));
}

/* --------------------------------------------------------------------------------- tracestate */

static char t_state_text[TRACECONTEXT_STATE_MAX + 1];

/* The list that is passed on, or NULL if there is none that counts. */
static const char *
t_state(const char *one, const char *two)
{
    struct span headers[2] = {span_from_cstr(one), span_from_cstr(two)};
    struct buf out;
    buf_init_fixed(&out, t_state_text, TRACECONTEXT_STATE_MAX);
    if (!tracecontext_state_append(headers, two == NULL ? 1 : 2, &out)) {
        assert_int_equal(out.size, 0);
        return NULL;
    }
    assert_false(buf_failed(&out));
    t_state_text[out.size] = '\0';
    return t_state_text;
}

static void
state_valid_test(void **state)
{
    (void)state;
    assert_string_equal(t_state("rojo=00f067aa0ba902b7", NULL), "rojo=00f067aa0ba902b7");
    assert_string_equal(t_state("a=1,b=2", "c=3"), "a=1,b=2,c=3");
    assert_string_equal(t_state(" a=1 ,\t, b=2,,", NULL), "a=1,b=2");
    assert_string_equal(t_state("", NULL), "");
    assert_string_equal(t_state("a=x y", NULL), "a=x y");
    assert_string_equal(t_state("a=  x", NULL), "a=  x");
    assert_string_equal(t_state("0t@sys=1,a_-*/@9=2", NULL), "0t@sys=1,a_-*/@9=2");
    assert_string_equal(
        t_state("a=!\"#$%&'()*+-./:;<>?@[]^_`{|}~", NULL), "a=!\"#$%&'()*+-./:;<>?@[]^_`{|}~");
}

static void
state_invalid_test(void **state)
{
    (void)state;
    static const char *const all[] = {
        "a",
        "a=",
        "=1",
        "A=1",
        "aB=1",
        "a =1",
        "a=1=2",
        "a=\x7f",
        "a=\x01",
        "a=\xc3\xa9",
        "a.b=1",
        "a=1,a=2",
        "_a=1",
        "@a=1",
        "a=1,b",
    };
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
        if (t_state(all[i], NULL) != NULL) {
            fail_msg("taken: %s", all[i]);
        }
    }
    assert_null(t_state("a=1", "a=1"));
}

/* "k1=1,k2=1,..." */
static const char *
t_many(int count)
{
    static char text[1024];
    size_t size = 0;
    for (int i = 0; i < count; i++) {
        size += (size_t)snprintf(text + size, sizeof(text) - size, "%sk%d=1", i > 0 ? "," : "", i);
    }
    return text;
}

static void
state_count_test(void **state)
{
    (void)state;
    assert_string_equal(t_state(t_many(32), NULL), t_many(32));
    assert_null(t_state(t_many(33), NULL));
}

static char *
t_member(char key, int value_size)
{
    static char texts[4][600];
    static int next;
    char *text = texts[next++ % 4];
    text[0] = key;
    text[1] = '=';
    memset(text + 2, 'x', (size_t)value_size);
    text[2 + value_size] = '\0';
    return text;
}

static void
state_sizes_test(void **state)
{
    (void)state;
    char key[300];
    memset(key, 'k', sizeof(key));
    memcpy(key + 256, "=1", 3);
    assert_non_null(t_state(key, NULL));
    memcpy(key + 257, "=1", 3);
    key[256] = 'k';
    assert_null(t_state(key, NULL));
    assert_non_null(t_state(t_member('a', 256), NULL));
    assert_null(t_state(t_member('a', 257), NULL));
}

static void
state_cut_test(void **state)
{
    (void)state;
    char text[1200];
    /* 254 + 1 + 257 = 512: all of it. */
    (void)snprintf(text, sizeof(text), "%s,%s", t_member('a', 252), t_member('b', 255));
    assert_int_equal(strlen(text), 512);
    assert_string_equal(t_state(text, NULL), text);
    /* One more: the last long one goes, whole. */
    (void)snprintf(text, sizeof(text), "%s,%s", t_member('a', 253), t_member('b', 255));
    assert_int_equal(strlen(t_state(text, NULL)), 255);
    assert_int_equal(t_state_text[0], 'a');
    /* A short one behind it stays. */
    (void)snprintf(text, sizeof(text), "%s,%s,c=1", t_member('a', 250), t_member('b', 256));
    assert_string_equal(t_state(text, NULL) + 252, ",c=1");
    /* Without long ones, the end goes. */
    size_t size = 0;
    for (int i = 0; i < 5; i++) {
        size += (size_t)snprintf(
            text + size,
            sizeof(text) - size,
            "%s%s",
            i > 0 ? "," : "",
            t_member((char)('a' + i), 126));
    }
    assert_int_equal(strlen(t_state(text, NULL)), 3 * 128 + 2);
    assert_non_null(strchr(t_state_text, 'c'));
    assert_null(strchr(t_state_text, 'd'));
}

/* ----------------------------------------------------------------------------------------- b3 */

static void
b3_valid_test(void **state)
{
    (void)state;

    static const struct {
        const char *text;
        enum tracecontext_decision decision;
        bool has_ids;
    } all[] = {
        {T_TRACE "-" T_SPAN, TRACECONTEXT_UNDECIDED, true},
        {T_TRACE "-" T_SPAN "-1", TRACECONTEXT_KEEP, true},
        {T_TRACE "-" T_SPAN "-0", TRACECONTEXT_DROP, true},
        {T_TRACE "-" T_SPAN "-d", TRACECONTEXT_KEEP, true},
        {T_TRACE "-" T_SPAN "-1-05e3ac9a4f6e3b90", TRACECONTEXT_KEEP, true},
        {"a3ce929d0e0e4736-" T_SPAN "-1", TRACECONTEXT_KEEP, true},
        {"0", TRACECONTEXT_DROP, false},
        {"1", TRACECONTEXT_KEEP, false},
        {"d", TRACECONTEXT_KEEP, false},
    };

    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
        struct trace_context context;
        enum tracecontext_decision decision;
        assert_true(tracecontext_parse_b3(span_from_cstr(all[i].text), &context, &decision));
        assert_int_equal(decision, all[i].decision);
        assert_int_equal(trace_context_is_sampled(&context), all[i].decision == TRACECONTEXT_KEEP);
        assert_int_equal(u128_low(context.trace_id), all[i].has_ids ? 0xa3ce929d0e0e4736U : 0);
    }
}

static void
b3_invalid_test(void **state)
{
    (void)state;
    static const char *const all[] = {
        "",
        "2",
        "-",
        "1-",
        T_TRACE,
        T_TRACE "-",
        T_TRACE "-" T_SPAN "-",
        T_TRACE "-" T_SPAN "-x",
        T_TRACE "-" T_SPAN "-1-",
        T_TRACE "-" T_SPAN "-1-05e3ac9a4f6e3b9",
        T_TRACE "-" T_SPAN "-1-05e3ac9a4f6e3b90-1",
        T_TRACE "0-" T_SPAN "-1",
        "4BF92F3577B34DA6A3CE929D0E0E4736-" T_SPAN "-1",
        T_TRACE "-0000000000000000-1",
        "0000000000000000-" T_SPAN "-1",
    };
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
        struct trace_context context;
        enum tracecontext_decision decision;
        if (tracecontext_parse_b3(span_from_cstr(all[i]), &context, &decision)) {
            fail_msg("taken: %s", all[i]);
        }
    }
}

/* -------------------------------------------------------------------------------- all of them */

struct t_header {
    const char *name, *value;
};

static struct tracecontext_incoming
t_extract(const struct t_header *all, size_t count)
{
    struct tracecontext_headers headers = {.parent_count = 0};
    struct tracecontext_incoming incoming;
    for (size_t i = 0; i < count; i++) {
        tracecontext_headers_add(
            &headers, span_from_cstr(all[i].name), span_from_cstr(all[i].value));
    }
    tracecontext_extract(&headers, &incoming);
    return incoming;
}

#define T_EXTRACT(...)                                                                             \
    t_extract(                                                                                     \
        (const struct t_header[]){__VA_ARGS__},                                                    \
        sizeof((const struct t_header[]){__VA_ARGS__}) / sizeof(struct t_header))

static void
extract_w3c_test(void **state)
{
    (void)state;
    struct tracecontext_incoming incoming = T_EXTRACT(
        {"TraceParent", "00-" T_TRACE "-" T_SPAN "-01"}, {"tracestate", "a=1"}, {"b3", "0"});
    assert_int_equal(incoming.context.span_id, UINT64_C(0x00f067aa0ba902b7));
    assert_int_equal(incoming.decision, TRACECONTEXT_KEEP);
    assert_true(incoming.has_state);
    incoming = T_EXTRACT({"traceparent", "00-" T_TRACE "-" T_SPAN "-00"}, {"accept", "*/*"});
    assert_int_equal(incoming.decision, TRACECONTEXT_DROP);
    assert_false(incoming.has_state);
    /* A bad traceparent takes tracestate with it. */
    incoming = T_EXTRACT({"traceparent", "00-x"}, {"tracestate", "a=1"});
    assert_false(trace_context_is_set(&incoming.context));
    assert_int_equal(incoming.decision, TRACECONTEXT_UNDECIDED);
    assert_false(incoming.has_state);
    /* There twice, it is no parent. */
    incoming = T_EXTRACT(
        {"traceparent", "00-" T_TRACE "-" T_SPAN "-01"},
        {"traceparent", "00-" T_TRACE "-" T_SPAN "-01"});
    assert_false(trace_context_is_set(&incoming.context));
}

static void
extract_b3_test(void **state)
{
    (void)state;
    struct tracecontext_incoming incoming =
        T_EXTRACT({"X-B3-TraceId", T_TRACE}, {"X-B3-SpanId", T_SPAN}, {"X-B3-Sampled", "1"});
    assert_int_equal(incoming.context.span_id, UINT64_C(0x00f067aa0ba902b7));
    assert_int_equal(incoming.context.flags, TRACE_CONTEXT_SAMPLED);
    assert_int_equal(incoming.decision, TRACECONTEXT_KEEP);
    /* The single header wins. */
    incoming = T_EXTRACT(
        {"X-B3-TraceId", T_TRACE},
        {"X-B3-SpanId", T_SPAN},
        {"X-B3-Sampled", "1"},
        {"b3", "a3ce929d0e0e4736-" T_SPAN "-0"});
    assert_int_equal(u128_high(incoming.context.trace_id), 0);
    assert_int_equal(incoming.decision, TRACECONTEXT_DROP);
    /* Debug is more than sampled, and counts without ids. */
    incoming = T_EXTRACT({"X-B3-Flags", "1"}, {"X-B3-Sampled", "0"});
    assert_false(trace_context_is_set(&incoming.context));
    assert_int_equal(incoming.decision, TRACECONTEXT_KEEP);
    incoming = T_EXTRACT({"X-B3-Sampled", "false"});
    assert_int_equal(incoming.decision, TRACECONTEXT_DROP);
    incoming = T_EXTRACT({"X-B3-TraceId", T_TRACE});
    assert_false(trace_context_is_set(&incoming.context));
}

static void
extract_many_states_test(void **state)
{
    (void)state;
    struct tracecontext_headers headers = {.parent_count = 0};
    struct tracecontext_incoming incoming;
    tracecontext_headers_add(&headers, SPAN("traceparent"), SPAN("00-" T_TRACE "-" T_SPAN "-01"));
    for (int i = 0; i <= TRACECONTEXT_MEMBERS_MAX; i++) {
        tracecontext_headers_add(&headers, SPAN("tracestate"), SPAN(""));
        tracecontext_extract(&headers, &incoming);
        assert_int_equal(incoming.has_state, i < TRACECONTEXT_MEMBERS_MAX);
        assert_true(trace_context_is_set(&incoming.context));
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parent_valid_test),
        cmocka_unit_test(parent_invalid_test),
        cmocka_unit_test(parent_format_test),
        cmocka_unit_test(trace_id_test),
        cmocka_unit_test(state_valid_test),
        cmocka_unit_test(state_invalid_test),
        cmocka_unit_test(state_count_test),
        cmocka_unit_test(state_sizes_test),
        cmocka_unit_test(state_cut_test),
        cmocka_unit_test(b3_valid_test),
        cmocka_unit_test(b3_invalid_test),
        cmocka_unit_test(extract_w3c_test),
        cmocka_unit_test(extract_b3_test),
        cmocka_unit_test(extract_many_states_test),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
