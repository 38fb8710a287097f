/*
 * Who may write. The one row of `writer` has the term, who holds it, until when by the database's
 * clock, and how many commits there were. A term is taken by raising it, which only works when the
 * lease has run out; whoever had it before finds another term in its next transaction, or a lock
 * that it waits for, and then the other term.
 *
 * The lease only decides when somebody may try. That two processes never both write is the term's
 * doing, in the transaction itself (PG-2): a process may be stopped for as long as it likes.
 */
#include "journal_scan.h"
#include "postgres.h"

#include <stdio.h>
#include <string.h>

struct taken {
    bool any;
    uint64_t term, commits, clock;
};

static err_t
take_term(void *context, const PGresult *result)
{
    struct taken *taken = context;
    taken->any = PQntuples(result) == 1;
    if (taken->any) {
        taken->term = store_pg_get_64(result, 0, 0);
        taken->commits = store_pg_get_64(result, 0, 1);
        taken->clock = store_pg_get_64(result, 0, 2);
    }
    return ERR_OK;
}

static err_t
take_holder(void *context, const PGresult *result)
{
    if (PQntuples(result) == 1) {
        const char *holder = PQgetvalue(result, 0, 0);
        postgres_one_line(holder, context, sizeof(((struct store_pg *)0)->holder));
    }
    return ERR_OK;
}

/* By our own clock, and from before the statement was sent: never later than the database's. */
static void
lease_note(struct store_pg *pg, uint64_t sent_ms)
{
    atomic_store(&pg->lease_ends_ms, sent_ms + pg->options.lease_ms);
}

/* A holder whose lease has run out may have stopped in the middle of a transaction, and hold the
 * row's lock. Its session is ended, which rolls it back. */
static err_t
end_stopped_holder(struct store_pg_session *session, uint64_t deadline_ms)
{
    store_pg_send_text(
        session,
        "SELECT pg_terminate_backend(a.pid) FROM writer w JOIN pg_stat_activity a "
        "ON a.pid = w.pid WHERE w.lease_until < clock_timestamp() AND a.state <> 'idle' "
        "AND a.datname = current_database() AND a.pid <> pg_backend_pid()",
        NULL,
        NULL);
    return store_pg_end(session, deadline_ms);
}

err_t
store_pg_term_take(
    struct store_pg *pg, uint64_t *ret_clock, uint64_t deadline_ms, struct store_error *error)
{
    struct store_pg_session *session = &pg->writer;
    struct taken taken = {.any = false};
    char holder[sizeof(pg->holder)] = "";
    char sql[512];
    (void)snprintf(
        sql,
        sizeof(sql),
        "UPDATE writer SET term = term + 1, holder = '%s', pid = pg_backend_pid(), "
        "lease_until = clock_timestamp() + %u * interval '1 ms' "
        "WHERE lease_until < clock_timestamp() RETURNING term, commits, clock",
        pg->holder,
        pg->options.lease_ms);
    uint64_t sent_ms = postgres_now_ms();
    store_pg_send_text(session, sql, take_term, &taken);
    store_pg_send_text(session, "SELECT holder FROM writer", take_holder, holder);
    err_t code = store_pg_end(session, deadline_ms);
    if (code == ERR_BUSY && end_stopped_holder(session, deadline_ms) == ERR_CLOSED) {
        code = ERR_CLOSED; /* else: the row was locked, and will not be at the next try */
    }
    if (code == ERR_OK && taken.any) {
        pg->term = taken.term;
        pg->commits = taken.commits;
        *ret_clock = taken.clock;
        lease_note(pg, sent_ms);
        return ERR_OK;
    }
    if (code == ERR_OK || code == ERR_BUSY) {
        return store_error_set(
            error,
            ERR_LOCKED,
            "ledger %s: another server holds it: %s",
            pg->options.schema,
            holder[0] == '\0' ? "in the middle of a transaction" : holder);
    }
    return store_error_set(error, code, "ledger %s: %s", pg->options.schema, session->problem);
}

err_t
store_pg_term_renew(struct store_pg *pg, uint64_t deadline_ms)
{
    struct store_pg_session *session = &pg->writer;
    uint64_t sent_ms = postgres_now_ms();
    store_pg_param_64(&session->params[0], pg->term);
    store_pg_param_64(&session->params[1], pg->options.lease_ms);
    store_pg_send(session, STORE_PG_RENEW, 2, NULL, NULL);
    TRY(store_pg_end(session, deadline_ms));
    lease_note(pg, sent_ms);
    return ERR_OK;
}

void
store_pg_term_release(struct store_pg *pg)
{
    char sql[160];
    (void)snprintf(
        sql,
        sizeof(sql),
        "UPDATE writer SET lease_until = '-infinity' WHERE term = %llu",
        (unsigned long long)pg->term);
    if (pg->term != 0 && pg->writer.conn != NULL) {
        store_pg_send_text(&pg->writer, sql, NULL, NULL);
        /* If it fails the next one waits for the lease. */
        err_t code = store_pg_end(&pg->writer, postgres_now_ms() + pg->options.lease_ms);
        (void)code;
    }
}

void
store_pg_term_fence(struct store_pg *pg, uint64_t commit, uint64_t clock)
{
    struct store_pg_session *session = &pg->writer;
    store_pg_param_64(&session->params[0], pg->term);
    store_pg_param_64(&session->params[1], commit);
    store_pg_param_64(&session->params[2], clock);
    store_pg_param_64(&session->params[3], pg->options.lease_ms);
    store_pg_send(session, STORE_PG_FENCE, 4, NULL, NULL);
}

err_t
store_pg_term_find_commit(struct store_pg *pg, uint64_t number, uint64_t deadline_ms)
{
    struct taken taken = {.any = false};
    uint64_t sent_ms = postgres_now_ms();
    /* Renewing waits for the row's lock, and so for whatever the lost session still does. */
    store_pg_param_64(&pg->writer.params[0], pg->term);
    store_pg_param_64(&pg->writer.params[1], pg->options.lease_ms);
    store_pg_send(&pg->writer, STORE_PG_RENEW, 2, NULL, NULL);
    store_pg_send_text(
        &pg->writer, "SELECT term, commits, clock FROM writer FOR UPDATE", take_term, &taken);
    TRY(store_pg_end(&pg->writer, deadline_ms));
    bool ours = taken.any && taken.term == pg->term &&
                (taken.commits == number || taken.commits == number - 1);
    if (!ours) {
        return ERR_STALE; /* or a replica that took over did not have all that was committed */
    }
    lease_note(pg, sent_ms);
    return taken.commits == number ? ERR_OK : ERR_BUSY;
}
