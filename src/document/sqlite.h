/* What the files of the SQLite store share. */
#ifndef DOCUMENT_SQLITE_H
#define DOCUMENT_SQLITE_H

#include "document/document.h"

#include "base/buf.h"
#include "os/file.h"
#include "os/loop.h"

#include <sqlite3.h>
#include <stdatomic.h>

/* Shapes of list queries that are kept prepared, per kind; the oldest gives way. */
#define DOCUMENT_LIST_SHAPES_MAX 16
#define DOCUMENT_SQL_SIZE        2048

struct document_list_statement {
    uint64_t shape;
    sqlite3_stmt *statement;
};

/* The prepared statements of one kind, made when first needed. */
struct document_kind_statements {
    const struct document_kind *kind;
    sqlite3_stmt *get, *insert, *remove;
    sqlite3_stmt *updates[1U << DOCUMENT_COLUMNS_MAX]; /* by the set of columns not written */
    struct document_list_statement lists[DOCUMENT_LIST_SHAPES_MAX];
    uint32_t list_count;
    uint32_t list_oldest;
};

enum document_checkpoint_state {
    DOCUMENT_CHECKPOINT_IDLE,
    DOCUMENT_CHECKPOINT_UNDER_WAY,
    DOCUMENT_CHECKPOINT_NEARLY, /* the rest is the owner's */
};

struct document_checkpoint {
    struct os_loop *loop;
    bool is_running;
    sqlite3 *db; /* used by the loop's thread only, once that runs */
    struct os_task task;
    sqlite3_file *tables;   /* as the connection writes them */
    uint32_t unsynced;      /* pages that were moved since they were synced */
    bool sync_failed;       /* for ever */
    _Atomic uint32_t state; /* enum document_checkpoint_state */
};

struct document_sqlite {
    struct document_store store; /* first */
    sqlite3 *db;
    sqlite3_stmt *begin, *commit, *rollback, *settle;
    bool in_transaction;
    err_t failure;       /* of a write in this transaction: it cannot be committed any more */
    bool broken;         /* the state of the file is not known: everything is refused */
    uint32_t generation; /* the file says at least this one; 0: it is to be asked */
    int log_pages;       /* in the write-ahead log after the last commit */
    int log_pages_due;   /* maintain has it moved from so many on; tests want fewer */
    int log_pages_max;   /* a commit moves it from so many on, if nobody else does */
    struct document_checkpoint checkpoint;
    struct os_file *file; /* the database: has the lock that keeps other processes away */
    bool in_memory;
    sqlite3_file *log;            /* the log as SQLite writes it */
    struct os_file *log_for_sync; /* the same file, for the thread that syncs */
    _Atomic bool sync_failed;     /* told by that thread; as broken */
    uint32_t kind_count;
    struct document_kind_statements kinds[];
};

static inline struct document_sqlite *
document_sqlite_of(struct document_store *store)
{
    return (struct document_sqlite *)(void *)store;
}

/* Nothing may be read or written any more. */
static inline bool
document_sqlite_is_broken(const struct document_sqlite *sqlite)
{
    return sqlite->broken || atomic_load_explicit(&sqlite->sync_failed, memory_order_acquire);
}

/* sqlite.c: document_store_open of sqlite:PATH. */
MUST_USE err_t document_sqlite_open(
    const char *path,
    const struct document_kind *const *kinds,
    uint32_t kind_count,
    struct document_store **ret_store,
    char message[DOCUMENT_MESSAGE_SIZE]);

/* error.c */
err_t document_sqlite_error(int code);

/* statement.c: SQL text from a kind, and the cache of what was prepared. */
struct document_kind_statements *document_kind_statements(
    struct document_sqlite *sqlite, const struct document_kind *kind);
MUST_USE err_t
document_prepare(struct document_sqlite *sqlite, const char *sql, sqlite3_stmt **statement);
MUST_USE err_t document_statement_get(
    struct document_sqlite *sqlite, struct document_kind_statements *of, sqlite3_stmt **ret);
MUST_USE err_t document_statement_insert(
    struct document_sqlite *sqlite, struct document_kind_statements *of, sqlite3_stmt **ret);
MUST_USE err_t document_statement_update(
    struct document_sqlite *sqlite,
    struct document_kind_statements *of,
    uint32_t unchanged,
    sqlite3_stmt **ret);
MUST_USE err_t document_statement_remove(
    struct document_sqlite *sqlite, struct document_kind_statements *of, sqlite3_stmt **ret);
void document_statements_finalize(struct document_kind_statements *of);
/* "id, version, body, scope, COLUMNS": what get and list select, in this order. */
void document_sql_selected(struct buf *sql, const struct document_kind *kind);

enum {
    DOCUMENT_SELECTED_ID,
    DOCUMENT_SELECTED_VERSION,
    DOCUMENT_SELECTED_BODY,
    DOCUMENT_SELECTED_SCOPE,
    DOCUMENT_SELECTED_COLUMNS
};

/* row.c */
err_t document_sqlite_get(
    struct document_store *store,
    const struct document_kind *kind,
    uint64_t scope,
    struct span id,
    struct arena *arena,
    struct document_row *ret_row);
err_t document_sqlite_insert(
    struct document_store *store, const struct document_kind *kind, const struct document_row *row);
err_t document_sqlite_update(
    struct document_store *store, const struct document_kind *kind, const struct document_row *row);
err_t document_sqlite_remove(
    struct document_store *store,
    const struct document_kind *kind,
    uint64_t scope,
    struct span id,
    uint32_t version);
/* The current row of a statement; its spans are valid until the statement moves on. */
void document_row_read(
    sqlite3_stmt *statement, const struct document_kind *kind, struct document_row *ret_row);
void document_bind_value(
    sqlite3_stmt *statement,
    int position,
    enum document_column_type type,
    const struct document_value *value);
void document_bind_text(sqlite3_stmt *statement, int position, struct span text);

/* log_file.c: the name of the VFS, which is registered, and SQLite's page cache replaced, at the
 * first call. */
const char *document_log_vfs(void);
/* While on, the sync that ends a commit is left to somebody else; the bytes are handed to the
 * system all the same. */
void document_log_defer(sqlite3_file *file, bool on);
/* The file's name, for opening it once more. */
const char *document_log_name(sqlite3_file *file);
/* From now on `read` is asked before each page that this connection reads from the log; if it says
 * false the page is not read, and what needs it fails as a failed sync does. */
void document_log_watch(sqlite3_file *file, bool (*read)(void *context), void *context);

/* list.c */
err_t document_sqlite_list(
    struct document_store *store,
    const struct document_kind *kind,
    const struct document_query *query,
    document_each each,
    void *context);

/* migrate.c */
/* In the open transaction: from its commit on, programs that know less are refused. */
MUST_USE err_t document_sqlite_raise(struct document_sqlite *sqlite, uint32_t generation);
MUST_USE err_t document_migrate(
    struct document_sqlite *sqlite,
    const struct document_kind *const *kinds,
    uint32_t kind_count,
    char message[DOCUMENT_MESSAGE_SIZE]);

#endif
