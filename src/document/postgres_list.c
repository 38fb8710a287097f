/* Lists: SQL for the database, and the rows of the open transaction merged into what it answers. */
#include "postgres.h"
#include "query.h"

#include "base/assert.h"

#include <stdlib.h>

/* Rows of one statement; longer lists come in pieces. */
#define PIECE_ROWS 1000

/* ------------------------------------------------------------------------------------------ SQL */

static void
append_filter(
    struct buf *sql,
    const struct document_kind *kind,
    const struct document_filter *filter,
    uint32_t param)
{
    const struct document_column *column = &kind->columns[filter->column];
    if (filter->value.is_null) {
        buf_append_format(sql, " AND t.\"%s\" IS NULL", column->name);
    } else if (column->type == DOCUMENT_INTEGER) {
        buf_append_format(sql, " AND t.\"%s\" = $%u::bigint", column->name, param);
    } else {
        /* The index of an any_case column serves exact filters too. */
        if (column->any_case) {
            buf_append_format(
                sql, " AND lower(t.\"%s\") = lower($%u::text COLLATE \"C\")", column->name, param);
        }
        if (!filter->any_case) {
            buf_append_format(sql, " AND t.\"%s\" = $%u::text", column->name, param);
        }
    }
}

/* Text and parameters in the same order; both, so that they cannot part. */
static uint32_t
append_conditions(
    struct document_pg *pg,
    struct buf *sql,
    const struct document_kind *kind,
    const struct document_query *query)
{
    uint32_t count = 0;
    buf_append_cstr(sql, " WHERE true");
    if (!query->all_scopes) {
        document_pg_param_integer(&pg->params[count], (int64_t)query->scope);
        buf_append_format(sql, " AND t.scope = $%u::bigint", ++count);
    }
    for (uint32_t i = 0; i < query->filter_count; i++) {
        const struct document_filter *filter = &query->filters[i];
        if (filter->value.is_null) {
            append_filter(sql, kind, filter, 0);
            continue;
        }
        if (kind->columns[filter->column].type == DOCUMENT_INTEGER) {
            document_pg_param_integer(&pg->params[count], filter->value.integer);
        } else {
            document_pg_param_text(&pg->params[count], filter->value.text);
        }
        append_filter(sql, kind, filter, ++count);
    }
    if (query->range_column != UINT32_MAX) {
        document_pg_param_integer(&pg->params[count], query->range_min);
        document_pg_param_integer(&pg->params[count + 1], query->range_max);
        buf_append_format(
            sql,
            " AND t.\"%s\" BETWEEN $%u::bigint AND $%u::bigint",
            kind->columns[query->range_column].name,
            count + 1,
            count + 2);
        count += 2;
    }
    if (query->id_above.size > 0) {
        document_pg_param_text(&pg->params[count], query->id_above);
        buf_append_format(sql, " AND t.id > $%u::text", ++count);
    }
    if (query->id_below.size > 0) {
        document_pg_param_text(&pg->params[count], query->id_below);
        buf_append_format(sql, " AND t.id < $%u::text", ++count);
    }
    return count;
}

/* In the order of an index that the conditions leave: a planner without statistics then takes that
 * one, for it spares the sorting. */
static void
append_order(struct buf *sql, const struct document_kind *kind, const struct document_query *query)
{
    const char *direction = query->oldest_first ? "ASC" : "DESC";
    if (query->all_scopes) {
        buf_append_format(
            sql,
            " ORDER BY t.\"%s\" %s, t.scope %s, t.id %s",
            kind->columns[document_query_leading_column(kind, query)].name,
            direction,
            direction,
            direction);
    } else {
        buf_append_format(sql, " ORDER BY t.id %s", direction);
    }
}

static struct document_pg_statement *
shape_statement(struct document_pg *pg, struct document_pg_kind *of, uint64_t shape)
{
    for (uint32_t i = 0; i < of->shape_count; i++) {
        if (of->shapes[i].shape == shape) {
            return &of->shapes[i].statement;
        }
    }
    uint32_t slot = of->shape_count;
    if (slot < DOCUMENT_PG_SHAPES_MAX) {
        of->shape_count++;
    } else {
        slot = of->shape_oldest;
        of->shape_oldest = (slot + 1) % DOCUMENT_PG_SHAPES_MAX;
        if (of->shapes[slot].statement.session == pg->session) {
            char text[64];
            struct buf sql;
            buf_init_fixed(&sql, text, sizeof(text));
            buf_append_format(&sql, "DEALLOCATE \"%s\"", of->shapes[slot].statement.name);
            buf_append_byte(&sql, '\0');
            document_pg_send(pg, text);
        }
    }
    of->shapes[slot].shape = shape;
    of->shapes[slot].statement.session = 0;
    return &of->shapes[slot].statement;
}

