#include "base/id.h"

#include "base/assert.h"

#include <string.h>

#define ID_RANDOM_BITS 80
#define ID_RANDOM_MASK (((u128)1 << ID_RANDOM_BITS) - 1)
#define ID_TEN_DIGITS  UINT64_C(839299365868340224) /* 62 to the power of 10 */
#define ID_UNIX_MS_MAX ((UINT64_C(1) << 48) - 1)

/* In ASCII order, so that texts sort as their ids do. */
static const char id_digits[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

static_assert(sizeof(id_digits) == 62 + 1, "base 62");

u128
id_next(struct id_generator *generator, uint64_t unix_ms, u128 random)
{
    u128 fresh = id_floor(unix_ms) | (random & ID_RANDOM_MASK);
    u128 last = generator->last;
    ASSERT(last != U128_MAX);
    /* Counting up carries from the random bits into the time: later ids of that millisecond then
     * follow the carried value until the clock passes it. */
    bool is_later = id_unix_ms(fresh) > id_unix_ms(last) || (last == 0 && fresh != 0);
    u128 id = is_later ? fresh : last + 1;
    ASSERT(id > last);
    generator->last = id;
    return id;
}

uint64_t
id_unix_ms(u128 id)
{
    return (uint64_t)(id >> ID_RANDOM_BITS);
}

u128
id_floor(uint64_t unix_ms)
{
    return (u128)(unix_ms > ID_UNIX_MS_MAX ? ID_UNIX_MS_MAX : unix_ms) << ID_RANDOM_BITS;
}

size_t
id_format(const char *prefix, u128 id, char out[ID_TEXT_SIZE])
{
    size_t prefix_size = strlen(prefix);
    ASSERT(prefix_size <= ID_PREFIX_MAX);
    memcpy(out, prefix, prefix_size);
    /* Ten digits at a time: a division of 128 bits costs as much as ten of 64. */
    for (size_t end = ID_DIGITS; end > 0;) {
        uint64_t part = (uint64_t)(id % ID_TEN_DIGITS);
        size_t begin = end > 10 ? end - 10 : 0;
        id /= ID_TEN_DIGITS;
        while (end > begin) {
            end--;
            out[prefix_size + end] = id_digits[part % 62];
            part /= 62;
        }
        ASSERT(part == 0);
    }
    ASSERT(id == 0);
    out[prefix_size + ID_DIGITS] = '\0';
    return prefix_size + ID_DIGITS;
}

/* -1 for a byte that is no digit. */
static int
digit_value(char byte)
{
    if (byte >= '0' && byte <= '9') {
        return byte - '0';
    }
    if (byte >= 'A' && byte <= 'Z') {
        return byte - 'A' + 10;
    }
    if (byte >= 'a' && byte <= 'z') {
        return byte - 'a' + 36;
    }
    return -1;
}

bool
id_parse(const char *prefix, struct span text, u128 *ret_id)
{
    struct span head = span_from_cstr(prefix);
    ASSERT(head.size <= ID_PREFIX_MAX);
    if (text.size != head.size + ID_DIGITS || !span_starts_with(text, head)) {
        return false;
    }
    u128 id = 0;
    for (size_t i = head.size; i < text.size; i++) {
        int digit = digit_value(text.data[i]);
        /* 62^22 is more than 2^128. */
        if (digit < 0 || __builtin_mul_overflow(id, (u128)62, &id) ||
            __builtin_add_overflow(id, (u128)digit, &id)) {
            return false;
        }
    }
    *ret_id = id;
    return true;
}
