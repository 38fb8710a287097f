/*
 * Opening, and transactions.
 *
 * One process has the database, by a lock of its own on the file: SQLite's exclusive mode would
 * keep the thread out that moves the log. synchronous=FULL syncs the log at each commit, before
 * sqlite3_step returns.
 */
#include "checkpoint.h"

#include "base/assert.h"
#include "document/copy.h"
#include "os/file.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Of a new database; one that is there keeps its own. A commit writes each page whole in which it
 * has changed a little, most of all the last ones of every table and index, and one index page for
 * each key of a client: smaller pages are fewer bytes. A row of nearly this size still needs no
 * page of its own; few are larger. */
#define PAGE_SIZE "4096"
#define CACHE_KIB "65536"
#define PATH_SIZE 4096
/* document_maintain moves the log into the tables when it has this many bytes. A page that many
 * commits have changed is moved once: the longer the log, the less is written, and the seldomer
 * there is somebody else at the disk; but a start after a crash reads all of it. */
#define LOG_BYTES_DUE (256 << 20)
/* If nobody calls it, a commit does at this size. */
#define LOG_BYTES_MAX (1 << 30)

static const char open_sql[] = "PRAGMA page_size = " PAGE_SIZE ";"
                               "PRAGMA journal_mode = WAL;"
                               "PRAGMA synchronous = FULL;"
                               "PRAGMA temp_store = MEMORY;"
                               "PRAGMA trusted_schema = OFF;"
                               "PRAGMA cache_size = -" CACHE_KIB ";";

static err_t
run_statement(struct document_sqlite *sqlite, const char *sql, sqlite3_stmt **statement)
{
    if (*statement == NULL) {
        TRY(document_prepare(sqlite, sql, statement));
    }
    int code = sqlite3_step(*statement);
    (void)sqlite3_reset(*statement);
    return document_sqlite_error(code);
}

static err_t
sqlite_begin(struct document_store *store)
{
    struct document_sqlite *sqlite = document_sqlite_of(store);
    ASSERT(!sqlite->in_transaction);
    if (document_sqlite_is_broken(sqlite)) {
        return ERR_IO;
    }
    TRY(run_statement(sqlite, "BEGIN IMMEDIATE", &sqlite->begin));
    sqlite->in_transaction = true;
    sqlite->failure = ERR_OK;
    return ERR_OK;
}

static void
sqlite_rollback(struct document_store *store)
{
    struct document_sqlite *sqlite = document_sqlite_of(store);
    ASSERT(sqlite->in_transaction);
    sqlite->in_transaction = false;
    sqlite->failure = ERR_OK;
    sqlite->generation = 0;
    /* Some failures have rolled back already (sqlite.org/lang_transaction.html, section 3.1). */
    if (sqlite3_get_autocommit(sqlite->db) == 0) {
        err_t result = run_statement(sqlite, "ROLLBACK", &sqlite->rollback);
        if (result != ERR_OK || sqlite3_get_autocommit(sqlite->db) == 0) {
            sqlite->broken = true;
        }
    }
}

/* A small durable transaction of its own. */
static err_t
touch_file(struct document_sqlite *sqlite)
{
    return run_statement(sqlite, "UPDATE tael_settle SET count = count + 1", &sqlite->settle);
}

/*
 * A commit whose write or sync failed may have left all its frames in the log, where the next start
 * would find them and take them for committed. Another transaction over the same frames, synced,
 * makes sure that they are gone (DOCUMENT-4). If that fails too, nobody can say.
 */
static err_t
settle(struct document_sqlite *sqlite, err_t failure)
{
    if (!sqlite->in_memory) {
        document_log_defer(sqlite->log, false);
    }
    if (touch_file(sqlite) == ERR_OK) {
        return failure;
    }
    sqlite->broken = true;
    return ERR_OUTCOME_UNKNOWN;
}

