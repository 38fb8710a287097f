#include "fields.h"

#include "base/assert.h"
#include "base/money.h"

#include <string.h>

/* Values of one message, many times more than any table has. */
#define VALUES_MAX 128

/* ---------------------------------------------------------------------------------- writing --- */

static uint64_t
unsigned_at(const struct remote_field *field, const char *at)
{
    uint64_t wide = 0;
    uint32_t word = 0;
    uint16_t half = 0;
    switch (field->kind) {
    case REMOTE_FIELD_U64:
        memcpy(&wide, at, sizeof(wide));
        return wide;
    case REMOTE_FIELD_U32:
    case REMOTE_FIELD_ENUM:
        memcpy(&word, at, sizeof(word));
        return word;
    case REMOTE_FIELD_U16:
        memcpy(&half, at, sizeof(half));
        return half;
    case REMOTE_FIELD_U8:
        return (uint8_t)*at;
    case REMOTE_FIELD_BOOL:
        return *at != 0;
    case REMOTE_FIELD_I64:
    case REMOTE_FIELD_U128:
    case REMOTE_FIELD_TEXT:
    case REMOTE_FIELD_SPAN:
    case REMOTE_FIELD_CURRENCY:
        break;
    }
    UNREACHABLE();
}

static struct span
text_at(const struct remote_field *field, const char *at)
{
    struct span text;
    const struct currency *currency;
    if (field->kind == REMOTE_FIELD_TEXT) {
        return span_of(at, strnlen(at, field->size - 1));
    }
    if (field->kind == REMOTE_FIELD_CURRENCY) {
        memcpy(&currency, at, sizeof(currency));
        return currency == NULL ? SPAN_EMPTY : span_from_cstr(currency->code);
    }
    ASSERT(field->kind == REMOTE_FIELD_SPAN);
    memcpy(&text, at, sizeof(text));
    return text;
}

static void
write_text(const struct remote_field *field, const char *at, struct json_writer *json)
{
    struct span text = text_at(field, at);
    if (text.size != 0 || field->required) {
        json_member_text(json, field->name, text);
    }
}

static void
write_number(const struct remote_field *field, uint64_t value, struct json_writer *json)
{
    if (value == 0 && !field->required) {
        return;
    }
    json_key(json, field->name);
    if (field->kind == REMOTE_FIELD_ENUM) {
        json_cstr(json, field->names[value]);
    } else if (field->kind == REMOTE_FIELD_BOOL) {
        json_bool(json, value != 0);
    } else {
        json_u64(json, value);
    }
}

static void
field_write(const struct remote_field *field, const char *at, struct json_writer *json)
{
    int64_t number;
    u128 wide;
    switch (field->kind) {
    case REMOTE_FIELD_TEXT:
    case REMOTE_FIELD_SPAN:
    case REMOTE_FIELD_CURRENCY:
        write_text(field, at, json);
        return;
    case REMOTE_FIELD_I64:
        memcpy(&number, at, sizeof(number));
        if (number != 0 || field->required) {
            json_member_i64(json, field->name, number);
        }
        return;
    case REMOTE_FIELD_U128:
        memcpy(&wide, at, sizeof(wide));
        if (wide != 0 || field->required) {
            json_key(json, field->name);
            json_u128_text(json, wide);
        }
        return;
    case REMOTE_FIELD_U64:
    case REMOTE_FIELD_U32:
    case REMOTE_FIELD_U16:
    case REMOTE_FIELD_U8:
    case REMOTE_FIELD_BOOL:
    case REMOTE_FIELD_ENUM:
        write_number(field, unsigned_at(field, at), json);
        return;
    }
    UNREACHABLE();
}

void
remote_fields_write(const struct remote_table *table, const void *object, struct json_writer *json)
{
    json_object_begin(json);
    for (uint32_t i = 0; i < table->count; i++) {
        const struct remote_field *field = &table->fields[i];
        field_write(field, (const char *)object + field->offset, json);
    }
    json_object_end(json);
}

/* ---------------------------------------------------------------------------------- reading --- */

static err_t
read_text(const struct remote_field *field, struct span text, char *at)
{
    if (field->kind == REMOTE_FIELD_SPAN) {
        memcpy(at, &text, sizeof(text));
        return text.size <= field->size ? ERR_OK : ERR_RANGE;
    }
    if (field->kind == REMOTE_FIELD_CURRENCY) {
        const struct currency *currency = currency_find(text);
        memcpy(at, &currency, sizeof(currency));
        return currency != NULL ? ERR_OK : ERR_INVALID;
    }
    if (text.size >= field->size || memchr(text.data, '\0', text.size) != NULL) {
        return ERR_RANGE;
    }
    memset(at, 0, field->size);
    memcpy(at, text.data, text.size);
    return ERR_OK;
}

static err_t
read_enum(const struct remote_field *field, struct span text, char *at)
{
    for (uint32_t i = 0; field->names[i] != NULL; i++) {
        if (span_equal_cstr(text, field->names[i])) {
            memcpy(at, &i, sizeof(i));
            return ERR_OK;
        }
    }
    return ERR_INVALID;
}

