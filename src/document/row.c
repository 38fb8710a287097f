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
    struct document_kind_statements *of = document_kind_statements(sqlite, kind);
    const struct document_row *pending = document_pending_find(sqlite, of, scope, id);
    if (pending != NULL) {
        struct document_row row = *pending;
        TRY(row_copy(&row, kind, arena));
        *ret_row = row;
        return ERR_OK;
    }
    sqlite3_stmt *statement;
    TRY(document_statement_get(sqlite, of, &statement));
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

static err_t
write_step(sqlite3_stmt *statement)
{
    int code = sqlite3_step(statement);
    (void)sqlite3_reset(statement);
    return document_sqlite_error(code);
}

/* `before`: parameters of the rows in front of it. */
static void
bind_row(
    sqlite3_stmt *statement,
    int before,
    const struct document_kind *kind,
    const struct document_row *row,
    uint32_t version)
{
    ASSERT(row->scope <= INT64_MAX);
    int code = sqlite3_bind_int64(statement, before + BIND_SCOPE, (int64_t)row->scope);
    ASSERT(code == SQLITE_OK);
    document_bind_text(statement, before + BIND_ID, row->id);
    document_bind_text(statement, before + BIND_BODY, row->body);
    code = sqlite3_bind_int64(statement, before + BIND_VERSION, version);
    ASSERT(code == SQLITE_OK);
    for (uint32_t i = 0; i < kind->column_count; i++) {
        if ((row->unchanged_columns & 1U << i) == 0) {
            int position = before + BIND_COLUMNS + (int)i;
            document_bind_value(statement, position, kind->columns[i].type, &row->columns[i]);
        }
    }
}

err_t
document_row_insert(
    struct document_sqlite *sqlite,
    struct document_kind_statements *of,
    const struct document_row *row,
    uint32_t version)
{
    sqlite3_stmt *statement;
    TRY(document_statement_insert(sqlite, of, &statement));
    bind_row(statement, 0, of->kind, row, version);
    return write_step(statement);
}

err_t
document_rows_insert(
    struct document_sqlite *sqlite,
    struct document_kind_statements *of,
    const struct document_row *const rows[DOCUMENT_INSERT_MANY])
{
    sqlite3_stmt *statement;
    TRY(document_statement_insert_many(sqlite, of, &statement));
    int parameters = BIND_COLUMNS - 1 + (int)of->kind->column_count;
    for (int i = 0; i < DOCUMENT_INSERT_MANY; i++) {
        bind_row(statement, i * parameters, of->kind, rows[i], rows[i]->version);
    }
    return write_step(statement);
}

err_t
document_row_update(
    struct document_sqlite *sqlite,
    struct document_kind_statements *of,
    const struct document_row *row)
{
    sqlite3_stmt *statement;
    TRY(document_statement_update(sqlite, of, row->unchanged_columns, &statement));
    bind_row(statement, 0, of->kind, row, row->version);
    TRY(write_step(statement));
    return sqlite3_changes(sqlite->db) == 1 ? ERR_OK : ERR_STALE;
}

err_t
document_row_remove(
    struct document_sqlite *sqlite,
    struct document_kind_statements *of,
    uint64_t scope,
    struct span id,
    uint32_t version)
{
    sqlite3_stmt *statement;
    TRY(document_statement_remove(sqlite, of, &statement));
    bind_scope(statement, scope);
    document_bind_text(statement, BIND_ID, id);
    int code = sqlite3_bind_int64(statement, 3, version);
    ASSERT(code == SQLITE_OK);
    TRY(write_step(statement));
    return sqlite3_changes(sqlite->db) == 1 ? ERR_OK : ERR_STALE;
}

/* Remembers a failure that the transaction cannot survive. */
static err_t
note_failure(struct document_sqlite *sqlite, err_t result)
{
    if (result != ERR_OK && result != ERR_EXISTS && result != ERR_STALE) {
        sqlite->failure = result;
    }
    return result;
}

static void
record_columns(
    struct row_record *record, const struct document_kind *kind, const struct document_row *row)
{
    record->column_count = kind->column_count;
    for (uint32_t i = 0; i < kind->column_count; i++) {
        const struct document_value *value = &row->columns[i];
        struct row_column *column = &record->columns[i];
        column->name = span_from_cstr(kind->columns[i].name);
        if ((row->unchanged_columns & 1U << i) != 0) {
            column->state = ROW_COLUMN_UNCHANGED;
        } else if (value->is_null) {
            column->state = ROW_COLUMN_NULL;
        } else if (kind->columns[i].type == DOCUMENT_INTEGER) {
            column->state = ROW_COLUMN_INTEGER;
            column->integer = value->integer;
        } else {
            column->state = ROW_COLUMN_TEXT;
            column->text = value->text;
        }
    }
}

/* What was written is noted for the log; a transaction that is not wholly in it cannot commit. */
static err_t
note_row(struct document_sqlite *sqlite, const struct row_record *record)
{
    if (sqlite->in_memory) {
        return ERR_OK;
    }
    sqlite->failure = document_row_log_add(&sqlite->rows, record);
    return sqlite->failure;
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
    struct document_kind_statements *of = document_kind_statements(sqlite, kind);
    if (document_pending_find(sqlite, of, row->scope, row->id) != NULL) {
        return ERR_EXISTS;
    }
    err_t result = ERR_FULL;
    if (row->fresh && !sqlite->in_memory) {
        result = document_pending_insert(sqlite, of, row);
    }
    if (result == ERR_FULL) {
        result = document_row_insert(sqlite, of, row, 1);
    }
    TRY(note_failure(sqlite, result));
    struct row_record record = {
        .operation = ROW_INSERT,
        .kind = span_from_cstr(kind->name),
        .scope = row->scope,
        .id = row->id,
        .version = 1,
        .body = row->body,
    };
    record_columns(&record, kind, row);
    return note_row(sqlite, &record);
}

err_t
document_sqlite_update(
    struct document_store *store, const struct document_kind *kind, const struct document_row *row)
{
    struct document_sqlite *sqlite = document_sqlite_of(store);
    TRY(write_begin(sqlite));
    ASSERT(row->version > 0);
    ASSERT(row->unchanged_columns < 1U << kind->column_count);
    struct document_kind_statements *of = document_kind_statements(sqlite, kind);
    err_t result = document_pending_update(sqlite, of, row);
    if (result == ERR_NOT_FOUND) {
        result = document_row_update(sqlite, of, row);
    }
    TRY(note_failure(sqlite, result));
    struct row_record record = {
        .operation = ROW_UPDATE,
        .kind = span_from_cstr(kind->name),
        .scope = row->scope,
        .id = row->id,
        .version = row->version,
        .body = row->body,
    };
    record_columns(&record, kind, row);
    return note_row(sqlite, &record);
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
    struct document_kind_statements *of = document_kind_statements(sqlite, kind);
    err_t result = document_pending_remove(sqlite, of, scope, id, version);
    if (result == ERR_NOT_FOUND) {
        result = document_row_remove(sqlite, of, scope, id, version);
    }
    TRY(note_failure(sqlite, result));
    struct row_record record = {
        .operation = ROW_REMOVE,
        .kind = span_from_cstr(kind->name),
        .scope = scope,
        .id = id,
        .version = version,
    };
    return note_row(sqlite, &record);
}
