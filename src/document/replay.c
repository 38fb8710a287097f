/* Rows out of the row log, into the tables. */
#include "sqlite.h"

#include "base/assert.h"

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

static const struct row_column *
column_named(const struct row_record *record, const char *name)
{
    for (uint32_t i = 0; i < record->column_count; i++) {
        if (span_equal_cstr(record->columns[i].name, name)) {
            return &record->columns[i];
        }
    }
    return NULL;
}

/* A column that the program which wrote the record did not have: as the body has it (DOCUMENT-6).
 * The statement holds the text. */
static err_t
from_body(
    struct document_sqlite *sqlite,
    const struct document_column *column,
    struct span body,
    struct document_value *ret_value,
    sqlite3_stmt **ret_statement)
{
    char text[DOCUMENT_SQL_SIZE];
    struct buf sql;
    buf_init_fixed(&sql, text, sizeof(text));
    buf_append_cstr(&sql, "SELECT ");
    document_sql_from_body(&sql, "?1", column);
    buf_append_byte(&sql, '\0');
    ASSERT(!buf_failed(&sql));
    TRY(document_prepare(sqlite, text, ret_statement));
    document_bind_text(*ret_statement, 1, body);
    int code = sqlite3_step(*ret_statement);
    if (code != SQLITE_ROW) {
        return document_sqlite_error(code);
    }
    ret_value->is_null = sqlite3_column_type(*ret_statement, 0) == SQLITE_NULL;
    if (!ret_value->is_null && column->type == DOCUMENT_INTEGER) {
        ret_value->integer = sqlite3_column_int64(*ret_statement, 0);
    } else if (!ret_value->is_null) {
        const void *data = sqlite3_column_text(*ret_statement, 0);
        ret_value->text = span_of(data, (size_t)sqlite3_column_bytes(*ret_statement, 0));
    }
    return ERR_OK;
}

struct replay {
    struct document_row row;
    sqlite3_stmt *made[DOCUMENT_COLUMNS_MAX]; /* of columns out of the body */
};

static err_t
fill_column(
    struct document_sqlite *sqlite,
    const struct document_kind *kind,
    const struct row_record *record,
    uint32_t i,
    struct replay *replay)
{
    struct document_value *value = &replay->row.columns[i];
    const struct row_column *column = column_named(record, kind->columns[i].name);
    if (column == NULL) {
        return from_body(sqlite, &kind->columns[i], record->body, value, &replay->made[i]);
    }
    bool integer = kind->columns[i].type == DOCUMENT_INTEGER;
    switch (column->state) {
    case ROW_COLUMN_NULL:
        value->is_null = true;
        return ERR_OK;
    case ROW_COLUMN_INTEGER:
        value->integer = column->integer;
        return integer ? ERR_OK : ERR_VERSION;
    case ROW_COLUMN_TEXT:
        value->text = column->text;
        return integer ? ERR_VERSION : ERR_OK;
    case ROW_COLUMN_UNCHANGED:
        replay->row.unchanged_columns |= 1U << i;
        return ERR_OK;
    }
    UNREACHABLE();
}

static err_t
fill(
    struct document_sqlite *sqlite,
    const struct document_kind *kind,
    const struct row_record *record,
    struct replay *replay)
{
    uint32_t known = 0;
    for (uint32_t i = 0; i < kind->column_count; i++) {
        TRY(fill_column(sqlite, kind, record, i, replay));
        known += replay->made[i] == NULL ? 1 : 0;
    }
    return known == record->column_count ? ERR_OK : ERR_VERSION;
}

static err_t
write_row(
    struct document_sqlite *sqlite,
    struct document_kind_statements *of,
    const struct row_record *record)
{
    struct replay replay = {
        .row = {
            .scope = record->scope,
            .id = record->id,
            .version = record->version,
            .body = record->body,
        }};
    err_t result = fill(sqlite, of->kind, record, &replay);
    if (result == ERR_OK) {
        result = record->operation == ROW_INSERT
                     ? document_row_insert(sqlite, of, &replay.row, record->version)
                     : document_row_update(sqlite, of, &replay.row);
    }
    for (uint32_t i = 0; i < DOCUMENT_COLUMNS_MAX; i++) {
        (void)sqlite3_finalize(replay.made[i]);
    }
    return result;
}

err_t
document_replay(void *context, const struct row_record *record)
{
    struct document_sqlite *sqlite = context;
    struct document_kind_statements *of = kind_named(sqlite, record->kind);
    if (of == NULL) {
        return ERR_VERSION;
    }
    err_t result = record->operation == ROW_REMOVE
                       ? document_row_remove(sqlite, of, record->scope, record->id, record->version)
                       : write_row(sqlite, of, record);
    return result == ERR_EXISTS || result == ERR_STALE ? ERR_CORRUPT : result;
}
