#include "snapshot_format.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <setjmp.h>
#include <string.h>

#include <cmocka.h>

static _Alignas(JOURNAL_BLOCK) char data[SNAPSHOT_BLOCK_MAX];
static _Alignas(JOURNAL_BLOCK) char other[SNAPSHOT_BLOCK_MAX];

static struct snapshot_header
sound_header(void)
{
    return (struct snapshot_header){
        .identity = 7,
        .begin = {.chain = 1, .position = journal_position(2, 4096), .sequence = 9},
        .end = {.chain = 2, .position = journal_position(2, 12288), .sequence = 11},
        .digest = 3,
        .number = 5,
        .created_ns = 6,
        .clock = 100,
        .transfer_timestamp = 99,
        .file_size = 8192,
        .block_count = 1,
        .counts = {1, 0, 0},
        .stretch_length = JOURNAL_STRETCH,
    };
}

static void
header_comes_back(void **state)
{
    (void)state;
    struct snapshot_header header = sound_header();
    struct snapshot_header got;
    const char *reason = NULL;
    snapshot_header_encode(&header, data);
    assert_int_equal(snapshot_header_decode(data, &got, &reason), ERR_OK);
    header.magic = SNAPSHOT_MAGIC;
    header.version = SNAPSHOT_VERSION;
    header.header_size = JOURNAL_BLOCK;
    header.checksum = got.checksum;
    assert_memory_equal(&got, &header, sizeof(header));
}

/* With what was adopted it is of another version. */
static void
header_of_adopted_comes_back(void **state)
{
    (void)state;
    struct snapshot_header header = sound_header();
    struct snapshot_header got;
    const char *reason = NULL;
    header.counts[SNAPSHOT_PLACED] = 3;
    header.counts[SNAPSHOT_ADOPTED] = 4;
    snapshot_header_encode(&header, data);
    assert_int_equal(snapshot_header_decode(data, &got, &reason), ERR_OK);
    assert_int_equal(got.version, SNAPSHOT_VERSION_ADOPTED);
    assert_memory_equal(got.counts, header.counts, sizeof(got.counts));
    assert_int_equal(got.stretch_length, JOURNAL_STRETCH);
    header.counts[SNAPSHOT_PLACED] = (uint64_t)LEDGER_COUNT_MAX + 1;
    snapshot_header_encode(&header, data);
    assert_int_equal(snapshot_header_decode(data, &got, &reason), ERR_CORRUPT);
    /* Accounts may have been adopted, and nothing else. */
    header = sound_header();
    header.version = SNAPSHOT_VERSION_ADOPTED;
    snapshot_header_encode(&header, data);
    assert_int_equal(snapshot_header_decode(data, &got, &reason), ERR_OK);
    assert_int_equal(got.version, SNAPSHOT_VERSION_ADOPTED);
    assert_int_equal(got.stretch_length, JOURNAL_STRETCH);
}

/* SNAPSHOT-1. */
static void
header_notices_every_bit(void **state)
{
    (void)state;
    struct snapshot_header header = sound_header();
    struct snapshot_header got;
    const char *reason = NULL;
    snapshot_header_encode(&header, data);
    for (uint32_t bit = 0; bit < JOURNAL_BLOCK * 8; bit++) {
        data[bit / 8] = (char)(data[bit / 8] ^ (1 << bit % 8));
        assert_int_not_equal(snapshot_header_decode(data, &got, &reason), ERR_OK);
        data[bit / 8] = (char)(data[bit / 8] ^ (1 << bit % 8));
    }
    assert_int_equal(snapshot_header_decode(data, &got, &reason), ERR_OK);
}

static void
refuse(const struct snapshot_header *header)
{
    struct snapshot_header got;
    const char *reason = NULL;
    snapshot_header_encode(header, data);
    assert_int_equal(snapshot_header_decode(data, &got, &reason), ERR_CORRUPT);
    assert_string_equal(reason, "impossible header");
}

