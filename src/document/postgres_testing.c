#include "postgres_testing.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const struct document_kind t_fruit = {
    .name = "fruit",
    .columns =
        {{"colour", DOCUMENT_TEXT, .indexed = true, .any_case = true},
         {"due", DOCUMENT_INTEGER, .indexed = true, .across_scopes = true},
         {"number", DOCUMENT_INTEGER, .indexed = true, .unique = true}},
    .column_count = 3,
    .has_order = true,
};
const struct document_kind *const t_kinds[1] = {&t_fruit};

void
t_sql(struct t_two *t, const char *sql)
{
    PGresult *result = PQexec(t->conn, sql);
    ExecStatusType status = PQresultStatus(result);
    if (status != PGRES_COMMAND_OK && status != PGRES_TUPLES_OK) {
        fail_msg("%s: %s", sql, PQerrorMessage(t->conn));
    }
    PQclear(result);
}

int64_t
t_number(struct t_two *t, const char *sql)
{
    PGresult *result = PQexec(t->conn, sql);
    if (PQresultStatus(result) != PGRES_TUPLES_OK) {
        fail_msg("%s: %s", sql, PQerrorMessage(t->conn));
    }
    int64_t value = strtoll(PQgetvalue(result, 0, 0), NULL, 10);
    PQclear(result);
    return value;
}

struct document_store *
t_open(struct t_two *t)
{
    struct document_store *store = NULL;
    err_t error = document_store_open(t->url, t_kinds, 1, &store, t->message);
    if (error != ERR_OK) {
        fail_msg("%s: %s", err_name(error), t->message);
    }
    return store;
}

int
t_setup(void **state)
{
    struct t_two *t = calloc(1, sizeof(*t));
    assert_non_null(t);
    t->server = getenv("TEST_POSTGRES");
    assert_non_null(t->server);
    (void)snprintf(t->url, sizeof(t->url), "%s&options=-csearch_path%%3Dpostgres_test", t->server);
    t->conn = PQconnectdb(t->url);
    assert_int_equal(PQstatus(t->conn), CONNECTION_OK);
    t_sql(t, "SET client_min_messages = error");
    t_sql(t, "DROP SCHEMA IF EXISTS postgres_test CASCADE");
    t_sql(t, "CREATE SCHEMA postgres_test");
    arena_init(&t->arena, 1 << 24);
    t->a = t_open(t);
    t->b = t_open(t);
    *state = t;
    return 0;
}

int
t_teardown(void **state)
{
    struct t_two *t = *state;
    t->a->ops->close(t->a);
    t->b->ops->close(t->b);
    PQfinish(t->conn);
    arena_release(&t->arena);
    free(t);
    return 0;
}

struct document_row
t_row(const char *id, uint32_t version, const char *body)
{
    return (struct document_row){
        .scope = SCOPE,
        .id = span_from_cstr(id),
        .version = version,
        .body = span_from_cstr(body),
        .columns = {{.is_null = true}, {.is_null = true}, {.is_null = true}},
    };
}

err_t
t_insert(struct document_store *store, const char *id, const char *body)
{
    struct document_row row = t_row(id, 0, body);
    return store->ops->insert(store, &t_fruit, &row);
}

err_t
t_update(struct document_store *store, const char *id, uint32_t version, const char *body)
{
    struct document_row row = t_row(id, version, body);
    return store->ops->update(store, &t_fruit, &row);
}

void
t_begin(struct document_store *store)
{
    assert_int_equal(store->ops->begin(store), ERR_OK);
}

err_t
t_commit(struct document_store *store)
{
    err_t result = store->ops->commit(store);
    store->ops->maintain(store);
    return result;
}

/* The body, "" if it is not there; read anew. */
void
t_expect(struct t_two *t, struct document_store *store, const char *id, const char *body)
{
    struct document_row row = {.body = SPAN_EMPTY};
    store->ops->maintain(store);
    err_t result = store->ops->get(store, &t_fruit, SCOPE, span_from_cstr(id), &t->arena, &row);
    store->ops->maintain(store);
    assert_int_equal(result, body[0] == '\0' ? ERR_NOT_FOUND : ERR_OK);
    assert_true(span_equal_cstr(row.body, body));
}
