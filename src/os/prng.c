#include "os/prng.h"

#include "base/assert.h"

#include <string.h>

/* splitmix64: spreads a seed of few bits over the state. */
static uint64_t
spread(uint64_t *state)
{
    *state += UINT64_C(0x9e3779b97f4a7c15);
    uint64_t value = *state;
    value = (value ^ (value >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    value = (value ^ (value >> 27)) * UINT64_C(0x94d049bb133111eb);
    return value ^ (value >> 31);
}

static uint64_t
rotate_left(uint64_t value, unsigned count)
{
    return (value << count) | (value >> (64 - count));
}

void
os_prng_seed(struct os_prng *prng, uint64_t seed)
{
    for (size_t i = 0; i < 4; i++) {
        prng->words[i] = spread(&seed);
    }
}

uint64_t
os_prng_next(struct os_prng *prng)
{
    uint64_t *s = prng->words;
    uint64_t result = rotate_left(s[1] * 5, 7) * 9;
    uint64_t shifted = s[1] << 17;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= shifted;
    s[3] = rotate_left(s[3], 45);
    return result;
}

uint64_t
os_prng_below(struct os_prng *prng, uint64_t bound)
{
    ASSERT(bound > 0);
    /* The high half of the product; refuses the few values that would make it uneven. */
    uint64_t threshold = (0 - bound) % bound;
    for (;;) {
        unsigned __int128 product = (unsigned __int128)os_prng_next(prng) * bound;
        if ((uint64_t)product >= threshold) {
            return (uint64_t)(product >> 64);
        }
    }
}

bool
os_prng_chance(struct os_prng *prng, uint64_t numerator, uint64_t denominator)
{
    return os_prng_below(prng, denominator) < numerator;
}

void
os_prng_fill(struct os_prng *prng, void *out, size_t size)
{
    char *at = out;
    while (size > 0) {
        uint64_t value = os_prng_next(prng);
        size_t part = size < sizeof(value) ? size : sizeof(value);
        memcpy(at, &value, part);
        at += part;
        size -= part;
    }
}
