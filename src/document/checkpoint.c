/*
 * Moving the log into the tables, while the owner goes on writing behind it: a thread of its own
 * with a connection of its own copies what is there, and again what came meanwhile, until little is
 * left. The owner moves that between two transactions, as the log can begin anew only when all of
 * it is moved and nobody writes.
 */
#include "checkpoint.h"

#include "base/assert.h"
#include "base/list.h"
#include "os/loop_real.h"

/* So little the owner moves in a few milliseconds. */
#define LITTLE_PAGES 512
/* On a disk that is no faster than the owner every round finds as much as the one before. */
#define ROUNDS_MAX 3

/* Pages that are in the log now, which all are moved; negative: it failed. */
static int
move(sqlite3 *db)
{
    int in_log = 0;
    int moved = 0;
    int code = sqlite3_wal_checkpoint_v2(db, NULL, SQLITE_CHECKPOINT_PASSIVE, &in_log, &moved);
    return code == SQLITE_OK && moved == in_log ? in_log : -1;
}

static void
checkpoint_run(struct os_task *task)
{
    struct document_checkpoint *checkpoint = CONTAINER_OF(task, struct document_checkpoint, task);
    int before = 0;
    for (int round = 0; round < ROUNDS_MAX; round++) {
        int now = move(checkpoint->db);
        if (now < 0 || now - before < LITTLE_PAGES) {
            break; /* what could not be moved stays in the log, safe */
        }
        before = now;
    }
    atomic_store_explicit(&checkpoint->state, DOCUMENT_CHECKPOINT_NEARLY, memory_order_release);
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
    TRY(os_loop_start(checkpoint->loop));
    checkpoint->is_running = true;
    return ERR_OK;
}

void
document_checkpoint_close(struct document_checkpoint *checkpoint)
{
    if (checkpoint->is_running) {
        os_loop_stop(checkpoint->loop);
        checkpoint->is_running = false;
    }
    if (checkpoint->loop != NULL) {
        os_loop_destroy(checkpoint->loop);
        checkpoint->loop = NULL;
    }
    int code = sqlite3_close(checkpoint->db);
    ASSERT(code == SQLITE_OK);
    checkpoint->db = NULL;
}

bool
document_checkpoint_maintain(struct document_checkpoint *checkpoint, sqlite3 *owner, bool is_due)
{
    switch ((enum document_checkpoint_state)atomic_load_explicit(
        &checkpoint->state, memory_order_acquire)) {
    case DOCUMENT_CHECKPOINT_IDLE:
        if (is_due) {
            atomic_store_explicit(
                &checkpoint->state, DOCUMENT_CHECKPOINT_UNDER_WAY, memory_order_relaxed);
            os_post(os_loop_executor(checkpoint->loop), &checkpoint->task);
        }
        return false;
    case DOCUMENT_CHECKPOINT_UNDER_WAY:
        return false;
    case DOCUMENT_CHECKPOINT_NEARLY:
        break;
    }
    (void)move(owner);
    atomic_store_explicit(&checkpoint->state, DOCUMENT_CHECKPOINT_IDLE, memory_order_relaxed);
    return true;
}
