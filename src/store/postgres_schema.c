/*
 * The tables and what people see of them (docs/internals/postgresql-ledger.md). Numbers of 128 bits
 * are uuid where they are names and numeric where they are amounts; a name that is 0 is NULL.
 */
#include "journal_scan.h"
#include "postgres.h"

#include <stdio.h>

/* Is brought to STORE_PG_LAYOUT. */
#define LAYOUT_FIRST 1
/* Of pg_advisory_lock: one process makes tables at a time. */
#define TABLES_LOCK "7377863216"
/* An index over a large table takes its time. */
#define INDEX_MS_MAX  86400000
#define LAYOUT_MS_MAX 60000
/* The same, as PostgreSQL is told it. */
#define LAYOUT_WAIT "60000"

#define BALANCES                                                                                   \
    "debit_debits_pending numeric NOT NULL, debit_debits_posted numeric NOT NULL, "                \
    "debit_credits_pending numeric NOT NULL, debit_credits_posted numeric NOT NULL, "              \
    "credit_debits_pending numeric NOT NULL, credit_debits_posted numeric NOT NULL, "              \
    "credit_credits_pending numeric NOT NULL, credit_credits_posted numeric NOT NULL"

/* Of the first layout; `upgrades` follow. */
static const char *const tables[] = {
    "CREATE TABLE writer ("
    "one boolean PRIMARY KEY DEFAULT true CHECK (one), layout integer NOT NULL, "
    "term bigint NOT NULL, holder text NOT NULL, pid integer NOT NULL, "
    "lease_until timestamptz NOT NULL, commits bigint NOT NULL, clock bigint NOT NULL"
    ") WITH (fillfactor = 10)",
    "INSERT INTO writer (layout, term, holder, pid, lease_until, commits, clock) "
    "VALUES (1, 0, '', 0, '-infinity', 0, 0)",
    "CREATE TABLE account ("
    "slot integer PRIMARY KEY, id uuid NOT NULL UNIQUE, ledger bigint NOT NULL, "
    "code integer NOT NULL, flags integer NOT NULL, user_data_128 uuid, user_data_64 numeric, "
    "user_data_32 bigint NOT NULL, timestamp bigint NOT NULL, debits_pending numeric NOT NULL, "
    "debits_posted numeric NOT NULL, credits_pending numeric NOT NULL, "
    "credits_posted numeric NOT NULL, last_transfer bigint NOT NULL"
    ") WITH (fillfactor = 40)",
    "CREATE TABLE transfer ("
    "timestamp bigint PRIMARY KEY, id uuid NOT NULL UNIQUE, debit_account integer NOT NULL, "
    "credit_account integer NOT NULL, amount numeric NOT NULL, pending_id uuid, "
    "user_data_128 uuid, user_data_64 numeric, user_data_32 bigint NOT NULL, "
    "timeout bigint NOT NULL, ledger bigint NOT NULL, code integer NOT NULL, "
    "flags integer NOT NULL, kind smallint NOT NULL, debit_flags smallint NOT NULL, "
    "credit_flags smallint NOT NULL, " BALANCES ", debit_before bigint NOT NULL, "
    "credit_before bigint NOT NULL)",
    "CREATE TABLE expiry ("
    "timestamp bigint PRIMARY KEY, id uuid NOT NULL, debit_flags smallint NOT NULL, "
    "credit_flags smallint NOT NULL, " BALANCES ")",
    "CREATE TABLE pending ("
    "id uuid PRIMARY KEY, outcome smallint NOT NULL, finished_at bigint"
    ") WITH (fillfactor = 80)",
    "CREATE TABLE failed_id (id uuid PRIMARY KEY)",
    /* For people. */
    "CREATE FUNCTION id_number(id uuid) RETURNS numeric LANGUAGE sql IMMUTABLE STRICT PARALLEL "
    "SAFE AS $$ SELECT sum(('x' || substr(replace(id::text, '-', ''), 8 * part + 1, 8))::bit(32)"
    "::bigint * 4294967296::numeric ^ (3 - part))::numeric(39, 0) FROM generate_series(0, 3) part "
    "$$",
    "CREATE FUNCTION moment(ns bigint) RETURNS timestamptz LANGUAGE sql IMMUTABLE STRICT PARALLEL "
    "SAFE AS $$ SELECT 'epoch'::timestamptz + (ns / 1000) * interval '1 microsecond' $$",
    "CREATE VIEW accounts AS SELECT id, id_number(id) AS number, ledger, code, "
    "debits_pending, debits_posted, credits_pending, credits_posted, "
    "credits_posted - debits_posted AS balance, flags & 32 <> 0 AS closed, flags, "
    "id_number(user_data_128) AS user_data_128, user_data_64, user_data_32, "
    "moment(timestamp) AS created_at, timestamp FROM account",
    "CREATE VIEW transfers AS SELECT t.id, id_number(t.id) AS number, d.id AS debit_account, "
    "c.id AS credit_account, t.amount, t.ledger, t.code, "
    "(ARRAY['single_phase', 'pending', 'posted', 'voided'])[t.kind] AS kind, "
    "(ARRAY['pending', 'posted', 'voided', 'expired'])[p.outcome] AS outcome, t.pending_id, "
    "id_number(t.user_data_128) AS user_data_128, t.user_data_64, t.user_data_32, t.timeout, "
    "t.flags, moment(t.timestamp) AS created_at, moment(p.finished_at) AS finished_at, "
    "t.timestamp FROM transfer t JOIN account d ON d.slot = t.debit_account "
    "JOIN account c ON c.slot = t.credit_account LEFT JOIN pending p ON p.id = t.id",
    "CREATE VIEW trial_balance AS SELECT ledger, count(*) AS accounts, "
    "sum(debits_posted) AS debits_posted, sum(credits_posted) AS credits_posted, "
    "sum(debits_pending) AS debits_pending, sum(credits_pending) AS credits_pending, "
    "sum(debits_posted) = sum(credits_posted) AND sum(debits_pending) = sum(credits_pending) "
    "AS balanced FROM account GROUP BY ledger",
};

