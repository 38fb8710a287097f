/* Reading rows by their ids, and what is wished for ahead of being asked. */
#include "postgres.h"

#include "base/assert.h"

void
document_pg_sql_selected(struct buf *sql, const struct document_kind *kind)
{
    buf_append_cstr(sql, "SELECT t.id, t.version, t.body, t.scope");
    for (uint32_t i = 0; i < kind->column_count; i++) {
        buf_append_format(sql, ", t.\"%s\"", kind->columns[i].name);
    }
}

void
document_pg_send_get(
    struct document_pg *pg,
    struct document_pg_kind *of,
    struct document_pg_ids asked,
    document_pg_result result,
    void *context)
{
    char text[DOCUMENT_PG_SQL_SIZE];
    struct buf sql;
    buf_init_fixed(&sql, text, sizeof(text));
    if (document_pg_is_new(pg, &of->get)) {
        document_pg_sql_selected(&sql, of->kind);
        buf_append_format(
            &sql,
            " FROM unnest($1::bigint[], $2::text[]) AS u (scope, id) JOIN \"%s\" t "
            "ON t.scope = u.scope AND t.id = u.id",
            of->kind->name);
    }
    buf_append_byte(&sql, '\0');
    ASSERT(!buf_failed(&sql));
    document_pg_array_begin(&pg->params[0], DOCUMENT_INTEGER, asked.count);
    document_pg_array_begin(&pg->params[1], DOCUMENT_TEXT, asked.count);
    for (uint32_t i = 0; i < asked.count; i++) {
        ASSERT(asked.scopes[i] <= INT64_MAX);
        document_pg_array_integer(&pg->params[0], (int64_t)asked.scopes[i]);
        document_pg_array_text(&pg->params[1], asked.ids[i]);
    }
    document_pg_execute(pg, &of->get, text, 2, result, context);
}

/* The rows of one kind that a flush asks for. */
struct asked {
    struct document_pg *pg;
    struct document_pg_kind *of;
    uint64_t *scopes;
    struct span *ids;
    uint32_t count;
};

/* Keeps what was found, and of the others that they are not there. */
static err_t
take_rows(void *context, const PGresult *result)
{
    struct asked *asked = context;
    struct document_pg *pg = asked->pg;
    struct document_pg_row *row;
    int found = PQntuples(result);
    for (int i = 0; i < found; i++) {
        struct document_row read;
        document_pg_result_row(result, i, asked->of->kind, &read);
        TRY(document_pg_row_keep(pg, asked->of, read.scope, read.id, &read, &row));
    }
    for (uint32_t i = 0; i < asked->count; i++) {
        row = document_pg_row_find(pg, asked->of->kind, asked->scopes[i], asked->ids[i]);
        if (row == NULL) {
            TRY(document_pg_row_keep(pg, asked->of, asked->scopes[i], asked->ids[i], NULL, &row));
        }
    }
    return ERR_OK;
}

/* Rows that were there are forgotten first, in case they are not any more. */
static err_t
send_kind_again(struct document_pg *pg, struct document_pg_kind *of, uint32_t count)
{
    struct asked *asked = ARENA_NEW(&pg->arena, struct asked);
    if (asked == NULL) {
        return ERR_FULL;
    }
    *asked = (struct asked){.pg = pg, .of = of};
    asked->scopes = ARENA_ARRAY(&pg->arena, uint64_t, count);
    asked->ids = ARENA_ARRAY(&pg->arena, struct span, count);
    if (asked->scopes == NULL || asked->ids == NULL) {
        return ERR_FULL;
    }
    for (struct document_pg_row *row = pg->first_row; row != NULL; row = row->next) {
        if (row->of == of && !row->dirty && !row->gone) {
            ASSERT(asked->count < count);
            asked->scopes[asked->count] = row->scope;
            asked->ids[asked->count++] = row->id;
            document_pg_row_drop(pg, row);
        }
    }
    document_pg_send_get(
        pg,
        of,
        (struct document_pg_ids){asked->scopes, asked->ids, asked->count},
        take_rows,
        asked);
    return ERR_OK;
}

err_t
document_pg_send_reads_again(struct document_pg *pg)
{
    pg->listed = NULL;
    for (uint32_t i = 0; i < pg->kind_count; i++) {
        uint32_t count = 0;
        for (struct document_pg_row *row = pg->first_row; row != NULL; row = row->next) {
            count += row->of == &pg->kinds[i] && !row->dirty && !row->gone;
        }
        if (count > 0) {
            TRY(send_kind_again(pg, &pg->kinds[i], count));
        }
    }
    return ERR_OK;
}

err_t
document_pg_fetch(
    struct document_pg *pg,
    struct document_pg_kind *of,
    uint64_t scope,
    struct span id,
    struct document_pg_row **ret_row)
{
    struct asked asked = {.pg = pg, .of = of, .scopes = &scope, .ids = &id, .count = 1};
    TRY(document_pg_begin_flush(pg));
    document_pg_send_unlocks(pg);
    document_pg_send_get(pg, of, (struct document_pg_ids){&scope, &id, 1}, take_rows, &asked);
    TRY(document_pg_end_flush(pg));
    *ret_row = document_pg_row_find(pg, of->kind, scope, id);
    ASSERT(*ret_row != NULL);
    return ERR_OK;
}

