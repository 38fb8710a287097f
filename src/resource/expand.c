#include "expand.h"

#include "shown.h"

#include "base/assert.h"

struct resource_expand *
resource_expand_child(struct resource_expand *expand, struct span name)
{
    if (expand == NULL) {
        return NULL;
    }
    struct resource_expand *child = expand->children;
    while (child != NULL && !span_equal(child->name, name)) {
        child = child->next;
    }
    return child;
}

static void
refuse_path(struct resource_op *op, struct span path)
{
    enum {
        SHOWN_MAX = 100
    };
    struct span shown = span_slice(path, 0, SHOWN_MAX);
    resource_invalid(
        op,
        NULL,
        "expand",
        "This property cannot be expanded (%.*s).",
        SPAN_PRINTF(span_is_utf8(shown) ? shown : SPAN("...")));
}

void
resource_expand_refuse(struct resource_op *op, const struct resource_expand *expand)
{
    if (expand->forbidden != NULL) {
        resource_shown_refuse(op, expand->forbidden, expand->path);
    } else {
        refuse_path(op, expand->path);
    }
}

/* Adds one path; false if the operation was answered. */
static bool
add_path(struct resource_op *op, struct resource_expand *root, struct span path)
{
    struct resource_expand *at = root;
    struct span rest = path;
    uint32_t depth = 0;
    while (rest.size > 0) {
        struct span name = span_cut(&rest, '.');
        if (++depth > RESOURCE_EXPAND_DEPTH_MAX) {
            resource_invalid(
                op,
                NULL,
                "expand",
                "You cannot expand more than %d levels of a property.",
                RESOURCE_EXPAND_DEPTH_MAX);
            return false;
        }
        struct resource_expand *child = resource_expand_child(at, name);
        if (child == NULL) {
            child = ARENA_NEW(&op->arena, struct resource_expand);
            if (child == NULL) {
                resource_internal(op, ERR_FULL, "request memory");
                return false;
            }
            child->name = name;
            child->path = path;
            child->next = at->children;
            at->children = child;
        }
        at = child;
    }
    if (at == root) {
        refuse_path(op, path);
        return false;
    }
    return true;
}

bool
resource_expand_check(struct resource_op *op)
{
    const struct form_node *paths = resource_node(op, "expand");
    if (paths == NULL || paths->first_child == NULL) {
        return true;
    }
    struct resource_expand *root = ARENA_NEW(&op->arena, struct resource_expand);
    if (root == NULL) {
        resource_internal(op, ERR_FULL, "request memory");
        return false;
    }
    for (const struct form_node *path = paths->first_child; path != NULL; path = path->next) {
        if (!add_path(op, root, path->text)) {
            return false;
        }
    }
    op->expand = root;
    return op->route->answers == NULL || resource_expand_try(op);
}

/* Not deeper than RESOURCE_EXPAND_DEPTH_MAX. */
const struct resource_expand *
resource_expand_unused(const struct resource_expand *expand)
{
    if (expand == NULL) {
        return NULL;
    }
    for (const struct resource_expand *child = expand->children; child != NULL;
         child = child->next) {
        const struct resource_expand *unused = child->used ? resource_expand_unused(child) : child;
        if (unused != NULL) {
            return unused;
        }
    }
    return NULL;
}
