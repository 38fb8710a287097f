/*
 * One pass, no recursion: `open` is the array or object being read, and every value hangs from it.
 *
 *   VALUE --scalar, or [ ] { } closed--> AFTER --","--> VALUE (array) or NAME (object)
 *     |  "["  "{"                          |  "]" "}"
 *     v                                    v
 *   FIRST (value, name or the end)       AFTER of the parent; the root's: only white space
 */
#include "json/json_in.h"

#include "base/assert.h"

#include <string.h>

struct reader {
    struct span text;
    size_t at;
    struct arena *arena;
    uint32_t values_left;
    uint32_t depth;
    struct json_value *open; /* NULL at the top */
    struct json_value *root;
    struct span name; /* of the value to come */
    const char *message;
    const struct json_value *culprit; /* when that is not the value being read */
};

static err_t
fail(struct reader *reader, err_t error, const char *message)
{
    reader->message = message;
    return error;
}

static err_t
fail_memory(struct reader *reader)
{
    return fail(reader, ERR_FULL, "The JSON text does not fit into memory.");
}

static void
skip_space(struct reader *reader)
{
    while (reader->at < reader->text.size) {
        char byte = reader->text.data[reader->at];
        if (byte != ' ' && byte != '\n' && byte != '\r' && byte != '\t') {
            return;
        }
        reader->at++;
    }
}

/* The byte at `at`, 0 at the end: no zero byte is allowed anywhere. */
static char
peek(const struct reader *reader)
{
    return reader->at < reader->text.size ? reader->text.data[reader->at] : '\0';
}

static bool
take(struct reader *reader, char byte)
{
    if (peek(reader) != byte) {
        return false;
    }
    reader->at++;
    return true;
}

static bool
is_digit(char byte)
{
    return byte >= '0' && byte <= '9';
}

/* Four hexadecimal digits behind \u. */
static bool
hex_read(struct reader *reader, unsigned *ret_code)
{
    unsigned code = 0;
    for (unsigned i = 0; i < 4; i++) {
        char byte = peek(reader);
        unsigned digit;
        if (is_digit(byte)) {
            digit = (unsigned)(byte - '0');
        } else if ((byte >= 'a' && byte <= 'f') || (byte >= 'A' && byte <= 'F')) {
            digit = (unsigned)((byte | 0x20) - 'a' + 10);
        } else {
            return false;
        }
        code = code << 4 | digit;
        reader->at++;
    }
    *ret_code = code;
    return true;
}

static char *
utf8_put(char *out, unsigned code)
{
    if (code < 0x80) {
        *out++ = (char)code;
        return out;
    }
    if (code < 0x800) {
        *out++ = (char)(0xc0 | code >> 6);
    } else {
        if (code < 0x10000) {
            *out++ = (char)(0xe0 | code >> 12);
        } else {
            *out++ = (char)(0xf0 | code >> 18);
            *out++ = (char)(0x80 | (code >> 12 & 0x3f));
        }
        *out++ = (char)(0x80 | (code >> 6 & 0x3f));
    }
    *out++ = (char)(0x80 | (code & 0x3f));
    return out;
}

/* Behind "\u": one code, or two that are a surrogate pair. */
static err_t
unicode_read(struct reader *reader, char **out)
{
    unsigned code;
    if (!hex_read(reader, &code)) {
        return fail(reader, ERR_INVALID, "\\u needs four hexadecimal digits.");
    }
    if (code == 0) {
        return fail(reader, ERR_INVALID, "A text may not hold a zero byte.");
    }
    if (code >= 0xd800 && code <= 0xdfff) {
        unsigned low;
        bool pair = code < 0xdc00 && take(reader, '\\') && take(reader, 'u') &&
                    hex_read(reader, &low) && low >= 0xdc00 && low <= 0xdfff;
        if (!pair) {
            return fail(reader, ERR_INVALID, "A text has half a surrogate pair.");
        }
        code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
    }
    *out = utf8_put(*out, code);
    return ERR_OK;
}

static err_t
escape_read(struct reader *reader, char **out)
{
    static const char codes[] = "\"\\/bfnrt";
    static const char bytes[] = "\"\\/\b\f\n\r\t";
    char code = peek(reader);
    reader->at++;
    if (code == 'u') {
        return unicode_read(reader, out);
    }
    const char *found = code == '\0' ? NULL : strchr(codes, code);
    if (found == NULL) {
        return fail(reader, ERR_INVALID, "A text has an escape that JSON does not know.");
    }
    *(*out)++ = bytes[found - codes];
    return ERR_OK;
}

