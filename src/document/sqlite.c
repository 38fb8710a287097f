/*
 * Opening, and transactions.
 *
 * A commit writes its rows to the row log and syncs that (row_log.h). SQLite's transaction stays
 * open meanwhile, and ends when enough has gathered: then it writes each page that many commits
 * have touched once. What a crash takes from SQLite is in the row log, and the next start replays
 * it; in the same way a transaction that is taken back takes SQLite's with it, and what came before
 * is replayed.
 *
 * One process has the database: locking_mode EXCLUSIVE keeps SQLite's lock from the first read to
 * the end, which also spares the shared-memory index of the write-ahead log. synchronous=NORMAL
 * syncs when the write-ahead log is moved into the tables; until then the row log has it.
 */
#include "sqlite.h"

#include "base/assert.h"
#include "os/file.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The largest row that needs no page of its own is a little under this. Keys of clients, which are
 * random, dirty one index page each: larger pages would make that the greatest cost. */
#define PAGE_SIZE 8192
#define CACHE_KIB 65536
/* document_maintain ends SQLite's transaction when the row log has so many bytes for it ... */
#define FOLD_BYTES (UINT64_C(8) << 20)
/* ... and moves SQLite's log into the tables when that has so many pages, or the row log so many
 * bytes. */
#define LOG_PAGES_DUE 8192
#define LAP_BYTES     (UINT64_C(128) << 20)
/* If nobody calls it, begin does behind so many bytes more. */
#define SLACK_BYTES (UINT64_C(32) << 20)
/* The disk does not take what SQLite wants to write: more is not begun. */
#define KEPT_BYTES_MAX (UINT64_C(256) << 20)

#define STRINGIZE_(x)  #x
#define STRINGIZE(x)   STRINGIZE_(x)

static const char open_sql[] =
    "PRAGMA locking_mode = EXCLUSIVE;"
    "PRAGMA page_size = " STRINGIZE(PAGE_SIZE) ";"
                                               "PRAGMA journal_mode = WAL;"
                                               "PRAGMA synchronous = FULL;"
                                               "PRAGMA temp_store = MEMORY;"
                                               "PRAGMA trusted_schema = OFF;"
                                               "PRAGMA cache_size = -" STRINGIZE(CACHE_KIB) ";"
                                                              "PRAGMA wal_autocheckpoint = 0;";

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

/* -------------------------------------------------------------- SQLite's own transaction --- */

static err_t
span_begin(struct document_sqlite *sqlite)
{
    ASSERT(!sqlite->span_open);
    TRY(run_statement(sqlite, "BEGIN IMMEDIATE", &sqlite->begin));
    sqlite->span_open = true;
    return ERR_OK;
}

static err_t
span_rollback(struct document_sqlite *sqlite)
{
    sqlite->span_open = false;
    /* Some failures have rolled back already (sqlite.org/lang_transaction.html, section 3.1). */
    if (sqlite3_get_autocommit(sqlite->db) == 0) {
        TRY(run_statement(sqlite, "ROLLBACK", &sqlite->rollback));
    }
    return sqlite3_get_autocommit(sqlite->db) == 0 ? ERR_DATABASE : ERR_OK;
}

/* Back to the last complete group: to what SQLite holds, and from there through the row log. */
static void
span_rebuild(struct document_sqlite *sqlite)
{
    document_pending_clear(sqlite);
    err_t result = span_rollback(sqlite);
    if (result == ERR_OK && !sqlite->in_memory) {
        result = span_begin(sqlite);
        if (result == ERR_OK) {
            result = document_row_log_replay(&sqlite->rows, document_replay, sqlite);
        }
    }
    if (result != ERR_OK) {
        sqlite->broken = true;
    }
}

/* What the database says of the row log, in SQLite's open transaction. */
static err_t
note_rows(struct document_sqlite *sqlite, uint64_t generation, uint64_t number)
{
    ASSERT(number <= INT64_MAX);
    if (sqlite->note == NULL) {
        static const char sql[] = "UPDATE tael_rows SET generation = ?1, number = ?2";
        TRY(document_prepare(sqlite, sql, &sqlite->note));
    }
    int code = sqlite3_bind_int64(sqlite->note, 1, (int64_t)generation);
    ASSERT(code == SQLITE_OK);
    code = sqlite3_bind_int64(sqlite->note, 2, (int64_t)number);
    ASSERT(code == SQLITE_OK);
    code = sqlite3_step(sqlite->note);
    (void)sqlite3_reset(sqlite->note);
    return document_sqlite_error(code);
}

