#include "json/json.h"

#include "base/assert.h"

#include <string.h>

/* Room for `size` bytes behind the text, or NULL; the call to grow is the rare case. */
static inline char *
room(struct buf *out, size_t size)
{
    if (!out->failed && out->data != NULL && size <= out->capacity - out->size) {
        return out->data + out->size;
    }
    return buf_reserve(out, size);
}

static inline void
put_byte(struct buf *out, char byte)
{
    char *at = room(out, 1);
    if (at != NULL) {
        *at = byte;
        out->size++;
    }
}

static inline void
put(struct buf *out, const char *data, size_t size)
{
    char *at = room(out, size);
    if (at != NULL) {
        memcpy(at, data, size);
        out->size += size;
    }
}

void
json_begin(struct json_writer *json, struct buf *out)
{
    *json = (struct json_writer){.out = out};
}

bool
json_is_complete(const struct json_writer *json)
{
    return json->depth == 0 && json->has_item[0];
}

/* JSON-1: a value stands where one may stand. */
static inline void
value_begin(struct json_writer *json)
{
    if (json->in_object[json->depth]) {
        ASSERT(json->has_key);
        json->has_key = false;
        return;
    }
    if (json->has_item[json->depth]) {
        ASSERT(json->depth > 0); /* one text, one value */
        put_byte(json->out, ',');
    }
    json->has_item[json->depth] = true;
}

static void
level_begin(struct json_writer *json, bool object)
{
    value_begin(json);
    ASSERT(json->depth < JSON_DEPTH_MAX);
    json->depth++;
    json->in_object[json->depth] = object;
    json->has_item[json->depth] = false;
    put_byte(json->out, object ? '{' : '[');
}

static void
level_end(struct json_writer *json, bool object)
{
    ASSERT(json->depth > 0);
    ASSERT(json->in_object[json->depth] == object);
    ASSERT(!json->has_key);
    json->depth--;
    put_byte(json->out, object ? '}' : ']');
}

void
json_object_begin(struct json_writer *json)
{
    level_begin(json, true);
}

void
json_object_end(struct json_writer *json)
{
    level_end(json, true);
}

void
json_array_begin(struct json_writer *json)
{
    level_begin(json, false);
}

void
json_array_end(struct json_writer *json)
{
    level_end(json, false);
}

#define SWAR_ONES  UINT64_C(0x0101010101010101)
#define SWAR_HIGHS UINT64_C(0x8080808080808080)

/* High bits where a byte of `word` is zero, exact up to and with the first. */
static inline uint64_t
zero_bytes(uint64_t word)
{
    return (word - SWAR_ONES) & ~word & SWAR_HIGHS;
}

/* Stands in a JSON string as it is: no control byte, quote, backslash, and ASCII. */
static inline bool
is_plain(char byte)
{
    return (uint8_t)byte >= 0x20 && (uint8_t)byte < 0x80 && byte != '"' && byte != '\\';
}

/* The first byte at or after `at` that is not plain. */
static inline size_t
plain_end(struct span text, size_t at)
{
    while (at + 8 <= text.size) {
        uint64_t word;
        memcpy(&word, text.data + at, sizeof(word));
        uint64_t special = (word - SWAR_ONES * 0x20) & SWAR_HIGHS;
        special |= word & SWAR_HIGHS;
        special |= zero_bytes(word ^ SWAR_ONES * '"');
        special |= zero_bytes(word ^ SWAR_ONES * '\\');
        if (special != 0) {
            break;
        }
        at += 8;
    }
    while (at < text.size && is_plain(text.data[at])) {
        at++;
    }
    return at;
}

/* Bytes of the UTF-8 sequence at `at` (RFC 3629 section 4), 0 if there is none. */
static size_t
utf8_sequence(struct span text, size_t at)
{
    uint8_t lead = (uint8_t)text.data[at];
    size_t size = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2;
    if (lead < 0xc2 || lead > 0xf4 || size > text.size - at) {
        return 0;
    }
    for (size_t i = 1; i < size; i++) {
        if (((uint8_t)text.data[at + i] & 0xc0) != 0x80) {
            return 0;
        }
    }
    uint8_t second = (uint8_t)text.data[at + 1];
    bool overlong = (lead == 0xe0 && second < 0xa0) || (lead == 0xf0 && second < 0x90);
    bool surrogate = lead == 0xed && second >= 0xa0;
    bool too_large = lead == 0xf4 && second >= 0x90;
    return overlong || surrogate || too_large ? 0 : size;
}

