/*
 * Who has lost against another process: the owners of rows that are in the database as nobody read
 * them, or whose unique values somebody else has, and whoever built on what they wrote.
 */
#include "postgres.h"

#include "base/assert.h"

#include <stdlib.h>

bool
document_pg_has_lost(const struct document_pg *pg, const void *owner)
{
    for (uint32_t i = 0; i < pg->lost_count; i++) {
        if (pg->lost[i] == owner) {
            return true;
        }
    }
    return false;
}

/* Everybody who read or wrote this row; true if somebody was not known to have lost. */
static bool
lose_owners(struct document_pg *pg, const struct document_pg_row *row)
{
    bool any = false;
    for (const struct document_pg_owner *at = row->owners; at != NULL; at = at->next) {
        if (!document_pg_has_lost(pg, at->owner)) {
            ASSERT(pg->lost_count < DOCUMENT_PG_OWNERS_MAX);
            pg->lost[pg->lost_count++] = at->owner;
            any = true;
        }
    }
    return any;
}

static bool
has_lost_writer(struct document_pg *pg, const struct document_pg_row *row)
{
    for (const struct document_pg_owner *at = row->owners; at != NULL; at = at->next) {
        if (at->wrote && document_pg_has_lost(pg, at->owner)) {
            return true;
        }
    }
    return false;
}

void
document_pg_lost_drop(struct document_pg *pg)
{
    for (bool again = true; again;) {
        again = false;
        for (struct document_pg_row *row = pg->first_row; row != NULL; row = row->next) {
            if (row->dirty && has_lost_writer(pg, row)) {
                again = lose_owners(pg, row) || again;
            }
        }
    }
    for (struct document_pg_row *row = pg->first_row; row != NULL; row = row->next) {
        if (row->dirty && has_lost_writer(pg, row)) {
            document_pg_row_drop(pg, row);
        }
    }
}

void
document_pg_lose(struct document_pg *pg, const void *owner)
{
    ASSERT(pg->in_transaction);
    if (!document_pg_has_lost(pg, owner)) {
        ASSERT(pg->lost_count < DOCUMENT_PG_OWNERS_MAX);
        pg->lost[pg->lost_count++] = owner;
        document_pg_lost_drop(pg);
    }
}

/* The rows of one kind that are compared. */
struct compared {
    struct document_pg *pg;
    struct document_pg_kind *of;
};

static err_t
take_versions(void *context, const PGresult *result)
{
    const struct compared *compared = context;
    int count = PQntuples(result);
    for (int i = 0; i < count; i++) {
        struct document_row read;
        document_pg_result_row(result, i, compared->of->kind, &read);
        struct document_pg_row *row =
            document_pg_row_find(compared->pg, compared->of->kind, read.scope, read.id);
        ASSERT(row != NULL);
        row->checked = true;
        if (row->base != read.version && !row->unless_there) {
            (void)lose_owners(compared->pg, row);
        }
    }
    return ERR_OK;
}

/* ------------------------------------------------------------------ who lost by a unique column */

struct taken {
    struct document_pg *pg;
    struct document_pg_kind *of;
    uint32_t column;
    struct document_pg_statement once; /* lives until the flush has ended */
};

/* Rows of others that have a value which one of ours wants. */
static err_t
take_taken(void *context, const PGresult *result)
{
    const struct taken *taken = context;
    const struct document_kind *kind = taken->of->kind;
    int count = PQntuples(result);
    for (int i = 0; i < count; i++) {
        struct document_row read;
        document_pg_result_row(result, i, kind, &read);
        const struct document_value *value = &read.columns[taken->column];
        for (struct document_pg_row *row = taken->pg->first_row; row != NULL; row = row->next) {
            const struct document_value *ours = &row->columns[taken->column];
            bool same_scope =
                row->scope == read.scope || kind->columns[taken->column].across_scopes;
            if (row->dirty && row->of == taken->of && same_scope && row->version > 0 &&
                !ours->is_null && !span_equal(row->id, read.id) &&
                (kind->columns[taken->column].type == DOCUMENT_INTEGER
                     ? ours->integer == value->integer
                     : span_equal(ours->text, value->text))) {
                (void)lose_owners(taken->pg, row);
            }
        }
    }
    return ERR_OK;
}

