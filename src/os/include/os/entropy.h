/* Randomness, as an ops struct: the kernel's, or a seeded generator for tests. */
#ifndef OS_ENTROPY_H
#define OS_ENTROPY_H

#include "base/u128.h"

#include <stddef.h>

struct os_entropy {
    /* Thread-safe in the real one. Never fails: without entropy the process stops. */
    void (*fill)(struct os_entropy *entropy, void *out, size_t size);
};

struct os_entropy *os_entropy_real(void);

static inline u128
os_random_u128(struct os_entropy *entropy)
{
    u128 value;
    entropy->fill(entropy, &value, sizeof(value));
    return value;
}

#endif
