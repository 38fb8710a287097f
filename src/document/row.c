#include "sqlite.h"

#include "base/assert.h"

#define BIND_SCOPE   1
#define BIND_ID      2
#define BIND_BODY    3
#define BIND_VERSION 4
#define BIND_COLUMNS 5

void
document_bind_text(sqlite3_stmt *statement, int position, struct span text)
{
    /* A NULL pointer would bind NULL, not the empty text. */
    const char *data = text.size == 0 ? "" : text.data;
    int code =
        sqlite3_bind_text64(statement, position, data, text.size, SQLITE_STATIC, SQLITE_UTF8);
    ASSERT(code == SQLITE_OK || code == SQLITE_TOOBIG);
}

static void
bind_scope(sqlite3_stmt *statement, uint64_t scope)
{
    ASSERT(scope <= INT64_MAX);
    int code = sqlite3_bind_int64(statement, BIND_SCOPE, (int64_t)scope);
    ASSERT(code == SQLITE_OK);
}

void
document_bind_value(
    sqlite3_stmt *statement,
    int position,
    enum document_column_type type,
    const struct document_value *value)
{
    int code = SQLITE_OK;
    if (value->is_null) {
        code = sqlite3_bind_null(statement, position);
    } else if (type == DOCUMENT_INTEGER) {
        code = sqlite3_bind_int64(statement, position, value->integer);
    } else {
        document_bind_text(statement, position, value->text);
    }
    ASSERT(code == SQLITE_OK);
}

static struct span
column_text(sqlite3_stmt *statement, int column)
{
    const void *data = sqlite3_column_text(statement, column);
    return span_of(data, (size_t)sqlite3_column_bytes(statement, column));
}

void
document_row_read(
    sqlite3_stmt *statement, const struct document_kind *kind, struct document_row *ret_row)
{
    *ret_row = (struct document_row){
        .scope = (uint64_t)sqlite3_column_int64(statement, DOCUMENT_SELECTED_SCOPE),
        .id = column_text(statement, DOCUMENT_SELECTED_ID),
        .version = (uint32_t)sqlite3_column_int64(statement, DOCUMENT_SELECTED_VERSION),
        .body = column_text(statement, DOCUMENT_SELECTED_BODY),
    };
    for (uint32_t i = 0; i < kind->column_count; i++) {
        int column = DOCUMENT_SELECTED_COLUMNS + (int)i;
        struct document_value *value = &ret_row->columns[i];
        if (sqlite3_column_type(statement, column) == SQLITE_NULL) {
            value->is_null = true;
        } else if (kind->columns[i].type == DOCUMENT_INTEGER) {
            value->integer = sqlite3_column_int64(statement, column);
        } else {
            value->text = column_text(statement, column);
        }
    }
}

static err_t
row_copy(struct document_row *row, const struct document_kind *kind, struct arena *arena)
{
    struct span *texts[2 + DOCUMENT_COLUMNS_MAX] = {&row->id, &row->body};
    size_t count = 2;
    for (uint32_t i = 0; i < kind->column_count; i++) {
        if (row->columns[i].text.size > 0) {
            texts[count++] = &row->columns[i].text;
        }
    }
    for (size_t i = 0; i < count; i++) {
        struct span copy = arena_copy(arena, *texts[i]);
        if (copy.data == NULL) {
            return ERR_FULL;
        }
        *texts[i] = copy;
    }
    return ERR_OK;
}

err_t
document_sqlite_get(
    struct document_store *store,
    const struct document_kind *kind,
    uint64_t scope,
    struct span id,
    struct arena *arena,
    struct document_row *ret_row)
{
    struct document_sqlite *sqlite = document_sqlite_of(store);
    if (document_sqlite_is_broken(sqlite)) {
        return ERR_IO;
    }
    sqlite3_stmt *statement;
    TRY(document_statement_get(sqlite, document_kind_statements(sqlite, kind), &statement));
    bind_scope(statement, scope);
    document_bind_text(statement, BIND_ID, id);
    int code = sqlite3_step(statement);
    err_t result = document_sqlite_error(code);
    if (code == SQLITE_DONE) {
        result = ERR_NOT_FOUND;
    } else if (code == SQLITE_ROW) {
        struct document_row row;
        document_row_read(statement, kind, &row);
        result = row_copy(&row, kind, arena);
        if (result == ERR_OK) {
            *ret_row = row;
        }
    }
    (void)sqlite3_reset(statement); /* repeats what step said */
    return result;
}

