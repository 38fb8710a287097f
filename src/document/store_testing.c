#include "store_testing.h"

#include "base/buf.h"
#include "sqlite.h"

#include <libpq-fe.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct document_kind t_fruit = {
    .name = "fruit",
    .columns =
        {{"colour", DOCUMENT_TEXT, .indexed = true},
         {"due", DOCUMENT_INTEGER, .indexed = true, .across_scopes = true},
         {"weight", DOCUMENT_INTEGER, .indexed = false}},
    .column_count = 3,
};
const struct document_kind t_stone = {.name = "stone"};
const struct document_kind *const t_kinds[] = {&t_fruit, &t_stone};

void
t_open_kinds(struct t_store *t, const struct document_kind *const *some, uint32_t count)
{
    err_t error = document_store_open(t->url, some, count, &t->documents, t->message);
    if (error != ERR_OK || t->documents == NULL) {
        fail_msg("%s: %s", err_name(error), t->message);
        abort();
    }
}

void
t_open(struct t_store *t)
{
    t_open_kinds(t, t_kinds, 2);
}

void
t_close(struct t_store *t)
{
    t->documents->ops->close(t->documents);
    t->documents = NULL;
}

void
t_postgres_sql(struct t_store *t, const char *sql, char *ret_text, size_t size)
{
    PGconn *conn = PQconnectdb(t->postgres);
    PQclear(PQexec(conn, "SET client_min_messages = error"));
    PGresult *result = PQexec(conn, sql);
    ExecStatusType status = PQresultStatus(result);
    if (status != PGRES_COMMAND_OK && status != PGRES_TUPLES_OK) {
        fail_msg("%s: %s", sql, PQerrorMessage(conn));
    }
    if (ret_text != NULL) {
        (void)snprintf(ret_text, size, "%s", PQgetvalue(result, 0, 0));
    }
    PQclear(result);
    PQfinish(conn);
}

/* An empty database. */
void
t_empty(struct t_store *t)
{
    if (t->postgres == NULL) {
        (void)unlink(t->file);
        return;
    }
    t_postgres_sql(t, "DROP SCHEMA IF EXISTS store_test CASCADE", NULL, 0);
    t_postgres_sql(t, "CREATE SCHEMA store_test", NULL, 0);
}

int
t_setup(void **state)
{
    struct t_store *t = calloc(1, sizeof(*t));
    assert_non_null(t);
    (void)snprintf(t->folder, sizeof(t->folder), "/tmp/document_test_XXXXXX");
    assert_non_null(mkdtemp(t->folder));
    t->postgres = getenv("TEST_POSTGRES");
    if (t->postgres == NULL) {
        (void)snprintf(t->url, sizeof(t->url), "sqlite:%s/d.db", t->folder);
    } else {
        (void)snprintf(
            t->url, sizeof(t->url), "%s&options=-c%%20search_path%%3Dstore_test", t->postgres);
    }
    t->file = t->url + strlen("sqlite:");
    t_empty(t);
    arena_init(&t->arena, 1 << 24);
    t_open(t);
    *state = t;
    return 0;
}

int
t_teardown(void **state)
{
    struct t_store *t = *state;
    if (t->documents != NULL) {
        t_close(t);
    }
    static const char *const names[] = {"d.db", "d.db-wal", "d.db-journal"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        char path[128];
        (void)snprintf(path, sizeof(path), "%s/%s", t->folder, names[i]);
        (void)unlink(path);
    }
    assert_int_equal(rmdir(t->folder), 0);
    arena_release(&t->arena);
    free(t);
    return 0;
}

err_t
t_begin(struct t_store *t)
{
    return t->documents->ops->begin(t->documents);
}

err_t
t_commit(struct t_store *t)
{
    return t->documents->ops->commit(t->documents);
}