#define TRANSFER_COLUMNS                                                                           \
    "timestamp, id, debit_account, credit_account, amount, pending_id, user_data_128, "            \
    "user_data_64, user_data_32, timeout, ledger, code, flags, kind, debit_flags, credit_flags, "  \
    "debit_debits_pending, debit_debits_posted, debit_credits_pending, debit_credits_posted, "     \
    "credit_debits_pending, credit_debits_posted, credit_credits_pending, "                        \
    "credit_credits_posted, debit_before, credit_before"

/* From the first layout to this one. What was adopted has times that are another ledger's, and may
 * have an id or a time that a transfer of our own has as well, so it has a table of its own, whose
 * key falls as that of `transfer` rises: a place is one of either. */
static const char *const upgrades[] = {
    "CREATE TABLE adopted ("
    "place bigint PRIMARY KEY CHECK (place < 0), happened bigint NOT NULL, debit_name uuid, "
    "credit_name uuid, outcome smallint, finished_at bigint, "
    "timestamp bigint NOT NULL, id uuid NOT NULL, debit_account integer NOT NULL, "
    "credit_account integer NOT NULL, amount numeric NOT NULL, pending_id uuid, "
    "user_data_128 uuid, user_data_64 numeric, user_data_32 bigint NOT NULL, "
    "timeout bigint NOT NULL, ledger bigint NOT NULL, code integer NOT NULL, "
    "flags integer NOT NULL, kind smallint NOT NULL, debit_flags smallint NOT NULL, "
    "credit_flags smallint NOT NULL, " BALANCES ", debit_before bigint NOT NULL, "
    "credit_before bigint NOT NULL, CHECK ((kind = 2) = (outcome IS NOT NULL))"
    ") WITH (fillfactor = 90)",
    "CREATE INDEX adopted_id ON adopted (id)",
    "CREATE INDEX adopted_in_time ON adopted (happened, place DESC)",
    "CREATE INDEX adopted_live ON adopted (place DESC) WHERE outcome = 1",
    "CREATE VIEW event AS SELECT timestamp AS place, timestamp AS happened, "
    "NULL::uuid AS debit_name, NULL::uuid AS credit_name, NULL::smallint AS outcome, "
    "NULL::bigint AS finished_at, " TRANSFER_COLUMNS " FROM transfer UNION ALL SELECT place, "
    "happened, debit_name, credit_name, outcome, finished_at, " TRANSFER_COLUMNS " FROM adopted",
    "DROP VIEW transfers",
    "CREATE VIEW transfers AS SELECT t.id, id_number(t.id) AS number, "
    "coalesce(t.debit_name, d.id) AS debit_account, "
    "coalesce(t.credit_name, c.id) AS credit_account, t.amount, t.ledger, t.code, "
    "(ARRAY['single_phase', 'pending', 'posted', 'voided'])[t.kind] AS kind, "
    "(ARRAY['pending', 'posted', 'voided', 'expired'])[coalesce(t.outcome, p.outcome)] "
    "AS outcome, t.pending_id, id_number(t.user_data_128) AS user_data_128, t.user_data_64, "
    "t.user_data_32, t.timeout, t.flags, moment(t.timestamp) AS created_at, "
    "moment(coalesce(t.finished_at, p.finished_at)) AS finished_at, t.timestamp, "
    "t.place < 0 AS adopted FROM event t JOIN account d ON d.slot = t.debit_account "
    "JOIN account c ON c.slot = t.credit_account "
    "LEFT JOIN pending p ON p.id = t.id AND t.place > 0 WHERE t.kind <> 5",
    "ALTER TABLE failed_id ADD COLUMN number bigint GENERATED ALWAYS AS IDENTITY",
    "CREATE UNIQUE INDEX failed_id_in_order ON failed_id (number)",
    "CREATE TABLE note (one boolean PRIMARY KEY DEFAULT true CHECK (one), text text NOT NULL)",
    "UPDATE writer SET layout = 2",
};

