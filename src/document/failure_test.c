/* DOCUMENT-4 and DOCUMENT-5 when the disk fails, and what a crash at any moment leaves: a disk for
 * the row log and an SQLite file system that fail on command. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "sqlite.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---------------------------------------------------------------------- the failing file system */

struct t_file {
    sqlite3_file base; /* first */
    bool log;          /* the write-ahead log */
    sqlite3_file *real;
};

static struct {
    sqlite3_vfs vfs;
    sqlite3_vfs *real;
    bool full; /* writes to SQLite's log fail */
} shim;

/* The disk of the row log. */
static struct {
    struct os_disk disk;
    struct os_disk_ops ops;
    bool full; /* takes no new space */
    bool syncs_fail;
    uint32_t writes, syncs;
} rows;

static sqlite3_file *
real_of(sqlite3_file *file)
{
    return ((struct t_file *)(void *)file)->real;
}

static int
file_close(sqlite3_file *file)
{
    return real_of(file)->pMethods->xClose(real_of(file));
}

static int
file_read(sqlite3_file *file, void *out, int size, sqlite3_int64 offset)
{
    return real_of(file)->pMethods->xRead(real_of(file), out, size, offset);
}

static int
file_write(sqlite3_file *file, const void *data, int size, sqlite3_int64 offset)
{
    if (((struct t_file *)(void *)file)->log && shim.full) {
        return SQLITE_FULL;
    }
    return real_of(file)->pMethods->xWrite(real_of(file), data, size, offset);
}

static int
file_truncate(sqlite3_file *file, sqlite3_int64 size)
{
    return real_of(file)->pMethods->xTruncate(real_of(file), size);
}

static int
file_sync(sqlite3_file *file, int flags)
{
    return real_of(file)->pMethods->xSync(real_of(file), flags);
}

static int
file_size(sqlite3_file *file, sqlite3_int64 *size)
{
    return real_of(file)->pMethods->xFileSize(real_of(file), size);
}

static int
file_lock(sqlite3_file *file, int level)
{
    return real_of(file)->pMethods->xLock(real_of(file), level);
}

static int
file_unlock(sqlite3_file *file, int level)
{
    return real_of(file)->pMethods->xUnlock(real_of(file), level);
}

static int
file_check_lock(sqlite3_file *file, int *reserved)
{
    return real_of(file)->pMethods->xCheckReservedLock(real_of(file), reserved);
}

static int
file_control(sqlite3_file *file, int operation, void *argument)
{
    return real_of(file)->pMethods->xFileControl(real_of(file), operation, argument);
}

static int
file_sector_size(sqlite3_file *file)
{
    return real_of(file)->pMethods->xSectorSize(real_of(file));
}

static int
file_characteristics(sqlite3_file *file)
{
    return real_of(file)->pMethods->xDeviceCharacteristics(real_of(file));
}

static const sqlite3_io_methods file_methods = {
    .iVersion = 1,
    .xClose = file_close,
    .xRead = file_read,
    .xWrite = file_write,
    .xTruncate = file_truncate,
    .xSync = file_sync,
    .xFileSize = file_size,
    .xLock = file_lock,
    .xUnlock = file_unlock,
    .xCheckReservedLock = file_check_lock,
    .xFileControl = file_control,
    .xSectorSize = file_sector_size,
    .xDeviceCharacteristics = file_characteristics,
};

static int
shim_open(sqlite3_vfs *vfs, const char *name, sqlite3_file *out, int flags, int *ret_flags)
{
    (void)vfs;
    struct t_file *file = (struct t_file *)(void *)out;
    file->real = (sqlite3_file *)(void *)(file + 1);
    file->log = (flags & SQLITE_OPEN_WAL) != 0;
    int code = shim.real->xOpen(shim.real, name, file->real, flags, ret_flags);
    file->base.pMethods = file->real->pMethods == NULL ? NULL : &file_methods;
    return code;
}