/* A row whose columns agree with its body, as the contract wants. */
struct document_row
t_row(struct t_store *t, uint64_t scope, const char *id, const char *colour, int64_t due)
{
    struct document_row row = {.scope = scope, .id = span_from_cstr(id)};
    struct buf body;
    buf_init(&body, 1000);
    buf_append_format(&body, "{\"weight\":5");
    row.columns[2].integer = 5;
    row.columns[0].is_null = colour == NULL;
    if (colour != NULL) {
        buf_append_format(&body, ",\"colour\":\"%s\"", colour);
        row.columns[0].text = span_from_cstr(colour);
    }
    row.columns[1].is_null = due == 0;
    if (due != 0) {
        buf_append_format(&body, ",\"due\":%lld", (long long)due);
        row.columns[1].integer = due;
    }
    buf_append_byte(&body, '}');
    row.body = arena_copy(&t->arena, buf_span(&body));
    buf_release(&body);
    return row;
}

err_t
t_insert(struct t_store *t, const struct document_row *row)
{
    return t->documents->ops->insert(t->documents, &t_fruit, row);
}

err_t
t_get(struct t_store *t, uint64_t scope, const char *id, struct document_row *ret_row)
{
    struct document_row row;
    return t->documents->ops->get(
        t->documents, &t_fruit, scope, span_from_cstr(id), &t->arena, ret_row ? ret_row : &row);
}

void
t_insert_committed(struct t_store *t, const struct document_row *row)
{
    assert_int_equal(t_begin(t), ERR_OK);
    assert_int_equal(t_insert(t, row), ERR_OK);
    assert_int_equal(t_commit(t), ERR_OK);
}

void
t_fill(struct t_store *t)
{
    assert_int_equal(t_begin(t), ERR_OK);
    for (int i = 0; i < 6; i++) {
        char id[16];
        (void)snprintf(id, sizeof(id), "f%d", i);
        struct document_row row =
            t_row(t, SCOPE, id, i % 2 == 0 ? "red" : NULL, i < 3 ? 10 + i : 0);
        assert_int_equal(t_insert(t, &row), ERR_OK);
        struct document_row other = t_row(t, SCOPE + 1, id, "red", i == 1 ? 11 : 0);
        assert_int_equal(t_insert(t, &other), ERR_OK);
    }
    assert_int_equal(t_commit(t), ERR_OK);
}

void
t_sql(struct t_store *t, const char *sql)
{
    if (t->postgres != NULL) {
        char text[512];
        (void)snprintf(text, sizeof(text), "SET search_path = store_test; %s", sql);
        t_postgres_sql(t, text, NULL, 0);
        return;
    }
    sqlite3 *db;
    assert_int_equal(sqlite3_open(t->file, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

bool
t_collect(void *context, const struct document_row *row)
{
    struct t_names *names = context;
    size_t used = strlen(names->text);
    assert_true(used + row->id.size + 2 <= sizeof(names->text));
    memcpy(names->text + used, row->id.data, row->id.size);
    names->text[used + row->id.size] = ' ';
    return ++names->count != names->stop_after;
}

void
t_expect_plan(struct t_store *t, const char *index)
{
    if (t->postgres != NULL) {
        return; /* postgres_test.c asks for its plans */
    }
    struct document_sqlite *sqlite = document_sqlite_of(t->documents);
    struct document_kind_statements *of = &sqlite->kinds[0];
    char sql[DOCUMENT_SQL_SIZE];
    (void)snprintf(
        sql,
        sizeof(sql),
        "EXPLAIN QUERY PLAN %s",
        sqlite3_sql(of->lists[of->list_count - 1].statement));
    sqlite3_stmt *statement;
    assert_int_equal(sqlite3_prepare_v2(sqlite->db, sql, -1, &statement, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_step(statement), SQLITE_ROW);
    const char *plan = (const char *)sqlite3_column_text(statement, 3);
    if (strstr(plan, index) == NULL) {
        fail_msg("plan is: %s", plan);
    }
    /* No sorting behind it. */
    assert_int_equal(sqlite3_step(statement), SQLITE_DONE);
    sqlite3_finalize(statement);
}
