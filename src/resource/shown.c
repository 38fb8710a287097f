/* What a key may see: members of an object, and references of it. */
#include "shown.h"

#include "base/assert.h"

#include <string.h>

/* ---------------------------------------------------------------------------------- members --- */

/* The size of the JSON value at the beginning of `text`, which is valid and goes on behind it. */
static size_t
value_size(struct span text)
{
    uint32_t depth = 0;
    bool in_text = false;
    for (size_t i = 0; i < text.size; i++) {
        char byte = text.data[i];
        if (in_text) {
            i += byte == '\\' ? 1 : 0;
            in_text = byte != '"';
        } else if (byte == '"') {
            in_text = true;
        } else if (byte == '{' || byte == '[') {
            depth++;
        } else if (depth == 0 && (byte == ',' || byte == '}')) {
            return i;
        } else if (byte == '}' || byte == ']') {
            depth--;
        }
    }
    return text.size;
}

/* NULL: not one of them. */
static const struct resource_shown *
shown_find(const struct resource_shown *shown, struct span name)
{
    while (shown->name != NULL && !span_equal_cstr(name, shown->name)) {
        shown++;
    }
    return shown->name != NULL ? shown : NULL;
}

/* As deep as `shown` is a tree. */
static void
members_write(struct json_writer *json, struct span object, const struct resource_shown *shown)
{
    ASSERT(object.size >= 2 && object.data[0] == '{' && object.data[object.size - 1] == '}');
    json_object_begin(json);
    size_t at = 1;
    while (at < object.size - 1) {
        ASSERT(object.data[at] == '"');
        size_t name_end = span_find(object, '"', at + 1); /* our own names have no escapes */
        struct span name = span_slice(object, at + 1, name_end);
        ASSERT(name_end + 1 < object.size && object.data[name_end + 1] == ':');
        struct span rest = span_slice(object, name_end + 2, object.size);
        struct span value = span_slice(rest, 0, value_size(rest));
        const struct resource_shown *member = shown_find(shown, name);
        if (member != NULL) {
            json_key_span(json, name);
            if (member->members != NULL && value.data[0] == '{') {
                members_write(json, value, member->members);
            } else {
                json_raw(json, value);
            }
        }
        at = name_end + 2 + value.size + 1; /* and the comma */
    }
    json_object_end(json);
}

void
resource_shown_members(struct span object, const struct resource_shown *shown, struct buf *out)
{
    struct json_writer json;
    json_begin(&json, out);
    members_write(&json, object, shown);
}

/* ------------------------------------------------------------------------------- references --- */

bool
resource_shown_in_part(const struct resource_op *op)
{
    /* Whoever ends what a dead process began for a publishable key makes the answer that it gets.
     */
    return op->caller.key_kind == RESOURCE_KEY_PUBLISHABLE ||
           (op->request == NULL && resource_idempotency_is_publishable(op));
}

bool
resource_shown_expanded(const struct resource_op *op, const struct resource_type *type)
{
    switch (op->caller.key_kind) {
    case RESOURCE_KEY_PUBLISHABLE:
        return type->public_members != NULL;
    case RESOURCE_KEY_RESTRICTED:
        return resource_auth_permits(op, type->permission, false);
    case RESOURCE_KEY_SECRET:
    case RESOURCE_KEY_INTERNAL:
    case RESOURCE_KEY_NONE:
        return true;
    }
    UNREACHABLE();
}

void
resource_shown_refuse(struct resource_op *op, const struct resource_type *type, struct span path)
{
    struct resource_error error = {
        .status = 403, .type = "invalid_request_error", .param = SPAN("expand")};
    if (op->caller.key_kind == RESOURCE_KEY_PUBLISHABLE) {
        error.code = "secret_key_required";
        error.message = arena_format(
            &op->arena,
            "This property cannot be expanded with a publishable API key (%.*s). Please use a "
            "secret API key.",
            SPAN_PRINTF(path));
    } else if (type->permission == NULL) {
        error.message = arena_format(
            &op->arena,
            "Restricted keys may not expand this property (%.*s). Please use a secret API key.",
            SPAN_PRINTF(path));
    } else {
        error.message = arena_format(
            &op->arena,
            "The provided key does not have the required permissions to expand this property "
            "(%.*s) on account '%s'. Having the '%s:read' permission would allow this request to "
            "continue.",
            SPAN_PRINTF(path),
            op->caller.merchant_id,
            type->permission);
    }
    resource_fail(op, &error);
}
