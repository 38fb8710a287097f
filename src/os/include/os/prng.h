/*
 * A seeded generator for simulation and tests: the same seed gives the same numbers on every
 * machine. Never for ids, keys or anything that an outsider must not guess.
 */
#ifndef OS_PRNG_H
#define OS_PRNG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* xoshiro256** by Blackman and Vigna; its four words are never all zero. */
struct os_prng {
    uint64_t words[4];
};

void os_prng_seed(struct os_prng *prng, uint64_t seed);
uint64_t os_prng_next(struct os_prng *prng);
/* 0 .. bound - 1, evenly; bound > 0. */
uint64_t os_prng_below(struct os_prng *prng, uint64_t bound);
/* True in `numerator` of `denominator` cases. */
bool os_prng_chance(struct os_prng *prng, uint64_t numerator, uint64_t denominator);
void os_prng_fill(struct os_prng *prng, void *out, size_t size);

#endif
