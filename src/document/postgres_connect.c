/*
 * The connection: one for a store, because the order of its statements is what the rest stands on.
 *
 *              document_pg_connect               PQconnectPoll, node_enter
 *     DOWN ------------------------> CONNECTING ---------------------------> UP
 *      ^    when the back-off is over    |                                    |
 *      +---------------------------------+------------------------------------+
 *                           document_pg_disconnect
 *
 * An attempt is never waited for: each call goes on with it as far as it gets, and answers
 * ERR_CLOSED meanwhile. (Looking up a name is the one thing that libpq does in one piece; its time
 * is bounded by the resolver's own options.)
 *
 * Each process has a row in tael_node with the number of its last transaction, which that
 * transaction writes as it begins, if it finds the number before. A commit whose answer was lost is
 * resolved by that: the next session waits for the row, reads the number, and writes one that the
 * lost transaction cannot follow, wherever its statements still are.
 */
#include "postgres.h"

#include "base/assert.h"
#include "os/clock.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ATTEMPT_MS_MAX   5000
#define BACKOFF_MS_FIRST 50
#define BACKOFF_MS_MAX   2000
/* A commit that is in doubt is looked for this long. */
#define RESOLVE_MS_MAX  4000
#define CLOCK_QUESTIONS 5
/* So far this machine's wall clock goes from its monotonic one before they are compared again. */
#define CLOCK_MOVED_NS ((int64_t)(100 * OS_NS_PER_MS))

/*
 * What a session is told. A statement that waits for a lock gives up before one that runs. Plans:
 * rows are found by what a statement names, so anything but following an index is a mistake of a
 * planner that has no statistics of arrays.
 */
static const char session_options[] =
    "-c statement_timeout=10000 -c lock_timeout=3000 "
    "-c idle_in_transaction_session_timeout=10000 -c enable_hashjoin=off "
    "-c enable_mergejoin=off -c enable_seqscan=off -c enable_bitmapscan=off "
    "-c plan_cache_mode=force_generic_plan -c jit=off -c synchronous_commit=on "
    "-c client_min_messages=error -c timezone=UTC ";

err_t
document_pg_parse(struct document_pg *pg, const char *url, char message[DOCUMENT_MESSAGE_SIZE])
{
    return postgres_parameters_parse(
        url, session_options, &pg->parameters, message, DOCUMENT_MESSAGE_SIZE);
}

/* ------------------------------------------------------------------------------ up and down */

void
document_pg_disconnect(struct document_pg *pg)
{
    atomic_store(&pg->is_up, false);
    pg->failed_attempts += pg->state == DOCUMENT_PG_CONNECTING;
    pg->state = DOCUMENT_PG_DOWN;
    PQfinish(pg->conn);
    pg->conn = NULL;
    uint64_t now_ms = postgres_now_ms();
    pg->next_attempt_ms = now_ms + pg->backoff_ms;
    pg->backoff_ms = 2 * pg->backoff_ms < BACKOFF_MS_MAX ? 2 * pg->backoff_ms : BACKOFF_MS_MAX;
    pg->unlock_count = 0; /* they ended with the session */
}

static err_t
attempt_begin(struct document_pg *pg)
{
    uint64_t now_ms = postgres_now_ms();
    if (pg->backoff_ms == 0) {
        pg->backoff_ms = BACKOFF_MS_FIRST;
    }
    if (now_ms < pg->next_attempt_ms) {
        return ERR_CLOSED;
    }
    pg->conn = postgres_connect_start(&pg->parameters, pg->failed_attempts);
    if (pg->conn == NULL) {
        return ERR_MEMORY;
    }
    pg->state = DOCUMENT_PG_CONNECTING;
    pg->attempt_deadline_ms = now_ms + ATTEMPT_MS_MAX / pg->parameters.host_count;
    if (PQstatus(pg->conn) == CONNECTION_BAD) {
        document_pg_note(pg, PQerrorMessage(pg->conn));
        document_pg_disconnect(pg);
        return ERR_CLOSED;
    }
    return ERR_OK;
}

