/*
 * Writing JSON (RFC 8259) by appending to a buffer. The writer tracks nesting and asserts on
 * misuse, so what it writes is always one valid JSON text; a buffer at its limit shows as
 * buf_failed() at the end.
 *
 * Names and texts are UTF-8; each byte that is no part of valid UTF-8 becomes U+FFFD. Allocates
 * nothing but through the buffer. Reading is json/json_in.h.
 */
#ifndef JSON_JSON_H
#define JSON_JSON_H

#include "base/buf.h"
#include "base/u128.h"

#define JSON_DEPTH_MAX 32

struct json_writer {
    struct buf *out;
    uint32_t depth;
    bool in_object[JSON_DEPTH_MAX + 1]; /* per level: object or array */
    bool has_item[JSON_DEPTH_MAX + 1];  /* a comma comes before the next */
    bool has_key;                       /* a key waits for its value */
};

/* Appends behind what `out` holds. */
void json_begin(struct json_writer *json, struct buf *out);
/* One whole value was written and nothing is open: true before the text is handed to anybody. */
bool json_is_complete(const struct json_writer *json);
/* A value that others are in until its end; at most JSON_DEPTH_MAX of them in one another. */
void json_object_begin(struct json_writer *json);
void json_object_end(struct json_writer *json);
void json_array_begin(struct json_writer *json);
void json_array_end(struct json_writer *json);

/* In an object: the name of the next value. One of the program's own: printable ASCII without quote
 * and backslash, written as it is. What others chose goes to json_key_span, which escapes it. */
void json_key(struct json_writer *json, const char *name);
void json_key_span(struct json_writer *json, struct span name);

/* A value: in an array, behind a key, or the whole text. */
void json_text(struct json_writer *json, struct span text);
void json_cstr(struct json_writer *json, const char *text);
void json_i64(struct json_writer *json, int64_t value);
void json_u64(struct json_writer *json, uint64_t value);
/* As decimal text in quotes: JSON numbers of this size do not survive JavaScript. */
void json_u128_text(struct json_writer *json, u128 value);
void json_bool(struct json_writer *json, bool value);
void json_null(struct json_writer *json);
/* A complete JSON value that somebody else wrote; not checked. */
void json_raw(struct json_writer *json, struct span value);

/* Member shorthands: key and value. */
void json_member_text(struct json_writer *json, const char *name, struct span text);
/* null if the text is empty. */
void json_member_text_or_null(struct json_writer *json, const char *name, struct span text);
void json_member_cstr(struct json_writer *json, const char *name, const char *text);
void json_member_i64(struct json_writer *json, const char *name, int64_t value);
void json_member_bool(struct json_writer *json, const char *name, bool value);
void json_member_null(struct json_writer *json, const char *name);
/* null if the value is empty. */
void json_member_raw(struct json_writer *json, const char *name, struct span value);

#endif
