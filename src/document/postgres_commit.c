/*
 * The commit: all rows that the transaction changed, in one flush, between BEGIN and COMMIT.
 *
 *     BEGIN
 *     the number of this transaction, if the row of this process has the one before
 *     for each kind   DELETE, UPDATE (by the columns that are written), INSERT, each for all rows
 *     COMMIT
 *     pg_advisory_unlock, of what was unlocked
 *
 * Each statement names the versions that were read, and fails by a division by zero if it did not
 * find as many rows as it names; an INSERT fails by its key. The server then skips the rest, COMMIT
 * too. What is in the database is compared with what the transaction began from; whoever read or
 * wrote a row that another process changed has lost, and whoever built on what these wrote; the
 * rest is sent again. Rows go in the order of their keys, so that two processes rarely wait for one
 * another in a circle; if they do, the database ends one, which tries again.
 */
#include "postgres.h"

#include "base/assert.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Flushes of one commit, until it is given up as lost. */
#define TRIES_MAX 6

/* In this order: what is removed makes room for what is inserted, in unique indexes. */
enum write_kind {
    WRITE_REMOVE,
    WRITE_UPDATE,
    WRITE_INSERT,
    WRITE_INSERT_UNLESS_THERE,
    WRITE_NOTHING,
};

static enum write_kind
write_kind(const struct document_pg_row *row)
{
    if (row->base > 0) {
        return row->version > 0 ? WRITE_UPDATE : WRITE_REMOVE;
    }
    if (row->version == 0) {
        return WRITE_NOTHING; /* it came and went */
    }
    return row->unless_there ? WRITE_INSERT_UNLESS_THERE : WRITE_INSERT;
}

static int
compare_rows(const void *left, const void *right)
{
    const struct document_pg_row *a = *(const struct document_pg_row *const *)left;
    const struct document_pg_row *b = *(const struct document_pg_row *const *)right;
    if (a->of != b->of) {
        return a->of < b->of ? -1 : 1;
    }
    enum write_kind a_kind = write_kind(a), b_kind = write_kind(b);
    if (a_kind != b_kind) {
        return a_kind < b_kind ? -1 : 1;
    }
    if (a_kind == WRITE_UPDATE && a->unwritten != b->unwritten) {
        return a->unwritten < b->unwritten ? -1 : 1;
    }
    if (a->scope != b->scope) {
        return a->scope < b->scope ? -1 : 1;
    }
    return span_compare(a->id, b->id);
}

/* ---------------------------------------------------------------------------------- statements */

static void
append_columns(
    struct buf *sql, const struct document_kind *kind, uint32_t without, const char *format)
{
    for (uint32_t i = 0; i < kind->column_count; i++) {
        if ((without & 1U << i) == 0) {
            const char *name = kind->columns[i].name;
            if (strcmp(format, "set") == 0) {
                buf_append_format(sql, ", \"%s\" = u.\"%s\"", name, name);
            } else {
                buf_append_format(sql, ", \"%s\"", name);
            }
        }
    }
}

/* "unnest($1::bigint[], ...", from parameter `first` on for the columns. */
static void
append_arrays(struct buf *sql, const struct document_kind *kind, uint32_t without, uint32_t first)
{
    for (uint32_t i = 0; i < kind->column_count; i++) {
        if ((without & 1U << i) == 0) {
            buf_append_format(
                sql,
                ", $%u::%s[]",
                first++,
                kind->columns[i].type == DOCUMENT_INTEGER ? "bigint" : "text");
        }
    }
}

static void
sql_insert(struct buf *sql, const struct document_kind *kind, bool unless_there)
{
    buf_append_format(sql, "INSERT INTO \"%s\" (scope, id, version, body", kind->name);
    append_columns(sql, kind, 0, "name");
    buf_append_cstr(
        sql, ") SELECT * FROM unnest($1::bigint[], $2::text[], $3::bigint[], $4::text[]");
    append_arrays(sql, kind, 0, 5);
    buf_append_cstr(sql, unless_there ? ") ON CONFLICT DO NOTHING" : ")");
}

#define ALL_FOUND ") SELECT 1 / (CASE WHEN count(*) = $1::bigint THEN 1 ELSE 0 END) FROM done"