/* One look at an attempt; ERR_BUSY: not yet. */
static err_t
attempt_go_on(struct document_pg *pg, short *events, int wait_ms)
{
    if (postgres_now_ms() >= pg->attempt_deadline_ms) {
        document_pg_note(pg, "connecting takes too long");
        document_pg_disconnect(pg);
        return ERR_CLOSED;
    }
    err_t result = postgres_connect_go_on(pg->conn, events, wait_ms);
    if (result == ERR_CLOSED) {
        document_pg_note(pg, PQerrorMessage(pg->conn));
        document_pg_disconnect(pg);
    }
    return result;
}

/* ----------------------------------------------------------------------- a new session's start */

struct entry {
    struct document_pg *pg;
    int64_t last;
    bool known;
};

static err_t
take_number(void *context, const PGresult *result)
{
    struct entry *entry = context;
    if (PQntuples(result) == 1) {
        entry->last = postgres_get_64(result, 0, 0);
        entry->known = true;
    }
    return ERR_OK;
}

struct clock_answer {
    uint64_t received_ns; /* monotonic */
    int64_t offset_ns;    /* of the database's clock from it */
};

static err_t
take_clock(void *context, const PGresult *result)
{
    struct clock_answer *answer = context;
    int64_t there_ns = postgres_get_64(result, 0, 0) * (int64_t)OS_NS_PER_US;
    answer->received_ns = os_monotonic_ns(os_clock_real());
    answer->offset_ns = there_ns - (int64_t)answer->received_ns;
    return ERR_OK;
}

/* The database read its clock somewhere between our asking and its answer: in the middle, we say,
 * and of some answers the one that came soonest is the least wrong (RFC 5905 section 10). */
static int64_t
wall_offset_ns(void)
{
    return (int64_t)os_wall_ns(os_clock_real()) - (int64_t)os_monotonic_ns(os_clock_real());
}

static err_t
clock_compare(struct document_pg *pg)
{
    uint64_t soonest_ns = UINT64_MAX;
    int64_t offset_ns = 0;
    int64_t wall_ns = wall_offset_ns();
    for (int i = 0; i < CLOCK_QUESTIONS; i++) {
        struct clock_answer answer = {0};
        uint64_t asked_ns = os_monotonic_ns(os_clock_real());
        document_pg_empty_flush(pg);
        document_pg_execute(
            pg,
            &pg->read_clock,
            "SELECT (extract(epoch from clock_timestamp()) * 1000000)::bigint",
            0,
            take_clock,
            &answer);
        TRY(document_pg_end_flush(pg));
        uint64_t took_ns = answer.received_ns - asked_ns;
        if (took_ns < soonest_ns) {
            soonest_ns = took_ns;
            offset_ns = answer.offset_ns + (int64_t)(took_ns / 2);
        }
    }
    atomic_store(&pg->clock_offset_ns, offset_ns);
    pg->wall_offset_ns = wall_ns;
    return ERR_OK;
}

void
document_pg_clock_init(struct document_pg *pg)
{
    pg->wall_offset_ns = wall_offset_ns();
    atomic_store(&pg->clock_offset_ns, pg->wall_offset_ns);
}

void
document_pg_clock_check(struct document_pg *pg)
{
    int64_t moved_ns = wall_offset_ns() - pg->wall_offset_ns;
    if (pg->state != DOCUMENT_PG_UP || (moved_ns < CLOCK_MOVED_NS && moved_ns > -CLOCK_MOVED_NS)) {
        return;
    }
    if (clock_compare(pg) != ERR_OK && pg->state == DOCUMENT_PG_UP) {
        document_pg_disconnect(pg); /* the next session compares */
    }
}

/*
 * Its first statements. Before the tables are there (the first start) there is nothing to enter;
 * document_pg_migrate calls for another session then.
 */
