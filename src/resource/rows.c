#include "resource/event.h"

#include "runtime.h"

#include "base/assert.h"

#include <string.h>

u128
resource_id_next(struct resource_runtime *runtime)
{
    uint64_t now_ms = os_wall_ns(runtime->parts.clock) / OS_NS_PER_MS;
    /* Within a millisecond the generator counts, and has no use for randomness. */
    u128 random = 0;
    if (runtime->ids.last == 0 || now_ms > id_unix_ms(runtime->ids.last)) {
        random = os_random_u128(runtime->parts.entropy);
    }
    return id_next(&runtime->ids, now_ms, random);
}

void
resource_ids_above(struct resource_runtime *runtime, u128 id)
{
    if (runtime->ids.last < id) {
        runtime->ids.last = id;
    }
}

void *
resource_row_new(
    struct arena *arena, const struct resource_type *type, uint64_t scope, struct span id)
{
    ASSERT(type->struct_size >= sizeof(struct resource_header));
    struct resource_header *header = arena_alloc(arena, type->struct_size);
    if (header != NULL) {
        header->id = id;
        header->scope = scope;
        header->livemode = (scope & 1) != 0;
    }
    return header;
}

err_t
resource_row_decode(
    struct arena *arena,
    const struct resource_type *type,
    const struct document_row *row,
    void **ret_document)
{
    struct resource_header *header = resource_row_new(arena, type, row->scope, row->id);
    struct resource_stored *stored = ARENA_NEW(arena, struct resource_stored);
    if (header == NULL || stored == NULL) {
        return ERR_FULL;
    }
    TRY(resource_fields_decode(arena, type, row->body, header));
    stored->body = row->body;
    memcpy(stored->columns, row->columns, sizeof(stored->columns));
    stored->hot_only = row->hot_only;
    header->version = row->version;
    header->stored = stored;
    *ret_document = header;
    return ERR_OK;
}

err_t
resource_row_load(
    struct resource_runtime *runtime,
    struct arena *arena,
    const struct resource_type *type,
    uint64_t scope,
    struct span id,
    void **ret_document)
{
    struct document_row row;
    resource_prefetch_note(runtime, type);
    TRY(runtime->documents->ops->get(runtime->documents, type->kind, scope, id, arena, &row));
    return resource_row_decode(arena, type, &row, ret_document);
}

static bool
value_equal(
    enum document_column_type type, const struct document_value *a, const struct document_value *b)
{
    if (a->is_null || b->is_null) {
        return a->is_null == b->is_null;
    }
    return type == DOCUMENT_INTEGER ? a->integer == b->integer : span_equal(a->text, b->text);
}

static uint32_t
unchanged_columns(
    const struct document_kind *kind,
    const struct document_value *columns,
    const struct resource_stored *stored)
{
    uint32_t bits = 0;
    for (uint32_t i = 0; i < kind->column_count; i++) {
        if (value_equal(kind->columns[i].type, &columns[i], &stored->columns[i])) {
            bits |= 1U << i;
        }
    }
    return bits;
}

/* What the document looks like in the database now, with memory of its own: the document's spans
 * may change before the next save. */
static err_t
remember(
    struct arena *arena,
    const struct document_kind *kind,
    const struct document_row *row,
    struct resource_stored **ret_stored)
{
    struct resource_stored *stored = ARENA_NEW(arena, struct resource_stored);
    if (stored == NULL) {
        return ERR_FULL;
    }
    stored->hot_only = row->hot_only;
    stored->body = arena_copy(arena, row->body);
    if (stored->body.data == NULL) {
        return ERR_FULL;
    }
    for (uint32_t i = 0; i < kind->column_count; i++) {
        stored->columns[i] = row->columns[i];
        if (row->columns[i].text.size > 0) {
            stored->columns[i].text = arena_copy(arena, row->columns[i].text);
            if (stored->columns[i].text.data == NULL) {
                return ERR_FULL;
            }
        }
    }
    *ret_stored = stored;
    return ERR_OK;
}

static void
note_write(
    struct resource_write *write,
    const struct resource_type *type,
    const struct resource_header *header,
    const struct resource_stored *before)
{
    *write = (struct resource_write){
        .kind = type->kind,
        .id = header->id,
        .scope = header->scope,
        .version = header->version + 1,
    };
    if (before != NULL) {
        write->before.version = header->version;
        write->before.body = before->body;
        write->before.hot_only = before->hot_only;
        memcpy(write->before.columns, before->columns, sizeof(before->columns));
    } else if (header->version > 0) {
        write->before.version = header->version; /* its text is not known: no way back */
    }
}

err_t
resource_row_save(
    struct resource_runtime *runtime,
    struct arena *arena,
    const struct resource_type *type,
    void *document,
    struct resource_write *ret_write)
{
    struct resource_header *header = document;
    struct document_row row = {
        .scope = header->scope,
        .id = header->id,
        .version = header->version,
        .unless_there = type == &resource_event_type_type,
    };
    for (uint32_t i = 0; i < type->kind->column_count; i++) {
        row.columns[i].is_null = true;
    }
    buf_clear(&runtime->scratch);
    resource_fields_encode(&runtime->scratch, type, document, row.columns);
    if (buf_failed(&runtime->scratch)) {
        return ERR_FULL;
    }
    row.body = buf_span(&runtime->scratch);
    const struct resource_stored *before = header->stored;
    if (before != NULL) {
        row.unchanged_columns = unchanged_columns(type->kind, row.columns, before);
        row.hot_only = before->hot_only;
        if (span_equal(row.body, before->body)) {
            return ERR_OK;
        }
    }
    struct resource_stored *stored = NULL;
    if (!type->kind->has_order) { /* which is written once: nobody asks what it was */
        TRY(remember(arena, type->kind, &row, &stored));
    }
    struct document_store *documents = runtime->documents;
    if (header->version == 0) {
        TRY(documents->ops->insert(documents, type->kind, &row));
    } else {
        TRY(documents->ops->update(documents, type->kind, &row));
    }
    if (ret_write != NULL) {
        note_write(ret_write, type, header, before);
    }
    header->version++;
    header->stored = stored;
    return ERR_OK;
}

