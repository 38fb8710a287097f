/* SipHash (Aumasson, Bernstein) with one compression and three finalization rounds. */
#include "base/hash.h"

#include <string.h>

struct sip {
    uint64_t v0, v1, v2, v3;
};

static inline uint64_t
rotate_left(uint64_t value, unsigned bits)
{
    return (value << bits) | (value >> (64 - bits));
}

static inline void
sip_round(struct sip *sip)
{
    sip->v0 += sip->v1;
    sip->v1 = rotate_left(sip->v1, 13) ^ sip->v0;
    sip->v0 = rotate_left(sip->v0, 32);
    sip->v2 += sip->v3;
    sip->v3 = rotate_left(sip->v3, 16) ^ sip->v2;
    sip->v0 += sip->v3;
    sip->v3 = rotate_left(sip->v3, 21) ^ sip->v0;
    sip->v2 += sip->v1;
    sip->v1 = rotate_left(sip->v1, 17) ^ sip->v2;
    sip->v2 = rotate_left(sip->v2, 32);
}

static inline void
sip_word(struct sip *sip, uint64_t word)
{
    sip->v3 ^= word;
    sip_round(sip);
    sip->v0 ^= word;
}

/* A whole word, at once: ids are hashed by the million. */
static uint64_t
load_whole(const unsigned char *bytes)
{
    uint64_t word = 0;
    memcpy(&word, bytes, sizeof(word));
    return __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ ? word : __builtin_bswap64(word);
}

/* Little-endian on every machine. */
static uint64_t
load_word(const unsigned char *bytes, size_t size)
{
    uint64_t word = 0;
    for (size_t i = 0; i < size; i++) {
        word |= (uint64_t)bytes[i] << (8 * i);
    }
    return word;
}

static inline struct sip
sip_begin(struct hash_key key)
{
    return (struct sip){
        .v0 = key.k0 ^ UINT64_C(0x736f6d6570736575),
        .v1 = key.k1 ^ UINT64_C(0x646f72616e646f6d),
        .v2 = key.k0 ^ UINT64_C(0x6c7967656e657261),
        .v3 = key.k1 ^ UINT64_C(0x7465646279746573),
    };
}

static inline uint64_t
sip_end(struct sip *sip, uint64_t last_word)
{
    sip_word(sip, last_word);
    sip->v2 ^= 0xff;
    sip_round(sip);
    sip_round(sip);
    sip_round(sip);
    return sip->v0 ^ sip->v1 ^ sip->v2 ^ sip->v3;
}

uint64_t
hash_keyed(struct hash_key key, struct span text)
{
    struct sip sip = sip_begin(key);
    const unsigned char *bytes = (const unsigned char *)text.data;
    size_t left = text.size;
    for (; left >= 8; left -= 8, bytes += 8) {
        sip_word(&sip, load_whole(bytes));
    }
    return sip_end(&sip, load_word(bytes, left) | (uint64_t)text.size << 56);
}

uint64_t
hash_keyed_u128(struct hash_key key, unsigned __int128 value)
{
    struct sip sip = sip_begin(key);
    sip_word(&sip, (uint64_t)value);
    sip_word(&sip, (uint64_t)(value >> 64));
    return sip_end(&sip, (uint64_t)sizeof(value) << 56);
}
