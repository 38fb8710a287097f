#include "form/form.h"

#include "base/assert.h"

#include "form_private.h"

#include <string.h>

struct form_node *
form_empty(struct arena *arena)
{
    struct form_node *root = ARENA_NEW(arena, struct form_node);
    if (root != NULL) {
        root->kind = FORM_HASH;
    }
    return root;
}

struct form_node *
form_child(const struct form_node *node, struct span name)
{
    if (node == NULL || node->kind == FORM_TEXT || name.size == 0) {
        return NULL;
    }
    for (struct form_node *child = node->first_child; child != NULL; child = child->next) {
        if (span_equal(child->name, name)) {
            return child;
        }
    }
    return NULL;
}

static struct form_node *
child_at(const struct form_node *array, uint32_t index)
{
    for (struct form_node *child = array->first_child; child != NULL; child = child->next) {
        if (child->index == index) {
            return child;
        }
    }
    return NULL;
}

bool
form_name_next(struct span *rest, bool first, struct span *ret_key)
{
    if (first) {
        size_t end = span_find(*rest, '[', 0);
        *ret_key = span_slice(*rest, 0, end);
        *rest = span_slice(*rest, end, rest->size);
        return ret_key->size > 0 && span_find(*ret_key, ']', 0) == ret_key->size;
    }
    if (rest->data[0] != '[') {
        return false;
    }
    size_t end = span_find(*rest, ']', 1);
    if (end == rest->size) {
        return false;
    }
    *ret_key = span_slice(*rest, 1, end);
    *rest = span_slice(*rest, end + 1, rest->size);
    return span_find(*ret_key, '[', 0) == ret_key->size;
}

bool
form_index_parse(struct span key, uint32_t *ret_index)
{
    uint64_t index = 0;
    if (key.size > 1 && key.data[0] == '0') {
        return false;
    }
    if (!span_parse_u64(key, &index) || index > FORM_INDEX_MAX) {
        return false;
    }
    *ret_index = (uint32_t)index;
    return true;
}

struct form_node *
form_find(const struct form_node *root, const char *name)
{
    struct span rest = span_from_cstr(name);
    if (span_find(rest, '[', 0) == rest.size && span_find(rest, ']', 0) == rest.size &&
        root != NULL && root->kind == FORM_HASH) {
        return form_child(root, rest); /* most names, and a request is asked for dozens */
    }
    const struct form_node *node = root;
    struct form_node *found = NULL;
    for (bool first = true; node != NULL && (first || rest.size > 0); first = false) {
        struct span key;
        uint32_t index = 0;
        if (!form_name_next(&rest, first, &key)) {
            return NULL;
        }
        bool by_index = node->kind == FORM_ARRAY && form_index_parse(key, &index);
        found = by_index ? child_at(node, index) : form_child(node, key);
        node = found;
    }
    return found;
}

void
form_remove(struct form_node *node)
{
    struct form_node *parent = node->parent;
    ASSERT(parent != NULL);
    ASSERT(parent->child_count > 0);
    struct form_node *before = NULL;
    struct form_node *child = parent->first_child;
    while (child != node) {
        ASSERT(child != NULL);
        before = child;
        child = child->next;
    }
    if (before == NULL) {
        parent->first_child = node->next;
    } else {
        before->next = node->next;
    }
    if (parent->last_child == node) {
        parent->last_child = before;
    }
    parent->child_count--;
    node->parent = NULL;
    node->next = NULL;
}

#define INDEX_DIGITS_MAX 10

/* Writes the node's own part backwards, ending at `end`; returns where it begins. */
static char *
part_write(const struct form_node *node, char *end)
{
    bool nested = node->parent->parent != NULL;
    if (nested) {
        *--end = ']';
    }
    if (node->name.size > 0) {
        end -= node->name.size;
        memcpy(end, node->name.data, node->name.size);
    } else {
        uint32_t index = node->index;
        do {
            *--end = (char)('0' + index % 10);
            index /= 10;
        } while (index > 0);
    }
    if (nested) {
        *--end = '[';
    }
    return end;
}

struct span
form_full_name(const struct form_node *node, struct arena *arena)
{
    size_t size = 0;
    for (const struct form_node *at = node; at->parent != NULL; at = at->parent) {
        size += at->name.size + INDEX_DIGITS_MAX + 2;
    }
    char *text = size == 0 ? NULL : arena_alloc(arena, size);
    if (text == NULL) {
        return SPAN_EMPTY;
    }
    char *begin = text + size;
    for (const struct form_node *at = node; at->parent != NULL; at = at->parent) {
        begin = part_write(at, begin);
    }
    ASSERT(begin >= text);
    return span_of(begin, (size_t)(text + size - begin));
}