err_t
resource_row_copy(
    struct arena *arena,
    const struct resource_type *type,
    const struct document_row *borrowed,
    void **ret_document)
{
    struct document_row row = *borrowed;
    row.id = arena_copy(arena, row.id);
    row.body = arena_copy(arena, row.body);
    if (row.id.data == NULL || row.body.data == NULL) {
        return ERR_FULL;
    }
    for (uint32_t i = 0; i < type->kind->column_count; i++) {
        if (row.columns[i].text.size > 0) {
            row.columns[i].text = arena_copy(arena, row.columns[i].text);
            if (row.columns[i].text.data == NULL) {
                return ERR_FULL;
            }
        }
    }
    return resource_row_decode(arena, type, &row, ret_document);
}

struct find {
    struct arena *arena;
    const struct resource_type *type;
    bool gets_past; /* what is damaged */
    struct found *found;
    uint32_t count;
    uint32_t limit;
    bool *cut; /* NULL: all have to fit */
    err_t error;
};

struct found {
    void *document; /* NULL: it is damaged */
    struct span id;
};

static bool
find_row(void *context, const struct document_row *row)
{
    struct find *find = context;
    ASSERT(find->count < find->limit);
    struct found *found = &find->found[find->count];
    if (find->cut != NULL && find->count > 0 && resource_arena_is_laden(find->arena)) {
        *find->cut = true;
        return false;
    }
    find->error = resource_row_copy(find->arena, find->type, row, &found->document);
    if (find->error == ERR_CORRUPT && find->gets_past) {
        found->document = NULL;
        found->id = arena_copy(find->arena, row->id);
        find->error = found->id.data == NULL ? ERR_FULL : ERR_OK;
    }
    if (find->error != ERR_OK) {
        return false;
    }
    find->count++;
    return true;
}

err_t
resource_row_visit(
    struct resource_runtime *runtime,
    struct arena *arena,
    const struct resource_type *type,
    const struct document_query *query,
    const struct resource_visitor *visitor)
{
    struct find find = {
        .arena = arena,
        .type = type,
        .gets_past = visitor->damaged != NULL,
        .limit = query->limit,
        .cut = visitor->cut,
    };
    find.found = ARENA_ARRAY(arena, struct found, query->limit);
    if (find.found == NULL) {
        return ERR_FULL;
    }
    struct document_store *documents = runtime->documents;
    TRY(documents->ops->list(documents, type->kind, query, find_row, &find));
    TRY(find.error);
    /* Behind the query, so that `each` may write. */
    for (uint32_t i = 0; i < find.count; i++) {
        if (find.found[i].document == NULL) {
            ASSERT(visitor->damaged != NULL);
            visitor->damaged(visitor->context, find.found[i].id);
        } else if (!visitor->each(visitor->context, find.found[i].document)) {
            break;
        }
    }
    return ERR_OK;
}

struct glance {
    struct arena arena;
    const struct resource_type *type;
    const struct resource_visitor *visitor;
    err_t error;
};

static bool
glance_row(void *context, const struct document_row *row)
{
    struct glance *glance = context;
    const struct resource_visitor *visitor = glance->visitor;
    void *document;
    bool goes_on = false;
    glance->error = resource_row_copy(&glance->arena, glance->type, row, &document);
    if (glance->error == ERR_OK) {
        goes_on = visitor->each(visitor->context, document);
    } else if (glance->error == ERR_CORRUPT && visitor->damaged != NULL) {
        glance->error = ERR_OK;
        visitor->damaged(visitor->context, row->id);
        goes_on = true;
    }
    arena_clear(&glance->arena);
    return goes_on;
}

err_t
resource_row_look(
    struct resource_runtime *runtime,
    const struct resource_type *type,
    const struct document_query *query,
    const struct resource_visitor *visitor)
{
    struct glance glance = {.type = type, .visitor = visitor};
    struct document_store *documents = runtime->documents;
    arena_init(&glance.arena, RESOURCE_ARENA_LIMIT);
    err_t result = documents->ops->list(documents, type->kind, query, glance_row, &glance);
    arena_release(&glance.arena);
    return result == ERR_OK ? glance.error : result;
}

err_t
resource_row_find(
    struct resource_runtime *runtime,
    struct arena *arena,
    const struct resource_type *type,
    const struct document_query *query,
    resource_each each,
    void *context)
{
    const struct resource_visitor visitor = {.each = each, .context = context};
    return resource_row_visit(runtime, arena, type, query, &visitor);
}

static bool
take_first(void *context, void *document)
{
    *(void **)context = document;
    return false;
}

err_t
resource_row_find_first(
    struct resource_runtime *runtime,
    struct arena *arena,
    const struct resource_type *type,
    const struct document_query *query,
    void **ret_document)
{
    *ret_document = NULL;
    return resource_row_find(runtime, arena, type, query, take_first, (void *)ret_document);
}
