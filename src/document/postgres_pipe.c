/*
 * A flush: statements that are sent together and waited for once. libpq's pipeline mode keeps them
 * in order; the first that fails makes the server skip the rest up to the Sync that ends the flush,
 * and a COMMIT among them with it.
 *
 * Nothing waits longer than FLUSH_MS_MAX: the server ends a statement earlier (statement_timeout),
 * and a connection that is silent for longer than that is given up.
 */
#include "postgres.h"

#include "base/assert.h"

#include <endian.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#define FLUSH_MS_MAX 15000
/* A call goes on with an attempt to connect for so long. */
#define CONNECT_MS_MAX 50

enum {
    OID_INT8 = 20,
    OID_TEXT = 25,
};

/* --------------------------------------------------------------------------------- parameters */

static void
append_32(struct buf *out, int32_t value)
{
    uint32_t big = htobe32((uint32_t)value);
    buf_append(out, &big, sizeof(big));
}

static void
append_64(struct buf *out, int64_t value)
{
    uint64_t big = htobe64((uint64_t)value);
    buf_append(out, &big, sizeof(big));
}

void
document_pg_param_integer(struct buf *param, int64_t value)
{
    buf_clear(param);
    append_64(param, value);
}

void
document_pg_param_text(struct buf *param, struct span text)
{
    buf_clear(param);
    buf_append_span(param, text);
}

/* The array of one dimension, as array_recv in the server reads it. */
void
document_pg_array_begin(struct buf *param, enum document_column_type type, uint32_t count)
{
    buf_clear(param);
    append_32(param, 1); /* dimensions */
    append_32(param, 1); /* there may be NULLs */
    append_32(param, type == DOCUMENT_INTEGER ? OID_INT8 : OID_TEXT);
    append_32(param, (int32_t)count);
    append_32(param, 1); /* the first index */
}

void
document_pg_array_integer(struct buf *param, int64_t value)
{
    append_32(param, (int32_t)sizeof(value));
    append_64(param, value);
}

void
document_pg_array_text(struct buf *param, struct span text)
{
    ASSERT(text.size <= INT32_MAX);
    append_32(param, (int32_t)text.size);
    buf_append_span(param, text);
}

void
document_pg_array_value(
    struct buf *param, enum document_column_type type, const struct document_value *value)
{
    if (value->is_null) {
        append_32(param, -1);
    } else if (type == DOCUMENT_INTEGER) {
        document_pg_array_integer(param, value->integer);
    } else {
        document_pg_array_text(param, value->text);
    }
}

/* ------------------------------------------------------------------------------------ results */

int64_t
document_pg_result_integer(const PGresult *result, int row, int column)
{
    uint64_t big;
    ASSERT(PQgetlength(result, row, column) == (int)sizeof(big));
    memcpy(&big, PQgetvalue(result, row, column), sizeof(big));
    return (int64_t)be64toh(big);
}

struct span
document_pg_result_text(const PGresult *result, int row, int column)
{
    return span_of(PQgetvalue(result, row, column), (size_t)PQgetlength(result, row, column));
}

void
document_pg_result_row(
    const PGresult *result, int at, const struct document_kind *kind, struct document_row *ret_row)
{
    enum {
        ID,
        VERSION,
        BODY,
        SCOPE,
        COLUMNS
    };

    *ret_row = (struct document_row){
        .id = document_pg_result_text(result, at, ID),
        .version = (uint32_t)document_pg_result_integer(result, at, VERSION),
        .body = document_pg_result_text(result, at, BODY),
        .scope = (uint64_t)document_pg_result_integer(result, at, SCOPE),
    };
    for (uint32_t i = 0; i < kind->column_count; i++) {
        int column = COLUMNS + (int)i;
        struct document_value *value = &ret_row->columns[i];
        if (PQgetisnull(result, at, column)) {
            value->is_null = true;
        } else if (kind->columns[i].type == DOCUMENT_INTEGER) {
            value->integer = document_pg_result_integer(result, at, column);
        } else {
            value->text = document_pg_result_text(result, at, column);
        }
    }
}

