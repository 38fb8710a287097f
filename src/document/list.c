#include "query.h"
#include "schema.h"
#include "sqlite.h"

#include "base/assert.h"

enum {
    BIND_SCOPE = 1,
    BIND_LIMIT,
    BIND_ID_ABOVE,
    BIND_ID_BELOW,
    BIND_RANGE_MIN,
    BIND_RANGE_MAX,
    BIND_FILTERS,
};

/*
 * The index that a query shall walk, or UINT32_MAX for the table itself. SQLite's planner, without
 * statistics, prefers the primary key and would read every row of the scope.
 */
static uint32_t
index_column(const struct document_kind *kind, const struct document_query *query)
{
    if (query->all_scopes) {
        return document_query_leading_column(kind, query);
    }
    for (uint32_t i = 0; i < query->filter_count; i++) {
        const struct document_column *column = &kind->columns[query->filters[i].column];
        if (column->indexed && !column->across_scopes && !query->filters[i].value.is_null) {
            return query->filters[i].column;
        }
    }
    return UINT32_MAX;
}

static void
append_index(struct buf *sql, const struct document_kind *kind, const struct document_query *query)
{
    uint32_t column = index_column(kind, query);
    if (column != UINT32_MAX) {
        ASSERT(kind->columns[column].indexed);
        buf_append_cstr(sql, " INDEXED BY \"");
        document_sql_index_name(sql, kind, column);
        buf_append_byte(sql, '"');
    }
}

static void
append_conditions(
    struct buf *sql, const struct document_kind *kind, const struct document_query *query)
{
    buf_append_cstr(sql, query->all_scopes ? " WHERE 1" : " WHERE scope = ?1");
    for (uint32_t i = 0; i < query->filter_count; i++) {
        const struct document_filter *filter = &query->filters[i];
        const struct document_column *column = &kind->columns[filter->column];
        if (filter->value.is_null) {
            buf_append_format(sql, " AND \"%s\" IS NULL", column->name);
            continue;
        }
        if (column->any_case) {
            buf_append_format(
                sql, " AND \"%s\" = ?%u COLLATE NOCASE", column->name, BIND_FILTERS + i);
        }
        if (!filter->any_case) {
            buf_append_format(sql, " AND \"%s\" = ?%u", column->name, BIND_FILTERS + i);
        }
    }
    if (query->range_column != UINT32_MAX) {
        buf_append_format(
            sql, " AND \"%s\" BETWEEN ?5 AND ?6", kind->columns[query->range_column].name);
    }
    if (query->id_above.size > 0) {
        buf_append_cstr(sql, " AND id > ?3");
    }
    if (query->id_below.size > 0) {
        buf_append_cstr(sql, " AND id < ?4");
    }
}

static err_t
prepare_list(
    struct document_sqlite *sqlite,
    const struct document_kind *kind,
    const struct document_query *query,
    sqlite3_stmt **ret_statement)
{
    char text[DOCUMENT_SQL_SIZE];
    struct buf sql;
    buf_init_fixed(&sql, text, sizeof(text));
    document_sql_selected(&sql, kind);
    append_index(&sql, kind, query);
    append_conditions(&sql, kind, query);
    const char *direction = query->oldest_first ? "ASC" : "DESC";
    if (query->all_scopes) {
        buf_append_format(
            &sql,
            " ORDER BY \"%s\" %s, scope %s, id %s",
            kind->columns[document_query_leading_column(kind, query)].name,
            direction,
            direction,
            direction);
    } else {
        buf_append_format(&sql, " ORDER BY id %s", direction);
    }
    buf_append_cstr(&sql, " LIMIT ?2");
    buf_append_byte(&sql, '\0');
    ASSERT(!buf_failed(&sql));
    return document_prepare(sqlite, text, ret_statement);
}

