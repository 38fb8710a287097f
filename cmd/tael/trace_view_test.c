#include "trace_view.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static struct arena arena;
static struct buf out;

static err_t
t_view(const char *text)
{
    struct json_value *root;
    struct json_problem problem;
    arena_init(&arena, 8 << 20);
    buf_init(&out, 1 << 20);
    assert_int_equal(json_read(span_from_cstr(text), &arena, 100000, &root, &problem), ERR_OK);
    err_t result = trace_view_append(root, &out, false);
    buf_append_byte(&out, '\0');
    assert_false(buf_failed(&out));
    return result;
}

static void
t_end(void)
{
    arena_release(&arena);
    buf_release(&out);
}

static void
tree_test(void **state)
{
    (void)state;
    /* In no order; "b" starts with "a" and is shorter; "x" has a parent that is not there. */
    assert_int_equal(
        t_view("[{\"id\":\"c\",\"parentId\":\"b\",\"name\":\"leaf\",\"timestamp\":1500,"
               "\"duration\":1000,\"tags\":{\"error\":\"true\",\"error.type\":\"timeout\"}},"
               "{\"id\":\"b\",\"parentId\":\"a\",\"name\":\"inner\",\"timestamp\":1000,"
               "\"duration\":2000},"
               "{\"id\":\"a\",\"name\":\"root\",\"timestamp\":1000,\"duration\":24000,"
               "\"tags\":{\"http.response.status_code\":\"200\"}},"
               "{\"id\":\"x\",\"parentId\":\"?\",\"name\":\"other\",\"timestamp\":20000}]"),
        ERR_OK);
    assert_string_equal(
        out.data,
        "AFTER MS  TOOK MS                            SPAN\n"
        "   0.000   24.000  ========================  root      200\n"
        "   0.000    2.000  ==                          inner\n"
        "   0.500    1.000  =                             leaf  timeout\n"
        "  19.000    0.000                     =      other\n");
    t_end();
}

static void
invalid_test(void **state)
{
    (void)state;
    static const char *const all[] = {
        "{}",
        "[{}]",
        "[1]",
        "[{\"id\":\"a\"}]",
        "[{\"id\":\"a\",\"timestamp\":-1}]",
        "[{\"id\":1,\"timestamp\":1}]"};
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
        assert_int_equal(t_view(all[i]), ERR_INVALID);
        t_end();
    }
}

/* Spans that are their own ancestors, or there twice, end. */
static void
circle_test(void **state)
{
    (void)state;
    assert_int_equal(
        t_view("[{\"id\":\"a\",\"parentId\":\"b\",\"name\":\"a\",\"timestamp\":1},"
               "{\"id\":\"b\",\"parentId\":\"a\",\"name\":\"b\",\"timestamp\":2}]"),
        ERR_OK);
    t_end();
    assert_int_equal(
        t_view("[{\"id\":\"a\",\"name\":\"a\",\"timestamp\":1},"
               "{\"id\":\"a\",\"parentId\":\"a\",\"name\":\"b\",\"timestamp\":2}]"),
        ERR_OK);
    t_end();
    assert_int_equal(t_view("[]"), ERR_OK);
    t_end();
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tree_test),
        cmocka_unit_test(invalid_test),
        cmocka_unit_test(circle_test),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