/* ------------------------------------------------------------------------------------- errors */

void
document_pg_note(struct document_pg *pg, const char *text)
{
    struct buf out;
    buf_init_fixed(&out, pg->problem, sizeof(pg->problem) - 1);
    for (const char *at = text; *at != '\0' && out.size < sizeof(pg->problem) - 1; at++) {
        buf_append_byte(&out, (unsigned char)*at < ' ' ? ' ' : *at);
    }
    while (out.size > 0 && pg->problem[out.size - 1] == ' ') {
        out.size--;
    }
    pg->problem[out.size] = '\0';
}

/* postgresql.org/docs/15/errcodes-appendix.html */
err_t
document_pg_error(const char *sqlstate)
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

/* -------------------------------------------------------------------------------------- sending */

void
document_pg_empty_flush(struct document_pg *pg)
{
    pg->command_count = 0;
    pg->failure = ERR_OK;
    pg->sqlstate[0] = '\0';
    pg->failed_command = UINT32_MAX;
}

err_t
document_pg_begin_flush(struct document_pg *pg)
{
    TRY(document_pg_connect(pg, CONNECT_MS_MAX)); /* which has flushes of its own */
    document_pg_empty_flush(pg);
    return ERR_OK;
}

static struct document_pg_command *
command_add(struct document_pg *pg)
{
    if (pg->command_count == DOCUMENT_PG_COMMANDS_MAX) {
        pg->failure = ERR_FULL;
        return NULL;
    }
    struct document_pg_command *command = &pg->commands[pg->command_count++];
    *command = (struct document_pg_command){.kind = DOCUMENT_PG_EXECUTE};
    return command;
}

static void
sent(struct document_pg *pg, int good)
{
    if (good != 1) {
        document_pg_note(pg, PQerrorMessage(pg->conn));
        pg->failure = ERR_CLOSED;
    }
}

void
document_pg_send(struct document_pg *pg, const char *sql)
{
    if (pg->failure == ERR_OK && command_add(pg) != NULL) {
        sent(pg, PQsendQueryParams(pg->conn, sql, 0, NULL, NULL, NULL, NULL, 1));
    }
}

void
document_pg_execute(
    struct document_pg *pg,
    struct document_pg_statement *statement,
    const char *sql,
    uint32_t count,
    document_pg_result result,
    void *context)
{
    const char *values[DOCUMENT_PG_PARAMS_MAX];
    int lengths[DOCUMENT_PG_PARAMS_MAX], formats[DOCUMENT_PG_PARAMS_MAX];
    ASSERT(count <= DOCUMENT_PG_PARAMS_MAX);
    for (uint32_t i = 0; i < count; i++) {
        if (buf_failed(&pg->params[i]) || pg->params[i].size > INT32_MAX) {
            pg->failure = ERR_FULL;
        }
        values[i] = pg->params[i].size == 0 ? "" : pg->params[i].data;
        lengths[i] = (int)pg->params[i].size;
        formats[i] = 1;
    }
    if (pg->failure == ERR_OK && document_pg_is_new(pg, statement)) {
        struct document_pg_command *prepare = command_add(pg);
        if (prepare != NULL) {
            prepare->kind = DOCUMENT_PG_PREPARE;
            prepare->statement = statement;
            sent(pg, PQsendPrepare(pg->conn, statement->name, sql, 0, NULL));
            statement->session = pg->session; /* once, if this flush executes it again */
        }
    }
    struct document_pg_command *command = pg->failure == ERR_OK ? command_add(pg) : NULL;
    if (command != NULL) {
        command->result = result;
        command->context = context;
        sent(
            pg,
            PQsendQueryPrepared(
                pg->conn, statement->name, (int)count, values, lengths, formats, 1));
    }
}

/* -------------------------------------------------------------------------------------- waiting */

