/*
 * Bringing the tables of a database to what the kinds describe. What is missing is made, each piece
 * as one numbered migration in a transaction of its own, so that a crash in between leaves a
 * database that the next start completes.
 */
#include "schema.h"
#include "sqlite.h"

#include "base/assert.h"

#include <stdio.h>
#include <string.h>

/* "Tael": sqlite3's `application_id`, which file(1) shows. */
#define APPLICATION_ID 0x5461656c
/* The file's `user_version` is the generation of what was ever written (document_kind). */
#define FIRST_GENERATION 1

static void
say(struct document_sqlite *sqlite, char message[DOCUMENT_MESSAGE_SIZE], const char *doing)
{
    (void)snprintf(message, DOCUMENT_MESSAGE_SIZE, "%s: %s", doing, sqlite3_errmsg(sqlite->db));
}

static err_t
run_sql(struct document_sqlite *sqlite, const char *sql)
{
    return document_sqlite_error(sqlite3_exec(sqlite->db, sql, NULL, NULL, NULL));
}

/* Runs `sql` and writes down that it ran, in one transaction. */
static err_t
apply(
    struct document_sqlite *sqlite,
    const char *name,
    const char *sql,
    char message[DOCUMENT_MESSAGE_SIZE])
{
    char record[256];
    int length = snprintf(
        record,
        sizeof(record),
        "INSERT INTO tael_migration (number, name, applied_at) SELECT "
        "coalesce(max(number), 0) + 1, '%s', unixepoch() FROM tael_migration",
        name);
    ASSERT(length > 0 && (size_t)length < sizeof(record));
    err_t result = run_sql(sqlite, "BEGIN IMMEDIATE");
    if (result == ERR_OK) {
        result = run_sql(sqlite, sql);
    }
    if (result == ERR_OK) {
        result = run_sql(sqlite, record);
    }
    if (result == ERR_OK) {
        result = run_sql(sqlite, "COMMIT");
    }
    if (result != ERR_OK) {
        say(sqlite, message, name);
        if (sqlite3_get_autocommit(sqlite->db) == 0) {
            (void)run_sql(sqlite, "ROLLBACK");
        }
    }
    return result;
}

static err_t
read_integer(struct document_sqlite *sqlite, const char *sql, int64_t *ret_value)
{
    sqlite3_stmt *statement;
    TRY(document_prepare(sqlite, sql, &statement));
    int code = sqlite3_step(statement);
    if (code == SQLITE_ROW) {
        *ret_value = sqlite3_column_int64(statement, 0);
    }
    (void)sqlite3_finalize(statement);
    return code == SQLITE_DONE ? ERR_NOT_FOUND : document_sqlite_error(code);
}

static err_t
migrate_layout(struct document_sqlite *sqlite, char message[DOCUMENT_MESSAGE_SIZE])
{
    int64_t version = 0;
    int64_t tables = 0;
    err_t result = read_integer(sqlite, "PRAGMA user_version", &version);
    if (result == ERR_OK) {
        result = read_integer(sqlite, "SELECT count(*) FROM sqlite_schema", &tables);
    }
    if (result != ERR_OK) {
        say(sqlite, message, "reading the schema");
        return result;
    }
    if (version > DOCUMENT_GENERATION) {
        (void)snprintf(
            message,
            DOCUMENT_MESSAGE_SIZE,
            "written by a newer version of Tael (layout %lld, this program knows %d)",
            (long long)version,
            DOCUMENT_GENERATION);
        return ERR_VERSION;
    }
    sqlite->generation = FIRST_GENERATION;
    if (version >= FIRST_GENERATION) {
        return ERR_OK;
    }
    if (tables > 0) {
        (void)snprintf(message, DOCUMENT_MESSAGE_SIZE, "a database of another program");
        return ERR_INVALID;
    }
    static_assert(APPLICATION_ID == 1415669100, "the number in the SQL text");
    static_assert(FIRST_GENERATION == 1, "the number in the SQL text");
    return apply(
        sqlite,
        "layout",
        "CREATE TABLE tael_migration (number INTEGER PRIMARY KEY, name TEXT NOT NULL, "
        "applied_at INTEGER NOT NULL);"
        "CREATE TABLE tael_settle (id INTEGER PRIMARY KEY, count INTEGER NOT NULL);"
        "INSERT INTO tael_settle (id, count) VALUES (1, 0);"
        "PRAGMA application_id = 1415669100; PRAGMA user_version = 1",
        message);
}

err_t
document_sqlite_raise(struct document_sqlite *sqlite, uint32_t generation)
{
    int64_t version = 0;
    ASSERT(sqlite->in_transaction);
    ASSERT(generation <= DOCUMENT_GENERATION);
    TRY(read_integer(sqlite, "PRAGMA user_version", &version));
    if (version < (int64_t)generation) {
        char text[64];
        (void)snprintf(text, sizeof(text), "PRAGMA user_version = %u", (unsigned)generation);
        TRY(run_sql(sqlite, text));
    }
    sqlite->generation = generation;
    return ERR_OK;
}

