#include "schema.h"

#include "base/assert.h"

const struct document_dialect document_dialect_sqlite = {
    .small_table = " WITHOUT ROWID",
    .scope_type = "INTEGER",
    .version_type = "INTEGER",
    .text_type = "TEXT",
    .integer_type = "INTEGER",
    .any_case = "\"%s\" COLLATE NOCASE",
    .text_member = "json_extract(body, '$.\"%s\"')",
    .integer_member = "json_extract(body, '$.\"%s\"')",
};

/* COLLATE "C" orders by bytes, as SQLite does, and its lower() knows ASCII only. */
const struct document_dialect document_dialect_postgres = {
    .holds_unique = true,
    .small_table = "",
    .scope_type = "bigint",
    .version_type = "bigint",
    .text_type = "text COLLATE \"C\"",
    .integer_type = "bigint",
    .any_case = "lower(\"%s\")",
    .text_member = "body::jsonb ->> '%s'",
    /* A flag is an integer column: 1, or nothing. */
    .integer_member = "CASE body::jsonb ->> '%1$s' WHEN 'true' THEN 1 WHEN 'false' THEN 0 "
                      "ELSE (body::jsonb ->> '%1$s')::bigint END",
};

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
    buf_append_format(sql, "%s_by_%s%s", kind->name, of->name, document_index_suffix(of));
}

const char *
document_sql_type(const struct document_dialect *dialect, enum document_column_type type)
{
    return type == DOCUMENT_INTEGER ? dialect->integer_type : dialect->text_type;
}

/* The dialects' formats are constants above. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"

static void
append_of_column(struct buf *sql, const char *format, const struct document_column *column)
{
    buf_append_format(sql, format, column->name);
}

#pragma GCC diagnostic pop

static void
append_index(
    struct buf *sql,
    const struct document_dialect *dialect,
    const struct document_kind *kind,
    uint32_t column)
{
    const struct document_column *of = &kind->columns[column];
    bool unique = of->unique && dialect->holds_unique;
    buf_append_format(sql, "CREATE %sINDEX IF NOT EXISTS \"", unique ? "UNIQUE " : "");
    document_sql_index_name(sql, kind, column);
    buf_append_format(sql, "\" ON \"%s\" (%s", kind->name, of->across_scopes ? "" : "scope, ");
    append_of_column(sql, of->any_case ? dialect->any_case : "\"%s\"", of);
    if (!unique) {
        buf_append_format(sql, ", %sid", of->across_scopes ? "scope, " : "");
    }
    buf_append_format(sql, ") WHERE \"%s\" IS NOT NULL;", of->name);
}

/*
 * With SQLite a table keeps its rows in the order of insertion, with (scope, id) in an index of its
 * own. Rows stored in the tree of their primary key (WITHOUT ROWID) would be kept whole up to a
 * quarter of a page only, and most bodies are larger: measured, that costs more than twice the
 * bytes. Kinds that are small say so.
 */
void
document_sql_create_table(
    struct buf *sql, const struct document_dialect *dialect, const struct document_kind *kind)
{
    buf_append_format(
        sql,
        "CREATE TABLE \"%s\" (scope %s NOT NULL, id %s NOT NULL, version %s NOT NULL, "
        "body %s NOT NULL",
        kind->name,
        dialect->scope_type,
        dialect->text_type,
        dialect->version_type,
        dialect->text_type);
    for (uint32_t i = 0; i < kind->column_count; i++) {
        const struct document_column *column = &kind->columns[i];
        buf_append_format(
            sql, ", \"%s\" %s", column->name, document_sql_type(dialect, column->type));
    }
    buf_append_cstr(sql, ", PRIMARY KEY (scope, id))");
    buf_append_cstr(sql, kind->is_small ? dialect->small_table : "");
    buf_append_byte(sql, ';');
    for (uint32_t i = 0; i < kind->column_count; i++) {
        if (kind->columns[i].indexed) {
            append_index(sql, dialect, kind, i);
        }
    }
}

void
document_sql_add_column(
    struct buf *sql,
    const struct document_dialect *dialect,
    const struct document_kind *kind,
    uint32_t column)
{
    const struct document_column *of = &kind->columns[column];
    buf_append_format(
        sql,
        "ALTER TABLE \"%s\" ADD COLUMN \"%s\" %s; UPDATE \"%s\" SET \"%s\" = ",
        kind->name,
        of->name,
        document_sql_type(dialect, of->type),
        kind->name,
        of->name);
    append_of_column(
        sql, of->type == DOCUMENT_INTEGER ? dialect->integer_member : dialect->text_member, of);
    buf_append_byte(sql, ';');
    if (of->indexed) {
        append_index(sql, dialect, kind, column);
    }
}

void
document_sql_add_index(
    struct buf *sql,
    const struct document_dialect *dialect,
    const struct document_kind *kind,
    uint32_t column)
{
    const struct document_column *of = &kind->columns[column];
    append_index(sql, dialect, kind, column);
    if (of->any_case) {
        /* One index is enough for both kinds of filter. */
        buf_append_format(sql, "DROP INDEX IF EXISTS \"%s_by_%s\";", kind->name, of->name);
    }
}
