/* ledger_compare.h in SQLite: WAL, synchronous=FULL, so that an answer is as durable as the
 * journal's; pages of 8 KiB and a checkpoint every 100,000 of them were the fastest. */
#include "ledger_compare.h"

#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>

static const char *const schema =
    "PRAGMA page_size=8192; PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;"
    "PRAGMA locking_mode=EXCLUSIVE; PRAGMA wal_autocheckpoint=100000; PRAGMA cache_size=-1000000;"
    "CREATE TABLE accounts (id INTEGER PRIMARY KEY, record BLOB NOT NULL) STRICT;"
    "CREATE TABLE transfers (timestamp INTEGER PRIMARY KEY, record BLOB NOT NULL) STRICT;"
    "CREATE TABLE ids (id BLOB PRIMARY KEY, timestamp INTEGER NOT NULL) STRICT, WITHOUT ROWID;";

static sqlite3 *database;
static sqlite3_stmt *begin, *insert_id, *insert_transfer, *replace_account, *end;

static void
expect(int got, int wanted)
{
    if (got != wanted) {
        (void)fprintf(stderr, "ledger_sqlite: %s\n", sqlite3_errmsg(database));
        exit(1);
    }
}

static sqlite3_stmt *
prepare(const char *sql)
{
    sqlite3_stmt *statement = NULL;
    expect(sqlite3_prepare_v2(database, sql, -1, &statement, NULL), SQLITE_OK);
    return statement;
}

static void
run(sqlite3_stmt *statement)
{
    expect(sqlite3_step(statement), SQLITE_DONE);
    expect(sqlite3_reset(statement), SQLITE_OK);
}

static void
sqlite_open(const char *folder)
{
    char path[1024];
    (void)snprintf(path, sizeof(path), "%s/ledger.db", folder);
    expect(sqlite3_open(path, &database), SQLITE_OK);
    expect(sqlite3_exec(database, schema, NULL, NULL, NULL), SQLITE_OK);
    begin = prepare("BEGIN IMMEDIATE");
    insert_id = prepare("INSERT INTO ids VALUES (?1, ?2)");
    insert_transfer = prepare("INSERT INTO transfers VALUES (?1, ?2)");
    replace_account = prepare("REPLACE INTO accounts VALUES (?1, ?2)");
    end = prepare("COMMIT");
}

static void
sqlite_begin(void)
{
    run(begin);
}

static bool
sqlite_id_insert(u128 id, uint64_t timestamp)
{
    char bytes[sizeof(id)]; /* the highest first, so that they sort as the ids do */
    for (size_t i = 0; i < sizeof(bytes); i++) {
        bytes[i] = (char)(unsigned char)(id >> (8 * (sizeof(bytes) - 1 - i)));
    }
    expect(sqlite3_bind_blob(insert_id, 1, bytes, sizeof(bytes), SQLITE_STATIC), SQLITE_OK);
    expect(sqlite3_bind_int64(insert_id, 2, (sqlite3_int64)timestamp), SQLITE_OK);
    int result = sqlite3_step(insert_id);
    if (result == SQLITE_CONSTRAINT) {
        return false;
    }
    expect(result, SQLITE_DONE);
    expect(sqlite3_reset(insert_id), SQLITE_OK);
    return true;
}

static void
put(sqlite3_stmt *statement, uint64_t key, const void *record, int size)
{
    expect(sqlite3_bind_int64(statement, 1, (sqlite3_int64)key), SQLITE_OK);
    expect(sqlite3_bind_blob(statement, 2, record, size, SQLITE_STATIC), SQLITE_OK);
    run(statement);
}

static void
sqlite_transfer_put(uint64_t timestamp, const void *record)
{
    put(insert_transfer, timestamp, record, COMPARE_TRANSFER_SIZE);
}

static void
sqlite_account_put(uint32_t index, const void *record)
{
    put(replace_account, index, record, COMPARE_ACCOUNT_SIZE);
}

static void
sqlite_commit(void)
{
    run(end);
}

static void
sqlite_close(void)
{
    sqlite3_stmt *const statements[] = {begin, insert_id, insert_transfer, replace_account, end};
    for (size_t i = 0; i < sizeof(statements) / sizeof(statements[0]); i++) {
        expect(sqlite3_finalize(statements[i]), SQLITE_OK);
    }
    expect(sqlite3_close(database), SQLITE_OK);
}

int
main(int argc, char **argv)
{
    const struct compare_engine engine = {
        .name = "sqlite",
        .open = sqlite_open,
        .begin = sqlite_begin,
        .id_insert = sqlite_id_insert,
        .transfer_put = sqlite_transfer_put,
        .account_put = sqlite_account_put,
        .commit = sqlite_commit,
        .close = sqlite_close,
    };
    return compare_main(argc, argv, &engine);
}