/* Ends SQLite's transaction, with everything that was applied. */
static err_t
span_commit(struct document_sqlite *sqlite, uint64_t generation)
{
    ASSERT(sqlite->span_open);
    err_t result = document_pending_flush_all(sqlite);
    if (result == ERR_OK) {
        result = note_rows(sqlite, generation, sqlite->rows.number);
    }
    if (result == ERR_OK) {
        result = run_statement(sqlite, "COMMIT", &sqlite->commit);
    }
    if (result != ERR_OK) {
        span_rebuild(sqlite);
        return result;
    }
    sqlite->span_open = false;
    document_row_log_release(&sqlite->rows);
    return ERR_OK;
}

/* Everything that SQLite has committed becomes durable in its tables. */
static err_t
checkpoint(struct document_sqlite *sqlite)
{
    int pages = 0;
    int moved = 0;
    int code =
        sqlite3_wal_checkpoint_v2(sqlite->db, NULL, SQLITE_CHECKPOINT_PASSIVE, &pages, &moved);
    TRY(document_sqlite_error(code));
    if (pages != moved) {
        return ERR_LOCKED;
    }
    sqlite->log_pages = 0;
    return ERR_OK;
}

/* What is due, if it is so by `slack` bytes. Between transactions. Failures leave everything in the
 * row log, and the next time comes. */
static void
upkeep(struct document_sqlite *sqlite, uint64_t slack)
{
    ASSERT(!sqlite->in_transaction);
    struct row_log *rows = &sqlite->rows;
    if (!sqlite->span_open || rows->kept_bytes < sqlite->fold_due + slack) {
        return;
    }
    if (span_commit(sqlite, rows->generation) != ERR_OK) {
        sqlite->fold_due = rows->kept_bytes + sqlite->fold_bytes;
        return;
    }
    sqlite->fold_due = sqlite->fold_bytes;
    if ((sqlite->log_pages >= sqlite->log_pages_due || rows->end >= LAP_BYTES) &&
        checkpoint(sqlite) == ERR_OK) {
        document_row_log_restart(rows); /* ROWLOG-2 */
    }
}

/* ------------------------------------------------------------------ the owner's transactions */

static err_t
sqlite_begin(struct document_store *store)
{
    struct document_sqlite *sqlite = document_sqlite_of(store);
    ASSERT(!sqlite->in_transaction);
    if (document_sqlite_is_broken(sqlite)) {
        return ERR_IO;
    }
    upkeep(sqlite, SLACK_BYTES);
    if (document_sqlite_is_broken(sqlite)) {
        return ERR_IO;
    }
    if (sqlite->rows.kept_bytes >= KEPT_BYTES_MAX) {
        return ERR_DISK_FULL;
    }
    if (!sqlite->span_open) {
        TRY(span_begin(sqlite));
    }
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
    bool untouched = sqlite->failure == ERR_OK && !document_row_log_has_rows(&sqlite->rows) &&
                     !sqlite->in_memory;
    sqlite->failure = ERR_OK;
    document_row_log_drop(&sqlite->rows);
    if (!untouched) {
        span_rebuild(sqlite);
    }
}

static err_t
commit_in_memory(struct document_sqlite *sqlite)
{
    err_t result = run_statement(sqlite, "COMMIT", &sqlite->commit);
    if (result != ERR_OK) {
        sqlite_rollback(&sqlite->store);
        return result;
    }
    sqlite->in_transaction = false;
    sqlite->span_open = false;
    return ERR_OK;
}

static err_t
sqlite_apply(struct document_store *store)
{
    struct document_sqlite *sqlite = document_sqlite_of(store);
    ASSERT(sqlite->in_transaction);
    err_t result = sqlite->failure;
    if (result == ERR_OK && sqlite->in_memory) {
        return commit_in_memory(sqlite);
    }
    if (result == ERR_OK && document_row_log_has_rows(&sqlite->rows)) {
        result = document_row_log_apply(&sqlite->rows);
    }
    if (result != ERR_OK) {
        sqlite_rollback(store);
        return result;
    }
    sqlite->in_transaction = false;
    return ERR_OK;
}

