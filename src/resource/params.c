/*
 * Checking a request's parameters against its route's table. A parameter that the table does not
 * name is refused, so that a misspelt one is never silently without effect (M5).
 */
#include "runtime.h"

#include "base/assert.h"
#include "base/money.h"

#include <string.h>

#define NAME_SIZE          (FORM_NAME_MAX + 64)
#define SHOWN_MAX          100 /* characters of a wrong value that an error repeats */
#define METADATA_KEYS_MAX  50
#define METADATA_KEY_MAX   40
#define METADATA_VALUE_MAX 500
#define LIST_TEXT_MAX      500

/* A walk through the tree; `name` is the full name of where it is, with a zero behind it. */
struct walk {
    struct resource_op *op;
    const struct resource_route *route;
    char name[NAME_SIZE];
    size_t name_size;
    bool in_list;
};

static bool check_children(struct walk *walk, const struct form_node *node);

/* ------------------------------------------------------------------------------------ names */

/* Whether the table's name is this one; its "[]" stands for the index of any item of a list. */
static bool
name_matches(struct span table, struct span name)
{
    size_t at = 0;
    for (size_t i = 0; i < table.size;) {
        if (table.data[i] == '[' && i + 1 < table.size && table.data[i + 1] == ']') {
            size_t end = span_find(name, ']', at);
            uint64_t index;
            if (at >= name.size || name.data[at] != '[' || end == name.size ||
                !span_parse_u64(span_slice(name, at + 1, end), &index)) {
                return false;
            }
            at = end + 1;
            i += 2;
        } else if (at < name.size && name.data[at] == table.data[i]) {
            at++;
            i++;
        } else {
            return false;
        }
    }
    return at == name.size;
}

/* Adds "name" or "[name]"; false if it would be longer than any name of a table. */
static bool
name_push(struct walk *walk, struct span name)
{
    bool nested = walk->name_size > 0;
    if (name.size + (nested ? 2U : 0U) >= NAME_SIZE - walk->name_size) {
        return false;
    }
    char *at = walk->name + walk->name_size;
    if (nested) {
        *at++ = '[';
    }
    if (name.size > 0) {
        memcpy(at, name.data, name.size);
    }
    at += name.size;
    if (nested) {
        *at++ = ']';
    }
    *at = '\0';
    walk->name_size = (size_t)(at - walk->name);
    return true;
}

static void
name_pop(struct walk *walk, size_t size)
{
    walk->name_size = size;
    walk->name[size] = '\0';
}

static const struct resource_param *
param_find(const struct walk *walk)
{
    for (uint32_t i = 0; i < walk->route->param_count; i++) {
        const struct resource_param *param = &walk->route->params[i];
        /* Most of a table's names differ in the first byte. */
        if (param->name[0] == walk->name[0] &&
            name_matches(span_from_cstr(param->name), span_of(walk->name, walk->name_size))) {
            return param;
        }
    }
    return NULL;
}

/* ----------------------------------------------------------------------------------- values */

static int
shown_size(struct span text)
{
    /* Not in the middle of a character: an error is UTF-8 too. */
    size_t size = text.size;
    if (size > SHOWN_MAX) {
        size = SHOWN_MAX;
        while (size > 0 && ((unsigned char)text.data[size] & 0xc0) == 0x80) {
            size--;
        }
    }
    return (int)size;
}

static size_t
count_characters(struct span text)
{
    size_t count = 0;
    for (size_t i = 0; i < text.size; i++) {
        count += ((unsigned char)text.data[i] & 0xc0) != 0x80;
    }
    return count;
}

static bool
refuse_unknown(const struct walk *walk)
{
    resource_invalid(
        walk->op, "parameter_unknown", walk->name, "Received unknown parameter: %s", walk->name);
    return false;
}

static bool
refuse_kind(const struct walk *walk, const char *wanted)
{
    resource_invalid(walk->op, NULL, walk->name, "Invalid %s: %s", wanted, walk->name);
    return false;
}

static bool
check_integer(const struct walk *walk, struct span text, int64_t minimum, int64_t maximum)
{
    int64_t value;
    if (!span_parse_i64(text, &value)) {
        resource_invalid(
            walk->op,
            "parameter_invalid_integer",
            walk->name,
            "Invalid integer: %.*s",
            shown_size(text),
            text.data);
        return false;
    }
    if (value < minimum) {
        resource_invalid(
            walk->op,
            "parameter_invalid_integer",
            walk->name,
            "This value must be greater than or equal to %lld.",
            (long long)minimum);
        return false;
    }
    if (value > maximum) {
        resource_invalid(
            walk->op,
            "parameter_invalid_integer",
            walk->name,
            "This value must be less than or equal to %lld.",
            (long long)maximum);
        return false;
    }
    return true;
}

