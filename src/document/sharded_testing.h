/* What the tests of documents in shards share: three schemas of the database that TEST_POSTGRES (a
 * URL) names, and a map of them. */
#ifndef DOCUMENT_SHARDED_TESTING_H
#define DOCUMENT_SHARDED_TESTING_H

#include "document/document.h"

#include <libpq-fe.h>

#define SHARDS    3
#define ROWS_MAX  1024
#define TEXT_SIZE 256

enum {
    COLOUR,
    DUE,
    NUMBER
};

extern const struct document_kind t_fruit;
/* With a column DUE at 0, and two cold members: description and metadata. */
extern const struct document_kind t_note;
#define T_KINDS 3
extern const struct document_kind *const t_kinds[T_KINDS];

struct t_shards {
    char folder[64];
    char map[96];
    char url[128];
    const char *server;
    PGconn *conn;
    struct document_store *a, *b; /* two processes */
    char message[DOCUMENT_MESSAGE_SIZE];
    struct arena arena;
};

/* Lines of slots and tables, for t_map. */
#define BY_HASH "slots 0-5460 a\nslots 5461-10921 b\nslots 10922-16383 c\ntable documents hash\n"
/* The platform on b, merchants to 3 too, to 7 on a, the others on c. */
#define BY_RANGE                                                                                   \
    "slots 0-16383 a\ntable documents range\nfrom - b\nfrom 00000000000000000004 a\n"              \
    "from 00000000000000000008 c\n"

/* Merchants on a and b, cold parts on c. */
#define BY_COLUMN                                                                                  \
    "slots 0-8191 a\nslots 8192-16383 b\ntable documents hash\ntable note column\ncolumn cold c\n"

struct t_listed {
    char rows[ROWS_MAX][TEXT_SIZE];
    uint32_t count;
};

/* The whole number that it answers. */
int64_t t_sql(struct t_shards *t, const char *sql);
void t_write_map(struct t_shards *t, const char *text);
/* Three shards; `placement` is the lines of slots and tables. */
void t_map(struct t_shards *t, int epoch, const char *placement);
/* The next map, in a file beside the present one. */
const char *t_next_map(struct t_shards *t, int epoch, const char *placement);
err_t t_try_open(struct t_shards *t, const char *url, struct document_store **ret_store);
struct document_store *t_open(struct t_shards *t, const char *url);
void t_close(struct document_store **store);
/* Of each test: empty schemas, and a map by hash. */
int t_setup(void **state);
int t_teardown(void **state);
/* Two processes. */
void t_open_both(struct t_shards *t);
struct document_row t_row(
    struct t_shards *t, uint64_t scope, const char *id, int64_t due, int64_t number);
err_t t_insert(
    struct t_shards *t, struct document_store *store, uint64_t scope, const char *id, int64_t due);
err_t t_get(
    struct t_shards *t,
    struct document_store *store,
    uint64_t scope,
    const char *id,
    struct document_row *ret_row);
/* Reads it and writes it with another `due`. */
err_t t_change(
    struct t_shards *t, struct document_store *store, uint64_t scope, const char *id, int64_t due);
/* Of a row as it is in the database; -1: it is not there. */
int64_t t_due(struct t_shards *t, struct document_store *store, uint64_t scope, const char *id);
void t_begin(struct document_store *store);
/* Each of a list. */
bool t_take(void *context, const struct document_row *row);
/* The two list the same. `take` writes each row down in a t_listed, as t_take does. */
void t_compare_lists(
    struct document_store *left,
    struct document_store *right,
    const struct document_kind *kind,
    const struct document_query *query,
    document_each take);

#endif
