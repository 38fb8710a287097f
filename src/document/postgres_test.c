/* What is PostgreSQL's only: several processes on one database, connections that break, and plans.
 */
#include "postgres_testing.h"

#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* ------------------------------------------------------------------------------ who was first */

static void
the_second_to_change_a_row_loses(void **state) /* DOCUMENT-2 */
{
    struct t_two *t = *state;
    t_begin(t->a);
    assert_int_equal(t_insert(t->a, "f1", "{}"), ERR_OK);
    assert_int_equal(t_commit(t->a), ERR_OK);
    t_begin(t->a);
    t_begin(t->b);
    assert_int_equal(t_update(t->a, "f1", 1, "{\"by\":\"a\"}"), ERR_OK);
    assert_int_equal(t_update(t->b, "f1", 1, "{\"by\":\"b\"}"), ERR_OK);
    assert_int_equal(t_insert(t->b, "f2", "{}"), ERR_OK);
    assert_int_equal(t_commit(t->a), ERR_OK);
    assert_int_equal(t_commit(t->b), ERR_STALE);
    t_expect(t, t->b, "f1", "{\"by\":\"a\"}");
    t_expect(t, t->a, "f2", ""); /* nothing of it */
    /* Removed meanwhile is changed, too. */
    t_begin(t->a);
    t_begin(t->b);
    assert_int_equal(t->a->ops->remove(t->a, &t_fruit, SCOPE, SPAN("f1"), 2), ERR_OK);
    assert_int_equal(t_update(t->b, "f1", 2, "{}"), ERR_OK);
    assert_int_equal(t_commit(t->a), ERR_OK);
    assert_int_equal(t_commit(t->b), ERR_STALE);
    t_begin(t->b);
    assert_int_equal(t->b->ops->remove(t->b, &t_fruit, SCOPE, SPAN("f1"), 2), ERR_OK);
    assert_int_equal(t_commit(t->b), ERR_STALE);
}

static void
an_id_and_a_unique_value_are_taken_once(void **state)
{
    struct t_two *t = *state;
    t_begin(t->a);
    t_begin(t->b);
    assert_int_equal(t_insert(t->a, "f1", "{\"by\":\"a\"}"), ERR_OK);
    assert_int_equal(t_insert(t->b, "f1", "{\"by\":\"b\"}"), ERR_OK);
    assert_int_equal(t_commit(t->a), ERR_OK);
    assert_int_equal(t_commit(t->b), ERR_STALE);
    t_expect(t, t->b, "f1", "{\"by\":\"a\"}");

    struct document_row one = t_row("n1", 0, "{\"number\":5}"), two = t_row("n2", 0, "{}");
    one.columns[2] = (struct document_value){.integer = 5};
    two.columns[2] = (struct document_value){.integer = 5};
    t_begin(t->a);
    t_begin(t->b);
    assert_int_equal(t->a->ops->insert(t->a, &t_fruit, &one), ERR_OK);
    t->b->shared->owner(t->b, &one);
    assert_int_equal(t_insert(t->b, "n3", "{}"), ERR_OK);
    t->b->shared->owner(t->b, &two);
    assert_int_equal(t->b->ops->insert(t->b, &t_fruit, &two), ERR_OK);
    assert_int_equal(t_commit(t->a), ERR_OK);
    assert_int_equal(t->b->ops->commit(t->b), ERR_OK);
    assert_int_equal(t->b->shared->outcome(t->b, &two), ERR_STALE);
    assert_int_equal(t->b->shared->outcome(t->b, &one), ERR_OK);
    t_expect(t, t->a, "n2", "");
    t_expect(t, t->a, "n3", "{}");
    /* In another scope it is another one; and whoever removes the row frees its value, at once. */
    two.scope = SCOPE + 1;
    t_begin(t->b);
    assert_int_equal(t->b->ops->insert(t->b, &t_fruit, &two), ERR_OK);
    assert_int_equal(t->b->ops->remove(t->b, &t_fruit, SCOPE, SPAN("n1"), 1), ERR_OK);
    two.scope = SCOPE;
    assert_int_equal(t->b->ops->insert(t->b, &t_fruit, &two), ERR_OK);
    assert_int_equal(t_commit(t->b), ERR_OK);
}

