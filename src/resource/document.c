/*
 * Documents of an operation. Its writes go into the group's transaction at once, and each leaves a
 * note of how to take it back: an operation that is refused after it wrote changes nothing, though
 * the others of its group commit.
 */
#include "resource/event.h"

#include "cache.h"
#include "measure.h"

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

err_t
resource_load_blank(
    struct resource_op *op, const struct resource_type *type, struct span id, void **ret_document)
{
    struct document_row row;
    struct document_store *documents = op->runtime->documents;
    TRY(op->doom);
    resource_transaction_read(op->runtime, op);
    TRY(documents->ops->get(documents, type->kind, op->caller.scope, id, &op->arena, &row));
    struct resource_header *header = resource_row_new(&op->arena, type, row.scope, row.id);
    struct resource_stored *stored = ARENA_NEW(&op->arena, struct resource_stored);
    if (header == NULL || stored == NULL) {
        return ERR_FULL;
    }
    stored->body = row.body;
    memcpy(stored->columns, row.columns, sizeof(stored->columns));
    header->version = row.version;
    header->stored = stored;
    *ret_document = header;
    return ERR_OK;
}

void *
resource_require(
    struct resource_op *op, const struct resource_type *type, const char *param, struct span id)
{
    void *document;
    err_t result = resource_load(op, type, id, &document);
    if (result == ERR_OK) {
        return document;
    }
    if (result == ERR_NOT_FOUND) {
        resource_missing(op, type->object, param, id);
    } else {
        resource_internal(op, result, type->object);
    }
    return NULL;
}

u128
resource_number(const struct resource_type *type, struct span id)
{
    u128 number = 0;
    bool parsed = id_parse(type->prefix, id, &number);
    ASSERT(parsed);
    return number;
}