static err_t
sqlite_commit(struct document_store *store)
{
    struct document_sqlite *sqlite = document_sqlite_of(store);
    ASSERT(sqlite->in_transaction);
    if (sqlite->failure != ERR_OK) {
        err_t failure = sqlite->failure;
        sqlite_rollback(store);
        return failure;
    }
    err_t result = run_statement(sqlite, "COMMIT", &sqlite->commit);
    if (result == ERR_OK) {
        sqlite->in_transaction = false;
        return ERR_OK;
    }
    sqlite_rollback(store);
    /* A full disk took no whole commit: its last frame is what makes one. */
    return result == ERR_IO ? settle(sqlite, result) : result;
}

static err_t
sqlite_apply(struct document_store *store)
{
    struct document_sqlite *sqlite = document_sqlite_of(store);
    if (sqlite->in_memory) {
        return sqlite_commit(store);
    }
    document_log_defer(sqlite->log, true);
    err_t result = sqlite_commit(store);
    document_log_defer(sqlite->log, false);
    return result;
}

static err_t
sqlite_sync(struct document_store *store)
{
    struct document_sqlite *sqlite = document_sqlite_of(store);
    if (sqlite->in_memory) {
        return ERR_OK;
    }
    struct os_disk *disk = os_disk_real();
    if (disk->ops->sync(disk, sqlite->log_for_sync) != ERR_OK) {
        /* What was applied is in the tables as everybody here sees them, and cannot be taken
         * back: only a new start can tell what the disk kept. */
        atomic_store_explicit(&sqlite->sync_failed, true, memory_order_release);
        return ERR_OUTCOME_UNKNOWN;
    }
    return ERR_OK;
}

static int
note_log_size(void *context, sqlite3 *db, const char *name, int pages)
{
    struct document_sqlite *sqlite = context;
    sqlite->log_pages = pages;
    if (pages >= sqlite->log_pages_max &&
        atomic_load(&sqlite->checkpoint.state) == DOCUMENT_CHECKPOINT_IDLE) {
        /* What cannot be moved now stays in the log, safe; the next commit tries again. */
        (void)sqlite3_wal_checkpoint_v2(db, name, SQLITE_CHECKPOINT_PASSIVE, NULL, NULL);
    }
    return SQLITE_OK;
}

static void
sqlite_maintain(struct document_store *store)
{
    struct document_sqlite *sqlite = document_sqlite_of(store);
    if (sqlite->in_memory || sqlite->in_transaction || document_sqlite_is_broken(sqlite)) {
        return;
    }
    bool is_due = sqlite->log_pages >= sqlite->log_pages_due;
    bool moved = false;
    err_t result = document_checkpoint_maintain(&sqlite->checkpoint, sqlite->db, is_due, &moved);
    if (result != ERR_OK) {
        sqlite->broken = true;
    }
    if (moved) {
        sqlite->log_pages = 0;
    }
}

static void
sqlite_close(struct document_store *store)
{
    struct document_sqlite *sqlite = document_sqlite_of(store);
    document_checkpoint_close(&sqlite->checkpoint, sqlite->db);
    sqlite3_finalize(sqlite->begin);
    sqlite3_finalize(sqlite->commit);
    sqlite3_finalize(sqlite->rollback);
    sqlite3_finalize(sqlite->settle);
    for (uint32_t i = 0; i < sqlite->kind_count; i++) {
        document_statements_finalize(&sqlite->kinds[i]);
    }
    struct os_disk *disk = os_disk_real();
    if (sqlite->log_for_sync != NULL) {
        disk->ops->close(disk, sqlite->log_for_sync);
    }
    int code = sqlite3_close(sqlite->db);
    ASSERT(code == SQLITE_OK);
    if (sqlite->file != NULL) {
        disk->ops->close(disk, sqlite->file);
    }
    free(sqlite);
}