static void
a_row_that_may_be_there_makes_nobody_lose(void **state)
{
    struct t_two *t = *state;
    struct document_row row = t_row("f1", 0, "{\"by\":\"a\"}");
    row.unless_there = true;
    t_begin(t->a);
    t_begin(t->b);
    assert_int_equal(t->a->ops->insert(t->a, &t_fruit, &row), ERR_OK);
    row.body = SPAN("{\"by\":\"b\"}");
    assert_int_equal(t->b->ops->insert(t->b, &t_fruit, &row), ERR_OK);
    assert_int_equal(t_insert(t->b, "f2", "{}"), ERR_OK);
    assert_int_equal(t_commit(t->a), ERR_OK);
    assert_int_equal(t_commit(t->b), ERR_OK);
    t_expect(t, t->b, "f1", "{\"by\":\"a\"}");
    t_expect(t, t->b, "f2", "{}");
}

/* Of one group, those go on who have nothing to do with what was lost. */
static void
only_those_lose_who_built_on_it(void **state)
{
    struct t_two *t = *state;
    int first, built, wrote_on, other, reader;
    t_begin(t->a);
    assert_int_equal(t_insert(t->a, "hot", "{}"), ERR_OK);
    assert_int_equal(t_insert(t->a, "cold", "{}"), ERR_OK);
    assert_int_equal(t_commit(t->a), ERR_OK);

    struct document_row row;
    const struct document_shared_ops *shared = t->b->shared;
    t_begin(t->b);
    shared->owner(t->b, &first);
    assert_int_equal(t_update(t->b, "hot", 1, "{\"n\":1}"), ERR_OK);
    assert_int_equal(t_insert(t->b, "of_first", "{}"), ERR_OK);
    shared->owner(t->b, &built); /* reads what the first wrote, and writes something else */
    assert_int_equal(
        t->b->ops->get(t->b, &t_fruit, SCOPE, SPAN("of_first"), &t->arena, &row), ERR_OK);
    assert_int_equal(t_insert(t->b, "of_built", "{}"), ERR_OK);
    shared->owner(t->b, &wrote_on);
    assert_int_equal(t_update(t->b, "of_built", 1, "{\"n\":2}"), ERR_OK);
    shared->owner(t->b, &other);
    assert_int_equal(t_update(t->b, "cold", 1, "{\"n\":3}"), ERR_OK);
    shared->owner(t->b, &reader); /* of what was not lost */
    assert_int_equal(t->b->ops->get(t->b, &t_fruit, SCOPE, SPAN("cold"), &t->arena, &row), ERR_OK);
    assert_int_equal(t_insert(t->b, "of_reader", "{}"), ERR_OK);

    t_begin(t->a);
    assert_int_equal(t_update(t->a, "hot", 1, "{\"n\":0}"), ERR_OK);
    assert_int_equal(t_commit(t->a), ERR_OK);
    assert_int_equal(t->b->ops->commit(t->b), ERR_OK);
    assert_int_equal(shared->outcome(t->b, &first), ERR_STALE);
    assert_int_equal(shared->outcome(t->b, &built), ERR_STALE);
    assert_int_equal(shared->outcome(t->b, &wrote_on), ERR_STALE);
    assert_int_equal(shared->outcome(t->b, &other), ERR_OK);
    assert_int_equal(shared->outcome(t->b, &reader), ERR_OK);
    t_expect(t, t->a, "hot", "{\"n\":0}");
    t_expect(t, t->a, "of_first", "");
    t_expect(t, t->a, "of_built", "");
    t_expect(t, t->a, "cold", "{\"n\":3}");
    t_expect(t, t->a, "of_reader", "{}");
}

static void
a_group_is_one_round_trip_and_reads_ahead_are_one(void **state)
{
    struct t_two *t = *state;
    struct document_wish wishes[20];
    char ids[20][16];
    uint64_t before = t->a->shared->round_trips(t->a);
    t_begin(t->a);
    for (uint32_t i = 0; i < 20; i++) {
        (void)snprintf(ids[i], sizeof(ids[i]), "f%02u", i);
        wishes[i] =
            (struct document_wish){.kind = &t_fruit, .scope = SCOPE, .id = span_from_cstr(ids[i])};
        assert_int_equal(t_insert(t->a, ids[i], "{}"), ERR_OK);
    }
    assert_int_equal(t_commit(t->a), ERR_OK);
    assert_int_equal(t->a->shared->round_trips(t->a) - before, 1);

    struct document_query query = {.scope = SCOPE, .range_column = UINT32_MAX, .limit = 3};
    wishes[19].query = &query;
    before = t->a->shared->round_trips(t->a);
    assert_int_equal(t->a->shared->prefetch(t->a, wishes, 20), ERR_OK);
    struct document_row row;
    for (uint32_t i = 0; i < 19; i++) {
        assert_int_equal(
            t->a->ops->get(t->a, &t_fruit, SCOPE, span_from_cstr(ids[i]), &t->arena, &row), ERR_OK);
    }
    assert_int_equal(t->a->shared->round_trips(t->a) - before, 1);
    t->a->ops->maintain(t->a);
}

