/* Slots: vectors from others, tags, and ids that are put into a slot. */
#include "shard/shard.h"

#include "os/prng.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* The check value of CRC-16/XMODEM, and what Redis' CLUSTER KEYSLOT answers. */
static void
test_vectors(void **state)
{
    (void)state;
    assert_int_equal(shard_crc16(SPAN("123456789")), 0x31c3);
    assert_int_equal(shard_crc16(SPAN_EMPTY), 0);
    assert_int_equal(shard_slot(SPAN("foo")), 12182);
    assert_int_equal(shard_slot(SPAN("bar")), 5061);
    assert_int_equal(shard_slot(SPAN("somekey")), 11058);
    assert_int_equal(shard_slot(SPAN("foo{hash_tag}")), 2515);
    assert_int_equal(shard_slot(SPAN("hash_tag")), 2515);
}

/* The examples of the Redis Cluster specification, "Hash tags". */
static void
test_tags(void **state)
{
    (void)state;
    assert_int_equal(
        shard_slot(SPAN("{user1000}.following")), shard_slot(SPAN("{user1000}.followers")));
    assert_int_equal(shard_slot(SPAN("{user1000}.following")), shard_slot(SPAN("user1000")));
    assert_int_equal(shard_slot(SPAN("foo{}{bar}")), shard_crc16(SPAN("foo{}{bar}")) % SHARD_SLOTS);
    assert_int_equal(shard_slot(SPAN("foo{{bar}}zap")), shard_slot(SPAN("{bar")));
    assert_int_equal(shard_slot(SPAN("foo{bar}{zap}")), shard_slot(SPAN("bar")));
    assert_int_equal(shard_slot(SPAN("foo{bar")), shard_crc16(SPAN("foo{bar")) % SHARD_SLOTS);
    assert_int_equal(shard_slot(SPAN("foo}bar{")), shard_crc16(SPAN("foo}bar{")) % SHARD_SLOTS);
}

/* An id's slot is that of its bytes, the highest first. */
static void
test_id(void **state)
{
    (void)state;
    u128 id = 0;
    const char *text = "0123456789abcdef";
    for (int i = 0; i < 16; i++) {
        id = id << 8 | (uint8_t)text[i];
    }
    assert_int_equal(shard_slot_of_id(id), shard_slot(span_from_cstr(text)));
    assert_int_equal(shard_slot_of_id(0), 0);
}

/* An id's slot is looked up, byte by byte; the CRC of the same bytes is computed, bit by bit. */
static void
test_id_is_crc(void **state)
{
    (void)state;
    struct os_prng prng;
    os_prng_seed(&prng, 3);
    for (uint32_t i = 0; i < 128 + 20000; i++) {
        u128 id = i < 128 ? (u128)1 << i : u128_make(os_prng_next(&prng), os_prng_next(&prng));
        char bytes[16];
        for (int j = 0; j < 16; j++) {
            bytes[j] = (char)(id >> (8 * (15 - j)));
        }
        uint16_t crc = shard_crc16(span_of(bytes, sizeof(bytes)));
        assert_int_equal(shard_slot_of_id(id), crc % SHARD_SLOTS);
    }
}

/* SHARD-2: in the slot, the same above 16 bits, and put there again nothing changes. */
static void
test_place(void **state)
{
    (void)state;
    struct os_prng prng;
    os_prng_seed(&prng, 7);
    for (uint32_t i = 0; i < 200000; i++) {
        u128 id = u128_make(os_prng_next(&prng), os_prng_next(&prng));
        uint16_t slot = (uint16_t)(i % SHARD_SLOTS);
        u128 placed = shard_id_place(id, slot);
        assert_int_equal(shard_slot_of_id(placed), slot);
        assert_true(placed >> 16 == id >> 16);
        assert_true(shard_id_place(placed, slot) == placed);
    }
}

/* Placed ids are stored: where an id is put never changes. */
static void
test_place_is_for_ever(void **state)
{
    (void)state;
    u128 text = u128_make(UINT64_C(0x0123456789abcdef), UINT64_C(0xfedcba9876543210));
    u128 tagged = u128_make(UINT64_C(0x54ae1c) << 40, 7);
    assert_true(shard_id_place(0, 1) == 0x9d71);
    assert_true(
        shard_id_place(text, 12345) ==
        u128_make(UINT64_C(0x0123456789abcdef), UINT64_C(0xfedcba987654492d)));
    assert_true(
        shard_id_place(tagged, SHARD_SLOTS - 1) == u128_make(UINT64_C(0x54ae1c) << 40, 0xedff));
}

/* What the ids of one merchant have in common does not make another's more likely: sequential
 * ids, which people like, spread over all slots evenly. */
static void
test_spread(void **state)
{
    (void)state;
    uint32_t quarters[4] = {0};
    for (u128 id = 1; id <= 40000; id++) {
        quarters[shard_slot_of_id(id) / (SHARD_SLOTS / 4)]++;
    }
    for (int i = 0; i < 4; i++) {
        assert_in_range(quarters[i], 9500, 10500);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_vectors),
        cmocka_unit_test(test_tags),
        cmocka_unit_test(test_id),
        cmocka_unit_test(test_id_is_crc),
        cmocka_unit_test(test_place),
        cmocka_unit_test(test_place_is_for_ever),
        cmocka_unit_test(test_spread),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