static void
sql_update(struct buf *sql, const struct document_kind *kind, uint32_t without)
{
    buf_append_format(
        sql, "WITH done AS (UPDATE \"%s\" t SET version = u.version, body = u.body", kind->name);
    append_columns(sql, kind, without, "set");
    buf_append_cstr(
        sql, " FROM unnest($2::bigint[], $3::text[], $4::bigint[], $5::bigint[], $6::text[]");
    append_arrays(sql, kind, without, 7);
    buf_append_cstr(sql, ") AS u (scope, id, base, version, body");
    append_columns(sql, kind, without, "name");
    buf_append_cstr(
        sql,
        ") WHERE t.scope = u.scope AND t.id = u.id AND t.version = u.base RETURNING 1" ALL_FOUND);
}

static void
sql_remove(struct buf *sql, const struct document_kind *kind)
{
    buf_append_format(
        sql,
        "WITH done AS (DELETE FROM \"%s\" t USING unnest($2::bigint[], $3::text[], $4::bigint[]) "
        "AS u (scope, id, base) WHERE t.scope = u.scope AND t.id = u.id AND t.version = u.base "
        "RETURNING 1" ALL_FOUND,
        kind->name);
}

/* ------------------------------------------------------------------------------------ parameters
 */

enum row_member {
    MEMBER_SCOPE,
    MEMBER_ID,
    MEMBER_BASE,
    MEMBER_VERSION,
    MEMBER_BODY,
};

static void
param_members(
    struct buf *param, enum row_member member, struct document_pg_row *const *rows, uint32_t count)
{
    bool is_text = member == MEMBER_ID || member == MEMBER_BODY;
    document_pg_array_begin(param, is_text ? DOCUMENT_TEXT : DOCUMENT_INTEGER, count);
    for (uint32_t i = 0; i < count; i++) {
        const struct document_pg_row *row = rows[i];
        switch (member) {
        case MEMBER_SCOPE:
            document_pg_array_integer(param, (int64_t)row->scope);
            break;
        case MEMBER_ID:
            document_pg_array_text(param, row->id);
            break;
        case MEMBER_BASE:
            document_pg_array_integer(param, row->base);
            break;
        case MEMBER_VERSION:
            document_pg_array_integer(param, row->version);
            break;
        case MEMBER_BODY:
            document_pg_array_text(param, row->body);
            break;
        }
    }
}

/* From parameter `at` on; answers how many there are then. */
static uint32_t
param_columns(
    struct document_pg *pg,
    uint32_t at,
    struct document_pg_row *const *rows,
    uint32_t count,
    uint32_t without)
{
    const struct document_kind *kind = rows[0]->of->kind;
    for (uint32_t i = 0; i < kind->column_count; i++) {
        if ((without & 1U << i) == 0) {
            struct buf *param = &pg->params[at++];
            document_pg_array_begin(param, kind->columns[i].type, count);
            for (uint32_t j = 0; j < count; j++) {
                document_pg_array_value(param, kind->columns[i].type, &rows[j]->columns[i]);
            }
        }
    }
    return at;
}

static void
send_update(struct document_pg *pg, struct document_pg_row *const *rows, uint32_t count)
{
    uint32_t without = rows[0]->unwritten;
    struct document_pg_kind *of = rows[0]->of;
    char text[DOCUMENT_PG_SQL_SIZE];
    struct buf sql;
    buf_init_fixed(&sql, text, sizeof(text));
    if (document_pg_is_new(pg, &of->updates[without])) {
        sql_update(&sql, of->kind, without);
    }
    buf_append_byte(&sql, '\0');
    ASSERT(!buf_failed(&sql));
    document_pg_param_integer(&pg->params[0], count);
    param_members(&pg->params[1], MEMBER_SCOPE, rows, count);
    param_members(&pg->params[2], MEMBER_ID, rows, count);
    param_members(&pg->params[3], MEMBER_BASE, rows, count);
    param_members(&pg->params[4], MEMBER_VERSION, rows, count);
    param_members(&pg->params[5], MEMBER_BODY, rows, count);
    uint32_t params = param_columns(pg, 6, rows, count, without);
    document_pg_execute(pg, &of->updates[without], text, params, NULL, NULL);
}

static void
send_insert(
    struct document_pg *pg, struct document_pg_row *const *rows, uint32_t count, bool unless_there)
{
    struct document_pg_kind *of = rows[0]->of;
    struct document_pg_statement *statement = unless_there ? &of->insert_unless_there : &of->insert;
    char text[DOCUMENT_PG_SQL_SIZE];
    struct buf sql;
    buf_init_fixed(&sql, text, sizeof(text));
    if (document_pg_is_new(pg, statement)) {
        sql_insert(&sql, of->kind, unless_there);
    }
    buf_append_byte(&sql, '\0');
    ASSERT(!buf_failed(&sql));
    param_members(&pg->params[0], MEMBER_SCOPE, rows, count);
    param_members(&pg->params[1], MEMBER_ID, rows, count);
    param_members(&pg->params[2], MEMBER_VERSION, rows, count);
    param_members(&pg->params[3], MEMBER_BODY, rows, count);
    uint32_t params = param_columns(pg, 4, rows, count, 0);
    document_pg_execute(pg, statement, text, params, NULL, NULL);
}

