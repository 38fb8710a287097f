#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "runtime.h"

#include <string.h>

static void
t_expect_hmac(const char *key_text, size_t key_size, struct span text, const char *expected)
{
    uint8_t key[RESOURCE_HASH_SIZE] = {0};
    uint8_t hash[RESOURCE_HASH_SIZE];
    char hex[2 * RESOURCE_HASH_SIZE + 1];
    memcpy(key, key_text, key_size);
    resource_hmac(key, text, hash);
    resource_hex(hash, hex);
    assert_string_equal(hex, expected);
}

/* RFC 4231, sections 4.2 and 4.3; a key that is filled up with zeros is the same key. */
static void
hmac_is_the_standards(void **state)
{
    (void)state;
    t_expect_hmac(
        "\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b",
        20,
        SPAN("Hi There"),
        "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7");
    t_expect_hmac(
        "Jefe",
        4,
        SPAN("what do ya want for nothing?"),
        "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(hmac_is_the_standards)};
    return cmocka_run_group_tests_name("resource crypto", tests, NULL, NULL);
}
