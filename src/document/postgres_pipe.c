/*
 * A flush: statements that are sent together and waited for once. libpq's pipeline mode keeps them
 * in order; the first that fails makes the server skip the rest up to the Sync that ends the flush,
 * and a COMMIT among them with it.
 *
 * Nothing waits longer than FLUSH_MS_MAX: the server ends a statement earlier (statement_timeout),
 * and a connection that is silent for longer than that is given up. Of a shard others' merchants
 * wait, too, so a server that hangs is told from a statement that takes long: whoever has waited
 * for a while looks whether the server still greets another connection.
 */
#include "postgres.h"

#include "base/assert.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>

#define FLUSH_MS_MAX 15000
/* A call goes on with an attempt to connect for so long. */
#define CONNECT_MS_MAX 50
/* The same, of a shard: other shards' merchants wait, too. */
#define CONNECT_SHARD_MS_MAX 5
/* A shard that is silent for so long is looked at, and again after twice the time; its server
 * greets within GREET_MS_MAX, or hangs. */
#define SILENT_MS    300
#define GREET_MS_MAX 1000

/* --------------------------------------------------------------------------------- parameters */

void
document_pg_param_integer(struct buf *param, int64_t value)
{
    buf_clear(param);
    postgres_append_64(param, value);
}

void
document_pg_param_text(struct buf *param, struct span text)
{
    buf_clear(param);
    buf_append_span(param, text);
}

void
document_pg_array_begin(struct buf *param, enum document_column_type type, uint32_t count)
{
    buf_clear(param);
    postgres_append_array(
        param, type == DOCUMENT_INTEGER ? POSTGRES_OID_INT8 : POSTGRES_OID_TEXT, count);
}

void
document_pg_array_integer(struct buf *param, int64_t value)
{
    postgres_append_32(param, (int32_t)sizeof(value));
    postgres_append_64(param, value);
}

void
document_pg_array_text(struct buf *param, struct span text)
{
    ASSERT(text.size <= INT32_MAX);
    postgres_append_32(param, (int32_t)text.size);
    buf_append_span(param, text);
}

void
document_pg_array_value(
    struct buf *param, enum document_column_type type, const struct document_value *value)
{
    if (value->is_null) {
        postgres_append_32(param, -1);
    } else if (type == DOCUMENT_INTEGER) {
        document_pg_array_integer(param, value->integer);
    } else {
        document_pg_array_text(param, value->text);
    }
}

/* ------------------------------------------------------------------------------------ results */

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
        .id = postgres_get_text(result, at, ID),
        .version = (uint32_t)postgres_get_64(result, at, VERSION),
        .body = postgres_get_text(result, at, BODY),
        .scope = (uint64_t)postgres_get_64(result, at, SCOPE),
    };
    for (uint32_t i = 0; i < kind->column_count; i++) {
        int column = COLUMNS + (int)i;
        struct document_value *value = &ret_row->columns[i];
        if (PQgetisnull(result, at, column)) {
            value->is_null = true;
        } else if (kind->columns[i].type == DOCUMENT_INTEGER) {
            value->integer = postgres_get_64(result, at, column);
        } else {
            value->text = postgres_get_text(result, at, column);
        }
    }
}

/* ------------------------------------------------------------------------------------- errors */

void
document_pg_note(struct document_pg *pg, const char *text)
{
    postgres_one_line(text, pg->problem, sizeof(pg->problem));
}

/* -------------------------------------------------------------------------------------- sending */

void
document_pg_empty_flush(struct document_pg *pg)
{
    pg->command_count = 0;
    pg->failure = ERR_OK;
    pg->sqlstate[0] = '\0';
    pg->failed_command = UINT32_MAX;
    pg->departed = false;
}

err_t
document_pg_begin_flush(struct document_pg *pg)
{
    /* Which has flushes of its own. */
    uint32_t wait_ms = pg->identity.name[0] == '\0'          ? CONNECT_MS_MAX
                       : pg->state == DOCUMENT_PG_CONNECTING ? 0 /* who began it has waited */
                                                             : CONNECT_SHARD_MS_MAX;
    TRY(document_pg_connect(pg, wait_ms));
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

/* Whether the server that we are connected to does anything at all. A refusal is an answer. */
static bool
greets(const struct document_pg *pg)
{
    uint64_t until_ms = postgres_now_ms() + GREET_MS_MAX;
    short events = POLLOUT;
    PGconn *conn = postgres_connect_start(&pg->parameters, pg->failed_attempts);
    err_t result = conn == NULL || PQstatus(conn) == CONNECTION_BAD ? ERR_CLOSED : ERR_BUSY;
    while (result == ERR_BUSY && postgres_now_ms() < until_ms) {
        result = postgres_connect_go_on(conn, &events, 10);
    }
    PQfinish(conn);
    return result != ERR_BUSY;
}

static err_t
result_of_shard(struct document_pg *pg, uint64_t deadline_ms, PGresult **ret_result)
{
    uint64_t silent_ms = SILENT_MS;
    for (;;) {
        uint64_t now_ms = postgres_now_ms();
        uint64_t look_ms = now_ms + silent_ms < deadline_ms ? now_ms + silent_ms : deadline_ms;
        err_t error = postgres_result_next(pg->conn, look_ms, ret_result);
        if (error != ERR_TIMEOUT || look_ms == deadline_ms) {
            return error;
        }
        if (!greets(pg)) {
            pg->hangs = true;
            return ERR_TIMEOUT;
        }
        silent_ms *= 2;
    }
}

static err_t
next_result(struct document_pg *pg, uint64_t deadline_ms, PGresult **ret_result)
{
    *ret_result = NULL;
    err_t error = pg->identity.name[0] == '\0'
                      ? postgres_result_next(pg->conn, deadline_ms, ret_result)
                      : result_of_shard(pg, deadline_ms, ret_result);
    if (error == ERR_TIMEOUT) {
        document_pg_note(pg, "the database does not answer");
    }
    return error;
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
    if (PQresultErrorField(result, PG_DIAG_SQLSTATE) != NULL) {
        pg->failed_command = index; /* it is the database that says so */
    }
    return postgres_failure(result, pg->sqlstate, pg->problem, sizeof(pg->problem));
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

void
document_pg_depart(struct document_pg *pg)
{
    ASSERT(!pg->departed);
    if (pg->failure == ERR_OK) {
        sent(pg, PQpipelineSync(pg->conn));
    }
    if (pg->failure == ERR_OK && PQflush(pg->conn) < 0) {
        sent(pg, 0); /* what does not fit now goes when the answer is waited for */
    }
    pg->departed = true;
}

err_t
document_pg_end_flush(struct document_pg *pg)
{
    uint64_t deadline_ms = postgres_now_ms() + FLUSH_MS_MAX;
    if (!pg->departed) {
        document_pg_depart(pg);
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
