#include "base/span.h"

#include <string.h>

struct span
span_of(const void *data, size_t size)
{
    return (struct span){.data = data, .size = size};
}

struct span
span_from_cstr(const char *text)
{
    return text == NULL ? SPAN_EMPTY : (struct span){.data = text, .size = strlen(text)};
}

bool
span_equal(struct span a, struct span b)
{
    return a.size == b.size && (a.size == 0 || memcmp(a.data, b.data, a.size) == 0);
}

bool
span_equal_cstr(struct span a, const char *b)
{
    return span_equal(a, span_from_cstr(b));
}

static char
lower_ascii(char byte)
{
    return byte >= 'A' && byte <= 'Z' ? (char)(byte + ('a' - 'A')) : byte;
}

bool
span_equal_nocase(struct span a, struct span b)
{
    if (a.size != b.size) {
        return false;
    }
    for (size_t i = 0; i < a.size; i++) {
        if (lower_ascii(a.data[i]) != lower_ascii(b.data[i])) {
            return false;
        }
    }
    return true;
}

bool
span_equal_secret(struct span a, struct span b)
{
    if (a.size != b.size) {
        return false;
    }
    /* volatile keeps the compiler from leaving the loop at the first difference. */
    volatile unsigned char difference = 0;
    for (size_t i = 0; i < a.size; i++) {
        difference = (unsigned char)(difference | (unsigned char)(a.data[i] ^ b.data[i]));
    }
    return difference == 0;
}

int
span_compare(struct span a, struct span b)
{
    size_t common = a.size < b.size ? a.size : b.size;
    int order = common == 0 ? 0 : memcmp(a.data, b.data, common);
    if (order != 0) {
        return order;
    }
    return (a.size > b.size) - (a.size < b.size);
}

bool
span_starts_with(struct span text, struct span prefix)
{
    return text.size >= prefix.size && span_equal(span_slice(text, 0, prefix.size), prefix);
}

bool
span_ends_with(struct span text, struct span suffix)
{
    return text.size >= suffix.size &&
           span_equal(span_slice(text, text.size - suffix.size, text.size), suffix);
}

struct span
span_slice(struct span text, size_t from, size_t to)
{
    if (to > text.size) {
        to = text.size;
    }
    if (from > to) {
        from = to;
    }
    if (text.data == NULL) {
        return SPAN_EMPTY;
    }
    return (struct span){.data = text.data + from, .size = to - from};
}

size_t
span_find(struct span text, char byte, size_t from)
{
    if (from >= text.size) {
        return text.size;
    }
    const char *found = memchr(text.data + from, byte, text.size - from);
    return found == NULL ? text.size : (size_t)(found - text.data);
}

static bool
is_blank(char byte)
{
    return byte == ' ' || byte == '\t';
}

struct span
span_trim(struct span text)
{
    while (text.size > 0 && is_blank(text.data[0])) {
        text.data++;
        text.size--;
    }
    while (text.size > 0 && is_blank(text.data[text.size - 1])) {
        text.size--;
    }
    return text;
}

struct span
span_cut(struct span *rest, char separator)
{
    struct span whole = *rest;
    size_t at = span_find(whole, separator, 0);
    *rest = span_slice(whole, at + (at < whole.size ? 1 : 0), whole.size);
    return span_slice(whole, 0, at);
}

bool
span_parse_u64(struct span text, uint64_t *ret_value)
{
    if (text.size == 0) {
        return false;
    }
    uint64_t value = 0;
    for (size_t i = 0; i < text.size; i++) {
        char byte = text.data[i];
        if (byte < '0' || byte > '9' || __builtin_mul_overflow(value, UINT64_C(10), &value) ||
            __builtin_add_overflow(value, (uint64_t)(byte - '0'), &value)) {
            return false;
        }
    }
    *ret_value = value;
    return true;
}

bool
span_parse_i64(struct span text, int64_t *ret_value)
{
    bool negative = text.size > 0 && text.data[0] == '-';
    uint64_t magnitude;
    if (!span_parse_u64(span_slice(text, negative ? 1 : 0, text.size), &magnitude)) {
        return false;
    }
    if (magnitude > (uint64_t)INT64_MAX + (negative ? 1 : 0)) {
        return false;
    }
    /* Negating in unsigned arithmetic reaches INT64_MIN without overflow. */
    *ret_value = negative ? (int64_t)(0 - magnitude) : (int64_t)magnitude;
    return true;
}

int
span_hex_digit(char digit)
{
    if (digit >= '0' && digit <= '9') {
        return digit - '0';
    }
    if (digit >= 'a' && digit <= 'f') {
        return digit - 'a' + 10;
    }
    return digit >= 'A' && digit <= 'F' ? digit - 'A' + 10 : -1;
}

bool
span_parse_hex(struct span text, void *out, size_t size)
{
    if (text.size != 2 * size) {
        return false;
    }
    for (size_t i = 0; i < text.size; i++) {
        int value = span_hex_digit(text.data[i]);
        if (value < 0 || (text.data[i] >= 'A' && text.data[i] <= 'F')) {
            return false;
        }
        uint8_t *byte = (uint8_t *)out + i / 2;
        *byte = (uint8_t)(i % 2 == 0 ? value << 4 : *byte | value);
    }
    return true;
}

/* Bytes of the character that starts at `at`, 0 if it is malformed. RFC 3629 section 4. */
static size_t
utf8_length(const unsigned char *at, size_t size)
{
    unsigned char first = at[0];
    if (first < 0x80) {
        return 1;
    }
    /* The second byte's range excludes overlong forms, surrogates and what is above U+10FFFF. */
    unsigned char low = 0x80;
    unsigned char high = 0xbf;
    size_t length;
    if (first >= 0xc2 && first <= 0xdf) {
        length = 2;
    } else if (first >= 0xe0 && first <= 0xef) {
        length = 3;
        low = first == 0xe0 ? 0xa0 : low;
        high = first == 0xed ? 0x9f : high;
    } else if (first >= 0xf0 && first <= 0xf4) {
        length = 4;
        low = first == 0xf0 ? 0x90 : low;
        high = first == 0xf4 ? 0x8f : high;
    } else {
        return 0;
    }
    if (size < length || at[1] < low || at[1] > high) {
        return 0;
    }
    for (size_t i = 2; i < length; i++) {
        if (at[i] < 0x80 || at[i] > 0xbf) {
            return 0;
        }
    }
    return length;
}

bool
span_is_utf8(struct span text)
{
    const unsigned char *data = (const unsigned char *)text.data;
    for (size_t i = 0; i < text.size;) {
        size_t length = utf8_length(data + i, text.size - i);
        if (length == 0) {
            return false;
        }
        i += length;
    }
    return true;
}
