#include "scan.h"

#include "base/assert.h"

#include <string.h>

#define ONES  UINT64_C(0x0101010101010101)
#define HIGHS UINT64_C(0x8080808080808080)

/* Where the run of bytes that stand for themselves in a JSON string ends. */
static const char *
plain_end(const char *at, const char *end)
{
    while (end - at >= 8) {
        uint64_t word;
        memcpy(&word, at, sizeof(word));
        uint64_t quote = word ^ ONES * '"';
        uint64_t backslash = word ^ ONES * '\\';
        uint64_t special = ((word - ONES * 0x20) & ~word) | ((quote - ONES) & ~quote) |
                           ((backslash - ONES) & ~backslash);
        if ((special & HIGHS) != 0) {
            break;
        }
        at += 8;
    }
    while (at < end && (unsigned char)*at >= 0x20 && *at != '"' && *at != '\\') {
        at++;
    }
    return at;
}

static bool
hex4(struct resource_scan *scan, uint32_t *ret_value)
{
    if (scan->end - scan->at < 4) {
        return false;
    }
    uint32_t value = 0;
    for (int i = 0; i < 4; i++) {
        char digit = *scan->at++;
        value <<= 4;
        if (digit >= '0' && digit <= '9') {
            value |= (uint32_t)(digit - '0');
        } else if (digit >= 'a' && digit <= 'f') {
            value |= (uint32_t)(digit - 'a' + 10);
        } else if (digit >= 'A' && digit <= 'F') {
            value |= (uint32_t)(digit - 'A' + 10);
        } else {
            return false;
        }
    }
    *ret_value = value;
    return true;
}

static char *
put_utf8(char *out, uint32_t code)
{
    if (code < 0x80) {
        *out++ = (char)code;
    } else if (code < 0x800) {
        *out++ = (char)(0xc0 | code >> 6);
        *out++ = (char)(0x80 | (code & 0x3f));
    } else if (code < 0x10000) {
        *out++ = (char)(0xe0 | code >> 12);
        *out++ = (char)(0x80 | (code >> 6 & 0x3f));
        *out++ = (char)(0x80 | (code & 0x3f));
    } else {
        *out++ = (char)(0xf0 | code >> 18);
        *out++ = (char)(0x80 | (code >> 12 & 0x3f));
        *out++ = (char)(0x80 | (code >> 6 & 0x3f));
        *out++ = (char)(0x80 | (code & 0x3f));
    }
    return out;
}

/* Behind a backslash. Writes what it stands for at *out, which has room for four bytes. */
static bool
escape(struct resource_scan *scan, char **out)
{
    static const char names[] = "\"\\/bfnrt";
    static const char values[] = "\"\\/\b\f\n\r\t";
    if (scan->at == scan->end) {
        return false;
    }
    char name = *scan->at++;
    if (name != 'u') {
        const char *found = name == '\0' ? NULL : strchr(names, name);
        if (found == NULL) {
            return false;
        }
        *(*out)++ = values[found - names];
        return true;
    }
    uint32_t code;
    if (!hex4(scan, &code) || (code >= 0xdc00 && code <= 0xdfff)) {
        return false;
    }
    if (code >= 0xd800 && code <= 0xdbff) {
        uint32_t low;
        if (!resource_scan_byte(scan, '\\') || !resource_scan_byte(scan, 'u') ||
            !hex4(scan, &low) || low < 0xdc00 || low > 0xdfff) {
            return false;
        }
        code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
    }
    *out = put_utf8(*out, code);
    return true;
}

/* Past the string whose opening quote was read; *ret_escapes tells whether it holds any. */
static bool
skip_string(struct resource_scan *scan, bool *ret_escapes)
{
    *ret_escapes = false;
    for (;;) {
        scan->at = plain_end(scan->at, scan->end);
        if (scan->at == scan->end) {
            return false;
        }
        if (resource_scan_byte(scan, '"')) {
            return true;
        }
        if (!resource_scan_byte(scan, '\\')) {
            return false; /* a control character */
        }
        char unused[4];
        char *out = unused;
        *ret_escapes = true;
        if (!escape(scan, &out)) {
            return false;
        }
    }
}

err_t
resource_scan_text(struct resource_scan *scan, struct arena *arena, struct span *ret_text)
{
    if (!resource_scan_byte(scan, '"')) {
        return ERR_CORRUPT;
    }
    struct resource_scan inside = *scan;
    bool escapes;
    if (!skip_string(scan, &escapes)) {
        return ERR_CORRUPT;
    }
    inside.end = scan->at - 1;
    size_t raw_size = (size_t)(inside.end - inside.at);
    if (!escapes) {
        *ret_text = span_of(inside.at, raw_size);
        return ERR_OK;
    }
    /* No escape is shorter than what it stands for. */
    char *text = arena_alloc(arena, raw_size);
    if (text == NULL) {
        return ERR_FULL;
    }
    char *out = text;
    while (inside.at < inside.end) {
        const char *run = inside.at;
        inside.at = plain_end(run, inside.end);
        memcpy(out, run, (size_t)(inside.at - run));
        out += inside.at - run;
        if (inside.at < inside.end) {
            inside.at++;
            bool good = escape(&inside, &out);
            ASSERT(good); /* skip_string has seen it */
        }
    }
    *ret_text = span_of(text, (size_t)(out - text));
    return ERR_OK;
}

