#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/*
 * The same behaviour of both databases: SQLite, or with TEST_POSTGRES (a URL) PostgreSQL, in a
 * schema that each test begins anew. What only one of them has is at the end of the list.
 */
#include "base/buf.h"
#include "document/document.h"
#include "sqlite.h"

#include <libpq-fe.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define SCOPE 7

static struct document_kind fruit = {
    .name = "fruit",
    .columns =
        {{"colour", DOCUMENT_TEXT, .indexed = true},
         {"due", DOCUMENT_INTEGER, .indexed = true, .across_scopes = true},
         {"weight", DOCUMENT_INTEGER, .indexed = false}},
    .column_count = 3,
};
static const struct document_kind stone = {.name = "stone"};
static const struct document_kind *const kinds[] = {&fruit, &stone};

struct t_store {
    char folder[64];
    char url[512];
    const char *file;     /* in url */
    const char *postgres; /* the database's URL, or NULL */
    struct document_store *documents;
    char message[DOCUMENT_MESSAGE_SIZE];
    struct arena arena;
};

static void
t_open_kinds(struct t_store *t, const struct document_kind *const *some, uint32_t count)
{
    err_t error = document_store_open(t->url, some, count, &t->documents, t->message);
    if (error != ERR_OK || t->documents == NULL) {
        fail_msg("%s: %s", err_name(error), t->message);
        abort();
    }
}

static void
t_open(struct t_store *t)
{
    t_open_kinds(t, kinds, 2);
}

static void
t_close(struct t_store *t)
{
    t->documents->ops->close(t->documents);
    t->documents = NULL;
}

static void
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
static void
t_empty(struct t_store *t)
{
    if (t->postgres == NULL) {
        (void)unlink(t->file);
        return;
    }
    t_postgres_sql(t, "DROP SCHEMA IF EXISTS store_test CASCADE", NULL, 0);
    t_postgres_sql(t, "CREATE SCHEMA store_test", NULL, 0);
}

static int
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

static int
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

static err_t
t_begin(struct t_store *t)
{
    return t->documents->ops->begin(t->documents);
}

static err_t
t_commit(struct t_store *t)
{
    return t->documents->ops->commit(t->documents);
}

/* A row whose columns agree with its body, as the contract wants. */
static struct document_row
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

static err_t
t_insert(struct t_store *t, const struct document_row *row)
{
    return t->documents->ops->insert(t->documents, &fruit, row);
}

static err_t
t_get(struct t_store *t, uint64_t scope, const char *id, struct document_row *ret_row)
{
    struct document_row row;
    return t->documents->ops->get(
        t->documents, &fruit, scope, span_from_cstr(id), &t->arena, ret_row ? ret_row : &row);
}

static void
t_insert_committed(struct t_store *t, const struct document_row *row)
{
    assert_int_equal(t_begin(t), ERR_OK);
    assert_int_equal(t_insert(t, row), ERR_OK);
    assert_int_equal(t_commit(t), ERR_OK);
}

/* ------------------------------------------------------------------------------------- rows */

static void
rows_come_back_as_written(void **state)
{
    struct t_store *t = *state;
    struct document_row row = t_row(t, SCOPE, "f1", "red", 0);
    t_insert_committed(t, &row);
    t_close(t);
    t_open(t);
    struct document_row read;
    assert_int_equal(t_get(t, SCOPE, "f1", &read), ERR_OK);
    assert_true(span_equal(read.body, row.body));
    assert_true(span_equal_cstr(read.id, "f1"));
    assert_true(read.scope == SCOPE);
    assert_int_equal(read.version, 1);
    assert_true(span_equal_cstr(read.columns[0].text, "red"));
    assert_true(read.columns[1].is_null);
    assert_int_equal(read.columns[2].integer, 5);
    assert_int_equal(t_get(t, SCOPE + 1, "f1", NULL), ERR_NOT_FOUND);
    assert_int_equal(t_get(t, SCOPE, "f2", NULL), ERR_NOT_FOUND);
}