/* From the first escape of the text that began at `begin` to its closing quote. What is decoded
 * is never longer than what was written. */
static err_t
text_unescape(struct reader *reader, size_t begin, size_t end, struct span *ret_text)
{
    char *memory = arena_alloc(reader->arena, end - begin);
    if (memory == NULL) {
        return fail_memory(reader);
    }
    size_t plain = reader->at - begin;
    memcpy(memory, reader->text.data + begin, plain);
    char *out = memory + plain;
    while (reader->at < end) {
        char byte = reader->text.data[reader->at++];
        if (byte == '\\') {
            TRY(escape_read(reader, &out));
        } else {
            *out++ = byte;
        }
    }
    ASSERT(reader->at == end);
    *ret_text = span_of(memory, (size_t)(out - memory));
    return ERR_OK;
}

/* Behind the opening quote; finds the closing one first, so that memory is asked for once. */
static err_t
text_read(struct reader *reader, struct span *ret_text)
{
    size_t begin = reader->at;
    size_t escape = SIZE_MAX;
    size_t end = begin;
    for (; end < reader->text.size && reader->text.data[end] != '"'; end++) {
        char byte = reader->text.data[end];
        if ((uint8_t)byte < 0x20) {
            reader->at = end;
            return fail(reader, ERR_INVALID, "A text has a control byte that is not escaped.");
        }
        if (byte == '\\') {
            escape = escape == SIZE_MAX ? end : escape;
            end++;
        }
    }
    if (end >= reader->text.size) {
        reader->at = reader->text.size;
        return fail(reader, ERR_INVALID, "A text is not closed.");
    }
    struct span raw = span_slice(reader->text, begin, end);
    if (!span_is_utf8(raw)) {
        return fail(reader, ERR_INVALID, "A text is not UTF-8.");
    }
    *ret_text = raw;
    if (escape != SIZE_MAX) {
        reader->at = escape;
        TRY(text_unescape(reader, begin, end, ret_text));
    }
    reader->at = end + 1;
    return ERR_OK;
}

static bool
digits_skip(struct reader *reader)
{
    size_t begin = reader->at;
    while (is_digit(peek(reader))) {
        reader->at++;
    }
    return reader->at > begin;
}

static err_t
number_read(struct reader *reader, struct json_value *value)
{
    size_t begin = reader->at;
    value->kind = JSON_KIND_INTEGER;
    (void)take(reader, '-');
    bool fits = take(reader, '0') || digits_skip(reader);
    if (fits && take(reader, '.')) {
        value->kind = JSON_KIND_DECIMAL;
        fits = digits_skip(reader);
    }
    if (fits && (take(reader, 'e') || take(reader, 'E'))) {
        value->kind = JSON_KIND_DECIMAL;
        (void)(take(reader, '+') || take(reader, '-'));
        fits = digits_skip(reader);
    }
    if (!fits || is_digit(peek(reader))) {
        return fail(reader, ERR_INVALID, "A number is malformed.");
    }
    value->text = span_slice(reader->text, begin, reader->at);
    return ERR_OK;
}

static err_t
word_read(struct reader *reader, struct json_value *value)
{
    struct span rest = span_slice(reader->text, reader->at, reader->text.size);
    struct span word;
    if (span_starts_with(rest, SPAN("true"))) {
        word = SPAN("true");
        value->kind = JSON_KIND_BOOL;
        value->boolean = true;
    } else if (span_starts_with(rest, SPAN("false"))) {
        word = SPAN("false");
        value->kind = JSON_KIND_BOOL;
    } else if (span_starts_with(rest, SPAN("null"))) {
        word = SPAN("null");
        value->kind = JSON_KIND_NULL;
    } else if (rest.size == 0) {
        return fail(reader, ERR_INVALID, "The JSON text ends too early.");
    } else {
        return fail(reader, ERR_INVALID, "A value was expected.");
    }
    reader->at += word.size;
    return ERR_OK;
}

static err_t
value_add(struct reader *reader, struct json_value **ret_value)
{
    if (reader->values_left == 0) {
        return fail(reader, ERR_FULL, "The JSON text has too many values.");
    }
    struct json_value *value = ARENA_NEW(reader->arena, struct json_value);
    if (value == NULL) {
        return fail_memory(reader);
    }
    reader->values_left--;
    value->position = (uint32_t)reader->at;
    value->name = reader->name;
    struct json_value *parent = reader->open;
    value->parent = parent;
    if (parent == NULL) {
        reader->root = value;
    } else {
        value->index = parent->child_count++;
        if (parent->last_child == NULL) {
            parent->first_child = value;
        } else {
            parent->last_child->next = value;
        }
        parent->last_child = value;
    }
    *ret_value = value;
    return ERR_OK;
}

