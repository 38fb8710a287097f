#include "json/json_in.h"

#include "base/assert.h"

#include <string.h>

const struct json_value *
json_value_member(const struct json_value *object, struct span name)
{
    if (object == NULL || object->kind != JSON_KIND_OBJECT) {
        return NULL;
    }
    const struct json_value *member = object->first_child;
    while (member != NULL && !span_equal(member->name, name)) {
        member = member->next;
    }
    return member;
}

#define INDEX_DIGITS_MAX 10

/* Writes ".name" or "[index]" backwards, ending at `end`; returns where it begins. */
static char *
part_write(const struct json_value *value, char *end)
{
    if (value->parent->kind == JSON_KIND_OBJECT) {
        end -= value->name.size;
        if (value->name.size > 0) {
            memcpy(end, value->name.data, value->name.size);
        }
        if (value->parent->parent != NULL) {
            *--end = '.';
        }
        return end;
    }
    *--end = ']';
    uint32_t index = value->index;
    do {
        *--end = (char)('0' + index % 10);
        index /= 10;
    } while (index > 0);
    *--end = '[';
    return end;
}

struct span
json_value_path(const struct json_value *value, struct arena *arena)
{
    size_t size = 0;
    for (const struct json_value *at = value; at->parent != NULL; at = at->parent) {
        size += at->name.size + INDEX_DIGITS_MAX + 2;
    }
    char *text = size == 0 ? NULL : arena_alloc(arena, size);
    if (text == NULL) {
        return SPAN_EMPTY;
    }
    char *begin = text + size;
    for (const struct json_value *at = value; at->parent != NULL; at = at->parent) {
        begin = part_write(at, begin);
    }
    ASSERT(begin >= text);
    return span_of(begin, (size_t)(text + size - begin));
}

static bool
is_kind(const struct json_value *value, enum json_kind kind)
{
    return value != NULL && value->kind == kind;
}

err_t
json_value_i64(const struct json_value *value, int64_t *ret_number)
{
    if (!is_kind(value, JSON_KIND_INTEGER)) {
        return ERR_INVALID;
    }
    return span_parse_i64(value->text, ret_number) ? ERR_OK : ERR_RANGE;
}

err_t
json_value_u64(const struct json_value *value, uint64_t *ret_number)
{
    u128 number;
    TRY(is_kind(value, JSON_KIND_TEXT) ? ERR_INVALID : json_value_u128(value, &number));
    if (number > UINT64_MAX) {
        return ERR_RANGE;
    }
    *ret_number = (uint64_t)number;
    return ERR_OK;
}

static bool
is_all_digits(struct span text)
{
    for (size_t i = 0; i < text.size; i++) {
        if (text.data[i] < '0' || text.data[i] > '9') {
            return false;
        }
    }
    return text.size > 0;
}

err_t
json_value_u128(const struct json_value *value, u128 *ret_number)
{
    if (is_kind(value, JSON_KIND_INTEGER)) {
        if (span_equal(value->text, SPAN("-0"))) {
            *ret_number = 0;
            return ERR_OK;
        }
        return u128_parse(value->text, ret_number) ? ERR_OK : ERR_RANGE;
    }
    if (!is_kind(value, JSON_KIND_TEXT) || !is_all_digits(value->text)) {
        return ERR_INVALID;
    }
    return u128_parse(value->text, ret_number) ? ERR_OK : ERR_RANGE;
}

err_t
json_value_bool(const struct json_value *value, bool *ret_boolean)
{
    if (!is_kind(value, JSON_KIND_BOOL)) {
        return ERR_INVALID;
    }
    *ret_boolean = value->boolean;
    return ERR_OK;
}

err_t
json_value_text(const struct json_value *value, struct span *ret_text)
{
    if (!is_kind(value, JSON_KIND_TEXT)) {
        return ERR_INVALID;
    }
    *ret_text = value->text;
    return ERR_OK;
}

struct span
json_value_member_text(const struct json_value *object, struct span name)
{
    struct span text = SPAN_EMPTY;
    err_t error = json_value_text(json_value_member(object, name), &text);
    return error == ERR_OK ? text : SPAN_EMPTY;
}
