#include "record_fields.h"

#include <string.h>

static err_t
refuse(
    err_t code,
    const struct json_value *value,
    const char *message,
    struct arena *arena,
    struct json_problem *ret_problem)
{
    *ret_problem = (struct json_problem){
        .position = value->position,
        .path = json_value_path(value, arena),
        .message = message,
    };
    return code;
}

/* An integer that fits `size` bytes. NULL, or what is wrong with it. */
static const char *
integer_read(const struct json_value *value, uint32_t size, u128 *ret_number)
{
    u128 number = 0;
    err_t error = json_value_u128(value, &number);
    if (error == ERR_INVALID) {
        return "Expected a whole number, or a string of decimal digits.";
    }
    if (error != ERR_OK || (size < 16 && number >> (8 * size) != 0)) {
        return "The number is out of range.";
    }
    *ret_number = number;
    return NULL;
}

static const struct record_flag *
flag_find(const struct record_flag *flags, struct span name)
{
    for (; flags->name != NULL; flags++) {
        if (span_equal_cstr(name, flags->name)) {
            return flags;
        }
    }
    return NULL;
}

/* Names, or a number. On failure *ret_culprit is the value that is wrong. */
static const char *
flags_read(
    const struct json_value *value,
    const struct record_field *field,
    u128 *ret_number,
    const struct json_value **ret_culprit)
{
    *ret_culprit = value;
    if (value->kind != JSON_KIND_ARRAY) {
        const char *message = integer_read(value, field->size, ret_number);
        return message == NULL ? NULL : "Expected an array of flag names, or a number in range.";
    }
    u128 number = 0;
    for (const struct json_value *name = value->first_child; name != NULL; name = name->next) {
        *ret_culprit = name;
        if (name->kind != JSON_KIND_TEXT) {
            return "Expected the name of a flag.";
        }
        const struct record_flag *flag = flag_find(field->flags, name->text);
        if (flag == NULL) {
            return "There is no flag of this name.";
        }
        number |= flag->bit;
    }
    *ret_number = number;
    return NULL;
}

static const struct record_field *
field_find(const struct record_table *table, struct span name)
{
    for (uint32_t i = 0; i < table->field_count; i++) {
        if (span_equal_cstr(name, table->fields[i].name)) {
            return &table->fields[i];
        }
    }
    return NULL;
}

/* Reads one object into `out`, which the caller zeroed. */
static err_t
object_read(
    const struct json_value *object,
    const struct record_table *table,
    void *out,
    struct arena *arena,
    struct json_problem *ret_problem)
{
    if (object->kind != JSON_KIND_OBJECT) {
        return refuse(ERR_INVALID, object, "Expected an object.", arena, ret_problem);
    }
    for (const struct json_value *value = object->first_child; value != NULL; value = value->next) {
        const struct record_field *field = field_find(table, value->name);
        if (field == NULL) {
            return refuse(
                ERR_INVALID, value, "There is no field of this name.", arena, ret_problem);
        }
        u128 number = 0;
        const struct json_value *culprit = value;
        const char *message = field->flags != NULL ? flags_read(value, field, &number, &culprit)
                                                   : integer_read(value, field->size, &number);
        if (message != NULL) {
            return refuse(ERR_INVALID, culprit, message, arena, ret_problem);
        }
        /* Little-endian, so the low bytes come first. */
        memcpy((char *)out + field->offset, &number, field->size);
    }
    return ERR_OK;
}

static err_t
array_check(
    const struct json_value *array,
    uint32_t room,
    struct arena *arena,
    struct json_problem *ret_problem)
{
    if (array->kind != JSON_KIND_ARRAY) {
        return refuse(ERR_INVALID, array, "Expected an array.", arena, ret_problem);
    }
    if (array->child_count > room) {
        return refuse(ERR_FULL, array, "There are too many elements.", arena, ret_problem);
    }
    return ERR_OK;
}

static err_t
records_read(
    const struct json_value *array,
    const struct record_table *table,
    void *out,
    size_t size,
    struct arena *arena,
    struct json_problem *ret_problem)
{
    char *record = out;
    for (const struct json_value *value = array->first_child; value != NULL; value = value->next) {
        memset(record, 0, size);
        TRY(object_read(value, table, record, arena, ret_problem));
        record += size;
    }
    return ERR_OK;
}

err_t
record_accounts_read(
    const struct json_value *array,
    struct ledger_account *out,
    uint32_t room,
    uint32_t *ret_count,
    struct arena *arena,
    struct json_problem *ret_problem)
{
    TRY(array_check(array, room, arena, ret_problem));
    TRY(records_read(array, &record_account_table, out, sizeof(*out), arena, ret_problem));
    *ret_count = array->child_count;
    return ERR_OK;
}

err_t
record_transfers_read(
    const struct json_value *array,
    struct ledger_transfer *out,
    uint32_t room,
    uint32_t *ret_count,
    struct arena *arena,
    struct json_problem *ret_problem)
{
    TRY(array_check(array, room, arena, ret_problem));
    TRY(records_read(array, &record_transfer_table, out, sizeof(*out), arena, ret_problem));
    *ret_count = array->child_count;
    return ERR_OK;
}

err_t
record_ids_read(
    const struct json_value *array,
    u128 *out,
    uint32_t room,
    uint32_t *ret_count,
    struct arena *arena,
    struct json_problem *ret_problem)
{
    TRY(array_check(array, room, arena, ret_problem));
    uint32_t count = 0;
    for (const struct json_value *value = array->first_child; value != NULL; value = value->next) {
        const char *message = integer_read(value, sizeof(*out), &out[count]);
        if (message != NULL) {
            return refuse(ERR_INVALID, value, message, arena, ret_problem);
        }
        count++;
    }
    *ret_count = count;
    return ERR_OK;
}

err_t
record_filter_read(
    const struct json_value *object,
    enum record_filter_kind kind,
    struct record_filter *ret_filter,
    struct arena *arena,
    struct json_problem *ret_problem)
{
    struct record_filter_in in;
    memset(&in, 0, sizeof(in));
    TRY(object_read(object, &record_filter_tables[kind], &in, arena, ret_problem));
    uint32_t known = 0;
    switch (kind) {
    case RECORD_FILTER_ACCOUNT:
        known = RECORD_FILTER_DEBITS | RECORD_FILTER_CREDITS | RECORD_FILTER_REVERSED;
        in.filter.debits = (in.flags & RECORD_FILTER_DEBITS) != 0;
        in.filter.credits = (in.flags & RECORD_FILTER_CREDITS) != 0;
        in.filter.reversed = (in.flags & RECORD_FILTER_REVERSED) != 0;
        break;
    case RECORD_FILTER_QUERY:
        known = RECORD_QUERY_REVERSED;
        in.filter.reversed = (in.flags & RECORD_QUERY_REVERSED) != 0;
        break;
    case RECORD_FILTER_CHANGES:
        break;
    }
    in.filter.undefined_flags = (in.flags & ~known) != 0;
    *ret_filter = in.filter;
    return ERR_OK;
}
