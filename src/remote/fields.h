/*
 * Structs as JSON objects, by tables: what the ports' requests and answers consist of.
 *
 * Written: members in the order of the table; those that are zero or empty are left out. Read: a
 * missing member is zero; an unknown one, one of another kind, a text that does not fit, and a
 * required one that is missing are refused.
 */
#ifndef REMOTE_FIELDS_H
#define REMOTE_FIELDS_H

#include "json/json.h"
#include "json/json_in.h"

enum remote_field_kind {
    REMOTE_FIELD_U64,
    REMOTE_FIELD_I64,
    REMOTE_FIELD_U32,
    REMOTE_FIELD_U16,
    REMOTE_FIELD_U8,
    REMOTE_FIELD_U128, /* decimal text */
    REMOTE_FIELD_BOOL,
    REMOTE_FIELD_TEXT,     /* char[size], zero-terminated */
    REMOTE_FIELD_SPAN,     /* struct span, at most `size` bytes; read: points into input or arena */
    REMOTE_FIELD_ENUM,     /* int-sized; `names`, ended by NULL, in the order of its values */
    REMOTE_FIELD_CURRENCY, /* const struct currency *; "USD" */
};

struct remote_field {
    const char *name;
    enum remote_field_kind kind;
    bool required; /* written even if zero, and must be there */
    size_t offset;
    size_t size;              /* TEXT, SPAN */
    const char *const *names; /* ENUM */
};

struct remote_table {
    const struct remote_field *fields;
    uint32_t count;
};

/* Appends one object. */
void remote_fields_write(
    const struct remote_table *table, const void *object, struct json_writer *json);

/* Sets every field of the table in `object`. ERR_INVALID, with *ret_problem a static text. What was
 * read may point into `text` and the arena. On failure the object is half read. */
MUST_USE err_t remote_fields_read(
    const struct remote_table *table,
    struct span text,
    struct arena *arena,
    void *object,
    const char **ret_problem);

#endif
