#include "postgres/postgres.h"

#include "base/assert.h"
#include "os/clock.h"

#include <endian.h>
#include <libpq-fe.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

uint64_t
postgres_now_ms(void)
{
    return os_monotonic_ns(os_clock_real()) / OS_NS_PER_MS;
}

/* Waits for the socket once, and reads what is there. */
static err_t
wait_once(PGconn *conn, short events, uint64_t deadline_ms)
{
    uint64_t now_ms = postgres_now_ms();
    if (now_ms >= deadline_ms) {
        return ERR_TIMEOUT;
    }
    struct pollfd socket = {.fd = PQsocket(conn), .events = events};
    (void)poll(&socket, 1, (int)(deadline_ms - now_ms));
    if ((socket.revents & ~POLLOUT) != 0 && PQconsumeInput(conn) != 1) {
        return ERR_CLOSED;
    }
    return ERR_OK;
}

err_t
postgres_flush(PGconn *conn, uint64_t deadline_ms)
{
    int unsent = PQflush(conn);
    for (; unsent > 0; unsent = PQflush(conn)) {
        TRY(wait_once(conn, POLLIN | POLLOUT, deadline_ms));
    }
    return unsent < 0 ? ERR_CLOSED : ERR_OK;
}

err_t
postgres_result_next(PGconn *conn, uint64_t deadline_ms, PGresult **ret_result)
{
    while (PQisBusy(conn) == 1) {
        int unsent = PQflush(conn);
        if (unsent < 0) {
            return ERR_CLOSED;
        }
        TRY(wait_once(conn, (short)(POLLIN | (unsent > 0 ? POLLOUT : 0)), deadline_ms));
    }
    PGresult *result = PQgetResult(conn);
    if (PQstatus(conn) == CONNECTION_BAD) {
        PQclear(result);
        return ERR_CLOSED;
    }
    *ret_result = result;
    return ERR_OK;
}

void
postgres_one_line(const char *text, char *out, size_t size)
{
    ASSERT(size > 0);
    size_t length = 0;
    for (const char *at = text; *at != '\0' && length < size - 1; at++) {
        out[length++] = (unsigned char)*at < ' ' ? ' ' : *at;
    }
    while (length > 0 && out[length - 1] == ' ') {
        length--;
    }
    out[length] = '\0';
}

static err_t
meaning_of(const char *sqlstate)
{
    static const struct {
        const char *prefix;
        err_t error;
    } meanings[] = {
        {"23505", ERR_STALE},     /* unique_violation */
        {"22012", ERR_STALE},     /* division_by_zero: how our statements say it */
        {"40", ERR_BUSY},         /* deadlock, serialization failure */
        {"55P03", ERR_BUSY},      /* lock_not_available */
        {"57014", ERR_TIMEOUT},   /* query_canceled: statement_timeout */
        {"57P", ERR_CLOSED},      /* shutdown */
        {"08", ERR_CLOSED},       /* connection */
        {"25006", ERR_CLOSED},    /* read_only_sql_transaction: a standby by now */
        {"25P03", ERR_CLOSED},    /* idle_in_transaction_session_timeout */
        {"22021", ERR_INVALID},   /* character_not_in_repertoire */
        {"53100", ERR_DISK_FULL}, /* disk_full */
        {"53", ERR_MEMORY},       /* insufficient_resources */
        {"54", ERR_FULL},         /* program_limit_exceeded */
        {"42501", ERR_DENIED},    /* insufficient_privilege */
        {"28", ERR_DENIED},       /* invalid_authorization_specification */
        {"XX001", ERR_CORRUPT},   /* data_corrupted */
        {"XX002", ERR_CORRUPT},   /* index_corrupted */
    };

    for (size_t i = 0; i < sizeof(meanings) / sizeof(meanings[0]); i++) {
        if (strncmp(sqlstate, meanings[i].prefix, strlen(meanings[i].prefix)) == 0) {
            return meanings[i].error;
        }
    }
    return ERR_DATABASE;
}

err_t
postgres_failure(
    const PGresult *result,
    char ret_sqlstate[POSTGRES_SQLSTATE_SIZE],
    char *message,
    size_t message_size)
{
    const char *sqlstate = PQresultErrorField(result, PG_DIAG_SQLSTATE);
    const char *primary = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
    if (sqlstate == NULL) {
        postgres_one_line(PQresultErrorMessage(result), message, message_size);
        return ERR_CLOSED;
    }
    postgres_one_line(primary == NULL ? sqlstate : primary, message, message_size);
    (void)snprintf(ret_sqlstate, POSTGRES_SQLSTATE_SIZE, "%s", sqlstate);
    return meaning_of(sqlstate);
}

/* --- the binary format --- */

void
postgres_append_16(struct buf *out, int16_t value)
{
    uint16_t big = htobe16((uint16_t)value);
    buf_append(out, &big, sizeof(big));
}

void
postgres_append_32(struct buf *out, int32_t value)
{
    uint32_t big = htobe32((uint32_t)value);
    buf_append(out, &big, sizeof(big));
}

void
postgres_append_64(struct buf *out, int64_t value)
{
    uint64_t big = htobe64((uint64_t)value);
    buf_append(out, &big, sizeof(big));
}

void
postgres_append_array(struct buf *out, enum postgres_oid element, uint32_t count)
{
    postgres_append_32(out, 1); /* dimensions */
    postgres_append_32(out, 1); /* there may be NULLs */
    postgres_append_32(out, (int32_t)element);
    postgres_append_32(out, (int32_t)count);
    postgres_append_32(out, 1); /* the first index */
}

int16_t
postgres_get_16(const PGresult *result, int row, int column)
{
    uint16_t big;
    ASSERT(PQgetlength(result, row, column) == (int)sizeof(big));
    memcpy(&big, PQgetvalue(result, row, column), sizeof(big));
    return (int16_t)be16toh(big);
}

int32_t
postgres_get_32(const PGresult *result, int row, int column)
{
    uint32_t big;
    ASSERT(PQgetlength(result, row, column) == (int)sizeof(big));
    memcpy(&big, PQgetvalue(result, row, column), sizeof(big));
    return (int32_t)be32toh(big);
}

int64_t
postgres_get_64(const PGresult *result, int row, int column)
{
    uint64_t big;
    ASSERT(PQgetlength(result, row, column) == (int)sizeof(big));
    memcpy(&big, PQgetvalue(result, row, column), sizeof(big));
    return (int64_t)be64toh(big);
}

struct span
postgres_get_text(const PGresult *result, int row, int column)
{
    return span_of(PQgetvalue(result, row, column), (size_t)PQgetlength(result, row, column));
}