static size_t
skip_digits(struct resource_scan *scan)
{
    const char *from = scan->at;
    while (scan->at < scan->end && *scan->at >= '0' && *scan->at <= '9') {
        scan->at++;
    }
    return (size_t)(scan->at - from);
}

/* RFC 8259 section 6. */
static bool
skip_number(struct resource_scan *scan)
{
    (void)resource_scan_byte(scan, '-');
    bool zero = scan->at < scan->end && *scan->at == '0';
    size_t digits = skip_digits(scan);
    if (digits == 0 || (zero && digits > 1)) {
        return false;
    }
    if (resource_scan_byte(scan, '.') && skip_digits(scan) == 0) {
        return false;
    }
    if (resource_scan_byte(scan, 'e') || resource_scan_byte(scan, 'E')) {
        if (!resource_scan_byte(scan, '+')) {
            (void)resource_scan_byte(scan, '-');
        }
        return skip_digits(scan) > 0;
    }
    return true;
}

static bool
skip_word(struct resource_scan *scan, const char *word)
{
    size_t size = strlen(word);
    if ((size_t)(scan->end - scan->at) < size || memcmp(scan->at, word, size) != 0) {
        return false;
    }
    scan->at += size;
    return true;
}

static bool
skip_scalar(struct resource_scan *scan)
{
    bool escapes;
    if (scan->at == scan->end) {
        return false;
    }
    switch (*scan->at) {
    case '"':
        scan->at++;
        return skip_string(scan, &escapes);
    case 't':
        return skip_word(scan, "true");
    case 'f':
        return skip_word(scan, "false");
    case 'n':
        return skip_word(scan, "null");
    default:
        return skip_number(scan);
    }
}

static bool
skip_name(struct resource_scan *scan)
{
    bool escapes;
    return resource_scan_byte(scan, '"') && skip_string(scan, &escapes) &&
           resource_scan_byte(scan, ':');
}

/* The open brackets around a value: bit i is level i, set for an object. */
struct levels {
    uint64_t objects;
    uint32_t depth;
};

static bool
level_is_object(const struct levels *levels)
{
    return (levels->objects >> (levels->depth - 1) & 1) != 0;
}

/* Past an opening bracket, to its first value; *ret_empty if it closed at once. */
static bool
open_level(struct resource_scan *scan, struct levels *levels, bool *ret_empty)
{
    bool object = *scan->at++ == '{';
    *ret_empty = resource_scan_byte(scan, object ? '}' : ']');
    if (*ret_empty) {
        return true;
    }
    if (levels->depth == RESOURCE_SCAN_DEPTH_MAX) {
        return false;
    }
    uint64_t bit = UINT64_C(1) << levels->depth;
    levels->objects = object ? levels->objects | bit : levels->objects & ~bit;
    levels->depth++;
    return !object || skip_name(scan);
}

/* Behind a value: to the next one of its level, or out of the levels that end here. */
static bool
next_value(struct resource_scan *scan, struct levels *levels)
{
    while (levels->depth > 0) {
        bool object = level_is_object(levels);
        if (resource_scan_byte(scan, ',')) {
            return !object || skip_name(scan);
        }
        if (!resource_scan_byte(scan, object ? '}' : ']')) {
            return false;
        }
        levels->depth--;
    }
    return true;
}

err_t
resource_scan_value(struct resource_scan *scan, struct span *ret_raw)
{
    static_assert(RESOURCE_SCAN_DEPTH_MAX <= 64, "one bit each");
    const char *from = scan->at;
    struct levels levels = {.depth = 0};
    do {
        bool descended = false;
        if (scan->at < scan->end && (*scan->at == '{' || *scan->at == '[')) {
            bool empty;
            if (!open_level(scan, &levels, &empty)) {
                return ERR_CORRUPT;
            }
            descended = !empty;
        } else if (!skip_scalar(scan)) {
            return ERR_CORRUPT;
        }
        if (!descended && !next_value(scan, &levels)) {
            return ERR_CORRUPT;
        }
    } while (levels.depth > 0);
    *ret_raw = span_of(from, (size_t)(scan->at - from));
    return ERR_OK;
}

err_t
resource_scan_integer(struct resource_scan *scan, int64_t *ret_value)
{
    const char *from = scan->at;
    if (!skip_number(scan) ||
        !span_parse_i64(span_of(from, (size_t)(scan->at - from)), ret_value)) {
        return ERR_CORRUPT;
    }
    return ERR_OK;
}

err_t
resource_scan_boolean(struct resource_scan *scan, bool *ret_value)
{
    *ret_value = scan->at < scan->end && *scan->at == 't';
    return skip_word(scan, *ret_value ? "true" : "false") ? ERR_OK : ERR_CORRUPT;
}

bool
resource_scan_member(
    struct resource_scan *scan,
    struct arena *arena,
    bool *first,
    struct span *ret_name,
    err_t *error)
{
    *error = ERR_CORRUPT;
    if (*first) {
        if (!resource_scan_byte(scan, '{')) {
            return false;
        }
        if (resource_scan_byte(scan, '}')) {
            *error = ERR_OK;
            return false;
        }
    } else if (resource_scan_byte(scan, '}')) {
        *error = ERR_OK;
        return false;
    } else if (!resource_scan_byte(scan, ',')) {
        return false;
    }
    *first = false;
    err_t result = resource_scan_text(scan, arena, ret_name);
    if (result == ERR_OK && !resource_scan_byte(scan, ':')) {
        result = ERR_CORRUPT;
    }
    *error = result;
    return result == ERR_OK;
}