/* A name, its colon and the space behind it: the next value gets the name. */
static err_t
name_read(struct reader *reader)
{
    if (!take(reader, '"')) {
        return fail(reader, ERR_INVALID, "A member's name in quotes was expected.");
    }
    struct span name;
    TRY(text_read(reader, &name));
    if (reader->open->child_count == JSON_IN_MEMBERS_MAX) {
        return fail(reader, ERR_FULL, "An object has too many members.");
    }
    reader->culprit = json_value_member(reader->open, name);
    if (reader->culprit != NULL) {
        return fail(reader, ERR_INVALID, "An object has two members with one name.");
    }
    reader->name = name;
    skip_space(reader);
    if (!take(reader, ':')) {
        return fail(reader, ERR_INVALID, "A colon was expected behind a member's name.");
    }
    skip_space(reader);
    return ERR_OK;
}

static err_t
container_open(struct reader *reader, struct json_value *value, enum json_kind kind)
{
    value->kind = kind;
    reader->at++;
    if (reader->depth == JSON_IN_DEPTH_MAX) {
        return fail(reader, ERR_FULL, "The JSON text is nested too deeply.");
    }
    reader->depth++;
    reader->open = value;
    reader->name = SPAN_EMPTY;
    return ERR_OK;
}

/* One value; a container is only opened. */
static err_t
value_read(struct reader *reader)
{
    struct json_value *value;
    TRY(value_add(reader, &value));
    char byte = peek(reader);
    if (byte == '{') {
        return container_open(reader, value, JSON_KIND_OBJECT);
    }
    if (byte == '[') {
        return container_open(reader, value, JSON_KIND_ARRAY);
    }
    if (byte == '"') {
        value->kind = JSON_KIND_TEXT;
        reader->at++;
        return text_read(reader, &value->text);
    }
    return byte == '-' || is_digit(byte) ? number_read(reader, value) : word_read(reader, value);
}

/* What may follow inside the open container: its end, or (behind a comma unless it is the first)
 * its next value. */
static err_t
item_read(struct reader *reader)
{
    struct json_value *open = reader->open;
    bool object = open->kind == JSON_KIND_OBJECT;
    skip_space(reader);
    if (take(reader, object ? '}' : ']')) {
        reader->open = open->parent;
        reader->depth--;
        return ERR_OK;
    }
    if (open->child_count > 0) {
        if (!take(reader, ',')) {
            return fail(
                reader,
                ERR_INVALID,
                object ? "A comma or } was expected." : "A comma or ] was expected.");
        }
        skip_space(reader);
    }
    if (object) {
        TRY(name_read(reader));
    }
    return value_read(reader);
}

static err_t
text_parse(struct reader *reader)
{
    if (reader->text.size > UINT32_MAX) {
        return fail(reader, ERR_FULL, "The JSON text is too long.");
    }
    skip_space(reader);
    TRY(value_read(reader));
    while (reader->open != NULL) {
        TRY(item_read(reader));
    }
    skip_space(reader);
    if (reader->at < reader->text.size) {
        return fail(reader, ERR_INVALID, "There is something behind the JSON text.");
    }
    return ERR_OK;
}

err_t
json_read(
    struct span text,
    struct arena *arena,
    uint32_t value_limit,
    struct json_value **ret_root,
    struct json_problem *ret_problem)
{
    struct reader reader = {.text = text, .arena = arena, .values_left = value_limit};
    err_t error = text_parse(&reader);
    if (error == ERR_OK) {
        ASSERT(reader.depth == 0);
        *ret_root = reader.root;
        return ERR_OK;
    }
    ret_problem->position = reader.at < text.size ? reader.at : text.size;
    ret_problem->message = reader.message;
    /* The last value begun is the innermost one that is not complete, or stands just before. */
    const struct json_value *place = reader.open == NULL ? reader.root : reader.open;
    if (reader.open != NULL && reader.open->last_child != NULL) {
        place = reader.open->last_child;
    }
    place = reader.culprit == NULL ? place : reader.culprit;
    ret_problem->path = place == NULL ? SPAN_EMPTY : json_value_path(place, arena);
    return error;
}