static err_t
sqlite_sync(struct document_store *store)
{
    struct document_sqlite *sqlite = document_sqlite_of(store);
    if (sqlite->in_memory) {
        return ERR_OK;
    }
    if (document_row_log_sync(&sqlite->rows) != ERR_OK) {
        /* What was applied is in the tables as everybody here sees them, and cannot be taken
         * back: only a new start can tell what the disk kept. */
        atomic_store_explicit(&sqlite->sync_failed, true, memory_order_release);
        return ERR_OUTCOME_UNKNOWN;
    }
    return ERR_OK;
}

static err_t
sqlite_commit(struct document_store *store)
{
    TRY(sqlite_apply(store));
    return sqlite_sync(store);
}

static int
note_log_size(void *context, sqlite3 *db, const char *name, int pages)
{
    struct document_sqlite *sqlite = context;
    (void)db;
    (void)name;
    sqlite->log_pages = pages;
    return SQLITE_OK;
}

static void
sqlite_maintain(struct document_store *store)
{
    struct document_sqlite *sqlite = document_sqlite_of(store);
    if (sqlite->in_transaction || document_sqlite_is_broken(sqlite)) {
        return;
    }
    if (document_pending_flush_aged(sqlite) != ERR_OK) {
        span_rebuild(sqlite);
        return;
    }
    upkeep(sqlite, 0);
}

/* ---------------------------------------------------------------------------- open, close -- */

/* The database alone holds everything, and says so. Else the next start finds the rest in the row
 * log, as after a crash. */
static void
settle(struct document_sqlite *sqlite)
{
    if (sqlite->rows.generation == 0 || sqlite->in_transaction ||
        document_sqlite_is_broken(sqlite)) {
        return;
    }
    if (sqlite->span_open || span_begin(sqlite) == ERR_OK) {
        (void)span_commit(sqlite, 0);
    }
}

