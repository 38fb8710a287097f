#include "document/copy.h"

#include "sqlite.h"

#include "base/assert.h"
#include "os/file.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Pages copied between two tells of the progress. */
#define STEP_PAGES 1024

struct document_hold {
    sqlite3 *db;
};

struct document_snapshot {
    sqlite3 *db;
    uint64_t size;
    uint64_t page_size;
};

static err_t
explain(sqlite3 *db, const char *path, int code, char message[DOCUMENT_MESSAGE_SIZE])
{
    err_t result = document_sqlite_error(code);
    const char *text = db == NULL ? err_text(result) : sqlite3_errmsg(db);
    (void)snprintf(message, DOCUMENT_MESSAGE_SIZE, "%.110s: %.130s", path, text);
    return result;
}

/* A connection of another process's database: it leaves the log as it finds it. */
static err_t
open_beside(
    const char *path, uint32_t wait_ms, sqlite3 **ret_db, char message[DOCUMENT_MESSAGE_SIZE])
{
    sqlite3 *db = NULL;
    int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE;
    int code = sqlite3_open_v2(path, &db, flags, NULL);
    if (code == SQLITE_OK) {
        code = sqlite3_db_config(db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
    }
    if (code == SQLITE_OK) {
        code = sqlite3_busy_timeout(db, (int)wait_ms);
    }
    if (code == SQLITE_OK) {
        code = sqlite3_exec(db, "PRAGMA wal_autocheckpoint = 0", NULL, NULL, NULL);
    }
    if (code != SQLITE_OK) {
        err_t result = explain(db, path, code, message);
        (void)sqlite3_close(db);
        return result;
    }
    *ret_db = db;
    return ERR_OK;
}

/* --- holding --- */

err_t
document_hold_take(
    const char *path,
    uint32_t wait_ms,
    struct document_hold **ret_hold,
    char message[DOCUMENT_MESSAGE_SIZE])
{
    struct document_hold *hold = calloc(1, sizeof(*hold));
    if (hold == NULL) {
        (void)snprintf(message, DOCUMENT_MESSAGE_SIZE, "%s", err_text(ERR_MEMORY));
        return ERR_MEMORY;
    }
    err_t result = open_beside(path, wait_ms, &hold->db, message);
    if (result == ERR_OK) {
        int code = sqlite3_exec(hold->db, "BEGIN IMMEDIATE", NULL, NULL, NULL);
        result = code == SQLITE_OK ? ERR_OK : explain(hold->db, path, code, message);
    }
    if (result != ERR_OK) {
        document_hold_release(&hold);
        return result;
    }
    *ret_hold = hold;
    return ERR_OK;
}

void
document_hold_release(struct document_hold **hold)
{
    if (*hold == NULL) {
        return;
    }
    /* Closing rolls back, and wrote nothing. */
    int code = sqlite3_close((*hold)->db);
    ASSERT(code == SQLITE_OK);
    free(*hold);
    *hold = NULL;
}

/* --- snapshots --- */

static int
read_integer(sqlite3 *db, const char *sql, uint64_t *ret_value)
{
    sqlite3_stmt *statement = NULL;
    int code = sqlite3_prepare_v2(db, sql, -1, &statement, NULL);
    if (code != SQLITE_OK) {
        return code;
    }
    code = sqlite3_step(statement);
    *ret_value = (uint64_t)sqlite3_column_int64(statement, 0);
    int finalized = sqlite3_finalize(statement);
    return code == SQLITE_ROW ? finalized : code;
}

err_t
document_snapshot_take(
    const char *path, struct document_snapshot **ret_snapshot, char message[DOCUMENT_MESSAGE_SIZE])
{
    struct document_snapshot *snapshot = calloc(1, sizeof(*snapshot));
    if (snapshot == NULL) {
        (void)snprintf(message, DOCUMENT_MESSAGE_SIZE, "%s", err_text(ERR_MEMORY));
        return ERR_MEMORY;
    }
    err_t result = open_beside(path, DOCUMENT_HOLD_MAX_MS, &snapshot->db, message);
    if (result == ERR_OK) {
        /* BEGIN alone reads nothing yet: the snapshot is that of the first read. */
        uint64_t pages = 0;
        int code = sqlite3_exec(snapshot->db, "BEGIN", NULL, NULL, NULL);
        if (code == SQLITE_OK) {
            code = read_integer(snapshot->db, "PRAGMA page_count", &pages);
        }
        if (code == SQLITE_OK) {
            code = read_integer(snapshot->db, "PRAGMA page_size", &snapshot->page_size);
        }
        if (code == SQLITE_OK) {
            uint64_t tables = 0;
            code = read_integer(snapshot->db, "SELECT count(*) FROM sqlite_schema", &tables);
        }
        snapshot->size = pages * snapshot->page_size;
        result = code == SQLITE_OK ? ERR_OK : explain(snapshot->db, path, code, message);
    }
    if (result != ERR_OK) {
        document_snapshot_release(&snapshot);
        return result;
    }
    *ret_snapshot = snapshot;
    return ERR_OK;
}

void
document_snapshot_release(struct document_snapshot **snapshot)
{
    if (*snapshot == NULL) {
        return;
    }
    int code = sqlite3_close((*snapshot)->db);
    ASSERT(code == SQLITE_OK);
    free(*snapshot);
    *snapshot = NULL;
}

uint64_t
document_snapshot_size(const struct document_snapshot *snapshot)
{
    return snapshot->size;
}

/* SQLite would make the file readable for everybody. */
static err_t
make_private(const char *to, char message[DOCUMENT_MESSAGE_SIZE])
{
    struct os_disk *disk = os_disk_real();
    struct os_file *file = NULL;
    err_t result = disk->ops->open(disk, to, OS_OPEN_CREATE, false, &file, NULL);
    if (result != ERR_OK) {
        (void)snprintf(message, DOCUMENT_MESSAGE_SIZE, "%.200s: %s", to, err_text(result));
        return result;
    }
    disk->ops->close(disk, file);
    return ERR_OK;
}

static int
copy_pages(
    struct document_snapshot *snapshot,
    sqlite3_backup *backup,
    document_copy_progress progress,
    void *context,
    bool *ret_stopped)
{
    int code = SQLITE_OK;
    while (code == SQLITE_OK) {
        code = sqlite3_backup_step(backup, STEP_PAGES);
        int done = sqlite3_backup_pagecount(backup) - sqlite3_backup_remaining(backup);
        if (progress != NULL && !progress(context, (uint64_t)done * snapshot->page_size)) {
            *ret_stopped = true;
            break;
        }
    }
    int finished = sqlite3_backup_finish(backup);
    return code == SQLITE_DONE || code == SQLITE_OK ? finished : code;
}

err_t
document_snapshot_write(
    struct document_snapshot *snapshot,
    const char *to,
    document_copy_progress progress,
    void *context,
    char message[DOCUMENT_MESSAGE_SIZE])
{
    TRY(make_private(to, message));
    sqlite3 *db = NULL;
    int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE;
    bool stopped = false;
    int code = sqlite3_open_v2(to, &db, flags, NULL);
    if (code == SQLITE_OK) {
        /* Nobody sees the file before it is whole: it needs no log, and is synced at the end. */
        code = sqlite3_exec(
            db, "PRAGMA journal_mode = OFF; PRAGMA synchronous = FULL", NULL, NULL, NULL);
    }
    if (code == SQLITE_OK) {
        sqlite3_backup *backup = sqlite3_backup_init(db, "main", snapshot->db, "main");
        code = backup == NULL ? sqlite3_errcode(db)
                              : copy_pages(snapshot, backup, progress, context, &stopped);
    }
    err_t result = ERR_OK;
    if (stopped) {
        (void)snprintf(message, DOCUMENT_MESSAGE_SIZE, "%.200s: stopped", to);
        result = ERR_CLOSED;
    } else if (code != SQLITE_OK) {
        result = explain(db, to, code, message);
    }
    (void)sqlite3_close(db); /* what matters was said by the steps, the sync included */
    return result;
}
