#include "key.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static err_t
t_read(const char *value, struct gateway_key *ret_key)
{
    static char memory[GATEWAY_KEY_SIZE_MAX + 1];
    return gateway_key_read(span_from_cstr(value), memory, ret_key);
}

static void
t_kinds(void **state)
{
    (void)state;
    struct gateway_key key;
    assert_int_equal(t_read("Bearer sk_test_abcdEFGH1234", &key), ERR_OK);
    assert_int_equal(key.kind, GATEWAY_KEY_SECRET);
    assert_false(key.live);
    assert_int_equal(t_read("bearer  pk_live_abcdEFGH1234", &key), ERR_OK);
    assert_int_equal(key.kind, GATEWAY_KEY_PUBLISHABLE);
    assert_true(key.live);
    assert_int_equal(t_read("Basic c2tfdGVzdF9hYmNkRUZHSDEyMzQ6", &key), ERR_OK);
    assert_true(span_equal_cstr(key.text, "sk_test_abcdEFGH1234"));
    assert_int_equal(t_read("", &key), ERR_OK);
    assert_int_equal(key.kind, GATEWAY_KEY_NONE);
}

static void
t_refused(void **state)
{
    (void)state;
    static const char *const values[] = {
        "Bearer",
        "Bearer ",
        "Bearer sk_test_",
        "Bearer sk_test_short",
        "Bearer xk_test_abcdEFGH1234",
        "Bearer sk_prod_abcdEFGH1234",
        "Bearer SK_TEST_abcdEFGH1234",
        "Bearer sk_test_abcd EFGH1234",
        "Bearer sk_test_abcdEFGH123\xc3\xa4",
        "Digest sk_test_abcdEFGH1234",
        "sk_test_abcdEFGH1234",
        "Basic !!!!",
        "Basic c2tfdGVzdF9hYmNkRUZHSDEyMzQ6eA==", /* a password */
        "Basic c2tfdGVzdF9hYmNkRUZHSDEyMzQ=",     /* no colon */
    };
    for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
        struct gateway_key key;
        assert_int_equal(t_read(values[i], &key), ERR_INVALID);
    }
    char long_value[400];
    memset(long_value, 'a', sizeof(long_value));
    memcpy(long_value, "Bearer sk_test_", 15);
    long_value[7 + GATEWAY_KEY_SIZE_MAX] = '\0';
    struct gateway_key key;
    assert_int_equal(t_read(long_value, &key), ERR_OK);
    memcpy(long_value + 7 + GATEWAY_KEY_SIZE_MAX, "a", 2);
    assert_int_equal(t_read(long_value, &key), ERR_INVALID);
}

static void
t_shown(void **state)
{
    (void)state;
    char out[GATEWAY_KEY_SHOWN_SIZE];
    struct gateway_key key;
    assert_int_equal(t_read("Bearer sk_test_abcdEFGH1234", &key), ERR_OK);
    assert_true(span_equal_cstr(gateway_key_show(&key, out), "sk_test_...1234"));
    key.kind = GATEWAY_KEY_NONE;
    assert_int_equal(gateway_key_show(&key, out).size, 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(t_kinds),
        cmocka_unit_test(t_refused),
        cmocka_unit_test(t_shown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
