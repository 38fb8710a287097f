/*
 * Copies of a database beside its owner: COPY-1, COPY-2, COPY-3, and the reader of a copy.
 */
#include "document/copy.h"

#include "document/reader.h"

#include "os/file.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#define ROWS 500

static const struct document_kind kind = {.name = "thing", .column_count = 0};
static const struct document_kind *const kinds[] = {&kind};

struct t_copy {
    char folder[64];
    char path[128];
    char to[128];
    char message[DOCUMENT_MESSAGE_SIZE];
    struct document_store *store;
    uint64_t rows;
};

static int
t_setup(void **state)
{
    struct t_copy *t = calloc(1, sizeof(*t));
    assert_non_null(t);
    (void)snprintf(t->folder, sizeof(t->folder), "/tmp/document-copy-XXXXXX");
    assert_non_null(mkdtemp(t->folder));
    (void)snprintf(t->path, sizeof(t->path), "%s/a b%%.db", t->folder);
    (void)snprintf(t->to, sizeof(t->to), "%s/copy.db", t->folder);
    char url[160];
    (void)snprintf(url, sizeof(url), "sqlite:%s", t->path);
    assert_int_equal(document_store_open(url, kinds, 1, &t->store, t->message), ERR_OK);
    *state = t;
    return 0;
}

static void
t_remove_name(void *context, const char *name)
{
    const struct t_copy *t = context;
    char path[512];
    (void)snprintf(path, sizeof(path), "%s/%s", t->folder, name);
    assert_int_equal(os_disk_real()->ops->remove(os_disk_real(), path), ERR_OK);
}

static void
t_remove(struct t_copy *t)
{
    struct os_disk *disk = os_disk_real();
    assert_int_equal(disk->ops->list(disk, t->folder, t_remove_name, t), ERR_OK);
    assert_int_equal(os_folder_remove(t->folder), ERR_OK);
}

static int
t_teardown(void **state)
{
    struct t_copy *t = *state;
    t->store->ops->close(t->store);
    t_remove(t);
    free(t);
    return 0;
}

static void
t_add(struct t_copy *t, uint32_t count)
{
    assert_int_equal(t->store->ops->begin(t->store), ERR_OK);
    for (uint32_t i = 0; i < count; i++) {
        char id[32];
        char body[2048];
        (void)snprintf(id, sizeof(id), "thing_%08u", (unsigned)t->rows++);
        memset(body, 'x', sizeof(body));
        struct document_row row = {
            .scope = 7, .id = span_from_cstr(id), .body = span_of(body, sizeof(body))};
        assert_int_equal(t->store->ops->insert(t->store, &kind, &row), ERR_OK);
    }
    assert_int_equal(t->store->ops->commit(t->store), ERR_OK);
}

static err_t
t_see(void *context, uint64_t scope, struct span id, struct span body)
{
    assert_int_equal(scope, 7);
    assert_int_equal(body.size, 2048);
    assert_true(span_starts_with(id, SPAN("thing_")));
    ++*(uint64_t *)context;
    return ERR_OK;
}

static void
t_expect_copy(struct t_copy *t, uint64_t rows)
{
    struct document_reader *reader = NULL;
    struct stat status;
    uint64_t seen = 0;
    assert_int_equal(stat(t->to, &status), 0);
    assert_int_equal(status.st_mode & 0777, 0600);
    assert_int_equal(document_reader_open(t->to, &reader, t->message), ERR_OK);
    assert_int_equal(document_reader_check(reader, t->message), ERR_OK);
    assert_int_equal(document_reader_each(reader, "thing", t_see, &seen, t->message), ERR_OK);
    assert_int_equal(seen, rows);
    assert_int_equal(document_reader_each(reader, "nothing", t_see, &seen, t->message), ERR_OK);
    assert_int_equal(seen, rows);
    assert_int_equal(
        document_reader_get(
            reader,
            &(const struct document_reader_key){"thing", 7, SPAN("thing_00000003")},
            t_see,
            &seen,
            t->message),
        ERR_OK);
    assert_int_equal(seen, rows + 1);
    assert_int_equal(
        document_reader_get(
            reader,
            &(const struct document_reader_key){"thing", 8, SPAN("thing_00000003")},
            t_see,
            &seen,
            t->message),
        ERR_NOT_FOUND);
    assert_int_equal(
        document_reader_get(
            reader,
            &(const struct document_reader_key){"nothing", 7, SPAN("thing_00000003")},
            t_see,
            &seen,
            t->message),
        ERR_NOT_FOUND);
    document_reader_close(&reader);
    (void)snprintf(t->message, sizeof(t->message), "%s-wal", t->to);
    assert_int_equal(access(t->message, F_OK), -1); /* nothing was written beside it */
}

