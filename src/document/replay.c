/* Rows out of the row log, into the tables. Columns are made from the bodies, so that the rows of
 * an older program fit the tables as they are now. */
#include "sqlite.h"

#include "base/assert.h"

#define BIND_ID      2
#define BIND_BODY    3
#define BIND_VERSION 4

static struct document_kind_statements *
kind_named(struct document_sqlite *sqlite, struct span name)
{
    for (uint32_t i = 0; i < sqlite->kind_count; i++) {
        if (span_equal_cstr(name, sqlite->kinds[i].kind->name)) {
            return &sqlite->kinds[i];
        }
    }
    return NULL;
}

static err_t
prepare_insert(struct document_sqlite *sqlite, struct document_kind_statements *of)
{
    char text[DOCUMENT_SQL_SIZE];
    struct buf sql;
    buf_init_fixed(&sql, text, sizeof(text));
    buf_append_format(&sql, "INSERT INTO \"%s\" (scope, id, body, version", of->kind->name);
    for (uint32_t i = 0; i < of->kind->column_count; i++) {
        buf_append_format(&sql, ", \"%s\"", of->kind->columns[i].name);
    }
    buf_append_cstr(&sql, ") VALUES (?1, ?2, ?3, ?4");
    for (uint32_t i = 0; i < of->kind->column_count; i++) {
        buf_append_cstr(&sql, ", ");
        document_sql_from_body(&sql, "?3", &of->kind->columns[i]);
    }
    buf_append_byte(&sql, ')');
    buf_append_byte(&sql, '\0');
    ASSERT(!buf_failed(&sql));
    return document_prepare(sqlite, text, &of->replay_insert);
}

static err_t
prepare_update(struct document_sqlite *sqlite, struct document_kind_statements *of)
{
    char text[DOCUMENT_SQL_SIZE];
    struct buf sql;
    buf_init_fixed(&sql, text, sizeof(text));
    buf_append_format(&sql, "UPDATE \"%s\" SET version = ?4 + 1, body = ?3", of->kind->name);
    for (uint32_t i = 0; i < of->kind->column_count; i++) {
        buf_append_format(&sql, ", \"%s\" = ", of->kind->columns[i].name);
        document_sql_from_body(&sql, "?3", &of->kind->columns[i]);
    }
    buf_append_cstr(&sql, " WHERE scope = ?1 AND id = ?2 AND version = ?4");
    buf_append_byte(&sql, '\0');
    ASSERT(!buf_failed(&sql));
    return document_prepare(sqlite, text, &of->replay_update);
}

static err_t
statement_for(
    struct document_sqlite *sqlite,
    struct document_kind_statements *of,
    enum row_operation operation,
    sqlite3_stmt **ret_statement)
{
    switch (operation) {
    case ROW_INSERT:
        if (of->replay_insert == NULL) {
            TRY(prepare_insert(sqlite, of));
        }
        *ret_statement = of->replay_insert;
        return ERR_OK;
    case ROW_UPDATE:
        if (of->replay_update == NULL) {
            TRY(prepare_update(sqlite, of));
        }
        *ret_statement = of->replay_update;
        return ERR_OK;
    case ROW_REMOVE:
        return document_statement_remove(sqlite, of, ret_statement);
    }
    UNREACHABLE();
}

err_t
document_replay(void *context, const struct row_record *record)
{
    struct document_sqlite *sqlite = context;
    struct document_kind_statements *of = kind_named(sqlite, record->kind);
    if (of == NULL) {
        return ERR_VERSION;
    }
    sqlite3_stmt *statement;
    TRY(statement_for(sqlite, of, record->operation, &statement));
    document_bind_scope(statement, record->scope);
    document_bind_text(statement, BIND_ID, record->id);
    int version_at = BIND_VERSION;
    if (record->operation == ROW_REMOVE) {
        version_at = 3;
    } else {
        document_bind_text(statement, BIND_BODY, record->body);
    }
    int code = sqlite3_bind_int64(statement, version_at, record->version);
    ASSERT(code == SQLITE_OK);
    code = sqlite3_step(statement);
    (void)sqlite3_reset(statement);
    if (code != SQLITE_DONE) {
        err_t result = document_sqlite_error(code);
        return result == ERR_EXISTS ? ERR_CORRUPT : result;
    }
    return sqlite3_changes(sqlite->db) == 1 ? ERR_OK : ERR_CORRUPT;
}
