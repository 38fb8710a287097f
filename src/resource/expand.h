/* Which references of an answer are shown as whole objects: a tree of names from `expand`. */
#ifndef RESOURCE_EXPAND_H
#define RESOURCE_EXPAND_H

#include "runtime.h"

struct resource_expand {
    struct span name; /* of the member; empty in the root */
    struct resource_expand *next;
    struct resource_expand *children;
    bool used;                             /* a rendering met the member */
    struct span path;                      /* as it was asked for */
    const struct resource_type *forbidden; /* not NULL: the caller may not see such an object */
};

/* The child of this name, or NULL (also when `expand` is NULL). */
struct resource_expand *resource_expand_child(struct resource_expand *expand, struct span name);
/* The first that no rendering met, or might not show; NULL: all were shown. */
const struct resource_expand *resource_expand_unused(const struct resource_expand *expand);
/* 400: there is no such reference; 403: it is forbidden. */
void resource_expand_refuse(struct resource_op *op, const struct resource_expand *expand);

#endif
