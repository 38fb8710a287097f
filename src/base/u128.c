#include "base/u128.h"

#include <string.h>

bool
u128_parse(struct span text, u128 *ret_value)
{
    if (text.size == 0) {
        return false;
    }
    u128 value = 0;
    for (size_t i = 0; i < text.size; i++) {
        char byte = text.data[i];
        if (byte < '0' || byte > '9' || __builtin_mul_overflow(value, (u128)10, &value) ||
            __builtin_add_overflow(value, (u128)(byte - '0'), &value)) {
            return false;
        }
    }
    *ret_value = value;
    return true;
}

size_t
u128_format(u128 value, char out[U128_DECIMAL_SIZE])
{
    /* 19 digits fit 64 bits, where division is much cheaper. */
    const uint64_t chunk_base = UINT64_C(10000000000000000000);
    char digits[U128_DECIMAL_SIZE];
    size_t at = sizeof(digits);
    do {
        bool last = value < chunk_base;
        uint64_t chunk = (uint64_t)(last ? value : value % chunk_base);
        value = last ? 0 : value / chunk_base;
        for (int i = 0; i < 19 && (!last || chunk > 0 || i == 0); i++) {
            digits[--at] = (char)('0' + chunk % 10);
            chunk /= 10;
        }
    } while (value > 0);
    size_t count = sizeof(digits) - at;
    memcpy(out, digits + at, count);
    out[count] = '\0';
    return count;
}
