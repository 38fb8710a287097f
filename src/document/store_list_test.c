/* Queries: what they find, in which order, and by which index. */
#include "store_testing.h"

#include <stdio.h>
#include <stdlib.h>

static void
t_expect_list(struct t_store *t, const struct document_query *query, const char *expected)
{
    struct t_names names = {.text = ""};
    assert_int_equal(
        t->documents->ops->list(t->documents, &t_fruit, query, t_collect, &names), ERR_OK);
    assert_string_equal(names.text, expected);
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
    assert_int_equal(ops->remove(t->documents, &t_fruit, SCOPE, SPAN("f4"), 1), ERR_OK);
    t_expect_list(t, &query, "f5 f3 f2 ");
    struct document_row row = t_row(t, SCOPE, "f45", "red", 1);
    assert_int_equal(t_insert(t, &row), ERR_OK);
    t_expect_list(t, &query, "f5 f45 f3 ");
    t_expect_list(t, &red, "f45 f2 f0 ");
    struct document_row changed = t_row(t, SCOPE, "f2", NULL, 0);
    changed.version = 1;
    assert_int_equal(ops->update(t->documents, &t_fruit, &changed), ERR_OK);
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
            t->documents->ops->list(t->documents, &t_fruit, &query, t_count_descending, &names),
            ERR_OK);
        assert_int_equal(names.count, MANY);
        query.limit = 2100;
        names.count = 0;
        assert_int_equal(
            t->documents->ops->list(t->documents, &t_fruit, &query, t_count_descending, &names),
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
        t->documents->ops->list(t->documents, &t_fruit, &query, t_collect, &names), ERR_OK);
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
                t->documents->ops->list(t->documents, &t_fruit, &query, t_collect, &names), ERR_OK);
            uint32_t expected = 0;
            for (uint32_t i = 0; i < 6; i++) {
                expected += (i > 0 || (bits & 2) == 0) && (i < 3 || (bits & 4) == 0) &&
                            (i % 2 == 0 || (bits & 16) == 0);
            }
            assert_int_equal(names.count, expected);
        }
    }
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

int
main(void)
{
#define T(test) cmocka_unit_test_setup_teardown(test, t_setup, t_teardown)
    const struct CMUnitTest tests[] = {
        T(lists_filter_and_bound),
        T(lists_see_the_open_transaction),
        T(lists_across_scopes_follow_their_column),
        T(lists_stop_when_told_and_nest),
        T(many_shapes_of_queries_work_after_one_another),
        T(long_lists_come_whole),
    };
    const struct CMUnitTest of_files[] = {
        T(lists_use_their_indexes),
    };
    int failed = cmocka_run_group_tests_name("document lists", tests, NULL, NULL);
    if (getenv("TEST_POSTGRES") == NULL) {
        failed += cmocka_run_group_tests_name("document lists in files", of_files, NULL, NULL);
        t_fruit.is_small = true;
        failed += cmocka_run_group_tests_name("document lists, small rows", tests, NULL, NULL);
    }
    return failed;
}
