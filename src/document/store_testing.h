/*
 * What the tests of stores share. The same behaviour of both databases: SQLite, or with
 * TEST_POSTGRES (a URL) PostgreSQL, in a schema that each test begins anew.
 */
#ifndef DOCUMENT_STORE_TESTING_H
#define DOCUMENT_STORE_TESTING_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "document/document.h"

#define SCOPE 7

/* With colour (indexed), due (indexed across scopes) and weight; and one without columns. Between
 * groups of tests is_small may be set: in SQLite's files that makes another table. */
extern struct document_kind t_fruit;
extern const struct document_kind t_stone;
extern const struct document_kind *const t_kinds[2];

struct t_store {
    char folder[64];
    char url[512];
    const char *file;     /* in url */
    const char *postgres; /* the database's URL, or NULL */
    struct document_store *documents;
    char message[DOCUMENT_MESSAGE_SIZE];
    struct arena arena;
};

/* What a query found, in its order; 0: it is not stopped. */
struct t_names {
    char text[512];
    uint32_t stop_after;
    uint32_t count;
};

/* cmocka's: a store with t_kinds, open, in a new folder or an empty schema. */
int t_setup(void **state);
int t_teardown(void **state);
/* Opens t->url again, with t_kinds or others. */
void t_open(struct t_store *t);
void t_open_kinds(struct t_store *t, const struct document_kind *const *some, uint32_t count);
void t_close(struct t_store *t);
/* Nothing is in the database any more; the store is closed. */
void t_empty(struct t_store *t);

/* By another connection, past the store: of PostgreSQL, the first value of the answer, or with NULL
 * none; of SQLite. */
void t_postgres_sql(struct t_store *t, const char *sql, char *ret_text, size_t size);
void t_sql(struct t_store *t, const char *sql);

err_t t_begin(struct t_store *t);
err_t t_commit(struct t_store *t);
/* A t_fruit whose columns agree with its body; NULL and 0 are none. In the arena. */
struct document_row t_row(
    struct t_store *t, uint64_t scope, const char *id, const char *colour, int64_t due);
err_t t_insert(struct t_store *t, const struct document_row *row);
void t_insert_committed(struct t_store *t, const struct document_row *row);
/* A t_fruit; `ret_row` may be NULL. */
err_t t_get(struct t_store *t, uint64_t scope, const char *id, struct document_row *ret_row);
/* Some t_fruit, committed. */
void t_fill(struct t_store *t);
/* How SQLite runs the newest shape of list of the first kind: one step, by that index. Of
 * PostgreSQL nothing is asked. */
void t_expect_plan(struct t_store *t, const char *index);
/* Of struct t_names: adds the row's id and a blank to the text. */
bool t_collect(void *context, const struct document_row *row);

#endif
