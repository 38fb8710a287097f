/* The alphabet of a code: characters, checksum, one object. */
#include "emvqr_private.h"

#include "base/assert.h"

static bool
is_digit(char byte)
{
    return byte >= '0' && byte <= '9';
}

/* A byte inside a character of UTF-8, not its first. */
static bool
is_continuation(char byte)
{
    return ((unsigned char)byte & 0xc0U) == 0x80U;
}

size_t
emvqr_character_count(struct span text)
{
    size_t count = 0;
    for (size_t i = 0; i < text.size; i++) {
        count += is_continuation(text.data[i]) ? 0 : 1;
    }
    return count;
}

/* Bytes of the first `count` characters, or more than text.size if there are fewer. */
static size_t
size_of_characters(struct span text, size_t count)
{
    size_t at = 0;
    for (; count > 0; count--) {
        if (at >= text.size) {
            return text.size + 1;
        }
        at++;
        while (at < text.size && is_continuation(text.data[at])) {
            at++;
        }
    }
    return at;
}

struct span
emvqr_fit(struct span text, size_t character_count_max)
{
    return span_slice(text, 0, size_of_characters(text, character_count_max));
}

uint16_t
emvqr_crc(struct span bytes)
{
    /* What four bits at the top add, by the polynomial 0x1021. */
    static const uint16_t table[16] = {
        0x0000,
        0x1021,
        0x2042,
        0x3063,
        0x4084,
        0x50a5,
        0x60c6,
        0x70e7,
        0x8108,
        0x9129,
        0xa14a,
        0xb16b,
        0xc18c,
        0xd1ad,
        0xe1ce,
        0xf1ef};
    uint32_t crc = 0xffff;
    for (size_t i = 0; i < bytes.size; i++) {
        uint32_t byte = (unsigned char)bytes.data[i];
        crc = ((crc << 4) ^ table[(crc >> 12 ^ byte >> 4) & 15]) & 0xffffU;
        crc = ((crc << 4) ^ table[(crc >> 12 ^ byte) & 15]) & 0xffffU;
    }
    return (uint16_t)crc;
}

err_t
emvqr_object_take(
    struct span *rest,
    enum emvqr_length_unit unit,
    uint8_t *ret_id,
    struct span *ret_value,
    enum emvqr_problem *ret_problem)
{
    ASSERT(rest->size > 0);
    const char *at = rest->data;
    if (rest->size < 2 || !is_digit(at[0]) || !is_digit(at[1])) {
        *ret_problem = EMVQR_ID_INVALID;
        return ERR_INVALID;
    }
    *ret_id = (uint8_t)((at[0] - '0') * 10 + (at[1] - '0'));
    if (rest->size < EMVQR_HEADER_SIZE || !is_digit(at[2]) || !is_digit(at[3])) {
        *ret_problem = EMVQR_LENGTH_INVALID;
        return ERR_INVALID;
    }
    size_t length = (size_t)(at[2] - '0') * 10 + (size_t)(at[3] - '0');
    if (length == 0) {
        *ret_problem = EMVQR_LENGTH_INVALID;
        return ERR_INVALID;
    }
    struct span behind = span_slice(*rest, EMVQR_HEADER_SIZE, rest->size);
    size_t size = unit == EMVQR_CHARACTERS ? size_of_characters(behind, length) : length;
    if (size > behind.size) {
        *ret_problem = EMVQR_LENGTH_OVERRUN;
        return ERR_INVALID;
    }
    if (size < behind.size && is_continuation(behind.data[size])) {
        *ret_problem = EMVQR_LENGTH_INVALID; /* in bytes, it would cut a character in two */
        return ERR_INVALID;
    }
    *ret_value = span_slice(behind, 0, size);
    *rest = span_slice(behind, size, behind.size);
    return ERR_OK;
}