static void
send_remove(struct document_pg *pg, struct document_pg_row *const *rows, uint32_t count)
{
    struct document_pg_kind *of = rows[0]->of;
    char text[DOCUMENT_PG_SQL_SIZE];
    struct buf sql;
    buf_init_fixed(&sql, text, sizeof(text));
    if (document_pg_is_new(pg, &of->remove)) {
        sql_remove(&sql, of->kind);
    }
    buf_append_byte(&sql, '\0');
    ASSERT(!buf_failed(&sql));
    document_pg_param_integer(&pg->params[0], count);
    param_members(&pg->params[1], MEMBER_SCOPE, rows, count);
    param_members(&pg->params[2], MEMBER_ID, rows, count);
    param_members(&pg->params[3], MEMBER_BASE, rows, count);
    document_pg_execute(pg, &of->remove, text, 4, NULL, NULL);
}

static bool
belong_together(const struct document_pg_row *a, const struct document_pg_row *b)
{
    enum write_kind kind = write_kind(a);
    return a->of == b->of && kind == write_kind(b) &&
           (kind != WRITE_UPDATE || a->unwritten == b->unwritten);
}

/* Parameters of one statement stay far below what a message may hold. */
#define STATEMENT_ROWS_MAX  4096
#define STATEMENT_BYTES_MAX (32U << 20)

static void
send_rows(struct document_pg *pg, struct document_pg_row *const *rows, uint32_t count)
{
    for (uint32_t first = 0; first < count;) {
        uint32_t end = first;
        size_t bytes = 0;
        while (end < count && belong_together(rows[first], rows[end]) &&
               end - first < STATEMENT_ROWS_MAX && bytes < STATEMENT_BYTES_MAX) {
            bytes += rows[end++]->body.size;
        }
        switch (write_kind(rows[first])) {
        case WRITE_UPDATE:
            send_update(pg, &rows[first], end - first);
            break;
        case WRITE_INSERT:
            send_insert(pg, &rows[first], end - first, false);
            break;
        case WRITE_INSERT_UNLESS_THERE:
            send_insert(pg, &rows[first], end - first, true);
            break;
        case WRITE_REMOVE:
            send_remove(pg, &rows[first], end - first);
            break;
        case WRITE_NOTHING:
            break;
        }
        first = end;
    }
}

/* -------------------------------------------------------------------------------------- one try */

static uint32_t
collect_dirty(struct document_pg *pg, struct document_pg_row **rows)
{
    uint32_t count = 0;
    for (struct document_pg_row *row = pg->first_row; row != NULL; row = row->next) {
        if (row->dirty && write_kind(row) != WRITE_NOTHING) {
            rows[count++] = row;
        }
    }
    qsort((void *)rows, count, sizeof(rows[0]), compare_rows);
    return count;
}

static void
send_number(struct document_pg *pg)
{
    pg->commits++;
    document_pg_param_text(&pg->params[0], span_from_cstr(pg->node));
    document_pg_param_integer(&pg->params[1], (int64_t)pg->commits);
    document_pg_execute(
        pg,
        &pg->node_commit,
        "WITH done AS (UPDATE tael_node SET commits = $2::bigint, seen_at = clock_timestamp() "
        "WHERE id = $1::text AND commits = $2::bigint - 1 RETURNING 1) "
        "SELECT 1 / count(*) FROM done",
        2,
        NULL,
        NULL);
}

/* Ends the transaction that failed; the number that it did not write is free again. */
static err_t
roll_back(struct document_pg *pg, err_t failure)
{
    char sqlstate[sizeof(pg->sqlstate)];
    memcpy(sqlstate, pg->sqlstate, sizeof(sqlstate));
    uint32_t failed = pg->failed_command;
    pg->commits--;
    TRY(document_pg_begin_flush(pg));
    document_pg_send(pg, "ROLLBACK");
    TRY(document_pg_end_flush(pg));
    memcpy(pg->sqlstate, sqlstate, sizeof(sqlstate));
    pg->failed_command = failed;
    return failure;
}

