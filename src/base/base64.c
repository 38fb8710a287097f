#include "base/base64.h"

#define GROUP   4
#define INVALID 0xffU

void
base64_encode(struct buf *out, struct span bytes)
{
    static const char letters[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for (size_t i = 0; i < bytes.size; i += 3) {
        size_t left = bytes.size - i;
        uint32_t bits = (uint32_t)(unsigned char)bytes.data[i] << 16;
        bits |= left > 1 ? (uint32_t)(unsigned char)bytes.data[i + 1] << 8 : 0;
        bits |= left > 2 ? (uint32_t)(unsigned char)bytes.data[i + 2] : 0;
        buf_append_byte(out, letters[bits >> 18]);
        buf_append_byte(out, letters[bits >> 12 & 63]);
        buf_append_byte(out, left > 1 ? letters[bits >> 6 & 63] : '=');
        buf_append_byte(out, left > 2 ? letters[bits & 63] : '=');
    }
}

static uint32_t
value_of(char byte)
{
    if (byte >= 'A' && byte <= 'Z') {
        return (uint32_t)(byte - 'A');
    }
    if (byte >= 'a' && byte <= 'z') {
        return (uint32_t)(byte - 'a') + 26;
    }
    if (byte >= '0' && byte <= '9') {
        return (uint32_t)(byte - '0') + 52;
    }
    if (byte == '+') {
        return 62;
    }
    return byte == '/' ? 63 : INVALID;
}

bool
base64_decode(struct span text, void *out, size_t *ret_size, size_t *ret_position)
{
    unsigned char *bytes = out;
    size_t padding = 0;
    while (padding < 2 && padding < text.size && text.data[text.size - 1 - padding] == '=') {
        padding++;
    }
    size_t size = 0;
    uint32_t bits = 0;
    for (size_t i = 0; i < text.size; i++) {
        uint32_t value = i < text.size - padding ? value_of(text.data[i]) : 0;
        *ret_position = i;
        if (value == INVALID) {
            return false;
        }
        bits = bits << 6 | value;
        if (i % GROUP == GROUP - 1) {
            bytes[size++] = (unsigned char)(bits >> 16);
            bytes[size++] = (unsigned char)(bits >> 8);
            bytes[size++] = (unsigned char)bits;
            bits = 0;
        }
    }
    *ret_position = text.size;
    if (text.size % GROUP != 0) {
        return false;
    }
    for (; padding > 0; padding--) {
        if (bytes[--size] != 0) {
            return false;
        }
    }
    *ret_size = size;
    return true;
}
