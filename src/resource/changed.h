/* What an update changed: an event's data.previous_attributes. */
#ifndef RESOURCE_CHANGED_H
#define RESOURCE_CHANGED_H

#include "runtime.h"

/* Appends the members of `before` that `after` does not have, or not so. Inside a hash it is the
 * same again; what was not there before is null. Both are objects that json_writer wrote. ERR_FULL,
 * ERR_CORRUPT. */
MUST_USE err_t resource_changed_members(
    struct arena *arena, struct span before, struct span after, struct buf *out);

/* What this operation changed of the document since the last commit, which `shown` shows as it is
 * now. Empty: nobody knows what it was. ERR_FULL, ERR_CORRUPT. */
MUST_USE err_t resource_changed(
    struct resource_op *op,
    const struct resource_type *type,
    const void *document,
    struct span shown,
    struct span *ret_previous);

#endif