static void
text_with_zero_bytes_and_empty_text_survive(void **state)
{
    struct t_store *t = *state;
    struct document_row row = t_row(t, SCOPE, "f1", "red", 0);
    row.columns[0].text = SPAN("a\0b");
    row.body = SPAN_EMPTY;
    if (t->postgres != NULL) { /* whose texts have no zeros: refused, and the others go on */
        assert_int_equal(t_begin(t), ERR_OK);
        assert_int_equal(t_insert(t, &row), ERR_INVALID);
        row.columns[0].text = SPAN("\xff");
        assert_int_equal(t_insert(t, &row), ERR_INVALID);
        row.columns[0].text = SPAN("");
        assert_int_equal(t_insert(t, &row), ERR_OK);
        assert_int_equal(t_commit(t), ERR_OK);
        assert_int_equal(t_get(t, SCOPE, "f\0", NULL), ERR_NOT_FOUND);
        assert_int_equal(t_get(t, SCOPE, "\xff", NULL), ERR_NOT_FOUND);
    } else {
        t_insert_committed(t, &row);
    }
    struct document_row read;
    assert_int_equal(t_get(t, SCOPE, "f1", &read), ERR_OK);
    assert_true(span_equal(read.columns[0].text, row.columns[0].text));
    assert_false(read.columns[0].is_null);
    assert_int_equal(read.body.size, 0);
}

static void
an_id_exists_once_in_a_scope(void **state)
{
    struct t_store *t = *state;
    struct document_row row = t_row(t, SCOPE, "f1", "red", 0);
    struct document_row elsewhere = t_row(t, SCOPE + 1, "f1", "red", 0);
    assert_int_equal(t_begin(t), ERR_OK);
    assert_int_equal(t_insert(t, &row), ERR_OK);
    assert_int_equal(t_insert(t, &elsewhere), ERR_OK);
    assert_int_equal(t_insert(t, &row), ERR_EXISTS);
    /* A refusal of the row does not spoil the others. */
    assert_int_equal(t_commit(t), ERR_OK);
    assert_int_equal(t_get(t, SCOPE, "f1", NULL), ERR_OK);
    assert_int_equal(t_get(t, SCOPE + 1, "f1", NULL), ERR_OK);
}

static void
updates_name_the_version_they_read(void **state) /* DOCUMENT-2 */
{
    struct t_store *t = *state;
    struct document_row row = t_row(t, SCOPE, "f1", "red", 0);
    t_insert_committed(t, &row);
    assert_int_equal(t_begin(t), ERR_OK);
    struct document_row green = t_row(t, SCOPE, "f1", "green", 0);
    green.version = 1;
    assert_int_equal(t->documents->ops->update(t->documents, &fruit, &green), ERR_OK);
    struct document_row late = t_row(t, SCOPE, "f1", "blue", 0);
    late.version = 1;
    assert_int_equal(t->documents->ops->update(t->documents, &fruit, &late), ERR_STALE);
    assert_int_equal(t->documents->ops->remove(t->documents, &fruit, SCOPE, row.id, 1), ERR_STALE);
    assert_int_equal(t_commit(t), ERR_OK);
    struct document_row read;
    assert_int_equal(t_get(t, SCOPE, "f1", &read), ERR_OK);
    assert_int_equal(read.version, 2);
    assert_true(span_equal_cstr(read.columns[0].text, "green"));
    assert_int_equal(t_begin(t), ERR_OK);
    assert_int_equal(t->documents->ops->remove(t->documents, &fruit, SCOPE, row.id, 2), ERR_OK);
    assert_int_equal(t_commit(t), ERR_OK);
    assert_int_equal(t_get(t, SCOPE, "f1", NULL), ERR_NOT_FOUND);
}

static void
unchanged_columns_are_left_alone(void **state)
{
    struct t_store *t = *state;
    struct document_row row = t_row(t, SCOPE, "f1", "red", 9);
    t_insert_committed(t, &row);
    struct document_row update = {
        .scope = SCOPE, .id = row.id, .version = 1, .body = row.body, .unchanged_columns = 5};
    update.columns[1].is_null = true;
    assert_int_equal(t_begin(t), ERR_OK);
    assert_int_equal(t->documents->ops->update(t->documents, &fruit, &update), ERR_OK);
    assert_int_equal(t_commit(t), ERR_OK);
    struct document_row read;
    assert_int_equal(t_get(t, SCOPE, "f1", &read), ERR_OK);
    assert_true(span_equal_cstr(read.columns[0].text, "red"));
    assert_true(read.columns[1].is_null);
    assert_int_equal(read.columns[2].integer, 5);
}