static const struct document_store_ops sqlite_ops = {
    .begin = sqlite_begin,
    .commit = sqlite_commit,
    .apply = sqlite_apply,
    .sync = sqlite_sync,
    .rollback = sqlite_rollback,
    .get = document_sqlite_get,
    .insert = document_sqlite_insert,
    .update = document_sqlite_update,
    .remove = document_sqlite_remove,
    .list = document_sqlite_list,
    .maintain = sqlite_maintain,
    .close = sqlite_close,
};

/* SQLite would make the file readable for everybody; its log takes the file's mode. */
static err_t
open_private_file(const char *path, struct os_file **ret_file)
{
    struct os_disk *disk = os_disk_real();
    bool direct;
    err_t result = disk->ops->open(disk, path, OS_OPEN_CREATE, false, ret_file, &direct);
    if (result == ERR_EXISTS) {
        result = disk->ops->open(disk, path, OS_OPEN_WRITE, false, ret_file, &direct);
    }
    return result == ERR_OK ? disk->ops->lock(disk, *ret_file) : result;
}

static uint64_t
size_of(struct os_file *file)
{
    struct os_disk *disk = os_disk_real();
    uint64_t size = 0;
    return disk->ops->size(disk, file, &size) == ERR_OK ? size : 0;
}

/* SQLite would throw the log away, and all that is in it, and begin anew: a database has its first
 * page before it has a log. */
static bool
has_only_its_log(const char *path, struct os_file *database)
{
    struct os_disk *disk = os_disk_real();
    struct os_file *log;
    char name[PATH_SIZE];
    bool direct;
    int length = snprintf(name, sizeof(name), "%s-wal", path);
    if (size_of(database) > 0 || length < 0 || (size_t)length >= sizeof(name) ||
        disk->ops->open(disk, name, OS_OPEN_READ, false, &log, &direct) != ERR_OK) {
        return false;
    }
    bool has_log = size_of(log) > 0;
    disk->ops->close(disk, log);
    return has_log;
}