/* Two lists of one form in the first round trip of a session: the statement is prepared once. */
static void
the_first_lists_of_a_session_may_be_alike(void **state)
{
    struct t_two *t = *state;
    const struct document_query queries[2] = {
        {.scope = SCOPE, .range_column = UINT32_MAX, .limit = 3},
        {.scope = SCOPE + 1, .range_column = UINT32_MAX, .limit = 3},
    };
    struct document_wish wishes[2] = {
        {.kind = &t_fruit, .scope = SCOPE, .query = &queries[0]},
        {.kind = &t_fruit, .scope = SCOPE + 1, .query = &queries[1]},
    };
    assert_int_equal(t->a->shared->prefetch(t->a, wishes, 2), ERR_OK);
    t->a->ops->maintain(t->a);
    assert_int_equal(t->a->shared->prefetch(t->a, wishes, 2), ERR_OK);
    t->a->ops->maintain(t->a);
}

/* --------------------------------------------------------------------------------------- locks */

static bool
t_lock(struct document_store *store, const char *id)
{
    struct document_lock lock = {.scope = SCOPE, .id = span_from_cstr(id)};
    assert_int_equal(store->shared->lock(store, &lock, 1), ERR_OK);
    return lock.granted;
}

static void
locks_are_one_process_s_until_its_commit_or_its_end(void **state)
{
    struct t_two *t = *state;
    assert_true(t_lock(t->a, "f1"));
    assert_false(t_lock(t->b, "f1"));
    assert_true(t_lock(t->b, "f2"));
    t_begin(t->a);
    assert_int_equal(t_insert(t->a, "f1", "{}"), ERR_OK);
    t->a->shared->unlock(t->a, SCOPE, SPAN("f1"));
    assert_false(t_lock(t->b, "f1")); /* what it covers is not committed */
    assert_int_equal(t_commit(t->a), ERR_OK);
    assert_true(t_lock(t->b, "f1"));
    assert_true(t->a->shared->lead(t->a, "sweeping"));
    assert_false(t->b->shared->lead(t->b, "sweeping"));
    t->a->ops->close(t->a); /* the process ends */
    t->a = t_open(t);
    uint32_t tries = 0;
    while (
        !t->b->shared->lead(t->b, "sweeping")) { /* the server has to notice, and b to ask again */
        assert_true(tries++ < 5000);
        (void)usleep(10000);
    }
    assert_false(t_lock(t->a, "f1"));
}

/* -------------------------------------------------------------------------- broken connections */

static void
t_cut(struct t_two *t, struct document_store *store)
{
    char sql[128];
    (void)snprintf(
        sql,
        sizeof(sql),
        "SELECT pg_terminate_backend(%d, 5000)",
        PQbackendPID(document_pg_of(store)->conn));
    t_sql(t, sql);
}

static void
a_broken_connection_is_told_and_mended(void **state)
{
    struct t_two *t = *state;
    struct document_row row;
    t_begin(t->a);
    assert_int_equal(t_insert(t->a, "f1", "{}"), ERR_OK);
    assert_int_equal(t_commit(t->a), ERR_OK);
    t_cut(t, t->a);
    assert_int_equal(
        t->a->ops->get(t->a, &t_fruit, SCOPE, SPAN("f1"), &t->arena, &row), ERR_CLOSED);
    assert_false(t->a->shared->connected(t->a));
    uint32_t tries = 0;
    while (t->a->ops->get(t->a, &t_fruit, SCOPE, SPAN("f1"), &t->arena, &row) != ERR_OK) {
        assert_true(tries++ < 500);
        (void)usleep(10000);
    }
    assert_true(t->a->shared->connected(t->a));
}

