/* What is left of an object when only some of its members are shown. */
#include "testing.h"

#include "shown.h"

static void
assert_shown(const char *object, const struct resource_shown *shown, const char *wanted)
{
    char memory[512];
    struct buf out;
    buf_init_fixed(&out, memory, sizeof(memory) - 1);
    resource_shown_members(span_from_cstr(object), shown, &out);
    assert_false(buf_failed(&out));
    memory[out.size] = '\0';
    assert_string_equal(memory, wanted);
}

static void
test_members(void **state)
{
    static const struct resource_shown both[] = {{.name = "a"}, {.name = "b"}, {.name = NULL}};
    static const struct resource_shown second[] = {{.name = "b"}, {.name = NULL}};
    static const struct resource_shown none[] = {{.name = NULL}};
    (void)state;
    assert_shown("{}", both, "{}");
    assert_shown("{\"a\":1}", both, "{\"a\":1}");
    assert_shown("{\"a\":1}", second, "{}");
    assert_shown("{\"a\":1,\"b\":null,\"c\":true}", both, "{\"a\":1,\"b\":null}");
    assert_shown("{\"c\":-1,\"b\":\"x\"}", both, "{\"b\":\"x\"}");
    assert_shown("{\"a\":1,\"b\":2}", none, "{}");
}

/* What a value looks like inside is not taken for the object's own. */
static void
test_values(void **state)
{
    static const struct resource_shown names[] = {{.name = "b"}, {.name = NULL}};
    (void)state;
    assert_shown(
        "{\"a\":{\"b\":1,\"c\":[{}]},\"b\":{\"a\":[1,{}]}}", names, "{\"b\":{\"a\":[1,{}]}}");
    assert_shown("{\"a\":[],\"b\":[[1,2],\"]\"],\"c\":0}", names, "{\"b\":[[1,2],\"]\"]}");
    assert_shown("{\"a\":\",\\\"b\\\":1}\",\"b\":\"\\\\\"}", names, "{\"b\":\"\\\\\"}");
    assert_shown("{\"a\":\"\\\\\",\"b\":\"{\\\"\",\"c\":\"}\"}", names, "{\"b\":\"{\\\"\"}");
    assert_shown("{\"ab\":1,\"bb\":2}", names, "{}");
}

/* What is shown in part may be anything but an object at other times. */
static void
test_inside(void **state)
{
    static const struct resource_shown card[] = {{.name = "last4"}, {.name = NULL}};
    static const struct resource_shown method[] = {
        {.name = "id"}, {.name = "card", .members = card}, {.name = NULL}};
    static const struct resource_shown error[] = {
        {.name = "code"}, {.name = "method", .members = method}, {.name = NULL}};
    static const struct resource_shown top[] = {
        {.name = "error", .members = error}, {.name = "z"}, {.name = NULL}};
    (void)state;
    assert_shown("{\"error\":null,\"y\":1,\"z\":2}", top, "{\"error\":null,\"z\":2}");
    assert_shown("{\"error\":\"{}\",\"code\":1}", top, "{\"error\":\"{}\"}");
    assert_shown("{\"error\":{},\"z\":1}", top, "{\"error\":{},\"z\":1}");
    assert_shown("{\"error\":{\"z\":1}}", top, "{\"error\":{}}");
    assert_shown(
        "{\"error\":{\"method\":{\"card\":{\"last4\":1,\"id\":2},\"id\":3,\"code\":4},\"code\":5},"
        "\"id\":6,\"z\":{\"card\":7}}",
        top,
        "{\"error\":{\"method\":{\"card\":{\"last4\":1},\"id\":3},\"code\":5},\"z\":{\"card\":7}}");
}

static void
test_limit(void **state)
{
    static const struct resource_shown names[] = {{.name = "a"}, {.name = NULL}};
    char memory[8];
    struct buf out;
    (void)state;
    buf_init_fixed(&out, memory, sizeof(memory));
    resource_shown_members(SPAN("{\"a\":12}"), names, &out);
    assert_false(buf_failed(&out));
    buf_init_fixed(&out, memory, sizeof(memory));
    resource_shown_members(SPAN("{\"a\":123}"), names, &out);
    assert_true(buf_failed(&out));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_members),
        cmocka_unit_test(test_values),
        cmocka_unit_test(test_inside),
        cmocka_unit_test(test_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
