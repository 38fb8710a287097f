/* Rows: written, read, changed, and forgotten. */
#include "store_testing.h"

#include <stdlib.h>

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
    assert_int_equal(t->documents->ops->update(t->documents, &t_fruit, &green), ERR_OK);
    struct document_row late = t_row(t, SCOPE, "f1", "blue", 0);
    late.version = 1;
    assert_int_equal(t->documents->ops->update(t->documents, &t_fruit, &late), ERR_STALE);
    assert_int_equal(
        t->documents->ops->remove(t->documents, &t_fruit, SCOPE, row.id, 1), ERR_STALE);
    assert_int_equal(t_commit(t), ERR_OK);
    struct document_row read;
    assert_int_equal(t_get(t, SCOPE, "f1", &read), ERR_OK);
    assert_int_equal(read.version, 2);
    assert_true(span_equal_cstr(read.columns[0].text, "green"));
    assert_int_equal(t_begin(t), ERR_OK);
    assert_int_equal(t->documents->ops->remove(t->documents, &t_fruit, SCOPE, row.id, 2), ERR_OK);
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
    assert_int_equal(t->documents->ops->update(t->documents, &t_fruit, &update), ERR_OK);
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
    };
    int failed = cmocka_run_group_tests_name("document rows", tests, NULL, NULL);
    if (getenv("TEST_POSTGRES") == NULL) {
        t_fruit.is_small = true;
        failed += cmocka_run_group_tests_name("document rows, small", tests, NULL, NULL);
    }
    return failed;
}