static void
reads_see_the_open_transaction_and_rollback_forgets_it(void **state) /* DOCUMENT-3 */
{
    struct t_store *t = *state;
    struct document_row row = t_row(t, SCOPE, "f1", "red", 0);
    assert_int_equal(t_begin(t), ERR_OK);
    assert_int_equal(t_insert(t, &row), ERR_OK);
    assert_int_equal(t_get(t, SCOPE, "f1", NULL), ERR_OK);
    t->documents->ops->rollback(t->documents);
    assert_int_equal(t_get(t, SCOPE, "f1", NULL), ERR_NOT_FOUND);
}

/* ------------------------------------------------------------------------------------ lists */

struct t_names {
    char text[512];
    uint32_t stop_after;
    uint32_t count;
};

static bool
t_collect(void *context, const struct document_row *row)
{
    struct t_names *names = context;
    size_t used = strlen(names->text);
    assert_true(used + row->id.size + 2 <= sizeof(names->text));
    memcpy(names->text + used, row->id.data, row->id.size);
    names->text[used + row->id.size] = ' ';
    return ++names->count != names->stop_after;
}

static void
t_expect_list(struct t_store *t, const struct document_query *query, const char *expected)
{
    struct t_names names = {.text = ""};
    assert_int_equal(
        t->documents->ops->list(t->documents, &fruit, query, t_collect, &names), ERR_OK);
    assert_string_equal(names.text, expected);
}

static void
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

static void
lists_filter_and_bound(void **state)
{
    struct t_store *t = *state;
    t_fill(t);
    struct document_query query = {.scope = SCOPE, .range_column = UINT32_MAX, .limit = 10};
    t_expect_list(t, &query, "f5 f4 f3 f2 f1 f0 ");
    query.limit = 2;
    t_expect_list(t, &query, "f5 f4 ");
    query.oldest_first = true;
    t_expect_list(t, &query, "f0 f1 ");
    query.id_above = SPAN("f1");
    t_expect_list(t, &query, "f2 f3 ");
    query.id_below = SPAN("f3");
    t_expect_list(t, &query, "f2 ");
    struct document_query red = {
        .scope = SCOPE,
        .range_column = UINT32_MAX,
        .limit = 10,
        .filter_count = 1,
        .filters = {{.column = 0, .value.text = SPAN("red")}}};
    t_expect_list(t, &red, "f4 f2 f0 ");
    red.id_below = SPAN("f4");
    t_expect_list(t, &red, "f2 f0 ");
    red.filters[0].value = (struct document_value){.is_null = true};
    t_expect_list(t, &red, "f3 f1 ");
    struct document_query none = {.scope = 99, .range_column = UINT32_MAX, .limit = 10};
    t_expect_list(t, &none, "");
}

/* What the transaction changed is in the lists as if it were committed (DOCUMENT-3). */
static void
lists_see_the_open_transaction(void **state)
{
    struct t_store *t = *state;
    t_fill(t);
    struct document_query query = {.scope = SCOPE, .range_column = UINT32_MAX, .limit = 3};
    struct document_query due = {
        .all_scopes = true, .range_column = 1, .range_max = 20, .oldest_first = true, .limit = 10};
    struct document_query red = {
        .scope = SCOPE,
        .range_column = UINT32_MAX,
        .limit = 10,
        .filter_count = 1,
        .filters = {{.column = 0, .value.text = SPAN("red")}}};
    const struct document_store_ops *ops = t->documents->ops;
    assert_int_equal(t_begin(t), ERR_OK);
    assert_int_equal(ops->remove(t->documents, &fruit, SCOPE, SPAN("f4"), 1), ERR_OK);
    t_expect_list(t, &query, "f5 f3 f2 ");
    struct document_row row = t_row(t, SCOPE, "f45", "red", 1);
    assert_int_equal(t_insert(t, &row), ERR_OK);
    t_expect_list(t, &query, "f5 f45 f3 ");
    t_expect_list(t, &red, "f45 f2 f0 ");
    struct document_row changed = t_row(t, SCOPE, "f2", NULL, 0);
    changed.version = 1;
    assert_int_equal(ops->update(t->documents, &fruit, &changed), ERR_OK);
    t_expect_list(t, &red, "f45 f0 ");
    t_expect_list(t, &due, "f45 f0 f1 f1 ");
    query.id_below = SPAN("f45");
    query.limit = 2;
    t_expect_list(t, &query, "f3 f2 ");
    assert_int_equal(t_commit(t), ERR_OK);
    t_expect_list(t, &red, "f45 f0 ");
    t_expect_list(t, &due, "f45 f0 f1 f1 ");
}

