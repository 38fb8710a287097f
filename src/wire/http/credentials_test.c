#include "http/credentials.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static err_t
t_read(const char *value, struct span *ret_secret)
{
    static char memory[64];
    *ret_secret = SPAN("untouched");
    return http_credentials_read(span_from_cstr(value), memory, sizeof(memory), ret_secret);
}

static void
t_reads(const char *value, const char *secret)
{
    struct span found;
    assert_int_equal(t_read(value, &found), ERR_OK);
    assert_true(span_equal_cstr(found, secret));
}

static void
t_refuses(const char *value)
{
    struct span found;
    assert_int_equal(t_read(value, &found), ERR_INVALID);
    assert_true(span_equal_cstr(found, "untouched"));
}

static void
test_none(void **state)
{
    (void)state;
    t_reads("", "");
}

static void
test_bearer(void **state)
{
    (void)state;
    t_reads("Bearer sk_test_1", "sk_test_1");
    t_reads("bearer   sk_test_1", "sk_test_1");
    t_refuses("Bearer");
    t_refuses("Bearer ");
    t_refuses("Bearer sk_test_1 sk_test_2");
}

static void
test_basic(void **state)
{
    (void)state;
    t_reads("Basic c2tfdGVzdF8xOg==", "sk_test_1"); /* sk_test_1: */
    t_reads("BASIC c2tfdGVzdF8xOg==", "sk_test_1");
    t_reads("Basic c2tfdGVzdF8xOg", "sk_test_1"); /* without padding */
    t_reads("Basic Og==", "");                    /* : alone is no key */
    t_reads("Basic Pz8/fn5+Og==", "???~~~");      /* + and / are digits */
}

static void
test_basic_wrong(void **state)
{
    (void)state;
    t_refuses("Basic c2tfdGVzdF8x");      /* sk_test_1 without a colon */
    t_refuses("Basic c2tfdGVzdF8xOnB3");  /* with a password */
    t_refuses("Basic c2tfdGVzdF8xOjo=");  /* with the password ":" */
    t_refuses("Basic c2tfdGVzdF8xO");     /* cut: five characters are no bytes */
    t_refuses("Basic c2tf-dGVzdF8xOg=="); /* a digit of another alphabet */
    t_refuses("Basic c2tf=dGVzdF8xOg=="); /* padding inside */
    t_refuses("Basic c2tf dGVzdF8xOg=="); /* two words */
    t_refuses("Basic ====");              /* nothing but padding */
}

static void
test_other_schemes(void **state)
{
    (void)state;
    t_refuses("Digest username=x");
    t_refuses("sk_test_1");
    t_refuses("Bearersk_test_1");
}

static void
test_room(void **state)
{
    (void)state;
    char memory[10];
    struct span found;
    assert_int_equal(
        http_credentials_read(SPAN("Basic c2tfdGVzdF8xOg=="), memory, 10, &found), ERR_OK);
    assert_int_equal(
        http_credentials_read(SPAN("Basic c2tfdGVzdF8xOg=="), memory, 9, &found), ERR_FULL);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_none),
        cmocka_unit_test(test_bearer),
        cmocka_unit_test(test_basic),
        cmocka_unit_test(test_basic_wrong),
        cmocka_unit_test(test_other_schemes),
        cmocka_unit_test(test_room),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
