/*
 * A connection, and flushes on it: statements that are sent together in libpq's pipeline mode and
 * waited for once. The first that fails makes the server skip the rest, a COMMIT with it.
 */
#include "postgres.h"

#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* Between two attempts to connect. */
#define RETRY_US 50000
/* Of a prepared statement: s and a number. */
#define NAME_SIZE 16
/* The server that we can work on. */
#define SERVER_VERSION_MIN 120000

static void
note(struct store_pg_session *session, const char *text)
{
    postgres_one_line(text, session->problem, sizeof(session->problem));
}

static void
empty(struct store_pg_session *session)
{
    session->command_count = 0;
    session->failure = ERR_OK;
    session->failed = STORE_PG_ONCE;
    session->sqlstate[0] = '\0';
}

void
store_pg_session_init(
    struct store_pg_session *session, const struct postgres_parameters *parameters)
{
    session->parameters = parameters;
    for (uint32_t i = 0; i < STORE_PG_PARAMS_MAX; i++) {
        buf_init(&session->params[i], STORE_PG_BUF_MAX);
    }
    empty(session);
}

void
store_pg_session_release(struct store_pg_session *session)
{
    store_pg_disconnect(session);
    for (uint32_t i = 0; i < STORE_PG_PARAMS_MAX; i++) {
        buf_release(&session->params[i]);
    }
}

void
store_pg_disconnect(struct store_pg_session *session)
{
    PQfinish(session->conn);
    session->conn = NULL;
    session->prepared = 0;
}

/* One server, of several that the URL may name; a hung one gets its share of the time only. */
static err_t
connect_once(struct store_pg_session *session, uint64_t until_ms)
{
    uint64_t began_ms = postgres_now_ms();
    uint64_t left_ms = until_ms > began_ms ? until_ms - began_ms : 0;
    uint64_t deadline_ms = began_ms + left_ms / session->parameters->host_count;
    session->conn = postgres_connect_start(session->parameters, session->failed_attempts);
    if (session->conn == NULL) {
        return ERR_MEMORY;
    }
    short events = POLLOUT;
    err_t result = PQstatus(session->conn) == CONNECTION_BAD ? ERR_CLOSED : ERR_BUSY;
    while (result == ERR_BUSY) {
        uint64_t now_ms = postgres_now_ms();
        if (now_ms >= deadline_ms) {
            /* The last attempt has hardly any time: what the one before met is why. */
            if (session->problem[0] == '\0') {
                note(session, "connecting takes too long");
            }
            return ERR_CLOSED;
        }
        result = postgres_connect_go_on(session->conn, &events, (int)(deadline_ms - now_ms));
    }
    if (result != ERR_OK) {
        note(session, PQerrorMessage(session->conn));
        return ERR_CLOSED;
    }
    if (PQserverVersion(session->conn) < SERVER_VERSION_MIN) {
        note(session, "the server is older than PostgreSQL 12");
        return ERR_UNSUPPORTED;
    }
    return PQsetnonblocking(session->conn, 1) == 0 ? ERR_OK : ERR_CLOSED;
}

err_t
store_pg_connect(struct store_pg_session *session, uint64_t deadline_ms)
{
    err_t result = ERR_OK;
    if (session->conn == NULL) {
        session->problem[0] = '\0';
    }
    while (session->conn == NULL) {
        result = connect_once(session, deadline_ms);
        if (result == ERR_OK) {
            empty(session);
            return ERR_OK;
        }
        session->failed_attempts++;
        store_pg_disconnect(session);
        if (result != ERR_CLOSED || postgres_now_ms() >= deadline_ms) {
            return result;
        }
        (void)usleep(RETRY_US);
    }
    return ERR_OK;
}

/* --- sending --- */

static struct store_pg_command *
command_add(struct store_pg_session *session, enum store_pg_statement statement)
{
    ASSERT(session->command_count < STORE_PG_COMMANDS_MAX);
    struct store_pg_command *command = &session->commands[session->command_count++];
    *command = (struct store_pg_command){.statement = statement};
    return command;
}

static void
sent(struct store_pg_session *session, int good)
{
    if (good != 1) {
        note(session, PQerrorMessage(session->conn));
        session->failure = ERR_CLOSED;
    }
}

/* A flush begins with the first statement. */
static bool
may_send(struct store_pg_session *session)
{
    if (session->conn == NULL) {
        session->failure = ERR_CLOSED;
    } else if (session->command_count == 0) {
        empty(session);
        sent(session, PQenterPipelineMode(session->conn));
    }
    return session->failure == ERR_OK;
}

static void
statement_name(enum store_pg_statement statement, char name[NAME_SIZE])
{
    (void)snprintf(name, NAME_SIZE, "s%d", (int)statement);
}

