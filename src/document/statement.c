#include "sqlite.h"

#include "base/assert.h"

struct document_kind_statements *
document_kind_statements(struct document_sqlite *sqlite, const struct document_kind *kind)
{
    for (uint32_t i = 0; i < sqlite->kind_count; i++) {
        if (sqlite->kinds[i].kind == kind) {
            return &sqlite->kinds[i];
        }
    }
    /* A kind that was not given to document_store_open. */
    UNREACHABLE();
}

err_t
document_prepare(struct document_sqlite *sqlite, const char *sql, sqlite3_stmt **statement)
{
    int code = sqlite3_prepare_v3(sqlite->db, sql, -1, SQLITE_PREPARE_PERSISTENT, statement, NULL);
    return document_sqlite_error(code);
}

static err_t
prepare_buf(struct document_sqlite *sqlite, struct buf *sql, sqlite3_stmt **statement)
{
    buf_append_byte(sql, '\0');
    ASSERT(!buf_failed(sql));
    return document_prepare(sqlite, sql->data, statement);
}

void
document_sql_selected(struct buf *sql, const struct document_kind *kind)
{
    buf_append_cstr(sql, "SELECT id, version, body, scope");
    for (uint32_t i = 0; i < kind->column_count; i++) {
        buf_append_format(sql, ", \"%s\"", kind->columns[i].name);
    }
    buf_append_format(sql, " FROM \"%s\"", kind->name);
}

const char *
document_index_suffix(const struct document_column *column)
{
    ASSERT(!column->any_case || (column->type == DOCUMENT_TEXT && !column->across_scopes));
    if (column->any_case) {
        return "_any_case";
    }
    return column->across_scopes ? "_across" : "";
}

void
document_sql_index_name(struct buf *sql, const struct document_kind *kind, uint32_t column)
{
    const struct document_column *of = &kind->columns[column];
    buf_append_format(sql, "\"%s_by_%s%s\"", kind->name, of->name, document_index_suffix(of));
}

void
document_sql_from_body(struct buf *sql, const char *source, const struct document_column *column)
{
    buf_append_format(sql, "json_extract(%s, '$.\"%s\"')", source, column->name);
}

err_t
document_statement_get(
    struct document_sqlite *sqlite, struct document_kind_statements *of, sqlite3_stmt **ret)
{
    if (of->get == NULL) {
        char text[DOCUMENT_SQL_SIZE];
        struct buf sql;
        buf_init_fixed(&sql, text, sizeof(text));
        document_sql_selected(&sql, of->kind);
        buf_append_cstr(&sql, " WHERE scope = ?1 AND id = ?2");
        TRY(prepare_buf(sqlite, &sql, &of->get));
    }
    *ret = of->get;
    return ERR_OK;
}

static err_t
prepare_insert(
    struct document_sqlite *sqlite,
    const struct document_kind_statements *of,
    uint32_t rows,
    sqlite3_stmt **statement)
{
    char text[2 * DOCUMENT_SQL_SIZE];
    struct buf sql;
    buf_init_fixed(&sql, text, sizeof(text));
    buf_append_format(&sql, "INSERT INTO \"%s\" (scope, id, body, version", of->kind->name);
    for (uint32_t i = 0; i < of->kind->column_count; i++) {
        buf_append_format(&sql, ", \"%s\"", of->kind->columns[i].name);
    }
    buf_append_cstr(&sql, ") VALUES ");
    uint32_t parameters = 4 + of->kind->column_count;
    for (uint32_t i = 0; i < rows * parameters; i++) {
        const char *before = i % parameters != 0 ? ", " : i == 0 ? "(" : "), (";
        buf_append_format(&sql, "%s?%u", before, i + 1);
    }
    buf_append_cstr(&sql, ")");
    return prepare_buf(sqlite, &sql, statement);
}

err_t
document_statement_insert(
    struct document_sqlite *sqlite, struct document_kind_statements *of, sqlite3_stmt **ret)
{
    if (of->insert == NULL) {
        TRY(prepare_insert(sqlite, of, 1, &of->insert));
    }
    *ret = of->insert;
    return ERR_OK;
}

err_t
document_statement_insert_many(
    struct document_sqlite *sqlite, struct document_kind_statements *of, sqlite3_stmt **ret)
{
    if (of->insert_many == NULL) {
        TRY(prepare_insert(sqlite, of, DOCUMENT_INSERT_MANY, &of->insert_many));
    }
    *ret = of->insert_many;
    return ERR_OK;
}

err_t
document_statement_update(
    struct document_sqlite *sqlite,
    struct document_kind_statements *of,
    uint32_t unchanged,
    sqlite3_stmt **ret)
{
    ASSERT(unchanged < 1U << DOCUMENT_COLUMNS_MAX);
    if (of->updates[unchanged] == NULL) {
        char text[DOCUMENT_SQL_SIZE];
        struct buf sql;
        buf_init_fixed(&sql, text, sizeof(text));
        buf_append_format(&sql, "UPDATE \"%s\" SET version = ?4 + 1, body = ?3", of->kind->name);
        for (uint32_t i = 0; i < of->kind->column_count; i++) {
            if ((unchanged & 1U << i) == 0) {
                buf_append_format(&sql, ", \"%s\" = ?%u", of->kind->columns[i].name, 5 + i);
            }
        }
        buf_append_cstr(&sql, " WHERE scope = ?1 AND id = ?2 AND version = ?4");
        TRY(prepare_buf(sqlite, &sql, &of->updates[unchanged]));
    }
    *ret = of->updates[unchanged];
    return ERR_OK;
}

err_t
document_statement_remove(
    struct document_sqlite *sqlite, struct document_kind_statements *of, sqlite3_stmt **ret)
{
    if (of->remove == NULL) {
        char text[DOCUMENT_SQL_SIZE];
        struct buf sql;
        buf_init_fixed(&sql, text, sizeof(text));
        buf_append_format(
            &sql,
            "DELETE FROM \"%s\" WHERE scope = ?1 AND id = ?2 AND version = ?3",
            of->kind->name);
        TRY(prepare_buf(sqlite, &sql, &of->remove));
    }
    *ret = of->remove;
    return ERR_OK;
}

void
document_statements_finalize(struct document_kind_statements *of)
{
    sqlite3_finalize(of->get);
    sqlite3_finalize(of->insert);
    sqlite3_finalize(of->insert_many);
    sqlite3_finalize(of->remove);
    for (uint32_t i = 0; i < 1U << DOCUMENT_COLUMNS_MAX; i++) {
        sqlite3_finalize(of->updates[i]);
    }
    for (uint32_t i = 0; i < of->list_count; i++) {
        sqlite3_finalize(of->lists[i].statement);
    }
}