static void
send_taken(
    struct document_pg *pg,
    struct taken *taken,
    struct document_pg_row *const *rows,
    uint32_t count)
{
    const struct document_column *column = &taken->of->kind->columns[taken->column];
    char text[DOCUMENT_PG_SQL_SIZE];
    struct buf sql;
    buf_init_fixed(&sql, text, sizeof(text));
    document_pg_sql_selected(&sql, taken->of->kind);
    buf_append_format(
        &sql,
        " FROM unnest($1::bigint[], $2::%s[]) AS u (scope, value) JOIN \"%s\" t "
        "ON %st.\"%s\" = u.value",
        column->type == DOCUMENT_INTEGER ? "bigint" : "text",
        taken->of->kind->name,
        column->across_scopes ? "" : "t.scope = u.scope AND ",
        column->name);
    buf_append_byte(&sql, '\0');
    ASSERT(!buf_failed(&sql));
    document_pg_array_begin(&pg->params[0], DOCUMENT_INTEGER, count);
    for (uint32_t i = 0; i < count; i++) {
        document_pg_array_integer(&pg->params[0], (int64_t)rows[i]->scope);
    }
    document_pg_array_begin(&pg->params[1], column->type, count);
    for (uint32_t i = 0; i < count; i++) {
        document_pg_array_value(&pg->params[1], column->type, &rows[i]->columns[taken->column]);
    }
    document_pg_execute(pg, &taken->once, text, 2, take_taken, taken);
}

err_t
document_pg_lost_by_value(
    struct document_pg *pg, struct document_pg_row *const *rows, uint32_t count)
{
    for (uint32_t first = 0; first < count;) {
        uint32_t end = first;
        while (end < count && rows[end]->of == rows[first]->of) {
            end++;
        }
        const struct document_kind *kind = rows[first]->of->kind;
        for (uint32_t i = 0; i < kind->column_count; i++) {
            if (kind->columns[i].unique) {
                struct taken taken = {
                    .pg = pg, .of = rows[first]->of, .column = i, .once = {.name = ""}};
                TRY(document_pg_begin_flush(pg));
                send_taken(pg, &taken, &rows[first], end - first);
                TRY(document_pg_end_flush(pg));
            }
        }
        first = end;
    }
    return ERR_OK;
}

err_t
document_pg_lost_by_version(
    struct document_pg *pg, struct document_pg_row *const *rows, uint32_t count)
{
    uint64_t *scopes = calloc(count + 1, sizeof(*scopes));
    struct span *ids = calloc(count + 1, sizeof(*ids));
    struct compared *compared = calloc(pg->kind_count, sizeof(*compared));
    bool good = scopes != NULL && ids != NULL && compared != NULL;
    err_t result = good ? document_pg_begin_flush(pg) : ERR_MEMORY;
    for (uint32_t first = 0; first < count && result == ERR_OK;) {
        uint32_t end = first;
        for (; end < count && rows[end]->of == rows[first]->of; end++) {
            rows[end]->checked = false;
            scopes[end] = rows[end]->scope;
            ids[end] = rows[end]->id;
        }
        struct compared *one = &compared[rows[first]->of - pg->kinds];
        *one = (struct compared){.pg = pg, .of = rows[first]->of};
        document_pg_send_get(
            pg,
            one->of,
            (struct document_pg_ids){&scopes[first], &ids[first], end - first},
            take_versions,
            one);
        first = end;
    }
    if (result == ERR_OK) {
        result = document_pg_end_flush(pg);
    }
    for (uint32_t i = 0; i < count && result == ERR_OK; i++) {
        if (!rows[i]->checked && rows[i]->base > 0) {
            (void)lose_owners(pg, rows[i]); /* it is gone */
        }
    }
    free(scopes);
    free(ids);
    free(compared);
    return result;
}