/* Runs a statement that writes, and remembers a failure that the transaction cannot survive. */
static err_t
write_step(struct document_sqlite *sqlite, sqlite3_stmt *statement)
{
    int code = sqlite3_step(statement);
    (void)sqlite3_reset(statement);
    if (code == SQLITE_DONE) {
        return ERR_OK;
    }
    err_t result = document_sqlite_error(code);
    if (result != ERR_EXISTS && sqlite->failure == ERR_OK) {
        sqlite->failure = result;
    }
    return result;
}

static void
bind_row(
    sqlite3_stmt *statement,
    const struct document_kind *kind,
    const struct document_row *row,
    uint32_t version)
{
    bind_scope(statement, row->scope);
    document_bind_text(statement, BIND_ID, row->id);
    document_bind_text(statement, BIND_BODY, row->body);
    int code = sqlite3_bind_int64(statement, BIND_VERSION, version);
    ASSERT(code == SQLITE_OK);
    for (uint32_t i = 0; i < kind->column_count; i++) {
        if ((row->unchanged_columns & 1U << i) == 0) {
            document_bind_value(
                statement, BIND_COLUMNS + (int)i, kind->columns[i].type, &row->columns[i]);
        }
    }
}

/* What every write checks first. */
static err_t
write_begin(struct document_sqlite *sqlite)
{
    if (document_sqlite_is_broken(sqlite)) {
        return ERR_IO;
    }
    ASSERT(sqlite->in_transaction);
    return sqlite->failure;
}

err_t
document_sqlite_insert(
    struct document_store *store, const struct document_kind *kind, const struct document_row *row)
{
    struct document_sqlite *sqlite = document_sqlite_of(store);
    TRY(write_begin(sqlite));
    ASSERT(row->unchanged_columns == 0);
    if (kind->generation > sqlite->generation) {
        err_t result = document_sqlite_raise(sqlite, kind->generation);
        if (result != ERR_OK) {
            sqlite->failure = result;
            return result;
        }
    }
    sqlite3_stmt *statement;
    TRY(document_statement_insert(sqlite, document_kind_statements(sqlite, kind), &statement));
    bind_row(statement, kind, row, 1);
    return write_step(sqlite, statement);
}

err_t
document_sqlite_update(
    struct document_store *store, const struct document_kind *kind, const struct document_row *row)
{
    struct document_sqlite *sqlite = document_sqlite_of(store);
    TRY(write_begin(sqlite));
    ASSERT(row->version > 0);
    ASSERT(row->unchanged_columns < 1U << kind->column_count);
    sqlite3_stmt *statement;
    TRY(document_statement_update(
        sqlite, document_kind_statements(sqlite, kind), row->unchanged_columns, &statement));
    bind_row(statement, kind, row, row->version);
    TRY(write_step(sqlite, statement));
    return sqlite3_changes(sqlite->db) == 1 ? ERR_OK : ERR_STALE;
}

err_t
document_sqlite_remove(
    struct document_store *store,
    const struct document_kind *kind,
    uint64_t scope,
    struct span id,
    uint32_t version)
{
    struct document_sqlite *sqlite = document_sqlite_of(store);
    TRY(write_begin(sqlite));
    sqlite3_stmt *statement;
    TRY(document_statement_remove(sqlite, document_kind_statements(sqlite, kind), &statement));
    bind_scope(statement, scope);
    document_bind_text(statement, BIND_ID, id);
    int code = sqlite3_bind_int64(statement, 3, version);
    ASSERT(code == SQLITE_OK);
    TRY(write_step(sqlite, statement));
    return sqlite3_changes(sqlite->db) == 1 ? ERR_OK : ERR_STALE;
}