int64_t
resource_created_of(const struct resource_type *type, struct span id)
{
    return (int64_t)(id_unix_ms(resource_number(type, id)) / 1000);
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
        write->before.hot_only = header->stored->hot_only;
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
    op->emitted_document = NULL; /* its event goes, too */
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

static struct document_query
scoped_query(const struct resource_op *op, const struct document_query *query)
{
    struct document_query scoped = *query;
    if (!query->all_scopes) {
        scoped.scope = op->caller.scope;
    }
    return scoped;
}

err_t
resource_visit(
    struct resource_op *op,
    const struct resource_type *type,
    const struct document_query *query,
    const struct resource_visitor *visitor)
{
    TRY(op->doom);
    resource_transaction_read(op->runtime, op);
    struct document_query scoped = scoped_query(op, query);
    return resource_row_visit(op->runtime, &op->arena, type, &scoped, visitor);
}

bool
resource_arena_is_laden(const struct arena *arena)
{
    return arena->used > arena->limit / 4;
}

bool
resource_op_is_laden(const struct resource_op *op)
{
    return resource_arena_is_laden(&op->arena);
}

err_t
resource_look(
    struct resource_op *op,
    const struct resource_type *type,
    const struct document_query *query,
    const struct resource_visitor *visitor)
{
    TRY(op->doom);
    resource_transaction_read(op->runtime, op);
    struct document_query scoped = scoped_query(op, query);
    return resource_row_look(op->runtime, type, &scoped, visitor);
}

err_t
resource_find(
    struct resource_op *op,
    const struct resource_type *type,
    const struct document_query *query,
    resource_each each,
    void *context)
{
    const struct resource_visitor visitor = {.each = each, .context = context};
    return resource_visit(op, type, query, &visitor);
}

static bool
take_first(void *context, void *document)
{
    *(void **)context = document;
    return false;
}

err_t
resource_find_first(
    struct resource_op *op,
    const struct resource_type *type,
    uint32_t column,
    struct span value,
    void **ret_document)
{
    ASSERT(column < type->kind->column_count);
    ASSERT(type->kind->columns[column].type == DOCUMENT_TEXT);
    const struct document_query query = {
        .filters = {{.column = column, .value = {.text = value}}},
        .filter_count = 1,
        .range_column = UINT32_MAX,
        .limit = 1,
    };
    void *first = NULL;
    TRY(resource_find(op, type, &query, take_first, &first));
    *ret_document = first;
    return ERR_OK;
}

void
resource_row_note_damaged(
    struct resource_runtime *runtime,
    const struct resource_op *op,
    const struct resource_type *type,
    struct span id)
{
    char what[128];
    struct buf text;
    buf_init_fixed(&text, what, sizeof(what) - 1);
    buf_append_cstr(&text, type->object);
    buf_append_byte(&text, ' ');
    buf_append_span(&text, span_slice(id, 0, ID_TEXT_SIZE));
    buf_append_cstr(&text, " cannot be read");
    what[text.size] = '\0';
    resource_measure_damaged();
    resource_log(runtime, op, ERR_CORRUPT, what);
}

void
resource_note_damaged(struct resource_op *op, const struct resource_type *type, struct span id)
{
    resource_row_note_damaged(op->runtime, op, type, id);
}

void
resource_pass_damaged(void *context, struct span id)
{
    (void)context;
    (void)id;
}

err_t
resource_find_sound(
    struct resource_op *op,
    const struct resource_type *type,
    const struct document_query *query,
    resource_each each,
    void *context)
{
    const struct resource_visitor visitor = {
        .each = each, .damaged = resource_pass_damaged, .context = context};
    return resource_visit(op, type, query, &visitor);
}

/* What is shown to somebody. */
struct showing {
    struct resource_op *op;
    const struct resource_type *type;
    resource_each each;
    void *context;
};

static bool
show_one(void *context, void *document)
{
    const struct showing *showing = context;
    return showing->each(showing->context, document);
}

static void
leave_out(void *context, struct span id)
{
    const struct showing *showing = context;
    resource_note_damaged(showing->op, showing->type, id);
}

err_t
resource_find_shown(
    struct resource_op *op,
    const struct resource_type *type,
    const struct document_query *query,
    resource_each each,
    void *context)
{
    struct showing showing = {.op = op, .type = type, .each = each, .context = context};
    const struct resource_visitor visitor = {
        .each = show_one, .damaged = leave_out, .context = &showing};
    return resource_visit(op, type, query, &visitor);
}

struct found_final {
    void *document; /* NULL: it is damaged */
    struct span id;
    int64_t number;
    bool is_final;
};

struct find_final {
    struct resource_op *op;
    const struct resource_type *type;
    struct found_final *found;
    uint32_t count;
    uint32_t limit;
    err_t error;
};

static bool
note_final(void *context, const struct document_row *row, int64_t number, bool is_final)
{
    struct find_final *find = context;
    ASSERT(find->count < find->limit);
    struct arena *arena = &find->op->arena;
    struct found_final *found = &find->found[find->count];
    found->number = number;
    found->is_final = is_final;
    find->error = resource_row_copy(arena, find->type, row, &found->document);
    if (find->error == ERR_CORRUPT) {
        found->document = NULL;
        found->id = arena_copy(arena, row->id);
        find->error = found->id.data == NULL ? ERR_FULL : ERR_OK;
    }
    if (find->error != ERR_OK) {
        return false;
    }
    find->count++;
    return true;
}

err_t
resource_find_final(
    struct resource_op *op,
    const struct resource_type *type,
    const struct document_place *behind,
    uint32_t limit,
    const struct resource_final_visitor *visitor)
{
    struct resource_runtime *runtime = op->runtime;
    ASSERT(runtime->shared != NULL);
    TRY(op->doom);
    struct find_final find = {.op = op, .type = type, .limit = limit};
    find.found = ARENA_ARRAY(&op->arena, struct found_final, limit);
    if (find.found == NULL) {
        return ERR_FULL;
    }
    TRY(runtime->shared->list_final(
        runtime->documents, type->kind, behind, limit, note_final, &find));
    if (find.count == 0) {
        TRY(find.error);
    }
    /* Behind the query, so that `each` may read; what there was no memory for comes next time. */
    for (uint32_t i = 0; i < find.count; i++) {
        const struct found_final *found = &find.found[i];
        if (found->document == NULL && found->is_final) {
            visitor->damaged(visitor->context, found->id, found->number);
        } else if (
            found->document == NULL ||
            !visitor->each(visitor->context, found->document, found->number, found->is_final)) {
            break;
        }
    }
    return ERR_OK;
}

err_t
resource_scope_merchant(struct resource_op *op, uint64_t scope, char ret_id[ID_TEXT_SIZE])
{
    return resource_merchant_of(op->runtime, &op->arena, scope / 2, ret_id);
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
    struct document_query scoped = scoped_query(op, query);
    struct document_store *documents = op->runtime->documents;
    return documents->ops->list(documents, type->kind, &scoped, each, context);
}