static err_t
open_database(struct document_sqlite *sqlite, const char *path, char message[DOCUMENT_MESSAGE_SIZE])
{
    sqlite->in_memory = strcmp(path, ":memory:") == 0;
    if (!sqlite->in_memory) {
        err_t result = open_private_file(path, &sqlite->file);
        if (result == ERR_LOCKED) {
            (void)snprintf(message, DOCUMENT_MESSAGE_SIZE, "in use by another process");
            return result;
        }
        if (result != ERR_OK) {
            (void)snprintf(message, DOCUMENT_MESSAGE_SIZE, "cannot create: %s", err_text(result));
            return result;
        }
        if (has_only_its_log(path, sqlite->file)) {
            (void)snprintf(
                message,
                DOCUMENT_MESSAGE_SIZE,
                "it is empty, or was not there, but its log (-wal) is: put the two back together");
            return ERR_CORRUPT;
        }
    }
    int flags =
        SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE;
    int code = sqlite3_open_v2(path, &sqlite->db, flags, document_log_vfs());
    if (code == SQLITE_OK) {
        code = sqlite3_exec(sqlite->db, open_sql, NULL, NULL, NULL);
    }
    if (code == SQLITE_OK) {
        (void)sqlite3_db_config(sqlite->db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
        (void)sqlite3_wal_hook(sqlite->db, note_log_size, sqlite);
        /* Whoever copies the database holds up commits for a moment. */
        (void)sqlite3_busy_timeout(sqlite->db, DOCUMENT_HOLD_MAX_MS);
        /* Finds out now, not at the first request, what the file is. */
        code = sqlite3_exec(sqlite->db, "BEGIN IMMEDIATE; COMMIT", NULL, NULL, NULL);
    }
    err_t result = document_sqlite_error(code);
    if (result != ERR_OK) {
        const char *text = sqlite->db == NULL ? err_text(result) : sqlite3_errmsg(sqlite->db);
        (void)snprintf(message, DOCUMENT_MESSAGE_SIZE, "%s", text);
    }
    return result;
}

/* The log once more, for sync; behind a first durable write, so that the log's name in its folder
 * is durable too. */
static err_t
open_log(struct document_sqlite *sqlite, char message[DOCUMENT_MESSAGE_SIZE])
{
    if (sqlite->in_memory) {
        return ERR_OK;
    }
    struct os_disk *disk = os_disk_real();
    bool direct;
    err_t result = touch_file(sqlite);
    if (result == ERR_OK) {
        result = document_sqlite_error(
            sqlite3_file_control(sqlite->db, "main", SQLITE_FCNTL_JOURNAL_POINTER, &sqlite->log));
    }
    if (result == ERR_OK) {
        const char *name = document_log_name(sqlite->log);
        result = disk->ops->open(disk, name, OS_OPEN_WRITE, false, &sqlite->log_for_sync, &direct);
    }
    if (result != ERR_OK) {
        (void)snprintf(message, DOCUMENT_MESSAGE_SIZE, "opening the log: %s", err_text(result));
    }
    return result;
}

/* Puts the file's name in front of what happened. */
static void
name_file(const char *path, char message[DOCUMENT_MESSAGE_SIZE])
{
    char happened[DOCUMENT_MESSAGE_SIZE];
    memcpy(happened, message, sizeof(happened));
    struct buf text;
    buf_init_fixed(&text, message, DOCUMENT_MESSAGE_SIZE - 1);
    buf_append_span(&text, span_slice(span_from_cstr(path), 0, DOCUMENT_MESSAGE_SIZE / 2));
    buf_append_cstr(&text, ": ");
    size_t room = DOCUMENT_MESSAGE_SIZE - 1 - text.size;
    buf_append_span(&text, span_slice(span_from_cstr(happened), 0, room));
    message[text.size] = '\0';
}

/* What the log may have, in pages of this database. */
static err_t
measure_log(struct document_sqlite *sqlite)
{
    sqlite3_stmt *statement = NULL;
    TRY(document_prepare(sqlite, "PRAGMA page_size", &statement));
    int code = sqlite3_step(statement);
    int page_size = sqlite3_column_int(statement, 0);
    (void)sqlite3_finalize(statement); /* repeats what step said */
    if (code != SQLITE_ROW) {
        return document_sqlite_error(code);
    }
    ASSERT(page_size > 0);
    sqlite->log_pages_due = LOG_BYTES_DUE / page_size;
    sqlite->log_pages_max = LOG_BYTES_MAX / page_size;
    return ERR_OK;
}

err_t
document_sqlite_open(
    const char *path,
    const struct document_kind *const *kinds,
    uint32_t kind_count,
    struct document_store **ret_store,
    char message[DOCUMENT_MESSAGE_SIZE])
{
    struct document_sqlite *sqlite =
        calloc(1, sizeof(*sqlite) + kind_count * sizeof(sqlite->kinds[0]));
    if (sqlite == NULL) {
        return ERR_MEMORY;
    }
    sqlite->store.ops = &sqlite_ops;
    sqlite->kind_count = kind_count;
    for (uint32_t i = 0; i < kind_count; i++) {
        sqlite->kinds[i].kind = kinds[i];
    }
    err_t result = open_database(sqlite, path, message);
    if (result == ERR_OK) {
        result = measure_log(sqlite);
    }
    if (result == ERR_OK) {
        result = document_migrate(sqlite, kinds, kind_count, message);
    }
    if (result == ERR_OK) {
        result = open_log(sqlite, message);
    }
    if (result == ERR_OK && !sqlite->in_memory) {
        result = document_checkpoint_open(&sqlite->checkpoint, path);
        if (result != ERR_OK) {
            (void)snprintf(
                message, DOCUMENT_MESSAGE_SIZE, "a second connection: %s", err_text(result));
        }
    }
    if (result != ERR_OK) {
        name_file(path, message);
        sqlite_close(&sqlite->store);
        return result;
    }
    *ret_store = &sqlite->store;
    return ERR_OK;
}
