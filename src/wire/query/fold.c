#include "query/query.h"

/* From one letter to the next: A a A a ... */
static uint32_t
fold_pair(uint32_t code, bool upper_is_even)
{
    return (code % 2 == 0) == upper_is_even ? code + 1 : code;
}

/* Latin Extended-A, U+0100 to U+017F. */
static uint32_t
fold_latin(uint32_t code)
{
    if (code == 0x130 || code == 0x131 || code == 0x138 || code == 0x149 || code == 0x17f) {
        return code; /* no partner, or one of another size */
    }
    if (code == 0x178) {
        return 0xff;
    }
    bool odd = (code >= 0x139 && code <= 0x148) || code >= 0x179;
    return fold_pair(code, !odd);
}

static uint32_t
fold_greek(uint32_t code)
{
    if (code >= 0x391 && code <= 0x3ab && code != 0x3a2) {
        return code + 0x20;
    }
    switch (code) {
    case 0x386:
        return 0x3ac;
    case 0x388:
    case 0x389:
    case 0x38a:
        return code + 0x25;
    case 0x38c:
        return 0x3cc;
    case 0x38e:
    case 0x38f:
        return code + 0x3f;
    case 0x3c2:
        return 0x3c3; /* a final sigma is a sigma */
    default:
        return code;
    }
}

/* A character of two bytes, U+0080 to U+07FF. */
static uint32_t
fold_code(uint32_t code)
{
    if (code >= 0xc0 && code <= 0xde && code != 0xd7) {
        return code + 0x20;
    }
    if (code >= 0x100 && code <= 0x17f) {
        return fold_latin(code);
    }
    if (code >= 0x386 && code <= 0x3c2) {
        return fold_greek(code);
    }
    if (code >= 0x400 && code <= 0x40f) {
        return code + 0x50;
    }
    if (code >= 0x410 && code <= 0x42f) {
        return code + 0x20;
    }
    return code;
}

void
query_fold(struct span text, char *out)
{
    size_t at = 0;
    while (at < text.size) {
        unsigned char first = (unsigned char)text.data[at];
        if (first >= 0xc2 && first <= 0xdf && at + 1 < text.size &&
            ((unsigned char)text.data[at + 1] & 0xc0) == 0x80) {
            unsigned char second = (unsigned char)text.data[at + 1];
            uint32_t code = fold_code((uint32_t)(first & 0x1f) << 6 | (second & 0x3f));
            out[at] = (char)(0xc0 | code >> 6);
            out[at + 1] = (char)(0x80 | (code & 0x3f));
            at += 2;
            continue;
        }
        out[at] = (char)(first >= 'A' && first <= 'Z' ? first + ('a' - 'A') : first);
        at++;
    }
}
