/*
 * Reading JSON (RFC 8259) strictly, into a tree in an arena.
 *
 * Refused: anything RFC 8259 does not allow, duplicate names in an object, invalid UTF-8, zero
 * bytes and lone surrogates in texts, too much nesting, more values than the limit. Numbers are
 * kept as they were written, so integers of any size are exact; nothing becomes floating point.
 *
 * JSON-4  The tree is what the text says: no member lost, no number rounded, no byte replaced.
 * JSON-5  Values know where they came from: json_value_path names them ("events[3].amount").
 *
 * Texts without escapes and numbers are spans of the input, which must live as long as the tree;
 * everything else is in the arena, so wiping both wipes what was read.
 */
#ifndef JSON_JSON_IN_H
#define JSON_JSON_IN_H

#include "base/arena.h"
#include "base/err.h"
#include "base/u128.h"

#define JSON_IN_DEPTH_MAX   32
#define JSON_IN_MEMBERS_MAX 256 /* of one object: bounds the search for duplicates */

enum json_kind {
    JSON_KIND_NULL,
    JSON_KIND_BOOL,
    JSON_KIND_INTEGER, /* without fraction and exponent */
    JSON_KIND_DECIMAL, /* with one of them */
    JSON_KIND_TEXT,
    JSON_KIND_ARRAY,
    JSON_KIND_OBJECT,
};

struct json_value {
    enum json_kind kind;
    bool boolean;         /* JSON_KIND_BOOL */
    uint32_t index;       /* position among the parent's children, from 0 */
    uint32_t child_count; /* of an array or object */
    uint32_t position;    /* of its first byte in the input */
    struct span name;     /* in a parent object: the member's decoded name */
    struct span text;     /* TEXT: decoded; INTEGER, DECIMAL: as written */
    struct json_value *parent;
    struct json_value *first_child; /* in the order of the input */
    struct json_value *last_child;
    struct json_value *next;
};

/* What is wrong, and where. All in the arena or static. */
struct json_problem {
    size_t position;     /* byte in the input */
    struct span path;    /* of the value being read: "events[3].amount"; empty at the top */
    const char *message; /* a sentence with its full stop; quotes nothing of the input */
};

/* Reads one JSON text of at most `value_limit` values (an array of two numbers has three) and
 * 4 GiB. ERR_INVALID for a text that is refused, ERR_FULL for a limit (the arena's too); then
 * *ret_problem says why. */
MUST_USE err_t json_read(
    struct span text,
    struct arena *arena,
    uint32_t value_limit,
    struct json_value **ret_root,
    struct json_problem *ret_problem);

/* The member of an object by name; NULL if there is none, and for what is no object or NULL. */
const struct json_value *json_value_member(const struct json_value *object, struct span name);

/* "events[3].amount", in the arena; empty for the root and when the arena is full. */
struct span json_value_path(const struct json_value *value, struct arena *arena);

/* Exact values: ERR_INVALID for another kind (NULL and null included), ERR_RANGE if it does not
 * fit. -0 is 0. u128 also reads a text of decimal digits, as ids and amounts of the ledger are
 * written for JavaScript's sake. */
MUST_USE err_t json_value_i64(const struct json_value *value, int64_t *ret_number);
MUST_USE err_t json_value_u64(const struct json_value *value, uint64_t *ret_number);
MUST_USE err_t json_value_u128(const struct json_value *value, u128 *ret_number);
MUST_USE err_t json_value_bool(const struct json_value *value, bool *ret_boolean);
MUST_USE err_t json_value_text(const struct json_value *value, struct span *ret_text);

/* The member's text; empty if it is none, or not there. */
struct span json_value_member_text(const struct json_value *object, struct span name);

#endif
