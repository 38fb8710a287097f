#include "jansson_oracle.h"

#include <jansson.h>

#define ORACLE_FLAGS (JSON_REJECT_DUPLICATES | JSON_DECODE_ANY)

static json_t *
oracle_read(struct span text, json_error_t *error)
{
    return json_loadb(text.size == 0 ? "" : text.data, text.size, ORACLE_FLAGS, error);
}

bool
oracle_accepts(struct span text)
{
    json_error_t error;
    json_t *json = oracle_read(text, &error);
    bool accepted = json != NULL;
    json_decref(json);
    return accepted;
}

bool
oracle_limits(struct span text)
{
    json_error_t error;
    json_t *json = oracle_read(text, &error);
    bool limit = json == NULL && json_error_code(&error) == json_error_numeric_overflow;
    json_decref(json);
    return limit;
}

bool
oracle_same(struct span a, struct span b)
{
    json_error_t error;
    json_t *left = oracle_read(a, &error);
    json_t *right = oracle_read(b, &error);
    bool same = json_equal(left, right) == 1;
    json_decref(left);
    json_decref(right);
    return same;
}