/* The owner writes between the pieces, and moves its log into the tables. */
static bool
t_write_on(void *context, uint64_t done)
{
    struct t_copy *t = context;
    (void)done;
    t_add(t, 50);
    (void)t->store->ops->maintain(t->store);
    return true;
}

static void
a_snapshot_is_of_its_moment(void **state)
{
    struct t_copy *t = *state;
    struct document_snapshot *snapshot = NULL;
    t_add(t, ROWS);
    assert_int_equal(document_snapshot_take(t->path, &snapshot, t->message), ERR_OK);
    assert_true(document_snapshot_size(snapshot) > (uint64_t)ROWS * 2048);
    t_add(t, ROWS);
    assert_int_equal(document_snapshot_write(snapshot, t->to, t_write_on, t, t->message), ERR_OK);
    document_snapshot_release(&snapshot);
    assert_true(t->rows > 2 * (uint64_t)ROWS);
    t_expect_copy(t, ROWS);
    assert_int_equal(document_snapshot_take(t->path, &snapshot, t->message), ERR_OK);
    assert_int_equal(document_snapshot_write(snapshot, t->to, NULL, NULL, t->message), ERR_EXISTS);
    document_snapshot_release(&snapshot);
}

static bool
t_stop(void *context, uint64_t done)
{
    (void)context;
    (void)done;
    return false;
}

static void
writing_can_be_stopped(void **state)
{
    struct t_copy *t = *state;
    struct document_snapshot *snapshot = NULL;
    t_add(t, 5 * ROWS);
    assert_int_equal(document_snapshot_take(t->path, &snapshot, t->message), ERR_OK);
    assert_int_equal(
        document_snapshot_write(snapshot, t->to, t_stop, NULL, t->message), ERR_CLOSED);
    document_snapshot_release(&snapshot);
    t_add(t, 1);
}

/* While a hold lasts a commit waits; the second hold is told that it is not alone. */
static void
a_hold_keeps_commits_out(void **state)
{
    struct t_copy *t = *state;
    struct document_hold *hold = NULL;
    struct document_hold *second = NULL;
    t_add(t, 1);
    assert_int_equal(document_hold_take(t->path, 100, &hold, t->message), ERR_OK);
    assert_int_equal(document_hold_take(t->path, 10, &second, t->message), ERR_LOCKED);
    assert_non_null(strstr(t->message, "locked"));
    document_hold_release(&hold);
    t_add(t, 1);
}

/* COPY-3: in a process of its own, which is killed while it holds. */
static void
a_hold_ends_with_its_process(void **state)
{
    struct t_copy *t = *state;
    int ready[2];
    char byte = 0;
    t_add(t, 1);
    assert_int_equal(pipe(ready), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        struct document_hold *hold = NULL;
        byte = document_hold_take(t->path, 1000, &hold, t->message) == ERR_OK ? 'y' : 'n';
        ssize_t written = write(ready[1], &byte, 1);
        (void)written;
        sleep(1000);
        _exit(0);
    }
    assert_int_equal(read(ready[0], &byte, 1), 1);
    assert_int_equal(byte, 'y');
    assert_int_equal(kill(child, SIGSTOP), 0);
    struct document_hold *second = NULL;
    assert_int_equal(document_hold_take(t->path, 10, &second, t->message), ERR_LOCKED);
    assert_int_equal(kill(child, SIGKILL), 0);
    assert_int_equal(waitpid(child, NULL, 0), child);
    t_add(t, 1);
    close(ready[0]);
    close(ready[1]);
}

static void
what_is_no_database_is_refused(void **state)
{
    struct t_copy *t = *state;
    struct document_hold *hold = NULL;
    struct document_snapshot *snapshot = NULL;
    struct document_reader *reader = NULL;
    char path[128];
    (void)snprintf(path, sizeof(path), "%s/none.db", t->folder);
    assert_int_not_equal(document_hold_take(path, 10, &hold, t->message), ERR_OK);
    assert_non_null(strstr(t->message, "none.db"));
    assert_int_not_equal(document_snapshot_take(path, &snapshot, t->message), ERR_OK);
    assert_int_not_equal(document_reader_open(path, &reader, t->message), ERR_OK);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    for (int i = 0; i < 3000; i++) {
        assert_true(fputs("no database ", file) >= 0);
    }
    assert_int_equal(fclose(file), 0);
    assert_int_equal(document_snapshot_take(path, &snapshot, t->message), ERR_CORRUPT);
    assert_null(snapshot);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_snapshot_is_of_its_moment, t_setup, t_teardown),
        cmocka_unit_test_setup_teardown(writing_can_be_stopped, t_setup, t_teardown),
        cmocka_unit_test_setup_teardown(a_hold_keeps_commits_out, t_setup, t_teardown),
        cmocka_unit_test_setup_teardown(a_hold_ends_with_its_process, t_setup, t_teardown),
        cmocka_unit_test_setup_teardown(what_is_no_database_is_refused, t_setup, t_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