#define MANY 2500

static bool
t_count_descending(void *context, const struct document_row *row)
{
    struct t_names *names = context;
    char expected[32];
    (void)snprintf(expected, sizeof(expected), "m%05u", MANY - 1 - names->count);
    assert_true(span_equal_cstr(row->id, expected));
    names->count++;
    return true;
}

static void
long_lists_come_whole(void **state)
{
    struct t_store *t = *state;
    assert_int_equal(t_begin(t), ERR_OK);
    for (uint32_t i = 0; i < MANY; i++) {
        char id[32];
        (void)snprintf(id, sizeof(id), "m%05u", i);
        struct document_row row = t_row(t, SCOPE, id, "red", 0);
        assert_int_equal(t_insert(t, &row), ERR_OK);
    }
    for (int round = 0; round < 2; round++) { /* before the commit, and behind it */
        struct document_query query = {
            .scope = SCOPE, .range_column = UINT32_MAX, .limit = UINT32_MAX};
        struct t_names names = {.text = ""};
        assert_int_equal(
            t->documents->ops->list(t->documents, &fruit, &query, t_count_descending, &names),
            ERR_OK);
        assert_int_equal(names.count, MANY);
        query.limit = 2100;
        names.count = 0;
        assert_int_equal(
            t->documents->ops->list(t->documents, &fruit, &query, t_count_descending, &names),
            ERR_OK);
        assert_int_equal(names.count, 2100);
        if (round == 0) {
            assert_int_equal(t_commit(t), ERR_OK);
        }
    }
}

static void
lists_across_scopes_follow_their_column(void **state)
{
    struct t_store *t = *state;
    t_fill(t);
    struct document_query due = {
        .all_scopes = true,
        .range_column = 1,
        .range_min = 0,
        .range_max = 11,
        .oldest_first = true,
        .limit = 10};
    t_expect_list(t, &due, "f0 f1 f1 ");
    due.limit = 1;
    t_expect_list(t, &due, "f0 ");
    due.limit = 10;
    due.range_min = 12;
    due.range_max = INT64_MAX;
    t_expect_list(t, &due, "f2 ");
    struct document_query equal = {
        .all_scopes = true,
        .range_column = UINT32_MAX,
        .filter_count = 1,
        .filters = {{.column = 1, .value.integer = 11}},
        .limit = 10};
    t_expect_list(t, &equal, "f1 f1 ");
}

static void
lists_stop_when_told_and_nest(void **state)
{
    struct t_store *t = *state;
    t_fill(t);
    struct document_query query = {.scope = SCOPE, .range_column = UINT32_MAX, .limit = 10};
    struct t_names names = {.stop_after = 2};
    assert_int_equal(
        t->documents->ops->list(t->documents, &fruit, &query, t_collect, &names), ERR_OK);
    assert_string_equal(names.text, "f5 f4 ");
    /* Reset properly: the same shape starts from the beginning. */
    t_expect_list(t, &query, "f5 f4 f3 f2 f1 f0 ");
}

static void
many_shapes_of_queries_work_after_one_another(void **state)
{
    struct t_store *t = *state;
    t_fill(t);
    for (int round = 0; round < 2; round++) {
        for (uint32_t bits = 0; bits < 32; bits++) {
            struct document_query query = {.scope = SCOPE, .range_column = UINT32_MAX, .limit = 10};
            query.oldest_first = (bits & 1) != 0;
            query.id_above = (bits & 2) != 0 ? SPAN("f0") : SPAN_EMPTY;
            query.id_below = (bits & 4) != 0 ? SPAN("f3") : SPAN_EMPTY;
            if ((bits & 8) != 0) {
                query.filters[query.filter_count++] =
                    (struct document_filter){.column = 2, .value.integer = 5};
            }
            if ((bits & 16) != 0) {
                query.filters[query.filter_count++] =
                    (struct document_filter){.column = 0, .value.text = SPAN("red")};
            }
            struct t_names names = {.text = ""};
            assert_int_equal(
                t->documents->ops->list(t->documents, &fruit, &query, t_collect, &names), ERR_OK);
            uint32_t expected = 0;
            for (uint32_t i = 0; i < 6; i++) {
                expected += (i > 0 || (bits & 2) == 0) && (i < 3 || (bits & 4) == 0) &&
                            (i % 2 == 0 || (bits & 16) == 0);
            }
            assert_int_equal(names.count, expected);
        }
    }
}

