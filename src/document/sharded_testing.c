#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "sharded_testing.h"

#include "base/buf.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

const struct document_kind t_fruit = {
    .name = "fruit",
    .columns =
        {{"colour", DOCUMENT_TEXT, .indexed = true},
         {"due", DOCUMENT_INTEGER, .indexed = true, .across_scopes = true},
         {"number", DOCUMENT_INTEGER, .indexed = true, .across_scopes = true, .unique = true}},
    .column_count = 3,
};
static const struct document_kind stone = {.name = "stone"};
const struct document_kind t_note = {
    .name = "note",
    .columns = {{"due", DOCUMENT_INTEGER, .indexed = true, .across_scopes = true}},
    .column_count = 1,
    .cold = {"description", "metadata"},
    .cold_count = 2,
};
const struct document_kind *const t_kinds[T_KINDS] = {&t_fruit, &stone, &t_note};

int64_t
t_sql(struct t_shards *t, const char *sql)
{
    PGresult *result = PQexec(t->conn, sql);
    ExecStatusType status = PQresultStatus(result);
    if (status != PGRES_COMMAND_OK && status != PGRES_TUPLES_OK) {
        fail_msg("%s: %s", sql, PQerrorMessage(t->conn));
    }
    int64_t value = PQntuples(result) == 0 ? 0 : strtoll(PQgetvalue(result, 0, 0), NULL, 10);
    PQclear(result);
    return value;
}