static err_t
read_unsigned(const struct remote_field *field, const struct json_value *value, char *at)
{
    uint64_t number;
    TRY(json_value_u64(value, &number));
    uint32_t word = (uint32_t)number;
    uint16_t half = (uint16_t)number;
    uint8_t byte = (uint8_t)number;
    if (field->kind == REMOTE_FIELD_U64) {
        memcpy(at, &number, sizeof(number));
        return ERR_OK;
    }
    if (field->kind == REMOTE_FIELD_U32) {
        memcpy(at, &word, sizeof(word));
        return number == word ? ERR_OK : ERR_RANGE;
    }
    if (field->kind == REMOTE_FIELD_U16) {
        memcpy(at, &half, sizeof(half));
        return number == half ? ERR_OK : ERR_RANGE;
    }
    memcpy(at, &byte, sizeof(byte));
    return number == byte ? ERR_OK : ERR_RANGE;
}

static err_t
field_read(const struct remote_field *field, const struct json_value *value, char *at)
{
    struct span text;
    int64_t number;
    u128 wide;
    bool truth;
    switch (field->kind) {
    case REMOTE_FIELD_TEXT:
    case REMOTE_FIELD_SPAN:
    case REMOTE_FIELD_CURRENCY:
        TRY(json_value_text(value, &text));
        return read_text(field, text, at);
    case REMOTE_FIELD_ENUM:
        TRY(json_value_text(value, &text));
        return read_enum(field, text, at);
    case REMOTE_FIELD_I64:
        TRY(json_value_i64(value, &number));
        memcpy(at, &number, sizeof(number));
        return ERR_OK;
    case REMOTE_FIELD_U128:
        TRY(json_value_u128(value, &wide));
        memcpy(at, &wide, sizeof(wide));
        return ERR_OK;
    case REMOTE_FIELD_BOOL:
        TRY(json_value_bool(value, &truth));
        memcpy(at, &truth, sizeof(truth));
        return ERR_OK;
    case REMOTE_FIELD_U64:
    case REMOTE_FIELD_U32:
    case REMOTE_FIELD_U16:
    case REMOTE_FIELD_U8:
        return read_unsigned(field, value, at);
    }
    UNREACHABLE();
}

static size_t
size_of(const struct remote_field *field)
{
    switch (field->kind) {
    case REMOTE_FIELD_U64:
    case REMOTE_FIELD_I64:
        return sizeof(uint64_t);
    case REMOTE_FIELD_U32:
    case REMOTE_FIELD_ENUM:
        return sizeof(uint32_t);
    case REMOTE_FIELD_U16:
        return sizeof(uint16_t);
    case REMOTE_FIELD_U8:
    case REMOTE_FIELD_BOOL:
        return 1;
    case REMOTE_FIELD_U128:
        return sizeof(u128);
    case REMOTE_FIELD_TEXT:
        return field->size;
    case REMOTE_FIELD_SPAN:
        return sizeof(struct span);
    case REMOTE_FIELD_CURRENCY:
        return sizeof(const struct currency *);
    }
    UNREACHABLE();
}

static bool
is_known(const struct remote_table *table, struct span name)
{
    for (uint32_t i = 0; i < table->count; i++) {
        if (span_equal_cstr(name, table->fields[i].name)) {
            return true;
        }
    }
    return false;
}

static err_t
read_object(
    const struct remote_table *table,
    const struct json_value *root,
    void *object,
    const char **ret_problem)
{
    *ret_problem = "not an object";
    if (root->kind != JSON_KIND_OBJECT) {
        return ERR_INVALID;
    }
    *ret_problem = "an unknown member";
    for (const struct json_value *at = root->first_child; at != NULL; at = at->next) {
        if (!is_known(table, at->name)) {
            return ERR_INVALID;
        }
    }
    for (uint32_t i = 0; i < table->count; i++) {
        const struct remote_field *field = &table->fields[i];
        const struct json_value *value = json_value_member(root, span_from_cstr(field->name));
        char *at = (char *)object + field->offset;
        *ret_problem = field->name;
        if (value == NULL && field->required) {
            return ERR_INVALID;
        }
        if (value == NULL) {
            memset(at, 0, size_of(field));
        } else if (field_read(field, value, at) != ERR_OK) {
            return ERR_INVALID;
        }
    }
    *ret_problem = "";
    return ERR_OK;
}

err_t
remote_fields_read(
    const struct remote_table *table,
    struct span text,
    struct arena *arena,
    void *object,
    const char **ret_problem)
{
    struct json_value *root = NULL;
    struct json_problem problem;
    *ret_problem = "not JSON";
    if (json_read(text, arena, VALUES_MAX, &root, &problem) != ERR_OK) {
        return ERR_INVALID;
    }
    return read_object(table, root, object, ret_problem);
}