/* How SQLite runs the newest shape of list of this kind: one step, by that index. */
static void
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

static void
lists_use_their_indexes(void **state)
{
    struct t_store *t = *state;
    struct document_query query = {
        .scope = SCOPE,
        .range_column = UINT32_MAX,
        .limit = 10,
        .id_below = SPAN("f3"),
        .filter_count = 1,
        .filters = {{.column = 0, .value.text = SPAN("red")}}};
    t_expect_list(t, &query, "");
    t_expect_plan(t, "fruit_by_colour (scope=? AND colour=? AND id<?)");
    query.filters[0].column = 2;
    t_expect_list(t, &query, "");
    t_expect_plan(t, "sqlite_autoindex_fruit_1 (scope=? AND id<?)");
    struct document_query due = {
        .all_scopes = true, .range_column = 1, .range_max = 11, .oldest_first = true, .limit = 10};
    t_expect_list(t, &due, "");
    t_expect_plan(t, "fruit_by_due_across (due>? AND due<?)");
}

/* -------------------------------------------------------------------------------- migrations */

static void
a_later_program_adds_kinds_and_columns(void **state)
{
    struct t_store *t = *state;
    t_fill(t);
    t_close(t);
    static const struct document_kind older = {
        .name = "stone", .columns = {{"shape", DOCUMENT_TEXT}}, .column_count = 1};
    static const struct document_kind later = {
        .name = "stone",
        .columns =
            {{"weight", DOCUMENT_INTEGER, .indexed = true, .across_scopes = true},
             {"shape", DOCUMENT_TEXT, .indexed = true},
             {"owner", DOCUMENT_TEXT, .indexed = true}},
        .column_count = 3};
    const struct document_kind *one[] = {&older};
    struct document_store *store;
    assert_int_equal(document_store_open(t->url, one, 1, &store, t->message), ERR_OK);
    assert_int_equal(store->ops->begin(store), ERR_OK);
    struct document_row row = {
        .scope = SCOPE,
        .id = SPAN("s1"),
        .body = SPAN("{\"shape\":\"round\",\"weight\":31}"),
        .columns = {{.text = SPAN("round")}}};
    assert_int_equal(store->ops->insert(store, &older, &row), ERR_OK);
    assert_int_equal(store->ops->commit(store), ERR_OK);
    store->ops->close(store);

    one[0] = &later;
    for (int round = 0; round < 2; round++) {
        assert_int_equal(document_store_open(t->url, one, 1, &store, t->message), ERR_OK);
        struct document_row read;
        assert_int_equal(
            store->ops->get(store, &later, SCOPE, SPAN("s1"), &t->arena, &read), ERR_OK);
        assert_int_equal(read.columns[0].integer, 31);
        assert_true(span_equal_cstr(read.columns[1].text, "round"));
        assert_true(read.columns[2].is_null);
        assert_int_equal(read.version, 1);
        /* Through the index that the column did not have before. */
        struct document_query round_ones = {
            .scope = SCOPE,
            .range_column = UINT32_MAX,
            .limit = 1,
            .filter_count = 1,
            .filters = {{.column = 1, .value.text = SPAN("round")}}};
        struct t_names names = {.text = ""};
        assert_int_equal(store->ops->list(store, &later, &round_ones, t_collect, &names), ERR_OK);
        assert_string_equal(names.text, "s1 ");
        store->ops->close(store);
    }
    one[0] = &older;
    err_t as_older = document_store_open(t->url, one, 1, &store, t->message);
    if (t->postgres == NULL) { /* the older one is told that it is too old */
        assert_int_equal(as_older, ERR_VERSION);
        assert_non_null(strstr(t->message, "weight"));
        assert_non_null(strstr(t->message, t->file));
    } else { /* it goes on beside the later one: migrations only add */
        assert_int_equal(as_older, ERR_OK);
        struct document_row read;
        assert_int_equal(
            store->ops->get(store, &older, SCOPE, SPAN("s1"), &t->arena, &read), ERR_OK);
        assert_true(span_equal_cstr(read.columns[0].text, "round"));
        store->ops->close(store);
    }
    /* The other kinds' rows are untouched. */
    assert_int_equal(document_store_open(t->url, kinds, 1, &t->documents, t->message), ERR_OK);
    assert_int_equal(t_get(t, SCOPE, "f3", NULL), ERR_OK);
}