void
t_write_map(struct t_shards *t, const char *text)
{
    FILE *file = fopen(t->map, "w");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

/* Three shards; `placement` is the lines of slots and tables. */
void
t_map(struct t_shards *t, int epoch, const char *placement)
{
    char text[4096];
    (void)snprintf(
        text,
        sizeof(text),
        "tael-shards 1\nepoch %d\n"
        "shard a %s&options=-csearch_path%%3Dshard_a\n"
        "shard b %s&options=-csearch_path%%3Dshard_b\n"
        "shard c %s&options=-csearch_path%%3Dshard_c\n%s",
        epoch,
        t->server,
        t->server,
        t->server,
        placement);
    t_write_map(t, text);
}

const char *
t_next_map(struct t_shards *t, int epoch, const char *placement)
{
    static char next[sizeof(t->map)];
    char map[sizeof(t->map)];
    memcpy(map, t->map, sizeof(map));
    (void)snprintf(next, sizeof(next), "%s/next", t->folder);
    memcpy(t->map, next, sizeof(next));
    t_map(t, epoch, placement);
    memcpy(t->map, map, sizeof(map));
    return next;
}

err_t
t_try_open(struct t_shards *t, const char *url, struct document_store **ret_store)
{
    t->message[0] = '\0';
    return document_store_open(url, t_kinds, T_KINDS, ret_store, t->message);
}

struct document_store *
t_open(struct t_shards *t, const char *url)
{
    struct document_store *store = NULL;
    err_t error = t_try_open(t, url, &store);
    if (error != ERR_OK) {
        fail_msg("%s: %s", err_name(error), t->message);
    }
    return store;
}

void
t_close(struct document_store **store)
{
    if (*store != NULL) {
        (*store)->ops->close(*store);
        *store = NULL;
    }
}

int
t_setup(void **state)
{
    struct t_shards *t = calloc(1, sizeof(*t));
    assert_non_null(t);
    t->server = getenv("TEST_POSTGRES");
    assert_non_null(t->server);
    (void)snprintf(t->folder, sizeof(t->folder), "/tmp/sharded_test_XXXXXX");
    assert_non_null(mkdtemp(t->folder));
    (void)snprintf(t->map, sizeof(t->map), "%s/map", t->folder);
    (void)snprintf(t->url, sizeof(t->url), "shards:%s", t->map);
    t->conn = PQconnectdb(t->server);
    assert_int_equal(PQstatus(t->conn), CONNECTION_OK);
    (void)t_sql(t, "SET client_min_messages = error");
    static const char *const schemas[] = {"shard_a", "shard_b", "shard_c", "whole"};
    for (size_t i = 0; i < 4; i++) {
        char sql[128];
        (void)snprintf(sql, sizeof(sql), "DROP SCHEMA IF EXISTS %s CASCADE", schemas[i]);
        (void)t_sql(t, sql);
        (void)snprintf(sql, sizeof(sql), "CREATE SCHEMA %s", schemas[i]);
        (void)t_sql(t, sql);
    }
    arena_init(&t->arena, 1 << 26);
    t_map(t, 1, BY_HASH);
    *state = t;
    return 0;
}

int
t_teardown(void **state)
{
    struct t_shards *t = *state;
    t_close(&t->a);
    t_close(&t->b);
    PQfinish(t->conn);
    (void)unlink(t->map);
    assert_int_equal(rmdir(t->folder), 0);
    arena_release(&t->arena);
    free(t);
    return 0;
}

void
t_open_both(struct t_shards *t)
{
    t->a = t_open(t, t->url);
    t->b = t_open(t, t->url);
}

/* ------------------------------------------------------------------------------------- rows */

struct document_row
t_row(struct t_shards *t, uint64_t scope, const char *id, int64_t due, int64_t number)
{
    struct document_row row = {
        .scope = scope,
        .id = span_from_cstr(id),
        .columns = {{.is_null = true}, {.is_null = due == 0}, {.is_null = number == 0}}};
    row.columns[DUE].integer = due;
    row.columns[NUMBER].integer = number;
    row.body = arena_format(
        &t->arena, "{\"due\":%lld,\"number\":%lld}", (long long)due, (long long)number);
    return row;
}

err_t
t_insert(
    struct t_shards *t, struct document_store *store, uint64_t scope, const char *id, int64_t due)
{
    struct document_row row = t_row(t, scope, id, due, 0);
    return store->ops->insert(store, &t_fruit, &row);
}

err_t
t_get(
    struct t_shards *t,
    struct document_store *store,
    uint64_t scope,
    const char *id,
    struct document_row *ret_row)
{
    return store->ops->get(store, &t_fruit, scope, span_from_cstr(id), &t->arena, ret_row);
}

/* Reads it and writes it with another `due`. */
err_t
t_change(
    struct t_shards *t, struct document_store *store, uint64_t scope, const char *id, int64_t due)
{
    struct document_row row;
    TRY(t_get(t, store, scope, id, &row));
    uint32_t version = row.version;
    row = t_row(t, scope, id, due, 0);
    row.version = version;
    return store->ops->update(store, &t_fruit, &row);
}

int64_t
t_due(struct t_shards *t, struct document_store *store, uint64_t scope, const char *id)
{
    struct document_row row;
    store->ops->maintain(store);
    err_t result = t_get(t, store, scope, id, &row);
    return result == ERR_OK ? row.columns[DUE].integer : -1;
}

void
t_begin(struct document_store *store)
{
    assert_int_equal(store->ops->begin(store), ERR_OK);
}

bool
t_take(void *context, const struct document_row *row)
{
    struct t_listed *listed = context;
    struct buf text;
    assert_true(listed->count < ROWS_MAX);
    buf_init_fixed(&text, listed->rows[listed->count++], TEXT_SIZE);
    buf_append_format(
        &text,
        "%llu/%.*s:%u:%lld:%.*s",
        (unsigned long long)row->scope,
        SPAN_PRINTF(row->id),
        row->version,
        (long long)(row->columns[DUE].is_null ? -1 : row->columns[DUE].integer),
        SPAN_PRINTF(row->body));
    buf_append_byte(&text, '\0');
    assert_false(buf_failed(&text));
    return true;
}

void
t_compare_lists(
    struct document_store *left,
    struct document_store *right,
    const struct document_kind *kind,
    const struct document_query *query,
    document_each take)
{
    static struct t_listed lists[2];
    lists[0].count = lists[1].count = 0;
    assert_int_equal(left->ops->list(left, kind, query, take, &lists[0]), ERR_OK);
    assert_int_equal(right->ops->list(right, kind, query, take, &lists[1]), ERR_OK);
    assert_int_equal(lists[0].count, lists[1].count);
    for (uint32_t i = 0; i < lists[0].count; i++) {
        assert_string_equal(lists[0].rows[i], lists[1].rows[i]);
    }
}
