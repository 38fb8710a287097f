#include "http/credentials.h"

static int
base64_value(char digit)
{
    if (digit >= 'A' && digit <= 'Z') {
        return digit - 'A';
    }
    if (digit >= 'a' && digit <= 'z') {
        return digit - 'a' + 26;
    }
    if (digit >= '0' && digit <= '9') {
        return digit - '0' + 52;
    }
    return digit == '+' ? 62 : digit == '/' ? 63 : -1;
}

/* RFC 4648 section 4; padding may be missing, as some clients leave it out. */
static err_t
base64_decode(struct span text, char *memory, size_t room, struct span *ret_bytes)
{
    for (size_t pad = 0; pad < 2 && text.size > 0 && text.data[text.size - 1] == '='; pad++) {
        text.size--;
    }
    if (text.size % 4 == 1) {
        return ERR_INVALID;
    }
    size_t size = 0;
    uint32_t bits = 0;
    uint32_t bit_count = 0;
    for (size_t i = 0; i < text.size; i++) {
        int value = base64_value(text.data[i]);
        if (value < 0) {
            return ERR_INVALID;
        }
        bits = bits << 6 | (uint32_t)value;
        bit_count += 6;
        if (bit_count >= 8) {
            if (size == room) {
                return ERR_FULL;
            }
            bit_count -= 8;
            memory[size++] = (char)(bits >> bit_count & 0xff);
        }
    }
    *ret_bytes = span_of(memory, size);
    return ERR_OK;
}

static err_t
read_basic(struct span encoded, char *memory, size_t room, struct span *ret_secret)
{
    struct span pair;
    TRY(base64_decode(encoded, memory, room, &pair));
    size_t colon = span_find(pair, ':', 0);
    /* A password means that somebody mistakes this for a user's login: better said than ignored. */
    if (colon + 1 != pair.size) {
        return ERR_INVALID;
    }
    *ret_secret = span_slice(pair, 0, colon);
    return ERR_OK;
}

err_t
http_credentials_read(struct span value, char *memory, size_t room, struct span *ret_secret)
{
    if (value.size == 0) {
        *ret_secret = SPAN_EMPTY;
        return ERR_OK;
    }
    struct span rest = value;
    struct span scheme = span_cut(&rest, ' ');
    rest = span_trim(rest);
    if (rest.size == 0) {
        return ERR_INVALID;
    }
    if (span_equal_nocase(scheme, SPAN("basic"))) {
        return read_basic(rest, memory, room, ret_secret);
    }
    if (!span_equal_nocase(scheme, SPAN("bearer")) || span_find(rest, ' ', 0) != rest.size) {
        return ERR_INVALID;
    }
    *ret_secret = rest;
    return ERR_OK;
}