/* A commit that was cut before it began is nothing, and is known to be. */
static void
a_commit_without_an_answer_is_looked_for(void **state) /* DOCUMENT-4 */
{
    struct t_two *t = *state;
    t_begin(t->a);
    assert_int_equal(t_insert(t->a, "f1", "{}"), ERR_OK);
    t_cut(t, t->a);
    assert_int_equal(t_commit(t->a), ERR_CLOSED);
    t_expect(t, t->b, "f1", "");

    /* The other way round: it is committed, and the answer is lost. */
    struct document_pg *pg = document_pg_of(t->a);
    t_begin(t->a);
    assert_int_equal(t_insert(t->a, "f2", "{}"), ERR_OK);
    assert_int_equal(t_commit(t->a), ERR_OK);
    pg->in_doubt = true;
    document_pg_disconnect(pg);
    assert_int_equal(document_pg_resolve(pg), ERR_OK);

    /* What was not sent yet when it was resolved can never come later: its number is taken. */
    char sql[256];
    (void)snprintf(
        sql,
        sizeof(sql),
        "SELECT count(*) FROM tael_node WHERE id = '%s' AND commits = %llu",
        pg->node,
        (unsigned long long)pg->commits - 1);
    assert_int_equal(t_number(t, sql), 0);
    t_begin(t->a);
    assert_int_equal(t_insert(t->a, "f3", "{}"), ERR_OK);
    assert_int_equal(t_commit(t->a), ERR_OK);
}

/* Somebody holds what it needs: it does not wait for ever. */
static void
a_commit_does_not_wait_without_end(void **state)
{
    struct t_two *t = *state;
    t_begin(t->a);
    assert_int_equal(t_insert(t->a, "f1", "{}"), ERR_OK);
    assert_int_equal(t_commit(t->a), ERR_OK);
    t_sql(t, "BEGIN");
    t_sql(t, "UPDATE fruit SET version = 1 WHERE id = 'f1'");
    t_begin(t->a);
    struct document_pg *pg = document_pg_of(t->a);
    uint64_t began_ms = postgres_now_ms();
    t->a->ops->rollback(t->a);
    /* The session's own bound is 3 s, and it tries again: shortened here. */
    assert_int_equal(document_pg_begin_flush(pg), ERR_OK);
    document_pg_send(pg, "SET lock_timeout = 50");
    assert_int_equal(document_pg_end_flush(pg), ERR_OK);
    t_begin(t->a);
    assert_int_equal(t_update(t->a, "f1", 1, "{\"n\":1}"), ERR_OK);
    assert_int_equal(t_commit(t->a), ERR_STALE);
    assert_true(postgres_now_ms() - began_ms < 10000);
    t_sql(t, "ROLLBACK");
    t_begin(t->a);
    assert_int_equal(t_update(t->a, "f1", 1, "{\"n\":1}"), ERR_OK);
    assert_int_equal(t_commit(t->a), ERR_OK);
}

/* ----------------------------------------------------------------------------------- migrations */

static void
processes_that_start_at_once_make_the_tables_once(void **state)
{
    struct t_two *t = *state;
    pid_t children[4];
    t_sql(t, "DROP SCHEMA postgres_test CASCADE");
    t_sql(t, "CREATE SCHEMA postgres_test");
    for (size_t i = 0; i < 4; i++) {
        children[i] = fork();
        assert_true(children[i] >= 0);
        if (children[i] == 0) {
            struct document_store *store;
            char message[DOCUMENT_MESSAGE_SIZE];
            err_t error = document_store_open(t->url, t_kinds, 1, &store, message);
            _exit(error == ERR_OK ? 0 : 1);
        }
    }
    for (size_t i = 0; i < 4; i++) {
        int status;
        assert_int_equal(waitpid(children[i], &status, 0), children[i]);
        assert_true(WIFEXITED(status));
        assert_int_equal(WEXITSTATUS(status), 0);
    }
    /* The layout, the table, what the order needs. */
    assert_int_equal(t_number(t, "SELECT count(*) FROM tael_migration"), 4);
}

static void
a_newer_schema_is_served_if_it_says_so(void **state)
{
    struct t_two *t = *state;
    t_sql(t, "ALTER TABLE fruit ADD COLUMN taste text");
    t_sql(t, "UPDATE tael_layout SET version = 9");
    struct document_store *store = t_open(t);
    t_begin(store);
    assert_int_equal(t_insert(store, "f1", "{}"), ERR_OK);
    assert_int_equal(t_commit(store), ERR_OK);
    store->ops->close(store);
    t_sql(t, "UPDATE tael_layout SET oldest_layout = 4");
    assert_int_equal(document_store_open(t->url, t_kinds, 1, &store, t->message), ERR_VERSION);
    assert_non_null(strstr(t->message, "newer"));
}