static bool
check_enum(const struct walk *walk, const struct resource_param *param, struct span text)
{
    char allowed[512];
    struct buf list;
    buf_init_fixed(&list, allowed, sizeof(allowed));
    for (size_t i = 0; param->values[i] != NULL; i++) {
        if (span_equal_cstr(text, param->values[i])) {
            return true;
        }
        if (param->values[i][0] == '\0') {
            continue; /* unsets it: nothing to propose */
        }
        bool last = param->values[i + 1] == NULL;
        buf_append_cstr(&list, list.size == 0 ? "" : last ? ", or " : ", ");
        buf_append_cstr(&list, param->values[i]);
    }
    resource_invalid(
        walk->op,
        NULL,
        walk->name,
        "Invalid %s: must be one of %.*s",
        walk->name,
        (int)list.size,
        allowed);
    return false;
}

static bool
check_currency(const struct walk *walk, struct span text)
{
    if (currency_find(text) != NULL) {
        return true;
    }
    char known[1024];
    struct buf list;
    buf_init_fixed(&list, known, sizeof(known));
    for (size_t i = 0; i < currency_count(); i++) {
        buf_append_cstr(&list, i == 0 ? "" : ", ");
        buf_append_cstr(&list, currency_at(i)->api_code);
    }
    resource_invalid(
        walk->op,
        NULL,
        walk->name,
        "Invalid currency: %.*s. These currencies are supported: %.*s",
        shown_size(text),
        text.data,
        (int)list.size,
        known);
    return false;
}

static bool
check_text(const struct walk *walk, const struct resource_param *param, struct span text)
{
    ASSERT(param->maximum > 0);
    if (text.size <= (uint64_t)param->maximum) {
        return true;
    }
    resource_invalid(
        walk->op,
        "parameter_invalid_string_too_long",
        walk->name,
        "Invalid string: %.*s...; must be at most %lld characters",
        shown_size(text),
        text.data,
        (long long)param->maximum);
    return false;
}

/* A parameter whose value is one text that is not empty. */
static bool
check_scalar(const struct walk *walk, const struct resource_param *param, struct span text)
{
    switch (param->kind) {
    case RESOURCE_PARAM_TEXT:
        return check_text(walk, param, text);
    case RESOURCE_PARAM_INTEGER:
        return check_integer(walk, text, param->minimum, param->maximum);
    case RESOURCE_PARAM_TIMESTAMP:
    case RESOURCE_PARAM_RANGE:
        return check_integer(walk, text, 0, INT64_MAX);
    case RESOURCE_PARAM_BOOLEAN:
        if (span_equal_cstr(text, "true") || span_equal_cstr(text, "false")) {
            return true;
        }
        resource_invalid(
            walk->op, NULL, walk->name, "Invalid boolean: %.*s", shown_size(text), text.data);
        return false;
    case RESOURCE_PARAM_ENUM:
        return check_enum(walk, param, text);
    case RESOURCE_PARAM_CURRENCY:
        return check_currency(walk, text);
    case RESOURCE_PARAM_TEXT_LIST:
    case RESOURCE_PARAM_HASH_LIST:
        return refuse_kind(walk, "array");
    case RESOURCE_PARAM_METADATA:
    case RESOURCE_PARAM_HASH:
    case RESOURCE_PARAM_ANY_HASH:
        return refuse_kind(walk, "object");
    }
    UNREACHABLE();
}

/* ------------------------------------------------------------------------- lists and hashes */

static bool
check_length(
    const struct walk *walk, const struct resource_param *param, const struct form_node *node)
{
    ASSERT(param->maximum > 0);
    if (node->kind != FORM_ARRAY) {
        return refuse_kind(walk, "array");
    }
    if (node->child_count > (uint64_t)param->maximum) {
        resource_invalid(
            walk->op,
            NULL,
            walk->name,
            "Array %s has %u items, and at most %lld are allowed.",
            walk->name,
            node->child_count,
            (long long)param->maximum);
        return false;
    }
    return true;
}

static bool
check_text_list(
    const struct walk *walk, const struct resource_param *param, const struct form_node *node)
{
    if (!check_length(walk, param, node)) {
        return false;
    }
    for (const struct form_node *item = node->first_child; item != NULL; item = item->next) {
        if (item->kind != FORM_TEXT || item->text.size > LIST_TEXT_MAX) {
            return refuse_kind(walk, "array of strings");
        }
    }
    return true;
}

