/*
 * Documents to JSON text and back, by the field tables. `created` stands first, then the fields in
 * the order of their table; decoding takes any order, so that a field may move in its table.
 */
#include "runtime.h"
#include "scan.h"

#include "base/assert.h"

#include <string.h>

static struct span *
text_at(const struct resource_field *field, const void *document)
{
    return (struct span *)(void *)((char *)(uintptr_t)document + field->offset);
}

static int64_t *
integer_at(const struct resource_field *field, const void *document)
{
    return (int64_t *)(void *)((char *)(uintptr_t)document + field->offset);
}

static bool *
boolean_at(const struct resource_field *field, const void *document)
{
    return (bool *)(void *)((char *)(uintptr_t)document + field->offset);
}

/* Writes the member unless it has its zero value; tells what its column holds. */
static struct document_value
field_encode(struct json_writer *json, const struct resource_field *field, const void *document)
{
    struct document_value value = {.is_null = true};
    switch (field->kind) {
    case RESOURCE_FIELD_TEXT:
    case RESOURCE_FIELD_JSON:
        value.text = *text_at(field, document);
        value.is_null = value.text.size == 0;
        break;
    case RESOURCE_FIELD_INTEGER:
        value.integer = *integer_at(field, document);
        value.is_null = value.integer == 0;
        break;
    case RESOURCE_FIELD_BOOLEAN:
        value.integer = *boolean_at(field, document) ? 1 : 0;
        value.is_null = value.integer == 0;
        break;
    }
    if (value.is_null || field->in_column_only) {
        return value;
    }
    json_key(json, field->name);
    switch (field->kind) {
    case RESOURCE_FIELD_TEXT:
        json_text(json, value.text);
        break;
    case RESOURCE_FIELD_JSON:
        json_raw(json, value.text);
        break;
    case RESOURCE_FIELD_INTEGER:
        json_i64(json, value.integer);
        break;
    case RESOURCE_FIELD_BOOLEAN:
        json_bool(json, true);
        break;
    }
    return value;
}

void
resource_fields_encode(
    struct buf *out,
    const struct resource_type *type,
    const void *document,
    struct document_value columns[DOCUMENT_COLUMNS_MAX])
{
    ASSERT(type->field_count <= RESOURCE_FIELDS_MAX);
    const struct resource_header *header = document;
    struct json_writer json;
    json_begin(&json, out);
    json_object_begin(&json);
    if (header->created != 0) {
        json_member_i64(&json, "created", header->created);
    }
    for (uint32_t i = 0; i < type->field_count; i++) {
        const struct resource_field *field = &type->fields[i];
        struct document_value value = field_encode(&json, field, document);
        if (field->column >= 0) {
            ASSERT((uint32_t)field->column < type->kind->column_count);
            ASSERT(field->kind != RESOURCE_FIELD_JSON);
            /* A column is filled from the body's member of its name when it is added later. */
            ASSERT(strcmp(type->kind->columns[field->column].name, field->name) == 0);
            columns[field->column] = value;
        }
    }
    json_object_end(&json);
}

/* The field of this name, looked for from `hint` on; UINT32_MAX if there is none. */
static uint32_t
field_find(const struct resource_type *type, struct span name, uint32_t hint)
{
    for (uint32_t i = 0; i < type->field_count; i++) {
        uint32_t index = hint + i;
        if (index >= type->field_count) {
            index -= type->field_count;
        }
        /* Fields that have nothing are left out of a body, and passed by here. */
        const char *known = type->fields[index].name;
        if (name.size > 0 && name.data[0] == known[0] && span_equal_cstr(name, known)) {
            return index;
        }
    }
    return UINT32_MAX;
}

static err_t
field_decode(
    struct resource_scan *scan,
    struct arena *arena,
    const struct resource_field *field,
    void *document)
{
    switch (field->kind) {
    case RESOURCE_FIELD_TEXT:
        return resource_scan_text(scan, arena, text_at(field, document));
    case RESOURCE_FIELD_JSON:
        return resource_scan_value(scan, text_at(field, document));
    case RESOURCE_FIELD_INTEGER:
        return resource_scan_integer(scan, integer_at(field, document));
    case RESOURCE_FIELD_BOOLEAN:
        return resource_scan_boolean(scan, boolean_at(field, document));
    }
    UNREACHABLE();
}

err_t
resource_fields_decode(
    struct arena *arena, const struct resource_type *type, struct span body, void *document)
{
    static_assert(RESOURCE_FIELDS_MAX % 64 == 0, "whole words");
    ASSERT(type->field_count <= RESOURCE_FIELDS_MAX);
    struct resource_header *header = document;
    struct resource_scan scan = resource_scan_of(body);
    bool first = true;
    bool has_created = false;
    uint64_t seen[RESOURCE_FIELDS_MAX / 64] = {0}; /* one bit each */
    uint32_t hint = 0;
    struct span name;
    err_t error;
    while (resource_scan_member(&scan, arena, &first, &name, &error)) {
        uint32_t index = field_find(type, name, hint);
        if (index != UINT32_MAX) {
            uint64_t bit = UINT64_C(1) << index % 64;
            if ((seen[index / 64] & bit) != 0) {
                return ERR_CORRUPT;
            }
            seen[index / 64] |= bit;
            hint = index + 1 == type->field_count ? 0 : index + 1;
            TRY(field_decode(&scan, arena, &type->fields[index], document));
        } else if (!has_created && span_equal_cstr(name, "created")) {
            has_created = true;
            TRY(resource_scan_integer(&scan, &header->created));
        } else {
            /* Written by a newer program: to drop it silently would lose data. */
            return ERR_CORRUPT;
        }
    }
    TRY(error);
    return scan.at == scan.end ? ERR_OK : ERR_CORRUPT;
}
