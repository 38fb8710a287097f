/* From one program to the next: migrations, files, and processes that die. */
#include "store_testing.h"

#include "sqlite.h"

#include <signal.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* -------------------------------------------------------------------------------- migrations */

static void
a_later_program_adds_kinds_and_columns(void **state)
{
    struct t_store *t = *state;
    t_fill(t);
    t_close(t);
    static const struct document_kind older = {
        .name = "stone",
        .columns = {{"shape", DOCUMENT_TEXT, .indexed = false}},
        .column_count = 1};
    static const struct document_kind later = {
        .name = "stone",
        .columns =
            {{"weight", DOCUMENT_INTEGER, .indexed = true, .across_scopes = true},
             {"shape", DOCUMENT_TEXT, .indexed = true},
             {"owner", DOCUMENT_TEXT, .indexed = true}},
        .column_count = 3};
    const struct document_kind *one[] = {&older};
    struct document_store *store;
    assert_int_equal(document_store_open(t->url, one, 1, &store, t->message), ERR_OK);
    assert_int_equal(store->ops->begin(store), ERR_OK);
    struct document_row row = {
        .scope = SCOPE,
        .id = SPAN("s1"),
        .body = SPAN("{\"shape\":\"round\",\"weight\":31}"),
        .columns = {{.text = SPAN("round")}}};
    assert_int_equal(store->ops->insert(store, &older, &row), ERR_OK);
    assert_int_equal(store->ops->commit(store), ERR_OK);
    store->ops->close(store);

    one[0] = &later;
    for (int round = 0; round < 2; round++) {
        assert_int_equal(document_store_open(t->url, one, 1, &store, t->message), ERR_OK);
        struct document_row read;
        assert_int_equal(
            store->ops->get(store, &later, SCOPE, SPAN("s1"), &t->arena, &read), ERR_OK);
        assert_int_equal(read.columns[0].integer, 31);
        assert_true(span_equal_cstr(read.columns[1].text, "round"));
        assert_true(read.columns[2].is_null);
        assert_int_equal(read.version, 1);
        /* Through the index that the column did not have before. */
        struct document_query round_ones = {
            .scope = SCOPE,
            .range_column = UINT32_MAX,
            .limit = 1,
            .filter_count = 1,
            .filters = {{.column = 1, .value.text = SPAN("round")}}};
        struct t_names names = {.text = ""};
        assert_int_equal(store->ops->list(store, &later, &round_ones, t_collect, &names), ERR_OK);
        assert_string_equal(names.text, "s1 ");
        store->ops->close(store);
    }
    one[0] = &older;
    err_t as_older = document_store_open(t->url, one, 1, &store, t->message);
    if (t->postgres == NULL) { /* the older one is told that it is too old */
        assert_int_equal(as_older, ERR_VERSION);
        assert_non_null(strstr(t->message, "weight"));
        assert_non_null(strstr(t->message, t->file));
    } else { /* it goes on beside the later one: migrations only add */
        assert_int_equal(as_older, ERR_OK);
        struct document_row read;
        assert_int_equal(
            store->ops->get(store, &older, SCOPE, SPAN("s1"), &t->arena, &read), ERR_OK);
        assert_true(span_equal_cstr(read.columns[0].text, "round"));
        store->ops->close(store);
    }
    /* The other t_kinds' rows are untouched. */
    assert_int_equal(document_store_open(t->url, t_kinds, 1, &t->documents, t->message), ERR_OK);
    assert_int_equal(t_get(t, SCOPE, "f3", NULL), ERR_OK);
}

/* Of one kind, whose second column is text that an index finds in any case. */
static void
t_expect_names(
    struct t_store *t,
    const struct document_kind *kind,
    bool any_case,
    const char *name,
    const char *expected)
{
    struct document_query query = {
        .scope = SCOPE,
        .range_column = UINT32_MAX,
        .limit = 10,
        .filter_count = 1,
        .filters = {
            {.column = 0, .value.text = span_from_cstr(name), .any_case = any_case},
        }};
    struct t_names names = {.text = ""};
    assert_int_equal(
        t->documents->ops->list(t->documents, kind, &query, t_collect, &names), ERR_OK);
    assert_string_equal(names.text, expected);
}