void
store_pg_send(
    struct store_pg_session *session,
    enum store_pg_statement statement,
    uint32_t count,
    store_pg_take take,
    void *context)
{
    const char *values[STORE_PG_PARAMS_MAX];
    int lengths[STORE_PG_PARAMS_MAX], formats[STORE_PG_PARAMS_MAX];
    ASSERT(count <= STORE_PG_PARAMS_MAX);
    if (!may_send(session)) {
        return;
    }
    for (uint32_t i = 0; i < count; i++) {
        if (buf_failed(&session->params[i])) {
            session->failure = ERR_MEMORY;
            return;
        }
        values[i] = session->params[i].size == 0 ? "" : session->params[i].data;
        lengths[i] = (int)session->params[i].size;
        formats[i] = 1;
    }
    char name[NAME_SIZE];
    statement_name(statement, name);
    uint64_t bit = UINT64_C(1) << statement;
    if ((session->prepared & bit) == 0) {
        command_add(session, statement)->prepares = true;
        sent(session, PQsendPrepare(session->conn, name, store_pg_sql[statement], 0, NULL));
        session->prepared |= bit; /* once, if this flush executes it again */
    }
    if (session->failure == ERR_OK) {
        struct store_pg_command *command = command_add(session, statement);
        command->take = take;
        command->context = context;
        sent(
            session,
            PQsendQueryPrepared(session->conn, name, (int)count, values, lengths, formats, 1));
    }
}

void
store_pg_send_text(
    struct store_pg_session *session, const char *sql, store_pg_take take, void *context)
{
    if (may_send(session)) {
        struct store_pg_command *command = command_add(session, STORE_PG_ONCE);
        command->take = take;
        command->context = context;
        sent(session, PQsendQueryParams(session->conn, sql, 0, NULL, NULL, NULL, NULL, 1));
    }
}

/* --- results --- */

static err_t
failed(struct store_pg_session *session, const PGresult *result)
{
    return postgres_failure(result, session->sqlstate, session->problem, sizeof(session->problem));
}

static err_t
next_result(struct store_pg_session *session, uint64_t deadline_ms, PGresult **ret_result)
{
    *ret_result = NULL;
    err_t result = postgres_result_next(session->conn, deadline_ms, ret_result);
    if (result == ERR_TIMEOUT) {
        note(session, "the database does not answer");
    } else if (result == ERR_CLOSED) {
        note(session, PQerrorMessage(session->conn));
    }
    return result == ERR_OK ? ERR_OK : ERR_CLOSED;
}

static err_t
take_result(struct store_pg_session *session, struct store_pg_command *command, PGresult *result)
{
    ExecStatusType status = PQresultStatus(result);
    bool good = status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK;
    if (command->prepares && !good) {
        session->prepared &= ~(UINT64_C(1) << command->statement);
    }
    if (good) {
        return command->take == NULL ? ERR_OK : command->take(command->context, result);
    }
    if (status == PGRES_PIPELINE_ABORTED) {
        return ERR_OK; /* the one before it has told */
    }
    session->failed = command->statement;
    return failed(session, result);
}

/* ERR_CLOSED: the connection is of no use; else the first failure is in ret_failure. */
static err_t
take_results(struct store_pg_session *session, uint64_t deadline_ms, err_t *ret_failure)
{
    *ret_failure = ERR_OK;
    for (uint32_t i = 0; i < session->command_count; i++) {
        PGresult *result = NULL;
        TRY(next_result(session, deadline_ms, &result));
        if (result == NULL) {
            return ERR_CLOSED;
        }
        err_t outcome = take_result(session, &session->commands[i], result);
        PQclear(result);
        *ret_failure = *ret_failure == ERR_OK ? outcome : *ret_failure;
        TRY(next_result(session, deadline_ms, &result)); /* NULL: the statement's end */
        PQclear(result);
    }
    PGresult *sync = NULL;
    TRY(next_result(session, deadline_ms, &sync));
    bool is_sync = PQresultStatus(sync) == PGRES_PIPELINE_SYNC;
    PQclear(sync);
    return is_sync && PQexitPipelineMode(session->conn) == 1 ? ERR_OK : ERR_CLOSED;
}

err_t
store_pg_end(struct store_pg_session *session, uint64_t deadline_ms)
{
    err_t failure = session->failure;
    err_t result = ERR_OK;
    if (failure == ERR_OK) {
        sent(session, PQpipelineSync(session->conn));
        failure = session->failure;
    }
    if (failure == ERR_OK) {
        result = take_results(session, deadline_ms, &failure);
    } else {
        result = ERR_CLOSED; /* what is half sent cannot be taken back */
    }
    session->command_count = 0;
    session->failure = ERR_OK;
    if (result != ERR_OK || failure == ERR_CLOSED) {
        store_pg_disconnect(session);
        return ERR_CLOSED;
    }
    return failure;
}

/* --- COPY --- */

