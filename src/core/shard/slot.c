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

/* ------------------------------------------------------------------------------------- ids ---
 */

/*
 * Every account of every transfer is asked for its slot, more than once: so an id's CRC is made of
 * sixteen independent look-ups. It is linear: the CRC of an id is the sum (XOR) of those of its
 * bits. A row is of one byte of the id; it is written as the CRCs of the byte's eight bits, the
 * lowest first, and CRC_256 sums them up for each value of the byte.
 */
#define CRC_BIT(value, bit, crc) ((value) >> (bit)&1 ? (crc) : 0)
#define CRC_1(value, a, b, c, d, e, f, g, h)                                                       \
    CRC_BIT(value, 0, a) ^ CRC_BIT(value, 1, b) ^ CRC_BIT(value, 2, c) ^ CRC_BIT(value, 3, d) ^    \
        CRC_BIT(value, 4, e) ^ CRC_BIT(value, 5, f) ^ CRC_BIT(value, 6, g) ^ CRC_BIT(value, 7, h)
#define CRC_4(value, ...)                                                                          \
    CRC_1(value, __VA_ARGS__), CRC_1(value + 1, __VA_ARGS__), CRC_1(value + 2, __VA_ARGS__),       \
        CRC_1(value + 3, __VA_ARGS__)
#define CRC_16(value, ...)                                                                         \
    CRC_4(value, __VA_ARGS__), CRC_4(value + 4, __VA_ARGS__), CRC_4(value + 8, __VA_ARGS__),       \
        CRC_4(value + 12, __VA_ARGS__)
#define CRC_64(value, ...)                                                                         \
    CRC_16(value, __VA_ARGS__), CRC_16(value + 16, __VA_ARGS__), CRC_16(value + 32, __VA_ARGS__),  \
        CRC_16(value + 48, __VA_ARGS__)
#define CRC_256(value, ...)                                                                        \
    CRC_64(value, __VA_ARGS__), CRC_64(value + 64, __VA_ARGS__), CRC_64(value + 128, __VA_ARGS__), \
        CRC_64(value + 192, __VA_ARGS__)

/* The id's lowest byte first. */
static const uint16_t crc_of_byte[ID_SIZE][256] = {
    {CRC_256(0, 0x1021, 0x2042, 0x4084, 0x8108, 0x1231, 0x2462, 0x48c4, 0x9188)},
    {CRC_256(0, 0x3331, 0x6662, 0xccc4, 0x89a9, 0x0373, 0x06e6, 0x0dcc, 0x1b98)},
    {CRC_256(0, 0x3730, 0x6e60, 0xdcc0, 0xa9a1, 0x4363, 0x86c6, 0x1dad, 0x3b5a)},
    {CRC_256(0, 0x76b4, 0xed68, 0xcaf1, 0x85c3, 0x1ba7, 0x374e, 0x6e9c, 0xdd38)},
    {CRC_256(0, 0xaa51, 0x4483, 0x8906, 0x022d, 0x045a, 0x08b4, 0x1168, 0x22d0)},
    {CRC_256(0, 0x45a0, 0x8b40, 0x06a1, 0x0d42, 0x1a84, 0x3508, 0x6a10, 0xd420)},
    {CRC_256(0, 0xb861, 0x60e3, 0xc1c6, 0x93ad, 0x377b, 0x6ef6, 0xddec, 0xabf9)},
    {CRC_256(0, 0x47d3, 0x8fa6, 0x0f6d, 0x1eda, 0x3db4, 0x7b68, 0xf6d0, 0xfd81)},
    {CRC_256(0, 0xeb23, 0xc667, 0x9cef, 0x29ff, 0x53fe, 0xa7fc, 0x5fd9, 0xbfb2)},
    {CRC_256(0, 0x6f45, 0xde8a, 0xad35, 0x4a4b, 0x9496, 0x390d, 0x721a, 0xe434)},
    {CRC_256(0, 0xd849, 0xa0b3, 0x5147, 0xa28e, 0x553d, 0xaa7a, 0x44d5, 0x89aa)},
    {CRC_256(0, 0x0375, 0x06ea, 0x0dd4, 0x1ba8, 0x3750, 0x6ea0, 0xdd40, 0xaaa1)},
    {CRC_256(0, 0x4563, 0x8ac6, 0x05ad, 0x0b5a, 0x16b4, 0x2d68, 0x5ad0, 0xb5a0)},
    {CRC_256(0, 0x7b61, 0xf6c2, 0xfda5, 0xeb6b, 0xc6f7, 0x9dcf, 0x2bbf, 0x577e)},
    {CRC_256(0, 0xaefc, 0x4dd9, 0x9bb2, 0x2745, 0x4e8a, 0x9d14, 0x2a09, 0x5412)},
    {CRC_256(0, 0xa824, 0x4069, 0x80d2, 0x1185, 0x230a, 0x4614, 0x8c28, 0x0871)},
};

/* The CRC of a message whose last 16 bits are these is what a CRC becomes when 16 bits of nothing
 * are shifted in. That can be undone, because the polynomial's lowest bit is set: the bits that
 * make a CRC, of its lower byte and of its higher. */
static const uint16_t bits_for_crc[FREE_SIZE][256] = {
    {CRC_256(0, 0x9d71, 0x2ac3, 0x5586, 0xab0c, 0x4639, 0x8c72, 0x08c5, 0x118a)},
    {CRC_256(0, 0x2314, 0x4628, 0x8c50, 0x0881, 0x1102, 0x2204, 0x4408, 0x8810)},
};

static inline uint32_t
half_crc(uint64_t half, const uint16_t rows[ID_SIZE / 2][256])
{
    return (uint32_t)(rows[0][half & 0xff] ^ rows[1][half >> 8 & 0xff] ^ rows[2][half >> 16 & 0xff] ^ rows[3][half >> 24 & 0xff] ^ rows[4][half >> 32 & 0xff] ^ rows[5][half >> 40 & 0xff] ^ rows[6][half >> 48 & 0xff] ^ rows[7][half >> 56]);
}

static uint16_t
id_crc(u128 id)
{
    uint32_t low = half_crc(u128_low(id), crc_of_byte);
    return (uint16_t)(low ^ half_crc(u128_high(id), crc_of_byte + ID_SIZE / 2));
}

uint16_t
shard_slot_of_id(u128 id)
{
    return id_crc(id) & SLOT_MASK;
}

/* SHARD-2. Changes of the last 16 bits are one-to-one with changes of the CRC, so that these can be
 * chosen: here those of the slot. The CRC's bits beyond the slot stay the id's own. */
u128
shard_id_place(u128 id, uint16_t slot)
{
    ASSERT(slot < SHARD_SLOTS);
    uint32_t change = (id_crc(id) ^ slot) & SLOT_MASK;
    return id ^ bits_for_crc[0][change & 0xff] ^ bits_for_crc[1][change >> 8];
}
