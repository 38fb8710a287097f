/* Statements one by one, on connections of their own: for those who look at shards and move rows
 * between them (document/shards.h), in the databases' text format. */
#ifndef DOCUMENT_SHARDED_PLAIN_H
#define DOCUMENT_SHARDED_PLAIN_H

#include "sharded.h"

/* Advisory locks of a schema, as two arguments of PostgreSQL's functions: the space of all of
 * Tael's (postgres_lock.c), and a work's number, in decimal, with the schema's name. */
#define DOCUMENT_PLAIN_LOCK_SPACE       "1415669100"
#define DOCUMENT_PLAIN_LOCK_KEY(number) number " # hashtext(coalesce(current_schema(), ''))"
#define DOCUMENT_PLAIN_LOCK(number)     DOCUMENT_PLAIN_LOCK_SPACE ", " DOCUMENT_PLAIN_LOCK_KEY(number)

/* The map's file, checked as for opening; `table` is that of documents. */
MUST_USE err_t document_sharded_map_load(
    const char *path,
    struct shard_map *ret_map,
    uint32_t *ret_table,
    char message[DOCUMENT_MESSAGE_SIZE]);

/* ERR_CLOSED, with the message. */
MUST_USE err_t document_plain_connect(
    const struct shard_node *node, PGconn **ret_conn, char message[DOCUMENT_MESSAGE_SIZE]);
/* NULL after explaining it; else PQclear. */
PGresult *document_plain_run(PGconn *conn, const char *sql, char message[DOCUMENT_MESSAGE_SIZE]);
/* For one without a result. ERR_DATABASE. */
MUST_USE err_t
document_plain_do(PGconn *conn, const char *sql, char message[DOCUMENT_MESSAGE_SIZE]);
/* The whole number in the first row and column; 0 without a row, or for NULL. */
MUST_USE err_t document_plain_number(
    PGconn *conn, const char *sql, int64_t *ret_number, char message[DOCUMENT_MESSAGE_SIZE]);
MUST_USE err_t document_plain_has_table(
    PGconn *conn, const char *name, bool *ret_there, char message[DOCUMENT_MESSAGE_SIZE]);

typedef err_t (*document_plain_scope)(void *context, uint64_t scope);
/* Every scope of a kind, from the lowest; an error ends it and is answered. */
MUST_USE err_t document_plain_scopes(
    PGconn *conn,
    const struct document_kind *kind,
    document_plain_scope each,
    void *context,
    char message[DOCUMENT_MESSAGE_SIZE]);
/* "WITH RECURSIVE ..." that yields them, from one to the next in the primary key: as many looks as
 * there are scopes. */
void document_sql_scopes(struct buf *sql, const struct document_kind *kind);

#endif