static void
sqlite_close(struct document_store *store)
{
    struct document_sqlite *sqlite = document_sqlite_of(store);
    settle(sqlite);
    document_pending_clear(sqlite);
    map_release(&sqlite->pending);
    sqlite3_finalize(sqlite->begin);
    sqlite3_finalize(sqlite->commit);
    sqlite3_finalize(sqlite->rollback);
    sqlite3_finalize(sqlite->note);
    for (uint32_t i = 0; i < sqlite->kind_count; i++) {
        document_statements_finalize(&sqlite->kinds[i]);
    }
    document_row_log_close(&sqlite->rows);
    int code = sqlite3_close(sqlite->db);
    ASSERT(code == SQLITE_OK);
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
make_private_file(const char *path)
{
    struct os_disk *disk = os_disk_real();
    struct os_file *file;
    bool direct;
    err_t result = disk->ops->open(disk, path, OS_OPEN_CREATE, false, &file, &direct);
    if (result == ERR_OK) {
        disk->ops->close(disk, file);
    }
    return result == ERR_EXISTS ? ERR_OK : result;
}

static err_t
open_database(struct document_sqlite *sqlite, const char *path, char message[DOCUMENT_MESSAGE_SIZE])
{
    sqlite->in_memory = strcmp(path, ":memory:") == 0;
    if (!sqlite->in_memory) {
        err_t result = make_private_file(path);
        if (result != ERR_OK) {
            (void)snprintf(message, DOCUMENT_MESSAGE_SIZE, "cannot create: %s", err_text(result));
            return result;
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
        /* Takes the lock now, not at the first request. */
        code = sqlite3_exec(sqlite->db, "BEGIN IMMEDIATE; COMMIT", NULL, NULL, NULL);
    }
    err_t result = document_sqlite_error(code);
    if (result == ERR_LOCKED) {
        (void)snprintf(message, DOCUMENT_MESSAGE_SIZE, "in use by another process");
    } else if (result != ERR_OK) {
        const char *text = sqlite->db == NULL ? err_text(result) : sqlite3_errmsg(sqlite->db);
        (void)snprintf(message, DOCUMENT_MESSAGE_SIZE, "%s", text);
    }
    return result;
}

/* The folder's entry of the log must be as durable as what is in it. */
static err_t
sync_folder_of(const char *path)
{
    char folder[OS_PATH_SIZE];
    const char *slash = strrchr(path, '/');
    struct span name = slash == NULL ? SPAN(".") : span_of(path, (size_t)(slash - path));
    if (name.size >= sizeof(folder)) {
        return ERR_RANGE;
    }
    memcpy(folder, name.data, name.size);
    folder[name.size] = '\0';
    struct os_disk *disk = os_disk_real();
    return disk->ops->sync_folder(disk, name.size == 0 ? "/" : folder);
}

/* Replays what the row log has and the database has not. */
static err_t
recover(struct document_sqlite *sqlite, uint64_t generation, uint64_t number)
{
    TRY(span_begin(sqlite));
    TRY(document_row_log_recover(
        &sqlite->rows, generation, number, document_replay, sqlite, &sqlite->rows.number));
    TRY(span_commit(sqlite, 0));
    return checkpoint(sqlite);
}

/* The database is told of a generation that the log has begun, and not before. */
static err_t
start_generation(struct document_sqlite *sqlite)
{
    uint64_t generation;
    sqlite3_randomness(sizeof(generation), &generation);
    generation = (generation >> 1) | 1;
    TRY(document_row_log_start(&sqlite->rows, generation));
    TRY(span_begin(sqlite));
    TRY(span_commit(sqlite, generation));
    /* From here on the row log makes commits durable. */
    return document_sqlite_error(
        sqlite3_exec(sqlite->db, "PRAGMA synchronous = NORMAL", NULL, NULL, NULL));
}

static err_t
open_rows(struct document_sqlite *sqlite, const char *path, char message[DOCUMENT_MESSAGE_SIZE])
{
    int64_t generation = 0;
    int64_t number = 0;
    uint64_t found = 0;
    err_t result = document_read_integer(sqlite, "SELECT generation FROM tael_rows", &generation);
    if (result == ERR_OK) {
        result = document_read_integer(sqlite, "SELECT number FROM tael_rows", &number);
    }
    if (result == ERR_OK) {
        result = document_row_log_open(&sqlite->rows, os_disk_real(), path, &found);
    }
    if (result == ERR_OK) {
        result = sync_folder_of(path);
    }
    if (result == ERR_OK && generation != 0 && found != (uint64_t)generation) {
        (void)snprintf(
            message,
            DOCUMENT_MESSAGE_SIZE,
            "the file beside it that ends in -rows is missing, or of another time: it has the rows "
            "that were written last");
        return ERR_CORRUPT;
    }
    sqlite->rows.number = (uint64_t)number;
    if (result == ERR_OK && generation != 0) {
        result = recover(sqlite, (uint64_t)generation, (uint64_t)number);
    }
    if (result == ERR_OK) {
        result = start_generation(sqlite);
    }
    if (result != ERR_OK) {
        (void)snprintf(message, DOCUMENT_MESSAGE_SIZE, "the log of rows: %s", err_text(result));
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

err_t
document_store_open(
    const char *url,
    const struct document_kind *const *kinds,
    uint32_t kind_count,
    struct document_store **ret_store,
    char message[DOCUMENT_MESSAGE_SIZE])
{
    static const char scheme[] = "sqlite:";
    message[0] = '\0';
    if (strncmp(url, scheme, sizeof(scheme) - 1) != 0) {
        (void)snprintf(message, DOCUMENT_MESSAGE_SIZE, "not a document store: %.100s", url);
        return ERR_UNSUPPORTED;
    }
    const char *path = url + sizeof(scheme) - 1;
    struct document_sqlite *sqlite =
        calloc(1, sizeof(*sqlite) + kind_count * sizeof(sqlite->kinds[0]));
    if (sqlite == NULL) {
        return ERR_MEMORY;
    }
    sqlite->store.ops = &sqlite_ops;
    sqlite->fold_bytes = FOLD_BYTES;
    sqlite->fold_due = FOLD_BYTES;
    sqlite->log_pages_due = LOG_PAGES_DUE;
    sqlite->kind_count = kind_count;
    for (uint32_t i = 0; i < kind_count; i++) {
        sqlite->kinds[i].kind = kinds[i];
    }
    document_pending_init(sqlite);
    err_t result = open_database(sqlite, path, message);
    if (result == ERR_OK) {
        result = document_migrate(sqlite, kinds, kind_count, message);
    }
    if (result == ERR_OK && !sqlite->in_memory) {
        result = open_rows(sqlite, path, message);
    }
    if (result != ERR_OK) {
        name_file(path, message);
        sqlite_close(&sqlite->store);
        return result;
    }
    *ret_store = &sqlite->store;
    return ERR_OK;
}