static err_t
rows_write(
    struct os_disk *disk, struct os_file *file, const void *data, size_t size, uint64_t offset)
{
    (void)disk;
    rows.writes++;
    return os_disk_real()->ops->write(os_disk_real(), file, data, size, offset);
}

static err_t
rows_sync(struct os_disk *disk, struct os_file *file)
{
    (void)disk;
    rows.syncs++;
    /* The bytes may have reached the disk all the same: that is what makes it dangerous. */
    err_t result = os_disk_real()->ops->sync(os_disk_real(), file);
    return rows.syncs_fail ? ERR_IO : result;
}

static err_t
rows_allocate(struct os_disk *disk, struct os_file *file, uint64_t size)
{
    (void)disk;
    return rows.full ? ERR_DISK_FULL : os_disk_real()->ops->allocate(os_disk_real(), file, size);
}

/* ----------------------------------------------------------------------------------- the tests */

#define BODY_SIZE 400000

static const struct document_kind fruit = {
    .name = "fruit",
    .columns = {{"colour", DOCUMENT_TEXT, .indexed = true}},
    .column_count = 1,
};
static const struct document_kind *const kinds[] = {&fruit};

struct t_store {
    char folder[64];
    char url[96];
    struct document_store *documents;
    struct arena arena;
    char message[DOCUMENT_MESSAGE_SIZE];
};

static void
t_open(struct t_store *t)
{
    assert_int_equal(document_store_open(t->url, kinds, 1, &t->documents, t->message), ERR_OK);
    document_sqlite_of(t->documents)->rows.disk = &rows.disk;
}

static int
t_setup(void **state)
{
    struct t_store *t = calloc(1, sizeof(*t));
    assert_non_null(t);
    shim.full = false;
    rows.ops = *os_disk_real()->ops;
    rows.ops.write = rows_write;
    rows.ops.sync = rows_sync;
    rows.ops.allocate = rows_allocate;
    rows.disk.ops = &rows.ops;
    rows.full = false;
    rows.syncs_fail = false;
    (void)snprintf(t->folder, sizeof(t->folder), "/tmp/document_fail_XXXXXX");
    assert_non_null(mkdtemp(t->folder));
    (void)snprintf(t->url, sizeof(t->url), "sqlite:%s/d.db", t->folder);
    arena_init(&t->arena, 1 << 26);
    t_open(t);
    *state = t;
    return 0;
}

static void
t_remove(const struct t_store *t, const char *name)
{
    char path[96];
    (void)snprintf(path, sizeof(path), "%s/%s", t->folder, name);
    (void)unlink(path);
}

static int
t_teardown(void **state)
{
    struct t_store *t = *state;
    static const char *const names[] = {
        "d.db", "d.db-rows", "d.db-wal", "c.db", "c.db-rows", "c.db-wal"};
    shim.full = false;
    t->documents->ops->close(t->documents);
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        t_remove(t, names[i]);
    }
    assert_int_equal(rmdir(t->folder), 0);
    arena_release(&t->arena);
    free(t);
    return 0;
}

static const char *
t_body(void)
{
    static char body[BODY_SIZE];
    if (body[0] == '\0') {
        (void)snprintf(body, sizeof(body), "{\"colour\":\"r\\u0065d\"");
        memset(body + strlen(body), ' ', sizeof(body) - strlen(body));
        body[BODY_SIZE - 1] = '}';
    }
    return body;
}

static struct document_row
t_row(const char *id)
{
    return (struct document_row){
        .scope = 1,
        .id = span_from_cstr(id),
        .body = span_of(t_body(), BODY_SIZE),
        .columns = {{.text = SPAN("red")}},
    };
}

static void
t_insert(struct t_store *t, const char *id)
{
    struct document_row row = t_row(id);
    assert_int_equal(t->documents->ops->begin(t->documents), ERR_OK);
    assert_int_equal(t->documents->ops->insert(t->documents, &fruit, &row), ERR_OK);
}

static err_t
t_write(struct t_store *t, const char *id)
{
    t_insert(t, id);
    return t->documents->ops->commit(t->documents);
}