static err_t
take_integer(void *context, const PGresult *result)
{
    if (PQntuples(result) == 1) {
        *(int64_t *)context = (int64_t)store_pg_get_64(result, 0, 0);
    }
    return ERR_OK;
}

static err_t
failed(
    const struct store_pg_session *session,
    const struct store_pg_options *options,
    err_t code,
    struct store_error *error)
{
    return store_error_set(error, code, "ledger %s: %s", options->schema, session->problem);
}

/* 1 if there are tables, else 0. */
static const char count_sql[] =
    "SELECT count(*) FROM (SELECT to_regclass('writer')) w(t) WHERE t IS NOT NULL";

err_t
store_pg_layout(struct store_pg_session *session, uint64_t deadline_ms, int64_t *ret_layout)
{
    int64_t there = 0;
    *ret_layout = 0;
    store_pg_send_text(session, count_sql, take_integer, &there);
    TRY(store_pg_end(session, deadline_ms));
    if (there == 0) {
        return ERR_OK;
    }
    store_pg_send_text(session, "SELECT layout::bigint FROM writer", take_integer, ret_layout);
    return store_pg_end(session, deadline_ms);
}

static void
send_upgrades(struct store_pg_session *session)
{
    for (size_t i = 0; i < sizeof(upgrades) / sizeof(upgrades[0]); i++) {
        store_pg_send_text(session, upgrades[i], NULL, NULL);
    }
}

/* Shards that start together on a new database make their tables one after the other: the last one
 * waits for all, so longer than for any lock later on. */
