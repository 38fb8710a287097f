#include "sharded_plain.h"

#include "base/assert.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PLAIN_SQL_SIZE 2048

err_t
document_plain_connect(
    const struct shard_node *node, PGconn **ret_conn, char message[DOCUMENT_MESSAGE_SIZE])
{
    /* Rows are found by their keys; copying whole scopes may take its time. */
    PGconn *conn = PQconnectdb(node->at);
    if (PQstatus(conn) != CONNECTION_OK) {
        char why[DOCUMENT_MESSAGE_SIZE];
        postgres_one_line(conn == NULL ? "out of memory" : PQerrorMessage(conn), why, sizeof(why));
        (void)snprintf(message, DOCUMENT_MESSAGE_SIZE, "shard %s: %.200s", node->name, why);
        PQfinish(conn);
        return ERR_CLOSED;
    }
    *ret_conn = conn;
    return document_plain_do(
        conn, "SET client_min_messages = error; SET statement_timeout = 0", message);
}

PGresult *
document_plain_run(PGconn *conn, const char *sql, char message[DOCUMENT_MESSAGE_SIZE])
{
    PGresult *result = PQexec(conn, sql);
    ExecStatusType status = PQresultStatus(result);
    if (status != PGRES_COMMAND_OK && status != PGRES_TUPLES_OK && status != PGRES_COPY_IN &&
        status != PGRES_COPY_OUT) {
        postgres_one_line(PQerrorMessage(conn), message, DOCUMENT_MESSAGE_SIZE);
        PQclear(result);
        return NULL;
    }
    return result;
}

err_t
document_plain_do(PGconn *conn, const char *sql, char message[DOCUMENT_MESSAGE_SIZE])
{
    PGresult *result = document_plain_run(conn, sql, message);
    PQclear(result);
    return result == NULL ? ERR_DATABASE : ERR_OK;
}

err_t
document_plain_number(
    PGconn *conn, const char *sql, int64_t *ret_number, char message[DOCUMENT_MESSAGE_SIZE])
{
    PGresult *result = document_plain_run(conn, sql, message);
    if (result == NULL) {
        return ERR_DATABASE;
    }
    *ret_number = PQntuples(result) == 0 ? 0 : strtoll(PQgetvalue(result, 0, 0), NULL, 10);
    PQclear(result);
    return ERR_OK;
}

err_t
document_plain_has_table(
    PGconn *conn, const char *name, bool *ret_there, char message[DOCUMENT_MESSAGE_SIZE])
{
    char sql[256];
    int64_t there = 0;
    (void)snprintf(sql, sizeof(sql), "SELECT (to_regclass('\"%s\"') IS NOT NULL)::int", name);
    TRY(document_plain_number(conn, sql, &there, message));
    *ret_there = there == 1;
    return ERR_OK;
}

void
document_sql_scopes(struct buf *sql, const struct document_kind *kind)
{
    buf_append_format(
        sql,
        "WITH RECURSIVE s AS (SELECT (SELECT min(scope) FROM \"%1$s\") AS scope UNION ALL "
        "SELECT (SELECT min(t.scope) FROM \"%1$s\" t WHERE t.scope > s.scope) FROM s "
        "WHERE s.scope IS NOT NULL) SELECT scope::bigint FROM s WHERE scope IS NOT NULL",
        kind->name);
}

err_t
document_plain_scopes(
    PGconn *conn,
    const struct document_kind *kind,
    document_plain_scope each,
    void *context,
    char message[DOCUMENT_MESSAGE_SIZE])
{
    char text[PLAIN_SQL_SIZE];
    struct buf sql;
    buf_init_fixed(&sql, text, sizeof(text));
    document_sql_scopes(&sql, kind);
    buf_append_byte(&sql, '\0');
    ASSERT(!buf_failed(&sql));
    PGresult *result = document_plain_run(conn, text, message);
    if (result == NULL) {
        return ERR_DATABASE;
    }
    err_t outcome = ERR_OK;
    for (int i = 0; i < PQntuples(result) && outcome == ERR_OK; i++) {
        outcome = each(context, strtoull(PQgetvalue(result, i, 0), NULL, 10));
    }
    PQclear(result);
    return outcome;
}