static void
an_index_may_ignore_case(void **state)
{
    struct t_store *t = *state;
    static const struct document_kind before = {
        .name = "person", .columns = {{"name", DOCUMENT_TEXT, .indexed = true}}, .column_count = 1};
    static const struct document_kind after = {
        .name = "person",
        .columns = {{"name", DOCUMENT_TEXT, .indexed = true, .any_case = true}},
        .column_count = 1};
    static const char *const people[] = {"Amy", "amy", "AMY", "Bob", "am\xc3\xbd"};
    const struct document_kind *one[] = {&before};
    t_close(t);
    t_open_kinds(t, one, 1);
    assert_int_equal(t_begin(t), ERR_OK);
    for (int i = 0; i < 5; i++) {
        char id[16], body[64];
        (void)snprintf(id, sizeof(id), "p%d", i);
        (void)snprintf(body, sizeof(body), "{\"name\":\"%s\"}", people[i]);
        struct document_row row = {
            .scope = SCOPE + (i == 2 ? 1 : 0),
            .id = span_from_cstr(id),
            .body = span_from_cstr(body),
            .columns = {{.text = span_from_cstr(people[i])}}};
        assert_int_equal(t->documents->ops->insert(t->documents, &before, &row), ERR_OK);
    }
    assert_int_equal(t_commit(t), ERR_OK);
    t_expect_names(t, &before, false, "amy", "p1 ");
    t_close(t);

    /* The other index takes the place of the one that was there, once. */
    one[0] = &after;
    for (int round = 0; round < 2; round++) {
        t_open_kinds(t, one, 1);
        t_expect_names(t, &after, false, "amy", "p1 ");
        t_expect_plan(t, "person_by_name_any_case (scope=? AND name=?)");
        t_expect_names(t, &after, true, "aMy", "p1 p0 ");
        t_expect_plan(t, "person_by_name_any_case (scope=? AND name=?)");
        t_expect_names(t, &after, false, "aMy", "");
        t_expect_names(t, &after, true, "am\xc3\xbd", "p4 ");
        t_close(t);
    }
    t_sql(t, "CREATE INDEX person_by_name ON person (name)"); /* fails if it is still there */
}