/* What the table requires directly in the item, or the hash inside it, that was checked. */
static bool
check_item_is_whole(struct walk *walk, const struct form_node *node)
{
    for (uint32_t i = 0; i < walk->route->param_count; i++) {
        const struct resource_param *param = &walk->route->params[i];
        const char *bracket = strrchr(param->name, '[');
        if (!param->required || bracket == NULL) {
            continue;
        }
        struct span parent = span_of(param->name, (size_t)(bracket - param->name));
        struct span child = span_of(bracket + 1, strlen(bracket) - 2);
        if (name_matches(parent, span_of(walk->name, walk->name_size)) &&
            form_child(node, child) == NULL) {
            bool fits = name_push(walk, child);
            ASSERT(fits); /* as long as the one in the table, and an index */
            resource_invalid(
                walk->op,
                "parameter_missing",
                walk->name,
                "Missing required param: %s.",
                walk->name);
            return false;
        }
    }
    return true;
}

static bool
check_hash_list(struct walk *walk, const struct resource_param *param, const struct form_node *node)
{
    if (!check_length(walk, param, node)) {
        return false;
    }
    walk->in_list = true;
    for (const struct form_node *item = node->first_child; item != NULL; item = item->next) {
        char index[16];
        size_t size = walk->name_size;
        struct buf text;
        buf_init_fixed(&text, index, sizeof(index));
        buf_append_format(&text, "%u", item->index);
        if (!name_push(walk, buf_span(&text)) || item->kind != FORM_HASH) {
            return refuse_kind(walk, "object");
        }
        if (!check_children(walk, item)) {
            return false;
        }
        name_pop(walk, size);
    }
    walk->in_list = false;
    return true;
}

static bool
check_range(struct walk *walk, const struct form_node *node)
{
    static const char *const bounds[] = {"gt", "gte", "lt", "lte"};
    if (node->kind != FORM_HASH) {
        return refuse_kind(walk, "object");
    }
    for (const struct form_node *child = node->first_child; child != NULL; child = child->next) {
        bool known = false;
        for (size_t i = 0; i < sizeof(bounds) / sizeof(bounds[0]); i++) {
            known = known || span_equal_cstr(child->name, bounds[i]);
        }
        size_t size = walk->name_size;
        if (!name_push(walk, child->name) || !known) {
            return refuse_unknown(walk);
        }
        if (child->kind != FORM_TEXT) {
            return refuse_kind(walk, "integer");
        }
        if (!check_integer(walk, child->text, 0, INT64_MAX)) {
            return false;
        }
        name_pop(walk, size);
    }
    return true;
}

static bool
check_metadata_entry(const struct walk *walk, const struct form_node *entry)
{
    struct span key = entry->name;
    if (entry->kind != FORM_TEXT) {
        resource_invalid(
            walk->op, NULL, walk->name, "Metadata values must be strings: %s", walk->name);
        return false;
    }
    if (count_characters(key) > METADATA_KEY_MAX) {
        resource_invalid(
            walk->op,
            NULL,
            walk->name,
            "Metadata keys can have up to %d characters, but you passed in a key that is %zu "
            "characters. Invalid key: %.*s",
            METADATA_KEY_MAX,
            count_characters(key),
            shown_size(key),
            key.data);
        return false;
    }
    if (count_characters(entry->text) > METADATA_VALUE_MAX) {
        resource_invalid(
            walk->op,
            NULL,
            walk->name,
            "Metadata values can have up to %d characters, but you passed in a value that is %zu "
            "characters. Invalid value: %.*s...",
            METADATA_VALUE_MAX,
            count_characters(entry->text),
            shown_size(entry->text),
            entry->text.data);
        return false;
    }
    return true;
}

static bool
check_metadata(struct walk *walk, const struct form_node *node)
{
    if (node->kind != FORM_HASH) {
        return refuse_kind(walk, "object");
    }
    for (const struct form_node *entry = node->first_child; entry != NULL; entry = entry->next) {
        size_t size = walk->name_size;
        if (!name_push(walk, entry->name)) {
            return refuse_kind(walk, "object");
        }
        if (!check_metadata_entry(walk, entry)) {
            return false;
        }
        name_pop(walk, size);
    }
    return true;
}