void
document_pg_send_list(
    struct document_pg *pg,
    struct document_pg_kind *of,
    const struct document_query *query,
    uint64_t limit,
    document_pg_result result,
    void *context)
{
    char text[DOCUMENT_PG_SQL_SIZE];
    struct buf sql;
    buf_init_fixed(&sql, text, sizeof(text));
    document_pg_sql_selected(&sql, of->kind);
    buf_append_format(&sql, " FROM \"%s\" t", of->kind->name);
    uint32_t count = append_conditions(pg, &sql, of->kind, query);
    append_order(&sql, of->kind, query);
    document_pg_param_integer(&pg->params[count], (int64_t)limit);
    buf_append_format(&sql, " LIMIT $%u::bigint", ++count);
    buf_append_byte(&sql, '\0');
    ASSERT(!buf_failed(&sql));
    document_pg_execute(
        pg, shape_statement(pg, of, document_query_shape(query)), text, count, result, context);
}

struct span
document_pg_query_key(struct arena *arena, const struct document_query *query)
{
    struct buf key;
    char text[1024];
    buf_init_fixed(&key, text, sizeof(text));
    buf_append_format(
        &key,
        "%llx %llu %u %lld %lld %zu:%.*s%zu:%.*s",
        (unsigned long long)document_query_shape(query),
        (unsigned long long)query->scope,
        query->limit,
        (long long)(query->range_column == UINT32_MAX ? 0 : query->range_min),
        (long long)(query->range_column == UINT32_MAX ? 0 : query->range_max),
        query->id_above.size,
        SPAN_PRINTF(query->id_above),
        query->id_below.size,
        SPAN_PRINTF(query->id_below));
    for (uint32_t i = 0; i < query->filter_count; i++) {
        const struct document_value *value = &query->filters[i].value;
        buf_append_format(
            &key,
            " %lld %zu:%.*s",
            (long long)value->integer,
            value->text.size,
            SPAN_PRINTF(value->text));
    }
    return buf_failed(&key) ? SPAN_EMPTY : arena_copy(arena, buf_span(&key));
}

/* --------------------------------------------------------------------- the open transaction's rows
 */

static bool
filter_matches(
    const struct document_kind *kind,
    const struct document_filter *filter,
    const struct document_value *value)
{
    if (filter->value.is_null || value->is_null) {
        return filter->value.is_null && value->is_null;
    }
    if (kind->columns[filter->column].type == DOCUMENT_INTEGER) {
        return filter->value.integer == value->integer;
    }
    return filter->any_case ? span_equal_nocase(filter->value.text, value->text)
                            : span_equal(filter->value.text, value->text);
}

static bool
row_matches(const struct document_pg_row *row, const struct document_query *query)
{
    if (row->version == 0 || (!query->all_scopes && row->scope != query->scope) ||
        (query->id_above.size > 0 && span_compare(row->id, query->id_above) <= 0) ||
        (query->id_below.size > 0 && span_compare(row->id, query->id_below) >= 0)) {
        return false;
    }
    if (query->range_column != UINT32_MAX) {
        const struct document_value *value = &row->columns[query->range_column];
        if (value->is_null || value->integer < query->range_min ||
            value->integer > query->range_max) {
            return false;
        }
    }
    for (uint32_t i = 0; i < query->filter_count; i++) {
        const struct document_filter *filter = &query->filters[i];
        if (!filter_matches(row->of->kind, filter, &row->columns[filter->column])) {
            return false;
        }
    }
    return true;
}

/* One piece of a list. */
struct piece {
    struct document_pg *pg;
    struct document_pg_kind *of;
    const struct document_query *query;
    struct document_row *rows;
    uint32_t count, room;
    PGresult *result; /* what the rows are borrowed from */
};

static int
compare_rows(const void *left, const void *right, void *context)
{
    const struct piece *piece = context;
    return document_query_compare(piece->of->kind, piece->query, left, right);
}

static void
piece_add_read(struct piece *piece, const struct document_row *read)
{
    struct document_pg_row *kept =
        piece->of->dirty == 0
            ? NULL
            : document_pg_row_find(piece->pg, piece->of->kind, read->scope, read->id);
    if (kept == NULL || !kept->dirty) {
        ASSERT(piece->count < piece->room);
        piece->rows[piece->count++] = *read;
    } else {
        document_pg_row_note_owner(piece->pg, kept, false);
    }
}

static void
piece_add_written(struct piece *piece)
{
    struct document_pg *pg = piece->pg;
    if (piece->of->dirty == 0) {
        return;
    }
    for (struct document_pg_row *row = pg->first_row; row != NULL; row = row->next) {
        if (!row->dirty || row->of != piece->of || !row_matches(row, piece->query)) {
            continue;
        }
        document_pg_row_note_owner(pg, row, false);
        ASSERT(piece->count < piece->room);
        struct document_row *out = &piece->rows[piece->count++];
        *out = (struct document_row){
            .scope = row->scope, .id = row->id, .version = row->version, .body = row->body};
        for (uint32_t i = 0; i < row->of->kind->column_count; i++) {
            out->columns[i] = row->columns[i];
        }
    }
    qsort_r(piece->rows, piece->count, sizeof(piece->rows[0]), compare_rows, piece);
}