static void
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

/* Of one kind, whose second column is text that an index finds in any case. */
static void
t_expect_names(
    struct t_store *t,
    const struct document_kind *kind,
    bool any_case,
    const char *name,
    const char *expected)
{
    struct document_query query = {
        .scope = SCOPE,
        .range_column = UINT32_MAX,
        .limit = 10,
        .filter_count = 1,
        .filters = {
            {.column = 0, .value.text = span_from_cstr(name), .any_case = any_case},
        }};
    struct t_names names = {.text = ""};
    assert_int_equal(
        t->documents->ops->list(t->documents, kind, &query, t_collect, &names), ERR_OK);
    assert_string_equal(names.text, expected);
}

static void
an_index_may_ignore_case(void **state)
{
    struct t_store *t = *state;
    static const struct document_kind before = {
        .name = "person", .columns = {{"name", DOCUMENT_TEXT, .indexed = true}}, .column_count = 1};
    static const struct document_kind after = {
        .name = "person",
        .columns = {{"name", DOCUMENT_TEXT, .indexed = true, .any_case = true}},
        .column_count = 1};
    static const char *const people[] = {"Amy", "amy", "AMY", "Bob", "am\xc3\xbd"};
    const struct document_kind *one[] = {&before};
    t_close(t);
    t_open_kinds(t, one, 1);
    assert_int_equal(t_begin(t), ERR_OK);
    for (int i = 0; i < 5; i++) {
        char id[16], body[64];
        (void)snprintf(id, sizeof(id), "p%d", i);
        (void)snprintf(body, sizeof(body), "{\"name\":\"%s\"}", people[i]);
        struct document_row row = {
            .scope = SCOPE + (i == 2 ? 1 : 0),
            .id = span_from_cstr(id),
            .body = span_from_cstr(body),
            .columns = {{.text = span_from_cstr(people[i])}}};
        assert_int_equal(t->documents->ops->insert(t->documents, &before, &row), ERR_OK);
    }
    assert_int_equal(t_commit(t), ERR_OK);
    t_expect_names(t, &before, false, "amy", "p1 ");
    t_close(t);

    /* The other index takes the place of the one that was there, once. */
    one[0] = &after;
    for (int round = 0; round < 2; round++) {
        t_open_kinds(t, one, 1);
        t_expect_names(t, &after, false, "amy", "p1 ");
        t_expect_plan(t, "person_by_name_any_case (scope=? AND name=?)");
        t_expect_names(t, &after, true, "aMy", "p1 p0 ");
        t_expect_plan(t, "person_by_name_any_case (scope=? AND name=?)");
        t_expect_names(t, &after, false, "aMy", "");
        t_expect_names(t, &after, true, "am\xc3\xbd", "p4 ");
        t_close(t);
    }
    t_sql(t, "CREATE INDEX person_by_name ON person (name)"); /* fails if it is still there */
}

