#include "base/hash.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/* Computed with CPython 3.11, whose hash of bytes is SipHash-1-3; the texts are 0, 1, 2, ... */
static const struct {
    uint64_t k0, k1;
    size_t size;
    uint64_t hash;
} t_known[] = {
    {UINT64_C(0x0000000000000000), UINT64_C(0x0000000000000000), 1, UINT64_C(0x68a914128e01e473)},
    {UINT64_C(0x0000000000000000), UINT64_C(0x0000000000000000), 7, UINT64_C(0x2f098ab0c751325a)},
    {UINT64_C(0x0000000000000000), UINT64_C(0x0000000000000000), 8, UINT64_C(0xead411e67ebe2eea)},
    {UINT64_C(0x0000000000000000), UINT64_C(0x0000000000000000), 9, UINT64_C(0x75927f9d95124362)},
    {UINT64_C(0x0000000000000000), UINT64_C(0x0000000000000000), 15, UINT64_C(0xf30eb725bb91c9ea)},
    {UINT64_C(0x0000000000000000), UINT64_C(0x0000000000000000), 16, UINT64_C(0x8972188433a5c5b7)},
    {UINT64_C(0x0000000000000000), UINT64_C(0x0000000000000000), 63, UINT64_C(0x385d3e39e5f37359)},
    {UINT64_C(0xdc504fd368cd90af), UINT64_C(0xb920bb9ffe99e9c1), 1, UINT64_C(0xce880c366bcf3489)},
    {UINT64_C(0xdc504fd368cd90af), UINT64_C(0xb920bb9ffe99e9c1), 7, UINT64_C(0xce280fabc397fbda)},
    {UINT64_C(0xdc504fd368cd90af), UINT64_C(0xb920bb9ffe99e9c1), 8, UINT64_C(0x60866c3c108c6afb)},
    {UINT64_C(0xdc504fd368cd90af), UINT64_C(0xb920bb9ffe99e9c1), 9, UINT64_C(0x68814005f7469e03)},
    {UINT64_C(0xdc504fd368cd90af), UINT64_C(0xb920bb9ffe99e9c1), 15, UINT64_C(0x94ace24d68c18cf8)},
    {UINT64_C(0xdc504fd368cd90af), UINT64_C(0xb920bb9ffe99e9c1), 16, UINT64_C(0x339176f3ac59ce05)},
    {UINT64_C(0xdc504fd368cd90af), UINT64_C(0xb920bb9ffe99e9c1), 63, UINT64_C(0x06e24d6f0d014c37)},
};

static void
t_siphash_1_3(void **state)
{
    (void)state;
    char text[64];
    for (size_t i = 0; i < sizeof(text); i++) {
        text[i] = (char)i;
    }
    for (size_t i = 0; i < sizeof(t_known) / sizeof(t_known[0]); i++) {
        struct hash_key key = {t_known[i].k0, t_known[i].k1};
        assert_true(hash_keyed(key, span_of(text, t_known[i].size)) == t_known[i].hash);
        if (t_known[i].size == sizeof(unsigned __int128)) {
            unsigned __int128 value = 0;
            for (size_t byte = sizeof(value); byte-- > 0;) {
                value = value << 8 | byte;
            }
            assert_true(hash_keyed_u128(key, value) == t_known[i].hash);
        }
    }
}

static void
t_empty_and_key(void **state)
{
    (void)state;
    struct hash_key a = {1, 2};
    struct hash_key b = {1, 3};
    assert_true(hash_keyed(a, SPAN_EMPTY) == hash_keyed(a, SPAN("")));
    assert_true(hash_keyed(a, SPAN("")) != hash_keyed(b, SPAN("")));
    assert_true(hash_keyed(a, SPAN("\0")) != hash_keyed(a, SPAN("")));
}

/* Every step of the mixer can be undone, so equal results would need equal inputs. */
static void
t_mixers(void **state)
{
    (void)state;
    uint64_t low_bits[16] = {0};
    for (uint64_t i = 0; i < 1600; i++) {
        low_bits[hash_u64(i << 32) % 16]++;
    }
    for (size_t i = 0; i < 16; i++) {
        assert_in_range(low_bits[i], 50, 150);
    }
    assert_true(hash_u128(1) != hash_u128((unsigned __int128)1 << 64));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(t_siphash_1_3),
        cmocka_unit_test(t_empty_and_key),
        cmocka_unit_test(t_mixers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