static err_t
take_piece(void *context, const PGresult *result)
{
    struct piece *piece = context;
    /* The pipe clears its result; ours has to live on. */
    piece->result = PQcopyResult(result, PG_COPYRES_ATTRS | PG_COPYRES_TUPLES);
    return piece->result == NULL ? ERR_MEMORY : ERR_OK;
}

static const struct document_pg_listed *
find_listed(const struct piece *piece)
{
    struct document_pg *pg = piece->pg;
    if (pg->listed == NULL) {
        return NULL;
    }
    struct span key = document_pg_query_key(&pg->arena, piece->query);
    for (const struct document_pg_listed *at = pg->listed; at != NULL; at = at->next) {
        if (at->complete && at->of == piece->of && span_equal(at->key, key)) {
            /* Rows of ours that left the list would be missing at its end. */
            return at->count < piece->query->limit || piece->of->dirty == 0 ? at : NULL;
        }
    }
    return NULL;
}

static err_t
piece_make_room(struct piece *piece, size_t count)
{
    piece->room = (uint32_t)count + piece->of->dirty;
    piece->rows = calloc((size_t)piece->room + 1, sizeof(piece->rows[0]));
    return piece->rows == NULL ? ERR_MEMORY : ERR_OK;
}

static err_t
piece_read(struct piece *piece)
{
    const struct document_pg_listed *listed = find_listed(piece);
    if (listed != NULL) {
        TRY(piece_make_room(piece, listed->count));
        for (uint32_t i = 0; i < listed->count; i++) {
            piece_add_read(piece, &listed->rows[i]);
        }
        return ERR_OK;
    }
    struct document_pg *pg = piece->pg;
    TRY(document_pg_begin_flush(pg));
    document_pg_send_unlocks(pg);
    /* Some that come may have been changed here, so as to be in the list no more. */
    uint64_t limit = (uint64_t)piece->query->limit + piece->of->dirty;
    document_pg_send_list(pg, piece->of, piece->query, limit, take_piece, piece);
    TRY(document_pg_end_flush(pg));
    int found = PQntuples(piece->result);
    TRY(piece_make_room(piece, (size_t)found));
    for (int i = 0; i < found; i++) {
        struct document_row read;
        document_pg_result_row(piece->result, i, piece->of->kind, &read);
        piece_add_read(piece, &read);
    }
    return ERR_OK;
}

/* Hands the rows out; *ret_more: there may be others behind them. */
static err_t
piece_run(
    struct piece *piece, document_each each, void *context, struct buf *last_id, bool *ret_more)
{
    err_t result = piece_read(piece);
    *ret_more = false;
    if (result == ERR_OK) {
        piece_add_written(piece);
        uint32_t limit = piece->query->limit;
        uint32_t count = piece->count < limit ? piece->count : limit;
        *ret_more = piece->count >= limit;
        for (uint32_t i = 0; i < count; i++) {
            if (!each(context, &piece->rows[i])) {
                *ret_more = false;
                break;
            }
        }
        if (*ret_more && count > 0) {
            buf_clear(last_id);
            buf_append_span(last_id, piece->rows[count - 1].id);
            result = buf_failed(last_id) ? ERR_FULL : ERR_OK;
        }
    }
    PQclear(piece->result);
    free(piece->rows);
    return result;
}

static bool
query_is_storable(const struct document_query *query)
{
    bool good = document_pg_text_is_storable(query->id_above) &&
                document_pg_text_is_storable(query->id_below);
    for (uint32_t i = 0; i < query->filter_count; i++) {
        good = good && document_pg_text_is_storable(query->filters[i].value.text);
    }
    return good;
}

err_t
document_pg_list(
    struct document_store *store,
    const struct document_kind *kind,
    const struct document_query *query,
    document_each each,
    void *context)
{
    struct document_pg *pg = document_pg_of(store);
    ASSERT(query->filter_count <= DOCUMENT_FILTERS_MAX);
    ASSERT(query->range_column == UINT32_MAX || query->range_column < kind->column_count);
    if (!query_is_storable(query)) {
        return ERR_OK; /* no row has it */
    }
    struct document_query part = *query;
    struct buf last_id;
    buf_init(&last_id, 4096);
    uint32_t left = query->limit;
    bool more = left > 0;
    err_t result = ERR_OK;
    while (more && result == ERR_OK) {
        /* Across scopes, the id alone does not tell where to go on. */
        part.limit = left < PIECE_ROWS || query->all_scopes ? left : PIECE_ROWS;
        left -= part.limit;
        struct piece piece = {.pg = pg, .of = document_pg_kind(pg, kind), .query = &part};
        result = piece_run(&piece, each, context, &last_id, &more);
        more = more && left > 0;
        *(query->oldest_first ? &part.id_above : &part.id_below) = buf_span(&last_id);
    }
    buf_release(&last_id);
    return result;
}