static void
migrations_are_numbered_and_run_once(void **state)
{
    struct t_store *t = *state;
    t_close(t);
    t_open(t);
    t_close(t);
    if (t->postgres != NULL) {
        char text[256];
        t_postgres_sql(
            t,
            "SELECT string_agg(number || ' ' || name, ',' ORDER BY number) "
            "FROM store_test.tael_migration",
            text,
            sizeof(text));
        assert_string_equal(text, "1 layout,2 fruit,3 stone");
        return;
    }
    sqlite3 *db;
    sqlite3_stmt *statement;
    assert_int_equal(sqlite3_open(t->file, &db), SQLITE_OK);
    assert_int_equal(
        sqlite3_prepare_v2(
            db,
            "SELECT group_concat(number || ' ' || name) FROM tael_migration ORDER BY number",
            -1,
            &statement,
            NULL),
        SQLITE_OK);
    assert_int_equal(sqlite3_step(statement), SQLITE_ROW);
    assert_string_equal(
        (const char *)sqlite3_column_text(statement, 0), "1 layout,2 fruit,3 stone");
    sqlite3_finalize(statement);
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

static void
a_newer_layout_and_foreign_files_are_refused(void **state)
{
    struct t_store *t = *state;
    t_close(t);
    t_sql(t, "PRAGMA user_version = 2");
    assert_int_equal(document_store_open(t->url, kinds, 2, &t->documents, t->message), ERR_VERSION);
    assert_non_null(strstr(t->message, "newer"));
    assert_null(t->documents);
    assert_int_equal(unlink(t->file), 0);
    t_sql(t, "CREATE TABLE theirs (x)");
    assert_int_equal(document_store_open(t->url, kinds, 2, &t->documents, t->message), ERR_INVALID);
    FILE *file = fopen(t->file, "w");
    assert_non_null(file);
    for (int i = 0; i < 2000; i++) {
        assert_true(fputs("no database", file) >= 0);
    }
    assert_int_equal(fclose(file), 0);
    assert_int_equal(document_store_open(t->url, kinds, 2, &t->documents, t->message), ERR_CORRUPT);
    assert_int_equal(
        document_store_open("mysql:x", kinds, 2, &t->documents, t->message), ERR_UNSUPPORTED);
    assert_int_equal(
        document_store_open("sqlite:/nowhere/at/all", kinds, 2, &t->documents, t->message),
        ERR_NOT_FOUND);
}

static void
the_file_is_private(void **state)
{
    struct t_store *t = *state;
    t_fill(t);
    struct stat status;
    assert_int_equal(stat(t->file, &status), 0);
    assert_int_equal(status.st_mode & 0777, 0600);
    char log[160];
    (void)snprintf(log, sizeof(log), "%s-wal", t->file);
    assert_int_equal(stat(log, &status), 0);
    assert_int_equal(status.st_mode & 0777, 0600);
}

/* ---------------------------------------------------------------------- processes that die */

static void
a_second_process_is_told_that_it_is_locked(void **state)
{
    struct t_store *t = *state;
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        struct document_store *store;
        char message[DOCUMENT_MESSAGE_SIZE];
        err_t error = document_store_open(t->url, kinds, 2, &store, message);
        _exit(error == ERR_LOCKED && strstr(message, "another process") != NULL ? 0 : 1);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

/* The store's own pages are smaller. */
static void
a_database_keeps_the_pages_that_it_was_made_with(void **state)
{
    struct t_store *t = *state;
    int pages_due = document_sqlite_of(t->documents)->log_pages_due;
    struct document_row row = t_row(t, SCOPE, "old", "red", 0);
    t_insert_committed(t, &row);
    t_close(t);
    t_sql(t, "PRAGMA journal_mode = DELETE; PRAGMA page_size = 8192; VACUUM");
    t_open(t);
    row = t_row(t, SCOPE, "new", "red", 0);
    t_insert_committed(t, &row);
    assert_int_equal(document_sqlite_of(t->documents)->log_pages_due, pages_due / 2);
    t_close(t);
    struct stat file;
    assert_int_equal(stat(t->file, &file), 0);
    assert_int_equal(file.st_size % 8192, 0);
    t_open(t);
    assert_int_equal(t_get(t, SCOPE, "old", NULL), ERR_OK);
    assert_int_equal(t_get(t, SCOPE, "new", NULL), ERR_OK);
}

/* The log's being moved into the tables falls into every test, too. */
static void
t_move_log_often(struct t_store *t)
{
    if (t->postgres == NULL) {
        document_sqlite_of(t->documents)->log_pages_due = 20;
    }
}

#define GROUP_ROWS 5

/* Commits groups of rows for ever, and says the number of each group when it is durable. */
static void
t_write_groups(struct t_store *t, int out)
{
    for (uint32_t group = 1;; group++) {
        if (t_begin(t) != ERR_OK) {
            _exit(2);
        }
        for (uint32_t i = 0; i < GROUP_ROWS; i++) {
            char id[32];
            (void)snprintf(id, sizeof(id), "g%08u_%u", group, i);
            struct document_row row = t_row(t, SCOPE, id, "red", (int64_t)group);
            if (t_insert(t, &row) != ERR_OK) {
                _exit(3);
            }
        }
        if (t_commit(t) != ERR_OK || write(out, &group, sizeof(group)) != sizeof(group)) {
            _exit(4);
        }
        t->documents->ops->maintain(t->documents);
        arena_clear(&t->arena);
    }
}

static void
t_check_groups(struct t_store *t, uint32_t acknowledged)
{
    uint32_t group = 1;
    for (;; group++) {
        uint32_t there = 0;
        for (uint32_t i = 0; i < GROUP_ROWS; i++) {
            char id[32];
            (void)snprintf(id, sizeof(id), "g%08u_%u", group, i);
            there += t_get(t, SCOPE, id, NULL) == ERR_OK;
        }
        arena_clear(&t->arena);
        if (there == 0) {
            break;
        }
        assert_int_equal(there, GROUP_ROWS); /* DOCUMENT-1 */
    }
    assert_true(group > acknowledged);
    arena_clear(&t->arena);
    /* One group may be durable whose word was never said. */
    assert_true(group - 1 <= acknowledged + 1);
}

static void
committed_groups_survive_a_kill(void **state) /* DOCUMENT-1 */
{
    struct t_store *t = *state;
    const int rounds = getenv("TEST_LONG") != NULL ? 200 : 15;
    for (int round = 0; round < rounds; round++) {
        t_close(t);
        t_empty(t);
        int ends[2];
        assert_int_equal(pipe(ends), 0);
        pid_t child = fork();
        assert_true(child >= 0);
        if (child == 0) {
            (void)close(ends[0]);
            t_open(t);
            t_move_log_often(t);
            t_write_groups(t, ends[1]);
        }
        (void)close(ends[1]);
        (void)usleep((useconds_t)(3000 + round * 2711 % 40000));
        assert_int_equal(kill(child, SIGKILL), 0);
        assert_int_equal(waitpid(child, NULL, 0), child);
        uint32_t group, acknowledged = 0;
        while (read(ends[0], &group, sizeof(group)) == sizeof(group)) {
            acknowledged = group;
        }
        (void)close(ends[0]);
        t_open(t);
        t_check_groups(t, acknowledged);
    }
}

int
main(void)
{
#define T(test) cmocka_unit_test_setup_teardown(test, t_setup, t_teardown)
    const struct CMUnitTest tests[] = {
        T(rows_come_back_as_written),
        T(text_with_zero_bytes_and_empty_text_survive),
        T(an_id_exists_once_in_a_scope),
        T(updates_name_the_version_they_read),
        T(unchanged_columns_are_left_alone),
        T(reads_see_the_open_transaction_and_rollback_forgets_it),
        T(lists_filter_and_bound),
        T(lists_see_the_open_transaction),
        T(lists_across_scopes_follow_their_column),
        T(lists_stop_when_told_and_nest),
        T(many_shapes_of_queries_work_after_one_another),
        T(long_lists_come_whole),
        T(a_later_program_adds_kinds_and_columns),
        T(an_index_may_ignore_case),
        T(migrations_are_numbered_and_run_once),
        T(committed_groups_survive_a_kill),
    };
    const struct CMUnitTest of_files[] = {
        T(lists_use_their_indexes),
        T(a_newer_layout_and_foreign_files_are_refused),
        T(the_file_is_private),
        T(a_database_keeps_the_pages_that_it_was_made_with),
        T(a_second_process_is_told_that_it_is_locked),
    };
    int failed = cmocka_run_group_tests_name("document store", tests, NULL, NULL);
    if (getenv("TEST_POSTGRES") == NULL) { /* whose tables are all alike */
        failed += cmocka_run_group_tests_name("document files", of_files, NULL, NULL);
        fruit.is_small = true;
        failed += cmocka_run_group_tests_name("document store, small rows", tests, NULL, NULL);
    }
    return failed;
}