static err_t
list_statement(
    struct document_sqlite *sqlite,
    const struct document_kind *kind,
    const struct document_query *query,
    sqlite3_stmt **ret_statement)
{
    struct document_kind_statements *of = document_kind_statements(sqlite, kind);
    uint64_t shape = document_query_shape(query);
    for (uint32_t i = 0; i < of->list_count; i++) {
        sqlite3_stmt *statement = of->lists[i].statement;
        /* Busy: a list inside another one's `each`. */
        if (of->lists[i].shape == shape && !sqlite3_stmt_busy(statement)) {
            *ret_statement = statement;
            return ERR_OK;
        }
    }
    sqlite3_stmt *statement;
    TRY(prepare_list(sqlite, kind, query, &statement));
    uint32_t slot = of->list_count;
    if (slot < DOCUMENT_LIST_SHAPES_MAX) {
        of->list_count++;
    } else {
        slot = of->list_oldest;
        of->list_oldest = (slot + 1) % DOCUMENT_LIST_SHAPES_MAX;
        /* Nested lists are few; one that is under way is never DOCUMENT_LIST_SHAPES_MAX old. */
        ASSERT(!sqlite3_stmt_busy(of->lists[slot].statement));
        sqlite3_finalize(of->lists[slot].statement);
    }
    of->lists[slot] = (struct document_list_statement){.shape = shape, .statement = statement};
    *ret_statement = statement;
    return ERR_OK;
}

static void
bind_integer(sqlite3_stmt *statement, int position, int64_t value)
{
    int code = sqlite3_bind_int64(statement, position, value);
    ASSERT(code == SQLITE_OK);
}

static void
bind_query(
    sqlite3_stmt *statement, const struct document_kind *kind, const struct document_query *query)
{
    if (!query->all_scopes) {
        ASSERT(query->scope <= INT64_MAX);
        bind_integer(statement, BIND_SCOPE, (int64_t)query->scope);
    }
    bind_integer(statement, BIND_LIMIT, query->limit);
    if (query->id_above.size > 0) {
        document_bind_text(statement, BIND_ID_ABOVE, query->id_above);
    }
    if (query->id_below.size > 0) {
        document_bind_text(statement, BIND_ID_BELOW, query->id_below);
    }
    if (query->range_column != UINT32_MAX) {
        bind_integer(statement, BIND_RANGE_MIN, query->range_min);
        bind_integer(statement, BIND_RANGE_MAX, query->range_max);
    }
    for (uint32_t i = 0; i < query->filter_count; i++) {
        const struct document_filter *filter = &query->filters[i];
        if (!filter->value.is_null) {
            document_bind_value(
                statement,
                BIND_FILTERS + (int)i,
                kind->columns[filter->column].type,
                &filter->value);
        }
    }
}

err_t
document_sqlite_list(
    struct document_store *store,
    const struct document_kind *kind,
    const struct document_query *query,
    document_each each,
    void *context)
{
    struct document_sqlite *sqlite = document_sqlite_of(store);
    ASSERT(query->filter_count <= DOCUMENT_FILTERS_MAX);
    ASSERT(query->range_column == UINT32_MAX || query->range_column < kind->column_count);
    for (uint32_t i = 0; i < query->filter_count; i++) {
        ASSERT(query->filters[i].column < kind->column_count);
        ASSERT(!query->filters[i].any_case || kind->columns[query->filters[i].column].any_case);
    }
    if (document_sqlite_is_broken(sqlite)) {
        return ERR_IO;
    }
    sqlite3_stmt *statement;
    TRY(list_statement(sqlite, kind, query, &statement));
    bind_query(statement, kind, query);
    int code = sqlite3_step(statement);
    while (code == SQLITE_ROW) {
        struct document_row row;
        document_row_read(statement, kind, &row);
        if (!each(context, &row)) {
            break;
        }
        code = sqlite3_step(statement);
    }
    (void)sqlite3_reset(statement);
    return document_sqlite_error(code);
}