static void
migrations_are_numbered_and_run_once(void **state)
{
    struct t_store *t = *state;
    t_close(t);
    t_open(t);
    t_close(t);
    if (t->postgres != NULL) {
        char text[256];
        t_postgres_sql(
            t,
            "SELECT string_agg(number || ' ' || name, ',' ORDER BY number) "
            "FROM store_test.tael_migration",
            text,
            sizeof(text));
        assert_string_equal(text, "1 layout,2 fruit,3 stone");
        return;
    }
    sqlite3 *db;
    sqlite3_stmt *statement;
    assert_int_equal(sqlite3_open(t->file, &db), SQLITE_OK);
    assert_int_equal(
        sqlite3_prepare_v2(
            db,
            "SELECT group_concat(number || ' ' || name) FROM tael_migration ORDER BY number",
            -1,
            &statement,
            NULL),
        SQLITE_OK);
    assert_int_equal(sqlite3_step(statement), SQLITE_ROW);
    assert_string_equal(
        (const char *)sqlite3_column_text(statement, 0), "1 layout,2 fruit,3 stone");
    sqlite3_finalize(statement);
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

/* The oldest generation that may open it. */
static int
t_oldest(struct t_store *t)
{
    if (t->postgres != NULL) {
        char text[32];
        t_postgres_sql(t, "SELECT oldest_layout FROM store_test.tael_layout", text, sizeof(text));
        long layout = strtol(text, NULL, 10);
        return layout == 1 ? 1 : (int)layout - 1;
    }
    sqlite3 *db;
    sqlite3_stmt *statement;
    assert_int_equal(sqlite3_open(t->file, &db), SQLITE_OK);
    assert_int_equal(
        sqlite3_prepare_v2(db, "PRAGMA user_version", -1, &statement, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_step(statement), SQLITE_ROW);
    int oldest = sqlite3_column_int(statement, 0);
    sqlite3_finalize(statement);
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
    return oldest;
}

static void
what_older_programs_misread_keeps_them_out(void **state)
{
    struct t_store *t = *state;
    static const struct document_kind later = {.name = "later", .generation = DOCUMENT_GENERATION};
    const struct document_kind *const both[] = {&t_fruit, &later};
    const struct span ids[] = {SPAN("l0"), SPAN("l1"), SPAN("l2")};
    t_close(t);
    t_open_kinds(t, both, 2);
    t_fill(t);
    /* Neither the table, nor what is taken back, is anything to misread. */
    for (int round = 0; round < 3; round++) {
        struct document_row row = {.scope = SCOPE, .id = ids[round], .body = SPAN("{}")};
        assert_int_equal(t_begin(t), ERR_OK);
        assert_int_equal(t->documents->ops->insert(t->documents, &later, &row), ERR_OK);
        t->documents->ops->rollback(t->documents);
        if (round > 0) {
            assert_int_equal(t_begin(t), ERR_OK);
            assert_int_equal(t->documents->ops->insert(t->documents, &later, &row), ERR_OK);
            assert_int_equal(t_commit(t), ERR_OK);
        }
        t_close(t);
        assert_int_equal(t_oldest(t), round == 0 ? 1 : DOCUMENT_GENERATION);
        t_open_kinds(t, both, 2);
    }
    assert_int_equal(t_get(t, SCOPE, "f3", NULL), ERR_OK);
}

static void
a_newer_layout_and_foreign_files_are_refused(void **state)
{
    struct t_store *t = *state;
    t_close(t);
    t_sql(t, "PRAGMA user_version = 3");
    assert_int_equal(
        document_store_open(t->url, t_kinds, 2, &t->documents, t->message), ERR_VERSION);
    assert_non_null(strstr(t->message, "newer"));
    assert_null(t->documents);
    assert_int_equal(unlink(t->file), 0);
    t_sql(t, "CREATE TABLE theirs (x)");
    assert_int_equal(
        document_store_open(t->url, t_kinds, 2, &t->documents, t->message), ERR_INVALID);
    FILE *file = fopen(t->file, "w");
    assert_non_null(file);
    for (int i = 0; i < 2000; i++) {
        assert_true(fputs("no database", file) >= 0);
    }
    assert_int_equal(fclose(file), 0);
    assert_int_equal(
        document_store_open(t->url, t_kinds, 2, &t->documents, t->message), ERR_CORRUPT);
    assert_int_equal(
        document_store_open("mysql:x", t_kinds, 2, &t->documents, t->message), ERR_UNSUPPORTED);
    assert_int_equal(
        document_store_open("sqlite:/nowhere/at/all", t_kinds, 2, &t->documents, t->message),
        ERR_NOT_FOUND);
}

/* SQLite takes it for a new one, and throws the log away. */
static void
a_log_without_its_database_is_refused(void **state)
{
    struct t_store *t = *state;
    char log[160];
    struct stat before, after;
    t_fill(t);
    (void)snprintf(log, sizeof(log), "%s-wal", t->file);
    t_close(t);
    if (stat(log, &before) != 0 || before.st_size == 0) {
        FILE *file = fopen(log, "w");
        assert_non_null(file);
        assert_true(fputs("frames", file) >= 0);
        assert_int_equal(fclose(file), 0);
        assert_int_equal(stat(log, &before), 0);
    }
    for (int round = 0; round < 2; round++) {
        assert_int_equal(round == 0 ? truncate(t->file, 0) : unlink(t->file), 0);
        assert_int_equal(
            document_store_open(t->url, t_kinds, 2, &t->documents, t->message), ERR_CORRUPT);
        assert_non_null(strstr(t->message, t->file));
        assert_non_null(strstr(t->message, "-wal"));
        assert_int_equal(stat(log, &after), 0);
        assert_int_equal(after.st_size, before.st_size);
    }
}

static void
the_file_is_private(void **state)
{
    struct t_store *t = *state;
    t_fill(t);
    struct stat status;
    assert_int_equal(stat(t->file, &status), 0);
    assert_int_equal(status.st_mode & 0777, 0600);
    char log[160];
    (void)snprintf(log, sizeof(log), "%s-wal", t->file);
    assert_int_equal(stat(log, &status), 0);
    assert_int_equal(status.st_mode & 0777, 0600);
}

/* ---------------------------------------------------------------------- processes that die */

static void
a_second_process_is_told_that_it_is_locked(void **state)
{
    struct t_store *t = *state;
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        struct document_store *store;
        char message[DOCUMENT_MESSAGE_SIZE];
        err_t error = document_store_open(t->url, t_kinds, 2, &store, message);
        _exit(error == ERR_LOCKED && strstr(message, "another process") != NULL ? 0 : 1);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

/* The store's own pages are smaller. */
static void
a_database_keeps_the_pages_that_it_was_made_with(void **state)
{
    struct t_store *t = *state;
    int pages_due = document_sqlite_of(t->documents)->log_pages_due;
    struct document_row row = t_row(t, SCOPE, "old", "red", 0);
    t_insert_committed(t, &row);
    t_close(t);
    t_sql(t, "PRAGMA journal_mode = DELETE; PRAGMA page_size = 8192; VACUUM");
    t_open(t);
    row = t_row(t, SCOPE, "new", "red", 0);
    t_insert_committed(t, &row);
    assert_int_equal(document_sqlite_of(t->documents)->log_pages_due, pages_due / 2);
    t_close(t);
    struct stat file;
    assert_int_equal(stat(t->file, &file), 0);
    assert_int_equal(file.st_size % 8192, 0);
    t_open(t);
    assert_int_equal(t_get(t, SCOPE, "old", NULL), ERR_OK);
    assert_int_equal(t_get(t, SCOPE, "new", NULL), ERR_OK);
}

/* The log's being moved into the tables falls into every test, too. */
static void
t_move_log_often(struct t_store *t)
{
    if (t->postgres == NULL) {
        document_sqlite_of(t->documents)->log_pages_due = 20;
    }
}

#define GROUP_ROWS 5

/* Commits groups of rows for ever, and says the number of each group when it is durable. */
static void
t_write_groups(struct t_store *t, int out)
{
    for (uint32_t group = 1;; group++) {
        if (t_begin(t) != ERR_OK) {
            _exit(2);
        }
        for (uint32_t i = 0; i < GROUP_ROWS; i++) {
            char id[32];
            (void)snprintf(id, sizeof(id), "g%08u_%u", group, i);
            struct document_row row = t_row(t, SCOPE, id, "red", (int64_t)group);
            if (t_insert(t, &row) != ERR_OK) {
                _exit(3);
            }
        }
        if (t_commit(t) != ERR_OK || write(out, &group, sizeof(group)) != sizeof(group)) {
            _exit(4);
        }
        t->documents->ops->maintain(t->documents);
        arena_clear(&t->arena);
    }
}

static void
t_check_groups(struct t_store *t, uint32_t acknowledged)
{
    uint32_t group = 1;
    for (;; group++) {
        uint32_t there = 0;
        for (uint32_t i = 0; i < GROUP_ROWS; i++) {
            char id[32];
            (void)snprintf(id, sizeof(id), "g%08u_%u", group, i);
            there += t_get(t, SCOPE, id, NULL) == ERR_OK;
        }
        arena_clear(&t->arena);
        if (there == 0) {
            break;
        }
        assert_int_equal(there, GROUP_ROWS); /* DOCUMENT-1 */
    }
    assert_true(group > acknowledged);
    arena_clear(&t->arena);
    /* One group may be durable whose word was never said. */
    assert_true(group - 1 <= acknowledged + 1);
}

static void
committed_groups_survive_a_kill(void **state) /* DOCUMENT-1 */
{
    struct t_store *t = *state;
    const int rounds = getenv("TEST_LONG") != NULL ? 200 : 15;
    for (int round = 0; round < rounds; round++) {
        t_close(t);
        t_empty(t);
        int ends[2];
        assert_int_equal(pipe(ends), 0);
        pid_t child = fork();
        assert_true(child >= 0);
        if (child == 0) {
            (void)close(ends[0]);
            t_open(t);
            t_move_log_often(t);
            t_write_groups(t, ends[1]);
        }
        (void)close(ends[1]);
        (void)usleep((useconds_t)(3000 + round * 2711 % 40000));
        assert_int_equal(kill(child, SIGKILL), 0);
        assert_int_equal(waitpid(child, NULL, 0), child);
        uint32_t group, acknowledged = 0;
        while (read(ends[0], &group, sizeof(group)) == sizeof(group)) {
            acknowledged = group;
        }
        (void)close(ends[0]);
        t_open(t);
        t_check_groups(t, acknowledged);
    }
}

int
main(void)
{
#define T(test) cmocka_unit_test_setup_teardown(test, t_setup, t_teardown)
    const struct CMUnitTest tests[] = {
        T(a_later_program_adds_kinds_and_columns),
        T(an_index_may_ignore_case),
        T(migrations_are_numbered_and_run_once),
        T(what_older_programs_misread_keeps_them_out),
        T(committed_groups_survive_a_kill),
    };
    const struct CMUnitTest of_files[] = {
        T(a_newer_layout_and_foreign_files_are_refused),
        T(a_log_without_its_database_is_refused),
        T(the_file_is_private),
        T(a_database_keeps_the_pages_that_it_was_made_with),
        T(a_second_process_is_told_that_it_is_locked),
    };
    int failed = cmocka_run_group_tests_name("document store's life", tests, NULL, NULL);
    if (getenv("TEST_POSTGRES") == NULL) {
        failed +=
            cmocka_run_group_tests_name("document store's life in files", of_files, NULL, NULL);
        t_fruit.is_small = true;
        failed +=
            cmocka_run_group_tests_name("document store's life, small rows", tests, NULL, NULL);
    }
    return failed;
}
