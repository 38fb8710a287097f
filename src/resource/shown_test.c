/* What is left of an object when only some of its members are shown. */
#include "testing.h"

#include "shown.h"

static void
assert_shown(const char *object, const char *const *names, const char *wanted)
{
    char memory[512];
    struct buf out;
    buf_init_fixed(&out, memory, sizeof(memory) - 1);
    resource_shown_members(span_from_cstr(object), names, &out);
    assert_false(buf_failed(&out));
    memory[out.size] = '\0';
    assert_string_equal(memory, wanted);
}

static void
test_members(void **state)
{
    static const char *const both[] = {"a", "b", NULL};
    static const char *const second[] = {"b", NULL};
    static const char *const none[] = {NULL};
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
    static const char *const names[] = {"b", NULL};
    (void)state;
    assert_shown(
        "{\"a\":{\"b\":1,\"c\":[{}]},\"b\":{\"a\":[1,{}]}}", names, "{\"b\":{\"a\":[1,{}]}}");
    assert_shown("{\"a\":[],\"b\":[[1,2],\"]\"],\"c\":0}", names, "{\"b\":[[1,2],\"]\"]}");
    assert_shown("{\"a\":\",\\\"b\\\":1}\",\"b\":\"\\\\\"}", names, "{\"b\":\"\\\\\"}");
    assert_shown("{\"a\":\"\\\\\",\"b\":\"{\\\"\",\"c\":\"}\"}", names, "{\"b\":\"{\\\"\"}");
    assert_shown("{\"ab\":1,\"bb\":2}", names, "{}");
}

static void
test_limit(void **state)
{
    static const char *const names[] = {"a", NULL};
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
        cmocka_unit_test(test_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
