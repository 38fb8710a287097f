/*
 * Guards: rows that stand for "nobody else does this at the same time". A rule that looks before it
 * writes ("no other wallet has this alias") holds in one process, whose operations run one after
 * another. Among several, both could look and find nothing; so both write the guard's row too, and
 * the one whose commit comes second has lost (DOCUMENT-2), looks again, and finds the other's.
 */
#include "runtime.h"

#include "base/assert.h"

struct guard_row {
    struct resource_header header;
    struct span holder; /* the last one; so that the row changes */
};

const struct document_kind resource_guard_kind = {.name = "guard"};
static const struct resource_field guard_fields[] = {
    {.name = "holder",
     .kind = RESOURCE_FIELD_TEXT,
     .offset = offsetof(struct guard_row, holder),
     .column = -1},
};
static const struct resource_type guard_type = {
    .object = "guard",
    .prefix = "",
    .kind = &resource_guard_kind,
    .fields = guard_fields,
    .field_count = 1,
    .struct_size = sizeof(struct guard_row),
};

err_t
resource_guard(struct resource_op *op, struct span name)
{
    if (op->runtime->shared == NULL) {
        return ERR_OK;
    }
    void *found;
    u128 unused;
    err_t result = resource_load(op, &guard_type, name, &found);
    if (result == ERR_NOT_FOUND) {
        found = resource_row_new(&op->arena, &guard_type, op->caller.scope, name);
        result = found == NULL ? ERR_FULL : ERR_OK;
    }
    TRY(result);
    struct guard_row *row = found;
    row->holder = resource_new_id(op, "grd_", &unused);
    return row->holder.size == 0 ? ERR_FULL : resource_save(op, &guard_type, row);
}