/* Until there is something to read, writing what there is to write. */
static err_t
wait_for_input(struct document_pg *pg, uint64_t deadline_ms)
{
    while (PQisBusy(pg->conn) == 1) {
        int unsent = PQflush(pg->conn);
        uint64_t now_ms = document_pg_now_ms();
        if (unsent < 0) {
            return ERR_CLOSED;
        }
        if (now_ms >= deadline_ms) {
            document_pg_note(pg, "the database does not answer");
            return ERR_TIMEOUT;
        }
        struct pollfd socket = {
            .fd = PQsocket(pg->conn),
            .events = (short)(POLLIN | (unsent > 0 ? POLLOUT : 0)),
        };
        (void)poll(&socket, 1, (int)(deadline_ms - now_ms));
        if ((socket.revents & ~POLLOUT) != 0 && PQconsumeInput(pg->conn) != 1) {
            return ERR_CLOSED;
        }
    }
    return ERR_OK;
}

static err_t
next_result(struct document_pg *pg, uint64_t deadline_ms, PGresult **ret_result)
{
    TRY(wait_for_input(pg, deadline_ms));
    *ret_result = PQgetResult(pg->conn);
    if (PQstatus(pg->conn) == CONNECTION_BAD) {
        PQclear(*ret_result);
        *ret_result = NULL;
        return ERR_CLOSED;
    }
    return ERR_OK;
}

static err_t
take_result(struct document_pg *pg, uint32_t index, const PGresult *result)
{
    const struct document_pg_command *command = &pg->commands[index];
    ExecStatusType status = PQresultStatus(result);
    bool good = status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK;
    if (command->kind == DOCUMENT_PG_PREPARE && !good) {
        command->statement->session = 0; /* it failed, or the one before did and it was skipped */
    }
    if (good) {
        return command->result == NULL ? ERR_OK : command->result(command->context, result);
    }
    if (status == PGRES_PIPELINE_ABORTED) {
        return ERR_OK; /* the one before it has told */
    }
    const char *sqlstate = PQresultErrorField(result, PG_DIAG_SQLSTATE);
    if (sqlstate == NULL) {
        document_pg_note(pg, PQresultErrorMessage(result));
        return ERR_CLOSED;
    }
    const char *primary = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
    document_pg_note(pg, primary == NULL ? sqlstate : primary);
    memcpy(pg->sqlstate, sqlstate, sizeof(pg->sqlstate) - 1);
    pg->failed_command = index;
    return document_pg_error(sqlstate);
}

static err_t
take_results(struct document_pg *pg, uint64_t deadline_ms)
{
    err_t failure = ERR_OK;
    for (uint32_t i = 0; i < pg->command_count; i++) {
        PGresult *result;
        TRY(next_result(pg, deadline_ms, &result));
        if (result == NULL) {
            return ERR_CLOSED;
        }
        err_t outcome = take_result(pg, i, result);
        PQclear(result);
        if (failure == ERR_OK) {
            failure = outcome;
        }
        TRY(next_result(pg, deadline_ms, &result)); /* NULL: the end of this statement */
        PQclear(result);
    }
    PGresult *sync;
    TRY(next_result(pg, deadline_ms, &sync));
    bool is_sync = PQresultStatus(sync) == PGRES_PIPELINE_SYNC;
    PQclear(sync);
    return is_sync ? failure : ERR_CLOSED;
}

err_t
document_pg_end_flush(struct document_pg *pg)
{
    uint64_t deadline_ms = document_pg_now_ms() + FLUSH_MS_MAX;
    if (pg->failure == ERR_OK) {
        sent(pg, PQpipelineSync(pg->conn));
    }
    if (pg->failure != ERR_OK) {
        /* What is half sent cannot be taken back. */
        document_pg_disconnect(pg);
        return pg->failure;
    }
    pg->round_trips++;
    err_t result = take_results(pg, deadline_ms);
    if (PQstatus(pg->conn) == CONNECTION_BAD && pg->sqlstate[0] == '\0') {
        document_pg_note(pg, PQerrorMessage(pg->conn));
    }
    bool lost = result == ERR_CLOSED || PQstatus(pg->conn) == CONNECTION_BAD ||
                (result == ERR_TIMEOUT && pg->sqlstate[0] == '\0');
    if (lost) {
        document_pg_disconnect(pg);
        return result == ERR_OK ? ERR_CLOSED : result;
    }
    return result;
}