/* One byte that is not plain, or the sequence it begins; returns how many were taken. */
static size_t
put_special(struct buf *out, struct span text, size_t at)
{
    static const char hex[] = "0123456789abcdef";
    static const char shorts[32] = {
        ['\b'] = 'b', ['\t'] = 't', ['\n'] = 'n', ['\f'] = 'f', ['\r'] = 'r'};
    uint8_t byte = (uint8_t)text.data[at];
    if (byte >= 0x80) {
        size_t size = utf8_sequence(text, at);
        if (size == 0) {
            put(out, "\xef\xbf\xbd", 3); /* U+FFFD */
            return 1;
        }
        put(out, text.data + at, size);
        return size;
    }
    char escape[6] = {'\\', (char)byte, '0', '0', '0', '0'};
    size_t size = 2;
    if (byte < 0x20 && shorts[byte] != 0) {
        escape[1] = shorts[byte];
    } else if (byte < 0x20) {
        escape[1] = 'u';
        escape[4] = hex[byte >> 4];
        escape[5] = hex[byte & 15];
        size = 6;
    }
    put(out, escape, size);
    return 1;
}

static void
put_string_slow(struct buf *out, struct span text, size_t at)
{
    size_t run = 0;
    for (;;) {
        put(out, text.data + run, at - run);
        if (at == text.size) {
            break;
        }
        run = at + put_special(out, text, at);
        at = plain_end(text, run);
    }
    put_byte(out, '"');
}

/* Copies eight bytes if all of them are plain. */
static inline bool
copy_plain_word(char *out, const char *data)
{
    uint64_t word;
    memcpy(&word, data, sizeof(word));
    uint64_t special = ((word - SWAR_ONES * 0x20) | word) & SWAR_HIGHS;
    special |= zero_bytes(word ^ SWAR_ONES * '"');
    special |= zero_bytes(word ^ SWAR_ONES * '\\');
    memcpy(out, &word, sizeof(word));
    return special == 0;
}

/* Copies text.size bytes to `out` and answers whether all of them are plain; if not, what was
 * copied means nothing. Looks at each byte once; the last word overlaps the one before. */
static inline bool
copy_plain(char *out, struct span text)
{
    if (text.size < 8) {
        bool plain = true;
        for (size_t i = 0; i < text.size; i++) {
            out[i] = text.data[i];
            plain = plain && is_plain(text.data[i]);
        }
        return plain;
    }
    size_t last = text.size - 8;
    for (size_t at = 0; at < last; at += 8) {
        if (!copy_plain_word(out + at, text.data + at)) {
            return false;
        }
    }
    return copy_plain_word(out + last, text.data + last);
}

/* The text in quotes, between `before` and `after` (0: nothing). No byte of a text becomes less
 * than a byte of JSON, so asking for its size at once never fails early. */
static inline void
put_string(struct buf *out, struct span text, char before, char after)
{
    char *begin = room(out, text.size + 2 + (before != 0 ? 1 : 0) + (after != 0 ? 1 : 0));
    if (begin == NULL) {
        return;
    }
    char *at = begin;
    if (before != 0) {
        *at++ = before;
    }
    *at++ = '"';
    if (copy_plain(at, text)) {
        at += text.size;
        *at++ = '"';
        if (after != 0) {
            *at++ = after;
        }
        out->size += (size_t)(at - begin);
        return;
    }
    out->size += (size_t)(at - begin);
    put_string_slow(out, text, plain_end(text, 0));
    if (after != 0) {
        put_byte(out, after);
    }
}

void
json_key_span(struct json_writer *json, struct span name)
{
    ASSERT(json->in_object[json->depth]);
    ASSERT(!json->has_key);
    put_string(json->out, name, json->has_item[json->depth] ? ',' : 0, ':');
    json->has_item[json->depth] = true;
    json->has_key = true;
}