static err_t
node_enter(struct document_pg *pg)
{
    struct entry entry = {.pg = pg};
    struct document_pg_statement read = {.name = "node_read"}, number = {.name = "node_number"};
    document_pg_empty_flush(pg);
    document_pg_send(pg, "BEGIN");
    document_pg_param_text(&pg->params[0], span_from_cstr(pg->node));
    document_pg_execute(
        pg,
        &read,
        "SELECT commits FROM tael_node WHERE id = $1 FOR UPDATE",
        1,
        take_number,
        &entry);
    document_pg_param_integer(&pg->params[1], (int64_t)pg->commits + 1);
    document_pg_execute(
        pg,
        &number,
        "INSERT INTO tael_node (id, commits, seen_at) VALUES ($1, $2::bigint, clock_timestamp()) "
        "ON CONFLICT (id) DO UPDATE SET commits = excluded.commits, seen_at = excluded.seen_at",
        2,
        NULL,
        NULL);
    document_pg_send(pg, "COMMIT");
    TRY(document_pg_end_flush(pg));
    if (pg->in_doubt) {
        ASSERT(entry.known);
        pg->last_committed = (uint64_t)entry.last == pg->commits;
        pg->in_doubt = false;
    }
    pg->commits++;
    return clock_compare(pg);
}

static err_t
node_enter_or_not_yet(struct document_pg *pg)
{
    err_t result = node_enter(pg);
    if (strcmp(pg->sqlstate, "42P01") == 0 && !pg->in_doubt) {
        /* undefined_table: not migrated yet, and so in a transaction that failed. */
        document_pg_empty_flush(pg);
        document_pg_send(pg, "ROLLBACK");
        result = document_pg_end_flush(pg);
    }
    return result;
}

static err_t
session_begin(struct document_pg *pg)
{
    if (PQserverVersion(pg->conn) < 120000) {
        document_pg_note(pg, "the server is older than PostgreSQL 12");
        document_pg_disconnect(pg);
        return ERR_UNSUPPORTED;
    }
    if (PQenterPipelineMode(pg->conn) != 1 || PQsetnonblocking(pg->conn, 1) != 0) {
        document_pg_disconnect(pg);
        return ERR_CLOSED;
    }
    pg->session++;
    pg->state = DOCUMENT_PG_UP;
    err_t result = document_pg_shard_claim(pg);
    if (result == ERR_OK) {
        result = node_enter_or_not_yet(pg);
    } else if (pg->in_doubt && pg->state == DOCUMENT_PG_UP) {
        /* How the lost transaction ended is known all the same: it is not the rows' matter. */
        (void)node_enter(pg);
    }
    if (result != ERR_OK) {
        if (pg->state != DOCUMENT_PG_DOWN) {
            document_pg_disconnect(pg);
        }
        return result;
    }
    pg->backoff_ms = BACKOFF_MS_FIRST;
    pg->hangs = false;
    atomic_store(&pg->is_up, true);
    return ERR_OK;
}

err_t
document_pg_connect(struct document_pg *pg, uint32_t wait_ms)
{
    if (pg->state == DOCUMENT_PG_UP) {
        return ERR_OK;
    }
    uint64_t until_ms = postgres_now_ms() + wait_ms;
    if (pg->state == DOCUMENT_PG_DOWN) {
        TRY(attempt_begin(pg));
    }
    short events = POLLOUT;
    for (;;) {
        uint64_t now_ms = postgres_now_ms();
        err_t result = attempt_go_on(pg, &events, now_ms < until_ms ? 10 : 0);
        if (result == ERR_OK) {
            return session_begin(pg);
        }
        if (result != ERR_BUSY) {
            return result;
        }
        if (now_ms >= until_ms) {
            return ERR_CLOSED;
        }
    }
}

err_t
document_pg_resolve(struct document_pg *pg)
{
    uint64_t until_ms = postgres_now_ms() + (pg->hangs ? 0 : RESOLVE_MS_MAX);
    ASSERT(pg->in_doubt);
    while (pg->in_doubt) {
        uint64_t now_ms = postgres_now_ms();
        if (now_ms >= until_ms) {
            return ERR_OUTCOME_UNKNOWN;
        }
        err_t result = document_pg_connect(pg, (uint32_t)(until_ms - now_ms));
        if (result != ERR_OK) {
            (void)usleep(10000);
        }
    }
    return pg->last_committed ? ERR_OK : ERR_CLOSED;
}
