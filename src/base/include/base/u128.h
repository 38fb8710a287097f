/* 128-bit unsigned integers: ids, and the ledger's amounts. */
#ifndef BASE_U128_H
#define BASE_U128_H

#include "base/span.h"

typedef unsigned __int128 u128;

#define U128_MAX (~(u128)0)
/* Enough for any u128 in decimal, with the terminating zero. */
#define U128_DECIMAL_SIZE 40

static inline u128
u128_make(uint64_t high, uint64_t low)
{
    return ((u128)high << 64) | low;
}

static inline uint64_t
u128_high(u128 value)
{
    return (uint64_t)(value >> 64);
}

static inline uint64_t
u128_low(u128 value)
{
    return (uint64_t)value;
}

/* Decimal digits only, no sign; false if it does not fit. */
bool u128_parse(struct span text, u128 *ret_value);
/* Writes decimal digits and a zero; returns the number of digits. */
size_t u128_format(u128 value, char out[U128_DECIMAL_SIZE]);

#endif
