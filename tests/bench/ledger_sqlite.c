/*
 * What a ledger in SQLite does, to compare with: the obvious one, with one transaction for each
 * batch, and in it for each transfer two balance updates and one insert, in WAL mode with
 * synchronous=FULL, so that an answer is as durable as the journal's. 10,000 accounts. The program
 * is the writer itself: no queue, no other thread, no check beyond unique ids.
 *
 *     build/tests/bench/ledger_sqlite FOLDER BATCH MILLISECONDS
 *
 * Prints transfers a second. A fifth of the time is warm-up and is not counted.
 */
#include "base/span.h"
#include "os/clock.h"
#include "os/prng.h"

#include <sqlite3.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#define ACCOUNTS  10000
#define BATCH_MAX 8190

static const char *const schema =
    "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA locking_mode=EXCLUSIVE;"
    "CREATE TABLE accounts (id INTEGER PRIMARY KEY, debits INTEGER NOT NULL,"
    " credits INTEGER NOT NULL) STRICT;"
    "CREATE TABLE transfers (id INTEGER PRIMARY KEY, debit INTEGER NOT NULL,"
    " credit INTEGER NOT NULL, amount INTEGER NOT NULL, code INTEGER NOT NULL,"
    " timestamp INTEGER NOT NULL) STRICT;"
    "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 10000)"
    " INSERT INTO accounts SELECT i, 0, 0 FROM n;";

struct bench {
    sqlite3 *database;
    sqlite3_stmt *begin, *debit, *credit, *insert, *commit;
    struct os_prng prng;
    sqlite3_int64 last_id;
};

static void
expect(struct bench *bench, int got, int wanted)
{
    if (got != wanted) {
        (void)fprintf(stderr, "ledger_sqlite: %s\n", sqlite3_errmsg(bench->database));
        exit(1);
    }
}

static sqlite3_stmt *
prepare(struct bench *bench, const char *sql)
{
    sqlite3_stmt *statement = NULL;
    expect(bench, sqlite3_prepare_v2(bench->database, sql, -1, &statement, NULL), SQLITE_OK);
    return statement;
}

static void
run(struct bench *bench, sqlite3_stmt *statement)
{
    expect(bench, sqlite3_step(statement), SQLITE_DONE);
    expect(bench, sqlite3_reset(statement), SQLITE_OK);
}

static void
bind(struct bench *bench, sqlite3_stmt *statement, int place, sqlite3_int64 value)
{
    expect(bench, sqlite3_bind_int64(statement, place, value), SQLITE_OK);
}

static void
move(struct bench *bench)
{
    uint64_t debit = os_prng_below(&bench->prng, ACCOUNTS);
    uint64_t credit = os_prng_below(&bench->prng, ACCOUNTS - 1);
    credit += credit >= debit;
    sqlite3_int64 amount = 1 + (sqlite3_int64)os_prng_below(&bench->prng, 1024);
    bind(bench, bench->debit, 1, amount);
    bind(bench, bench->debit, 2, (sqlite3_int64)debit + 1);
    run(bench, bench->debit);
    expect(bench, sqlite3_changes(bench->database), 1);
    bind(bench, bench->credit, 1, amount);
    bind(bench, bench->credit, 2, (sqlite3_int64)credit + 1);
    run(bench, bench->credit);
    expect(bench, sqlite3_changes(bench->database), 1);
    bind(bench, bench->insert, 1, ++bench->last_id);
    bind(bench, bench->insert, 2, (sqlite3_int64)debit + 1);
    bind(bench, bench->insert, 3, (sqlite3_int64)credit + 1);
    bind(bench, bench->insert, 4, amount);
    bind(bench, bench->insert, 5, (sqlite3_int64)os_wall_ns(os_clock_real()));
    run(bench, bench->insert);
}

static uint64_t
run_until(struct bench *bench, uint64_t batch, uint64_t until_ns)
{
    uint64_t transfers = 0;
    do {
        run(bench, bench->begin);
        for (uint64_t i = 0; i < batch; i++) {
            move(bench);
        }
        run(bench, bench->commit);
        transfers += batch;
    } while (os_monotonic_ns(os_clock_real()) < until_ns);
    return transfers;
}

static void
open_ledger(struct bench *bench, const char *folder)
{
    char path[1024];
    (void)snprintf(path, sizeof(path), "%s/ledger.db", folder);
    expect(bench, sqlite3_open(path, &bench->database), SQLITE_OK);
    expect(bench, sqlite3_exec(bench->database, schema, NULL, NULL, NULL), SQLITE_OK);
    bench->begin = prepare(bench, "BEGIN IMMEDIATE");
    bench->debit = prepare(bench, "UPDATE accounts SET debits = debits + ?1 WHERE id = ?2");
    bench->credit = prepare(bench, "UPDATE accounts SET credits = credits + ?1 WHERE id = ?2");
    bench->insert = prepare(bench, "INSERT INTO transfers VALUES (?1, ?2, ?3, ?4, 1, ?5)");
    bench->commit = prepare(bench, "COMMIT");
    os_prng_seed(&bench->prng, 1);
}

static void
close_ledger(struct bench *bench)
{
    sqlite3_stmt *const statements[] = {
        bench->begin, bench->debit, bench->credit, bench->insert, bench->commit};
    for (size_t i = 0; i < sizeof(statements) / sizeof(statements[0]); i++) {
        expect(bench, sqlite3_finalize(statements[i]), SQLITE_OK);
    }
    expect(bench, sqlite3_close(bench->database), SQLITE_OK);
}

int
main(int argc, char **argv)
{
    struct bench bench = {.database = NULL};
    uint64_t batch = 0;
    uint64_t milliseconds = 0;
    if (argc != 4 || !span_parse_u64(span_from_cstr(argv[2]), &batch) || batch < 1 ||
        batch > BATCH_MAX || !span_parse_u64(span_from_cstr(argv[3]), &milliseconds)) {
        (void)fprintf(stderr, "usage: ledger_sqlite FOLDER BATCH MILLISECONDS\n");
        return 2;
    }
    open_ledger(&bench, argv[1]);
    uint64_t start_ns = os_monotonic_ns(os_clock_real());
    uint64_t total_ns = milliseconds * OS_NS_PER_MS;
    (void)run_until(&bench, batch, start_ns + total_ns / 5);
    uint64_t from_ns = os_monotonic_ns(os_clock_real());
    uint64_t transfers = run_until(&bench, batch, start_ns + total_ns);
    uint64_t took_ns = os_monotonic_ns(os_clock_real()) - from_ns;
    (void)printf("%.1f\n", (double)transfers * 1e9 / (double)took_ns);
    close_ledger(&bench);
    return 0;
}
