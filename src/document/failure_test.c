/* DOCUMENT-4 when the disk fails: an SQLite file system that fails on command. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "document/document.h"
#include "page_cache.h"
#include "sqlite.h"

#include <signal.h>
#include <sqlite3.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
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
    _Atomic int log_syncs; /* counted */
    int syncs_fail;        /* so many syncs of the log */
    int writes_after;      /* writes to the log that succeed before those that find the disk full */
    bool full;
    _Atomic bool tables_fail; /* writes to the database itself */
    _Atomic uint32_t table_writes;
    _Atomic bool table_syncs_fail; /* and the bytes do not reach the disk */
    _Atomic uint32_t table_syncs;
    _Atomic uint32_t
        table_sync_that_fails; /* counted as table_syncs, and told once only; 0: none */
} shim;

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
    if (((struct t_file *)(void *)file)->log && shim.full && shim.writes_after-- <= 0) {
        return SQLITE_FULL;
    }
    if (!((struct t_file *)(void *)file)->log) {
        atomic_fetch_add(&shim.table_writes, 1);
        if (atomic_load(&shim.tables_fail)) {
            return SQLITE_IOERR_WRITE;
        }
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
    if (!((struct t_file *)(void *)file)->log) {
        uint32_t number = atomic_fetch_add(&shim.table_syncs, 1) + 1;
        return atomic_load(&shim.table_syncs_fail) ||
                       number == atomic_load(&shim.table_sync_that_fails)
                   ? SQLITE_IOERR_FSYNC
                   : real_of(file)->pMethods->xSync(real_of(file), flags);
    }
    /* The bytes may have reached the disk all the same: that is what makes it dangerous. */
    int code = real_of(file)->pMethods->xSync(real_of(file), flags);
    shim.log_syncs++;
    if (shim.syncs_fail > 0) {
        shim.syncs_fail--;
        return SQLITE_IOERR_FSYNC;
    }
    return code;
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

static int
file_shm_map(sqlite3_file *file, int page, int page_size, int extend, void volatile **out)
{
    return real_of(file)->pMethods->xShmMap(real_of(file), page, page_size, extend, out);
}

static int
file_shm_lock(sqlite3_file *file, int offset, int n, int flags)
{
    return real_of(file)->pMethods->xShmLock(real_of(file), offset, n, flags);
}

static void
file_shm_barrier(sqlite3_file *file)
{
    real_of(file)->pMethods->xShmBarrier(real_of(file));
}

static int
file_shm_unmap(sqlite3_file *file, int delete_flag)
{
    return real_of(file)->pMethods->xShmUnmap(real_of(file), delete_flag);
}

static const sqlite3_io_methods file_methods = {
    .iVersion = 2,
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
    .xShmMap = file_shm_map,
    .xShmLock = file_shm_lock,
    .xShmBarrier = file_shm_barrier,
    .xShmUnmap = file_shm_unmap,
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

/* ----------------------------------------------------------------------------------- the tests */

static const struct document_kind fruit = {.name = "fruit"};
static const struct document_kind *const kinds[] = {&fruit};

struct t_store {
    char folder[64];
    char url[96];
    struct document_store *documents;
    struct arena arena;
};

static int
t_setup(void **state)
{
    struct t_store *t = calloc(1, sizeof(*t));
    char message[DOCUMENT_MESSAGE_SIZE];
    assert_non_null(t);
    shim.syncs_fail = 0;
    shim.full = false;
    (void)snprintf(t->folder, sizeof(t->folder), "/tmp/document_fail_XXXXXX");
    assert_non_null(mkdtemp(t->folder));
    (void)snprintf(t->url, sizeof(t->url), "sqlite:%s/d.db", t->folder);
    arena_init(&t->arena, 1 << 26);
    assert_int_equal(document_store_open(t->url, kinds, 1, &t->documents, message), ERR_OK);
    *state = t;
    return 0;
}

static int
t_teardown(void **state)
{
    struct t_store *t = *state;
    static const char *const names[] = {"d.db", "d.db-wal", "d.db-shm", "c.db", "c.db-wal", "o.db"};
    shim.syncs_fail = 0;
    shim.full = false;
    atomic_store(&shim.tables_fail, false);
    atomic_store(&shim.table_syncs_fail, false);
    atomic_store(&shim.table_sync_that_fails, 0);
    t->documents->ops->close(t->documents);
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        char path[96];
        (void)snprintf(path, sizeof(path), "%s/%s", t->folder, names[i]);
        (void)unlink(path);
    }
    assert_int_equal(rmdir(t->folder), 0);
    arena_release(&t->arena);
    free(t);
    return 0;
}

static err_t
t_write(struct t_store *t, const char *id)
{
    static char body[400000];
    memset(body, 'b', sizeof(body));
    struct document_row row = {
        .scope = 1, .id = span_from_cstr(id), .body = span_of(body, sizeof(body))};
    err_t result = t->documents->ops->begin(t->documents);
    if (result != ERR_OK) {
        return result;
    }
    assert_int_equal(t->documents->ops->insert(t->documents, &fruit, &row), ERR_OK);
    return t->documents->ops->commit(t->documents);
}

static bool
t_there(struct t_store *t, struct document_store *documents, const char *id)
{
    struct document_row row;
    return documents->ops->get(documents, &fruit, 1, span_from_cstr(id), &t->arena, &row) == ERR_OK;
}

static void
t_copy(const char *folder, const char *from, const char *to)
{
    char path[96];
    static char bytes[32 << 20];
    (void)snprintf(path, sizeof(path), "%s/%s", folder, from);
    FILE *in = fopen(path, "rb");
    assert_non_null(in);
    (void)snprintf(path, sizeof(path), "%s/%s", folder, to);
    FILE *out = fopen(path, "wb");
    assert_non_null(out);
    size_t size = fread(bytes, 1, sizeof(bytes), in);
    assert_true(size < sizeof(bytes));
    assert_int_equal(fwrite(bytes, 1, size, out), size);
    assert_int_equal(fclose(in), 0);
    assert_int_equal(fclose(out), 0);
}

static void
t_expect_in_copy(struct t_store *t, const char *id, bool there)
{
    char url[96];
    char message[DOCUMENT_MESSAGE_SIZE];
    struct document_store *copy;
    (void)snprintf(url, sizeof(url), "sqlite:%s/c.db", t->folder);
    assert_int_equal(document_store_open(url, kinds, 1, &copy, message), ERR_OK);
    assert_int_equal(t_there(t, copy, id), there);
    copy->ops->close(copy);
}

/* What a start after a crash at this moment would find. */
static void
t_expect_after_crash(struct t_store *t, const char *id, bool there)
{
    t_copy(t->folder, "d.db", "c.db");
    t_copy(t->folder, "d.db-wal", "c.db-wal");
    t_expect_in_copy(t, id, there);
}

static void
a_full_disk_loses_the_transaction_only(void **state)
{
    struct t_store *t = *state;
    assert_int_equal(t_write(t, "before"), ERR_OK);
    /* The log takes a commit in pieces: the first fails, or a later one. */
    for (int writes = 0; writes < 3; writes++) {
        shim.full = true;
        shim.writes_after = writes;
        assert_int_equal(t_write(t, "lost"), ERR_DISK_FULL);
        assert_false(t_there(t, t->documents, "lost"));
        shim.full = false;
        t_expect_after_crash(t, "lost", false);
        t_expect_after_crash(t, "before", true);
    }
    assert_int_equal(t_write(t, "after"), ERR_OK);
    t_expect_after_crash(t, "after", true);
}

/* As a quota, which is none of SQLite's full disks. */
static void
a_log_that_may_not_grow_loses_the_transaction_only(void **state)
{
    struct t_store *t = *state;
    char log[96];
    struct stat found;
    struct rlimit before;
    (void)snprintf(log, sizeof(log), "%s/d.db-wal", t->folder);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    void (*handler)(int) = signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(t_write(t, "before"), ERR_OK);
    assert_int_equal(stat(log, &found), 0);
    struct rlimit limit = before;
    limit.rlim_cur = (rlim_t)found.st_size;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
    err_t result = t_write(t, "lost");
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    (void)signal(SIGXFSZ, handler);
    assert_int_equal(result, ERR_DISK_FULL);
    assert_false(t_there(t, t->documents, "lost"));
    assert_int_equal(t_write(t, "after"), ERR_OK);
    t_expect_after_crash(t, "lost", false);
    t_expect_after_crash(t, "after", true);
}

static void
a_failed_sync_is_settled(void **state)
{
    struct t_store *t = *state;
    assert_int_equal(t_write(t, "before"), ERR_OK);
    shim.syncs_fail = 1;
    assert_int_equal(t_write(t, "lost"), ERR_IO);
    assert_int_equal(shim.syncs_fail, 0);
    assert_false(t_there(t, t->documents, "lost"));
    t_expect_after_crash(t, "lost", false);
    t_expect_after_crash(t, "before", true);
    assert_int_equal(t_write(t, "after"), ERR_OK);
    t_expect_after_crash(t, "after", true);
}

static void
what_cannot_be_settled_is_unknown_and_final(void **state)
{
    struct t_store *t = *state;
    shim.syncs_fail = 100;
    assert_int_equal(t_write(t, "open"), ERR_OUTCOME_UNKNOWN);
    shim.syncs_fail = 0;
    assert_int_equal(t_write(t, "more"), ERR_IO);
    struct document_row row;
    struct document_query query = {.scope = 1, .range_column = UINT32_MAX, .limit = 1};
    assert_int_equal(
        t->documents->ops->get(t->documents, &fruit, 1, SPAN("open"), &t->arena, &row), ERR_IO);
    assert_int_equal(t->documents->ops->list(t->documents, &fruit, &query, NULL, NULL), ERR_IO);
    t->documents->ops->maintain(t->documents);
}

static void
t_apply(struct t_store *t, const char *id)
{
    static char body[400000];
    struct document_row row = {
        .scope = 1, .id = span_from_cstr(id), .body = span_of(body, sizeof(body))};
    memset(body, 'b', sizeof(body));
    assert_int_equal(t->documents->ops->begin(t->documents), ERR_OK);
    assert_int_equal(t->documents->ops->insert(t->documents, &fruit, &row), ERR_OK);
    assert_int_equal(t->documents->ops->apply(t->documents), ERR_OK);
}

static void
apply_leaves_the_sync_to_sync(void **state) /* DOCUMENT-5 */
{
    struct t_store *t = *state;
    assert_int_equal(t_write(t, "before"), ERR_OK);
    shim.log_syncs = 0;
    t_apply(t, "applied");
    assert_int_equal(shim.log_syncs, 0);
    assert_true(t_there(t, t->documents, "applied"));
    assert_int_equal(t->documents->ops->sync(t->documents), ERR_OK);
    t_expect_after_crash(t, "applied", true);
    /* A commit in between is durable by itself. */
    shim.log_syncs = 0;
    assert_int_equal(t_write(t, "committed"), ERR_OK);
    assert_int_equal(shim.log_syncs, 1);
}

/* -------------------------------------------------------------------------- moving the log */

/* Until nothing is under way: what was due has been moved, or has failed to be. */
static void
t_maintain(struct t_store *t)
{
    struct document_sqlite *sqlite = document_sqlite_of(t->documents);
    t->documents->ops->maintain(t->documents);
    while (atomic_load(&sqlite->checkpoint.state) != DOCUMENT_CHECKPOINT_IDLE) {
        (void)usleep(200);
        t->documents->ops->maintain(t->documents);
    }
}

static off_t
t_log_size(const struct t_store *t)
{
    char path[96];
    struct stat status;
    (void)snprintf(path, sizeof(path), "%s/d.db-wal", t->folder);
    assert_int_equal(stat(path, &status), 0);
    return status.st_size;
}

static void
t_write_many(struct t_store *t, char set)
{
    for (int i = 0; i < 5; i++) {
        char id[16];
        (void)snprintf(id, sizeof(id), "%c%d", set, i);
        assert_int_equal(t_write(t, id), ERR_OK);
    }
}

static void
a_log_that_begins_anew_syncs_its_header(void **state)
{
    struct t_store *t = *state;
    int syncs = -1;
    document_sqlite_of(t->documents)->log_pages_due = 5000;
    for (int i = 0; i < 400; i++) {
        char id[16];
        (void)snprintf(id, sizeof(id), "row%d", i);
        shim.log_syncs = 0;
        t_apply(t, id);
        if (shim.log_syncs != 0) {
            syncs = shim.log_syncs;
            break;
        }
        t_maintain(t);
    }
    /* Behind a checkpoint, and only there. */
    assert_int_equal(syncs, 1);
}

static void
the_log_begins_anew_when_it_was_moved(void **state)
{
    struct t_store *t = *state;
    document_sqlite_of(t->documents)->log_pages_due = 50;
    t_write_many(t, 'a');
    off_t once = t_log_size(t);
    for (int set = 'b'; set < 'g'; set++) {
        t_maintain(t);
        t_write_many(t, (char)set);
    }
    assert_true(t_log_size(t) <= once + once / 2);
    for (int set = 'a'; set < 'g'; set++) {
        t_expect_after_crash(t, (char[]){(char)set, '4', '\0'}, true);
    }
}

/* The log keeps what the tables do not take: nothing is lost, and a later try moves it. */
static void
a_log_that_cannot_be_moved_is_kept(void **state)
{
    struct t_store *t = *state;
    document_sqlite_of(t->documents)->log_pages_due = 50;
    atomic_store(&shim.tables_fail, true);
    t_write_many(t, 'a');
    uint32_t before = atomic_load(&shim.table_writes);
    t_maintain(t);
    assert_true(atomic_load(&shim.table_writes) > before); /* it tried */
    t_write_many(t, 'b');
    off_t kept = t_log_size(t);
    t_expect_after_crash(t, "a0", true);
    t_expect_after_crash(t, "b4", true);
    atomic_store(&shim.tables_fail, false);
    t_maintain(t);
    t_write_many(t, 'c');
    assert_true(t_log_size(t) <= kept);
    t_expect_after_crash(t, "a0", true);
    t_expect_after_crash(t, "c4", true);
}

/* A sync of the log never waits behind all that was moved. */
static void
the_tables_are_synced_in_pieces(void **state)
{
    struct t_store *t = *state;
    document_sqlite_of(t->documents)->log_pages_due = 50;
    for (int i = 0; i < 4; i++) {
        t_write_many(t, (char)('a' + i)); /* some 500 pages */
    }
    uint32_t writes = atomic_load(&shim.table_writes);
    uint32_t syncs = atomic_load(&shim.table_syncs);
    t_maintain(t);
    writes = atomic_load(&shim.table_writes) - writes;
    syncs = atomic_load(&shim.table_syncs) - syncs;
    assert_true(writes > 1500);
    assert_true(syncs > writes / 512);
}

/* What of the tables is on the disk is not known then. The log has all of it, and must stay. */
static void
tables_that_cannot_be_synced_end_the_store(void **state)
{
    struct t_store *t = *state;
    struct document_sqlite *sqlite = document_sqlite_of(t->documents);
    char message[DOCUMENT_MESSAGE_SIZE];
    sqlite->log_pages_due = 50;
    t_write_many(t, 'a');
    off_t kept = t_log_size(t);
    atomic_store(&shim.table_syncs_fail, true);
    while (!sqlite->broken) {
        t->documents->ops->maintain(t->documents);
        (void)usleep(200);
    }
    atomic_store(&shim.table_syncs_fail, false); /* it would be told once only */
    assert_int_equal(t_write(t, "more"), ERR_IO);
    t->documents->ops->maintain(t->documents);
    assert_true(t_log_size(t) >= kept);
    t->documents->ops->close(t->documents);
    assert_true(t_log_size(t) >= kept);
    assert_int_equal(document_store_open(t->url, kinds, 1, &t->documents, message), ERR_OK);
    assert_true(t_there(t, t->documents, "a0"));
    assert_int_equal(t_write(t, "more"), ERR_OK);
}

/* The same, when the store closes before it has heard of it. */
static void
tables_that_cannot_be_synced_keep_the_log_of_a_store_that_closes(void **state)
{
    struct t_store *t = *state;
    struct document_sqlite *sqlite = document_sqlite_of(t->documents);
    char message[DOCUMENT_MESSAGE_SIZE];
    sqlite->log_pages_due = 50;
    t_write_many(t, 'a');
    off_t kept = t_log_size(t);
    atomic_store(&shim.table_syncs_fail, true);
    t->documents->ops->maintain(t->documents);
    while (atomic_load(&sqlite->checkpoint.state) != DOCUMENT_CHECKPOINT_NEARLY) {
        (void)usleep(200);
    }
    atomic_store(&shim.table_syncs_fail, false);
    t->documents->ops->close(t->documents);
    assert_true(t_log_size(t) >= kept);
    assert_int_equal(document_store_open(t->url, kinds, 1, &t->documents, message), ERR_OK);
    assert_true(t_there(t, t->documents, "a4"));
}

/* One piece is not known to be on the disk, all later ones are: the log stays as it is, also for
 * who writes before anybody has heard of it. */
static void
a_piece_that_cannot_be_synced_keeps_the_log(void **state) /* DOCUMENT-5 */
{
    struct t_store *t = *state;
    struct document_sqlite *sqlite = document_sqlite_of(t->documents);
    sqlite->log_pages_due = 50;
    for (int i = 0; i < 4; i++) {
        t_write_many(t, (char)('a' + i)); /* several pieces */
    }
    t_copy(t->folder, "d.db", "o.db"); /* what the disk has, if nothing of them gets there */
    atomic_store(&shim.table_sync_that_fails, atomic_load(&shim.table_syncs) + 1);
    t->documents->ops->maintain(t->documents);
    while (atomic_load(&sqlite->checkpoint.state) != DOCUMENT_CHECKPOINT_NEARLY) {
        (void)usleep(200);
    }
    t_write_many(t, 'y');
    t_copy(t->folder, "o.db", "c.db");
    t_copy(t->folder, "d.db-wal", "c.db-wal");
    t_expect_in_copy(t, "a0", true);
    t_expect_in_copy(t, "y4", true);
    t->documents->ops->maintain(t->documents);
    assert_int_equal(t_write(t, "more"), ERR_IO);
}

static void
a_failure_to_apply_is_settled_durably(void **state)
{
    struct t_store *t = *state;
    assert_int_equal(t_write(t, "before"), ERR_OK);
    shim.full = true;
    shim.writes_after = 1;
    static char body[400000];
    struct document_row row = {.scope = 1, .id = SPAN("lost"), .body = span_of(body, sizeof(body))};
    assert_int_equal(t->documents->ops->begin(t->documents), ERR_OK);
    assert_int_equal(t->documents->ops->insert(t->documents, &fruit, &row), ERR_OK);
    assert_int_equal(t->documents->ops->apply(t->documents), ERR_DISK_FULL);
    shim.full = false;
    assert_false(t_there(t, t->documents, "lost"));
    t_apply(t, "after");
    assert_int_equal(t->documents->ops->sync(t->documents), ERR_OK);
    t_expect_after_crash(t, "lost", false);
    t_expect_after_crash(t, "after", true);
}

int
main(void)
{
    document_page_cache_install(); /* before SQLite is used */
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
        T(a_log_that_may_not_grow_loses_the_transaction_only),
        T(a_failed_sync_is_settled),
        T(what_cannot_be_settled_is_unknown_and_final),
        T(apply_leaves_the_sync_to_sync),
        T(a_log_that_begins_anew_syncs_its_header),
        T(the_log_begins_anew_when_it_was_moved),
        T(a_log_that_cannot_be_moved_is_kept),
        T(the_tables_are_synced_in_pieces),
        T(tables_that_cannot_be_synced_end_the_store),
        T(tables_that_cannot_be_synced_keep_the_log_of_a_store_that_closes),
        T(a_piece_that_cannot_be_synced_keeps_the_log),
        T(a_failure_to_apply_is_settled_durably),
    };
    return cmocka_run_group_tests_name("document failure", tests, NULL, NULL);
}