static err_t
make(struct store_pg_session *session, const struct store_pg_options *options, uint64_t deadline_ms)
{
    char sql[128];
    int64_t there = 0;
    (void)snprintf(sql, sizeof(sql), "CREATE SCHEMA IF NOT EXISTS %s", options->schema);
    store_pg_send_text(session, "BEGIN", NULL, NULL);
    store_pg_send_text(session, "SET LOCAL lock_timeout = " LAYOUT_WAIT, NULL, NULL);
    store_pg_send_text(session, "SELECT pg_advisory_xact_lock(" TABLES_LOCK ")", NULL, NULL);
    store_pg_send_text(session, sql, NULL, NULL);
    store_pg_send_text(session, count_sql, take_integer, &there);
    TRY(store_pg_end(session, deadline_ms));
    for (size_t i = 0; there == 0 && i < sizeof(tables) / sizeof(tables[0]); i++) {
        store_pg_send_text(session, tables[i], NULL, NULL);
    }
    if (there == 0) {
        send_upgrades(session);
    }
    store_pg_send_text(session, "COMMIT", NULL, NULL);
    return store_pg_end(session, deadline_ms);
}

err_t
store_pg_tables(
    struct store_pg_session *session,
    const struct store_pg_options *options,
    uint64_t deadline_ms,
    struct store_error *error)
{
    int64_t layout = 0;
    err_t code = store_pg_layout(session, deadline_ms, &layout);
    if (code == ERR_OK && layout == 0) {
        deadline_ms = postgres_now_ms() + LAYOUT_MS_MAX;
        code = make(session, options, deadline_ms);
        code = code == ERR_OK ? store_pg_layout(session, deadline_ms, &layout) : code;
    }
    if (code != ERR_OK) {
        return failed(session, options, code, error);
    }
    if (layout != STORE_PG_LAYOUT && layout != LAYOUT_FIRST) {
        return store_error_set(
            error,
            ERR_VERSION,
            "ledger %s: its tables have layout %lld, which this program does not know",
            options->schema,
            (long long)layout);
    }
    return ERR_OK;
}

err_t
store_pg_upgrade(
    struct store_pg_session *session,
    const struct store_pg_options *options,
    struct store_error *error)
{
    int64_t layout = 0;
    err_t code = store_pg_layout(session, postgres_now_ms() + LAYOUT_MS_MAX, &layout);
    if (code == ERR_OK && layout == LAYOUT_FIRST) {
        store_pg_send_text(session, "BEGIN", NULL, NULL);
        store_pg_send_text(session, "SET LOCAL statement_timeout = 0", NULL, NULL);
        send_upgrades(session);
        store_pg_send_text(session, "COMMIT", NULL, NULL);
        code = store_pg_end(session, postgres_now_ms() + INDEX_MS_MAX);
    }
    return code == ERR_OK ? ERR_OK : failed(session, options, code, error);
}

err_t
store_pg_account_index(struct store_pg_session *session, bool wanted, struct store_error *error)
{
    static const struct store_pg_options nobody = {.schema = "account_index"};
    const char *debit = wanted ? "CREATE INDEX IF NOT EXISTS transfer_of_debit_account ON transfer "
                                 "(debit_account, timestamp)"
                               : "DROP INDEX IF EXISTS transfer_of_debit_account";
    const char *credit = wanted ? "CREATE INDEX IF NOT EXISTS transfer_of_credit_account ON "
                                  "transfer (credit_account, timestamp)"
                                : "DROP INDEX IF EXISTS transfer_of_credit_account";
    store_pg_send_text(session, "BEGIN", NULL, NULL);
    store_pg_send_text(session, "SET LOCAL statement_timeout = 0", NULL, NULL);
    store_pg_send_text(session, debit, NULL, NULL);
    store_pg_send_text(session, credit, NULL, NULL);
    store_pg_send_text(session, "COMMIT", NULL, NULL);
    err_t code = store_pg_end(session, postgres_now_ms() + INDEX_MS_MAX);
    return code == ERR_OK ? ERR_OK : failed(session, &nobody, code, error);
}