static err_t
create_table(
    struct document_sqlite *sqlite,
    const struct document_kind *kind,
    char message[DOCUMENT_MESSAGE_SIZE])
{
    char text[DOCUMENT_SCHEMA_SIZE];
    struct buf sql;
    buf_init_fixed(&sql, text, sizeof(text));
    document_sql_create_table(&sql, &document_dialect_sqlite, kind);
    buf_append_byte(&sql, '\0');
    ASSERT(!buf_failed(&sql));
    return apply(sqlite, kind->name, text, message);
}

static err_t
add_column(
    struct document_sqlite *sqlite,
    const struct document_kind *kind,
    uint32_t column,
    char message[DOCUMENT_MESSAGE_SIZE])
{
    const struct document_column *of = &kind->columns[column];
    char text[DOCUMENT_SQL_SIZE];
    char name[128];
    struct buf sql;
    buf_init_fixed(&sql, text, sizeof(text));
    document_sql_add_column(&sql, &document_dialect_sqlite, kind, column);
    buf_append_byte(&sql, '\0');
    ASSERT(!buf_failed(&sql));
    (void)snprintf(name, sizeof(name), "%s.%s", kind->name, of->name);
    return apply(sqlite, name, text, message);
}

/* An index that the program wants on a column that was there before. */
static err_t
add_index(
    struct document_sqlite *sqlite,
    const struct document_kind *kind,
    uint32_t column,
    char message[DOCUMENT_MESSAGE_SIZE])
{
    const struct document_column *of = &kind->columns[column];
    char text[DOCUMENT_SQL_SIZE];
    char name[128];
    int64_t there;
    (void)snprintf(
        name, sizeof(name), "%s_by_%s%s", kind->name, of->name, document_index_suffix(of));
    (void)snprintf(
        text,
        sizeof(text),
        "SELECT 1 FROM sqlite_schema WHERE type = 'index' AND name = '%s'",
        name);
    err_t result = read_integer(sqlite, text, &there);
    if (result != ERR_NOT_FOUND) {
        return result;
    }
    struct buf sql;
    buf_init_fixed(&sql, text, sizeof(text));
    document_sql_add_index(&sql, &document_dialect_sqlite, kind, column);
    buf_append_byte(&sql, '\0');
    ASSERT(!buf_failed(&sql));
    return apply(sqlite, name, text, message);
}

/* Compares one column of the table with the kind; sets its bit in *found. */
static err_t
check_column(
    const struct document_kind *kind,
    const char *name,
    const char *type,
    uint32_t *found,
    char message[DOCUMENT_MESSAGE_SIZE])
{
    static const char *const own[] = {"scope", "id", "version", "body"};
    for (size_t i = 0; i < sizeof(own) / sizeof(own[0]); i++) {
        if (strcmp(name, own[i]) == 0) {
            return ERR_OK;
        }
    }
    for (uint32_t i = 0; i < kind->column_count; i++) {
        if (strcmp(name, kind->columns[i].name) == 0) {
            if (strcmp(type, document_sql_type(&document_dialect_sqlite, kind->columns[i].type)) !=
                0) {
                break;
            }
            *found |= 1U << i;
            return ERR_OK;
        }
    }
    (void)snprintf(
        message,
        DOCUMENT_MESSAGE_SIZE,
        "written by a newer version of Tael: this program does not know column \"%s %s\" of %s",
        name,
        type,
        kind->name);
    return ERR_VERSION;
}

static err_t
migrate_kind(
    struct document_sqlite *sqlite,
    const struct document_kind *kind,
    char message[DOCUMENT_MESSAGE_SIZE])
{
    char text[DOCUMENT_SQL_SIZE];
    (void)snprintf(
        text, sizeof(text), "SELECT name, type FROM pragma_table_info('%s')", kind->name);
    sqlite3_stmt *statement;
    TRY(document_prepare(sqlite, text, &statement));
    uint32_t found = 0;
    bool any = false;
    err_t result = ERR_OK;
    int code = sqlite3_step(statement);
    while (code == SQLITE_ROW && result == ERR_OK) {
        any = true;
        result = check_column(
            kind,
            (const char *)sqlite3_column_text(statement, 0),
            (const char *)sqlite3_column_text(statement, 1),
            &found,
            message);
        code = sqlite3_step(statement);
    }
    (void)sqlite3_finalize(statement);
    TRY(result);
    TRY(document_sqlite_error(code));
    if (!any) {
        return create_table(sqlite, kind, message);
    }
    for (uint32_t i = 0; i < kind->column_count; i++) {
        if ((found & 1U << i) == 0) {
            TRY(add_column(sqlite, kind, i, message));
        } else if (kind->columns[i].indexed) {
            TRY(add_index(sqlite, kind, i, message));
        }
    }
    return ERR_OK;
}

err_t
document_migrate(
    struct document_sqlite *sqlite,
    const struct document_kind *const *kinds,
    uint32_t kind_count,
    char message[DOCUMENT_MESSAGE_SIZE])
{
    TRY(migrate_layout(sqlite, message));
    for (uint32_t i = 0; i < kind_count; i++) {
        ASSERT(kinds[i]->column_count <= DOCUMENT_COLUMNS_MAX);
        err_t result = migrate_kind(sqlite, kinds[i], message);
        if (result != ERR_OK) {
            if (message[0] == '\0') {
                say(sqlite, message, kinds[i]->name);
            }
            return result;
        }
    }
    return ERR_OK;
}
