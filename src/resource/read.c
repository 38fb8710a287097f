/* What handlers read of the checked parameters. */
#include "runtime.h"
#include "scan.h"

#include "base/assert.h"
#include "base/money.h"

#include <string.h>

#define METADATA_KEYS_MAX 50

const struct form_node *
resource_node(struct resource_op *op, const char *name)
{
    return op->request == NULL ? NULL : form_find(op->request->params, name);
}

bool
resource_present(struct resource_op *op, const char *name)
{
    return resource_node(op, name) != NULL;
}

bool
resource_text(struct resource_op *op, const char *name, struct span *ret_text)
{
    const struct form_node *node = resource_node(op, name);
    if (node == NULL || node->kind != FORM_TEXT) {
        return false;
    }
    *ret_text = node->text;
    return true;
}

bool
resource_integer(struct resource_op *op, const char *name, int64_t *ret_value)
{
    struct span text;
    return resource_text(op, name, &text) && span_parse_i64(text, ret_value);
}

bool
resource_coins_check(
    struct resource_op *op, const char *name, int64_t amount, const struct currency *currency)
{
    struct money coins;
    if (money_from_api(amount, currency, &coins) != ERR_OK) {
        resource_invalid(
            op,
            "parameter_invalid_integer",
            name,
            "This amount is finer than the smallest unit of the currency.");
        return false;
    }
    return true;
}

bool
resource_boolean(struct resource_op *op, const char *name, bool *ret_value)
{
    struct span text;
    if (!resource_text(op, name, &text) || text.size == 0) {
        return false;
    }
    *ret_value = span_equal_cstr(text, "true");
    return true;
}

/* As deep as the form codec lets it be (FORM_DEPTH_MAX). */
static void
write_node(struct json_writer *json, const struct form_node *node)
{
    if (node->kind == FORM_TEXT) {
        json_text(json, node->text);
        return;
    }
    bool hash = node->kind == FORM_HASH;
    if (hash) {
        json_object_begin(json);
    } else {
        json_array_begin(json);
    }
    for (const struct form_node *child = node->first_child; child != NULL; child = child->next) {
        if (hash && child->kind == FORM_TEXT && child->text.size == 0) {
            continue; /* empty is unset */
        }
        if (hash) {
            json_key_span(json, child->name);
        }
        write_node(json, child);
    }
    if (hash) {
        json_object_end(json);
    } else {
        json_array_end(json);
    }
}

struct span
resource_json(struct resource_op *op, const char *name)
{
    const struct form_node *node = resource_node(op, name);
    if (node == NULL || (node->kind == FORM_TEXT && node->text.size == 0)) {
        return SPAN_EMPTY;
    }
    struct buf text;
    struct json_writer json;
    buf_init(&text, RESOURCE_BODY_LIMIT);
    json_begin(&json, &text);
    write_node(&json, node);
    struct span result = buf_failed(&text) ? SPAN_EMPTY : arena_copy(&op->arena, buf_span(&text));
    buf_release(&text);
    return result;
}

/* --------------------------------------------------------------------------------- metadata */

struct merge {
    struct json_writer json;
    struct buf text;
    uint32_t count;
};

static void
merge_add(struct merge *merge, struct span key, struct span value)
{
    json_key_span(&merge->json, key);
    json_text(&merge->json, value);
    merge->count++;
}

/* The present entries that the request does not name, then those that it sets. */
static err_t
merge_entries(
    struct resource_op *op, struct merge *merge, struct span current, const struct form_node *node)
{
    if (current.size > 0) {
        struct resource_scan scan = resource_scan_of(current);
        struct span key, value;
        bool first = true;
        err_t error;
        while (resource_scan_member(&scan, &op->arena, &first, &key, &error)) {
            TRY(resource_scan_text(&scan, &op->arena, &value));
            if (form_child(node, key) == NULL) {
                merge_add(merge, key, value);
            }
        }
        TRY(error);
    }
    for (const struct form_node *entry = node->first_child; entry != NULL; entry = entry->next) {
        if (entry->text.size > 0) {
            merge_add(merge, entry->name, entry->text);
        }
    }
    return ERR_OK;
}

err_t
resource_metadata(struct resource_op *op, struct span current, struct span *ret_metadata)
{
    return resource_metadata_of(op, "metadata", current, ret_metadata);
}

err_t
resource_metadata_of(
    struct resource_op *op, const char *name, struct span current, struct span *ret_metadata)
{
    const struct form_node *node = resource_node(op, name);
    if (node == NULL) {
        *ret_metadata = current;
        return ERR_OK;
    }
    if (node->kind == FORM_TEXT) {
        *ret_metadata = SPAN_EMPTY; /* "metadata=": all of it */
        return ERR_OK;
    }
    struct merge merge = {.count = 0};
    buf_init(&merge.text, RESOURCE_BODY_LIMIT);
    json_begin(&merge.json, &merge.text);
    json_object_begin(&merge.json);
    err_t result = merge_entries(op, &merge, current, node);
    if (result == ERR_OK) {
        json_object_end(&merge.json);
        struct span text = arena_copy(&op->arena, buf_span(&merge.text));
        result = buf_failed(&merge.text) || text.data == NULL ? ERR_FULL : ERR_OK;
        *ret_metadata = merge.count == 0 ? SPAN_EMPTY : text;
    }
    buf_release(&merge.text);
    if (result != ERR_OK) {
        resource_internal(op, result, "metadata");
    } else if (merge.count > METADATA_KEYS_MAX) {
        resource_invalid(
            op,
            NULL,
            name,
            "Metadata can have up to %d keys, and this would make %u.",
            METADATA_KEYS_MAX,
            merge.count);
        result = ERR_FULL;
    }
    return result;
}