static void
t_apply(struct t_store *t, const char *id)
{
    t_insert(t, id);
    assert_int_equal(t->documents->ops->apply(t->documents), ERR_OK);
}

/* By its id, and by its column. */
static bool
t_there(struct t_store *t, struct document_store *documents, const char *id)
{
    struct document_row row;
    err_t result = documents->ops->get(documents, &fruit, 1, span_from_cstr(id), &t->arena, &row);
    if (result == ERR_OK) {
        assert_true(span_equal_cstr(row.columns[0].text, "red")); /* DOCUMENT-6 */
        assert_int_equal(row.body.size, BODY_SIZE);
    }
    arena_clear(&t->arena);
    return result == ERR_OK;
}

/* The first `size` bytes: all, if there are fewer. */
static void
t_copy(const char *folder, const char *from, const char *to, size_t size)
{
    char path[96];
    static char bytes[64 << 20];
    (void)snprintf(path, sizeof(path), "%s/%s", folder, from);
    FILE *in = fopen(path, "rb");
    assert_non_null(in);
    (void)snprintf(path, sizeof(path), "%s/%s", folder, to);
    FILE *out = fopen(path, "wb");
    assert_non_null(out);
    size_t count = fread(bytes, 1, sizeof(bytes), in);
    assert_true(count < sizeof(bytes));
    count = count < size ? count : size;
    assert_int_equal(fwrite(bytes, 1, count, out), count);
    assert_int_equal(fclose(in), 0);
    assert_int_equal(fclose(out), 0);
}

/* What a start after a crash at this moment would find, if no more than so many bytes of the row
 * log had reached the disk. */
static struct document_store *
t_after_crash(struct t_store *t, size_t log_size)
{
    char url[96];
    char message[DOCUMENT_MESSAGE_SIZE];
    struct document_store *copy;
    t_copy(t->folder, "d.db", "c.db", SIZE_MAX);
    t_copy(t->folder, "d.db-wal", "c.db-wal", SIZE_MAX);
    t_copy(t->folder, "d.db-rows", "c.db-rows", log_size);
    (void)snprintf(url, sizeof(url), "sqlite:%s/c.db", t->folder);
    assert_int_equal(document_store_open(url, kinds, 1, &copy, message), ERR_OK);
    return copy;
}

static void
t_expect_after_crash(struct t_store *t, const char *id, bool there)
{
    struct document_store *copy = t_after_crash(t, SIZE_MAX);
    assert_int_equal(t_there(t, copy, id), there);
    copy->ops->close(copy);
}

static void
t_name(char name[16], uint32_t number)
{
    (void)snprintf(name, 16, "row%05u", number);
}

static void
a_full_disk_loses_the_transaction_only(void **state)
{
    struct t_store *t = *state;
    char name[16];
    uint32_t count = 0;
    err_t result = ERR_OK;
    while (count < 100) {
        rows.full = count > 0; /* what is reserved still takes some */
        t_name(name, count);
        result = t_write(t, name);
        if (result != ERR_OK) {
            break;
        }
        count++;
    }
    assert_int_equal(result, ERR_DISK_FULL);
    assert_true(count > 0);
    assert_false(t_there(t, t->documents, name));
    t_expect_after_crash(t, name, false);
    rows.full = false;
    assert_int_equal(t_write(t, "after"), ERR_OK);
    for (uint32_t i = 0; i < count; i++) {
        t_name(name, i);
        assert_true(t_there(t, t->documents, name));
        t_expect_after_crash(t, name, true);
    }
    t_expect_after_crash(t, "after", true);
}

