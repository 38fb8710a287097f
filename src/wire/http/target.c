#include "http/target.h"

#include "chars.h"

/* The byte at text[*at], decoded if it is percent-encoded; moves *at to its last byte. */
static bool
decode_byte(struct span text, size_t *at, char *ret_byte)
{
    *ret_byte = text.data[*at];
    if (*ret_byte != '%') {
        return true;
    }
    if (text.size - *at < 3 || !http_is(text.data[*at + 1], HTTP_CLASS_HEX) ||
        !http_is(text.data[*at + 2], HTTP_CLASS_HEX)) {
        return false;
    }
    *ret_byte =
        (char)(http_hex_value(text.data[*at + 1]) << 4 | http_hex_value(text.data[*at + 2]));
    *at += 2;
    return true;
}

err_t
http_path_check(struct span path)
{
    if (path.size == 0 || path.data[0] != '/') {
        return ERR_INVALID;
    }
    size_t segment = 0; /* decoded bytes of the current segment */
    size_t dots = 0;    /* how many of them are dots */
    for (size_t i = 1; i < path.size; i++) {
        bool encoded = path.data[i] == '%';
        char byte;
        if (!decode_byte(path, &i, &byte) || !http_is(byte, HTTP_CLASS_VALUE) || byte == '\t' ||
            byte == '\\' || (encoded && byte == '/')) {
            return ERR_INVALID;
        }
        if (byte == '/') {
            if (segment == 0 || (segment <= 2 && dots == segment)) {
                return ERR_INVALID;
            }
            segment = 0;
            dots = 0;
            continue;
        }
        segment++;
        dots += byte == '.' ? 1 : 0;
    }
    bool dot_segment = segment > 0 && segment <= 2 && dots == segment;
    return dot_segment ? ERR_INVALID : ERR_OK;
}

err_t
http_percent_decode(struct span text, char *out, size_t *ret_size)
{
    size_t size = 0;
    for (size_t i = 0; i < text.size; i++) {
        char byte;
        if (!decode_byte(text, &i, &byte)) {
            return ERR_INVALID;
        }
        out[size++] = byte;
    }
    *ret_size = size;
    return ERR_OK;
}

void
http_percent_encode(struct buf *out, struct span text)
{
    static const char hex[] = "0123456789ABCDEF";
    for (size_t i = 0; i < text.size; i++) {
        char byte = text.data[i];
        if (http_is(byte, HTTP_CLASS_UNRESERVED)) {
            buf_append_byte(out, byte);
            continue;
        }
        char encoded[3] = {'%', hex[(uint8_t)byte >> 4], hex[(uint8_t)byte & 15]};
        buf_append(out, encoded, sizeof(encoded));
    }
}
