/*
 * Moving the log into the tables, while the owner goes on writing behind it: a thread of its own
 * with a connection of its own copies what is there, and again what came meanwhile, until little is
 * left. The owner moves that between two transactions, as the log can begin anew only when all of
 * it is moved and nobody writes.
 *
 * SQLite syncs the tables only in the end, when all is moved: that would be the owner, waiting for
 * everything that this thread has written. So this thread syncs what it moved, and piece by piece:
 * a sync of the log never waits behind more than one piece.
 */
#include "checkpoint.h"

#include "base/assert.h"
#include "base/list.h"
#include "os/loop_real.h"

/* So little the owner moves in a few milliseconds. */
#define LITTLE_PAGES 512
/* Each round finds what was written during the one before. On a disk that is no faster than the
 * owner that is as much every time. */
#define ROUNDS_MAX 6
/* Moved pages from one sync of the tables to the next. */
#define PIECE_PAGES 512

/* Pages that are in the log now, which all are moved; negative: it failed. */
static int
move(struct document_checkpoint *checkpoint, sqlite3 *db)
{
    int in_log = 0;
    int moved = 0;
    int code = sqlite3_wal_checkpoint_v2(db, NULL, SQLITE_CHECKPOINT_PASSIVE, &in_log, &moved);
    if (code == SQLITE_IOERR_FSYNC) {
        checkpoint->sync_failed = true; /* of the log before, or of the tables behind it */
    }
    return code == SQLITE_OK && moved == in_log ? in_log : -1;
}

static void
sync_tables(struct document_checkpoint *checkpoint)
{
    sqlite3_file *tables = checkpoint->tables;
    int code = tables->pMethods->xSync(tables, SQLITE_SYNC_NORMAL);
    checkpoint->unsynced = 0;
    checkpoint->sync_failed = checkpoint->sync_failed || code != SQLITE_OK;
}

/* A page is about to be moved; false: it must not be. What was moved may not be on the disk, and a
 * later sync that succeeds says nothing of it: all of it would count as moved, and the owner would
 * begin the log anew over it. */
static bool
page_is_read(void *context)
{
    struct document_checkpoint *checkpoint = context;
    if (checkpoint->unsynced == PIECE_PAGES) {
        sync_tables(checkpoint);
    }
    checkpoint->unsynced++;
    return !checkpoint->sync_failed;
}

static void
checkpoint_run(struct os_task *task)
{
    struct document_checkpoint *checkpoint = CONTAINER_OF(task, struct document_checkpoint, task);
    int before = 0;
    for (int round = 0; round < ROUNDS_MAX; round++) {
        int now = move(checkpoint, checkpoint->db);
        sync_tables(checkpoint);
        if (now < 0 || now - before < LITTLE_PAGES || checkpoint->sync_failed) {
            break; /* what could not be moved stays in the log, safe */
        }
        before = now;
    }
    atomic_store_explicit(&checkpoint->state, DOCUMENT_CHECKPOINT_NEARLY, memory_order_release);
}

/* Behind the first read, which has opened the log. */
static err_t
watch_log(struct document_checkpoint *checkpoint)
{
    sqlite3 *db = checkpoint->db;
    sqlite3_file *log = NULL;
    int code =
        sqlite3_file_control(db, "main", SQLITE_FCNTL_FILE_POINTER, (void *)&checkpoint->tables);
    if (code == SQLITE_OK) {
        code = sqlite3_file_control(db, "main", SQLITE_FCNTL_JOURNAL_POINTER, (void *)&log);
    }
    TRY(document_sqlite_error(code));
    document_log_watch(log, page_is_read, checkpoint);
    return ERR_OK;
}

err_t
document_checkpoint_open(struct document_checkpoint *checkpoint, const char *path)
{
    checkpoint->task.run = checkpoint_run;
    TRY(os_loop_create("checkpoint", os_clock_real(), &checkpoint->loop));
    int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE;
    int code = sqlite3_open_v2(path, &checkpoint->db, flags, document_log_vfs());
    if (code == SQLITE_OK) {
        /* Reads the schema, so that it knows of the log before it is asked to move it. */
        code = sqlite3_exec(
            checkpoint->db,
            "PRAGMA synchronous = FULL; SELECT count(*) FROM sqlite_schema",
            NULL,
            NULL,
            NULL);
    }
    TRY(document_sqlite_error(code));
    TRY(watch_log(checkpoint));
    TRY(os_loop_start(checkpoint->loop));
    checkpoint->is_running = true;
    return ERR_OK;
}

void
document_checkpoint_close(struct document_checkpoint *checkpoint, sqlite3 *owner)
{
    if (checkpoint->is_running) {
        os_loop_stop(checkpoint->loop);
        checkpoint->is_running = false;
    }
    if (checkpoint->loop != NULL) {
        os_loop_destroy(checkpoint->loop);
        checkpoint->loop = NULL;
    }
    if (checkpoint->sync_failed) {
        /* The last connection to close would move the log, and remove it. */
        (void)sqlite3_db_config(checkpoint->db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
        (void)sqlite3_db_config(owner, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
    }
    int code = sqlite3_close(checkpoint->db);
    ASSERT(code == SQLITE_OK);
    checkpoint->db = NULL;
}

err_t
document_checkpoint_maintain(
    struct document_checkpoint *checkpoint, sqlite3 *owner, bool is_due, bool *ret_moved)
{
    *ret_moved = false;
    switch ((enum document_checkpoint_state)atomic_load_explicit(
        &checkpoint->state, memory_order_acquire)) {
    case DOCUMENT_CHECKPOINT_IDLE:
        if (is_due) {
            atomic_store_explicit(
                &checkpoint->state, DOCUMENT_CHECKPOINT_UNDER_WAY, memory_order_relaxed);
            os_post(os_loop_executor(checkpoint->loop), &checkpoint->task);
        }
        return ERR_OK;
    case DOCUMENT_CHECKPOINT_UNDER_WAY:
        return ERR_OK;
    case DOCUMENT_CHECKPOINT_NEARLY:
        break;
    }
    if (!checkpoint->sync_failed) {
        (void)move(checkpoint, owner);
    }
    if (checkpoint->sync_failed) {
        return ERR_IO; /* and the state stays as it is: nobody moves the log again */
    }
    atomic_store_explicit(&checkpoint->state, DOCUMENT_CHECKPOINT_IDLE, memory_order_relaxed);
    *ret_moved = true;
    return ERR_OK;
}