static void
a_failed_sync_is_unknown_and_final(void **state) /* DOCUMENT-5 */
{
    struct t_store *t = *state;
    assert_int_equal(t_write(t, "before"), ERR_OK);
    rows.syncs_fail = true;
    assert_int_equal(t_write(t, "open"), ERR_OUTCOME_UNKNOWN);
    rows.syncs_fail = false;
    assert_int_equal(t->documents->ops->begin(t->documents), ERR_IO);
    struct document_row row;
    struct document_query query = {.scope = 1, .range_column = UINT32_MAX, .limit = 1};
    assert_int_equal(
        t->documents->ops->get(t->documents, &fruit, 1, SPAN("open"), &t->arena, &row), ERR_IO);
    assert_int_equal(t->documents->ops->list(t->documents, &fruit, &query, NULL, NULL), ERR_IO);
    t->documents->ops->maintain(t->documents);
    t_expect_after_crash(t, "before", true);
}

static void
apply_leaves_the_sync_to_sync(void **state) /* DOCUMENT-5 */
{
    struct t_store *t = *state;
    assert_int_equal(t_write(t, "before"), ERR_OK);
    rows.writes = 0;
    rows.syncs = 0;
    t_apply(t, "one");
    t_apply(t, "two");
    assert_int_equal(rows.writes + rows.syncs, 0);
    assert_true(t_there(t, t->documents, "one"));
    t_expect_after_crash(t, "one", false);
    t_expect_after_crash(t, "before", true);
    assert_int_equal(t->documents->ops->sync(t->documents), ERR_OK);
    assert_int_equal(rows.syncs, 1);
    t_expect_after_crash(t, "one", true);
    t_expect_after_crash(t, "two", true);
    /* A commit in between is durable by itself, with what was applied before it. */
    t_apply(t, "three");
    assert_int_equal(t_write(t, "committed"), ERR_OK);
    assert_int_equal(rows.syncs, 2);
    t_expect_after_crash(t, "three", true);
}

static void
what_was_applied_survives_a_rollback(void **state) /* DOCUMENT-4 */
{
    struct t_store *t = *state;
    struct document_store *documents = t->documents;
    assert_int_equal(t_write(t, "committed"), ERR_OK);
    t_apply(t, "applied");
    assert_int_equal(documents->ops->begin(documents), ERR_OK);
    struct document_row row = t_row("applied");
    row.version = 1;
    assert_int_equal(documents->ops->update(documents, &fruit, &row), ERR_OK);
    assert_int_equal(documents->ops->remove(documents, &fruit, 1, SPAN("committed"), 1), ERR_OK);
    assert_int_equal(documents->ops->commit(documents), ERR_OK);
    t_insert(t, "lost");
    row.version = 2;
    assert_int_equal(documents->ops->update(documents, &fruit, &row), ERR_OK);
    documents->ops->rollback(documents);
    assert_false(t_there(t, documents, "lost"));
    assert_false(t_there(t, documents, "committed"));
    assert_int_equal(
        documents->ops->get(documents, &fruit, 1, SPAN("applied"), &t->arena, &row), ERR_OK);
    assert_int_equal(row.version, 2);
    t_expect_after_crash(t, "lost", false);
    t_expect_after_crash(t, "committed", false);
    t_expect_after_crash(t, "applied", true);
}

/* Groups of several sizes; a crash keeps any number of the log's bytes. */
static void
a_torn_log_loses_whole_groups_from_its_end(void **state) /* DOCUMENT-1 */
{
    struct t_store *t = *state;

    enum {
        GROUPS = 4
    };

    char name[16];
    uint64_t ends[GROUPS];
    for (uint32_t i = 0; i < GROUPS; i++) {
        t_name(name, 2 * i);
        t_insert(t, name);
        t_name(name, 2 * i + 1);
        struct document_row row = t_row(name);
        assert_int_equal(t->documents->ops->insert(t->documents, &fruit, &row), ERR_OK);
        assert_int_equal(t->documents->ops->commit(t->documents), ERR_OK);
        ends[i] = document_sqlite_of(t->documents)->rows.end;
    }
    for (uint32_t i = 0; i < GROUPS; i++) {
        static const int64_t around[] = {-BODY_SIZE - 20, -1, 0, 1, 31, 33, 1000};
        for (size_t j = 0; j < sizeof(around) / sizeof(around[0]); j++) {
            struct document_store *copy = t_after_crash(t, (size_t)((int64_t)ends[i] + around[j]));
            for (uint32_t k = 0; k < 2 * GROUPS; k++) {
                t_name(name, k);
                assert_int_equal(
                    t_there(t, copy, name), k / 2 < i || (k / 2 == i && around[j] >= 0));
            }
            copy->ops->close(copy);
        }
    }
}

