/* What an installation has once, and every process on its documents: chosen by whoever came first.
 */
#include "runtime.h"

#include "base/assert.h"

#include <stddef.h>
#include <string.h>

struct setting_row {
    struct resource_header header;
    struct span value;
};

const struct document_kind resource_setting_kind = {.name = "runtime_setting"};
static const struct resource_field setting_fields[] = {
    {.name = "value",
     .kind = RESOURCE_FIELD_TEXT,
     .offset = offsetof(struct setting_row, value),
     .column = -1},
};
const struct resource_type resource_setting_type = {
    .object = "runtime_setting",
    .prefix = "set_",
    .kind = &resource_setting_kind,
    .fields = setting_fields,
    .field_count = 1,
    .struct_size = sizeof(struct setting_row),
};

static err_t
load_or_save(
    struct resource_runtime *runtime,
    struct arena *arena,
    const char *name,
    const char *value,
    struct setting_row **ret_row)
{
    struct span id = span_from_cstr(name);
    void *found = NULL;
    err_t result =
        resource_row_load(runtime, arena, &resource_setting_type, RESOURCE_SCOPE_NONE, id, &found);
    struct setting_row *row = found;
    if (result == ERR_CORRUPT) {
        resource_row_note_damaged(runtime, NULL, &resource_setting_type, id);
    }
    if (result == ERR_NOT_FOUND) {
        row = resource_row_new(arena, &resource_setting_type, RESOURCE_SCOPE_NONE, id);
        if (row == NULL) {
            return ERR_FULL;
        }
        row->value = span_from_cstr(value);
        result = resource_row_save(runtime, arena, &resource_setting_type, row, NULL);
    }
    TRY(result);
    *ret_row = row;
    return ERR_OK;
}

err_t
resource_setting_load(
    struct resource_runtime *runtime,
    const char *name,
    const char *value,
    char *ret_value,
    size_t size)
{
    struct arena arena;
    struct setting_row *row = NULL;
    arena_init(&arena, 65536);
    err_t result = load_or_save(runtime, &arena, name, value, &row);
    if (result == ERR_OK && row->value.size >= size) {
        result = ERR_CORRUPT;
    }
    if (result == ERR_OK) {
        memcpy(ret_value, row->value.data, row->value.size);
        ret_value[row->value.size] = '\0';
    }
    arena_wipe(&arena);
    arena_release(&arena);
    return result;
}

static err_t
choose_once(
    struct resource_runtime *runtime,
    const char *name,
    const char *value,
    char *ret_value,
    size_t size)
{
    struct document_store *documents = runtime->documents;
    TRY(documents->ops->begin(documents));
    if (runtime->shared != NULL) {
        runtime->shared->owner(documents, NULL);
    }
    err_t result = resource_setting_load(runtime, name, value, ret_value, size);
    if (result != ERR_OK) {
        documents->ops->rollback(documents);
        return result;
    }
    return documents->ops->commit(documents);
}

err_t
resource_setting_choose(
    struct resource_runtime *runtime,
    const char *name,
    const char *value,
    char *ret_value,
    size_t size)
{
    ASSERT(!runtime->in_transaction);
    ASSERT(strlen(value) < size);
    err_t result = choose_once(runtime, name, value, ret_value, size);
    for (uint32_t i = 0; result == ERR_STALE && i < RESOURCE_OPEN_TRIES_MAX; i++) {
        result = choose_once(runtime, name, value, ret_value, size);
    }
    return result;
}