static void
what_cannot_be_opened_says_why(void **state)
{
    struct t_two *t = *state;
    struct document_store *store = NULL;
    char url[600];
    (void)snprintf(url, sizeof(url), "%s&options=-crole%%3Dnobody_at_all", t->server);
    assert_int_not_equal(document_store_open(url, t_kinds, 1, &store, t->message), ERR_OK);
    assert_non_null(strstr(t->message, "nobody_at_all"));
    assert_int_not_equal(
        document_store_open("postgres://u@/x?host=/nowhere/at/all", t_kinds, 1, &store, t->message),
        ERR_OK);
    assert_non_null(strstr(t->message, "/nowhere/at/all"));
    assert_int_equal(
        document_store_open("postgres://u:secret@h/x?no=such", t_kinds, 1, &store, t->message),
        ERR_INVALID);
    assert_null(strstr(t->message, "secret"));
    assert_null(store);
}

/* ---------------------------------------------------------------------------------------- plans */

/* Whatever statistics say, no statement of ours may read a table from one end to the other. */
static void
statements_follow_indexes(void **state)
{
    struct t_two *t = *state;
    t_sql(
        t,
        "INSERT INTO fruit (scope, id, version, body, colour, due, number) SELECT 7, 'x' || i, 1, "
        "'{}', 'c' || i % 10, i, i FROM generate_series(1, 20000) AS i");
    t_sql(t, "ANALYZE fruit");
    t_sql(t, "SELECT pg_stat_reset_single_table_counters('fruit'::regclass)");
    struct document_row row;
    const struct document_store_ops *ops = t->a->ops;
    assert_int_equal(ops->get(t->a, &t_fruit, SCOPE, SPAN("x77"), &t->arena, &row), ERR_OK);
    t_begin(t->a);
    assert_int_equal(t_update(t->a, "x77", 1, "{}"), ERR_OK);
    assert_int_equal(t->a->ops->remove(t->a, &t_fruit, SCOPE, SPAN("x78"), 1), ERR_OK);
    assert_int_equal(t_commit(t->a), ERR_OK);
    ops->close(t->a); /* its numbers are handed in */
    t->a = t_open(t);
    uint32_t tries = 0;
    while (t_number(
               t,
               "SELECT n_tup_del FROM pg_stat_user_tables WHERE relname = 'fruit' AND "
               "schemaname = 'postgres_test'") == 0) {
        assert_true(tries++ < 1000);
        (void)usleep(10000);
    }
    assert_int_equal(
        t_number(
            t,
            "SELECT seq_scan FROM pg_stat_user_tables WHERE relname = 'fruit' AND "
            "schemaname = 'postgres_test'"),
        0);
    /* Few rows were touched by any of it. */
    assert_true(
        t_number(
            t,
            "SELECT idx_tup_fetch FROM pg_stat_user_tables WHERE relname = 'fruit' AND "
            "schemaname = 'postgres_test'") < 20);
}

int
main(void)
{
#define T(test) cmocka_unit_test_setup_teardown(test, t_setup, t_teardown)
    const struct CMUnitTest tests[] = {
        T(the_second_to_change_a_row_loses),
        T(an_id_and_a_unique_value_are_taken_once),
        T(a_row_that_may_be_there_makes_nobody_lose),
        T(only_those_lose_who_built_on_it),
        T(a_group_is_one_round_trip_and_reads_ahead_are_one),
        T(the_first_lists_of_a_session_may_be_alike),
        T(locks_are_one_process_s_until_its_commit_or_its_end),
        T(a_broken_connection_is_told_and_mended),
        T(a_commit_without_an_answer_is_looked_for),
        T(a_commit_does_not_wait_without_end),
        T(processes_that_start_at_once_make_the_tables_once),
        T(a_newer_schema_is_served_if_it_says_so),
        T(what_cannot_be_opened_says_why),
        T(statements_follow_indexes),
    };
    return cmocka_run_group_tests_name("documents on PostgreSQL", tests, NULL, NULL);
}