static void
laps_of_the_log_are_told_apart(void **state) /* ROWLOG-1, ROWLOG-2 */
{
    struct t_store *t = *state;
    struct document_sqlite *sqlite = document_sqlite_of(t->documents);
    char name[16];
    uint32_t laps = 0;
    sqlite->fold_bytes = 3 * BODY_SIZE;
    sqlite->fold_due = sqlite->fold_bytes;
    sqlite->log_pages_due = 400;
    for (uint32_t i = 0; i < 40; i++) {
        uint64_t end = sqlite->rows.end;
        t_name(name, i);
        assert_int_equal(t_write(t, name), ERR_OK);
        t->documents->ops->maintain(t->documents);
        laps += sqlite->rows.end < end;
        struct document_store *copy = t_after_crash(t, SIZE_MAX);
        for (uint32_t k = 0; k <= i; k++) {
            t_name(name, k);
            assert_true(t_there(t, copy, name));
        }
        copy->ops->close(copy);
    }
    assert_true(laps >= 3);
}

static void
sqlite_may_find_the_disk_full_later(void **state)
{
    struct t_store *t = *state;
    struct document_sqlite *sqlite = document_sqlite_of(t->documents);
    sqlite->fold_bytes = 3 * BODY_SIZE;
    sqlite->fold_due = sqlite->fold_bytes;
    char name[16];
    shim.full = true;
    for (uint32_t i = 0; i < 12; i++) {
        t_name(name, i);
        assert_int_equal(t_write(t, name), ERR_OK);
        t->documents->ops->maintain(t->documents);
    }
    assert_true(sqlite->rows.kept_bytes > 11 * BODY_SIZE);
    shim.full = false;
    t_expect_after_crash(t, name, true);
    for (uint32_t i = 12; i < 20; i++) {
        t_name(name, i);
        assert_int_equal(t_write(t, name), ERR_OK);
        t->documents->ops->maintain(t->documents);
    }
    assert_true(sqlite->rows.kept_bytes < 4 * BODY_SIZE);
    struct document_store *copy = t_after_crash(t, SIZE_MAX);
    for (uint32_t i = 0; i < 20; i++) {
        t_name(name, i);
        assert_true(t_there(t, t->documents, name));
        assert_true(t_there(t, copy, name));
    }
    copy->ops->close(copy);
}

static void
a_log_that_is_missing_is_noticed(void **state)
{
    struct t_store *t = *state;
    char url[96];
    struct document_store *copy;
    assert_int_equal(t_write(t, "row"), ERR_OK);
    t_copy(t->folder, "d.db", "c.db", SIZE_MAX);
    t_copy(t->folder, "d.db-wal", "c.db-wal", SIZE_MAX);
    (void)snprintf(url, sizeof(url), "sqlite:%s/c.db", t->folder);
    assert_int_equal(document_store_open(url, kinds, 1, &copy, t->message), ERR_CORRUPT);
    assert_non_null(strstr(t->message, "-rows"));
    /* Of an earlier start. */
    t_copy(t->folder, "d.db-rows", "c.db-rows", SIZE_MAX);
    t->documents->ops->close(t->documents);
    t_open(t);
    assert_int_equal(t_write(t, "later"), ERR_OK);
    t_copy(t->folder, "d.db", "c.db", SIZE_MAX);
    t_copy(t->folder, "d.db-wal", "c.db-wal", SIZE_MAX);
    assert_int_equal(document_store_open(url, kinds, 1, &copy, t->message), ERR_CORRUPT);
    /* Who was closed well needs none. */
    t->documents->ops->close(t->documents);
    t_remove(t, "d.db-rows");
    t_open(t);
    assert_true(t_there(t, t->documents, "row"));
    assert_true(t_there(t, t->documents, "later"));
}

