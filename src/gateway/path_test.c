#include "path.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void
t_becomes(const char *path, const char *expected)
{
    char out[64];
    struct span result;
    assert_int_equal(gateway_path_normalize(span_from_cstr(path), out, &result), ERR_OK);
    assert_true(span_equal_cstr(result, expected));
    /* Normalising again changes nothing: there is one reading. */
    char again[64];
    struct span same;
    assert_int_equal(gateway_path_normalize(result, again, &same), ERR_OK);
    assert_true(span_equal(same, result));
}

static void
t_one_reading(void **state)
{
    (void)state;
    t_becomes("/", "/");
    t_becomes("/v1/charges", "/v1/charges");
    t_becomes("/v1/charges/", "/v1/charges/");
    t_becomes("/v1/%63harges", "/v1/charges");
    t_becomes("/v1/%7euser/%3a%3F", "/v1/~user/%3A%3F");
    t_becomes("/a%20b", "/a%20b");
    t_becomes("/a..b/.c/...", "/a..b/.c/...");
}

static void
t_refused(void **state)
{
    (void)state;
    static const char *const paths[] = {
        "",          "v1",         "//",          "/v1//a",      "/v1/./a", "/v1/../a", "/v1/..",
        "/v1/%2e",   "/%2E%2e/",   "/.%2e",       "/v1%2fa",     "/v1/%2F", "/v1\\a",   "/v1/%5c",
        "/v1/..;/a", "/v1/.;a",    "/v1/..%3b/a", "/v1/%2e%2e;", "/v1/%00", "/v1/%",    "/v1/%4",
        "/v1/%zz",   "/v1/%0d%0a", "/v1/%7f",     "/v1/%09",     "/v1/a//",
    };
    for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
        char out[64];
        struct span result;
        assert_int_equal(
            gateway_path_normalize(span_from_cstr(paths[i]), out, &result), ERR_INVALID);
    }
}

static void
t_below(void **state)
{
    (void)state;
    assert_true(gateway_path_is_below(SPAN("/v1"), SPAN("/v1")));
    assert_true(gateway_path_is_below(SPAN("/v1/a"), SPAN("/v1")));
    assert_true(gateway_path_is_below(SPAN("/v1/a"), SPAN("/v1/")));
    assert_true(gateway_path_is_below(SPAN("/anything"), SPAN("/")));
    assert_false(gateway_path_is_below(SPAN("/v1x"), SPAN("/v1")));
    assert_false(gateway_path_is_below(SPAN("/v1"), SPAN("/v1/")));
    assert_false(gateway_path_is_below(SPAN("/v"), SPAN("/v1")));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(t_one_reading),
        cmocka_unit_test(t_refused),
        cmocka_unit_test(t_below),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
