#include "trace/exposition.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

struct page {
    char memory[1024];
    struct buf out;
};

static struct buf *
t_begin(struct page *page)
{
    buf_init_fixed(&page->out, page->memory, sizeof(page->memory));
    return &page->out;
}

static void
t_is(struct page *page, const char *expected)
{
    buf_append_byte(&page->out, '\0');
    assert_string_equal(page->memory, expected);
}

static void
a_family_is_its_head_and_its_series(void **state)
{
    (void)state;
    struct page page;
    struct buf *out = t_begin(&page);
    trace_exposition_head(out, "tael_ready", "gauge", "1 if it can work.");
    trace_exposition_value(out, "tael_ready", TRACE_LABELS("shard", "s1"), 1);
    trace_exposition_value(out, "tael_ready", TRACE_LABELS("shard", "s2", "by", ""), 0);
    trace_exposition_single(out, "tael_done_total", "counter", "All.", UINT64_MAX);
    t_is(
        &page,
        "# HELP tael_ready 1 if it can work.\n"
        "# TYPE tael_ready gauge\n"
        "tael_ready{shard=\"s1\"} 1\n"
        "tael_ready{shard=\"s2\",by=\"\"} 0\n"
        "# HELP tael_done_total All.\n"
        "# TYPE tael_done_total counter\n"
        "tael_done_total 18446744073709551615\n");
}

static void
values_of_labels_are_escaped(void **state)
{
    (void)state;
    struct page page;
    struct buf *out = t_begin(&page);
    trace_exposition_value(out, "t", TRACE_LABELS("a", "\"\\\n", "b", "} 7 #\xc3\xa9"), 1);
    t_is(&page, "t{a=\"\\\"\\\\\\n\",b=\"} 7 #\xc3\xa9\"} 1\n");
}

static void
help_is_escaped_but_for_its_quotes(void **state)
{
    (void)state;
    struct page page;
    trace_exposition_head(t_begin(&page), "t", "gauge", "a \"b\" \\ c\nd");
    t_is(&page, "# HELP t a \"b\" \\\\ c\\nd\n# TYPE t gauge\n");
}

static void
nanoseconds_are_shown_as_seconds(void **state)
{
    (void)state;
    struct page page;
    struct buf *out = t_begin(&page);
    trace_exposition_seconds(out, "t", TRACE_NO_LABELS, 0);
    trace_exposition_seconds(out, "t", TRACE_NO_LABELS, 1);
    trace_exposition_seconds(out, "t", TRACE_NO_LABELS, 1500000000);
    trace_exposition_seconds(out, "t", TRACE_LABELS("loop", "net"), UINT64_C(7000000000));
    t_is(&page, "t 0\nt 0.000000001\nt 1.5\nt{loop=\"net\"} 7\n");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_family_is_its_head_and_its_series),
        cmocka_unit_test(values_of_labels_are_escaped),
        cmocka_unit_test(help_is_escaped_but_for_its_quotes),
        cmocka_unit_test(nanoseconds_are_shown_as_seconds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