/* Columns are as they were written, though the body has nothing of them (the vault's are so); and
 * one that a later program adds is as the body has it. */
static void
columns_come_back_as_written(void **state)
{
    struct t_store *t = *state;
    static const struct document_kind later = {
        .name = "fruit",
        .columns =
            {{"colour", DOCUMENT_TEXT, .indexed = true},
             {"weight", DOCUMENT_INTEGER, .indexed = true},
             {"taste", DOCUMENT_TEXT, .indexed = false}},
        .column_count = 3,
    };
    static const struct document_kind *const later_kinds[] = {&later};
    struct document_store_ops ops = *t->documents->ops;
    struct document_row row = {
        .scope = 1,
        .id = SPAN("a"),
        .body = SPAN("{\"weight\":7,\"taste\":\"s\\u0077eet\"}"),
        .columns = {{.text = SPAN("green")}},
    };
    assert_int_equal(ops.begin(t->documents), ERR_OK);
    assert_int_equal(ops.insert(t->documents, &fruit, &row), ERR_OK);
    assert_int_equal(ops.commit(t->documents), ERR_OK);
    row.version = 1;
    row.unchanged_columns = 1;
    row.columns[0] = (struct document_value){.is_null = true};
    assert_int_equal(ops.begin(t->documents), ERR_OK);
    assert_int_equal(ops.update(t->documents, &fruit, &row), ERR_OK);
    assert_int_equal(ops.commit(t->documents), ERR_OK);
    struct document_store *copy = t_after_crash(t, SIZE_MAX);
    assert_int_equal(copy->ops->get(copy, &fruit, 1, SPAN("a"), &t->arena, &row), ERR_OK);
    assert_int_equal(row.version, 2);
    assert_true(span_equal_cstr(row.columns[0].text, "green"));
    copy->ops->close(copy);

    char url[96];
    t_copy(t->folder, "d.db", "c.db", SIZE_MAX);
    t_copy(t->folder, "d.db-wal", "c.db-wal", SIZE_MAX);
    t_copy(t->folder, "d.db-rows", "c.db-rows", SIZE_MAX);
    (void)snprintf(url, sizeof(url), "sqlite:%s/c.db", t->folder);
    assert_int_equal(document_store_open(url, later_kinds, 1, &copy, t->message), ERR_OK);
    assert_int_equal(copy->ops->get(copy, &later, 1, SPAN("a"), &t->arena, &row), ERR_OK);
    assert_true(span_equal_cstr(row.columns[0].text, "green"));
    assert_int_equal(row.columns[1].integer, 7);
    assert_true(span_equal_cstr(row.columns[2].text, "sweet"));
    copy->ops->close(copy);
}

int
main(void)
{
    shim.real = sqlite3_vfs_find(NULL);
    shim.vfs = *shim.real;
    shim.vfs.zName = "failing";
    shim.vfs.szOsFile = (int)sizeof(struct t_file) + shim.real->szOsFile;
    shim.vfs.xOpen = shim_open;
    if (sqlite3_vfs_register(&shim.vfs, 1) != SQLITE_OK) {
        return 1;
    }
#define T(test) cmocka_unit_test_setup_teardown(test, t_setup, t_teardown)
    const struct CMUnitTest tests[] = {
        T(a_full_disk_loses_the_transaction_only),
        T(a_failed_sync_is_unknown_and_final),
        T(apply_leaves_the_sync_to_sync),
        T(what_was_applied_survives_a_rollback),
        T(a_torn_log_loses_whole_groups_from_its_end),
        T(laps_of_the_log_are_told_apart),
        T(sqlite_may_find_the_disk_full_later),
        T(columns_come_back_as_written),
        T(a_log_that_is_missing_is_noticed),
    };
    return cmocka_run_group_tests_name("document failure", tests, NULL, NULL);
}