/* One result and the NULL behind it. */
static err_t
only_result(struct store_pg_session *session, ExecStatusType wanted, uint64_t deadline_ms)
{
    PGresult *result = NULL;
    TRY(next_result(session, deadline_ms, &result));
    err_t outcome = PQresultStatus(result) == wanted ? ERR_OK : failed(session, result);
    PQclear(result);
    if (outcome == ERR_OK && (wanted == PGRES_COPY_IN || wanted == PGRES_COPY_OUT)) {
        return ERR_OK;
    }
    TRY(next_result(session, deadline_ms, &result));
    PQclear(result);
    return outcome;
}

static err_t
copy_send(struct store_pg_session *session, struct span bytes, uint64_t deadline_ms)
{
    const size_t piece_max = (size_t)1 << 20;
    while (bytes.size > 0) {
        struct span piece = span_slice(bytes, 0, bytes.size < piece_max ? bytes.size : piece_max);
        int put = PQputCopyData(session->conn, piece.data, (int)piece.size);
        if (put < 0) {
            note(session, PQerrorMessage(session->conn));
            return ERR_CLOSED;
        }
        if (postgres_flush(session->conn, deadline_ms) != ERR_OK) {
            note(session, "the database takes no data");
            return ERR_CLOSED;
        }
        if (put == 1) {
            bytes = span_slice(bytes, piece.size, bytes.size);
        }
    }
    return PQputCopyEnd(session->conn, NULL) == 1 ? ERR_OK : ERR_CLOSED;
}

err_t
store_pg_copy_in(
    struct store_pg_session *session, const char *sql, struct span bytes, uint64_t deadline_ms)
{
    err_t result = session->conn == NULL ? ERR_CLOSED : ERR_OK;
    if (result == ERR_OK) {
        empty(session);
        sent(session, PQsendQuery(session->conn, sql));
        result = session->failure;
    }
    if (result == ERR_OK) {
        result = only_result(session, PGRES_COPY_IN, deadline_ms);
    }
    if (result == ERR_OK) {
        result = copy_send(session, bytes, deadline_ms);
        result = result == ERR_OK ? only_result(session, PGRES_COMMAND_OK, deadline_ms) : result;
    }
    if (result == ERR_CLOSED) {
        store_pg_disconnect(session);
    }
    session->failure = ERR_OK;
    return result;
}

/* The one value of a row in the COPY format; false for the header's and the trailer's rest. */
static bool
copy_value(struct span row, struct span *ret_value)
{
    const size_t before = sizeof(int16_t) + sizeof(int32_t);
    if (row.size < before) {
        return false;
    }
    *ret_value = span_slice(row, before, row.size);
    return true;
}

static err_t
copy_take(
    struct store_pg_session *session, store_pg_take_value take, void *context, uint64_t deadline_ms)
{
    static const size_t header = 11 + 4 + 4; /* signature, flags, extension */
    bool first = true;
    for (;;) {
        char *data = NULL;
        int size = PQgetCopyData(session->conn, &data, 1);
        if (size == 0) {
            struct pollfd socket = {.fd = PQsocket(session->conn), .events = POLLIN};
            uint64_t now_ms = postgres_now_ms();
            if (now_ms >= deadline_ms || poll(&socket, 1, (int)(deadline_ms - now_ms)) <= 0 ||
                PQconsumeInput(session->conn) != 1) {
                note(session, "the database does not answer");
                return ERR_CLOSED;
            }
            continue;
        }
        if (size < 0) {
            return size == -1 ? ERR_OK : ERR_CLOSED;
        }
        struct span row = span_of(data, (size_t)size);
        row = first ? span_slice(row, header, row.size) : row;
        first = false;
        struct span value = SPAN_EMPTY;
        err_t result = copy_value(row, &value) ? take(context, value) : ERR_OK;
        PQfreemem(data);
        TRY(result);
    }
}

err_t
store_pg_copy_out(
    struct store_pg_session *session,
    const char *sql,
    store_pg_take_value take,
    void *context,
    uint64_t deadline_ms)
{
    err_t result = session->conn == NULL ? ERR_CLOSED : ERR_OK;
    if (result == ERR_OK) {
        empty(session);
        sent(session, PQsendQuery(session->conn, sql));
        result = session->failure;
    }
    if (result == ERR_OK) {
        result = only_result(session, PGRES_COPY_OUT, deadline_ms);
    }
    if (result == ERR_OK) {
        result = copy_take(session, take, context, deadline_ms);
        if (result == ERR_OK) {
            result = only_result(session, PGRES_COMMAND_OK, deadline_ms);
        } else {
            store_pg_disconnect(session); /* in the middle of the data */
        }
    }
    if (result == ERR_CLOSED) {
        store_pg_disconnect(session);
    }
    session->failure = ERR_OK;
    return result;
}
