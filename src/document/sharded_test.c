#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/*
 * Documents in shards: the same as in one store; who loses, and what happens to the others.
 */
#include "sharded_testing.h"

#include "os/prng.h"

#include <stdio.h>
#include <string.h>

#define SCOPES 24
#define IDS    6
#define ROUNDS 120
#define STEPS  24
#define OWNERS 12

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
        left = shards->ops->remove(shards, &t_fruit, scope, row.id, there.version);
        assert_int_equal(whole->ops->remove(whole, &t_fruit, scope, row.id, there.version), left);
        break;
    case 1: /* of a version that is not there */
        row.version = there.version + 1;
        left = shards->ops->update(shards, &t_fruit, &row);
        assert_int_equal(left, ERR_STALE);
        assert_int_equal(whole->ops->update(whole, &t_fruit, &row), left);
        break;
    case 2:
    case 3:
        row.version = there.version;
        left = shards->ops->update(shards, &t_fruit, &row);
        assert_int_equal(whole->ops->update(whole, &t_fruit, &row), left);
        break;
    default:
        left = shards->ops->insert(shards, &t_fruit, &row);
        assert_int_equal(whole->ops->insert(whole, &t_fruit, &row), left);
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
    t_compare_lists(shards, whole, &t_fruit, &query, t_take);
    query.all_scopes = true;
    query.range_column = DUE;
    query.range_min = t_below(prng, 20);
    query.range_max = query.range_min + t_below(prng, 40);
    t_compare_lists(shards, whole, &t_fruit, &query, t_take);
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
        t->a->ops->remove(t->a, &t_fruit, at.other, SPAN("probe"), row.version),
        ERR_CROSSES_SHARDS);
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
    return store->ops->insert(store, &t_fruit, &row);
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
    char admin, merchant, bystander;
    struct document_row row;
    t_open_both(t);
    struct t_places at = t_places(t);
    t_begin(t->a);
    t->a->shared->owner(t->a, &admin);
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
    assert_int_equal(t->a->shared->outcome(t->a, &admin), ERR_STALE);
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
    assert_int_equal(t->a->ops->insert(t->a, &t_fruit, &here), ERR_OK);
    assert_int_equal(t->b->ops->insert(t->b, &t_fruit, &there), ERR_OK);
    assert_int_equal(t->a->ops->commit(t->a), ERR_OK);
    assert_int_equal(t->b->ops->commit(t->b), ERR_STALE);
    assert_int_equal(t->b->shared->outcome(t->b, &other), ERR_STALE);
    /* Behind it, and in the same transaction. */
    struct document_row again = t_row(t, at.one, "m", 0, 18);
    there.columns[NUMBER].integer = 18;
    t_begin(t->b);
    t->b->shared->owner(t->b, &one);
    assert_int_equal(t->b->ops->insert(t->b, &t_fruit, &again), ERR_OK);
    t->b->shared->owner(t->b, &other);
    assert_int_equal(t->b->ops->insert(t->b, &t_fruit, &there), ERR_OK);
    assert_int_equal(t->b->ops->commit(t->b), ERR_OK);
    assert_int_equal(t->b->shared->outcome(t->b, &one), ERR_OK);
    assert_int_equal(t->b->shared->outcome(t->b, &other), ERR_STALE);
    /* The row that has it may be written. */
    again.version = 1;
    t_begin(t->b);
    t->b->shared->owner(t->b, &one);
    assert_int_equal(t->b->ops->update(t->b, &t_fruit, &again), ERR_OK);
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
    const char *platform = at.platform == NULL ? "" : at.platform;
    const char *schema = strcmp(platform, "shard_a") == 0 ? "shard_b" : "shard_a";
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
        "SELECT count(pg_terminate_backend(pid, 60000)) FROM pg_stat_activity WHERE pid <> "
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
        {.kind = &t_fruit, .scope = at.one, .id = SPAN("probe")},
        {.kind = &t_fruit, .scope = at.other, .id = SPAN("probe")},
        {.kind = &t_fruit, .scope = 0, .id = SPAN("nothing")}};
    assert_int_equal(t->b->shared->prefetch(t->b, wishes, 3), ERR_OK);
    uint64_t trips = t->b->shared->round_trips(t->b);
    assert_int_equal(t_get(t, t->b, at.one, "probe", &row), ERR_OK);
    assert_int_equal(t_get(t, t->b, at.other, "probe", &row), ERR_OK);
    assert_int_equal(t_get(t, t->b, 0, "nothing", &row), ERR_NOT_FOUND);
    assert_int_equal(t->b->shared->round_trips(t->b), trips);
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
    };
    return cmocka_run_group_tests_name("documents in shards", tests, NULL, NULL);
}
