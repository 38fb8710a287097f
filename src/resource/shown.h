/* What a key may see of an object: a publishable one some of its members, and both it and a
 * restricted one only some of what is referred to. */
#ifndef RESOURCE_SHOWN_H
#define RESOURCE_SHOWN_H

#include "runtime.h"

/* Whether the caller is shown public_members only. */
bool resource_shown_in_part(const struct resource_op *op);
/* Appends the object with those of its members that `shown`, as in resource_type.public_members,
 * lists. `object` is one that json_writer wrote, of names without escapes. */
void resource_shown_members(
    struct span object, const struct resource_shown *shown, struct buf *out);
/* Whether the caller may see such an object in the place of its id. */
bool resource_shown_expanded(const struct resource_op *op, const struct resource_type *type);
/* 403: it may not. `path` is as it was asked for. */
void resource_shown_refuse(
    struct resource_op *op, const struct resource_type *type, struct span path);

#endif
