/* What an event says that an update changed. */
#include "testing.h"

#include "changed.h"

static void
assert_changed(const char *before, const char *after, const char *wanted)
{
    char memory[512];
    struct buf out;
    struct arena arena;
    arena_init(&arena, 1 << 16);
    buf_init_fixed(&out, memory, sizeof(memory) - 1);
    assert_int_equal(
        resource_changed_members(&arena, span_from_cstr(before), span_from_cstr(after), &out),
        ERR_OK);
    memory[out.size] = '\0';
    assert_string_equal(memory, wanted);
    arena_release(&arena);
}

static void
test_members(void **state)
{
    (void)state;
    assert_changed("{}", "{}", "{}");
    assert_changed("{\"a\":1,\"b\":\"x\"}", "{\"a\":1,\"b\":\"x\"}", "{}");
    assert_changed("{\"a\":1,\"b\":\"x\"}", "{\"a\":2,\"b\":\"x\"}", "{\"a\":1}");
    assert_changed(
        "{\"a\":null,\"b\":\"x\"}", "{\"a\":\"y\",\"b\":null}", "{\"a\":null,\"b\":\"x\"}");
    assert_changed("{\"a\":[1,2]}", "{\"a\":[1]}", "{\"a\":[1,2]}");
}

static void
test_hashes(void **state)
{
    (void)state;
    assert_changed(
        "{\"m\":{\"k\":\"1\",\"s\":\"=\",\"gone\":\"g\"}}",
        "{\"m\":{\"s\":\"=\",\"k\":\"2\",\"new\":\"n\"}}",
        "{\"m\":{\"k\":\"1\",\"gone\":\"g\",\"new\":null}}");
    assert_changed("{\"m\":null}", "{\"m\":{\"k\":1}}", "{\"m\":null}");
    assert_changed("{\"m\":{\"k\":1}}", "{\"m\":null}", "{\"m\":{\"k\":1}}");
    assert_changed(
        "{\"m\":{\"k\":{\"z\":1}}}", "{\"m\":{\"k\":{\"z\":2}}}", "{\"m\":{\"k\":{\"z\":1}}}");
    /* Names of others may need escapes. */
    assert_changed(
        "{\"m\":{\"\\\"\":\"1\"}}", "{\"m\":{\"\\\"\":\"2\"}}", "{\"m\":{\"\\\"\":\"1\"}}");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_members),
        cmocka_unit_test(test_hashes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