/* The program's own names need no escapes, so nobody looks for what would: an object of the API has
 * some fifty of them. */
void
json_key(struct json_writer *json, const char *name)
{
    ASSERT(json->in_object[json->depth]);
    ASSERT(!json->has_key);
    size_t size = strlen(name);
    char *at = room(json->out, size + 4);
    if (at != NULL) {
        const char *begin = at;
        if (json->has_item[json->depth]) {
            *at++ = ',';
        }
        *at++ = '"';
        memcpy(at, name, size);
        at += size;
        *at++ = '"';
        *at++ = ':';
        json->out->size += (size_t)(at - begin);
    }
    json->has_item[json->depth] = true;
    json->has_key = true;
}

void
json_text(struct json_writer *json, struct span text)
{
    value_begin(json);
    put_string(json->out, text, 0, 0);
}

void
json_cstr(struct json_writer *json, const char *text)
{
    json_text(json, span_from_cstr(text));
}

/* "00" to "99". */
static const char pairs[] = "00010203040506070809101112131415161718192021222324"
                            "25262728293031323334353637383940414243444546474849"
                            "50515253545556575859606162636465666768697071727374"
                            "75767778798081828384858687888990919293949596979899";

static void
put_decimal(struct buf *out, uint64_t value, bool negative)
{
    char digits[21];
    size_t at = sizeof(digits);
    while (value >= 100) {
        at -= 2;
        memcpy(digits + at, pairs + 2 * (value % 100), 2);
        value /= 100;
    }
    if (value >= 10) {
        at -= 2;
        memcpy(digits + at, pairs + 2 * value, 2);
    } else {
        digits[--at] = (char)('0' + value);
    }
    if (negative) {
        digits[--at] = '-';
    }
    put(out, digits + at, sizeof(digits) - at);
}

void
json_i64(struct json_writer *json, int64_t value)
{
    value_begin(json);
    uint64_t magnitude = value < 0 ? 0 - (uint64_t)value : (uint64_t)value;
    put_decimal(json->out, magnitude, value < 0);
}

void
json_u64(struct json_writer *json, uint64_t value)
{
    value_begin(json);
    put_decimal(json->out, value, false);
}

void
json_u128_text(struct json_writer *json, u128 value)
{
    value_begin(json);
    char digits[U128_DECIMAL_SIZE];
    size_t size = u128_format(value, digits);
    put_byte(json->out, '"');
    put(json->out, digits, size);
    put_byte(json->out, '"');
}

void
json_bool(struct json_writer *json, bool value)
{
    value_begin(json);
    if (value) {
        put(json->out, "true", 4);
    } else {
        put(json->out, "false", 5);
    }
}

void
json_null(struct json_writer *json)
{
    value_begin(json);
    put(json->out, "null", 4);
}

void
json_raw(struct json_writer *json, struct span value)
{
    ASSERT(value.size > 0);
    value_begin(json);
    put(json->out, value.data, value.size);
}

void
json_member_text(struct json_writer *json, const char *name, struct span text)
{
    json_key(json, name);
    json_text(json, text);
}

void
json_member_text_or_null(struct json_writer *json, const char *name, struct span text)
{
    json_key(json, name);
    if (text.size == 0) {
        json_null(json);
    } else {
        json_text(json, text);
    }
}

void
json_member_cstr(struct json_writer *json, const char *name, const char *text)
{
    json_key(json, name);
    json_cstr(json, text);
}

void
json_member_i64(struct json_writer *json, const char *name, int64_t value)
{
    json_key(json, name);
    json_i64(json, value);
}

void
json_member_bool(struct json_writer *json, const char *name, bool value)
{
    json_key(json, name);
    json_bool(json, value);
}

void
json_member_null(struct json_writer *json, const char *name)
{
    json_key(json, name);
    json_null(json);
}

void
json_member_raw(struct json_writer *json, const char *name, struct span value)
{
    json_key(json, name);
    if (value.size == 0) {
        json_null(json);
    } else {
        json_raw(json, value);
    }
}