/* Programs that would misread the rows are refused from the commit on (document_kind). */
static void
send_generation(struct document_pg *pg)
{
    uint32_t generation = 0;
    for (uint32_t i = 0; i < pg->trying_count; i++) {
        const struct document_pg_row *row = pg->trying[i];
        enum write_kind kind = write_kind(row);
        if ((kind == WRITE_INSERT || kind == WRITE_INSERT_UNLESS_THERE) &&
            row->of->kind->generation > generation) {
            generation = row->of->kind->generation;
        }
    }
    ASSERT(generation <= DOCUMENT_GENERATION);
    if (generation > 1) {
        char sql[128];
        unsigned layout = DOCUMENT_PG_LAYOUT_OF(generation);
        (void)snprintf(
            sql,
            sizeof(sql),
            "UPDATE tael_layout SET oldest_layout = %u WHERE oldest_layout < %u",
            layout,
            layout);
        document_pg_send(pg, sql);
    }
}

static err_t
try_send(struct document_pg *pg)
{
    TRY(document_pg_begin_flush(pg));
    document_pg_send(pg, "BEGIN");
    send_number(pg);
    send_generation(pg);
    send_rows(pg, pg->trying, pg->trying_count);
    if (pg->failure == ERR_FULL) {
        err_t failure = pg->failure;
        document_pg_disconnect(pg); /* no COMMIT was sent */
        return failure;
    }
    document_pg_send(pg, "COMMIT");
    pg->commit_command = pg->command_count;
    document_pg_send_unlocks(pg);
    return ERR_OK;
}

/* ERR_STALE: another process was first; ERR_BUSY: the database ended it, try again. */
static err_t
try_finish(struct document_pg *pg)
{
    err_t result = document_pg_end_flush(pg);
    if (pg->state == DOCUMENT_PG_DOWN) {
        pg->in_doubt = true;
        return document_pg_resolve(pg);
    }
    if (result == ERR_OK || pg->failed_command >= pg->commit_command) {
        return ERR_OK; /* a failure behind the COMMIT is not of the transaction */
    }
    return roll_back(pg, result);
}

/* ---------------------------------------------------------------------------------------- commit
 */

static err_t
try_begin(struct document_pg *pg)
{
    pg->trying_count = collect_dirty(pg, pg->trying);
    return pg->trying_count == 0 ? ERR_OK : try_send(pg);
}

/* `sent`: how the first try's sending went. */
static err_t
commit_rows(struct document_pg *pg, err_t sent)
{
    for (uint32_t try = 0; try < TRIES_MAX; try++) {
        if (try > 0) {
            sent = try_begin(pg);
        }
        if (pg->trying_count == 0) {
            return pg->lost_count > 0 ? ERR_STALE : ERR_OK;
        }
        err_t result = sent == ERR_OK ? try_finish(pg) : sent;
        if (result == ERR_STALE) {
            uint32_t lost_before = pg->lost_count;
            TRY(document_pg_lost_by_version(pg, pg->trying, pg->trying_count));
            if (pg->lost_count == lost_before) {
                TRY(document_pg_lost_by_value(pg, pg->trying, pg->trying_count));
            }
            document_pg_lost_drop(pg);
        } else if (result != ERR_BUSY) {
            return result;
        }
    }
    return ERR_STALE;
}

void
document_pg_commit_send(struct document_pg *pg)
{
    ASSERT(pg->in_transaction);
    ASSERT(pg->trying == NULL);
    if (pg->write_failure != ERR_OK || pg->dirty_count == 0) {
        return;
    }
    pg->trying = calloc(pg->dirty_count, sizeof(*pg->trying));
    if (pg->trying == NULL) {
        pg->write_failure = ERR_MEMORY;
        return;
    }
    pg->first_sent = try_begin(pg);
    if (pg->first_sent == ERR_OK && pg->trying_count > 0) {
        document_pg_depart(pg);
    }
}

err_t
document_pg_commit(struct document_store *store)
{
    struct document_pg *pg = document_pg_of(store);
    ASSERT(pg->in_transaction);
    if (pg->trying == NULL) {
        document_pg_commit_send(pg);
    }
    err_t result = pg->write_failure;
    if (result == ERR_OK && pg->trying != NULL) {
        result = commit_rows(pg, pg->first_sent);
    } else if (result == ERR_OK && pg->lost_count > 0) {
        result = ERR_STALE;
    }
    free((void *)pg->trying);
    pg->trying = NULL;
    pg->in_transaction = false;
    pg->write_failure = ERR_OK;
    pg->owner = NULL;
    document_pg_forget(pg);
    return result;
}
