#include "runtime.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void
t_expect_hex(const uint8_t hash[RESOURCE_HASH_SIZE], const char *expected)
{
    char text[2 * RESOURCE_HASH_SIZE + 1];
    resource_hex(hash, text);
    assert_string_equal(text, expected);
}

static void
sha256_is_that_of_fips_180(void **state)
{
    (void)state;
    uint8_t hash[RESOURCE_HASH_SIZE];
    resource_sha256(SPAN("abc"), hash);
    t_expect_hex(hash, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    resource_sha256(SPAN_EMPTY, hash);
    t_expect_hex(hash, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
}

/* Section 4.2 and 4.3. HMAC fills short keys with zeros, so that these are of our size. */
static void
hmac_is_that_of_rfc_4231(void **state)
{
    (void)state;
    uint8_t twenty[RESOURCE_HASH_SIZE] = {0};
    memset(twenty, 0x0b, 20);
    const uint8_t jefe[RESOURCE_HASH_SIZE] = "Jefe";
    uint8_t hash[RESOURCE_HASH_SIZE];
    for (int i = 0; i < 2; i++) { /* one leaves nothing behind for the next */
        resource_hmac(twenty, SPAN("Hi There"), hash);
        t_expect_hex(hash, "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7");
        resource_hmac(jefe, SPAN("what do ya want for nothing?"), hash);
        t_expect_hex(hash, "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sha256_is_that_of_fips_180),
        cmocka_unit_test(hmac_is_that_of_rfc_4231),
    };
    return cmocka_run_group_tests_name("resource crypto", tests, NULL, NULL);
}
