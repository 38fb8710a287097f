#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/*
 * Documents in shards, each a schema of the database that TEST_POSTGRES (a URL) names: the same as
 * in one store; who loses, and what happens to the others; what is refused.
 */
#include "base/buf.h"
#include "document/document.h"
#include "document/shards.h"
#include "os/prng.h"

#include <libpq-fe.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SHARDS    3
#define SCOPES    24
#define IDS       6
#define ROUNDS    120
#define STEPS     24
#define ROWS_MAX  1024
#define OWNERS    12
#define TEXT_SIZE 256

enum {
    COLOUR,
    DUE,
    NUMBER
};

static const struct document_kind fruit = {
    .name = "fruit",
    .columns =
        {{"colour", DOCUMENT_TEXT, .indexed = true},
         {"due", DOCUMENT_INTEGER, .indexed = true, .across_scopes = true},
         {"number", DOCUMENT_INTEGER, .indexed = true, .across_scopes = true, .unique = true}},
    .column_count = 3,
};
static const struct document_kind stone = {.name = "stone"};
static const struct document_kind *const kinds[] = {&fruit, &stone};

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

static int64_t
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

static void
t_write_map(struct t_shards *t, const char *text)
{
    FILE *file = fopen(t->map, "w");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

/* Three shards; `placement` is the lines of slots and tables. */
static void
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

#define BY_HASH "slots 0-5460 a\nslots 5461-10921 b\nslots 10922-16383 c\ntable documents hash\n"
/* The platform on b, merchants to 3 too, to 7 on a, the others on c. */
#define BY_RANGE                                                                                   \
    "slots 0-16383 a\ntable documents range\nfrom - b\nfrom 00000000000000000004 a\n"              \
    "from 00000000000000000008 c\n"

static err_t
t_try_open(struct t_shards *t, const char *url, struct document_store **ret_store)
{
    t->message[0] = '\0';
    return document_store_open(url, kinds, 2, ret_store, t->message);
}

static struct document_store *
t_open(struct t_shards *t, const char *url)
{
    struct document_store *store = NULL;
    err_t error = t_try_open(t, url, &store);
    if (error != ERR_OK) {
        fail_msg("%s: %s", err_name(error), t->message);
    }
    return store;
}

static void
t_close(struct document_store **store)
{
    if (*store != NULL) {
        (*store)->ops->close(*store);
        *store = NULL;
    }
}

static int
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

static int
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

static void
t_open_both(struct t_shards *t)
{
    t->a = t_open(t, t->url);
    t->b = t_open(t, t->url);
}

/* ------------------------------------------------------------------------------------- rows */

static struct document_row
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

static err_t
t_insert(
    struct t_shards *t, struct document_store *store, uint64_t scope, const char *id, int64_t due)
{
    struct document_row row = t_row(t, scope, id, due, 0);
    return store->ops->insert(store, &fruit, &row);
}

static err_t
t_get(
    struct t_shards *t,
    struct document_store *store,
    uint64_t scope,
    const char *id,
    struct document_row *ret_row)
{
    return store->ops->get(store, &fruit, scope, span_from_cstr(id), &t->arena, ret_row);
}

/* Reads it and writes it with another `due`. */
static err_t
t_change(
    struct t_shards *t, struct document_store *store, uint64_t scope, const char *id, int64_t due)
{
    struct document_row row;
    TRY(t_get(t, store, scope, id, &row));
    uint32_t version = row.version;
    row = t_row(t, scope, id, due, 0);
    row.version = version;
    return store->ops->update(store, &fruit, &row);
}

static int64_t
t_due(struct t_shards *t, struct document_store *store, uint64_t scope, const char *id)
{
    struct document_row row;
    store->ops->maintain(store);
    err_t result = t_get(t, store, scope, id, &row);
    return result == ERR_OK ? row.columns[DUE].integer : -1;
}

static void
t_begin(struct document_store *store)
{
    assert_int_equal(store->ops->begin(store), ERR_OK);
}

/* A scope with an even number whose rows the shard has, other than those of the platform. */
static uint64_t
t_scope_on(struct t_shards *t, const char *shard)
{
    char sql[128];
    for (uint64_t scope = 2; scope < 400; scope += 2) {
        struct document_store *store = t->a;
        t_begin(store);
        store->shared->owner(store, NULL);
        assert_int_equal(t_insert(t, store, scope, "probe", 0), ERR_OK);
        err_t result = store->ops->commit(store); /* it may be there */
        assert_true(result == ERR_OK || result == ERR_STALE);
        (void)snprintf(
            sql,
            sizeof(sql),
            "SELECT count(*) FROM %s.fruit WHERE scope = %llu",
            shard,
            (unsigned long long)scope);
        if (t_sql(t, sql) == 1) {
            return scope;
        }
    }
    fail_msg("no scope on %s", shard);
    return 0;
}

/* Which schema has the rows of scope 0, and two scopes that are elsewhere, on two shards. */
struct t_places {
    const char *platform;
    uint64_t one, other;
};

static struct t_places
t_places(struct t_shards *t)
{
    static const char *const schemas[] = {"shard_a", "shard_b", "shard_c"};
    struct t_places places = {.one = 0};
    t_begin(t->a);
    assert_int_equal(t_insert(t, t->a, 0, "probe", 0), ERR_OK);
    assert_int_equal(t->a->ops->commit(t->a), ERR_OK);
    for (size_t i = 0; i < SHARDS; i++) {
        char sql[128];
        (void)snprintf(
            sql, sizeof(sql), "SELECT count(*) FROM %s.fruit WHERE scope = 0", schemas[i]);
        if (t_sql(t, sql) == 1) {
            places.platform = schemas[i];
        }
    }
    assert_non_null(places.platform);
    for (size_t i = 0; i < SHARDS; i++) {
        if (schemas[i] != places.platform) {
            uint64_t *scope = places.one == 0 ? &places.one : &places.other;
            *scope = t_scope_on(t, schemas[i]);
        }
    }
    return places;
}

/* ----------------------------------------------------------------------------- beside one store */

struct t_listed {
    char rows[ROWS_MAX][TEXT_SIZE];
    uint32_t count;
};

static bool
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

static void
t_compare_lists(
    struct document_store *shards, struct document_store *whole, const struct document_query *query)
{
    static struct t_listed left, right;
    left.count = right.count = 0;
    assert_int_equal(shards->ops->list(shards, &fruit, query, t_take, &left), ERR_OK);
    assert_int_equal(whole->ops->list(whole, &fruit, query, t_take, &right), ERR_OK);
    assert_int_equal(left.count, right.count);
    for (uint32_t i = 0; i < left.count; i++) {
        assert_string_equal(left.rows[i], right.rows[i]);
    }
}

static uint32_t
t_below(struct os_prng *prng, uint32_t limit)
{
    return (uint32_t)os_prng_below(prng, limit);
}

/* One random write, the same in both; the outcomes are the same. */
static void
t_random_write(
    struct t_shards *t,
    struct document_store *shards,
    struct document_store *whole,
    struct os_prng *prng,
    uint64_t scope)
{
    char id[16];
    (void)snprintf(id, sizeof(id), "f%u", t_below(prng, IDS));
    int64_t due = t_below(prng, 3) == 0 ? 0 : 1 + t_below(prng, 40);
    struct document_row there;
    struct document_row row = t_row(t, scope, id, due, 0);
    err_t left = t_get(t, shards, scope, id, &there);
    assert_int_equal(left, t_get(t, whole, scope, id, &there));
    switch (left == ERR_OK ? t_below(prng, 4) : 4) {
    case 0:
        left = shards->ops->remove(shards, &fruit, scope, row.id, there.version);
        assert_int_equal(whole->ops->remove(whole, &fruit, scope, row.id, there.version), left);
        break;
    case 1: /* of a version that is not there */
        row.version = there.version + 1;
        left = shards->ops->update(shards, &fruit, &row);
        assert_int_equal(left, ERR_STALE);
        assert_int_equal(whole->ops->update(whole, &fruit, &row), left);
        break;
    case 2:
    case 3:
        row.version = there.version;
        left = shards->ops->update(shards, &fruit, &row);
        assert_int_equal(whole->ops->update(whole, &fruit, &row), left);
        break;
    default:
        left = shards->ops->insert(shards, &fruit, &row);
        assert_int_equal(whole->ops->insert(whole, &fruit, &row), left);
        break;
    }
}

static void
t_compare_random_lists(
    struct document_store *shards, struct document_store *whole, struct os_prng *prng)
{
    struct document_query query = {
        .scope = t_below(prng, SCOPES),
        .range_column = UINT32_MAX,
        .oldest_first = t_below(prng, 2) == 0,
        .limit = 1 + t_below(prng, 50)};
    t_compare_lists(shards, whole, &query);
    query.all_scopes = true;
    query.range_column = DUE;
    query.range_min = t_below(prng, 20);
    query.range_max = query.range_min + t_below(prng, 40);
    t_compare_lists(shards, whole, &query);
}

static void
t_beside_one_store(struct t_shards *t, uint64_t seed)
{
    char url[512];
    char owners[OWNERS];
    struct os_prng prng;
    os_prng_seed(&prng, seed);
    (void)snprintf(url, sizeof(url), "%s&options=-csearch_path%%3Dwhole", t->server);
    t->a = t_open(t, t->url);
    struct document_store *whole = t_open(t, url);
    for (uint32_t round = 0; round < ROUNDS; round++) {
        t_begin(t->a);
        t_begin(whole);
        for (uint32_t i = 0; i < STEPS; i++) {
            uint32_t owner = t_below(&prng, OWNERS);
            t->a->shared->owner(t->a, &owners[owner]);
            whole->shared->owner(whole, &owners[owner]);
            /* Each owner has its merchants, of both modes. */
            uint64_t scope = owner * 2 + t_below(&prng, 2);
            t_random_write(t, t->a, whole, &prng, scope);
        }
        t->a->shared->owner(t->a, NULL);
        whole->shared->owner(whole, NULL);
        t_compare_random_lists(t->a, whole, &prng);
        if (t_below(&prng, 5) == 0) {
            t->a->ops->rollback(t->a);
            whole->ops->rollback(whole);
        } else {
            assert_int_equal(t->a->ops->commit(t->a), ERR_OK);
            assert_int_equal(whole->ops->commit(whole), ERR_OK);
        }
        t_compare_random_lists(t->a, whole, &prng);
        t->a->ops->maintain(t->a);
        whole->ops->maintain(whole);
        arena_clear(&t->arena);
    }
    t_close(&whole);
    assert_int_not_equal(t_sql(t, "SELECT count(*) FROM shard_a.fruit"), 0);
    assert_int_not_equal(t_sql(t, "SELECT count(*) FROM shard_b.fruit"), 0);
    assert_int_not_equal(t_sql(t, "SELECT count(*) FROM shard_c.fruit"), 0);
}

static void
by_hash_it_is_as_one_store(void **state)
{
    t_beside_one_store(*state, 20261129);
}

static void
by_range_it_is_as_one_store(void **state)
{
    struct t_shards *t = *state;
    t_map(t, 1, BY_RANGE);
    t_beside_one_store(t, 20261130);
    assert_int_equal(
        t_sql(t, "SELECT count(*) FROM shard_a.fruit WHERE scope NOT BETWEEN 8 AND 15"), 0);
    assert_int_equal(t_sql(t, "SELECT count(*) FROM shard_b.fruit WHERE scope > 7"), 0);
    assert_int_equal(t_sql(t, "SELECT count(*) FROM shard_c.fruit WHERE scope < 16"), 0);
}

/* ----------------------------------------------------------------------------------- who loses */

static void
a_loser_of_one_shard_is_nobody_elses(void **state)
{
    struct t_shards *t = *state;
    char one, other, rival;
    t_open_both(t);
    struct t_places at = t_places(t);
    t_begin(t->a);
    t->a->shared->owner(t->a, &one);
    assert_int_equal(t_change(t, t->a, at.one, "probe", 5), ERR_OK);
    t->a->shared->owner(t->a, &other);
    assert_int_equal(t_change(t, t->a, at.other, "probe", 6), ERR_OK);
    t_begin(t->b);
    t->b->shared->owner(t->b, &rival);
    assert_int_equal(t_change(t, t->b, at.one, "probe", 7), ERR_OK);
    assert_int_equal(t->b->ops->commit(t->b), ERR_OK);
    assert_int_equal(t->b->shared->outcome(t->b, &rival), ERR_OK);
    assert_int_equal(t->a->ops->commit(t->a), ERR_OK);
    assert_int_equal(t->a->shared->outcome(t->a, &one), ERR_STALE);
    assert_int_equal(t->a->shared->outcome(t->a, &other), ERR_OK);
    assert_int_equal(t_due(t, t->b, at.one, "probe"), 7);
    assert_int_equal(t_due(t, t->b, at.other, "probe"), 6);
}

static void
all_losers_are_told_by_the_commit(void **state)
{
    struct t_shards *t = *state;
    char one;
    t_open_both(t);
    struct t_places at = t_places(t);
    t_begin(t->a);
    t->a->shared->owner(t->a, &one);
    assert_int_equal(t_change(t, t->a, at.one, "probe", 5), ERR_OK);
    t_begin(t->b);
    assert_int_equal(t_change(t, t->b, at.one, "probe", 7), ERR_OK);
    assert_int_equal(t->b->ops->commit(t->b), ERR_OK);
    assert_int_equal(t->a->ops->commit(t->a), ERR_STALE);
    assert_int_equal(t->a->shared->outcome(t->a, &one), ERR_STALE);
}

/* SHARDED-1 */
static void
what_crosses_is_refused(void **state)
{
    struct t_shards *t = *state;
    char one;
    t_open_both(t);
    struct t_places at = t_places(t);
    struct document_row row;
    t_begin(t->a);
    t->a->shared->owner(t->a, &one);
    assert_int_equal(t_insert(t, t->a, at.one, "x", 1), ERR_OK);
    assert_int_equal(t_insert(t, t->a, at.one + 1, "x", 1), ERR_OK); /* the other mode */
    assert_int_equal(t_insert(t, t->a, at.other, "x", 1), ERR_CROSSES_SHARDS);
    assert_int_equal(t_insert(t, t->a, 0, "x", 1), ERR_CROSSES_SHARDS);
    assert_int_equal(t_get(t, t->a, at.other, "probe", &row), ERR_OK);
    assert_int_equal(
        t->a->ops->remove(t->a, &fruit, at.other, SPAN("probe"), row.version), ERR_CROSSES_SHARDS);
    assert_int_equal(t->a->ops->commit(t->a), ERR_OK);
    assert_int_equal(t->a->shared->outcome(t->a, &one), ERR_OK);
    assert_int_equal(t_due(t, t->b, at.one, "x"), 1);
    assert_int_equal(t_due(t, t->b, at.one + 1, "x"), 1);
    assert_int_equal(t_due(t, t->b, at.other, "x"), -1);
    assert_int_equal(t_due(t, t->b, 0, "x"), -1);
}

static err_t
t_fact(struct t_shards *t, struct document_store *store, const char *id)
{
    struct document_row row = t_row(t, 0, id, 1, 0);
    row.unless_there = true;
    return store->ops->insert(store, &fruit, &row);
}

/* SHARDED-2 */
static void
a_fact_stays_whatever_becomes_of_its_owner(void **state)
{
    struct t_shards *t = *state;
    char one, other;
    t_open_both(t);
    struct t_places at = t_places(t);
    t_begin(t->a);
    t->a->shared->owner(t->a, &one);
    assert_int_equal(t_change(t, t->a, at.one, "probe", 5), ERR_OK);
    assert_int_equal(t_fact(t, t->a, "fact"), ERR_OK);
    t->a->shared->owner(t->a, &other); /* reads the fact, and has lost nothing by it */
    assert_int_equal(t_fact(t, t->a, "fact"), ERR_EXISTS);
    assert_int_equal(t_change(t, t->a, at.other, "probe", 6), ERR_OK);
    t_begin(t->b);
    assert_int_equal(t_change(t, t->b, at.one, "probe", 7), ERR_OK);
    assert_int_equal(t->b->ops->commit(t->b), ERR_OK);
    assert_int_equal(t->a->ops->commit(t->a), ERR_OK);
    assert_int_equal(t->a->shared->outcome(t->a, &one), ERR_STALE);
    assert_int_equal(t->a->shared->outcome(t->a, &other), ERR_OK);
    assert_int_equal(t_due(t, t->b, 0, "fact"), 1);
    assert_int_equal(t_due(t, t->b, at.one, "probe"), 7);
    assert_int_equal(t_due(t, t->b, at.other, "probe"), 6);
}

/* SHARDED-3: whoever read what a loser wrote on the platform's shard. */
static void
who_built_on_a_loser_of_the_platform_has_lost(void **state)
{
    struct t_shards *t = *state;
    char operator_, merchant, bystander;
    struct document_row row;
    t_open_both(t);
    struct t_places at = t_places(t);
    t_begin(t->a);
    t->a->shared->owner(t->a, &operator_);
    assert_int_equal(t_change(t, t->a, 0, "probe", 5), ERR_OK);
    t->a->shared->owner(t->a, &merchant);
    assert_int_equal(t_get(t, t->a, 0, "probe", &row), ERR_OK);
    assert_int_equal(t_change(t, t->a, at.one, "probe", row.columns[DUE].integer), ERR_OK);
    t->a->shared->owner(t->a, &bystander);
    assert_int_equal(t_change(t, t->a, at.other, "probe", 6), ERR_OK);
    t_begin(t->b);
    assert_int_equal(t_change(t, t->b, 0, "probe", 7), ERR_OK);
    assert_int_equal(t->b->ops->commit(t->b), ERR_OK);
    assert_int_equal(t->a->ops->commit(t->a), ERR_OK);
    assert_int_equal(t->a->shared->outcome(t->a, &operator_), ERR_STALE);
    assert_int_equal(t->a->shared->outcome(t->a, &merchant), ERR_STALE);
    assert_int_equal(t->a->shared->outcome(t->a, &bystander), ERR_OK);
    assert_int_equal(t_due(t, t->b, 0, "probe"), 7);
    assert_int_equal(t_due(t, t->b, at.one, "probe"), 0);
    assert_int_equal(t_due(t, t->b, at.other, "probe"), 6);
}

/* SHARDED-3: between two homes. Who built on whom cannot be known before both have committed. */
static void
who_read_anothers_home_begins_anew(void **state)
{
    struct t_shards *t = *state;
    char one, other;
    struct document_row row;
    t_open_both(t);
    struct t_places at = t_places(t);
    t_begin(t->a);
    t->a->shared->owner(t->a, &one);
    assert_int_equal(t_change(t, t->a, at.one, "probe", 5), ERR_OK);
    t->a->shared->owner(t->a, &other);
    assert_int_equal(t_get(t, t->a, at.one, "probe", &row), ERR_OK);
    assert_int_equal(t_change(t, t->a, at.other, "probe", row.columns[DUE].integer), ERR_OK);
    assert_int_equal(t->a->ops->commit(t->a), ERR_OK);
    assert_int_equal(t->a->shared->outcome(t->a, &one), ERR_OK);
    assert_int_equal(t->a->shared->outcome(t->a, &other), ERR_STALE);
    assert_int_equal(t_due(t, t->b, at.one, "probe"), 5);
    assert_int_equal(t_due(t, t->b, at.other, "probe"), 0);
    /* What is committed may be read everywhere. */
    t_begin(t->a);
    t->a->shared->owner(t->a, &other);
    assert_int_equal(t_get(t, t->a, at.one, "probe", &row), ERR_OK);
    assert_int_equal(t_change(t, t->a, at.other, "probe", row.columns[DUE].integer), ERR_OK);
    assert_int_equal(t->a->ops->commit(t->a), ERR_OK);
    assert_int_equal(t->a->shared->outcome(t->a, &other), ERR_OK);
    assert_int_equal(t_due(t, t->b, at.other, "probe"), 5);
}

/* SHARDED-6 */
static void
a_number_is_given_once_over_all_shards(void **state)
{
    struct t_shards *t = *state;
    char one, other;
    t_open_both(t);
    struct t_places at = t_places(t);
    struct document_row here = t_row(t, at.one, "n", 0, 17);
    struct document_row there = t_row(t, at.other, "n", 0, 17);
    t_begin(t->a);
    t->a->shared->owner(t->a, &one);
    t_begin(t->b);
    t->b->shared->owner(t->b, &other);
    assert_int_equal(t->a->ops->insert(t->a, &fruit, &here), ERR_OK);
    assert_int_equal(t->b->ops->insert(t->b, &fruit, &there), ERR_OK);
    assert_int_equal(t->a->ops->commit(t->a), ERR_OK);
    assert_int_equal(t->b->ops->commit(t->b), ERR_STALE);
    assert_int_equal(t->b->shared->outcome(t->b, &other), ERR_STALE);
    /* Behind it, and in the same transaction. */
    struct document_row again = t_row(t, at.one, "m", 0, 18);
    there.columns[NUMBER].integer = 18;
    t_begin(t->b);
    t->b->shared->owner(t->b, &one);
    assert_int_equal(t->b->ops->insert(t->b, &fruit, &again), ERR_OK);
    t->b->shared->owner(t->b, &other);
    assert_int_equal(t->b->ops->insert(t->b, &fruit, &there), ERR_OK);
    assert_int_equal(t->b->ops->commit(t->b), ERR_OK);
    assert_int_equal(t->b->shared->outcome(t->b, &one), ERR_OK);
    assert_int_equal(t->b->shared->outcome(t->b, &other), ERR_STALE);
    /* The row that has it may be written. */
    again.version = 1;
    t_begin(t->b);
    t->b->shared->owner(t->b, &one);
    assert_int_equal(t->b->ops->update(t->b, &fruit, &again), ERR_OK);
    assert_int_equal(t->b->ops->commit(t->b), ERR_OK);
    assert_int_equal(t->b->shared->outcome(t->b, &one), ERR_OK);
}

/* SHARDED-4: the connections to one schema break; the databases are there. */
static void
a_shard_that_fails_fails_its_own(void **state)
{
    struct t_shards *t = *state;
    char one, other, reader;
    char sql[256];
    struct document_row row;
    t_open_both(t);
    struct t_places at = t_places(t);
    t_begin(t->a);
    t->a->shared->owner(t->a, &one);
    assert_int_equal(t_change(t, t->a, at.one, "probe", 5), ERR_OK);
    t->a->shared->owner(t->a, &other);
    assert_int_equal(t_change(t, t->a, at.other, "probe", 6), ERR_OK);
    t->a->shared->owner(t->a, &reader);
    assert_int_equal(t_get(t, t->a, at.one, "probe", &row), ERR_OK);
    /* The database refuses what is written where `one` is, as one that is full would. */
    const char *schema = strcmp(at.platform, "shard_a") == 0 ? "shard_b" : "shard_a";
    (void)snprintf(
        sql, sizeof(sql), "ALTER TABLE %s.fruit ADD CONSTRAINT broken CHECK (due <> 5)", schema);
    (void)t_sql(t, sql);
    assert_int_equal(t->a->ops->commit(t->a), ERR_OK);
    assert_int_equal(t->a->shared->outcome(t->a, &one), ERR_DATABASE);
    assert_int_equal(t->a->shared->outcome(t->a, &reader), ERR_DATABASE);
    assert_int_equal(t->a->shared->outcome(t->a, &other), ERR_OK);
    assert_int_equal(t_due(t, t->b, at.one, "probe"), 0);
    assert_int_equal(t_due(t, t->b, at.other, "probe"), 6);
}

static void
a_commit_whose_connection_breaks_is_settled(void **state)
{
    struct t_shards *t = *state;
    char one, other;
    t_open_both(t);
    struct t_places at = t_places(t);
    t_begin(t->a);
    t->a->shared->owner(t->a, &one);
    assert_int_equal(t_change(t, t->a, at.one, "probe", 5), ERR_OK);
    t->a->shared->owner(t->a, &other);
    assert_int_equal(t_change(t, t->a, at.other, "probe", 6), ERR_OK);
    (void)t_sql(
        t,
        "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE pid <> "
        "pg_backend_pid() AND backend_type = 'client backend'");
    err_t result = t->a->ops->commit(t->a);
    assert_int_equal(result, ERR_CLOSED); /* known not to be there, on either */
    assert_int_equal(t_due(t, t->a, at.one, "probe"), 0);
    assert_int_equal(t_due(t, t->a, at.other, "probe"), 0);
}

static void
locks_are_of_the_scopes_shard(void **state)
{
    struct t_shards *t = *state;
    t_open_both(t);
    struct t_places at = t_places(t);
    struct document_lock mine[3] = {
        {.scope = at.one, .id = SPAN("x")},
        {.scope = at.other, .id = SPAN("x")},
        {.scope = 0, .id = SPAN("x")}};
    struct document_lock theirs[3];
    memcpy(theirs, mine, sizeof(theirs));
    assert_int_equal(t->a->shared->lock(t->a, mine, 2), ERR_OK);
    assert_true(mine[0].granted && mine[1].granted);
    assert_int_equal(t->b->shared->lock(t->b, theirs, 3), ERR_OK);
    assert_false(theirs[0].granted || theirs[1].granted);
    assert_true(theirs[2].granted);
    t->a->shared->unlock(t->a, at.one, SPAN("x"));
    t->a->ops->maintain(t->a);
    assert_int_equal(t->b->shared->lock(t->b, theirs, 2), ERR_OK);
    assert_true(theirs[0].granted);
    assert_false(theirs[1].granted);
    assert_true(t->a->shared->lead(t->a, "work"));
    assert_false(t->b->shared->lead(t->b, "work"));
}

static void
what_is_wished_for_is_not_asked_again(void **state)
{
    struct t_shards *t = *state;
    struct document_row row;
    t_open_both(t);
    struct t_places at = t_places(t);
    const struct document_wish wishes[3] = {
        {.kind = &fruit, .scope = at.one, .id = SPAN("probe")},
        {.kind = &fruit, .scope = at.other, .id = SPAN("probe")},
        {.kind = &fruit, .scope = 0, .id = SPAN("nothing")}};
    assert_int_equal(t->b->shared->prefetch(t->b, wishes, 3), ERR_OK);
    uint64_t trips = t->b->shared->round_trips(t->b);
    assert_int_equal(t_get(t, t->b, at.one, "probe", &row), ERR_OK);
    assert_int_equal(t_get(t, t->b, at.other, "probe", &row), ERR_OK);
    assert_int_equal(t_get(t, t->b, 0, "nothing", &row), ERR_NOT_FOUND);
    assert_int_equal(t->b->shared->round_trips(t->b), trips);
}

/* -------------------------------------------------------------------------------------- the map */

static void
t_refused(struct t_shards *t, err_t expected, const char *why)
{
    struct document_store *store = NULL;
    assert_int_equal(t_try_open(t, t->url, &store), expected);
    if (strstr(t->message, why) == NULL) {
        fail_msg("%s, expected: %s", t->message, why);
    }
}

static void
maps_that_cannot_be_are_refused(void **state)
{
    struct t_shards *t = *state;
    char text[1024];
    t_write_map(t, "tael-shards 1\nepoch 0\n");
    t_refused(t, ERR_INVALID, "line 2");
    t_map(t, 1, "slots 0-16383 a\n");
    t_refused(t, ERR_INVALID, "there is no 'table documents'");
    t_map(t, 1, "slots 0-16383 a\ntable documents column\ncolumn * a\n");
    t_refused(t, ERR_INVALID, "hash or range");
    t_map(t, 1, BY_HASH "table event range\nfrom - a\n");
    t_refused(t, ERR_INVALID, "table event");
    t_map(t, 1, "slots 0-16383 a\ntable documents range\nfrom - a\nfrom 7 b\n");
    t_refused(t, ERR_INVALID, "20 digits");
    (void)snprintf(
        text,
        sizeof(text),
        "tael-shards 1\nepoch 1\nshard a sqlite:x\nslots 0-16383 a\ntable documents hash\n");
    t_write_map(t, text);
    t_refused(t, ERR_INVALID, "shard a is not at postgres://");
    (void)unlink(t->map);
    t_refused(t, ERR_NOT_FOUND, t->map);
    t_write_map(t, "");
}

/* SHARDED-5 */
static void
an_old_map_is_refused(void **state)
{
    struct t_shards *t = *state;
    struct document_row row;
    t_open_both(t);
    t_close(&t->b);
    t_map(t, 2, BY_HASH);
    t_refused(t, ERR_MOVED, "epoch 1, the map of epoch 2");
    (void)t_sql(t, "UPDATE shard_a.tael_shard SET epoch = 2");
    (void)t_sql(t, "UPDATE shard_b.tael_shard SET epoch = 2");
    (void)t_sql(t, "UPDATE shard_c.tael_shard SET epoch = 2");
    t->b = t_open(t, t->url);
    /* A session that breaks does not come back by the old one. */
    (void)t_sql(
        t,
        "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE pid <> "
        "pg_backend_pid() AND backend_type = 'client backend'");
    err_t result = t_get(t, t->a, 0, "probe", &row);
    for (int i = 0; result == ERR_CLOSED && i < 100; i++) {
        (void)usleep(20000);
        result = t_get(t, t->a, 0, "probe", &row);
    }
    assert_int_equal(result, ERR_MOVED);
    (void)t_sql(t, "UPDATE shard_b.tael_shard SET next = 3");
    t_close(&t->a);
    t_refused(t, ERR_MOVED, "shard b: its rows have begun to move");
}

static void
a_shard_is_not_opened_as_a_whole_nor_for_another(void **state)
{
    struct t_shards *t = *state;
    char url[512];
    struct document_store *store = NULL;
    t_open_both(t);
    (void)snprintf(url, sizeof(url), "%s&options=-csearch_path%%3Dshard_a", t->server);
    assert_int_equal(t_try_open(t, url, &store), ERR_VERSION);
    assert_non_null(strstr(t->message, "one shard of several"));
    /* What a program that knows no shards looks at. */
    assert_int_equal(t_sql(t, "SELECT oldest_layout FROM shard_a.tael_layout"), 2);
    t_close(&t->a);
    t_close(&t->b);
    (void)t_sql(t, "UPDATE shard_b.tael_shard SET name = 'c'");
    t_refused(t, ERR_MOVED, "shard b: it is the shard c, and b in the map");
}

static void
one_store_becomes_a_shard_if_the_map_has_its_rows_there(void **state)
{
    struct t_shards *t = *state;
    char url[512];
    (void)snprintf(url, sizeof(url), "%s&options=-csearch_path%%3Dshard_a", t->server);
    t->b = t_open(t, url);
    t_begin(t->b);
    assert_int_equal(t_insert(t, t->b, 4, "x", 1), ERR_OK);
    assert_int_equal(t->b->ops->commit(t->b), ERR_OK);
    t_map(t, 1, "slots 0-16383 a\ntable documents hash\n");
    t_refused(t, ERR_LOCKED, "in use by a process that has it as all documents");
    t_close(&t->b);
    t_map(t, 1, "slots 0-16383 b\ntable documents hash\n");
    t_refused(t, ERR_MOVED, "fruit has rows of merchant 2");
    t_map(t, 1, "slots 0-16383 a\ntable documents hash\n");
    t->a = t_open(t, t->url);
    assert_int_equal(t_due(t, t->a, 4, "x"), 1);
}

/* ---------------------------------------------------------------------------------------- moving
 */

#define MERCHANTS 40

/* Rows of many merchants and of the platform, all in one list. */
static void
t_fill(struct t_shards *t)
{
    t->a = t_open(t, t->url);
    t_begin(t->a);
    for (uint64_t scope = 0; scope < 2 * MERCHANTS; scope++) {
        char id[16];
        for (int i = 0; i < 3; i++) {
            (void)snprintf(id, sizeof(id), "f%d", i);
            assert_int_equal(t_insert(t, t->a, scope, id, 1 + i), ERR_OK);
        }
        assert_int_equal(t_change(t, t->a, scope, "f1", 7), ERR_OK);
    }
    assert_int_equal(t->a->ops->commit(t->a), ERR_OK);
}

static void
t_list_all(struct t_shards *t, struct t_listed *listed)
{
    const struct document_query all = {
        .all_scopes = true,
        .range_column = DUE,
        .range_min = 0,
        .range_max = INT64_MAX,
        .oldest_first = true,
        .limit = UINT32_MAX};
    struct document_store *store = t_open(t, t->url);
    listed->count = 0;
    assert_int_equal(store->ops->list(store, &fruit, &all, t_take, listed), ERR_OK);
    t_close(&store);
}

/* The next map, beside the present one. */
static const char *
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

static bool
t_stop(void *context, uint64_t scopes)
{
    return scopes < *(const uint64_t *)context;
}

static err_t
t_move(struct t_shards *t, int epoch, const char *placement, uint64_t *stop_after)
{
    struct document_shards_move move = {
        .path = t->map,
        .next_path = t_next_map(t, epoch, placement),
        .kinds = kinds,
        .kind_count = 2,
        .go_on = stop_after == NULL ? NULL : t_stop,
        .context = stop_after};
    err_t result = document_shards_move(&move, t->message);
    (void)unlink(move.next_path);
    return result;
}

struct t_looked {
    uint64_t scopes, rows, strangers, unfinished, shards;
    int64_t epoch;
};

static void
t_see(void *context, const struct document_shards_state *state)
{
    struct t_looked *looked = context;
    looked->scopes += state->scopes;
    looked->rows += state->rows;
    looked->strangers += state->strangers;
    looked->unfinished += state->next != 0;
    looked->epoch = state->epoch;
    looked->shards++;
}

static struct t_looked
t_look(struct t_shards *t)
{
    struct t_looked looked = {.shards = 0};
    assert_int_equal(document_shards_look(t->map, kinds, 2, t_see, &looked, t->message), ERR_OK);
    return looked;
}

static struct t_listed before, after;

static void
t_same_after(struct t_shards *t)
{
    t_list_all(t, &after);
    assert_int_equal(after.count, before.count);
    assert_memory_equal(after.rows, before.rows, before.count * sizeof(before.rows[0]));
    struct t_looked looked = t_look(t);
    assert_int_equal(looked.shards, SHARDS);
    assert_int_equal(looked.strangers, 0);
    assert_int_equal(looked.unfinished, 0);
    assert_int_equal(looked.scopes, 2 * MERCHANTS);
    assert_int_equal(looked.rows, 3 * 2 * MERCHANTS);
}

#define ALL_BUT_A "slots 0-5460 c\nslots 5461-10921 b\nslots 10922-16383 c\ntable documents hash\n"

static void
slots_move_and_ranges_are_split(void **state)
{
    struct t_shards *t = *state;
    memset(&before, 0, sizeof(before));
    memset(&after, 0, sizeof(after));
    t_fill(t);
    assert_int_equal(t_move(t, 2, ALL_BUT_A, NULL), ERR_LOCKED);
    assert_non_null(strstr(t->message, "a process has it open"));
    t_close(&t->a);
    t_list_all(t, &before);
    assert_int_equal(before.count, 3 * 2 * MERCHANTS);
    assert_int_equal(t_move(t, 3, ALL_BUT_A, NULL), ERR_INVALID);
    assert_int_equal(t_move(t, 2, ALL_BUT_A, NULL), ERR_OK);
    assert_int_equal(t_sql(t, "SELECT count(*) FROM shard_a.fruit"), 0);
    assert_int_equal(t_look(t).epoch, 2);
    t_same_after(t);
    assert_int_equal(t_move(t, 3, BY_RANGE, NULL), ERR_OK);
    t_same_after(t);
    assert_int_equal(t_sql(t, "SELECT count(*) FROM shard_b.fruit"), 3 * 2 * 4);
    assert_int_equal(t_sql(t, "SELECT count(*) FROM shard_a.fruit"), 3 * 2 * 4);
    /* Split at 12, and 4 to 7 merged into what was before them. */
    assert_int_equal(
        t_move(
            t,
            4,
            "slots 0-16383 a\ntable documents range\nfrom - b\nfrom 00000000000000000008 c\n"
            "from 00000000000000000012 a\n",
            NULL),
        ERR_OK);
    t_same_after(t);
    assert_int_equal(t_sql(t, "SELECT count(*) FROM shard_b.fruit"), 3 * 2 * 8);
    assert_int_equal(t_sql(t, "SELECT count(*) FROM shard_c.fruit"), 3 * 2 * 4);
}

/* After every number of merchants; then by the same move, or back. */
static void
a_move_that_was_cut_off_is_ended(void **state)
{
    struct t_shards *t = *state;
    memset(&before, 0, sizeof(before));
    memset(&after, 0, sizeof(after));
    t_fill(t);
    t_close(&t->a);
    t_list_all(t, &before);
    int epoch = 1;
    for (uint64_t stop = 1; stop < 20; stop += 3) {
        const char *here = epoch % 2 == 1 ? BY_HASH : ALL_BUT_A;
        const char *there = epoch % 2 == 1 ? ALL_BUT_A : BY_HASH;
        assert_int_equal(t_move(t, epoch + 1, there, &stop), ERR_CLOSED);
        assert_int_equal(t_look(t).unfinished, SHARDS);
        t_refused(t, ERR_MOVED, "have to end it");
        assert_int_equal(t_move(t, epoch + 2, there, NULL), ERR_INVALID);
        assert_int_equal(t_move(t, epoch + 1, stop % 2 == 0 ? here : there, NULL), ERR_OK);
        t_same_after(t);
        epoch++;
        if (stop % 2 == 0) { /* as it was: the next round begins from there */
            assert_int_equal(t_move(t, epoch + 1, there, NULL), ERR_OK);
            t_same_after(t);
            epoch += 2;
            assert_int_equal(t_move(t, epoch, epoch % 2 == 1 ? BY_HASH : ALL_BUT_A, NULL), ERR_OK);
        }
    }
    /* Cut off behind the file of the map. */
    (void)t_sql(t, "UPDATE shard_b.tael_shard SET next = epoch, epoch = epoch - 1");
    t_refused(t, ERR_MOVED, "have to end it");
    struct document_shards_move move = {
        .path = t->map, .next_path = t->map, .kinds = kinds, .kind_count = 2};
    assert_int_equal(document_shards_move(&move, t->message), ERR_OK);
    assert_int_equal(move.ret_scopes, 0);
    t_same_after(t);
}

int
main(void)
{
#define T(test) cmocka_unit_test_setup_teardown(test, t_setup, t_teardown)
    const struct CMUnitTest tests[] = {
        T(by_hash_it_is_as_one_store),
        T(by_range_it_is_as_one_store),
        T(a_loser_of_one_shard_is_nobody_elses),
        T(all_losers_are_told_by_the_commit),
        T(what_crosses_is_refused),
        T(a_fact_stays_whatever_becomes_of_its_owner),
        T(who_built_on_a_loser_of_the_platform_has_lost),
        T(who_read_anothers_home_begins_anew),
        T(a_number_is_given_once_over_all_shards),
        T(a_shard_that_fails_fails_its_own),
        T(a_commit_whose_connection_breaks_is_settled),
        T(locks_are_of_the_scopes_shard),
        T(what_is_wished_for_is_not_asked_again),
        T(maps_that_cannot_be_are_refused),
        T(an_old_map_is_refused),
        T(a_shard_is_not_opened_as_a_whole_nor_for_another),
        T(one_store_becomes_a_shard_if_the_map_has_its_rows_there),
        T(slots_move_and_ranges_are_split),
        T(a_move_that_was_cut_off_is_ended),
    };
    return cmocka_run_group_tests_name("documents in shards", tests, NULL, NULL);
}