/* A parameter that has children. */
static bool
check_composite(struct walk *walk, const struct resource_param *param, const struct form_node *node)
{
    switch (param->kind) {
    case RESOURCE_PARAM_TEXT_LIST:
        return check_text_list(walk, param, node);
    case RESOURCE_PARAM_HASH_LIST:
        return check_hash_list(walk, param, node);
    case RESOURCE_PARAM_RANGE:
        return check_range(walk, node);
    case RESOURCE_PARAM_METADATA:
        return check_metadata(walk, node);
    case RESOURCE_PARAM_ANY_HASH:
        return node->kind == FORM_HASH ? true : refuse_kind(walk, "object");
    case RESOURCE_PARAM_HASH:
        return node->kind == FORM_HASH ? check_children(walk, node) : refuse_kind(walk, "object");
    case RESOURCE_PARAM_INTEGER:
    case RESOURCE_PARAM_TIMESTAMP:
        return refuse_kind(walk, "integer");
    case RESOURCE_PARAM_BOOLEAN:
        return refuse_kind(walk, "boolean");
    case RESOURCE_PARAM_TEXT:
    case RESOURCE_PARAM_ENUM:
    case RESOURCE_PARAM_CURRENCY:
        return refuse_kind(walk, "string");
    }
    UNREACHABLE();
}

static bool
refuse_empty(const struct walk *walk)
{
    resource_invalid(
        walk->op,
        "parameter_invalid_empty",
        walk->name,
        "You passed an empty string for '%s'. We assume empty values are an attempt to unset a "
        "parameter; however '%s' cannot be unset. You should remove '%s' from your request or "
        "supply a non-empty value.",
        walk->name,
        walk->name,
        walk->name);
    return false;
}

/* Whether it can be unset by an empty value: what has no value of its own for "none" cannot. */
static bool
can_be_empty(const struct resource_param *param)
{
    switch (param->kind) {
    case RESOURCE_PARAM_TEXT:
    case RESOURCE_PARAM_TEXT_LIST:
    case RESOURCE_PARAM_HASH_LIST:
    case RESOURCE_PARAM_METADATA:
    case RESOURCE_PARAM_HASH:
    case RESOURCE_PARAM_ANY_HASH:
        return !param->required;
    case RESOURCE_PARAM_ENUM:
        for (size_t i = 0; param->values[i] != NULL; i++) {
            if (param->values[i][0] == '\0') {
                return true;
            }
        }
        return false;
    case RESOURCE_PARAM_INTEGER:
    case RESOURCE_PARAM_BOOLEAN:
    case RESOURCE_PARAM_TIMESTAMP:
    case RESOURCE_PARAM_CURRENCY:
    case RESOURCE_PARAM_RANGE:
        return false;
    }
    UNREACHABLE();
}

static bool
check_node(struct walk *walk, const struct form_node *node)
{
    const struct resource_param *param = param_find(walk);
    if (param == NULL) {
        return refuse_unknown(walk);
    }
    if (node->kind != FORM_TEXT) {
        return check_composite(walk, param, node);
    }
    if (node->text.size == 0) {
        return can_be_empty(param) || refuse_empty(walk);
    }
    return check_scalar(walk, param, node->text);
}

static bool
check_children(struct walk *walk, const struct form_node *node)
{
    for (const struct form_node *child = node->first_child; child != NULL; child = child->next) {
        size_t size = walk->name_size;
        if (!name_push(walk, child->name)) {
            resource_invalid(
                walk->op,
                "parameter_unknown",
                walk->name,
                "Received unknown parameter: %s[...]",
                walk->name);
            return false;
        }
        if (!check_node(walk, child)) {
            return false;
        }
        name_pop(walk, size);
    }
    return !walk->in_list || check_item_is_whole(walk, node);
}

/* A required parameter inside a hash is required if the hash is there; one inside a list, in each
 * item (check_item_is_whole). */
static bool
is_missing(const struct resource_op *op, const struct resource_param *param)
{
    if (!param->required || strstr(param->name, "[]") != NULL ||
        form_find(op->request->params, param->name) != NULL) {
        return false;
    }
    const char *bracket = strrchr(param->name, '[');
    if (bracket == NULL) {
        return true;
    }
    char parent[NAME_SIZE];
    size_t size = (size_t)(bracket - param->name);
    ASSERT(size < sizeof(parent));
    memcpy(parent, param->name, size);
    parent[size] = '\0';
    return form_find(op->request->params, parent) != NULL;
}

bool
resource_params_check(struct resource_op *op)
{
    struct walk walk = {.op = op, .route = op->route};
    if (!check_children(&walk, op->request->params)) {
        return false;
    }
    for (uint32_t i = 0; i < op->route->param_count; i++) {
        const struct resource_param *param = &op->route->params[i];
        if (is_missing(op, param)) {
            resource_invalid(
                op, "parameter_missing", param->name, "Missing required param: %s.", param->name);
            return false;
        }
    }
    return true;
}
