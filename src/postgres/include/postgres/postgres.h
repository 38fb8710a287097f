/*
 * What every user of PostgreSQL needs of libpq: a URL with our defaults, a connection that is never
 * waited for without a bound, results in order, and what an error means. It knows no statement.
 *
 * Threads: a connection is its caller's; everything else here has no state.
 * Source: postgresql.org/docs/15/libpq.html.
 */
#ifndef POSTGRES_POSTGRES_H
#define POSTGRES_POSTGRES_H

#include "base/buf.h"
#include "base/err.h"
#include "base/span.h"

#include <stdint.h>

/* libpq-fe.h calls them PGconn and PGresult. */
struct pg_conn;
struct pg_result;

/* Types' numbers, as the catalogue has them for ever (pg_type.dat). */
enum postgres_oid {
    POSTGRES_OID_INT8 = 20,
    POSTGRES_OID_INT2 = 21,
    POSTGRES_OID_INT4 = 23,
    POSTGRES_OID_TEXT = 25,
    POSTGRES_OID_NUMERIC = 1700,
    POSTGRES_OID_UUID = 2950,
};

/* --- connecting --- */

/* The parameters of a connection, both ended by NULL. */
struct postgres_parameters {
    char **keywords;
    char **values;
    uint32_t host_count; /* servers that the URL names: 1, or a primary and its replicas */
};

/* Reads a libpq URL and adds our defaults where it says nothing; `session_options` ("-c name=value
 * ...") come before the URL's own, which win. ERR_INVALID with the reason in `message`; ERR_MEMORY.
 * Release in any case. */
MUST_USE err_t postgres_parameters_parse(
    const char *url,
    const char *session_options,
    struct postgres_parameters *ret_parameters,
    char *message,
    size_t message_size);
/* Wipes the values: there is a password among them. */
void postgres_parameters_release(struct postgres_parameters *parameters);

/* Begins to connect to one of the URL's servers: attempts 0, 1, ... take them in turn. libpq by
 * itself goes on to the next one when a server refuses, but not when it hangs, which is for whoever
 * waits (postgresql.org/docs/15/libpq-connect.html: connect_timeout does not apply). So give each
 * attempt its share of the time there is. NULL without memory; PQstatus says if it has failed
 * already. */
struct pg_conn *postgres_connect_start(
    const struct postgres_parameters *parameters, uint32_t attempt);
/* One look at it, for `wait_ms` at most. `events`: POLLOUT at first, then what this call left.
 * ERR_BUSY: not yet. ERR_CLOSED: it failed, and the connection says why. */
MUST_USE err_t postgres_connect_go_on(struct pg_conn *conn, short *events, int wait_ms);

/* --- results --- */

/* The monotonic clock. */
uint64_t postgres_now_ms(void);
/* The next result of the connection (which does not block), or NULL at the end of a statement's;
 * clear it. ERR_TIMEOUT: nothing came before the deadline. ERR_CLOSED: the connection is gone. */
MUST_USE err_t
postgres_result_next(struct pg_conn *conn, uint64_t deadline_ms, struct pg_result **ret_result);
/* Until everything that was sent is on its way; what comes meanwhile is read. Errors as above. */
MUST_USE err_t postgres_flush(struct pg_conn *conn, uint64_t deadline_ms);
#define POSTGRES_SQLSTATE_SIZE 6
/* What a result that is an error means to us, by its code (postgresql.org/docs/15/
 * errcodes-appendix.html); its code, and its message on one line. ERR_CLOSED, and the code as it
 * was, if it is libpq's own: the connection is of no use. */
err_t postgres_failure(
    const struct pg_result *result,
    char ret_sqlstate[POSTGRES_SQLSTATE_SIZE],
    char *message,
    size_t message_size);
/* The text on one line, cut at the size. */
void postgres_one_line(const char *text, char *out, size_t size);

/* --- the binary format --- */

/* In the network's order, without the size in front. */
void postgres_append_16(struct buf *out, int16_t value);
void postgres_append_32(struct buf *out, int32_t value);
void postgres_append_64(struct buf *out, int64_t value);
/* An array of one dimension, as array_recv in the server reads it; its elements follow, each after
 * its size in 4 bytes, or -1 for NULL. */
void postgres_append_array(struct buf *out, enum postgres_oid element, uint32_t count);
/* Of a column of exactly that size. */
int16_t postgres_get_16(const struct pg_result *result, int row, int column);
int32_t postgres_get_32(const struct pg_result *result, int row, int column);
int64_t postgres_get_64(const struct pg_result *result, int row, int column);
/* Borrowed from the result. */
struct span postgres_get_text(const struct pg_result *result, int row, int column);

#endif
