/*
 * Documents of an operation. Its writes go into the group's transaction at once, and each leaves a
 * note of how to take it back: an operation that is refused after it wrote changes nothing, though
 * the others of its group commit.
 */
#include "resource/event.h"

#include "cache.h"

#include "base/assert.h"

#include <string.h>

void *
resource_new(struct resource_op *op, const struct resource_type *type)
{
    u128 number;
    struct span id = resource_new_id(op, type->prefix, &number);
    if (id.data == NULL) {
        return NULL;
    }
    struct resource_header *header = resource_row_new(&op->arena, type, op->caller.scope, id);
    if (header != NULL) {
        /* Lists find `created` through the id: they must agree. */
        header->created = (int64_t)(id_unix_ms(number) / 1000);
    }
    return header;
}

err_t
resource_load(
    struct resource_op *op, const struct resource_type *type, struct span id, void **ret_document)
{
    TRY(op->doom);
    bool may_copy = resource_cache_serves(op, type->kind, id);
    err_t result;
    if (may_copy && resource_cache_find(op, type, id, &result, ret_document)) {
        return result;
    }
    resource_transaction_read(op->runtime, op);
    result = resource_row_load(op->runtime, &op->arena, type, op->caller.scope, id, ret_document);
    if (may_copy) {
        resource_cache_learn(op, type, id, result, result == ERR_OK ? *ret_document : NULL);
    }
    return result;
}

static void
push_write(struct resource_op *op, struct resource_write *write)
{
    write->older = op->writes;
    op->writes = write;
}

err_t
resource_save(struct resource_op *op, const struct resource_type *type, void *document)
{
    TRY(resource_transaction_write(op->runtime, op));
    struct resource_write *write = ARENA_NEW(&op->arena, struct resource_write);
    if (write == NULL) {
        return ERR_FULL;
    }
    TRY(resource_row_save(op->runtime, &op->arena, type, document, write));
    if (write->kind != NULL) {
        push_write(op, write);
        resource_cache_wrote(op->runtime, op, write->kind, write->scope, write->id, write->version);
    }
    return ERR_OK;
}

err_t
resource_remove(struct resource_op *op, const struct resource_type *type, void *document)
{
    struct resource_header *header = document;
    ASSERT(header->version > 0);
    TRY(resource_transaction_write(op->runtime, op));
    struct resource_write *write = ARENA_NEW(&op->arena, struct resource_write);
    if (write == NULL) {
        return ERR_FULL;
    }
    struct document_store *documents = op->runtime->documents;
    TRY(documents->ops->remove(documents, type->kind, header->scope, header->id, header->version));
    *write = (struct resource_write){
        .kind = type->kind,
        .id = header->id,
        .scope = header->scope,
        .before = {.version = header->version},
    };
    if (header->stored != NULL) {
        write->before.body = header->stored->body;
        memcpy(write->before.columns, header->stored->columns, sizeof(header->stored->columns));
    }
    push_write(op, write);
    resource_cache_wrote(op->runtime, op, write->kind, write->scope, write->id, CACHE_VERSION_GONE);
    header->version = 0;
    header->stored = NULL;
    return ERR_OK;
}

static err_t
write_undo(struct document_store *documents, const struct resource_write *write)
{
    struct document_row row = write->before;
    row.scope = write->scope;
    row.id = write->id;
    if (row.version == 0) {
        return documents->ops->remove(documents, write->kind, row.scope, row.id, write->version);
    }
    if (row.body.data == NULL) {
        return ERR_UNSUPPORTED;
    }
    if (write->version == 0) {
        return documents->ops->insert(documents, write->kind, &row);
    }
    row.version = write->version;
    return documents->ops->update(documents, write->kind, &row);
}

void
resource_writes_undo(struct resource_op *op)
{
    /* A row that was written twice is undone twice, and its version grew with the first undo. */
    struct resource_runtime *runtime = op->runtime;
    while (op->writes != NULL) {
        struct resource_write *write = op->writes;
        op->writes = write->older;
        err_t result = write_undo(runtime->documents, write);
        if (result != ERR_OK) {
            resource_log(runtime, op, result, "taking back writes");
            op->writes = NULL;
            resource_transaction_abort(runtime, result);
            return;
        }
        uint32_t now = write->version == 0 ? 1 : write->version + 1;
        /* A row that was gone is back with a version that it had before. */
        bool came_back = write->version == 0 || write->before.version == 0;
        resource_cache_wrote(
            runtime, op, write->kind, write->scope, write->id, came_back ? 0 : now);
        for (struct resource_write *older = op->writes; older != NULL; older = older->older) {
            if (older->kind == write->kind && older->scope == write->scope &&
                span_equal(older->id, write->id)) {
                older->version = write->before.version == 0 ? 0 : now;
                break;
            }
        }
    }
}

err_t
resource_find(
    struct resource_op *op,
    const struct resource_type *type,
    const struct document_query *query,
    resource_each each,
    void *context)
{
    TRY(op->doom);
    resource_transaction_read(op->runtime, op);
    struct document_query scoped = *query;
    if (!query->all_scopes) {
        scoped.scope = op->caller.scope;
    }
    return resource_row_find(op->runtime, &op->arena, type, &scoped, each, context);
}

err_t
resource_scan_rows(
    struct resource_op *op,
    const struct resource_type *type,
    const struct document_query *query,
    document_each each,
    void *context)
{
    TRY(op->doom);
    resource_transaction_read(op->runtime, op);
    struct document_query scoped = *query;
    if (!query->all_scopes) {
        scoped.scope = op->caller.scope;
    }
    struct document_store *documents = op->runtime->documents;
    return documents->ops->list(documents, type->kind, &scoped, each, context);
}
