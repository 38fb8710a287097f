/* Copying rows from one database to another, and comparing them (document/shards.h). */
#include "sharded_move.h"

#include "base/assert.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

void
document_move_sql_columns(struct buf *sql, const struct document_kind *kind, const char *prefix)
{
    buf_append_format(sql, "%1$sscope, %1$sid, %1$sversion, %1$sbody", prefix);
    for (uint32_t i = 0; i < kind->column_count; i++) {
        buf_append_format(sql, ", %s\"%s\"", prefix, kind->columns[i].name);
    }
}

/* "COPY ..." of one scope, out of or into a table. */
static void
sql_copy(
    char text[DOCUMENT_MOVE_SQL_SIZE], const struct document_kind *kind, uint64_t scope, bool out)
{
    struct buf sql;
    buf_init_fixed(&sql, text, DOCUMENT_MOVE_SQL_SIZE);
    if (out) {
        buf_append_cstr(&sql, "COPY (SELECT ");
        document_move_sql_columns(&sql, kind, "");
        buf_append_format(
            &sql,
            " FROM \"%s\" WHERE scope = %" PRIu64 " ORDER BY id) TO STDOUT",
            kind->name,
            scope);
    } else {
        buf_append_format(&sql, "COPY \"%s\" (", kind->name);
        document_move_sql_columns(&sql, kind, "");
        buf_append_cstr(&sql, ") FROM STDIN");
    }
    buf_append_cstr(&sql, " (FORMAT binary)");
    buf_append_byte(&sql, '\0');
    ASSERT(!buf_failed(&sql));
}

/* The end of a COPY has a result of its own. */
static err_t
copy_ended(struct document_moving *moving, PGconn *conn)
{
    err_t error = ERR_OK;
    for (PGresult *result = PQgetResult(conn); result != NULL; result = PQgetResult(conn)) {
        if (PQresultStatus(result) != PGRES_COMMAND_OK && error == ERR_OK) {
            error = ERR_DATABASE;
            postgres_one_line(PQerrorMessage(conn), moving->message, DOCUMENT_MESSAGE_SIZE);
        }
        PQclear(result);
    }
    return error;
}

static err_t
copy_bytes(struct document_moving *moving, PGconn *from, PGconn *to)
{
    char *piece = NULL;
    int size = PQgetCopyData(from, &piece, 0);
    bool good = true;
    for (; size > 0; size = PQgetCopyData(from, &piece, 0)) {
        good = good && PQputCopyData(to, piece, size) == 1;
        PQfreemem(piece);
    }
    good = good && size == -1;
    bool ended = PQputCopyEnd(to, good ? NULL : "the other side failed") == 1;
    TRY(copy_ended(moving, from));
    TRY(copy_ended(moving, to));
    return good && ended ? ERR_OK
                         : document_move_explain(moving, ERR_CLOSED, "copying was cut off");
}

err_t
document_move_copy(
    struct document_moving *moving,
    PGconn *from,
    const char *out_sql,
    PGconn *to,
    const char *in_sql)
{
    TRY(document_plain_do(from, out_sql, moving->message));
    TRY(document_plain_do(to, in_sql, moving->message));
    return copy_bytes(moving, from, to);
}

static err_t
copy_kind(
    struct document_moving *moving,
    const struct document_move_side *from,
    const struct document_move_side *to,
    const struct document_kind *kind,
    uint64_t scope)
{
    char out[DOCUMENT_MOVE_SQL_SIZE], in[DOCUMENT_MOVE_SQL_SIZE];
    (void)snprintf(
        out, sizeof(out), "DELETE FROM \"%s\" WHERE scope = %" PRIu64, kind->name, scope);
    TRY(document_plain_do(to->conn, out, moving->message));
    sql_copy(out, kind, scope, true);
    sql_copy(in, kind, scope, false);
    return document_move_copy(moving, from->conn, out, to->conn, in);
}

err_t
document_move_copy_scope(
    struct document_moving *moving,
    const struct document_move_side *from,
    const struct document_move_side *to,
    uint64_t scope)
{
    TRY(document_plain_do(to->conn, "BEGIN", moving->message));
    for (uint32_t i = 0; i < moving->kind_count; i++) {
        TRY(copy_kind(moving, from, to, moving->kinds[i], scope));
    }
    return document_plain_do(to->conn, "COMMIT", moving->message);
}

#define SUM_MODULUS 1000000007

err_t
document_move_sum_rows(
    struct document_moving *moving, PGconn *conn, const char *rows, struct document_move_sum *sum)
{
    char sql[DOCUMENT_MOVE_SQL_SIZE];
    int size = snprintf(
        sql,
        sizeof(sql),
        "SELECT count(*), coalesce(sum(hashtextextended(t::text, 0)), 0) %% %d FROM (%s) t",
        SUM_MODULUS,
        rows);
    ASSERT(size > 0 && (size_t)size < sizeof(sql));
    PGresult *result = document_plain_run(conn, sql, moving->message);
    if (result == NULL) {
        return ERR_DATABASE;
    }
    sum->rows += strtoll(PQgetvalue(result, 0, 0), NULL, 10);
    /* By kind, so that a row in another table's place is seen. */
    sum->hash = (sum->hash * 31 + strtoll(PQgetvalue(result, 0, 1), NULL, 10)) % SUM_MODULUS;
    PQclear(result);
    return ERR_OK;
}

err_t
document_move_delete_scope(
    struct document_moving *moving, const struct document_move_side *side, uint64_t scope)
{
    TRY(document_plain_do(side->conn, "BEGIN", moving->message));
    for (uint32_t i = 0; i < moving->kind_count; i++) {
        char sql[256];
        (void)snprintf(
            sql,
            sizeof(sql),
            "DELETE FROM \"%s\" WHERE scope = %" PRIu64,
            moving->kinds[i]->name,
            scope);
        TRY(document_plain_do(side->conn, sql, moving->message));
    }
    return document_plain_do(side->conn, "COMMIT", moving->message);
}
