/*
 * Hashes for tables in memory and keyed fingerprints of attacker-chosen text. Not for disk
 * checksums (store/ uses XXH3) and not for secrets (vault/ uses HMAC-SHA256).
 */
#ifndef BASE_HASH_H
#define BASE_HASH_H

#include "base/span.h"

struct hash_key {
    uint64_t k0, k1;
};

/* SipHash-1-3: table positions that a client who chooses the text cannot steer. */
uint64_t hash_keyed(struct hash_key key, struct span text);
/* The same of a value's 16 bytes, the lowest first. */
uint64_t hash_keyed_u128(struct hash_key key, unsigned __int128 value);

/* Mixes an id that no outsider chooses, or where collisions only cost time. */
static inline uint64_t
hash_u64(uint64_t value)
{
    value ^= value >> 32;
    value *= UINT64_C(0xd6e8feb86659fd93);
    value ^= value >> 32;
    value *= UINT64_C(0xd6e8feb86659fd93);
    value ^= value >> 32;
    return value;
}

static inline uint64_t
hash_u128(unsigned __int128 value)
{
    return hash_u64((uint64_t)value ^ hash_u64((uint64_t)(value >> 64)));
}

#endif