static void
header_must_be_possible(void **state)
{
    (void)state;
    struct snapshot_header header = sound_header();
    header.number = 0;
    refuse(&header);
    header = sound_header();
    header.begin.position = 0;
    refuse(&header);
    header = sound_header();
    header.begin.position = journal_position(2, 0);
    refuse(&header);
    header = sound_header();
    header.begin.position++;
    refuse(&header);
    header = sound_header();
    header.end.position = header.begin.position;
    refuse(&header);
    header = sound_header();
    header.end.sequence = header.begin.sequence;
    refuse(&header);
    header = sound_header();
    header.transfer_timestamp = header.clock + 1;
    refuse(&header);
    header = sound_header();
    header.clock = LEDGER_TIMESTAMP_MAX + 1;
    refuse(&header);
    header = sound_header();
    header.counts[SNAPSHOT_ACCOUNTS] = (uint64_t)LEDGER_COUNT_MAX + 1;
    refuse(&header);
    header = sound_header();
    header.stretch_length = JOURNAL_STRETCH + 1;
    refuse(&header);
    header = sound_header();
    header.stretch_length = JOURNAL_STRETCH / 2;
    refuse(&header);
}

static struct snapshot_block
sound_block(uint32_t count)
{
    struct snapshot_block block = {.number = 3, .kind = SNAPSHOT_STRETCHES, .count = count};
    memset(data, 0x5a, sizeof(data));
    snapshot_block_seal(&block, data);
    return block;
}

static void
block_notices_every_bit(void **state)
{
    (void)state;
    struct snapshot_block block = sound_block(2);
    const char *reason = NULL;
    assert_int_equal(block.size, JOURNAL_BLOCK);
    for (uint32_t bit = 0; bit < JOURNAL_BLOCK * 8; bit++) {
        struct snapshot_block got;
        data[bit / 8] = (char)(data[bit / 8] ^ (1 << bit % 8));
        bool sound = snapshot_block_peek(data, JOURNAL_BLOCK, &got, &reason) == ERR_OK &&
                     snapshot_block_verify(data, &got, 3, &reason) == ERR_OK;
        assert_false(sound);
        data[bit / 8] = (char)(data[bit / 8] ^ (1 << bit % 8));
    }
    struct snapshot_block got;
    assert_int_equal(snapshot_block_peek(data, JOURNAL_BLOCK, &got, &reason), ERR_OK);
    assert_int_equal(snapshot_block_verify(data, &got, 3, &reason), ERR_OK);
    assert_int_equal(snapshot_block_verify(data, &got, 4, &reason), ERR_CORRUPT);
    assert_string_equal(reason, "block out of order");
}

static void
block_has_its_size(void **state)
{
    (void)state;
    const char *reason = NULL;
    for (int kind = 0; kind < SNAPSHOT_KINDS; kind++) {
        uint32_t max = snapshot_records_max((enum snapshot_kind)kind);
        struct snapshot_block block = {.kind = (uint32_t)kind, .count = max};
        struct snapshot_block got;
        snapshot_block_seal(&block, data);
        assert_true(block.size <= SNAPSHOT_BLOCK_MAX);
        assert_int_equal(snapshot_block_peek(data, block.size, &got, &reason), ERR_OK);
        assert_int_equal(snapshot_block_peek(data, block.size - 1, &got, &reason), ERR_CORRUPT);
        assert_string_equal(reason, "block is cut off");
        block.count = max + 1;
        memcpy(other, &block, sizeof(block));
        assert_int_equal(snapshot_block_peek(other, sizeof(other), &got, &reason), ERR_CORRUPT);
        block.count = 0;
        memcpy(other, &block, sizeof(block));
        assert_int_equal(snapshot_block_peek(other, sizeof(other), &got, &reason), ERR_CORRUPT);
        assert_string_equal(reason, "not a block");
    }
}

/* SNAPSHOT-2. */
static void
digest_depends_on_order_and_number(void **state)
{
    (void)state;
    u128 ends[3];
    for (uint64_t i = 0; i < 3; i++) {
        struct snapshot_digest *digest = NULL;
        assert_int_equal(snapshot_digest_create(i == 2 ? 2 : 1, &digest), ERR_OK);
        snapshot_digest_add(digest, i == 1 ? 20 : 10);
        snapshot_digest_add(digest, i == 1 ? 10 : 20);
        ends[i] = snapshot_digest_end(digest);
        snapshot_digest_destroy(&digest);
        assert_null(digest);
    }
    assert_true(ends[0] != ends[1]);
    assert_true(ends[0] != ends[2]);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(header_comes_back),
        cmocka_unit_test(header_of_adopted_comes_back),
        cmocka_unit_test(header_notices_every_bit),
        cmocka_unit_test(header_must_be_possible),
        cmocka_unit_test(block_notices_every_bit),
        cmocka_unit_test(block_has_its_size),
        cmocka_unit_test(digest_depends_on_order_and_number),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
