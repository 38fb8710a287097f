/*
 * Addresses, and where goods go. A hash that is given is the whole of it: what it leaves out is
 * null, also if there was something before, since an address of two halves is nobody's. All members
 * are shown, for clients that read them one by one.
 */
#include "flow.h"

#include "base/assert.h"
#include "json/json.h"

#define SIZE_MAX_OF_HASH 16384 /* of texts as long as the tables let them be, all escaped */

const char *const payments_address_members[] = {
    "city", "country", "line1", "line2", "postal_code", "state", NULL};

static void
write_texts(
    struct json_writer *json, struct resource_op *op, const char *prefix, const char *const *names)
{
    struct arena *arena = resource_op_arena(op);
    for (; *names != NULL; names++) {
        struct span text = SPAN_EMPTY;
        const char *param = arena_cstr(arena, arena_format(arena, "%s[%s]", prefix, *names));
        ASSERT(param != NULL);
        (void)resource_text(op, param, &text);
        json_member_text_or_null(json, *names, text);
    }
}

static void
write_address(struct json_writer *json, struct resource_op *op, const char *prefix)
{
    json_object_begin(json);
    write_texts(json, op, prefix, payments_address_members);
    json_object_end(json);
}

static void
write_shipping(struct json_writer *json, struct resource_op *op, const char *prefix)
{
    static const char *const names[] = {"carrier", "phone", "tracking_number", NULL};
    struct span name = SPAN_EMPTY;
    json_object_begin(json);
    json_key(json, "address");
    write_address(json, op, "shipping[address]");
    if (resource_text(op, "shipping[name]", &name) && name.size != 0) {
        json_member_text(json, "name", name); /* is never null: Stripe asks for it */
    }
    write_texts(json, op, prefix, names);
    json_object_end(json);
}

static void
read_hash(
    struct resource_op *op,
    const char *param,
    void (*write)(struct json_writer *json, struct resource_op *op, const char *prefix),
    struct span *hash)
{
    if (!resource_present(op, param)) {
        return;
    }
    const struct form_node *node = resource_node(op, param);
    *hash = SPAN_EMPTY;
    if (node == NULL || node->kind == FORM_TEXT) { /* unset */
        return;
    }
    struct buf text;
    struct json_writer json;
    buf_init(&text, SIZE_MAX_OF_HASH);
    json_begin(&json, &text);
    write(&json, op, param);
    if (!buf_failed(&text)) {
        *hash = arena_copy(resource_op_arena(op), buf_span(&text));
    }
    buf_release(&text);
}

void
payments_address_read(struct resource_op *op, struct span *address)
{
    read_hash(op, "address", write_address, address);
}

void
payments_shipping_read(struct resource_op *op, struct span *shipping)
{
    read_hash(op, "shipping", write_shipping, shipping);
}