/* -------------------------------------------------------------------------------------- wishes */

static bool
is_wanted(
    struct document_pg *pg, const struct document_wish *wish, const struct document_kind *kind)
{
    return wish->kind == kind && wish->query == NULL && wish->id.size > 0 &&
           document_pg_text_is_storable(wish->id) &&
           document_pg_row_find(pg, kind, wish->scope, wish->id) == NULL;
}

/* All rows of one kind that are wished for. */
static err_t
send_wished_rows(
    struct document_pg *pg,
    struct document_pg_kind *of,
    const struct document_wish *wishes,
    uint32_t count)
{
    struct asked *asked = ARENA_NEW(&pg->arena, struct asked);
    if (asked == NULL) {
        return ERR_FULL;
    }
    *asked = (struct asked){.pg = pg, .of = of};
    asked->scopes = ARENA_ARRAY(&pg->arena, uint64_t, count);
    asked->ids = ARENA_ARRAY(&pg->arena, struct span, count);
    if (asked->scopes == NULL || asked->ids == NULL) {
        return ERR_FULL;
    }
    for (uint32_t i = 0; i < count; i++) {
        if (is_wanted(pg, &wishes[i], of->kind)) {
            asked->scopes[asked->count] = wishes[i].scope;
            asked->ids[asked->count] = arena_copy(&pg->arena, wishes[i].id);
            if (asked->ids[asked->count].data == NULL) {
                return ERR_FULL;
            }
            asked->count++;
        }
    }
    if (asked->count > 0) {
        document_pg_send_get(
            pg,
            of,
            (struct document_pg_ids){asked->scopes, asked->ids, asked->count},
            take_rows,
            asked);
    }
    return ERR_OK;
}

struct asked_list {
    struct document_pg *pg;
    struct document_pg_listed *listed;
};

static err_t
copy_row(struct arena *arena, const struct document_kind *kind, struct document_row *row)
{
    struct span *texts[2 + DOCUMENT_COLUMNS_MAX] = {&row->id, &row->body};
    uint32_t count = 2;
    for (uint32_t i = 0; i < kind->column_count; i++) {
        texts[count++] = &row->columns[i].text;
    }
    for (uint32_t i = 0; i < count; i++) {
        if (texts[i]->size > 0) {
            *texts[i] = arena_copy(arena, *texts[i]);
            if (texts[i]->data == NULL) {
                return ERR_FULL;
            }
        }
    }
    return ERR_OK;
}

static err_t
take_listed(void *context, const PGresult *result)
{
    struct asked_list *asked = context;
    struct document_pg_listed *listed = asked->listed;
    int count = PQntuples(result);
    listed->rows = ARENA_ARRAY(&asked->pg->arena, struct document_row, (size_t)count + 1);
    if (listed->rows == NULL) {
        return ERR_FULL;
    }
    for (int i = 0; i < count; i++) {
        struct document_row *row = &listed->rows[listed->count++];
        document_pg_result_row(result, i, listed->of->kind, row);
        TRY(copy_row(&asked->pg->arena, listed->of->kind, row));
    }
    listed->complete = true;
    return ERR_OK;
}

static err_t
send_wished_list(struct document_pg *pg, const struct document_wish *wish)
{
    struct document_pg_kind *of = document_pg_kind(pg, wish->kind);
    struct asked_list *asked = ARENA_NEW(&pg->arena, struct asked_list);
    struct document_pg_listed *listed = ARENA_NEW(&pg->arena, struct document_pg_listed);
    if (asked == NULL || listed == NULL) {
        return ERR_FULL;
    }
    struct span key = document_pg_query_key(&pg->arena, wish->query);
    if (key.data == NULL) {
        return ERR_OK; /* of no use ahead */
    }
    for (const struct document_pg_listed *at = pg->listed; at != NULL; at = at->next) {
        if (at->of == of && span_equal(at->key, key)) {
            return ERR_OK;
        }
    }
    *asked = (struct asked_list){.pg = pg, .listed = listed};
    *listed = (struct document_pg_listed){.next = pg->listed, .of = of, .key = key};
    pg->listed = listed;
    document_pg_send_list(pg, of, wish->query, wish->query->limit, take_listed, asked);
    return ERR_OK;
}

err_t
document_pg_prefetch_send(
    struct document_pg *pg, const struct document_wish *wishes, uint32_t count, bool *ret_sent)
{
    TRY(document_pg_begin_flush(pg));
    document_pg_send_unlocks(pg);
    for (uint32_t i = 0; i < count && pg->failure == ERR_OK; i++) {
        if (wishes[i].query != NULL) {
            pg->failure = send_wished_list(pg, &wishes[i]);
        }
    }
    for (uint32_t i = 0; i < pg->kind_count && pg->failure == ERR_OK; i++) {
        pg->failure = send_wished_rows(pg, &pg->kinds[i], wishes, count);
    }
    *ret_sent = pg->failure != ERR_OK || pg->command_count > 0;
    return ERR_OK;
}

err_t
document_pg_prefetch(
    struct document_store *store, const struct document_wish *wishes, uint32_t count)
{
    struct document_pg *pg = document_pg_of(store);
    bool is_sent;
    TRY(document_pg_prefetch_send(pg, wishes, count, &is_sent));
    return is_sent ? document_pg_end_flush(pg) : ERR_OK;
}
