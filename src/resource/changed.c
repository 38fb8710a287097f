#include "changed.h"

#include "base/assert.h"
#include "scan.h"

#include <string.h>

/* ---------------------------------------------------------------------------------- members --- */

/* The raw value of a member; empty if the object has none of this name. */
static err_t
member_find(struct arena *arena, struct span object, struct span wanted, struct span *ret_value)
{
    struct resource_scan scan = resource_scan_of(object);
    bool first = true;
    struct span name;
    struct span value;
    err_t error;
    *ret_value = SPAN_EMPTY;
    while (resource_scan_member(&scan, arena, &first, &name, &error)) {
        TRY(resource_scan_value(&scan, &value));
        if (span_equal(name, wanted)) {
            *ret_value = value;
            return ERR_OK;
        }
    }
    return error;
}

static bool
is_object(struct span value)
{
    return value.size > 0 && value.data[0] == '{';
}

static err_t members_write(
    struct json_writer *json, struct arena *arena, struct span before, struct span after);

static err_t
member_write(
    struct json_writer *json,
    struct arena *arena,
    struct span name,
    struct span before,
    struct span after)
{
    if (span_equal(before, after)) {
        return ERR_OK;
    }
    json_key_span(json, name);
    if (is_object(before) && is_object(after)) {
        return members_write(json, arena, before, after);
    }
    json_raw(json, before);
    return ERR_OK;
}

static err_t
members_write(struct json_writer *json, struct arena *arena, struct span before, struct span after)
{
    struct resource_scan scan = resource_scan_of(before);
    bool first = true;
    struct span name;
    struct span value;
    struct span other;
    err_t error;
    json_object_begin(json);
    while (resource_scan_member(&scan, arena, &first, &name, &error)) {
        TRY(resource_scan_value(&scan, &value));
        TRY(member_find(arena, after, name, &other));
        TRY(member_write(json, arena, name, value, other));
    }
    TRY(error);
    scan = resource_scan_of(after);
    first = true;
    while (resource_scan_member(&scan, arena, &first, &name, &error)) {
        TRY(resource_scan_value(&scan, &value));
        TRY(member_find(arena, before, name, &other));
        if (other.size == 0) {
            TRY(member_write(json, arena, name, SPAN("null"), value));
        }
    }
    TRY(error);
    json_object_end(json);
    return ERR_OK;
}

err_t
resource_changed_members(
    struct arena *arena, struct span before, struct span after, struct buf *out)
{
    struct json_writer json;
    json_begin(&json, out);
    TRY(members_write(&json, arena, before, after));
    return buf_failed(out) ? ERR_FULL : ERR_OK;
}

/* --------------------------------------------------------------------------------- documents ---
 */

/* The operation's first write of the document since the last commit; NULL: it wrote nothing. */
static const struct resource_write *
first_write(
    const struct resource_op *op,
    const struct resource_type *type,
    const struct resource_header *header)
{
    const struct resource_write *found = NULL;
    for (const struct resource_write *write = op->writes; write != NULL; write = write->older) {
        if (write->kind == type->kind && write->scope == header->scope &&
            span_equal(write->id, header->id)) {
            found = write;
        }
    }
    return found;
}

static size_t
field_size(const struct resource_field *field)
{
    switch (field->kind) {
    case RESOURCE_FIELD_TEXT:
    case RESOURCE_FIELD_JSON:
        return sizeof(struct span);
    case RESOURCE_FIELD_INTEGER:
        return sizeof(int64_t);
    case RESOURCE_FIELD_BOOLEAN:
        return sizeof(bool);
    }
    UNREACHABLE();
}

/* As it was stored. What is not stored of it, such as a balance that was looked up, is as now. */
static err_t
as_it_was(
    struct resource_op *op,
    const struct resource_type *type,
    const void *document,
    const struct resource_write *write,
    void **ret_former)
{
    void *stored = NULL;
    char *former = arena_alloc(&op->arena, type->struct_size);
    struct document_row row = write->before;
    row.scope = write->scope;
    row.id = write->id;
    if (former == NULL) {
        return ERR_FULL;
    }
    TRY(resource_row_decode(&op->arena, type, &row, &stored));
    memcpy(former, document, type->struct_size);
    for (uint32_t i = 0; i < type->field_count; i++) {
        const struct resource_field *field = &type->fields[i];
        memcpy(former + field->offset, (char *)stored + field->offset, field_size(field));
    }
    *ret_former = former;
    return ERR_OK;
}

err_t
resource_changed_since(
    struct resource_op *op, struct span before, struct span after, struct span *ret_previous)
{
    struct buf text;
    resource_body_init(&text);
    err_t error = resource_changed_members(&op->arena, before, after, &text);
    if (error == ERR_OK) {
        *ret_previous = arena_copy(&op->arena, buf_span(&text));
        error = ret_previous->data == NULL ? ERR_FULL : ERR_OK;
    }
    buf_release(&text);
    return error;
}

err_t
resource_changed(
    struct resource_op *op,
    const struct resource_type *type,
    const void *document,
    struct span shown,
    struct span *ret_previous)
{
    *ret_previous = SPAN_EMPTY;
    const struct resource_write *write = first_write(op, type, document);
    if (write == NULL) {
        *ret_previous = SPAN("{}");
        return ERR_OK;
    }
    if (write->before.version == 0 || write->before.body.data == NULL) {
        return ERR_OK;
    }
    void *former = NULL;
    TRY(as_it_was(op, type, document, write, &former));
    struct span before = resource_render_text(op, type, former);
    if (before.size == 0) {
        return ERR_FULL;
    }
    return resource_changed_since(op, before, shown, ret_previous);
}
