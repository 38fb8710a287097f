#include "shard/shard.h"

#include "base/assert.h"

enum {
    POLYNOMIAL = 0x1021,
    ID_SIZE = sizeof(u128),
    FREE_SIZE = 2, /* bytes at an id's end that make its slot */
    SLOT_MASK = SHARD_SLOTS - 1,
};

static_assert((SHARD_SLOTS & SLOT_MASK) == 0, "a slot is some bits of the CRC");

static uint16_t
crc16_byte(uint16_t crc, uint8_t byte)
{
    uint32_t value = crc ^ (uint32_t)byte << 8;
    for (int bit = 0; bit < 8; bit++) {
        value = value << 1 ^ ((value & 0x8000) != 0 ? POLYNOMIAL : 0);
    }
    return (uint16_t)value;
}

uint16_t
shard_crc16(struct span bytes)
{
    uint16_t crc = 0;
    for (size_t i = 0; i < bytes.size; i++) {
        crc = crc16_byte(crc, (uint8_t)bytes.data[i]);
    }
    return crc;
}

uint16_t
shard_slot(struct span key)
{
    size_t open = span_find(key, '{', 0);
    size_t close = open == key.size ? key.size : span_find(key, '}', open + 1);
    if (close != key.size && close > open + 1) {
        key = span_slice(key, open + 1, close);
    }
    return shard_crc16(key) & SLOT_MASK;
}

static uint16_t
id_crc(u128 id, int size)
{
    uint16_t crc = 0;
    for (int i = 0; i < size; i++) {
        crc = crc16_byte(crc, (uint8_t)(id >> (8 * (ID_SIZE - 1 - i))));
    }
    return crc;
}

uint16_t
shard_slot_of_id(u128 id)
{
    return id_crc(id, ID_SIZE) & SLOT_MASK;
}

/* What the CRC was before its last 16 steps, if they shifted in nothing: each step can be undone,
 * because the polynomial's lowest bit is set. */
static uint16_t
crc16_undo(uint16_t crc)
{
    uint32_t value = crc;
    for (int bit = 0; bit < 8 * FREE_SIZE; bit++) {
        value = (value & 1) != 0 ? (value ^ POLYNOMIAL) >> 1 | 0x8000 : value >> 1;
    }
    return (uint16_t)value;
}

/* The CRC of a message that ends with two bytes depends on their sum with the CRC so far, and is
 * one-to-one in it: so the two bytes can be chosen for any CRC. The CRC's bits beyond the slot
 * are the id's own. */
u128
shard_id_place(u128 id, uint16_t slot)
{
    ASSERT(slot < SHARD_SLOTS);
    uint16_t own = (uint16_t)(id_crc(id, ID_SIZE) & ~SLOT_MASK);
    uint16_t wanted = (uint16_t)(own | slot);
    uint16_t low = crc16_undo(wanted) ^ id_crc(id, ID_SIZE - FREE_SIZE);
    u128 placed = id >> (8 * FREE_SIZE) << (8 * FREE_SIZE) | low;
    ASSERT(shard_slot_of_id(placed) == slot); /* SHARD-2 */
    return placed;
}
