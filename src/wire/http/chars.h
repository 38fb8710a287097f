/* Classes of bytes, looked up in one table (RFC 9110 section 5.6.2, RFC 3986 section 2). */
#ifndef HTTP_CHARS_H
#define HTTP_CHARS_H

#include "base/span.h"

enum http_class {
    HTTP_CLASS_TOKEN = 1,      /* tchar */
    HTTP_CLASS_TARGET = 2,     /* may stand in a request target */
    HTTP_CLASS_VALUE = 4,      /* field-vchar, space, tab, obs-text */
    HTTP_CLASS_HOST = 8,       /* letters, digits and -._~ */
    HTTP_CLASS_DIGIT = 16,     /* decimal */
    HTTP_CLASS_HEX = 32,       /* hexadecimal, both cases */
    HTTP_CLASS_UNRESERVED = 8, /* the same bytes as HTTP_CLASS_HOST */
};

extern const uint8_t http_class_table[256];

static inline bool
http_is(char byte, enum http_class class)
{
    return (http_class_table[(uint8_t)byte] & (uint8_t) class) != 0;
}

/* The value of a byte of HTTP_CLASS_HEX. */
static inline uint8_t
http_hex_value(char byte)
{
    uint8_t value = (uint8_t)byte;
    return (uint8_t)((value & 15) + (value >> 6) * 9);
}

#endif
