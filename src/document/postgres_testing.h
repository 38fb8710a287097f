/*
 * What the tests of PostgreSQL alone share. TEST_POSTGRES is the database (tools/with-postgres);
 * each test has a schema of its own, and two stores on it, as two processes would have.
 */
#ifndef DOCUMENT_POSTGRES_TESTING_H
#define DOCUMENT_POSTGRES_TESTING_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "document/document.h"
#include "postgres.h"

#define SCOPE 7

/* Columns colour (any case), due (across scopes) and number (unique); rows have an order. */
extern const struct document_kind t_fruit;
extern const struct document_kind *const t_kinds[1];

struct t_two {
    const char *server;
    char url[512];
    struct document_store *a, *b;
    char message[DOCUMENT_MESSAGE_SIZE];
    struct arena arena;
    PGconn *conn; /* of the test itself */
};

/* cmocka's. */
int t_setup(void **state);
int t_teardown(void **state);
/* One more store of the schema. */
struct document_store *t_open(struct t_two *t);

/* By the test's own connection; t_number: the whole number that it answers. */
void t_sql(struct t_two *t, const char *sql);
int64_t t_number(struct t_two *t, const char *sql);

void t_begin(struct document_store *store);
err_t t_commit(struct document_store *store);
/* A row of t_fruit in SCOPE without values in its columns. */
struct document_row t_row(const char *id, uint32_t version, const char *body);
err_t t_insert(struct document_store *store, const char *id, const char *body);
err_t t_update(struct document_store *store, const char *id, uint32_t version, const char *body);
/* The store reads this body. */
void t_expect(struct t_two *t, struct document_store *store, const char *id, const char *body);

#endif
